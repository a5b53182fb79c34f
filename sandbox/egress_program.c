#include "egress_program.h"

#include "egress_emit.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void emit_socket(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned datagram = bpf_asm_label(a);
    egress_emit_event(gen, EGRESS_REFUSED_SOCKET);
    bpf_asm_load(a, BPF_W, BPF_REG_2, R_CTX, offsetof(struct bpf_sock, type));
    bpf_asm_load(a, BPF_W, BPF_REG_3, R_CTX, offsetof(struct bpf_sock, protocol));
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(detail), BPF_REG_2);
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(protocol), BPF_REG_3);
    bpf_asm_jump_if(a, BPF_JEQ, BPF_REG_2, SOCK_DGRAM, datagram);
    bpf_asm_jump_if(a, BPF_JNE, BPF_REG_2, SOCK_STREAM, gen->deny);
    bpf_asm_jump_if(a, BPF_JNE, BPF_REG_3, IPPROTO_TCP, gen->deny);
    bpf_asm_jump(a, gen->allow);
    bpf_asm_here(a, datagram);
    bpf_asm_jump_if(a, BPF_JNE, BPF_REG_3, IPPROTO_UDP, gen->deny);
    bpf_asm_jump(a, gen->allow);
    egress_emit_ends(gen, true, false);
}

/* Into R_ADDR and on. */
static void emit_load_address(struct bpf_asm *a, bool ipv4)
{
    if (ipv4) {
        bpf_asm_load(a, BPF_W, R_ADDR, R_CTX, offsetof(struct bpf_sock_addr, user_ip4));
        return;
    }
    for (int i = 0; i < 4; i++)
        bpf_asm_load(a, BPF_W, R_ADDR + i, R_CTX,
                     (int)offsetof(struct bpf_sock_addr, user_ip6) + 4 * i);
}

static void emit_event_address(const struct gen *gen, bool ipv4)
{
    if (ipv4) {
        egress_emit_event_ipv4(gen);
        return;
    }
    for (int i = 0; i < 4; i++)
        bpf_asm_store(gen->a, BPF_W, R_FP, EVENT_WORD(i), R_ADDR + i);
}

/* The address and the port of a bpf_sock_addr into their registers and the event; the protocol into
 * the event, and into R_PROTO by its number. */
static void emit_address(const struct gen *gen, enum egress_kind kind, bool ipv4)
{
    struct bpf_asm *a = gen->a;
    egress_emit_event(gen, kind);
    bpf_asm_load(a, BPF_W, R_PROTO, R_CTX, offsetof(struct bpf_sock_addr, protocol));
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(protocol), R_PROTO);
    bpf_asm_load(a, BPF_W, R_PORT, R_CTX, offsetof(struct bpf_sock_addr, user_port));
    bpf_asm_from_network(a, R_PORT);
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(port), R_PORT);
    emit_load_address(a, ipv4);
    emit_event_address(gen, ipv4);
}

/* R_PROTO from the number in the packet to ours. */
static void emit_protocol(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned tcp = bpf_asm_label(a), known = bpf_asm_label(a);
    bpf_asm_jump_if(a, BPF_JEQ, R_PROTO, IPPROTO_TCP, tcp);
    bpf_asm_jump_if(a, BPF_JNE, R_PROTO, IPPROTO_UDP, gen->deny);
    bpf_asm_set(a, R_PROTO, EGRESS_UDP);
    bpf_asm_jump(a, known);
    bpf_asm_here(a, tcp);
    bpf_asm_set(a, R_PROTO, EGRESS_TCP);
    bpf_asm_here(a, known);
}

/* The packets would be dropped all the same, but only a refused connect(2) ends at once. */
static void emit_own(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned other = bpf_asm_label(a);
    bpf_asm_set(a, R_OWN, 0);
    if (gen->maps == NULL)
        return;
    egress_emit_map_call(a, gen->maps->own, EVENT_AT(addr), BPF_FUNC_map_lookup_elem);
    bpf_asm_jump_if_whole(a, BPF_JEQ, BPF_REG_0, 0, other);
    bpf_asm_set(a, R_OWN, 1);
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(detail), R_OWN);
    bpf_asm_here(a, other);
}

static void emit_reach(const struct gen *gen, enum egress_kind kind, bool ipv4)
{
    struct bpf_asm *a = gen->a;
    emit_address(gen, kind, ipv4);
    if (kind == EGRESS_REFUSED_CONNECT)
        bpf_asm_jump_if(a, BPF_JEQ, R_PROTO, IPPROTO_UDP, gen->allow);
    emit_protocol(gen);
    emit_own(gen);
    emit_load_address(a, ipv4);
    if (ipv4)
        egress_emit_match_ipv4(gen);
    else
        egress_emit_match_ipv6(gen);
    egress_emit_ends(gen, true, false);
}

