#include "trail_filter.h"
#include "address.h"
#include "cleanup.h"
#include "moment.h"
#include "record.h"
#include "values.h"

#include <string.h>

int trail_filter_time(const char *text, int64_t now, int64_t *out)
{
    uint64_t ms = 0, days = 0;
    struct err err = {0};
    size_t digits = strspn(text, "0123456789");
    if (moment_parse(text, out) == 0)
        return 0;
    if (digits > 0 && digits < 6 && strcmp(text + digits, "d") == 0)
        days = strtoull(text, NULL, 10);
    else if (value_time(text, false, &ms, &err) < 0)
        return -1;
    *out = now - (int64_t)(ms / 1000) - (int64_t)days * 86400;
    return 0;
}

/* A member's bytes are those of `wanted`; NULL: any are. */
static bool is(const json_t *record, const char *name, const char *wanted)
{
    cleanup_free char *bytes = NULL;
    size_t len = 0;
    if (wanted == NULL)
        return true;
    return record_bytes(json_object_get(record, name), &bytes, &len) == 0 &&
           len == strlen(wanted) && memcmp(bytes, wanted, len) == 0;
}

static bool is_denied(const json_t *record)
{
    return is(record, "decision", "deny") || is(record, "verdict", "denied") ||
           (is(record, "event", "auth") && is(record, "result", "failed"));
}

static bool is_in_time(const struct trail_filter *filter, const json_t *record)
{
    const char *text = json_string_value(json_object_get(record, "time"));
    int64_t when = 0;
    if (!filter->has_since && !filter->has_until)
        return true;
    return text != NULL && moment_parse(text, &when) == 0 &&
           (!filter->has_since || when >= filter->since) &&
           (!filter->has_until || when < filter->until);
}

static bool is_from(const struct trail_filter *filter, const json_t *record)
{
    const char *text = json_string_value(json_object_get(record, "client"));
    unsigned char address[ADDRESS_LEN];
    if (filter->from.n == 0)
        return true;
    return text != NULL && address_parse(text, address) == 0 &&
           address_list_allows(&filter->from, address);
}

bool trail_filter_matches(const struct trail_filter *filter, const json_t *record)
{
    return is(record, "event", filter->event) && is(record, "exec", filter->exec) &&
           is(record, "tenant", filter->tenant) && is(record, "user", filter->user) &&
           is(record, "verdict", filter->verdict) &&
           (is(record, "key", filter->key) || is(record, "key_comment", filter->key)) &&
           (!filter->denied || is_denied(record)) && is_in_time(filter, record) &&
           is_from(filter, record);
}

void trail_filter_free(struct trail_filter *filter)
{
    pool_free(&filter->pool);
}
