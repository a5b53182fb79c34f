#include "recordings.h"
#include "cast_read.h"
#include "cleanup.h"
#include "doc.h"
#include "lines.h"
#include "moment.h"
#include "policy.h"
#include "problems.h"
#include "recordings_dir.h"
#include "sources.h"
#include "style.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

/* What a session writes at most in one line, and more. */
enum { LAST_MAX = 64 * 1024 };

struct listed {
    char *exec, *tenant, *client, *command; /* owned */
    int64_t timestamp;
    double seconds; /* of its last event */
    uint64_t size;
    bool terminal;
    bool running; /* somebody still writes it */
};

struct listing {
    struct listed *items;
    size_t n;
};

static int fail(const struct cli *cli, int status, const char *path, const char *why)
{
    char shown[256];
    fprintf(stderr, "postern %s: %serror:%s %s: %s\n", cli->command->name,
            style_begin(stderr, STYLE_ERROR), style_end(stderr),
            text_escape_str(shown, sizeof shown, path), why);
    return status;
}

static int open_dir(const struct cli *cli, int *dir)
{
    struct err err = {0};
    int status = EX_OK;
    struct policy *policy = sources_load_system(cli, false, &status);
    if (policy == NULL)
        return status;
    if (recordings_dir_open(policy->server.recordings, dir, &err) < 0)
        status = fail(cli, err.num == EACCES ? EX_NOPERM : EX_NOINPUT, policy->server.recordings,
                      err.text);
    policy_free(policy);
    return status;
}

/* Whoever names a fifo or a device is not to wait for it. */
static int open_at(int dir, const char *name)
{
    struct stat st;
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    return steal_fd(&fd);
}

static bool is_file_name(const char *word)
{
    size_t len = strlen(word), suffix = strlen(RECORDING_SUFFIX);
    return strchr(word, '/') != NULL ||
           (len > suffix && strcmp(word + len - suffix, RECORDING_SUFFIX) == 0);
}

int recordings_find(const struct cli *cli, const char *word, int *fd)
{
    char name[RECORDING_NAME_MAX];
    cleanup_fd int dir = -1;
    if (strcmp(word, "-") == 0) {
        *fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        return *fd >= 0 ? EX_OK : fail(cli, EX_NOINPUT, "standard input", strerror(errno));
    }
    if (is_file_name(word)) {
        *fd = open_at(AT_FDCWD, word);
        return *fd >= 0 ? EX_OK : fail(cli, EX_NOINPUT, word, strerror(errno));
    }
    if (!recordings_dir_name(word, name))
        return fail(cli, EX_USAGE, word, "neither an exec id nor the path of a recording");
    int status = open_dir(cli, &dir);
    if (status != EX_OK)
        return status;
    *fd = open_at(dir, name);
    if (*fd >= 0)
        return EX_OK;
    return fail(cli, EX_NOINPUT, word,
                errno == ENOENT ? "no recording of this exec; 'postern play --list' prints what "
                                  "there is"
                                : strerror(errno));
}

static char *copy(const char *text)
{
    return strdup(text != NULL ? text : "");
}

/* The time of the last whole line. */
static double last_time(int fd, uint64_t size)
{
    static char tail[LAST_MAX];
    struct cast_event event = {0};
    double time = 0;
    off_t from = size > LAST_MAX ? (off_t)(size - LAST_MAX) : 0;
    ssize_t n = pread(fd, tail, sizeof tail, from);
    const char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
    const char *begin = end != NULL ? memrchr(tail, '\n', (size_t)(end - tail)) : NULL;
    if (begin != NULL && cast_read_event(begin + 1, (size_t)(end - begin - 1), &event))
        time = event.time;
    cast_event_free(&event);
    return time;
}

/* Returns 1: it is in *out, 0: it is none, -1: out of memory. */
static int read_listed(int fd, const char *tenant, struct listed *out)
{
    struct lines lines;
    struct cast_header header = {0};
    struct err err = {0};
    struct stat st;
    const char *line;
    size_t len;
    int rc = -1;
    *out = (struct listed){0};
    if (fstat(fd, &st) < 0)
        return 0;
    if (lines_begin(&lines, fd) < 0)
        return -1;
    if (lines_next(&lines, &line, &len) != LINES_ONE ||
        cast_read_header(line, len, &header, &err) < 0 || header.exec == NULL ||
        (tenant != NULL && (header.tenant == NULL || strcmp(header.tenant, tenant) != 0)))
        rc = 0;
    if (rc < 0) {
        *out = (struct listed){.exec = copy(header.exec),
                               .tenant = copy(header.tenant),
                               .client = copy(header.client),
                               .command = copy(header.command),
                               .timestamp = header.timestamp,
                               .size = (uint64_t)st.st_size,
                               .terminal = header.terminal,
                               .seconds = last_time(fd, (uint64_t)st.st_size),
                               .running = flock(fd, LOCK_EX | LOCK_NB) < 0};
        rc = out->exec != NULL && out->tenant != NULL && out->client != NULL && out->command != NULL
                 ? 1
                 : -1;
    }
    cast_header_free(&header);
    lines_free(&lines);
    return rc;
}

