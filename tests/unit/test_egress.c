/* What egress rules mean, and that the programs for the kernel say the same: run by a model of the
 * machine, and where the tests are root's by the kernel itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf_call.h"
#include "bpf_model.h"
#include "egress_program.h"
#include "egress_rules.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    enum bpf_prog_type type;
    enum bpf_attach_type attach;
    const char *name;
} hooks[] = {
#define X(hook, type, attach, name) [hook] = {type, attach, name},
    EGRESS_HOOKS(X)
#undef X
};

static const struct egress_maps maps = {
    .ring = MODEL_RING, .told = MODEL_TOLD, .seen = MODEL_SEEN, .own = MODEL_OWN};

struct address {
    unsigned char bytes[16];
};

static struct address parse(const char *text)
{
    struct address out = {.bytes = {[10] = 0xff, [11] = 0xff}};
    if (strchr(text, ':') != NULL)
        assert_int_equal(inet_pton(AF_INET6, text, out.bytes), 1);
    else
        assert_int_equal(inet_pton(AF_INET, text, out.bytes + 12), 1);
    return out;
}

/* A rule as "tcp 10.0.0.0/8 443 443". */
static struct egress_rule rule_of(const char *text)
{
    char protocol[8], net[64];
    unsigned first, last, prefix = 0;
    assert_int_equal(
        sscanf(text, "%7s %63[0-9a-f.:]/%u %u %u", protocol, net, &prefix, &first, &last), 5);
    const struct address address = parse(net);
    struct egress_rule out = {
        .prefix = strchr(net, ':') == NULL ? prefix + 96 : prefix,
        .first = (uint16_t)first,
        .last = (uint16_t)last,
        .protocols = strcmp(protocol, "tcp") == 0   ? EGRESS_TCP
                     : strcmp(protocol, "udp") == 0 ? EGRESS_UDP
                                                    : EGRESS_ANY,
        .text = text,
    };
    memcpy(out.net, address.bytes, sizeof out.net);
    return out;
}

struct programs {
    struct bpf_asm *a[EGRESS_HOOK_COUNT];
};

static struct programs assemble(const struct egress_rule *rules, size_t n)
{
    struct programs out;
    struct err err;
    for (size_t i = 0; i < EGRESS_HOOK_COUNT; i++) {
        out.a[i] = malloc(sizeof *out.a[i]);
        assert_non_null(out.a[i]);
        assert_int_equal(egress_assemble(out.a[i], (enum egress_hook)i, rules, n, &maps, &err), 0);
    }
    return out;
}

static void release(struct programs *programs)
{
    for (size_t i = 0; i < EGRESS_HOOK_COUNT; i++)
        free(programs->a[i]);
}

static struct bpf_model new_model(void)
{
    return (struct bpf_model){.cgroup = 0x123456789abcULL};
}

static bool run(const struct programs *programs, enum egress_hook hook, const void *ctx,
                size_t ctx_len, struct bpf_model *model)
{
    uint64_t result =
        bpf_model_run(model, ctx, ctx_len, programs->a[hook]->insns, programs->a[hook]->n);
    assert_true(result <= 1);
    return result == 1;
}

/* A call with an address. mapped: an IPv4 address over an IPv6 socket. */
static bool ask_address(const struct programs *programs, enum egress_hook hook, int protocol,
                        const unsigned char addr[16], uint16_t port, struct bpf_model *model)
{
    struct bpf_sock_addr ctx = {.user_port = htons(port),
                                .protocol = (uint32_t)protocol,
                                .type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM};
    memcpy(&ctx.user_ip4, addr + 12, 4);
    memcpy(ctx.user_ip6, addr, 16);
    model->packet = NULL;
    return run(programs, hook, &ctx, sizeof ctx, model);
}

enum { PACKET_MAX = 128 };

struct packet {
    unsigned char bytes[PACKET_MAX];
    size_t len;
    uint16_t ether;
};

