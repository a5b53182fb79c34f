#include "learn_observe.h"
#include "cleanup.h"
#include "learn_peers.h"
#include "learn_resolve.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One call that has ended, while what it did is noted. */
struct note {
    struct observer *observer;
    pid_t tid;
    char who[SEEN_WHO_MAX];
};

const char *observe_name(pid_t tid, char buf[SEEN_WHO_MAX])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)tid);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, SEEN_WHO_MAX - 1) : -1;
    if (n <= 0)
        n = snprintf(buf, SEEN_WHO_MAX, "?");
    buf[n] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    for (char *at = buf; *at != '\0'; at++)
        if (!isprint((unsigned char)*at) || *at == ';' || *at == '"')
            *at = '?';
    return buf;
}

void observed_clear(struct observed *call)
{
    free(call->path[0]);
    free(call->path[1]);
    *call = (struct observed){0};
}

/* Made by the process that reads it, these are its own; a sandbox always has them. */
static bool is_own(const char *path)
{
    return path_is_within(path, "/proc") || path_is_within(path, "/dev");
}

static void keep(const struct note *note, const char *path, unsigned uses)
{
    const struct observer *o = note->observer;
    if (!o->given(o->given_arg, path))
        seen_add_path(o->seen, path, uses, note->who);
}

static void keep_link(void *arg, const char *link)
{
    keep(arg, link, USE_LINK);
}

static unsigned kind_of(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return IS_DIR;
    return S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? 0 : IS_ODD;
}

/* Whether there is nothing new in it: most calls name what was named before. */
static bool is_known(const struct observer *o, const char *path, unsigned uses)
{
    const struct seen_path *known = seen_find_path(o->cache, path);
    return known != NULL && (known->uses & uses) == uses;
}

/* A path, as it was given, that was used with success. */
static void use_path(struct note *note, const char *path, unsigned uses, bool nofollow)
{
    struct observer *o = note->observer;
    char place[PATH_MAX];
    struct stat st;
    if (path == NULL || is_own(path) || is_known(o, path, uses) ||
        !resolve_place(o->root, path, nofollow, place, &st))
        return;
    seen_add_path(o->cache, path, uses, "");
    unsigned kind = kind_of(&st);
    if (kind == IS_DIR && (uses & (USE_READ | USE_EXECUTED)))
        uses = (uses & ~(unsigned)(USE_READ | USE_EXECUTED)) | USE_ENTERED;
    keep(note, place, uses | kind);
    cleanup_free char *plain = strdup(path);
    if (plain == NULL)
        return;
    resolve_normalise(plain);
    if (strcmp(plain, place) != 0)
        resolve_links(o->root, path, nofollow, keep_link, note);
}

/* The directory of a name that was made or removed. */
static void use_entry(struct note *note, const char *path)
{
    cleanup_free char *dir = path != NULL ? strdup(path) : NULL;
    if (dir == NULL)
        return;
    for (size_t len = strlen(dir); len > 1 && dir[len - 1] == '/'; len--)
        dir[len - 1] = '\0';
    resolve_parent(dir);
    use_path(note, dir, USE_ENTRIES, false);
}

static void use_fd(struct note *note, int fd, unsigned uses)
{
    char path[PATH_MAX];
    if (resolve_fd(note->tid, fd, path))
        use_path(note, path, uses, true);
}

static bool is_writing(uint64_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

static void on_open(struct note *note, const struct observed *call)
{
    uint64_t flags = call->open_flags;
    const char *path = call->path[0];
    bool nofollow = (flags & O_NOFOLLOW) != 0;
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        use_path(note, path, USE_ENTRIES, nofollow);
        return;
    }
    if ((flags & O_CREAT) && !call->existed)
        use_entry(note, path);
    unsigned uses = is_writing(flags) ? USE_WRITTEN : flags & O_PATH ? USE_LOOKED : USE_READ;
    if (flags & O_DIRECTORY)
        uses = USE_ENTERED;
    use_path(note, path, uses, nofollow);
}

static bool follows(const struct observed *call)
{
    const struct call_shape *shape = call->shape;
    uint64_t flags = shape->flags >= 0 ? call->args[(unsigned)shape->flags] : 0;
    return !shape->nofollow && !(flags & AT_SYMLINK_NOFOLLOW);
}

static void on_success(struct note *note, const struct observed *call)
{
    const char *path = call->path[0], *other = call->path[1];
    const bool nofollow = !follows(call);
    const int fd = (int)call->args[0];
    switch (call->shape->kind) {
    case CALL_OPEN:
    case CALL_OPEN2:
    case CALL_CREAT:
        on_open(note, call);
        return;
    case CALL_LOOK:
        use_path(note, path, USE_LOOKED, nofollow);
        return;
    case CALL_ENTER:
        use_path(note, path, USE_ENTERED, false);
        return;
    case CALL_MAKE:
    case CALL_REMOVE:
        use_entry(note, path);
        return;
    case CALL_RENAME:
        use_entry(note, path);
        use_entry(note, other);
        return;
    case CALL_LINK:
        use_path(note, path, USE_WRITTEN, true);
        use_entry(note, other);
        return;
    case CALL_CHANGE:
        if (path != NULL)
            use_path(note, path, USE_WRITTEN, nofollow);
        else
            use_fd(note, fd, USE_WRITTEN);
        return;
    case CALL_FD_LIST:
        use_fd(note, fd, USE_LISTED);
        return;
    case CALL_FD_CHANGE:
        use_fd(note, fd, USE_WRITTEN);
        return;
    case CALL_FD_ENTER:
        use_fd(note, fd, USE_ENTERED);
        return;
    case CALL_EXEC: /* told by observe_exec() */
    case CALL_CONNECT:
    case CALL_BIND:
    case CALL_LISTEN:
    case CALL_SENDTO:
    case CALL_SENDMSG:
    case CALL_SENDMMSG:
        return;
    }
}

