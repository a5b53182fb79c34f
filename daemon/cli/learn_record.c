#include "learn_record.h"
#include "cleanup.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { SLOTS = SEEN_PATHS_MAX * 2 }; /* a power of two */

struct seen *seen_new(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return NULL;
    seen->slots = calloc(SLOTS, sizeof *seen->slots);
    seen->paths = calloc(SEEN_PATHS_MAX, sizeof *seen->paths);
    seen->peers = calloc(SEEN_PEERS_MAX, sizeof *seen->peers);
    seen->refusals = calloc(SEEN_REFUSALS_MAX, sizeof *seen->refusals);
    if (seen->slots == NULL || seen->paths == NULL || seen->peers == NULL ||
        seen->refusals == NULL) {
        seen_free(seen);
        return NULL;
    }
    return seen;
}

void seen_free(struct seen *seen)
{
    if (seen == NULL)
        return;
    for (size_t i = 0; i < seen->n_paths; i++)
        free(seen->paths[i].path);
    for (size_t i = 0; i < seen->n_refusals; i++)
        free(seen->refusals[i].path);
    free(seen->paths);
    free(seen->slots);
    free(seen->peers);
    free(seen->refusals);
    free(seen);
}

static void set_who(char to[SEEN_WHO_MAX], const char *who)
{
    (void)snprintf(to, SEEN_WHO_MAX, "%s", who);
}

void seen_add_call(struct seen *seen, int nr, const char *who)
{
    if (nr < 0 || nr >= SEEN_CALLS_MAX)
        return;
    if (seen->calls[nr].count++ == 0)
        set_who(seen->calls[nr].who, who);
}

/* FNV-1a: names come from the command, which can at worst slow its own learning down. */
static uint32_t hash(const char *s)
{
    uint32_t h = 2166136261U;
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 16777619U;
    return h;
}

static uint32_t *slot_of(const struct seen *seen, const char *path)
{
    uint32_t at = hash(path) & (SLOTS - 1);
    while (seen->slots[at] != 0 && strcmp(seen->paths[seen->slots[at] - 1].path, path) != 0)
        at = (at + 1) & (SLOTS - 1);
    return &seen->slots[at];
}

const struct seen_path *seen_find_path(const struct seen *seen, const char *path)
{
    uint32_t index = *slot_of(seen, path);
    return index == 0 ? NULL : &seen->paths[index - 1];
}

void seen_add_path(struct seen *seen, const char *path, unsigned uses, const char *who)
{
    uint32_t *slot = slot_of(seen, path);
    if (*slot == 0) {
        size_t len = strlen(path) + 1;
        char *copy = NULL;
        if (seen->n_paths < SEEN_PATHS_MAX && seen->path_bytes + len <= SEEN_PATH_BYTES_MAX)
            copy = strdup(path);
        if (copy == NULL) {
            seen->paths_capped = true;
            return;
        }
        seen->path_bytes += len;
        seen->paths[seen->n_paths] = (struct seen_path){.path = copy};
        set_who(seen->paths[seen->n_paths].who, who);
        *slot = (uint32_t)++seen->n_paths;
    }
    seen->paths[*slot - 1].uses |= uses;
    seen->paths[*slot - 1].count++;
}

void seen_add_refusal(struct seen *seen, const char *path, enum seen_refusal_kind kind, int num,
                      const char *who)
{
    for (size_t i = 0; i < seen->n_refusals; i++) {
        struct seen_refusal *at = &seen->refusals[i];
        if (at->kind == kind && strcmp(at->path, path) == 0) {
            at->count++;
            return;
        }
    }
    char *copy = seen->n_refusals < SEEN_REFUSALS_MAX ? strdup(path) : NULL;
    if (copy == NULL) {
        seen->refusals_capped = true;
        return;
    }
    struct seen_refusal *made = &seen->refusals[seen->n_refusals++];
    *made = (struct seen_refusal){.path = copy, .kind = kind, .err_num = num, .count = 1};
    set_who(made->who, who);
}

struct seen_peer *seen_peer_of(struct seen *seen, const struct seen_peer *like, const char *who)
{
    for (size_t i = 0; i < seen->n_peers; i++) {
        struct seen_peer *at = &seen->peers[i];
        if (at->v6 == like->v6 && at->udp == like->udp && at->listening == like->listening &&
            at->port == like->port && memcmp(at->address, like->address, sizeof at->address) == 0)
            return at;
    }
    if (seen->n_peers == SEEN_PEERS_MAX) {
        seen->peers_capped = true;
        return NULL;
    }
    struct seen_peer *made = &seen->peers[seen->n_peers++];
    *made = (struct seen_peer){
        .v6 = like->v6, .udp = like->udp, .listening = like->listening, .port = like->port};
    memcpy(made->address, like->address, sizeof made->address);
    set_who(made->who, who);
    return made;
}

/* As strcmp(3), but with '/' before all other bytes. */
static int compare_paths(const void *a, const void *b)
{
    const unsigned char *x = (const unsigned char *)((const struct seen_path *)a)->path;
    const unsigned char *y = (const unsigned char *)((const struct seen_path *)b)->path;
    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    int left = *x == '/' ? 1 : *x == '\0' ? 0 : *x + 1;
    int right = *y == '/' ? 1 : *y == '\0' ? 0 : *y + 1;
    return left - right;
}

void seen_sort_paths(struct seen *seen)
{
    qsort(seen->paths, seen->n_paths, sizeof *seen->paths, compare_paths);
    memset(seen->slots, 0, SLOTS * sizeof *seen->slots);
    for (size_t i = 0; i < seen->n_paths; i++)
        *slot_of(seen, seen->paths[i].path) = (uint32_t)i + 1;
}

bool path_is_within(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 1) /* "/" */
        return path[0] == '/';
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_mapped(const unsigned char *address)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, prefix, sizeof prefix) == 0;
}

bool peer_is_loopback(const struct seen_peer *peer)
{
    static const unsigned char one[16] = {[15] = 1};
    if (!peer->v6)
        return peer->address[0] == 127;
    return memcmp(peer->address, one, sizeof one) == 0 ||
           (is_mapped(peer->address) && peer->address[12] == 127);
}

bool peer_is_unspecified(const struct seen_peer *peer)
{
    static const unsigned char zero[16] = {0};
    return memcmp(peer->address, zero, peer->v6 ? 16 : 4) == 0;
}

const char *peer_format(const struct seen_peer *peer, char buf[PEER_TEXT_MAX])
{
    char address[INET6_ADDRSTRLEN] = "?";
    (void)inet_ntop(peer->v6 ? AF_INET6 : AF_INET, peer->address, address, sizeof address);
    (void)snprintf(buf, PEER_TEXT_MAX, peer->v6 ? "[%s]:%u" : "%s:%u", address, peer->port);
    return buf;
}
