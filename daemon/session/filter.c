#include "filter.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdint.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

/* Whatever the arguments. */
static const int plain[] = {
    /* the peer, the pipes, the master */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    /* waiting */
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(restart_syscall),
    /* memory; mmap and mprotect have rules of their own */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* random numbers, fork detection, clocks where the vdso has none */
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    /* the end */
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(exit_group),
};

struct rule {
    int nr;
    unsigned n;
    struct scmp_arg_cmp args[3];
};

/* The kernel looks at 32 bits of these arguments, so the filter does. */
#define EQ(arg, value)                                                                             \
    {                                                                                              \
        (arg), SCMP_CMP_MASKED_EQ, UINT32_MAX, (value)                                             \
    }
#define NOT_EXEC  SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)
#define ANONYMOUS SCMP_CMP64(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)

static int add_rules(scmp_filter_ctx ctx)
{
    const struct rule rules[] = {
        {SCMP_SYS(mmap), 2, {NOT_EXEC, ANONYMOUS}},
        {SCMP_SYS(mprotect), 1, {NOT_EXEC}},
        {SCMP_SYS(fcntl), 1, {EQ(1, F_GETFL)}},
        {SCMP_SYS(fcntl), 1, {EQ(1, F_SETFL)}},
        {SCMP_SYS(setsockopt), 2, {EQ(1, IPPROTO_TCP), EQ(2, TCP_QUICKACK)}},
        {SCMP_SYS(getsockopt), 2, {EQ(1, SOL_SOCKET), EQ(2, SO_ERROR)}},
        /* a terminal: its size, its modes, a break */
        {SCMP_SYS(ioctl), 1, {EQ(1, TIOCSWINSZ)}},
        {SCMP_SYS(ioctl), 1, {EQ(1, TCGETS)}},
        {SCMP_SYS(ioctl), 2, {EQ(1, TIOCSIG), EQ(2, SIGINT)}},
        {SCMP_SYS(setitimer), 1, {EQ(0, ITIMER_PROF)}},
    };
    for (size_t i = 0; i < array_len(plain); i++) {
        int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < array_len(rules); i++) {
        int rc =
            seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rules[i].nr, rules[i].n, rules[i].args);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int export_to(scmp_filter_ctx ctx, int fd)
{
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A binary tree instead of a chain; libseccomp older than 2.5 just keeps the chain. */
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = add_rules(ctx);
    if (rc == 0)
        rc = seccomp_export_bpf(ctx, fd);
    return rc;
}

static int read_program(int fd, struct sock_fprog *program, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "filter");
    size_t size = (size_t)st.st_size;
    if (size == 0 || size % sizeof(struct sock_filter) != 0 ||
        size / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return err_set(err, 0, "filter of %zu bytes", size);
    cleanup_free struct sock_filter *code = malloc(size);
    if (code == NULL)
        return err_set(err, errno, "filter");
    ssize_t n = pread(fd, code, size, 0);
    if (n < 0 || (size_t)n != size)
        return err_set(err, n < 0 ? errno : 0, "read filter");
    program->len = (unsigned short)(size / sizeof(struct sock_filter));
    program->filter = steal_ptr(code);
    return 0;
}

int filter_compile(struct filter *filter, struct err *err)
{
    cleanup_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "memfd");
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL)
        return err_set(err, 0, "seccomp_init");
    int rc = export_to(ctx, fd);
    seccomp_release(ctx);
    if (rc < 0)
        return err_set(err, -rc, "build the system call filter");
    return read_program(fd, &filter->program, err);
}

int filter_install(const struct filter *filter, struct err *err)
{
#ifdef POSTERN_SANITIZE
    /* A sanitizer's own system calls are not ours to list. */
    (void)filter;
    (void)err;
#else
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter->program, 0, 0) < 0)
        return err_set(err, errno, "load the system call filter");
#endif
    return 0;
}
