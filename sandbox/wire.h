/*
 * wire.h - typed cursor codecs for messages between our own processes.
 *
 * Integers are big-endian; bytes and strings carry a u32 length; a string is followed by a NUL that
 * the reader checks, so that a view into the datagram is a C string. Errors are sticky: read all
 * fields, then ask wire_end() once. A reader never allocates; views live as long as the datagram.
 */
#ifndef POSTERN_SANDBOX_WIRE_H
#define POSTERN_SANDBOX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_bytes {
    const unsigned char *data;
    size_t len;
};

/* `count` strings, each NUL-terminated, one after another in `data`. */
struct wire_strv {
    const char *data;
    size_t len;
    uint32_t count;
};

/* With `grows` the buffer is malloc()ed, or NULL, and the caller's to free(); `cap` is its size. */
struct wire_writer {
    unsigned char *buf;
    size_t cap;
    size_t len;
    bool overflow;
    bool grows;
};

struct wire_reader {
    const unsigned char *buf;
    size_t len;
    size_t pos;
    bool bad;
};

void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_str(struct wire_writer *w, const char *s); /* NULL is written as "" */
void wire_put_bytes(struct wire_writer *w, struct wire_bytes b);
void wire_put_strv(struct wire_writer *w, struct wire_strv v);

uint8_t wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
/* `max` bounds the length in bytes without the NUL; on any fault the value is "" / empty. */
const char *wire_get_str(struct wire_reader *r, size_t max);
struct wire_bytes wire_get_bytes(struct wire_reader *r, size_t max);
struct wire_strv wire_get_strv(struct wire_reader *r, size_t max);

/* True if every read was in bounds and nothing is left over. */
bool wire_end(const struct wire_reader *r);

/*
 * Points vec[0..count-1] at the strings of v and vec[count] at NULL. `cap` is the number of slots
 * in vec, at least count + 1. Returns 0, or -1 if vec is too small.
 */
int wire_strv_split(struct wire_strv v, const char **vec, size_t cap);

/*
 * Packs a NULL-terminated vector into buf. Returns 0, or -1 if it doesn't fit. v->data points at
 * buf.
 */
int wire_strv_pack(struct wire_strv *v, const char *const *vec, char *buf, size_t cap);

#endif
