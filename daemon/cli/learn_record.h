/*
 * learn_record.h - what a command was seen to do: system calls, paths, peers, peaks. Plain data in
 * bounded memory; what finds no room is left out and `capped` says so.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_RECORD_H
#define POSTERN_DAEMON_CLI_LEARN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEEN_CALLS_MAX = 1024, /* system call numbers */
    SEEN_PATHS_MAX = 1 << 16,
    SEEN_PATH_BYTES_MAX = 16 << 20,
    SEEN_PEERS_MAX = 1024,
    SEEN_REFUSALS_MAX = 256,
    SEEN_WHO_MAX = 16 /* of a process's name, with its NUL */
};

struct seen_call {
    uint64_t count;
    uint64_t refused;       /* how many of them the kernel refused: EPERM, ENOSYS */
    bool noted;             /* the filter refused it, */
    const char *why;        /* for its arguments, or NULL: because it would have gone unseen */
    char who[SEEN_WHO_MAX]; /* who made it first */
};

/* How a path was used; what failed is not here. */
enum seen_use {
    USE_LOOKED = 1 << 0,  /* only looked at: stat, access, readlink */
    USE_ENTERED = 1 << 1, /* a directory that was opened or changed to */
    USE_READ = 1 << 2,
    USE_LISTED = 1 << 3,
    USE_EXECUTED = 1 << 4,
    USE_WRITTEN = 1 << 5, /* its content or attributes */
    USE_ENTRIES = 1 << 6, /* names in it were made or removed */
    USE_LINK = 1 << 7,    /* a symbolic link that was followed */
    /* What it is. */
    IS_DIR = 1 << 8,
    IS_ODD = 1 << 9, /* a socket, pipe or device: no bind can be made of it */
};

struct seen_path {
    char *path; /* absolute, without links but for its last part, as the sandbox shows it */
    unsigned uses;
    uint64_t count;
    char who[SEEN_WHO_MAX];
};

/* An address that was connected to or listened on. */
struct seen_peer {
    bool v6, udp, listening;
    unsigned char address[16];
    uint16_t port; /* host byte order */
    uint64_t count;
    uint64_t sent;   /* UDP: datagrams; a socket can be connected and never used */
    uint64_t failed; /* how many of `count` failed at once */
    char who[SEEN_WHO_MAX];
};

/* A path that was asked for in vain. */
enum seen_refusal_kind {
    REFUSED_WRITE,  /* read-only or without the right to */
    REFUSED_READ,   /* without the right to */
    REFUSED_ABSENT, /* the host has it, the sandbox doesn't */
};

struct seen_refusal {
    char *path;
    enum seen_refusal_kind kind;
    int err_num;
    uint64_t count;
    char who[SEEN_WHO_MAX];
};

struct seen_peaks {
    uint64_t tasks;
    uint64_t memory;  /* bytes of all processes together, pages that they share counted for each */
    uint64_t largest; /* bytes, of the largest process */
    uint64_t tmp, workspace; /* bytes in use */
    uint64_t wall_ms, user_ms, system_ms;
};

struct seen_table; /* a hash table over one of the arrays */

struct seen {
    struct seen_call calls[SEEN_CALLS_MAX];
    struct seen_path *paths;
    size_t n_paths;
    size_t path_bytes;
    uint32_t *slots; /* hash of path → index + 1 */
    struct seen_peer *peers;
    size_t n_peers;
    struct seen_refusal *refusals;
    size_t n_refusals;
    struct seen_peaks peaks;
    uint64_t execs, processes;
    bool paths_capped, peers_capped, refusals_capped;
};

/* Returns NULL if memory ran out. */
struct seen *seen_new(void);
void seen_free(struct seen *seen);

/* Each adds to what is there. Text is copied. */
void seen_add_call(struct seen *seen, int nr, const char *who);
void seen_add_path(struct seen *seen, const char *path, unsigned uses, const char *who);
void seen_add_refusal(struct seen *seen, const char *path, enum seen_refusal_kind kind, int num,
                      const char *who);
/* The entry for this address, made if need be; NULL: there is no room. */
struct seen_peer *seen_peer_of(struct seen *seen, const struct seen_peer *like, const char *who);

/* What is known of a path, or NULL. */
const struct seen_path *seen_find_path(const struct seen *seen, const char *path);

/* Sorts paths so that a directory is followed by all that is in it; no more may be added. */
void seen_sort_paths(struct seen *seen);

/* Whether `path` is `dir` or below it. */
bool path_is_within(const char *path, const char *dir);

/* Whether a loopback address, 127.0.0.0/8 or ::1, or the unspecified one, which is all of ours. */
bool peer_is_loopback(const struct seen_peer *peer);
bool peer_is_unspecified(const struct seen_peer *peer);

/* "1.2.3.4:80" or "[::1]:80". Returns buf. */
enum { PEER_TEXT_MAX = 64 };
const char *peer_format(const struct seen_peer *peer, char buf[PEER_TEXT_MAX]);

#endif
