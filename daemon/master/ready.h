/*
 * ready.h - sandboxes that are built ahead: the next command of a tenant who has just run one finds
 * its own waiting.
 *
 * One that is ready is as fresh as any other and serves one command or none. It is root's still,
 * and no exec of its tenant; it has a cgroup of its own where the server has them.
 * What depends on the connection, on the moment or on the host's files as they are then is never
 * built ahead: terminals, shared and kept workspaces, `hide`. Its cgroup is one of the tenant's,
 * whose totals count it there: none is built where it would be much of tasks-total.
 */
#ifndef POSTERN_DAEMON_MASTER_READY_H
#define POSTERN_DAEMON_MASTER_READY_H

#include "exec.h"
#include "job.h"

/*
 * If there is one for such an exec, gives it what it is to run, with the command's ends of `p`, and
 * makes it the exec's: its report socket, its cgroup, its worker. Returns whether there was.
 */
bool ready_take(struct exec *exec, const struct decision *decision, const struct plumbing *p);

/* An exec has got its sandbox: has one built for the next like it, if [server] ready-sandboxes
 * leaves room and the spawner has nothing else to do. */
void ready_renew(struct exec *exec);

/* The spawner's answer to what no exec has asked for; takes the pidfd that came with it. Returns
 * false if it is about none that is still wanted. */
bool ready_on_answer(struct generation *generation, struct ipc_in *in);

/* Ends those of a generation, of whatever generation for NULL. */
void ready_drop(struct server *server, const struct generation *generation);

#endif
