#include "key_options.h"
#include "address.h"
#include "cleanup.h"
#include "decide.h"
#include "diag.h"
#include "key_blob.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static void give_hint(struct key_cursor *c, const char *hint)
{
    (void)snprintf(c->hint, sizeof c->hint, "%s", hint);
}

/* Takes a double-quoted value, in which \" stands for a quote and nothing else is special. */
static int take_quoted(struct key_cursor *c, char **out, struct err *err)
{
    if (c->at == c->end || *c->at != '"')
        return err_set(err, 0, "an option's value stands in double quotes");
    c->at++;
    char *value = malloc((size_t)(c->end - c->at) + 1);
    if (value == NULL)
        return err_no_memory(err);
    size_t n = 0;
    while (c->at < c->end && *c->at != '"') {
        if (*c->at == '\\' && c->at + 1 < c->end && c->at[1] == '"')
            c->at++;
        value[n++] = *c->at++;
    }
    *out = c->at == c->end ? NULL : pool_strndup(c->pool, value, n);
    free(value);
    if (c->at == c->end)
        return err_set(err, 0, "an option's value has no closing quote");
    c->at++;
    return *out == NULL ? err_no_memory(err) : 0;
}

static int set_restrict(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    (void)value;
    (void)err;
    key->restricted = true;
    return 0;
}

/* Takes back `restrict` for terminals; whether there is one at all is the tenant's. */
static int set_pty(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    (void)value;
    (void)err;
    key->restricted = false;
    return 0;
}

static int set_authority(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    (void)value;
    (void)err;
    key->is_authority = true;
    return 0;
}

static int set_untouched(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    (void)value;
    (void)err;
    key->untouched = true;
    return 0;
}

static int set_verified(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    (void)value;
    (void)err;
    key->verified = true;
    return 0;
}

static int set_force(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    (void)c;
    if (value[0] == '\0')
        return err_set(err, 0, "command= is empty");
    key->force = value;
    return 0;
}

static int add_environment(struct key_cursor *c, char *value, struct policy_key *key,
                           struct err *err)
{
    const char *equals = strchr(value, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - value);
    if (!is_env_name(value, len))
        return err_set(err, 0, "environment= needs NAME=VALUE");
    if (strlen(equals + 1) > ENV_VALUE_MAX)
        return err_set(err, 0, "environment=: value is longer than %d bytes", ENV_VALUE_MAX);
    for (size_t i = 0; i < key->environment.n; i++)
        if (strncmp(key->environment.items[i], value, len + 1) == 0)
            return err_set(err, 0, "environment= sets %.*s twice", (int)len, value);
    if (key->environment.n == ENV_COUNT_MAX)
        return err_set(err, 0, "more than %d environment= options", ENV_COUNT_MAX);
    if (pool_push(c->pool, (void *)&key->environment.items, &key->environment.n, (void *)&value,
                  sizeof value) < 0)
        return err_no_memory(err);
    return 0;
}

static int set_from(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    if (address_list_add(c->pool, &key->from, value, &key->origin, err) < 0)
        return err_wrap(err, "from");
    if (key->from.n == 0)
        return err_set(err, 0, "from= is empty: nobody could log in");
    const char *problem = address_list_problem(&key->from);
    if (problem == NULL)
        return 0;
    give_hint(c, address_list_hint);
    return err_set(err, 0, "%s", problem);
}

static int set_principals(struct key_cursor *c, char *value, struct policy_key *key,
                          struct err *err)
{
    const char *name = value;
    do {
        size_t len = strcspn(name, ",");
        char *copy = pool_strndup(c->pool, name, len);
        if (len == 0)
            return err_set(err, 0, "principals= has an empty name");
        if (key->principals.n == KEY_PRINCIPALS_MAX)
            return err_set(err, 0, "principals= has more than %d names", KEY_PRINCIPALS_MAX);
        if (copy == NULL || pool_push(c->pool, (void *)&key->principals.items, &key->principals.n,
                                      (void *)&copy, sizeof copy) < 0)
            return err_no_memory(err);
        name += len;
    } while (*name++ == ',');
    return 0;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_date(const struct tm *tm, int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1970 || month < 1 || month > 12)
        return false;
    int last = days[month - 1] + (month == 2 && is_leap(year));
    return tm->tm_mday >= 1 && tm->tm_mday <= last && tm->tm_hour < 24 && tm->tm_min < 60 &&
           tm->tm_sec < 60;
}

/* Decimal digits of a fixed width; they have been seen to be there. */
static int take_number(const char **at, size_t width)
{
    int n = 0;
    for (size_t i = 0; i < width; i++)
        n = n * 10 + (*(*at)++ - '0');
    return n;
}

/* YYYYMMDD or YYYYMMDDHHMM[SS]: this host's local time as for sshd, or with Z behind it UTC. */
static int set_expiry(struct key_cursor *c, char *value, struct policy_key *key, struct err *err)
{
    char shown[32];
    const char *at = value;
    size_t len = strspn(value, "0123456789");
    bool utc = value[len] == 'Z';
    if ((len != 8 && len != 12 && len != 14) || value[len + (utc ? 1 : 0)] != '\0') {
        give_hint(c, "write YYYYMMDD or YYYYMMDDHHMM[SS], and Z behind it for UTC");
        return err_set(err, 0, "expiry-time= '%s' is not a time",
                       text_escape_str(shown, sizeof shown, value));
    }
    int year = take_number(&at, 4);
    int month = take_number(&at, 2);
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_isdst = -1};
    tm.tm_mday = take_number(&at, 2);
    tm.tm_hour = len > 8 ? take_number(&at, 2) : 0;
    tm.tm_min = len > 8 ? take_number(&at, 2) : 0;
    tm.tm_sec = len > 12 ? take_number(&at, 2) : 0;
    if (!is_date(&tm, year, month))
        return err_set(err, 0, "expiry-time= '%s' is no date and time of the calendar",
                       text_escape_str(shown, sizeof shown, value));
    time_t when = utc ? timegm(&tm) : mktime(&tm);
    /* 0 would mean "never". */
    key->expires = when > 0 ? when : 1;
    return 0;
}

