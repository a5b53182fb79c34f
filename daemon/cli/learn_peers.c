#include "learn_peers.h"
#include "cleanup.h"
#include "learn_resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

/* The process's own socket, to ask it what it is. */
static int borrow_fd(const struct peer_call *call)
{
    cleanup_fd int process = (int)syscall(SYS_pidfd_open, call->tgid, 0);
    return process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, (int)call->args[0], 0);
}

static bool is_datagram(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type != SOCK_STREAM;
}

static bool read_address(pid_t tid, uint64_t at, uint64_t len, union address *out)
{
    *out = (union address){0};
    if (at == 0 || len < sizeof out->any.sa_family || len > sizeof *out)
        return false;
    return resolve_read(tid, at, out, (size_t)len);
}

static bool to_peer(const union address *from, struct seen_peer *out)
{
    *out = (struct seen_peer){0};
    if (from->any.sa_family == AF_INET) {
        memcpy(out->address, &from->v4.sin_addr, 4);
        out->port = ntohs(from->v4.sin_port);
        return true;
    }
    if (from->any.sa_family != AF_INET6)
        return false;
    out->v6 = true;
    memcpy(out->address, &from->v6.sin6_addr, 16);
    out->port = ntohs(from->v6.sin6_port);
    return true;
}

static void count(struct seen *seen, const struct peer_call *call, const struct seen_peer *like,
                  bool sent)
{
    struct seen_peer *peer = seen_peer_of(seen, like, call->who);
    if (peer == NULL)
        return;
    peer->count += !sent || !like->udp;
    peer->sent += sent && like->udp;
    peer->failed += call->result < 0 && call->result != -EINPROGRESS;
}

static void note_connect(struct seen *seen, const struct peer_call *call, const union address *to)
{
    struct seen_peer peer;
    if (!to_peer(to, &peer))
        return;
    cleanup_fd int fd = borrow_fd(call);
    peer.udp = fd >= 0 && is_datagram(fd);
    count(seen, call, &peer, false);
}

/* A datagram to an address, or on a socket that is connected to one. */
static void note_send(struct seen *seen, const struct peer_call *call, uint64_t at, uint64_t len)
{
    union address to;
    struct seen_peer peer;
    if (call->result < 0)
        return;
    bool named = read_address(call->tid, at, len, &to);
    if (named && to.any.sa_family != AF_INET && to.any.sa_family != AF_INET6)
        return;
    cleanup_fd int fd = borrow_fd(call);
    if (fd < 0 || !is_datagram(fd))
        return;
    socklen_t room = sizeof to;
    if (!named && getpeername(fd, &to.any, &room) < 0)
        return;
    if (!to_peer(&to, &peer))
        return;
    peer.udp = true;
    count(seen, call, &peer, true);
}

static void note_messages(struct seen *seen, const struct peer_call *call, uint64_t n)
{
    enum { MESSAGES_MAX = 64 };
    for (uint64_t i = 0; i < n && i < MESSAGES_MAX; i++) {
        struct mmsghdr message;
        size_t size = call->kind == CALL_SENDMSG ? sizeof message.msg_hdr : sizeof message;
        if (!resolve_read(call->tid, call->args[1] + i * size, &message, size))
            return;
        note_send(seen, call, (uint64_t)(uintptr_t)message.msg_hdr.msg_name,
                  message.msg_hdr.msg_namelen);
    }
}

static void note_listen(struct seen *seen, const struct peer_call *call)
{
    union address own = {0};
    struct seen_peer peer;
    socklen_t len = sizeof own;
    cleanup_fd int fd = call->result < 0 ? -1 : borrow_fd(call);
    if (fd < 0 || getsockname(fd, &own.any, &len) < 0 || !to_peer(&own, &peer))
        return;
    peer.listening = true;
    count(seen, call, &peer, false);
}

/* UDP has no listen(2). */
static void note_bind(struct seen *seen, const struct peer_call *call, const union address *to)
{
    struct seen_peer peer;
    cleanup_fd int fd = call->result < 0 || !to_peer(to, &peer) ? -1 : borrow_fd(call);
    if (fd >= 0 && is_datagram(fd) && peer.port != 0) {
        peer.udp = true;
        peer.listening = true;
        count(seen, call, &peer, false);
    }
}

static char *socket_path(const union address *address, uint64_t len)
{
    size_t before = offsetof(struct sockaddr_un, sun_path);
    if (address->any.sa_family != AF_UNIX || len <= before || address->un.sun_path[0] == '\0')
        return NULL;
    return strndup(address->un.sun_path, len - before);
}

char *peers_note(struct seen *seen, const struct peer_call *call)
{
    union address address;
    switch (call->kind) {
    case CALL_CONNECT:
    case CALL_BIND:
        if (!read_address(call->tid, call->args[1], call->args[2], &address))
            return NULL;
        if (call->kind == CALL_CONNECT)
            note_connect(seen, call, &address);
        else
            note_bind(seen, call, &address);
        return socket_path(&address, call->args[2]);
    case CALL_LISTEN:
        note_listen(seen, call);
        return NULL;
    case CALL_SENDTO:
        note_send(seen, call, call->args[4], call->args[5]);
        return NULL;
    case CALL_SENDMSG:
        note_messages(seen, call, 1);
        return NULL;
    case CALL_SENDMMSG:
        note_messages(seen, call, call->args[2]);
        return NULL;
    default:
        return NULL;
    }
}
