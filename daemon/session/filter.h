/*
 * filter.h - the system calls that a session may make; any other kills it.
 *
 * Compiled once by the zygote, loaded by each session before the first byte of its peer is read.
 */
#ifndef POSTERN_DAEMON_SESSION_FILTER_H
#define POSTERN_DAEMON_SESSION_FILTER_H

#include "err.h"

#include <linux/filter.h>

/* Owned by its maker; NULL code when empty. */
struct filter {
    struct sock_fprog program;
};

/* Needs a place for a temporary file in memory (memfd): call it unconfined. Returns 0, or -1. */
int filter_compile(struct filter *filter, struct err *err);

/* Loads it for good; the process must have no_new_privs. Returns 0, or -1 with err. */
int filter_install(const struct filter *filter, struct err *err);

#endif
