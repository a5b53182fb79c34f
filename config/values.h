/*
 * values.h - the scalar values of the policy language, parsed strictly: the whole text or an error.
 *
 * All return 0, or -1 with an `err` that quotes the value.
 */
#ifndef POSTERN_CONFIG_VALUES_H
#define POSTERN_CONFIG_VALUES_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_LEN_MAX = 32 };

/* Plain decimal digits, min <= value <= max. */
int value_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

/* The same, or "infinity": SPEC_INFINITY. */
int value_count(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

/* "yes", "true", "on", "1" and their opposites. */
int value_bool(const char *s, bool *out, struct err *err);

/* "64M": bytes, or K, M, G, T (1024-based); min <= value <= max. */
int value_size(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

/* The same, or "infinity": SPEC_INFINITY. */
int value_limit(const char *s, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

/* "30s", "15m", "1h", "2d" in milliseconds, at least 1 s. "infinity" is SPEC_INFINITY if allowed.
 */
int value_time(const char *s, bool may_be_infinite, uint64_t *ms, struct err *err);

/* A time, or "no": 0. */
int value_wait(const char *s, uint64_t *ms, struct err *err);

/* "200%": percent of one CPU, 1 to 100000, or "infinity": SPEC_INFINITY. */
int value_share(const char *s, uint64_t *percent, struct err *err);

/* "30/min": how many (1 to 1000000) per s, min, h or day, in milliseconds. "infinity" is 0 and 0.
 */
int value_rate(const char *s, uint32_t *n, uint64_t *per_ms, struct err *err);

/* "YYYY-MM-DD" or "YYYY-MM-DDTHH:MM", UTC, from 1970 on: seconds since the epoch. */
int value_date(const char *s, int64_t *seconds, struct err *err);

/* One of these words; *index says which. */
int value_choice(const char *s, const char *const *words, size_t n, size_t *index, struct err *err);

/* "FIRST-LAST", 1 <= FIRST <= LAST < 2^32 - 2. */
int value_uid_range(const char *s, uint32_t *first, uint32_t *last, struct err *err);

/* A name of a tenant, login, sandbox or profile: [A-Za-z0-9._-]{1,32}, first a letter or digit. */
int value_name(const char *s, struct err *err);
bool is_name(const char *s, size_t len);

/* A user of this host: the same, but '_' may come first. */
int value_account(const char *s, struct err *err);

/* An absolute path without empty, "." or ".." components, at most 4095 bytes. */
int value_path(const char *s, struct err *err);

/* The same, of a path that all tenants share: it can't hold "%t". */
int value_shared_path(const char *s, struct err *err);

/* "1.2.3.4:22" or "[::1]:22"; host must hold 46 bytes (INET6_ADDRSTRLEN). */
int value_listen(const char *s, char *host, size_t host_len, uint16_t *port, struct err *err);

/* [A-Za-z_][A-Za-z0-9_]*, at most 64 bytes: the name of an environment variable. */
bool is_env_name(const char *s, size_t len);

#endif
