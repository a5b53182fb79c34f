/*
 * postern tenant disable, enable and remove - of tenants with a file of their own, as `tenant add`
 * writes it. Files that somebody else has written are never touched.
 */
#include "cleanup.h"
#include "policy_files.h"
#include "problems.h"
#include "tenant.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { SHOWN_MAX = 400, FILE_MAX = 8 << 20 };

struct run {
    const struct cli *cli;
    const char *name;
    struct change_options change;
    char *ini, *disabled, *key_file; /* paths */
    struct drop_in drop_in;
    struct policy *before, *after;
    struct diags diags;
    char kept[SHOWN_MAX]; /* its workspace that stays, printable; "": none */
};

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool tenant_is_disabled_file(const char *file, char *name, size_t cap)
{
    static const char begin[] = "tenant-", end[] = ".ini" DROP_IN_DISABLED;
    size_t len = strlen(file);
    size_t around = sizeof begin - 1 + sizeof end - 1;
    if (len <= around || len - around >= cap || strncmp(file, begin, sizeof begin - 1) != 0 ||
        strcmp(file + len - (sizeof end - 1), end) != 0)
        return false;
    (void)snprintf(name, cap, "%.*s", (int)(len - around), file + sizeof begin - 1);
    return true;
}

/* False: the run is over, with cli->status. */
static bool parse(struct cli *cli, struct run *run)
{
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        (void)change_option(&run->change, id);
    }
    if (cli->n_words != 1)
        cli->status = cli_usage_error(cli, "takes the name of one tenant");
    else
        cli->status = tenant_check_name(cli, cli->words[0]);
    run->name = cli->n_words == 1 ? cli->words[0] : NULL;
    return cli->status == EX_OK;
}

static int begin(struct run *run)
{
    int status = drop_in_open(run->cli, run->change.dry_run, &run->drop_in);
    if (status != EX_OK)
        return status;
    run->ini = drop_in_path(&run->drop_in, TENANT_FILE, run->name);
    run->disabled = drop_in_path(&run->drop_in, TENANT_FILE DROP_IN_DISABLED, run->name);
    run->key_file = drop_in_path(&run->drop_in, TENANT_KEYS, run->name);
    if (run->ini == NULL || run->disabled == NULL || run->key_file == NULL)
        return EX_OSERR;
    run->before = drop_in_load(&run->drop_in, run->cli, false, false, NULL, &status);
    return status;
}

/* The tenant, if it is alone in the file that bears its name; else why not has been said. */
static const struct tenant *find_own(const struct run *run, const char *how, int *status)
{
    const struct tenant *tenant = policy_find_tenant(run->before, run->name);
    char shown[SHOWN_MAX], name[64];
    if (tenant == NULL) {
        *status = tenant_unknown(run->before, run->name);
        return NULL;
    }
    const struct tenant *other = NULL;
    for (size_t i = 0; i < run->before->n_tenants; i++)
        if (&run->before->tenants[i] != tenant &&
            strcmp(run->before->tenants[i].origin.file, tenant->origin.file) == 0)
            other = &run->before->tenants[i];
    if (strcmp(tenant->origin.file, run->ini) == 0 && other == NULL)
        return tenant;
    text_escape_str(shown, sizeof shown, tenant->origin.file);
    *status = EX_DATAERR;
    if (other == NULL)
        fprintf(
            stderr,
            "postern: tenant '%s' is in a file that 'postern tenant add' didn't write: %s it at "
            "%s:%u\n",
            run->name, how, shown, tenant->origin.line);
    else
        fprintf(
            stderr,
            "postern: the file of tenant '%s' holds others, such as '%s', too: %s it at %s:%u\n",
            run->name, text_escape_str(name, sizeof name, other->name), how, shown,
            tenant->origin.line);
    return NULL;
}

static json_t *new_document(const struct run *run)
{
    json_t *doc = run->cli->json ? doc_new(run->cli->command->name) : NULL;
    if (doc != NULL)
        doc_text(doc, "tenant", run->name);
    return doc;
}

/* Judges what has been added to the changes, and makes them. */
static int go_through(struct run *run)
{
    int status = EX_OK;
    policy_free(run->after);
    run->after = drop_in_load(&run->drop_in, run->cli, true, true, &run->diags, &status);
    if (status != EX_OK)
        return status;
    const struct change change = {.cli = run->cli,
                                  .drop_in = &run->drop_in,
                                  .options = run->change,
                                  .before = run->before,
                                  .after = run->after,
                                  .diags = &run->diags,
                                  .doc = new_document(run)};
    return change_finish(&change);
}

static void end(struct run *run)
{
    diags_free(&run->diags);
    policy_free(run->before);
    policy_free(run->after);
    drop_in_close(&run->drop_in);
    free(run->ini);
    free(run->disabled);
    free(run->key_file);
}

