/*
 * flips.h - decisions that a candidate policy would take otherwise, gathered in bounded memory.
 */
#ifndef POSTERN_DAEMON_CLI_FLIPS_H
#define POSTERN_DAEMON_CLI_FLIPS_H

#include "policy.h"

/* X(id, name in JSON, what is said of it) */
#define FLIP_KINDS(X)                                                                              \
    X(DENY, "allow_deny", "allow -> deny")                                                         \
    X(ALLOW, "deny_allow", "deny -> allow")                                                        \
    X(TENANT, "tenant", "another tenant")                                                          \
    X(SANDBOX, "sandbox", "another sandbox")

enum flip_kind {
#define X(id, name, text) FLIP_##id,
    FLIP_KINDS(X)
#undef X
        FLIP_KINDS_N
};

/* Decisions that differ in the same way about the same command of the same user and tenant. */
struct flip {
    enum flip_kind kind;
    const char *user;
    const char *tenant; /* then; NULL: nobody's */
    enum exec_kind exec_kind;
    const char *command;
    size_t command_len;
    const char *before; /* tenant or sandbox then; NULL: not what it is about */
    const char *after;
    /* Of the first one: */
    const char *exec;
    char reason[256]; /* of a denial, now; printable */
    struct origin rule;
    uint64_t count;
    int64_t first, last; /* seconds since the epoch */
};

/* Beyond these, flips that are like none before are only counted. */
enum { FLIPS_MAX = 10000, FLIPS_BYTES_MAX = 64 << 20 };

struct flips {
    struct flip_group **groups; /* hash table, then sorted by flips_sort() */
    size_t n;
    size_t bytes;
    uint64_t totals[FLIP_KINDS_N];
    uint64_t more; /* counted only */
    int (*sha256)(const void *data, size_t len, unsigned char out[32]);
};

/* Returns 0, or -1: out of memory. */
int flips_begin(struct flips *flips,
                int (*sha256)(const void *data, size_t len, unsigned char out[32]));
void flips_free(struct flips *flips);

/* Adds one; `flip` has the time in `first`. Returns 0, or -1: out of memory. */
int flips_add(struct flips *flips, const struct flip *flip);

/* Ends the adding: by kind, then the most frequent first. */
void flips_sort(struct flips *flips);
/* After flips_sort(): 0 <= i < n. */
const struct flip *flips_at(const struct flips *flips, size_t i);

#endif