static const struct option {
    const char *name;
    bool has_value;
    bool repeatable;
    /* Takes over `value`, which is of the pool; NULL if the option has none. */
    int (*set)(struct key_cursor *c, char *value, struct policy_key *key, struct err *err);
} options[] = {
    {"restrict", false, false, set_restrict},
    {"no-pty", false, false, set_restrict},
    {"pty", false, false, set_pty},
    {"from", true, false, set_from},
    {"expiry-time", true, false, set_expiry},
    {"command", true, false, set_force},
    {"environment", true, true, add_environment},
    {"cert-authority", false, false, set_authority},
    {"principals", true, false, set_principals},
    {"no-touch-required", false, false, set_untouched},
    {"verify-required", false, false, set_verified},
};

static const char no_forwarding[] = "Postern forwards nothing: take it out, or say 'restrict'";
static const char no_rc[] = "Postern runs no rc file: take it out, or say 'restrict'";

/* What else sshd knows, and what to do about it here. */
static const struct {
    const char *name;
    const char *hint;
} foreign[] = {
    {"agent-forwarding", no_forwarding},
    {"no-agent-forwarding", no_forwarding},
    {"port-forwarding", no_forwarding},
    {"no-port-forwarding", no_forwarding},
    {"x11-forwarding", no_forwarding},
    {"no-x11-forwarding", no_forwarding},
    {"permitopen", no_forwarding},
    {"permitlisten", no_forwarding},
    {"tunnel", no_forwarding},
    {"user-rc", no_rc},
    {"no-user-rc", no_rc},
};

static bool is_option(const char *name, const char *word, size_t len)
{
    return strlen(name) == len && strncasecmp(name, word, len) == 0;
}

static int refuse(struct key_cursor *c, const char *word, size_t len, struct err *err)
{
    char shown[48];
    struct suggestion guess;
    text_escape(shown, sizeof shown, word, len);
    for (size_t i = 0; i < array_len(foreign); i++)
        if (is_option(foreign[i].name, word, len)) {
            give_hint(c, foreign[i].hint);
            return err_set(err, 0, "Postern does not carry out the option '%s'", shown);
        }
    if (len == 0)
        return err_set(err, 0, "an option is empty (options are separated by ',' without blanks)");
    suggest_begin(&guess, shown);
    for (size_t i = 0; i < array_len(options); i++)
        suggest_try(&guess, options[i].name);
    key_types_suggest(&guess);
    (void)suggest_hint(&guess, c->hint, sizeof c->hint);
    if (c->hint[0] == '\0')
        (void)snprintf(c->hint, sizeof c->hint, "a line is: [options] type key [comment]");
    return err_set(err, 0, "'%s' is neither a known option nor a known key type", shown);
}

static int apply(struct key_cursor *c, const struct option *option, bool has_value,
                 struct policy_key *key, struct err *err)
{
    char *value = NULL;
    if (has_value != option->has_value)
        return err_set(err, 0, "option '%s' %s", option->name,
                       has_value ? "takes no value" : "needs a value");
    if (has_value) {
        c->at++;
        if (take_quoted(c, &value, err) < 0)
            return -1;
    }
    return option->set(c, value, key, err);
}

/* `seen` has a bit for each option. */
static int take_option(struct key_cursor *c, unsigned *seen, struct policy_key *key,
                       struct err *err)
{
    const char *word = c->at;
    while (c->at < c->end && strchr("=, \t\"", *c->at) == NULL)
        c->at++;
    size_t len = (size_t)(c->at - word);
    bool has_value = c->at < c->end && *c->at == '=';
    for (size_t i = 0; i < array_len(options); i++) {
        if (!is_option(options[i].name, word, len))
            continue;
        if ((*seen & (1U << i)) != 0 && !options[i].repeatable)
            return err_set(err, 0, "option '%s' is given twice", options[i].name);
        *seen |= 1U << i;
        return apply(c, &options[i], has_value, key, err);
    }
    return refuse(c, word, len, err);
}

static int check_together(struct key_cursor *c, const struct policy_key *key, struct err *err)
{
    if (key->principals.n == 0 || key->is_authority)
        return 0;
    give_hint(c, "add cert-authority if the key signs certificates, or take principals= out");
    return err_set(err, 0, "principals= is only for a cert-authority");
}

int key_options_parse(struct key_cursor *c, struct policy_key *key, struct err *err)
{
    unsigned seen = 0;
    for (;;) {
        if (take_option(c, &seen, key, err) < 0)
            return -1;
        if (c->at == c->end)
            return err_set(err, 0, "no key after the options");
        if (*c->at == ' ' || *c->at == '\t')
            return check_together(c, key, err);
        if (*c->at != ',')
            return err_set(err, 0, "options are separated by ','");
        c->at++;
    }
}
