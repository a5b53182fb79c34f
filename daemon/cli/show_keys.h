/*
 * show_keys.h - the keys of a tenant, as `postern show` lists them.
 */
#ifndef POSTERN_DAEMON_CLI_SHOW_KEYS_H
#define POSTERN_DAEMON_CLI_SHOW_KEYS_H

#include "doc.h"
#include "policy.h"

/* One comment line for each key, and one more if it has options. */
void show_keys_print(const struct tenant *tenant);

/* The options of a key on one line, as far as they fit; returns how many there are. */
size_t show_keys_options(const struct policy_key *key, char *buf, size_t cap);

/* A member "keys". */
void show_keys_put(json_t *section, const struct tenant *tenant);

#endif
