/* Host key files in OpenSSH's format: what is inside their base64. */
#include "openssh_key.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char base64[32 * 1024];
    static char text[sizeof base64 + 128];
    EVP_PKEY *key = NULL;
    if (size == 0 || size > 16 * 1024 || EVP_EncodeBlock(base64, data, (int)size) <= 0)
        return 0;
    (void)snprintf(text, sizeof text,
                   "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n",
                   (const char *)base64);
    if ((openssh_key_read(text, &key) == OPENSSH_KEY_READ) != (key != NULL))
        abort();
    EVP_PKEY_free(key);
    return 0;
}
