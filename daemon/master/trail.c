#include "trail.h"
#include "cleanup.h"
#include "journal.h"
#include "nowait.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

struct trail_line {
    struct trail_line *next;
    size_t len;
    size_t written;
    char data[];
};

/* A crash or a full disk may have left half a line. */
static bool is_torn(int fd, const struct stat *st)
{
    char last = '\n';
    return st->st_size > 0 && pread(fd, &last, 1, st->st_size - 1) == 1 && last != '\n';
}

static int refuse(struct err *err)
{
    err->code = EX_CANTCREAT;
    return -1;
}

static int open_file(struct trail *trail, struct err *err)
{
    cleanup_fd int fd =
        open(trail->name,
             O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        bool no_directory = errno == ENOENT;
        err_set(err, errno, "audit file %s", trail->name);
        if (no_directory)
            err_set(err, ENOENT, "audit file %s: its directory does not exist; make it, mode 750",
                    trail->name);
        return refuse(err);
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(err, 0, "audit file %s is not a regular file", trail->name);
        return refuse(err);
    }
    close_fd(&trail->fd);
    trail->torn = is_torn(fd, &st);
    trail->dev = st.st_dev;
    trail->ino = st.st_ino;
    trail->fd = steal_fd(&fd);
    return 0;
}

int trail_open(struct trail *trail, const char *name, struct err *err)
{
    *trail = (struct trail){.name = name, .fd = -1};
    trail->end = &trail->first;
    if (strcmp(name, "journal") == 0) {
        trail->kind = TRAIL_JOURNAL;
        trail->fd = journal_open(err);
        return trail->fd < 0 ? refuse(err) : 0;
    }
    if (strcmp(name, "stderr") == 0) {
        trail->kind = TRAIL_STDERR;
        trail->fd = nowait_open(STDERR_FILENO);
        return trail->fd < 0 ? err_set(err, errno, "audit to stderr") : 0;
    }
    trail->kind = TRAIL_FILE;
    return open_file(trail, err);
}

static void drop_first(struct trail *trail)
{
    struct trail_line *line = trail->first;
    trail->first = line->next;
    if (trail->first == NULL)
        trail->end = &trail->first;
    trail->held -= line->len;
    free(line);
}

void trail_close(struct trail *trail)
{
    while (trail->first != NULL)
        drop_first(trail);
    close_fd(&trail->fd);
}

/*
 * Whoever rotates the file renames it; from the next line on there is a new one, so that nothing is
 * added to what may be compressed already. Returns 0, or -1 with errno if it has been removed and
 * can't be made.
 */
static int follow_name(struct trail *trail)
{
    struct stat st;
    trail->stale = (struct err){0};
    if (lstat(trail->name, &st) == 0 && st.st_dev == trail->dev && st.st_ino == trail->ino)
        return 0;
    if (open_file(trail, &trail->stale) == 0) {
        /* A line that the old file has half of is written whole. */
        if (trail->first != NULL)
            trail->first->written = 0;
        return 0;
    }
    if (fstat(trail->fd, &st) == 0 && st.st_nlink > 0)
        return 0;
    errno = trail->stale.num != 0 ? trail->stale.num : EINVAL;
    return -1;
}

/* A regular file, which ours is, is written without a wait. */
static ssize_t write_part(const struct trail *trail, const char *data, size_t len)
{
    return trail->kind == TRAIL_FILE ? write(trail->fd, data, len)
                                     : nowait_write(trail->fd, data, len);
}

