/*
 * loader.h - what the parts of policy_load() share.
 */
#ifndef POSTERN_CONFIG_LOADER_H
#define POSTERN_CONFIG_LOADER_H

#include "diag.h"
#include "ini_file.h"
#include "policy.h"
#include "pool.h"
#include "strmap.h"

#define NO_PARENT SIZE_MAX

enum { CHAIN_MAX = 16 }; /* extends of extends … */

struct section_node {
    const struct ini_section *section;
    size_t parent; /* index of a node, or NO_PARENT */
};

/* The named sections of one type (sections.h). */
struct section_set {
    const char *type;
    struct section_node *nodes;
    size_t n;
    size_t *order; /* all nodes, parents before children */
    struct strmap names;
};

struct loader {
    const struct policy_host *host;
    struct policy *policy;
    struct pool *pool;   /* the policy's: lives as long as it */
    struct pool scratch; /* gone when loading ends */
    struct diags *diags;
    const char *config_path;      /* where problems of the configuration as a whole are told */
    struct ini_doc doc;           /* every section of every file */
    struct section_set sandboxes; /* its nodes are parallel to policy.sandboxes */
    struct section_set tenants;
    bool is_whole;  /* everything was read, and built as far as it was right */
    size_t guesses; /* how often it was guessed what a wrong name should have been */
};

/* Adds err's text as a problem at that place. */
void loader_complain(struct loader *l, const struct origin *at, const char *hint,
                     const struct err *err);
/* Whether there may be one guess more at what a wrong name should have been. */
bool loader_may_guess(struct loader *l);
/* `path` as the file at `at` means it: relative to the directory of that file. In l->scratch; NULL
 * if memory ran out. */
const char *loader_path(struct loader *l, const struct origin *at, const char *path);
/* Of a file that could not be read: what helps if it is somebody else's; or NULL. */
const char *loader_owner_hint(const struct err *err);
/* A path that lives as long as the policy, for origins; NULL if memory ran out. */
const char *loader_intern_file(struct loader *l, const char *path);

/*
 * The steps of policy_load(), in this order. Each adds to l->diags what is wrong and goes on; -1
 * only if memory ran out.
 */
int server_build(struct loader *l);       /* [server] → policy.server */
int sandboxes_build(struct loader *l);    /* [sandbox], [seccomp], [group] → policy.sandboxes */
int tenants_build(struct loader *l);      /* [defaults], [tenant], key files → policy.tenants */
int policy_tests_build(struct loader *l); /* [test] → policy.tests */
int effective_build(struct loader *l); /* all of them → policy.shown; of a policy without errors */

#endif