static void free_listing(struct listing *listing)
{
    for (size_t i = 0; i < listing->n; i++) {
        struct listed *l = &listing->items[i];
        free(l->exec);
        free(l->tenant);
        free(l->client);
        free(l->command);
    }
    free(listing->items);
}

static int add(struct listing *listing, int dir, const char *name, const char *tenant)
{
    char exec[RECORDING_NAME_MAX], again[RECORDING_NAME_MAX];
    size_t len = strlen(name), suffix = strlen(RECORDING_SUFFIX);
    if (len <= suffix || len >= sizeof exec)
        return 0;
    (void)snprintf(exec, sizeof exec, "%.*s", (int)(len - suffix), name);
    if (!recordings_dir_name(exec, again) || strcmp(again, name) != 0)
        return 0;
    cleanup_fd int fd = open_at(dir, name);
    if (fd < 0)
        return 0;
    struct listed *more =
        (listing->n & (listing->n - 1)) != 0
            ? listing->items
            : reallocarray(listing->items, listing->n == 0 ? 1 : 2 * listing->n, sizeof *more);
    if (more == NULL)
        return -1;
    listing->items = more;
    int rc = read_listed(fd, tenant, &more[listing->n]);
    listing->n += rc != 0;
    return rc < 0 ? -1 : 0;
}

static int compare(const void *a, const void *b)
{
    const struct listed *x = a;
    const struct listed *y = b;
    if (x->timestamp != y->timestamp)
        return x->timestamp < y->timestamp ? -1 : 1;
    return strcmp(x->exec, y->exec);
}

static int read_listing(struct listing *listing, int fd, const char *tenant)
{
    int rc = 0;
    const struct dirent *entry;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close_fd(&fd);
        return -1;
    }
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        rc = add(listing, dirfd(dir), entry->d_name, tenant);
    (void)closedir(dir);
    if (listing->n > 1)
        qsort(listing->items, listing->n, sizeof *listing->items, compare);
    return rc;
}

static int print_json(const struct listing *listing)
{
    json_t *doc = doc_new("play");
    json_t *recordings = doc_array(doc, "recordings");
    for (size_t i = 0; i < listing->n; i++) {
        const struct listed *l = &listing->items[i];
        json_t *one = doc_push(recordings, json_object());
        doc_text(one, "exec", l->exec);
        doc_time(one, "time", l->timestamp);
        doc_text(one, "tenant", l->tenant);
        doc_text(one, "client", l->client);
        doc_bool(one, "terminal", l->terminal);
        doc_bool(one, "running", l->running);
        doc_put(one, "seconds", json_real(l->seconds));
        doc_uint(one, "size", l->size);
        /* As in the file: its bytes are code points already. */
        doc_put(one, "command", json_string(l->command));
    }
    return doc_print(doc);
}

static int print_text(const struct listing *listing)
{
    static const char *const titles[] = {"EXEC", "TIME", "TENANT", "LENGTH", "SIZE", "COMMAND"};
    struct table table = {.columns = array_len(titles)};
    for (size_t i = 0; i < array_len(titles); i++)
        table_add(&table, STYLE_HEADING, "%s", titles[i]);
    for (size_t i = 0; i < listing->n; i++) {
        const struct listed *l = &listing->items[i];
        char time[MOMENT_TEXT_MAX], command[256];
        table_add(&table, STYLE_PLAIN, "%s", l->exec);
        table_add(&table, STYLE_PLAIN, "%s", moment_format(l->timestamp, time));
        table_add(&table, STYLE_PLAIN, "%s", l->tenant);
        if (l->running)
            table_add(&table, STYLE_PLAIN, "running");
        else
            table_add(&table, STYLE_PLAIN, "%.1f s", l->seconds);
        table_add(&table, STYLE_PLAIN, "%" PRIu64 "K", (l->size + 1023) / 1024);
        table_add(&table, STYLE_PLAIN, "%s%s", text_escape_str(command, sizeof command, l->command),
                  l->terminal ? " (terminal)" : "");
    }
    return table_print(&table, stdout);
}

int recordings_list(const struct cli *cli, const char *tenant)
{
    struct listing listing = {0};
    cleanup_fd int dir = -1;
    int status = open_dir(cli, &dir);
    if (status != EX_OK)
        return status;
    if (read_listing(&listing, steal_fd(&dir), tenant) < 0)
        status = fail(cli, EX_OSERR, "recordings", "out of memory");
    else
        status = cli->json ? print_json(&listing) : print_text(&listing);
    free_listing(&listing);
    return status;
}
