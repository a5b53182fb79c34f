#include "flips.h"

#include <stdlib.h>
#include <string.h>

/* Tenants choose the commands: places in the table must not be foreseeable, and they aren't with
 * SHA-256 (and no more entries than half of it). */
enum { TABLE_SIZE = 32768, DIGEST_LEN = 32 };

_Static_assert(FLIPS_MAX * 2 <= TABLE_SIZE, "the table never fills");

struct flip_group {
    unsigned char digest[DIGEST_LEN];
    struct flip flip;
    char text[]; /* all strings of the flip */
};

int flips_begin(struct flips *flips,
                int (*sha256)(const void *data, size_t len, unsigned char out[32]))
{
    *flips = (struct flips){.sha256 = sha256};
    flips->groups = calloc(TABLE_SIZE, sizeof(struct flip_group *));
    return flips->groups == NULL ? -1 : 0;
}

void flips_free(struct flips *flips)
{
    for (size_t i = 0; flips->groups != NULL && i < TABLE_SIZE; i++)
        free(flips->groups[i]);
    free(flips->groups);
    *flips = (struct flips){0};
}

/* The strings of a flip one after another, each with its NUL, the command last. */
struct strings {
    const char *items[6];
    size_t lens[6];
    size_t total;
};

static void add_string(struct strings *s, size_t i, const char *text, size_t len)
{
    s->items[i] = text;
    s->lens[i] = len;
    s->total += len + 1;
}

static struct strings strings_of(const struct flip *flip)
{
    const char *const texts[] = {flip->user, flip->tenant, flip->before, flip->after, flip->exec};
    struct strings s = {0};
    for (size_t i = 0; i < 5; i++)
        add_string(&s, i, texts[i], texts[i] == NULL ? 0 : strlen(texts[i]));
    add_string(&s, 5, flip->command, flip->command_len);
    return s;
}

static struct flip_group *make_group(const struct flip *flip)
{
    struct strings s = strings_of(flip);
    struct flip_group *group = calloc(1, sizeof *group + s.total);
    const char *copies[6];
    if (group == NULL)
        return NULL;
    char *at = group->text;
    for (size_t i = 0; i < 6; i++) {
        copies[i] = s.items[i] == NULL ? NULL : at;
        if (s.lens[i] > 0)
            memcpy(at, s.items[i], s.lens[i]);
        at += s.lens[i] + 1;
    }
    group->flip = *flip;
    group->flip.user = copies[0];
    group->flip.tenant = copies[1];
    group->flip.before = copies[2];
    group->flip.after = copies[3];
    group->flip.exec = copies[4];
    group->flip.command = copies[5];
    group->flip.count = 0;
    group->flip.last = flip->first;
    return group;
}

/* Of what makes two flips the same; the exec is left out. */
static int digest_of(const struct flips *flips, const struct flip *flip, unsigned char *out)
{
    const char *const texts[] = {flip->user, flip->tenant, flip->before, flip->after};
    unsigned char parts[6][DIGEST_LEN] = {0};
    parts[5][0] = (unsigned char)flip->kind;
    parts[5][1] = (unsigned char)flip->exec_kind;
    for (size_t i = 0; i < 4; i++) {
        parts[5][2 + i] = texts[i] == NULL;
        if (texts[i] != NULL && flips->sha256(texts[i], strlen(texts[i]), parts[i]) < 0)
            return -1;
    }
    if (flips->sha256(flip->command, flip->command_len, parts[4]) < 0)
        return -1;
    return flips->sha256(parts, sizeof parts, out);
}

static struct flip_group **find(const struct flips *flips, const unsigned char *digest)
{
    size_t at;
    memcpy(&at, digest, sizeof at);
    for (at %= TABLE_SIZE;; at = (at + 1) % TABLE_SIZE) {
        struct flip_group **place = &flips->groups[at];
        if (*place == NULL || memcmp((*place)->digest, digest, DIGEST_LEN) == 0)
            return place;
    }
}

int flips_add(struct flips *flips, const struct flip *flip)
{
    unsigned char digest[DIGEST_LEN];
    if (digest_of(flips, flip, digest) < 0)
        return -1;
    flips->totals[flip->kind]++;
    struct flip_group **place = find(flips, digest);
    size_t size = sizeof **place + strings_of(flip).total;
    if (*place == NULL && (flips->n == FLIPS_MAX || size > FLIPS_BYTES_MAX - flips->bytes)) {
        flips->more++;
        return 0;
    }
    if (*place == NULL) {
        *place = make_group(flip);
        if (*place == NULL)
            return -1;
        memcpy((*place)->digest, digest, sizeof digest);
        flips->bytes += size;
        flips->n++;
    }
    struct flip *known = &(*place)->flip;
    known->count++;
    if (flip->first < known->first)
        known->first = flip->first;
    if (flip->first > known->last)
        known->last = flip->first;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct flip_group *left = *(struct flip_group *const *)a;
    const struct flip_group *right = *(struct flip_group *const *)b;
    const struct flip *x = &left->flip;
    const struct flip *y = &right->flip;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return memcmp(left->digest, right->digest, DIGEST_LEN);
}

void flips_sort(struct flips *flips)
{
    size_t n = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        struct flip_group *group = flips->groups[i];
        flips->groups[i] = NULL;
        if (group != NULL)
            flips->groups[n++] = group;
    }
    qsort(flips->groups, n, sizeof *flips->groups, compare);
}

const struct flip *flips_at(const struct flips *flips, size_t i)
{
    return &flips->groups[i]->flip;
}
