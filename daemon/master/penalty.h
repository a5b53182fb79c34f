/*
 * penalty.h - sources (IPv4 address or IPv6 /64) that are not served for a while.
 *
 * A bounded table: when it is full the entry that ends first gives way.
 */
#ifndef POSTERN_DAEMON_MASTER_PENALTY_H
#define POSTERN_DAEMON_MASTER_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { PENALTIES_MAX = 1024, PENALTY_FIRST_MS = 10000, PENALTY_LONGEST_MS = 600000 };

struct penalty {
    unsigned char source[16]; /* IPv6 or v4-mapped, masked */
    uint64_t until_ms;        /* on the caller's clock; a free slot has 0 */
    uint64_t length_ms;
};

struct penalties {
    struct penalty items[PENALTIES_MAX];
};

/*
 * Starts a penalty, or lengthens the one that runs: 10 s, doubling up to 10 min. Returns its length
 * in milliseconds; 0 for a source that gets none: 127.0.0.1 and ::1, which are this host itself or
 * a proxy in front of everybody, and address families other than IPv4 and IPv6.
 */
uint64_t penalty_add(struct penalties *penalties, const struct sockaddr *source, uint64_t now_ms);

bool penalty_applies(const struct penalties *penalties, const struct sockaddr *source,
                     uint64_t now_ms);

#endif
