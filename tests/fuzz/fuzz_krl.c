/* Key revocation lists from hostile bytes, and looking things up in what they made. */
#include "krl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is listed is found, and a number that is none isn't. */
static void look_up(const struct krl *krl)
{
    for (size_t i = 0; i < krl->n_ranges; i++) {
        const struct krl_range *range = &krl->ranges[i];
        const struct certificate first = {.authority = krl->authorities[range->authority],
                                          .serial = range->low};
        struct certificate last = first;
        last.serial = range->high;
        if (!krl_has_certificate(krl, &first) || !krl_has_certificate(krl, &last))
            abort();
    }
    for (size_t i = 0; i < krl->n_ids; i++) {
        const struct certificate c = {.authority = krl->authorities[krl->ids[i].authority],
                                      .key_id = krl->ids[i].id};
        if (!krl_has_certificate(krl, &c))
            abort();
    }
    for (size_t i = 0; i < krl->n_bitmaps; i++) {
        struct certificate c = {.authority = krl->authorities[krl->bitmaps[i].authority],
                                .key_id = {(const unsigned char *)"no id", 5},
                                .serial = krl->bitmaps[i].offset};
        (void)krl_has_certificate(krl, &c);
        c.serial += krl->bitmaps[i].bits.len * 8 - 1;
        (void)krl_has_certificate(krl, &c);
    }
    for (size_t i = 0; i < krl->n_sha1; i++)
        if (!krl_has_sha1(krl, krl->sha1[i].data))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool pool = {0};
    struct krl krl;
    struct err err = {0};
    /* A copy of exactly that size, for the sanitizer to guard. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    if (krl_parse(&pool, copy, size, &krl, &err) == 0)
        look_up(&krl);
    else if (err.text[0] == '\0')
        abort();
    pool_free(&pool);
    free(copy);
    return 0;
}
