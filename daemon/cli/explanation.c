#include "explanation.h"
#include "client_wish.h"
#include "diag.h"
#include "doc.h"
#include "moment.h"
#include "style.h"
#include "text.h"
#include "terminal_rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { SHOWN_MAX = 4096, PLACE_MAX = 512 };

static const char *shown(const char *s)
{
    static char buf[SHOWN_MAX];
    return text_escape_str(buf, sizeof buf, s);
}

static const char *place(const struct origin *at)
{
    static char buf[PLACE_MAX];
    return origin_format(at, buf, sizeof buf);
}

static const struct tenant *tenant_of(const struct explanation *e)
{
    return e->decision->login.tenant;
}

/* The sandbox and its settings, or NULL: it would not come to that. */
static const struct shown_section *sandbox_of(const struct explanation *e)
{
    const struct policy *policy = e->request->who.policy;
    if (!e->decision->allowed)
        return NULL;
    const char *name = policy->sandboxes[e->decision->sandbox].name;
    for (size_t i = 0; i < policy->n_shown; i++)
        if (strcmp(policy->shown[i].type, "sandbox") == 0 &&
            strcmp(policy->shown[i].name, name) == 0)
            return &policy->shown[i];
    return NULL;
}

static void print_question(const struct explanation *e)
{
    const struct decide_request *r = e->request;
    char command[SHOWN_MAX];
    char when[MOMENT_TEXT_MAX];
    if (e->note[0] != '\0')
        printf("note      %s\n", e->note);
    printf("client    %s from %s at %s\n", shown(r->who.user), r->who.peer_host,
           moment_format(r->who.now, when));
    text_escape(command, sizeof command, r->command_len > 0 ? r->command : "", r->command_len);
    if (r->kind == EXEC_COMMAND)
        printf("command   \"%s\"\n", command);
    else if (r->kind == EXEC_SUBSYSTEM)
        printf("subsystem \"%s\"\n", command);
    else
        puts("command   none: an interactive shell");
}

static void print_steps(const struct explanation *e)
{
    for (size_t i = 0; i < e->n_steps; i++) {
        const struct step *s = &e->steps[i];
        enum style style = s->passed ? STYLE_GOOD : STYLE_BAD;
        printf("%-9s %s%s%s: %s", s->name, style_begin(stdout, style), s->passed ? "ok" : "refused",
               style_end(stdout), s->text);
        if (s->origin.file != NULL)
            printf(" (%s)", place(&s->origin));
        putchar('\n');
    }
}

static void print_rules(const struct explanation *e)
{
    const struct decision *d = e->decision;
    const struct tenant *t = tenant_of(e);
    if (t != NULL)
        printf("tenant    %s (%s), uid %u%s%s%s\n", t->name, place(&t->origin), t->uid,
               t->run_as != NULL ? " (" : "", t->run_as != NULL ? t->run_as : "",
               t->run_as != NULL ? ")" : "");
    for (size_t i = 0; i < d->n_tried; i++) {
        printf("tried     %s: %s\n", place(&d->tried[i].origin), shown(d->tried[i].rule));
        printf("          %s\n", d->tried[i].why);
    }
}

static void print_vector(const char *label, char *const *vector)
{
    for (; *vector != NULL; vector++) {
        printf("%-9s \"%s\"\n", label, shown(*vector));
        label = "";
    }
}

static void print_terminal(const struct login *login)
{
    struct origin at;
    char why[128];
    if (terminal_rule_allows(login, why, sizeof why, &at)) {
        puts("terminal  yes, if the client asks for one");
        return;
    }
    printf("terminal  no: %s", why);
    if (at.file != NULL)
        printf(" (%s)", place(&at));
    putchar('\n');
}

static void print_sandbox(const struct shown_section *s)
{
    if (s == NULL)
        return;
    printf("sandbox   %s (%s)\n", s->name, place(&s->origin));
    for (size_t i = 0; i < s->n_settings; i++)
        printf("          %s = %s\n", s->settings[i].key, shown(s->settings[i].value));
}

/* In units of the policy. */
static const char *size_text(uint64_t bytes)
{
    static const char units[] = "KMGT";
    static char buf[32];
    char unit[] = {'\0', '\0'};
    for (size_t i = 0; i < sizeof units - 1 && bytes % 1024 == 0; i++) {
        bytes /= 1024;
        unit[0] = units[i];
    }
    (void)snprintf(buf, sizeof buf, "%" PRIu64 "%s", bytes, unit);
    return buf;
}

/* What the client's own wishes change. */
static void print_wishes(const struct decision *d)
{
    if (d->limits.time_is_clients)
        printf("limit     time = %" PRIu64 "s, by the client's " WISH_TIME "\n",
               d->limits.time_ms / 1000);
    if (d->limits.memory_is_clients)
        printf("limit     memory = %s, by the client's " WISH_MEMORY "\n",
               size_text(d->limits.memory));
    if (d->receipt != RECEIPT_NONE)
        printf("receipt   yes, by the %s\n", d->receipt == RECEIPT_BY_CLIENT
                                                 ? "client's " WISH_RECEIPT
                                                 : "policy, but not on a terminal");
    if (d->recorded)
        printf("recorded  what it prints, %s\n",
               d->terminal ? "all of it" : "the beginning and the end of it");
}

