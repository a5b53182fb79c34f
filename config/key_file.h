/*
 * key_file.h - authorized_keys files (sshd(8)), the part of the format that Postern acts on.
 */
#ifndef POSTERN_CONFIG_KEY_FILE_H
#define POSTERN_CONFIG_KEY_FILE_H

#include "policy.h"
#include "pool.h"

enum { KEY_LINE_MAX = 16384, KEY_FILE_SIZE_MAX = 8 << 20, KEY_COMMENT_MAX = 256 };

struct key_file {
    struct policy_key *keys;
    size_t n;
};

/* Whether a file's text is a private key, or holds one: nothing of that is to reach a terminal or a
 * log. */
bool key_text_is_private(const char *data, size_t len);

/*
 * Parses one line without its newline: options, type, key and comment. Returns 1 if it holds a key,
 * 0 if it is blank or a comment, -1 with err. out->origin is left alone; rules of from= get it as
 * their place.
 */
int key_line_parse(struct pool *pool, const struct policy_host *host, const char *line, size_t len,
                   struct policy_key *out, struct err *err);

/*
 * Parses what ssh-keygen writes to a .pub file, without its newline: what a client would offer, a
 * key or a certificate. The blob is of the pool. Returns 0, or -1 with err.
 */
int key_offer_parse(struct pool *pool, const char *line, size_t len, unsigned char **blob,
                    size_t *blob_len, struct err *err);

/*
 * Parses a whole file; `file` is borrowed by the origins. Lines in error become problems. Returns
 * 0, or -1 if memory ran out.
 */
int key_file_parse(struct pool *pool, const struct policy_host *host, const char *file,
                   const char *data, size_t len, struct key_file *out, struct diags *diags);

#endif
