/*
 * cgroups.h - the part of the cgroup tree that is ours: the daemon in one leaf of it, and in one
 * node per tenant a leaf for each exec. The master alone makes, limits and removes them.
 *
 *     ROOT                 delegated to us, or named by [server] cgroup =
 *     ├─ daemon            master, zygotes, sessions, spawners
 *     └─ tenant-NAME       memory-total, tasks-total, cpu-total
 *        └─ EXEC-ID        what the sandbox says of memory, tasks, cpu …
 */
#ifndef POSTERN_DAEMON_MASTER_CGROUPS_H
#define POSTERN_DAEMON_MASTER_CGROUPS_H

#include "host_limits.h"
#include "server.h"

struct leaf;
struct state;

/* What there is for execs; root is -1 where there is nothing, and limits says why. */
struct cgroups {
    int root;
    char *named; /* as the configuration has it, or NULL */
    struct host_limits limits;
    struct leaf *dying; /* list: being removed */
};

/*
 * Takes the subtree over: moves this process there, hands the controllers on and removes what a
 * crashed run has left. That there is no subtree is an error only if the configuration names one
 * and its limits are required. Returns 0, or -1 with err.
 */
int cgroups_open(struct server *server, const struct server_config *config, struct err *err);
/* Removes what is left of execs, with some patience, and lets go of the subtree. */
void cgroups_close(struct server *server);

/* All of it (state.h), with the leaves that are being removed. */
void cgroups_carry(struct state *state, struct server *server);

/* Whether a new configuration names the same subtree. */
bool cgroups_match(const struct server *server, const struct server_config *config);

/* Whose node it is, below the root; NULL: nobody's any more. */
const struct tenant *cgroups_find_tenant(const struct policy *policy, const char *name);

/* What the tree of a tenant's execs is called. Returns 0, or -1 with err. */
int cgroups_tenant_name(const char *tenant, char name[CGROUP_NAME_MAX], struct err *err);

/*
 * Logs which limits of a policy this host can't keep. Returns 0, or -1 with err if they are
 * required.
 */
int cgroups_judge(const struct server *server, const struct policy *policy, struct err *err);

#endif
