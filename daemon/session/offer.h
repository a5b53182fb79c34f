/*
 * offer.h - what a session offers its peers: algorithms, banner, host keys.
 */
#ifndef POSTERN_DAEMON_SESSION_OFFER_H
#define POSTERN_DAEMON_SESSION_OFFER_H

#include "messages.h"

#include <libssh/server.h>

/* As the configuration says; the zygote makes it, its sessions use it. */
struct offer {
    ssh_bind bind; /* has every list; the caller adds keys (keys.h) */
    uint64_t rekey_bytes;
    uint32_t rekey_seconds; /* 0: no limit, as for the bytes */
    bool compression;
    char user_keys[IPC_ALGORITHMS_MAX + 1]; /* algorithms of users' signatures */
    ssh_string banner;                      /* NULL: none */
};

/* Returns 0, or -1 with err: libssh lacks an algorithm, or memory ran out. */
int offer_make(struct offer *offer, const struct msg_evt_setup *setup, struct err *err);

/* A session for the one connection of this process. NULL with err. */
ssh_session offer_session(const struct offer *offer, struct err *err);
/* Its connection: fd, which is libssh's from then on. It begins with this version. Returns 0, or -1
 * with err. */
int offer_connect(const struct offer *offer, ssh_session session, int fd, const char *version,
                  struct err *err);

/* Whether users' signatures may be by this algorithm. */
bool offer_accepts(const struct offer *offer, const char *algorithm);

/* Tells the client what it is to read before it logs in (RFC 4252 §5.4); at most once, before its
 * first authentication request is answered. */
void offer_send_banner(const struct offer *offer, ssh_session session);

#endif
