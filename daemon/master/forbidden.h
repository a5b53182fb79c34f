/*
 * forbidden.h - what refuses a system call that a worker has told of. The worker is hostile: what
 * nothing refuses was never refused.
 */
#ifndef POSTERN_DAEMON_MASTER_FORBIDDEN_H
#define POSTERN_DAEMON_MASTER_FORBIDDEN_H

#include "policy.h"
#include "refused.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>

struct forbidden {
    const struct refused_call *call;
    const struct seccomp_spec *profile;
    const struct seccomp_rule *rule; /* the policy's, or NULL: it is always refused */
    const char *why;                 /* of what is always refused, else NULL */
};

/* Finds out. Returns false if the profile allows the call, or doesn't know it. */
bool forbidden_find(const struct seccomp_spec *profile, const struct refused_call *call,
                    struct forbidden *out);

/* 'system call ptrace(PTRACE_TRACEME) <verb> by seccomp profile "default"', and then as much of why
 * and where as `level` allows. Returns buf. */
char *forbidden_describe(const struct forbidden *forbidden, const char *verb,
                         enum explain_level level, char *buf, size_t len);

const char *forbidden_abi_word(enum call_abi abi);

#endif
