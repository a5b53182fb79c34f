#include "blocked_text.h"
#include "cleanup.h"
#include "egress_rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { DNS_PORT = 53, IPV4_AT = 12 };

const char *blocked_word(uint32_t kind)
{
    static const char *const words[] = {
        [EGRESS_REFUSED_CONNECT] = "connect", [EGRESS_REFUSED_SEND] = "send",
        [EGRESS_REFUSED_BIND] = "bind",       [EGRESS_REFUSED_SOCKET] = "socket",
        [EGRESS_REFUSED_PACKET] = "packet",
    };
    return kind < array_len(words) ? words[kind] : NULL;
}

char *blocked_protocol(uint32_t protocol, char buf[16])
{
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
        (void)snprintf(buf, 16, "%s", protocol == IPPROTO_TCP ? "tcp" : "udp");
    else
        (void)snprintf(buf, 16, "%u", protocol);
    return buf;
}

char *blocked_address(const struct egress_event *event, char buf[INET6_ADDRSTRLEN])
{
    bool ipv4 = egress_is_ipv4(event->addr, 128);
    if (inet_ntop(ipv4 ? AF_INET : AF_INET6, event->addr + (ipv4 ? IPV4_AT : 0), buf,
                  INET6_ADDRSTRLEN) == NULL)
        buf[0] = '\0';
    return buf;
}

/* The first rule that names the address, whatever keeps it from allowing this. */
static const struct egress_rule *find_near(const struct sandbox_spec *spec,
                                           const struct egress_event *event, unsigned protocols,
                                           bool any_port)
{
    bool ipv4 = egress_is_ipv4(event->addr, 128);
    for (size_t i = 0; i < spec->n_connects; i++) {
        const struct egress_rule *rule = &spec->connects[i];
        if ((rule->protocols & protocols) != 0 && egress_is_ipv4(rule->net, rule->prefix) == ipv4 &&
            egress_is_within(event->addr, rule->net, rule->prefix) &&
            (any_port || (event->port >= rule->first && event->port <= rule->last)))
            return rule;
    }
    return NULL;
}

static bool is_unspecified(const struct egress_event *event)
{
    static const unsigned char none[16];
    bool ipv4 = egress_is_ipv4(event->addr, 128);
    size_t from = ipv4 ? IPV4_AT : 0;
    return memcmp(event->addr + from, none, 16 - from) == 0;
}

/* Of what has an address and is TCP or UDP. */
static void explain_rules(const struct sandbox_spec *spec, const struct egress_event *event,
                          char buf[BLOCKED_WHY_MAX])
{
    unsigned protocol = event->protocol == IPPROTO_TCP ? EGRESS_TCP : EGRESS_UDP;
    const struct egress_range *range = egress_range_of(event->addr, 128);
    const struct egress_rule *near = find_near(spec, event, protocol, false);
    char address[INET6_ADDRSTRLEN];
    blocked_address(event, address);
    if (is_unspecified(event))
        (void)snprintf(buf, BLOCKED_WHY_MAX, "it means this host, which is %s in a connect rule",
                       egress_is_ipv4(event->addr, 128) ? "127.0.0.1" : "[::1]");
    else if (near != NULL && range != NULL)
        (void)snprintf(buf, BLOCKED_WHY_MAX,
                       "connect = %s does not reach into %s (%s), which takes a rule of its own",
                       near->text, range->text, range->what);
    else if (near != NULL && event->detail != 0)
        (void)snprintf(buf, BLOCKED_WHY_MAX,
                       "it is an address of this host itself, which connect = %s does not allow "
                       "but a rule for this one address would",
                       near->text);
    else if (near == NULL && (near = find_near(spec, event, EGRESS_ANY, false)) != NULL)
        (void)snprintf(buf, BLOCKED_WHY_MAX, "connect = %s is about %s alone", near->text,
                       near->protocols == EGRESS_TCP ? "tcp" : "udp");
    else if (event->port == DNS_PORT)
        (void)snprintf(buf, BLOCKED_WHY_MAX,
                       "names are looked up there, which takes connect = %s%s%s:53",
                       strchr(address, ':') != NULL ? "[" : "", address,
                       strchr(address, ':') != NULL ? "]" : "");
    else if ((near = find_near(spec, event, protocol, true)) != NULL)
        (void)snprintf(buf, BLOCKED_WHY_MAX, "connect = %s is about other ports", near->text);
    else
        (void)snprintf(buf, BLOCKED_WHY_MAX, "no connect rule allows it");
}

