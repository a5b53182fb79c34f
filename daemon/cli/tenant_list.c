/*
 * postern tenant list - who there is, also those that are disabled.
 */
#include "cleanup.h"
#include "problems.h"
#include "style.h"
#include "tenant.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { SHOWN_MAX = 400 };

/* One row. */
struct row {
    const char *name, *login, *sandbox, *state, *file;
    char keys[24];
    unsigned line;
};

static void add_row(struct table *table, json_t *array, const struct row *row)
{
    char shown[SHOWN_MAX];
    if (array != NULL) {
        json_t *one = doc_push(array, json_object());
        doc_text(one, "name", row->name);
        doc_text(one, "login", row->login);
        doc_text(one, "keys", row->keys[0] != '\0' ? row->keys : NULL);
        doc_text(one, "sandbox", row->sandbox);
        doc_text(one, "state", row->state);
        doc_place(one, row->file, row->line);
        return;
    }
    const char *const cells[] = {row->name, row->login != NULL ? row->login : "-",
                                 row->keys[0] != '\0' ? row->keys : "-",
                                 row->sandbox != NULL ? row->sandbox : "-", row->state};
    enum style style = strcmp(row->state, "enabled") == 0 ? STYLE_PLAIN : STYLE_FAINT;
    for (size_t i = 0; i < array_len(cells); i++)
        table_add(table, style, "%s", text_escape_str(shown, sizeof shown, cells[i]));
    text_escape_str(shown, sizeof shown, row->file);
    if (row->line > 0)
        table_add(table, style, "%s:%u", shown, row->line);
    else
        table_add(table, style, "%s", shown);
}

static void add_tenant(struct table *table, json_t *array, const struct policy *policy,
                       const struct tenant *t)
{
    bool is_open = t->auth == AUTH_NONE;
    struct row row = {.name = t->name,
                      .login = t->user,
                      .sandbox = policy->sandboxes[t->sandbox].name,
                      .state = is_open || t->n_keys > 0 ? "enabled" : "no keys",
                      .file = t->origin.file,
                      .line = t->origin.line};
    if (is_open)
        (void)snprintf(row.keys, sizeof row.keys, "none needed");
    else
        (void)snprintf(row.keys, sizeof row.keys, "%zu", t->n_keys);
    add_row(table, array, &row);
}

/* Adds those whose files have been put aside. */
static int add_disabled(struct table *table, json_t *array, const char *dir)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    int status = EX_OK;
    for (int i = 0; i < n; i++) {
        char name[64];
        cleanup_free char *path = NULL;
        if (!tenant_is_disabled_file(entries[i]->d_name, name, sizeof name)) {
            free(entries[i]);
            continue;
        }
        if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
            path = NULL;
            status = EX_OSERR;
        } else {
            const struct row row = {.name = name, .state = "disabled", .file = path};
            add_row(table, array, &row);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int list_run(struct cli *cli)
{
    struct sources sources;
    struct table table = {.columns = 6};
    static const char *const titles[] = {"TENANT", "LOGIN", "KEYS", "SANDBOX", "STATE", "FILE"};
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 0)
        return cli_usage_error(cli, "takes no arguments");
    int status = sources_find(cli, NULL, 0, &sources);
    struct policy *policy =
        status == EX_OK ? sources_load(cli, &sources, false, NULL, &status) : NULL;
    if (policy != NULL) {
        json_t *doc = cli->json ? doc_new(cli->command->name) : NULL;
        json_t *array = doc != NULL ? doc_array(doc, "tenants") : NULL;
        for (size_t i = 0; i < array_len(titles) && !cli->json; i++)
            table_add(&table, STYLE_HEADING, "%s", titles[i]);
        for (size_t i = 0; i < policy->n_tenants; i++)
            add_tenant(&table, array, policy, &policy->tenants[i]);
        status = add_disabled(&table, array, sources.dirs[0]);
        if (!cli->json && table.n == array_len(titles))
            fputs("postern: there is no tenant: 'postern tenant add --help' tells how to add one\n",
                  stderr);
        int printed = doc != NULL ? doc_print(doc) : table_print(&table, stdout);
        status = status != EX_OK ? status : printed;
    }
    policy_free(policy);
    sources_free(&sources);
    return status;
}

const struct cli_command tenant_list_command = {
    .name = "tenant list",
    .synopsis = "",
    .summary = "List all tenants: login, number of keys, sandbox, state and place",
    .run = list_run,
};
