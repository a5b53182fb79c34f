/*
 * A worker's datagrams, which the master reads as hostile, and the master's own. Whatever is
 * accepted must encode to the very same bytes: no value has two spellings.
 */
#include "report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const unsigned char *got, size_t got_len, const uint8_t *data, size_t size)
{
    if (got_len != size || memcmp(got, data, size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char buf[REPORT_MAX];
    struct report report;
    struct control control;
    if (report_decode(data, size, &report) == 0) {
        if (report_stage_name(report.stage) == NULL)
            abort();
        check_same(buf, report_encode(&report, buf), data, size);
    }
    if (control_decode(data, size, &control) == 0)
        check_same(buf, control_encode(&control, buf), data, size);
    return 0;
}