/* From and to the same address and port, so that it serves in both directions. */
static struct packet make_packet(int protocol, const unsigned char addr[16], uint16_t port)
{
    struct packet p = {.ether = ETH_P_IPV6};
    size_t header = 40;
    if (egress_is_ipv4(addr, 128)) {
        p.ether = ETH_P_IP;
        header = 20;
        p.bytes[0] = 0x45;
        p.bytes[9] = (unsigned char)protocol;
        memcpy(p.bytes + 12, addr + 12, 4);
        memcpy(p.bytes + 16, addr + 12, 4);
    } else {
        p.bytes[0] = 0x60;
        p.bytes[6] = (unsigned char)protocol;
        memcpy(p.bytes + 8, addr, 16);
        memcpy(p.bytes + 24, addr, 16);
    }
    uint16_t wire = htons(port);
    memcpy(p.bytes + header, &wire, 2);
    memcpy(p.bytes + header + 2, &wire, 2);
    p.bytes[header + 13] = 0x02; /* SYN */
    p.len = header + 20;
    return p;
}

static bool ask_packet(const struct programs *programs, enum egress_hook hook,
                       const struct packet *packet, bool own, struct bpf_model *model)
{
    struct __sk_buff ctx = {.protocol = htons(packet->ether), .ifindex = own ? 1 : 7};
    model->packet = packet->bytes;
    model->packet_len = packet->len;
    return run(programs, hook, &ctx, sizeof ctx, model);
}

static bool matches(const char *const *texts, enum egress_protocol protocol, const char *addr,
                    uint16_t port, bool own)
{
    struct egress_rule rules[8];
    size_t n = 0;
    for (; texts[n] != NULL; n++)
        rules[n] = rule_of(texts[n]);
    const struct address a = parse(addr);
    return egress_match(rules, n, protocol, a.bytes, port, own) != NULL;
}

static void test_match(void **state)
{
    (void)state;
    static const struct {
        const char *rules[4];
        enum egress_protocol protocol;
        const char *addr;
        uint16_t port;
        bool own, want;
    } cases[] = {
        {{"any 10.0.0.0/8 443 443"}, EGRESS_TCP, "10.255.0.1", 443, false, true},
        {{"any 10.0.0.0/8 443 443"}, EGRESS_UDP, "10.255.0.1", 443, false, true},
        {{"any 10.0.0.0/8 443 443"}, EGRESS_TCP, "11.0.0.1", 443, false, false},
        {{"any 10.0.0.0/8 443 443"}, EGRESS_TCP, "10.0.0.1", 442, false, false},
        {{"any 10.0.0.0/8 443 443"}, EGRESS_TCP, "10.0.0.1", 444, false, false},
        {{"tcp 10.0.0.0/8 443 443"}, EGRESS_UDP, "10.0.0.1", 443, false, false},
        {{"udp 10.0.0.0/8 443 443"}, EGRESS_TCP, "10.0.0.1", 443, false, false},
        {{"udp 10.0.0.0/8 1 2", "tcp 10.0.0.0/9 80 90"}, EGRESS_TCP, "10.0.0.1", 90, false, true},
        {{NULL}, EGRESS_TCP, "10.0.0.1", 443, false, false},
        {{"any 192.0.2.7/32 8000 8100"}, EGRESS_TCP, "192.0.2.7", 8000, false, true},
        {{"any 192.0.2.7/32 8000 8100"}, EGRESS_TCP, "192.0.2.7", 8100, false, true},
        {{"any 192.0.2.7/32 8000 8100"}, EGRESS_TCP, "192.0.2.7", 7999, false, false},
        {{"any 192.0.2.7/32 8000 8100"}, EGRESS_TCP, "192.0.2.7", 8101, false, false},
        {{"any 192.0.2.7/32 8000 8100"}, EGRESS_TCP, "192.0.2.6", 8000, false, false},
        /* Either form of an IPv4 address, and neither family is the other's. */
        {{"any 192.0.2.7/32 80 80"}, EGRESS_TCP, "::ffff:192.0.2.7", 80, false, true},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "192.0.2.7", 80, false, false},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "::ffff:192.0.2.7", 80, false, false},
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_TCP, "2001:db8::1", 80, false, false},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "2001:db8::1", 80, false, true},
        {{"any 2001:db8::/33 80 80"}, EGRESS_TCP, "2001:db8:7fff::1", 80, false, true},
        {{"any 2001:db8::/33 80 80"}, EGRESS_TCP, "2001:db8:8000::1", 80, false, false},
        /* What wide rules don't reach into. */
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_TCP, "127.0.0.1", 80, false, false},
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_TCP, "0.0.0.0", 80, false, false},
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_TCP, "169.254.169.254", 80, false, false},
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_UDP, "224.0.0.251", 5353, false, false},
        {{"any 0.0.0.0/0 0 65535"}, EGRESS_UDP, "255.255.255.255", 67, false, false},
        {{"any 126.0.0.0/7 0 65535"}, EGRESS_TCP, "127.0.0.1", 80, false, false},
        {{"any 126.0.0.0/7 0 65535"}, EGRESS_TCP, "126.0.0.1", 80, false, true},
        {{"any 127.0.0.0/8 0 65535"}, EGRESS_TCP, "127.0.0.1", 80, true, true},
        {{"any 127.0.0.53/32 53 53"}, EGRESS_UDP, "127.0.0.53", 53, true, true},
        {{"any 127.0.0.53/32 53 53"}, EGRESS_UDP, "127.0.0.1", 53, true, false},
        {{"any 169.254.0.0/16 80 80"}, EGRESS_TCP, "169.254.169.254", 80, false, true},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "::1", 80, false, false},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "::", 80, false, false},
        {{"any ::/0 0 65535"}, EGRESS_TCP, "fe80::1", 80, false, false},
        {{"any ::/0 0 65535"}, EGRESS_UDP, "ff02::fb", 5353, false, false},
        {{"any ::1/128 80 80"}, EGRESS_TCP, "::1", 80, true, true},
        {{"any fe80::/10 80 80"}, EGRESS_TCP, "febf::1", 80, false, true},
        {{"any ff02::/16 5353 5353"}, EGRESS_UDP, "ff02::fb", 5353, false, true},
        /* This host's own addresses. */
        {{"any 192.0.2.0/24 22 22"}, EGRESS_TCP, "192.0.2.1", 22, true, false},
        {{"any 192.0.2.0/31 22 22"}, EGRESS_TCP, "192.0.2.1", 22, true, false},
        {{"any 192.0.2.1/32 22 22"}, EGRESS_TCP, "192.0.2.1", 22, true, true},
        {{"any 2001:db8::/64 22 22"}, EGRESS_TCP, "2001:db8::1", 22, true, false},
        {{"any 2001:db8::1/128 22 22"}, EGRESS_TCP, "2001:db8::1", 22, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (matches(cases[i].rules, cases[i].protocol, cases[i].addr, cases[i].port,
                    cases[i].own) != cases[i].want)
            fail_msg("case %zu: %s port %u", i, cases[i].addr, cases[i].port);
    }
}

