/*
 * learn_profile.h - the smallest seccomp profile for a set of system calls. Pure.
 *
 * A profile is judged by one number: how many calls it allows, and LEARN_WORD_COST for each word
 * that has to be written, read and kept. So a group comes whole when enough of it is used, a single
 * call is named when not, and `extends` is taken when what it allows besides costs less than
 * the words that it saves.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_PROFILE_H
#define POSTERN_DAEMON_CLI_LEARN_PROFILE_H

#include "learn_record.h"
#include "policy.h"

enum { LEARN_WORD_COST = 8 };

/* A word of an allow line. */
struct learn_word {
    const struct policy_group *group; /* NULL: a single call, */
    int nr;                           /* this one */
    size_t n_used;                    /* how many calls it is there for */
};

struct learn_profile {
    const struct policy_profile *base; /* what it extends, or NULL */
    struct learn_word *words;          /* groups first, in the order of the groups */
    size_t n_words;
    size_t n_used;    /* kinds of calls that must be allowed */
    size_t n_allowed; /* that it allows */
};

/*
 * Chooses the profile for the calls that are `needed`, by number. Bases are taken from `bases`; a
 * group comes whole only if all of it is allowed by `ordinary`, which no command has to ask for.
 * Returns 0, to be freed with learn_profile_free(), or -1: out of memory.
 */
int learn_profile_choose(const struct policy *policy, const struct policy_profile *const *bases,
                         size_t n_bases, const struct seccomp_spec *ordinary,
                         const bool needed[SEEN_CALLS_MAX], struct learn_profile *out);
void learn_profile_free(struct learn_profile *profile);

/* Whether a profile allows a call. */
bool spec_allows(const struct seccomp_spec *spec, int nr);

#endif
