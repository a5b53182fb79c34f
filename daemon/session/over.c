#include "over.h"
#include "cleanup.h"
#include "pump.h"
#include "recording.h"
#include "tell.h"

#include <string.h>
#include <time.h>

enum { TIMEOUT_MAX_MS = 3600000 };

uint64_t over_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void over_begin(struct channel *channel, const struct event *answer)
{
    channel->limits = (struct channel_limits){.idle_ms = answer->idle_ms,
                                              .warn_ms = answer->warn_ms,
                                              .output_max = answer->output_max,
                                              .moved_ms = over_clock()};
    if (answer->text[0] != '\0')
        channel->idle_text = strdup(answer->text);
    channel->session->now_ms = channel->limits.moved_ms;
}

void over_moved(struct channel *channel)
{
    channel->limits.moved_ms = channel->session->now_ms;
    channel->limits.warned = false;
}

uint64_t over_room(const struct channel *channel)
{
    return channel->limits.output_max - channel->limits.read;
}

void over_read(struct channel *channel, size_t n)
{
    channel->limits.read += n;
    over_moved(channel);
}

/* Once: the master's word on how it ended, which follows, is the last. */
static void tell(struct channel *channel, enum over limit)
{
    struct err err = {0};
    struct msg_evt_over over = {.channel = channel->id, .limit = (uint8_t)limit};
    if (channel->over_told)
        return;
    channel->over_told = true;
    TELL(LOG_LEVEL_DEBUG, "ch %u: %s limit", channel->id, limit == OVER_IDLE ? "idle" : "output");
    if (ask_tell_over(&channel->session->ask, &over, &err) < 0)
        session_link_lost(channel->session, &err);
}

void over_output(struct channel *channel)
{
    close_fd(&channel->out.pipe.fd);
    close_fd(&channel->err.pipe.fd);
    tell(channel, OVER_OUTPUT);
    /* It may have ended before it was seen to have written too much. */
    if (channel->phase == CHANNEL_ENDING)
        channel->phase = CHANNEL_RUNNING;
}

/* When the channel's time is over; UINT64_MAX: never. */
static uint64_t due(const struct channel *channel)
{
    const struct channel_limits *limits = &channel->limits;
    bool counts = channel->phase == CHANNEL_RUNNING && !channel->over_told;
    return counts && limits->idle_ms < UINT64_MAX - limits->moved_ms
               ? limits->moved_ms + limits->idle_ms
               : UINT64_MAX;
}

/* When the client is to be told of that; UINT64_MAX: never, or it has been. */
static uint64_t warning_due(const struct channel *channel)
{
    const struct channel_limits *limits = &channel->limits;
    uint64_t end = due(channel);
    bool counts =
        !limits->warned && channel->idle_text != NULL && limits->warn_ms < limits->idle_ms;
    return counts && end != UINT64_MAX ? end - limits->warn_ms : UINT64_MAX;
}

void over_check_idle(struct channel *channel)
{
    if (warning_due(channel) <= channel->session->now_ms) {
        channel->limits.warned = true;
        pump_note(channel, channel->idle_text);
    }
    if (due(channel) <= channel->session->now_ms)
        tell(channel, OVER_IDLE);
}

/* What a recording has put off is no limit, but it is waited for at the same place. */
static uint64_t recording_time(const struct channel *channel, uint64_t now)
{
    int ms = recording_due(channel->recording);
    return ms < 0 ? UINT64_MAX : now + (uint64_t)ms;
}

int over_timeout(const struct session *session)
{
    uint64_t first = UINT64_MAX, now = over_clock();
    for (const struct channel *c = session->channels; c != NULL; c = c->next) {
        const uint64_t times[] = {due(c), warning_due(c), recording_time(c, now)};
        for (size_t i = 0; i < array_len(times); i++)
            first = times[i] < first ? times[i] : first;
    }
    if (first == UINT64_MAX)
        return -1;
    uint64_t left = first > now ? first - now : 0;
    return left < TIMEOUT_MAX_MS ? (int)left : TIMEOUT_MAX_MS;
}
