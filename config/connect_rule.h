/*
 * connect_rule.h - `connect = [tcp:|udp:]NETWORK:PORTS` of a sandbox with network = egress.
 */
#ifndef POSTERN_CONFIG_CONNECT_RULE_H
#define POSTERN_CONFIG_CONNECT_RULE_H

#include "loader.h"

/*
 * Reads a rule: an IPv4 address or network, or an IPv6 address in brackets with its prefix behind
 * them; then a port, FIRST-LAST or "*". Without "tcp:" or "udp:" it is about both. What it keeps of
 * the text lives in the pool. Returns 0, or -1 with err.
 */
int connect_rule_parse(struct pool *pool, const char *value, const struct origin *at,
                       struct egress_rule *out, struct err *err);

/* Adds one to a list, or empties it (""). */
int connect_rules_add(struct pool *pool, struct egress_rule **rules, size_t *n, const char *value,
                      const struct origin *at, struct err *err);

/* Complains of rules that the section has made, or made useless, and that mean nothing with the
 * sandbox's network. */
void connect_rules_judge(struct loader *l, const struct sandbox_spec *spec,
                         const struct ini_section *section);

#endif
