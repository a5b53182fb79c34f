#include "rootfs.h"

#include "cleanup.h"
#include "host.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    ENTRIES_MAX = 256, /* bound from a directory; each costs every exec a little */
    ETC_ENTRIES_MAX = 16384,
    ETC_DEPTH_MAX = 16,
};

/* Top-level names that are links into /usr on a merged system, directories on others. */
static const char *const usr_names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

/* What is made for the sandbox, whatever the directory has there. */
static const char *const own_names[] = {
    "dev", "etc", "proc", "run", "sys", "tmp", &SPEC_WORKSPACE[1], "var/run", "var/tmp",
};

/* A shell is what most commands need, and what a directory that is no root file system lacks. */
static int check_shell(int dir, struct err *err)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    cleanup_fd int sh = (int)syscall(SYS_openat2, dir, "bin/sh", &how, sizeof how);
    cleanup_fd int usr = (int)syscall(SYS_openat2, dir, "usr/", &how, sizeof how);
    if (sh >= 0 && usr >= 0)
        return 0;
    return err_set(err, 0,
                   "there is no %s in it; it must hold a root file system, such as "
                   "'mmdebstrap --variant=minbase stable DIRECTORY' makes",
                   usr < 0 ? "/usr" : "/bin/sh");
}

static int open_host(struct rootfs *rootfs, struct err *err)
{
    bool is_dir = false;
    if (etc_open(&rootfs->etc, err) < 0)
        return -1;
    return tree_clone("/usr", TREE_READ, false, &rootfs->usr, &is_dir, err);
}

int rootfs_open(const struct sandbox_spec *spec, struct rootfs *rootfs, struct err *err)
{
    *rootfs = (struct rootfs){.path = spec->root, .dir = -1, .usr = -1};
    if (spec->root == NULL)
        return open_host(rootfs, err);
    if (host_open_own(spec->root, &rootfs->dir, err) < 0 || check_shell(rootfs->dir, err) < 0) {
        err_wrap(err, "root = %s", spec->root);
        return err_blame(err, "root", 0);
    }
    return 0;
}

void rootfs_close(struct rootfs *rootfs)
{
    close_fd(&rootfs->dir);
    close_fd(&rootfs->usr);
    etc_close(&rootfs->etc);
}

static int build_usr(int root, int usr, struct err *err)
{
    if (tree_attach(root, "usr", usr, true, err) < 0)
        return -1;
    for (size_t i = 0; i < array_len(usr_names); i++) {
        char source[16], target[64];
        int n = snprintf(source, sizeof source, "/%s", usr_names[i]);
        if (n < 0 || (size_t)n >= sizeof source)
            return err_set(err, ENAMETOOLONG, "/%s", usr_names[i]);
        ssize_t len = readlink(source, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            if (tree_link(root, usr_names[i], target, err) < 0)
                return -1;
            continue;
        }
        cleanup_fd int tree = -1;
        bool is_dir = false;
        if (tree_clone(source, TREE_READ, true, &tree, &is_dir, err) < 0)
            return -1;
        if (tree >= 0 && tree_attach(root, usr_names[i], tree, is_dir, err) < 0)
            return -1;
    }
    return 0;
}

/* A directory of the root file system whose entries are taken over. */
struct source {
    DIR *dir; /* owned */
    const struct sandbox_spec *spec;
    const char *inside; /* where that is in the sandbox: "", "var", "etc/…" */
    unsigned depth;
    size_t *n_entries;
};

static void source_close(struct source *source)
{
    if (source->dir != NULL)
        closedir(source->dir);
}
#define cleanup_source __attribute__((cleanup(source_close)))

/* Opens the directory `name` of `at`; one that isn't there gives success and no dir. */
static int source_open(struct source *source, int at, const char *name, struct err *err)
{
    cleanup_fd int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || (source->dir = fdopendir(fd)) == NULL)
        return err_set(err, errno, "/%s", source->inside);
    (void)steal_fd(&fd);
    return 0;
}

