/* System calls that a tenant may make, but not with these arguments. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FAMILIES = 64, NETLINK_PROTOCOLS = 32, PROTOCOLS = 300, MPTCP = 262, SET_MEMORY_MERGE = 67 };
enum { SET_DELEGATION = 1040 }; /* F_SETDELEG of newer kernels */

static const uint64_t above[] = {0, 1ULL << 32, 0xffffffffULL << 32};

/* The kernel looks at 32 bits of most numbers: what is above them must not hide it. */
static bool cannot_say(const struct property *p, char *why)
{
    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        uint64_t value = above[i] | (uint64_t)p->args[1];
        uint64_t args[6] = {0};
        args[p->args[0]] = value;
        errno = 0;
        long rc = syscall(p->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
        if (rc != -1 || errno != EPERM)
            return probe_open(why, "0x%llx: returned %ld, errno %d", (unsigned long long)value, rc,
                              errno);
    }
    return true;
}

static bool is_socket_refused(char *why, int family, int type, int protocol)
{
    errno = 0;
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd >= 0)
        close(fd);
    if (fd < 0 && errno == EPERM)
        return true;
    return probe_open(why, "socket(%d, %d, %d): returned %d, errno %d", family, type, protocol, fd,
                      errno);
}

/* Not by chance, because the kernel hasn't got it. */
static bool refuses_family(const struct property *p, char *why)
{
    return is_socket_refused(why, (int)p->nr, (int)p->args[0], (int)p->args[1]);
}

static bool refuses_other_families(const struct property *p, char *why)
{
    (void)p;
    for (int family = 0; family < FAMILIES; family++) {
        bool ours =
            family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
        if (!ours && !is_socket_refused(why, family, SOCK_RAW, 0))
            return false;
    }
    return true;
}

static bool refuses_other_netlink(const struct property *p, char *why)
{
    (void)p;
    for (int protocol = 0; protocol < NETLINK_PROTOCOLS; protocol++)
        if (protocol != NETLINK_ROUTE && !is_socket_refused(why, AF_NETLINK, SOCK_RAW, protocol))
            return false;
    return true;
}

static bool refuses_other_protocols(const struct property *p, char *why)
{
    (void)p;
    static const int ours[] = {IPPROTO_IP,  IPPROTO_ICMP,   IPPROTO_TCP,
                               IPPROTO_UDP, IPPROTO_ICMPV6, IPPROTO_RAW};
    for (int protocol = 0; protocol < PROTOCOLS; protocol++) {
        bool skip = protocol == MPTCP;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            skip |= protocol == ours[i];
        if (!skip && (!is_socket_refused(why, AF_INET, SOCK_STREAM, protocol) ||
                      !is_socket_refused(why, AF_INET6, SOCK_SEQPACKET, protocol)))
            return false;
    }
    return true;
}

/* Programs that could do with it take TCP where the kernel has none. */
static bool has_no_mptcp(const struct property *p, char *why)
{
    (void)p;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, MPTCP);
    if (fd >= 0)
        close(fd);
    return (fd < 0 && errno == EPROTONOSUPPORT) || probe_open(why, "errno %d", errno);
}

