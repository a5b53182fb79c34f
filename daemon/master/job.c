#include "job.h"
#include "cleanup.h"
#include "generation.h"
#include "leaf.h"
#include "log.h"
#include "order.h"
#include "share.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* A job as it is sent to the spawner; it owns the worker's end of the report socket. */
struct spawn_job {
    struct ipc_msg msg;
    int report;
    unsigned char modes[]; /* of the terminal, if it has one; in msg */
};

static void job_free(struct spawn_job *job)
{
    if (job != NULL)
        close_fd(&job->report);
    free(job);
}

void job_drop(struct exec *exec)
{
    struct exec **at = &exec->generation->waiting;
    while (*at != NULL && *at != exec)
        at = &(*at)->next_waiting;
    if (*at != NULL)
        *at = exec->next_waiting;
    job_free(steal_ptr(exec->job));
}

void job_forget(struct exec *exec)
{
    job_drop(exec);
    (void)job_answered(exec->generation, exec->number);
}

/* Answers come in the order of the asking, so it is the first but for execs that ended early. */
struct exec *job_answered(struct generation *generation, uint64_t number)
{
    struct exec **at = &generation->asked;
    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next_asked;
    struct exec *exec = *at;
    if (exec == NULL)
        return NULL;
    *at = exec->next_asked;
    if (*at == NULL)
        generation->last_asked = at;
    exec->next_asked = NULL;
    return exec;
}

void job_expect(struct exec *exec)
{
    struct generation *generation = exec->generation;
    if (generation->asked == NULL)
        generation->last_asked = &generation->asked;
    *generation->last_asked = exec;
    generation->last_asked = &exec->next_asked;
}

static void await_answer(struct exec *exec)
{
    job_expect(exec);
    exec->spawner = child_ref(exec->generation->child);
    generation_await_answer(exec->generation);
}

static void close_pair(int fds[2])
{
    close_fd(&fds[0]);
    close_fd(&fds[1]);
}

void plumbing_close(struct plumbing *p)
{
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->err);
    close_pair(p->report);
}

static int open_pipes(struct plumbing *p, struct err *err)
{
    int in[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    p->in[0] = in[1];
    p->in[1] = in[0];
    if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    return 0;
}

int plumbing_open(struct plumbing *p, bool terminal, struct err *err)
{
    *p = (struct plumbing){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    return terminal ? 0 : open_pipes(p, err);
}

int plumbing_open_report(struct plumbing *p, struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->report) < 0)
        return err_set(err, errno, "socketpair");
    return 0;
}

int plumbing_send_order(const struct plumbing *p, const struct decision *decision, int report,
                        struct err *err)
{
    const struct order order = {.argv = (const char *const *)decision->argv,
                                .envp = (const char *const *)decision->envp,
                                .login = decision->login_shell,
                                .stdio = {p->in[1], p->out[1], p->err[1]}};
    return order_send(report, &order, err);
}

static void set_terminal(struct msg_req_spawn *spawn, const struct msg_req_exec *req)
{
    spawn->terminal = 1;
    spawn->columns = req->columns;
    spawn->rows = req->rows;
    spawn->x_pixels = req->x_pixels;
    spawn->y_pixels = req->y_pixels;
}

struct spawn_job *job_make(struct exec *exec, const struct msg_req_exec *req,
                           const struct decision *decision, struct plumbing *p, struct err *err)
{
    size_t modes = decision->terminal ? req->modes.len : 0;
    struct spawn_job *job = malloc(sizeof *job + modes);
    if (job == NULL) {
        err_set(err, ENOMEM, "job");
        return NULL;
    }
    if (modes > 0)
        memcpy(job->modes, req->modes.data, modes);
    const struct policy *policy = exec->generation->policy;
    job->msg = (struct ipc_msg){
        .type = MSG_REQ_SPAWN,
        .req_spawn = {.exec = exec->number,
                      .tenant = (uint32_t)(decision->login.tenant - policy->tenants),
                      .sandbox = (uint32_t)decision->sandbox,
                      .memory = exec->limits.memory,
                      .modes = {job->modes, modes}}};
    if (decision->terminal)
        set_terminal(&job->msg.req_spawn, req);
    job->report = steal_fd(&p->report[1]);
    return job;
}

static enum ipc_result send_to_spawner(struct exec *exec, struct err *err)
{
    int fds[3] = {exec->job->report};
    size_t n = 1;
    if (exec->leaf != NULL) {
        exec->job->msg.req_spawn.cgroup = 1;
        exec->job->msg.req_spawn.controllers = exec->server->cgroups->limits.controllers;
        fds[n++] = leaf_fd(exec->leaf);
    }
    int shared = share_fd(exec);
    exec->job->msg.req_spawn.shared = shared >= 0;
    if (shared >= 0)
        fds[n++] = shared;
    return ipc_send(&exec->generation->spawner, &exec->job->msg, fds, n, false, err);
}

/* IPC_OK: the spawner has it. IPC_AGAIN: it has to wait. */
static enum ipc_result send_job(struct exec *exec, struct err *err)
{
    struct generation *generation = exec->generation;
    if (!generation->ready)
        return IPC_AGAIN;
    enum ipc_result sent = send_to_spawner(exec, err);
    if (sent == IPC_OK) {
        job_free(steal_ptr(exec->job));
        await_answer(exec);
        share_on_sent(exec);
    }
    /* A spawner that has just gone is replaced in a moment. */
    return sent == IPC_EOF ? IPC_AGAIN : sent;
}

int job_submit(struct exec *exec, struct err *err)
{
    const struct policy *policy = exec->generation->policy;
    if (share_must_wait(exec, &policy->tenants[exec->job->msg.req_spawn.tenant]))
        return 0;
    struct exec **at = &exec->generation->waiting;
    enum ipc_result sent = *at != NULL ? IPC_AGAIN : send_job(exec, err);
    if (sent != IPC_AGAIN)
        return sent == IPC_OK ? 0 : -1;
    while (*at != NULL)
        at = &(*at)->next_waiting;
    *at = exec;
    return 0;
}

void job_send_waiting(struct generation *generation)
{
    while (generation->waiting != NULL) {
        struct exec *exec = generation->waiting;
        struct err err = {0};
        enum ipc_result sent = send_job(exec, &err);
        if (sent == IPC_AGAIN)
            return;
        generation->waiting = exec->next_waiting;
        if (sent == IPC_OK)
            continue;
        log_line(LOG_LEVEL_ERROR, "%s: %s", exec->record.id, err.text);
        job_drop(exec);
    }
}

void job_fail_asked(struct generation *generation)
{
    while (generation->asked != NULL) {
        struct exec *exec = job_answered(generation, generation->asked->number);
        log_line(LOG_LEVEL_ERROR, "%s: the spawner did not answer", exec->record.id);
        exec->cut = true;
        exec_fail(exec);
    }
}

void job_drop_waiting(struct generation *generation)
{
    while (generation->waiting != NULL)
        job_drop(generation->waiting);
}