static const char *const few[] = {"tcp 192.0.2.0/24 443 443", "any 2001:db8::/32 443 443",
                                  "udp 192.0.2.53/32 53 53", NULL};

static struct programs programs_of(const char *const *texts)
{
    struct egress_rule rules[8];
    size_t n = 0;
    for (; texts[n] != NULL; n++)
        rules[n] = rule_of(texts[n]);
    return assemble(rules, n);
}

static void assert_event(const struct bpf_model *model, enum egress_kind kind, int protocol,
                         const char *addr, uint16_t port, uint32_t detail)
{
    struct egress_event event;
    assert_int_equal(model->event_len, sizeof event);
    memcpy(&event, model->event, sizeof event);
    assert_true(event.cgroup == model->cgroup);
    assert_int_equal(event.kind, kind);
    assert_int_equal(event.protocol, protocol);
    assert_int_equal(event.port, port);
    assert_int_equal(event.detail, detail);
    const struct address want = parse(addr);
    assert_memory_equal(event.addr, want.bytes, 16);
}

static void test_connect(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    struct address a = parse("192.0.2.9");
    assert_true(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, 443, &model));
    assert_int_equal(model.event_len, 0);
    assert_false(model.has_told);
    assert_false(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, 80, &model));
    assert_event(&model, EGRESS_REFUSED_CONNECT, IPPROTO_TCP, "192.0.2.9", 80, 0);
    /* Over an IPv6 socket it is the same address. */
    assert_true(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 443, &model));
    assert_false(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 81, &model));
    assert_event(&model, EGRESS_REFUSED_CONNECT, IPPROTO_TCP, "192.0.2.9", 81, 0);
    a = parse("2001:db8:1::5");
    assert_true(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 443, &model));
    a = parse("2001:db9::5");
    assert_false(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 443, &model));
    assert_event(&model, EGRESS_REFUSED_CONNECT, IPPROTO_TCP, "2001:db9::5", 443, 0);
    /* A datagram socket may learn its own address; no other protocol may do anything. */
    assert_true(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_UDP, a.bytes, 9, &model));
    assert_false(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_SCTP, a.bytes, 443, &model));
    release(&programs);
}

