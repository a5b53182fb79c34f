#include "wire.h"

#include <stdlib.h>
#include <string.h>

enum { GROW_FIRST = 4096 };

static void grow(struct wire_writer *w, size_t n)
{
    size_t cap = w->cap > 0 ? w->cap : GROW_FIRST;
    while (cap - w->len < n && cap <= SIZE_MAX / 2)
        cap *= 2;
    unsigned char *buf = cap - w->len < n ? NULL : realloc(w->buf, cap);
    if (buf == NULL)
        return;
    w->buf = buf;
    w->cap = cap;
}

static unsigned char *reserve(struct wire_writer *w, size_t n)
{
    if (w->grows && !w->overflow && n > w->cap - w->len)
        grow(w, n);
    if (w->overflow || n > w->cap - w->len) {
        w->overflow = true;
        return NULL;
    }
    unsigned char *at = w->buf + w->len;
    w->len += n;
    return at;
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
    unsigned char *at = reserve(w, 1);
    if (at != NULL)
        at[0] = v;
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
    unsigned char *at = reserve(w, 4);
    for (int i = 0; at != NULL && i < 4; i++)
        at[i] = (unsigned char)(v >> (24 - 8 * i));
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
    wire_put_u32(w, (uint32_t)(v >> 32));
    wire_put_u32(w, (uint32_t)v);
}

static void put_raw(struct wire_writer *w, const void *data, size_t len)
{
    unsigned char *at = reserve(w, len);
    if (at != NULL && len > 0)
        memcpy(at, data, len);
}

void wire_put_str(struct wire_writer *w, const char *s)
{
    if (s == NULL)
        s = "";
    size_t len = strlen(s);
    if (len > UINT32_MAX) {
        w->overflow = true;
        return;
    }
    wire_put_u32(w, (uint32_t)len);
    put_raw(w, s, len + 1);
}

void wire_put_bytes(struct wire_writer *w, struct wire_bytes b)
{
    if (b.len > UINT32_MAX) {
        w->overflow = true;
        return;
    }
    wire_put_u32(w, (uint32_t)b.len);
    put_raw(w, b.data, b.len);
}

void wire_put_strv(struct wire_writer *w, struct wire_strv v)
{
    wire_put_u32(w, v.count);
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)v.data, v.len});
}

static const unsigned char *take(struct wire_reader *r, size_t n)
{
    if (r->bad || n > r->len - r->pos) {
        r->bad = true;
        return NULL;
    }
    const unsigned char *at = r->buf + r->pos;
    r->pos += n;
    return at;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    const unsigned char *at = take(r, 1);
    return at != NULL ? at[0] : 0;
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    const unsigned char *at = take(r, 4);
    uint32_t v = 0;
    for (int i = 0; at != NULL && i < 4; i++)
        v = v << 8 | at[i];
    return v;
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    uint64_t high = wire_get_u32(r);
    return high << 32 | wire_get_u32(r);
}

const char *wire_get_str(struct wire_reader *r, size_t max)
{
    uint32_t len = wire_get_u32(r);
    if (len > max) {
        r->bad = true;
        return "";
    }
    const unsigned char *at = take(r, (size_t)len + 1);
    if (at == NULL)
        return "";
    if (memchr(at, '\0', (size_t)len + 1) != at + len) {
        r->bad = true;
        return "";
    }
    return (const char *)at;
}

struct wire_bytes wire_get_bytes(struct wire_reader *r, size_t max)
{
    uint32_t len = wire_get_u32(r);
    if (len > max) {
        r->bad = true;
        return (struct wire_bytes){0};
    }
    const unsigned char *at = take(r, len);
    if (at == NULL)
        return (struct wire_bytes){0};
    return (struct wire_bytes){at, len};
}

struct wire_strv wire_get_strv(struct wire_reader *r, size_t max)
{
    uint32_t count = wire_get_u32(r);
    struct wire_bytes b = wire_get_bytes(r, max);
    uint32_t seen = 0;
    for (size_t i = 0; i < b.len; i++)
        seen += b.data[i] == '\0';
    if (r->bad || seen != count || (b.len > 0 && b.data[b.len - 1] != '\0')) {
        r->bad = true;
        return (struct wire_strv){0};
    }
    return (struct wire_strv){(const char *)b.data, b.len, count};
}

bool wire_end(const struct wire_reader *r)
{
    return !r->bad && r->pos == r->len;
}

int wire_strv_split(struct wire_strv v, const char **vec, size_t cap)
{
    if (v.count >= cap)
        return -1;
    const char *at = v.data;
    for (uint32_t i = 0; i < v.count; i++) {
        vec[i] = at;
        at += strlen(at) + 1;
    }
    vec[v.count] = NULL;
    return 0;
}

int wire_strv_pack(struct wire_strv *v, const char *const *vec, char *buf, size_t cap)
{
    *v = (struct wire_strv){.data = buf};
    for (; vec != NULL && *vec != NULL; vec++) {
        size_t n = strlen(*vec) + 1;
        if (n > cap - v->len)
            return -1;
        memcpy(buf + v->len, *vec, n);
        v->len += n;
        v->count++;
    }
    return 0;
}
