/*
 * decide_env.h - the environment of an exec, made from nothing.
 */
#ifndef POSTERN_CONFIG_DECIDE_ENV_H
#define POSTERN_CONFIG_DECIDE_ENV_H

#include "decide.h"

/*
 * A NULL-terminated environment: ours, then the policy's, the key's and the client's, of which the
 * earlier win but that the policy may replace PATH, HOME and the like. `original` is
 * SSH_ORIGINAL_COMMAND, or NULL; with a terminal come TERM and SSH_TTY, and where it is recorded
 * POSTERN_RECORD. The caller frees each string and the array; NULL if memory ran out.
 */
char **decide_env_make(const struct decide_request *request, const struct decision *decision,
                       const char *original);

#endif
