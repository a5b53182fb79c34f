#include "egress_rules.h"

#include <string.h>

enum { MAPPED_BITS = 96, ADDRESS_BITS = 128 };

#define MAPPED(a, b)                                                                               \
    {                                                                                              \
        [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b)                                           \
    }

const struct egress_range egress_ranges[] = {
    {MAPPED(0, 0), 96 + 8, "0.0.0.0/8", "this host"},
    {MAPPED(127, 0), 96 + 8, "127.0.0.0/8", "loopback"},
    {MAPPED(169, 254), 96 + 16, "169.254.0.0/16", "link-local"},
    {MAPPED(224, 0), 96 + 4, "224.0.0.0/4", "multicast"},
    {MAPPED(240, 0), 96 + 4, "240.0.0.0/4", "broadcast"},
    {{0}, 96, "::/96", "loopback"},
    {{0xfe, 0x80}, 10, "fe80::/10", "link-local"},
    {{0xff}, 8, "ff00::/8", "multicast"},
};
const size_t egress_n_ranges = sizeof egress_ranges / sizeof *egress_ranges;

bool egress_is_within(const unsigned char addr[16], const unsigned char net[16], unsigned prefix)
{
    unsigned whole = prefix / 8;
    unsigned rest = prefix % 8;
    if (memcmp(addr, net, whole) != 0)
        return false;
    return rest == 0 || (addr[whole] ^ net[whole]) >> (8 - rest) == 0;
}

bool egress_is_ipv4(const unsigned char net[16], unsigned prefix)
{
    static const unsigned char mapped[16] = MAPPED(0, 0);
    return prefix >= MAPPED_BITS && egress_is_within(net, mapped, MAPPED_BITS);
}

const struct egress_range *egress_range_of(const unsigned char net[16], unsigned prefix)
{
    for (size_t i = 0; i < egress_n_ranges; i++)
        if (prefix >= egress_ranges[i].prefix &&
            egress_is_within(net, egress_ranges[i].net, egress_ranges[i].prefix))
            return &egress_ranges[i];
    return NULL;
}

static bool reaches(const struct egress_rule *rule, const unsigned char addr[16])
{
    /* ::/0 holds the mapped addresses, which aren't IPv6. */
    if (egress_is_ipv4(addr, ADDRESS_BITS) && !egress_is_ipv4(rule->net, rule->prefix))
        return false;
    return egress_is_within(addr, rule->net, rule->prefix);
}

const struct egress_rule *egress_match(const struct egress_rule *rules, size_t n,
                                       enum egress_protocol protocol, const unsigned char addr[16],
                                       uint16_t port, bool own)
{
    const struct egress_range *range = egress_range_of(addr, ADDRESS_BITS);
    for (size_t i = 0; i < n; i++) {
        const struct egress_rule *rule = &rules[i];
        if ((rule->protocols & protocol) == 0 || port < rule->first || port > rule->last ||
            !reaches(rule, addr))
            continue;
        if (range != NULL && rule->prefix < range->prefix)
            continue;
        if (range == NULL && own && rule->prefix != ADDRESS_BITS)
            continue;
        return rule;
    }
    return NULL;
}
