/* Signatures and keys from hostile bytes: nothing outside them is read, and none of them is right.
 */
#include "signature.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that size, for the sanitizer to guard. */
static unsigned char *copy_of(const uint8_t *data, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char signed_data[] = "something that was signed";
    struct sk_signature sk;
    if (size < 2)
        return 0;
    size_t key_len = ((size_t)data[0] << 8 | data[1]) % (size - 1);
    unsigned char *key = copy_of(data + 2, key_len);
    size_t signature_len = size - 2 - key_len;
    unsigned char *signature = copy_of(data + 2 + key_len, signature_len);
    if (signature_verify(key, key_len, signed_data, sizeof signed_data, signature, signature_len) ==
        0)
        abort();
    bool is_sk = signature_is_sk((struct wire_bytes){signature, signature_len}, &sk);
    if (is_sk && (sk.touched != (sk.flags % 2 == 1) || signature_len < 4 + 4 + 5))
        abort();
    free(key);
    free(signature);
    return 0;
}
