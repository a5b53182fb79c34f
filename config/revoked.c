#include "revoked.h"
#include "base64.h"
#include "certificate.h"
#include "cleanup.h"
#include "key_file.h"
#include "krl.h"
#include "text.h"

#include <errno.h>
#include <string.h>

#define FINGERPRINT "SHA256:"

enum { DIGEST_TEXT = 43, DIGEST_LEN = 32 };

/* A list of ssh-keygen, but for the keys that its SHA256 fingerprints can be found by. */
struct binary_list {
    struct krl krl;
    struct origin place;
};

struct revoked {
    int (*sha256)(const void *data, size_t len, unsigned char out[DIGEST_LEN]);
    int (*sha1)(const void *data, size_t len, unsigned char out[KRL_SHA1]);
    struct strmap fingerprints; /* to one of: */
    struct origin *places;
    size_t n;
    struct binary_list *lists;
    size_t n_lists;
};

/* What can't be looked up must not pass. */
static const struct origin unknown = {"(its digest could not be made)", 0};

/* 43 characters of base64 without padding, in the one way to write them. */
static bool is_fingerprint(const char *text, size_t len)
{
    char padded[DIGEST_TEXT + 1];
    unsigned char digest[DIGEST_LEN + 1];
    size_t digest_len = 0;
    if (len != strlen(FINGERPRINT) + DIGEST_TEXT)
        return false;
    memcpy(padded, text + strlen(FINGERPRINT), DIGEST_TEXT);
    padded[DIGEST_TEXT] = '=';
    return base64_decode(padded, sizeof padded, digest, sizeof digest, &digest_len) == 0;
}

static int take_fingerprint(const char *line, size_t len, char out[KEY_FINGERPRINT_MAX],
                            struct err *err)
{
    size_t word = 0;
    while (word < len && line[word] != ' ' && line[word] != '\t')
        word++;
    if (!is_fingerprint(line, word))
        return err_set(err, 0, "this is no SHA256 fingerprint, as `ssh-keygen -l` prints it");
    memcpy(out, line, word);
    out[word] = '\0';
    return 0;
}

static int take_key(struct loader *l, const char *line, size_t len, char out[KEY_FINGERPRINT_MAX],
                    struct err *err)
{
    unsigned char *blob;
    size_t blob_len;
    if (key_offer_parse(&l->scratch, line, len, &blob, &blob_len, err) < 0)
        return -1;
    if (is_certificate_blob(blob, blob_len))
        return err_set(err, 0,
                       "this is a certificate: revoke the key that it is for, or its authority");
    if (policy_fingerprint(l->host, blob, blob_len, out) < 0)
        return err_set(err, 0, "SHA-256 failed");
    return 0;
}

/* Returns 1 with a fingerprint, 0 if there is none, -1 with err. */
static int take_line(struct loader *l, const char *line, size_t len, char out[KEY_FINGERPRINT_MAX],
                     struct err *err)
{
    for (; len > 0 && (*line == ' ' || *line == '\t'); len--)
        line++;
    if (len == 0 || *line == '#')
        return 0;
    if (len > KEY_LINE_MAX)
        return err_set(err, 0, "line is longer than %d bytes", KEY_LINE_MAX);
    bool prefixed =
        len > strlen(FINGERPRINT) && memcmp(line, FINGERPRINT, strlen(FINGERPRINT)) == 0;
    int rc = prefixed ? take_fingerprint(line, len, out, err) : take_key(l, line, len, out, err);
    return rc < 0 ? -1 : 1;
}

/* Who is revoked twice is revoked: the first place counts. */
static int add(struct loader *l, const char *fingerprint, const struct origin *at)
{
    struct revoked *revoked = l->policy->revoked;
    size_t other = 0;
    if (strmap_get(&revoked->fingerprints, fingerprint, &other))
        return 0;
    const char *name = pool_strdup(l->pool, fingerprint);
    if (name == NULL || strmap_put(l->pool, &revoked->fingerprints, name, revoked->n) < 0)
        return -1;
    return pool_push(l->pool, (void *)&revoked->places, &revoked->n, at, sizeof *at);
}

static int read_lines(struct loader *l, const char *file, const char *data, size_t len)
{
    struct origin at = {file, 0};
    for (size_t pos = 0; pos < len;) {
        const char *line = data + pos;
        const char *newline = memchr(line, '\n', len - pos);
        size_t line_len = newline == NULL ? len - pos : (size_t)(newline - line);
        char fingerprint[KEY_FINGERPRINT_MAX];
        struct err err = {0};
        pos += line_len + 1;
        at.line++;
        int rc = take_line(l, line, line_len, fingerprint, &err);
        if (rc < 0)
            loader_complain(l, &at, NULL, &err);
        else if (rc > 0 && add(l, fingerprint, &at) < 0)
            return -1;
    }
    return 0;
}

static int add_digest(struct loader *l, const unsigned char digest[DIGEST_LEN],
                      const struct origin *at)
{
    char fingerprint[KEY_FINGERPRINT_MAX] = FINGERPRINT;
    const size_t n = strlen(FINGERPRINT);
    base64_encode_unpadded(digest, DIGEST_LEN, fingerprint + n, sizeof fingerprint - n);
    return add(l, fingerprint, at);
}

