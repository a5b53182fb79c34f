/*
 * Compiled profiles, run by a small interpreter as the kernel would run them: every call gets the
 * answer of its rule, and arguments are looked at with the kernel's 32 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup.h"
#include "landlock.h"
#include "profile.h"
#include "profile_args.h"
#include "syscall_args.h"
#include "syscalls.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RULES_MAX = 64 };

#define ANSWER_ENOSYS (SECCOMP_RET_ERRNO | ENOSYS)

static struct seccomp_rule rules[RULES_MAX];
static struct seccomp_spec spec;
static struct sock_filter *filter;
static unsigned short filter_len;

/* Classic BPF, as much of it as seccomp programs use. */
static uint32_t run_filter(const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (size_t pc = 0; pc < filter_len; pc++) {
        const struct sock_filter *insn = &filter[pc];
        bool jump = false;
        switch (insn->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(insn->k % 4 == 0 && insn->k < sizeof *data);
            memcpy(&a, (const char *)data + insn->k, 4);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= insn->k;
            continue;
        case BPF_RET | BPF_K:
            return insn->k;
        case BPF_JMP | BPF_JA:
            pc += insn->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jump = a == insn->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            jump = a > insn->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jump = a >= insn->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            jump = (a & insn->k) != 0;
            break;
        default:
            fail_msg("instruction 0x%x", insn->code);
        }
        pc += jump ? insn->jt : insn->jf;
    }
    fail_msg("the program has no end");
    return 0;
}

static uint32_t answer(int nr, unsigned arg, uint64_t value)
{
    struct seccomp_data data = {.nr = nr, .arch = seccomp_arch_native()};
    data.args[arg] = value;
    return run_filter(&data);
}

static int compare_rules(const void *a, const void *b)
{
    return ((const struct seccomp_rule *)a)->nr - ((const struct seccomp_rule *)b)->nr;
}

static void add_rule(int nr, enum seccomp_answer what)
{
    unsigned line = (unsigned)spec.n_rules + 1;
    assert_true(spec.n_rules < RULES_MAX);
    rules[spec.n_rules++] = (struct seccomp_rule){nr, what, "test.ini", line};
}

static int setup(void **state)
{
    (void)state;
    spec = (struct seccomp_spec){.name = (char *)"test", .rules = rules};
    add_rule(SYS_read, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_execve, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_exit_group, SECCOMP_ANSWER_ALLOW);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free_ptr(&filter);
    return 0;
}

