#include "steps.h"
#include "address.h"
#include "moment.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Steps are added until one has not been passed: decide_login() looked no further. */
struct list {
    const struct login *login;
    struct step *steps;
    size_t n;
};

static void pass(struct list *list, const char *name, const struct origin *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void pass(struct list *list, const char *name, const struct origin *at, const char *fmt, ...)
{
    struct step *step = &list->steps[list->n++];
    *step = (struct step){.name = name, .passed = true};
    if (at != NULL)
        step->origin = *at;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(step->text, sizeof step->text, fmt, ap);
    va_end(ap);
}

/* In the words of the refusal. Always false. */
static bool fail(struct list *list, const char *name)
{
    struct step *step = &list->steps[list->n++];
    *step = (struct step){.name = name, .origin = list->login->rule};
    (void)snprintf(step->text, sizeof step->text, "%s", list->login->reason);
    return false;
}

static bool add_login(struct list *list, const struct login_request *r)
{
    if (!list->login->login_known)
        return fail(list, "login");
    size_t n = 0;
    const struct tenant *only = NULL;
    for (size_t i = 0; i < r->policy->n_tenants; i++)
        if (strcmp(r->policy->tenants[i].user, r->user) == 0) {
            only = &r->policy->tenants[i];
            n++;
        }
    if (n == 1)
        pass(list, "login", &only->origin, "it is tenant \"%s\"'s", only->name);
    else
        pass(list, "login", NULL, "%zu tenants share it: the key decides", n);
    return true;
}

static bool add_key(struct list *list)
{
    const struct login *login = list->login;
    char comment[200];
    if (login->tenant == NULL)
        return fail(list, "key");
    if (login->key == NULL)
        pass(list, "key", &login->tenant->origin, "none is asked for (auth = none)");
    else
        pass(list, "key", &login->key->origin, "%s %s%s%s%s", login->key->fingerprint,
             login->key->type, login->key->comment[0] != '\0' ? " " : "",
             text_escape_str(comment, sizeof comment, login->key->comment),
             login->has_certificate ? ", whose certificate this is" : "");
    return true;
}

static bool add_from(struct list *list, const char *name, const struct address_list *rules,
                     const struct login_request *r)
{
    unsigned char address[ADDRESS_LEN];
    if (rules->n == 0)
        return true;
    if (address_parse(r->peer_host, address) < 0 || !address_list_allows(rules, address))
        return fail(list, name);
    const struct address_rule *rule = address_list_match(rules, address);
    pass(list, name, &rule->origin, "%s is in %s", r->peer_host, rule->text);
    return true;
}

static bool add_time(struct list *list, const struct login_request *r)
{
    const struct policy_key *key = list->login->key;
    char when[MOMENT_TEXT_MAX];
    if (key == NULL || key->expires == 0)
        return true;
    if (r->now >= key->expires)
        return fail(list, "expiry");
    pass(list, "expiry", &key->origin, "the key is good until %s",
         moment_format(key->expires, when));
    return true;
}

size_t steps_of(const struct login_request *request, const struct login *login,
                struct step steps[STEPS_MAX])
{
    struct list list = {.login = login, .steps = steps};
    if (!add_login(&list, request) || !add_key(&list) ||
        !add_from(&list, "from", &login->tenant->from, request) ||
        (login->key != NULL && !add_from(&list, "key from", &login->key->from, request)) ||
        !add_time(&list, request))
        return list.n;
    if (!login->accepted)
        (void)fail(&list, login->has_certificate ? "cert" : "login");
    else if (login->has_certificate)
        pass(&list, "cert", &login->key->origin, "signed by this authority, and good now");
    return list.n;
}