/* The programs don't look for ports behind options, nor in fragments. */
static bool is_unusual(const struct egress_event *event)
{
    return event->kind == EGRESS_REFUSED_PACKET && event->port == 0;
}

char *blocked_why(const struct sandbox_spec *spec, const struct egress_event *event,
                  char buf[BLOCKED_WHY_MAX])
{
    bool known = event->protocol == IPPROTO_TCP || event->protocol == IPPROTO_UDP;
    if (known && is_unusual(event))
        (void)snprintf(buf, BLOCKED_WHY_MAX, "options of the packet could lead it elsewhere");
    else if (event->kind == EGRESS_REFUSED_BIND)
        (void)snprintf(buf, BLOCKED_WHY_MAX,
                       "ports are this host's, and with network = egress nobody comes in");
    else if (event->kind == EGRESS_REFUSED_SOCKET || !known)
        (void)snprintf(buf, BLOCKED_WHY_MAX, "network = egress is for tcp and udp alone");
    else
        explain_rules(spec, event, buf);
    return buf;
}

static const char *socket_type(uint32_t type, char buf[24])
{
    static const char *const names[] = {
        [SOCK_STREAM] = "stream", [SOCK_DGRAM] = "datagram", [SOCK_RAW] = "raw"};
    if (type < array_len(names) && names[type] != NULL)
        return names[type];
    (void)snprintf(buf, 24, "type-%u", type);
    return buf;
}

static void describe_what(const struct egress_event *event, char *buf, size_t len)
{
    char address[INET6_ADDRSTRLEN], protocol[16], type[24];
    bool has_port = event->protocol == IPPROTO_TCP || event->protocol == IPPROTO_UDP;
    blocked_address(event, address);
    blocked_protocol(event->protocol, protocol);
    if (event->kind == EGRESS_REFUSED_SOCKET)
        (void)snprintf(buf, len, "a %s socket of protocol %s was refused",
                       socket_type(event->detail, type), protocol);
    else if (event->kind == EGRESS_REFUSED_BIND)
        (void)snprintf(buf, len, "bind to port %u (%s) was refused", event->port, protocol);
    else if (is_unusual(event))
        (void)snprintf(buf, len, "a packet to %s (%s%s) was dropped", address,
                       has_port ? "" : "protocol ", protocol);
    else if (event->kind == EGRESS_REFUSED_PACKET && event->protocol == IPPROTO_TCP)
        (void)snprintf(buf, len, "a packet to %s port %u (tcp) was dropped", address, event->port);
    else
        (void)snprintf(buf, len, "%s to %s port %u (%s) was refused",
                       event->protocol == IPPROTO_TCP ? "connect" : "a datagram", address,
                       event->port, protocol);
}

char *blocked_describe(const struct sandbox_spec *spec, const struct egress_event *event,
                       enum explain_level level, char buf[BLOCKED_TEXT_MAX])
{
    char what[160], why[BLOCKED_WHY_MAX], where[256] = "";
    if (level == EXPLAIN_NONE) {
        (void)snprintf(buf, BLOCKED_TEXT_MAX, "the network was refused");
        return buf;
    }
    describe_what(event, what, sizeof what);
    struct origin at = sandbox_place(spec, "network", 0);
    if (level == EXPLAIN_RULE)
        (void)snprintf(where, sizeof where, " (%s:%u)", at.file, at.line);
    (void)snprintf(buf, BLOCKED_TEXT_MAX, "%s by sandbox \"%s\": %s%s", what, spec->name,
                   blocked_why(spec, event, why), where);
    return buf;
}
