/*
 * uid_sources.h - what has to be known before a tenant gets a uid: who has which already. Private
 * to the loading of a policy.
 */
#ifndef POSTERN_CONFIG_UID_SOURCES_H
#define POSTERN_CONFIG_UID_SOURCES_H

#include "accounts.h"
#include "loader.h"
#include "uid_record.h"

/* An account of the server's own: what runs as it is not to be in a tenant's reach. */
struct own_account {
    const char *key; /* of [server], that names it */
    uid_t uid;
};

struct uid_sources {
    const char *path; /* of the record */
    struct uid_record record;
    struct accounts accounts; /* of this host */
    struct own_account own[2];
    size_t n_own;
};

/*
 * Reads them; what is wrong goes to l->diags. A record that can't be trusted or understood is an
 * error; one that this user may not read is a warning, and empty. -1: no memory. Free either way.
 */
int uid_sources_read(struct loader *l, struct uid_sources *out);
void uid_sources_free(struct uid_sources *sources);

const struct own_account *uid_sources_own(const struct uid_sources *sources, uid_t uid);

#endif
