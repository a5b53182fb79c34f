/*
 * record.h - one line of the audit trail, read back: the question that was judged and the answer.
 */
#ifndef POSTERN_DAEMON_CLI_RECORD_H
#define POSTERN_DAEMON_CLI_RECORD_H

#include "policy.h"

#include <jansson.h>

enum record_kind {
    RECORD_START,     /* a decision; the record is filled */
    RECORD_OTHER,     /* logins, ends, reloads */
    RECORD_MALFORMED, /* no record: cut short by a full disk, or no audit trail */
    RECORD_SKIPPED,   /* a decision that can't be judged again, for one of these reasons: */
};

/* X(id, name in JSON, what is said of it) */
#define RECORD_SKIPS(X)                                                                            \
    X(CUT, "command_cut", "the command is longer than the trail shows")                            \
    X(INCOMPLETE, "incomplete", "the record is incomplete")                                        \
    X(LIMIT, "limit", "refused for a limit, not by a rule")                                        \
    X(LOGIN, "login", "refused with its login, whose key the trail doesn't hold")                  \
    X(CERTIFICATE, "certificate", "the login was by a certificate, which the trail doesn't hold")  \
    X(VERSION, "version", "the record is of another version")

enum record_skip {
#define X(id, name, text) RECORD_SKIP_##id,
    RECORD_SKIPS(X)
#undef X
        RECORD_SKIPS_N
};

/* Borrows from the line's JSON, see record_free(), and from itself. */
struct record {
    json_t *root;
    int64_t time; /* seconds since the epoch */
    const char *exec;
    const char *user;
    const char *tenant; /* NULL: nobody's */
    const char *key;    /* fingerprint; NULL: no key was asked for */
    const char *client;
    enum exec_kind kind;
    char *command; /* bytes as they were sent, and a NUL */
    size_t command_len;
    bool allowed;
    const char *sandbox; /* NULL where it was denied */
};

/* Any record, for json_decref(); NULL if the line is none. */
json_t *record_load(const char *line, size_t len);

/* The bytes of a string of the trail, which has each as the code point of its value, with a NUL
 * behind them; for free(). Returns 0, or -1 if it is no such string or memory ran out. */
int record_bytes(const json_t *value, char **out, size_t *len);

/* Reads one line. *why is set if it is skipped. record_free() must be called either way. */
enum record_kind record_read(const char *line, size_t len, struct record *out,
                             enum record_skip *why);
void record_free(struct record *record);

#endif