static void test_sendmsg(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    struct address a = parse("192.0.2.53");
    assert_true(ask_address(&programs, EGRESS_SENDMSG4, IPPROTO_UDP, a.bytes, 53, &model));
    assert_true(ask_address(&programs, EGRESS_SENDMSG6, IPPROTO_UDP, a.bytes, 53, &model));
    assert_false(ask_address(&programs, EGRESS_SENDMSG4, IPPROTO_UDP, a.bytes, 443, &model));
    assert_event(&model, EGRESS_REFUSED_SEND, IPPROTO_UDP, "192.0.2.53", 443, 0);
    a = parse("2001:db8::53");
    assert_true(ask_address(&programs, EGRESS_SENDMSG6, IPPROTO_UDP, a.bytes, 443, &model));
    release(&programs);
}

static void test_bind(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    struct address a = parse("0.0.0.0");
    assert_true(ask_address(&programs, EGRESS_BIND4, IPPROTO_TCP, a.bytes, 0, &model));
    assert_false(ask_address(&programs, EGRESS_BIND4, IPPROTO_TCP, a.bytes, 8080, &model));
    assert_event(&model, EGRESS_REFUSED_BIND, IPPROTO_TCP, "0.0.0.0", 8080, 0);
    a = parse("2001:db8::1");
    assert_true(ask_address(&programs, EGRESS_BIND6, IPPROTO_UDP, a.bytes, 0, &model));
    assert_false(ask_address(&programs, EGRESS_BIND6, IPPROTO_UDP, a.bytes, 443, &model));
    assert_event(&model, EGRESS_REFUSED_BIND, IPPROTO_UDP, "2001:db8::1", 443, 0);
    release(&programs);
}

static void test_socket(void **state)
{
    (void)state;
    static const struct {
        uint32_t type, protocol;
        bool want;
    } cases[] = {
        {SOCK_STREAM, IPPROTO_TCP, true},     {SOCK_DGRAM, IPPROTO_UDP, true},
        {SOCK_STREAM, IPPROTO_UDP, false},    {SOCK_DGRAM, IPPROTO_TCP, false},
        {SOCK_DGRAM, IPPROTO_ICMP, false},    {SOCK_DGRAM, IPPROTO_ICMPV6, false},
        {SOCK_RAW, IPPROTO_TCP, false},       {SOCK_RAW, IPPROTO_RAW, false},
        {SOCK_STREAM, IPPROTO_SCTP, false},   {SOCK_SEQPACKET, IPPROTO_SCTP, false},
        {SOCK_DGRAM, IPPROTO_UDPLITE, false}, {SOCK_STREAM, 262 /* MPTCP */, false},
        {SOCK_DCCP, IPPROTO_DCCP, false},
    };
    struct programs programs = programs_of(few);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct bpf_sock ctx = {.type = cases[i].type, .protocol = cases[i].protocol};
        struct bpf_model model = new_model();
        assert_int_equal(run(&programs, EGRESS_SOCKET, &ctx, sizeof ctx, &model), cases[i].want);
        if (!cases[i].want)
            assert_event(&model, EGRESS_REFUSED_SOCKET, (int)cases[i].protocol, "::", 0,
                         cases[i].type);
    }
    release(&programs);
}

