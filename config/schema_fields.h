/*
 * schema_fields.h - keys whose values are one scalar: how schema_key.parse reads them into a field.
 *
 * They use the key's `min`, `max`, `infinite` and `choices`. All return 0, or -1 with err and the
 * field as it was.
 */
#ifndef POSTERN_CONFIG_SCHEMA_FIELDS_H
#define POSTERN_CONFIG_SCHEMA_FIELDS_H

#include "schema.h"

/* uint64_t bytes. */
int schema_size(const struct schema_key *key, const char *value, void *field, struct err *err);
/* uint64_t milliseconds, at most `max` unless that is 0. */
int schema_time(const struct schema_key *key, const char *value, void *field, struct err *err);
/* The same, or "no": 0. */
int schema_wait(const struct schema_key *key, const char *value, void *field, struct err *err);
/* uint64_t percent of a CPU, or infinity. */
int schema_share(const struct schema_key *key, const char *value, void *field, struct err *err);
/* uint64_t, SPEC_INFINITY for infinity. */
int schema_number(const struct schema_key *key, const char *value, void *field, struct err *err);
/* uint32_t, COUNT_INFINITY for infinity. */
int schema_count(const struct schema_key *key, const char *value, void *field, struct err *err);
/* uint32_t from 1 to 10000, or "default": 0. */
int schema_weight(const struct schema_key *key, const char *value, void *field, struct err *err);
/* bool */
int schema_bool(const struct schema_key *key, const char *value, void *field, struct err *err);
/* An enum: the index of the value in `choices`. */
int schema_choice(const struct schema_key *key, const char *value, void *field, struct err *err);

#endif
