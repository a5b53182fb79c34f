/*
 * learn_tree.h - the sandbox in which a command is watched: a real one, that shows besides whatever
 * a policy could show.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_TREE_H
#define POSTERN_DAEMON_CLI_LEARN_TREE_H

#include "policy.h"

struct learn_tree {
    struct sandbox_spec spec;
    struct sandbox_bind *binds; /* spec.writes: the base's, then n_added that are not in the base */
    size_t n_added;
};

/*
 * Begins with `base`, the spec that the policy is going to extend, and adds all of the host that it
 * lacks, as writable as it is there; every call that `profile` knows is allowed but those
 * that would go unseen. Needs root. Returns 0, or -1 with err. `out` borrows from base and
 * profile; learn_tree_free() is due either way.
 */
int learn_tree_make(const struct sandbox_spec *base, const struct seccomp_spec *profile,
                    struct learn_tree *out, struct err *err);
void learn_tree_free(struct learn_tree *tree);

/* Whether a path inside is there without the tree's additions. `tree` is a struct learn_tree. */
bool learn_tree_gives(void *tree, const char *path);

#endif
