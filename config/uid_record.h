/*
 * uid_record.h - which uid belongs to which tenant, as the server writes it down beside the policy
 * (state-dir in postern.ini(5)), so that no uid is ever another tenant's while it stands there.
 *
 *     # comments
 *     uids 1
 *     auto 1879048193 acme       the one that was found for acme; at most one line a name
 *     fixed 5000 build           one that the policy named; any number
 *     end
 *
 * Every uid stands there once. Lines stay when a tenant goes: its files may be left. Pure; the
 * master alone writes the file (uid_file.h), and a person may take lines out.
 */
#ifndef POSTERN_CONFIG_UID_RECORD_H
#define POSTERN_CONFIG_UID_RECORD_H

#include "policy.h"
#include "pool.h"
#include "strmap.h"

#define UID_RECORD_NAME "uids"

enum { UID_RECORD_SIZE_MAX = 16 << 20 };

/* All zeroes is an empty record; pool_free(&record->pool) ends it. */
struct uid_record {
    struct uid_claim *claims; /* in the order of the file */
    size_t n;
    struct strmap by_uid; /* decimal → index */
    struct strmap autos;  /* name → index */
    struct pool pool;
};

/*
 * Reads a whole file into an empty record. -1 with err, and *line to blame (0: the file as a
 * whole); err->num is ENOMEM if memory ran out.
 */
int uid_record_read(struct uid_record *record, const char *data, size_t len, unsigned *line,
                    struct err *err);

/* The claim that holds this uid, or the one that was found for the name; NULL: nobody's. */
const struct uid_claim *uid_record_by_uid(const struct uid_record *record, uid_t uid);
const struct uid_claim *uid_record_by_name(const struct uid_record *record, const char *name);

/*
 * Adds a claim, of which the name is copied. One that stands there already, or whose uid the same
 * name has, is no change. -1 with err if the uid is another name's, or a second would be found for
 * this one.
 */
int uid_record_add(struct uid_record *record, const struct uid_claim *claim, struct err *err);

/* The file's bytes, malloc()ed; NULL if memory ran out. */
char *uid_record_format(const struct uid_record *record, size_t *len);

#endif
