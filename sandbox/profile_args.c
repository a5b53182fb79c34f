#include "profile_args.h"

#include "cleanup.h"
#include "landlock.h"
#include "profile.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf_common.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Of an argument the kernel takes 32 bits, and so do these: a set bit above them hides nothing. */
enum arg_test {
    REFUSE_BITS,   /* refused if any bit of values[0] is set */
    REFUSE_VALUES, /* refused if it is one of values */
    ONLY_VALUES,   /* refused unless it is one of values */
};

enum { ARG_VALUES_MAX = 7, WHEN_MAX = 2 };

/* From linux/prctl.h and linux/fcntl.h of newer kernels, and from linux/in.h, which doesn't go with
 * netinet/in.h. */
enum { POSTERN_PR_SET_MEMORY_MERGE = 67, POSTERN_IPPROTO_MPTCP = 262, POSTERN_F_SETDELEG = 1040 };

/* A socket's type without its flags: SOCK_TYPE_MASK of linux/net.h, which isn't for programs. */
enum { TYPE_MASK = 0xf };

struct arg_rule {
    int nr;
    unsigned arg;
    enum arg_test test;
    unsigned n;
    uint32_t values[ARG_VALUES_MAX];
    uint32_t mask;           /* the bits that are compared; 0: all */
    uint32_t when[WHEN_MAX]; /* only if args[when_arg] is one of these */
    unsigned when_arg;
    unsigned n_when;    /* 0: whatever the other arguments are */
    bool if_unix_leaks; /* only if profile_refuses_unix() */
    int quiet;          /* errno, where there is no `why` and no note */
    const char *why;    /* for whoever made the call */
};

#define NEW_NAMESPACES                                                                             \
    ((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |      \
                CLONE_NEWPID | CLONE_NEWNET))

static const char new_namespace[] = "in a namespace of its own it would have more rights";
static const char rare_family[] = "only unix, inet, inet6 and netlink sockets stay in the sandbox";
static const char rare_protocol[] = "it would load a rare protocol into the host's kernel";
static const char rare_type[] = "of internet sockets, only stream, datagram and raw ones stay";
static const char unix_leaks[] =
    "abstract sockets of the host could be reached, which Landlock prevents from Linux 6.12 on";
static const char huge_pages[] = "memory limits don't count the host's huge pages";
static const char shared_pages[] = "merged pages tell what others have in memory";

