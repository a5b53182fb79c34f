/*
 * judge.h - a recorded decision, taken again under another policy.
 */
#ifndef POSTERN_DAEMON_CLI_JUDGE_H
#define POSTERN_DAEMON_CLI_JUDGE_H

#include "flips.h"
#include "pool.h"
#include "record.h"
#include "strmap.h"

/* Judges records by one policy, whose keys it finds by login and fingerprint. */
struct judge {
    const struct policy *policy;
    struct pool pool;
    struct strmap places; /* "LOGIN FINGERPRINT" → index into keys */
    const struct policy_key **keys;
};

/* Returns 0, or -1: out of memory. judge_free() must be called either way. */
int judge_begin(struct judge *judge, const struct policy *policy);
void judge_free(struct judge *judge);

enum judgement {
    JUDGE_SAME,
    JUDGE_DIFFERS,     /* *flip says how; it borrows from the record and the policy */
    JUDGE_CERTIFICATE, /* can't be judged: it came with a certificate, by its authority's key */
};

/* Decides at the record's own time and from its address. */
enum judgement judge_record(const struct judge *judge, const struct record *record,
                            struct flip *flip);

#endif
