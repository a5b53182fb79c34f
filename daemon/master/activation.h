/*
 * activation.h - listening sockets that systemd has opened (a .socket unit, sd_listen_fds(3)).
 */
#ifndef POSTERN_DAEMON_MASTER_ACTIVATION_H
#define POSTERN_DAEMON_MASTER_ACTIVATION_H

#include "err.h"

#include <stddef.h>
#include <sys/socket.h>

enum { ACTIVATION_MAX = 64 };

struct activation {
    struct {
        int fd; /* owned; -1 once it is stolen */
        struct sockaddr_storage addr;
    } sockets[ACTIVATION_MAX];
    size_t n;
};

/*
 * Takes over what LISTEN_FDS passes to this process, as non-blocking sockets that no child
 * inherits, and the variables out of the environment: who is executed next has nothing to take.
 * Returns 0, also if there is nothing, or -1 with err (EX_CONFIG) if one is not a listening TCP
 * socket, or one of IPv6 takes IPv4 as well.
 */
int activation_take(struct activation *activation, struct err *err);
/* Closes what nobody has stolen. */
void activation_free(struct activation *activation);

/* The socket that listens on this address and port, the caller's from now on; or -1. */
int activation_steal(struct activation *activation, const struct sockaddr_storage *addr);
/* One that is still there, for a message or to be used: its index, or -1. */
int activation_next(const struct activation *activation);

#endif
