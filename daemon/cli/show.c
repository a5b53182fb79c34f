/*
 * show.c - postern show: the policy as it is in force, with where each value came from.
 *
 * What it prints is a policy again: comments hold the rest.
 */
#include "cleanup.h"
#include "cli.h"
#include "doc.h"
#include "pool.h"
#include "problems.h"
#include "show_keys.h"
#include "sources.h"
#include "strmap.h"
#include "style.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ID_TENANT = 1, ID_SANDBOX, ID_ORIGIN, ID_NON_DEFAULT, ID_NAMES };

enum { COMMENT_COLUMN_MAX = 60 };

struct arguments {
    const char *tenant;
    const char *sandbox;
    const char *names;
    bool origin;
    bool non_default;
    size_t selected; /* the sandbox of `tenant` */
};

static bool is_type(const struct shown_section *s, const char *type)
{
    return strcmp(s->type, type) == 0;
}

static bool is_selected(const struct policy *policy, const struct arguments *a,
                        const struct shown_section *s)
{
    if (a->tenant == NULL && a->sandbox == NULL)
        return true;
    if (is_type(s, "tenant"))
        return a->tenant != NULL && strcmp(s->name, a->tenant) == 0;
    if (!is_type(s, "sandbox"))
        return false;
    return (a->sandbox != NULL && strcmp(s->name, a->sandbox) == 0) ||
           (a->tenant != NULL && strcmp(s->name, policy->sandboxes[a->selected].name) == 0);
}

static bool is_shown(const struct arguments *a, const struct setting *setting)
{
    return !a->non_default || setting->origin.file != NULL;
}

/* A comment behind an open quote could be read in two ways, so it is refused there. */
static bool has_open_quote(const char *value)
{
    char quote = '\0';
    for (; *value != '\0'; value++) {
        if (quote == '\0' && (*value == '"' || *value == '\''))
            quote = *value;
        else if (*value == quote)
            quote = '\0';
    }
    return quote != '\0';
}

static size_t key_width(const struct arguments *a, const struct shown_section *s)
{
    size_t width = 0;
    for (size_t i = 0; i < s->n_settings; i++)
        if (is_shown(a, &s->settings[i]) && strlen(s->settings[i].key) > width)
            width = strlen(s->settings[i].key);
    return width;
}

static size_t comment_column(const struct arguments *a, const struct shown_section *s, size_t keys)
{
    size_t column = 0;
    for (size_t i = 0; i < s->n_settings; i++) {
        size_t len = keys + 3 + strlen(s->settings[i].value);
        if (is_shown(a, &s->settings[i]) && len > column && len <= COMMENT_COLUMN_MAX)
            column = len;
    }
    return column + 2;
}

static const char *describe_origin(const struct setting *setting, char *buf, size_t len)
{
    const struct origin *at = &setting->origin;
    if (at->file == NULL)
        (void)snprintf(buf, len, "default");
    else
        (void)snprintf(buf, len, "%s%s:%u", setting->inherited ? "inherited " : "", at->file,
                       at->line);
    return buf;
}

/* Byte for byte, but for what a terminal might take for commands. Returns what it took. */
static size_t print_value(const char *value)
{
    bool to_terminal = isatty(STDOUT_FILENO) == 1;
    size_t n = 0;
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (to_terminal && (c < ' ' || c > '~'))
            n += (size_t)printf("\\x%02x", c);
        else if (putchar(c) != EOF)
            n++;
    }
    return n;
}

static void print_setting(const struct arguments *a, const struct setting *s, size_t width,
                          size_t column)
{
    char origin[512];
    (void)describe_origin(s, origin, sizeof origin);
    bool above = a->origin && has_open_quote(s->value);
    if (above)
        printf("; %s:\n", origin);
    /* A blank before ';' would make a comment of the value. */
    printf("%-*s =%s", (int)width, s->key, s->value[0] == ';' ? "" : " ");
    size_t used = width + 3 + print_value(s->value);
    if (a->origin && !above) {
        int gap = used < column ? (int)(column - used) : 2;
        printf("%*s%s; %s%s", gap, "", style_begin(stdout, STYLE_FAINT), origin, style_end(stdout));
    }
    putchar('\n');
}

