/*
 * address.h - IP addresses and the from= lists that judge them: CIDR, IPv4 and IPv6, negation.
 *
 * An address is 16 bytes: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2), so that a client that
 * comes over a dual-stack socket is the same client.
 */
#ifndef POSTERN_CONFIG_ADDRESS_H
#define POSTERN_CONFIG_ADDRESS_H

#include "err.h"
#include "policy.h"

enum { ADDRESS_LEN = 16, ADDRESS_RULES_MAX = 256 };

/* A numeric address in printable ASCII; a zone ("%eth0") is ignored: the rules have none. Returns
 * 0, or -1 if it is none. */
int address_parse(const char *text, unsigned char out[ADDRESS_LEN]);

/*
 * ADDRESS or ADDRESS/BITS: the network, with its prefix in bits of `net` (of IPv4, 96 more than
 * were written). Bits beyond the prefix must be zero. Returns 0, or -1 with err.
 */
int address_network(const char *word, size_t len, unsigned char net[ADDRESS_LEN], unsigned *prefix,
                    struct err *err);

/*
 * Adds the rules of `text`, separated by commas or blanks, to the list: ADDRESS or ADDRESS/BITS,
 * with '!' before one that is refused. Bits of the address beyond the prefix must be zero, and
 * names are no addresses. Returns 0, or -1 with err; the list may then have grown.
 */
int address_list_add(struct pool *pool, struct address_list *list, const char *text,
                     const struct origin *at, struct err *err);

/* What is wrong with a list that is complete: one of '!' alone lets nobody in. NULL: nothing. */
const char *address_list_problem(const struct address_list *list);
/* The remedy. */
extern const char address_list_hint[];

/*
 * Whether the list lets the address in: a '!' that matches refuses whatever else does, and one of
 * the others must match. An empty list lets everybody in. Rules for IPv6 are not about IPv4: ::/0
 * matches no client that comes by IPv4, mapped or not.
 */
bool address_list_allows(const struct address_list *list, const unsigned char addr[ADDRESS_LEN]);

/* The rule that settles it: a '!' that matches, else the first that does; NULL if none matches. */
const struct address_rule *address_list_match(const struct address_list *list,
                                              const unsigned char addr[ADDRESS_LEN]);

#endif
