/*
 * postern audit - records of the audit trail that are asked for, or what commands have used, added
 * up.
 */
#include "address.h"
#include "audit_event.h"
#include "cleanup.h"
#include "cli.h"
#include "doc.h"
#include "record.h"
#include "style.h"
#include "text.h"
#include "trail_files.h"
#include "trail_filter.h"
#include "trail_reader.h"
#include "trail_show.h"
#include "trail_sum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum {
    ID_TENANT = 1,
    ID_USER,
    ID_KEY,
    ID_VERDICT,
    ID_EVENT,
    ID_EXEC,
    ID_FROM,
    ID_SINCE,
    ID_UNTIL,
    ID_DENIED,
    ID_SUM,
};

enum { SHOWN = 200 };

struct asking {
    const struct cli *cli;
    struct trail_filter filter;
    bool sums;
    enum sum_by by;
    struct trail_sum sum;
    uint64_t found, malformed;
};

static int take_record(struct asking *asking, const char *line, size_t len)
{
    json_t *record = record_load(line, len);
    int rc = 0;
    if (record == NULL) {
        asking->malformed++;
        return 0;
    }
    bool counts = trail_filter_matches(&asking->filter, record);
    asking->found += counts;
    if (asking->sums)
        rc = trail_sum_add(&asking->sum, record, counts);
    else if (counts)
        trail_print(record, line, len, asking->cli->json);
    json_decref(record);
    return rc;
}

static int read_lines(struct asking *asking, struct trail_reader *reader)
{
    const char *line;
    size_t len;
    for (;;) {
        if (ferror(stdout))
            return EX_OK; /* it is said at the end */
        switch (lines_next(&reader->lines, &line, &len)) {
        case LINES_ONE:
            if (take_record(asking, line, len) < 0) {
                fputs("postern: out of memory\n", stderr);
                return EX_OSERR;
            }
            break;
        case LINES_TOO_LONG:
            asking->malformed++;
            break;
        case LINES_FAILED:
            fprintf(stderr, "postern: %s can't be read\n", reader->name);
            return EX_IOERR;
        case LINES_END:
            return EX_OK;
        }
    }
}

static int read_file(struct asking *asking, const char *path)
{
    struct trail_reader reader;
    int status = trail_reader_open(&reader, path);
    if (status == EX_OK)
        status = read_lines(asking, &reader);
    int closed = trail_reader_close(&reader);
    return status == EX_OK ? closed : status;
}

static void add_group(struct table *table, const struct sum_group *group, bool is_last)
{
    char shown[SHOWN];
    enum style style = is_last ? STYLE_HEADING : STYLE_PLAIN;
    const char *name = group->name != NULL ? group->name : "total";
    table_add(table, style, "%s", text_escape_str(shown, sizeof shown, name));
    table_add(table, style, "%" PRIu64, group->execs);
    table_add(table, style, "%" PRIu64, group->refused);
    table_add(table, style, "%.3f", (double)group->cpu_ms / 3600000);
    table_add(table, style, "%.3f", (double)group->wall_ms / 3600000);
    table_add(table, style, "%.1f", (double)group->memory_peak / (1 << 20));
    table_add(table, style, "%" PRIu64, group->bytes_in);
    table_add(table, style, "%" PRIu64, group->bytes_out + group->bytes_err);
}

static int print_sums(const struct asking *asking)
{
    static const char *const columns[] = {"EXECS",      "REFUSED", "CPU HOURS", "WALL HOURS",
                                          "MEMORY MIB", "IN",      "OUT"};
    struct table table = {.columns = array_len(columns) + 1};
    table_add(&table, STYLE_FAINT, "%s", trail_sum_heading(asking->by));
    for (size_t i = 0; i < array_len(columns); i++)
        table_add(&table, STYLE_FAINT, "%s", columns[i]);
    for (size_t i = 0; i < asking->sum.n; i++)
        add_group(&table, &asking->sum.groups[i], false);
    add_group(&table, &asking->sum.total, true);
    return table_print(&table, stdout);
}

static void put_group(json_t *to, const struct sum_group *group)
{
    doc_uint(to, "execs", group->execs);
    doc_uint(to, "refused", group->refused);
    doc_uint(to, "cpu_ms", group->cpu_ms);
    doc_uint(to, "wall_ms", group->wall_ms);
    doc_uint(to, "memory_peak", group->memory_peak);
    doc_uint(to, "bytes_in", group->bytes_in);
    doc_uint(to, "bytes_out", group->bytes_out);
    doc_uint(to, "bytes_err", group->bytes_err);
}

static int print_sums_json(const struct asking *asking)
{
    json_t *doc = doc_new("audit");
    doc_text(doc, "by", trail_sum_word(asking->by));
    json_t *groups = doc_array(doc, "groups");
    for (size_t i = 0; i < asking->sum.n; i++) {
        json_t *one = doc_push(groups, json_object());
        doc_text(one, "name", asking->sum.groups[i].name);
        put_group(one, &asking->sum.groups[i]);
    }
    json_t *total = json_object();
    put_group(total, &asking->sum.total);
    doc_put(doc, "total", total);
    doc_uint(doc, "malformed", asking->malformed);
    return doc_print(doc);
}

static int finish(struct asking *asking, int status)
{
    if (asking->sums && status == EX_OK) {
        trail_sum_sort(&asking->sum);
        status = asking->cli->json ? print_sums_json(asking) : print_sums(asking);
    }
    if (asking->malformed > 0)
        fprintf(stderr, "postern: passed over %" PRIu64 " line%s that %s no record\n",
                asking->malformed, plural(asking->malformed),
                asking->malformed == 1 ? "is" : "are");
    if (status == EX_OK && asking->found == 0)
        fputs("postern: no record is like that\n", stderr);
    return status;
}