static void emit_bind(const struct gen *gen, bool ipv4)
{
    emit_address(gen, EGRESS_REFUSED_BIND, ipv4);
    bpf_asm_jump_if(gen->a, BPF_JEQ, R_PORT, 0, gen->allow);
    bpf_asm_jump(gen->a, gen->deny);
    egress_emit_ends(gen, true, false);
}

/* Copies the packet's bytes from an offset, which is a number or in a register (-1: none), to the
 * stack. */
static void emit_copy(const struct gen *gen, int from, int plus, int to, int len)
{
    struct bpf_asm *a = gen->a;
    bpf_asm_move(a, BPF_REG_1, R_CTX);
    if (plus >= 0) {
        bpf_asm_move(a, BPF_REG_2, plus);
        bpf_asm_add(a, BPF_REG_2, from);
    } else {
        bpf_asm_set(a, BPF_REG_2, from);
    }
    bpf_asm_move(a, BPF_REG_3, R_FP);
    bpf_asm_add(a, BPF_REG_3, to);
    bpf_asm_set(a, BPF_REG_4, len);
    bpf_asm_call(a, BPF_FUNC_skb_load_bytes);
    bpf_asm_jump_if_whole(a, BPF_JNE, BPF_REG_0, 0, gen->deny);
}

/* On to `ipv6`, or to what follows if it is IPv4. R_OWN: it doesn't leave this host. */
static void emit_packet(const struct gen *gen, unsigned ipv6)
{
    struct bpf_asm *a = gen->a;
    bpf_asm_load(a, BPF_W, R_OWN, R_CTX, offsetof(struct __sk_buff, ifindex));
    unsigned away = bpf_asm_label(a);
    bpf_asm_jump_if(a, BPF_JNE, R_OWN, LOOPBACK_IFINDEX, away);
    bpf_asm_store_value(a, BPF_W, R_FP, EVENT_AT(detail), 1);
    bpf_asm_here(a, away);
    bpf_asm_load(a, BPF_W, R_WORK, R_CTX, offsetof(struct __sk_buff, protocol));
    bpf_asm_jump_if(a, BPF_JEQ, R_WORK, htons(ETH_P_IPV6), ipv6);
    bpf_asm_jump_if(a, BPF_JNE, R_WORK, htons(ETH_P_IP), gen->deny);
}

/* The protocol's number, from this byte of the header. */
static void emit_packet_protocol(const struct gen *gen, int at)
{
    bpf_asm_load(gen->a, BPF_B, R_PROTO, R_FP, HEADER + at);
    bpf_asm_store(gen->a, BPF_W, R_FP, EVENT_AT(protocol), R_PROTO);
}

static void emit_packet_address(const struct gen *gen, bool ipv4, int at)
{
    for (int i = 0; i < (ipv4 ? 1 : 4); i++)
        bpf_asm_load(gen->a, BPF_W, R_ADDR + i, R_FP, HEADER + at + 4 * i);
}

/* The port at the end of the four bytes of both. */
static void emit_packet_port(const struct gen *gen, int from, int at)
{
    struct bpf_asm *a = gen->a;
    emit_copy(gen, from, -1, PORTS, 4);
    bpf_asm_load(a, BPF_H, R_PORT, R_FP, PORTS + at);
    bpf_asm_from_network(a, R_PORT);
    bpf_asm_store(a, BPF_W, R_FP, EVENT_AT(port), R_PORT);
}

/* Where packets go is at a fixed place if there are neither options nor fragments. Both are things
 * that no program of today sends; a source route would have them go elsewhere. */
static void emit_egress(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned ipv6 = bpf_asm_label(a);
    egress_emit_event(gen, EGRESS_REFUSED_PACKET);
    emit_packet(gen, ipv6);

    emit_copy(gen, 0, -1, HEADER, IPV4_HEADER);
    emit_packet_address(gen, true, offsetof(struct iphdr, daddr));
    emit_event_address(gen, true);
    emit_packet_protocol(gen, offsetof(struct iphdr, protocol));
    bpf_asm_load(a, BPF_B, R_WORK, R_FP, HEADER);
    bpf_asm_jump_if(a, BPF_JNE, R_WORK, 4 << 4 | IPV4_HEADER / 4, gen->deny);
    bpf_asm_load(a, BPF_H, R_WORK, R_FP, HEADER + (int)offsetof(struct iphdr, frag_off));
    bpf_asm_and(a, R_WORK, htons(IP_MF | IP_OFFMASK));
    bpf_asm_jump_if(a, BPF_JNE, R_WORK, 0, gen->deny);
    emit_protocol(gen);
    emit_packet_port(gen, IPV4_HEADER, 2);
    emit_packet_address(gen, true, offsetof(struct iphdr, daddr));
    egress_emit_match_ipv4(gen);

    bpf_asm_here(a, ipv6);
    emit_copy(gen, 0, -1, HEADER, IPV6_HEADER);
    emit_packet_address(gen, false, offsetof(struct ip6_hdr, ip6_dst));
    emit_event_address(gen, false);
    emit_packet_protocol(gen, offsetof(struct ip6_hdr, ip6_nxt));
    bpf_asm_load(a, BPF_B, R_WORK, R_FP, HEADER);
    bpf_asm_and(a, R_WORK, 0xf0);
    bpf_asm_jump_if(a, BPF_JNE, R_WORK, 6 << 4, gen->deny);
    emit_protocol(gen);
    emit_packet_port(gen, IPV6_HEADER, 2);
    emit_packet_address(gen, false, offsetof(struct ip6_hdr, ip6_dst));
    egress_emit_match_ipv6(gen);

    egress_emit_ends(gen, true, true);
}

