/*
 * postern key add and remove - lines of a tenant's key file; all others stay as they are.
 */
#include "cleanup.h"
#include "key_files.h"
#include "key_source.h"
#include "moment.h"
#include "policy_files.h"
#include "problems.h"
#include "tenant.h"
#include "text.h"
#include "values.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum { ID_COMMENT = 1, ID_FROM, ID_EXPIRY };
enum { SHOWN_MAX = 400, FROM_MAX = 2048 };

struct run {
    const struct cli *cli;
    const char *name;
    struct change_options change;
    struct pool pool;
    struct drop_in drop_in;
    struct policy *before, *after;
    const struct tenant *tenant; /* of `before` */
    struct diags diags;
    const struct policy_key *keys; /* that come or go */
    size_t n_keys;
    const char *comment; /* of all of them, or NULL */
};

/* One that is disabled isn't unknown. */
static int refuse_tenant(const struct run *run)
{
    char shown[SHOWN_MAX];
    cleanup_free char *aside = drop_in_path(&run->drop_in, TENANT_FILE DROP_IN_DISABLED, run->name);
    if (aside == NULL || access(aside, F_OK) < 0)
        return tenant_unknown(run->before, run->name);
    fprintf(stderr, "postern: tenant '%s' is disabled; 'postern tenant enable %s' takes it back\n",
            text_escape_str(shown, sizeof shown, run->name), shown);
    return EX_DATAERR;
}

static int begin(struct run *run)
{
    int status = drop_in_open(run->cli, run->change.dry_run, &run->drop_in);
    if (status == EX_OK)
        run->before = drop_in_load(&run->drop_in, run->cli, false, false, NULL, &status);
    if (run->before == NULL)
        return status;
    run->tenant = policy_find_tenant(run->before, run->name);
    return run->tenant == NULL ? refuse_tenant(run) : EX_OK;
}

static void end(struct run *run)
{
    diags_free(&run->diags);
    policy_free(run->before);
    policy_free(run->after);
    drop_in_close(&run->drop_in);
    pool_free(&run->pool);
}

static int read_text(const struct run *run, const char *path, struct key_text *text)
{
    struct err err = {0};
    char shown[SHOWN_MAX];
    if (policy_files_host.read_file(NULL, path, KEY_FILE_SIZE_MAX, run->before->server.policy_owner,
                                    &text->data, &text->len, &err) == 0)
        return EX_OK;
    fprintf(stderr, "postern: %s: %s\n", text_escape_str(shown, sizeof shown, path), err.text);
    return EX_NOINPUT;
}

static void print_keys(const void *user)
{
    const struct run *run = user;
    char shown[KEY_COMMENT_MAX * 4];
    for (size_t i = 0; i < run->n_keys; i++)
        printf("key       %s %s %s\n", run->keys[i].fingerprint, run->keys[i].type,
               text_escape_str(shown, sizeof shown,
                               run->comment != NULL ? run->comment : run->keys[i].comment));
}

static json_t *new_document(const struct run *run)
{
    json_t *doc = doc_new(run->cli->command->name);
    doc_text(doc, "tenant", run->name);
    json_t *keys = doc_array(doc, "keys");
    for (size_t i = 0; i < run->n_keys; i++)
        doc_push_text(keys, run->keys[i].fingerprint);
    return doc;
}

/* `n_keys`: how many the tenant must have then. */
static int go_through(struct run *run, size_t n_keys)
{
    int status = EX_OK;
    run->after = drop_in_load(&run->drop_in, run->cli, true, true, &run->diags, &status);
    if (run->after == NULL)
        return status;
    const struct tenant *tenant = policy_find_tenant(run->after, run->name);
    if (tenant == NULL || tenant->n_keys != n_keys) {
        fputs("postern: the key file changes in somebody else's hands: nothing was changed\n",
              stderr);
        return EX_TEMPFAIL;
    }
    const struct change change = {.cli = run->cli,
                                  .drop_in = &run->drop_in,
                                  .options = run->change,
                                  .before = run->before,
                                  .after = run->after,
                                  .diags = &run->diags,
                                  .doc = run->cli->json ? new_document(run) : NULL,
                                  .headline = print_keys,
                                  .user = run};
    return change_finish(&change);
}

/*
 * key add
 */

struct additions {
    const char *comment, *expiry;
    char from[FROM_MAX];
    char until[32]; /* as expiry-time= has it */
};

