/*
 * What a new master restores: a good state with some of its bytes changed, or just the fuzzer's.
 * Whatever it holds is refused or becomes a server that can be ended in order. The first byte says
 * which, then come changes of three bytes each: two of the place, one of the value; and, if the
 * first byte is odd, the state ends at the place of the first of them.
 */
#include "handover_fixture.h"

#include <stdint.h>

enum { RAW = 0xff, CHANGE = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct state *good_state(void)
{
    static struct server server;
    static struct state saved = STATE_TO_SAVE;
    struct err err = {0};
    if (saved.out.len > 0)
        return &saved;
    log_open(false, LOG_LEVEL_ERROR);
    handover_fixture_fill(&server);
    handover_carry(&saved, &server, &err);
    FIXTURE_NEED(state_is_good(&saved));
    return &saved;
}

static size_t change(unsigned char *bytes, size_t len, const uint8_t *data, size_t size)
{
    size_t end = len;
    for (size_t i = 1; i + CHANGE <= size; i += CHANGE) {
        size_t at = ((size_t)data[i] << 8 | data[i + 1]) % len;
        if (i == 1 && data[0] % 2 == 1)
            end = at;
        bytes[at] = data[i + 2];
    }
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct server server;
    const struct state *saved = good_state();
    struct err err = {0};
    struct state state;
    bool raw = size > 0 && data[0] == RAW;
    size_t len = raw ? size - 1 : saved->out.len;
    unsigned char *bytes = malloc(len > 0 ? len : 1);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, raw ? data + 1 : saved->out.buf, len);
    if (!raw && size > 0)
        len = change(bytes, len, data, size);
    handover_fixture_begin(&server);
    state_open_fields(&state, (struct wire_bytes){bytes, len}, handover_fixture_fds(saved),
                      saved->n_fds);
    handover_carry(&state, &server, &err);
    /* The good one is. */
    if (size == 0 && !state_is_done(&state))
        abort();
    state_free(&state);
    handover_fixture_free(&server);
    free(bytes);
    return 0;
}
