/*
 * host_limits.h - which limits of a policy this host can keep: those that cgroup v2 alone can, and
 * what stands in for them where it can't.
 */
#ifndef POSTERN_DAEMON_HOST_LIMITS_H
#define POSTERN_DAEMON_HOST_LIMITS_H

#include "cgroup.h"
#include "policy.h"

#include <limits.h>

/* Below the root that is the daemon's: where the daemon itself runs. */
#define HOST_DAEMON_CGROUP "daemon"

struct host_limits {
    unsigned controllers; /* of enum cgroup_controller, that execs can be limited by */
    char why[128];        /* why there are no more; "" if all are there */
    char remedy[96];      /* what to do about it */
    bool no_cgroup;       /* there is none to run execs in, as `why` says */
    bool unusable;        /* `cgroup` in [server] names what can't be one of ours */
};

/* Where cgroup v2 is mounted, all of it. Returns 0, or -1 with err. */
int host_cgroup_mount(char path[PATH_MAX], struct err *err);

/* Opens a directory of cgroup v2, and of no other file system. Returns 0 and owns *fd (CLOEXEC), or
 * -1 with err. */
int host_cgroup_open(const char *path, int *fd, struct err *err);

/* Fills `why` and `remedy` for what of `controllers` is missing in the cgroup at `path`. */
void host_limits_explain(struct host_limits *limits, const char *path);

/*
 * What a server with this configuration could use, found without changing anything. Whether systemd
 * will hand a cgroup to it can't be seen from outside: only a start shows that.
 */
void host_limits_probe(const struct server_config *config, struct host_limits *out);

/*
 * Adds an error to `diags` for each setting of the policy that the host can't keep, at its place;
 * or, with [server] limits = best-effort, a warning of what is kept instead. Returns the number of
 * errors. The policy may be one that has errors (policy_source.judge).
 */
size_t host_limits_judge(const struct policy *policy, const struct host_limits *host,
                         struct diags *diags);

/* The part of it that best-effort changes nothing about: network = egress without a cgroup. */
size_t host_limits_judge_egress(const struct policy *policy, const struct host_limits *host,
                                struct diags *diags);

#endif
