/*
 * postern play - what a command has printed, shown again.
 */
#include "cast_read.h"
#include "cleanup.h"
#include "cli.h"
#include "doc.h"
#include "lines.h"
#include "recordings.h"
#include "style.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>

enum {
    ID_LIST = 1,
    ID_TENANT,
    ID_SPEED,
    ID_IDLE_LIMIT,
    ID_OUTPUT,
    ID_RAW,
    ID_ESCAPE,
};

/* Nobody sits through more than a day of silence. */
#define DELAY_MAX 86400.0

struct play {
    const struct cli *cli;
    const char *what; /* as it was given */
    const char *tenant;
    bool list, at_once, raw, escape;
    double speed;
    double idle_limit;
    double time; /* of the last event */
    struct lines lines;
    struct cast_header header;
};

static bool read_number(const char *text, double least, double most, double *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtod(text, &end);
    return strspn(text, "0123456789.") == strlen(text) && end != text && *end == '\0' &&
           errno == 0 && *number >= least && *number <= most;
}

static int take_option(struct play *play, int id, const char *value)
{
    switch (id) {
    case ID_LIST:
        play->list = true;
        break;
    case ID_TENANT:
        play->tenant = value;
        break;
    case ID_SPEED:
        if (!read_number(value, 0.01, 1000, &play->speed))
            return cli_usage_error(play->cli, "--speed is a number from 0.01 to 1000, such as 2");
        break;
    case ID_IDLE_LIMIT:
        if (!read_number(value, 0, DELAY_MAX, &play->idle_limit))
            return cli_usage_error(play->cli, "--idle-limit is a number of seconds, such as 2");
        break;
    case ID_OUTPUT:
        play->at_once = true;
        break;
    case ID_RAW:
        play->raw = true;
        break;
    default:
        play->escape = true;
        break;
    }
    return EX_OK;
}

static int malformed(const struct play *play, const char *why)
{
    char shown[256];
    fprintf(stderr, "postern play: %serror:%s %s: %s\n", style_begin(stderr, STYLE_ERROR),
            style_end(stderr), text_escape_str(shown, sizeof shown, play->what), why);
    return EX_DATAERR;
}

static int read_header(struct play *play)
{
    struct err err = {0};
    const char *line;
    size_t len;
    switch (lines_next(&play->lines, &line, &len)) {
    case LINES_ONE:
        return cast_read_header(line, len, &play->header, &err) == 0 ? EX_OK
                                                                     : malformed(play, err.text);
    case LINES_FAILED:
        return malformed(play, strerror(errno));
    default:
        return malformed(play, "this is no recording: it is empty, or its first line too long");
    }
}

/* The next event: 1, or 0 at the end. Where a line is none, *torn is set. */
static int next_event(struct play *play, struct cast_event *event, bool *torn)
{
    const char *line;
    size_t len;
    while (true) {
        enum lines_result got = lines_next(&play->lines, &line, &len);
        if (got == LINES_END || got == LINES_FAILED) {
            *torn |= got == LINES_FAILED;
            return 0;
        }
        if (got == LINES_ONE && cast_read_event(line, len, event))
            return 1;
        if (got == LINES_ONE)
            cast_event_free(event);
        *torn = true;
    }
}

