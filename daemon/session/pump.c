#include "pump.h"
#include "cleanup.h"
#include "over.h"
#include "recording.h"
#include "tell.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

/*
 * How input stays bounded (libssh 0.10): it grants a window of 1,280,000 bytes and renews it
 * whenever the application takes something while the window is under half, whatever else is still
 * waiting. So a channel's bytes are left in libssh, where the window runs out, until its own
 * backlog is empty, and then all of them are taken at once: at most one window here and one there.
 */
enum {
#if LIBSSH_VERSION_INT < SSH_VERSION_INT(0, 11, 0)
    UNREAD_MAX = 1280000 + 128 * 1024, /* more means that the peer overran its window */
#else
    UNREAD_MAX = 8 * 1024 * 1024, /* newer versions watch the window themselves */
#endif
};

static unsigned char chunk[CHUNK];

static int watch(struct session *session, struct stream *stream, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = stream};
    return epoll_ctl(session->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* New pipes and terminals have no other flag that could be set. */
static int unblock(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK);
}

int pump_attach_output(struct session *session, struct stream *stream, int fd)
{
    *stream = (struct stream){.fd = fd};
    /* If there is something to be read already, the loop says so as it would later. */
    if (unblock(fd) < 0 || watch(session, stream, fd, EPOLLIN) < 0) {
        close_fd(&stream->fd);
        return -1;
    }
    return 0;
}

int pump_attach_input(struct stream *stream, int fd)
{
    *stream = (struct stream){.fd = fd, .ready = true};
    if (unblock(fd) < 0) {
        close_fd(&stream->fd);
        return -1;
    }
    return 0;
}

void pump_await_input(struct channel *channel)
{
    struct stream *input = &channel->input;
    input->ready = false;
    if (input->watched)
        return;
    input->watched = true;
    if (watch(channel->session, input, input->fd, EPOLLOUT) < 0)
        session_close(channel->session, true, "out of resources");
}

static void set_unread(struct channel *channel, size_t unread)
{
    channel->session->held += unread - channel->unread;
    channel->unread = unread;
}

size_t pump_on_data(struct channel *channel, size_t len, bool is_stderr)
{
    /* No client has business on our stderr; nobody reads it. */
    if (is_stderr || channel->input_sink)
        return len;
    if (len > UNREAD_MAX) {
        TELL(LOG_LEVEL_INFO, "channel %u: the client sends past its window", channel->id);
        session_close(channel->session, true, "window exceeded");
        return len;
    }
    set_unread(channel, len);
    return 0;
}

