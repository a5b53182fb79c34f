/*
 * find_server.h - the server that runs with a configuration, found among the processes.
 */
#ifndef POSTERN_DAEMON_CLI_FIND_SERVER_H
#define POSTERN_DAEMON_CLI_FIND_SERVER_H

#include <sys/types.h>

/*
 * The main process of the posternd that was started with the configuration file at `config`,
 * whatever it is called there: *pid, and a pidfd that is the caller's and stands for that process
 * alone, also once its number is another's. Returns 1 if there is one, 0 if there is none that
 * could be seen.
 */
int find_server(const char *config, pid_t *pid, int *pidfd);

#endif
