/*
 * egress_rules.h - what the rules of an egress sandbox mean: the reference that the programs in
 * the kernel (egress_program.h) are tested against, and what refusals are explained with.
 *
 * Addresses are 16 bytes: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2); both forms of an IPv4
 * address are the same address. Rules for IPv6, ::/0 too, are not about IPv4.
 */
#ifndef POSTERN_SANDBOX_EGRESS_RULES_H
#define POSTERN_SANDBOX_EGRESS_RULES_H

#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGRESS_RULES_MAX = 256 };

/*
 * Addresses that no wider rule reaches: only one for this range or a part of it does. Whoever
 * writes 0.0.0.0/0 thinks of the Internet, not of the services on the host's loopback or of those
 * that a cloud has at a link-local address.
 */
struct egress_range {
    unsigned char net[16];
    unsigned prefix;
    const char *text; /* "127.0.0.0/8" */
    const char *what; /* "loopback" */
};
extern const struct egress_range egress_ranges[];
extern const size_t egress_n_ranges;

/* The range that the network lies in, or NULL. */
const struct egress_range *egress_range_of(const unsigned char net[16], unsigned prefix);

/* Whether it is IPv4: mapped, with a prefix that says so. */
bool egress_is_ipv4(const unsigned char net[16], unsigned prefix);

/* Whether the first `prefix` bits are the same. */
bool egress_is_within(const unsigned char addr[16], const unsigned char net[16], unsigned prefix);

/*
 * The first rule that lets traffic of one protocol to addr and port through, or NULL. own: it is an
 * address of this host; that takes a rule for this very address, or for a part of a range.
 */
const struct egress_rule *egress_match(const struct egress_rule *rules, size_t n,
                                       enum egress_protocol protocol, const unsigned char addr[16],
                                       uint16_t port, bool own);

#endif
