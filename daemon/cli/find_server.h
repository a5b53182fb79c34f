/*
 * find_server.h - the server that runs with a configuration, found among the processes.
 */
#ifndef POSTERN_DAEMON_CLI_FIND_SERVER_H
#define POSTERN_DAEMON_CLI_FIND_SERVER_H

#include "host_limits.h"

#include <sys/types.h>

/*
 * The main process of the posternd that was started with the configuration file at `config`,
 * whatever it is called there: *pid, and a pidfd that is the caller's and stands for that process
 * alone, also once its number is another's. Returns 1 if there is one, 0 if there is none that
 * could be seen.
 */
int find_server(const char *config, pid_t *pid, int *pidfd);

/*
 * What limits that server can keep, by the cgroup that it runs in (CGROUPS in postern(7)). False:
 * that can't be seen.
 */
bool find_server_limits(pid_t pid, struct host_limits *out);

#endif