static void wait_for(struct play *play, double time)
{
    double delay = (time - play->time) / play->speed;
    if (play->at_once || time <= play->time)
        return;
    play->time = time;
    delay = delay < play->idle_limit ? delay : play->idle_limit;
    struct timespec left = {.tv_sec = (time_t)delay};
    left.tv_nsec = (long)((delay - (double)left.tv_sec) * 999999999);
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* What was on a terminal is made for one. What was not could do to this one what it likes. */
static bool is_escaped(const struct play *play, FILE *to)
{
    if (play->raw || play->escape)
        return play->escape;
    return !play->header.terminal && isatty(fileno(to)) == 1;
}

static void show(struct play *play, const struct cast_event *event)
{
    FILE *to = event->code == 'e' ? stderr : stdout;
    if (event->code == 'm') {
        char shown[256];
        fprintf(stderr, "%s%s%s\n", style_begin(stderr, STYLE_FAINT),
                text_escape(shown, sizeof shown, event->text, event->len), style_end(stderr));
        return;
    }
    if (event->code != 'o' && event->code != 'e')
        return;
    if (is_escaped(play, to))
        cast_print_escaped(event->text, event->len, to);
    else
        (void)fwrite(event->text, 1, event->len, to);
    (void)fflush(to);
}

/* Lines would break at other places. */
static void note_size(const struct play *play)
{
    struct winsize size;
    const struct cast_header *h = &play->header;
    if (!h->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
        (size.ws_col >= h->width && size.ws_row >= h->height))
        return;
    fprintf(stderr, "postern: note: recorded with %ux%u, this terminal has %ux%u\n", h->width,
            h->height, (unsigned)size.ws_col, (unsigned)size.ws_row);
}

static int play_text(struct play *play)
{
    struct cast_event event;
    bool torn = false;
    note_size(play);
    while (next_event(play, &event, &torn) == 1) {
        wait_for(play, event.time);
        show(play, &event);
        cast_event_free(&event);
        if (ferror(stdout))
            return EX_IOERR;
    }
    return torn ? malformed(play, "some of it can't be read") : EX_OK;
}

static int play_json(struct play *play)
{
    struct cast_event event;
    bool torn = false;
    json_t *doc = doc_new("play");
    doc_put(doc, "header", json_incref(play->header.root));
    json_t *events = doc_array(doc, "events");
    while (next_event(play, &event, &torn) == 1) {
        json_t *one = doc_push(events, json_object());
        const char code[] = {event.code, '\0'};
        doc_put(one, "time", json_real(event.time));
        doc_text(one, "code", code);
        doc_put(one, "text", json_incref(json_array_get(event.root, 2)));
        cast_event_free(&event);
    }
    doc_bool(doc, "torn", torn);
    return doc_print(doc);
}

static int play_file(struct play *play, const char *word)
{
    cleanup_fd int fd = -1;
    int status = recordings_find(play->cli, word, &fd);
    if (status != EX_OK)
        return status;
    play->what = word;
    if (lines_begin(&play->lines, fd) < 0) {
        fputs("postern: out of memory\n", stderr);
        return EX_OSERR;
    }
    status = read_header(play);
    if (status == EX_OK)
        status = play->cli->json ? play_json(play) : play_text(play);
    cast_header_free(&play->header);
    lines_free(&play->lines);
    return status;
}

static int check_words(const struct play *play)
{
    const struct cli *cli = play->cli;
    if (play->raw && play->escape)
        return cli_usage_error(cli, "--raw and --escape contradict each other");
    if (play->list && cli->n_words > 0)
        return cli_usage_error(cli, "--list takes no recording");
    if (!play->list && play->tenant != NULL)
        return cli_usage_error(cli, "--tenant belongs to --list");
    if (!play->list && cli->n_words != 1)
        return cli_usage_error(cli, "which recording? An exec id or a file; --list prints them");
    return EX_OK;
}

static int run(struct cli *cli)
{
    struct play play = {.cli = cli, .speed = 1, .idle_limit = DELAY_MAX};
    const char *value;
    int id, status = EX_OK;
    while ((id = cli_next_option(cli, &value)) > 0 && status == EX_OK)
        status = take_option(&play, id, value);
    if (id == CLI_OVER)
        return cli->status;
    if (status == EX_OK)
        status = check_words(&play);
    if (status != EX_OK)
        return status;
    return play.list ? recordings_list(cli, play.tenant) : play_file(&play, cli->words[0]);
}

static const struct cli_option options[] = {
    {"list", NULL, "print which recordings there are", ID_LIST, false},
    {"tenant", "TENANT", "with --list: only this tenant's", ID_TENANT, false},
    {"speed", "X", "play it X times as fast", ID_SPEED, false},
    {"idle-limit", "SECONDS", "wait no longer than that for anything", ID_IDLE_LIMIT, false},
    {"output", NULL, "print it without waiting", ID_OUTPUT, false},
    {"raw", NULL, "print bytes as they are, on a terminal too", ID_RAW, false},
    {"escape", NULL, "print nothing that acts on a terminal", ID_ESCAPE, false},
    {0},
};

const struct cli_command play_command = {.name = "play",
                                         .synopsis = "ID|FILE|- | --list",
                                         .summary = "Show again what a command has printed",
                                         .options = options,
                                         .run = run};
