/*
 * policy_files.h - the real world, as policy_load() sees it: files that only root or we ourselves
 * could have written, libseccomp's system call numbers, libcrypto's SHA-256.
 */
#ifndef POSTERN_DAEMON_POLICY_FILES_H
#define POSTERN_DAEMON_POLICY_FILES_H

#include "policy.h"

extern const struct policy_host policy_files_host;

#endif