/* With the length of the IP header in R_PORT: a TCP segment that doesn't begin a connection passes;
 * what is no UDP doesn't; and then R_PORT is where a datagram comes from. */
static void emit_arrival(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned datagram = bpf_asm_label(a);
    bpf_asm_jump_if(a, BPF_JEQ, R_PROTO, IPPROTO_UDP, datagram);
    bpf_asm_jump_if(a, BPF_JNE, R_PROTO, IPPROTO_TCP, gen->deny);
    emit_copy(gen, 13, R_PORT, PORTS, 1);
    bpf_asm_load(a, BPF_B, R_WORK, R_FP, PORTS);
    bpf_asm_and(a, R_WORK, TH_SYN | TH_ACK);
    bpf_asm_jump_if(a, BPF_JEQ, R_WORK, TH_SYN, gen->deny);
    bpf_asm_jump(a, gen->allow);
    bpf_asm_here(a, datagram);
    emit_copy(gen, 0, R_PORT, PORTS, 2);
    bpf_asm_load(a, BPF_H, R_PORT, R_FP, PORTS);
    bpf_asm_from_network(a, R_PORT);
    bpf_asm_set(a, R_PROTO, EGRESS_UDP);
}

/* Nothing is told of it: strangers would do the telling. */
static void emit_ingress(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned ipv6 = bpf_asm_label(a);
    emit_packet(gen, ipv6);

    emit_copy(gen, 0, -1, HEADER, IPV4_HEADER);
    emit_packet_protocol(gen, offsetof(struct iphdr, protocol));
    bpf_asm_load(a, BPF_B, R_PORT, R_FP, HEADER);
    bpf_asm_and(a, R_PORT, 0x0f);
    bpf_asm_shift_left(a, R_PORT, 2);
    emit_arrival(gen);
    emit_packet_address(gen, true, offsetof(struct iphdr, saddr));
    egress_emit_match_ipv4(gen);

    bpf_asm_here(a, ipv6);
    emit_copy(gen, 0, -1, HEADER, IPV6_HEADER);
    emit_packet_protocol(gen, offsetof(struct ip6_hdr, ip6_nxt));
    bpf_asm_set(a, R_PORT, IPV6_HEADER);
    emit_arrival(gen);
    emit_packet_address(gen, false, offsetof(struct ip6_hdr, ip6_src));
    egress_emit_match_ipv6(gen);

    egress_emit_ends(gen, false, true);
}

int egress_assemble(struct bpf_asm *a, enum egress_hook hook, const struct egress_rule *rules,
                    size_t n, const struct egress_maps *maps, struct err *err)
{
    bpf_asm_init(a);
    const struct gen gen = {.a = a,
                            .rules = rules,
                            .n = n,
                            .maps = maps,
                            .allow = bpf_asm_label(a),
                            .deny = bpf_asm_label(a)};
    bpf_asm_move(a, R_CTX, BPF_REG_1);
    switch (hook) {
    case EGRESS_SOCKET:
        emit_socket(&gen);
        break;
    case EGRESS_CONNECT4:
    case EGRESS_CONNECT6:
        emit_reach(&gen, EGRESS_REFUSED_CONNECT, hook == EGRESS_CONNECT4);
        break;
    case EGRESS_SENDMSG4:
    case EGRESS_SENDMSG6:
        emit_reach(&gen, EGRESS_REFUSED_SEND, hook == EGRESS_SENDMSG4);
        break;
    case EGRESS_BIND4:
    case EGRESS_BIND6:
        emit_bind(&gen, hook == EGRESS_BIND4);
        break;
    case EGRESS_EGRESS:
        emit_egress(&gen);
        break;
    case EGRESS_INGRESS:
        emit_ingress(&gen);
        break;
    case EGRESS_HOOK_COUNT:
        return err_set(err, 0, "no such hook");
    }
    return bpf_asm_finish(a, err);
}
