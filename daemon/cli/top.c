/*
 * postern top - what runs on the server, the most CPU time first, drawn anew each second.
 */
#include "cli.h"
#include "control_client.h"
#include "doc.h"
#include "proc_usage.h"
#include "ps_table.h"
#include "show_amount.h"
#include "top_screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { ID_SOCKET = 1, ID_ONCE, ANSWER_S = 30, REFRESH_MS = 1000, LINES_ABOVE = 4 };

/* One look at the server. */
struct look {
    json_t *status; /* an array of one */
    json_t *execs;
};

struct row {
    const json_t *item;
    uint64_t permille; /* of one CPU, since the last look; AMOUNT_UNKNOWN */
    uint64_t cpu_ms;
};

static void look_free(struct look *look)
{
    json_decref(look->status);
    json_decref(look->execs);
    *look = (struct look){0};
}

static int look_at(struct control_client *client, struct look *out)
{
    const struct ipc_msg status = {.type = MSG_REQ_CTL_STATUS};
    const struct ipc_msg ps = {.type = MSG_REQ_CTL_PS};
    *out = (struct look){.status = json_array(), .execs = json_array()};
    int rc = control_ask(client, &status, ANSWER_S, out->status);
    if (rc == EX_OK)
        rc = control_ask(client, &ps, ANSWER_S, out->execs);
    if (rc == EX_OK)
        proc_usage_fill(out->execs);
    return rc;
}

/* What an exec has used since the look before, which is an object by exec ids, or NULL; of one that
 * is not in there, since it began. */
static uint64_t measure(const json_t *item, const json_t *before)
{
    const json_t *old = json_object_get(before, item_word(item, "exec"));
    uint64_t cpu = item_uint(item, "cpu_ms", AMOUNT_UNKNOWN), age = item_uint(item, "age_ms", 0);
    uint64_t old_cpu = item_uint(old, "cpu_ms", 0), old_age = item_uint(old, "age_ms", 0);
    if (cpu == AMOUNT_UNKNOWN)
        return AMOUNT_UNKNOWN;
    if (age <= old_age || cpu < old_cpu)
        return 0;
    return (cpu - old_cpu) * 1000 / (age - old_age);
}

static int compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    uint64_t u = x->permille == AMOUNT_UNKNOWN ? 0 : x->permille + 1;
    uint64_t v = y->permille == AMOUNT_UNKNOWN ? 0 : y->permille + 1;
    if (u != v)
        return u < v ? 1 : -1;
    return x->cpu_ms < y->cpu_ms ? 1 : x->cpu_ms > y->cpu_ms ? -1 : 0;
}

/* The execs of a look, the busiest first; to be freed. NULL if memory ran out. */
static struct row *sort(const json_t *execs, const json_t *before)
{
    struct row *rows = calloc(json_array_size(execs) + 1, sizeof *rows);
    size_t i;
    json_t *item;
    json_array_foreach(execs, i, item)
    {
        if (rows != NULL)
            rows[i] = (struct row){item, measure(item, before), item_uint(item, "cpu_ms", 0)};
    }
    if (rows != NULL && json_array_size(execs) > 0)
        qsort(rows, json_array_size(execs), sizeof *rows, compare);
    return rows;
}

static json_t *by_id(const json_t *execs)
{
    json_t *all = json_object();
    size_t i;
    json_t *item;
    json_array_foreach(execs, i, item)(void) json_object_set(all, item_word(item, "exec"), item);
    return all;
}

static void print_summary(const json_t *s, size_t width)
{
    char up[AMOUNT_MAX], line[400];
    (void)snprintf(line, sizeof line,
                   "posternd %s, process %" PRIu64 ", up %s: %s; generation %" PRIu64,
                   item_word(s, "version"), item_uint(s, "pid", 0),
                   amount_time(item_uint(s, "uptime_ms", 0), up), item_word(s, "state"),
                   item_uint(s, "generation", 0));
    printf("%.*s\n", (int)width, line);
    (void)snprintf(line, sizeof line,
                   "%" PRIu64 " connections, %" PRIu64 " not logged in; %" PRIu64
                   " commands run, %" PRIu64 " queued; %" PRIu64 " sources not served",
                   item_uint(s, "connections", 0), item_uint(s, "startups", 0),
                   item_uint(s, "running", 0), item_uint(s, "queued", 0),
                   item_uint(s, "penalised", 0));
    printf("%.*s\n\n", (int)width, line);
}

