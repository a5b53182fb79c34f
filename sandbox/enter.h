/*
 * enter.h - what happens between the clone of a worker and its command. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_ENTER_H
#define POSTERN_SANDBOX_ENTER_H

#include "report.h"
#include "sandbox.h"

/* A worker's descriptors: 0, 1 and 2 are the command's, then these. */
enum { WORKER_REPORT_FD = 3, WORKER_WORKSPACE_FD, WORKER_DEVPTS_FD, WORKER_FDS };

/*
 * Takes job->report_fd to WORKER_REPORT_FD, `workspace` and `devpts`, if they are not -1, to
 * WORKER_WORKSPACE_FD and WORKER_DEVPTS_FD, and closes everything else. Returns 0, or -1 with
 * errno.
 */
int enter_descriptors(const struct sandbox_job *job, int workspace, int devpts);

/*
 * Run by pid 1 of the new namespaces, as root, after enter_descriptors(): builds what is private to
 * one exec. Returns 0, or -1 with errno and *stage.
 */
int enter_build(const struct sandbox_template *tpl, const struct sandbox_job *job,
                enum report_stage *stage);

/*
 * After that, when the command's descriptors are there: gives up everything, and confines the
 * caller, who may only run the command from then on. Returns the Landlock ruleset it is under
 * (CLOEXEC), or -1 with errno and *stage.
 */
int enter_confine(const struct sandbox_template *tpl, const struct sandbox_job *job,
                  enum report_stage *stage);

#endif
