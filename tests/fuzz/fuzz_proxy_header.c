/* PROXY headers from hostile bytes: nothing outside them is read, and the answer does not depend on
 * how they were cut into pieces. */
#include "proxy_header.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_result parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
    /* A copy of exactly that size, for the sanitizer to guard. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    enum proxy_result result = proxy_header_parse(copy, size, header);
    free(copy);
    return result;
}

static void check_done(const struct proxy_header *header, size_t size)
{
    if (header->len == 0 || header->len > size || header->len > PROXY_HEADER_MAX)
        abort();
    if (header->has_address && header->source.ss_family != AF_INET &&
        header->source.ss_family != AF_INET6)
        abort();
    if (header->has_address && header->source.ss_family != header->destination.ss_family)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    if (size > PROXY_HEADER_MAX + 64)
        size = PROXY_HEADER_MAX + 64;
    enum proxy_result result = parse(data, size, &whole);
    if (result == PROXY_DONE)
        check_done(&whole, size);
    if (result == PROXY_BAD && whole.problem == NULL)
        abort();
    if (result == PROXY_MORE && size >= PROXY_HEADER_MAX)
        abort();
    for (size_t n = 0; n < size; n++) {
        enum proxy_result early = parse(data, n, &part);
        if (early == PROXY_MORE)
            continue;
        /* The first answer that is not "more" is the only one. */
        if (early != result || part.len != whole.len || (early == PROXY_DONE && part.len != n) ||
            part.has_address != whole.has_address ||
            memcmp(&part.source, &whole.source, sizeof part.source) != 0)
            abort();
        break;
    }
    return 0;
}
