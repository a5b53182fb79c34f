/*
 * notes.h - which refused calls of an exec are told: each kind once, and no more than so many.
 * Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_NOTES_H
#define POSTERN_SANDBOX_NOTES_H

#include "refused.h"

#include <stdbool.h>

enum { NOTES_SEEN_MAX = 128 }; /* kinds that are told apart, to be counted */

/* Start with {.told_max = …}. A kind is a call with all of its telling arguments. */
struct notes {
    struct refused_call seen[NOTES_SEEN_MAX];
    unsigned told_max; /* kinds that are told as they happen */
    unsigned n_seen;
    unsigned n_untold; /* of those seen */
};

/* Takes note of a refusal. Returns true if it is to be told now. */
bool notes_add(struct notes *notes, const struct refused_call *call);

#endif
