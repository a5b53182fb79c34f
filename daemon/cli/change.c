/* What the subcommands that change a policy have in common. */
#include "server_reload.h"
#include "problems.h"
#include "tenant.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

bool change_option(struct change_options *options, int id)
{
    options->dry_run = options->dry_run || id == ID_DRY_RUN;
    options->no_reload = options->no_reload || id == ID_NO_RELOAD;
    return id == ID_DRY_RUN || id == ID_NO_RELOAD;
}

static void print_verbs(const struct cli *cli, const struct cli_command *const *verbs, size_t n,
                        FILE *to)
{
    fprintf(to, "usage: postern %s VERB [ARGUMENT...]\n", cli->command->name);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "\n  postern %s%s%s\n      %s\n", verbs[i]->name,
                verbs[i]->synopsis[0] != '\0' ? " " : "", verbs[i]->synopsis, verbs[i]->summary);
}

int run_verb(struct cli *cli, const struct cli_command *const *verbs, size_t n)
{
    const char *name = cli->argc > 1 ? cli->argv[1] : "";
    struct suggestion guess;
    char hint[64], shown[64];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_verbs(cli, verbs, n, stdout);
        return EX_OK;
    }
    suggest_begin(&guess, name);
    for (size_t i = 0; i < n; i++) {
        const char *verb = strchr(verbs[i]->name, ' ') + 1;
        suggest_try(&guess, verb);
        if (strcmp(verb, name) != 0)
            continue;
        struct cli own = {.command = verbs[i], .argc = cli->argc - 1, .argv = cli->argv + 1};
        return verbs[i]->run(&own);
    }
    if (name[0] == '\0') {
        print_verbs(cli, verbs, n, stderr);
        return EX_USAGE;
    }
    suggest_hint(&guess, hint, sizeof hint);
    for (size_t i = 0; i < n && cli->argc > 2; i++)
        if (strcmp(strchr(verbs[i]->name, ' ') + 1, cli->argv[2]) == 0)
            (void)snprintf(hint, sizeof hint, "'%s' comes first", cli->argv[2]);
    return cli_usage_error(cli, "unknown verb '%s'%s%s", text_escape_str(shown, sizeof shown, name),
                           hint[0] != '\0' ? ": " : "", hint);
}

int tenant_check_name(const struct cli *cli, const char *name)
{
    struct err err = {0};
    if (value_name(name, &err) < 0)
        return cli_usage_error(cli, "%s", err.text);
    /* Files of such names are a package manager's, and not read. */
    if (strstr(name, ".dpkg-") != NULL || strstr(name, ".ucf-") != NULL)
        return cli_usage_error(cli, "'%s': a file of this name would not be read", name);
    return EX_OK;
}

char *tenant_workspace(const char *path, const char *tenant)
{
    const char *mark = strstr(path, "%t");
    char *out = NULL;
    int n = mark == NULL ? asprintf(&out, "%s", path)
                         : asprintf(&out, "%.*s%s%s", (int)(mark - path), path, tenant, mark + 2);
    return n < 0 ? NULL : out;
}

int tenant_unknown(const struct policy *policy, const char *name)
{
    struct suggestion guess;
    suggest_begin(&guess, name);
    for (size_t i = 0; i < policy->n_tenants; i++)
        suggest_try(&guess, policy->tenants[i].name);
    return problem_no_such("tenant", name, &guess);
}

static const char *const verbs[] = {
    [DROP_IN_CREATE] = "written",  [DROP_IN_REPLACE] = "changed", [DROP_IN_REMOVE] = "removed",
    [DROP_IN_DISABLE] = "renamed", [DROP_IN_ENABLE] = "renamed",
};

static void print_changes(const struct drop_in *drop_in)
{
    for (size_t i = 0; i < drop_in->n; i++) {
        const struct drop_in_change *change = &drop_in->changes[i];
        char shown[400];
        text_escape_str(shown, sizeof shown, change->path);
        bool off = change->kind == DROP_IN_DISABLE;
        bool on = change->kind == DROP_IN_ENABLE;
        const char *name = strrchr(shown, '/') + 1;
        printf("%-9s %s%s%s%s%s\n", verbs[change->kind], shown, on ? DROP_IN_DISABLED : "",
               on || off ? " to " : "", on || off ? name : "", off ? DROP_IN_DISABLED : "");
    }
}

static void put_changes(const struct drop_in *drop_in, json_t *doc)
{
    json_t *files = doc_array(doc, "files");
    for (size_t i = 0; i < drop_in->n; i++) {
        json_t *file = doc_push(files, json_object());
        doc_text(file, "file", drop_in->changes[i].path);
        doc_text(file, "change", verbs[drop_in->changes[i].kind]);
    }
}

/* Returns an exit status. */
static int commit(struct drop_in *drop_in, const struct policy *after)
{
    struct err err = {0};
    if (drop_in_commit(drop_in, after->server.policy_owner, &err) == 0)
        return EX_OK;
    fprintf(stderr, "postern: %s\npostern: nothing was changed\n", err.text);
    return EX_CANTCREAT;
}

/* What the server refuses would keep it from starting, too. What was only to be taken away stays
 * so. */
static bool take_back(struct drop_in *drop_in, const struct policy *after)
{
    struct err err = {0};
    if (!drop_in_adds(drop_in))
        return false;
    if (drop_in_undo(drop_in, after->server.policy_owner, &err) == 0)
        return true;
    fprintf(stderr, "postern: %s\n", err.text);
    return false;
}

static void tell(const struct drop_in *drop_in, bool ok, bool changed, json_t *doc)
{
    if (doc != NULL) {
        doc_bool(doc, "ok", ok);
        doc_bool(doc, "changed", changed);
        put_changes(drop_in, doc);
    } else if (changed) {
        print_changes(drop_in);
    } else if (ok) {
        puts("dry run   the policy would be right; nothing was changed");
    }
    fflush(stdout);
}

static int end_with(const struct change *c, const struct reload_result *reload, bool undone)
{
    bool is_text = c->doc == NULL;
    bool refused = reload->state == RELOAD_REFUSED || reload->state == RELOAD_FAILED;
    int status = EX_OK;
    if (is_text && !undone && c->headline != NULL)
        c->headline(c->user);
    tell(c->drop_in, !refused, !c->options.dry_run && !undone, c->doc);
    if (!is_text || !undone)
        status = drop_in_warn(c->drop_in, c->before, c->after, c->diags, c->doc);
    if (!c->options.dry_run) {
        int told = server_reload_tell(reload, undone, c->doc);
        status = status == EX_OK ? told : status;
    }
    int printed = is_text ? EX_OK : doc_print(c->doc);
    return status == EX_OK ? printed : status;
}

int change_finish(const struct change *c)
{
    struct reload_result reload = {.state = RELOAD_LEFT_OUT};
    int status = c->options.dry_run ? EX_OK : commit(c->drop_in, c->after);
    if (status != EX_OK) {
        json_decref(c->doc);
        return status;
    }
    if (!c->options.no_reload && !c->options.dry_run)
        server_reload(c->cli, c->drop_in->sources.config, &c->after->server, &reload);
    bool undone = reload.state == RELOAD_REFUSED && take_back(c->drop_in, c->after);
    return end_with(c, &reload, undone);
}
