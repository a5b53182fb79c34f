#include "policy_test_run.h"
#include "decide.h"
#include "diag.h"
#include "terminal_rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void complain(struct policy_test_result *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What differs is told of all that was expected, not only of the first. */
static void complain(struct policy_test_result *out, const char *fmt, ...)
{
    size_t len = strlen(out->complaint);
    if (len > 0 && len + 2 < sizeof out->complaint)
        len += (size_t)snprintf(out->complaint + len, sizeof out->complaint - len, "; ");
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out->complaint + len, sizeof out->complaint - len, fmt, ap);
    va_end(ap);
}

static void compare_name(struct policy_test_result *out, const char *what, const char *expected,
                         const char *got)
{
    if (expected != NULL && (got == NULL || strcmp(expected, got) != 0))
        complain(out, "expected %s %s, got %s", what, expected, got == NULL ? "none" : got);
}

static void compare_terminal(const struct policy_test *test, const struct login *login,
                             struct policy_test_result *out)
{
    struct origin at;
    char why[128] = "";
    bool may = login->accepted && terminal_rule_allows(login, why, sizeof why, &at);
    if (test->has_pty && may != test->pty)
        complain(out, "expected pty %s, got %s%s%s", test->pty ? "yes" : "no", may ? "yes" : "no",
                 why[0] != '\0' ? ": " : "", why);
}

static void compare(const struct policy_test *test, struct policy_test_result *out)
{
    char place[256];
    (void)origin_format(&out->rule, place, sizeof place);
    if (test->expect_allowed && !out->allowed)
        complain(out, "expected allowed, got denied: %s (%s)", out->reason,
                 out->rule.file != NULL ? place : "no rule");
    else if (!test->expect_allowed && out->allowed)
        complain(out, "expected denied, got allowed (%s)", place);
    compare_name(out, "tenant", test->tenant, out->tenant);
    compare_name(out, "sandbox", test->sandbox, out->sandbox);
    if (test->reason != NULL && !out->allowed && strstr(out->reason, test->reason) == NULL)
        complain(out, "expected a reason that holds \"%s\", got: %s", test->reason, out->reason);
}

void policy_test_run(const struct policy *policy, const struct policy_test *test, int64_t now,
                     struct policy_test_result *out)
{
    bool has_key = test->fingerprint != NULL || test->blob != NULL;
    const struct decide_request request = {
        .who = {.policy = policy,
                .user = test->user,
                .method = has_key ? AUTH_PUBLICKEY : AUTH_NONE,
                .blob = test->blob,
                .blob_len = test->blob_len,
                .fingerprint = test->fingerprint,
                .peer_host = test->from,
                .now = test->at != 0 ? test->at : now},
        .kind = test->kind,
        .command = test->command,
        .command_len = test->command == NULL ? 0 : strlen(test->command),
        .exec_id = "test",
        .local_host = "127.0.0.1",
    };
    struct decision decision;
    decide(&request, &decision);
    const struct tenant *tenant = decision.login.tenant;
    *out = (struct policy_test_result){
        .allowed = decision.allowed,
        .tenant = tenant == NULL ? NULL : tenant->name,
        .sandbox = tenant == NULL ? NULL : policy->sandboxes[tenant->sandbox].name,
        .rule = decision.rule,
    };
    (void)snprintf(out->reason, sizeof out->reason, "%s", decision.reason);
    compare(test, out);
    compare_terminal(test, &decision.login, out);
    out->passed = out->complaint[0] == '\0';
    decision_free(&decision);
}
