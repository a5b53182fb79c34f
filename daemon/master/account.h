/*
 * account.h - what an exec has used, and what it was allowed to: for the audit's record of its end,
 * and as a receipt for its client (postern(7) names the members).
 */
#ifndef POSTERN_DAEMON_MASTER_ACCOUNT_H
#define POSTERN_DAEMON_MASTER_ACCOUNT_H

#include "audit.h"
#include "json.h"

enum { RECEIPT_VERSION = 1 };

/* Adds how it ended, what it used and its limits. */
void account_put(struct json *json, const struct audit_end *end);

/* Counts it for monitoring. */
void account_count(struct server *server, const struct audit_end *end);

/*
 * The receipt as messages carry it: "postern: receipt: {…", to which the session adds the bytes
 * that it has carried and the closing brace. Written to buf[IPC_RECEIPT_MAX + 1], which is
 * returned; "" if it doesn't fit, which its bounded members can't bring about.
 */
char *account_receipt(const struct audit_end *end, char *buf);

#endif
