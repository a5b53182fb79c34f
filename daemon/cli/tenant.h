/*
 * tenant.h - what the subcommands of `postern tenant` and `postern key` share.
 */
#ifndef POSTERN_DAEMON_CLI_TENANT_H
#define POSTERN_DAEMON_CLI_TENANT_H

#include "cli.h"
#include "drop_in.h"

extern const struct cli_command tenant_add_command, tenant_list_command, tenant_disable_command,
    tenant_enable_command, tenant_remove_command, tenant_templates_command, key_add_command,
    key_remove_command, key_list_command;

/* Files of the tenant that `postern tenant add` writes, below policy.d: printf formats. */
#define TENANT_FILE "tenant-%s.ini"
#define TENANT_KEYS "keys/%s"

/* What all that change something know. */
struct change_options {
    bool dry_run, no_reload;
};
enum { ID_DRY_RUN = 50, ID_NO_RELOAD };
#define CHANGE_OPTIONS                                                                             \
    {"dry-run", NULL, "judge it and change nothing", ID_DRY_RUN, false},                           \
    {                                                                                              \
        "no-reload", NULL, "don't ask the server to load it", ID_NO_RELOAD, false                  \
    }
/* Takes one of them; false: it is none. */
bool change_option(struct change_options *options, int id);

/* Runs the verb that argv[1] names, as a subcommand of its own. */
int run_verb(struct cli *cli, const struct cli_command *const *verbs, size_t n);

/* Whether this can be a tenant's, and a file's; else that has been said. Returns an exit status. */
int tenant_check_name(const struct cli *cli, const char *name);

/* Whether a file of policy.d is that of a disabled tenant, and whose: `name` has room for 64 bytes.
 */
bool tenant_is_disabled_file(const char *file, char *name, size_t cap);

/* The workspace of a tenant that the policy calls `path`; malloc'd, or NULL: out of memory. */
char *tenant_workspace(const char *path, const char *tenant);

/* "postern: there is no tenant ...", and what was meant. Returns EX_DATAERR. */
int tenant_unknown(const struct policy *policy, const char *name);

/* A change that has been judged. */
struct change {
    const struct cli *cli;
    struct drop_in *drop_in;
    struct change_options options;
    const struct policy *before, *after;
    struct diags *diags; /* what the host's judge warns of */
    json_t *doc;         /* to be printed, and freed; NULL: text */
    void (*headline)(
        const void *user); /* prints what the text begins with, if nothing is refused */
    const void *user;
};

/*
 * Makes it, unless that was not wished, has the server load it, and tells warnings and what was
 * done. If the server refuses it, what was added is taken back. Returns an exit status.
 */
int change_finish(const struct change *change);

#endif
