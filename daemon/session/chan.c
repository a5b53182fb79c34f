#include "chan.h"
#include "cleanup.h"
#include "cork.h"
#include "over.h"
#include "pump.h"
#include "recording.h"
#include "signames.h"
#include "tell.h"
#include "terminal.h"

#include <inttypes.h>
#include <libssh/server.h>
#include <string.h>

void session_close(struct session *session, bool failed, const char *text)
{
    if (session->closing)
        return;
    session->closing = true;
    session->failed = failed;
    (void)snprintf(session->close_text, sizeof session->close_text, "%s", text);
}

void session_link_lost(struct session *session, const struct err *err)
{
    if (err->text[0] != '\0')
        TELL(LOG_LEVEL_INFO, "link to the master: %s", err->text);
    session_close(session, err->text[0] != '\0', "");
}

struct channel *chan_new(struct session *session)
{
    if (session->n_channels >= session->max_channels)
        return NULL;
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return NULL;
    *channel = (struct channel){.next = session->channels,
                                .session = session,
                                .id = session->next_id++,
                                .input = {.fd = -1},
                                .out = {.pipe = {.fd = -1}},
                                .err = {.pipe = {.fd = -1}}};
    session->channels = channel;
    session->n_channels++;
    return channel;
}

void chan_free(struct channel *channel)
{
    struct session *session = channel->session;
    for (struct channel **at = &session->channels; *at != NULL; at = &(*at)->next) {
        if (*at == channel) {
            *at = channel->next;
            break;
        }
    }
    session->n_channels--;
    pump_close(channel);
    env_list_free(&channel->env);
    free(channel->idle_text);
    free(channel->exit_text);
    free(channel->receipt);
    free(channel->terminal);
    (void)recording_end(channel->recording);
    free(channel);
}

struct channel *chan_find(struct session *session, uint32_t id)
{
    struct channel *channel = session->channels;
    while (channel != NULL && channel->id != id)
        channel = channel->next;
    return channel;
}

struct channel *chan_find_ssh(struct session *session, ssh_channel ssh)
{
    struct channel *channel = session->channels;
    while (channel != NULL && channel->ssh != ssh)
        channel = channel->next;
    return channel;
}

static void tell_done(struct channel *channel)
{
    struct err err = {0};
    if (channel->recording != NULL)
        channel->recorded = recording_end(steal_ptr(channel->recording));
    struct msg_evt_done done = {.channel = channel->id,
                                .bytes_in = channel->input_bytes,
                                .bytes_out = channel->out.bytes,
                                .bytes_err = channel->err.bytes,
                                .recorded = (uint8_t)channel->recorded};
    if (!channel->has_exec)
        return;
    channel->has_exec = false;
    if (ask_tell_done(&channel->session->ask, &done, &err) < 0)
        session_link_lost(channel->session, &err);
}

static void tell_gone(struct channel *channel)
{
    struct err err = {0};
    if (channel->exited || !(channel->has_exec || channel->answer_due))
        return;
    if (ask_tell_gone(&channel->session->ask, channel->id, &err) < 0)
        session_link_lost(channel->session, &err);
}

void chan_abandon(struct channel *channel)
{
    tell_gone(channel);
    channel->phase = CHANNEL_CLOSED;
    pump_close(channel);
    tell_done(channel);
}

static void say_no_terminal(struct channel *channel, const char *exec_id)
{
    char text[IPC_LINE_MAX];
    /* It may have been taken back since it was granted. */
    const char *why = channel->terminal->refused ? channel->terminal->text : "no terminal any more";
    int n =
        snprintf(text, sizeof text, "postern: note: %s; ssh -T asks for none [%s]", why, exec_id);
    if (n > 0 && (size_t)n < sizeof text)
        pump_note(channel, text);
}

static int attach_pipes(struct channel *channel, struct event *event)
{
    struct session *session = channel->session;
    if (pump_attach_input(&channel->input, steal_fd(&event->fds[0])) < 0 ||
        pump_attach_output(session, &channel->out.pipe, steal_fd(&event->fds[1])) < 0 ||
        pump_attach_output(session, &channel->err.pipe, steal_fd(&event->fds[2])) < 0)
        return -1;
    return 0;
}

/* From before the first byte. */
static void start_recording(struct channel *channel, struct event *event)
{
    if (!event->recorded)
        return;
    channel->recording =
        recording_begin(steal_fd(&event->record_fd), event->record_room, event->terminal);
    if (channel->recording == NULL)
        channel->recorded = RECORDED_INCOMPLETE;
}

static void start_exec(struct channel *channel, struct event *event)
{
    struct session *session = channel->session;
    start_recording(channel, event);
    /* A terminal's comes with an event of its own. */
    if (!event->terminal && attach_pipes(channel, event) < 0) {
        session_close(session, true, "out of resources");
        return;
    }
    channel->phase = CHANNEL_RUNNING;
    channel->on_terminal = event->terminal;
    over_begin(channel, event);
    TELL(LOG_LEVEL_DEBUG, "ch %u: exec %s started", channel->id, event->exec_id);
    if (channel->terminal != NULL && !event->terminal)
        say_no_terminal(channel, event->exec_id);
}

static void keep_exit_text(struct channel *channel, const struct event *event)
{
    channel->exited = true;
    free(steal_ptr(channel->exit_text));
    free(steal_ptr(channel->receipt));
    if (event->text[0] != '\0')
        channel->exit_text = strdup(event->text);
    if (event->receipt[0] != '\0')
        channel->receipt = strdup(event->receipt);
}

