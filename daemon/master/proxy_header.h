/*
 * proxy_header.h - what a balancer says before the bytes of its client: the PROXY protocol,
 * versions 1 and 2, as HAProxy's proxy-protocol.txt has it.
 *
 * Pure, of fixed size and without memory of its own. It runs in the master, since who the client is
 * decides whether a session is made for it at all; what it reads comes from addresses that the
 * administrator trusts, and from nobody else.
 */
#ifndef POSTERN_DAEMON_MASTER_PROXY_HEADER_H
#define POSTERN_DAEMON_MASTER_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Of version 2, with its TLVs; version 1 has at most 107 bytes. */
enum { PROXY_HEADER_MAX = 1024 };

enum proxy_result {
    PROXY_MORE, /* all of it belongs to a header whose end has not come */
    PROXY_DONE,
    PROXY_BAD,
};

struct proxy_header {
    size_t len;       /* of its bytes */
    bool has_address; /* else it is the balancer itself that speaks: a check of health */
    struct sockaddr_storage source, destination;
    const char *problem; /* of PROXY_BAD; static */
};

/* Looks at the first `len` bytes of a connection; they may be more than the header. */
enum proxy_result proxy_header_parse(const unsigned char *buf, size_t len,
                                     struct proxy_header *header);

#endif
