/*
 * ipc.h - sending and receiving messages.h over a SOCK_SEQPACKET socket pair.
 */
#ifndef POSTERN_DAEMON_IPC_IPC_H
#define POSTERN_DAEMON_IPC_IPC_H

#include "messages.h"

#include <stddef.h>

enum ipc_result {
    IPC_ERROR = -1, /* err says why; the link is to be ended */
    IPC_EOF = 0,    /* the other side is gone; received: with all that it had said */
    IPC_OK = 1,
    IPC_AGAIN = 2, /* nothing there, or no room, on a non-blocking call */
};

/* One end of a link and what has been agreed on it. */
struct ipc {
    int fd; /* owned; -1 when closed */
    enum ipc_link link;
    enum ipc_sender self;
    enum ipc_state state; /* the owner moves it on */
};

/* A received message with its descriptors; reuse it, it is large. */
struct ipc_in {
    struct ipc_msg msg;
    int fds[IPC_FDS_MAX]; /* owned until taken: ipc_take_fd(), ipc_drop_fds() */
    size_t n_fds;
    unsigned char buf[IPC_DATAGRAM_MAX];
};

/* A connected pair of blocking CLOEXEC sockets with room for one longest message each way. */
int ipc_pair(int fds[2], struct err *err);

/*
 * Sends one message with n_fds descriptors (borrowed). wait: block while the peer's queue is full;
 * without it a full queue is IPC_AGAIN and nothing is sent. A peer that is gone is IPC_EOF.
 */
enum ipc_result ipc_send(struct ipc *ipc, const struct ipc_msg *msg, const int *fds, size_t n_fds,
                         bool wait, struct err *err);

/*
 * Receives one message that the table allows here and now. in->msg lives until the next call with
 * the same `in`; descriptors left from the last one are closed first. On IPC_ERROR and IPC_EOF no
 * descriptor is left open.
 */
enum ipc_result ipc_recv(struct ipc *ipc, struct ipc_in *in, bool wait, struct err *err);

/* The caller owns descriptor i of the message; -1 if there is none. */
int ipc_take_fd(struct ipc_in *in, size_t i);
void ipc_drop_fds(struct ipc_in *in);

void ipc_close(struct ipc *ipc);

#endif
