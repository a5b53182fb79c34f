#include "cleanup.h"
#include "diag.h"
#include "review_parts.h"
#include "risky_programs.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rule and the tenant that it was found in. */
struct rule {
    const struct command_template *tpl;
    const struct tenant *tenant;
};

static int compare(const void *a, const void *b)
{
    return review_compare_origins(&((const struct rule *)a)->tpl->origin,
                                  &((const struct rule *)b)->tpl->origin);
}

static bool warn_of_program(const struct command_template *tpl, struct diags *diags)
{
    struct risk risk;
    char program[48];
    char word[48];
    if (!risky_programs_find(tpl, &risk))
        return false;
    diag_warn(diags, tpl->origin.file, tpl->origin.line,
              "write the words out, or use {path:...}, {int} or {oneof:...}",
              "%s is too free for '%s': %s", text_escape_str(word, sizeof word, risk.word->text),
              text_escape_str(program, sizeof program, risk.program), risk.trick);
    return true;
}

/* An expression that begins with a dash, and goes on with none of several things, is meant to. */
static bool is_meant_as_option(const char *text)
{
    static const char begin[] = "{re:-";
    size_t len = sizeof begin - 1;
    return strncmp(text, begin, len) == 0 && strchr("?*{", text[len]) == NULL &&
           strchr(text, '|') == NULL;
}

/* Whether all words from here on may be anything: then that is what the rule is about. */
static bool is_open_end(const struct command_template *tpl, size_t from)
{
    for (size_t i = from; i < tpl->n_words; i++)
        if (tpl->words[i].type != WORD_ANY && tpl->words[i].type != WORD_ARGS)
            return false;
    return true;
}

static void warn_of_options(const struct command_template *tpl, struct diags *diags)
{
    for (size_t i = 1; i < tpl->n_words; i++) {
        const struct template_word *w = &tpl->words[i];
        char shown[64];
        if (w->type == WORD_LITERAL && strcmp(w->text, "--") == 0)
            return;
        if (is_open_end(tpl, i))
            return;
        if (!risky_programs_takes_option(w) || is_meant_as_option(w->text))
            continue;
        diag_warn(diags, tpl->origin.file, tpl->origin.line,
                  w->type == WORD_RE ? "let the expression begin with what isn't '-', such as [^-]"
                                     : "{word} does not begin with '-'",
                  "word %zu, %s, may be an option: it lets words through that begin with '-'",
                  i + 1, text_escape_str(shown, sizeof shown, w->text));
        return;
    }
}

static void warn_of_shadow(const struct rule *rule, struct diags *diags)
{
    const struct command_template *tpl = rule->tpl;
    const struct command_template *all = rule->tenant->templates;
    for (const struct command_template *earlier = all; earlier < tpl; earlier++) {
        char first[48];
        char second[48];
        char where[100];
        if (!template_covers(earlier, tpl))
            continue;
        bool same = template_covers(tpl, earlier);
        text_escape_str(first, sizeof first, earlier->text);
        text_escape_str(second, sizeof second, tpl->text);
        diag_warn(diags, tpl->origin.file, tpl->origin.line,
                  same ? "remove one of them" : "put the narrower rule first, or remove it",
                  "'%s' is never used: '%s' at %s takes %s", second, first,
                  origin_format(&earlier->origin, where, sizeof where),
                  same ? "the same" : "all that it could");
        return;
    }
}

int review_rules(const struct policy *policy, struct diags *diags)
{
    size_t total = 0;
    size_t n = 0;
    for (size_t i = 0; i < policy->n_tenants; i++)
        total += policy->tenants[i].n_templates;
    cleanup_free struct rule *rules = calloc(total + 1, sizeof *rules);
    if (rules == NULL)
        return -1;
    for (size_t i = 0; i < policy->n_tenants; i++)
        for (size_t k = 0; k < policy->tenants[i].n_templates; k++)
            rules[n++] = (struct rule){&policy->tenants[i].templates[k], &policy->tenants[i]};
    qsort(rules, n, sizeof *rules, compare);
    for (size_t i = 0; i < n; i++) {
        /* Tenants that inherit a line inherit all that stands before it as well. */
        if (i > 0 && compare(&rules[i - 1], &rules[i]) == 0)
            continue;
        if (!warn_of_program(rules[i].tpl, diags))
            warn_of_options(rules[i].tpl, diags);
        warn_of_shadow(&rules[i], diags);
    }
    return 0;
}
