/*
 * control_path.h - where the server's control socket is.
 */
#ifndef POSTERN_DAEMON_CLI_CONTROL_PATH_H
#define POSTERN_DAEMON_CLI_CONTROL_PATH_H

#include "options.h"

/*
 * What the configuration says, of which nothing else is read: a policy that is wrong, or hidden
 * from us, is no reason not to reach the server. Without -f, one that can't be read means the
 * default. Returns an exit status; what is wrong has been said.
 */
int control_path_find(const struct cli *cli, char *path, size_t len);

#endif