/* The next entry and its path inside the sandbox. 1, 0 at the end, or -1. */
static int source_next(struct source *source, size_t most, const char **name, char path[PATH_MAX],
                       struct err *err)
{
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(source->dir);
        if (entry == NULL)
            return errno == 0 ? 0 : err_set(err, errno, "/%s", source->inside);
    } while (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    if (++*source->n_entries > most)
        return err_set(err, 0, "more than %zu entries in /%.8s", most, source->inside);
    int n = snprintf(path, PATH_MAX, "%s%s%s", source->inside, *source->inside != '\0' ? "/" : "",
                     entry->d_name);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ENAMETOOLONG, "/%s", source->inside);
    *name = entry->d_name;
    return 1;
}

static int take_link(const struct source *source, const char *name, int root, const char *path,
                     struct err *err)
{
    char target[PATH_MAX];
    if (tree_read_link(dirfd(source->dir), name, target, sizeof target, err) < 0)
        return -1;
    return tree_link(root, path, target, err);
}

static bool is_own(const char *path)
{
    size_t i = 0;
    while (i < array_len(own_names) && strcmp(path, own_names[i]) != 0)
        i++;
    return i < array_len(own_names);
}

static int is_empty(const struct source *parent, const char *name, bool *empty, struct err *err)
{
    size_t n_entries = 0;
    cleanup_source struct source source = {.inside = name, .n_entries = &n_entries};
    char path[PATH_MAX];
    const char *first = NULL;
    if (source_open(&source, dirfd(parent->dir), name, err) < 0)
        return -1;
    int got = source.dir == NULL ? 0 : source_next(&source, 1, &first, path, err);
    *empty = got == 0;
    return got < 0 ? -1 : 0;
}

static bool has_below(const struct sandbox_bind *binds, size_t n, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(binds[i].dest + 1, path, len) == 0 && binds[i].dest[1 + len] == '/')
            return true;
    }
    return false;
}

/* Places for binds can be made in a directory of ours, but not in the root file system's. */
static bool needs_place(const struct sandbox_spec *spec, const char *path)
{
    return strcmp(path, "var") == 0 || has_below(spec->reads, spec->n_reads, path) ||
           has_below(spec->writes, spec->n_writes, path);
}

static int bind_entries(const struct source *parent, const char *name, mode_t mode,
                        const char *inside, int root, struct err *err);

