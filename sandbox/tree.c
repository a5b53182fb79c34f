#include "tree.h"

#include "cleanup.h"
#include "host.h"
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COPY_MAX = 4 << 20, NAME_LEN_MAX = 255 };

static int openat2_fd(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int open_beneath(int root, const char *path, uint64_t flags)
{
    /* A symbolic link here comes from a bound tree, whose author isn't to place our mounts. */
    return openat2_fd(root, *path != '\0' ? path : ".", flags,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* What is bound into the tree is not ours to change, even if it could be. */
static bool is_ours(int root, int dir)
{
    struct stat ours, st;
    return fstat(root, &ours) == 0 && fstat(dir, &st) == 0 && st.st_dev == ours.st_dev;
}

/* Opens the directory that holds `path`, making what is missing; *leaf is the last component. */
static int open_parent(int root, const char *path, const char **leaf, struct err *err)
{
    cleanup_fd int dir = open_beneath(root, "", O_PATH | O_DIRECTORY);
    const char *at = path;
    for (const char *slash; dir >= 0 && (slash = strchr(at, '/')) != NULL; at = slash + 1) {
        char name[NAME_LEN_MAX + 1];
        size_t len = (size_t)(slash - at);
        if (len == 0 || len > NAME_LEN_MAX) {
            err_set(err, EINVAL, "/%s", path);
            return -1;
        }
        memcpy(name, at, len);
        name[len] = '\0';
        int next = open_beneath(dir, name, O_PATH | O_DIRECTORY);
        if (next < 0 && errno == ENOENT && is_ours(root, dir) && mkdirat(dir, name, 0755) == 0)
            next = open_beneath(dir, name, O_PATH | O_DIRECTORY);
        close_fd(&dir);
        dir = next;
    }
    if (dir < 0) {
        err_set(err, errno, "/%s", path);
        return -1;
    }
    *leaf = at;
    return steal_fd(&dir);
}

int tree_open(int root, const char *path, int *fd, struct err *err)
{
    *fd = open_beneath(root, path, O_PATH);
    return *fd >= 0 ? 0 : err_set(err, errno, "/%s", path);
}

int tree_dir(int root, const char *path, mode_t mode, struct err *err)
{
    const char *leaf = NULL;
    cleanup_fd int dir = open_parent(root, path, &leaf, err);
    if (dir < 0)
        return -1;
    if (mkdirat(dir, leaf, mode) < 0 && errno != EEXIST)
        return err_set(err, errno, "/%s", path);
    return 0;
}

int tree_file(int root, const char *path, const void *data, size_t len, mode_t mode,
              struct err *err)
{
    const char *leaf = NULL;
    cleanup_fd int dir = open_parent(root, path, &leaf, err);
    if (dir < 0)
        return -1;
    cleanup_fd int fd =
        openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        return err_set(err, errno, "/%s", path);
    return 0;
}

int tree_link(int root, const char *path, const char *target, struct err *err)
{
    const char *leaf = NULL;
    cleanup_fd int dir = open_parent(root, path, &leaf, err);
    if (dir < 0)
        return -1;
    if (symlinkat(target, dir, leaf) < 0)
        return err_set(err, errno, "/%s", path);
    return 0;
}

int tree_clone(const char *source, enum tree_access access, bool optional, int *fd, bool *is_dir,
               struct err *err)
{
    *fd = -1;
    cleanup_fd int at = -1;
    struct err why;
    if (host_open(source, &at, &why) == 0)
        return tree_clone_fd(at, source, access, fd, is_dir, err);
    if (optional && (why.num == ENOENT || why.num == ENOTDIR))
        return 0;
    if (err != NULL)
        *err = why;
    return -1;
}

int tree_clone_fd(int at, const char *source, enum tree_access access, int *fd, bool *is_dir,
                  struct err *err)
{
    struct stat st;
    *fd = -1;
    if (fstat(at, &st) < 0)
        return err_set(err, errno, "%s", source);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return err_set(err, 0, "%s is neither a directory nor a regular file", source);
    cleanup_fd int tree =
        open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                    (access == TREE_READ ? (uint64_t)MOUNT_ATTR_RDONLY : 0),
        .propagation = MS_PRIVATE,
    };
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
        return err_set(err, errno, "%s", source);
    *is_dir = S_ISDIR(st.st_mode);
    *fd = steal_fd(&tree);
    return 0;
}

static int make_place(int dir, const char *leaf, bool is_dir)
{
    if (is_dir)
        return mkdirat(dir, leaf, 0755);
    int fd = openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    return fd >= 0 ? close(fd) : -1;
}

/* Opens the place for a mount, making it if it isn't there. */
static int open_place(int root, const char *path, bool is_dir, struct err *err)
{
    const char *leaf = NULL;
    cleanup_fd int dir = open_parent(root, path, &leaf, err);
    if (dir < 0)
        return -1;
    int place = open_beneath(dir, leaf, O_PATH);
    if (place < 0 && errno == ENOENT && is_ours(root, dir) && make_place(dir, leaf, is_dir) == 0)
        place = open_beneath(dir, leaf, O_PATH);
    if (place < 0)
        err_set(err, errno, "/%s", path);
    return place;
}

int tree_attach(int root, const char *path, int tree, bool is_dir, struct err *err)
{
    cleanup_fd int place = open_place(root, path, is_dir, err);
    if (place < 0)
        return -1;
    if (move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(err, errno, "mount on /%s", path);
    return 0;
}

struct option {
    const char *key;
    const char *value;
};

static int make_tmpfs(const struct option *options, size_t n, uint64_t attr, int *fd,
                      struct err *err)
{
    *fd = -1;
    cleanup_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    /* The source is what a tenant sees in its mount table. */
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "postern", 0) < 0)
        return err_set(err, errno, "tmpfs");
    for (size_t i = 0; i < n; i++) {
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value, 0) < 0)
            return err_set(err, errno, "tmpfs: %s=%s", options[i].key, options[i].value);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(err, errno, "tmpfs");
    *fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);
    return *fd >= 0 ? 0 : err_set(err, errno, "tmpfs");
}

