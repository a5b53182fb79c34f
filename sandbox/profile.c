#include "profile.h"

#include "cleanup.h"
#include "syscalls.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * libseccomp can't say "all but these values" about the 32 bits that the kernel looks at: its NE
 * compares 64 bits, so a set high bit would slip through. Argument rules are therefore a prologue
 * of our own, which jumps to libseccomp's program when it has no objection.
 */
enum arg_test {
    REFUSE_BITS,   /* refused if any bit of values[0] is set */
    REFUSE_VALUES, /* refused if it is one of values */
    ONLY_VALUES,   /* refused unless it is one of values */
};

enum { ARG_VALUES_MAX = 6 };

struct arg_rule {
    int nr;
    unsigned arg;
    enum arg_test test;
    size_t n;
    uint32_t values[ARG_VALUES_MAX];
};

#define NEW_NAMESPACES                                                                             \
    ((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |      \
                CLONE_NEWPID | CLONE_NEWNET))

/* AF_VSOCK, AF_ALG and others reach beyond a network namespace or deep into the kernel. */
#define CONFINED_FAMILIES                                                                          \
    {                                                                                              \
        AF_UNIX, AF_INET, AF_INET6, AF_NETLINK                                                     \
    }

static const struct arg_rule arg_rules[] = {
    /* CLONE_NEWTIME is left out of clone: there its bit belongs to the exit signal. */
    {SYS_clone, 0, REFUSE_BITS, 1, {NEW_NAMESPACES}},
    {SYS_unshare, 0, REFUSE_BITS, 1, {NEW_NAMESPACES | CLONE_NEWTIME}},
    /* setns(2) takes 0 for "any kind", so no argument is harmless. */
    {SYS_setns, 1, ONLY_VALUES, 0, {0}},
    /* Typing for others; and leaving the project whose quota bounds a workspace (quota.h). */
    {SYS_ioctl, 1, REFUSE_VALUES, 4, {TIOCSTI, TIOCLINUX, FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS}},
    /* PER_LINUX, PER_LINUX32, both with UNAME26, and the query. */
    {SYS_personality, 0, ONLY_VALUES, 5, {0, 0x8, 0x20000, 0x20008, 0xffffffff}},
    {SYS_socket, 0, ONLY_VALUES, 4, CONFINED_FAMILIES},
    {SYS_socketpair, 0, ONLY_VALUES, 4, CONFINED_FAMILIES},
};

enum { PROLOGUE_MAX = 4 + array_len(arg_rules) * (ARG_VALUES_MAX + 5) };

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { LOW_HALF = 0 };
#else
enum { LOW_HALF = 4 };
#endif

static const struct seccomp_rule *find_rule(const struct seccomp_spec *spec, int nr)
{
    size_t low = 0, high = spec->n_rules;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (spec->rules[mid].nr == nr)
            return &spec->rules[mid];
        if (spec->rules[mid].nr < nr)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_allowed(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_ALLOW;
}

enum seccomp_answer profile_answer(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_KILL ? SECCOMP_ANSWER_KILL
                                                               : SECCOMP_ANSWER_DENY;
}

static int check_rules(const struct seccomp_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->n_rules; i++) {
        const struct seccomp_rule *rule = &spec->rules[i];
        if (rule->nr < 0 || (i > 0 && rule->nr <= spec->rules[i - 1].nr))
            return err_set(err, 0, "%s:%u: seccomp rules are not in order at call %d", rule->file,
                           rule->line, rule->nr);
    }
    /* The filter is on when the command is executed, and nobody answers notifications yet. */
    if (!is_allowed(spec, SYS_execve) || !is_allowed(spec, SYS_exit_group))
        return err_set(err, 0, "seccomp profile '%s' must allow execve and exit_group", spec->name);
    return 0;
}

/* Appends the test of one argument: `refuse` or on to the instruction after it. */
static size_t emit_test(struct sock_filter *at, const struct arg_rule *rule)
{
    const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    uint8_t n = (uint8_t)rule->n;
    size_t used = 0;
    if (rule->test == REFUSE_BITS) {
        at[used++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rule->values[0], 0, 1);
        at[used++] = refuse;
        return used;
    }
    for (uint8_t i = 0; i < n; i++) {
        /* The distance from here to the refusal, which is the last instruction, and past it. */
        uint8_t ahead = (uint8_t)(n - 1 - i);
        bool last = i == n - 1;
        if (rule->test == REFUSE_VALUES)
            at[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->values[i],
                                                      ahead, last ? 1 : 0);
        else
            at[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->values[i],
                                                      (uint8_t)(ahead + 1), 0);
    }
    at[used++] = refuse;
    return used;
}

