/*
 * openssh_key.h - private keys in OpenSSH's own file format (PROTOCOL.key), which libcrypto does
 * not know. Not encrypted ones: there is nobody to ask for a passphrase.
 */
#ifndef POSTERN_DAEMON_SIGNER_OPENSSH_KEY_H
#define POSTERN_DAEMON_SIGNER_OPENSSH_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

enum openssh_key { OPENSSH_KEY_READ, OPENSSH_KEY_ENCRYPTED, OPENSSH_KEY_UNUSABLE };

/* Whether a file says that it is one. */
bool is_openssh_key(const char *text);

/*
 * Reads one: exactly one key, of Ed25519, ECDSA or RSA, and nothing left over. *key is the caller's
 * if it could be read. Whether its parts belong together is not judged. Copies of the secret are
 * wiped.
 */
enum openssh_key openssh_key_read(const char *text, EVP_PKEY **key);

#endif
