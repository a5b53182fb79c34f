/*
 * profile_file.h - reads a shipped seccomp profile for the tests, without the policy loader: lines
 * "[group "x"]", "call = …", "[seccomp "x"]", "allow|deny|kill = …".
 */
#ifndef POSTERN_TESTS_PROFILE_FILE_H
#define POSTERN_TESTS_PROFILE_FILE_H

#include "spec.h"

/* Ends the process with a message if anything is wrong. The spec lives for ever. */
struct seccomp_spec profile_file_load_or_exit(const char *directory, const char *name);

/* Changes or adds the answer to one call. */
void profile_file_answer(struct seccomp_spec *spec, const char *call, enum seccomp_answer answer);

#endif
