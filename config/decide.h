/*
 * decide.h - the one place where an exec is allowed or denied. Pure and total: the master,
 * `postern explain` and `postern test` call the same function.
 */
#ifndef POSTERN_CONFIG_DECIDE_H
#define POSTERN_CONFIG_DECIDE_H

#include "login.h"

enum { COMMAND_MAX = 65536, ENV_COUNT_MAX = 64, ENV_VALUE_MAX = 4096 };

/* Bytes of argv, and of envp, with their NULs: what can be passed on. More is denied. */
enum { VECTOR_MAX = 98304 };

struct decide_request {
    struct login_request who; /* peer_host is not NULL */
    enum exec_kind kind;
    const char *command; /* bytes as sent; not NUL-terminated, may hold anything */
    size_t command_len;
    bool command_truncated;       /* the client sent more than COMMAND_MAX */
    bool terminal;                /* it asked for one */
    const char *term;             /* what it calls it; NULL: nothing */
    const char *const *env_names; /* accepted variables, parallel arrays */
    const char *const *env_values;
    size_t n_env;
    const char *exec_id;
    uint16_t peer_port;
    const char *local_host;
    uint16_t local_port;
};

/* One rule that was looked at, for `explain`. */
struct rule_trace {
    struct origin origin;
    const char *rule; /* as written, borrowed from the policy */
    char why[160];    /* "matched", or what did not */
};

/* What one exec may use at most. */
struct exec_limits {
    uint64_t time_ms;                        /* SPEC_INFINITY: no limit, as for memory */
    uint64_t memory;                         /* bytes */
    bool time_is_clients, memory_is_clients; /* tighter than the policy's, by a variable */
};

/* Whether the client gets an account of the exec at its end, and who wants that. */
enum receipt_wish { RECEIPT_NONE, RECEIPT_BY_POLICY, RECEIPT_BY_CLIENT };

struct decision {
    bool allowed;
    struct login login; /* who that is, by this policy and at this time */
    size_t sandbox;     /* index into policy.sandboxes */
    char **argv;        /* NULL-terminated; NULL when denied */
    bool login_shell;   /* argv is a shell that is to be told that it is a login's */
    bool terminal;      /* it gets the terminal that was asked for, if it is allowed */
    char **envp;        /* NULL-terminated; NULL when denied */
    struct origin rule; /* the rule that allowed it, or the tenant's place */
    char reason[256];   /* printable; why it was denied */
    struct rule_trace *tried;
    size_t n_tried;
    struct exec_limits limits; /* if allowed */
    enum receipt_wish receipt; /* of a denial, too */
    bool recorded;             /* what it prints is kept, if it is allowed */
};

/*
 * Begins with decide_login(): who may no longer log in may not run anything either.
 *
 * Never fails: what can't be decided (out of memory too) is a denial.
 *
 * A key's command=, or a certificate's force-command, first takes the place of whatever the client
 * asked for, a subsystem too; then the tenant's rules judge it: shell runs it, templates must match
 * it, force replaces it. SSH_ORIGINAL_COMMAND is what was replaced last: the client's command, or
 * the key's where the tenant has force.
 *
 * Nothing asked for is a plain login: the tenant's shell runs by itself, if a terminal is allowed
 * (terminal_rule.h), whether or not one was asked for.
 */
void decide(const struct decide_request *request, struct decision *out);
void decision_free(struct decision *decision);

#endif
