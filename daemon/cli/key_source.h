/*
 * key_source.h - the keys that a command line names for a tenant: files, or standard input.
 */
#ifndef POSTERN_DAEMON_CLI_KEY_SOURCE_H
#define POSTERN_DAEMON_CLI_KEY_SOURCE_H

#include "key_file.h"
#include "key_text.h"

struct key_source {
    struct key_text text;    /* what goes into the tenant's file */
    struct policy_key *keys; /* of the pool; without what was wished for */
    size_t n;
    bool used_stdin;
};

/*
 * Adds the keys of a file ("-": standard input), which holds one at least, in the format of
 * authorized_keys. Of a private key nothing is kept or shown. Returns an exit status; what is wrong
 * has been said. The caller frees text.data.
 */
int key_source_add(struct pool *pool, const char *path, const struct key_wish *wish,
                   struct key_source *out);

#endif
