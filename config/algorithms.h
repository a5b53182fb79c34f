/*
 * algorithms.h - the algorithms of SSH that may be offered, by the names of RFC 4253 §6 and §7.
 *
 * What is weak is refused by name, so that a list that was taken over from elsewhere says what is
 * wrong with it. What this table has is what the libssh that we are built against has.
 */
#ifndef POSTERN_CONFIG_ALGORITHMS_H
#define POSTERN_CONFIG_ALGORITHMS_H

#include "err.h"
#include "policy.h"

enum { ALGORITHMS_TEXT_MAX = 1024 };

/*
 * Judges a list of names, separated by commas and blanks, best first, and writes it with commas
 * alone. Returns 0, or -1 with err: empty, unknown, weak or of another kind, twice, or too long.
 */
int algorithms_parse(enum algorithm_kind kind, const char *text, char out[ALGORITHMS_TEXT_MAX],
                     struct err *err);

/* Whether `list`, as algorithms_parse() writes it, has the name. */
bool algorithms_have(const char *list, const char *name);

/* What is offered where nobody says otherwise. */
extern const char algorithms_default_kex[], algorithms_default_ciphers[], algorithms_default_macs[],
    algorithms_default_keys[], algorithms_default_user_keys[];

#endif