static void on_answer(struct channel *channel, struct event *event)
{
    if (!channel->answer_due)
        return;
    channel->answer_due = false;
    channel->has_exec = event->allowed;
    channel->recorded = event->recorded ? RECORDED_WHOLE : RECORDED_NOT;
    if (channel->phase == CHANNEL_CLOSED) {
        /* The peer has gone meanwhile; the master knows, and now how little was carried. */
        tell_done(channel);
        return;
    }
    if (event->allowed) {
        start_exec(channel, event);
        return;
    }
    TELL(LOG_LEVEL_DEBUG, "ch %u: exec %s refused", channel->id, event->exec_id);
    pump_sink_input(channel);
    keep_exit_text(channel, event);
    channel->signalled = event->signalled;
    channel->code = event->code;
    channel->phase = CHANNEL_ENDING;
}

static void on_exit_event(struct channel *channel, const struct event *event)
{
    /* One that has crossed our EVT_OVER is followed by another. */
    if (channel->phase != CHANNEL_RUNNING || event->over != channel->over_told)
        return;
    /* Nothing reads any more; what was written comes first, then the end. */
    pump_sink_input(channel);
    /* A terminal that nobody held open may have been left alone. */
    channel->out.pipe.ready = true;
    keep_exit_text(channel, event);
    channel->cut = event->cut;
    channel->signalled = event->signalled;
    channel->core = event->core;
    channel->code = event->code;
    channel->phase = CHANNEL_ENDING;
}

void chan_on_event(struct channel *channel, struct event *event)
{
    switch (event->type) {
    case MSG_ANS_EXEC:
        on_answer(channel, event);
        break;
    case MSG_EVT_TERMINAL:
        terminal_attach(channel, event);
        break;
    case MSG_EVT_NOTE:
        if (channel->phase == CHANNEL_ASKED || channel->phase == CHANNEL_RUNNING)
            pump_note(channel, event->text);
        break;
    case MSG_EVT_EXIT:
        on_exit_event(channel, event);
        break;
    default:
        break;
    }
}

static void send_exit(struct channel *channel)
{
    char name[SIGNAME_MAX];
    if (channel->signalled) {
        (void)signame_ssh((int)channel->code, name);
        TRACE("ch %u -> exit-signal %s%s", channel->id, name, channel->core ? " (core)" : "");
        (void)ssh_channel_request_send_exit_signal(channel->ssh, name, channel->core, "", "");
    } else {
        TRACE("ch %u -> exit-status %u", channel->id, channel->code);
        (void)ssh_channel_request_send_exit_status(channel->ssh, (int)channel->code);
    }
}

/*
 * EOF, how it ended, CLOSE. The status goes out even if the peer has closed already: it may wait
 * for it. Errors of libssh here mean that the connection is gone, which the loop sees.
 */
static void send_end(struct channel *channel)
{
    if (channel->out.bytes + channel->err.bytes + channel->input_bytes > 0)
        TRACE("ch %u: carried %" PRIu64 " bytes in, %" PRIu64 " out, %" PRIu64 " err", channel->id,
              channel->input_bytes, channel->out.bytes, channel->err.bytes);
    TRACE("ch %u -> eof", channel->id);
    cork_hold();
    (void)ssh_channel_send_eof(channel->ssh);
    if (channel->phase == CHANNEL_ENDING)
        send_exit(channel);
    TRACE("ch %u -> close", channel->id);
    cork_release();
    (void)ssh_channel_close(channel->ssh);
    /* It would answer on a channel that is closed. */
    channel->callbacks.channel_pty_request_function = NULL;
    pump_close(channel);
    channel->phase = CHANNEL_CLOSED;
    tell_done(channel);
}

/* The peer has closed the channel before we did. */
static void end_early(struct channel *channel)
{
    tell_gone(channel);
    send_end(channel);
}

static void release_ssh(struct channel *channel)
{
    (void)ssh_remove_channel_callbacks(channel->ssh, &channel->callbacks);
    ssh_channel_free(channel->ssh);
    channel->ssh = NULL;
}

/* What was carried is known here alone, and only now. */
static void say_receipt(struct channel *channel)
{
    char line[IPC_RECEIPT_MAX + 128];
    int n =
        snprintf(line, sizeof line,
                 "%s,\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"bytes_err\":%" PRIu64 "}",
                 channel->receipt, channel->input_bytes, channel->out.bytes, channel->err.bytes);
    if (n > 0 && (size_t)n < sizeof line)
        pump_note(channel, line);
    free(steal_ptr(channel->receipt));
}

/* True once all the command's output is on its way, with our last lines after it. */
static bool is_said(struct channel *channel)
{
    if (!pump_is_drained(channel))
        return false;
    if (channel->exit_text == NULL && channel->receipt == NULL)
        return true;
    if (channel->exit_text != NULL)
        pump_note(channel, channel->exit_text);
    free(steal_ptr(channel->exit_text));
    if (channel->receipt != NULL)
        say_receipt(channel);
    pump_notes(channel);
    return pump_is_drained(channel);
}

bool chan_work(struct channel *channel)
{
    bool more = false;
    if (channel->ssh == NULL)
        return false;
    if (channel->peer_closed && channel->phase != CHANNEL_CLOSED)
        end_early(channel);
    if (channel->phase == CHANNEL_CLOSED) {
        if (channel->peer_closed)
            release_ssh(channel);
        return false;
    }
    pump_input(channel);
    if (channel->phase == CHANNEL_RUNNING || channel->phase == CHANNEL_ENDING) {
        /* Both are to be tried. */
        more |= pump_output(channel, &channel->out, false);
        more |= pump_output(channel, &channel->err, true);
        over_check_idle(channel);
    }
    recording_flush(channel->recording);
    pump_notes(channel);
    if (channel->phase == CHANNEL_ENDING && is_said(channel))
        send_end(channel);
    return more;
}

bool chan_is_over(const struct channel *channel)
{
    return channel->ssh == NULL && !channel->answer_due;
}
