/*
 * postern tenant - tenants without a policy language to learn: files that are judged before they
 * are put in place.
 */
#include "tenant.h"
#include "cleanup.h"

static const struct cli_command *const verbs[] = {
    &tenant_add_command,    &tenant_list_command,   &tenant_disable_command,
    &tenant_enable_command, &tenant_remove_command, &tenant_templates_command,
};

static int tenant_run(struct cli *cli)
{
    return run_verb(cli, verbs, array_len(verbs));
}

const struct cli_command tenant_command = {
    .name = "tenant",
    .synopsis = "add|list|disable|enable|remove|templates [ARGUMENT...]",
    .summary = "Add, list, disable and remove tenants: see 'postern tenant --help'",
    .run = tenant_run,
};
