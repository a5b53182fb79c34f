/*
 * places.h - where the settings of a section were made, so that what is found later can name the
 * line. Private to config/; policy.h has the questions.
 */
#ifndef POSTERN_CONFIG_PLACES_H
#define POSTERN_CONFIG_PLACES_H

#include "schema.h"

struct place_list {
    struct origin *items;
    size_t n;
};

/* Of a sandbox; the lists are parallel to those of its spec. */
struct sandbox_places {
    struct origin *keys; /* places_new() */
    struct place_list reads, writes, hides;
};

/* One place for each key of the schema, copied from `inherited` unless that is NULL; personal keys
 * are not inherited. NULL if memory ran out. */
struct origin *places_new(struct loader *l, const struct schema *schema,
                          const struct origin *inherited);

#endif
