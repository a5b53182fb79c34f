#include "recordings.h"
#include "cleanup.h"
#include "decide.h"
#include "generation.h"
#include "json.h"
#include "log.h"
#include "recordings_dir.h"
#include "recordings_prune.h"
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

_Static_assert(RECORD_BYTES_MAX == RECORD_FILE_MAX, "what a policy may say, a session may write");

enum {
    CAST_VERSION = 2,
    HEADER_VERSION = 1, /* of what is ours in it */
    COMMAND_SHOWN = 4096,
    TORN_MAX = 64 * 1024, /* more than the longest line that a session writes */
};

int recordings_open(const struct policy *policy, int *fd, struct err *err)
{
    const char *path = policy->server.recordings;
    *fd = -1;
    if (!recordings_dir_wanted(policy) || recordings_dir_make(path, fd, err) == 0)
        return 0;
    (void)err_wrap(err, "recordings = %s", path);
    err->code = EX_CANTCREAT;
    return -1;
}

static const char *variable(const struct decision *decision, const char *name)
{
    size_t len = strlen(name);
    for (char *const *item = decision->envp; *item != NULL; item++)
        if (strncmp(*item, name, len) == 0 && (*item)[len] == '=')
            return *item + len + 1;
    return NULL;
}

static void put_ours(struct json *json, const struct recording_start *start)
{
    static const char *const kinds[] = {
        [EXEC_COMMAND] = "exec", [EXEC_SHELL] = "shell", [EXEC_SUBSYSTEM] = "subsystem"};
    const struct exec_record *record = start->record;
    json_open(json, "postern");
    json_uint(json, "v", HEADER_VERSION);
    json_str(json, "exec", record->id);
    json_str(json, "connection", record->conn_id);
    json_str(json, "tenant", record->tenant);
    json_str(json, "user", record->user);
    json_str(json, "key", record->key[0] != '\0' ? record->key : NULL);
    json_str(json, "key_comment", record->key_comment);
    json_str(json, "client", record->peer_host);
    json_str(json, "kind", kinds[start->req->kind]);
    json_bool(json, "terminal", start->decision->terminal);
    json_close(json);
}

/* Of a plain login: the shell that it gets. */
static void put_command(struct json *json, const struct recording_start *start)
{
    size_t len = start->req->command.len;
    if (start->req->kind == EXEC_SHELL)
        json_str(json, "command", start->decision->argv[0]);
    else
        json_bytes(json, "command", start->req->command.data,
                   len < COMMAND_SHOWN ? len : COMMAND_SHOWN);
}

static size_t make_header(struct json *json, const struct recording_start *start)
{
    const struct msg_req_exec *req = start->req;
    bool sized = start->decision->terminal && req->columns > 0 && req->rows > 0;
    struct timespec now;
    char title[160];
    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(title, sizeof title, "%s %s", start->record->tenant, start->record->id);
    json->len = 0;
    json->full = 0;
    json_uint(json, "version", CAST_VERSION);
    json_uint(json, "width", sized ? req->columns : 80);
    json_uint(json, "height", sized ? req->rows : 24);
    json_uint(json, "timestamp", (uint64_t)now.tv_sec);
    put_command(json, start);
    json_str(json, "title", title);
    json_open(json, "env");
    json_str(json, "SHELL", variable(start->decision, "SHELL"));
    if (start->decision->terminal)
        json_str(json, "TERM", variable(start->decision, "TERM"));
    json_close(json);
    put_ours(json, start);
    return json_end(json);
}

/* The kernel keeps the bound that held when the session began. */
static uint64_t record_max(const struct connection *connection)
{
    uint64_t now = connection->server->current->policy->server.record_max;
    return now < connection->record_max ? now : connection->record_max;
}

static int write_header(int fd, const struct recording_start *start, uint64_t *room,
                        struct err *err)
{
    static struct json json;
    uint64_t max = record_max(start->connection);
    size_t len = make_header(&json, start);
    ssize_t n = write(fd, json.buf, len);
    if (n != (ssize_t)len)
        return err_set(err, n < 0 ? errno : ENOSPC, "it can't be recorded");
    *room = max > len ? max - len : 0;
    return 0;
}

