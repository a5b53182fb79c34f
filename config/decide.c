#include "decide.h"
#include "cleanup.h"
#include "client_wish.h"
#include "decide_env.h"
#include "split.h"
#include "template.h"
#include "terminal_rule.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be judged. A key's command= stands in for the client's command; then the tenant's
 * rules apply to it as if the client had asked for it. So a key can only tighten. */
struct asked {
    const char *line;      /* NULL: no command, the client wants a shell or a subsystem */
    const char *subsystem; /* its name, or NULL */
    const char *original;  /* SSH_ORIGINAL_COMMAND, or NULL */
};

static void deny(struct decision *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void deny(struct decision *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out->reason, sizeof out->reason, fmt, ap);
    va_end(ap);
}

static void trace(struct decision *out, const struct origin *at, const char *rule, const char *why)
{
    /* Allocated for all rules at once by decide(). */
    struct rule_trace *t = &out->tried[out->n_tried++];
    *t = (struct rule_trace){.origin = *at, .rule = rule};
    (void)snprintf(t->why, sizeof t->why, "%s", why);
}

static size_t vector_bytes(char *const *vector)
{
    size_t bytes = 0;
    for (; *vector != NULL; vector++)
        bytes += strlen(*vector) + 1;
    return bytes;
}

static void free_vector(char **vector)
{
    for (size_t i = 0; vector != NULL && vector[i] != NULL; i++)
        free(vector[i]);
    free(vector);
}

/* Takes the words over. */
static void allow(const struct decide_request *r, const struct asked *asked,
                  const struct origin *rule, struct str_list *argv, struct decision *out)
{
    char **envp = decide_env_make(r, out, asked->original);
    if (envp == NULL) {
        deny(out, "out of memory");
    } else if (vector_bytes(argv->items) > VECTOR_MAX || vector_bytes(envp) > VECTOR_MAX) {
        deny(out, "the command and its environment are too long together");
        free_vector(envp);
    } else {
        out->argv = steal_ptr(argv->items);
        out->envp = envp;
        out->rule = *rule;
        out->allowed = true;
        return;
    }
    split_free(argv);
}

/* A copy of the policy's words, with room for `more` and the NULL at the end. */
static int copy_words(const struct str_list *from, size_t more, struct str_list *to)
{
    *to = (struct str_list){.items = calloc(from->n + more + 1, sizeof *to->items)};
    for (size_t i = 0; to->items != NULL && i < from->n; i++) {
        to->items[i] = strdup(from->items[i]);
        if (to->items[i] == NULL) {
            split_free(to);
            return -1;
        }
        to->n++;
    }
    return to->items == NULL ? -1 : 0;
}

static int add_word(struct str_list *words, const char *word)
{
    char *copy = strdup(word);
    if (copy == NULL)
        return -1;
    words->items[words->n++] = copy;
    return 0;
}

static void run_force(const struct decide_request *r, struct asked *asked, struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    struct str_list argv;
    asked->original = asked->subsystem != NULL ? asked->subsystem : asked->line;
    trace(out, &t->rule_origin, t->force_line, "matched: force replaces every command");
    if (copy_words(&t->force, 0, &argv) < 0)
        deny(out, "out of memory");
    else
        allow(r, asked, &t->rule_origin, &argv, out);
}

static void run_shell(const struct decide_request *r, const struct asked *asked,
                      struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    struct str_list argv;
    /* A shell would take it for one of its own options, not for a command. */
    if (asked->line[0] == '-' || asked->line[0] == '+') {
        trace(out, &t->rule_origin, t->shell_line, "the line begins like an option");
        deny(out, "a command line can't begin with '%c'", asked->line[0]);
        return;
    }
    trace(out, &t->rule_origin, t->shell_line, "matched: the shell gets the line");
    if (copy_words(&t->shell, 2, &argv) < 0) {
        deny(out, "out of memory");
    } else if (add_word(&argv, "-c") < 0 || add_word(&argv, asked->line) < 0) {
        split_free(&argv);
        deny(out, "out of memory");
    } else {
        allow(r, asked, &t->rule_origin, &argv, out);
    }
}

/* No command at all. */
static void run_login(const struct decide_request *r, const struct asked *asked,
                      struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    struct str_list argv;
    struct origin at;
    char why[128];
    if (t->shell_line == NULL) {
        deny(out, t->n_templates > 0 ? "no command was given, and this login has no shell"
                                     : "this login may run no command");
        return;
    }
    if (!terminal_rule_allows(&out->login, why, sizeof why, &at)) {
        trace(out, &t->rule_origin, t->shell_line, "no terminal is allowed");
        if (at.file != NULL)
            out->rule = at;
        deny(out, "no command was given, and there is no interactive login: %s", why);
        return;
    }
    trace(out, &t->rule_origin, t->shell_line, "matched: the shell itself, as there is no command");
    if (copy_words(&t->shell, 0, &argv) < 0) {
        deny(out, "out of memory");
        return;
    }
    /* Of more words the first may be any program: env, busybox. */
    out->login_shell = argv.n == 1;
    allow(r, asked, &t->rule_origin, &argv, out);
}

static void try_templates(const struct decide_request *r, const struct asked *asked,
                          const struct str_list *words, struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    size_t best_depth = 0;
    size_t best = 0;
    for (size_t i = 0; i < t->n_templates; i++) {
        const struct command_template *tpl = &t->templates[i];
        struct str_list argv;
        char why[sizeof out->tried->why];
        size_t depth = 0;
        bool matched = template_match(tpl, words, &argv, why, sizeof why, &depth);
        trace(out, &tpl->origin, tpl->text, why);
        if (matched) {
            allow(r, asked, &tpl->origin, &argv, out);
            return;
        }
        if (depth > best_depth) {
            best_depth = depth;
            best = i;
        }
    }
    /* The client learns most from the rule that it came nearest to. */
    char program[80];
    if (best_depth > 0) {
        out->rule = t->templates[best].origin;
        deny(out, "the command doesn't match: %s", out->tried[best].why);
    } else {
        deny(out, "\"%s\" is not a command that is allowed here",
             text_escape_str(program, sizeof program, words->items[0]));
    }
}

