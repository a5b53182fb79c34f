/*
 * The seccomp profiles that are shipped, by the policy's own loader, compiled: how small the
 * programs are, how few steps a call takes through them, and that what is to be refused is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup.h"
#include "policy_fixture.h"
#include "profile.h"
#include "syscalls.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

/* For every sandbox that runs at a time there is one in the kernel. */
enum { INSNS_MAX = 320, STEPS_MAX = 48, FILE_MAX = 1 << 16, CALLS_MAX = 1024 };

static const char *const files[] = {"default", "groups", "network", "strict"};
static char texts[sizeof files / sizeof *files][FILE_MAX];
static char paths[sizeof files / sizeof *files][64];
static struct policy *policy;

static int load(void **state)
{
    (void)state;
    static struct policy_host host;
    host = fixture_host;
    host.syscall_number = syscall_number;
    fixture_reset();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[512];
        (void)snprintf(from, sizeof from, SOURCE_DIR "/policies/seccomp/%s.ini", files[i]);
        (void)snprintf(paths[i], sizeof paths[i], "/s/%s.ini", files[i]);
        cleanup_file FILE *file = fopen(from, "re");
        assert_non_null(file);
        size_t n = fread(texts[i], 1, FILE_MAX - 1, file);
        fixture_add(paths[i], texts[i], n);
    }
    fixture_add_text("/p/policy.d/t.ini",
                     "[sandbox \"default\"]\nnetwork = none\n"
                     "[sandbox \"network\"]\nnetwork = none\nseccomp = network\n"
                     "[sandbox \"strict\"]\nnetwork = none\nseccomp = strict\n");
    struct diags diags;
    policy = policy_load(&(struct policy_source){.host = &host, .config_path = "/p/postern.ini"},
                         &diags);
    for (size_t i = 0; i < diags.n; i++) {
        char line[600];
        diag_format(&diags.items[i], line, sizeof line);
        print_message("%s\n", line);
    }
    size_t problems = diags.n;
    diags_free(&diags);
    return policy != NULL && problems == 0 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    policy_free(policy);
    return 0;
}

static const struct seccomp_spec *profile(const char *name)
{
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (strcmp(policy->sandboxes[i].seccomp.name, name) == 0)
            return &policy->sandboxes[i].seccomp;
    fail_msg("no profile %s", name);
    return NULL;
}

static const char *const names[] = {"strict", "network", "default"};

/* The longest way of a call through the program, whose jumps all go forward. */
static size_t longest_way(const struct sock_filter *filter, size_t len)
{
    static size_t way[BPF_MAXINSNS];
    for (size_t at = len; at-- > 0;) {
        const struct sock_filter *insn = &filter[at];
        size_t rest = 0;
        if (BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) == BPF_JA)
            rest = way[at + 1 + insn->k];
        else if (BPF_CLASS(insn->code) == BPF_JMP)
            rest = way[at + 1 + insn->jt] > way[at + 1 + insn->jf] ? way[at + 1 + insn->jt]
                                                                   : way[at + 1 + insn->jf];
        else if (BPF_CLASS(insn->code) != BPF_RET)
            rest = way[at + 1];
        way[at] = 1 + rest;
    }
    return way[0];
}

static void test_sizes(void **state)
{
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct seccomp_spec *spec = profile(names[i]);
        cleanup_free struct sock_filter *filter = NULL;
        unsigned short len = 0;
        struct err err;
        size_t allowed = 0;
        assert_int_equal(profile_compile(spec, &filter, &len, &err), 0);
        for (size_t k = 0; k < spec->n_rules; k++)
            allowed += spec->rules[k].answer == SECCOMP_ANSWER_ALLOW;
        size_t way = longest_way(filter, len);
        print_message("%s: %zu calls allowed of %zu known, %u instructions, at most %zu a call\n",
                      names[i], allowed, spec->n_rules, len, way);
        assert_true(len <= INSNS_MAX && way <= STEPS_MAX);
        assert_true(allowed > before);
        before = allowed;
    }
}

/* What no shipped profile may open, whoever edits the groups. */
static void test_closed(void **state)
{
    (void)state;
    static const char *const closed[] = {"ptrace",
                                         "process_vm_readv",
                                         "process_vm_writev",
                                         "pidfd_getfd",
                                         "kcmp",
                                         "perf_event_open",
                                         "bpf",
                                         "userfaultfd",
                                         "memfd_secret",
                                         "io_uring_setup",
                                         "io_uring_enter",
                                         "io_uring_register",
                                         "add_key",
                                         "request_key",
                                         "keyctl",
                                         "mount",
                                         "umount2",
                                         "pivot_root",
                                         "chroot",
                                         "open_tree",
                                         "move_mount",
                                         "fsopen",
                                         "fsconfig",
                                         "fsmount",
                                         "fspick",
                                         "mount_setattr",
                                         "unshare",
                                         "setns",
                                         "name_to_handle_at",
                                         "open_by_handle_at",
                                         "fanotify_init",
                                         "init_module",
                                         "finit_module",
                                         "delete_module",
                                         "reboot",
                                         "kexec_load",
                                         "kexec_file_load",
                                         "swapon",
                                         "swapoff",
                                         "settimeofday",
                                         "clock_settime",
                                         "adjtimex",
                                         "acct",
                                         "quotactl",
                                         "quotactl_fd",
                                         "syslog",
                                         "vhangup",
                                         "move_pages",
                                         "migrate_pages"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct seccomp_spec *spec = profile(names[i]);
        for (size_t k = 0; k < sizeof closed / sizeof *closed; k++) {
            const struct seccomp_rule *rule = profile_find_rule(spec, syscall_number(closed[k]));
            /* Known, so that it is told and not taken for a call of a newer kernel. */
            if (rule == NULL || rule->answer != SECCOMP_ANSWER_DENY)
                fail_msg("%s: %s", names[i], closed[k]);
        }
    }
}

/* Each has all that the one before has. */
static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < sizeof names / sizeof *names; i++) {
        const struct seccomp_spec *less = profile(names[i]), *more = profile(names[i + 1]);
        for (size_t k = 0; k < less->n_rules; k++) {
            const struct seccomp_rule *rule = profile_find_rule(more, less->rules[k].nr);
            assert_non_null(rule);
            if (less->rules[k].answer == SECCOMP_ANSWER_ALLOW)
                assert_int_equal(rule->answer, SECCOMP_ANSWER_ALLOW);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
