#include "binds.h"

#include "cleanup.h"
#include "layout.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct bind {
    const char *key; /* "read" or "write" */
    size_t item;     /* which of them */
    const char *source, *dest;
    enum tree_access access;
    int tree;
    bool is_dir;
};

static bool is_within(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* A place that each exec, or the kernel, covers with something else would silently lack the bind.
 */
static int check_dest(const struct bind *bind, struct err *err)
{
#define X(path) path,
    static const char *const covered[] = {SPEC_TAKEN_TREES(X)};
#undef X
    if (bind->source[0] != '/' || bind->dest[0] != '/' || bind->dest[1] == '\0')
        return err_set(err, 0, "not a pair of absolute paths");
    for (size_t i = 0; i < array_len(covered); i++) {
        if (is_within(bind->dest, covered[i]))
            return err_set(err, 0, "%s is made by Postern itself", covered[i]);
    }
    return 0;
}

static int wrap(const struct bind *bind, struct err *err)
{
    bool same = strcmp(bind->source, bind->dest) == 0;
    err_wrap(err, "%s = %s%s%s", bind->key, bind->source, same ? "" : ":", same ? "" : bind->dest);
    return err_blame(err, bind->key, bind->item);
}

static void add(struct binds *binds, const struct sandbox_bind *from, size_t n, const char *key,
                enum tree_access access)
{
    for (size_t i = 0; i < n; i++)
        binds->items[binds->n++] = (struct bind){.key = key,
                                                 .item = i,
                                                 .source = from[i].source,
                                                 .dest = from[i].dest,
                                                 .access = access,
                                                 .tree = -1};
}

static int compare_dest(const void *a, const void *b)
{
    return strcmp(((const struct bind *)a)->dest, ((const struct bind *)b)->dest);
}

/* Byte order puts /a before /a/b, so that an outer place never covers an inner one. */
static int sort(struct binds *binds, struct err *err)
{
    qsort(binds->items, binds->n, sizeof *binds->items, compare_dest);
    for (size_t i = 1; i < binds->n; i++) {
        if (strcmp(binds->items[i - 1].dest, binds->items[i].dest) == 0)
            return err_set(err, 0, "two read or write lines for %s", binds->items[i].dest);
    }
    return 0;
}

int binds_open(const struct sandbox_spec *spec, struct binds *binds, struct err *err)
{
    *binds = (struct binds){0};
    size_t n = spec->n_reads + spec->n_writes;
    if (n == 0)
        return 0;
    binds->items = calloc(n, sizeof *binds->items);
    if (binds->items == NULL)
        return err_set(err, ENOMEM, "read and write");
    add(binds, spec->reads, spec->n_reads, "read", TREE_READ);
    add(binds, spec->writes, spec->n_writes, "write", TREE_WRITE);
    if (sort(binds, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct bind *bind = &binds->items[i];
        if (check_dest(bind, err) < 0 ||
            tree_clone(bind->source, bind->access, false, &bind->tree, &bind->is_dir, err) < 0)
            return wrap(bind, err);
    }
    return 0;
}

void binds_close(struct binds *binds)
{
    for (size_t i = 0; i < binds->n; i++)
        close_fd(&binds->items[i].tree);
    free_ptr(&binds->items);
    binds->n = 0;
}

int binds_attach(struct binds *binds, int root, struct err *err)
{
    for (size_t i = 0; i < binds->n; i++) {
        const struct bind *bind = &binds->items[i];
        if (tree_attach(root, bind->dest + 1, bind->tree, bind->is_dir, err) == 0)
            continue;
        if (err->num == ELOOP)
            err_set(err, 0, "there is a symbolic link in the sandbox on the way to %s", bind->dest);
        return wrap(bind, err);
    }
    return 0;
}

/* What the execs' own mounts cover anyway, and what no command could start without. */
static int check_hide(const char *path, struct err *err)
{
    static const char *const own[] = {"/proc", "/dev",     "/sys",     "/tmp",
                                      "/run",  "/var/tmp", "/var/run", SPEC_WORKSPACE};
    if (path[0] != '/' || path[1] == '\0' || strcmp(path, "/etc") == 0 || strcmp(path, "/usr") == 0)
        return err_set(err, 0, "that can't be hidden");
    for (size_t i = 0; i < array_len(own); i++) {
        if (is_within(path, own[i]))
            return err_set(err, 0, "%s is made by Postern itself", own[i]);
    }
    return 0;
}

static bool is_changeable(int dir)
{
    struct stat st;
    struct statvfs fs;
    if (fstat(dir, &st) < 0 || fstatvfs(dir, &fs) < 0)
        return true;
    return (fs.f_flag & ST_RDONLY) == 0 && (st.st_uid != 0 || (st.st_mode & 022) != 0);
}

/* What is hidden itself can't be renamed, being mounted on, but a directory above it could: the
 * next policy would then hide whatever was put in its place. */
static int check_fixed(int root, const char *path, struct err *err)
{
    char above[PATH_MAX] = "";
    for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
        cleanup_fd int dir = -1;
        if (tree_open(root, above, &dir, err) < 0)
            return -1;
        int n = snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
        if (n < 0 || (size_t)n >= sizeof above)
            return err_set(err, ENAMETOOLONG, "/%s", path);
        if (is_changeable(dir))
            return err_set(err, 0,
                           "commands could rename /%s; hide that, or make what it is in "
                           "writable by root alone",
                           above);
    }
    return 0;
}

static int cover(int root, const char *path, int place, struct err *err)
{
    cleanup_fd int empty = -1, tree = -1;
    struct stat st, empty_st;
    bool is_dir = false;
    if (fstat(place, &st) < 0)
        return err_set(err, errno, "/%s", path);
    const char *with = S_ISDIR(st.st_mode) ? EMPTY_DIR_IN_ROOT : EMPTY_FILE_IN_ROOT;
    if (tree_open(root, with, &empty, err) < 0)
        return -1;
    if (fstat(empty, &empty_st) < 0)
        return err_set(err, errno, "/%s", with);
    if (st.st_dev == empty_st.st_dev && st.st_ino == empty_st.st_ino)
        return 0;
    if (tree_clone_fd(empty, with, TREE_READ, &tree, &is_dir, err) < 0)
        return -1;
    return tree_attach(root, path, tree, is_dir, err);
}

static int open_hidden(int root, const char *path, int *place, struct err *err)
{
    if (tree_open(root, path, place, err) == 0)
        return 0;
    if (err->num == ELOOP)
        return err_set(err, 0, "there is a symbolic link on the way; name the real path");
    return -1;
}

static int hide(int root, const char *path, struct err *err)
{
    cleanup_fd int place = -1;
    if (open_hidden(root, path, &place, err) < 0)
        return err->num == ENOENT ? err_set(err, 0, "there is no such file in the sandbox") : -1;
    return check_fixed(root, path, err) < 0 ? -1 : cover(root, path, place, err);
}

int binds_hide(const struct sandbox_spec *spec, int root, struct err *err)
{
    for (size_t i = 0; i < spec->n_hides; i++) {
        if (check_hide(spec->hides[i], err) < 0 || hide(root, spec->hides[i] + 1, err) < 0) {
            err_wrap(err, "hide = %s", spec->hides[i]);
            return err_blame(err, "hide", i);
        }
    }
    return 0;
}

static int hide_again(int root, const char *path, struct err *err)
{
    cleanup_fd int place = -1;
    if (open_hidden(root, path, &place, err) < 0)
        return err->num == ENOENT || err->num == ENOTDIR ? 0 : -1;
    return cover(root, path, place, err);
}

int binds_hide_again(const struct sandbox_spec *spec, struct err *err)
{
    if (spec->n_hides == 0)
        return 0;
    cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(err, errno, "/");
    for (size_t i = 0; i < spec->n_hides; i++) {
        if (hide_again(root, spec->hides[i] + 1, err) < 0)
            return err_wrap(err, "hide = %s", spec->hides[i]);
    }
    return 0;
}