/* Takes all that libssh holds into buf[channel->unread]. Returns the number of bytes. */
static size_t take_unread(struct channel *channel, unsigned char *buf)
{
    size_t want = channel->unread, len = 0;
    set_unread(channel, 0);
    while (len < want) {
        int n = ssh_channel_read_nonblocking(channel->ssh, buf + len, (uint32_t)(want - len), 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    return len;
}

/* Returns the number of bytes written; 0 means not now, or that the reader is gone. */
static size_t write_input(struct channel *channel, const unsigned char *data, size_t len)
{
    size_t done = 0;
    while (done < len && channel->input.ready) {
        ssize_t n = write(channel->input.fd, data + done, len - done);
        if (n > 0) {
            done += (size_t)n;
            over_moved(channel);
        } else if (channel->on_terminal && errno == EIO) {
            /* Nobody has it open just now: what is typed goes nowhere. */
            done = len;
        } else if (errno == EAGAIN) {
            pump_await_input(channel);
        } else if (errno != EINTR) {
            pump_sink_input(channel);
            break;
        }
    }
    channel->input_bytes += done;
    if (done > 0)
        channel->input_mid_line = data[done - 1] != '\n' && data[done - 1] != '\r';
    return done;
}

static void keep_input(struct channel *channel, const unsigned char *data, size_t len)
{
    if (channel->input_sink)
        return;
    if (backlog_put(&channel->input_pending, data, len, UNREAD_MAX) < 0) {
        session_close(channel->session, true, "out of memory");
        return;
    }
    channel->session->held += len;
}

static void move_unread(struct channel *channel)
{
    cleanup_free unsigned char *large = NULL;
    unsigned char *buf = chunk;
    if (channel->unread > sizeof chunk) {
        buf = large = malloc(channel->unread);
        if (large == NULL) {
            session_close(channel->session, true, "out of memory");
            return;
        }
    }
    size_t len = take_unread(channel, buf);
    size_t done = write_input(channel, buf, len);
    keep_input(channel, buf + done, len - done);
}

static void move_pending(struct channel *channel)
{
    struct backlog *pending = &channel->input_pending;
    size_t n = write_input(channel, backlog_front(pending), pending->len);
    /* A sink has already forgotten it. */
    if (channel->input_sink)
        return;
    backlog_drop(pending, n);
    channel->session->held -= n;
}

/* A pipe is closed; on a terminal, whose other end stays, the end is typed. */
static void end_input(struct channel *channel)
{
    if (channel->on_terminal && !terminal_send_eof(channel))
        pump_await_input(channel);
    else
        close_fd(&channel->input.fd);
}

void pump_input(struct channel *channel)
{
    if (channel->input_sink) {
        if (channel->unread > 0) {
            cleanup_free unsigned char *waste = malloc(channel->unread);
            if (waste != NULL)
                (void)take_unread(channel, waste);
        }
        return;
    }
    if (channel->input.fd < 0)
        return;
    if (channel->input_pending.len > 0)
        move_pending(channel);
    if (channel->input_pending.len == 0 && channel->unread > 0 && channel->input.ready)
        move_unread(channel);
    if (channel->peer_eof && channel->unread == 0 && channel->input_pending.len == 0)
        end_input(channel);
}

void pump_sink_input(struct channel *channel)
{
    close_fd(&channel->input.fd);
    channel->session->held -= channel->input_pending.len;
    backlog_free(&channel->input_pending);
    channel->input_sink = true;
}

/* Remembers whether the peer's stderr, or its terminal, is at the beginning of a line. */
static void note_line(struct channel *channel, unsigned char last, bool is_stderr)
{
    if (is_stderr || terminal_is_on(channel))
        channel->mid_line = last != '\n';
}

/* Writes to the peer; what it doesn't take now is kept. Returns false if something had to be kept
 * or the channel takes nothing any more. */
static bool send_bytes(struct channel *channel, const unsigned char *data, size_t len,
                       bool is_stderr, struct backlog *rest, uint64_t *count)
{
    int n = is_stderr ? ssh_channel_write_stderr(channel->ssh, data, (uint32_t)len)
                      : ssh_channel_write(channel->ssh, data, (uint32_t)len);
    /* It fails when the channel or the connection is gone, which the loop sees elsewhere. */
    if (n < 0)
        return false;
    if (n > 0)
        note_line(channel, data[n - 1], is_stderr);
    *count += (uint64_t)n;
    if ((size_t)n == len)
        return true;
    if (backlog_put(rest, data + n, len - (size_t)n, CHUNK) < 0)
        session_close(channel->session, true, "out of memory");
    return false;
}

/* True if the peer's window, the socket and the state of the channel let us write. */
static bool can_send(const struct channel *channel)
{
    return !channel->peer_closed && ssh_channel_window_size(channel->ssh) > 0 &&
           !(ssh_get_status(channel->session->ssh) & (SSH_WRITE_PENDING | SSH_CLOSED_ERROR));
}

/* Returns false if some of it is still pending. */
static bool send_pending(struct channel *channel, struct backlog *pending, bool is_stderr,
                         uint64_t *count)
{
    if (pending->len == 0)
        return true;
    if (!can_send(channel))
        return false;
    size_t window = ssh_channel_window_size(channel->ssh);
    size_t len = pending->len < window ? pending->len : window;
    int n = is_stderr
                ? ssh_channel_write_stderr(channel->ssh, backlog_front(pending), (uint32_t)len)
                : ssh_channel_write(channel->ssh, backlog_front(pending), (uint32_t)len);
    if (n <= 0)
        return false;
    note_line(channel, backlog_front(pending)[n - 1], is_stderr);
    *count += (uint64_t)n;
    /* Our own lines are no sign of life. */
    if (pending != &channel->notes)
        over_moved(channel);
    backlog_drop(pending, (size_t)n);
    return pending->len == 0;
}

/* After a read that failed. A terminal that nobody has open may be opened again, as /dev/tty, until
 * the command has ended; it says so when there is nothing left to be read. */
static bool may_come_later(const struct channel *channel)
{
    return errno == EAGAIN ||
           (errno == EIO && channel->on_terminal && channel->phase == CHANNEL_RUNNING);
}

bool pump_output(struct channel *channel, struct output *output, bool is_stderr)
{
    size_t budget = CHUNK;
    if (!send_pending(channel, &output->pending, is_stderr, &output->bytes))
        return false;
    while (output->pipe.fd >= 0 && (output->pipe.ready || channel->cut) && can_send(channel)) {
        if (budget == 0)
            return true;
        size_t window = ssh_channel_window_size(channel->ssh);
        size_t want = window < budget ? window : budget;
        uint64_t room = over_room(channel);
        /* Where nothing more may come, only a byte that does come tells that something would. */
        if (room < want)
            want = room > 0 ? (size_t)room : 1;
        ssize_t n = read(output->pipe.fd, chunk, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && may_come_later(channel) && !channel->cut) {
            output->pipe.ready = false;
        } else if (n <= 0) {
            close_fd(&output->pipe.fd);
        } else if (room == 0) {
            over_output(channel);
        } else {
            budget -= (size_t)n;
            over_read(channel, (size_t)n);
            recording_output(channel->recording, chunk, (size_t)n, is_stderr);
            if (!send_bytes(channel, chunk, (size_t)n, is_stderr, &output->pending, &output->bytes))
                return false;
        }
    }
    return false;
}

void pump_note(struct channel *channel, const char *text)
{
    char line[NOTE_MAX + 5];
    bool mid_line = channel->notes.len == 0 && channel->mid_line;
    /* What a client's terminal shows while it has one here is shown as it comes. */
    const char *end = terminal_is_on(channel) ? "\r\n" : "\n";
    int n = snprintf(line, sizeof line, "%s%s%s", mid_line ? end : "", text, end);
    if (n < 0 || (size_t)n >= sizeof line)
        return;
    if (backlog_put(&channel->notes, line, (size_t)n, NOTES_MAX) < 0)
        TELL(LOG_LEVEL_DEBUG, "channel %u: a line for the client was dropped", channel->id);
}

void pump_notes(struct channel *channel)
{
    uint64_t not_payload = 0;
    /* Not into the middle of what the command has written. */
    if (channel->err.pending.len == 0 &&
        (channel->out.pending.len == 0 || !terminal_is_on(channel)))
        (void)send_pending(channel, &channel->notes, true, &not_payload);
}

bool pump_is_drained(const struct channel *channel)
{
    return channel->out.pipe.fd < 0 && channel->out.pending.len == 0 && channel->err.pipe.fd < 0 &&
           channel->err.pending.len == 0 && channel->notes.len == 0;
}

void pump_close(struct channel *channel)
{
    pump_sink_input(channel);
    set_unread(channel, 0);
    close_fd(&channel->out.pipe.fd);
    close_fd(&channel->err.pipe.fd);
    backlog_free(&channel->out.pending);
    backlog_free(&channel->err.pending);
    backlog_free(&channel->notes);
}
