#include "proof.h"
#include "certificate.h"
#include "messages.h"
#include "signature.h"

#include <string.h>

enum {
    MSG_USERAUTH_REQUEST = 50,
    NAME_MAX_LEN = 64,
    SIGNED_MAX = IPC_HASH_MAX + IPC_USER_MAX + IPC_BLOB_MAX + 256,
};

#define CERTIFIED "-cert-v01@openssh.com"

/* A string of RFC 4251 §5. */
static void put_text(struct wire_writer *w, const char *text)
{
    wire_put_bytes(w, (struct wire_bytes){(const unsigned char *)text, strlen(text)});
}

/*
 * That of the signature; for a certificate, the name of the same algorithm among those of
 * certificates (PROTOCOL.certkeys of OpenSSH).
 */
static void put_algorithm(struct wire_writer *w, struct wire_bytes algorithm, bool is_certificate)
{
    static const char suffix[] = CERTIFIED;
    unsigned char name[NAME_MAX_LEN + sizeof suffix];
    memcpy(name, algorithm.data, algorithm.len);
    if (is_certificate)
        memcpy(name + algorithm.len, suffix, sizeof suffix - 1);
    size_t len = algorithm.len + (is_certificate ? sizeof suffix - 1 : 0);
    wire_put_bytes(w, (struct wire_bytes){name, len});
}

/* What the client has signed. Returns its length, or 0. */
static size_t rebuild(const struct proof *proof, bool is_certificate, unsigned char *buf,
                      size_t cap)
{
    struct wire_reader r = {.buf = proof->signature.data, .len = proof->signature.len};
    struct wire_writer w = {.buf = buf, .cap = cap};
    struct wire_bytes algorithm = wire_get_bytes(&r, NAME_MAX_LEN);
    if (r.bad || algorithm.len == 0)
        return 0;
    wire_put_bytes(&w, proof->session_id);
    wire_put_u8(&w, MSG_USERAUTH_REQUEST);
    put_text(&w, proof->user);
    put_text(&w, "ssh-connection");
    put_text(&w, "publickey");
    wire_put_u8(&w, true);
    put_algorithm(&w, algorithm, is_certificate);
    wire_put_bytes(&w, proof->blob);
    return w.overflow ? 0 : w.len;
}

bool proof_holds(const struct proof *proof)
{
    unsigned char data[SIGNED_MAX], certified[KEY_BLOB_MAX];
    struct wire_bytes key = proof->blob;
    struct certificate certificate;
    bool is_certificate = is_certificate_blob(key.data, key.len);
    if (is_certificate) {
        if (certificate_parse(key.data, key.len, &certificate, NULL) < 0)
            return false;
        key = (struct wire_bytes){certified, certificate_key_blob(&certificate, certified)};
    }
    size_t len = rebuild(proof, is_certificate, data, sizeof data);
    return proof->session_id.len > 0 && len > 0 &&
           signature_verify(key.data, key.len, data, len, proof->signature.data,
                            proof->signature.len) == 0;
}
