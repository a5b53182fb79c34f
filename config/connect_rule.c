#include "connect_rule.h"
#include "address.h"
#include "diag.h"
#include "egress_rules.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>

enum { NETWORK_TEXT_MAX = 128, PORTS_TEXT_MAX = 32, SHOWN = 96 };

/* The parts of a value. */
struct parts {
    char network[NETWORK_TEXT_MAX]; /* without brackets */
    bool brackets;
    const char *ports;
};

static const char *take_protocol(const char *value, unsigned *protocols)
{
    *protocols = EGRESS_ANY;
    if (strncmp(value, "tcp:", 4) == 0)
        *protocols = EGRESS_TCP;
    else if (strncmp(value, "udp:", 4) == 0)
        *protocols = EGRESS_UDP;
    return value + (*protocols == EGRESS_ANY ? 0 : 4);
}

static bool is_host_name(const char *network)
{
    return network[strspn(network, "0123456789abcdefABCDEF:./")] != '\0';
}

static int no_ports(const char *value, struct err *err)
{
    char shown[SHOWN];
    return err_set(err, 0, "'%s' names no port: add one, as in 192.0.2.0/24:443, or ':*' for all",
                   text_escape_str(shown, sizeof shown, value));
}

/* "[ADDRESS]/BITS:PORTS" into "ADDRESS/BITS" and the ports. */
static int split_brackets(const char *value, struct parts *out, struct err *err)
{
    char shown[SHOWN];
    const char *close = strchr(value, ']');
    const char *colon = close == NULL ? NULL : strchr(close, ':');
    size_t address = close == NULL ? 0 : (size_t)(close - value - 1);
    text_escape_str(shown, sizeof shown, value);
    if (close == NULL)
        return err_set(err, 0, "'%s' has no ']'", shown);
    if (memchr(value, '/', address) != NULL)
        return err_set(err, 0, "'%s': the prefix comes after the ']', as in [2001:db8::]/32:443",
                       shown);
    if (close[1] != '/' && close[1] != ':' && close[1] != '\0')
        return err_set(err, 0, "'%s': after the ']' come '/' and a prefix, or ':' and ports",
                       shown);
    if (colon == NULL)
        return no_ports(value, err);
    int n = snprintf(out->network, sizeof out->network, "%.*s%.*s", (int)address, value + 1,
                     (int)(colon - close - 1), close + 1);
    if (n < 0 || (size_t)n >= sizeof out->network)
        return err_set(err, 0, "'%s' is too long", shown);
    out->brackets = true;
    out->ports = colon + 1;
    return 0;
}

static int split(const char *value, struct parts *out, struct err *err)
{
    char shown[SHOWN];
    text_escape_str(shown, sizeof shown, value);
    if (value[0] == '[')
        return split_brackets(value, out, err);
    const char *colon = strchr(value, ':');
    if (colon == NULL)
        return no_ports(value, err);
    if (strchr(colon + 1, ':') != NULL && !is_host_name(value))
        return err_set(err, 0,
                       "'%s': an IPv6 address stands in brackets, as in [2001:db8::7]:443 or "
                       "[2001:db8::]/32:443",
                       shown);
    int n = snprintf(out->network, sizeof out->network, "%.*s", (int)(colon - value), value);
    if (n < 0 || (size_t)n >= sizeof out->network)
        return err_set(err, 0, "'%s' is too long", shown);
    out->brackets = false;
    out->ports = colon + 1;
    return 0;
}

static int parse_network(const struct parts *parts, struct egress_rule *out, struct err *err)
{
    char shown[SHOWN];
    text_escape_str(shown, sizeof shown, parts->network);
    if (is_host_name(parts->network))
        return err_set(err, 0,
                       "'%s' is a name: rules are kept by the kernel, which knows addresses, and "
                       "what a name leads to may change; 'getent ahosts' shows the addresses",
                       shown);
    if (address_network(parts->network, strlen(parts->network), out->net, &out->prefix, err) < 0)
        return -1;
    if (parts->brackets && strchr(parts->network, ':') == NULL)
        return err_set(err, 0, "'[%s]' is IPv4: leave the brackets out", shown);
    /* The kernel takes them for this host's loopback address, which has one of its own. */
    if (egress_is_within(out->net, egress_ranges[0].net, egress_ranges[0].prefix) &&
        out->prefix >= egress_ranges[0].prefix)
        return err_set(err, 0, "'%s' is no address to connect to; this host is 127.0.0.1", shown);
    static const unsigned char unspecified[16];
    if (memcmp(out->net, unspecified, sizeof unspecified) == 0 && out->prefix == 128)
        return err_set(err, 0, "'%s' is no address to connect to; this host is [::1]", shown);
    return 0;
}

