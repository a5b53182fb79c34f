#include "exchange.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    MSG_KEXINIT = 20,
    NONCE_LEN = 16,
    EXCHANGE_PARTS = 3, /* the two sides' parts of the secret, and the secret */
};

static bool is_equal(struct wire_bytes a, struct wire_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool is_kexinit(struct wire_bytes payload)
{
    return payload.len > 0 && payload.data[0] == MSG_KEXINIT;
}

/* V_C, V_S, I_C, I_S, K_S, then what is left: each a string or a number with its length before it.
 */
static bool is_ours(const struct exchange *exchange)
{
    struct wire_reader r = {.buf = exchange->input.data, .len = exchange->input.len};
    const struct wire_bytes expected = {(const unsigned char *)exchange->version,
                                        strlen(exchange->version)};
    (void)wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    struct wire_bytes version = wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    struct wire_bytes theirs = wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    struct wire_bytes ours = wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    struct wire_bytes key = wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    for (int i = 0; i < EXCHANGE_PARTS; i++)
        (void)wire_get_bytes(&r, IPC_EXCHANGE_MAX);
    return wire_end(&r) && is_equal(version, expected) && is_kexinit(theirs) && is_kexinit(ours) &&
           key.len > 0 && is_equal(key, exchange->host_key);
}

size_t exchange_hash(const struct exchange *exchange, unsigned char hash[IPC_HASH_MAX])
{
    static const struct {
        size_t len;
        const char *name;
    } digests[] = {{32, "SHA256"}, {48, "SHA384"}, {64, "SHA512"}};
    size_t len = 0;
    if (!is_ours(exchange))
        return 0;
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        if (digests[i].len == exchange->digest_len &&
            EVP_Q_digest(NULL, digests[i].name, NULL, exchange->input.data, exchange->input.len,
                         hash, &len) == 1)
            return len;
    return 0;
}

int exchange_make_version(char version[IPC_ID_MAX + 1], struct err *err)
{
    unsigned char nonce[NONCE_LEN];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return err_set(err, errno, "getrandom");
    int at = snprintf(version, IPC_ID_MAX + 1, "%s ", IPC_VERSION);
    for (size_t i = 0; i < sizeof nonce; i++)
        at += snprintf(version + at, IPC_ID_MAX + 1 - (size_t)at, "%02x", nonce[i]);
    return 0;
}
