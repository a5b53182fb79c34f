/*
 * journal.h - records of the audit trail as entries of systemd's journal, by its native protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
 *
 * Each member of a record is a field POSTERN_NAME; MESSAGE, MESSAGE_ID and PRIORITY are those of
 * its event. Nothing is ever waited for.
 */
#ifndef POSTERN_DAEMON_MASTER_JOURNAL_H
#define POSTERN_DAEMON_MASTER_JOURNAL_H

#include "audit_event.h"
#include "err.h"

#include <stddef.h>

/* A socket for journal_send(), once it is known that somebody listens. Returns it, or -1 with err.
 */
int journal_open(struct err *err);

/*
 * The entry of a record, which is `line`, as json.h writes it. Returns memory for free() with its
 * length in *len; NULL if there is none, or it is no such line.
 */
char *journal_encode(enum audit_event event, const char *line, size_t line_len, size_t *len);

/* Sends an entry to where journald listens now, whoever has started it meanwhile; one that is too
 * long for a datagram as a sealed memfd. Returns 0, or -1 with errno. */
int journal_send(int fd, const char *entry, size_t len);

#endif
