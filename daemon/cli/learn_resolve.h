/*
 * learn_resolve.h - what a stopped process means by a path.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_RESOLVE_H
#define POSTERN_DAEMON_CLI_LEARN_RESOLVE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Bytes of a process's memory. False: they can't be read. */
bool resolve_read(pid_t tid, uint64_t address, void *buf, size_t len);

/* A string of its memory, to be freed; NULL: it is too long, or not there. */
char *resolve_string(pid_t tid, uint64_t address);

/* The path behind a descriptor, or the working directory (AT_FDCWD), as the sandbox has it. False:
 * it has none. */
bool resolve_fd(pid_t tid, int fd, char path[PATH_MAX]);

/*
 * `path` made absolute, to be freed, without looking at what is there; NULL if it is relative to
 * something without a name.
 */
char *resolve_absolute(pid_t tid, int dir, const char *path);

/*
 * What is at an absolute path below `root`: its path without symbolic links, and what it is. With
 * `nofollow` the last part may be a link. False: it isn't there.
 */
bool resolve_place(int root, const char *path, bool nofollow, char out[PATH_MAX], struct stat *st);

/* Calls found(arg, path of the link) for every symbolic link that `path` goes through. */
void resolve_links(int root, const char *path, bool nofollow,
                   void (*found)(void *arg, const char *link), void *arg);

/* Takes ".", ".." and doubled slashes out of an absolute path, in place. */
void resolve_normalise(char *path);

/* Cuts the last part off an absolute path, in place; of "/" nothing is left to cut. */
void resolve_parent(char *path);

#endif
