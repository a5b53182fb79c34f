#include "audit_event.h"
#include "cleanup.h"
#include "diag.h"
#include "host_judge.h"
#include "hostkey_file.h"
#include "recordings_dir.h"
#include "text.h"
#include "trusted_path.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { SHOWN = 200 };

struct judging {
    const struct host_judge *judge;
    const struct policy *policy;
    struct diags *diags;
    int code; /* of the first error */
};

static void complain(struct judging *j, const struct origin *at, int code, const char *hint,
                     const char *text)
{
    diag_add(j->diags, at->file, at->line, hint, "%s", text);
    if (j->code == 0)
        j->code = code;
}

static void judge_user(struct judging *j)
{
    const char *name = j->policy->server.user;
    struct origin at = server_place(j->policy, "user");
    char buf[16384], shown[64], text[128];
    struct passwd pwd, *found = NULL;
    int num = getpwnam_r(name, &pwd, buf, sizeof buf, &found);
    text_escape_str(shown, sizeof shown, name);
    if (num == 0 && found != NULL && found->pw_uid != 0)
        return;
    if (num != 0)
        (void)snprintf(text, sizeof text, "user %s of [server] can't be looked up: %s", shown,
                       strerror(num));
    else
        (void)snprintf(text, sizeof text, "user %s of [server] %s", shown,
                       found == NULL ? "does not exist" : "is root");
    complain(j, &at, EX_NOUSER,
             num != 0        ? NULL
             : found == NULL ? "make it, or name another"
                             : "sessions need an unprivileged user",
             text);
}

static void judge_session_path(struct judging *j)
{
    const char *path = j->policy->server.session_path;
    struct origin at = server_place(j->policy, "session-path");
    char shown[SHOWN], text[ERR_TEXT_MAX];
    struct stat st;
    int num = access(path, X_OK) < 0 || stat(path, &st) < 0 ? errno
              : S_ISREG(st.st_mode)                         ? 0
                                                            : EISDIR;
    if (num == 0)
        return;
    (void)snprintf(text, sizeof text, "session-path %s: %s",
                   text_escape_str(shown, sizeof shown, path), strerror(num));
    complain(j, &at, EX_UNAVAILABLE, NULL, text);
}

static void judge_host_key(struct judging *j, const char *path, const struct origin *at)
{
    struct err err = {0};
    cleanup_fd int fd = -1;
    if (hostkey_file_open(path, &fd, &err) < 0)
        complain(j, at, err.code, NULL, err.text);
    else if (j->judge->try_host_key != NULL &&
             j->judge->try_host_key(j->judge->tries, fd, path, &err) < 0)
        complain(j, at, EX_UNAVAILABLE, NULL, err.text);
}

static void judge_host_keys(struct judging *j)
{
    const struct server_config *server = &j->policy->server;
    struct origin at = server_place(j->policy, "host-key");
    struct err err = {0};
    size_t n = 0;
    for (size_t i = 0; i < server->host_keys.n; i++) {
        const char *path = server->host_keys.items[i];
        if (server->host_keys_defaulted && access(path, F_OK) < 0 && errno == ENOENT)
            continue;
        judge_host_key(j, path, server->host_keys_defaulted ? &at : &server->host_key_places[i]);
        n++;
    }
    if (n > 0)
        return;
    (void)hostkey_file_none(&err);
    complain(j, &at, err.code, NULL, err.text);
}

/* What opening it would say, without making it. */
static void judge_audit(struct judging *j, const char *path)
{
    struct origin at = server_place(j->policy, "audit");
    char above[PATH_MAX], shown[SHOWN], text[ERR_TEXT_MAX];
    const char *slash = strrchr(path, '/');
    const char *what = NULL;
    const char *hint = NULL;
    struct stat st;
    if (strcmp(path, "journal") == 0 && access(JOURNAL_SOCKET, F_OK) < 0) {
        (void)snprintf(text, sizeof text, "audit = journal: %s: %s", JOURNAL_SOCKET,
                       strerror(errno));
        complain(j, &at, EX_CANTCREAT, "does systemd-journald run?", text);
    }
    if (slash == NULL) /* journal, stderr */
        return;
    (void)snprintf(above, sizeof above, "%.*s/", (int)(slash - path), path);
    if (lstat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            what = "is not a regular file";
    } else if (stat(above, &st) < 0) {
        what = "its directory does not exist";
        hint = "make it, mode 750";
    }
    if (what == NULL)
        return;
    (void)snprintf(text, sizeof text, "audit file %s%s %s",
                   text_escape_str(shown, sizeof shown, path), hint != NULL ? ":" : "", what);
    complain(j, &at, EX_CANTCREAT, hint, text);
}

