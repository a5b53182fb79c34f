/*
 * server_reload.h - having the running server load what has been changed, and hearing what it says.
 */
#ifndef POSTERN_DAEMON_CLI_SERVER_RELOAD_H
#define POSTERN_DAEMON_CLI_SERVER_RELOAD_H

#include "doc.h"
#include "options.h"

enum reload_state {
    RELOAD_LEFT_OUT,  /* it wasn't to be asked */
    RELOAD_NO_SERVER, /* none runs with this configuration */
    RELOAD_LOADED,    /* the policy is in force */
    RELOAD_REFUSED,   /* the server goes on with the one before; `why` */
    RELOAD_UNKNOWN,   /* it was asked; what became of it can't be seen: `why` */
    RELOAD_FAILED,    /* it could not be asked: `why` */
};

struct reload_result {
    enum reload_state state;
    pid_t pid;
    char why[512]; /* printable */
};

/*
 * Asks it and waits, for a bounded time: by its control socket or, without one, by SIGHUP, whose
 * result its audit trail has. `server` tells where they are.
 */
void server_reload(const struct cli *cli, const char *config, const struct server_config *server,
                   struct reload_result *out);

/* "server  ...", on stdout, or as the member "reload" of `doc`; `undone`: what it refused is in
 * place no more. Returns an exit status: EX_OK also where there is no server. */
int server_reload_tell(const struct reload_result *result, bool undone, json_t *doc);

#endif
