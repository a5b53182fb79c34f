/*
 * tree.h - building the file tree of a template inside a tmpfs of our own. Private to sandbox/.
 *
 * Paths are relative to `root`, an fd of the tree's root directory, and are resolved beneath it
 * without following any symbolic link. Parents are made as needed, mode 0755. All functions
 * return 0, or -1 with err naming the path.
 */
#ifndef POSTERN_SANDBOX_TREE_H
#define POSTERN_SANDBOX_TREE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An O_PATH fd of what is at `path`, the caller's. */
int tree_open(int root, const char *path, int *fd, struct err *err);

int tree_dir(int root, const char *path, mode_t mode, struct err *err);
int tree_file(int root, const char *path, const void *data, size_t len, mode_t mode,
              struct err *err);
int tree_link(int root, const char *path, const char *target, struct err *err);

enum tree_access {
    TREE_READ,  /* read-only */
    TREE_WRITE, /* as writable as it is on the host */
};

/*
 * A detached, recursive copy of what is mounted at the host's `source` (see host_open()), nosuid
 * and nodev: the fd to give to tree_attach(), owned by the caller. *is_dir says what it is, a
 * directory or a regular file. With `optional`, a source that doesn't exist gives -1 in *fd and
 * success.
 */
int tree_clone(const char *source, enum tree_access access, bool optional, int *fd, bool *is_dir,
               struct err *err);

/* The same of what `at` (O_PATH) is; `source` is its name for messages. It must be mounted in the
 * caller's mount namespace. */
int tree_clone_fd(int at, const char *source, enum tree_access access, int *fd, bool *is_dir,
                  struct err *err);

/*
 * Mounts a detached tree at `path`. Where nothing is there an empty file or directory is made, but
 * only on the tree's own tmpfs: what is bound into it is not ours to change.
 */
int tree_attach(int root, const char *path, int tree, bool is_dir, struct err *err);

/* A detached tmpfs of at most `size`, mode 0755, with MOUNT_ATTR_* `attr`; the fd is the caller's.
 */
int tree_tmpfs(const char *size, uint64_t attr, int *fd, struct err *err);

/* One for a tenant: mode 0700, its own, nosuid and nodev, of at most `size` bytes (SPEC_INFINITY:
 * any) and tree_inodes(size) files. */
int tree_scratch(uint64_t size, uid_t owner, gid_t group, int *fd, struct err *err);

/* How many files may be in so many bytes. They cost kernel memory that the size doesn't count. */
uint64_t tree_inodes(uint64_t size);

/* A link's target in `buf`, NUL-terminated; `dir` and `name` as in readlinkat(2). */
int tree_read_link(int dir, const char *name, char *buf, size_t len, struct err *err);

/*
 * Copies a regular file of the host, at most 4 MiB. One that doesn't exist, or that the host itself
 * doesn't let everybody read, is left out.
 */
int tree_copy(int root, const char *path, const char *source, struct err *err);

/* The same of what `fd` (readable) is; `source` is its name for messages. */
int tree_copy_fd(int root, const char *path, int fd, const char *source, struct err *err);

#endif
