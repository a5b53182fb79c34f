/* What a session says that it has hashed: nothing outside it is read, and only what holds our
 * version and our key is hashed. */
#include "exchange.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char version[] = "SSH-2.0-Postern 00", key[] = "key";
    unsigned char hash[IPC_HASH_MAX];
    size_t len = size > 0 ? size - 1 : 0;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, data + 1, len);
    struct exchange exchange = {.input = {copy, len},
                                .digest_len = size > 0 ? data[0] : 0,
                                .version = version,
                                .host_key = {(const unsigned char *)key, strlen(key)}};
    size_t hashed = exchange_hash(&exchange, hash);
    if (hashed > 0 &&
        (hashed != exchange.digest_len || memmem(copy, len, version, strlen(version)) == NULL ||
         memmem(copy, len, key, strlen(key)) == NULL))
        abort();
    free(copy);
    return 0;
}
