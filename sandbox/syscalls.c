#include "syscalls.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

enum { X32_BIT = 0x40000000 };

int syscall_number(const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr >= 0)
        return nr;
    /* libseccomp gives calls that exist elsewhere a negative pseudo number. */
    return nr == __NR_SCMP_ERROR ? SYSCALL_UNKNOWN : SYSCALL_FOREIGN;
}

static uint32_t abi_arch(enum call_abi abi)
{
#if defined(__x86_64__)
    if (abi == CALL_X32)
        return SCMP_ARCH_X32;
    if (abi == CALL_32_BIT)
        return SCMP_ARCH_X86;
#elif defined(__aarch64__)
    if (abi == CALL_32_BIT)
        return SCMP_ARCH_ARM;
#endif
    return SCMP_ARCH_NATIVE;
}

const char *syscall_name(int nr, char *buf, size_t len)
{
    return syscall_abi_name(CALL_NATIVE, nr, buf, len);
}

const char *syscall_abi_name(enum call_abi abi, int nr, char *buf, size_t len)
{
    /* libseccomp has the numbers of x32 with the bit that tells them from the others. */
    int full = abi == CALL_X32 ? nr | X32_BIT : nr;
    char *name = nr >= 0 ? seccomp_syscall_resolve_num_arch(abi_arch(abi), full) : NULL;
    int used = name != NULL ? snprintf(buf, len, "%s", name) : snprintf(buf, len, "#%d", nr);
    free(name);
    if (used < 0 && len > 0)
        buf[0] = '\0';
    return buf;
}
