/*
 * state.h - the master's state on its way from one program to the next (handover.h): typed fields
 * in one order, and descriptors by number.
 *
 * One function per struct names its fields, for both directions: it writes them, or fills them in.
 * What is read is judged like any input. Errors are sticky: until state_is_good() has been asked,
 * what was read is zero or in its bounds, but may be wrong.
 */
#ifndef POSTERN_DAEMON_MASTER_STATE_H
#define POSTERN_DAEMON_MASTER_STATE_H

#include "loop.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Has to be raised whenever what is written changes: fields, report.h (workers go on with theirs)
 * or struct egress_event (as do the programs that write them).
 */
enum { STATE_VERSION = 4 };

/* The state of the largest server is far below; what is longer is no state. */
enum { STATE_SIZE_MAX = 1 << 30, STATE_FDS_MAX = 1 << 20 };

struct state {
    bool saving;
    bool checking; /* the descriptors are another process's, too: nothing may be done with them */
    struct wire_writer out;
    struct wire_reader in;
    int *fds; /* that go along; while restoring those not yet taken are owned, the others -1 */
    size_t n_fds;
    size_t next_fd;  /* while restoring: of fds[] */
    char writer[64]; /* while restoring: the version that has saved it */
};

/* To save to. */
#define STATE_TO_SAVE                                                                              \
    {                                                                                              \
        .saving = true, .out = {.grows = true }                                                    \
    }

/*
 * Writes what was saved to a new memfd(2), sealed, which is the caller's. Returns 0, or -1 with
 * err. The state can still be freed, and its fds be looked at.
 */
int state_write(const struct state *state, int *out, struct err *err);

/*
 * Begins to restore what is in `fd`, which is mapped at *map (to be unmapped after the last field
 * has been read). Takes over the descriptors that are listed there: each has to be open. Returns 0,
 * or -1 with err, which says so if another version wrote it.
 */
int state_open(struct state *state, int fd, struct wire_bytes *map, struct err *err);

/* Begins to restore fields from memory, with these descriptors, owned from now on. */
void state_open_fields(struct state *state, struct wire_bytes fields, int *fds, size_t n_fds);

/* Frees memory, and closes descriptors that nothing has taken. */
void state_free(struct state *state);

/* Nothing was wrong so far. */
bool state_is_good(const struct state *state);
/* The same, and all of it has been read. */
bool state_is_done(const struct state *state);
/* Something is wrong with what was read. */
void state_refuse(struct state *state);

void state_bool(struct state *state, bool *v);
void state_u16(struct state *state, uint16_t *v);
void state_u32(struct state *state, uint32_t *v);
void state_u64(struct state *state, uint64_t *v);
void state_unsigned(struct state *state, unsigned *v);
void state_size(struct state *state, size_t *v, size_t max);
/* Of an enum, or an index: below `count`. */
unsigned state_number(struct state *state, unsigned v, unsigned count);
#define STATE_ENUM(state, v, count)                                                                \
    ((v) = (__typeof__(v))state_number((state), (unsigned)(v), (unsigned)(count)))

/* A text in an array of its own. */
void state_text(struct state *state, char *buf, size_t cap);
#define STATE_TEXT(state, array) state_text((state), (array), sizeof(array))
/* A text of its own, malloc()ed, or NULL. */
void state_string(struct state *state, char **text, size_t max);
/* Exactly so many bytes. */
void state_bytes(struct state *state, void *bytes, size_t len);
/* As many bytes as there are, malloc()ed; NULL if there are none. */
void state_blob(struct state *state, unsigned char **data, size_t *len, size_t max);
/* A socket address of IPv4 or IPv6, numeric. */
void state_address(struct state *state, struct sockaddr_storage *addr);

/* A descriptor, or -1. What is filled in is owned, and close-on-exec. */
void state_fd(struct state *state, int *fd);

/*
 * Another item of a list follows, which is what `more` says while saving:
 *     while (state_more(state, item != NULL)) { … }
 */
bool state_more(struct state *state, bool more);

/* A timer, if it is armed, with the one of these functions that it is to call. */
void state_timer(struct state *state, struct loop *loop, struct loop_timer *timer,
                 void (*const *fns)(struct loop_timer *), unsigned n_fns);

#endif
