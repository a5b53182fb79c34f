#include "algorithms.h"
#include "cleanup.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 64 }; /* RFC 4251 §6 */

/* Both ends of a curve25519 exchange and a lattice: what is recorded today stays closed to a
 * quantum computer of tomorrow. libssh has them since 0.12. */
#if POSTERN_LIBSSH_HYBRID
#define HYBRID_KEX                                                                                 \
    "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"
#else
#define HYBRID_KEX ""
#endif

static const struct {
    const char *name;
    unsigned kinds; /* bits of enum algorithm_kind */
} known[] = {
#define IN(kind) (1U << (kind))
#if POSTERN_LIBSSH_HYBRID
    {"mlkem768x25519-sha256", IN(ALGORITHM_KEX)},
    {"sntrup761x25519-sha512", IN(ALGORITHM_KEX)},
    {"sntrup761x25519-sha512@openssh.com", IN(ALGORITHM_KEX)},
#endif
    {"curve25519-sha256", IN(ALGORITHM_KEX)},
    {"curve25519-sha256@libssh.org", IN(ALGORITHM_KEX)},
    {"ecdh-sha2-nistp256", IN(ALGORITHM_KEX)},
    {"ecdh-sha2-nistp384", IN(ALGORITHM_KEX)},
    {"ecdh-sha2-nistp521", IN(ALGORITHM_KEX)},
    {"diffie-hellman-group16-sha512", IN(ALGORITHM_KEX)},
    {"diffie-hellman-group18-sha512", IN(ALGORITHM_KEX)},
    {"diffie-hellman-group14-sha256", IN(ALGORITHM_KEX)},
    {"chacha20-poly1305@openssh.com", IN(ALGORITHM_CIPHER)},
    {"aes256-gcm@openssh.com", IN(ALGORITHM_CIPHER)},
    {"aes128-gcm@openssh.com", IN(ALGORITHM_CIPHER)},
    {"aes256-ctr", IN(ALGORITHM_CIPHER)},
    {"aes192-ctr", IN(ALGORITHM_CIPHER)},
    {"aes128-ctr", IN(ALGORITHM_CIPHER)},
    {"hmac-sha2-256-etm@openssh.com", IN(ALGORITHM_MAC)},
    {"hmac-sha2-512-etm@openssh.com", IN(ALGORITHM_MAC)},
    {"hmac-sha2-256", IN(ALGORITHM_MAC)},
    {"hmac-sha2-512", IN(ALGORITHM_MAC)},
    {"ssh-ed25519", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
    {"ecdsa-sha2-nistp256", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
    {"ecdsa-sha2-nistp384", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
    {"ecdsa-sha2-nistp521", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
    {"sk-ssh-ed25519@openssh.com", IN(ALGORITHM_USER_KEY)},
    {"sk-ecdsa-sha2-nistp256@openssh.com", IN(ALGORITHM_USER_KEY)},
    {"rsa-sha2-512", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
    {"rsa-sha2-256", IN(ALGORITHM_HOST_KEY) | IN(ALGORITHM_USER_KEY)},
};

/* Parts of names that are never offered, and what is said of them. The first that is found counts.
 */
static const struct {
    const char *part, *why;
} weak[] = {
    {"dss", "DSA keys have 1024 bits; use ssh-ed25519"},
    {"md5", "MD5 is broken; use hmac-sha2-256-etm@openssh.com"},
    {"-group1-", "its group has 1024 bits; use curve25519-sha256"},
    {"group-exchange", "its groups come from a file that sessions can't open; use "
                       "diffie-hellman-group16-sha512"},
    {"sha1", "SHA-1 is broken; use one with sha2 or sha256 in its name"},
    {"ripemd", "it is obsolete; use hmac-sha2-256-etm@openssh.com"},
    {"umac-64", "its tags are too short; use hmac-sha2-256-etm@openssh.com"},
    {"cbc", "CBC lets an attacker learn plain text; use aes256-gcm@openssh.com"},
    {"3des", "its blocks are too short; use aes256-gcm@openssh.com"},
    {"arcfour", "RC4 is broken; use chacha20-poly1305@openssh.com"},
    {"blowfish", "its blocks are too short; use aes256-gcm@openssh.com"},
};

const char algorithms_default_kex[] =
    HYBRID_KEX "curve25519-sha256,curve25519-sha256@libssh.org,"
               "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
               "diffie-hellman-group14-sha256";
const char algorithms_default_ciphers[] =
    "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,"
    "aes256-ctr,aes192-ctr,aes128-ctr";
const char algorithms_default_macs[] =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com";
#define DEFAULT_KEYS                                                                               \
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"                     \
    "rsa-sha2-512,rsa-sha2-256"
const char algorithms_default_keys[] = DEFAULT_KEYS;
const char algorithms_default_user_keys[] =
    DEFAULT_KEYS ",sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com";

bool algorithms_have(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; *at != '\0'; at += at[0] == ',') {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n;
    }
    return false;
}

/* Exactly these two sign with SHA-1 and don't say so. */
static bool is_sha1_by_nature(const char *name)
{
    return strcmp(name, "ssh-rsa") == 0 || strcmp(name, "ssh-rsa-cert-v01@openssh.com") == 0;
}

static int refuse(const char *name, struct err *err)
{
    char shown[NAME_MAX_LEN * 4 + 1];
    text_escape_str(shown, sizeof shown, name);
    if (is_sha1_by_nature(name))
        return err_set(err, 0,
                       "'%s' is not offered: it signs with SHA-1, which is broken; use "
                       "rsa-sha2-256, for the same keys",
                       shown);
    if (strcmp(name, "none") == 0)
        return err_set(err, 0, "'none' is not offered: it protects nothing");
    for (size_t i = 0; i < array_len(weak); i++)
        if (strstr(name, weak[i].part) != NULL)
            return err_set(err, 0, "'%s' is not offered: %s", shown, weak[i].why);
    return err_set(err, 0,
                   "'%s' is not an algorithm that this server has; see postern.ini(5) for those "
                   "that it has",
                   shown);
}

static int check(enum algorithm_kind kind, const char *name, struct err *err)
{
    static const char *const nouns[] = {[ALGORITHM_KEX] = "a key exchange",
                                        [ALGORITHM_CIPHER] = "a cipher",
                                        [ALGORITHM_MAC] = "a MAC",
                                        [ALGORITHM_HOST_KEY] = "for keys",
                                        [ALGORITHM_USER_KEY] = "for keys"};
    for (size_t i = 0; i < array_len(known); i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        if ((known[i].kinds & IN(kind)) != 0)
            return 0;
        for (unsigned other = 0; other < ALGORITHM_KINDS; other++)
            if ((known[i].kinds & IN(other)) != 0)
                return err_set(err, 0, "'%s' is %s, not %s", name, nouns[other], nouns[kind]);
    }
    return refuse(name, err);
}

int algorithms_parse(enum algorithm_kind kind, const char *text, char out[ALGORITHMS_TEXT_MAX],
                     struct err *err)
{
    size_t used = 0;
    out[0] = '\0';
    while (*(text += strspn(text, ", \t")) != '\0') {
        char name[NAME_MAX_LEN + 1];
        size_t len = strcspn(text, ", \t");
        if (len >= sizeof name)
            return err_set(err, 0, "names of algorithms have at most %d characters", NAME_MAX_LEN);
        memcpy(name, text, len);
        name[len] = '\0';
        text += len;
        if (check(kind, name, err) < 0)
            return -1;
        if (algorithms_have(out, name))
            return err_set(err, 0, "'%s' is listed twice", name);
        int n = snprintf(out + used, ALGORITHMS_TEXT_MAX - used, "%s%s", used > 0 ? "," : "", name);
        if (n < 0 || (size_t)n >= ALGORITHMS_TEXT_MAX - used)
            return err_set(err, 0, "the list is too long");
        used += (size_t)n;
    }
    return used > 0 ? 0 : err_set(err, 0, "the list is empty");
}
