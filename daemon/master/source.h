/*
 * source.h - where connections come from: a network of addresses that counts as one client, how
 * much of the server each of them has at the moment, and how that is found.
 *
 * Bounded by the connections themselves: a source is forgotten with its last one.
 */
#ifndef POSTERN_DAEMON_MASTER_SOURCE_H
#define POSTERN_DAEMON_MASTER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { SOURCE_LEN = 16, SOURCE_TEXT_MAX = 64 };

/* An IPv6 network, or an IPv4 one mapped into IPv6 (RFC 4291 §2.5.5.2). */
struct source_key {
    unsigned char net[SOURCE_LEN];
    unsigned char bits; /* of the 128 */
};

/* How many bits of an address tell one client from another. */
struct source_prefixes {
    uint32_t ipv4, ipv6; /* at most 32 and 128 */
};

/* The source of an address; an IPv4 address that is mapped counts as IPv4. False for families other
 * than these two. */
bool source_key_of(const struct sockaddr *addr, const struct source_prefixes *prefixes,
                   struct source_key *key);
bool source_key_equals(const struct source_key *a, const struct source_key *b);

/* The 16 bytes of an address, as address.h has them. False as above. */
bool source_address(const struct sockaddr *addr, unsigned char out[SOURCE_LEN]);

/* "192.0.2.7", "2001:db8::/64": without the prefix if it is the whole address. Returns buf. */
const char *source_format(const struct source_key *key, char buf[SOURCE_TEXT_MAX]);

struct state;

void source_carry_key(struct state *state, struct source_key *key);

/* One that has connections. */
struct source {
    struct source *next; /* in its bucket */
    struct source_key key;
    uint32_t n_startups;    /* of them have not logged in */
    uint32_t n_connections; /* the last to go takes it away */
};

enum { SOURCE_BUCKETS = 4096 };

struct sources {
    struct source *buckets[SOURCE_BUCKETS];
    uint64_t seed; /* so that nobody can choose addresses that share a bucket */
};

/* NULL: it has no connection. */
struct source *source_find(const struct sources *sources, const struct source_key *key);
/* One connection more, held by the caller; NULL if memory ran out. */
struct source *source_hold(struct sources *sources, const struct source_key *key);
/* `source` may be NULL. */
void source_release(struct sources *sources, struct source *source);

#endif