static void test_packets_that_leave(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    const struct address v4 = parse("192.0.2.9"), v6 = parse("2001:db8::9");
    struct packet p = make_packet(IPPROTO_TCP, v4.bytes, 443);
    assert_true(ask_packet(&programs, EGRESS_EGRESS, &p, false, &model));
    assert_int_equal(model.event_len, 0);
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &p, true, &model));
    assert_event(&model, EGRESS_REFUSED_PACKET, IPPROTO_TCP, "192.0.2.9", 443, 1);
    struct packet q = p;
    q.bytes[0] = 0x46; /* options: a source route */
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q = p;
    q.bytes[0] = 0x55;
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q = p;
    q.bytes[6] = 0x20; /* more fragments */
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q = p;
    q.bytes[7] = 0x01; /* a fragment behind the first */
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q = p;
    q.bytes[6] = 0x40; /* don't fragment */
    assert_true(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q.len = 19;
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q.len = 23;
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q = p;
    q.ether = ETH_P_ARP;
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    q.ether = ETH_P_IPV6; /* it is not */
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &q, false, &model));
    for (int protocol = 0; protocol < 256; protocol++) {
        p = make_packet(protocol, v4.bytes, 443);
        assert_int_equal(ask_packet(&programs, EGRESS_EGRESS, &p, false, &model),
                         protocol == IPPROTO_TCP);
        p = make_packet(protocol, v6.bytes, 443);
        assert_int_equal(ask_packet(&programs, EGRESS_EGRESS, &p, false, &model),
                         protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
    }
    model = new_model();
    p = make_packet(IPPROTO_ROUTING, v6.bytes, 443);
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &p, false, &model));
    assert_event(&model, EGRESS_REFUSED_PACKET, IPPROTO_ROUTING, "2001:db8::9", 0, 0);
    p = make_packet(IPPROTO_TCP, v6.bytes, 443);
    p.bytes[0] = 0x40;
    assert_false(ask_packet(&programs, EGRESS_EGRESS, &p, false, &model));
    release(&programs);
}

static void test_packets_that_arrive(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    static const char *const peers[] = {"192.0.2.9", "198.51.100.1", "2001:db8::9", "2001:db9::9"};
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        const struct address a = parse(peers[i]);
        struct packet p = make_packet(IPPROTO_TCP, a.bytes, 443);
        unsigned char *flags = &p.bytes[p.len - 7];
        for (unsigned value = 0; value < 256; value++) {
            *flags = (unsigned char)value;
            /* Whoever it is, it doesn't begin a connection. */
            assert_int_equal(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model),
                             (value & 0x12) != 0x02);
        }
        p = make_packet(IPPROTO_ICMP, a.bytes, 443);
        assert_false(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    }
    struct address a = parse("192.0.2.53");
    struct packet p = make_packet(IPPROTO_UDP, a.bytes, 53);
    assert_true(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    a = parse("192.0.2.54");
    p = make_packet(IPPROTO_UDP, a.bytes, 53);
    assert_false(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    a = parse("2001:db8::1");
    p = make_packet(IPPROTO_UDP, a.bytes, 443);
    assert_true(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    /* Strangers have nothing told. */
    assert_int_equal(model.event_len, 0);
    assert_false(model.has_told);

    /* With options the ports and flags are further on. */
    a = parse("192.0.2.53");
    p = make_packet(IPPROTO_UDP, a.bytes, 53);
    memmove(p.bytes + 28, p.bytes + 20, 20);
    memset(p.bytes + 20, 1, 8);
    p.bytes[0] = 0x47;
    p.len += 8;
    assert_true(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    p.bytes[9] = IPPROTO_TCP;
    p.bytes[28 + 13] = 0x02;
    assert_false(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    p.bytes[28 + 13] = 0x12;
    assert_true(ask_packet(&programs, EGRESS_INGRESS, &p, false, &model));
    release(&programs);
}

static void test_tells_no_more_than_so_much(void **state)
{
    (void)state;
    struct programs programs = programs_of(few);
    struct bpf_model model = new_model();
    const struct address a = parse("192.0.2.9");
    for (uint16_t i = 0; i < EGRESS_EVENTS_MAX + 10; i++) {
        uint16_t port = (uint16_t)(1000 + i);
        assert_false(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, port, &model));
        assert_int_equal(model.event_len != 0, i < EGRESS_EVENTS_MAX);
        /* What was told before counts for nothing. */
        assert_false(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, port, &model));
        assert_int_equal(model.event_len, 0);
    }
    assert_int_equal(model.told, EGRESS_EVENTS_MAX);
    release(&programs);
}

static void test_own_addresses(void **state)
{
    (void)state;
    static const char *const rules[] = {"any 192.0.2.0/24 22 22", "any 192.0.2.7/32 22 22", NULL};
    struct programs programs = programs_of(rules);
    struct bpf_model model = new_model();
    struct address a = parse("192.0.2.8");
    assert_true(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, 22, &model));
    memcpy(model.own, a.bytes, 16);
    assert_false(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, 22, &model));
    assert_event(&model, EGRESS_REFUSED_CONNECT, IPPROTO_TCP, "192.0.2.8", 22, 1);
    assert_false(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 22, &model));
    a = parse("192.0.2.7");
    memcpy(model.own, a.bytes, 16);
    assert_true(ask_address(&programs, EGRESS_CONNECT4, IPPROTO_TCP, a.bytes, 22, &model));
    release(&programs);
}

