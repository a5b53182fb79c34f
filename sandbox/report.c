#include "report.h"

#include "wire.h"

enum {
    ERRNO_MAX = 4095, /* the kernel's own bound */
    SIGNAL_MAX = 64,
    SYSCALL_NR_MAX = 65535, /* no architecture numbers its calls higher */
    UNTOLD_MAX = 65535
};

const char *report_stage_name(enum report_stage stage)
{
    static const char *const names[] = {
#define X(name, text) text,
        REPORT_STAGES(X)
#undef X
    };
    _Static_assert(sizeof names / sizeof *names == STAGE_COUNT, "a name for every stage");
    return (unsigned)stage < STAGE_COUNT ? names[stage] : "?";
}

const char *report_why_text(enum report_why why)
{
    static const char *const texts[] = {
#define X(name, text) text,
        REPORT_WHYS(X)
#undef X
    };
    _Static_assert(sizeof texts / sizeof *texts == WHY_COUNT, "a text for every why");
    return (unsigned)why < WHY_COUNT ? texts[why] : "?";
}

static void put_call(struct wire_writer *w, const struct refused_call *call)
{
    wire_put_u32(w, (uint32_t)(call->nr + 1));
    if (call->nr < 0)
        return;
    wire_put_u32(w, (uint32_t)call->abi);
    for (size_t i = 0; i < CALL_ARGS; i++)
        wire_put_u32(w, call->args[i]);
}

static uint32_t get_bounded(struct wire_reader *r, uint32_t least, uint32_t most)
{
    uint32_t v = wire_get_u32(r);
    if (v < least || v > most)
        r->bad = true;
    return r->bad ? least : v;
}

static void get_call(struct wire_reader *r, bool may_be_none, struct refused_call *out)
{
    *out = (struct refused_call){.nr = -1};
    uint32_t coded = get_bounded(r, may_be_none ? 0 : 1, SYSCALL_NR_MAX + 1);
    if (r->bad || coded == 0)
        return;
    out->nr = (int)coded - 1;
    out->abi = (enum call_abi)get_bounded(r, 0, CALL_ABIS - 1);
    for (size_t i = 0; i < CALL_ARGS; i++)
        out->args[i] = wire_get_u32(r);
}

static bool get_bool(struct wire_reader *r)
{
    uint8_t v = wire_get_u8(r);
    if (v > 1)
        r->bad = true;
    return v == 1;
}

size_t report_encode(const struct report *report, unsigned char *buf)
{
    struct wire_writer w = {.buf = buf, .cap = REPORT_MAX};
    wire_put_u32(&w, (uint32_t)report->type);
    switch (report->type) {
    case REPORT_STARTED:
        break;
    case REPORT_FAILED:
        wire_put_u32(&w, (uint32_t)report->stage);
        wire_put_u32(&w, (uint32_t)report->err_num);
        wire_put_u32(&w, (uint32_t)report->why);
        break;
    case REPORT_NOTE:
        put_call(&w, &report->call);
        break;
    case REPORT_EXIT:
        wire_put_u8(&w, report->signalled);
        wire_put_u32(&w, (uint32_t)report->code);
        wire_put_u8(&w, report->core);
        put_call(&w, &report->call);
        wire_put_u32(&w, report->untold);
        wire_put_u64(&w, report->user_us);
        wire_put_u64(&w, report->system_us);
        wire_put_u64(&w, report->max_rss_kib);
        wire_put_u64(&w, report->read_bytes);
        wire_put_u64(&w, report->written_bytes);
        break;
    }
    return w.len;
}

static void decode_exit(struct wire_reader *r, struct report *out)
{
    out->signalled = get_bool(r);
    out->code = (int)get_bounded(r, out->signalled ? 1 : 0, out->signalled ? SIGNAL_MAX : 255);
    out->core = get_bool(r);
    get_call(r, true, &out->call);
    out->untold = get_bounded(r, 0, UNTOLD_MAX);
    out->user_us = wire_get_u64(r);
    out->system_us = wire_get_u64(r);
    out->max_rss_kib = wire_get_u64(r);
    out->read_bytes = wire_get_u64(r);
    out->written_bytes = wire_get_u64(r);
    /* Only a signal can leave a core or be seccomp's doing. */
    if (!out->signalled && (out->core || out->call.nr != -1))
        r->bad = true;
}

int report_decode(const unsigned char *buf, size_t len, struct report *out)
{
    struct wire_reader r = {.buf = buf, .len = len};
    *out = (struct report){.call.nr = -1};
    out->type = (enum report_type)get_bounded(&r, REPORT_STARTED, REPORT_EXIT);
    switch (out->type) {
    case REPORT_STARTED:
        break;
    case REPORT_FAILED:
        out->stage = (enum report_stage)get_bounded(&r, 0, STAGE_COUNT - 1);
        out->err_num = (int)get_bounded(&r, 0, ERRNO_MAX);
        out->why = (enum report_why)get_bounded(&r, 0, WHY_COUNT - 1);
        if (out->why != WHY_NONE && out->stage != STAGE_EXEC)
            r.bad = true;
        break;
    case REPORT_NOTE:
        get_call(&r, false, &out->call);
        break;
    case REPORT_EXIT:
        decode_exit(&r, out);
        break;
    }
    return wire_end(&r) ? 0 : -1;
}

size_t control_encode(const struct control *control, unsigned char *buf)
{
    struct wire_writer w = {.buf = buf, .cap = REPORT_MAX};
    wire_put_u32(&w, (uint32_t)control->type);
    wire_put_u32(&w, (uint32_t)control->signo);
    return w.len;
}

int control_decode(const unsigned char *buf, size_t len, struct control *out)
{
    struct wire_reader r = {.buf = buf, .len = len};
    out->type = (enum control_type)get_bounded(&r, CONTROL_SIGNAL, CONTROL_SIGNAL_ALL);
    out->signo = (int)get_bounded(&r, 1, SIGNAL_MAX);
    return wire_end(&r) ? 0 : -1;
}
