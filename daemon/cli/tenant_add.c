/*
 * postern tenant add - a tenant made from a template, with the keys that are given.
 */
#include "cleanup.h"
#include "key_source.h"
#include "policy_files.h"
#include "problems.h"
#include "template_file.h"
#include "tenant.h"
#include "tenant_host.h"
#include "tenant_template.h"
#include "text.h"
#include "values.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { ID_KEY = 1, ID_TEMPLATE, ID_FROM, ID_WORKSPACE, ID_NETWORK };
enum { LIST_MAX = 32, MADE_MAX = 16 };

struct list {
    const char *items[LIST_MAX];
    size_t n;
};

struct arguments {
    const char *name, *template, *workspace, *network;
    struct list keys, from;
    struct change_options change;
};

/* What one run has at hand. */
struct add {
    const struct cli *cli;
    struct arguments a;
    struct pool pool;
    struct key_source keys;
    char *template;                  /* its text */
    char *ini, *key_file, *disabled; /* paths */
    struct drop_in drop_in;
    struct policy *before, *after;
    struct diags diags;
    char notes[HOST_NOTES][HOST_NOTE_MAX]; /* "": nothing */
    char *made[MADE_MAX];                  /* directories that weren't there */
    size_t n_made;
};

static bool push(struct list *list, const char *item)
{
    if (list->n == LIST_MAX)
        return false;
    list->items[list->n++] = item;
    return true;
}

static bool take(struct arguments *a, int id, const char *value)
{
    if (id == ID_KEY)
        return push(&a->keys, value);
    if (id == ID_FROM)
        return push(&a->from, value);
    if (change_option(&a->change, id))
        return true;
    *(id == ID_TEMPLATE ? &a->template : id == ID_WORKSPACE ? &a->workspace : &a->network) = value;
    return true;
}

/* A value that would end its line could say more than was meant. */
static bool are_lines(const struct arguments *a)
{
    bool good = (a->workspace == NULL || key_text_is_plain(a->workspace)) &&
                (a->network == NULL || key_text_is_plain(a->network));
    for (size_t i = 0; i < a->from.n; i++)
        good = good && key_text_is_plain(a->from.items[i]);
    return good;
}

/* False: the run is over, with cli->status. */
static bool parse(struct cli *cli, struct arguments *a)
{
    const char *value;
    *a = (struct arguments){.template = "shell"};
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        if (!take(a, id, value)) {
            cli->status = cli_usage_error(cli, "more than %d of one option", LIST_MAX);
            return false;
        }
    }
    if (cli->n_words != 1)
        cli->status = cli_usage_error(cli, "takes the name of one tenant");
    else if (a->keys.n == 0)
        cli->status = cli_usage_error(
            cli, "--key FILE is missing: the public key that the tenant logs in with, such as "
                 "~/.ssh/id_ed25519.pub");
    else if (!are_lines(a))
        cli->status =
            cli_usage_error(cli, "a value holds a quote, a backslash or a control character");
    else
        cli->status = tenant_check_name(cli, cli->words[0]);
    a->name = cli->n_words == 1 ? cli->words[0] : NULL;
    return cli->status == EX_OK;
}

static int read_keys(struct add *add)
{
    const struct key_wish wish = {0};
    int status = EX_OK;
    for (size_t i = 0; i < add->a.keys.n && status == EX_OK; i++)
        status = key_source_add(&add->pool, add->a.keys.items[i], &wish, &add->keys);
    return status;
}

static int find_places(struct add *add)
{
    add->ini = drop_in_path(&add->drop_in, TENANT_FILE, add->a.name);
    add->key_file = drop_in_path(&add->drop_in, TENANT_KEYS, add->a.name);
    add->disabled = drop_in_path(&add->drop_in, TENANT_FILE DROP_IN_DISABLED, add->a.name);
    return add->ini == NULL || add->key_file == NULL || add->disabled == NULL ? EX_OSERR : EX_OK;
}

/* Whether the keys are there already, and nobody's: one who was stopped halfway has left them. */
static bool are_left_over(const struct add *add)
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    struct err err = {0};
    for (size_t i = 0; i < add->before->files.n; i++)
        if (strcmp(add->before->files.items[i], add->key_file) == 0)
            return false;
    return policy_files_host.read_file(NULL, add->key_file, KEY_FILE_SIZE_MAX, 0, &data, &len,
                                       &err) == 0 &&
           len == add->keys.text.len && memcmp(data, add->keys.text.data, len) == 0;
}

