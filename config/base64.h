/*
 * base64.h - RFC 4648 §4, strictly: no white space, right padding, no stray bits.
 */
#ifndef POSTERN_CONFIG_BASE64_H
#define POSTERN_CONFIG_BASE64_H

#include <stddef.h>

/* Decodes into out[cap]; cap is at least len / 4 * 3. Returns 0 with *out_len, or -1. */
int base64_decode(const char *in, size_t len, unsigned char *out, size_t cap, size_t *out_len);

/* Encodes without padding and with a NUL; cap is at least (len * 4 + 2) / 3 + 1. */
void base64_encode_unpadded(const unsigned char *in, size_t len, char *out, size_t cap);

#endif
