/*
 * peek.h - what libssh reads from a channel request and then keeps to itself: the name of one that
 * it doesn't know, and the terminal modes of a pty-req.
 *
 * libssh takes every field out of a packet with ssh_buffer_get_data(), which it exports and calls
 * like anybody else. This file defines a function of that name: the dynamic linker prefers the
 * executable's, so it sees each field on its way to libssh's own function, and keeps a copy of the
 * last few. Where a libssh doesn't call it that way nothing is ever seen: names are "", modes are
 * none.
 */
#ifndef POSTERN_DAEMON_SESSION_PEEK_H
#define POSTERN_DAEMON_SESSION_PEEK_H

#include <stddef.h>

enum {
    PEEK_NAME_MAX = 64,
    PEEK_TEXT_MAX = 1024, /* a field that is longer is not seen */
};

/* Finds libssh's own function; before any packet is read, and before there is a filter. Returns 0,
 * or -1: there is none. */
int peek_start(void);

/* Of the channel request that is being handled and whose own fields libssh has not read: its name,
 * or "". */
const char *peek_request_name(char buf[PEEK_NAME_MAX]);

/* The string that was read last, of the message that is being handled. Its length; 0 if it is empty
 * or wasn't seen. */
size_t peek_last_string(const unsigned char **data);

#endif
