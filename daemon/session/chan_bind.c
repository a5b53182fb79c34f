/* What libssh calls, for a channel of its: marks for chan_work(), requests that are answered at
 * once. */
#include "chan.h"
#include "overhear.h"
#include "pump.h"
#include "signames.h"
#include "tell.h"
#include "terminal.h"

static int on_data(ssh_session ssh, ssh_channel ssh_channel, void *data, uint32_t len,
                   int is_stderr, void *userdata)
{
    (void)ssh;
    (void)ssh_channel;
    (void)data;
    return (int)pump_on_data(userdata, len, is_stderr != 0);
}

static void on_eof(ssh_session ssh, ssh_channel ssh_channel, void *userdata)
{
    struct channel *channel = userdata;
    (void)ssh;
    (void)ssh_channel;
    TRACE("ch %u <- eof", channel->id);
    channel->peer_eof = true;
}

static void on_close(ssh_session ssh, ssh_channel ssh_channel, void *userdata)
{
    struct channel *channel = userdata;
    (void)ssh;
    (void)ssh_channel;
    TRACE("ch %u <- close", channel->id);
    channel->peer_closed = true;
}

/* A client that sends more has them dropped, which is what happens to signals that pile up. */
static bool may_signal(struct channel *channel)
{
    struct signal_count *count = &channel->signals;
    uint64_t now_ms = channel->session->now_ms;
    if (now_ms - count->since_ms >= SIGNALS_MS)
        *count = (struct signal_count){.since_ms = now_ms};
    return count->n++ < SIGNALS_MAX;
}

static void on_signal(ssh_session ssh, ssh_channel ssh_channel, const char *name, void *userdata)
{
    struct channel *channel = userdata;
    struct err err = {0};
    int signo = signame_number(name);
    (void)ssh;
    (void)ssh_channel;
    /* RFC 4254 §6.9: it never wants a reply. One that comes before the command has started waits
     * for it with the master. */
    bool sent = signo != 0 &&
                (channel->phase == CHANNEL_ASKED || channel->phase == CHANNEL_RUNNING) &&
                may_signal(channel);
    TRACE("ch %u <- request signal \"%s\"%s", channel->id, name, sent ? "" : ": ignored");
    if (sent && ask_tell_signal(&channel->session->ask, channel->id, signo, &err) < 0)
        session_link_lost(channel->session, &err);
}

static bool is_closed(const struct channel *channel)
{
    return channel->session->closing || channel->phase == CHANNEL_CLOSED;
}

/* libssh answers as this returns. */
static int on_pty(ssh_session ssh, ssh_channel ssh_channel, const char *term, int columns, int rows,
                  int x_pixels, int y_pixels, void *userdata)
{
    struct channel *channel = userdata;
    const struct terminal_size size = {(uint32_t)columns, (uint32_t)rows, (uint32_t)x_pixels,
                                       (uint32_t)y_pixels};
    (void)ssh;
    (void)ssh_channel;
    TRACE("ch %u <- request pty-req \"%s\" %ux%u want-reply=%d", channel->id, term, size.columns,
          size.rows, overhear_wants_reply());
    bool granted = !is_closed(channel) && terminal_on_request(channel, term, &size);
    TRACE("ch %u -> %s", channel->id, granted ? "success" : "failure");
    return granted ? 0 : -1;
}

/* RFC 4254 §6.7: never answered. */
static int on_window_change(ssh_session ssh, ssh_channel ssh_channel, int columns, int rows,
                            int x_pixels, int y_pixels, void *userdata)
{
    struct channel *channel = userdata;
    const struct terminal_size size = {(uint32_t)columns, (uint32_t)rows, (uint32_t)x_pixels,
                                       (uint32_t)y_pixels};
    (void)ssh;
    (void)ssh_channel;
    bool done = !is_closed(channel) && terminal_on_window_change(channel, &size);
    TRACE("ch %u <- request window-change %ux%u%s", channel->id, size.columns, size.rows,
          done ? "" : ": ignored");
    return 0;
}

void chan_bind(struct channel *channel, ssh_channel ssh)
{
    channel->ssh = ssh;
    channel->callbacks = (struct ssh_channel_callbacks_struct){
        .userdata = channel,
        .channel_data_function = on_data,
        .channel_eof_function = on_eof,
        .channel_close_function = on_close,
        .channel_signal_function = on_signal,
        .channel_pty_request_function = on_pty,
        .channel_pty_window_change_function = on_window_change,
    };
    ssh_callbacks_init(&channel->callbacks);
    if (ssh_set_channel_callbacks(ssh, &channel->callbacks) != SSH_OK)
        session_close(channel->session, true, "out of memory");
}
