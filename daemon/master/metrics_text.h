/*
 * metrics_text.h - metrics as Prometheus reads them: text exposition format, version 0.0.4. Pure.
 *
 * The names, types and labels are a contract (METRICS in postern(7)); all of them begin with
 * "postern_", so that what a collector adds of its own never has the same name.
 */
#ifndef POSTERN_DAEMON_MASTER_METRICS_TEXT_H
#define POSTERN_DAEMON_MASTER_METRICS_TEXT_H

#include "metrics.h"

#include <stdio.h>

/* Stand in for names of tenants; no tenant can have one of them. */
#define METRICS_OTHERS "(others)" /* those that have no series of their own */
#define METRICS_NOBODY "(none)"   /* whose login no tenant has any more */

/* Writes all of it; the caller looks for errors of `out`. */
void metrics_text(const struct metrics *metrics, FILE *out);

/* A label's value as it stands between quotes. Returns buf; what does not fit is cut off. */
char *metrics_escape(const char *text, char *buf, size_t len);

#endif
