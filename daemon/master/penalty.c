#include "penalty.h"
#include "state.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t points;
} offences[] = {
    [OFFENCE_CRASH] = {"its session crashed", PENALTY_POINTS},
    [OFFENCE_TRIES] = {"too many failed logins on one connection", 4},
    [OFFENCE_GRACE] = {"connections that did not log in", 3},
    [OFFENCE_PROTOCOL] = {"it does not speak SSH", 3},
    [OFFENCE_FAILED] = {"too many failed logins", 1},
};

const char *offence_name(enum offence offence)
{
    return offences[offence].name;
}

/* Lets time take points and levels away. */
static void forgive(struct penalty *p, uint64_t now_ms)
{
    uint64_t points = (now_ms - p->points_ms) / PENALTY_POINT_MS;
    /* Nothing is forgiven while it is not served. */
    uint64_t levels = now_ms > p->level_ms ? (now_ms - p->level_ms) / PENALTY_FORGIVE_MS : 0;
    p->points_ms += points * PENALTY_POINT_MS;
    p->level_ms += levels * PENALTY_FORGIVE_MS;
    p->points -= points < p->points ? (uint32_t)points : p->points;
    p->level -= levels < p->level ? (uint32_t)levels : p->level;
}

static struct penalty *find(struct penalties *penalties, const struct source_key *source)
{
    for (size_t i = 0; i < PENALTIES_MAX; i++)
        if (penalties->items[i].used && source_key_equals(&penalties->items[i].source, source))
            return &penalties->items[i];
    return NULL;
}

/* Whether `a` gives way before `b`. */
static bool is_lesser(const struct penalty *a, const struct penalty *b, uint64_t now_ms)
{
    bool a_runs = a->until_ms > now_ms, b_runs = b->until_ms > now_ms;
    if (a->used != b->used)
        return !a->used;
    return a_runs != b_runs ? !a_runs : a->last_ms < b->last_ms;
}

static struct penalty *find_or_make(struct penalties *penalties, const struct source_key *source,
                                    uint64_t now_ms)
{
    struct penalty *p = find(penalties, source);
    if (p != NULL)
        return p;
    p = &penalties->items[0];
    for (size_t i = 1; i < PENALTIES_MAX; i++)
        if (is_lesser(&penalties->items[i], p, now_ms))
            p = &penalties->items[i];
    *p = (struct penalty){.source = *source, .used = true, .points_ms = now_ms, .level_ms = now_ms};
    return p;
}

uint64_t penalty_add(struct penalties *penalties, const struct source_key *source,
                     enum offence offence, uint64_t now_ms)
{
    struct penalty *p = find_or_make(penalties, source, now_ms);
    forgive(p, now_ms);
    if (p->points == 0)
        p->points_ms = now_ms;
    p->points += offences[offence].points;
    p->last_ms = now_ms;
    if (p->level_ms < now_ms)
        p->level_ms = now_ms;
    if (p->points < PENALTY_POINTS)
        return 0;
    uint64_t length = PENALTY_FIRST_MS;
    for (uint32_t i = 0; i < p->level && length < PENALTY_LONGEST_MS; i++)
        length *= 2;
    if (length > PENALTY_LONGEST_MS)
        length = PENALTY_LONGEST_MS;
    else
        p->level++;
    p->points = 0;
    p->until_ms = now_ms + length;
    p->level_ms = p->until_ms;
    return length;
}

bool penalty_applies(struct penalties *penalties, const struct source_key *source, uint64_t now_ms)
{
    struct penalty *p = find(penalties, source);
    if (p == NULL || p->until_ms <= now_ms)
        return false;
    p->last_ms = now_ms;
    return true;
}

void penalty_list(const struct penalties *penalties, uint64_t now_ms,
                  void (*each)(void *arg, const struct source_key *source, uint32_t points,
                               uint64_t left_ms),
                  void *arg)
{
    for (size_t i = 0; i < PENALTIES_MAX; i++) {
        struct penalty p = penalties->items[i];
        if (!p.used)
            continue;
        forgive(&p, now_ms);
        bool runs = p.until_ms > now_ms;
        if (runs || p.points > 0)
            each(arg, &p.source, p.points, runs ? p.until_ms - now_ms : 0);
    }
}

static struct penalty *next_used(struct penalties *penalties, size_t *at)
{
    while (*at < PENALTIES_MAX && !penalties->items[*at].used)
        ++*at;
    return *at < PENALTIES_MAX ? &penalties->items[(*at)++] : NULL;
}

static void carry(struct state *state, struct penalty *p)
{
    source_carry_key(state, &p->source);
    state_u64(state, &p->until_ms);
    state_u64(state, &p->last_ms);
    state_u64(state, &p->points_ms);
    state_u64(state, &p->level_ms);
    state_u32(state, &p->points);
    state_u32(state, &p->level);
    p->used = true;
}

void penalty_carry(struct state *state, struct penalties *penalties)
{
    size_t at = 0;
    struct penalty *p = next_used(penalties, &at);
    for (size_t n = 0; state_more(state, p != NULL); n++) {
        if (n == PENALTIES_MAX) {
            state_refuse(state);
            return;
        }
        carry(state, state->saving ? p : &penalties->items[n]);
        if (state->saving)
            p = next_used(penalties, &at);
    }
}
