#include "key_file.h"
#include "base64.h"
#include "certificate.h"
#include "diag.h"
#include "key_blob.h"
#include "key_options.h"

#include <stdio.h>
#include <string.h>

static void skip_blanks(struct key_cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static size_t word_len(const struct key_cursor *c)
{
    size_t n = 0;
    while (c->at + n < c->end && c->at[n] != ' ' && c->at[n] != '\t')
        n++;
    return n;
}

static int check_line(const char *line, size_t len, struct err *err)
{
    if (len > KEY_LINE_MAX)
        return err_set(err, 0, "line is longer than %d bytes", KEY_LINE_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c == '\r' && i + 1 == len)
            return err_set(err, 0, "line ends in a carriage return");
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return err_set(err, 0, "control character 0x%02x at column %zu", c, i + 1);
    }
    return 0;
}

static int take_type(struct key_cursor *c, struct policy_key *key, struct err *err)
{
    skip_blanks(c);
    size_t len = word_len(c);
    if (len == 0)
        return err_set(err, 0, "no key after the options");
    if (key_type_check(c->at, len, err) < 0)
        return -1;
    key->type = pool_strndup(c->pool, c->at, len);
    c->at += len;
    return key->type == NULL ? err_no_memory(err) : 0;
}

static int decode_blob(struct key_cursor *c, struct policy_key *key, size_t max, struct err *err)
{
    skip_blanks(c);
    size_t len = word_len(c);
    if (len == 0)
        return err_set(err, 0, "no key after '%s'", key->type);
    if (len / 4 * 3 > max)
        return err_set(err, 0, "key is longer than %zu bytes", max);
    size_t cap = len / 4 * 3 + 3;
    key->blob = pool_bytes(c->pool, cap);
    if (key->blob == NULL)
        return err_no_memory(err);
    if (base64_decode(c->at, len, key->blob, cap, &key->blob_len) < 0)
        return err_set(err, 0, "the key is not valid base64");
    c->at += len;
    return 0;
}

static int take_blob(struct key_cursor *c, struct policy_key *key, struct err *err)
{
    if (decode_blob(c, key, KEY_BLOB_MAX, err) < 0)
        return -1;
    return key_blob_check(key->type, key->blob, key->blob_len, err);
}

static int take_comment(struct key_cursor *c, struct policy_key *key, struct err *err)
{
    skip_blanks(c);
    const char *end = c->end;
    while (end > c->at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)(end - c->at);
    if (len > KEY_COMMENT_MAX)
        return err_set(err, 0, "comment is longer than %d bytes", KEY_COMMENT_MAX);
    key->comment = pool_strndup(c->pool, c->at, len);
    return key->comment == NULL ? err_no_memory(err) : 0;
}

int policy_fingerprint(const struct policy_host *host, const unsigned char *blob, size_t blob_len,
                       char out[KEY_FINGERPRINT_MAX])
{
    static const char prefix[] = "SHA256:";
    enum { PREFIX = sizeof prefix - 1 };
    unsigned char digest[32];
    if (host->sha256(blob, blob_len, digest) < 0)
        return -1;
    memcpy(out, prefix, PREFIX);
    base64_encode_unpadded(digest, sizeof digest, out + PREFIX, KEY_FINGERPRINT_MAX - PREFIX);
    return 0;
}

static int set_fingerprint(const struct policy_host *host, struct policy_key *key, struct err *err)
{
    if (policy_fingerprint(host, key->blob, key->blob_len, key->fingerprint) < 0)
        return err_set(err, 0, "SHA-256 failed");
    return 0;
}

/* Nothing that a line asks for may be without effect. */
static int check_security(struct key_cursor *c, const struct policy_key *key, struct err *err)
{
    if ((!key->untouched && !key->verified) ||
        (is_security_key_type(key->type) && !key->is_authority))
        return 0;
    (void)snprintf(c->hint, sizeof c->hint, "take it out, or use a key of a type sk-...");
    return err_set(err, 0, "%s is only for a security key",
                   key->untouched ? "no-touch-required" : "verify-required");
}

static int parse_line(struct key_cursor *c, const struct policy_host *host, struct policy_key *key,
                      struct err *err)
{
    if (check_line(c->at, (size_t)(c->end - c->at), err) < 0)
        return -1;
    skip_blanks(c);
    if (c->at == c->end || *c->at == '#')
        return 0;
    if (!is_key_type(c->at, word_len(c)) && key_options_parse(c, key, err) < 0)
        return -1;
    if (take_type(c, key, err) < 0 || check_security(c, key, err) < 0 ||
        take_blob(c, key, err) < 0 || take_comment(c, key, err) < 0 ||
        set_fingerprint(host, key, err) < 0)
        return -1;
    return 1;
}

