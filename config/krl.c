#include "krl.h"
#include "diag.h"

#include <stdlib.h>
#include <string.h>

enum {
    FORMAT_VERSION = 1,
    /* Sections of a list. */
    CERTIFICATES = 1,
    KEYS = 2,
    FINGERPRINTS_SHA1 = 3,
    SIGNATURE = 4,
    FINGERPRINTS_SHA256 = 5,
    EXTENSION = 255,
    /* Sections of CERTIFICATES. */
    SERIAL_LIST = 0x20,
    SERIAL_RANGE = 0x21,
    SERIAL_BITMAP = 0x22,
    KEY_ID = 0x23,
    CERTIFICATES_EXTENSION = 0x39,
};

static const unsigned char magic[] = "SSHKRL\n"; /* with its NUL */

struct parser {
    struct pool *pool;
    struct krl *krl;
    struct err *err;
};

/* Reading */

static int damaged(struct parser *p, const char *what)
{
    return err_set(p->err, 0, "the list is damaged: %s", what);
}

static struct wire_bytes get_string(struct wire_reader *r)
{
    return wire_get_bytes(r, r->len);
}

static bool has_more(const struct wire_reader *r)
{
    return !r->bad && r->pos < r->len;
}

static struct wire_reader reader_of(struct wire_bytes bytes)
{
    return (struct wire_reader){.buf = bytes.data, .len = bytes.len};
}