int tree_tmpfs(const char *size, uint64_t attr, int *fd, struct err *err)
{
    const struct option options[] = {{"size", size}, {"mode", "0755"}};
    return make_tmpfs(options, array_len(options), attr, fd, err);
}

uint64_t tree_inodes(uint64_t size)
{
    const uint64_t bytes_per_inode = 8192, least = 1024, most = 1 << 20;
    uint64_t inodes = size / bytes_per_inode;
    return inodes < least ? least : inodes > most ? most : inodes;
}

int tree_scratch(uint64_t size, uid_t owner, gid_t group, int *fd, struct err *err)
{
    char bytes[32], inodes[32], uid[32], gid[32];
    /* To tmpfs, size=0 is "no limit". */
    (void)snprintf(bytes, sizeof bytes, "%" PRIu64, size == SPEC_INFINITY ? 0 : size);
    (void)snprintf(inodes, sizeof inodes, "%" PRIu64, tree_inodes(size));
    (void)snprintf(uid, sizeof uid, "%u", owner);
    (void)snprintf(gid, sizeof gid, "%u", group);
    const struct option options[] = {
        {"size", bytes}, {"nr_inodes", inodes}, {"mode", "0700"}, {"uid", uid}, {"gid", gid}};
    return make_tmpfs(options, array_len(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, fd, err);
}

int tree_read_link(int dir, const char *name, char *buf, size_t len, struct err *err)
{
    ssize_t n = readlinkat(dir, name, buf, len);
    if (n < 0 || (size_t)n >= len)
        return err_set(err, n < 0 ? errno : ENAMETOOLONG, "%s", name);
    buf[n] = '\0';
    return 0;
}

int tree_copy(int root, const char *path, const char *source, struct err *err)
{
    cleanup_fd int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_set(err, errno, "%s", source);
    return tree_copy_fd(root, path, fd, source, err);
}

int tree_copy_fd(int root, const char *path, int fd, const char *source, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "%s", source);
    if (!S_ISREG(st.st_mode) || st.st_size > COPY_MAX)
        return err_set(err, 0, "%s is not a regular file of at most %d bytes", source, COPY_MAX);
    if ((st.st_mode & S_IROTH) == 0)
        return 0;
    size_t size = (size_t)st.st_size;
    cleanup_free char *data = malloc(size + 1);
    if (data == NULL)
        return err_set(err, ENOMEM, "%s", source);
    size_t got = 0;
    for (ssize_t n; got < size && (n = read(fd, data + got, size - got)) > 0;)
        got += (size_t)n;
    if (got < size)
        return err_set(err, EIO, "%s", source);
    return tree_file(root, path, data, got, 0644 | (st.st_mode & 0111), err);
}
