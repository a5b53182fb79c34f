/*
 * policy_files.h - the real world, as policy_load() sees it: files that only root or we ourselves
 * could have written, libseccomp's system call numbers, libcrypto's SHA-256.
 */
#ifndef POSTERN_DAEMON_POLICY_FILES_H
#define POSTERN_DAEMON_POLICY_FILES_H

#include "policy.h"

extern const struct policy_host policy_files_host;

/* Says on stderr, as "file:line: GRADE: …", which `read` paths of the policy are not on this host.
 * Returns their number. */
size_t policy_files_missing(const struct policy *policy, const char *grade);

#endif