#define PUSH(p, list, item)                                                                        \
    pool_push((p)->pool, (void *)&(p)->krl->list, &(p)->krl->n_##list, &(item), sizeof(item))

static int no_memory(struct parser *p, int rc)
{
    return rc == 0 ? 0 : err_no_memory(p->err);
}

/* Those that say whether they matter. */
static int take_extension(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    (void)get_string(&r);
    bool critical = wire_get_u8(&r) != 0;
    (void)get_string(&r);
    if (!wire_end(&r))
        return damaged(p, "an extension");
    return critical ? err_set(p->err, 0, "the list has an extension that is not understood") : 0;
}

/* Certificates */

static int add_range(struct parser *p, uint64_t low, uint64_t high)
{
    const struct krl_range range = {p->krl->n_authorities - 1, low, high};
    if (low == 0 || low > high)
        return damaged(p, "serial numbers that are none");
    return no_memory(p, PUSH(p, ranges, range));
}

static int take_serials(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    while (has_more(&r)) {
        uint64_t serial = wire_get_u64(&r);
        if (r.bad || add_range(p, serial, serial) < 0)
            return r.bad ? damaged(p, "a list of serial numbers") : -1;
    }
    return 0;
}

static int take_serial_range(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    uint64_t low = wire_get_u64(&r), high = wire_get_u64(&r);
    return wire_end(&r) ? add_range(p, low, high) : damaged(p, "a range of serial numbers");
}

static bool has_bit(const struct wire_bytes *bits, uint64_t n)
{
    return n / 8 < bits->len && (bits->data[bits->len - 1 - n / 8] >> n % 8 & 1) != 0;
}

/* A number of RFC 4251 §5, so a positive one, with leading zeros at will. */
static int take_bitmap(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    struct krl_bitmap bitmap = {.authority = p->krl->n_authorities - 1, .offset = wire_get_u64(&r)};
    bitmap.bits = get_string(&r);
    if (!wire_end(&r) || (bitmap.bits.len > 0 && bitmap.bits.data[0] >= 0x80))
        return damaged(p, "a bitmap of serial numbers");
    for (; bitmap.bits.len > 0 && bitmap.bits.data[0] == 0; bitmap.bits.len--)
        bitmap.bits.data++;
    if (bitmap.bits.len == 0)
        return 0;
    uint64_t most = (uint64_t)bitmap.bits.len * 8 - 1;
    for (; !has_bit(&bitmap.bits, most); most--)
        ;
    if (bitmap.offset + most < most || (bitmap.offset == 0 && has_bit(&bitmap.bits, 0)))
        return damaged(p, "serial numbers that are none");
    return no_memory(p, PUSH(p, bitmaps, bitmap));
}

static int take_ids(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    while (has_more(&r)) {
        const struct krl_id id = {p->krl->n_authorities - 1, get_string(&r)};
        if (r.bad)
            return damaged(p, "a list of key ids");
        if (PUSH(p, ids, id) < 0)
            return err_no_memory(p->err);
    }
    return 0;
}

static int take_of_certificates(struct parser *p, unsigned type, struct wire_bytes data)
{
    switch (type) {
    case SERIAL_LIST:
        return take_serials(p, data);
    case SERIAL_RANGE:
        return take_serial_range(p, data);
    case SERIAL_BITMAP:
        return take_bitmap(p, data);
    case KEY_ID:
        return take_ids(p, data);
    case CERTIFICATES_EXTENSION:
        return take_extension(p, data);
    default:
        return err_set(p->err, 0,
                       "the list revokes certificates in a way that is not understood "
                       "(section 0x%02x)",
                       type);
    }
}

static int take_certificates(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    struct wire_bytes authority = get_string(&r);
    (void)get_string(&r); /* reserved */
    if (r.bad)
        return damaged(p, "an authority");
    if (p->krl->n_authorities == KRL_AUTHORITIES_MAX)
        return err_set(p->err, 0, "the list has more than %d sections of certificates",
                       KRL_AUTHORITIES_MAX);
    if (PUSH(p, authorities, authority) < 0)
        return err_no_memory(p->err);
    while (has_more(&r)) {
        unsigned type = wire_get_u8(&r);
        struct wire_bytes section = get_string(&r);
        if (r.bad)
            return damaged(p, "a section of certificates");
        if (take_of_certificates(p, type, section) < 0)
            return -1;
    }
    return 0;
}

/* Keys */

static int take_keys(struct parser *p, struct wire_bytes data)
{
    struct wire_reader r = reader_of(data);
    while (has_more(&r)) {
        struct wire_bytes key = get_string(&r);
        if (r.bad || key.len == 0)
            return damaged(p, "a key");
        if (PUSH(p, keys, key) < 0)
            return err_no_memory(p->err);
    }
    return 0;
}

static int take_fingerprints(struct parser *p, struct wire_bytes data, size_t size)
{
    struct wire_reader r = reader_of(data);
    while (has_more(&r)) {
        struct wire_bytes digest = get_string(&r);
        if (r.bad || digest.len != size)
            return damaged(p, "a fingerprint");
        if ((size == KRL_SHA1 ? PUSH(p, sha1, digest) : PUSH(p, sha256, digest)) < 0)
            return err_no_memory(p->err);
    }
    return 0;
}

/* All of it */

static int take_section(struct parser *p, unsigned type, struct wire_bytes data)
{
    switch (type) {
    case CERTIFICATES:
        return take_certificates(p, data);
    case KEYS:
        return take_keys(p, data);
    case FINGERPRINTS_SHA1:
        return take_fingerprints(p, data, KRL_SHA1);
    case FINGERPRINTS_SHA256:
        return take_fingerprints(p, data, KRL_SHA256);
    case EXTENSION:
        return take_extension(p, data);
    default:
        return err_set(p->err, 0, "the list has a section that is not understood (%u)", type);
    }
}

/* A signature, of which only another one may follow: its key, and then, without a type, itself. */
static int take_signature(struct parser *p, struct wire_reader *r)
{
    (void)get_string(r);
    return r->bad ? damaged(p, "a signature") : 0;
}

static int take_sections(struct parser *p, struct wire_reader *r)
{
    bool is_signed = false;
    while (has_more(r)) {
        unsigned type = wire_get_u8(r);
        struct wire_bytes data = get_string(r);
        if (r->bad)
            return damaged(p, "it ends too early");
        if (is_signed && type != SIGNATURE)
            return damaged(p, "something follows its signature");
        is_signed = type == SIGNATURE;
        if ((is_signed ? take_signature(p, r) : take_section(p, type, data)) < 0)
            return -1;
    }
    return 0;
}

static int take_header(struct parser *p, struct wire_reader *r)
{
    r->pos = sizeof magic;
    uint32_t format = wire_get_u32(r);
    if (!r->bad && format != FORMAT_VERSION)
        return err_set(p->err, 0, "the list has format %u: only %d is understood", format,
                       FORMAT_VERSION);
    (void)wire_get_u64(r); /* number */
    (void)wire_get_u64(r); /* date */
    uint64_t flags = wire_get_u64(r);
    (void)get_string(r); /* reserved */
    (void)get_string(r); /* comment */
    if (r->bad)
        return damaged(p, "it ends too early");
    return flags == 0 ? 0 : err_set(p->err, 0, "the list has flags that are not understood");
}

/* Looking up */

static int compare_bytes(struct wire_bytes a, struct wire_bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.data, b.data, a.len);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a == b ? 0 : a < b ? -1 : 1;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct krl_range *x = a, *y = b;
    int order = compare_numbers(x->authority, y->authority);
    return order != 0 ? order : compare_numbers(x->low, y->low);
}

