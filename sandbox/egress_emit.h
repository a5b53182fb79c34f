/*
 * egress_emit.h - what the programs of egress_program.c have in common: registers and stack, the
 * search through the rules, and telling of a refusal. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_EGRESS_EMIT_H
#define POSTERN_SANDBOX_EGRESS_EMIT_H

#include "bpf_asm.h"
#include "egress.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>

/* What a register holds once a program has begun. r0 to r5 don't outlive a call. */
enum {
    R_ADDR = BPF_REG_2, /* and the next three for IPv6: the address, in the network's byte order */
    R_WORK = BPF_REG_0,
    R_CTX = BPF_REG_6,
    R_PROTO = BPF_REG_7, /* enum egress_protocol */
    R_PORT = BPF_REG_8,  /* in the host's byte order */
    R_OWN = BPF_REG_9,   /* 1: it is an address of this host */
    R_FP = BPF_REG_10,
};

/* The stack, from the frame pointer down. */
enum {
    EVENT = -(int)sizeof(struct egress_event),
    HEADER = EVENT - 40,
    PORTS = HEADER - 8,
    COUNT = PORTS - 8,
    IPV4_HEADER = sizeof(struct iphdr),
    IPV6_HEADER = sizeof(struct ip6_hdr),
    LOOPBACK_IFINDEX = 1, /* of every network namespace */
};
_Static_assert(sizeof(struct egress_event) == 40, "it has no padding");
_Static_assert((int)IPV6_HEADER <= EVENT - HEADER, "the longer header fits");

#define EVENT_AT(member) (EVENT + (int)offsetof(struct egress_event, member))
#define EVENT_WORD(i)    (EVENT_AT(addr) + 4 * (i))

/* What a program is made of and for. */
struct gen {
    struct bpf_asm *a;
    const struct egress_rule *rules;
    size_t n;
    const struct egress_maps *maps;
    unsigned allow, deny; /* labels */
};

/*
 * As egress_match(): on to `allow` or `deny`. The protocol, the port, whether the address is this
 * host's own, and the address are in their registers: of IPv4 its one word, else all four.
 */
void egress_emit_match_ipv4(const struct gen *gen);
void egress_emit_match_ipv6(const struct gen *gen);

/* Makes the event one of this kind, with nothing else in it. */
void egress_emit_event(const struct gen *gen, enum egress_kind kind);
/* Puts the IPv4 address in its register into it. */
void egress_emit_event_ipv4(const struct gen *gen);

/* Calls a helper with a map and a key on the stack. */
void egress_emit_map_call(struct bpf_asm *a, int map, int key, int helper);

/* Both ends of a program; what is refused is told, unless it tells nothing. */
void egress_emit_ends(const struct gen *gen, bool tells, bool has_packet);

#endif
