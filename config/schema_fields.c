#include "schema_fields.h"
#include "values.h"

#include <string.h>

int schema_size(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    return key->infinite ? value_limit(value, key->min, key->max, field, err)
                         : value_size(value, key->min, key->max, field, err);
}

static int take_time(const struct schema_key *key, uint64_t ms, void *field, struct err *err)
{
    if (key->max == 0 || ms <= key->max || ms == SPEC_INFINITY) {
        *(uint64_t *)field = ms;
        return 0;
    }
    return err_set(err, 0, "'%s' is at most %uh", key->name, (unsigned)(key->max / 3600000));
}

int schema_time(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    uint64_t ms = 0;
    return value_time(value, key->infinite, &ms, err) < 0 ? -1 : take_time(key, ms, field, err);
}

int schema_wait(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    uint64_t ms = 0;
    return value_wait(value, &ms, err) < 0 ? -1 : take_time(key, ms, field, err);
}

int schema_share(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    (void)key;
    return value_share(value, field, err);
}

static int read_number(const struct schema_key *key, const char *value, uint64_t *number,
                       struct err *err)
{
    return key->infinite ? value_count(value, key->min, key->max, number, err)
                         : value_uint(value, key->min, key->max, number, err);
}

int schema_number(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    return read_number(key, value, field, err);
}

int schema_count(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    uint64_t number = 0;
    if (read_number(key, value, &number, err) < 0)
        return -1;
    *(uint32_t *)field = number == SPEC_INFINITY ? COUNT_INFINITY : (uint32_t)number;
    return 0;
}

int schema_weight(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    (void)key;
    uint64_t weight = 0;
    if (strcmp(value, "default") != 0 && value_uint(value, 1, 10000, &weight, err) < 0)
        return -1;
    *(uint32_t *)field = (uint32_t)weight;
    return 0;
}

int schema_bool(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    (void)key;
    return value_bool(value, field, err);
}

int schema_choice(const struct schema_key *key, const char *value, void *field, struct err *err)
{
    size_t n = 0;
    size_t index = 0;
    while (key->choices[n] != NULL)
        n++;
    if (value_choice(value, key->choices, n, &index, err) < 0)
        return -1;
    *(unsigned *)field = (unsigned)index; /* what gcc and clang make of such an enum */
    return 0;
}
