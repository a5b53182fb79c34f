/*
 * syscalls.h - system call names, as libseccomp knows them for the native architecture.
 */
#ifndef POSTERN_SANDBOX_SYSCALLS_H
#define POSTERN_SANDBOX_SYSCALLS_H

#include "refused.h"

#include <stddef.h>

enum { SYSCALL_UNKNOWN = -1, SYSCALL_FOREIGN = -2 };

/*
 * The number of `name`; SYSCALL_FOREIGN if it is a system call of other architectures only,
 * SYSCALL_UNKNOWN if it is none.
 */
int syscall_number(const char *name);

/* Writes the name of `nr`, or "#nr" if it has none. Returns buf. */
const char *syscall_name(int nr, char *buf, size_t len);
/* The same of a call that was made by this ABI. */
const char *syscall_abi_name(enum call_abi abi, int nr, char *buf, size_t len);

#endif
