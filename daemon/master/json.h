/*
 * json.h - writing one JSON object as one line (RFC 8259), for the audit trail and
 * its like.
 */
#ifndef POSTERN_DAEMON_MASTER_JSON_H
#define POSTERN_DAEMON_MASTER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_VALUE_MAX = 65536, /* bytes of one value before it is escaped */
    /* Room for one longest value of nothing but escapes, and the rest. */
    JSON_LINE_MAX = 6 * JSON_VALUE_MAX + 16384,
};

/* Start with {0}; members after one that didn't fit are left out and "truncated":true is added. */
struct json {
    char buf[JSON_LINE_MAX];
    size_t len;
    int full;
    unsigned depth; /* of objects that are open */
};

/*
 * Bytes as a string: what isn't printable ASCII becomes \u00XX (a byte's value, also for bytes
 * over 0x7e, so that any input is valid JSON and one line). Cut at JSON_VALUE_MAX bytes, ending in
 * "...".
 */
void json_bytes(struct json *json, const char *name, const void *data, size_t len);
void json_str(struct json *json, const char *name, const char *value); /* NULL: null */
/* A member that is an object: what is put between the two is in it. */
void json_open(struct json *json, const char *name);
void json_close(struct json *json);
/* An array of strings. */
void json_texts(struct json *json, const char *name, const char *const *values, size_t n);
void json_bool(struct json *json, const char *name, bool value);
void json_uint(struct json *json, const char *name, uint64_t value);

/* Closes the object and adds a newline; returns the line's length. */
size_t json_end(struct json *json);

#endif
