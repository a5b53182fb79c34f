#include "exec.h"
#include "account.h"
#include "blocked.h"
#include "cleanup.h"
#include "exec_tell.h"
#include "generation.h"
#include "job.h"
#include "leaf.h"
#include "log.h"
#include "note.h"
#include "presence.h"
#include "ready.h"
#include "recordings.h"
#include "share.h"
#include "terminate.h"
#include "waiting.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

static void on_report(struct loop_source *source);

struct exec *exec_find(const struct connection *connection, uint32_t channel)
{
    struct exec *exec = connection->execs;
    while (exec != NULL && (exec->channel != channel || exec->done))
        exec = exec->next_of_connection;
    return exec;
}

void exec_link(struct exec *exec)
{
    struct server *server = exec->server;
    struct connection *connection = exec->connection;
    exec->next = server->execs;
    if (exec->next != NULL)
        exec->next->prev = exec;
    server->execs = exec;
    server->n_execs++;
    if (exec->load != NULL) {
        server->n_running++;
        exec->load->running++;
    }
    if (connection == NULL)
        return;
    exec->next_of_connection = connection->execs;
    connection->execs = exec;
    if (!exec->done)
        connection->n_execs_open++;
}

/* Its place is free for another one. */
static void stop_counting(struct exec *exec)
{
    struct server *server = exec->server;
    struct tenant_load *load = steal_ptr(exec->load);
    child_release(server, steal_ptr(exec->spawner));
    if (load == NULL)
        return;
    server->n_running--;
    load->running--;
    waiting_wake(load);
    tenant_load_release(&server->loads, load, loop_now_ms());
}

const struct sandbox_spec *exec_spec(const struct exec *exec)
{
    return &exec->generation->policy->sandboxes[exec->sandbox];
}

uint64_t exec_worker_pid(const struct exec *exec)
{
    char path[64], line[128];
    static const char key[] = "Pid:\t";
    uint64_t pid = 0;
    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", exec->pidfd);
    cleanup_file FILE *file = exec->pidfd >= 0 ? fopen(path, "re") : NULL;
    while (file != NULL && pid == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, sizeof key - 1) == 0)
            pid = strtoull(line + sizeof key - 1, NULL, 10);
    return pid > 0 ? pid : CGROUP_UNKNOWN;
}

/* The session has no more to say of it, or is gone. */
static void set_done(struct exec *exec)
{
    if (exec->done)
        return;
    exec->done = true;
    if (exec->connection != NULL)
        exec->connection->n_execs_open--;
}

/* From here on nothing of the connection is used. */
static void leave_connection(struct exec *exec)
{
    struct connection *connection = steal_ptr(exec->connection);
    if (connection == NULL)
        return;
    struct exec **at = &connection->execs;
    while (*at != exec)
        at = &(*at)->next_of_connection;
    *at = exec->next_of_connection;
    presence_exec_gone(connection);
}

static void exec_free(struct exec *exec)
{
    struct server *server = exec->server;
    set_done(exec);
    share_on_exec_gone(exec);
    leave_connection(exec);
    stop_counting(exec);
    job_forget(exec);
    loop_remove(server->loop, &exec->source);
    loop_disarm(server->loop, &exec->timer);
    close_fd(&exec->report_fd);
    leaf_end(steal_ptr(exec->leaf), steal_fd(&exec->pidfd));
    if (exec->prev != NULL)
        exec->prev->next = exec->next;
    else
        server->execs = exec->next;
    if (exec->next != NULL)
        exec->next->prev = exec->prev;
    server->n_execs--;
    generation_unref(exec->generation);
    free(exec);
    server_check_stopped(server);
}

/* Both halves are known: write the record and forget it. */
static void close_record(struct exec *exec)
{
    if (!exec->ended || !exec->done)
        return;
    struct audit_end end = exec_account(exec);
    end.recording = recordings_end(exec);
    audit_end(exec->server, &end);
    account_count(exec->server, &end);
    metrics_observe(&exec->server->metrics, METRICS_DURATION, end.wall_ms * 1000);
    exec_free(exec);
}

