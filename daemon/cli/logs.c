/*
 * postern logs - the newest records of the audit trail as lines for people, and those to come.
 */
#include "cleanup.h"
#include "cli.h"
#include "record.h"
#include "text.h"
#include "trail_files.h"
#include "trail_filter.h"
#include "trail_reader.h"
#include "trail_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

enum { ID_EXEC = 1, ID_TENANT, ID_FOLLOW, ID_LINES };
enum {
    LINES_DEFAULT = 20,
    LINES_MOST = 10000,
    BYTES_MOST = 64 << 20, /* of them all; the oldest give way */
    LOOK_MS = 100,
};

struct line {
    struct line *next;
    size_t len;
    char text[];
};

/* The last lines that match. */
struct last {
    struct line *first, **end;
    size_t n, bytes;
};

struct logs {
    const struct cli *cli;
    struct trail_filter filter;
    size_t wanted;
    bool follows;
};

static void drop_first(struct last *last)
{
    struct line *line = last->first;
    last->first = line->next;
    if (last->first == NULL)
        last->end = &last->first;
    last->n--;
    last->bytes -= line->len;
    free(line);
}

static void last_free(struct last *last)
{
    while (last->first != NULL)
        drop_first(last);
}

static int last_add(struct last *last, size_t most, const char *text, size_t len)
{
    struct line *line = malloc(sizeof *line + len);
    if (line == NULL)
        return -1;
    *line = (struct line){.len = len};
    memcpy(line->text, text, len);
    *last->end = line;
    last->end = &line->next;
    last->n++;
    last->bytes += len;
    while (last->n > most || (last->bytes > BYTES_MOST && last->n > 1))
        drop_first(last);
    return 0;
}

static bool matches(const struct logs *logs, const char *text, size_t len)
{
    json_t *record = record_load(text, len);
    bool found = record != NULL && trail_filter_matches(&logs->filter, record);
    json_decref(record);
    return found;
}

static void print(const struct logs *logs, const char *text, size_t len)
{
    json_t *record = record_load(text, len);
    if (record != NULL)
        trail_print(record, text, len, logs->cli->json);
    json_decref(record);
}

static void print_last(const struct logs *logs, const struct last *last)
{
    for (const struct line *line = last->first; line != NULL; line = line->next)
        print(logs, line->text, line->len);
}

/* Reads to the end of what there is now. */
static int collect(const struct logs *logs, struct trail_reader *reader, size_t most,
                   struct last *last)
{
    const char *text;
    size_t len;
    last->end = &last->first;
    for (;;) {
        enum lines_result got = lines_next(&reader->lines, &text, &len);
        if (got == LINES_END)
            return EX_OK;
        if (got == LINES_FAILED) {
            fprintf(stderr, "postern: %s can't be read: %s\n", reader->name, strerror(errno));
            return EX_IOERR;
        }
        if (got == LINES_ONE && most > 0 && matches(logs, text, len) &&
            last_add(last, most, text, len) < 0)
            return EX_OSERR;
    }
}

/* What the newest file has too few of, the one before it may have; recursion would do, but there
 * may be many. */
static int print_older(const struct logs *logs, const struct trail_files *files, size_t n_newest)
{
    struct last found[TRAIL_FILES_MAX];
    size_t have = n_newest, first = files->n - 1;
    int status = EX_OK;
    memset(found, 0, sizeof found);
    while (first > 0 && have < logs->wanted && status == EX_OK) {
        struct trail_reader reader;
        struct last *last = &found[--first];
        status = trail_reader_open(&reader, files->paths[first]);
        if (status == EX_OK)
            status = collect(logs, &reader, logs->wanted - have, last);
        int closed = trail_reader_close(&reader);
        status = status == EX_OK ? closed : status;
        have += last->n;
    }
    for (size_t i = first; i + 1 < files->n; i++) {
        print_last(logs, &found[i]);
        last_free(&found[i]);
    }
    return status;
}

/* Whether the name is another file's by now. */
static bool is_renamed(const struct trail_reader *reader, const char *path)
{
    struct stat now, own;
    return stat(path, &now) == 0 && fstat(reader->fd, &own) == 0 &&
           (now.st_ino != own.st_ino || now.st_dev != own.st_dev);
}

/* The file that was written after the one that is read: it may have been renamed in its turn. */
static char *successor(const struct trail_reader *reader, const char *path)
{
    struct trail_files files;
    struct stat own, other;
    char *next = NULL;
    int status = trail_files_beside(path, &files);
    for (size_t i = 0; status == EX_OK && i + 1 < files.n && next == NULL; i++)
        if (fstat(reader->fd, &own) == 0 && stat(files.paths[i], &other) == 0 &&
            own.st_ino == other.st_ino && own.st_dev == other.st_dev)
            next = strdup(files.paths[i + 1]);
    trail_files_free(&files);
    return next != NULL ? next : strdup(path);
}