static unsigned random_up_to(unsigned most)
{
    return (unsigned)random() % (most + 1);
}

/* Near a few places, so that rules and addresses meet. */
static struct address random_address(void)
{
    static const char *const places[] = {"192.0.2.0",
                                         "192.0.2.128",
                                         "10.1.0.0",
                                         "127.0.0.1",
                                         "0.0.0.0",
                                         "169.254.169.254",
                                         "224.0.0.1",
                                         "255.255.255.255",
                                         "126.0.0.9",
                                         "2001:db8::",
                                         "2001:db8:0:1::",
                                         "::1",
                                         "::",
                                         "fe80::1",
                                         "ff02::1",
                                         "fec0::",
                                         "2001:db8::ffff:c000:200",
                                         "128.0.0.0"};
    struct address out = parse(places[random_up_to(sizeof places / sizeof *places - 1)]);
    bool ipv4 = egress_is_ipv4(out.bytes, 128);
    for (unsigned i = random_up_to(3); i > 0; i--) {
        unsigned bit = ipv4 ? 96 + random_up_to(31) : random_up_to(127);
        out.bytes[bit / 8] = (unsigned char)(out.bytes[bit / 8] ^ 0x80U >> bit % 8);
    }
    return out;
}

static uint16_t random_port(void)
{
    static const uint16_t ports[] = {0, 1, 53, 80, 443, 8000, 8001, 32767, 32768, 65534, 65535};
    return random_up_to(3) == 0 ? (uint16_t)random_up_to(65535)
                                : ports[random_up_to(sizeof ports / sizeof *ports - 1)];
}

static struct egress_rule random_rule(void)
{
    const struct address a = random_address();
    struct egress_rule out = {.first = random_port(), .last = random_port()};
    bool ipv4 = egress_is_ipv4(a.bytes, 128);
    memcpy(out.net, a.bytes, 16);
    out.prefix = random_up_to(2) == 0 ? 128 : ipv4 ? 96 + random_up_to(32) : random_up_to(128);
    for (unsigned bit = out.prefix; bit < 128; bit++)
        out.net[bit / 8] = (unsigned char)(out.net[bit / 8] & ~(0x80U >> bit % 8));
    if (random_up_to(2) == 0)
        out.last = out.first;
    if (random_up_to(3) == 0) {
        out.first = 0;
        out.last = UINT16_MAX;
    }
    if (out.last < out.first) {
        uint16_t first = out.last;
        out.last = out.first;
        out.first = first;
    }
    out.protocols = 1 + random_up_to(2);
    return out;
}

struct question {
    struct address addr;
    uint16_t port;
    bool tcp, own;
};

static struct question random_question(const struct egress_rule *rules, size_t n)
{
    struct question out = {.addr = random_address(),
                           .port = random_port(),
                           .tcp = random_up_to(1) == 0,
                           .own = random_up_to(3) == 0};
    if (n > 0 && random_up_to(1) == 0) {
        const struct egress_rule *rule = &rules[random_up_to((unsigned)n - 1)];
        memcpy(out.addr.bytes, rule->net, 16);
        for (unsigned bit = rule->prefix; bit < 128; bit++)
            if (random_up_to(1) == 0)
                out.addr.bytes[bit / 8] =
                    (unsigned char)(out.addr.bytes[bit / 8] ^ 0x80U >> bit % 8);
        out.port = random_up_to(1) == 0 ? rule->first : rule->last;
    }
    return out;
}