static const struct arg_rule arg_rules[] = {
    /* CLONE_NEWTIME is left out of clone: there its bit belongs to the exit signal. */
    {SYS_clone, 0, REFUSE_BITS, 1, {NEW_NAMESPACES}, .why = new_namespace},
    {SYS_unshare, 0, REFUSE_BITS, 1, {NEW_NAMESPACES | CLONE_NEWTIME}, .why = new_namespace},
    /* setns(2) takes 0 for "any kind", so no argument is harmless. */
    {SYS_setns, 1, ONLY_VALUES, 0, {0}, .why = "other namespaces are not the sandbox's"},

    {SYS_ioctl, 1, REFUSE_VALUES, 2, {TIOCSTI, TIOCLINUX}, .why = "it types for others"},
    /* N_GSM, N_HDLC and their like are modules that anybody's terminal makes the kernel load. */
    {SYS_ioctl, 1, REFUSE_VALUES, 1, {TIOCSETD}, .why = "it would load a rare line discipline"},
    {SYS_ioctl,
     1,
     REFUSE_VALUES,
     2,
     {FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS},
     .why = "it would leave the quota of the workspace"}, /* quota.h */
    {SYS_ioctl,
     1,
     REFUSE_VALUES,
     2,
     {FS_IOC_SET_ENCRYPTION_POLICY, FS_IOC_ADD_ENCRYPTION_KEY},
     .why = "keys are kept in the host's kernel"},
    /* A lease on a kept file, or a delegation of it or of a directory (newer kernels), keeps
     * whoever opens it on the host waiting, for 45 seconds. */
    {SYS_fcntl,
     1,
     REFUSE_VALUES,
     2,
     {F_SETLEASE, POSTERN_F_SETDELEG},
     .why = "whoever else opens the file would have to wait"},

    /* PER_LINUX, PER_LINUX32, both with UNAME26, and the query. What weakens the layout of memory
     * (ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC …) helps nobody but who attacks the program. */
    {SYS_personality,
     0,
     ONLY_VALUES,
     5,
     {0, 0x8, 0x20000, 0x20008, 0xffffffff},
     .why = "it weakens the layout of memory"},
    {SYS_prctl, 0, REFUSE_VALUES, 1, {PR_SET_MM}, .why = "a process would show what it isn't"},
    {SYS_prctl,
     0,
     REFUSE_VALUES,
     1,
     {PR_SET_SYSCALL_USER_DISPATCH},
     .why = "system calls would be caught before the filter sees them"},
    /* A core of one's own leaves its sibling idle, which others of the host pay for. */
    {SYS_prctl, 0, REFUSE_VALUES, 1, {PR_SCHED_CORE}, .why = "it keeps others from the processor"},
    {SYS_prctl, 0, REFUSE_VALUES, 1, {POSTERN_PR_SET_MEMORY_MERGE}, .why = shared_pages},
    {SYS_madvise, 2, REFUSE_VALUES, 1, {MADV_MERGEABLE}, .why = shared_pages},
    /* The kernel allows no second listener below ours, which could let calls go on; so do we. */
    {SYS_seccomp,
     1,
     REFUSE_BITS,
     1,
     {SECCOMP_FILTER_FLAG_NEW_LISTENER},
     .why = "a listener could allow what the sandbox refuses"},

    /* They come from a pool of the host that no limit of memory counts. */
    {SYS_mmap, 3, REFUSE_BITS, 1, {MAP_HUGETLB}, .why = huge_pages},
    {SYS_memfd_create, 1, REFUSE_BITS, 1, {MFD_HUGETLB}, .why = huge_pages},
    {SYS_shmget, 2, REFUSE_BITS, 1, {SHM_HUGETLB}, .why = huge_pages},

    /* AF_VSOCK, AF_ALG and others reach beyond a network namespace or deep into the kernel. */
    {SYS_socket, 0, ONLY_VALUES, 4, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}, .why = rare_family},
    {SYS_socketpair, 0, ONLY_VALUES, 1, {AF_UNIX}, .why = "pairs are of unix sockets"},
    /* libc looks for nscd(8) in just this way before each name that it looks up. */
    {SYS_socket,
     1,
     REFUSE_VALUES,
     1,
     {SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK},
     .if_unix_leaks = true,
     .when_arg = 0,
     .n_when = 1,
     .when = {AF_UNIX},
     .quiet = EPERM},
    {SYS_socket, 0, REFUSE_VALUES, 1, {AF_UNIX}, .why = unix_leaks, .if_unix_leaks = true},
    /* Of a pair, datagram sockets may send elsewhere, and be connected anew; a raw one is another
     * word for such a one. */
    {SYS_socketpair,
     1,
     REFUSE_VALUES,
     2,
     {SOCK_DGRAM, SOCK_RAW},
     .mask = TYPE_MASK,
     .why = unix_leaks,
     .if_unix_leaks = true},
    /* NETLINK_ROUTE serves getifaddrs(3). The others are the host's firewall, audit, devices … */
    {SYS_socket,
     2,
     ONLY_VALUES,
     1,
     {NETLINK_ROUTE},
     .why = "of netlink, only NETLINK_ROUTE stays in the sandbox",
     .when_arg = 0,
     .n_when = 1,
     .when = {AF_NETLINK}},
    /* Go listens by MPTCP first and takes TCP where the kernel hasn't any. */
    {SYS_socket,
     2,
     REFUSE_VALUES,
     1,
     {POSTERN_IPPROTO_MPTCP},
     .when_arg = 0,
     .n_when = 2,
     .when = {AF_INET, AF_INET6},
     .quiet = EPROTONOSUPPORT},
    /* SCTP, DCCP, SMC, L2TP … are modules that anybody's socket makes the kernel load. Raw ones
     * need a capability; ping(8) has sockets of its own. */
    {SYS_socket,
     2,
     ONLY_VALUES,
     6,
     {IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_RAW},
     .why = rare_protocol,
     .when_arg = 0,
     .n_when = 2,
     .when = {AF_INET, AF_INET6}},
    /* With protocol 0 the type alone makes the kernel load DCCP, or take SCTP if it is there; the
     * packet sockets of Linux 2.0 are AF_INET's, too. */
    {SYS_socket,
     1,
     ONLY_VALUES,
     3,
     {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW},
     .mask = TYPE_MASK,
     .why = rare_type,
     .when_arg = 0,
     .n_when = 2,
     .when = {AF_INET, AF_INET6}},
    /* As for kernel TLS and others, by name. */
    {SYS_setsockopt,
     2,
     REFUSE_VALUES,
     1,
     {TCP_ULP},
     .why = rare_protocol,
     .when_arg = 1,
     .n_when = 1,
     .when = {IPPROTO_TCP}},
};

