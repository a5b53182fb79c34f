/*
 * blocked_text.h - what an egress sandbox has refused, in words. Pure.
 */
#ifndef POSTERN_DAEMON_MASTER_BLOCKED_TEXT_H
#define POSTERN_DAEMON_MASTER_BLOCKED_TEXT_H

#include "egress.h"
#include "policy.h"
#include "spec.h"

#include <netinet/in.h>

enum { BLOCKED_TEXT_MAX = 640, BLOCKED_WHY_MAX = 320 };

/* "connect", "send", "bind", "socket" or "packet"; NULL: no program of ours has told that. */
const char *blocked_word(uint32_t kind);

/* "tcp", "udp", or a number. Returns buf. */
char *blocked_protocol(uint32_t protocol, char buf[16]);

/* Of an event that has an address: numeric, IPv4 as such. Returns buf. */
char *blocked_address(const struct egress_event *event, char buf[INET6_ADDRSTRLEN]);

/* What of the sandbox's rules it is that doesn't allow it. Returns buf. */
char *blocked_why(const struct sandbox_spec *spec, const struct egress_event *event,
                  char buf[BLOCKED_WHY_MAX]);

/* 'connect to 192.0.2.1 port 443 (tcp) was refused by sandbox "ci": …', with as much of why and
 * where as `level` allows. Returns buf. */
char *blocked_describe(const struct sandbox_spec *spec, const struct egress_event *event,
                       enum explain_level level, char buf[BLOCKED_TEXT_MAX]);

#endif
