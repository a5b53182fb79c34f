/*
 * postern check - every error of a policy, before the server is asked to load it, and what is legal
 * but unwise.
 */
#include "cli.h"
#include "diag.h"
#include "host_judge.h"
#include "host_key_try.h"
#include "leftovers.h"
#include "problems.h"
#include "review.h"
#include "sources.h"
#include "style.h"

#include <stdio.h>
#include <sysexits.h>
#include <time.h>

enum { ID_STRICT = 1, ID_OTHER_HOST };

struct counts {
    size_t tenants, keys, sandboxes, tests, warnings;
};

static struct counts count(const struct policy *policy, const struct diags *diags)
{
    struct counts n = {.tenants = policy->n_tenants,
                       .sandboxes = policy->n_sandboxes,
                       .tests = policy->n_tests,
                       .warnings = problems_count(diags, DIAG_WARNING)};
    for (size_t i = 0; i < policy->n_tenants; i++)
        n.keys += policy->tenants[i].n_keys;
    return n;
}

static int print_summary(const struct counts *n, bool strict)
{
    bool refused = strict && n->warnings > 0;
    enum style style = refused ? STYLE_BAD : STYLE_GOOD;
    printf("%s%s%s: %zu tenant%s, %zu key%s, %zu sandbox%s", style_begin(stdout, style),
           refused ? "not OK by --strict" : "OK", style_end(stdout), n->tenants, plural(n->tenants),
           n->keys, plural(n->keys), n->sandboxes, n->sandboxes == 1 ? "" : "es");
    if (n->tests > 0)
        printf(", %zu test%s", n->tests, plural(n->tests));
    if (n->warnings > 0)
        printf(", %zu warning%s", n->warnings, plural(n->warnings));
    putchar('\n');
    return EX_OK;
}

static int print_document(const struct counts *n, const struct diags *diags, bool strict,
                          const char *unseen)
{
    json_t *doc = doc_new("check");
    doc_bool(doc, "ok", !strict || n->warnings == 0);
    doc_bool(doc, "strict", strict);
    doc_uint(doc, "tenants", n->tenants);
    doc_uint(doc, "keys", n->keys);
    doc_uint(doc, "sandboxes", n->sandboxes);
    doc_uint(doc, "tests", n->tests);
    doc_uint(doc, "warnings", n->warnings);
    problems_put_unseen(doc, unseen);
    problems_put(doc, diags);
    return doc_print(doc);
}

static int report(const struct cli *cli, const struct policy *policy, struct diags *diags,
                  bool strict, const char *unseen)
{
    diags_sort(diags);
    struct counts n = count(policy, diags);
    if (!cli->json) {
        problems_print(diags);
        problems_unseen(unseen);
    }
    int status = cli->json ? print_document(&n, diags, strict, unseen) : print_summary(&n, strict);
    if (status == EX_OK && strict && n.warnings > 0)
        status = EXIT_NO;
    return status;
}

static int check(const struct cli *cli, const struct sources *sources, bool strict)
{
    struct diags diags;
    int status = EX_OK;
    struct policy *policy = sources_load(cli, sources, false, &diags, &status);
    if (policy == NULL)
        return status;
    if (sources->judge != NULL)
        leftovers_programs(policy, &diags);
    if (leftovers_find(policy, sources, &diags) < 0 ||
        policy_review(policy, time(NULL), &diags) < 0) {
        fputs("postern: out of memory\n", stderr);
        status = EX_OSERR;
    } else {
        status = report(cli, policy, &diags, strict,
                        sources->judge != NULL ? host_judge_unseen(sources->judge) : NULL);
    }
    diags_free(&diags);
    policy_free(policy);
    return status;
}

static int check_run(struct cli *cli)
{
    bool strict = false;
    bool other_host = false;
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        *(id == ID_STRICT ? &strict : &other_host) = true;
    }
    struct host_key_tries tries = {0};
    struct host_judge judge = {.try_host_key = host_key_try, .tries = &tries};
    struct sources sources;
    int status = sources_find(cli, cli->words, cli->n_words, &sources);
    sources.judge = other_host ? NULL : &judge;
    if (status == EX_OK)
        status = check(cli, &sources, strict);
    sources_free(&sources);
    return status;
}

static const struct cli_option options[] = {
    {"strict", NULL, "exit 1 if there is a warning", ID_STRICT, false},
    {"other-host", NULL, "the policy is for another host: don't look at this one", ID_OTHER_HOST,
     false},
    {0},
};

const struct cli_command check_command = {
    .name = "check",
    .synopsis = "[--strict] [--other-host] [FILE-OR-DIRECTORY...]",
    .summary = "Report every error in the policy, and what is legal but unwise",
    .options = options,
    .run = check_run,
};
