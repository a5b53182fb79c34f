/*
 * show_amount.h - times and sizes for tables: short, and rounded down.
 */
#ifndef POSTERN_DAEMON_CLI_SHOW_AMOUNT_H
#define POSTERN_DAEMON_CLI_SHOW_AMOUNT_H

#include <stddef.h>
#include <stdint.h>

enum { AMOUNT_MAX = 24 };

/* What is not known is "-". */
#define AMOUNT_UNKNOWN UINT64_MAX

/* "0.42s", "59s", "12m30s", "3h05m", "4d12h". Returns buf. */
const char *amount_time(uint64_t ms, char buf[AMOUNT_MAX]);
/* "512", "1.5K", "20M", "3.2G". Returns buf. */
const char *amount_size(uint64_t bytes, char buf[AMOUNT_MAX]);

#endif