int recordings_begin(const struct recording_start *start, struct recording_grant *grant,
                     struct err *err)
{
    const struct generation *generation = start->connection->server->current;
    const struct tenant *tenant = start->decision->login.tenant;
    char name[RECORDING_NAME_MAX];
    if (!recordings_dir_name(start->record->id, name))
        return err_set(err, EINVAL, "it can't be recorded");
    cleanup_fd int fd =
        openat(generation->recordings_fd, name,
               O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, errno, "it can't be recorded");
    /* Its group has no rights; it tells whose recordings these are when room is to be made. */
    if (fchown(fd, (uid_t)-1, tenant->project) < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
        err_set(err, errno, "it can't be recorded");
    else if (write_header(fd, start, &grant->room, err) == 0)
        grant->fd = steal_fd(&fd);
    if (grant->fd < 0)
        (void)unlinkat(generation->recordings_fd, name, 0);
    return grant->fd < 0 ? -1 : 0;
}

void recordings_cancel(const struct recording_start *start)
{
    char name[RECORDING_NAME_MAX];
    if (recordings_dir_name(start->record->id, name))
        (void)unlinkat(start->connection->server->current->recordings_fd, name, 0);
}

/* A line that could not be written to its end would make the whole file unreadable to others. */
static void mend(int dir, const char *name)
{
    static char tail[TORN_MAX];
    struct stat st;
    cleanup_fd int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    off_t from = st.st_size > TORN_MAX ? st.st_size - TORN_MAX : 0;
    ssize_t n = pread(fd, tail, sizeof tail, from);
    const char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
    if (end != NULL && ftruncate(fd, from + (end - tail) + 1) < 0)
        log_line(LOG_LEVEL_ERROR, "recording %s: %s", name, strerror(errno));
}

static void watch_again(struct server *server, uint64_t ms);

enum recorded recordings_end(struct exec *exec)
{
    struct server *server = exec->server;
    int dir = exec->generation->recordings_fd;
    char name[RECORDING_NAME_MAX];
    struct stat st;
    if (!exec->recorded || !recordings_dir_name(exec->record.id, name))
        return RECORDED_NOT;
    /* A session that has died has said nothing. */
    enum recorded result = exec->counted ? exec->recording : RECORDED_INCOMPLETE;
    if (result == RECORDED_NOT)
        result = RECORDED_INCOMPLETE;
    if (result == RECORDED_INCOMPLETE) {
        mend(dir, name);
        log_line(LOG_LEVEL_ERROR, "%s: its recording is incomplete", exec->record.id);
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        server->recorded_bytes += (uint64_t)st.st_size;
    if (server->recorded_bytes >= recordings_slack(&server->current->policy->server))
        watch_again(server, 0);
    return result;
}

enum { WATCH_MS = 3600 * 1000, AFTER_RELOAD_MS = 1000 };

static void on_watch(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, recordings_timer);
    const struct generation *current = server->current;
    if (current->recordings_fd < 0)
        return;
    /* A child of one thread could wait for ever for a lock that another one held; and one child at
     * a time is enough. */
    bool busy = server->pruning != NULL && !server->pruning->reaped;
    if (busy || reload_is_running(server)) {
        watch_again(server, AFTER_RELOAD_MS);
        return;
    }
    child_release(server, steal_ptr(server->pruning));
    server->recorded_bytes = 0;
    server->pruning = recordings_prune(server, current->recordings_fd, &current->policy->server);
    watch_again(server, WATCH_MS);
}

static void watch_again(struct server *server, uint64_t ms)
{
    (void)loop_arm(server->loop, &server->recordings_timer, ms, on_watch);
}

void recordings_watch(struct server *server)
{
    if (server->current->recordings_fd >= 0)
        watch_again(server, 0);
}

void recordings_stop(struct server *server)
{
    loop_disarm(server->loop, &server->recordings_timer);
    child_release(server, steal_ptr(server->pruning));
}
