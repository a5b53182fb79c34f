#include "notes.h"

#include <string.h>

static bool is_same(const struct refused_call *a, const struct refused_call *b)
{
    return a->nr == b->nr && a->abi == b->abi && memcmp(a->args, b->args, sizeof a->args) == 0;
}

bool notes_add(struct notes *notes, const struct refused_call *call)
{
    for (unsigned i = 0; i < notes->n_seen; i++) {
        if (is_same(&notes->seen[i], call))
            return false;
    }
    if (notes->n_seen == NOTES_SEEN_MAX)
        return false;
    notes->seen[notes->n_seen++] = *call;
    if (notes->n_seen <= notes->told_max)
        return true;
    notes->n_untold++;
    return false;
}
