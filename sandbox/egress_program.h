/*
 * egress_program.h - the eBPF programs that keep an egress sandbox to its rules, generated from
 * them. Pure: nothing here asks the kernel. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_EGRESS_PROGRAM_H
#define POSTERN_SANDBOX_EGRESS_PROGRAM_H

#include "bpf_asm.h"
#include "egress.h"

/*
 * Where a cgroup's programs are asked, and what they say:
 *
 * socket    what there is to make: TCP and UDP over IPv4 and IPv6, nothing else
 * connect   TCP: may it be reached? UDP passes: resolvers connect just to learn their own address,
 *           and nothing is sent before one of the next two has been asked
 * sendmsg   UDP with an address: may it be reached?
 * bind      a port of one's own choice is refused: it is the host's
 * egress    the floor: may this packet go where it is going? What came past the others ends here,
 *           whatever made it, and what is neither TCP nor UDP without options, fragments or headers
 *           in between
 * ingress   nobody connects to us, and datagrams come from where they might be sent to
 *
 * X(enumerator, program type, attach type, name)
 */
#define EGRESS_HOOKS(X)                                                                            \
    X(EGRESS_SOCKET, BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, "socket")             \
    X(EGRESS_CONNECT4, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, "connect4")       \
    X(EGRESS_CONNECT6, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, "connect6")       \
    X(EGRESS_SENDMSG4, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, "sendmsg4")        \
    X(EGRESS_SENDMSG6, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, "sendmsg6")        \
    X(EGRESS_BIND4, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, "bind4")                \
    X(EGRESS_BIND6, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, "bind6")                \
    X(EGRESS_EGRESS, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, "egress")                   \
    X(EGRESS_INGRESS, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, "ingress")

enum egress_hook {
#define X(hook, type, attach, name) hook,
    EGRESS_HOOKS(X)
#undef X
        EGRESS_HOOK_COUNT
};

/* Different ones of one cgroup, in a program's count; whoever reads them has a stricter bound. */
enum { EGRESS_EVENTS_MAX = 64 };

/*
 * Assembles the program of one hook into `a`. maps: what it tells refusals with, and knows the
 * host's addresses from; NULL: it does neither. Returns 0, or -1 with err.
 */
int egress_assemble(struct bpf_asm *a, enum egress_hook hook, const struct egress_rule *rules,
                    size_t n, const struct egress_maps *maps, struct err *err);

#endif
