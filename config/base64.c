#include "base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four; `n` bytes come out of it. Bits that belong to none of them must be 0. */
static int decode_group(const char *in, size_t n, unsigned char *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int v = i <= n ? value_of(in[i]) : (in[i] == '=' ? 0 : -1);
        if (v < 0)
            return -1;
        bits = bits << 6 | (uint32_t)v;
    }
    if (n < 3 && (bits & (n == 2 ? 0xffU : 0xffffU)) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(bits >> (16 - 8 * i));
    return 0;
}

int base64_decode(const char *in, size_t len, unsigned char *out, size_t cap, size_t *out_len)
{
    *out_len = 0;
    if (len == 0 || len % 4 != 0 || cap < len / 4 * 3)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        size_t padding = i + 4 < len ? 0 : (size_t)(in[i + 3] == '=') + (in[i + 2] == '=');
        if (decode_group(in + i, 3 - padding, out + *out_len) < 0)
            return -1;
        *out_len += 3 - padding;
    }
    return 0;
}

void base64_encode_unpadded(const unsigned char *in, size_t len, char *out, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (n > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            bits |= in[i + 2];
        for (size_t j = 0; j <= n && used + 1 < cap; j++)
            out[used++] = alphabet[bits >> (18 - 6 * j) & 63];
    }
    out[used] = '\0';
}
