#include "host_judge.h"
#include "diag.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t count_errors(const struct diags *diags)
{
    size_t n = 0;
    for (size_t i = 0; i < diags->n; i++)
        n += diags->items[i].grade == DIAG_ERROR;
    return n;
}

static void judge_limits(const struct host_judge *judge, const struct policy *policy,
                         struct diags *diags)
{
    struct host_limits probed;
    const struct host_limits *limits = judge->limits;
    /* What is wrong with them in [server] has been said; what they come to isn't known. */
    if (policy->server.limits_unclear)
        return;
    if (limits == NULL) {
        host_limits_probe(&policy->server, &probed);
        limits = &probed;
    }
    if (judge->quiet_limits && policy->server.limits == LIMITS_BEST_EFFORT)
        host_limits_judge_egress(policy, limits, diags);
    else
        host_limits_judge(policy, limits, diags);
}

void host_judge(void *judge, const struct policy *policy, struct diags *diags)
{
    struct host_judge *j = judge;
    j->no_root = geteuid() != 0;
    judge_limits(j, policy, diags);
    if (j->no_root)
        host_paths_judge(policy, diags);
    else
        j->untried = !host_trial_judge(policy, diags);
    size_t others = count_errors(diags);
    int code = j->no_root || j->no_server ? 0 : host_server_judge(j, policy, diags);
    j->code = others == 0 && !diags->truncated ? code : 0;
}

const char *host_judge_unseen(const struct host_judge *judge)
{
    if (judge->no_root)
        return "not root: what [server] names was not looked at, and sandboxes were not tried out";
    if (judge->untried)
        return "sandboxes were not tried out: mount namespaces can't be made here";
    return NULL;
}

/* Whether this was said of that place, of whichever sandbox. */
static bool was_said(const struct diags *diags, const struct origin *at, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < diags->n; i++) {
        const struct diag *d = &diags->items[i];
        size_t n = strlen(d->text);
        if (d->line == at->line && n >= len && strcmp(d->text + n - len, text) == 0 &&
            strcmp(d->file, at->file) == 0)
            return true;
    }
    return false;
}

void host_judge_add(struct diags *diags, const struct sandbox_spec *spec, const struct origin *at,
                    const char *hint, const char *text)
{
    if (!was_said(diags, at, text))
        diag_add(diags, at->file, at->line, hint, "sandbox '%s': %s", spec->name, text);
}
