#include "proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

enum {
    V1_MAX = 107, /* with its CR LF */
    V2_FIXED = 16,
    V2_LOCAL = 0x20, /* version and command */
    V2_PROXY = 0x21,
    V2_UNSPEC = 0x00, /* family and protocol */
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_TCP4_LEN = 12,
    V2_TCP6_LEN = 36,
    TLV_FIXED = 3,
};

static const unsigned char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char v1_signature[] = "PROXY ";

static enum proxy_result bad(struct proxy_header *header, const char *problem)
{
    header->problem = problem;
    return PROXY_BAD;
}

static void set_address(struct sockaddr_storage *out, int family, const void *addr, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
    out->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        memcpy(&in->sin_addr, addr, sizeof in->sin_addr);
        in->sin_port = htons(port);
    } else {
        memcpy(&in6->sin6_addr, addr, sizeof in6->sin6_addr);
        in6->sin6_port = htons(port);
    }
}

/* The next word of a line, a copy with its NUL in word[]; false if there is none, or it is too long
 * for that. */
static bool next_word(const char **at, const char *end, char *word, size_t cap)
{
    size_t len = 0;
    while (*at + len < end && (*at)[len] != ' ')
        len++;
    /* A NUL would hide what follows it. */
    if (len == 0 || len >= cap || memchr(*at, '\0', len) != NULL)
        return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    *at += len;
    return true;
}

static bool skip_space(const char **at, const char *end)
{
    if (*at >= end || **at != ' ')
        return false;
    (*at)++;
    return true;
}

static bool next_address(const char **at, const char *end, int family, void *out)
{
    char word[INET6_ADDRSTRLEN];
    return skip_space(at, end) && next_word(at, end, word, sizeof word) &&
           inet_pton(family, word, out) == 1;
}

static bool next_port(const char **at, const char *end, uint16_t *port)
{
    char word[6];
    unsigned value = 0;
    if (!skip_space(at, end) || !next_word(at, end, word, sizeof word) ||
        (word[0] == '0' && word[1] != '\0'))
        return false;
    for (const char *c = word; *c != '\0'; c++) {
        if (*c < '0' || *c > '9')
            return false;
        value = value * 10 + (unsigned)(*c - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* The words between "PROXY " and the line's end. */
static enum proxy_result parse_words(const char *at, const char *end, struct proxy_header *header)
{
    char protocol[8];
    unsigned char source[16], destination[16];
    uint16_t from, to;
    if (!next_word(&at, end, protocol, sizeof protocol))
        return bad(header, "its protocol is missing");
    if (strcmp(protocol, "UNKNOWN") == 0)
        return PROXY_DONE; /* whatever follows is to be ignored */
    bool v4 = strcmp(protocol, "TCP4") == 0;
    int family = v4 ? AF_INET : AF_INET6;
    if (!v4 && strcmp(protocol, "TCP6") != 0)
        return bad(header, "its protocol is none of TCP4, TCP6 and UNKNOWN");
    if (!next_address(&at, end, family, source) || !next_address(&at, end, family, destination))
        return bad(header, "an address is malformed");
    if (!next_port(&at, end, &from) || !next_port(&at, end, &to) || at != end)
        return bad(header, "a port is malformed");
    set_address(&header->source, family, source, from);
    set_address(&header->destination, family, destination, to);
    header->has_address = true;
    return PROXY_DONE;
}

static enum proxy_result parse_v1(const unsigned char *buf, size_t len, struct proxy_header *header)
{
    size_t limit = len < V1_MAX ? len : V1_MAX;
    const unsigned char *end = memchr(buf, '\n', limit);
    if (end == NULL)
        return len < V1_MAX ? PROXY_MORE : bad(header, "its line is too long");
    if (end[-1] != '\r')
        return bad(header, "its line does not end in CR LF");
    header->len = (size_t)(end - buf) + 1;
    return parse_words((const char *)buf + strlen(v1_signature), (const char *)end - 1, header);
}

/* Type, length and value, one after the other; nothing in them is of use here. */
static bool are_tlvs(const unsigned char *at, size_t len)
{
    while (len > 0) {
        if (len < TLV_FIXED)
            return false;
        size_t value = (size_t)at[1] << 8 | at[2];
        if (value > len - TLV_FIXED)
            return false;
        at += TLV_FIXED + value;
        len -= TLV_FIXED + value;
    }
    return true;
}

static uint16_t read_port(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static enum proxy_result parse_v2_addresses(const unsigned char *at, size_t len, unsigned family,
                                            struct proxy_header *header)
{
    bool v4 = family == V2_TCP4;
    size_t size = v4 ? 4 : 16, whole = v4 ? V2_TCP4_LEN : V2_TCP6_LEN;
    if (!v4 && family != V2_TCP6)
        return bad(header, "its addresses are not of TCP");
    if (len < whole)
        return bad(header, "its addresses are cut short");
    if (!are_tlvs(at + whole, len - whole))
        return bad(header, "what follows its addresses is malformed");
    set_address(&header->source, v4 ? AF_INET : AF_INET6, at, read_port(at + 2 * size));
    set_address(&header->destination, v4 ? AF_INET : AF_INET6, at + size,
                read_port(at + 2 * size + 2));
    header->has_address = true;
    return PROXY_DONE;
}

static enum proxy_result parse_v2(const unsigned char *buf, size_t len, struct proxy_header *header)
{
    if (len > 12 && buf[12] != V2_LOCAL && buf[12] != V2_PROXY)
        return bad(header, buf[12] >> 4 == 2 ? "its command is unknown" : "its version is unknown");
    if (len < V2_FIXED)
        return PROXY_MORE;
    size_t rest = (size_t)buf[14] << 8 | buf[15];
    if (rest > PROXY_HEADER_MAX - V2_FIXED)
        return bad(header, "it is too long");
    if (len - V2_FIXED < rest)
        return PROXY_MORE;
    header->len = V2_FIXED + rest;
    /* Neither has addresses that count; what may be there is to be ignored. */
    if (buf[12] == V2_LOCAL || buf[13] == V2_UNSPEC)
        return PROXY_DONE;
    return parse_v2_addresses(buf + V2_FIXED, rest, buf[13], header);
}

enum proxy_result proxy_header_parse(const unsigned char *buf, size_t len,
                                     struct proxy_header *header)
{
    size_t v1 = strlen(v1_signature), v2 = sizeof v2_signature;
    *header = (struct proxy_header){0};
    if (len == 0)
        return PROXY_MORE;
    if (memcmp(buf, v1_signature, len < v1 ? len : v1) == 0)
        return len < v1 ? PROXY_MORE : parse_v1(buf, len, header);
    if (memcmp(buf, v2_signature, len < v2 ? len : v2) == 0)
        return len < v2 ? PROXY_MORE : parse_v2(buf, len, header);
    return bad(header, "it is no PROXY header");
}
