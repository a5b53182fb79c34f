#include "values.h"
#include "cleanup.h"
#include "spec.h"
#include "text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATH_LEN_MAX = 4095, ENV_NAME_MAX = 64, SHARE_MAX = 100000, RATE_MAX = 1000000 };
enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

#define OR_INFINITY ", nor 'infinity'"

/* Room for a quoted value inside an error text. */
#define SHOWN(buf, s) text_escape_str((buf), sizeof(buf), (s))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Leading digits of s; returns where they end, or NULL if there are none or they overflow. */
static const char *digits(const char *s, uint64_t *out)
{
    uint64_t value = 0;
    const char *at = s;
    for (; is_digit(*at); at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    *out = value;
    return at == s ? NULL : at;
}

static int read_uint(const char *s, uint64_t min, uint64_t max, const char *other, uint64_t *out,
                     struct err *err)
{
    char shown[48];
    for (const char *c = s; c == s || *c != '\0'; c++)
        if (!is_digit(*c))
            return err_set(err, 0, "'%s' is not a whole number%s", SHOWN(shown, s), other);
    uint64_t value = 0;
    const char *end = digits(s, &value);
    if (end == NULL || value < min || value > max)
        return err_set(err, 0, "'%s' is out of range (%" PRIu64 " to %" PRIu64 ")", SHOWN(shown, s),
                       min, max);
    *out = value;
    return 0;
}

int value_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    return read_uint(s, min, max, "", out, err);
}

int value_count(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    if (strcmp(s, "infinity") != 0)
        return read_uint(s, min, max, OR_INFINITY, out, err);
    *out = SPEC_INFINITY;
    return 0;
}

int value_bool(const char *s, bool *out, struct err *err)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(s, words[i]) == 0) {
            *out = i % 2 == 1;
            return 0;
        }
    char shown[48];
    return err_set(err, 0, "'%s' is neither 'yes' nor 'no'", SHOWN(shown, s));
}

static int multiply(uint64_t value, uint64_t factor, uint64_t *out)
{
    return __builtin_mul_overflow(value, factor, out) ? -1 : 0;
}

static int read_size(const char *s, uint64_t min, uint64_t max, const char *other, uint64_t *out,
                     struct err *err)
{
    static const char units[] = "KMGT";
    char shown[48];
    uint64_t value = 0;
    const char *unit = digits(s, &value);
    uint64_t factor = 1;
    if (unit != NULL && *unit != '\0') {
        const char *found = strchr(units, *unit);
        if (found == NULL || unit[1] != '\0')
            unit = NULL;
        else
            factor <<= 10 * (found - units + 1);
    }
    if (unit == NULL)
        return err_set(err, 0, "'%s' is not a size such as 512K, 64M or 2G%s", SHOWN(shown, s),
                       other);
    if (multiply(value, factor, &value) < 0 || value < min || value > max)
        return err_set(err, 0, "'%s' is out of range (%" PRIu64 " to %" PRIu64 " bytes)",
                       SHOWN(shown, s), min, max);
    *out = value;
    return 0;
}

int value_size(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    return read_size(s, min, max, "", out, err);
}

int value_limit(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    if (strcmp(s, "infinity") != 0)
        return read_size(s, min, max, OR_INFINITY, out, err);
    *out = SPEC_INFINITY;
    return 0;
}

int value_share(const char *s, uint64_t *percent, struct err *err)
{
    char shown[48];
    if (strcmp(s, "infinity") == 0) {
        *percent = SPEC_INFINITY;
        return 0;
    }
    uint64_t value = 0;
    const char *end = digits(s, &value);
    if (end == NULL || strcmp(end, "%") != 0)
        return err_set(err, 0, "'%s' is not a share of CPU such as 50%% or 200%%" OR_INFINITY,
                       SHOWN(shown, s));
    if (value < 1 || value > SHARE_MAX)
        return err_set(err, 0, "'%s' is out of range (1%% to %d%%)", SHOWN(shown, s), SHARE_MAX);
    *percent = value;
    return 0;
}

