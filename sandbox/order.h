/*
 * order.h - what a worker is to run, as it is told on its report socket (report.h).
 *
 * A sandbox is built before its command is known, or while it is on its way: the order is the first
 * datagram that a worker reads. One that gets none before the end of file ends without a word.
 */
#ifndef POSTERN_SANDBOX_ORDER_H
#define POSTERN_SANDBOX_ORDER_H

#include "err.h"

#include <stdbool.h>

/* Bytes of all arguments together, with their NULs; and as many of the environment. */
enum { ORDER_STRINGS_MAX = 98304 };

struct order {
    const char *const *argv; /* argv[0] is looked up in PATH of envp when it has no slash */
    const char *const *envp; /* complete; nothing is added */
    bool login;   /* argv is one word, which the command is told with a '-', like a login shell */
    int stdio[3]; /* become fds 0, 1 and 2 of the command; -1: it has a terminal instead */
};

/*
 * Sends it on the other end of the socket that the worker has or will have; never waits. The
 * descriptors stay the caller's. Returns 0, or -1 with err; err->num is EPIPE or ECONNRESET where
 * there is no worker any more.
 */
int order_send(int fd, const struct order *order, struct err *err);

/*
 * In the worker, whose 0, 1 and 2 are free unless it has a terminal: waits for the order, once in a
 * process. The strings stay where they are until the process ends. Returns 1, 0 at end of file
 * (also if that has come after an order, which is nobody's then), or -1 with errno.
 */
int order_receive(int fd, struct order *order);

#endif
