#include "egress.h"

#include "bpf_call.h"
#include "cleanup.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

enum {
    RING_SIZE = 64 << 10,   /* a power of two, and of whole pages */
    TOLD_ENTRIES = 4096,    /* cgroups; who falls out may tell some more */
    SEEN_ENTRIES = 8192,    /* events; what falls out may be told again */
    OWN_ENTRIES = 1024,     /* those that don't fit are noticed by the packets they take */
    OWN_GOOD_FOR_MS = 1000, /* addresses seldom change */
};

int egress_maps_make(struct egress_maps *maps, struct err *err)
{
    static const struct bpf_map_shape ring = {
        .type = BPF_MAP_TYPE_RINGBUF, .name = "postern_ring", .entries = RING_SIZE};
    static const struct bpf_map_shape told = {.type = BPF_MAP_TYPE_LRU_HASH,
                                              .name = "postern_told",
                                              .key = sizeof(uint64_t),
                                              .value = sizeof(uint64_t),
                                              .entries = TOLD_ENTRIES};
    static const struct bpf_map_shape seen = {.type = BPF_MAP_TYPE_LRU_HASH,
                                              .name = "postern_seen",
                                              .key = sizeof(struct egress_event),
                                              .value = sizeof(uint64_t),
                                              .entries = SEEN_ENTRIES};
    static const struct bpf_map_shape own = {.type = BPF_MAP_TYPE_HASH,
                                             .name = "postern_own",
                                             .key = 16,
                                             .value = 1,
                                             .entries = OWN_ENTRIES};
    *maps = (struct egress_maps)EGRESS_NO_MAPS;
    maps->ring = bpf_map_make(&ring, err);
    maps->told = maps->ring < 0 ? -1 : bpf_map_make(&told, err);
    maps->seen = maps->told < 0 ? -1 : bpf_map_make(&seen, err);
    maps->own = maps->seen < 0 ? -1 : bpf_map_make(&own, err);
    if (maps->own >= 0)
        return 0;
    egress_maps_close(maps);
    return -1;
}

void egress_maps_close(struct egress_maps *maps)
{
    close_fd(&maps->ring);
    close_fd(&maps->told);
    close_fd(&maps->seen);
    close_fd(&maps->own);
}

static bool read_address(const struct sockaddr *sa, unsigned char out[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (sa != NULL && sa->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
        return true;
    }
    if (sa == NULL || sa->sa_family != AF_INET6)
        return false;
    memcpy(out, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    return true;
}

static bool has_address(const struct ifaddrs *list, const unsigned char addr[16])
{
    unsigned char other[16];
    for (; list != NULL; list = list->ifa_next)
        if (read_address(list->ifa_addr, other) && memcmp(addr, other, sizeof other) == 0)
            return true;
    return false;
}

static void forget_others(int map, const struct ifaddrs *list)
{
    unsigned char key[16], next[16];
    bool more = bpf_map_next(map, NULL, next) == 0;
    while (more) {
        memcpy(key, next, sizeof key);
        more = bpf_map_next(map, key, next) == 0;
        if (!has_address(list, key))
            (void)bpf_map_remove(map, key);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void egress_maps_refresh(struct egress_maps *maps)
{
    static const unsigned char yes = 1;
    uint64_t now = now_ms();
    struct ifaddrs *list = NULL;
    unsigned char addr[16];
    if (maps->own_read_ms != 0 && now - maps->own_read_ms < OWN_GOOD_FOR_MS)
        return;
    maps->own_read_ms = now;
    if (getifaddrs(&list) < 0)
        return;
    forget_others(maps->own, list);
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next)
        if (read_address(at->ifa_addr, addr))
            (void)bpf_map_put(maps->own, addr, &yes);
    freeifaddrs(list);
}