static size_t emit_prologue(struct sock_filter *out, const struct seccomp_spec *spec)
{
    size_t n = 0;
    out[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0);
    size_t foreign_jump = n;
    out[n++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0);
    for (size_t i = 0; i < array_len(arg_rules); i++) {
        const struct arg_rule *rule = &arg_rules[i];
        if (!is_allowed(spec, rule->nr))
            continue;
        out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, nr));
        size_t skip = n++;
        out[n++] = (struct sock_filter)BPF_STMT(
            BPF_LD | BPF_W | BPF_ABS,
            (uint32_t)(offsetof(struct seccomp_data, args) + rule->arg * 8 + LOW_HALF));
        n += emit_test(out + n, rule);
        out[skip] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->nr, 0,
                                                 (uint8_t)(n - skip - 1));
    }
    out[foreign_jump].k = (uint32_t)(n - foreign_jump - 1);
    return n;
}

/* libseccomp's part: numbers, the foreign ABIs and the answer to all that is unknown. */
static int add_rules(scmp_filter_ctx ctx, const struct seccomp_spec *spec, struct err *err)
{
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc < 0)
        return err_set(err, -rc, "seccomp: filter attributes");
    for (size_t i = 0; i < spec->n_rules; i++) {
        const struct seccomp_rule *rule = &spec->rules[i];
        /* A filter can't see flags behind a pointer, so libc is sent back to clone. */
        if (rule->nr == SYS_clone3)
            continue;
        uint32_t action = rule->answer == SECCOMP_ANSWER_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_NOTIFY;
        rc = seccomp_rule_add_exact(ctx, action, rule->nr, 0);
        if (rc < 0) {
            char name[64];
            return err_set(err, -rc, "%s:%u: seccomp rule for %s", rule->file, rule->line,
                           syscall_name(rule->nr, name, sizeof name));
        }
    }
    return 0;
}

static int export_program(scmp_filter_ctx ctx, int *fd, size_t *n_insns, struct err *err)
{
    *fd = memfd_create("filter", MFD_CLOEXEC);
    if (*fd < 0)
        return err_set(err, errno, "memfd_create");
    int rc = seccomp_export_bpf(ctx, *fd);
    if (rc < 0)
        return err_set(err, -rc, "seccomp: export");
    struct stat st;
    if (fstat(*fd, &st) < 0)
        return err_set(err, errno, "fstat");
    *n_insns = (size_t)st.st_size / sizeof(struct sock_filter);
    if (*n_insns == 0 || *n_insns > BPF_MAXINSNS - PROLOGUE_MAX)
        return err_set(err, 0, "seccomp filter of %zu instructions is too long", *n_insns);
    return 0;
}

static int assemble(scmp_filter_ctx ctx, const struct seccomp_spec *spec,
                    struct sock_filter **filter, unsigned short *len, struct err *err)
{
    cleanup_fd int fd = -1;
    size_t n_insns = 0;
    if (add_rules(ctx, spec, err) < 0 || export_program(ctx, &fd, &n_insns, err) < 0)
        return -1;
    cleanup_free struct sock_filter *program = calloc(PROLOGUE_MAX + n_insns, sizeof *program);
    if (program == NULL)
        return err_set(err, ENOMEM, "seccomp filter");
    size_t prologue = emit_prologue(program, spec);
    size_t bytes = n_insns * sizeof *program;
    if (pread(fd, program + prologue, bytes, 0) != (ssize_t)bytes)
        return err_set(err, EIO, "seccomp: export");
    *len = (unsigned short)(prologue + n_insns);
    *filter = steal_ptr(program);
    return 0;
}

int profile_compile(const struct seccomp_spec *spec, struct sock_filter **filter,
                    unsigned short *len, struct err *err)
{
    if (check_rules(spec, err) < 0)
        return -1;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (ctx == NULL)
        return err_set(err, ENOMEM, "seccomp filter");
    int rc = assemble(ctx, spec, filter, len, err);
    seccomp_release(ctx);
    return rc;
}
