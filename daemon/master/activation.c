#include "activation.h"
#include "cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

enum { FIRST_FD = 3 };

static long number_of(const char *name)
{
    char *end;
    const char *text = getenv(name);
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? n : -1;
}

static int refuse(struct err *err, int fd, const char *why)
{
    err_set(err, 0, "socket %d of systemd's: %s", fd - FIRST_FD + 1, why);
    err->code = EX_CONFIG;
    return -1;
}

static bool option_is(int fd, int level, int name, int expected)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, level, name, &value, &len) == 0 && value == expected;
}

static int take_one(int fd, struct sockaddr_storage *addr, struct err *err)
{
    socklen_t len = sizeof *addr;
    *addr = (struct sockaddr_storage){0};
    if (getsockname(fd, (struct sockaddr *)addr, &len) < 0)
        return refuse(err, fd, strerror(errno));
    if ((addr->ss_family != AF_INET && addr->ss_family != AF_INET6) ||
        !option_is(fd, SOL_SOCKET, SO_TYPE, SOCK_STREAM))
        return refuse(err, fd, "it is not of TCP: the unit needs ListenStream=ADDRESS:PORT");
    if (!option_is(fd, SOL_SOCKET, SO_ACCEPTCONN, 1))
        return refuse(err, fd, "it does not listen: the unit needs Accept=no");
    /* A client's address would be another one in rules and logs, depending on who opened the
     * socket. */
    if (addr->ss_family == AF_INET6 && !option_is(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        return refuse(
            err, fd,
            "it takes IPv4 on an IPv6 address: the unit needs BindIPv6Only=ipv6-only, and a "
            "ListenStream=0.0.0.0:PORT");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return refuse(err, fd, strerror(errno));
    return 0;
}

int activation_take(struct activation *activation, struct err *err)
{
    long n = number_of("LISTEN_FDS"), pid = number_of("LISTEN_PID");
    *activation = (struct activation){.n = 0};
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (pid != (long)getpid() || n <= 0)
        return 0;
    if (n > ACTIVATION_MAX) {
        err_set(err, 0, "systemd passes %ld sockets, at most %d are served", n, ACTIVATION_MAX);
        err->code = EX_CONFIG;
        return -1;
    }
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)n; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return refuse(err, fd, strerror(errno));
        activation->sockets[activation->n++].fd = fd;
    }
    for (size_t i = 0; i < activation->n; i++)
        if (take_one(activation->sockets[i].fd, &activation->sockets[i].addr, err) < 0) {
            activation_free(activation);
            return -1;
        }
    return 0;
}

void activation_free(struct activation *activation)
{
    for (size_t i = 0; i < activation->n; i++)
        close_fd(&activation->sockets[i].fd);
    activation->n = 0;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return a6->sin6_port == b6->sin6_port &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

int activation_steal(struct activation *activation, const struct sockaddr_storage *addr)
{
    for (size_t i = 0; i < activation->n; i++)
        if (activation->sockets[i].fd >= 0 && same_address(&activation->sockets[i].addr, addr))
            return steal_fd(&activation->sockets[i].fd);
    return -1;
}

int activation_next(const struct activation *activation)
{
    for (size_t i = 0; i < activation->n; i++)
        if (activation->sockets[i].fd >= 0)
            return (int)i;
    return -1;
}
