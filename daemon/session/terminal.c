#include "terminal.h"
#include "cleanup.h"
#include "peek.h"
#include "pump.h"
#include "recording.h"
#include "tell.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

/* Programs keep something for each cell; no screen has so many. */
enum { CELLS_MAX = 4096, PIXELS_MAX = UINT16_MAX };

/* RFC 4254 §6.2: what is 0 is not said. */
void terminal_size_merge(struct terminal_size *size, const struct terminal_size *said)
{
    if (said->columns != 0)
        size->columns = said->columns < CELLS_MAX ? said->columns : CELLS_MAX;
    if (said->rows != 0)
        size->rows = said->rows < CELLS_MAX ? said->rows : CELLS_MAX;
    if (said->x_pixels != 0)
        size->x_pixels = said->x_pixels < PIXELS_MAX ? said->x_pixels : PIXELS_MAX;
    if (said->y_pixels != 0)
        size->y_pixels = said->y_pixels < PIXELS_MAX ? said->y_pixels : PIXELS_MAX;
}

static void keep_modes(struct terminal *terminal)
{
    const unsigned char *modes;
    size_t len = peek_last_string(&modes);
    if (len > sizeof terminal->modes)
        len = 0;
    memcpy(terminal->modes, modes, len);
    terminal->modes_len = len;
}

bool terminal_on_request(struct channel *channel, const char *term,
                         const struct terminal_size *size)
{
    struct session *session = channel->session;
    bool accepted = false;
    struct err err = {0};
    /* A channel has one, or has asked for one in vain. */
    if (channel->phase != CHANNEL_IDLE || channel->terminal != NULL)
        return false;
    struct terminal *terminal = calloc(1, sizeof *terminal);
    if (terminal == NULL)
        return false;
    channel->terminal = terminal;
    /* Before anything else is read. */
    keep_modes(terminal);
    terminal_size_merge(&terminal->size, size);
    /* One that is too long is none; the master judges the rest. */
    if (term != NULL && strlen(term) < sizeof terminal->term)
        (void)snprintf(terminal->term, sizeof terminal->term, "%s", term);
    if (ask_terminal(&session->ask, channel->id, &accepted, terminal->text, &err) < 0)
        session_link_lost(session, &err);
    terminal->refused = !accepted;
    return accepted;
}

bool terminal_is_on(const struct channel *channel)
{
    return channel->terminal != NULL && !channel->terminal->refused;
}

/* Once it is known to the master, or to the recording; what is not said is as before. */
static void record_size(struct channel *channel)
{
    struct terminal *t = channel->terminal;
    bool same = t->size.columns == t->told.columns && t->size.rows == t->told.rows;
    if (same || t->size.columns == 0 || t->size.rows == 0)
        return;
    t->told = t->size;
    recording_resize(channel->recording, t->size.columns, t->size.rows);
}

static void resize(struct channel *channel)
{
    const struct terminal_size *now = &channel->terminal->size;
    const struct winsize size = {.ws_row = (unsigned short)now->rows,
                                 .ws_col = (unsigned short)now->columns,
                                 .ws_xpixel = (unsigned short)now->x_pixels,
                                 .ws_ypixel = (unsigned short)now->y_pixels};
    /* It fails where the command has gone. The kernel tells the foreground by SIGWINCH, if the size
     * is another one. */
    (void)ioctl(channel->out.pipe.fd, TIOCSWINSZ, &size);
    record_size(channel);
}

bool terminal_on_window_change(struct channel *channel, const struct terminal_size *size)
{
    if (!terminal_is_on(channel) || channel->phase == CHANNEL_ENDING ||
        channel->phase == CHANNEL_CLOSED)
        return false;
    terminal_size_merge(&channel->terminal->size, size);
    /* Before the command has its terminal: it gets this size. */
    if (channel->out.pipe.fd >= 0)
        resize(channel);
    return true;
}

/* Nothing between the client and a pseudo-terminal can break; it gets what a break would mean to a
 * terminal of its modes, see termios(3). */
bool terminal_on_break(struct channel *channel)
{
    struct termios modes;
    int fd = channel->out.pipe.fd;
    if (!terminal_is_on(channel) || channel->phase != CHANNEL_RUNNING || fd < 0 ||
        tcgetattr(fd, &modes) < 0)
        return false;
    if (modes.c_iflag & IGNBRK)
        return true;
    if (modes.c_iflag & BRKINT)
        return ioctl(fd, TIOCSIG, SIGINT) == 0;
    return write(fd, "", 1) == 1;
}

void terminal_describe(struct channel *channel, struct msg_req_exec *req)
{
    struct terminal *t = channel->terminal;
    if (!terminal_is_on(channel))
        return;
    req->terminal = 1;
    t->told = t->size;
    req->columns = t->size.columns;
    req->rows = t->size.rows;
    req->x_pixels = t->size.x_pixels;
    req->y_pixels = t->size.y_pixels;
    req->modes = (struct wire_bytes){t->modes, t->modes_len};
    req->term = t->term;
}

void terminal_attach(struct channel *channel, struct event *event)
{
    struct session *session = channel->session;
    if (!terminal_is_on(channel) || channel->phase != CHANNEL_RUNNING || channel->out.pipe.fd >= 0)
        return;
    if (pump_attach_input(&channel->input, steal_fd(&event->fds[0])) < 0 ||
        pump_attach_output(session, &channel->out.pipe, steal_fd(&event->fds[1])) < 0) {
        session_close(session, true, "out of resources");
        return;
    }
    /* It was made with the size of the request; a change may have come since. */
    resize(channel);
}

bool terminal_send_eof(struct channel *channel)
{
    struct termios modes;
    if (tcgetattr(channel->input.fd, &modes) < 0 || modes.c_cc[VEOF] == _POSIX_VDISABLE)
        return true;
    const char eof[2] = {(char)modes.c_cc[VEOF], (char)modes.c_cc[VEOF]};
    /* Within a line the first only ends the line. */
    size_t len = channel->input_mid_line ? 2 : 1;
    return write(channel->input.fd, eof, len) > 0 || errno != EAGAIN;
}
