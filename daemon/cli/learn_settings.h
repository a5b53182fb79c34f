/*
 * learn_settings.h - what `postern learn` was asked for, and what it takes from the policy.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_SETTINGS_H
#define POSTERN_DAEMON_CLI_LEARN_SETTINGS_H

#include "options.h"
#include "policy.h"

/* Ids of the options. */
enum { LEARN_NAME = 1, LEARN_OUTPUT, LEARN_FROM_SANDBOX, LEARN_USER, LEARN_CWD, LEARN_ENV };
enum { LEARN_ENV_MAX = 64 };

struct learn {
    struct cli *cli;
    const char *name, *output, *from, *user, *cwd;
    const char *env[LEARN_ENV_MAX];
    size_t n_env;
    char own_name[40];
    char user_name[64];
    uid_t uid;
    gid_t gid;
    struct policy *policy;
    struct sandbox_spec base; /* what the learned sandbox extends, or its defaults */
    const struct sandbox_spec *extends;
    const struct seccomp_spec *ordinary;
    int output_fd; /* of --output; or -1 */
};

/*
 * Reads the options and all that they name. Returns -1 if the command is to be run, or else an exit
 * status; what is wrong has been said. learn_settings_free() is due either way.
 */
int learn_settings_read(struct cli *cli, struct learn *out);
void learn_settings_free(struct learn *learn);

/* "postern learn: error: …" on stderr. Returns `status`. */
int learn_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
