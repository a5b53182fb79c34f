/*
 * postern self-test - what a command of a tenant could reach, tried in the tenant's own sandbox.
 */
#include "self_test.h"
#include "cleanup.h"
#include "cli.h"
#include "doc.h"
#include "host_limits.h"
#include "sources.h"
#include "style.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { ID_TENANT = 1, ID_PROBE };

static const char *const groups[] = {"files", "processes", "network", "kernel interfaces",
                                     "limits"};

struct totals {
    size_t n[SELF_TEST_OPEN + 1];
};

static struct totals count(const struct self_test_rows *rows)
{
    struct totals totals = {{0}};
    for (size_t i = 0; i < rows->n; i++)
        totals.n[rows->items[i].result]++;
    return totals;
}

static void add_row(struct table *table, const struct self_test_row *row)
{
    static const struct {
        enum style style;
        const char *word;
    } shown[] = {
        [SELF_TEST_REFUSED] = {STYLE_GOOD, "refused"},
        [SELF_TEST_KILLED] = {STYLE_GOOD, "refused, and the command is ended for it"},
        [SELF_TEST_UNTRIED] = {STYLE_WARNING, "not tried"},
        [SELF_TEST_BY_POLICY] = {STYLE_WARNING, "open by policy"},
        [SELF_TEST_OPEN] = {STYLE_BAD, "OPEN"},
    };
    table_add(table, STYLE_PLAIN, "  %s", row->name);
    table_add(table, STYLE_PLAIN, "%s", row->text);
    if (row->result == SELF_TEST_BY_POLICY)
        table_add(table, shown[row->result].style, "open (by policy: %s)", row->line);
    else if (row->why[0] != '\0')
        table_add(table, shown[row->result].style, "%s: %s", shown[row->result].word, row->why);
    else
        table_add(table, shown[row->result].style, "%s", shown[row->result].word);
}

static int print_group(const struct self_test_rows *rows, const char *group)
{
    struct table table = {.columns = 3};
    printf("%s%s%s\n", style_begin(stdout, STYLE_HEADING), group, style_end(stdout));
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(rows->items[i].group, group) == 0)
            add_row(&table, &rows->items[i]);
    return table_print(&table, stdout);
}

/* What only the running server puts around a command. */
static void note_of(const struct policy *policy, char *buf, size_t len)
{
    struct host_limits limits;
    host_limits_probe(&policy->server, &limits);
    (void)snprintf(buf, len,
                   limits.controllers != 0
                       ? "limits that a cgroup keeps are the server's to set, and not in this test"
                       : "this host has no cgroup v2 controllers: limits that need them can't be "
                         "kept, and aren't in this test ('postern doctor' says more)");
}

static int print_table(const struct policy *policy, const struct tenant *tenant,
                       const struct self_test_rows *rows, const struct totals *totals,
                       const char *note)
{
    int status = EX_OK;
    printf("tenant %s, uid %u, sandbox \"%s\" (%s:%u)\n", tenant->name, tenant->uid,
           policy->sandboxes[tenant->sandbox].name, policy->sandboxes[tenant->sandbox].file,
           policy->sandboxes[tenant->sandbox].line);
    for (size_t i = 0; i < array_len(groups) && status == EX_OK; i++)
        status = print_group(rows, groups[i]);
    printf("note: %s\n", note);
    bool bad = totals->n[SELF_TEST_OPEN] > 0;
    printf("%s%zu refused, %zu open by policy, %zu not tried, %zu OPEN%s\n",
           style_begin(stdout, bad ? STYLE_BAD : STYLE_GOOD),
           totals->n[SELF_TEST_REFUSED] + totals->n[SELF_TEST_KILLED],
           totals->n[SELF_TEST_BY_POLICY], totals->n[SELF_TEST_UNTRIED], totals->n[SELF_TEST_OPEN],
           style_end(stdout));
    return status;
}

