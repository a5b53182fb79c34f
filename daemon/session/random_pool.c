#include "random_pool.h"

#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

enum { POOL_SIZE = 1024 };

static bool started;
static unsigned char pool[POOL_SIZE]; /* what was given away is zero */
static size_t left;                   /* at its end */

void random_pool_start(void)
{
    started = true;
}

/* libssh finds this one before libcrypto's. */
int RAND_bytes(unsigned char *buf, int num)
{
    if (num < 0)
        return 0;
    size_t len = (size_t)num;
    if (!started || len > POOL_SIZE / 4)
        return RAND_bytes_ex(NULL, buf, len, 0);
    if (left < len) {
        int rc = RAND_bytes_ex(NULL, pool, sizeof pool, 0);
        if (rc != 1) {
            left = 0;
            return rc;
        }
        left = sizeof pool;
    }
    unsigned char *taken = pool + sizeof pool - left;
    memcpy(buf, taken, len);
    explicit_bzero(taken, len);
    left -= len;
    return 1;
}
