/*
 * trusted_path.h - opening what nobody but root, ourselves and one more named owner could have
 * written or put in its place.
 *
 * The path is walked from the root, one component at a time (path_resolution(7)), and every
 * directory on the way is judged, those that symbolic links lead through too: its owner, and that
 * nobody else may write in it, unless it is sticky and what is found there is a trusted owner's.
 * What is judged is what is opened next, by descriptor, so nothing can be exchanged in between.
 * Relative paths begin in the current directory, which is judged in the same way.
 */
#ifndef POSTERN_DAEMON_TRUSTED_PATH_H
#define POSTERN_DAEMON_TRUSTED_PATH_H

#include "err.h"

#include <sys/stat.h>
#include <sys/types.h>

enum { TRUSTED_LINKS_MAX = 40 }; /* as the kernel follows, at most */

/*
 * Opens a regular file for reading; `owner` is who may own files besides root and geteuid(), 0:
 * nobody more. On success *fd is the caller's and *st describes it. -1 with err: its text names
 * the component that is to blame, unless that is the path itself, and says what to do. err->num is
 * the errno(3) of what could not be opened; EPERM if it is owned by somebody else; 0 for other
 * refusals. Safe in threads.
 */
int trusted_path_open_file(const char *path, uid_t owner, int *fd, struct stat *st,
                           struct err *err);

/* The same for a directory, for fdopendir(3). */
int trusted_path_open_dir(const char *path, uid_t owner, int *fd, struct err *err);

#endif
