/*
 * tenant_build.h - a tenant while it is being put together from its section, its parents' and
 * [defaults].
 */
#ifndef POSTERN_CONFIG_TENANT_BUILD_H
#define POSTERN_CONFIG_TENANT_BUILD_H

#include "loader.h"

struct key_ref {
    const char *path; /* absolute, or relative as the policy file's own path is */
    struct origin origin;
};

struct tenant_build {
    struct tenant t; /* without a name: [defaults] */
    struct origin *places;
    struct key_ref *key_refs;
    size_t n_key_refs;
    const char *sandbox;
    struct origin sandbox_at;
    struct origin shell_at;
    struct origin force_at;
    struct origin auth_at;
    bool has_uid; /* uid = was given here; not inherited */
    struct origin uid_at;
    struct origin run_as_at; /* of t.run_as, if that isn't NULL */
    /* Of this section alone; they take the place of inherited ones with the same name. */
    struct str_list own_env;
    struct subsystem *own_subsystems;
    size_t n_own_subsystems;
};

/* Setters of schema_key.set; their target is a struct tenant_build. */
int tenant_set_shell(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);
int tenant_set_force(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);
int tenant_set_command(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err);
int tenant_set_subsystem(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err);
int tenant_set_accept_env(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err);
int tenant_set_env(struct loader *l, void *target, const struct origin *at, const char *value,
                   struct err *err);

/* What was inherited, but for what the section sets itself, and then its own. -1: no memory. */
int tenant_merge_env(struct loader *l, struct tenant_build *b);
int tenant_merge_subsystems(struct loader *l, struct tenant_build *b);

/*
 * Reads the key files that the builds refer to, each once, and gives the tenants their keys. -1: no
 * memory.
 */
int tenant_keys_load(struct loader *l, struct tenant_build *builds, size_t n);

/*
 * Gives every tenant its uid: the one it asks for, that of the user it runs as, the one that the
 * record holds for it, or else a free one of uid-range, at a place that follows from its name; the
 * record's new lines are policy.claims. `builds` are in the order of their names. -1: no memory.
 */
int uids_assign(struct loader *l, struct tenant_build *builds, size_t n);

/*
 * Lists the logins that need no key, and complains of those that are not one tenant's alone.
 * `builds` are parallel to policy.tenants. -1: no memory.
 */
int open_logins_build(struct loader *l, const struct tenant_build *builds, size_t n);

#endif