/* Those that are good for something are there. */
static bool has_own_sockets(const struct property *p, char *why)
{
    (void)p;
    static const int kinds[][3] = {
        {AF_UNIX, SOCK_STREAM, 0},
        {AF_UNIX, SOCK_SEQPACKET, 0},
        {AF_INET, SOCK_STREAM, 0},
        {AF_INET6, SOCK_DGRAM, 0},
        {AF_INET, SOCK_STREAM, IPPROTO_TCP},
        {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
        {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int fd = socket(kinds[i][0], kinds[i][1] | SOCK_CLOEXEC, kinds[i][2]);
        /* A kernel may be without IPv6. */
        if (fd < 0 && errno != EAFNOSUPPORT)
            return probe_open(why, "kind %zu: errno %d", i, errno);
        if (fd >= 0)
            close(fd);
    }
    return true;
}

/* SAYS(name, text, call, which argument, value) */
#define SAYS(name, text, call, index, value)                                                       \
    PROPERTY(name, text, cannot_say, .nr = SYS_##call, .args = {index, (long)(value)})
#define FAMILY(name, text, family, type, protocol)                                                 \
    PROPERTY(name, text, refuses_family, .nr = (family), .args = {type, protocol})

static const struct property properties[] = {
    FAMILY("xdp-sockets", "no XDP sockets", AF_XDP, SOCK_RAW, 0),
    FAMILY("rds-sockets", "no RDS sockets", AF_RDS, SOCK_SEQPACKET, 0),
    FAMILY("tipc-sockets", "no TIPC sockets", AF_TIPC, SOCK_RDM, 0),
    FAMILY("can-sockets", "no CAN sockets", AF_CAN, SOCK_RAW, 1),
    FAMILY("kcm-sockets", "no KCM sockets", AF_KCM, SOCK_DGRAM, 0),
    FAMILY("smc-sockets", "no SMC sockets", AF_SMC, SOCK_STREAM, 0),
    FAMILY("nfc-sockets", "no NFC sockets", AF_NFC, SOCK_RAW, 1),
    FAMILY("llc-sockets", "no LLC sockets", AF_LLC, SOCK_STREAM, 0),
    FAMILY("ppp-sockets", "no PPP sockets", AF_PPPOX, SOCK_STREAM, 0),
    PROPERTY("rare-families", "no family but unix, inet, inet6 and netlink",
             refuses_other_families),
    FAMILY("netlink-audit", "no talking to the host's audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT),
    FAMILY("netlink-firewall", "nor to its firewall", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER),
    FAMILY("netlink-uevent", "no watching of the host's devices", AF_NETLINK, SOCK_DGRAM,
           NETLINK_KOBJECT_UEVENT),
    FAMILY("netlink-diag", "no listing of sockets", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG),
    PROPERTY("rare-netlink", "no netlink protocol but NETLINK_ROUTE", refuses_other_netlink),
    FAMILY("sctp", "no SCTP", AF_INET, SOCK_STREAM, IPPROTO_SCTP),
    FAMILY("dccp", "no DCCP", AF_INET6, SOCK_DCCP, IPPROTO_DCCP),
    FAMILY("dccp-type", "nor by its type alone", AF_INET, SOCK_DCCP, 0),
    FAMILY("sctp-type", "and so SCTP", AF_INET6, SOCK_SEQPACKET, 0),
    FAMILY("old-packets", "no packets of the network by the old type", AF_INET, SOCK_PACKET, 0),
    PROPERTY("mptcp", "MPTCP isn't there", has_no_mptcp),
    PROPERTY("rare-protocols", "no internet protocol but TCP, UDP and ICMP",
             refuses_other_protocols),
    PROPERTY("own-sockets", "the sockets that programs need can be made", has_own_sockets,
             .of_tests = true),
    PROPERTY("kernel-tls", "no kernel TLS", probe_is_refused, .nr = SYS_setsockopt,
             .args = {-1, IPPROTO_TCP, TCP_ULP, (long)"tls", 3}),
    SAYS("inet-pairs", "no pairs but of unix sockets", socketpair, 0, AF_INET),
    SAYS("ioctl-tiocsti", "no typing on behalf of others", ioctl, 1, TIOCSTI),
    SAYS("ioctl-tioclinux", "no pasting on consoles", ioctl, 1, TIOCLINUX),
    SAYS("ioctl-tiocsetd", "no other line disciplines", ioctl, 1, TIOCSETD),
    SAYS("ioctl-file-flags", "no file can leave a quota by its flags", ioctl, 1, FS_IOC_SETFLAGS),
    SAYS("ioctl-project", "nor by its project", ioctl, 1, FS_IOC_FSSETXATTR),
    SAYS("ioctl-encryption", "no policies of encryption", ioctl, 1, FS_IOC_SET_ENCRYPTION_POLICY),
    SAYS("ioctl-key", "no keys for file systems", ioctl, 1, FS_IOC_ADD_ENCRYPTION_KEY),
    SAYS("file-lease", "no leases that others would wait for", fcntl, 1, F_SETLEASE),
    SAYS("file-delegation", "nor delegations", fcntl, 1, SET_DELEGATION),
    SAYS("prctl-mm", "no process shows what it isn't", prctl, 0, PR_SET_MM),
    SAYS("prctl-dispatch", "no calls are caught before the filter", prctl, 0,
         PR_SET_SYSCALL_USER_DISPATCH),
    SAYS("prctl-core", "no processor can be kept from others", prctl, 0, PR_SCHED_CORE),
    SAYS("prctl-merge", "no pages are merged with those of others", prctl, 0, SET_MEMORY_MERGE),
    SAYS("madvise-merge", "nor by advice", madvise, 2, MADV_MERGEABLE),
    SAYS("huge-mmap", "no huge pages of the host's pool", mmap, 3,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB),
    SAYS("huge-memfd", "nor by memfd", memfd_create, 1, MFD_HUGETLB),
    SAYS("huge-shm", "nor by shared memory", shmget, 2, SHM_HUGETLB | IPC_CREAT | 0600),
    SAYS("seccomp-listener", "no listener that could allow what is refused", seccomp, 1,
         SECCOMP_FILTER_FLAG_NEW_LISTENER),
    SAYS("personality", "no weaker address space layout", personality, 0, 0x0040000),
    SAYS("personality-exec", "no memory that is executable unasked", personality, 0, 0x0400000),
};

struct property_list probe_arguments(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties,
                                  "kernel interfaces"};
}