static int parse_port(const char *text, size_t len, uint16_t *out, struct err *err)
{
    char copy[PORTS_TEXT_MAX];
    uint64_t port = 0;
    (void)snprintf(copy, sizeof copy, "%.*s", (int)len, text);
    if (value_uint(copy, 1, UINT16_MAX, &port, err) < 0)
        return err_wrap(err, "port");
    *out = (uint16_t)port;
    return 0;
}

static int parse_ports(const char *ports, struct egress_rule *out, struct err *err)
{
    char shown[SHOWN];
    size_t len = strlen(ports), first = strcspn(ports, "-");
    out->first = 0;
    out->last = UINT16_MAX;
    if (strcmp(ports, "*") == 0)
        return 0;
    if (len >= PORTS_TEXT_MAX || strspn(ports, "0123456789-") != len)
        return err_set(err, 0, "ports '%s' are none of: PORT, FIRST-LAST, *",
                       text_escape_str(shown, sizeof shown, ports));
    if (parse_port(ports, first, &out->first, err) < 0)
        return -1;
    out->last = out->first;
    if (ports[first] == '\0')
        return 0;
    if (parse_port(ports + first + 1, len - first - 1, &out->last, err) < 0)
        return -1;
    return out->first <= out->last ? 0
                                   : err_set(err, 0, "ports '%s' begin with the higher one", ports);
}

int connect_rule_parse(struct pool *pool, const char *value, const struct origin *at,
                       struct egress_rule *out, struct err *err)
{
    struct parts parts = {.ports = ""};
    *out = (struct egress_rule){.file = at->file, .line = at->line};
    if (split(take_protocol(value, &out->protocols), &parts, err) < 0 ||
        parse_network(&parts, out, err) < 0 || parse_ports(parts.ports, out, err) < 0)
        return -1;
    out->text = pool_strdup(pool, value);
    return out->text == NULL ? err_no_memory(err) : 0;
}

int connect_rules_add(struct pool *pool, struct egress_rule **rules, size_t *n, const char *value,
                      const struct origin *at, struct err *err)
{
    struct egress_rule rule;
    if (value[0] == '\0') {
        *rules = NULL;
        *n = 0;
        return 0;
    }
    if (*n == EGRESS_RULES_MAX)
        return err_set(err, 0, "more than %d connect rules; wider networks take fewer",
                       EGRESS_RULES_MAX);
    if (connect_rule_parse(pool, value, at, &rule, err) < 0)
        return -1;
    return pool_push(pool, (void *)rules, n, &rule, sizeof rule) < 0 ? err_no_memory(err) : 0;
}

static bool has_own(const struct ini_section *section, const char *key)
{
    for (size_t i = 0; i < section->n_entries; i++)
        if (strcmp(section->entries[i].key, key) == 0)
            return true;
    return false;
}

void connect_rules_judge(struct loader *l, const struct sandbox_spec *spec,
                         const struct ini_section *section)
{
    if (spec->n_connects == 0 || spec->network == NETWORK_EGRESS)
        return;
    /* What is inherited and switched off as a whole needs no word. */
    const struct egress_rule *rule = &spec->connects[spec->n_connects - 1];
    bool own = has_own(section, "connect");
    struct origin at = sandbox_place(spec, "network", 0);
    if (spec->network != NETWORK_HOST && own)
        diag_warn(l->diags, rule->file, rule->line, "network = egress puts it in force",
                  "connect has no effect with network = %s",
                  spec->network == NETWORK_NONE ? "none" : "loopback");
    else if (spec->network == NETWORK_HOST && (own || has_own(section, "network")))
        diag_add(l->diags, at.file, at.line, "network = egress does; 'connect =' empties the list",
                 "network = host does not keep to the list of 'connect' (%s:%u)", rule->file,
                 rule->line);
}
