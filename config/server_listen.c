#include "server_build.h"
#include "address.h"
#include "values.h"

#include <string.h>

enum { LISTEN_MAX = 64 };

static int add_listen(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    struct server_config *s = target;
    if (value[0] == '\0')
        return err_set(err, 0, "'listen' needs a value");
    char host[64];
    struct listen_addr addr = {.origin = *at};
    char text[96];
    size_t len = strcspn(value, " \t");
    const char *word = value + len + strspn(value + len, " \t");
    addr.proxy = strcmp(word, "proxy") == 0;
    if (len >= sizeof text || (word[0] != '\0' && !addr.proxy))
        return err_set(err, 0, "'listen' is ADDRESS:PORT, with 'proxy' behind it or nothing");
    memcpy(text, value, len);
    text[len] = '\0';
    if (value_listen(text, host, sizeof host, &addr.port, err) < 0)
        return -1;
    if (s->n_listen == LISTEN_MAX)
        return err_set(err, 0, "more than %d addresses", LISTEN_MAX);
    for (size_t i = 0; i < s->n_listen; i++)
        if (s->listen[i].port == addr.port && addr.port != 0 &&
            strcmp(s->listen[i].host, host) == 0)
            return err_set(err, 0, "this address is listed twice (first at line %u)",
                           s->listen[i].origin.line);
    addr.host = pool_strdup(l->pool, host);
    if (addr.host == NULL ||
        pool_push(l->pool, (void *)&s->listen, &s->n_listen, &addr, sizeof addr) < 0)
        return err_no_memory(err);
    return 0;
}

int server_set_listen(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    int rc = add_listen(l, target, at, value, err);
    if (rc < 0)
        ((struct server_config *)target)->proxies_unclear = true;
    return rc;
}

int server_set_proxy_from(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err)
{
    struct server_config *s = target;
    s->proxies_unclear = true;
    if (address_list_add(l->pool, &s->proxy_from, value, at, err) < 0)
        return -1;
    if (s->proxy_from.n == 0 || address_list_problem(&s->proxy_from) != NULL)
        return err_set(err, 0, "it names nobody: write the addresses of the balancers");
    s->proxies_unclear = false;
    return 0;
}

/* A header that anybody may send tells nothing. */
void server_check_proxies(struct loader *l, const struct server_config *s)
{
    struct err err = {0};
    const struct listen_addr *proxy = NULL;
    if (s->proxies_unclear)
        return;
    for (size_t i = 0; i < s->n_listen && proxy == NULL; i++)
        if (s->listen[i].proxy)
            proxy = &s->listen[i];
    if (proxy != NULL && s->proxy_from.n == 0) {
        err_set(&err, 0, "'listen' with 'proxy' needs 'proxy-from': whose word counts");
        loader_complain(l, &proxy->origin, "name the balancers, e.g. proxy-from = 10.0.0.5", &err);
    } else if (proxy == NULL && s->proxy_from.n > 0) {
        err_set(&err, 0, "'proxy-from' is of no use: no 'listen' has 'proxy' behind it");
        loader_complain(l, &s->proxy_from.rules[0].origin, NULL, &err);
    }
}

/* One number between colons, and *at moved behind it. */
static int next_number(const char **at, uint64_t min, uint64_t max, uint64_t *number,
                       struct err *err)
{
    char text[24];
    size_t len = strcspn(*at, ":");
    if (len >= sizeof text)
        return err_set(err, 0, "a number is too long");
    memcpy(text, *at, len);
    text[len] = '\0';
    *at += len + ((*at)[len] == ':');
    return value_uint(text, min, max, number, err);
}

int server_set_max_startups(struct loader *l, void *target, const struct origin *at,
                            const char *value, struct err *err)
{
    (void)l;
    (void)at;
    struct server_config *s = target;
    uint64_t begin = 0, percent = 100, full = 0;
    const char *rest = value;
    size_t colons = 0;
    for (const char *c = value; *c != '\0'; c++)
        colons += *c == ':';
    if (colons != 0 && colons != 2)
        return err_set(err, 0,
                       "'max-startups' is a number, or START:PERCENT:FULL such as 50:30:100");
    if (colons == 0) {
        if (value_uint(value, 1, 10000, &full, err) < 0)
            return -1;
        begin = full;
    } else if (next_number(&rest, 1, 10000, &begin, err) < 0 ||
               next_number(&rest, 1, 100, &percent, err) < 0 ||
               next_number(&rest, 1, 10000, &full, err) < 0) {
        return err_wrap(err, "START:PERCENT:FULL");
    }
    if (begin > full)
        return err_set(err, 0, "START:PERCENT:FULL: START is at most FULL");
    s->startups_begin = (uint32_t)begin;
    s->startups_percent = (uint32_t)percent;
    s->max_startups = (uint32_t)full;
    return 0;
}

int server_set_source_exempt(struct loader *l, void *target, const struct origin *at,
                             const char *value, struct err *err)
{
    struct server_config *s = target;
    s->source_exempt = (struct address_list){0};
    if (strcmp(value, "none") == 0)
        return 0;
    if (address_list_add(l->pool, &s->source_exempt, value, at, err) < 0)
        return -1;
    if (s->source_exempt.n == 0 || address_list_problem(&s->source_exempt) != NULL)
        return err_set(err, 0, "it names nobody; to exempt nobody write 'none'");
    return 0;
}
