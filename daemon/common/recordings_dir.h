/*
 * recordings_dir.h - the directory of recordings, and the names in it.
 */
#ifndef POSTERN_DAEMON_RECORDINGS_DIR_H
#define POSTERN_DAEMON_RECORDINGS_DIR_H

#include "policy.h"

enum { RECORDING_NAME_MAX = 96 };
#define RECORDING_SUFFIX ".cast"

/* Whether any tenant is recorded, so that the directory is needed. */
bool recordings_dir_wanted(const struct policy *policy);

/*
 * Opens it: nobody but root could have put it, or anything on the way, in its place
 * (trusted_path.h), and nobody else may look into it. -1 with err, whose text says what to do;
 * err->num is ENOENT if it isn't there.
 */
int recordings_dir_open(const char *path, int *fd, struct err *err);

/* Makes it first if its own name alone is missing. */
int recordings_dir_make(const char *path, int *fd, struct err *err);

/* The name of an exec's recording; false for what can't be an exec id. */
bool recordings_dir_name(const char *exec_id, char name[RECORDING_NAME_MAX]);

#endif