static bool wants_to_write(const struct observed *call)
{
    switch (call->shape->kind) {
    case CALL_OPEN:
    case CALL_OPEN2:
    case CALL_CREAT:
        return is_writing(call->open_flags) || (call->open_flags & O_CREAT);
    case CALL_MAKE:
    case CALL_REMOVE:
    case CALL_RENAME:
    case CALL_LINK:
    case CALL_CHANGE:
        return true;
    default:
        return false;
    }
}

/* What would have been found on the host, or with other rights. */
static void on_failure(struct note *note, const struct observed *call, int num)
{
    struct stat st;
    for (size_t i = 0; i < array_len(call->path); i++) {
        char *path = call->path[i];
        if (path == NULL || is_own(path))
            continue;
        resolve_normalise(path);
        if (num == EROFS || num == EACCES)
            seen_add_refusal(note->observer->seen, path,
                             wants_to_write(call) ? REFUSED_WRITE : REFUSED_READ, num, note->who);
        else if (num == ENOENT && !wants_to_write(call) && lstat(path, &st) == 0)
            seen_add_refusal(note->observer->seen, path, REFUSED_ABSENT, num, note->who);
    }
}

static char *path_at(pid_t tid, const uint64_t args[6], int dir, int path)
{
    if (path < 0 || args[path] == 0)
        return NULL;
    cleanup_free char *text = resolve_string(tid, args[path]);
    if (text == NULL || text[0] == '\0')
        return NULL;
    return resolve_absolute(tid, dir >= 0 ? (int)args[dir] : AT_FDCWD, text);
}

static uint64_t open_flags_of(pid_t tid, const struct call_shape *shape, const uint64_t args[6])
{
    if (shape->kind == CALL_CREAT)
        return O_CREAT | O_WRONLY | O_TRUNC;
    if (shape->kind == CALL_OPEN)
        return args[(unsigned)shape->flags];
    struct open_how how = {0};
    return resolve_read(tid, args[(unsigned)shape->flags], &how, sizeof how) ? how.flags : 0;
}

static bool is_of_paths(const struct call_shape *shape)
{
    return shape->kind < CALL_FD_LIST;
}

static void read_paths(struct observer *o, pid_t tid, struct observed *call)
{
    const struct call_shape *shape = call->shape;
    char place[PATH_MAX];
    struct stat st;
    call->path[0] = path_at(tid, call->args, shape->dir, shape->path);
    call->path[1] = path_at(tid, call->args, shape->dir2, shape->path2);
    if (shape->kind > CALL_CREAT)
        return;
    call->open_flags = open_flags_of(tid, shape, call->args);
    if ((call->open_flags & O_CREAT) && call->path[0] != NULL)
        call->existed = resolve_place(o->root, call->path[0], false, place, &st);
}

void observe_begin(struct observer *o, pid_t tid, int nr, const uint64_t args[6], bool ordinary,
                   struct observed *call)
{
    char who[SEEN_WHO_MAX] = "";
    if (nr >= 0 && nr < SEEN_CALLS_MAX && o->seen->calls[nr].count == 0)
        observe_name(tid, who);
    if (o->root >= 0)
        seen_add_call(o->seen, nr, who);
    observed_clear(call);
    call->shape = call_shape_of(nr);
    if (call->shape == NULL && ordinary)
        return;
    call->waiting = true;
    call->nr = nr;
    memcpy(call->args, args, sizeof call->args);
    if (call->shape != NULL && is_of_paths(call->shape))
        read_paths(o, tid, call);
}

void observe_end(struct observer *o, pid_t tid, pid_t tgid, struct observed *call, int64_t result)
{
    struct note note = {.observer = o, .tid = tid};
    if (o->root < 0) {
        observed_clear(call);
        return;
    }
    if (call->nr >= 0 && call->nr < SEEN_CALLS_MAX)
        o->seen->calls[call->nr].refused += result == -EPERM || result == -ENOSYS;
    if (call->shape != NULL) {
        observe_name(tid, note.who);
        struct peer_call peer = {.tid = tid,
                                 .tgid = tgid,
                                 .kind = call->shape->kind,
                                 .args = call->args,
                                 .result = result,
                                 .who = note.who};
        char *socket = peers_note(o->seen, &peer);
        if (socket != NULL) {
            call->path[0] = resolve_absolute(tid, AT_FDCWD, socket);
            free(socket);
            if (result >= 0 && call->shape->kind == CALL_BIND)
                use_entry(&note, call->path[0]);
            else if (result >= 0)
                use_path(&note, call->path[0], USE_READ, false);
        } else if (result >= 0) {
            on_success(&note, call);
        }
        if (result < 0)
            on_failure(&note, call, (int)-result);
    }
    observed_clear(call);
}

/* Beside the program itself the kernel opens those that interpret it. */
static void note_maps(struct note *note)
{
    char path[64], line[PATH_MAX + 128];
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)note->tid);
    cleanup_file FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *at = strchr(line, '/');
        if (at == NULL)
            continue;
        at[strcspn(at, "\n")] = '\0';
        use_path(note, at, USE_EXECUTED, false);
    }
}

void observe_exec(struct observer *o, pid_t tid, struct observed *call)
{
    struct note note = {.observer = o, .tid = tid};
    observe_name(tid, note.who);
    o->seen->execs++;
    if (call->shape != NULL && call->shape->kind == CALL_EXEC)
        use_path(&note, call->path[0], USE_EXECUTED, false);
    note_maps(&note);
    observed_clear(call);
}
