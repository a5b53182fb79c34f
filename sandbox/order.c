#include "order.h"

#include "cleanup.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    STDIO_FDS = 3,
    ORDER_MAX = 2 * ORDER_STRINGS_MAX + 32, /* bytes of the longest datagram */
    SEND_BUFFER = 4 * ORDER_MAX,            /* so much, and more, the kernel counts for one */
};

/* Of one order, written or read: there is one at a time. */
static unsigned char message[ORDER_MAX];

union descriptors {
    char room[CMSG_SPACE(STDIO_FDS * sizeof(int))];
    struct cmsghdr align;
};

static int put_strings(struct wire_writer *w, const char *const *vec)
{
    static char packed[ORDER_STRINGS_MAX];
    struct wire_strv strings;
    int rc = wire_strv_pack(&strings, vec, packed, sizeof packed);
    if (rc == 0)
        wire_put_strv(w, strings);
    explicit_bzero(packed, strings.len);
    return rc < 0 || w->overflow ? -1 : 0;
}

static bool has_stdio(const struct order *order)
{
    return order->stdio[0] >= 0;
}

static void attach(struct msghdr *msg, union descriptors *control, const int stdio[STDIO_FDS])
{
    *control = (union descriptors){.room = {0}};
    msg->msg_control = control->room;
    msg->msg_controllen = sizeof control->room;
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(STDIO_FDS * sizeof(int));
    memcpy(CMSG_DATA(cmsg), stdio, STDIO_FDS * sizeof(int));
}

/* Returns 0, or an errno. */
static int send_message(int fd, size_t len, const struct order *order)
{
    struct iovec data = {message, len};
    struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};
    union descriptors control;
    if (has_stdio(order))
        attach(&msg, &control, order->stdio);
    ssize_t sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EMSGSIZE) {
        const int size = SEND_BUFFER;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (sent == (ssize_t)len)
        return 0;
    return sent < 0 ? errno : EMSGSIZE;
}

int order_send(int fd, const struct order *order, struct err *err)
{
    struct wire_writer w = {.buf = message, .cap = sizeof message};
    int num = E2BIG;
    wire_put_u8(&w, order->login);
    wire_put_u8(&w, has_stdio(order));
    if (put_strings(&w, order->argv) == 0 && put_strings(&w, order->envp) == 0)
        num = send_message(fd, w.len, order);
    /* Whoever is forked from us, for whatever tenant, must not inherit this one's environment. */
    explicit_bzero(message, w.len);
    if (num == E2BIG)
        return err_set(err, num, "arguments or environment");
    return num == 0 ? 0 : err_set(err, num, "order");
}

static int fail(int num)
{
    errno = num;
    return -1;
}

/* An order's own memory, for as long as the process lives. */
static int get_strings(struct wire_reader *r, const char *const **out)
{
    struct wire_strv strings = wire_get_strv(r, ORDER_STRINGS_MAX);
    const char **vec = calloc((size_t)strings.count + 1, sizeof *vec);
    if (vec == NULL)
        return fail(ENOMEM);
    *out = vec;
    return wire_strv_split(strings, vec, (size_t)strings.count + 1) < 0 ? fail(EBADMSG) : 0;
}

/* How many came; the lowest numbers that are free are theirs. -1 with errno. */
static int take_stdio(struct msghdr *msg, struct order *order)
{
    const struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    if ((msg->msg_flags & MSG_CTRUNC) != 0)
        return fail(EMFILE);
    if (cmsg == NULL)
        return 0;
    if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
        cmsg->cmsg_len != CMSG_LEN(STDIO_FDS * sizeof(int)))
        return fail(EBADMSG);
    memcpy(order->stdio, CMSG_DATA(cmsg), STDIO_FDS * sizeof(int));
    for (int i = 0; i < STDIO_FDS; i++)
        if (order->stdio[i] != i)
            return fail(EBADF);
    return STDIO_FDS;
}

/* What was ordered by somebody who has gone is nobody's: the command must not begin. */
static bool is_hung_up(int fd)
{
    struct pollfd peer = {.fd = fd, .events = 0};
    return poll(&peer, 1, 0) > 0 && (peer.revents & POLLHUP) != 0;
}

int order_receive(int fd, struct order *order)
{
    *order = (struct order){.stdio = {-1, -1, -1}};
    struct iovec data = {message, sizeof message};
    union descriptors control = {.room = {0}};
    struct msghdr msg = {.msg_iov = &data,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};
    ssize_t n;
    do
        n = recvmsg(fd, &msg, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? 0 : -1;
    if (is_hung_up(fd))
        return 0;
    struct wire_reader r = {.buf = message, .len = (size_t)n};
    order->login = wire_get_u8(&r) != 0;
    const int wanted = wire_get_u8(&r) != 0 ? STDIO_FDS : 0;
    if ((msg.msg_flags & MSG_TRUNC) != 0)
        return fail(EMSGSIZE);
    int came = take_stdio(&msg, order);
    if (came < 0 || get_strings(&r, &order->argv) < 0 || get_strings(&r, &order->envp) < 0)
        return -1;
    return came == wanted && wire_end(&r) && order->argv[0] != NULL ? 1 : fail(EBADMSG);
}
