/*
 * pump.h - moving a channel's bytes between libssh and the command's pipes, never more than the
 * other side takes.
 */
#ifndef POSTERN_DAEMON_SESSION_PUMP_H
#define POSTERN_DAEMON_SESSION_PUMP_H

#include "chan.h"

/* An output of the command joins the loop, non-blocking. Takes fd; on failure it is closed. */
int pump_attach_output(struct session *session, struct stream *stream, int fd);
/* Its input, which joins the loop when it first has to be waited for: most commands get none. Takes
 * fd; on failure it is closed. */
int pump_attach_input(struct stream *stream, int fd);
/* The command's input takes nothing now: the loop says when it does again. */
void pump_await_input(struct channel *channel);

/* What libssh reports of the peer's data: `len` bytes are there for the taking. Returns how many of
 * them libssh may forget at once. */
size_t pump_on_data(struct channel *channel, size_t len, bool is_stderr);

/* From the peer to the command. */
void pump_input(struct channel *channel);
/* Nobody reads the channel's input any more: closes the pipe, drops what waits and what comes. */
void pump_sink_input(struct channel *channel);

/* From the command to the peer. Returns true if it stopped for fairness alone. */
bool pump_output(struct channel *channel, struct output *output, bool is_stderr);
/* Our own lines, between the command's. */
void pump_notes(struct channel *channel);

/* A line of ours for the peer's stderr; what is too much for it is left out. */
void pump_note(struct channel *channel, const char *text);

/* True if everything that the command wrote has been handed to libssh. */
bool pump_is_drained(const struct channel *channel);

/* Closes the command's pipes and forgets what is pending. */
void pump_close(struct channel *channel);

#endif
