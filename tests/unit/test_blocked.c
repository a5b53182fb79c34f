/* What is said of what an egress sandbox has refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "blocked_text.h"
#include "connect_rule.h"
#include "policy_fixture.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

static struct policy *policy;

static int load(void **state)
{
    (void)state;
    policy = fixture_load_good("[sandbox \"ci\"]\ntime = 1h\nnetwork = egress\n"
                               "connect = 0.0.0.0/0:443\nconnect = [::]/0:443\n"
                               "connect = udp:192.0.2.0/24:123\nconnect = tcp:192.0.2.0/24:22\n");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    policy_free(policy);
    return 0;
}

static const struct sandbox_spec *spec(void)
{
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (strcmp(policy->sandboxes[i].name, "ci") == 0)
            return &policy->sandboxes[i];
    fail();
    return NULL;
}

static struct egress_event event_of(enum egress_kind kind, uint32_t protocol, const char *addr,
                                    uint32_t port, uint32_t detail)
{
    struct egress_event out = {.kind = kind, .protocol = protocol, .port = port, .detail = detail};
    if (strchr(addr, ':') != NULL) {
        assert_int_equal(inet_pton(AF_INET6, addr, out.addr), 1);
    } else {
        out.addr[10] = out.addr[11] = 0xff;
        assert_int_equal(inet_pton(AF_INET, addr, out.addr + 12), 1);
    }
    return out;
}

static void expect(const struct egress_event *event, const char *text)
{
    char buf[BLOCKED_TEXT_MAX];
    assert_string_equal(blocked_describe(spec(), event, EXPLAIN_REASON, buf), text);
}

#define CONNECT EGRESS_REFUSED_CONNECT
#define SEND    EGRESS_REFUSED_SEND
enum { TCP = IPPROTO_TCP, UDP = IPPROTO_UDP };

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        enum egress_kind kind;
        uint32_t protocol;
        const char *addr;
        uint32_t port, detail;
        const char *text;
    } cases[] = {
        {CONNECT, TCP, "198.51.100.1", 80, 0,
         "connect to 198.51.100.1 port 80 (tcp) was refused by sandbox \"ci\": connect = "
         "0.0.0.0/0:443 is about other ports"},
        {CONNECT, TCP, "2001:db8::1", 80, 0,
         "connect to 2001:db8::1 port 80 (tcp) was refused by sandbox \"ci\": connect = "
         "[::]/0:443 is about other ports"},
        {CONNECT, TCP, "127.0.0.1", 443, 0,
         "connect to 127.0.0.1 port 443 (tcp) was refused by sandbox \"ci\": connect = "
         "0.0.0.0/0:443 does not reach into 127.0.0.0/8 (loopback), which takes a rule of its own"},
        {CONNECT, TCP, "fe80::1", 443, 0,
         "connect to fe80::1 port 443 (tcp) was refused by sandbox \"ci\": connect = [::]/0:443 "
         "does not reach into fe80::/10 (link-local), which takes a rule of its own"},
        {CONNECT, TCP, "0.0.0.0", 443, 0,
         "connect to 0.0.0.0 port 443 (tcp) was refused by sandbox \"ci\": it means this host, "
         "which is 127.0.0.1 in a connect rule"},
        {CONNECT, TCP, "::", 443, 0,
         "connect to :: port 443 (tcp) was refused by sandbox \"ci\": it means this host, which is "
         "[::1] in a connect rule"},
        {CONNECT, TCP, "198.51.100.1", 443, 1,
         "connect to 198.51.100.1 port 443 (tcp) was refused by sandbox \"ci\": it is an address "
         "of this host itself, which connect = 0.0.0.0/0:443 does not allow but a rule for this "
         "one address would"},
        {CONNECT, TCP, "192.0.2.1", 123, 0,
         "connect to 192.0.2.1 port 123 (tcp) was refused by sandbox \"ci\": connect = "
         "udp:192.0.2.0/24:123 is about udp alone"},
        {SEND, UDP, "192.0.2.1", 22, 0,
         "a datagram to 192.0.2.1 port 22 (udp) was refused by sandbox \"ci\": connect = "
         "tcp:192.0.2.0/24:22 is about tcp alone"},
        {SEND, UDP, "192.0.2.53", 53, 0,
         "a datagram to 192.0.2.53 port 53 (udp) was refused by sandbox \"ci\": names are looked "
         "up there, which takes connect = 192.0.2.53:53"},
        {CONNECT, TCP, "2001:db8::53", 53, 0,
         "connect to 2001:db8::53 port 53 (tcp) was refused by sandbox \"ci\": names are looked up "
         "there, which takes connect = [2001:db8::53]:53"},
        {EGRESS_REFUSED_PACKET, TCP, "198.51.100.1", 8080, 0,
         "a packet to 198.51.100.1 port 8080 (tcp) was dropped by sandbox \"ci\": connect = "
         "0.0.0.0/0:443 is about other ports"},
        {EGRESS_REFUSED_PACKET, UDP, "198.51.100.1", 8080, 0,
         "a datagram to 198.51.100.1 port 8080 (udp) was refused by sandbox \"ci\": connect = "
         "0.0.0.0/0:443 is about other ports"},
        {EGRESS_REFUSED_PACKET, UDP, "198.51.100.1", 0, 0,
         "a packet to 198.51.100.1 (udp) was dropped by sandbox \"ci\": options of the packet "
         "could "
         "lead it elsewhere"},
        {EGRESS_REFUSED_PACKET, IPPROTO_ROUTING, "2001:db8::1", 0, 0,
         "a packet to 2001:db8::1 (protocol 43) was dropped by sandbox \"ci\": network = egress is "
         "for tcp and udp alone"},
        {EGRESS_REFUSED_BIND, TCP, "0.0.0.0", 8080, 0,
         "bind to port 8080 (tcp) was refused by sandbox \"ci\": ports are this host's, and with "
         "network = egress nobody comes in"},
        {EGRESS_REFUSED_SOCKET, IPPROTO_ICMP, "::", 0, SOCK_DGRAM,
         "a datagram socket of protocol 1 was refused by sandbox \"ci\": network = egress is for "
         "tcp and udp alone"},
        {EGRESS_REFUSED_SOCKET, IPPROTO_SCTP, "::", 0, SOCK_SEQPACKET,
         "a type-5 socket of protocol 132 was refused by sandbox \"ci\": network = egress is for "
         "tcp and udp alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct egress_event event = event_of(cases[i].kind, cases[i].protocol, cases[i].addr,
                                                   cases[i].port, cases[i].detail);
        expect(&event, cases[i].text);
    }
}

static void test_without_rules(void **state)
{
    (void)state;
    struct sandbox_spec bare = *spec();
    const struct egress_event event = event_of(CONNECT, TCP, "198.51.100.1", 443, 0);
    char buf[BLOCKED_TEXT_MAX];
    bare.n_connects = 0;
    assert_string_equal(blocked_describe(&bare, &event, EXPLAIN_REASON, buf),
                        "connect to 198.51.100.1 port 443 (tcp) was refused by sandbox \"ci\": no "
                        "connect rule allows it");
}

static void test_levels(void **state)
{
    (void)state;
    const struct egress_event event = event_of(CONNECT, TCP, "198.51.100.1", 80, 0);
    char buf[BLOCKED_TEXT_MAX];
    assert_string_equal(blocked_describe(spec(), &event, EXPLAIN_NONE, buf),
                        "the network was refused");
    assert_string_equal(blocked_describe(spec(), &event, EXPLAIN_RULE, buf),
                        "connect to 198.51.100.1 port 80 (tcp) was refused by sandbox \"ci\": "
                        "connect = 0.0.0.0/0:443 is about other ports (/p/policy.d/t.ini:3)");
}

static void test_words(void **state)
{
    (void)state;
    assert_null(blocked_word(0));
    assert_string_equal(blocked_word(EGRESS_REFUSED_PACKET), "packet");
    assert_null(blocked_word(EGRESS_REFUSED_PACKET + 1));
    assert_null(blocked_word(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_without_rules),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
