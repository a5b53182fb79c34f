/*
 * etc.h - the synthetic /etc of a template. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_ETC_H
#define POSTERN_SANDBOX_ETC_H

#include "err.h"
#include "spec.h"

#include <stdbool.h>

enum { ETC_BINDS_MAX = 16 };

/* What is bound rather than copied: opened on the host before the tree is built. */
struct etc {
    struct {
        char path[64]; /* relative to the root, the same on the host */
        int tree;
    } binds[ETC_BINDS_MAX];
    size_t n_binds;
};

/* Opens the host's directories that belong into /etc. etc_close() is due either way. */
int etc_open(struct etc *etc, struct err *err);
void etc_close(struct etc *etc);

/*
 * Makes /etc of the host in the tree `root`, while its files are still in sight. passwd and group
 * are links into /run, where each exec finds its own tenant alone.
 */
int etc_build(const struct etc *etc, int root, const struct sandbox_spec *spec, struct err *err);

/* Whether "etc/…" is ours in every sandbox, wherever the rest of its /etc comes from. */
bool etc_is_own(const char *path);

/* Makes those in an /etc that has all the rest, and what no system is without. */
int etc_complete(int root, const struct sandbox_spec *spec, struct err *err);

#endif