static int compare_ids(const void *a, const void *b)
{
    const struct krl_id *x = a, *y = b;
    int order = compare_numbers(x->authority, y->authority);
    return order != 0 ? order : compare_bytes(x->id, y->id);
}

static int compare_digests(const void *a, const void *b)
{
    return compare_bytes(*(const struct wire_bytes *)a, *(const struct wire_bytes *)b);
}

static void sort(void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    if (n > 0)
        qsort(items, n, size, compare);
}

/* Sorted, those that overlap made one. */
static void merge_ranges(struct krl *krl)
{
    size_t n = 0;
    sort(krl->ranges, krl->n_ranges, sizeof *krl->ranges, compare_ranges);
    for (size_t i = 0; i < krl->n_ranges; i++) {
        const struct krl_range *range = &krl->ranges[i];
        struct krl_range *last = n > 0 ? &krl->ranges[n - 1] : NULL;
        if (last == NULL || last->authority != range->authority || last->high < range->low)
            krl->ranges[n++] = *range;
        else if (range->high > last->high)
            last->high = range->high;
    }
    krl->n_ranges = n;
}

/* Of a range that holds this serial number; or of none, which lies elsewhere. */
static int compare_serial(const void *key, const void *item)
{
    const struct krl_range *serial = key, *range = item;
    int order = compare_numbers(serial->authority, range->authority);
    if (order != 0)
        return order;
    return serial->low < range->low ? -1 : serial->low > range->high;
}

static bool has_serial(const struct krl *krl, size_t authority, uint64_t serial)
{
    const struct krl_range key = {.authority = authority, .low = serial};
    if (serial == 0)
        return false;
    if (krl->n_ranges > 0 &&
        bsearch(&key, krl->ranges, krl->n_ranges, sizeof key, compare_serial) != NULL)
        return true;
    for (size_t i = 0; i < krl->n_bitmaps; i++) {
        const struct krl_bitmap *b = &krl->bitmaps[i];
        if (b->authority == authority && serial >= b->offset &&
            has_bit(&b->bits, serial - b->offset))
            return true;
    }
    return false;
}

bool is_krl(const void *data, size_t len)
{
    return len >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

int krl_parse(struct pool *pool, const unsigned char *data, size_t len, struct krl *out,
              struct err *err)
{
    struct parser p = {.pool = pool, .krl = out, .err = err};
    struct wire_reader r = {.buf = data, .len = len};
    *out = (struct krl){0};
    if (!is_krl(data, len))
        return err_set(err, 0, "this is no key revocation list");
    if (take_header(&p, &r) < 0 || take_sections(&p, &r) < 0)
        return -1;
    merge_ranges(out);
    sort(out->ids, out->n_ids, sizeof *out->ids, compare_ids);
    sort(out->sha1, out->n_sha1, sizeof *out->sha1, compare_digests);
    return 0;
}

bool krl_has_certificate(const struct krl *krl, const struct certificate *certificate)
{
    for (size_t i = 0; i < krl->n_authorities; i++) {
        const struct wire_bytes *authority = &krl->authorities[i];
        const struct krl_id id = {i, certificate->key_id};
        if (authority->len > 0 && compare_bytes(*authority, certificate->authority) != 0)
            continue;
        if (has_serial(krl, i, certificate->serial) ||
            (krl->n_ids > 0 && bsearch(&id, krl->ids, krl->n_ids, sizeof id, compare_ids) != NULL))
            return true;
    }
    return false;
}

bool krl_has_sha1(const struct krl *krl, const unsigned char digest[KRL_SHA1])
{
    const struct wire_bytes key = {digest, KRL_SHA1};
    return krl->n_sha1 > 0 &&
           bsearch(&key, krl->sha1, krl->n_sha1, sizeof key, compare_digests) != NULL;
}
