/*
 * report.h - what a worker tells the master on its report socket, and what the master may ask of
 * it.
 *
 * SOCK_SEQPACKET, one datagram one message, wire.h fields. The reader treats the worker as hostile.
 * The last message is REPORT_FAILED or REPORT_EXIT; end of file before it means that the sandbox
 * died abnormally. End of file the other way ends the worker, and with it all of the sandbox.
 */
#ifndef POSTERN_SANDBOX_REPORT_H
#define POSTERN_SANDBOX_REPORT_H

#include "refused.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { REPORT_MAX = 256 }; /* bytes of the longest message */

enum report_type {
    REPORT_STARTED = 1, /* the command's execve succeeded */
    REPORT_FAILED,      /* a step failed, the command never ran: stage, errno */
    REPORT_NOTE,        /* a system call was refused: call */
    REPORT_EXIT,        /* the command ended */
};

/* Steps of entering; the names are for the operator. X(enumerator, text) */
#define REPORT_STAGES(X)                                                                           \
    X(STAGE_MOUNT, "mount")                                                                        \
    X(STAGE_IDENTITY, "identity files")                                                            \
    X(STAGE_NETWORK, "network")                                                                    \
    X(STAGE_HOSTNAME, "hostname")                                                                  \
    X(STAGE_RLIMIT, "resource limits")                                                             \
    X(STAGE_CAPS, "capabilities")                                                                  \
    X(STAGE_IDS, "uid and gid")                                                                    \
    X(STAGE_NO_NEW_PRIVS, "no_new_privs")                                                          \
    X(STAGE_LANDLOCK, "Landlock")                                                                  \
    X(STAGE_STDIO, "standard descriptors")                                                         \
    X(STAGE_SECCOMP, "seccomp")                                                                    \
    X(STAGE_FORK, "fork")                                                                          \
    X(STAGE_EXEC, "execve")

enum report_stage {
#define X(name, text) name,
    REPORT_STAGES(X)
#undef X
        STAGE_COUNT
};

/* What more is known of a program that could not be executed. X(enumerator, text) */
#define REPORT_WHYS(X)                                                                             \
    X(WHY_NONE, "")                                                                                \
    X(WHY_DIRECTORY, "it is a directory")                                                          \
    X(WHY_NOT_REGULAR, "it is no regular file")                                                    \
    X(WHY_MODE, "its owner and mode don't let the command's user execute it")                      \
    X(WHY_NOEXEC, "it is on a file system that is mounted noexec")                                 \
    X(WHY_SEARCH, "a directory above it can't be entered by the command's user")                   \
    X(WHY_INTERPRETER, "it is there, but the interpreter or loader that it names is not")

enum report_why {
#define X(name, text) name,
    REPORT_WHYS(X)
#undef X
        WHY_COUNT
};

struct report {
    enum report_type type;
    enum report_stage stage;  /* FAILED */
    int err_num;              /* FAILED: errno */
    enum report_why why;      /* FAILED at STAGE_EXEC */
    struct refused_call call; /* NOTE; EXIT: the call that it was killed for, or nr -1 */
    uint32_t untold;          /* EXIT: kinds of refused calls that no NOTE has told */
    int code;                 /* EXIT: exit status or signal number */
    bool signalled;           /* EXIT: ended by a signal */
    bool core;                /* EXIT: WCOREDUMP */
    uint64_t user_us;         /* EXIT: CPU time of all that the sandbox ran */
    uint64_t system_us;
    uint64_t max_rss_kib; /* EXIT: of the largest process */
    uint64_t read_bytes;  /* EXIT: of disks; 0 as well where the kernel doesn't count */
    uint64_t written_bytes;
};

enum control_type {
    CONTROL_SIGNAL = 1, /* signal the command's process group */
    CONTROL_SIGNAL_ALL, /* signal every process of the sandbox but the worker */
};

struct control {
    enum control_type type;
    int signo; /* 1..64 */
};

const char *report_stage_name(enum report_stage stage);
const char *report_why_text(enum report_why why); /* "" of WHY_NONE */

/* Encode into buf[REPORT_MAX]; the result is the datagram's length. */
size_t report_encode(const struct report *report, unsigned char *buf);
size_t control_encode(const struct control *control, unsigned char *buf);

/* Decode one whole datagram. Returns 0, or -1 if anything is out of bounds or left over. */
int report_decode(const unsigned char *buf, size_t len, struct report *out);
int control_decode(const unsigned char *buf, size_t len, struct control *out);

#endif
