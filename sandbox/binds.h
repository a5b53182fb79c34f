/*
 * binds.h - what a policy adds to the tree of a template, and what it takes away: read =, write =,
 * hide =. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_BINDS_H
#define POSTERN_SANDBOX_BINDS_H

#include "err.h"
#include "spec.h"

struct bind;

struct binds {
    struct bind *items; /* outer places first */
    size_t n;
};

/*
 * Opens the sources on the host, before anything is mounted. binds_close() is due either way. All
 * functions return 0, or -1 with err, which quotes the policy's line.
 */
int binds_open(const struct sandbox_spec *spec, struct binds *binds, struct err *err);
void binds_close(struct binds *binds);

/* Mounts them in the tree `root`. */
int binds_attach(struct binds *binds, int root, struct err *err);

/* Covers what is to be hidden, when all else is in its place. It must exist. */
int binds_hide(const struct sandbox_spec *spec, int root, struct err *err);

/*
 * Covers it again where the host has put something else in its place, which takes the cover away:
 * a package manager or an editor that renames a new file over the old one. To be called in the
 * namespace of the template. What is there no more has nothing to hide.
 */
int binds_hide_again(const struct sandbox_spec *spec, struct err *err);

#endif
