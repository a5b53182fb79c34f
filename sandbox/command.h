/*
 * command.h - the last step: from a worker that has entered to a running command. Private to
 * sandbox/.
 */
#ifndef POSTERN_SANDBOX_COMMAND_H
#define POSTERN_SANDBOX_COMMAND_H

#include "order.h"
#include "report.h"
#include "sandbox.h"

struct command {
    pid_t pid;           /* also its process group and session */
    int listener;        /* seccomp_unotify(2) fd for all that the sandbox runs; CLOEXEC */
    enum report_why why; /* of a program that could not be executed */
};

/*
 * Runs order->argv under tpl->filter and a Landlock layer of its own. Returns 0 once execve has
 * succeeded, or -1 with errno, *stage and out->why; there is no process then.
 */
int command_start(const struct sandbox_template *tpl, const struct order *order, int ruleset,
                  struct command *out, enum report_stage *stage);

#endif
