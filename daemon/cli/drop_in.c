#include "drop_in.h"
#include "cleanup.h"
#include "diag.h"
#include "find_server.h"
#include "leftovers.h"
#include "policy_files.h"
#include "problems.h"
#include "review.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

static const struct drop_in_change *find_change(const struct drop_in *drop_in, const char *path)
{
    for (size_t i = 0; i < drop_in->n; i++)
        if (strcmp(drop_in->changes[i].path, path) == 0)
            return &drop_in->changes[i];
    return NULL;
}

/* The file as it would be. */
static int read_changed(void *user, const char *path, size_t max, uid_t owner, char **data,
                        size_t *len, struct err *err)
{
    const struct drop_in_change *change = find_change(user, path);
    if (change == NULL)
        return policy_files_host.read_file(NULL, path, max, owner, data, len, err);
    if (change->data == NULL)
        return err_set(err, ENOENT, "can't be opened");
    if (change->len > max)
        return err_set(err, 0, "longer than %zu bytes", max);
    *data = malloc(change->len + 1);
    if (*data == NULL)
        return err_set(err, ENOMEM, "can't be read");
    memcpy(*data, change->data, change->len);
    *len = change->len;
    return 0;
}

/* The name of a change that is to a file right in `dir`, or NULL. */
static const char *name_in(const struct drop_in_change *change, const char *dir, const char *suffix)
{
    size_t len = strlen(dir);
    const char *name = change->path + len + 1;
    if (strncmp(change->path, dir, len) != 0 || change->path[len] != '/' ||
        strchr(name, '/') != NULL)
        return NULL;
    size_t n = strlen(name);
    size_t n_suffix = strlen(suffix);
    return n > n_suffix && strcmp(name + n - n_suffix, suffix) == 0 ? name : NULL;
}

static size_t find_name(const struct str_list *names, const char *name)
{
    size_t i = 0;
    while (i < names->n && strcmp(names->items[i], name) != 0)
        i++;
    return i;
}

static int add_name(struct str_list *names, const char *name)
{
    char **items = realloc(names->items, (names->n + 1) * sizeof *items);
    char *copy = items == NULL ? NULL : strdup(name);
    if (items != NULL)
        names->items = items;
    if (copy == NULL)
        return -1;
    names->items[names->n++] = copy;
    return 0;
}