static int print_rows(const struct row *rows, size_t n, size_t width)
{
    struct table table = {.width = width};
    ps_add_exec_headings(&table, "CPU", false);
    for (size_t i = 0; i < n; i++) {
        char cpu[AMOUNT_MAX] = "-";
        if (rows[i].permille != AMOUNT_UNKNOWN)
            (void)snprintf(cpu, sizeof cpu, "%" PRIu64 ".%u%%", rows[i].permille / 10,
                           (unsigned)(rows[i].permille % 10));
        ps_add_exec(&table, rows[i].item, cpu, false);
    }
    return table_print(&table, stdout);
}

static int print_document(const struct row *rows, size_t n)
{
    json_t *doc = doc_new("top");
    json_t *list = doc_array(doc, "execs");
    for (size_t i = 0; i < n; i++) {
        json_t *one = doc_push(list, json_copy((json_t *)rows[i].item));
        doc_uint(one, "cpu_permille",
                 rows[i].permille == AMOUNT_UNKNOWN ? UINT64_MAX : rows[i].permille);
    }
    return doc_print(doc);
}

static int print_once(const struct cli *cli, const struct look *look)
{
    size_t n = json_array_size(look->execs), width = ps_terminal_width();
    struct row *rows = sort(look->execs, NULL);
    int status = EX_OSERR;
    if (rows != NULL && cli->json) {
        status = print_document(rows, n);
    } else if (rows != NULL) {
        print_summary(json_array_get(look->status, 0), width > 0 ? width : 400);
        status = print_rows(rows, n, width);
    } else {
        fputs("postern: out of memory\n", stderr);
    }
    free(rows);
    return status;
}

static int draw(const struct look *look, const json_t *before)
{
    size_t height, width, n = json_array_size(look->execs);
    struct row *rows = sort(look->execs, before);
    if (rows == NULL)
        return EX_OSERR;
    screen_size(&height, &width);
    size_t room = height > LINES_ABOVE + 1 ? height - LINES_ABOVE - 1 : 1;
    screen_begin();
    print_summary(json_array_get(look->status, 0), width);
    int status = print_rows(rows, n < room ? n : room, width);
    screen_end();
    free(rows);
    return status;
}

static int run_live(struct control_client *client)
{
    json_t *before = NULL;
    int status = EX_OK;
    do {
        struct look look;
        status = look_at(client, &look);
        if (status == EX_OK)
            status = draw(&look, before);
        json_decref(before);
        before = by_id(look.execs);
        look_free(&look);
    } while (status == EX_OK && screen_wait(REFRESH_MS));
    json_decref(before);
    return status;
}

static int top_run(struct cli *cli)
{
    const char *value;
    const char *path = NULL;
    bool once = false;
    struct control_client client;
    for (int id; (id = cli_next_option(cli, &value)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return cli->status;
        if (id == ID_SOCKET)
            path = value;
        else
            once = true;
    }
    if (cli->n_words > 0)
        return cli_usage_error(cli, "takes no arguments");
    if (cli->json && !once)
        return cli_usage_error(cli, "--json goes with --once");
    int status = control_connect(cli, path, &client);
    if (status == EX_OK && once) {
        struct look look;
        status = look_at(&client, &look);
        status = status == EX_OK ? print_once(cli, &look) : control_tell(&client, status);
        look_free(&look);
    } else if (status == EX_OK && screen_open() < 0) {
        status = cli_usage_error(cli, "standard output is no terminal: use --once");
    } else if (status == EX_OK) {
        status = run_live(&client);
        screen_close();
        (void)control_tell(&client, status);
    }
    control_close(&client);
    return status;
}

static const struct cli_option options[] = {
    {"once", NULL, "print it once; the share of CPU time is that since each command began", ID_ONCE,
     false},
    CONTROL_SOCKET_OPTION(ID_SOCKET),
    {0},
};

const struct cli_command top_command = {
    .name = "top",
    .synopsis = "[--once]",
    .summary = "Show what runs on the server, the busiest first, anew each second; q ends it",
    .options = options,
    .run = top_run,
};
