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

/* Begins an option; the first one of a key begins its line. */
static void begin_option(size_t *n)
{
    fputs((*n)++ == 0 ? ";     " : ", ", stdout);
}

static void print_address_option(const struct address_list *list, size_t *n)
{
    if (list->n == 0)
        return;
    begin_option(n);
    fputs("from=\"", stdout);
    for (size_t i = 0; i < list->n; i++)
        printf("%s%s", i > 0 ? "," : "", shown(list->rules[i].text));
    putchar('"');
}

static void print_principals(const struct str_list *names, size_t *n)
{
    if (names->n == 0)
        return;
    begin_option(n);
    fputs("principals=\"", stdout);
    for (size_t i = 0; i < names->n; i++)
        printf("%s%s", i > 0 ? "," : "", shown(names->items[i]));
    putchar('"');
}

/* In the words of a key file, though not always in those that stand there. */
static void print_options(const struct policy_key *key)
{
    size_t n = 0;
    if (key->is_authority) {
        begin_option(&n);
        fputs("cert-authority", stdout);
    }
    print_principals(&key->principals, &n);
    if (key->restricted) {
        begin_option(&n);
        fputs("no-pty", stdout);
    }
    print_address_option(&key->from, &n);
    if (key->expires != 0) {
        char when[MOMENT_TEXT_MAX];
        begin_option(&n);
        printf("until %s", moment_format(key->expires, when));
    }
    if (key->force != NULL) {
        begin_option(&n);
        printf("command=\"%s\"", shown(key->force));
    }
    for (size_t i = 0; i < key->environment.n; i++) {
        begin_option(&n);
        printf("environment=\"%s\"", shown(key->environment.items[i]));
    }
    if (n > 0)
        putchar('\n');
}

void show_keys_print(const struct tenant *tenant)
{
    for (size_t i = 0; i < tenant->n_keys; i++) {
        const struct policy_key *key = &tenant->keys[i];
        printf("; key %s %s%s%s (%s:%u)\n", key->fingerprint, key->type,
               key->comment[0] != '\0' ? " " : "", shown(key->comment), key->origin.file,
               key->origin.line);
        print_options(key);
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