static int print_document(const struct policy *policy, const struct tenant *tenant,
                          const struct self_test_rows *rows, const struct totals *totals,
                          const char *note)
{
    static const char *const results[] = {[SELF_TEST_REFUSED] = "refused",
                                          [SELF_TEST_KILLED] = "killed",
                                          [SELF_TEST_UNTRIED] = "untried",
                                          [SELF_TEST_BY_POLICY] = "policy",
                                          [SELF_TEST_OPEN] = "open"};
    json_t *doc = doc_new("self-test");
    doc_bool(doc, "ok", totals->n[SELF_TEST_OPEN] == 0);
    doc_text(doc, "tenant", tenant->name);
    doc_uint(doc, "uid", tenant->uid);
    doc_text(doc, "sandbox", policy->sandboxes[tenant->sandbox].name);
    json_t *list = doc_array(doc, "properties");
    for (size_t i = 0; i < rows->n; i++) {
        const struct self_test_row *row = &rows->items[i];
        json_t *one = doc_push(list, json_object());
        doc_text(one, "group", row->group);
        doc_text(one, "name", row->name);
        doc_text(one, "text", row->text);
        doc_text(one, "result", results[row->result]);
        doc_text(one, "found", row->why[0] != '\0' ? row->why : NULL);
        doc_text(one, "policy", row->line[0] != '\0' ? row->line : NULL);
    }
    for (size_t i = 0; i < array_len(results); i++)
        doc_uint(doc, results[i], totals->n[i]);
    doc_text(doc, "note", note);
    return doc_print(doc);
}

/* It is installed beside the program of the sessions. */
static char *find_probe(const struct policy *policy, const char *given)
{
    static const char name[] = "postern-probe";
    const char *session = policy->server.session_path;
    const char *slash = strrchr(session, '/');
    char *path = NULL;
    if (given != NULL)
        return strdup(given);
    int dir = slash != NULL ? (int)(slash - session) + 1 : 0;
    return asprintf(&path, "%.*s%s", dir, session, name) < 0 ? NULL : path;
}

static int test_tenant(const struct cli *cli, const struct policy *policy,
                       const struct tenant *tenant, const char *given)
{
    struct self_test_rows rows;
    struct err err = {0};
    char shown[512];
    cleanup_free char *probe = find_probe(policy, given);
    if (probe == NULL) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    /* Before the test, which leaves us in the mount namespace of the sandbox. */
    char note[192];
    note_of(policy, note, sizeof note);
    int status = EX_OSERR;
    if (self_test_run(policy, tenant, probe, &rows, &err) < 0) {
        fprintf(stderr, "postern self-test: %s\n", text_escape_str(shown, sizeof shown, err.text));
    } else {
        struct totals totals = count(&rows);
        status = cli->json ? print_document(policy, tenant, &rows, &totals, note)
                           : print_table(policy, tenant, &rows, &totals, note);
        if (status == EX_OK && totals.n[SELF_TEST_OPEN] > 0)
            status = EXIT_NO;
    }
    self_test_rows_free(&rows);
    return status;
}

static int self_test_command_run(struct cli *cli)
{
    const char *value, *name = NULL, *probe = NULL;
    char shown[80];
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        if (id == ID_TENANT)
            name = value;
        else
            probe = value;
    }
    if (cli->n_words > 0 || name == NULL)
        return cli_usage_error(cli, name == NULL ? "needs --tenant" : "takes no arguments");
    if (geteuid() != 0) {
        fputs("postern self-test: making sandboxes needs root\n", stderr);
        return EX_NOPERM;
    }
    int status = EX_OK;
    struct policy *policy = sources_load_system(cli, true, &status);
    if (policy == NULL)
        return status;
    const struct tenant *tenant = policy_find_tenant(policy, name);
    if (tenant != NULL) {
        status = test_tenant(cli, policy, tenant, probe);
    } else {
        fprintf(stderr, "postern self-test: there is no tenant '%s'\n",
                text_escape_str(shown, sizeof shown, name));
        status = EX_DATAERR;
    }
    policy_free(policy);
    return status;
}

static const struct cli_option options[] = {
    {"tenant", "NAME", "whose sandbox to test", ID_TENANT, false},
    {"probe", "FILE", "the program to run in it, instead of the installed one", ID_PROBE, false},
    {0},
};

const struct cli_command self_test_command = {
    .name = "self-test",
    .synopsis = "--tenant NAME",
    .summary = "Try in a tenant's sandbox what no command may reach; exit 1 if it can",
    .options = options,
    .run = self_test_command_run,
};
