#include "server_reload.h"
#include "cleanup.h"
#include "control_client.h"
#include "find_server.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

enum { ANSWER_S = 60, LOOKS = 600, LOOK_MS = 100, TRAIL_STEP_MAX = 1 << 20 };

static void say(struct reload_result *out, enum reload_state state, const char *why)
{
    out->state = state;
    (void)text_escape_str(out->why, sizeof out->why, why);
}

/* Whether a line of the trail is the answer. */
static bool take_line(const char *line, size_t len, struct reload_result *out)
{
    json_t *record = json_loadb(line, len, 0, NULL);
    const char *event = json_string_value(json_object_get(record, "event"));
    const char *result = json_string_value(json_object_get(record, "result"));
    const char *reason = json_string_value(json_object_get(record, "reason"));
    bool is_answer = event != NULL && strcmp(event, "reload") == 0 && result != NULL;
    if (is_answer)
        say(out, strcmp(result, "loaded") == 0 ? RELOAD_LOADED : RELOAD_REFUSED,
            reason != NULL ? reason : "");
    json_decref(record);
    return is_answer;
}

/* Reads whole lines from *at on, and moves it behind them. */
static bool read_lines(int fd, off_t *at, char *buf, struct reload_result *out)
{
    ssize_t n = pread(fd, buf, TRAIL_STEP_MAX, *at);
    const char *line = buf;
    const char *end = buf + (n > 0 ? n : 0);
    bool found = false;
    while (!found && line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (newline == NULL)
            break;
        found = take_line(line, (size_t)(newline - line), out);
        line = newline + 1;
    }
    *at += line - buf;
    return found;
}

/* The end of a trail that can be read again; -1 if there is none. */
static int open_trail(const struct str_list *places, off_t *end)
{
    const char *path = NULL;
    struct stat st;
    for (size_t i = 0; i < places->n && path == NULL; i++)
        if (places->items[i][0] == '/')
            path = places->items[i];
    cleanup_fd int fd =
        path == NULL ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    *end = st.st_size;
    return steal_fd(&fd);
}

static void wait_for_answer(int trail, off_t at, int pidfd, struct reload_result *out)
{
    const struct timespec step = {.tv_nsec = LOOK_MS * 1000000L};
    cleanup_free char *buf = malloc(TRAIL_STEP_MAX);
    for (int i = 0; i < LOOKS && buf != NULL; i++) {
        if (read_lines(trail, &at, buf, out))
            return;
        if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0 && errno == ESRCH) {
            say(out, RELOAD_FAILED, "it ended meanwhile: see its log");
            return;
        }
        (void)nanosleep(&step, NULL);
    }
    say(out, RELOAD_UNKNOWN, "it has not answered for a minute: see its log");
}

/* Whether the control socket is that of the process which has been found. */
static bool is_of(const struct control_client *client, pid_t pid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(client->ipc.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == pid;
}

static void take_items(const struct control_client *client, int status, const json_t *items,
                       struct reload_result *out)
{
    size_t n = json_array_size(items);
    const json_t *result = n == 0 ? NULL : json_array_get(items, n - 1);
    const char *reason = item_word(result, "reload_reason");
    if (status == EX_OK)
        say(out, RELOAD_LOADED, "");
    else if (strcmp(item_word(result, "reload"), "refused") == 0)
        say(out, RELOAD_REFUSED, reason[0] != '\0' ? reason : client->text);
    else
        say(out, RELOAD_FAILED,
            client->text[0] != '\0' ? client->text : "its control socket doesn't answer");
}

/* False: not that way. */
static bool ask_by_socket(const struct cli *cli, const char *path, struct reload_result *out)
{
    static const struct ipc_msg request = {.type = MSG_REQ_CTL_RELOAD};
    struct control_client client;
    if (path == NULL || access(path, F_OK) < 0)
        return false;
    bool asked = control_connect(cli, path, &client) == EX_OK && is_of(&client, out->pid);
    if (asked) {
        json_t *items = json_array();
        int status = control_ask(&client, &request, ANSWER_S, items);
        take_items(&client, status, items, out);
        json_decref(items);
    }
    control_close(&client);
    return asked;
}

void server_reload(const struct cli *cli, const char *config, const struct server_config *server,
                   struct reload_result *out)
{
    off_t at = 0;
    cleanup_fd int pidfd = -1;
    *out = (struct reload_result){.state = RELOAD_NO_SERVER};
    if (find_server(config, &out->pid, &pidfd) == 0)
        return;
    if (ask_by_socket(cli, server->control, out))
        return;
    cleanup_fd int trail = open_trail(&server->audit, &at);
    if (pidfd_send_signal(pidfd, SIGHUP, NULL, 0) < 0)
        say(out, RELOAD_FAILED, strerror(errno));
    else if (trail < 0)
        say(out, RELOAD_UNKNOWN, "its audit trail can't be read: its log says what became of it");
    else
        wait_for_answer(trail, at, pidfd, out);
}

static const char *const states[] = {
    [RELOAD_LEFT_OUT] = "not asked", [RELOAD_NO_SERVER] = "no server", [RELOAD_LOADED] = "loaded",
    [RELOAD_REFUSED] = "refused",    [RELOAD_UNKNOWN] = "unknown",     [RELOAD_FAILED] = "failed",
};

static void print(const struct reload_result *r, bool undone)
{
    switch (r->state) {
    case RELOAD_LEFT_OUT:
        puts("server    not asked to load it: it does at its next start or reload");
        break;
    case RELOAD_NO_SERVER:
        puts("server    none is running with this configuration: it will know at its start");
        break;
    case RELOAD_LOADED:
        printf("server    has loaded it (pid %d)\n", (int)r->pid);
        break;
    case RELOAD_UNKNOWN:
        printf("server    was asked to load it (pid %d); %s\n", (int)r->pid, r->why);
        break;
    case RELOAD_REFUSED:
        fprintf(stderr, "postern: the server (pid %d) has refused to load it: %s\n", (int)r->pid,
                r->why);
        fputs(undone ? "postern: nothing was changed\n"
                     : "postern: the files are changed, but it goes on with the policy before\n",
              stderr);
        break;
    case RELOAD_FAILED:
        fprintf(stderr,
                "postern: the files are in place, but the server (pid %d) didn't load them: %s\n",
                (int)r->pid, r->why);
        break;
    }
}

int server_reload_tell(const struct reload_result *r, bool undone, json_t *doc)
{
    if (doc != NULL) {
        json_t *reload = json_object();
        doc_put(doc, "reload", reload);
        doc_text(reload, "state", states[r->state]);
        doc_uint(reload, "pid", r->pid > 0 ? (uint64_t)r->pid : UINT64_MAX);
        doc_text(reload, "why", r->why[0] != '\0' ? r->why : NULL);
    } else {
        print(r, undone);
    }
    return r->state == RELOAD_REFUSED || r->state == RELOAD_FAILED ? EX_UNAVAILABLE : EX_OK;
}
