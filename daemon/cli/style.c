#include "style.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

static int chosen = COLOR_AUTO;

int style_choose(const char *when)
{
    static const char *const words[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (strcmp(when, words[i]) == 0) {
            chosen = i;
            return 0;
        }
    return -1;
}

static bool has_color(FILE *to)
{
    if (chosen != COLOR_AUTO)
        return chosen == COLOR_ALWAYS;
    const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */
    const char *term = getenv("TERM");
    if ((no_color != NULL && no_color[0] != '\0') || term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(to)) == 1;
}

const char *style_begin(FILE *to, enum style style)
{
    static const char *const codes[] = {
        [STYLE_PLAIN] = "",        [STYLE_ERROR] = "\033[1;31m", [STYLE_WARNING] = "\033[33m",
        [STYLE_GOOD] = "\033[32m", [STYLE_BAD] = "\033[31m",     [STYLE_HEADING] = "\033[1m",
        [STYLE_FAINT] = "\033[2m",
    };
    return has_color(to) ? codes[style] : "";
}

const char *style_end(FILE *to)
{
    return has_color(to) ? "\033[0m" : "";
}

const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

struct table_cell {
    enum style style;
    bool is_note;
    char *text;
};

static void add(struct table *table, enum style style, bool is_note, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void add(struct table *table, enum style style, bool is_note, const char *fmt, va_list ap)
{
    char *text = NULL;
    if ((table->n & (table->n - 1)) == 0) {
        size_t cap = table->n == 0 ? 1 : table->n * 2;
        struct table_cell *cells = realloc(table->cells, cap * sizeof *cells);
        table->failed |= cells == NULL;
        if (cells == NULL)
            return;
        table->cells = cells;
    }
    if (vasprintf(&text, fmt, ap) < 0) {
        table->failed = true;
        return;
    }
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    table->cells[table->n++] =
        (struct table_cell){.style = style, .is_note = is_note, .text = text};
}

void table_add(struct table *table, enum style style, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(table, style, false, fmt, ap);
    va_end(ap);
}

void table_note(struct table *table, enum style style, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(table, style, true, fmt, ap);
    va_end(ap);
}

/* widths[columns], of all but the last column, which ends where it ends. */
static void measure(const struct table *table, size_t *widths)
{
    size_t column = 0;
    for (size_t i = 0; i < table->n; i++) {
        if (table->cells[i].is_note)
            continue;
        size_t len = strlen(table->cells[i].text);
        if (len > widths[column] && column + 1 < table->columns)
            widths[column] = len;
        column = (column + 1) % table->columns;
    }
}

/* How much of the last column is shown: it may go on in the next line of a narrow terminal. */
static int last_width(const struct table *table, const size_t *widths)
{
    enum { LAST_LEAST = 16 };
    size_t before = 0;
    if (table->width == 0)
        return INT_MAX;
    for (size_t i = 0; i + 1 < table->columns; i++)
        before += widths[i] + 2;
    return table->width > before + LAST_LEAST ? (int)(table->width - before) : LAST_LEAST;
}

static void print_cells(const struct table *table, const size_t *widths, FILE *to)
{
    size_t column = 0;
    int last = last_width(table, widths);
    for (size_t i = 0; i < table->n; i++) {
        const struct table_cell *cell = &table->cells[i];
        bool is_last = cell->is_note || column + 1 == table->columns;
        fprintf(to, "%s%s%.*s%s", cell->is_note ? "    " : "", style_begin(to, cell->style),
                is_last && !cell->is_note ? last : INT_MAX, cell->text,
                cell->style == STYLE_PLAIN ? "" : style_end(to));
        if (is_last)
            fputc('\n', to);
        else
            fprintf(to, "%*s", (int)(widths[column] - strlen(cell->text)) + 2, "");
        if (!cell->is_note)
            column = (column + 1) % table->columns;
    }
}

int table_print(struct table *table, FILE *to)
{
    size_t *widths = calloc(table->columns, sizeof *widths);
    table->failed |= widths == NULL;
    if (!table->failed) {
        measure(table, widths);
        print_cells(table, widths, to);
    }
    int status = table->failed ? EX_OSERR : EX_OK;
    for (size_t i = 0; i < table->n; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(widths);
    *table = (struct table){0};
    if (status != EX_OK)
        fputs("postern: out of memory\n", stderr);
    return status;
}
