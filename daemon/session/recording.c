#include "recording.h"
#include "backlog.h"
#include "cast.h"
#include "cleanup.h"
#include "tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* stdout, or a terminal; and stderr. */
struct kept_stream {
    struct cast_text text;
    size_t head;       /* bytes that are written as they come */
    struct tail *tail; /* owned; of what comes after them; NULL: nothing has */
    uint64_t lost;     /* for want of memory */
    bool gap_told;
    char code;
};

struct recording {
    int fd;
    bool terminal;
    uint64_t start_us;
    uint64_t room;     /* bytes that the file may still grow by, those that wait counted */
    uint64_t rests_us; /* no write before */
    uint64_t ends_us;  /* no write after, and none after one that failed; 0: it is not ending */
    bool stuck;        /* the last write failed */
    uint64_t lost;     /* bytes of output that are to be remarked on */
    bool head_over;    /* what comes now may have to be left out */
    bool full;         /* there was no room for more */
    bool failed;       /* something is missing that should be there */
    struct backlog pending;
    struct kept_stream streams[2];
};

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct recording *recording_begin(int fd, uint64_t room, bool terminal)
{
    struct recording *recording = calloc(1, sizeof *recording);
    if (recording == NULL) {
        close_fd(&fd);
        return NULL;
    }
    *recording = (struct recording){
        .fd = fd,
        .terminal = terminal,
        .start_us = clock_us(),
        .room = room,
        .streams = {{.head = RECORDING_HEAD, .code = 'o'}, {.head = RECORDING_HEAD, .code = 'e'}}};
    return recording;
}

/* True if there was something to be written and it could be. */
static bool write_some(struct recording *recording)
{
    uint64_t before = clock_us();
    if (recording->pending.len == 0)
        return false;
    ssize_t n = write(recording->fd, backlog_front(&recording->pending), recording->pending.len);
    if (n < 0 && errno == EINTR)
        return true;
    uint64_t after = clock_us(), took = after - before;
    recording->stuck = n <= 0;
    if (recording->stuck) {
        recording->rests_us = after + RECORDING_RETRY_US;
        return false;
    }
    backlog_drop(&recording->pending, (size_t)n);
    if (took >= RECORDING_SLOW_US) {
        uint64_t rest = took * RECORDING_REST;
        recording->rests_us = after + (rest < RECORDING_REST_MAX_US ? rest : RECORDING_REST_MAX_US);
    }
    return true;
}

static bool may_write(const struct recording *recording)
{
    if (recording->ends_us == 0)
        return recording->rests_us <= clock_us();
    return !recording->stuck && clock_us() < recording->ends_us;
}

void recording_flush(struct recording *recording)
{
    if (recording == NULL || recording->pending.len == 0)
        return;
    /* What is left after a short write is tried at once: that tells why it was. */
    while (may_write(recording) && write_some(recording))
        ;
}

/* One line, if there is room for it and for what must follow. */
static bool put_line(struct recording *recording, const char *line, size_t len, size_t reserve)
{
    if (len + reserve > recording->room) {
        recording->full = true;
        return false;
    }
    if (recording->pending.len + len > RECORDING_PENDING_MAX)
        recording_flush(recording);
    if (backlog_put(&recording->pending, line, len, RECORDING_PENDING_MAX) < 0) {
        recording->failed = true;
        return false;
    }
    recording->room -= len;
    return true;
}

static void remark_lost(struct recording *recording, uint64_t time_us)
{
    char line[CAST_SHORT_MAX], text[96];
    (void)snprintf(text, sizeof text, "postern: %" PRIu64 " bytes were not recorded: %s",
                   recording->lost, recording->full ? "record-max" : "the disk is slow or full");
    size_t len = cast_remark(time_us, text, line);
    if (put_line(recording, line, len, 0))
        recording->lost = 0;
}

/* Nothing follows what was left out for want of room. What the disk held up goes on when there is
 * room for more than a remark. */
static bool may_go_on(struct recording *recording, uint64_t time_us)
{
    if (recording->full)
        return false;
    if (recording->lost > 0 && recording->pending.len <= RECORDING_PENDING_MAX / 2)
        remark_lost(recording, time_us);
    return recording->lost == 0;
}

static void put_bytes(struct recording *recording, struct kept_stream *stream, uint64_t time_us,
                      const unsigned char *data, size_t len)
{
    static char line[CAST_LINE_MAX];
    while (len > 0) {
        size_t part = len < CAST_BYTES_MAX ? len : CAST_BYTES_MAX;
        size_t n = 0, held = stream->text.n_held;
        bool going = may_go_on(recording, time_us);
        if (going)
            n = cast_event(&stream->text, time_us, stream->code, data, part, line);
        if (!going || (n > 0 && !put_line(recording, line, n, RECORDING_REMARKS))) {
            recording->lost += held + part;
            stream->text = (struct cast_text){0};
        }
        data += part;
        len -= part;
    }
}

