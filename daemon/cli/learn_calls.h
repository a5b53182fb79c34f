/*
 * learn_calls.h - which system calls name paths or addresses, and what they do to them.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_CALLS_H
#define POSTERN_DAEMON_CLI_LEARN_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum call_kind {
    CALL_OPEN,    /* path, flags */
    CALL_OPEN2,   /* path, struct open_how */
    CALL_CREAT,   /* path */
    CALL_LOOK,    /* path: its attributes */
    CALL_ENTER,   /* path: a directory to be in */
    CALL_EXEC,    /* path */
    CALL_MAKE,    /* path: a new name in a directory */
    CALL_REMOVE,  /* path: a name that goes */
    CALL_RENAME,  /* two paths */
    CALL_LINK,    /* two paths: an old file, a new name */
    CALL_CHANGE,  /* path: content or attributes */
    CALL_FD_LIST, /* descriptor of a directory */
    CALL_FD_CHANGE,
    CALL_FD_ENTER,
    CALL_CONNECT,
    CALL_BIND,
    CALL_LISTEN,
    CALL_SENDTO,
    CALL_SENDMSG,
    CALL_SENDMMSG,
};

enum { ARG_NONE = -1 };

/* Indices of arguments; ARG_NONE where there is none. */
struct call_shape {
    int nr;
    enum call_kind kind;
    signed char dir, path; /* dir ARG_NONE: the working directory; path of fd kinds: the fd */
    signed char flags;     /* O_*, AT_* or struct open_how */
    signed char dir2, path2;
    bool nofollow; /* a link as the last part is itself meant, whatever the flags */
};

/* NULL: nothing of interest. */
const struct call_shape *call_shape_of(int nr);

#endif