enum explain_level exec_explain(const struct exec *exec)
{
    const struct tenant *tenant = policy_find_tenant(exec->generation->policy, exec->record.tenant);
    return tenant != NULL ? tenant->explain : EXPLAIN_REASON;
}

static void judge(struct exec *exec, const struct report *last)
{
    const struct verdict_facts facts = {
        .cause = exec->cause,
        .program = exec->program,
        .why = exec->why,
        .spec = exec_spec(exec),
        .limits = exec->limits,
        .used = exec->accounted ? &exec->used : NULL,
        .total = exec->total,
    };
    verdict_judge(last, &facts, &exec->outcome);
}

void exec_measure(struct exec *exec)
{
    /* Totals are those of the newest policy, also for what began before it. */
    const struct tenant *tenant =
        policy_find_tenant(exec->server->current->policy, exec->record.tenant);
    exec->accounted = leaf_usage(exec->leaf, &exec->used, &exec->total.memory_full);
    if (tenant != NULL) {
        exec->total.memory = tenant->total.memory;
        exec->total.tasks = tenant->total.tasks;
    }
}

void exec_finish(struct exec *exec, const struct report *last)
{
    blocked_tell_all(exec->generation);
    loop_remove(exec->server->loop, &exec->source);
    loop_disarm(exec->server->loop, &exec->timer);
    close_fd(&exec->report_fd);
    /* The worker is on its way out; the kill makes sure of it whatever state it is in. */
    if (exec->pidfd >= 0)
        (void)pidfd_send_signal(exec->pidfd, SIGKILL, NULL, 0);
    exec_measure(exec);
    leaf_end(steal_ptr(exec->leaf), steal_fd(&exec->pidfd));
    job_forget(exec);
    if (last != NULL && last->type == REPORT_EXIT) {
        exec->usage = *last;
        exec->measured = true;
    }
    if (last == NULL && exec->cause == CAUSE_NONE && exec->used.oom_kills == 0)
        log_line(LOG_LEVEL_ERROR, "%s: the worker died without a report", exec->record.id);
    judge(exec, last);
    if (last != NULL && last->type == REPORT_FAILED && last->err_num != 0 &&
        exec->outcome.verdict == VERDICT_SANDBOX)
        log_line(LOG_LEVEL_ERROR, "%s: sandbox \"%s\" failed at %s: %s", exec->record.id,
                 exec_spec(exec)->name, report_stage_name(last->stage), strerror(last->err_num));
    exec->ended = true;
    exec->ended_ms = loop_now_ms();
    log_line(LOG_LEVEL_DEBUG, "%s: %s %u", exec->record.id, verdict_word(exec->outcome.verdict),
             exec->outcome.code);
    stop_counting(exec);
    if (exec->measured)
        note_untold(exec, exec->usage.untold);
    note_tasks(exec);
    exec_tell_end(exec);
    close_record(exec);
}

void exec_finish_over(struct exec *exec, bool output)
{
    if (output && exec->cause == CAUSE_NONE &&
        (exec->outcome.verdict == VERDICT_EXITED || exec->outcome.verdict == VERDICT_SIGNALLED)) {
        exec->cause = CAUSE_OUTPUT;
        judge(exec, NULL);
    }
    exec_tell_end(exec);
}

void exec_fail(struct exec *exec)
{
    static const struct report failed = {.type = REPORT_FAILED, .stage = STAGE_MOUNT};
    exec_finish(exec, &failed);
}

/* Of a command that is quicker than the spawner's answer: the session must have its terminal before
 * it hears of the end. Without an answer job_fail_asked() ends it. */
static bool hold_report(struct exec *exec)
{
    if (!exec->terminal_due || exec->job != NULL)
        return false;
    loop_remove(exec->server->loop, &exec->source);
    exec->report_held = true;
    return true;
}

static void release_report(struct exec *exec)
{
    struct err err = {0};
    exec->terminal_due = false;
    if (!exec->report_held)
        return;
    exec->report_held = false;
    if (loop_add(exec->server->loop, &exec->source, exec->report_fd, on_report, &err) == 0)
        return;
    log_line(LOG_LEVEL_ERROR, "%s: %s", exec->record.id, err.text);
    exec_finish(exec, NULL);
}