void explanation_print(const struct explanation *e)
{
    const struct decision *d = e->decision;
    print_question(e);
    print_steps(e);
    print_rules(e);
    if (!d->allowed) {
        printf("decision  %sdenied%s: %s", style_begin(stdout, STYLE_BAD), style_end(stdout),
               d->reason);
        if (d->rule.file != NULL)
            printf(" (%s)", place(&d->rule));
        putchar('\n');
        return;
    }
    printf("decision  %sallowed%s (%s)\n", style_begin(stdout, STYLE_GOOD), style_end(stdout),
           place(&d->rule));
    print_vector("argv", d->argv);
    print_vector("env", d->envp);
    for (size_t i = 0; i < e->refused_env.n; i++)
        printf("%-9s \"%s\": not in accept-env, so it is left out\n", i == 0 ? "no env" : "",
               shown(e->refused_env.items[i]));
    print_terminal(&d->login);
    print_wishes(d);
    print_sandbox(sandbox_of(e));
}

static void put_request(json_t *doc, const struct decide_request *r)
{
    static const char *const kinds[] = {
        [EXEC_COMMAND] = "exec", [EXEC_SHELL] = "shell", [EXEC_SUBSYSTEM] = "subsystem"};
    json_t *request = json_object();
    doc_text(request, "user", r->who.user);
    doc_text(request, "from", r->who.peer_host);
    doc_time(request, "at", r->who.now);
    doc_text(request, "kind", kinds[r->kind]);
    if (r->kind == EXEC_SHELL)
        doc_text(request, "command", NULL);
    else
        doc_bytes(request, "command", r->command, r->command_len);
    doc_put(doc, "request", request);
}

static void put_login(json_t *doc, const struct explanation *e)
{
    const struct login *login = &e->decision->login;
    json_t *object = json_object();
    doc_bool(object, "accepted", login->accepted);
    doc_text(object, "key", login->key != NULL ? login->key->fingerprint : NULL);
    json_t *steps = doc_array(object, "steps");
    for (size_t i = 0; i < e->n_steps; i++) {
        json_t *step = doc_push(steps, json_object());
        doc_text(step, "step", e->steps[i].name);
        doc_bool(step, "passed", e->steps[i].passed);
        doc_text(step, "text", e->steps[i].text);
        doc_place(step, e->steps[i].origin.file, e->steps[i].origin.line);
    }
    doc_put(doc, "login", object);
}

static void put_tenant(json_t *doc, const struct tenant *t)
{
    if (t == NULL) {
        doc_text(doc, "tenant", NULL);
        return;
    }
    json_t *object = json_object();
    doc_text(object, "name", t->name);
    doc_uint(object, "uid", t->uid);
    doc_uint(object, "gid", t->gid);
    doc_text(object, "run_as", t->run_as);
    doc_place(object, t->origin.file, t->origin.line);
    doc_put(doc, "tenant", object);
}

/* null for a login that is refused. */
static void put_terminal(json_t *doc, const struct login *login)
{
    struct origin at;
    char why[128];
    if (!login->accepted) {
        doc_text(doc, "terminal", NULL);
        return;
    }
    json_t *terminal = json_object();
    bool allowed = terminal_rule_allows(login, why, sizeof why, &at);
    doc_bool(terminal, "allowed", allowed);
    doc_text(terminal, "reason", allowed ? NULL : why);
    doc_place(terminal, at.file, at.line);
    doc_put(doc, "terminal", terminal);
}

static void put_decision(json_t *doc, const struct decision *d)
{
    json_t *tried = doc_array(doc, "tried");
    for (size_t i = 0; i < d->n_tried; i++) {
        json_t *one = doc_push(tried, json_object());
        doc_text(one, "rule", d->tried[i].rule);
        doc_text(one, "why", d->tried[i].why);
        doc_place(one, d->tried[i].origin.file, d->tried[i].origin.line);
    }
    doc_bool(doc, "allowed", d->allowed);
    doc_text(doc, "reason", d->allowed ? NULL : d->reason);
    json_t *rule = json_object();
    doc_place(rule, d->rule.file, d->rule.line);
    doc_put(doc, "rule", rule);
    doc_vector(doc, "argv", d->argv);
    doc_vector(doc, "env", d->envp);
    put_terminal(doc, &d->login);
}

static void put_limit(json_t *object, const char *name, uint64_t value, bool is_clients)
{
    if (is_clients)
        doc_uint(object, name, value);
    else
        doc_text(object, name, NULL);
}

static void put_wishes(json_t *doc, const struct decision *d)
{
    json_t *object = json_object();
    put_limit(object, "time_ms", d->limits.time_ms, d->limits.time_is_clients);
    put_limit(object, "memory", d->limits.memory, d->limits.memory_is_clients);
    doc_put(doc, "limits_by_client", object);
    doc_bool(doc, "receipt", d->receipt != RECEIPT_NONE);
    doc_bool(doc, "recorded", d->recorded);
}

static void put_sandbox(json_t *doc, const struct shown_section *s)
{
    if (s == NULL) {
        doc_text(doc, "sandbox", NULL);
        return;
    }
    json_t *object = json_object();
    doc_text(object, "name", s->name);
    doc_place(object, s->origin.file, s->origin.line);
    json_t *settings = doc_array(object, "settings");
    for (size_t i = 0; i < s->n_settings; i++) {
        json_t *setting = doc_push(settings, json_object());
        doc_text(setting, "key", s->settings[i].key);
        doc_text(setting, "value", s->settings[i].value);
    }
    doc_put(doc, "sandbox", object);
}

int explanation_print_json(const struct explanation *e)
{
    json_t *doc = doc_new("explain");
    doc_text(doc, "note", e->note[0] != '\0' ? e->note : NULL);
    put_request(doc, e->request);
    put_login(doc, e);
    put_tenant(doc, tenant_of(e));
    put_decision(doc, e->decision);
    json_t *refused = doc_array(doc, "refused_env");
    for (size_t i = 0; i < e->refused_env.n; i++)
        doc_push_text(refused, e->refused_env.items[i]);
    put_wishes(doc, e->decision);
    put_sandbox(doc, sandbox_of(e));
    return doc_print(doc);
}
