/*
 * key_files.h - which files hold the keys of a tenant, and who else's.
 */
#ifndef POSTERN_DAEMON_CLI_KEY_FILES_H
#define POSTERN_DAEMON_CLI_KEY_FILES_H

#include "policy.h"

/*
 * The file that keys of the tenant are added to: the only one of its own (not inherited), or the
 * one that has its name. The policy has been loaded with its settings. Returns an exit status; if
 * there is none, or other tenants have it as well, that has been said.
 */
int key_files_choose(const struct policy *policy, const struct tenant *tenant, char *path,
                     size_t cap);

/* Says so and fails if tenants besides this one have the keys of that file. */
int key_files_refuse_shared(const struct policy *policy, const char *tenant, const char *path);

#endif
