/*
 * revoked.h - keys that nobody may use any more, whatever lists them: the files of revoked-keys.
 */
#ifndef POSTERN_CONFIG_REVOKED_H
#define POSTERN_CONFIG_REVOKED_H

#include "certificate.h"
#include "loader.h"
#include "wire.h"

/*
 * Reads the files: one public key to a line, as in a .pub file, or its SHA256 fingerprint; or a
 * list of ssh-keygen (krl.h). What is wrong with them is a problem of the policy. Returns 0, or -1
 * if memory ran out.
 */
int revoked_build(struct loader *l);

/* The line, or the file, that revokes a key (RFC 4253 §6.6), or NULL. What it costs depends on the
 * lists and on the key's length alone. */
const struct origin *revoked_find(const struct policy *policy, struct wire_bytes blob);

/* The file that revokes a certificate by its serial number or its id, or NULL. */
const struct origin *revoked_find_certificate(const struct policy *policy,
                                              const struct certificate *certificate);

/* As revoked_find(), by "SHA256:…"; one whose SHA1 fingerprint is listed isn't found. */
const struct origin *revoked_find_fingerprint(const struct policy *policy, const char *fingerprint);

#endif
