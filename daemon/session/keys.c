#include "keys.h"
#include "cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { KEY_FILE_MAX = 64 * 1024 };

enum key_slot { SLOT_ED25519, SLOT_ECDSA, SLOT_RSA, SLOT_COUNT };

/* A buffer that is gone, contents and all, when its scope ends. */
struct secret {
    char text[KEY_FILE_MAX + 1];
};

static void wipe_secret(struct secret **secret)
{
    explicit_bzero(*secret, sizeof **secret);
}

static int read_file(int fd, struct secret *secret, const char *name, struct err *err)
{
    size_t len = 0;
    while (len < sizeof secret->text) {
        ssize_t n = read(fd, secret->text + len, sizeof secret->text - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "host key %s", name);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > KEY_FILE_MAX)
        return err_set(err, 0, "host key %s: longer than %d bytes, not a key file", name,
                       KEY_FILE_MAX);
    if (memchr(secret->text, '\0', len) != NULL)
        return err_set(err, 0, "host key %s: holds binary data, not an OpenSSH or PEM key", name);
    secret->text[len] = '\0';
    return 0;
}

/* Asked for a passphrase only if the key is encrypted. Never asks anybody. */
static int refuse_passphrase(const char *prompt, char *buf, size_t len, int echo, int verify,
                             void *userdata)
{
    (void)prompt;
    (void)buf;
    (void)len;
    (void)echo;
    (void)verify;
    *(bool *)userdata = true;
    return SSH_ERROR;
}

static int import(const char *text, const char *name, ssh_key *key, struct err *err)
{
    bool encrypted = false;
    int rc = ssh_pki_import_privkey_base64(text, NULL, refuse_passphrase, &encrypted, key);
    if (rc == SSH_OK)
        return 0;
    if (encrypted)
        return err_set(err, 0,
                       "host key %s: it is encrypted; take the passphrase off with "
                       "`ssh-keygen -p -N '' -f %s`",
                       name, name);
    return err_set(err, 0,
                   "host key %s: not a usable private key in OpenSSH or PEM format; make one with "
                   "`ssh-keygen -t ed25519 -N '' -f %s`",
                   name, name);
}

static int slot_of(ssh_key key, const char *name, enum key_slot *slot, struct err *err)
{
    enum ssh_keytypes_e type = ssh_key_type(key);
    switch (type) {
    case SSH_KEYTYPE_ED25519:
        *slot = SLOT_ED25519;
        return 0;
    case SSH_KEYTYPE_ECDSA_P256:
    case SSH_KEYTYPE_ECDSA_P384:
    case SSH_KEYTYPE_ECDSA_P521:
        *slot = SLOT_ECDSA;
        return 0;
    case SSH_KEYTYPE_RSA:
        *slot = SLOT_RSA;
        return 0;
    default:
        return err_set(err, 0, "host key %s: type %s can't be used; use ed25519, ecdsa or rsa",
                       name,
                       ssh_key_type_to_char(type) != NULL ? ssh_key_type_to_char(type) : "unknown");
    }
}

static int load_one(ssh_bind bind, const char *name, int fd, const char *taken[SLOT_COUNT],
                    struct err *err)
{
    static struct secret storage;
    __attribute__((cleanup(wipe_secret))) struct secret *secret = &storage;
    ssh_key key = NULL;
    enum key_slot slot = SLOT_COUNT;
    if (read_file(fd, secret, name, err) < 0 || import(secret->text, name, &key, err) < 0)
        return -1;
    if (slot_of(key, name, &slot, err) < 0) {
        ssh_key_free(key);
        return -1;
    }
    if (taken[slot] != NULL) {
        ssh_key_free(key);
        return err_set(err, 0, "host key %s: %s is of the same type; keep one of them", name,
                       taken[slot]);
    }
    /* The bind owns the key from here on. */
    if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) {
        ssh_key_free(key);
        return err_set(err, 0, "host key %s: %s", name, ssh_get_error(bind));
    }
    taken[slot] = name;
    return 0;
}

int keys_load(ssh_bind bind, const char *const *names, const int *fds, size_t n, struct err *err)
{
    const char *taken[SLOT_COUNT] = {NULL};
    if (n == 0)
        return err_set(err, 0, "no host key");
    for (size_t i = 0; i < n; i++)
        if (load_one(bind, names[i], fds[i], taken, err) < 0)
            return -1;
    return 0;
}
