/*
 * learn_paths.h - from the paths that a command used to the read and write lines that give it them.
 * Pure.
 *
 * A directory in which names were made or removed is written as a whole, one that was listed is
 * read as a whole. Several files of one directory become the directory, unless it is one that
 * holds much else: those at the top of the tree, homes, /etc, and what is directly in /var.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_PATHS_H
#define POSTERN_DAEMON_CLI_LEARN_PATHS_H

#include "learn_record.h"

enum { LEARN_FILES_MAX = 3 }; /* of one directory that are still named one by one */

struct learn_unit {
    char *path;
    bool write;
    bool is_dir;
    bool is_link;                         /* a symbolic link that was followed */
    bool impossible;                      /* no policy can give it: the path is Postern's own */
    bool collapsed;                       /* stands for more files than were used */
    size_t n_read, n_written, n_executed; /* paths in it that were */
    const char *who;                      /* who used the first of them; borrowed from the record */
    const char *secret; /* a path in it that looks like a secret; borrowed; or NULL */
};

struct learn_units {
    struct learn_unit *items; /* outer ones before inner ones */
    size_t n;
    const struct seen_path **looked; /* directories that were only looked at, not given */
    size_t n_looked;
};

/*
 * `given` says which paths the sandbox shows anyway. The record's paths must be sorted, and live as
 * long as `out`. Returns 0, or -1: out of memory; learn_units_free() is due either way.
 */
int learn_units_make(const struct seen *seen, bool (*given)(void *arg, const char *path), void *arg,
                     struct learn_units *out);
void learn_units_free(struct learn_units *units);

/* Whether the name of a file says that it holds keys or passwords. */
bool path_looks_secret(const char *path);

/* Whether a policy can bind something at this path, and write it down. */
bool path_can_be_bound(const char *path);

#endif
