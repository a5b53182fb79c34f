/*
 * postern test - the policy's own tests.
 */
#include "cli.h"
#include "doc.h"
#include "policy_test_run.h"
#include "sources.h"
#include "style.h"

#include <stdio.h>
#include <sysexits.h>
#include <time.h>

struct totals {
    size_t passed, failed;
};

static struct policy_test_result run_one(const struct policy *policy, size_t i, int64_t now,
                                         struct totals *totals)
{
    struct policy_test_result result;
    policy_test_run(policy, &policy->tests[i], now, &result);
    totals->passed += result.passed;
    totals->failed += !result.passed;
    return result;
}

static int print_table(const struct policy *policy, int64_t now, struct totals *totals)
{
    struct table table = {.columns = 3};
    for (size_t i = 0; i < policy->n_tests; i++) {
        const struct policy_test *test = &policy->tests[i];
        struct policy_test_result result = run_one(policy, i, now, totals);
        table_add(&table, result.passed ? STYLE_GOOD : STYLE_BAD, "%s",
                  result.passed ? "ok" : "FAIL");
        table_add(&table, STYLE_PLAIN, "%s", test->name);
        table_add(&table, STYLE_PLAIN, "(%s:%u)", test->origin.file, test->origin.line);
        if (!result.passed)
            table_note(&table, STYLE_PLAIN, "%s", result.complaint);
    }
    int status = table_print(&table, stdout);
    if (policy->n_tests == 0)
        puts("no tests: the policy has no [test \"name\"] sections");
    else
        printf("%zu passed, %zu failed\n", totals->passed, totals->failed);
    return status;
}

static int print_document(const struct policy *policy, int64_t now, struct totals *totals)
{
    json_t *doc = doc_new("test");
    json_t *list = doc_array(doc, "tests");
    for (size_t i = 0; i < policy->n_tests; i++) {
        const struct policy_test *test = &policy->tests[i];
        struct policy_test_result result = run_one(policy, i, now, totals);
        json_t *one = doc_push(list, json_object());
        doc_text(one, "name", test->name);
        doc_place(one, test->origin.file, test->origin.line);
        doc_bool(one, "passed", result.passed);
        doc_bool(one, "expected_allowed", test->expect_allowed);
        doc_bool(one, "allowed", result.allowed);
        doc_text(one, "tenant", result.tenant);
        doc_text(one, "sandbox", result.sandbox);
        doc_text(one, "reason", result.allowed ? NULL : result.reason);
        json_t *rule = json_object();
        doc_place(rule, result.rule.file, result.rule.line);
        doc_put(one, "rule", rule);
        doc_text(one, "complaint", result.passed ? NULL : result.complaint);
    }
    doc_uint(doc, "passed", totals->passed);
    doc_uint(doc, "failed", totals->failed);
    return doc_print(doc);
}

static int test_run(struct cli *cli)
{
    if (!cli_read_options(cli))
        return cli->status;
    struct sources sources;
    struct policy *policy = NULL;
    int status = sources_find(cli, cli->words, cli->n_words, &sources);
    if (status == EX_OK)
        policy = sources_load(cli, &sources, false, NULL, &status);
    sources_free(&sources);
    if (policy == NULL)
        return status;
    struct totals totals = {0};
    status = cli->json ? print_document(policy, time(NULL), &totals)
                       : print_table(policy, time(NULL), &totals);
    if (status == EX_OK && totals.failed > 0)
        status = EXIT_NO;
    policy_free(policy);
    return status;
}

const struct cli_command test_command = {
    .name = "test",
    .synopsis = "[FILE-OR-DIRECTORY...]",
    .summary = "Run the policy's [test] sections; exit 0 if all pass, 1 if not",
    .run = test_run,
};
