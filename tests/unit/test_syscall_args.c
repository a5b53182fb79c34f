/*
 * The arguments of refused calls in words, and which refusals are told: whatever the numbers are,
 * nothing of a pointer is kept and every text is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notes.h"
#include "profile.h"
#include "syscall_args.h"
#include "syscalls.h"

#include <string.h>

static const struct {
    const char *call;
    uint64_t args[CALL_ARGS];
    const char *text;
} cases[] = {
    {"getpid", {1, 2, 3, 4, 5, 6}, "system call getpid"},
    {"ptrace", {16, 77}, "system call ptrace(PTRACE_ATTACH)"},
    {"ptrace", {0x9999}, "system call ptrace(0x9999)"},
    {"socket",
     {40, 0x80801},
     "system call socket(AF_VSOCK, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, "
     "0)"},
    {"socket", {16, 3, 12}, "system call socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)"},
    {"socket", {2, 1, 132}, "system call socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)"},
    {"socket", {99, 0x10000f, 7}, "system call socket(99, 15|0x100000, 7)"},
    {"clone", {0x10000000 | 17}, "system call clone(CLONE_NEWUSER)"},
    {"clone", {0x00010f00 | 17}, "system call clone(0)"},
    {"unshare", {0x20000400}, "system call unshare(CLONE_NEWPID|CLONE_FILES)"},
    {"setns", {5, 0}, "system call setns(0)"},
    {"setns", {5, 0x40000000}, "system call setns(CLONE_NEWNET)"},
    {"ioctl", {0, 0x5412, 0x7ffd12345678}, "system call ioctl(TIOCSTI)"},
    {"ioctl", {0, 0xdeadbeef00005412}, "system call ioctl(TIOCSTI)"},
    {"ioctl", {0, 0xc0045877}, "system call ioctl(FIFREEZE)"},
    {"ioctl", {0, 0x12345678}, "system call ioctl(0x12345678)"},
    {"prctl", {35, 14, 0x7ffd12345678}, "system call prctl(PR_SET_MM)"},
    {"prctl", {9999}, "system call prctl(9999)"},
    {"personality", {0x0040000}, "system call personality(ADDR_NO_RANDOMIZE)"},
    {"keyctl", {1, 0x7ffd12345678}, "system call keyctl(KEYCTL_JOIN_SESSION_KEYRING)"},
    {"add_key", {1, 2, 3, 4, 0xfffffffd}, "system call add_key(KEY_SPEC_SESSION_KEYRING)"},
    {"add_key", {1, 2, 3, 4, 0xffffff00}, "system call add_key(-256)"},
    {"bpf", {5, 0x7ffd12345678, 64}, "system call bpf(BPF_PROG_LOAD)"},
    {"mount", {0x7ffd0000, 1, 2, 0x1021, 9}, "system call mount(MS_RDONLY|MS_REMOUNT|MS_BIND)"},
    {"umount2", {0x7ffd0000, 2}, "system call umount2(MNT_DETACH)"},
    {"quotactl", {0x80000700, 1}, "system call quotactl(Q_GETQUOTA)"},
    {"mmap",
     {0, 4096, 7, 0x40022},
     "system call mmap(PROT_READ|PROT_WRITE|PROT_EXEC, "
     "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB)"},
    {"mknodat", {3, 0x7ffd0000, 020644}, "system call mknodat(020644)"},
    {"setsockopt", {3, 6, 31, 0x7ffd0000, 4}, "system call setsockopt(SOL_TCP, TCP_ULP)"},
    {"setsockopt", {3, 1, 31}, "system call setsockopt(SOL_SOCKET, 31)"},
    {"setresuid", {0, 0, 4294967295}, "system call setresuid(0, 0, -1)"},
    {"seccomp",
     {1, 8},
     "system call seccomp(SECCOMP_SET_MODE_FILTER, "
     "SECCOMP_FILTER_FLAG_NEW_LISTENER)"},
    {"kill", {1, 9}, "system call kill(SIGKILL)"},
};

static struct refused_call make_call(const char *name, const uint64_t *args)
{
    struct refused_call call = {.nr = syscall_number(name)};
    assert_true(call.nr >= 0);
    syscall_args_keep(&call, args);
    return call;
}

static void test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CALL_TEXT_MAX];
        struct refused_call call = make_call(cases[i].call, cases[i].args);
        assert_string_equal(syscall_args_describe(&call, text, sizeof text), cases[i].text);
    }
}

/* Of no call anything is kept that could be an address. */
static void test_no_pointers(void **state)
{
    (void)state;
    static const uint64_t addresses[CALL_ARGS] = {0x7ffd11111110, 0x7ffd22222220, 0x7ffd33333330,
                                                  0x7ffd44444440, 0x7ffd55555550, 0x7ffd66666660};
    static const char *const none[] = {"open",   "openat",  "execve", "mount",  "perf_event_open",
                                       "fsopen", "add_key", "uname",  "keyctl", "process_vm_readv"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct refused_call call = make_call(none[i], addresses);
        struct telling_args told;
        syscall_args_text(&call, &told);
        assert_true(told.n <= 1); /* the numbers of mount, add_key, keyctl */
        for (size_t k = 0; told.n == 0 && k < CALL_ARGS; k++)
            assert_int_equal(call.args[k], 0);
    }
    struct refused_call keyctl = make_call("keyctl", addresses);
    assert_int_equal(keyctl.args[1], 0);
    /* A foreign ABI has other numbers for other calls. */
    struct refused_call foreign = {.nr = syscall_number("ioctl"), .abi = CALL_32_BIT};
    syscall_args_keep(&foreign, addresses);
    assert_int_equal(foreign.args[1], 0);
}