/* Every program says what the plain matcher says. Returns that. */
static bool check_question(const struct programs *programs, const struct egress_rule *rules,
                           size_t n, const struct question *q)
{
    struct bpf_model model = new_model();
    enum egress_protocol protocol = q->tcp ? EGRESS_TCP : EGRESS_UDP;
    int number = q->tcp ? IPPROTO_TCP : IPPROTO_UDP;
    bool ipv4 = egress_is_ipv4(q->addr.bytes, 128);
    bool want = egress_match(rules, n, protocol, q->addr.bytes, q->port, q->own) != NULL;
    if (q->own)
        memcpy(model.own, q->addr.bytes, 16);
    enum egress_hook by_v4 = q->tcp ? EGRESS_CONNECT4 : EGRESS_SENDMSG4;
    enum egress_hook by_v6 = q->tcp ? EGRESS_CONNECT6 : EGRESS_SENDMSG6;
    static const unsigned char nowhere[16];
    bool has_own = memcmp(model.own, nowhere, 16) != 0 || !q->own;
    if (has_own) {
        if (ipv4)
            assert_int_equal(ask_address(programs, by_v4, number, q->addr.bytes, q->port, &model),
                             want);
        assert_int_equal(ask_address(programs, by_v6, number, q->addr.bytes, q->port, &model),
                         want);
    }
    const struct packet p = make_packet(number, q->addr.bytes, q->port);
    assert_int_equal(ask_packet(programs, EGRESS_EGRESS, &p, q->own, &model), want);
    if (!q->tcp)
        assert_int_equal(ask_packet(programs, EGRESS_INGRESS, &p, q->own, &model), want);
    return want;
}

static void test_programs_agree_with_matcher(void **state)
{
    (void)state;
    enum { ROUNDS = 300, QUESTIONS = 60, RULES = 24 };
    unsigned n_allowed = 0;
    srandom(20261122);
    for (int round = 0; round < ROUNDS; round++) {
        struct egress_rule rules[RULES];
        size_t n = random_up_to(RULES);
        for (size_t i = 0; i < n; i++)
            rules[i] = random_rule();
        struct programs programs = assemble(rules, n);
        for (int i = 0; i < QUESTIONS; i++) {
            const struct question q = random_question(rules, n);
            n_allowed += check_question(&programs, rules, n, &q);
        }
        release(&programs);
    }
    assert_in_range(n_allowed, ROUNDS * QUESTIONS / 10, ROUNDS * QUESTIONS * 9 / 10);
}

static size_t worst_rules(struct egress_rule *rules)
{
    for (size_t i = 0; i < EGRESS_RULES_MAX; i++) {
        rules[i] = rule_of("tcp 2001:db8::/127 8000 8100");
        rules[i].net[14] = (unsigned char)i;
        rules[i].first = (uint16_t)(8000 + i);
    }
    return EGRESS_RULES_MAX;
}

static void test_most_rules_are_bounded(void **state)
{
    (void)state;
    struct egress_rule rules[EGRESS_RULES_MAX];
    size_t n = worst_rules(rules);
    struct programs programs = assemble(rules, n);
    struct bpf_model model = new_model();
    const struct address a = parse("2001:db8::ffff:2");
    assert_false(ask_address(&programs, EGRESS_CONNECT6, IPPROTO_TCP, a.bytes, 8099, &model));
    assert_in_range(model.steps, EGRESS_RULES_MAX, 20 * EGRESS_RULES_MAX);
    release(&programs);
    /* One that ends the search leaves nothing behind that the kernel could never reach. */
    rules[0] = rule_of("any ::/0 0 65535");
    programs = assemble(rules, n);
    assert_true(programs.a[EGRESS_CONNECT6]->n < 200);
    release(&programs);
}

