/*
 * trail_files.h - the files of the audit trail that a configuration names, and those that it was
 * renamed to.
 */
#ifndef POSTERN_DAEMON_CLI_TRAIL_FILES_H
#define POSTERN_DAEMON_CLI_TRAIL_FILES_H

#include "options.h"

#include <stddef.h>

enum { TRAIL_FILES_MAX = 1000 };

struct trail_files {
    char **paths; /* the oldest first; the last is the one that is written */
    size_t n;
};

/*
 * Finds the file that the configuration of -f, or else the system's, has its audit trail in, with
 * its rotated siblings (PATH.1, PATH.2.gz, PATH-20260131, …). What is wrong is said on stderr.
 * Returns an exit status; trail_files_free() either way.
 */
int trail_files_find(const struct cli *cli, struct trail_files *out);
/* The same for the file `path`, which has a '/'. */
int trail_files_beside(const char *path, struct trail_files *out);
void trail_files_free(struct trail_files *files);

#endif
