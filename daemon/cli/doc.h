/*
 * doc.h - the JSON documents that --json prints, built with libjansson.
 *
 * Every document is one object that begins with "v" (its version) and "kind" (the subcommand).
 * Strings are bytes: a byte is the code point of its value, as in the audit trail, so that nothing
 * is lost and nothing is refused. Memory that runs out is noticed when the document is printed.
 */
#ifndef POSTERN_DAEMON_CLI_DOC_H
#define POSTERN_DAEMON_CLI_DOC_H

#include "policy.h"

#include <jansson.h>

enum { DOC_VERSION = 1 };

json_t *doc_new(const char *kind);

/* Members; the value is taken over. `text` NULL and a `number` of UINT64_MAX are null. */
void doc_put(json_t *object, const char *name, json_t *value);
void doc_text(json_t *object, const char *name, const char *text);
void doc_bytes(json_t *object, const char *name, const void *data, size_t len);
void doc_uint(json_t *object, const char *name, uint64_t number);
void doc_bool(json_t *object, const char *name, bool value);
/* Members "file" and "line"; both null if there is no such place. */
void doc_place(json_t *object, const char *file, unsigned line);
/* Seconds since the epoch as "2026-01-02T03:04:05Z". */
void doc_time(json_t *object, const char *name, int64_t seconds);

/* An empty array, or one of the strings of a vector (NULL: null); as a member. */
json_t *doc_array(json_t *object, const char *name);
void doc_vector(json_t *object, const char *name, char *const *vector);
/* Adds an element, which is taken over, and returns it; or a string. */
json_t *doc_push(json_t *array, json_t *value);
void doc_push_text(json_t *array, const char *text);

/* Prints the document to stdout and frees it. Returns an exit status: EX_OK or EX_OSERR. */
int doc_print(json_t *doc);

#endif