int key_line_parse(struct pool *pool, const struct policy_host *host, const char *line, size_t len,
                   struct policy_key *out, struct err *err)
{
    struct key_cursor c = {.pool = pool, .at = line, .end = line + len};
    return parse_line(&c, host, out, err);
}

int key_offer_parse(struct pool *pool, const char *line, size_t len, unsigned char **blob,
                    size_t *blob_len, struct err *err)
{
    struct key_cursor c = {.pool = pool, .at = line, .end = line + len};
    struct certificate certificate;
    skip_blanks(&c);
    const char *type = c.at;
    size_t type_len = word_len(&c);
    bool certified = is_certificate_type(type, type_len);
    if (!certified && key_type_check(type, type_len, err) < 0)
        return -1;
    c.at += type_len;
    struct policy_key key = {.type = pool_strndup(pool, type, type_len)};
    if (key.type == NULL)
        return err_no_memory(err);
    if (decode_blob(&c, &key, certified ? CERTIFICATE_MAX : KEY_BLOB_MAX, err) < 0)
        return -1;
    int rc = certified ? certificate_parse(key.blob, key.blob_len, &certificate, err)
                       : key_blob_check(key.type, key.blob, key.blob_len, err);
    *blob = key.blob;
    *blob_len = key.blob_len;
    return rc;
}

static bool holds(const char *data, size_t len, const char *mark)
{
    return len > 0 && memmem(data, len, mark, strlen(mark)) != NULL;
}

bool key_text_is_private(const char *data, size_t len)
{
    return (holds(data, len, "-----BEGIN ") && holds(data, len, "PRIVATE KEY-----")) ||
           holds(data, len, "PuTTY-User-Key-File-");
}

/* The keys grow in a pool of their own, so that none of it is left behind in `pool`. */
static int parse_lines(struct pool *pool, struct pool *growing, const struct policy_host *host,
                       const char *file, const char *data, size_t len, struct key_file *out,
                       struct diags *diags)
{
    unsigned number = 0;
    bool told_crlf = false;
    for (size_t pos = 0; pos < len;) {
        const char *line = data + pos;
        const char *newline = memchr(line, '\n', len - pos);
        size_t line_len = newline == NULL ? len - pos : (size_t)(newline - line);
        pos += line_len + 1;
        number++;
        if (line_len > 0 && line[line_len - 1] == '\r') {
            if (!told_crlf)
                diag_add(diags, file, number, NULL,
                         "line ends are CRLF; convert with: sed -i 's/\\r$//' %s", file);
            told_crlf = true;
            line_len--;
        }
        struct policy_key key = {.origin = {file, number}};
        struct err err = {0};
        struct key_cursor c = {.pool = pool, .at = line, .end = line + line_len};
        int rc = parse_line(&c, host, &key, &err);
        if (rc < 0)
            diag_add(diags, file, number, c.hint, "%s", err.text);
        if (rc == 1 && pool_push(growing, (void *)&out->keys, &out->n, &key, sizeof key) < 0)
            return -1;
    }
    return 0;
}

int key_file_parse(struct pool *pool, const struct policy_host *host, const char *file,
                   const char *data, size_t len, struct key_file *out, struct diags *diags)
{
    struct key_file grown = {0};
    struct pool growing = {0};
    *out = (struct key_file){0};
    if (holds(data, len, "---- BEGIN SSH2 PUBLIC KEY")) {
        diag_add(diags, file, 1, "convert it: ssh-keygen -i -f FILE",
                 "this key is in the format of RFC 4716, not of OpenSSH");
        return 0;
    }
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        diag_add(diags, file, 1, "save the file as plain text",
                 "the file begins with a byte order mark");
        data += 3;
        len -= 3;
    }
    if (key_text_is_private(data, len)) {
        diag_add(diags, file, 1, NULL, "this is a private key: the public one (.pub) belongs here");
        return 0;
    }
    int rc = parse_lines(pool, &growing, host, file, data, len, &grown, diags);
    out->keys = rc < 0 ? NULL : pool_alloc(pool, grown.n * sizeof *grown.keys);
    if (out->keys == NULL) {
        rc = -1;
    } else if (grown.n > 0) {
        memcpy(out->keys, grown.keys, grown.n * sizeof *grown.keys);
        out->n = grown.n;
    }
    pool_free(&growing);
    return rc;
}
