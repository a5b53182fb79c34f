/*
 * postern key - the keys that tenants log in with.
 */
#include "cleanup.h"
#include "problems.h"
#include "show_keys.h"
#include "style.h"
#include "tenant.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct cli_command *const verbs[] = {
    &key_add_command,
    &key_remove_command,
    &key_list_command,
};

static int key_run(struct cli *cli)
{
    return run_verb(cli, verbs, array_len(verbs));
}

const struct cli_command key_command = {
    .name = "key",
    .synopsis = "add|remove|list [ARGUMENT...]",
    .summary = "Add, remove and list the keys of tenants: see 'postern key --help'",
    .run = key_run,
};

static void add_rows(struct table *table, const struct tenant *tenant)
{
    for (size_t i = 0; i < tenant->n_keys; i++) {
        const struct policy_key *key = &tenant->keys[i];
        char shown[400], options[1024];
        table_add(table, STYLE_PLAIN, "%s", tenant->name);
        table_add(table, STYLE_PLAIN, "%s", key->fingerprint);
        table_add(table, STYLE_PLAIN, "%s", key->type);
        table_add(table, STYLE_PLAIN, "%s", text_escape_str(shown, sizeof shown, key->comment));
        table_add(table, STYLE_PLAIN, "%s:%u",
                  text_escape_str(shown, sizeof shown, key->origin.file), key->origin.line);
        if (show_keys_options(key, options, sizeof options) > 0)
            table_note(table, STYLE_FAINT, "%s", options);
    }
}

static int print_table(const struct policy *policy, const char *name)
{
    static const char *const titles[] = {"TENANT", "FINGERPRINT", "TYPE", "COMMENT", "FILE"};
    struct table table = {.columns = array_len(titles)};
    for (size_t i = 0; i < array_len(titles); i++)
        table_add(&table, STYLE_HEADING, "%s", titles[i]);
    for (size_t i = 0; i < policy->n_tenants; i++)
        if (name == NULL || strcmp(policy->tenants[i].name, name) == 0)
            add_rows(&table, &policy->tenants[i]);
    return table_print(&table, stdout);
}

static int print_document(const struct cli *cli, const struct policy *policy, const char *name)
{
    json_t *doc = doc_new(cli->command->name);
    json_t *tenants = doc_array(doc, "tenants");
    for (size_t i = 0; i < policy->n_tenants; i++) {
        if (name != NULL && strcmp(policy->tenants[i].name, name) != 0)
            continue;
        json_t *one = doc_push(tenants, json_object());
        doc_text(one, "name", policy->tenants[i].name);
        show_keys_put(one, &policy->tenants[i]);
    }
    return doc_print(doc);
}

static int list_run(struct cli *cli)
{
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 1)
        return cli_usage_error(cli, "takes one tenant");
    int status = EX_OK;
    const char *name = cli->n_words > 0 ? cli->words[0] : NULL;
    struct policy *policy = sources_load_system(cli, false, &status);
    if (policy == NULL)
        return status;
    if (name != NULL && policy_find_tenant(policy, name) == NULL)
        status = tenant_unknown(policy, name);
    else
        status = cli->json ? print_document(cli, policy, name) : print_table(policy, name);
    policy_free(policy);
    return status;
}

const struct cli_command key_list_command = {
    .name = "key list",
    .synopsis = "[TENANT]",
    .summary = "List keys, with their options and places",
    .run = list_run,
};
