/*
 * err.h - the error value that every fallible function hands upward.
 *
 * Functions that can fail return 0 or -1 and take `struct err *` last. Nothing is allocated and
 * nothing is logged here: lower layers describe, the top of a request logs once.
 */
#ifndef POSTERN_SANDBOX_ERR_H
#define POSTERN_SANDBOX_ERR_H

#include <stddef.h>

enum { ERR_TEXT_MAX = 512 };

struct err {
    int num;                 /* errno(3) value of the cause, 0 if there is none */
    int code;                /* sysexits.h code to end with where this is fatal, 0 = not chosen */
    char text[ERR_TEXT_MAX]; /* one line, for the operator; never sent to a peer as it is */
    const char *setting;     /* static: the policy's key that is to blame; NULL: none is known */
    size_t item;             /* which of its values, if it is a list */
};

/*
 * Describes a failure; `num` is an errno value (or 0) whose strerror is appended as ": text".
 * Replaces what was there. Always returns -1, so that `return err_set(…)` reads well. `err` may be
 * NULL.
 */
int err_set(struct err *err, int num, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text already there; keeps the rest. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says which setting is to blame. Returns -1. */
int err_blame(struct err *err, const char *setting, size_t item);

#endif
