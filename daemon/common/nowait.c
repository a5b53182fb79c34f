#include "nowait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int nowait_open(int fd)
{
    char path[32];
    struct stat st;
    /* A file never makes us wait, and its other writers go by the shared offset. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int n = snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = -1;
    if (n > 0 && (size_t)n < sizeof path)
        own = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

ssize_t nowait_write(int fd, const void *data, size_t len)
{
    ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || errno != ENOTSOCK)
        return n;
    /* A description that is shared may be in blocking mode: what is ready for a write takes at
     * least PIPE_BUF bytes. */
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    if (poll(&pfd, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    if ((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 && len > PIPE_BUF)
        len = PIPE_BUF;
    return write(fd, data, len);
}