/* A moment, or how long from now on. */
static int read_expiry(struct cli *cli, struct additions *a)
{
    int64_t when = 0;
    uint64_t ms = 0;
    struct err err = {0};
    struct tm tm;
    if (a->expiry == NULL)
        return EX_OK;
    if (moment_parse(a->expiry, &when) < 0) {
        if (value_time(a->expiry, false, &ms, &err) < 0)
            return cli_usage_error(cli, "--expiry is a day, a time or how long from now: "
                                        "2026-12-31, 2026-12-31T18:00 (UTC), 90d");
        when = (int64_t)time(NULL) + (int64_t)(ms / 1000);
    }
    time_t seconds = (time_t)when;
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(a->until, sizeof a->until, "%Y%m%d%H%M%SZ", &tm) == 0)
        return cli_usage_error(cli, "--expiry is out of range");
    return EX_OK;
}

static int add_from(struct cli *cli, struct additions *a, const char *value)
{
    size_t len = strlen(a->from);
    int n = snprintf(a->from + len, sizeof a->from - len, "%s%s", len > 0 ? "," : "", value);
    if (n < 0 || (size_t)n >= sizeof a->from - len)
        return cli_usage_error(cli, "--from is too long");
    return EX_OK;
}

/* False: the run is over, with cli->status. */
static bool parse_add(struct cli *cli, struct run *run, struct additions *a)
{
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        if (id == ID_FROM && (cli->status = add_from(cli, a, value)) != EX_OK)
            return false;
        if (id == ID_COMMENT || id == ID_EXPIRY)
            *(id == ID_COMMENT ? &a->comment : &a->expiry) = value;
        (void)change_option(&run->change, id);
    }
    if (cli->n_words < 2)
        cli->status = cli_usage_error(cli, "takes a tenant and files of public keys");
    else if (!key_text_is_plain(a->from) || (a->comment != NULL && !key_text_is_plain(a->comment)))
        cli->status =
            cli_usage_error(cli, "a value holds a quote, a backslash or a control character");
    else
        cli->status = read_expiry(cli, a);
    run->name = cli->n_words > 0 ? cli->words[0] : NULL;
    return cli->status == EX_OK;
}

static int read_sources(struct run *run, const struct additions *a, struct key_source *keys)
{
    const struct key_wish wish = {.comment = a->comment,
                                  .from = a->from[0] != '\0' ? a->from : NULL,
                                  .expiry = a->until[0] != '\0' ? a->until : NULL};
    int status = EX_OK;
    for (size_t i = 1; i < run->cli->n_words && status == EX_OK; i++)
        status = key_source_add(&run->pool, run->cli->words[i], &wish, keys);
    return status;
}

static int refuse_known(const struct run *run, const struct key_source *keys)
{
    char shown[SHOWN_MAX];
    for (size_t i = 0; i < keys->n; i++)
        for (size_t k = 0; k < run->tenant->n_keys; k++) {
            const struct policy_key *known = &run->tenant->keys[k];
            if (strcmp(known->fingerprint, keys->keys[i].fingerprint) != 0)
                continue;
            fprintf(stderr, "postern: tenant '%s' has %s already: %s:%u\n", run->name,
                    known->fingerprint, text_escape_str(shown, sizeof shown, known->origin.file),
                    known->origin.line);
            return EX_DATAERR;
        }
    return EX_OK;
}

static int add(struct run *run, const struct additions *a, struct key_source *keys)
{
    char path[PATH_MAX];
    struct key_text text = {0};
    struct err err = {0};
    int status = key_files_choose(run->before, run->tenant, path, sizeof path);
    if (status == EX_OK)
        status = refuse_known(run, keys);
    if (status == EX_OK)
        status = read_text(run, path, &text);
    if (status == EX_OK && (key_text_append(&text, "", 0, &err) < 0 ||
                            key_text_append(&text, keys->text.data, keys->text.len, &err) < 0)) {
        fprintf(stderr, "postern: %s\n", err.text);
        status = EX_OSERR;
    }
    if (status != EX_OK) {
        free(text.data);
        return status;
    }
    status = drop_in_add(&run->drop_in, DROP_IN_REPLACE, path, text.data, text.len);
    run->keys = keys->keys;
    run->n_keys = keys->n;
    run->comment = a->comment;
    return status == EX_OK ? go_through(run, run->tenant->n_keys + keys->n) : status;
}

static int add_run(struct cli *cli)
{
    struct run run = {.cli = cli, .drop_in = {.lock = -1}};
    struct additions a = {0};
    struct key_source keys = {0};
    if (!parse_add(cli, &run, &a))
        return cli->status;
    int status = read_sources(&run, &a, &keys);
    if (status == EX_OK)
        status = begin(&run);
    if (status == EX_OK)
        status = add(&run, &a, &keys);
    free(keys.text.data);
    end(&run);
    return status;
}

