/*
 * job.h - an exec's way to the spawner: its pipes, and the queue for when the spawner is busy.
 *
 * A job that the spawner's socket has no room for waits in its generation, in order; all tenants
 * share that socket, so a burst of one must not become refusals for others.
 */
#ifndef POSTERN_DAEMON_MASTER_JOB_H
#define POSTERN_DAEMON_MASTER_JOB_H

#include "exec.h"

/* The pipes and the report socket of one exec; [0] is ours or the session's, [1] the command's. */
struct plumbing {
    int in[2], out[2], err[2], report[2];
};

/* The pipes, unless it has a terminal. Returns 0, or -1 with err; plumbing_close() is due in both
 * cases and closes what nobody took. */
int plumbing_open(struct plumbing *p, bool terminal, struct err *err);
/* The report socket. Returns 0, or -1 with err. */
int plumbing_open_report(struct plumbing *p, struct err *err);
void plumbing_close(struct plumbing *p);

/* Tells the worker, by our end of its report socket, what to run, with the command's ends of `p`.
 * Returns 0, or -1 with err. */
int plumbing_send_order(const struct plumbing *p, const struct decision *decision, int report,
                        struct err *err);

/* Packs what the spawner needs and takes the worker's end of p->report. NULL with err on failure.
 */
struct spawn_job *job_make(struct exec *exec, const struct msg_req_exec *req,
                           const struct decision *decision, struct plumbing *p, struct err *err);

/* Sends exec->job, or has it wait. Returns 0, or -1 with err. */
int job_submit(struct exec *exec, struct err *err);

/* The answer to what the spawner has been asked by somebody else is the exec's. */
void job_expect(struct exec *exec);

/* The exec that the spawner's answer is about, or NULL if it has ended meanwhile. */
struct exec *job_answered(struct generation *generation, uint64_t number);

/* Takes back a job that the spawner has not got: the report socket then reads end of file. Safe
 * without a job. */
void job_drop(struct exec *exec);

/* The same, and whatever the spawner answers is nothing to the exec any more. */
void job_forget(struct exec *exec);

/* Gives a spawner that has room again what waits for it. */
void job_send_waiting(struct generation *generation);

/* The spawner does not answer: whatever it has been asked for fails. What waits goes on waiting. */
void job_fail_asked(struct generation *generation);

/* The generation will have no spawner any more: what waits for it ends. */
void job_drop_waiting(struct generation *generation);

#endif
