/*
 * sections.h - the named sections of one type, and the order in which `extends` builds them.
 */
#ifndef POSTERN_CONFIG_SECTIONS_H
#define POSTERN_CONFIG_SECTIONS_H

#include "loader.h"

/*
 * Collects l->doc's sections of `type`. Names defined twice, unknown parents, cycles and chains
 * that are too long become problems; their nodes stay, without a parent. Memory is l->scratch.
 * Returns 0, or -1 if it ran out.
 */
int section_set_build(struct loader *l, const char *type, struct section_set *out);

/* Only the names: of sections that don't extend each other. */
int section_set_collect(struct loader *l, const char *type, struct section_set *out);

/* Complains that `key` at that place names a section that isn't there, with a suggestion. */
void section_set_complain(struct loader *l, const struct section_set *set, const struct origin *at,
                          const char *key, const char *name);

#endif