/* Each rule: two loads, a mask, comparisons and a refusal; each call: a return. */
_Static_assert(array_len(arg_rules) * (3 + WHEN_MAX + ARG_VALUES_MAX + 2) <= PROFILE_ARGS_MAX,
               "there is room for all of them");

static uint32_t mask_of(const struct arg_rule *rule)
{
    return rule->mask != 0 ? rule->mask : UINT32_MAX;
}

static bool holds(const struct arg_rule *rule, const uint32_t *args)
{
    bool applies = rule->n_when == 0, listed = false;
    for (size_t i = 0; i < rule->n_when; i++)
        applies |= args[rule->when_arg] == rule->when[i];
    if (!applies)
        return false;
    if (rule->test == REFUSE_BITS)
        return (args[rule->arg] & rule->values[0]) != 0;
    const uint32_t value = args[rule->arg] & mask_of(rule);
    for (size_t i = 0; i < rule->n; i++)
        listed |= value == rule->values[i];
    return listed == (rule->test == REFUSE_VALUES);
}

bool profile_refuses_unix(const struct seccomp_spec *spec)
{
    return spec->unix_apart && landlock_abi() < LANDLOCK_ABI_SCOPED;
}

static bool is_in_force(const struct arg_rule *rule, int nr, bool refuses_unix)
{
    return rule->nr == nr && (refuses_unix || !rule->if_unix_leaks);
}

const char *profile_always_refused(const struct refused_call *call, bool refuses_unix)
{
    for (size_t i = 0; i < array_len(arg_rules); i++) {
        const struct arg_rule *rule = &arg_rules[i];
        if (is_in_force(rule, call->nr, refuses_unix) && rule->why != NULL &&
            holds(rule, call->args))
            return rule->why;
    }
    return NULL;
}

#define JUMP(op, value, yes, no)                                                                   \
    ((struct sock_filter)BPF_JUMP(BPF_JMP | (op) | BPF_K, (uint32_t)(value), (uint8_t)(yes),       \
                                  (uint8_t)(no)))
#define LOAD(at)     ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at)))
#define RETURN(what) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (what)))

/* The half of an argument that the kernel looks at. */
static struct sock_filter load_arg(unsigned arg)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    enum { LOW_HALF = 0 };
#else
    enum { LOW_HALF = 4 };
#endif
    return LOAD(offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) + LOW_HALF);
}

/* One comparison after the other; a hit goes on behind them, and past `skip` more. */
static size_t emit_any_of(struct sock_filter *at, const uint32_t *values, size_t n, size_t skip,
                          size_t otherwise)
{
    for (size_t i = 0; i < n; i++)
        at[i] = JUMP(BPF_JEQ, values[i], n - 1 - i + skip, i == n - 1 ? otherwise : 0);
    return n;
}

/* Refuses, or goes on behind its last instruction. */
static size_t emit_rule(struct sock_filter *out, const struct arg_rule *rule)
{
    const struct sock_filter refuse =
        RETURN(rule->why != NULL ? (uint32_t)SECCOMP_RET_USER_NOTIF
                                 : (uint32_t)SECCOMP_RET_ERRNO | (uint32_t)rule->quiet);
    size_t compares = rule->test == REFUSE_BITS ? 1 : rule->n;
    size_t loads = rule->mask != 0 ? 2 : 1;
    size_t n = 0;
    if (rule->n_when > 0) {
        out[n++] = load_arg(rule->when_arg);
        n += emit_any_of(out + n, rule->when, rule->n_when, 0, loads + compares + 1);
    }
    out[n++] = load_arg(rule->arg);
    if (rule->mask != 0)
        out[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask);
    if (rule->test == REFUSE_BITS)
        out[n++] = JUMP(BPF_JSET, rule->values[0], 0, 1);
    else if (rule->test == REFUSE_VALUES)
        n += emit_any_of(out + n, rule->values, rule->n, 0, 1);
    else
        n += emit_any_of(out + n, rule->values, rule->n, 1, 0);
    out[n++] = refuse;
    return n;
}

bool profile_args_matter(int nr)
{
    for (size_t i = 0; i < array_len(arg_rules); i++) {
        if (arg_rules[i].nr == nr)
            return true;
    }
    return false;
}

size_t profile_args_emit(struct sock_filter *out, int nr, bool refuses_unix)
{
    size_t n = 0;
    for (size_t i = 0; i < array_len(arg_rules); i++) {
        if (is_in_force(&arg_rules[i], nr, refuses_unix))
            n += emit_rule(out + n, &arg_rules[i]);
    }
    out[n++] = RETURN(SECCOMP_RET_ALLOW);
    return n;
}