static bool step(struct trail_reader *reader, const char *path)
{
    cleanup_free char *next = successor(reader, path);
    int fd = next == NULL ? -1 : open(next, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;
    close_fd(&reader->fd);
    reader->fd = reader->lines.fd = fd;
    lines_restart(&reader->lines);
    return true;
}

/* A file that was made shorter (logrotate's copytruncate) begins anew. */
static void rewind_if_cut(struct trail_reader *reader)
{
    struct stat st;
    off_t at = lseek(reader->fd, 0, SEEK_CUR);
    if (fstat(reader->fd, &st) == 0 && at > st.st_size && lseek(reader->fd, 0, SEEK_SET) == 0)
        lines_restart(&reader->lines);
}

static int print_new(const struct logs *logs, struct trail_reader *reader)
{
    const char *text;
    size_t len;
    enum lines_result got;
    while ((got = lines_next(&reader->lines, &text, &len)) != LINES_END && got != LINES_FAILED)
        if (got == LINES_ONE && matches(logs, text, len))
            print(logs, text, len);
    if (got == LINES_END)
        return EX_OK;
    fprintf(stderr, "postern: %s can't be read: %s\n", reader->name, strerror(errno));
    return EX_IOERR;
}

static int follow(const struct logs *logs, struct trail_reader *reader, const char *path)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    int status = EX_OK;
    while (status == EX_OK && fflush(stdout) == 0 && !ferror(stdout)) {
        (void)nanosleep(&pause, NULL);
        rewind_if_cut(reader);
        bool renamed;
        do {
            /* Asked first: nothing is added any more to what has been renamed. */
            renamed = is_renamed(reader, path);
            status = print_new(logs, reader);
        } while (status == EX_OK && renamed && step(reader, path));
    }
    return status;
}

static int show(const struct logs *logs, const struct trail_files *files)
{
    const char *path = files->paths[files->n - 1];
    struct trail_reader reader;
    struct last last = {0};
    int status = trail_reader_open(&reader, path);
    reader.lines.waits = logs->follows && reader.child == 0;
    if (status == EX_OK)
        status = collect(logs, &reader, logs->wanted, &last);
    if (status == EX_OK)
        status = print_older(logs, files, last.n);
    if (status == EX_OK)
        print_last(logs, &last);
    if (status == EX_OK && logs->follows)
        status = follow(logs, &reader, path);
    if (status == EX_OSERR)
        fputs("postern: out of memory\n", stderr);
    last_free(&last);
    (void)trail_reader_close(&reader);
    return status;
}

static int take_lines(struct logs *logs, const char *value)
{
    char shown[64];
    char *end;
    unsigned long n = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || n > LINES_MOST)
        return cli_usage_error(logs->cli, "-n is a number up to %d, not '%s'", LINES_MOST,
                               text_escape_str(shown, sizeof shown, value));
    logs->wanted = n;
    return EX_OK;
}

static int take_option(struct logs *logs, int id, const char *value, bool *counted)
{
    switch (id) {
    case ID_EXEC:
        logs->filter.exec = value;
        break;
    case ID_TENANT:
        logs->filter.tenant = value;
        break;
    case ID_FOLLOW:
        logs->follows = true;
        break;
    default: /* ID_LINES */
        *counted = true;
        return take_lines(logs, value);
    }
    return EX_OK;
}

static int logs_run(struct cli *cli)
{
    struct logs logs = {.cli = cli, .wanted = LINES_DEFAULT};
    struct trail_files files = {0};
    const char *value;
    bool counted = false;
    int status = EX_OK;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        status = id == CLI_OVER ? cli->status : take_option(&logs, id, value, &counted);
        if (id == CLI_OVER || status != EX_OK)
            return status;
    }
    if (cli->n_words > 1)
        return cli_usage_error(cli, "takes one trail");
    if (!counted && logs.filter.exec != NULL)
        logs.wanted = LINES_MOST;
    struct trail_files one = {.paths = cli->words, .n = 1};
    if (cli->n_words == 0)
        status = trail_files_find(cli, &files);
    if (status == EX_OK)
        status = show(&logs, cli->n_words == 0 ? &files : &one);
    trail_files_free(&files);
    return status;
}

static const struct cli_option options[] = {
    {"exec", "ID", "of this command; all of them", ID_EXEC, false},
    {"tenant", "TENANT", "of this tenant", ID_TENANT, false},
    {"follow", NULL, "go on with what is written from now on", ID_FOLLOW, false},
    {"lines", "N", "the newest N; 20 if not given, 0 for none", ID_LINES, false},
    {0},
};

static const struct cli_letter letters[] = {{'f', ID_FOLLOW}, {'n', ID_LINES}, {0, 0}};

const struct cli_command logs_command = {
    .name = "logs",
    .synopsis = "[--exec ID] [--tenant TENANT] [-f] [-n N] [TRAIL]",
    .summary = "Print the newest records of the audit trail, and with -f those to come",
    .options = options,
    .letters = letters,
    .run = logs_run,
};
