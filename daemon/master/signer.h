/*
 * signer.h - the process that holds the private host keys (signer_main.h), as the master sees it.
 *
 * A generation has one, for the keys of its [server]; connections and zygotes that began with it
 * keep it. The master itself never reads a key: it opens the files and passes them on.
 */
#ifndef POSTERN_DAEMON_MASTER_SIGNER_H
#define POSTERN_DAEMON_MASTER_SIGNER_H

#include "generation.h"

struct signer;
struct state;

/* The generation's signer, held for the caller; it is started if there is none. NULL with err (and
 * a sysexits code) on failure. */
struct signer *signer_of(struct generation *generation, struct err *err);

struct signer *signer_ref(struct signer *signer);
/* It ends when nobody holds it any more. `signer` may be NULL. */
void signer_unref(struct signer *signer);

/* All of them (state.h), which the caller holds until signer_release_restored(); then each that
 * holds one. */
void signer_carry_all(struct state *state, struct server *server);
void signer_release_restored(struct server *server);
void signer_carry(struct state *state, struct server *server, struct signer **held);
/* No signer that has its keys has a request unanswered. */
bool signer_all_quiet(const struct server *server);

/* Whether it has read its keys and still lives. */
bool signer_is_ready(const struct signer *signer);

/* The public keys, as in EVT_SETUP; of one that was ready once. */
struct wire_bytes signer_host_keys(const struct signer *signer);

/* Public key number `number` of them; empty if there is none. */
struct wire_bytes signer_host_key(const struct signer *signer, uint32_t number);

/*
 * Has this signed for a connection; broker_on_signed() gets the answer, unless the
 * connection is gone by then. Returns 0, or -1 with err.
 */
int signer_ask(struct signer *signer, const struct msg_req_sign_for *req, struct err *err);

#endif