/* A directory that is made if only its own name is missing. */
static void judge_own_dir(struct judging *j, const char *path, const char *key, const char *value,
                          int (*open_dir)(const char *path, int *fd, struct err *err))
{
    struct origin at = server_place(j->policy, key);
    char above[PATH_MAX];
    struct err err = {0};
    struct stat st;
    cleanup_fd int fd = -1;
    const char *slash = strrchr(path, '/');
    (void)snprintf(above, sizeof above, "%.*s/", (int)(slash - path), path);
    bool is_new = lstat(path, &st) < 0 && errno == ENOENT;
    if (is_new && stat(above, &st) == 0)
        return;
    if (is_new)
        err_set(&err, errno, "%s", above);
    else if (open_dir(path, &fd, &err) == 0)
        return;
    (void)err_wrap(&err, "%s = %s", key, value);
    complain(j, &at, EX_CANTCREAT, NULL, err.text);
}

static int open_any(const char *path, int *fd, struct err *err)
{
    return trusted_path_open_dir(path, 0, fd, err);
}

static void judge_directory(struct judging *j, const char *path, const char *key, const char *value)
{
    judge_own_dir(j, path, key, value, open_any);
}

static void judge_recordings(struct judging *j)
{
    const char *path = j->policy->server.recordings;
    if (recordings_dir_wanted(j->policy))
        judge_own_dir(j, path, "recordings", path, recordings_dir_open);
}

static void judge_state_dir(struct judging *j)
{
    const char *path = j->policy->server.state_dir;
    judge_directory(j, path, "state-dir", path);
}

static void judge_control(struct judging *j)
{
    const char *path = j->policy->server.control;
    struct origin at = server_place(j->policy, "control");
    char dir[PATH_MAX], text[ERR_TEXT_MAX];
    struct stat st;
    if (path == NULL)
        return;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (dir[0] != '\0')
        judge_directory(j, dir, "control", path);
    if (lstat(path, &st) < 0 || S_ISSOCK(st.st_mode))
        return;
    (void)snprintf(text, sizeof text, "control = %s: there is something else than a socket", path);
    complain(j, &at, EX_CANTCREAT, "remove it, or name another path", text);
}

/* Where root is to write again and again, nobody else may exchange anything. */
static void judge_metrics_file(struct judging *j)
{
    const char *path = j->policy->server.metrics_file;
    struct origin at = server_place(j->policy, "metrics-file");
    char above[PATH_MAX], shown[SHOWN], text[ERR_TEXT_MAX];
    struct err err = {0};
    cleanup_fd int fd = -1;
    if (path == NULL)
        return;
    (void)snprintf(above, sizeof above, "%.*s/", (int)(strrchr(path, '/') - path), path);
    if (trusted_path_open_dir(above, 0, &fd, &err) == 0)
        return;
    (void)snprintf(text, sizeof text, "the directory of metrics-file %s: %.*s",
                   text_escape_str(shown, sizeof shown, path), (int)sizeof shown, err.text);
    complain(j, &at, EX_CANTCREAT, err.num == ENOENT ? "make it, mode 755" : NULL, text);
}

int host_server_judge(const struct host_judge *judge, const struct policy *policy,
                      struct diags *diags)
{
    struct judging judging = {.judge = judge, .policy = policy, .diags = diags};
    judge_host_keys(&judging);
    judge_session_path(&judging);
    judge_user(&judging);
    for (size_t i = 0; i < policy->server.audit.n; i++)
        judge_audit(&judging, policy->server.audit.items[i]);
    judge_state_dir(&judging);
    judge_recordings(&judging);
    judge_metrics_file(&judging);
    judge_control(&judging);
    return judging.code;
}
