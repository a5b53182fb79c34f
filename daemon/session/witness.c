#include "witness.h"

#include <dlfcn.h>
#include <libssh/libssh.h>
#include <openssl/evp.h>
#include <string.h>

enum { LENGTH = 4, VERSION_MAX = 255 }; /* of a string's length; of a version (RFC 4253 §4.2) */

static int (*own)(EVP_MD_CTX *context, const void *data, size_t len);
static unsigned char kept[IPC_EXCHANGE_MAX];
static size_t kept_len;
static size_t kept_digest_len;
static bool was_called;

static int find_own(void)
{
    void *found = dlsym(RTLD_NEXT, "EVP_DigestUpdate");
    /* A plain conversion between the two kinds of pointers is none that C knows. */
    _Static_assert(sizeof found == sizeof own, "POSIX says so");
    memcpy(&own, &found, sizeof own);
    return own != NULL ? 0 : -1;
}

/* It begins with the client's version, a string. */
static bool is_exchange(const unsigned char *data, size_t len)
{
    static const char version[] = "SSH-";
    const size_t n = sizeof version - 1;
    return len > LENGTH + VERSION_MAX && data[0] == 0 && data[1] == 0 && data[2] == 0 &&
           data[3] >= n && memcmp(data + LENGTH, version, n) == 0;
}

int EVP_DigestUpdate(EVP_MD_CTX *context, const void *data, size_t len)
{
    if (own == NULL && find_own() < 0)
        return 0;
    was_called = true;
    if (data != NULL && is_exchange(data, len)) {
        kept_len = len <= sizeof kept ? len : 0;
        kept_digest_len = (size_t)EVP_MD_CTX_get_size(context);
        memcpy(kept, data, kept_len);
    }
    return own(context, data, len);
}

/* Any hash that libssh makes will do. */
static bool hashes_by_here(void)
{
    static const char any_key[] =
        "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    was_called = false;
    if (ssh_pki_import_pubkey_base64(any_key, SSH_KEYTYPE_ED25519, &key) != SSH_OK)
        return false;
    (void)ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return was_called;
}

int witness_start(struct err *err)
{
    if (find_own() < 0 || !hashes_by_here())
        return err_set(err, 0, "libssh does not hash by EVP_DigestUpdate() of libcrypto");
    return 0;
}

struct wire_bytes witness_exchange(size_t *digest_len)
{
    *digest_len = kept_digest_len;
    return (struct wire_bytes){kept, kept_len};
}
