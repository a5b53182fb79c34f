/*
 * proc_usage.h - what commands use that have no cgroup: summed over the processes of their pid
 * namespaces (proc(5)). What ended in there and was waited for is counted; sees what we may see.
 */
#ifndef POSTERN_DAEMON_CLI_PROC_USAGE_H
#define POSTERN_DAEMON_CLI_PROC_USAGE_H

#include <jansson.h>

/* Fills in the "cpu_ms" and "memory" that are null of the items of `ps` that have a "pid". */
void proc_usage_fill(json_t *items);

#endif
