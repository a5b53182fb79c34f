/*
 * env_names.h - which environment variables a client or a key may set.
 */
#ifndef POSTERN_CONFIG_ENV_NAMES_H
#define POSTERN_CONFIG_ENV_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether nobody but the policy may set this variable: it steers the loader, a shell, an
 * interpreter or git, or it is one of ours. With `prefix`, whether that holds for every name that
 * begins with these bytes.
 */
bool env_name_is_refused(const char *name, size_t len, bool prefix);

/* What accept-env lists: a name, or a name's beginning and '*'. NULL if it may, or why not. */
const char *env_pattern_problem(const char *pattern, size_t len);

/* Whether a value may be passed on: bounded, without control characters. */
bool is_env_value(const char *value);

#endif
