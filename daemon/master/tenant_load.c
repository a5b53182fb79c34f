#include "tenant_load.h"
#include "state.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64, NAME_BYTES = 256 };

/* FNV-1a. The names are the administrator's: nobody else chooses what collides. */
static size_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3U;
    return (size_t)(h ^ (h >> 32));
}

static struct tenant_load **bucket_of(const struct tenant_loads *loads, const char *name)
{
    return &loads->buckets[hash(name) & (loads->n_buckets - 1)];
}

static int grow(struct tenant_loads *loads)
{
    struct tenant_loads larger = {
        .n_buckets = loads->n_buckets > 0 ? loads->n_buckets * 2 : BUCKETS_FIRST, .n = loads->n};
    larger.buckets = calloc(larger.n_buckets, sizeof *larger.buckets);
    if (larger.buckets == NULL)
        return -1;
    for (size_t i = 0; i < loads->n_buckets; i++) {
        for (struct tenant_load *load = loads->buckets[i], *next; load != NULL; load = next) {
            struct tenant_load **at = bucket_of(&larger, load->name);
            next = load->next;
            load->next = *at;
            *at = load;
        }
    }
    free(loads->buckets);
    *loads = larger;
    return 0;
}

static struct tenant_load *find(const struct tenant_loads *loads, const char *name)
{
    struct tenant_load *load = loads->n_buckets > 0 ? *bucket_of(loads, name) : NULL;
    while (load != NULL && strcmp(load->name, name) != 0)
        load = load->next;
    return load;
}

struct tenant_load *tenant_load_hold(struct tenant_loads *loads, const char *name)
{
    struct tenant_load *load = find(loads, name);
    if (load != NULL)
        return tenant_load_ref(load);
    /* A table that can't grow is only slower. */
    if (loads->n >= loads->n_buckets && grow(loads) < 0 && loads->n_buckets == 0)
        return NULL;
    size_t len = strlen(name) + 1;
    load = calloc(1, sizeof *load + len);
    if (load == NULL)
        return NULL;
    memcpy(load->name, name, len);
    struct tenant_load **at = bucket_of(loads, name);
    load->next = *at;
    *at = load;
    loads->n++;
    return tenant_load_ref(load);
}

struct tenant_load *tenant_load_ref(struct tenant_load *load)
{
    load->refs++;
    return load;
}

static bool is_idle(const struct tenant_load *load, uint64_t now_ms)
{
    return load->refs == 0 && (load->gone || rate_is_whole(&load->rate, now_ms));
}

static void unlink_and_free(struct tenant_loads *loads, struct tenant_load **at)
{
    struct tenant_load *load = *at;
    *at = load->next;
    loads->n--;
    free(load);
}

void tenant_load_release(struct tenant_loads *loads, struct tenant_load *load, uint64_t now_ms)
{
    if (load == NULL)
        return;
    load->refs--;
    if (!is_idle(load, now_ms))
        return;
    struct tenant_load **at = bucket_of(loads, load->name);
    while (*at != load)
        at = &(*at)->next;
    unlink_and_free(loads, at);
}

void tenant_loads_sweep(struct tenant_loads *loads, bool (*exists)(const void *user, const char *),
                        const void *user, uint64_t now_ms)
{
    for (size_t i = 0; i < loads->n_buckets; i++) {
        struct tenant_load **at = &loads->buckets[i];
        while (*at != NULL) {
            (*at)->gone = !exists(user, (*at)->name);
            if (is_idle(*at, now_ms))
                unlink_and_free(loads, at);
            else
                at = &(*at)->next;
        }
    }
}

void tenant_loads_free(struct tenant_loads *loads)
{
    for (size_t i = 0; i < loads->n_buckets; i++)
        while (loads->buckets[i] != NULL)
            unlink_and_free(loads, &loads->buckets[i]);
    free(loads->buckets);
    *loads = (struct tenant_loads){0};
}

static void restore(struct state *state, struct tenant_loads *loads, uint64_t now_ms)
{
    char name[NAME_BYTES];
    STATE_TEXT(state, name);
    struct tenant_load *load = state_is_good(state) ? tenant_load_hold(loads, name) : NULL;
    if (load == NULL) {
        state_refuse(state);
        return;
    }
    state_u64(state, &load->rate.whole_ns);
    state_bool(state, &load->gone);
    tenant_load_release(loads, load, now_ms);
}

void tenant_loads_carry(struct state *state, struct tenant_loads *loads, uint64_t now_ms)
{
    for (size_t i = 0; state->saving && i < loads->n_buckets; i++) {
        for (struct tenant_load *load = loads->buckets[i]; load != NULL; load = load->next) {
            (void)state_more(state, true);
            state_text(state, load->name, strlen(load->name) + 1);
            state_u64(state, &load->rate.whole_ns);
            state_bool(state, &load->gone);
        }
    }
    while (state_more(state, false))
        restore(state, loads, now_ms);
}

void tenant_load_carry(struct state *state, struct server *server, struct tenant_loads *loads,
                       struct tenant_load **held)
{
    char name[NAME_BYTES] = "";
    if (state->saving && *held != NULL) {
        state_text(state, (*held)->name, strlen((*held)->name) + 1);
        return;
    }
    STATE_TEXT(state, name);
    if (state->saving || name[0] == '\0' || !state_is_good(state))
        return;
    *held = tenant_load_hold(loads, name);
    if (*held == NULL)
        state_refuse(state);
    else
        (*held)->server = server;
}