static bool has_shown(const struct arguments *a, const struct shown_section *s)
{
    for (size_t i = 0; i < s->n_settings; i++)
        if (is_shown(a, &s->settings[i]))
            return true;
    return false;
}

/* What is built in has no place, and with --non-default nothing to say. */
static bool is_worth_showing(const struct arguments *a, const struct shown_section *s)
{
    return !a->non_default || s->origin.file != NULL || has_shown(a, s);
}

static void print_section(const struct policy *policy, const struct arguments *a,
                          const struct shown_section *s)
{
    bool named = s->name[0] != '\0';
    printf("%s[%s%s%s%s]%s", style_begin(stdout, STYLE_HEADING), s->type, named ? " \"" : "",
           s->name, named ? "\"" : "", style_end(stdout));
    if (a->origin && s->origin.file != NULL)
        printf("  %s; %s:%u%s", style_begin(stdout, STYLE_FAINT), s->origin.file, s->origin.line,
               style_end(stdout));
    putchar('\n');
    size_t width = key_width(a, s);
    size_t column = comment_column(a, s, width);
    for (size_t i = 0; i < s->n_settings; i++)
        if (is_shown(a, &s->settings[i]))
            print_setting(a, &s->settings[i], width, column);
    if (a->tenant != NULL && is_type(s, "tenant"))
        show_keys_print(policy_find_tenant(policy, s->name));
}

static int print_policy(const struct policy *policy, const struct arguments *a)
{
    bool first = true;
    for (size_t i = 0; i < policy->n_shown; i++) {
        const struct shown_section *s = &policy->shown[i];
        if (!is_selected(policy, a, s) || !is_worth_showing(a, s))
            continue;
        if (!first)
            putchar('\n');
        first = false;
        print_section(policy, a, s);
    }
    return EX_OK;
}

static void put_section(json_t *list, const struct policy *policy, const struct arguments *a,
                        const struct shown_section *s)
{
    json_t *section = doc_push(list, json_object());
    doc_text(section, "type", s->type);
    doc_text(section, "name", s->name[0] != '\0' ? s->name : NULL);
    doc_place(section, s->origin.file, s->origin.line);
    json_t *settings = doc_array(section, "settings");
    for (size_t i = 0; i < s->n_settings; i++) {
        const struct setting *from = &s->settings[i];
        if (!is_shown(a, from))
            continue;
        json_t *setting = doc_push(settings, json_object());
        doc_text(setting, "key", from->key);
        doc_text(setting, "value", from->value);
        doc_bool(setting, "default", from->origin.file == NULL);
        doc_bool(setting, "inherited", from->inherited);
        doc_place(setting, from->origin.file, from->origin.line);
    }
    if (is_type(s, "tenant"))
        show_keys_put(section, policy_find_tenant(policy, s->name));
}

static int print_document(const struct policy *policy, const struct arguments *a)
{
    json_t *doc = doc_new("show");
    json_t *list = doc_array(doc, "sections");
    for (size_t i = 0; i < policy->n_shown; i++)
        if (is_selected(policy, a, &policy->shown[i]) && is_worth_showing(a, &policy->shown[i]))
            put_section(list, policy, a, &policy->shown[i]);
    return doc_print(doc);
}

static const char *const name_kinds[] = {"tenants", "sandboxes", "logins"};

static void print_name(json_t *list, const char *name)
{
    if (list != NULL)
        doc_push_text(list, name);
    else
        puts(name);
}

/* Tenants may share one. */
static int print_logins(json_t *list, const struct policy *policy)
{
    struct pool pool = {0};
    struct strmap seen = {0};
    int status = EX_OK;
    for (size_t i = 0; i < policy->n_tenants && status == EX_OK; i++) {
        const char *user = policy->tenants[i].user;
        size_t first;
        if (strmap_get(&seen, user, &first))
            continue;
        print_name(list, user);
        if (strmap_put(&pool, &seen, user, i) < 0)
            status = EX_OSERR;
    }
    pool_free(&pool);
    return status;
}

