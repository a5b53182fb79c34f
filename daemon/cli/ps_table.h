/*
 * ps_table.h - what `ps` and `top` print, from the items that the server has sent.
 */
#ifndef POSTERN_DAEMON_CLI_PS_TABLE_H
#define POSTERN_DAEMON_CLI_PS_TABLE_H

#include "style.h"

#include <jansson.h>

/* The columns of a terminal on stdout; 0: it is none, nothing has to fit. */
size_t ps_terminal_width(void);

/* Each prints a table whose lines end at `width` (0: where they end). `wide`: everything. Returns
 * an exit status. */
int ps_print_execs(const json_t *items, size_t width, bool wide);
int ps_print_connections(const json_t *items, size_t width, bool wide);
int ps_print_penalties(const json_t *items);

/* The cells of an exec; cpu is what stands in that column. */
void ps_add_exec(struct table *table, const json_t *item, const char *cpu, bool wide);
/* Their headings. */
void ps_add_exec_headings(struct table *table, const char *cpu, bool wide);

#endif