/* The kernel's verifier takes them, and its machine says the same of packets. */
static void test_kernel_agrees(void **state)
{
    (void)state;
    struct egress_rule rules[EGRESS_RULES_MAX];
    struct egress_maps real = EGRESS_NO_MAPS;
    struct err err;
    struct bpf_asm *a = malloc(sizeof *a);
    if (geteuid() != 0 || egress_probe(&err) < 0) {
        free(a);
        skip();
    }
    srandom(7);
    assert_non_null(a);
    assert_int_equal(egress_maps_make(&real, &err), 0);
    unsigned n_allowed = 0, n_asked = 0;
    for (int round = 0; round < 12; round++) {
        size_t n = round == 0 ? worst_rules(rules) : random_up_to(32);
        for (size_t i = 0; i < n && round > 0; i++)
            rules[i] = random_rule();
        for (size_t hook = 0; hook < EGRESS_HOOK_COUNT; hook++) {
            assert_int_equal(egress_assemble(a, (enum egress_hook)hook, rules, n, &real, &err), 0);
            const struct bpf_program program = {.type = hooks[hook].type,
                                                .attach = hooks[hook].attach,
                                                .name = hooks[hook].name,
                                                .insns = a->insns,
                                                .n = a->n};
            int fd = bpf_program_load(&program, &err);
            if (fd < 0)
                fail_msg("%s", err.text);
            for (int i = 0; hook == EGRESS_EGRESS && i < 200; i++) {
                const struct question q = random_question(rules, n);
                const struct packet p =
                    make_packet(q.tcp ? IPPROTO_TCP : IPPROTO_UDP, q.addr.bytes, q.port);
                unsigned char frame[14 + PACKET_MAX] = {0};
                uint16_t ether = htons(p.ether);
                memcpy(frame + 12, &ether, 2);
                memcpy(frame + 14, p.bytes, p.len);
                union bpf_attr attr = {.test = {.prog_fd = (uint32_t)fd,
                                                .data_in = (uint64_t)(uintptr_t)frame,
                                                .data_size_in = (uint32_t)(14 + p.len)}};
                assert_int_equal(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr), 0);
                /* Such a packet is on the loopback interface. */
                bool want = egress_match(rules, n, q.tcp ? EGRESS_TCP : EGRESS_UDP, q.addr.bytes,
                                         q.port, true) != NULL;
                assert_int_equal(attr.test.retval, want);
                n_allowed += want;
                n_asked++;
            }
            close(fd);
        }
    }
    assert_in_range(n_allowed, n_asked / 20, n_asked);
    egress_maps_close(&real);
    free(a);
}

static void test_assembler(void **state)
{
    (void)state;
    struct bpf_asm *a = malloc(sizeof *a);
    struct err err;
    assert_non_null(a);
    bpf_asm_init(a);
    assert_int_equal(bpf_asm_finish(a, &err), -1);
    /* A label that is nowhere. */
    bpf_asm_init(a);
    unsigned label = bpf_asm_label(a);
    bpf_asm_jump(a, label);
    assert_int_equal(bpf_asm_finish(a, &err), -1);
    assert_string_equal(err.text, "the program has a loose end");
    /* No return at the end. */
    bpf_asm_init(a);
    bpf_asm_set(a, BPF_REG_0, 1);
    assert_int_equal(bpf_asm_finish(a, &err), -1);
    /* What is not reached goes, and jumps over it stay right. */
    bpf_asm_init(a);
    label = bpf_asm_label(a);
    bpf_asm_jump(a, label);
    bpf_asm_return(a, 5);
    bpf_asm_here(a, label);
    bpf_asm_return(a, 1);
    assert_int_equal(bpf_asm_finish(a, &err), 0);
    assert_int_equal(a->n, 3);
    assert_int_equal(a->insns[0].off, 0);
    /* More than there is room for. */
    bpf_asm_init(a);
    for (int i = 0; i <= BPF_ASM_INSNS_MAX; i++)
        bpf_asm_set(a, BPF_REG_0, 1);
    bpf_asm_return(a, 1);
    assert_int_equal(bpf_asm_finish(a, &err), -1);
    assert_string_equal(err.text, "the program is too long");
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_sendmsg),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_packets_that_leave),
        cmocka_unit_test(test_packets_that_arrive),
        cmocka_unit_test(test_tells_no_more_than_so_much),
        cmocka_unit_test(test_own_addresses),
        cmocka_unit_test(test_programs_agree_with_matcher),
        cmocka_unit_test(test_most_rules_are_bounded),
        cmocka_unit_test(test_kernel_agrees),
        cmocka_unit_test(test_assembler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
