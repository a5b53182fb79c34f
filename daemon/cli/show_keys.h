/*
 * show_keys.h - the keys of a tenant, as `postern show` lists them.
 */
#ifndef POSTERN_DAEMON_CLI_SHOW_KEYS_H
#define POSTERN_DAEMON_CLI_SHOW_KEYS_H

#include "doc.h"
#include "policy.h"

/* One comment line for each key, and one more if it has options. */
void show_keys_print(const struct tenant *tenant);

/* A member "keys". */
void show_keys_put(json_t *section, const struct tenant *tenant);

#endif
