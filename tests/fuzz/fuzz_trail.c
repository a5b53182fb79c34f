/* Lines of an audit trail, whoever has had their hands on it: what is shown of them is printable.
 * And the journal's entries of them. */
#include "journal.h"
#include "trail_filter.h"
#include "trail_show.h"
#include "trail_sum.h"
#include "record.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const char *line, size_t len)
{
    size_t entry_len = 0;
    char *entry = journal_encode(AUDIT_END, line, len, &entry_len);
    if (entry != NULL && (entry_len == 0 || entry[entry_len - 1] != '\n'))
        abort();
    free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trail_sum sums[SUM_BY_COUNT];
    static struct trail_filter filter = {.tenant = "acme", .denied = true, .has_since = true};
    const char *line = (const char *)data;
    char text[TRAIL_LINE_MAX];
    check_entry(line, size);
    json_t *record = record_load(line, size);
    if (record == NULL)
        return 0;
    for (const char *c = trail_line(record, text); *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            abort();
    bool counts = trail_filter_matches(&filter, record);
    for (int i = 0; i < SUM_BY_COUNT; i++) {
        struct trail_sum *sum = &sums[i];
        if (sum->groups == NULL && trail_sum_begin(sum, (enum sum_by)i) < 0)
            abort();
        if (trail_sum_add(sum, record, !counts) < 0)
            abort();
    }
    json_decref(record);
    return 0;
}
