#include "source.h"
#include "state.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MAPPED_BITS = 96 };

static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool source_address(const struct sockaddr *addr, unsigned char out[SOURCE_LEN])
{
    if (addr->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
        return true;
    }
    if (addr->sa_family != AF_INET6)
        return false;
    memcpy(out, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, SOURCE_LEN);
    return true;
}

static bool is_mapped(const unsigned char net[SOURCE_LEN])
{
    return memcmp(net, mapped, sizeof mapped) == 0;
}

bool source_key_of(const struct sockaddr *addr, const struct source_prefixes *prefixes,
                   struct source_key *key)
{
    memset(key, 0, sizeof *key);
    if (!source_address(addr, key->net))
        return false;
    unsigned bits = is_mapped(key->net) ? MAPPED_BITS + prefixes->ipv4 : prefixes->ipv6;
    key->bits = (unsigned char)bits;
    for (unsigned i = bits; i < 128; i++)
        key->net[i / 8] = (unsigned char)(key->net[i / 8] & ~(0x80U >> i % 8));
    return true;
}

void source_carry_key(struct state *state, struct source_key *key)
{
    state_bytes(state, key->net, sizeof key->net);
    key->bits = (unsigned char)state_number(state, key->bits, 128 + 1);
}

bool source_key_equals(const struct source_key *a, const struct source_key *b)
{
    return a->bits == b->bits && memcmp(a->net, b->net, sizeof a->net) == 0;
}

const char *source_format(const struct source_key *key, char buf[SOURCE_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool v4 = key->bits >= MAPPED_BITS && is_mapped(key->net);
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, key->net + (v4 ? sizeof mapped : 0), host,
                    sizeof host);
    if (key->bits == 128)
        (void)snprintf(buf, SOURCE_TEXT_MAX, "%s", host);
    else
        (void)snprintf(buf, SOURCE_TEXT_MAX, "%s/%u", host,
                       v4 ? key->bits - (unsigned)MAPPED_BITS : (unsigned)key->bits);
    return buf;
}

static size_t bucket_of(const struct sources *sources, const struct source_key *key)
{
    uint64_t halves[2], hash = sources->seed ^ key->bits;
    memcpy(halves, key->net, sizeof halves);
    for (size_t i = 0; i < 2; i++) {
        /* Two rounds of multiplying and folding for each half (the constant is odd, and half of
         * its bits are set). */
        hash = (hash ^ halves[i]) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
        hash *= 0x9e3779b97f4a7c15U;
        hash ^= hash >> 32;
    }
    return hash % SOURCE_BUCKETS;
}

struct source *source_find(const struct sources *sources, const struct source_key *key)
{
    struct source *source = sources->buckets[bucket_of(sources, key)];
    while (source != NULL && !source_key_equals(&source->key, key))
        source = source->next;
    return source;
}

struct source *source_hold(struct sources *sources, const struct source_key *key)
{
    /* Never while something is held: the buckets depend on it. */
    while (sources->seed == 0)
        if (getrandom(&sources->seed, sizeof sources->seed, 0) < 0)
            sources->seed = 1;
    struct source *source = source_find(sources, key);
    if (source == NULL) {
        source = calloc(1, sizeof *source);
        if (source == NULL)
            return NULL;
        struct source **bucket = &sources->buckets[bucket_of(sources, key)];
        *source = (struct source){.next = *bucket, .key = *key};
        *bucket = source;
    }
    source->n_connections++;
    return source;
}

void source_release(struct sources *sources, struct source *source)
{
    if (source == NULL || --source->n_connections > 0)
        return;
    struct source **at = &sources->buckets[bucket_of(sources, &source->key)];
    while (*at != source)
        at = &(*at)->next;
    *at = source->next;
    free(source);
}