static int bind_entry(const struct source *source, const char *name, int root, const char *path,
                      struct err *err)
{
    cleanup_fd int at = openat(dirfd(source->dir), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    cleanup_fd int tree = -1;
    struct stat st;
    bool is_dir = false, empty = false;
    if (at < 0 || fstat(at, &st) < 0)
        return err_set(err, errno, "/%s", path);
    if (S_ISLNK(st.st_mode))
        return take_link(source, name, root, path, err);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return 0;
    if (S_ISDIR(st.st_mode) && is_empty(source, name, &empty, err) < 0)
        return -1;
    if (S_ISDIR(st.st_mode) && !empty && needs_place(source->spec, path))
        return bind_entries(source, name, st.st_mode, path, root, err);
    if (empty)
        return tree_dir(root, path, st.st_mode & 0755, err);
    if (tree_clone_fd(at, name, TREE_READ, &tree, &is_dir, err) < 0)
        return -1;
    return tree_attach(root, path, tree, is_dir, err);
}

static int bind_all(struct source *source, int root, struct err *err)
{
    char path[PATH_MAX];
    const char *entry = NULL;
    int got;
    while ((got = source_next(source, ENTRIES_MAX, &entry, path, err)) != 0) {
        if (got < 0 || (!is_own(path) && bind_entry(source, entry, root, path, err) < 0))
            return -1;
    }
    return 0;
}

/* As deep as the places of binds are, no deeper. What others can't enter there they can't here. */
static int bind_entries(const struct source *parent, const char *name, mode_t mode,
                        const char *inside, int root, struct err *err)
{
    cleanup_source struct source source = {
        .inside = inside, .spec = parent->spec, .n_entries = parent->n_entries};
    bool shut = (mode & S_IXOTH) == 0;
    if (tree_dir(root, inside, shut ? 0755 : mode & 0755, err) < 0)
        return -1;
    if (!shut && source_open(&source, dirfd(parent->dir), name, err) < 0)
        return -1;
    return source.dir == NULL ? 0 : bind_all(&source, root, err);
}

static int bind_top(int dir, const struct sandbox_spec *spec, int root, struct err *err)
{
    size_t n_entries = 0;
    cleanup_source struct source source = {.inside = "", .spec = spec, .n_entries = &n_entries};
    return source_open(&source, dir, ".", err) < 0 ? -1 : bind_all(&source, root, err);
}

static int copy_entries(struct source *source, int root, struct err *err);

static int copy_directory(const struct source *parent, const char *name, int root, const char *path,
                          struct err *err)
{
    cleanup_source struct source source = {
        .inside = path, .depth = parent->depth + 1, .n_entries = parent->n_entries};
    if (source.depth > ETC_DEPTH_MAX)
        return err_set(err, 0, "/%s is too deep", path);
    if (tree_dir(root, path, 0755, err) < 0 ||
        source_open(&source, dirfd(parent->dir), name, err) < 0)
        return -1;
    return source.dir == NULL ? 0 : copy_entries(&source, root, err);
}

static int copy_file(const struct source *source, const char *name, int root, const char *path,
                     struct err *err)
{
    cleanup_fd int fd =
        openat(dirfd(source->dir), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "/%s", path);
    return tree_copy_fd(root, path, fd, path, err);
}

/* Depth and number are bounded; a directory that isn't everybody's is left out like a file. */
static int copy_entries(struct source *source, int root, struct err *err)
{
    const mode_t for_all = S_IROTH | S_IXOTH;
    char path[PATH_MAX];
    const char *name = NULL;
    int got, rc = 0;
    while (rc == 0 && (got = source_next(source, ETC_ENTRIES_MAX, &name, path, err)) != 0) {
        struct stat st;
        if (got < 0 || fstatat(dirfd(source->dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return got < 0 ? -1 : err_set(err, errno, "/%s", path);
        if (etc_is_own(path))
            continue;
        if (S_ISLNK(st.st_mode))
            rc = take_link(source, name, root, path, err);
        else if (S_ISDIR(st.st_mode) && (st.st_mode & for_all) == for_all)
            rc = copy_directory(source, name, root, path, err);
        else if (S_ISREG(st.st_mode))
            rc = copy_file(source, name, root, path, err);
    }
    return rc;
}

static int copy_etc(int dir, int root, struct err *err)
{
    size_t n_entries = 0;
    cleanup_source struct source source = {.inside = "etc", .n_entries = &n_entries};
    if (tree_dir(root, "etc", 0755, err) < 0 || source_open(&source, dir, "etc", err) < 0)
        return -1;
    return source.dir == NULL ? 0 : copy_entries(&source, root, err);
}

static int build_directory(struct rootfs *rootfs, int root, const struct sandbox_spec *spec,
                           struct err *err)
{
    if (bind_top(rootfs->dir, spec, root, err) < 0 || copy_etc(rootfs->dir, root, err) < 0 ||
        etc_complete(root, spec, err) < 0) {
        err_wrap(err, "root = %s", rootfs->path);
        return err_blame(err, "root", 0);
    }
    return 0;
}

int rootfs_build(struct rootfs *rootfs, int root, const struct sandbox_spec *spec, struct err *err)
{
    if (rootfs->path != NULL)
        return build_directory(rootfs, root, spec, err);
    if (build_usr(root, rootfs->usr, err) < 0)
        return -1;
    return etc_build(&rootfs->etc, root, spec, err);
}