int value_rate(const char *s, uint32_t *n, uint64_t *per_ms, struct err *err)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"/s", 1000}, {"/min", MINUTE_MS}, {"/h", HOUR_MS}, {"/day", DAY_MS}};
    char shown[48];
    if (strcmp(s, "infinity") == 0) {
        *n = 0;
        *per_ms = 0;
        return 0;
    }
    uint64_t value = 0;
    const char *unit = digits(s, &value);
    size_t i = 0;
    while (i < array_len(units) && (unit == NULL || strcmp(unit, units[i].name) != 0))
        i++;
    if (i == array_len(units))
        return err_set(err, 0,
                       "'%s' is not a rate such as 5/s, 30/min, 100/h or 1000/day" OR_INFINITY,
                       SHOWN(shown, s));
    if (value < 1 || value > RATE_MAX)
        return err_set(err, 0, "'%s' is out of range (1 to %d)", SHOWN(shown, s), RATE_MAX);
    *n = (uint32_t)value;
    *per_ms = units[i].ms;
    return 0;
}

/* `form` is the value with a 0 for each digit. */
static bool has_form(const char *s, const char *form)
{
    for (; *form != '\0'; form++, s++)
        if (*form == '0' ? !is_digit(*s) : *s != *form)
            return false;
    return *s == '\0';
}

/* The next `width` digits, which has_form() has seen, and *s moved behind what follows them. */
static int take_number(const char **s, size_t width)
{
    int n = 0;
    for (size_t i = 0; i < width; i++)
        n = n * 10 + ((*s)[i] - '0');
    *s += width;
    *s += **s != '\0';
    return n;
}

int value_date(const char *s, int64_t *seconds, struct err *err)
{
    char shown[48];
    bool has_time = has_form(s, "0000-00-00T00:00");
    if (!has_time && !has_form(s, "0000-00-00"))
        return err_set(err, 0, "'%s' is not a date such as 2030-12-31 or 2030-12-31T23:59 (UTC)",
                       SHOWN(shown, s));
    const char *at = s;
    struct tm asked = {.tm_year = take_number(&at, 4) - 1900};
    asked.tm_mon = take_number(&at, 2) - 1;
    asked.tm_mday = take_number(&at, 2);
    asked.tm_hour = has_time ? take_number(&at, 2) : 0;
    asked.tm_min = has_time ? take_number(&at, 2) : 0;
    struct tm real = asked;
    time_t when = timegm(&real);
    /* timegm() makes another day of what the calendar doesn't have. */
    if (asked.tm_year < 70 || real.tm_mon != asked.tm_mon || real.tm_mday != asked.tm_mday ||
        real.tm_hour != asked.tm_hour || real.tm_min != asked.tm_min)
        return err_set(err, 0, "there is no day or time '%s' from 1970 on", SHOWN(shown, s));
    *seconds = when;
    return 0;
}

int value_choice(const char *s, const char *const *words, size_t n, size_t *index, struct err *err)
{
    struct suggestion guess;
    char list[160] = "";
    char shown[48];
    char hint[64];
    suggest_begin(&guess, s);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, words[i]) == 0) {
            *index = i;
            return 0;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", words[i]);
        suggest_try(&guess, words[i]);
    }
    bool hinted = text_value_hint(s) == NULL && suggest_hint(&guess, hint, sizeof hint)[0] != '\0';
    return err_set(err, 0, "'%s' is not one of: %s%s%s%s", SHOWN(shown, s), list,
                   hinted ? " (" : "", hinted ? hint : "", hinted ? ")" : "");
}

static int read_time(const char *s, const char *other, uint64_t *ms, struct err *err)
{
    char shown[48];
    uint64_t value = 0;
    const char *unit = digits(s, &value);
    uint64_t factor = 0;
    if (unit != NULL && strlen(unit) == 1)
        factor = *unit == 's'   ? 1000
                 : *unit == 'm' ? MINUTE_MS
                 : *unit == 'h' ? HOUR_MS
                 : *unit == 'd' ? DAY_MS
                                : 0;
    if (factor == 0)
        return err_set(err, 0, "'%s' is not a time such as 30s, 15m, 1h or 2d%s", SHOWN(shown, s),
                       other);
    /* A thousand years of milliseconds leaves room for adding a clock reading. */
    const uint64_t max = 1000ULL * 366 * DAY_MS;
    if (value == 0 || multiply(value, factor, &value) < 0 || value > max)
        return err_set(err, 0, "'%s' is out of range", SHOWN(shown, s));
    *ms = value;
    return 0;
}

int value_time(const char *s, bool may_be_infinite, uint64_t *ms, struct err *err)
{
    if (strcmp(s, "infinity") != 0)
        return read_time(s, may_be_infinite ? OR_INFINITY : "", ms, err);
    if (!may_be_infinite)
        return err_set(err, 0, "this can't be 'infinity'");
    *ms = SPEC_INFINITY;
    return 0;
}