int recording_due(const struct recording *recording)
{
    if (recording == NULL || recording->pending.len == 0)
        return -1;
    uint64_t now = clock_us();
    return recording->rests_us <= now ? 0 : (int)((recording->rests_us - now) / 1000 + 1);
}

static void keep_tail(struct kept_stream *stream, uint64_t time_us, const unsigned char *data,
                      size_t len)
{
    if (stream->tail == NULL)
        stream->tail = calloc(1, sizeof *stream->tail);
    if (stream->tail == NULL)
        stream->lost += len;
    else
        tail_put(stream->tail, time_us, data, len);
}

/* How much of it is written as it comes. With the head of one stream that of the other ends, too:
 * what is written later must not have come earlier. */
static size_t take_head(struct recording *recording, struct kept_stream *stream, size_t len)
{
    /* Many small writes make much of few bytes. */
    if (recording->room < RECORDING_TAILS_ROOM)
        recording->head_over = true;
    if (recording->head_over)
        return 0;
    size_t head = len < stream->head ? len : stream->head;
    stream->head -= head;
    recording->head_over = len > head;
    return head;
}

void recording_output(struct recording *recording, const unsigned char *data, size_t len,
                      bool is_stderr)
{
    if (recording == NULL)
        return;
    struct kept_stream *stream = &recording->streams[is_stderr];
    uint64_t time_us = clock_us() - recording->start_us;
    size_t head = recording->terminal ? len : take_head(recording, stream, len);
    put_bytes(recording, stream, time_us, data, head);
    recording_flush(recording);
    if (len > head)
        keep_tail(stream, time_us, data + head, len - head);
}

void recording_resize(struct recording *recording, uint32_t columns, uint32_t rows)
{
    char line[CAST_SHORT_MAX];
    if (recording == NULL)
        return;
    uint64_t time_us = clock_us() - recording->start_us;
    if (may_go_on(recording, time_us))
        (void)put_line(recording, line, cast_resize(time_us, columns, rows, line),
                       RECORDING_REMARKS);
    recording_flush(recording);
}

static void put_end(struct recording *recording, struct kept_stream *stream, uint64_t time_us)
{
    char line[CAST_SHORT_MAX];
    size_t len = cast_event_end(&stream->text, time_us, stream->code, line);
    if (len > 0 && may_go_on(recording, time_us))
        (void)put_line(recording, line, len, RECORDING_REMARKS);
}

/* Between a head and a tail that don't meet. */
static void put_gap(struct recording *recording, struct kept_stream *stream, uint64_t time_us)
{
    char line[CAST_SHORT_MAX], text[96];
    uint64_t lost = stream->lost + (stream->tail != NULL ? stream->tail->lost : 0);
    if (lost == 0 || stream->gap_told)
        return;
    stream->gap_told = true;
    put_end(recording, stream, time_us);
    (void)snprintf(text, sizeof text, "postern: %" PRIu64 " bytes of %s are left out here", lost,
                   stream->code == 'e' ? "stderr" : "stdout");
    if (may_go_on(recording, time_us))
        (void)put_line(recording, line, cast_remark(time_us, text, line), RECORDING_REMARKS);
}

/* The one whose oldest bytes came first; NULL: there are none left. */
static struct kept_stream *next_tail(struct recording *recording, uint64_t *time_us)
{
    struct kept_stream *next = NULL;
    for (size_t i = 0; i < array_len(recording->streams); i++) {
        struct kept_stream *stream = &recording->streams[i];
        uint64_t at;
        if (stream->tail == NULL || !tail_time(stream->tail, &at) ||
            (next != NULL && *time_us <= at))
            continue;
        next = stream;
        *time_us = at;
    }
    return next;
}

static void put_tails(struct recording *recording)
{
    unsigned char part[CAST_BYTES_MAX];
    struct kept_stream *stream;
    uint64_t time_us;
    while ((stream = next_tail(recording, &time_us)) != NULL) {
        put_gap(recording, stream, time_us);
        size_t len = tail_take(stream->tail, part, sizeof part);
        put_bytes(recording, stream, time_us, part, len);
        recording_flush(recording);
    }
}

enum recorded recording_end(struct recording *recording)
{
    if (recording == NULL)
        return RECORDED_NOT;
    uint64_t now_us = clock_us() - recording->start_us;
    /* There is no later, and the disk may have recovered. */
    recording->ends_us = clock_us() + RECORDING_END_US;
    recording->stuck = false;
    recording_flush(recording);
    put_tails(recording);
    for (size_t i = 0; i < array_len(recording->streams); i++) {
        put_gap(recording, &recording->streams[i], now_us);
        put_end(recording, &recording->streams[i], now_us);
    }
    if (recording->lost > 0)
        remark_lost(recording, now_us);
    recording_flush(recording);
    bool failed = recording->failed || recording->pending.len > 0;
    bool full = recording->full;
    close_fd(&recording->fd);
    backlog_free(&recording->pending);
    for (size_t i = 0; i < array_len(recording->streams); i++)
        free(recording->streams[i].tail);
    free(recording);
    return failed ? RECORDED_INCOMPLETE : full ? RECORDED_FULL : RECORDED_WHOLE;
}
