#include "show_amount.h"

#include <inttypes.h>
#include <stdio.h>

const char *amount_time(uint64_t ms, char buf[AMOUNT_MAX])
{
    uint64_t s = ms / 1000;
    if (ms == AMOUNT_UNKNOWN)
        (void)snprintf(buf, AMOUNT_MAX, "-");
    else if (s < 10)
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 ".%02us", s, (unsigned)(ms % 1000 / 10));
    else if (s < 60)
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 "s", s);
    else if (s < 3600)
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
    else if (s < 86400)
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s / 60 % 60));
    else
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 "d%02uh", s / 86400, (unsigned)(s / 3600 % 24));
    return buf;
}

const char *amount_size(uint64_t bytes, char buf[AMOUNT_MAX])
{
    static const char units[] = "KMGTPE";
    uint64_t unit = 1024;
    size_t i = 0;
    if (bytes == AMOUNT_UNKNOWN) {
        (void)snprintf(buf, AMOUNT_MAX, "-");
        return buf;
    }
    if (bytes < 1024) {
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64, bytes);
        return buf;
    }
    while (units[i + 1] != '\0' && bytes / unit >= 1024) {
        unit *= 1024;
        i++;
    }
    if (bytes / unit < 10)
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 ".%u%c", bytes / unit,
                       (unsigned)(bytes % unit * 10 / unit), units[i]);
    else
        (void)snprintf(buf, AMOUNT_MAX, "%" PRIu64 "%c", bytes / unit, units[i]);
    return buf;
}