int value_wait(const char *s, uint64_t *ms, struct err *err)
{
    if (strcmp(s, "no") != 0)
        return read_time(s, ", nor 'no'", ms, err);
    *ms = 0;
    return 0;
}

int value_uid_range(const char *s, uint32_t *first, uint32_t *last, struct err *err)
{
    uint64_t from = 0;
    uint64_t to = 0;
    char shown[48];
    const char *dash = digits(s, &from);
    const char *end = dash == NULL || *dash != '-' ? NULL : digits(dash + 1, &to);
    if (end == NULL || *end != '\0')
        return err_set(err, 0, "'%s' is not a range FIRST-LAST", SHOWN(shown, s));
    if (from < 1 || from > to || to >= UINT32_MAX - 1)
        return err_set(err, 0, "'%s' is out of range (1 to %" PRIu32 ", first before last)",
                       SHOWN(shown, s), UINT32_MAX - 2);
    *first = (uint32_t)from;
    *last = (uint32_t)to;
    return 0;
}

bool is_name(const char *s, size_t len)
{
    if (len == 0 || len > NAME_LEN_MAX || !(is_alpha(s[0]) || is_digit(s[0])))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!is_alpha(s[i]) && !is_digit(s[i]) && strchr("._-", s[i]) == NULL)
            return false;
    return memchr(s, '\0', len) == NULL;
}

int value_name(const char *s, struct err *err)
{
    char shown[48];
    if (!is_name(s, strlen(s)))
        return err_set(err, 0,
                       "'%s' is not a name: 1 to %d letters, digits, '.', '_' or '-', beginning "
                       "with a letter or digit",
                       SHOWN(shown, s), NAME_LEN_MAX);
    return 0;
}

int value_account(const char *s, struct err *err)
{
    return value_name(s[0] == '_' ? s + 1 : s, err);
}

bool is_env_name(const char *s, size_t len)
{
    if (len == 0 || len > ENV_NAME_MAX || is_digit(s[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alpha(s[i]) && !is_digit(s[i]) && s[i] != '_')
            return false;
    return true;
}

int value_path(const char *s, struct err *err)
{
    char shown[96];
    if (s[0] != '/')
        return err_set(err, 0, "'%s' is not an absolute path", SHOWN(shown, s));
    if (strlen(s) > PATH_LEN_MAX)
        return err_set(err, 0, "'%s' is longer than a path can be", SHOWN(shown, s));
    if (s[1] == '\0')
        return 0;
    for (const char *slash = s; slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = strcspn(slash + 1, "/");
        bool dots = (len == 1 && slash[1] == '.') || (len == 2 && memcmp(slash + 1, "..", 2) == 0);
        if (len == 0 && slash[1] == '\0')
            return err_set(err, 0, "'%s' ends in a slash: leave it out", SHOWN(shown, s));
        if (len == 0 || dots)
            return err_set(err, 0, "'%s' has an empty, '.' or '..' component", SHOWN(shown, s));
    }
    return 0;
}

int value_shared_path(const char *s, struct err *err)
{
    char shown[96];
    if (strstr(s, "%t") != NULL)
        return err_set(err, 0, "'%s': %%t is the tenant's name in 'workspace' alone",
                       SHOWN(shown, s));
    return value_path(s, err);
}

int value_listen(const char *s, char *host, size_t host_len, uint16_t *port, struct err *err)
{
    char shown[96];
    bool v6 = s[0] == '[';
    const char *begin = v6 ? s + 1 : s;
    size_t len = strcspn(begin, v6 ? "]" : ":");
    const char *colon = begin + len + (v6 && begin[len] == ']' ? 1 : 0);
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } addr;
    if (*colon != ':' || len == 0 || len >= host_len)
        return err_set(err, 0, "'%s' is not ADDRESS:PORT, such as 0.0.0.0:22 or [::]:22",
                       SHOWN(shown, s));
    memcpy(host, begin, len);
    host[len] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host, &addr) != 1)
        return err_set(err, 0, "'%s' is not a literal IPv%s address, such as %s",
                       SHOWN(shown, host), v6 ? "6" : "4", v6 ? "::" : "0.0.0.0");
    uint64_t value = 0;
    if (value_uint(colon + 1, 0, UINT16_MAX, &value, err) < 0)
        return err_wrap(err, "port");
    *port = (uint16_t)value;
    return 0;
}
