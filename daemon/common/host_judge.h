/*
 * host_judge.h - what is wrong with a policy on this host, beside what is wrong with its text:
 * limits that can't be kept, files that aren't there, sandboxes that can't be made, what [server]
 * names. `postern check`, `posternd -t`, a start and a reload all judge by this, so that what one
 * of them accepts the others do.
 */
#ifndef POSTERN_DAEMON_HOST_JUDGE_H
#define POSTERN_DAEMON_HOST_JUDGE_H

#include "host_limits.h"
#include "policy.h"

struct host_judge {
    /* What a server that runs has found out about its limits; NULL: what one could have. */
    const struct host_limits *limits;
    bool quiet_limits; /* no warnings of limits that are kept in another way */
    bool no_server;    /* there is no configuration: nothing is asked of what [server] names */
    /* Whether a host key could be used (host_key_try.h); NULL: that is left to the signer. */
    int (*try_host_key)(void *tries, int fd, const char *name, struct err *err);
    void *tries;
    /* Found: */
    bool no_root; /* root alone could have looked at all of it */
    bool untried; /* sandboxes can't be made by us, nor what that would show be seen */
    int code;     /* sysexits.h: if nothing but [server] is in error; else 0 */
};

/* For policy_source.judge; `judge` is a struct host_judge. Safe in threads. */
void host_judge(void *judge, const struct policy *policy, struct diags *diags);

/* What it could not look at, and why, or NULL. */
const char *host_judge_unseen(const struct host_judge *judge);

/*
 * The parts. Each adds errors to `diags`, at the places of the settings.
 */

/* Adds an error that a sandbox's setting is to blame for, once: sections inherit. */
void host_judge_add(struct diags *diags, const struct sandbox_spec *spec, const struct origin *at,
                    const char *hint, const char *text);

/* Paths of sandboxes that don't exist. */
void host_paths_judge(const struct policy *policy, struct diags *diags);

/* The same, and all that shows when the sandboxes are made; needs root. Does it in a process of its
 * own, which may hang or die. False if we lack the right to make them. */
bool host_trial_judge(const struct policy *policy, struct diags *diags);

/* What [server] names: needs root. Returns the sysexits code of the first error, or 0. */
int host_server_judge(const struct host_judge *judge, const struct policy *policy,
                      struct diags *diags);

#endif
