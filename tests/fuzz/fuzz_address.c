/* from= lists from hostile bytes: an address, a newline, a list. The answer must be the one that
 * follows from looking at single bits. */
#include "address.h"
#include "pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool bit(const unsigned char *bytes, unsigned i)
{
    return (bytes[i / 8] & (0x80U >> (i % 8))) != 0;
}

static bool is_ipv4(const unsigned char *addr)
{
    bool zeros = true;
    for (unsigned i = 0; i < 10; i++)
        zeros = zeros && addr[i] == 0;
    return zeros && addr[10] == 0xff && addr[11] == 0xff;
}

static bool covers(const struct address_rule *rule, const unsigned char *addr)
{
    if (is_ipv4(addr) && rule->prefix < 96)
        return false;
    for (unsigned i = 0; i < rule->prefix; i++)
        if (bit(rule->net, i) != bit(addr, i))
            return false;
    return true;
}

static void check(const struct address_list *list, const unsigned char *addr)
{
    bool listed = list->n == 0;
    bool refused = false;
    for (size_t i = 0; i < list->n; i++) {
        const struct address_rule *rule = &list->rules[i];
        if (rule->prefix > 128)
            abort();
        for (unsigned k = rule->prefix; k < 128; k++)
            if (bit(rule->net, k))
                abort();
        if (covers(rule, addr)) {
            refused = refused || rule->negated;
            listed = listed || !rule->negated;
        }
    }
    if (address_list_allows(list, addr) != (listed && !refused))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct origin here = {"fuzz", 1};
    struct pool pool = {0};
    struct address_list list = {0};
    unsigned char addr[ADDRESS_LEN];
    char *text = pool_strndup(&pool, (const char *)data, size);
    char *newline = text == NULL ? NULL : strchr(text, '\n');
    if (newline != NULL) {
        *newline = '\0';
        bool known = address_parse(text, addr) == 0;
        bool taken = address_list_add(&pool, &list, newline + 1, &here, NULL) == 0;
        if (known && taken)
            check(&list, addr);
    }
    pool_free(&pool);
    return 0;
}
