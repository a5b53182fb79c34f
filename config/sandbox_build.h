/*
 * sandbox_build.h - inside sandboxes.c: one [sandbox] section while it is being built, and the
 * setters of its paths (sandbox_paths.c), as schema_key.set.
 */
#ifndef POSTERN_CONFIG_SANDBOX_BUILD_H
#define POSTERN_CONFIG_SANDBOX_BUILD_H

#include "places.h"
#include "schema.h"

struct sandbox_build {
    struct sandbox_spec spec;
    struct sandbox_places *places;
    const char *profile;
    struct origin profile_at;
};

/* The target of a setter is a struct sandbox_build. */
static inline struct sandbox_spec *sandbox_spec_of(void *target)
{
    return &((struct sandbox_build *)target)->spec;
}

int sandbox_set_root(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);
int sandbox_set_read(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);
int sandbox_set_write(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err);
int sandbox_set_hide(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);
int sandbox_set_workspace(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err);
int sandbox_set_home(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err);

/* A section that begins as a copy of its parent gets lists of its own: they must not grow into the
 * parent's. */
int sandbox_copy_lists(struct loader *l, struct sandbox_build *b, const struct schema *schema);

#endif