static void on_report(struct loop_source *source)
{
    struct exec *exec = CONTAINER_OF(source, struct exec, source);
    if (hold_report(exec))
        return;
    unsigned char buf[REPORT_MAX];
    struct report report;
    ssize_t n = recv(exec->report_fd, buf, sizeof buf, MSG_DONTWAIT | MSG_TRUNC);
    /* Its socket was closed with a control unread; what it had said before that comes next. */
    if (n < 0 && errno == ECONNRESET)
        return;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        exec_finish(exec, NULL);
        return;
    }
    if ((size_t)n > sizeof buf || report_decode(buf, (size_t)n, &report) < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: malformed report from the worker", exec->record.id);
        exec_finish(exec, NULL);
        return;
    }
    switch (report.type) {
    case REPORT_STARTED:
        metrics_observe(&exec->server->metrics, METRICS_SANDBOX_START,
                        loop_now_us() - exec->decided_us);
        break;
    case REPORT_NOTE:
        note_syscall(exec, &report.call);
        break;
    case REPORT_FAILED:
    case REPORT_EXIT:
        exec_finish(exec, &report);
        break;
    }
}

int exec_watch(struct exec *exec, struct err *err)
{
    return loop_add(exec->server->loop, &exec->source, exec->report_fd, on_report, err);
}

/* Its worker runs, or waits for its order: from now on it is to be ended in time. */
static void on_worker(struct exec *exec)
{
    if (exec->killed)
        (void)pidfd_send_signal(exec->pidfd, SIGKILL, NULL, 0);
    terminate_when_time_is_over(exec);
    log_line(LOG_LEVEL_DEBUG, "%s: worker started", exec->record.id);
}

/* Has its sandbox built. */
static int ask_for_worker(struct exec *exec, const struct msg_req_exec *req,
                          const struct decision *decision, struct plumbing *p, struct err *err)
{
    if (plumbing_open_report(p, err) < 0 ||
        leaf_make(exec->server, decision->login.tenant, exec_spec(exec), exec->limits.memory,
                  exec->record.id, &exec->leaf, err) < 0)
        return -1;
    leaf_watch(exec->leaf, exec);
    exec->job = job_make(exec, req, decision, p, err);
    if (exec->job == NULL)
        return -1;
    exec->report_fd = steal_fd(&p->report[0]);
    if (exec_watch(exec, err) < 0 || plumbing_send_order(p, decision, exec->report_fd, err) < 0)
        return -1;
    return job_submit(exec, err);
}

/* One that was built ahead has its order already. */
static int take_worker(struct exec *exec, struct err *err)
{
    exec->spawner = child_ref(exec->generation->child);
    if (exec_watch(exec, err) < 0)
        return -1;
    if (exec->pidfd < 0)
        job_expect(exec);
    else
        on_worker(exec);
    return 0;
}

static int get_worker(struct exec *exec, const struct msg_req_exec *req,
                      const struct decision *decision, struct plumbing *p, struct err *err)
{
    if (ready_take(exec, decision, p))
        return take_worker(exec, err);
    return ask_for_worker(exec, req, decision, p, err);
}