static int add_binary_list(struct loader *l, const struct binary_list *list)
{
    struct revoked *revoked = l->policy->revoked;
    const struct krl *krl = &list->krl;
    for (size_t i = 0; i < krl->n_sha256; i++)
        if (add_digest(l, krl->sha256[i].data, &list->place) < 0)
            return -1;
    for (size_t i = 0; i < krl->n_keys; i++) {
        unsigned char digest[DIGEST_LEN];
        struct err err = {0};
        if (l->host->sha256(krl->keys[i].data, krl->keys[i].len, digest) < 0) {
            err_set(&err, 0, "SHA-256 failed");
            loader_complain(l, &list->place, NULL, &err);
        } else if (add_digest(l, digest, &list->place) < 0) {
            return -1;
        }
    }
    return pool_push(l->pool, (void *)&revoked->lists, &revoked->n_lists, list, sizeof *list);
}

static int read_binary(struct loader *l, const char *file, const char *data, size_t len)
{
    struct binary_list list = {.place = {file, 0}};
    struct err err = {0};
    unsigned char *kept = pool_bytes(l->pool, len);
    if (kept == NULL)
        return -1;
    memcpy(kept, data, len);
    if (krl_parse(l->pool, kept, len, &list.krl, &err) < 0) {
        loader_complain(l, &list.place, "make it with ssh-keygen -k; ssh-keygen -Q -l shows it",
                        &err);
        return 0;
    }
    if (list.krl.n_sha1 > 0 && l->host->sha1 == NULL) {
        err_set(&err, 0, "the list has SHA1 fingerprints, which can't be made here");
        loader_complain(l, &list.place, NULL, &err);
        return 0;
    }
    return add_binary_list(l, &list);
}

static int read_list(struct loader *l, const char *path, const struct origin *named_at)
{
    struct err err = {0};
    cleanup_free char *data = NULL;
    size_t len = 0;
    if (l->host->read_file(l->host->user, path, KEY_FILE_SIZE_MAX, l->policy->server.policy_owner,
                           &data, &len, &err) < 0) {
        char shown[160];
        (void)err_wrap(&err, "revoked-keys: '%s'", text_escape_str(shown, sizeof shown, path));
        const char *remedy = "make it, empty if no key is revoked";
        loader_complain(l, named_at, err.num == ENOENT ? remedy : loader_owner_hint(&err), &err);
        return 0;
    }
    const char *file = loader_intern_file(l, path);
    if (file == NULL)
        return -1;
    if (is_krl(data, len))
        return read_binary(l, file, data, len);
    if (key_text_is_private(data, len))
        diag_add(l->diags, file, 1, NULL,
                 "this is a private key: the public one (.pub) belongs here");
    else
        return read_lines(l, file, data, len);
    return 0;
}

int revoked_build(struct loader *l)
{
    const struct server_config *server = &l->policy->server;
    struct revoked *revoked = pool_alloc(l->pool, sizeof *revoked);
    if (revoked == NULL)
        return -1;
    revoked->sha256 = l->host->sha256;
    revoked->sha1 = l->host->sha1;
    l->policy->revoked = revoked;
    for (size_t i = 0; i < server->revoked_keys.n; i++)
        if (read_list(l, server->revoked_keys.items[i], &server->revoked_key_places[i]) < 0)
            return -1;
    return 0;
}

const struct origin *revoked_find_fingerprint(const struct policy *policy, const char *fingerprint)
{
    const struct revoked *revoked = policy->revoked;
    size_t at = 0;
    return strmap_get(&revoked->fingerprints, fingerprint, &at) ? &revoked->places[at] : NULL;
}

static const struct origin *find_sha1(const struct revoked *revoked, struct wire_bytes blob)
{
    unsigned char digest[KRL_SHA1];
    bool is_made = false;
    for (size_t i = 0; i < revoked->n_lists; i++) {
        const struct binary_list *list = &revoked->lists[i];
        if (list->krl.n_sha1 == 0)
            continue;
        if (!is_made && revoked->sha1(blob.data, blob.len, digest) < 0)
            return &unknown;
        is_made = true;
        if (krl_has_sha1(&list->krl, digest))
            return &list->place;
    }
    return NULL;
}

const struct origin *revoked_find(const struct policy *policy, struct wire_bytes blob)
{
    char fingerprint[KEY_FINGERPRINT_MAX];
    const struct revoked *revoked = policy->revoked;
    const struct policy_host host = {.sha256 = revoked->sha256};
    const struct origin *place = NULL;
    if (revoked->n > 0) {
        if (policy_fingerprint(&host, blob.data, blob.len, fingerprint) < 0)
            return &unknown;
        place = revoked_find_fingerprint(policy, fingerprint);
    }
    return place != NULL ? place : find_sha1(revoked, blob);
}

const struct origin *revoked_find_certificate(const struct policy *policy,
                                              const struct certificate *certificate)
{
    const struct revoked *revoked = policy->revoked;
    for (size_t i = 0; i < revoked->n_lists; i++)
        if (krl_has_certificate(&revoked->lists[i].krl, certificate))
            return &revoked->lists[i].place;
    return NULL;
}