static void drop_name(struct str_list *names, size_t at)
{
    free(names->items[at]);
    names->items[at] = names->items[--names->n];
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_changed(void *user, const char *path, const char *suffix, uid_t owner,
                        struct str_list *names, struct err *err)
{
    const struct drop_in *drop_in = user;
    if (policy_files_host.list_dir(NULL, path, suffix, owner, names, err) < 0)
        return -1;
    for (size_t i = 0; i < drop_in->n; i++) {
        const char *name = name_in(&drop_in->changes[i], path, suffix);
        size_t at = name == NULL ? 0 : find_name(names, name);
        if (name != NULL && at < names->n && drop_in->changes[i].data == NULL)
            drop_name(names, at);
        if (name == NULL || at < names->n || drop_in->changes[i].data == NULL)
            continue;
        if (add_name(names, name) < 0) {
            while (names->n > 0)
                drop_name(names, 0);
            free(names->items);
            *names = (struct str_list){0};
            return err_set(err, ENOMEM, "can't be read");
        }
    }
    if (names->n > 1)
        qsort(names->items, names->n, sizeof *names->items, compare_names);
    return 0;
}

static int find_user(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err)
{
    (void)user;
    return policy_files_host.find_user(NULL, name, uid, gid, err);
}

/* Waits for whoever is at it; the lock ends with the process. */
static int lock(struct drop_in *drop_in)
{
    drop_in->lock = open(drop_in->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (drop_in->lock < 0)
        return -1;
    if (flock(drop_in->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return -1;
    fputs("postern: waiting for another postern that changes the policy\n", stderr);
    int rc;
    do
        rc = flock(drop_in->lock, LOCK_EX);
    while (rc < 0 && errno == EINTR);
    return rc;
}

static void look_at_server(struct drop_in *drop_in)
{
    cleanup_fd int pidfd = -1;
    pid_t pid;
    if (find_server(drop_in->sources.config, &pid, &pidfd) != 0)
        drop_in->has_limits = find_server_limits(pid, &drop_in->limits);
}

int drop_in_open(const struct cli *cli, bool dry_run, struct drop_in *out)
{
    *out = (struct drop_in){.lock = -1};
    char shown[200];
    int status = sources_find(cli, NULL, 0, &out->sources);
    if (status != EX_OK)
        return status;
    out->dir = out->sources.dirs[0];
    /* A server that isn't configured gets no directory either. */
    if (access(out->sources.config, R_OK) < 0) {
        problem_no_input(out->sources.config, errno);
        fputs("postern: the configuration of the server comes first; -f names one elsewhere\n",
              stderr);
        return EX_NOINPUT;
    }
    look_at_server(out);
    if (dry_run)
        return EX_OK;
    if ((mkdir(out->dir, 0755) == 0 || errno == EEXIST) && access(out->dir, W_OK) == 0 &&
        lock(out) == 0)
        return EX_OK;
    int num = errno;
    fprintf(stderr, "postern: %s can't be changed: %s%s\n",
            text_escape_str(shown, sizeof shown, out->dir), strerror(num),
            geteuid() != 0 && (num == EACCES || num == EPERM)
                ? ": that takes root, sudo postern ..."
                : "");
    return num == EACCES || num == EPERM || num == EROFS ? EX_NOPERM : EX_IOERR;
}

void drop_in_close(struct drop_in *drop_in)
{
    for (size_t i = 0; i < drop_in->n; i++) {
        free(drop_in->changes[i].path);
        free(drop_in->changes[i].data);
        free(drop_in->changes[i].old);
    }
    close_fd(&drop_in->lock);
    sources_free(&drop_in->sources);
    *drop_in = (struct drop_in){.lock = -1};
}

char *drop_in_path(const struct drop_in *drop_in, const char *fmt, ...)
{
    cleanup_free char *name = NULL;
    char *path = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&name, fmt, ap) < 0)
        name = NULL;
    va_end(ap);
    if (name == NULL || asprintf(&path, "%s/%s", drop_in->dir, name) < 0) {
        fputs("postern: out of memory\n", stderr);
        return NULL;
    }
    return path;
}

int drop_in_add(struct drop_in *drop_in, enum drop_in_kind kind, const char *path, char *data,
                size_t len)
{
    char *copy = drop_in->n < DROP_IN_CHANGES_MAX ? strdup(path) : NULL;
    if (copy == NULL) {
        free(data);
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    drop_in->changes[drop_in->n++] =
        (struct drop_in_change){.kind = kind, .path = copy, .data = data, .len = len};
    return EX_OK;
}

bool drop_in_adds(const struct drop_in *drop_in)
{
    bool any = false;
    for (size_t i = 0; i < drop_in->n; i++)
        any = any || drop_in->changes[i].data != NULL;
    return any;
}

struct policy *drop_in_load(struct drop_in *drop_in, const struct cli *cli, bool changed,
                            bool judged, struct diags *diags, int *status)
{
    struct policy_host host = policy_files_host;
    struct host_judge judge = {.limits = drop_in->has_limits ? &drop_in->limits : NULL};
    host.user = drop_in;
    host.read_file = read_changed;
    host.list_dir = list_changed;
    host.find_user = find_user;
    drop_in->sources.host = changed ? &host : NULL;
    drop_in->sources.judge = judged ? &judge : NULL;
    struct policy *policy = sources_load(cli, &drop_in->sources, true, diags, status);
    drop_in->sources.host = NULL;
    drop_in->sources.judge = NULL;
    if (policy == NULL && !cli->json)
        fputs("postern: nothing was changed\n", stderr);
    return policy;
}

static bool is_among(const struct diags *diags, const struct diag *d)
{
    for (size_t i = 0; i < diags->n; i++)
        if (strcmp(diags->items[i].text, d->text) == 0 &&
            strcmp(diags->items[i].file, d->file) == 0)
            return true;
    return false;
}

/* Those of `found` that are news: by the files that change, or by what was true before. */
static void add_news(const struct drop_in *drop_in, const struct diags *before,
                     const struct diags *found, struct diags *news)
{
    for (size_t i = 0; i < found->n && drop_in_adds(drop_in); i++) {
        const struct diag *d = &found->items[i];
        if (before != NULL ? !is_among(before, d) : find_change(drop_in, d->file) != NULL)
            diag_warn(news, d->file, d->line, d->hint, "%s", d->text);
    }
}

int drop_in_warn(const struct drop_in *drop_in, const struct policy *before,
                 const struct policy *after, struct diags *diags, json_t *doc)
{
    struct diags old = {0};
    struct diags reviewed = {0};
    struct diags news = {0};
    time_t now = time(NULL);
    int status = EX_OSERR;
    leftovers_programs(after, diags);
    if (policy_review(before, now, &old) == 0 && policy_review(after, now, &reviewed) == 0) {
        add_news(drop_in, NULL, diags, &news);
        add_news(drop_in, &old, &reviewed, &news);
        if (doc != NULL)
            problems_put(doc, &news);
        else
            problems_print(&news);
        status = EX_OK;
    } else {
        fputs("postern: out of memory\n", stderr);
    }
    diags_free(&old);
    diags_free(&reviewed);
    diags_free(&news);
    return status;
}
