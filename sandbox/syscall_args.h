/*
 * syscall_args.h - the arguments of a system call that say what was meant, by name. They are
 * numbers; what is a pointer, a length or a descriptor is neither kept nor shown.
 */
#ifndef POSTERN_SANDBOX_SYSCALL_ARGS_H
#define POSTERN_SANDBOX_SYSCALL_ARGS_H

#include "refused.h"

#include <stddef.h>

enum { TELLING_MAX = 3, TELLING_TEXT_MAX = 128, CALL_TEXT_MAX = 256 };

/* Keeps of the kernel's `args` for call->nr what tells something. */
void syscall_args_keep(struct refused_call *call, const uint64_t *args);

/* The telling arguments in words: "AF_VSOCK", "SOCK_STREAM|SOCK_CLOEXEC", "0x5412". */
struct telling_args {
    size_t n;
    char text[TELLING_MAX][TELLING_TEXT_MAX];
};
void syscall_args_text(const struct refused_call *call, struct telling_args *out);

/*
 * "system call ioctl(TIOCSTI)", "x32 system call getpid"; what doesn't fit ends in "...". Whatever
 * the numbers are, the text is printable ASCII. Returns buf.
 */
char *syscall_args_describe(const struct refused_call *call, char *buf, size_t len);

#endif