static void run_templates(const struct decide_request *r, const struct asked *asked,
                          struct decision *out)
{
    struct str_list words;
    struct split_error why;
    if (split_command(asked->line, strlen(asked->line), &words, &why) < 0) {
        deny(out, "no shell reads this command: %s", why.text);
        return;
    }
    if (words.n == 0)
        deny(out, "the command is empty");
    else
        try_templates(r, asked, &words, out);
    split_free(&words);
}

static void run_subsystem(const struct decide_request *r, const struct asked *asked,
                          struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    char name[64];
    for (size_t i = 0; i < t->n_subsystems; i++) {
        const struct subsystem *s = &t->subsystems[i];
        struct str_list argv;
        if (strcmp(s->name, asked->subsystem) != 0) {
            trace(out, &s->origin, s->line, "another subsystem");
            continue;
        }
        trace(out, &s->origin, s->line, "matched");
        if (copy_words(&s->argv, 0, &argv) < 0)
            deny(out, "out of memory");
        else
            allow(r, asked, &s->origin, &argv, out);
        return;
    }
    deny(out, "subsystem \"%s\" is not offered",
         text_escape_str(name, sizeof name, asked->subsystem));
}

static void apply_rules(const struct decide_request *r, struct asked *asked, struct decision *out)
{
    const struct tenant *t = out->login.tenant;
    if (t->force_line != NULL)
        run_force(r, asked, out);
    else if (asked->subsystem != NULL)
        run_subsystem(r, asked, out);
    else if (asked->line == NULL)
        run_login(r, asked, out);
    else if (t->shell_line != NULL)
        run_shell(r, asked, out);
    else if (t->n_templates > 0)
        run_templates(r, asked, out);
    else
        deny(out, "this login may run no command");
}

static bool is_judgeable(const struct decide_request *r, struct decision *out)
{
    if (r->kind != EXEC_COMMAND && r->kind != EXEC_SHELL && r->kind != EXEC_SUBSYSTEM)
        deny(out, "unknown kind of request");
    else if (r->command_truncated || r->command_len > COMMAND_MAX)
        deny(out, "the command is longer than %d bytes", COMMAND_MAX);
    else if (r->command_len > 0 && memchr(r->command, '\0', r->command_len) != NULL)
        deny(out, "the command holds a NUL byte");
    else if (r->n_env > ENV_COUNT_MAX)
        deny(out, "more than %d environment variables", ENV_COUNT_MAX);
    else
        return true;
    return false;
}

/* False, with a denial, if they may not even be here. */
static bool is_welcome(const struct decide_request *r, struct decision *out)
{
    decide_login(&r->who, &out->login);
    out->rule = out->login.rule;
    if (!out->login.accepted) {
        deny(out, "%s", out->login.reason);
        return false;
    }
    out->sandbox = out->login.tenant->sandbox;
    out->rule = out->login.tenant->rule_origin;
    return true;
}

static bool gets_terminal(const struct decide_request *r, const struct decision *out)
{
    struct origin at;
    char why[128];
    return r->terminal && terminal_rule_allows(&out->login, why, sizeof why, &at);
}

static void trace_forced(struct decision *out)
{
    const struct policy_key *key = out->login.key;
    trace(out, &key->origin, key->force != NULL ? key->force : "(the certificate's force-command)",
          "matched: the key's command stands in for what was asked");
}

/* False, with a denial, if what the client asks of us can't be understood: a limit that is left
 * aside is none. */
static bool is_sensible(const struct decide_request *r, struct decision *out)
{
    struct err err = {0};
    if (client_wish_read(r, &out->login, &out->limits, &out->receipt, &err) == 0)
        return true;
    deny(out, "%s", err.text);
    return false;
}

void decide(const struct decide_request *request, struct decision *out)
{
    *out = (struct decision){0};
    if (!is_welcome(request, out) || !is_judgeable(request, out) || !is_sensible(request, out))
        return;
    const struct tenant *t = out->login.tenant;
    const struct wire_bytes *force = &out->login.force;
    cleanup_free char *forced =
        force->len == 0 ? NULL : strndup((const char *)force->data, force->len);
    cleanup_free char *command =
        strndup(request->command_len > 0 ? request->command : "", request->command_len);
    out->tried = calloc(t->n_templates + t->n_subsystems + 2, sizeof *out->tried);
    if (command == NULL || out->tried == NULL || (forced == NULL && force->len > 0)) {
        deny(out, "out of memory");
        return;
    }
    out->terminal = gets_terminal(request, out);
    out->recorded = t->record == RECORD_OUTPUT || (t->record == RECORD_TERMINAL && out->terminal);
    struct asked asked = {.line = request->kind == EXEC_COMMAND ? command : NULL,
                          .subsystem = request->kind == EXEC_SUBSYSTEM ? command : NULL};
    if (forced != NULL) {
        asked.original = asked.subsystem != NULL ? asked.subsystem : asked.line;
        asked.line = forced;
        asked.subsystem = NULL;
        trace_forced(out);
    }
    apply_rules(request, &asked, out);
}

void decision_free(struct decision *decision)
{
    free_vector(decision->argv);
    free_vector(decision->envp);
    free(decision->tried);
    *decision = (struct decision){0};
}
