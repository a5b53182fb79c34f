#include "learn_calls.h"
#include "cleanup.h"

#include <stddef.h>
#include <sys/syscall.h>

#define NO ARG_NONE

/* Newer than the headers of the oldest system that we build on. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const struct call_shape shapes[] = {
    {SYS_openat, CALL_OPEN, 0, 1, 2, NO, NO, false},
    {SYS_openat2, CALL_OPEN2, 0, 1, 2, NO, NO, false},
    {SYS_newfstatat, CALL_LOOK, 0, 1, 3, NO, NO, false},
    {SYS_statx, CALL_LOOK, 0, 1, 2, NO, NO, false},
    {SYS_faccessat, CALL_LOOK, 0, 1, NO, NO, NO, false},
    {SYS_faccessat2, CALL_LOOK, 0, 1, 3, NO, NO, false},
    {SYS_readlinkat, CALL_LOOK, 0, 1, NO, NO, NO, true},
    {SYS_statfs, CALL_LOOK, NO, 0, NO, NO, NO, false},
    {SYS_getxattr, CALL_LOOK, NO, 0, NO, NO, NO, false},
    {SYS_lgetxattr, CALL_LOOK, NO, 0, NO, NO, NO, true},
    {SYS_listxattr, CALL_LOOK, NO, 0, NO, NO, NO, false},
    {SYS_llistxattr, CALL_LOOK, NO, 0, NO, NO, NO, true},
    {SYS_inotify_add_watch, CALL_LOOK, NO, 1, NO, NO, NO, false},
    {SYS_chdir, CALL_ENTER, NO, 0, NO, NO, NO, false},
    {SYS_execve, CALL_EXEC, NO, 0, NO, NO, NO, false},
    {SYS_execveat, CALL_EXEC, 0, 1, 4, NO, NO, false},
    {SYS_mkdirat, CALL_MAKE, 0, 1, NO, NO, NO, true},
    {SYS_mknodat, CALL_MAKE, 0, 1, NO, NO, NO, true},
    {SYS_symlinkat, CALL_MAKE, 1, 2, NO, NO, NO, true},
    {SYS_unlinkat, CALL_REMOVE, 0, 1, NO, NO, NO, true},
    {SYS_renameat2, CALL_RENAME, 0, 1, NO, 2, 3, true},
    {SYS_linkat, CALL_LINK, 0, 1, NO, 2, 3, true},
    {SYS_truncate, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_fchmodat, CALL_CHANGE, 0, 1, NO, NO, NO, false},
    {SYS_fchmodat2, CALL_CHANGE, 0, 1, 3, NO, NO, false},
    {SYS_fchownat, CALL_CHANGE, 0, 1, 4, NO, NO, false},
    {SYS_utimensat, CALL_CHANGE, 0, 1, 3, NO, NO, false},
    {SYS_setxattr, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_lsetxattr, CALL_CHANGE, NO, 0, NO, NO, NO, true},
    {SYS_removexattr, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_lremovexattr, CALL_CHANGE, NO, 0, NO, NO, NO, true},
    {SYS_getdents64, CALL_FD_LIST, NO, 0, NO, NO, NO, false},
    {SYS_fchmod, CALL_FD_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_fchown, CALL_FD_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_fsetxattr, CALL_FD_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_fremovexattr, CALL_FD_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_fchdir, CALL_FD_ENTER, NO, 0, NO, NO, NO, false},
    {SYS_connect, CALL_CONNECT, NO, 0, NO, NO, NO, false},
    {SYS_bind, CALL_BIND, NO, 0, NO, NO, NO, false},
    {SYS_listen, CALL_LISTEN, NO, 0, NO, NO, NO, false},
    {SYS_sendto, CALL_SENDTO, NO, 0, NO, NO, NO, false},
    {SYS_sendmsg, CALL_SENDMSG, NO, 0, NO, NO, NO, false},
    {SYS_sendmmsg, CALL_SENDMMSG, NO, 0, NO, NO, NO, false},
#ifdef SYS_open /* older architectures have these besides */
    {SYS_open, CALL_OPEN, NO, 0, 1, NO, NO, false},
    {SYS_creat, CALL_CREAT, NO, 0, NO, NO, NO, false},
    {SYS_stat, CALL_LOOK, NO, 0, NO, NO, NO, false},
    {SYS_lstat, CALL_LOOK, NO, 0, NO, NO, NO, true},
    {SYS_access, CALL_LOOK, NO, 0, NO, NO, NO, false},
    {SYS_readlink, CALL_LOOK, NO, 0, NO, NO, NO, true},
    {SYS_mkdir, CALL_MAKE, NO, 0, NO, NO, NO, true},
    {SYS_mknod, CALL_MAKE, NO, 0, NO, NO, NO, true},
    {SYS_symlink, CALL_MAKE, NO, 1, NO, NO, NO, true},
    {SYS_rmdir, CALL_REMOVE, NO, 0, NO, NO, NO, true},
    {SYS_unlink, CALL_REMOVE, NO, 0, NO, NO, NO, true},
    {SYS_rename, CALL_RENAME, NO, 0, NO, NO, 1, true},
    {SYS_link, CALL_LINK, NO, 0, NO, NO, 1, true},
    {SYS_chmod, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_chown, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_lchown, CALL_CHANGE, NO, 0, NO, NO, NO, true},
    {SYS_utime, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_utimes, CALL_CHANGE, NO, 0, NO, NO, NO, false},
    {SYS_futimesat, CALL_CHANGE, 0, 1, NO, NO, NO, false},
    {SYS_getdents, CALL_FD_LIST, NO, 0, NO, NO, NO, false},
#endif
#ifdef SYS_renameat
    {SYS_renameat, CALL_RENAME, 0, 1, NO, 2, 3, true},
#endif
};

const struct call_shape *call_shape_of(int nr)
{
    enum { NUMBERS = 1024 };
    static unsigned char index[NUMBERS];
    static bool filled;
    _Static_assert(array_len(shapes) < 255, "an index is one byte");
    if (!filled)
        for (size_t i = 0; i < array_len(shapes); i++)
            if (shapes[i].nr < NUMBERS)
                index[shapes[i].nr] = (unsigned char)(i + 1);
    filled = true;
    return nr < 0 || nr >= NUMBERS || index[nr] == 0 ? NULL : &shapes[index[nr] - 1];
}
