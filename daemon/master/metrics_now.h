/*
 * metrics_now.h - the gauges of metrics.h, looked up in the server's state. It costs a look at what
 * runs, waits and is connected; nothing is kept up to date for it in between.
 */
#ifndef POSTERN_DAEMON_MASTER_METRICS_NOW_H
#define POSTERN_DAEMON_MASTER_METRICS_NOW_H

#include "server.h"

/* Fills server->metrics.now and what tenants have in use. */
void metrics_look(struct server *server);

/* All metrics as text, as they are now; the caller frees it. NULL if memory ran out. */
char *metrics_now_text(struct server *server, size_t *len);

#endif
