/*
 * postern tenant - tenants without a policy language to learn: files that are judged before they
 * are put in place.
 */
#include "tenant.h"
#include "cleanup.h"

static const struct cli_command *const verbs[] = {
    &tenant_add_command,
    &tenant_templates_command,
};

static int tenant_run(struct cli *cli)
{
    return run_verb(cli, verbs, array_len(verbs));
}

const struct cli_command tenant_command = {
    .name = "tenant",
    .synopsis = "add|templates [ARGUMENT...]",
    .summary = "Add tenants without writing policy: see 'postern tenant --help'",
    .run = tenant_run,
};
