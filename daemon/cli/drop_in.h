/*
 * drop_in.h - changes to the files of a policy that are judged before they are made: the whole
 * policy is loaded as it would be with them, by the same code as `postern check`, and only what
 * passes is put in place, each file whole (fsync(2) and rename(2)).
 */
#ifndef POSTERN_DAEMON_CLI_DROP_IN_H
#define POSTERN_DAEMON_CLI_DROP_IN_H

#include "doc.h"
#include "host_limits.h"
#include "sources.h"

enum { DROP_IN_CHANGES_MAX = 4 };

/* What an administrator adds to the name of a file that is to be kept and not read. */
#define DROP_IN_DISABLED ".disabled"

enum drop_in_kind {
    DROP_IN_CREATE,  /* there is no such file yet */
    DROP_IN_REPLACE, /* there is; mode and owner stay */
    DROP_IN_REMOVE,
    DROP_IN_DISABLE, /* DROP_IN_DISABLED goes on to its name */
    DROP_IN_ENABLE,  /* and off again */
};

struct drop_in_change {
    enum drop_in_kind kind;
    char *path; /* as the policy names the file; without DROP_IN_DISABLED */
    char *data; /* what it will hold, or hold again; NULL if it is to be gone */
    size_t len;
    char *old; /* what it held, once it has been changed; NULL: it wasn't there */
    size_t old_len;
    mode_t old_mode;
    uid_t old_uid;
    gid_t old_gid;
};

struct drop_in {
    struct sources sources;
    char *dir; /* policy.d; changes are to it and to directories in it */
    int lock;
    struct host_limits limits; /* of the server that runs with this configuration */
    bool has_limits;           /* there is one, and they are known */
    struct drop_in_change changes[DROP_IN_CHANGES_MAX]; /* in the order in which they are made */
    size_t n;
};

/*
 * Finds the policy of `cli` and locks its directory, which is made if it isn't there, against
 * others who change it in this way; waits for them. Returns an exit status; what is wrong has been
 * said. drop_in_close() either way.
 */
int drop_in_open(const struct cli *cli, bool dry_run, struct drop_in *out);
void drop_in_close(struct drop_in *drop_in);

/* policy.d/NAME of a printf format, for the caller to free. NULL: out of memory. */
char *drop_in_path(const struct drop_in *drop_in, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a change; `path` is copied, `data` (malloc'd or NULL) is taken over. Returns an exit status.
 */
int drop_in_add(struct drop_in *drop_in, enum drop_in_kind kind, const char *path, char *data,
                size_t len);

/*
 * The policy as it is (`changed` false), or as it would be; `judged` says whether this host is
 * asked, too. NULL with *status: what is wrong has been said. With `diags`, those are the warnings.
 */
struct policy *drop_in_load(struct drop_in *drop_in, const struct cli *cli, bool changed,
                            bool judged, struct diags *diags, int *status);

/*
 * Warnings about the policy `after` that are news to who knows the one `before`, on stderr or as a
 * member of `doc` (problems_put()). Returns an exit status.
 */
int drop_in_warn(const struct drop_in *drop_in, const struct policy *before,
                 const struct policy *after, struct diags *diags, json_t *doc);

/*
 * Makes the changes. If one fails, those before it are taken back where that is possible. Returns
 * 0, or -1 with err.
 */
int drop_in_commit(struct drop_in *drop_in, uid_t policy_owner, struct err *err);

/* Whether the changes add anything: else they only take away. */
bool drop_in_adds(const struct drop_in *drop_in);

/* Takes changes that have been made back, all of them. Returns 0, or -1 with err. */
int drop_in_undo(struct drop_in *drop_in, uid_t policy_owner, struct err *err);

#endif
