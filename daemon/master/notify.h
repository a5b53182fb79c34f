/*
 * notify.h - tells systemd of the server's state, as sd_notify(3) does, for a unit with
 * Type=notify.
 *
 * READY=1 when it serves; RELOADING=1 while another policy is read, and READY=1 when that is in
 * force or refused; STOPPING=1; STATUS= with what goes on, every two seconds if it has changed; and
 * WATCHDOG=1 from the loop, twice in the time that WatchdogSec= gives. systemd is never waited for.
 * Without NOTIFY_SOCKET in the environment nothing happens.
 *
 * The variables stay in the environment, for a master that executes itself anew: it opens this
 * again and is READY again. Session, signer and commands get environments without them (child.h,
 * job.h).
 */
#ifndef POSTERN_DAEMON_MASTER_NOTIFY_H
#define POSTERN_DAEMON_MASTER_NOTIFY_H

#include "loop.h"

#include <sys/socket.h>
#include <sys/un.h>

struct server;

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un addr;
    socklen_t addr_len;
    uint64_t alive_every_ms; /* 0: there is no watchdog */
    uint64_t alive_due_ms;
    struct loop_timer tick;
    bool refused;     /* the last reload was */
    char status[160]; /* told last */
};

/* Before anything else of it is called. What can't be used is logged and left alone. */
void notify_open(struct server *server);
void notify_close(struct server *server);

void notify_ready(struct server *server);
void notify_reloading(struct server *server);
/* A reload has come to its end; READY if no other is under way. */
void notify_reloaded(struct server *server, bool loaded);
void notify_stopping(struct server *server);

#endif