/* Nothing that is there is written over. Returns an exit status. */
static int refuse_existing(const struct add *add)
{
    const char *name = add->a.name;
    const struct tenant *tenant = policy_find_tenant(add->before, name);
    char shown[400];
    struct stat st;
    if (tenant != NULL) {
        fprintf(
            stderr,
            "postern: there is a tenant '%s' already: %s:%u; 'postern key add %s FILE' gives it "
            "another key\n",
            name, text_escape_str(shown, sizeof shown, tenant->origin.file), tenant->origin.line,
            name);
        return EX_CANTCREAT;
    }
    if (lstat(add->disabled, &st) == 0) {
        fprintf(stderr,
                "postern: tenant '%s' is disabled: %s; 'postern tenant enable %s' takes it back\n",
                name, text_escape_str(shown, sizeof shown, add->disabled), name);
        return EX_CANTCREAT;
    }
    const char *const files[] = {add->ini, add->key_file};
    for (size_t i = 0; i < array_len(files); i++)
        if (lstat(files[i], &st) == 0 && (files[i] == add->ini || !are_left_over(add))) {
            fprintf(stderr,
                    "postern: %s is there already, and no tenant '%s': nothing is written over it; "
                    "move it away if nobody needs it\n",
                    text_escape_str(shown, sizeof shown, files[i]), name);
            return EX_CANTCREAT;
        }
    return EX_OK;
}

static int write_policy(struct add *add)
{
    const struct server_config *server = &add->before->server;
    char called[64], host[65], port[8];
    struct err err = {0};
    (void)snprintf(port, sizeof port, "%u", server->n_listen > 0 ? server->listen[0].port : 22U);
    struct template_wish wish = {
        .tenant = add->a.name,
        .template = template_name(add->a.template, called, sizeof called),
        .host = tenant_host_name(server, host, sizeof host),
        .port = port,
        .workspace = add->a.workspace,
        .network = add->a.network,
        .from = add->a.from.items,
        .n_from = add->a.from.n,
    };
    tenant_host_lacks(server, add->drop_in.has_limits ? &add->drop_in.limits : NULL, add->template,
                      &wish, add->notes);
    size_t len = 0;
    char *text = tenant_template_fill(add->template, &wish, &len, &err);
    if (text == NULL) {
        fprintf(stderr, "postern: template '%s': %s\n", wish.template, err.text);
        return EX_DATAERR;
    }
    struct stat st;
    enum drop_in_kind kind = lstat(add->key_file, &st) == 0 ? DROP_IN_REPLACE : DROP_IN_CREATE;
    int status = drop_in_add(&add->drop_in, kind, add->key_file, steal_ptr(add->keys.text.data),
                             add->keys.text.len);
    if (status != EX_OK) {
        free(text);
        return status;
    }
    return drop_in_add(&add->drop_in, DROP_IN_CREATE, add->ini, text, len);
}

/* The directory that a kept workspace is made in, as root's. */
static int make_above(struct add *add, const char *path)
{
    char dir[PATH_MAX], shown[400];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        if (mkdir(dir, 0755) == 0) {
            char *made = add->n_made < MADE_MAX ? strdup(dir) : NULL;
            if (made != NULL)
                add->made[add->n_made++] = made;
        } else if (errno != EEXIST) {
            fprintf(stderr, "postern: %s can't be made: %s\n",
                    text_escape_str(shown, sizeof shown, dir), strerror(errno));
            return EX_CANTCREAT;
        }
    }
    return EX_OK;
}

/* Judges it without this host first: what it names may have to be made. */
static int judge(struct add *add)
{
    int status = EX_OK;
    struct policy *draft = drop_in_load(&add->drop_in, add->cli, true, false, NULL, &status);
    const struct tenant *tenant = draft == NULL ? NULL : policy_find_tenant(draft, add->a.name);
    if (tenant != NULL && draft->sandboxes[tenant->sandbox].workspace == WORKSPACE_KEPT)
        status = make_above(add, draft->sandboxes[tenant->sandbox].workspace_path);
    if (draft != NULL && tenant == NULL) {
        fprintf(stderr, "postern: the template makes no tenant '%s'\n", add->a.name);
        status = EX_DATAERR;
    }
    policy_free(draft);
    if (status == EX_OK)
        add->after = drop_in_load(&add->drop_in, add->cli, true, true, &add->diags, &status);
    return status;
}

static void print_tenant(const void *user)
{
    const struct add *add = user;
    const struct tenant *tenant = policy_find_tenant(add->after, add->a.name);
    if (add->a.change.dry_run) {
        fputs(add->drop_in.changes[1].data, stdout);
        return;
    }
    char called[64], comment[KEY_COMMENT_MAX * 4];
    printf("tenant    %s, made from the template %s; its commands run with uid %u\n", tenant->name,
           template_name(add->a.template, called, sizeof called), tenant->uid);
    for (size_t i = 0; i < tenant->n_keys; i++)
        printf("key       %s %s %s\n", tenant->keys[i].fingerprint, tenant->keys[i].type,
               text_escape_str(comment, sizeof comment, tenant->keys[i].comment));
    for (size_t i = 0; i < array_len(add->notes); i++)
        if (add->notes[i][0] != '\0')
            printf("note      %s\n", add->notes[i]);
}

