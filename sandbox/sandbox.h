/*
 * sandbox.h - building, entering and supervising one sandbox.
 *
 * The spawner calls sandbox_prepare() once per [sandbox] section of a generation and
 * sandbox_spawn() once per exec. Both need root and a single-threaded process.
 */
#ifndef POSTERN_SANDBOX_SANDBOX_H
#define POSTERN_SANDBOX_SANDBOX_H

#include "egress.h"
#include "err.h"
#include "spec.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One prepared sandbox: a mount namespace to be copied for each exec, and a compiled filter. */
struct sandbox_template {
    const struct sandbox_spec *spec; /* borrowed */
    int mnt_ns;                      /* the template's mount namespace, an nsfs fd */
    int host_ns;                /* the one it was prepared in, if a workspace needs it; or -1 */
    int kept_in;                /* WORKSPACE_KEPT: the directory of the workspaces; or -1 */
    struct sock_filter *filter; /* the exported BPF program */
    unsigned short filter_len;
    struct egress *egress; /* NETWORK_EGRESS: its programs, else NULL */
};

/* A terminal as the client has it; 0 where it doesn't say. */
struct terminal_spec {
    uint16_t columns, rows, x_pixels, y_pixels;
    const unsigned char *modes; /* as RFC 4254 §8 encodes them */
    size_t modes_len;
};

/* What a sandbox is built for, but for the command itself, which its worker is told (order.h). */
struct sandbox_job {
    const char *user_name; /* for passwd, group; never a path */
    uid_t uid;             /* not root's, nor is gid */
    gid_t gid;             /* and no other groups */
    uint32_t project;      /* that quotas of a kept workspace are counted by */
    int report_fd;         /* borrowed; SOCK_SEQPACKET end for report.h and the order */
    int shared;            /* borrowed; WORKSPACE_CONNECTION: from sandbox_share() */
    bool in_network;       /* NETWORK_NONE: the caller is in an empty one for it (netns.h) */
    bool has_cgroup;       /* it runs in a cgroup of its own, as NETWORK_EGRESS must: */
    int cgroup;            /* borrowed; its directory, with the limits already in force */
    unsigned controllers;  /* that keep them (cgroup.h); rlimits stand in for others */
    uint64_t memory;       /* bytes, less than the spec has; or that, or 0: the spec's */
    uint64_t memory_total; /* of all jobs of this uid; SPEC_INFINITY or 0: any */
    uint64_t tasks_total;  /* of all jobs of this uid, where CGROUP_PIDS isn't; 0: any number */

    /* The job may make terminals; one that the client has asked for is its fds 0, 1 and 2. */
    bool ptys;
    const struct terminal_spec *terminal; /* or NULL; with ptys only */
};

/*
 * Builds the mount namespace, the filter and, for NETWORK_EGRESS, the programs of `spec`; these
 * tell refusals by `maps`, which is borrowed as long as `out` lives (egress.h; NULL: to nobody).
 * The caller's own mount namespace is not changed. `out` is valid until sandbox_template_free().
 * Returns 0, or -1 with `err` naming the step and, if one is to blame, the setting; nothing is left
 * behind then.
 */
int sandbox_prepare(const struct sandbox_spec *spec, struct egress_maps *maps,
                    struct sandbox_template *out, struct err *err);
void sandbox_template_free(struct sandbox_template *tpl);

/*
 * WORKSPACE_CONNECTION: makes an empty workspace for `owner`, to be given to each job that shares
 * it; under templates of other generations, too. It is gone when the last copy of *fd (CLOEXEC, the
 * caller's) is closed and the last job in it has ended. The caller ends up in the host's mount
 * namespace. Returns 0, or -1 with err.
 */
int sandbox_share(const struct sandbox_template *tpl, uid_t owner, gid_t group, int *fd,
                  struct err *err);

/*
 * Starts the worker, pid 1 of a new sandbox, which builds what is private to it, awaits its order
 * on job->report_fd (order.h) and runs that; how it went is told there alone (report.h). The caller
 * ends up in the template's mount namespace (setns(2)) and with an empty capability bounding set,
 * and is the parent that must reap *pid: the worker dies with it. Returns 0 and owns *pidfd and, of
 * a job with a terminal, *terminal, its outer side (both CLOEXEC); or -1. `terminal` may be NULL
 * where there is none.
 */
int sandbox_spawn(const struct sandbox_template *tpl, const struct sandbox_job *job, pid_t *pid,
                  int *pidfd, int *terminal, struct err *err);

#endif