/*
 * key remove
 */

static bool is_meant(const struct policy_key *key, const char *which)
{
    return strcmp(key->fingerprint, which) == 0 || strcmp(key->comment, which) == 0;
}

/* Which of its keys is meant, if it is one. */
static const struct policy_key *find_key(const struct run *run, const char *which, int *status)
{
    const struct policy_key *found = NULL;
    const struct tenant *t = run->tenant;
    char shown[SHOWN_MAX];
    struct suggestion guess;
    suggest_begin(&guess, which);
    *status = EX_DATAERR;
    size_t n = 0;
    for (size_t i = 0; i < t->n_keys; i++) {
        const struct policy_key *key = &t->keys[i];
        suggest_try(&guess, key->comment);
        if (!is_meant(key, which))
            continue;
        found = key;
        n++;
    }
    if (found == NULL) {
        char hint[64], name[SHOWN_MAX];
        suggest_hint(&guess, hint, sizeof hint);
        fprintf(
            stderr,
            "postern: tenant '%s' has no key '%s'%s%s; 'postern key list %s' lists what it has\n",
            run->name, text_escape_str(shown, sizeof shown, which), hint[0] != '\0' ? ": " : "",
            text_escape_str(name, sizeof name, hint), run->name);
        return NULL;
    }
    if (n == 1)
        return found;
    fprintf(stderr, "postern: '%s' is the comment of several keys; name one by its fingerprint:\n",
            text_escape_str(shown, sizeof shown, which));
    for (size_t i = 0; i < t->n_keys; i++)
        if (is_meant(&t->keys[i], which))
            fprintf(stderr, "  %s (%s:%u)\n", t->keys[i].fingerprint,
                    text_escape_str(shown, sizeof shown, t->keys[i].origin.file),
                    t->keys[i].origin.line);
    return NULL;
}

/* Its file without its line: a tenant has no key twice. */
static int drop_line(struct run *run, const struct policy_key *key)
{
    const char *path = key->origin.file;
    struct key_text text = {0};
    struct err err = {0};
    int status = key_files_refuse_shared(run->before, run->name, path);
    if (status == EX_OK)
        status = read_text(run, path, &text);
    if (status == EX_OK && key_text_remove_line(&text, key->origin.line, &err) < 0) {
        fprintf(stderr, "postern: %s: %s\n", path, err.text);
        status = EX_TEMPFAIL;
    }
    if (status == EX_OK)
        return drop_in_add(&run->drop_in, DROP_IN_REPLACE, path, text.data, text.len);
    free(text.data);
    return status;
}

static int remove_key(struct run *run, const char *which)
{
    int status;
    const struct policy_key *key = find_key(run, which, &status);
    if (key == NULL)
        return status;
    status = drop_line(run, key);
    if (status != EX_OK)
        return status;
    run->keys = key;
    run->n_keys = 1;
    return go_through(run, run->tenant->n_keys - 1);
}

static int remove_run(struct cli *cli)
{
    struct run run = {.cli = cli, .drop_in = {.lock = -1}};
    const char *value;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        (void)change_option(&run.change, id);
    }
    if (cli->n_words != 2 || cli->words[1][0] == '\0')
        return cli_usage_error(cli,
                               "takes a tenant, and a fingerprint or comment of one of its keys");
    run.name = cli->words[0];
    int status = begin(&run);
    if (status == EX_OK)
        status = remove_key(&run, cli->words[1]);
    end(&run);
    return status;
}

static const struct cli_option add_options[] = {
    {"comment", "TEXT", "the comment of each, instead of its own", ID_COMMENT, false},
    {"from", "ADDRESSES", "clients' addresses that they are accepted from", ID_FROM, true},
    {"expiry", "TIME", "until when: 2026-12-31, or 90d from now", ID_EXPIRY, false},
    CHANGE_OPTIONS,
    {0},
};

static const struct cli_option remove_options[] = {CHANGE_OPTIONS, {0}};

const struct cli_command key_add_command = {
    .name = "key add",
    .synopsis = "TENANT FILE...",
    .summary = "Add public keys to a tenant; -: standard input",
    .options = add_options,
    .run = add_run,
};

const struct cli_command key_remove_command = {
    .name = "key remove",
    .synopsis = "TENANT FINGERPRINT-OR-COMMENT",
    .summary = "Remove one key of a tenant",
    .options = remove_options,
    .run = remove_run,
};
