/*
 * profile.h - a resolved seccomp profile made into a BPF program, and what it says of one call.
 */
#ifndef POSTERN_SANDBOX_PROFILE_H
#define POSTERN_SANDBOX_PROFILE_H

#include "err.h"
#include "refused.h"
#include "spec.h"

#include <linux/audit.h>
#include <linux/filter.h>

/* The native ABI; and what tells numbers of x32, which shares its name, from its own. */
#if defined(__x86_64__)
#define PROFILE_ARCH AUDIT_ARCH_X86_64
enum { X32_BIT = 0x40000000 };
#elif defined(__aarch64__)
#define PROFILE_ARCH AUDIT_ARCH_AARCH64
enum { X32_BIT = 0 };
#else
#error "name the audit architecture here"
#endif

/*
 * Compiles `spec`; the caller frees *filter. Calls that the spec denies or kills for are notified
 * to the listener (seccomp_unotify(2)), and so are all of foreign ABIs; unknown ones answer ENOSYS.
 * Whatever the spec says, clone3 answers ENOSYS and what profile_always_refused() names is
 * notified. A profile that doesn't allow execve and exit_group, or has a bad rule, is an error.
 */
int profile_compile(const struct seccomp_spec *spec, struct sock_filter **filter,
                    unsigned short *len, struct err *err);

/* What `spec` says about a notified call: DENY or KILL. */
enum seccomp_answer profile_answer(const struct seccomp_spec *spec, int nr);

/* The rule for the native call `nr`, or NULL: it is newer than the profile. */
const struct seccomp_rule *profile_find_rule(const struct seccomp_spec *spec, int nr);

/*
 * Whether unix sockets are to be refused, all but connected pairs: abstract ones are the network
 * namespace's, which is the host's, and this kernel's Landlock can't keep them apart.
 */
bool profile_refuses_unix(const struct seccomp_spec *spec);

/* Why this native call is refused for its arguments where the profile allows it, or NULL: it isn't.
 */
const char *profile_always_refused(const struct refused_call *call, bool refuses_unix);

#endif