static void compile(void)
{
    struct err err;
    qsort(rules, spec.n_rules, sizeof *rules, compare_rules);
    if (profile_compile(&spec, &filter, &filter_len, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_answers(void **state)
{
    (void)state;
    add_rule(SYS_ptrace, SECCOMP_ANSWER_DENY);
    add_rule(SYS_reboot, SECCOMP_ANSWER_KILL);
    compile();
    for (int nr = -1; nr < 1024; nr++) {
        uint32_t want = ANSWER_ENOSYS;
        if (nr == SYS_read || nr == SYS_execve || nr == SYS_exit_group)
            want = SECCOMP_RET_ALLOW;
        else if (nr == SYS_ptrace || nr == SYS_reboot)
            want = SECCOMP_RET_USER_NOTIF;
        assert_int_equal(answer(nr, 0, 0), want);
    }
    assert_int_equal(profile_answer(&spec, SYS_ptrace), SECCOMP_ANSWER_DENY);
    assert_int_equal(profile_answer(&spec, SYS_reboot), SECCOMP_ANSWER_KILL);
    assert_int_equal(profile_answer(&spec, SYS_read), SECCOMP_ANSWER_DENY);
    assert_int_equal(profile_answer(&spec, 4000), SECCOMP_ANSWER_DENY);
}

static void test_foreign_calls(void **state)
{
    (void)state;
    add_rule(SYS_clone, SECCOMP_ANSWER_ALLOW);
    compile();
    static const uint32_t arches[] = {AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, AUDIT_ARCH_ARM,
                                      AUDIT_ARCH_AARCH64, 0};
    for (size_t i = 0; i < array_len(arches); i++) {
        struct seccomp_data data = {.nr = SYS_read, .arch = arches[i]};
        if (arches[i] != seccomp_arch_native())
            assert_int_equal(run_filter(&data), SECCOMP_RET_USER_NOTIF);
    }
#if defined(__x86_64__)
    assert_int_equal(answer(0x40000000 | SYS_read, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(answer(0x40000000 | SYS_clone, 0, 0), SECCOMP_RET_USER_NOTIF);
#endif
}

/* The value with nothing, something and everything above its 32 bits. */
static void expect_masked(int nr, unsigned arg, uint32_t value, uint32_t want)
{
    assert_int_equal(answer(nr, arg, value), want);
    assert_int_equal(answer(nr, arg, 1ULL << 32 | value), want);
    assert_int_equal(answer(nr, arg, 0xffffffffULL << 32 | value), want);
}

static void test_namespaces(void **state)
{
    (void)state;
    static const uint32_t flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                     CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    static const int calls[] = {SYS_clone, SYS_unshare};
    add_rule(SYS_clone, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_unshare, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_setns, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_clone3, SECCOMP_ANSWER_ALLOW);
    compile();
    for (size_t i = 0; i < array_len(calls); i++) {
        for (size_t j = 0; j < array_len(flags); j++) {
            expect_masked(calls[i], 0, flags[j], SECCOMP_RET_USER_NOTIF);
            expect_masked(calls[i], 0, flags[j] | CLONE_VM | 17, SECCOMP_RET_USER_NOTIF);
        }
        expect_masked(calls[i], 0, CLONE_VM | CLONE_FILES | 17, SECCOMP_RET_ALLOW);
    }
    expect_masked(SYS_unshare, 0, CLONE_NEWTIME, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_setns, 1, 0, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_setns, 1, CLONE_NEWNET, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_clone3, 0, 0, ANSWER_ENOSYS);
}

static uint32_t answer_socket(uint64_t family, uint64_t type, uint64_t protocol)
{
    struct seccomp_data data = {.nr = SYS_socket, .arch = seccomp_arch_native()};
    data.args[0] = family;
    data.args[1] = type;
    data.args[2] = protocol;
    return run_filter(&data);
}

static void test_arguments(void **state)
{
    (void)state;
    static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    static const uint32_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    add_rule(SYS_ioctl, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_personality, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_socket, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_socketpair, SECCOMP_ANSWER_ALLOW);
    compile();
    expect_masked(SYS_ioctl, 1, TIOCSTI, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_ioctl, 1, TIOCLINUX, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_ioctl, 1, TCGETS, SECCOMP_RET_ALLOW);
    expect_masked(SYS_ioctl, 0, TIOCSTI, SECCOMP_RET_ALLOW); /* another argument */
    for (size_t i = 0; i < array_len(families); i++) {
        bool is_unix = families[i] == AF_UNIX;
        assert_int_equal(answer_socket(families[i], SOCK_STREAM, 0), SECCOMP_RET_ALLOW);
        assert_int_equal(answer_socket(families[i] | 1ULL << 32, SOCK_STREAM, 0),
                         SECCOMP_RET_ALLOW);
        expect_masked(SYS_socketpair, 0, families[i],
                      is_unix ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF);
    }
    for (uint32_t family = 17; family < 64; family++)
        expect_masked(SYS_socket, 0, family, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_socket, 0, 0, SECCOMP_RET_USER_NOTIF);
    for (size_t i = 0; i < array_len(personalities); i++)
        expect_masked(SYS_personality, 0, personalities[i], SECCOMP_RET_ALLOW);
    expect_masked(SYS_personality, 0, 0x0040000, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_personality, 0, 0x0400000, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_read, 0, 1, SECCOMP_RET_ALLOW);
}

static uint32_t answer2(int nr, unsigned i, uint64_t first, unsigned k, uint64_t second)
{
    struct seccomp_data data = {.nr = nr, .arch = seccomp_arch_native()};
    data.args[i] = first;
    data.args[k] = second;
    return run_filter(&data);
}

/* Rules that look at one argument where another one has a certain value. */
/* A type means a protocol where none is named: DCCP, SCTP, packets. Flags beside it hide nothing.
 */
static void test_socket_types(void **state)
{
    (void)state;
    static const uint64_t beside[] = {
        0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK, 0x10, 1ULL << 32};
    add_rule(SYS_socket, SECCOMP_ANSWER_ALLOW);
    compile();
    for (uint64_t type = 0; type < 16; type++) {
        bool ordinary = type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_RAW;
        uint32_t want = ordinary ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
        for (size_t i = 0; i < array_len(beside); i++) {
            uint64_t both = type | beside[i];
            assert_int_equal(answer_socket(AF_INET, both, 0), want);
            assert_int_equal(answer_socket(AF_INET6, both, 0), want);
            assert_int_equal(answer_socket(AF_INET, both, 132), SECCOMP_RET_USER_NOTIF);
            assert_int_equal(answer_socket(AF_UNIX, both, 0), SECCOMP_RET_ALLOW);
            assert_int_equal(answer_socket(AF_NETLINK, both, 0), SECCOMP_RET_ALLOW);
        }
        const struct refused_call call = {.nr = SYS_socket, .args = {AF_INET, (uint32_t)type, 0}};
        assert_int_equal(profile_always_refused(&call, false) == NULL, ordinary);
    }
}

static void test_two_arguments(void **state)
{
    (void)state;
    static const struct {
        uint64_t family, protocol;
        uint32_t want;
    } cases[] = {
        {AF_NETLINK, 0, SECCOMP_RET_ALLOW},
        {AF_NETLINK, 1ULL << 32, SECCOMP_RET_ALLOW},
        {AF_NETLINK, 9, SECCOMP_RET_USER_NOTIF},
        {AF_NETLINK | 1ULL << 32, 12, SECCOMP_RET_USER_NOTIF},
        {AF_NETLINK, 12 | 1ULL << 40, SECCOMP_RET_USER_NOTIF},
        {AF_UNIX, 9, SECCOMP_RET_ALLOW},
        {AF_INET, 0, SECCOMP_RET_ALLOW},
        {AF_INET, 6, SECCOMP_RET_ALLOW},
        {AF_INET, 17, SECCOMP_RET_ALLOW},
        {AF_INET6, 58, SECCOMP_RET_ALLOW},
        {AF_INET, 132, SECCOMP_RET_USER_NOTIF},
        {AF_INET6, 132, SECCOMP_RET_USER_NOTIF},
        {AF_INET6, 33, SECCOMP_RET_USER_NOTIF},
        {AF_INET, 256, SECCOMP_RET_USER_NOTIF},
        {AF_INET, 262, SECCOMP_RET_ERRNO | EPROTONOSUPPORT},
        {AF_INET6, 262, SECCOMP_RET_ERRNO | EPROTONOSUPPORT},
        {AF_UNIX, 262, SECCOMP_RET_ALLOW},
    };
    add_rule(SYS_socket, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_setsockopt, SECCOMP_ANSWER_ALLOW);
    compile();
    for (size_t i = 0; i < array_len(cases); i++)
        assert_int_equal(answer_socket(cases[i].family, SOCK_STREAM, cases[i].protocol),
                         cases[i].want);
    assert_int_equal(answer2(SYS_setsockopt, 1, 6, 2, 31), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(answer2(SYS_setsockopt, 1, 1, 2, 31), SECCOMP_RET_ALLOW);
    assert_int_equal(answer2(SYS_setsockopt, 1, 6, 2, 1), SECCOMP_RET_ALLOW);
}

static void test_more_arguments(void **state)
{
    (void)state;
    static const struct {
        int nr;
        unsigned arg;
        uint32_t refused, allowed;
    } cases[] = {
        {SYS_ioctl, 1, 0x5423, 0x5424},
        {SYS_fcntl, 1, 1024, 1025},
        {SYS_fcntl, 1, 1040, 1039},
        {SYS_prctl, 0, 35, 36},
        {SYS_prctl, 0, 59, 15},
        {SYS_prctl, 0, 62, 1},
        {SYS_prctl, 0, 67, 38},
        {SYS_madvise, 2, 12, 13},
        {SYS_seccomp, 1, 8, 1},
        {SYS_mmap, 3, 0x40022, 0x22},
        {SYS_memfd_create, 1, 4, 3},
        {SYS_shmget, 2, 04000, 01777},
        {SYS_ioctl, 1, 0x800c6613, 0x80086601},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        bool added = false;
        for (size_t k = 0; k < i; k++)
            added |= cases[k].nr == cases[i].nr;
        if (!added)
            add_rule(cases[i].nr, SECCOMP_ANSWER_ALLOW);
    }
    compile();
    for (size_t i = 0; i < array_len(cases); i++) {
        expect_masked(cases[i].nr, cases[i].arg, cases[i].refused, SECCOMP_RET_USER_NOTIF);
        expect_masked(cases[i].nr, cases[i].arg, cases[i].allowed, SECCOMP_RET_ALLOW);
    }
}

/* An argument rule never opens what the profile closes. */
static void test_denied_with_arguments(void **state)
{
    (void)state;
    add_rule(SYS_ioctl, SECCOMP_ANSWER_DENY);
    add_rule(SYS_clone, SECCOMP_ANSWER_KILL);
    compile();
    expect_masked(SYS_ioctl, 1, TCGETS, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_clone, 0, 17, SECCOMP_RET_USER_NOTIF);
    expect_masked(SYS_socket, 0, AF_UNIX, ANSWER_ENOSYS);
}

/* So many changes that jumps are longer than an instruction of BPF can hold. */
static void test_long_programs(void **state)
{
    (void)state;
    enum { CALLS = 1500 };
    static struct seccomp_rule many[CALLS];
    size_t n = 0;
    for (int nr = 0; nr < CALLS; nr++) {
        bool needed = nr == SYS_execve || nr == SYS_exit_group;
        if (nr % 3 == 2 && !needed)
            continue;
        many[n++] = (struct seccomp_rule){
            nr, nr % 3 == 0 || needed ? SECCOMP_ANSWER_ALLOW : SECCOMP_ANSWER_DENY, "x.ini", 1};
    }
    spec = (struct seccomp_spec){.name = (char *)"long", .rules = many, .n_rules = n};
    struct err err;
    assert_int_equal(profile_compile(&spec, &filter, &filter_len, &err), 0);
    assert_in_range(filter_len, 2500, BPF_MAXINSNS);
    for (int nr = 0; nr < CALLS + 100; nr++) {
        const struct seccomp_rule *rule = profile_find_rule(&spec, nr);
        uint32_t want = rule == NULL || nr == SYS_clone3       ? ANSWER_ENOSYS
                        : rule->answer == SECCOMP_ANSWER_ALLOW ? SECCOMP_RET_ALLOW
                                                               : SECCOMP_RET_USER_NOTIF;
        /* 0 in all arguments: some that are looked at are refused then. */
        if (nr == SYS_setns || nr == SYS_socket || nr == SYS_socketpair)
            continue;
        assert_int_equal(answer(nr, 0, 0), want);
    }
}

/* In a child whose listener is gone: the number of the first call that was made after all. */
static int call_without_listener(void)
{
    const struct sock_fprog program = {.len = filter_len, .filter = filter};
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 100;
    long listener =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0 || syscall(SYS_close, listener) != 0)
        return 101;
    if (syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != ENOSYS)
        return 1;
    if (syscall(SYS_personality, 0x40000) != -1 || errno != ENOSYS)
        return 2;
    if (syscall(SYS_personality, 0xffffffff) != 0)
        return 3;
#if defined(__x86_64__)
    if (syscall(0x40000000 | SYS_getpid) != -1 || errno != ENOSYS)
        return 4;
#endif
    return 0;
}

/* Values that rules look for, those beside them, flags among others, and anything. */
static uint32_t some_value(uint64_t *state)
{
    static const uint32_t telling[] = {AF_UNIX,
                                       AF_INET,
                                       AF_INET6,
                                       AF_NETLINK,
                                       SOCK_DGRAM,
                                       SOCK_RAW,
                                       SOCK_SEQPACKET,
                                       6,
                                       10,
                                       12,
                                       17,
                                       31,
                                       67,
                                       132,
                                       262,
                                       1024,
                                       TIOCSTI,
                                       TIOCLINUX,
                                       TIOCSETD,
                                       0x40000,
                                       0x20000,
                                       0xffffffff,
                                       0x80000000,
                                       0x10000000,
                                       0x800c6613,
                                       0x40086602,
                                       0x401c5820,
                                       SOCK_CLOEXEC,
                                       SOCK_NONBLOCK};
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    uint32_t random = (uint32_t)(*state >> 33);
    uint32_t value = telling[random % array_len(telling)];
    switch (random >> 8 & 7) {
    case 0:
        return 0;
    case 1:
        return value + 1;
    case 2:
        return value | 1U << (random >> 12 & 31);
    case 3:
        return random >> 12 & 15;
    case 4:
        return (uint32_t)(*state >> 16);
    default:
        return value;
    }
}

/*
 * What the program answers, and what is said of a call that was notified, come from one table in
 * two ways; the second one only knows what is kept of the arguments.
 */
static void test_explanations(void **state)
{
    (void)state;
    enum { CALLS = 600, TRIES = 2000 };
    static struct seccomp_rule many[CALLS];
    uint64_t seed = 1;
    size_t n_refused = 0;
    for (int nr = 0; nr < CALLS; nr++)
        many[nr] = (struct seccomp_rule){nr, SECCOMP_ANSWER_ALLOW, "x.ini", 1};
    spec = (struct seccomp_spec){.name = (char *)"all", .rules = many, .n_rules = CALLS};
    struct err err;
    assert_int_equal(profile_compile(&spec, &filter, &filter_len, &err), 0);
    for (int nr = 0; nr < CALLS; nr++) {
        for (int i = 0; i < (profile_args_matter(nr) ? TRIES : 2); i++) {
            struct seccomp_data data = {.nr = nr, .arch = seccomp_arch_native()};
            for (size_t k = 0; k < CALL_ARGS; k++)
                data.args[k] = (uint64_t)some_value(&seed) << 32 | some_value(&seed);
            struct refused_call call = {.nr = nr};
            uint64_t args[CALL_ARGS];
            memcpy(args, data.args, sizeof args);
            syscall_args_keep(&call, args);
            uint32_t got = run_filter(&data);
            const char *why = profile_always_refused(&call, false);
            n_refused += got == SECCOMP_RET_USER_NOTIF;
            if (got == SECCOMP_RET_USER_NOTIF)
                assert_non_null(why);
            else if (got == SECCOMP_RET_ALLOW)
                assert_null(why);
            else
                assert_true(nr == SYS_clone3 || nr == SYS_socket);
        }
    }
    assert_in_range(n_refused, 10000, SIZE_MAX);
}

/* Nobody has to answer for a call to be refused. */
static void test_without_listener(void **state)
{
    (void)state;
    add_rule(SYS_close, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_personality, SECCOMP_ANSWER_ALLOW);
    add_rule(SYS_ptrace, SECCOMP_ANSWER_DENY);
    compile();
    pid_t pid = fork();
    /* Past a sanitizer's runtime, which makes calls of its own at the end. */
    if (pid == 0)
        (void)syscall(SYS_exit_group, call_without_listener());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Around the numbers of x32, and of nothing at all. */
static void test_odd_numbers(void **state)
{
    (void)state;
    compile();
#if defined(__x86_64__)
    assert_int_equal(answer(0x3fffffff, 0, 0), ANSWER_ENOSYS);
    assert_int_equal(answer(0x40000000, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(answer(0x7fffffff, 0, 0), SECCOMP_RET_USER_NOTIF);
#endif
    assert_int_equal(answer(INT32_MIN, 0, 0), ANSWER_ENOSYS);
    assert_int_equal(answer(INT32_MIN + SYS_read, 0, 0), ANSWER_ENOSYS);
    assert_int_equal(answer(-1, 0, 0), ANSWER_ENOSYS);
}

/* Where Landlock doesn't keep abstract unix sockets apart. */
static void test_unix_sockets(void **state)
{
    (void)state;
    static const struct {
        int nr;
        uint32_t args[2];
        bool refused;
    } calls[] = {
        {SYS_socket, {AF_UNIX, SOCK_STREAM}, true},
        {SYS_socket, {AF_INET, SOCK_STREAM}, false},
        {SYS_socketpair, {AF_UNIX, SOCK_STREAM}, false},
        {SYS_socketpair, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC}, false},
        {SYS_socketpair, {AF_UNIX, SOCK_DGRAM}, true},
        {SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC}, true},
        {SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK}, true},
        {SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC}, true},
        {SYS_socketpair, {AF_UNIX, SOCK_RAW}, true},
        {SYS_socketpair, {AF_UNIX, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC}, true},
    };
    const struct seccomp_data nscd = {
        .nr = SYS_socket,
        .arch = seccomp_arch_native(),
        .args = {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK}};
    filter = calloc(PROFILE_ARGS_MAX, sizeof *filter);
    assert_non_null(filter);
    for (int refuses = 0; refuses < 2; refuses++) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            struct seccomp_data data = {.nr = calls[i].nr,
                                        .arch = seccomp_arch_native(),
                                        .args = {calls[i].args[0], calls[i].args[1]}};
            struct refused_call call = {.nr = calls[i].nr,
                                        .args = {calls[i].args[0], calls[i].args[1]}};
            bool want = refuses && calls[i].refused;
            filter_len = (unsigned short)profile_args_emit(filter, calls[i].nr, refuses);
            assert_int_equal(run_filter(&data), want ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
            assert_int_equal(profile_always_refused(&call, refuses) != NULL, want);
        }
    }
    /* What every lookup of a name begins with is refused without a word. */
    filter_len = (unsigned short)profile_args_emit(filter, SYS_socket, true);
    assert_int_equal(run_filter(&nscd), SECCOMP_RET_ERRNO | EPERM);
    filter_len = (unsigned short)profile_args_emit(filter, SYS_socket, false);
    assert_int_equal(run_filter(&nscd), SECCOMP_RET_ALLOW);
    assert_false(profile_refuses_unix(&spec));
    spec.unix_apart = true;
    assert_int_equal(profile_refuses_unix(&spec), landlock_abi() < LANDLOCK_ABI_SCOPED);
}

static void expect_refused(const char *text)
{
    struct err err;
    assert_int_equal(profile_compile(&spec, &filter, &filter_len, &err), -1);
    assert_null(filter);
    assert_non_null(strstr(err.text, text));
}

static void test_refusals(void **state)
{
    (void)state;
    add_rule(SYS_read, SECCOMP_ANSWER_DENY); /* twice */
    qsort(rules, spec.n_rules, sizeof *rules, compare_rules);
    expect_refused("not in order");
    setup(NULL);
    add_rule(-5, SECCOMP_ANSWER_ALLOW);
    qsort(rules, spec.n_rules, sizeof *rules, compare_rules);
    expect_refused("not in order");
    setup(NULL);
    qsort(rules, spec.n_rules, sizeof *rules, compare_rules);
    rules[1].answer = SECCOMP_ANSWER_DENY;
    expect_refused("must allow execve and exit_group");
    spec.n_rules = 0;
    expect_refused("must allow execve and exit_group");
}

static void test_names(void **state)
{
    (void)state;
    char buf[32];
    assert_int_equal(syscall_number("read"), SYS_read);
    assert_int_equal(syscall_number("no_such_call"), SYSCALL_UNKNOWN);
    assert_int_equal(syscall_number(""), SYSCALL_UNKNOWN);
#if defined(__x86_64__)
    assert_int_equal(syscall_number("breakpoint"), SYSCALL_FOREIGN); /* of arm */
#endif
    assert_string_equal(syscall_name(SYS_unshare, buf, sizeof buf), "unshare");
    assert_string_equal(syscall_name(4000, buf, sizeof buf), "#4000");
    assert_string_equal(syscall_name(-1, buf, sizeof buf), "#-1");
    assert_string_equal(syscall_name(SYS_unshare, buf, 4), "uns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unix_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_namespaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denied_with_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_programs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_explanations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
