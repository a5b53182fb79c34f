/*
 * A worker's datagrams, which the master reads as hostile, and the master's own. Whatever is
 * accepted must encode to the very same bytes: no value has two spellings.
 */
#include "report.h"
#include "syscall_args.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const unsigned char *got, size_t got_len, const uint8_t *data, size_t size)
{
    if (got_len != size || memcmp(got, data, size) != 0)
        abort();
}

/* Whatever the numbers are, they are shown in printable ASCII, and within the room there is. */
static void check_text(const struct refused_call *call)
{
    static const size_t sizes[] = {1, 4, 40, CALL_TEXT_MAX};
    char text[CALL_TEXT_MAX + 1];
    for (size_t i = 0; call->nr >= 0 && i < sizeof sizes / sizeof *sizes; i++) {
        memset(text, '\x7f', sizeof text);
        syscall_args_describe(call, text, sizes[i]);
        size_t len = strlen(text);
        if (len >= sizes[i] || text[sizes[i]] != '\x7f')
            abort();
        for (size_t k = 0; k < len; k++)
            if (text[k] < ' ' || text[k] > '~')
                abort();
    }
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
        check_text(&report.call);
    }
    if (control_decode(data, size, &control) == 0)
        check_same(buf, control_encode(&control, buf), data, size);
    return 0;
}
