/*
 * leaf.h - the cgroup of one exec, from before its first process to after its last.
 */
#ifndef POSTERN_DAEMON_MASTER_LEAF_H
#define POSTERN_DAEMON_MASTER_LEAF_H

#include "cgroups.h"

/*
 * Makes the leaf of an exec of such a sandbox, with the limits that are in force for it (memory in
 * bytes), in the node of its tenant, which is made if need be. *out is NULL, and that is success,
 * where the server has no cgroups. Returns 0, or -1 with err and nothing left behind.
 */
int leaf_make(struct server *server, const struct tenant *tenant, const struct sandbox_spec *spec,
              uint64_t memory, const char *name, struct leaf **out, struct err *err);

/* From now on it is that exec's, and note.h tells when its limit of tasks is reached. NULL is fine.
 */
void leaf_watch(struct leaf *leaf, struct exec *exec);

/*
 * Makes a leaf that nothing runs in. While it is there the node stays, and what ended execs have
 * left in memory counts for the tenant's total; it goes by leaf_end(), with pidfd -1.
 */
int leaf_hold(struct server *server, const struct tenant *tenant, const char *name,
              struct leaf **out, struct err *err);

/* The leaf's directory, for the spawner; -1 for NULL. Borrowed. */
int leaf_fd(const struct leaf *leaf);

/* What egress.h calls it; 0 for NULL. */
uint64_t leaf_id(const struct leaf *leaf);

/* What was used in it so far. *total_full: memory-total of the tenant could not be met meanwhile.
 * Returns false, and nothing, for NULL. */
bool leaf_usage(const struct leaf *leaf, struct cgroup_usage *usage, bool *total_full);

/*
 * Kills what still runs in it, and removes it as soon as the last process has gone; takes over the
 * leaf and `pidfd` (-1: there never was a worker, or it is gone). NULL only closes the pidfd.
 */
void leaf_end(struct leaf *leaf, int pidfd);

/* The leaf of an exec, or one that is held (exec is NULL); or NULL (state.h). */
void leaf_carry(struct state *state, struct server *server, struct exec *exec, struct leaf **leaf);
/* Those that are being removed. */
void leaf_carry_dying(struct state *state, struct server *server);

/* One more try of every removal that is due; whether all are done. For the very end. */
bool leaf_remove_dying(struct cgroups *cgroups);
/* Forgets the rest. */
void leaf_forget_dying(struct cgroups *cgroups);

#endif
