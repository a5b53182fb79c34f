#include "moment.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* `digits` decimal digits, min <= number <= max; moves *at behind them. */
static bool take_number(const char **at, int digits, int min, int max, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return *out >= min && *out <= max;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, struct tm *tm)
{
    if (!take_number(at, 4, 1970, 9999, &tm->tm_year) || !take_char(at, '-') ||
        !take_number(at, 2, 1, 12, &tm->tm_mon) || !take_char(at, '-') ||
        !take_number(at, 2, 1, 31, &tm->tm_mday))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return true;
}

/* What may follow the date, as much as there is of it. */
static bool take_time(const char **at, struct tm *tm)
{
    if (!take_char(at, 'T'))
        return true;
    if (!take_number(at, 2, 0, 23, &tm->tm_hour) || !take_char(at, ':') ||
        !take_number(at, 2, 0, 59, &tm->tm_min))
        return false;
    if (!take_char(at, ':'))
        return true;
    if (!take_number(at, 2, 0, 60, &tm->tm_sec))
        return false;
    if (!take_char(at, '.'))
        return true;
    size_t digits = strspn(*at, "0123456789");
    *at += digits;
    return digits > 0;
}

int moment_parse(const char *text, int64_t *seconds)
{
    struct tm tm = {0};
    const char *at = text;
    if (!take_date(&at, &tm) || !take_time(&at, &tm))
        return -1;
    (void)take_char(&at, 'Z');
    int day = tm.tm_mday;
    time_t when = timegm(&tm);
    if (*at != '\0' || when < 0 || tm.tm_mday != day)
        return -1;
    *seconds = when;
    return 0;
}

const char *moment_format(int64_t seconds, char buf[MOMENT_TEXT_MAX])
{
    time_t when = (time_t)seconds;
    struct tm tm;
    buf[0] = '\0';
    if (gmtime_r(&when, &tm) != NULL)
        (void)strftime(buf, MOMENT_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf;
}