static int run_files(struct asking *asking)
{
    const struct cli *cli = asking->cli;
    struct trail_files files = {0};
    int status = EX_OK;
    if (asking->sums && trail_sum_begin(&asking->sum, asking->by) < 0)
        status = EX_OSERR;
    if (status == EX_OK && cli->n_words == 0)
        status = trail_files_find(cli, &files);
    char *const *paths = cli->n_words > 0 ? cli->words : files.paths;
    size_t n = cli->n_words > 0 ? cli->n_words : files.n;
    for (size_t i = 0; i < n && status == EX_OK; i++)
        status = read_file(asking, paths[i]);
    status = finish(asking, status);
    trail_files_free(&files);
    trail_sum_free(&asking->sum);
    return status;
}

static int unknown_event(const struct cli *cli, const char *name)
{
    struct suggestion guess;
    char hint[64], shown[64];
    suggest_begin(&guess, name);
    for (unsigned i = 0; i < AUDIT_EVENT_COUNT; i++)
        suggest_try(&guess, audit_event_kind((enum audit_event)i)->name);
    (void)suggest_hint(&guess, hint, sizeof hint);
    return cli_usage_error(cli, "there is no event '%s'%s%s",
                           text_escape_str(shown, sizeof shown, name), hint[0] != '\0' ? ": " : "",
                           hint);
}

static int take_time(const struct cli *cli, const char *option, const char *value, bool *has,
                     int64_t *out)
{
    char shown[64];
    *has = trail_filter_time(value, time(NULL), out) == 0;
    if (*has)
        return EX_OK;
    return cli_usage_error(cli,
                           "--%s is a time such as 2026-01-31T12:00 (UTC), or 90s, 2h or 7d "
                           "ago, not '%s'",
                           option, text_escape_str(shown, sizeof shown, value));
}

static int take_sum(struct asking *asking, const char *value)
{
    char shown[64];
    int by = trail_sum_parse(value);
    if (by < 0)
        return cli_usage_error(asking->cli,
                               "--sum is tenant, key, verdict, user, command or day, not '%s'",
                               text_escape_str(shown, sizeof shown, value));
    asking->sums = true;
    asking->by = (enum sum_by)by;
    return EX_OK;
}

static int take_from(struct asking *asking, const char *value)
{
    struct trail_filter *filter = &asking->filter;
    struct err err = {0};
    const struct origin nowhere = {0};
    if (address_list_add(&filter->pool, &filter->from, value, &nowhere, &err) == 0)
        return EX_OK;
    return cli_usage_error(asking->cli, "--from: %s", err.text);
}

static int take_option(struct asking *asking, int id, const char *value)
{
    struct trail_filter *filter = &asking->filter;
    switch (id) {
    case ID_TENANT:
        filter->tenant = value;
        break;
    case ID_USER:
        filter->user = value;
        break;
    case ID_KEY:
        filter->key = value;
        break;
    case ID_VERDICT:
        filter->verdict = value;
        break;
    case ID_EVENT:
        filter->event = value;
        return audit_event_named(value) != NULL ? EX_OK : unknown_event(asking->cli, value);
    case ID_EXEC:
        filter->exec = value;
        break;
    case ID_FROM:
        return take_from(asking, value);
    case ID_SINCE:
        return take_time(asking->cli, "since", value, &filter->has_since, &filter->since);
    case ID_UNTIL:
        return take_time(asking->cli, "until", value, &filter->has_until, &filter->until);
    case ID_DENIED:
        filter->denied = true;
        break;
    default: /* ID_SUM */
        return take_sum(asking, value);
    }
    return EX_OK;
}

static int audit_run(struct cli *cli)
{
    struct asking asking = {.cli = cli};
    const char *value;
    int status = EX_OK;
    int id = CLI_WORDS;
    while (status == EX_OK && (id = cli_next_option(cli, &value)) != CLI_WORDS && id != CLI_OVER)
        status = take_option(&asking, id, value);
    if (id == CLI_OVER)
        status = cli->status;
    else if (status == EX_OK)
        status = run_files(&asking);
    trail_filter_free(&asking.filter);
    return status;
}

static const struct cli_option options[] = {
    {"tenant", "TENANT", "of this tenant", ID_TENANT, false},
    {"user", "LOGIN", "of this login name", ID_USER, false},
    {"key", "KEY", "of this key: its fingerprint or its comment", ID_KEY, false},
    {"verdict", "VERDICT", "commands that ended so", ID_VERDICT, false},
    {"event", "EVENT", "of this kind, such as auth, start or end", ID_EVENT, false},
    {"exec", "ID", "of this command", ID_EXEC, false},
    {"from", "ADDRESS", "of clients with this address, or of this network", ID_FROM, true},
    {"since", "TIME", "not older", ID_SINCE, false},
    {"until", "TIME", "older", ID_UNTIL, false},
    {"denied", NULL, "logins and commands that were refused", ID_DENIED, false},
    {"sum", "BY", "add up by tenant, key, verdict, user, command or day", ID_SUM, false},
    {0},
};

const struct cli_command audit_command = {
    .name = "audit",
    .synopsis = "[OPTION...] [TRAIL...]",
    .summary = "Find records of the audit trail, or add up what commands have used",
    .options = options,
    .run = audit_run,
};
