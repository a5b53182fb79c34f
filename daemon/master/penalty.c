#include "penalty.h"

#include <netinet/in.h>
#include <string.h>

static bool source_of(const struct sockaddr *addr, unsigned char out[16])
{
    memset(out, 0, 16);
    if (addr->sa_family == AF_INET) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
        return true;
    }
    if (addr->sa_family == AF_INET6) {
        /* One customer usually has a whole /64. */
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 8);
        return true;
    }
    return false;
}

static bool is_local(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr ==
               htonl(INADDR_LOOPBACK);
    return addr->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

uint64_t penalty_add(struct penalties *penalties, const struct sockaddr *source, uint64_t now_ms)
{
    unsigned char key[16];
    if (!source_of(source, key) || is_local(source))
        return 0;
    struct penalty *slot = &penalties->items[0];
    for (size_t i = 0; i < PENALTIES_MAX; i++) {
        struct penalty *p = &penalties->items[i];
        if (p->until_ms > now_ms && memcmp(p->source, key, sizeof key) == 0) {
            slot = p;
            break;
        }
        if (p->until_ms < slot->until_ms)
            slot = p;
    }
    bool running = slot->until_ms > now_ms && memcmp(slot->source, key, sizeof key) == 0;
    slot->length_ms = running ? slot->length_ms * 2 : PENALTY_FIRST_MS;
    if (slot->length_ms > PENALTY_LONGEST_MS)
        slot->length_ms = PENALTY_LONGEST_MS;
    memcpy(slot->source, key, sizeof key);
    slot->until_ms = now_ms + slot->length_ms;
    return slot->length_ms;
}

bool penalty_applies(const struct penalties *penalties, const struct sockaddr *source,
                     uint64_t now_ms)
{
    unsigned char key[16];
    if (!source_of(source, key))
        return false;
    for (size_t i = 0; i < PENALTIES_MAX; i++)
        if (penalties->items[i].until_ms > now_ms &&
            memcmp(penalties->items[i].source, key, sizeof key) == 0)
            return true;
    return false;
}