static int print_names(const struct cli *cli, const struct policy *policy, const char *kind)
{
    json_t *doc = cli->json ? doc_new("show") : NULL;
    json_t *list = cli->json ? doc_array(doc, "names") : NULL;
    int status = EX_OK;
    if (strcmp(kind, "logins") == 0)
        status = print_logins(list, policy);
    else if (strcmp(kind, "tenants") == 0)
        for (size_t i = 0; i < policy->n_tenants; i++)
            print_name(list, policy->tenants[i].name);
    else
        for (size_t i = 0; i < policy->n_sandboxes; i++)
            print_name(list, policy->sandboxes[i].name);
    int printed = cli->json ? doc_print(doc) : EX_OK;
    return status != EX_OK ? status : printed;
}

/* What was asked for by name must be there. Returns an exit status. */
static int find_names(const struct policy *policy, struct arguments *a)
{
    struct suggestion guess;
    if (a->tenant != NULL) {
        const struct tenant *tenant = policy_find_tenant(policy, a->tenant);
        if (tenant != NULL) {
            a->selected = tenant->sandbox;
        } else {
            suggest_begin(&guess, a->tenant);
            for (size_t i = 0; i < policy->n_tenants; i++)
                suggest_try(&guess, policy->tenants[i].name);
            return problem_no_such("tenant", a->tenant, &guess);
        }
    }
    if (a->sandbox == NULL)
        return EX_OK;
    suggest_begin(&guess, a->sandbox);
    for (size_t i = 0; i < policy->n_sandboxes; i++) {
        if (strcmp(policy->sandboxes[i].name, a->sandbox) == 0)
            return EX_OK;
        suggest_try(&guess, policy->sandboxes[i].name);
    }
    return problem_no_such("sandbox", a->sandbox, &guess);
}

static int show(const struct cli *cli, const struct policy *policy, struct arguments *a)
{
    if (a->names != NULL)
        return print_names(cli, policy, a->names);
    int status = find_names(policy, a);
    if (status != EX_OK)
        return status;
    return cli->json ? print_document(policy, a) : print_policy(policy, a);
}

static int take_names(struct cli *cli, const char *value, const char **names)
{
    *names = value;
    for (size_t i = 0; i < array_len(name_kinds); i++)
        if (strcmp(value, name_kinds[i]) == 0)
            return EX_OK;
    return cli_usage_error(cli, "--names is tenants, sandboxes or logins");
}

/* False: the run is over, with cli->status. */
static bool parse(struct cli *cli, struct arguments *a)
{
    const char *value;
    *a = (struct arguments){0};
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        if (id == ID_TENANT)
            a->tenant = value;
        else if (id == ID_SANDBOX)
            a->sandbox = value;
        else if (id == ID_ORIGIN)
            a->origin = true;
        else if (id == ID_NON_DEFAULT)
            a->non_default = true;
        else if (take_names(cli, value, &a->names) != EX_OK) {
            cli->status = EX_USAGE;
            return false;
        }
    }
    if (cli->n_words > 0)
        cli->status = cli_usage_error(cli, "takes no arguments: use --tenant or --sandbox");
    else if (a->names != NULL &&
             (a->tenant != NULL || a->sandbox != NULL || a->origin || a->non_default))
        cli->status = cli_usage_error(cli, "--names stands alone");
    return cli->status == EX_OK;
}

static int show_run(struct cli *cli)
{
    struct arguments a;
    if (!parse(cli, &a))
        return cli->status;
    int status = EX_OK;
    struct policy *policy = sources_load_system(cli, a.names == NULL, &status);
    if (policy == NULL)
        return status;
    status = show(cli, policy, &a);
    policy_free(policy);
    return status;
}

static const struct cli_option options[] = {
    {"tenant", "NAME", "this tenant, its keys and its sandbox", ID_TENANT, false},
    {"sandbox", "NAME", "this sandbox", ID_SANDBOX, false},
    {"origin", NULL, "say where each value comes from", ID_ORIGIN, false},
    {"non-default", NULL, "leave out what is built in", ID_NON_DEFAULT, false},
    {"names", "KIND", "only the names: tenants, sandboxes or logins", ID_NAMES, false},
    {0},
};

const struct cli_command show_command = {
    .name = "show",
    .synopsis = "[--tenant NAME] [--sandbox NAME] [--origin] [--non-default]",
    .summary = "Print the policy that is in force, as a policy file",
    .options = options,
    .run = show_run,
};
