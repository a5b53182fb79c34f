/*
 * trail_show.h - records of the audit trail for people: a line each.
 */
#ifndef POSTERN_DAEMON_CLI_TRAIL_SHOW_H
#define POSTERN_DAEMON_CLI_TRAIL_SHOW_H

#include "audit_event.h"

#include <jansson.h>

enum { TRAIL_LINE_MAX = AUDIT_TEXT_MAX + 64 };

/* "2026-01-02T03:04:05.678Z TEXT", printable. Returns buf. */
const char *trail_line(const json_t *record, char buf[TRAIL_LINE_MAX]);

/* Prints the record: as that line, or with `raw` as the line of the trail that it was read from. */
void trail_print(const json_t *record, const char *line, size_t len, bool raw);

#endif
