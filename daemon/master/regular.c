#include "regular.h"
#include "state.h"

static bool is_of(const struct regular *regular, const struct source_key *source)
{
    return regular->used && source_key_equals(&regular->source, source);
}

/* Whether `a` gives way before `b`. */
static bool is_lesser(const struct regular *a, const struct regular *b)
{
    return a->used != b->used ? !a->used : a->last_ms < b->last_ms;
}

void regular_add(struct regulars *regulars, const struct source_key *source, uint64_t now_ms)
{
    struct regular *place = &regulars->items[0];
    for (size_t i = 0; i < REGULARS_MAX; i++) {
        struct regular *regular = &regulars->items[i];
        if (is_of(regular, source)) {
            place = regular;
            break;
        }
        if (is_lesser(regular, place))
            place = regular;
    }
    *place = (struct regular){.source = *source, .last_ms = now_ms, .used = true};
}

bool regular_is(const struct regulars *regulars, const struct source_key *source, uint64_t now_ms)
{
    for (size_t i = 0; i < REGULARS_MAX; i++)
        if (is_of(&regulars->items[i], source))
            return now_ms - regulars->items[i].last_ms < REGULAR_MS;
    return false;
}

/* By their places: those that are free stand for themselves. */
void regular_carry(struct state *state, struct regulars *regulars)
{
    for (size_t i = 0; i < REGULARS_MAX; i++) {
        struct regular *regular = &regulars->items[i];
        state_bool(state, &regular->used);
        if (!regular->used)
            continue;
        source_carry_key(state, &regular->source);
        state_u64(state, &regular->last_ms);
    }
}
