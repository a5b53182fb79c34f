#include "control_socket.h"
#include "cleanup.h"
#include "state.h"
#include "trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>

enum { BACKLOG = 64 };

static int fail(struct err *err, int num, int code, const char *path, const char *what)
{
    err_set(err, num, "control = %s: %s", path, what);
    err->code = code;
    return -1;
}

static const char *name_of(const struct control_socket *sock)
{
    return strrchr(sock->path, '/') + 1;
}

static struct sockaddr_un address_of(const struct control_socket *sock)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, sock->path, strlen(sock->path));
    return addr;
}

static int open_directory(struct control_socket *sock, struct err *err)
{
    char dir[CONTROL_PATH_MAX + 1], above[CONTROL_PATH_MAX + 1];
    cleanup_fd int parent = -1;
    size_t len = (size_t)(name_of(sock) - 1 - sock->path);
    (void)snprintf(dir, sizeof dir, "%.*s", len > 0 ? (int)len : 1, sock->path);
    if (access(dir, F_OK) < 0 && errno == ENOENT) {
        const char *name = strrchr(dir, '/') + 1;
        len = (size_t)(name - 1 - dir);
        (void)snprintf(above, sizeof above, "%.*s", len > 0 ? (int)len : 1, dir);
        if (trusted_path_open_dir(above, 0, &parent, err) < 0) {
            err->code = EX_CANTCREAT;
            return err_wrap(err, "control = %s: %s", sock->path, above);
        }
        if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
            return fail(err, errno, EX_CANTCREAT, sock->path, "its directory can't be made");
        /* Whatever the umask is. */
        if (fchmodat(parent, name, 0755, 0) < 0)
            return fail(err, errno, EX_CANTCREAT, sock->path, "its directory");
        sock->made_dir = true;
    }
    if (trusted_path_open_dir(dir, 0, &sock->dir_fd, err) == 0)
        return 0;
    err->code = EX_CANTCREAT;
    return err_wrap(err, "control = %s: %s", sock->path, dir);
}

/* Whether a server listens there. Returns 1, 0 if nobody does any more, or -1 with err. */
static int is_served(const struct control_socket *sock, struct err *err)
{
    struct sockaddr_un addr = address_of(sock);
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, errno, EX_OSERR, sock->path, "socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) {
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
        err_set(err, 0,
                "control = %s: a posternd that runs (process %d) has this socket; stop it, or name "
                "another one",
                sock->path, (int)peer.pid);
        err->code = EX_UNAVAILABLE;
        return 1;
    }
    if (errno == ECONNREFUSED || errno == ENOENT)
        return 0;
    fail(err, errno, EX_UNAVAILABLE, sock->path, "somebody else listens there");
    return errno == EAGAIN || errno == EPROTOTYPE ? 1 : -1;
}

static int remove_stale(const struct control_socket *sock, struct err *err)
{
    struct stat st;
    if (fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(err, errno, EX_CANTCREAT, sock->path, "stat");
    if (!S_ISSOCK(st.st_mode))
        return fail(err, 0, EX_CANTCREAT, sock->path,
                    "there is something else than a socket; remove it, or name another path");
    if (is_served(sock, err) != 0)
        return -1;
    if (unlinkat(sock->dir_fd, name_of(sock), 0) < 0 && errno != ENOENT)
        return fail(err, errno, EX_CANTCREAT, sock->path, "what a former server has left");
    return 0;
}

static int listen_there(struct control_socket *sock, struct err *err)
{
    struct sockaddr_un addr = address_of(sock);
    struct stat st;
    sock->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock->fd < 0)
        return fail(err, errno, EX_OSERR, sock->path, "socket");
    mode_t before = umask(077);
    int rc = bind(sock->fd, (struct sockaddr *)&addr, sizeof addr);
    int num = errno;
    (void)umask(before);
    if (rc < 0)
        return fail(err, num, EX_CANTCREAT, sock->path, "bind");
    if (fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        listen(sock->fd, BACKLOG) < 0)
        return fail(err, errno, EX_OSERR, sock->path, "listen");
    sock->device = st.st_dev;
    sock->inode = st.st_ino;
    return 0;
}

int control_socket_open(struct control_socket *sock, const char *path, struct err *err)
{
    *sock = CONTROL_SOCKET_NONE;
    (void)snprintf(sock->path, sizeof sock->path, "%s", path);
    int rc = open_directory(sock, err);
    /* Of two servers that start at once the second one must not take the first one's socket, which
     * is bound and does not listen yet, for a dead one's. */
    if (rc == 0 && flock(sock->dir_fd, LOCK_EX) < 0)
        rc = fail(err, errno, EX_OSERR, path, "lock of its directory");
    if (rc == 0) {
        rc = remove_stale(sock, err);
        rc = rc == 0 ? listen_there(sock, err) : rc;
        (void)flock(sock->dir_fd, LOCK_UN);
    }
    if (rc < 0)
        control_socket_close(sock);
    return rc;
}

int control_socket_permit(const struct control_socket *sock, const struct server_config *config,
                          struct err *err)
{
    const struct group_choice *watch = &config->control_group, *admin = &config->admin_group;
    bool two = watch->name != NULL && admin->name != NULL && watch->gid != admin->gid;
    const struct group_choice *one = admin->name != NULL ? admin : watch;
    mode_t mode = 0600;
    gid_t gid = 0;
    if (two) {
        /* A file has one group: everybody may ask, and hears who may not. */
        mode = 0666;
    } else if (one->name != NULL) {
        mode = 0660;
        gid = one->gid;
    }
    if (fchownat(sock->dir_fd, name_of(sock), 0, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(sock->dir_fd, name_of(sock), mode, 0) < 0)
        return fail(err, errno, EX_OSERR, sock->path, "its owner and mode");
    return 0;
}

void control_socket_close(struct control_socket *sock)
{
    struct stat st;
    char dir[CONTROL_PATH_MAX + 1];
    if (sock->fd >= 0 && sock->inode != 0 &&
        fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == sock->device && st.st_ino == sock->inode)
        (void)unlinkat(sock->dir_fd, name_of(sock), 0);
    /* Others may have put something there. */
    if (sock->made_dir) {
        (void)snprintf(dir, sizeof dir, "%.*s", (int)(name_of(sock) - 1 - sock->path), sock->path);
        (void)rmdir(dir);
    }
    close_fd(&sock->fd);
    close_fd(&sock->dir_fd);
    *sock = CONTROL_SOCKET_NONE;
}

void control_socket_carry(struct state *state, struct control_socket *sock)
{
    uint64_t device = sock->device, inode = sock->inode;
    state_fd(state, &sock->fd);
    state_fd(state, &sock->dir_fd);
    STATE_TEXT(state, sock->path);
    state_u64(state, &device);
    state_u64(state, &inode);
    state_bool(state, &sock->made_dir);
    sock->device = device;
    sock->inode = inode;
    if (sock->fd < 0 || sock->dir_fd < 0 || sock->path[0] != '/')
        state_refuse(state);
}
