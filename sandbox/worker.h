/*
 * worker.h - the life of a worker, pid 1 of one sandbox. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_WORKER_H
#define POSTERN_SANDBOX_WORKER_H

#include "sandbox.h"

/*
 * Builds the sandbox, with `workspace` and `devpts` mounted in their places if it has them (else
 * they are -1), awaits its order, runs that confined and supervises it until it ends or the master
 * hangs up. The kernel kills whatever else runs in the sandbox when this process ends.
 */
void worker_run(const struct sandbox_template *tpl, const struct sandbox_job *job, int workspace,
                int devpts) __attribute__((noreturn));

#endif
