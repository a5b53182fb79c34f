#include "template.h"
#include "cleanup.h"
#include "diag.h"
#include "regex_cost.h"
#include "split.h"
#include "text.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

static void free_regex(void *arg)
{
    regfree(arg);
}

static int compile_regex(struct pool *pool, const char *pattern, regex_t **out, struct err *err)
{
    if (pattern[0] == '\0')
        return err_set(err, 0, "{re:} needs an expression");
    const char *costly = regex_cost_problem(pattern);
    if (costly != NULL)
        return err_set(err, 0, "{re:}: %s", costly);
    regex_t *regex = pool_alloc(pool, sizeof *regex);
    if (regex == NULL)
        return err_no_memory(err);
    int rc = regcomp(regex, pattern, REG_EXTENDED);
    if (rc != 0) {
        char reason[128];
        (void)regerror(rc, regex, reason, sizeof reason);
        return err_set(err, 0, "{re:}: %s", reason);
    }
    if (pool_at_free(pool, free_regex, regex) < 0) {
        regfree(regex);
        return err_no_memory(err);
    }
    *out = regex;
    return 0;
}

static int split_choices(struct pool *pool, const char *list, struct str_list *out, struct err *err)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, "|");
        char *choice = pool_strndup(pool, at, len);
        if (choice == NULL)
            return err_no_memory(err);
        if (len == 0)
            return err_set(err, 0, "{oneof:} has an empty alternative");
        if (pool_push(pool, (void *)&out->items, &out->n, (void *)&choice, sizeof choice) < 0)
            return err_no_memory(err);
        at += len;
        if (*at == '\0')
            return 0;
    }
}

static int set_dir(struct pool *pool, const char *dir, char **out, struct err *err)
{
    if (value_shared_path(dir, err) < 0)
        return err_wrap(err, "{path:}");
    *out = pool_strdup(pool, strcmp(dir, "/") == 0 ? "" : dir);
    return *out == NULL ? err_no_memory(err) : 0;
}

struct placeholder {
    const char *name;
    enum template_word_type type;
    bool has_argument;
};

static const struct placeholder placeholders[] = {
    {"word", WORD_WORD, false}, {"int", WORD_INT, false}, {"oneof", WORD_ONEOF, true},
    {"path", WORD_PATH, true},  {"re", WORD_RE, true},    {"any", WORD_ANY, false},
    {"args", WORD_ARGS, false},
};

static const struct placeholder *find_placeholder(const char *name, size_t len)
{
    for (size_t i = 0; i < array_len(placeholders); i++)
        if (strlen(placeholders[i].name) == len && memcmp(placeholders[i].name, name, len) == 0)
            return &placeholders[i];
    return NULL;
}

bool is_placeholder(const char *word)
{
    size_t len = strlen(word);
    return len > 2 && word[0] == '{' && word[len - 1] == '}' &&
           find_placeholder(word + 1, strcspn(word + 1, ":}")) != NULL;
}

/* `inner` is what stands between the braces. */
static int parse_placeholder(struct pool *pool, const char *inner, struct template_word *w,
                             struct err *err)
{
    char shown[64];
    size_t len = strcspn(inner, ":");
    const char *argument = inner[len] == ':' ? inner + len + 1 : NULL;
    const struct placeholder *kind = find_placeholder(inner, len);
    if (kind == NULL)
        return err_set(err, 0, "unknown placeholder {%s}",
                       text_escape_str(shown, sizeof shown, inner));
    if (kind->has_argument != (argument != NULL))
        return err_set(err, 0,
                       kind->has_argument ? "{%s} needs an argument: {%s:...}"
                                          : "{%s} takes no argument",
                       kind->name, kind->name);
    w->type = kind->type;
    if (w->type == WORD_ONEOF)
        return split_choices(pool, argument, &w->choices, err);
    if (w->type == WORD_PATH)
        return set_dir(pool, argument, &w->dir, err);
    return w->type == WORD_RE ? compile_regex(pool, argument, &w->regex, err) : 0;
}

/* Takes "{…}" at *pos, up to the brace that ends a word. */
static int take_placeholder(struct pool *pool, const char *text, size_t *pos,
                            struct template_word *w, struct err *err)
{
    const char *end = text + *pos;
    do
        end = strchr(end + 1, '}');
    while (end != NULL && end[1] != '\0' && end[1] != ' ' && end[1] != '\t');
    if (end == NULL)
        return err_set(err, 0, "a placeholder is a whole word: '{' without a '}' that ends one");
    size_t len = (size_t)(end - (text + *pos)) + 1;
    w->text = pool_strndup(pool, text + *pos, len);
    char *inner = pool_strndup(pool, text + *pos + 1, len - 2);
    if (w->text == NULL || inner == NULL)
        return err_no_memory(err);
    *pos += len;
    return parse_placeholder(pool, inner, w, err);
}

static int take_literal(struct pool *pool, const char *text, size_t *pos, struct template_word *w,
                        struct err *err)
{
    struct split_error why;
    size_t len = strlen(text);
    w->type = WORD_LITERAL;
    cleanup_free char *word = malloc(len - *pos + 1);
    if (word == NULL)
        return err_no_memory(err);
    /* Braces in mid-word look like a placeholder that would not be one. */
    if (split_word(text, len, pos, "{}", word, &why) < 0)
        return err_set(err, 0, "%s%s", why.text, split_remedy(text[why.offset]));
    w->text = pool_strdup(pool, word);
    return w->text == NULL ? err_no_memory(err) : 0;
}

static int check_words(const struct command_template *tpl, struct err *err)
{
    if (tpl->n_words == 0)
        return err_set(err, 0, "a command template needs a program");
    if (tpl->n_words > SPLIT_WORDS_MAX)
        return err_set(err, 0, "more than %d words", SPLIT_WORDS_MAX);
    const struct template_word *program = &tpl->words[0];
    if (program->type == WORD_LITERAL && program->text[0] == '\0')
        return err_set(err, 0, "the program's name is empty");
    if (program->type == WORD_WORD || program->type == WORD_INT || program->type == WORD_ANY ||
        program->type == WORD_ARGS)
        return err_set(err, 0, "%s can't stand for the program: the client would choose it",
                       program->text);
    for (size_t i = 0; i + 1 < tpl->n_words; i++)
        if (tpl->words[i].type == WORD_ARGS)
            return err_set(err, 0, "{args} must be the last word");
    return 0;
}

int template_parse(struct pool *pool, const char *text, const struct origin *at,
                   struct command_template *out, struct err *err)
{
    *out = (struct command_template){.text = pool_strdup(pool, text), .origin = *at};
    if (out->text == NULL)
        return err_no_memory(err);
    size_t pos = strspn(text, " \t");
    while (text[pos] != '\0') {
        struct template_word w = {0};
        if ((text[pos] == '{' ? take_placeholder(pool, text, &pos, &w, err)
                              : take_literal(pool, text, &pos, &w, err)) < 0)
            return -1;
        if (pool_push(pool, (void *)&out->words, &out->n_words, &w, sizeof w) < 0)
            return err_no_memory(err);
        pos += strspn(text + pos, " \t");
    }
    return check_words(out, err);
}
