#include "ipc.h"
#include "cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int ipc_pair(int fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set(err, errno, "socketpair");
    /* A datagram must fit whole. The FORCE variant needs CAP_NET_ADMIN; the plain one is capped by
     * net.core.wmem_max, which is still enough for all but the very longest messages. */
    int size = 2 * IPC_DATAGRAM_MAX;
    for (int i = 0; i < 2; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
            (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

enum ipc_result ipc_send(struct ipc *ipc, const struct ipc_msg *msg, const int *fds, size_t n_fds,
                         bool wait, struct err *err)
{
    /* One thread per process: a static buffer keeps 256 KiB off the stack. */
    static unsigned char buf[IPC_DATAGRAM_MAX];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    } control = {0};

    size_t len = msg_encode(msg, buf, sizeof buf);
    if (len == 0 || n_fds > IPC_FDS_MAX)
        return err_set(err, EMSGSIZE, "message %s", msg_name(msg->type)), IPC_ERROR;
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds > 0) {
        hdr.msg_control = control.space;
        hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
    }
    ssize_t sent;
    do
        sent = sendmsg(ipc->fd, &hdr, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return IPC_OK;
    if (errno == EAGAIN)
        return IPC_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET)
        return IPC_EOF;
    return err_set(err, errno, "send %s", msg_name(msg->type)), IPC_ERROR;
}

/* Collects what SCM_RIGHTS delivered; surplus beyond our array was never delivered (MSG_CTRUNC). */
static void collect_fds(struct msghdr *hdr, struct ipc_in *in)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (in->n_fds < IPC_FDS_MAX)
                in->fds[in->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

enum ipc_result ipc_recv(struct ipc *ipc, struct ipc_in *in, bool wait, struct err *err)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = in->buf, .iov_len = sizeof in->buf};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    ipc_drop_fds(in);
    ssize_t got;
    /* The peer has gone without having read all that it was sent: that is told once, and before
     * what it had said itself. */
    do
        got = recvmsg(ipc->fd, &hdr, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got < 0 && errno == EAGAIN)
        return IPC_AGAIN;
    if (got < 0)
        return err_set(err, errno, "receive"), IPC_ERROR;

    collect_fds(&hdr, in);
    /* End of file; or an empty datagram, which none of ours is and which may carry descriptors. */
    if (got == 0) {
        ipc_drop_fds(in);
        return IPC_EOF;
    }
    enum ipc_sender sender = ipc->self == FROM_MASTER ? FROM_PEER : FROM_MASTER;
    int rc;
    if (hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        rc = err_set(err, 0, "message or its descriptors truncated");
    else
        rc = msg_decode(in->buf, (size_t)got, in->n_fds, ipc->link, sender, ipc->state, &in->msg,
                        err);
    if (rc < 0) {
        ipc_drop_fds(in);
        return IPC_ERROR;
    }
    return IPC_OK;
}

int ipc_take_fd(struct ipc_in *in, size_t i)
{
    return i < in->n_fds ? steal_fd(&in->fds[i]) : -1;
}

void ipc_drop_fds(struct ipc_in *in)
{
    for (size_t i = 0; i < in->n_fds; i++)
        close_fd(&in->fds[i]);
    in->n_fds = 0;
}

void ipc_close(struct ipc *ipc)
{
    close_fd(&ipc->fd);
}
