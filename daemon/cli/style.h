/*
 * style.h - colour on terminals, and tables for people. What is said is the same without colour.
 */
#ifndef POSTERN_DAEMON_CLI_STYLE_H
#define POSTERN_DAEMON_CLI_STYLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum style {
    STYLE_PLAIN,
    STYLE_ERROR,
    STYLE_WARNING,
    STYLE_GOOD, /* allowed, passed */
    STYLE_BAD,  /* denied, failed */
    STYLE_HEADING,
    STYLE_FAINT,
};

/* "auto" (the default), "always" or "never". Returns 0, or -1 if it is none of them. */
int style_choose(const char *when);

/* What turns the style on and off again: "" where there is no colour. */
const char *style_begin(FILE *to, enum style style);
const char *style_end(FILE *to);

/* "s" unless n is 1. */
const char *plural(size_t n);

/* Rows of cells, filled from left to right. */
struct table {
    size_t columns;
    struct table_cell *cells;
    size_t n;
    size_t width; /* lines are cut there, 0: nowhere; what is last in them keeps some of it */
    bool failed;  /* memory ran out */
};

/*
 * Adds a cell, or a line of its own below the row that was finished last. The text is printable
 * but for what nobody expected: that is shown as '?'.
 */
void table_add(struct table *table, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void table_note(struct table *table, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints the table, two blanks between columns, and frees it. Returns an exit status. */
int table_print(struct table *table, FILE *to);

#endif