static void test_foreign_names(void **state)
{
    (void)state;
#if defined(__x86_64__)
    char text[CALL_TEXT_MAX];
    struct refused_call call = {.nr = 20, .abi = CALL_32_BIT};
    assert_string_equal(syscall_args_describe(&call, text, sizeof text),
                        "32-bit system call getpid");
    call = (struct refused_call){.nr = 39, .abi = CALL_X32};
    assert_string_equal(syscall_args_describe(&call, text, sizeof text), "x32 system call getpid");
    call.nr = 65535;
    assert_string_equal(syscall_args_describe(&call, text, sizeof text), "x32 system call #65535");
#endif
}

/* All numbers and all bits: nothing overflows, what is cut says so. */
static void test_extremes(void **state)
{
    (void)state;
    for (int nr = 0; nr < 1000; nr++) {
        struct refused_call call = {.nr = nr};
        memset(call.args, 0xff, sizeof call.args);
        char text[CALL_TEXT_MAX + 1];
        text[CALL_TEXT_MAX] = '\x7f';
        size_t len = strlen(syscall_args_describe(&call, text, CALL_TEXT_MAX));
        assert_true(len > 0 && len < CALL_TEXT_MAX && text[CALL_TEXT_MAX] == '\x7f');
    }
    struct refused_call call = {.nr = syscall_number("mmap"), .args = {0, 0, ~0U, ~0U}};
    char text[40];
    assert_string_equal(syscall_args_describe(&call, text, sizeof text),
                        "system call mmap(PROT_READ|PROT_WRIT...");
    struct telling_args told;
    syscall_args_text(&call, &told);
    assert_int_equal(strlen(told.text[1]), TELLING_TEXT_MAX - 1);
    assert_string_equal(told.text[1] + TELLING_TEXT_MAX - 4, "...");
}

/* What an argument rule looks at is among what is told, so that the master can see why. */
static void test_always_refused(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        uint64_t args[CALL_ARGS];
        bool refused;
    } tries[] = {
        {"ioctl", {0, 0x5412}, true},
        {"ioctl", {0, 0x5401}, false},
        {"ioctl", {0, 0x5423}, true},
        {"clone", {0x10000011}, true},
        {"clone", {0x11}, false},
        {"unshare", {0x80}, true},
        {"unshare", {0x400}, false},
        {"setns", {3, 0}, true},
        {"socket", {40}, true},
        {"socket", {1, 1, 0}, false},
        {"socket", {16, 3, 0}, false},
        {"socket", {16, 3, 9}, true},
        {"socket", {2, 1, 6}, false},
        {"socket", {2, 1, 132}, true},
        {"socket", {10, 2, 58}, false},
        {"socket", {1, 1, 132}, false},
        {"socketpair", {1}, false},
        {"socketpair", {2}, true},
        {"setsockopt", {3, 6, 31}, true},
        {"setsockopt", {3, 1, 31}, false},
        {"prctl", {35}, true},
        {"prctl", {62}, true},
        {"prctl", {15}, false},
        {"personality", {0xffffffff}, false},
        {"personality", {0x40000}, true},
        {"fcntl", {3, 1024}, true},
        {"fcntl", {3, 2}, false},
        {"madvise", {0, 0, 12}, true},
        {"madvise", {0, 0, 4}, false},
        {"mmap", {0, 0, 3, 0x40022}, true},
        {"mmap", {0, 0, 3, 0x22}, false},
        {"memfd_create", {0, 4}, true},
        {"memfd_create", {0, 1}, false},
        {"shmget", {0, 0, 04000}, true},
        {"seccomp", {1, 8}, true},
        {"seccomp", {1, 1}, false},
        {"getpid", {0}, false},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct refused_call call = make_call(tries[i].call, tries[i].args);
        if ((profile_always_refused(&call, false) != NULL) != tries[i].refused)
            fail_msg("%s, case %zu", tries[i].call, i);
    }
}

static void test_notes(void **state)
{
    (void)state;
    static struct notes notes;
    notes = (struct notes){.told_max = SPEC_NOTES_DEFAULT};
    for (uint32_t i = 0; i < 3 * NOTES_SEEN_MAX; i++) {
        const struct refused_call call = {.nr = 16, .args = {0, i}};
        assert_int_equal(notes_add(&notes, &call), i < notes.told_max);
        assert_false(notes_add(&notes, &call));
    }
    assert_int_equal(notes.n_untold, NOTES_SEEN_MAX - notes.told_max);
    notes = (struct notes){.told_max = SPEC_NOTES_DEFAULT};
    struct refused_call call = {.nr = 16};
    assert_true(notes_add(&notes, &call));
    call.abi = CALL_X32;
    assert_true(notes_add(&notes, &call));
    call.nr = 17;
    assert_true(notes_add(&notes, &call));
    assert_int_equal(notes.n_untold, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_no_pointers),
        cmocka_unit_test(test_foreign_names),  cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_always_refused), cmocka_unit_test(test_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
