#include "show_keys.h"
#include "moment.h"
#include "text.h"

#include <stdio.h>

enum { SHOWN_MAX = 4096 };

static const char *shown(const char *s)
{
    static char buf[SHOWN_MAX];
    return text_escape_str(buf, sizeof buf, s);
}

/* Options of one key, as they are written. */
struct writing {
    FILE *to;
    const char *first; /* goes before the first of them */
    size_t n;
};

static void begin_option(struct writing *w)
{
    fputs(w->n++ == 0 ? w->first : ", ", w->to);
}

static void write_address_option(struct writing *w, const struct address_list *list)
{
    if (list->n == 0)
        return;
    begin_option(w);
    fputs("from=\"", w->to);
    for (size_t i = 0; i < list->n; i++)
        fprintf(w->to, "%s%s", i > 0 ? "," : "", shown(list->rules[i].text));
    fputc('"', w->to);
}

static void write_principals(struct writing *w, const struct str_list *names)
{
    if (names->n == 0)
        return;
    begin_option(w);
    fputs("principals=\"", w->to);
    for (size_t i = 0; i < names->n; i++)
        fprintf(w->to, "%s%s", i > 0 ? "," : "", shown(names->items[i]));
    fputc('"', w->to);
}

/* In the words of a key file, though not always in those that stand there. */
static void write_options(struct writing *w, const struct policy_key *key)
{
    if (key->is_authority) {
        begin_option(w);
        fputs("cert-authority", w->to);
    }
    write_principals(w, &key->principals);
    if (key->restricted) {
        begin_option(w);
        fputs("no-pty", w->to);
    }
    if (key->untouched) {
        begin_option(w);
        fputs("no-touch-required", w->to);
    }
    if (key->verified) {
        begin_option(w);
        fputs("verify-required", w->to);
    }
    write_address_option(w, &key->from);
    if (key->expires != 0) {
        char when[MOMENT_TEXT_MAX];
        begin_option(w);
        fprintf(w->to, "until %s", moment_format(key->expires, when));
    }
    if (key->force != NULL) {
        begin_option(w);
        fprintf(w->to, "command=\"%s\"", shown(key->force));
    }
    for (size_t i = 0; i < key->environment.n; i++) {
        begin_option(w);
        fprintf(w->to, "environment=\"%s\"", shown(key->environment.items[i]));
    }
}

size_t show_keys_options(const struct policy_key *key, char *buf, size_t cap)
{
    buf[0] = '\0';
    struct writing w = {.to = fmemopen(buf, cap, "w"), .first = ""};
    if (w.to == NULL)
        return 0;
    write_options(&w, key);
    (void)fclose(w.to);
    buf[cap - 1] = '\0';
    return w.n;
}

void show_keys_print(const struct tenant *tenant)
{
    for (size_t i = 0; i < tenant->n_keys; i++) {
        const struct policy_key *key = &tenant->keys[i];
        printf("; key %s %s%s%s (%s:%u)\n", key->fingerprint, key->type,
               key->comment[0] != '\0' ? " " : "", shown(key->comment), key->origin.file,
               key->origin.line);
        struct writing w = {.to = stdout, .first = ";     "};
        write_options(&w, key);
        if (w.n > 0)
            putchar('\n');
    }
}

static void put_list(json_t *key, const char *name, const struct str_list *list)
{
    json_t *array = doc_array(key, name);
    for (size_t i = 0; i < list->n; i++)
        doc_push_text(array, list->items[i]);
}

void show_keys_put(json_t *section, const struct tenant *tenant)
{
    json_t *keys = doc_array(section, "keys");
    for (size_t i = 0; i < tenant->n_keys; i++) {
        const struct policy_key *from = &tenant->keys[i];
        json_t *key = doc_push(keys, json_object());
        doc_text(key, "fingerprint", from->fingerprint);
        doc_text(key, "type", from->type);
        doc_text(key, "comment", from->comment);
        doc_place(key, from->origin.file, from->origin.line);
        doc_bool(key, "authority", from->is_authority);
        put_list(key, "principals", &from->principals);
        doc_bool(key, "no_pty", from->restricted);
        doc_bool(key, "no_touch_required", from->untouched);
        doc_bool(key, "verify_required", from->verified);
        json_t *addresses = doc_array(key, "from");
        for (size_t k = 0; k < from->from.n; k++)
            doc_push_text(addresses, from->from.rules[k].text);
        if (from->expires != 0)
            doc_time(key, "expires", from->expires);
        else
            doc_text(key, "expires", NULL);
        doc_text(key, "command", from->force);
        put_list(key, "environment", &from->environment);
    }
}
