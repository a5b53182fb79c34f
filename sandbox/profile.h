/*
 * profile.h - a resolved seccomp profile made into a BPF program. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_PROFILE_H
#define POSTERN_SANDBOX_PROFILE_H

#include "err.h"
#include "spec.h"

#include <linux/filter.h>

/*
 * Compiles `spec`; the caller frees *filter. Calls that the spec denies or kills for are notified
 * to the listener (seccomp_unotify(2)), unknown ones answer ENOSYS, foreign ABIs end the process.
 * Whatever the spec says, clone3 answers ENOSYS and these are notified: new namespaces, terminal
 * input injection, unusual personalities, sockets of families that no network namespace confines.
 * A profile that doesn't allow execve and exit_group, or has a bad rule, is an error.
 */
int profile_compile(const struct seccomp_spec *spec, struct sock_filter **filter,
                    unsigned short *len, struct err *err);

/* What `spec` says about a notified call: DENY or KILL. */
enum seccomp_answer profile_answer(const struct seccomp_spec *spec, int nr);

#endif
