/*
 * key_options.h - the options of a line of an authorized_keys file (sshd(8)). Each one that is
 * known is carried out; any other is an error.
 */
#ifndef POSTERN_CONFIG_KEY_OPTIONS_H
#define POSTERN_CONFIG_KEY_OPTIONS_H

#include "policy.h"
#include "pool.h"

enum { KEY_HINT_MAX = 128, KEY_PRINCIPALS_MAX = 256 };

/* Where in a line the parser is, and a remedy for what it complains of ("" if it knows none). */
struct key_cursor {
    struct pool *pool;
    const char *at;
    const char *end;
    char hint[KEY_HINT_MAX];
};

/*
 * Takes the options and stops at the blank behind them. Rules get key->origin as their place.
 * Returns 0, or -1 with err.
 */
int key_options_parse(struct key_cursor *c, struct policy_key *key, struct err *err);

#endif
