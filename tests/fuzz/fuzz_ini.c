/* Whole policies from hostile bytes: reading, building, and deciding on whatever loads. */
#include "decide.h"
#include "policy_fixture.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct policy *policy, const struct tenant *tenant)
{
    static const char *const commands[] = {"a b c", "git-upload-pack '/srv/git/x'", "-x", ""};
    if ((policy_find_open(policy, tenant->user) == tenant) != (tenant->auth == AUTH_NONE))
        abort();
    if (tenant->n_keys == 0)
        return;
    const struct policy_key *key = &tenant->keys[0];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct decide_request request = {.who = {.policy = policy,
                                                 .user = tenant->user,
                                                 .method = AUTH_PUBLICKEY,
                                                 .blob = key->blob,
                                                 .blob_len = key->blob_len,
                                                 .peer_host = "::1",
                                                 .now = 1000},
                                         .kind = i == 3 ? EXEC_SHELL : EXEC_COMMAND,
                                         .command = commands[i],
                                         .command_len = strlen(commands[i]),
                                         .exec_id = "1",
                                         .local_host = "::1"};
        struct decision decision;
        decide(&request, &decision);
        if (decision.allowed != (decision.argv != NULL) ||
            decision.allowed == (decision.reason[0] != '\0'))
            abort();
        decision_free(&decision);
    }
}

static const struct shown_section *find_shown(const struct policy *policy, const char *type,
                                              const char *name)
{
    for (size_t i = 0; i < policy->n_shown; i++)
        if (strcmp(policy->shown[i].type, type) == 0 && strcmp(policy->shown[i].name, name) == 0)
            return &policy->shown[i];
    abort();
}

static size_t count(const struct shown_section *section, const char *key)
{
    size_t n = 0;
    for (size_t i = 0; i < section->n_settings; i++)
        n += strcmp(section->settings[i].key, key) == 0;
    return n;
}

/* What is shown was merged from the text, apart from the model: both must come to the same. */
static void compare(const struct policy *policy)
{
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        const struct shown_section *s = find_shown(policy, "tenant", t->name);
        if (count(s, "command") != t->n_templates || count(s, "env") != t->env.n ||
            count(s, "subsystem") != t->n_subsystems || count(s, "user") != 1 ||
            count(s, "shell") != (t->shell_line != NULL))
            abort();
    }
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (count(find_shown(policy, "sandbox", policy->sandboxes[i].name), "read") !=
            policy->sandboxes[i].n_reads)
            abort();
}

static void check_tests(const struct policy *policy)
{
    for (size_t i = 0; i < policy->n_tests; i++) {
        const struct policy_test *t = &policy->tests[i];
        if (t->user == NULL || t->from == NULL || (t->kind == EXEC_SHELL) != (t->command == NULL) ||
            (t->tenant != NULL && policy_find_tenant(policy, t->tenant) == NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const places[] = {"/p/policy.d/x.ini", "/s/x.ini", "/p/postern.ini"};
    size_t place = size > 0 ? data[0] % 3 : 0;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A " a\n");
    if (size > 0)
        fixture_add(places[place], (const char *)data + 1, size - 1);
    bool shown = size > 0 && data[0] % 2 == 0;
    struct policy *policy = shown ? fixture_load_shown() : fixture_load();
    if (policy != NULL && shown)
        compare(policy);
    if (policy != NULL)
        check_tests(policy);
    for (size_t i = 0; policy != NULL && i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        if (policy_find_tenant(policy, t->name) != t || t->uid == 0 ||
            t->sandbox >= policy->n_sandboxes)
            abort();
        ask(policy, t);
    }
    policy_free(policy);
    return 0;
}