/* Returns 0 when the line is written, or -1 with errno. */
static int write_line(struct trail *trail, struct trail_line *line)
{
    if (trail->kind == TRAIL_JOURNAL)
        return journal_send(trail->fd, line->data, line->len);
    if (trail->torn && write_part(trail, "\n", 1) != 1)
        return -1;
    trail->torn = false;
    while (line->written < line->len) {
        ssize_t n = write_part(trail, line->data + line->written, line->len - line->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        line->written += (size_t)n;
    }
    return 0;
}

void trail_flush(struct trail *trail)
{
    trail->error = 0;
    if (trail->kind == TRAIL_FILE && follow_name(trail) < 0) {
        trail->error = errno;
        return;
    }
    while (trail->first != NULL) {
        errno = EIO; /* where a write of nothing says no more */
        if (write_line(trail, trail->first) < 0) {
            trail->error = errno;
            return;
        }
        drop_first(trail);
    }
}

static void count_lost(struct trail *trail)
{
    if (trail->n_lost++ == 0)
        clock_gettime(CLOCK_REALTIME, &trail->lost_since);
}

static int hold(struct trail *trail, const char *data, size_t len, bool matters)
{
    size_t most = matters ? TRAIL_HELD_MAX : TRAIL_HELD_MAX / 2;
    struct trail_line *line = trail->held + len <= most ? malloc(sizeof *line + len) : NULL;
    if (line == NULL)
        return -1;
    *line = (struct trail_line){.len = len};
    memcpy(line->data, data, len);
    *trail->end = line;
    trail->end = &line->next;
    trail->held += len;
    return 0;
}

bool trail_put(struct trail *trail, enum audit_event event, const char *line, size_t len,
               bool matters)
{
    cleanup_free char *entry = NULL;
    if (trail->kind == TRAIL_JOURNAL) {
        entry = journal_encode(event, line, len, &len);
        line = entry;
    }
    bool taken = line != NULL && hold(trail, line, len, matters) == 0;
    if (!taken)
        count_lost(trail);
    trail_flush(trail);
    return taken;
}

bool trail_is_clear(const struct trail *trail)
{
    return trail->first == NULL;
}

size_t trail_count_held(const struct trail *trail)
{
    size_t n = 0;
    for (const struct trail_line *line = trail->first; line != NULL; line = line->next)
        n++;
    return n;
}

void trail_hand_on(struct trail *from, struct trail *to)
{
    bool is_same = from->dev == to->dev && from->ino == to->ino;
    if (from->first != NULL) {
        if (!is_same)
            from->first->written = 0;
        /* The new one has found a torn end: it is of a line that goes on. */
        else if (from->first->written > 0)
            to->torn = from->torn;
        to->first = from->first;
        to->end = from->end;
        to->held = from->held;
        from->first = NULL;
        from->end = &from->first;
        from->held = 0;
    }
    to->error = from->error;
    to->n_lost = from->n_lost;
    to->lost_since = from->lost_since;
}

static void carry_line(struct state *state, struct trail_line *line)
{
    state_size(state, &line->written, line->len);
    state_bytes(state, line->data, line->len);
}

static void restore_line(struct state *state, struct trail *trail)
{
    size_t len = 0;
    state_size(state, &len, TRAIL_HELD_MAX);
    struct trail_line *line = state_is_good(state) && len <= TRAIL_HELD_MAX - trail->held
                                  ? malloc(sizeof *line + len)
                                  : NULL;
    if (line == NULL) {
        state_refuse(state);
        return;
    }
    *line = (struct trail_line){.len = len};
    *trail->end = line;
    trail->end = &line->next;
    trail->held += len;
    carry_line(state, line);
}

static void carry_held(struct state *state, struct trail *trail)
{
    for (struct trail_line *line = trail->first; state->saving && line != NULL; line = line->next) {
        (void)state_more(state, true);
        state_size(state, &line->len, TRAIL_HELD_MAX);
        carry_line(state, line);
    }
    while (state_more(state, false))
        restore_line(state, trail);
}

void trail_carry(struct state *state, struct trail *trail, const char *name)
{
    if (!state->saving) {
        *trail = (struct trail){.name = name, .fd = -1};
        trail->end = &trail->first;
    }
    uint64_t dev = trail->dev, ino = trail->ino, since_s = (uint64_t)trail->lost_since.tv_sec,
             since_ns = (uint64_t)trail->lost_since.tv_nsec;
    unsigned error = (unsigned)trail->error;
    STATE_ENUM(state, trail->kind, TRAIL_JOURNAL + 1);
    state_fd(state, &trail->fd);
    state_u64(state, &dev);
    state_u64(state, &ino);
    state_bool(state, &trail->torn);
    carry_held(state, trail);
    state_unsigned(state, &error);
    state_u64(state, &trail->n_lost);
    state_u64(state, &since_s);
    state_u64(state, &since_ns);
    trail->dev = dev;
    trail->ino = ino;
    trail->error = (int)error;
    trail->lost_since = (struct timespec){.tv_sec = (time_t)since_s, .tv_nsec = (long)since_ns};
}
