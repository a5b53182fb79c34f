/*
 * trail_filter.h - which records of the audit trail are asked for.
 */
#ifndef POSTERN_DAEMON_CLI_TRAIL_FILTER_H
#define POSTERN_DAEMON_CLI_TRAIL_FILTER_H

#include "pool.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* All of what is set must hold; {0} is anything. Strings are borrowed. */
struct trail_filter {
    const char *event;
    const char *exec;
    const char *tenant;
    const char *user;
    const char *key; /* fingerprint, or comment */
    const char *verdict;
    bool denied; /* a login or command that was refused */
    bool has_since, has_until;
    int64_t since, until; /* seconds since the epoch; `until` itself is not meant */
    struct address_list from;
    struct pool pool;
};

/* A moment (moment.h), or a time such as 90s, 2h or 7d: so long before `now`. Returns 0, or -1. */
int trail_filter_time(const char *text, int64_t now, int64_t *out);

/* `record` is one of the trail (record_load()). */
bool trail_filter_matches(const struct trail_filter *filter, const json_t *record);

void trail_filter_free(struct trail_filter *filter);

#endif
