#include "syscalls.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

int syscall_number(const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr >= 0)
        return nr;
    /* libseccomp gives calls that exist elsewhere a negative pseudo number. */
    return nr == __NR_SCMP_ERROR ? SYSCALL_UNKNOWN : SYSCALL_FOREIGN;
}

const char *syscall_name(int nr, char *buf, size_t len)
{
    char *name = nr >= 0 ? seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr) : NULL;
    int used = name != NULL ? snprintf(buf, len, "%s", name) : snprintf(buf, len, "#%d", nr);
    free(name);
    if (used < 0 && len > 0)
        buf[0] = '\0';
    return buf;
}
