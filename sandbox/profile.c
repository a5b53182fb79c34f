#include "profile.h"

#include "cleanup.h"
#include "profile_args.h"
#include "syscalls.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct seccomp_rule *profile_find_rule(const struct seccomp_spec *spec, int nr)
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
    const struct seccomp_rule *rule = profile_find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_ALLOW;
}

enum seccomp_answer profile_answer(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = profile_find_rule(spec, nr);
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
    if (*n_insns == 0 || *n_insns > BPF_MAXINSNS - PROFILE_ARGS_MAX)
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
    cleanup_free struct sock_filter *program = calloc(PROFILE_ARGS_MAX + n_insns, sizeof *program);
    if (program == NULL)
        return err_set(err, ENOMEM, "seccomp filter");
    size_t prologue = profile_args_emit(program, spec);
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
