/* Key files from hostile bytes. What is accepted must be what it claims to be. */
#include "key_blob.h"
#include "key_file.h"
#include "policy_fixture.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool is_sound(const struct policy_key *key)
{
    size_t type_len = strlen(key->type);
    if (key->blob_len < 4 + type_len || memcmp(key->blob + 4, key->type, type_len) != 0 ||
        strlen(key->comment) > KEY_COMMENT_MAX || strlen(key->fingerprint) != 50)
        return false;
    if (key_blob_bits(key->blob, key->blob_len) < 256 || !is_plain(key->comment))
        return false;
    if (key->force != NULL && (key->force[0] == '\0' || !is_plain(key->force)))
        return false;
    if (key->principals.n > 0 && !key->is_authority)
        return false;
    size_t refusals = 0;
    for (size_t i = 0; i < key->from.n; i++) {
        if (key->from.rules[i].prefix > 128 || key->from.rules[i].origin.line == 0)
            return false;
        refusals += key->from.rules[i].negated;
    }
    for (size_t i = 0; i < key->environment.n; i++)
        if (strchr(key->environment.items[i], '=') == NULL || !is_plain(key->environment.items[i]))
            return false;
    return key->expires >= 0 && (key->from.n == 0 || refusals < key->from.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool pool = {0};
    struct key_file file;
    struct diags diags = {0};
    unsigned char *blob;
    size_t len;
    if (key_file_parse(&pool, &fixture_host, "keys", (const char *)data, size, &file, &diags) < 0)
        abort();
    for (size_t i = 0; i < file.n; i++)
        if (!is_sound(&file.keys[i]))
            abort();
    (void)key_offer_parse(&pool, (const char *)data, size, &blob, &len, NULL);
    diags_free(&diags);
    pool_free(&pool);
    return 0;
}