int exec_start(struct connection *connection, const struct msg_req_exec *req,
               const struct exec_record *record, struct tenant_load *load,
               const struct decision *decision, const struct recording_grant *grant,
               struct err *err)
{
    struct server *server = connection->server;
    struct plumbing p;
    struct exec *exec = calloc(1, sizeof *exec);
    if (exec == NULL)
        return err_set(err, errno, "exec");
    *exec = (struct exec){
        .server = server,
        .connection = connection,
        .load = tenant_load_ref(load),
        .generation = generation_ref(server->current),
        .number = ++server->exec_count,
        .channel = req->channel,
        .sandbox = decision->sandbox,
        .limits = decision->limits,
        .record = *record,
        .report_fd = -1,
        .terminal_due = decision->terminal,
        .recorded = grant->fd >= 0,
        .source = {.fd = -1},
        .pidfd = -1,
        .started_ms = loop_now_ms(),
        .decided_us = loop_now_us(),
    };
    (void)snprintf(exec->program, sizeof exec->program, "%s", decision->argv[0]);
    exec_command_take(&exec->command, req);
    exec_link(exec);
    if (plumbing_open(&p, decision->terminal, err) < 0 ||
        get_worker(exec, req, decision, &p, err) < 0) {
        plumbing_close(&p);
        exec_free(exec);
        return -1;
    }
    exec_tell_start(exec, &p, decision->terminal, grant);
    plumbing_close(&p);
    if (exec->recorded && decision->terminal && decision->login.tenant->record_notice)
        note_text(exec, "this terminal is recorded");
    note_memory(exec);
    if (exec->pidfd >= 0)
        ready_renew(exec);
    return 0;
}

void exec_on_evt_gone(struct connection *connection, uint32_t channel)
{
    struct exec *exec = exec_find(connection, channel);
    if (exec != NULL)
        terminate_exec(exec, CAUSE_CLIENT_GONE);
    else
        waiting_on_gone(connection, channel);
}

void exec_on_evt_done(struct connection *connection, const struct msg_evt_done *msg)
{
    struct exec *exec = exec_find(connection, msg->channel);
    if (exec == NULL)
        return;
    set_done(exec);
    exec->counted = true;
    exec->bytes_in = msg->bytes_in;
    exec->bytes_out = msg->bytes_out;
    exec->bytes_err = msg->bytes_err;
    exec->recording = (enum recorded)msg->recorded;
    /* Nobody will read the rest. */
    terminate_exec(exec, CAUSE_CLIENT_GONE);
    close_record(exec);
}

void exec_connection_gone(struct connection *connection)
{
    while (connection->execs != NULL) {
        struct exec *exec = connection->execs;
        set_done(exec);
        leave_connection(exec);
        terminate_exec(exec, CAUSE_CLIENT_GONE);
        close_record(exec);
    }
}

/* The worker of an exec that has ended meanwhile, or of what is not wanted ahead any more. */
static void on_unwanted(const struct msg_ans_spawn *ans, const struct ipc_in *in)
{
    if (ans->ok && in->n_fds > 0)
        (void)pidfd_send_signal(in->fds[0], SIGKILL, NULL, 0);
    else
        log_line(LOG_LEVEL_DEBUG, "a sandbox that nobody waits for: %s", ans->text);
}

void exec_on_ans_spawn(struct generation *generation, struct ipc_in *in)
{
    const struct msg_ans_spawn *ans = &in->msg.ans_spawn;
    struct exec *exec = job_answered(generation, ans->exec);
    bool wanted = exec != NULL || ready_on_answer(generation, in);
    int shared = ans->shared ? ipc_take_fd(in, in->n_fds - 1) : -1;
    share_on_answer(generation->server, exec, ans->exec, shared);
    if (!wanted)
        on_unwanted(ans, in);
    if (exec == NULL)
        return;
    if (!ans->ok) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", exec->record.id, ans->text);
        /* There is no room for as much as the worker. */
        static const struct report full = {
            .type = REPORT_FAILED, .stage = STAGE_FORK, .err_num = EAGAIN};
        if (ans->err_num == EAGAIN)
            exec_finish(exec, &full);
        else
            exec_fail(exec);
        return;
    }
    exec->pidfd = ipc_take_fd(in, 0);
    if (ans->terminal)
        exec_tell_terminal(exec, in->fds[1]);
    else
        ready_renew(exec);
    on_worker(exec);
    release_report(exec);
}

void exec_abandon_all(struct server *server)
{
    while (server->execs != NULL) {
        struct exec *exec = server->execs;
        set_done(exec);
        if (exec->cause == CAUSE_NONE)
            exec->cause = CAUSE_SHUTDOWN;
        if (exec->ended)
            close_record(exec);
        else
            exec_finish(exec, NULL);
    }
}