static int refuse_there(const char *path)
{
    char shown[SHOWN_MAX];
    fprintf(stderr, "postern: %s is there already: nothing is written over it\n",
            text_escape_str(shown, sizeof shown, path));
    return EX_CANTCREAT;
}

static int disable(struct run *run)
{
    int status = EX_OK;
    if (exists(run->disabled) && !exists(run->ini)) {
        fprintf(stderr, "postern: tenant '%s' is disabled already\n", run->name);
        return EX_DATAERR;
    }
    if (find_own(run, "comment out", &status) == NULL)
        return status;
    if (exists(run->disabled))
        return refuse_there(run->disabled);
    status = drop_in_add(&run->drop_in, DROP_IN_DISABLE, run->ini, NULL, 0);
    return status == EX_OK ? go_through(run) : status;
}

static int enable(struct run *run)
{
    char *data = NULL;
    char shown[SHOWN_MAX];
    size_t len = 0;
    struct err err = {0};
    if (!exists(run->disabled)) {
        if (policy_find_tenant(run->before, run->name) == NULL)
            return tenant_unknown(run->before, run->name);
        fprintf(stderr, "postern: tenant '%s' is not disabled\n", run->name);
        return EX_DATAERR;
    }
    if (exists(run->ini))
        return refuse_there(run->ini);
    if (policy_files_host.read_file(NULL, run->disabled, FILE_MAX, run->before->server.policy_owner,
                                    &data, &len, &err) < 0) {
        fprintf(stderr, "postern: %s: %s\n", text_escape_str(shown, sizeof shown, run->disabled),
                err.text);
        return EX_NOINPUT;
    }
    int status = drop_in_add(&run->drop_in, DROP_IN_ENABLE, run->ini, data, len);
    return status == EX_OK ? go_through(run) : status;
}

static bool is_read(const struct policy *policy, const char *path)
{
    for (size_t i = 0; i < policy->files.n; i++)
        if (strcmp(policy->files.items[i], path) == 0)
            return true;
    return false;
}

/* What its commands have kept is not ours to throw away. */
static void note_workspace(struct run *run, const struct tenant *tenant)
{
    const struct sandbox_spec *spec = &run->before->sandboxes[tenant->sandbox];
    cleanup_free char *path = spec->workspace == WORKSPACE_KEPT
                                  ? tenant_workspace(spec->workspace_path, tenant->name)
                                  : NULL;
    if (path != NULL && exists(path))
        text_escape_str(run->kept, sizeof run->kept, path);
}

/* Its keys go with it, unless another tenant has them, too. */
static int remove_it(struct run *run)
{
    int status = EX_OK;
    const char *path = run->ini;
    const struct tenant *tenant = NULL;
    if (exists(run->disabled) && !exists(run->ini))
        path = run->disabled;
    else if ((tenant = find_own(run, "remove", &status)) == NULL)
        return status;
    else
        note_workspace(run, tenant);
    status = drop_in_add(&run->drop_in, DROP_IN_REMOVE, path, NULL, 0);
    if (status == EX_OK)
        run->after = drop_in_load(&run->drop_in, run->cli, true, false, NULL, &status);
    if (status == EX_OK && exists(run->key_file) && !is_read(run->after, run->key_file))
        status = drop_in_add(&run->drop_in, DROP_IN_REMOVE, run->key_file, NULL, 0);
    if (status == EX_OK)
        status = go_through(run);
    if (status == EX_OK && run->kept[0] != '\0' && !run->cli->json && !run->change.dry_run)
        printf("kept      %s: what its commands have left there, with their uid\n", run->kept);
    return status;
}

static int state_run(struct cli *cli, int (*act)(struct run *))
{
    struct run run = {.cli = cli, .drop_in = {.lock = -1}};
    if (!parse(cli, &run))
        return cli->status;
    int status = begin(&run);
    if (status == EX_OK)
        status = act(&run);
    end(&run);
    return status;
}

static int disable_run(struct cli *cli)
{
    return state_run(cli, disable);
}

static int enable_run(struct cli *cli)
{
    return state_run(cli, enable);
}

static int remove_run(struct cli *cli)
{
    return state_run(cli, remove_it);
}

static const struct cli_option options[] = {CHANGE_OPTIONS, {0}};

const struct cli_command tenant_disable_command = {
    .name = "tenant disable",
    .synopsis = "NAME",
    .summary = "Let a tenant in no more, and end what it runs; nothing of it is lost",
    .options = options,
    .run = disable_run,
};

const struct cli_command tenant_enable_command = {
    .name = "tenant enable",
    .synopsis = "NAME",
    .summary = "Let a tenant in again",
    .options = options,
    .run = enable_run,
};

const struct cli_command tenant_remove_command = {
    .name = "tenant remove",
    .synopsis = "NAME",
    .summary = "Remove a tenant's policy and keys; the files of its commands stay",
    .options = options,
    .run = remove_run,
};
