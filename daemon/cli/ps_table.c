#include "ps_table.h"
#include "control_client.h"
#include "show_amount.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { KEY_SHORT = 8, WHO_SHORT = 16, COMMAND_SHOWN = 2400 };

size_t ps_terminal_width(void)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    unsigned long given = columns != NULL ? strtoul(columns, NULL, 10) : 0;
    if (isatty(STDOUT_FILENO) != 1)
        return 0;
    if (given > 0 && given < 10000)
        return given;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void add_headings(struct table *table, const char *const *headings, size_t n)
{
    table->columns = n;
    for (size_t i = 0; i < n; i++)
        table_add(table, STYLE_HEADING, "%s", headings[i]);
}

/* "AbCdEfGh alice@client": the beginning of the fingerprint, and whose it says it is. */
static void add_key(struct table *table, const json_t *item, bool wide)
{
    char key[80], comment[1100];
    item_show(item, "key", key, sizeof key);
    item_show(item, "key_comment", comment, wide ? sizeof comment : WHO_SHORT);
    if (key[0] == '\0')
        table_add(table, STYLE_PLAIN, "-");
    else if (wide)
        table_add(table, STYLE_PLAIN, "%s %s", key, comment);
    else
        table_add(table, STYLE_PLAIN, "%.*s %s", KEY_SHORT,
                  key + (strncmp(key, "SHA256:", 7) == 0 ? 7 : 0), comment);
}

static void add_client(struct table *table, const json_t *item, bool wide)
{
    char client[80];
    item_show(item, "client", client, sizeof client);
    if (wide)
        table_add(table, STYLE_PLAIN, "%s port %" PRIu64, client, item_uint(item, "port", 0));
    else
        table_add(table, STYLE_PLAIN, "%s", client);
}

static void add_text(struct table *table, const json_t *item, const char *name, bool wide)
{
    char text[1100];
    item_show(item, name, text, wide ? sizeof text : WHO_SHORT);
    table_add(table, STYLE_PLAIN, "%s", text[0] != '\0' ? text : "-");
}

static void add_time(struct table *table, const json_t *item, const char *name)
{
    char text[AMOUNT_MAX];
    table_add(table, STYLE_PLAIN, "%s", amount_time(item_uint(item, name, AMOUNT_UNKNOWN), text));
}

static void add_uint(struct table *table, const json_t *item, const char *name)
{
    table_add(table, STYLE_PLAIN, "%" PRIu64, item_uint(item, name, 0));
}

static void add_command(struct table *table, const json_t *item)
{
    char command[COMMAND_SHOWN];
    const char *kind = item_word(item, "kind");
    item_show(item, "command", command, sizeof command);
    const char *more = item_true(item, "command_cut") ? "..." : "";
    if (strcmp(kind, "shell") == 0)
        table_add(table, STYLE_PLAIN, "(shell)");
    else
        table_add(table, STYLE_PLAIN, "%s%s%s%s",
                  strcmp(kind, "subsystem") == 0 ? "(subsystem) " : "", command, more,
                  command[0] == '\0' && more[0] == '\0' ? "(nothing)" : "");
}

void ps_add_exec_headings(struct table *table, const char *cpu, bool wide)
{
    const char *const narrow[] = {"EXEC", "TENANT", "KEY",    "CLIENT", "STATE",
                                  "AGE",  cpu,      "MEMORY", "COMMAND"};
    const char *const all[] = {"EXEC", "CONNECTION", "TENANT", "USER", "KEY", "CLIENT", "SANDBOX",
                               "GEN",  "PID",        "STATE",  "AGE",  cpu,   "MEMORY", "COMMAND"};
    if (wide)
        add_headings(table, all, sizeof all / sizeof *all);
    else
        add_headings(table, narrow, sizeof narrow / sizeof *narrow);
}

void ps_add_exec(struct table *table, const json_t *item, const char *cpu, bool wide)
{
    char memory[AMOUNT_MAX];
    add_text(table, item, "exec", true);
    if (wide)
        add_text(table, item, "connection", true);
    add_text(table, item, "tenant", wide);
    if (wide)
        add_text(table, item, "user", true);
    add_key(table, item, wide);
    add_client(table, item, wide);
    if (wide) {
        add_text(table, item, "sandbox", true);
        add_uint(table, item, "generation");
        add_uint(table, item, "pid");
    }
    table_add(table, STYLE_PLAIN, "%s", item_word(item, "state"));
    add_time(table, item, "age_ms");
    table_add(table, STYLE_PLAIN, "%s", cpu);
    table_add(table, STYLE_PLAIN, "%s",
              amount_size(item_uint(item, "memory", AMOUNT_UNKNOWN), memory));
    add_command(table, item);
}

int ps_print_execs(const json_t *items, size_t width, bool wide)
{
    struct table table = {.width = wide ? 0 : width};
    size_t i;
    const json_t *item;
    ps_add_exec_headings(&table, "CPU", wide);
    json_array_foreach(items, i, item)
    {
        char cpu[AMOUNT_MAX];
        ps_add_exec(&table, item, amount_time(item_uint(item, "cpu_ms", AMOUNT_UNKNOWN), cpu),
                    wide);
    }
    return table_print(&table, stdout);
}

int ps_print_connections(const json_t *items, size_t width, bool wide)
{
    static const char *const headings[] = {"CONNECTION", "TENANT", "USER", "KEY",    "CLIENT",
                                           "STATE",      "AGE",    "OPEN", "QUEUED", "EXECS"};
    struct table table = {.width = wide ? 0 : width};
    size_t i;
    const json_t *item;
    add_headings(&table, headings, sizeof headings / sizeof *headings);
    json_array_foreach(items, i, item)
    {
        add_text(&table, item, "connection", true);
        add_text(&table, item, "tenant", wide);
        add_text(&table, item, "user", wide);
        add_key(&table, item, wide);
        add_client(&table, item, wide);
        table_add(&table, STYLE_PLAIN, "%s", item_word(item, "state"));
        add_time(&table, item, "age_ms");
        add_uint(&table, item, "open");
        add_uint(&table, item, "queued");
        add_uint(&table, item, "execs");
    }
    return table_print(&table, stdout);
}

int ps_print_penalties(const json_t *items)
{
    static const char *const headings[] = {"SOURCE", "POINTS", "NOT SERVED FOR"};
    struct table table = {0};
    size_t i;
    const json_t *item;
    add_headings(&table, headings, sizeof headings / sizeof *headings);
    json_array_foreach(items, i, item)
    {
        char left[AMOUNT_MAX];
        bool refused = item_true(item, "refused");
        add_text(&table, item, "source", true);
        add_uint(&table, item, "points");
        table_add(&table, refused ? STYLE_WARNING : STYLE_PLAIN, "%s",
                  refused ? amount_time(item_uint(item, "left_ms", 0), left) : "-");
    }
    return table_print(&table, stdout);
}