static json_t *new_document(const struct add *add)
{
    const struct tenant *tenant = policy_find_tenant(add->after, add->a.name);
    char called[64];
    const char *text = add->drop_in.changes[1].data;
    size_t len;
    json_t *doc = doc_new(add->cli->command->name);
    doc_text(doc, "tenant", tenant->name);
    doc_text(doc, "template", template_name(add->a.template, called, sizeof called));
    doc_uint(doc, "uid", tenant->uid);
    json_t *keys = doc_array(doc, "keys");
    for (size_t i = 0; i < tenant->n_keys; i++)
        doc_push_text(keys, tenant->keys[i].fingerprint);
    json_t *notes = doc_array(doc, "notes");
    for (size_t i = 0; i < array_len(add->notes); i++)
        if (add->notes[i][0] != '\0')
            doc_push_text(notes, add->notes[i]);
    json_t *commands = doc_array(doc, "try");
    for (const char *line; (line = tenant_template_command(&text, &len)) != NULL;)
        doc_push(commands, json_stringn(line, len));
    return doc;
}

static void print_commands(const struct add *add)
{
    const char *text = add->drop_in.changes[1].data;
    const char *title = "try";
    size_t len;
    for (const char *line; (line = tenant_template_command(&text, &len)) != NULL; title = "")
        printf("%-9s %.*s\n", title, (int)len, line);
}

static int finish(struct add *add)
{
    bool json = add->cli->json;
    const struct change change = {.cli = add->cli,
                                  .drop_in = &add->drop_in,
                                  .options = add->a.change,
                                  .before = add->before,
                                  .after = add->after,
                                  .diags = &add->diags,
                                  .doc = json ? new_document(add) : NULL,
                                  .headline = print_tenant,
                                  .user = add};
    int status = change_finish(&change);
    if (status == EX_OK && !json && !add->a.change.dry_run)
        print_commands(add);
    return status;
}

static int run(struct add *add)
{
    int status = read_keys(add);
    if (status == EX_OK)
        status = template_read(add->a.template, &add->template);
    if (status == EX_OK)
        status = drop_in_open(add->cli, add->a.change.dry_run, &add->drop_in);
    if (status == EX_OK)
        status = find_places(add);
    if (status == EX_OK)
        add->before = drop_in_load(&add->drop_in, add->cli, false, false, NULL, &status);
    if (status == EX_OK)
        status = refuse_existing(add);
    if (status == EX_OK)
        status = write_policy(add);
    if (status == EX_OK)
        status = judge(add);
    if (status == EX_OK)
        status = finish(add);
    return status;
}

static void release(struct add *add, bool keep_made)
{
    while (add->n_made-- > 0) {
        if (!keep_made)
            (void)rmdir(add->made[add->n_made]);
        free(add->made[add->n_made]);
    }
    diags_free(&add->diags);
    policy_free(add->before);
    policy_free(add->after);
    drop_in_close(&add->drop_in);
    free(add->keys.text.data);
    free(add->template);
    free(add->ini);
    free(add->key_file);
    free(add->disabled);
    pool_free(&add->pool);
}

static int add_run(struct cli *cli)
{
    struct add add = {.cli = cli, .drop_in = {.lock = -1}};
    if (!parse(cli, &add.a))
        return cli->status;
    int status = run(&add);
    struct stat st;
    bool is_there = add.ini != NULL && lstat(add.ini, &st) == 0;
    release(&add, is_there);
    return status;
}

static const struct cli_option options[] = {
    {"key", "FILE", "public keys it logs in with, authorized_keys format; -: standard input",
     ID_KEY, true},
    {"template", "NAME", "what it is made from: shell (the default), ci, git or a file",
     ID_TEMPLATE, false},
    {"from", "ADDRESSES", "clients' addresses that it is accepted from", ID_FROM, true},
    {"workspace", "WHERE", "its workspace: exec, connection or a directory to keep", ID_WORKSPACE,
     false},
    {"network", "KIND", "its network: none, loopback or host", ID_NETWORK, false},
    CHANGE_OPTIONS,
    {0},
};

const struct cli_command tenant_add_command = {
    .name = "tenant add",
    .synopsis = "NAME --key FILE [--template NAME]",
    .summary = "Add a tenant: its policy is checked, put in place and loaded",
    .options = options,
    .run = add_run,
};
