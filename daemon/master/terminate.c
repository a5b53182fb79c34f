#include "terminate.h"
#include "generation.h"
#include "job.h"
#include "log.h"
#include "note.h"
#include "cleanup.h"
#include "state.h"

#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

enum {
    GRACE_MS = 3000,  /* between TERM and KILL */
    REPORT_MS = 500,  /* for the worker to report what the killed command has used */
    DYING_MS = 10000, /* between the worker's own KILL and giving up on it */
};

static void send_signal(const struct exec *exec, int signo)
{
    unsigned char buf[REPORT_MAX];
    struct control control = {.type = CONTROL_SIGNAL_ALL, .signo = signo};
    size_t len = control_encode(&control, buf);
    (void)send(exec->report_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_dying(struct loop_timer *timer)
{
    struct exec *exec = CONTAINER_OF(timer, struct exec, timer);
    log_line(LOG_LEVEL_ERROR, "%s: does not die after SIGKILL", exec->record.id);
    exec->cut = true;
    exec_finish(exec, NULL);
}

static void kill_worker(struct loop_timer *timer)
{
    struct exec *exec = CONTAINER_OF(timer, struct exec, timer);
    exec->killed = true;
    if (exec->pidfd >= 0)
        (void)pidfd_send_signal(exec->pidfd, SIGKILL, NULL, 0);
    (void)loop_arm(exec->server->loop, timer, DYING_MS, on_dying);
}

/* The worker is left alive for a moment: it alone can tell what the command has used. */
static void on_grace_over(struct loop_timer *timer)
{
    struct exec *exec = CONTAINER_OF(timer, struct exec, timer);
    send_signal(exec, SIGKILL);
    (void)loop_arm(exec->server->loop, timer, REPORT_MS, kill_worker);
}

void terminate_exec(struct exec *exec, enum end_cause cause)
{
    if (exec->ended || exec->terminating)
        return;
    exec->terminating = true;
    exec->cause = cause;
    /* What has not been started ends here, by end of file on its report socket. */
    job_drop(exec);
    send_signal(exec, SIGHUP);
    send_signal(exec, SIGTERM);
    /* A stopped process can't act on either. */
    send_signal(exec, SIGCONT);
    (void)loop_arm(exec->server->loop, &exec->timer, GRACE_MS, on_grace_over);
}

static void terminate_with_reason(struct exec *exec, enum end_cause cause, const char *why)
{
    if (exec->ended || exec->terminating)
        return;
    (void)snprintf(exec->why, sizeof exec->why, "%s", why);
    log_line(LOG_LEVEL_INFO, "%s: ended: %s", exec->record.id, why);
    terminate_exec(exec, cause);
}

void terminate_for_login(struct exec *exec, const char *why)
{
    terminate_with_reason(exec, CAUSE_LOGIN, why);
}

void terminate_for_operator(struct exec *exec, const char *why)
{
    terminate_with_reason(exec, CAUSE_OPERATOR, why);
}

static void on_time_over(struct loop_timer *timer)
{
    struct exec *exec = CONTAINER_OF(timer, struct exec, timer);
    log_line(LOG_LEVEL_INFO, "%s: time limit is over", exec->record.id);
    terminate_exec(exec, CAUSE_TIME);
}

static void arm_limit(struct exec *exec, uint64_t ms, void (*fn)(struct loop_timer *timer))
{
    if (loop_arm(exec->server->loop, &exec->timer, ms, fn) == 0)
        return;
    log_line(LOG_LEVEL_ERROR, "%s: no memory for a timer", exec->record.id);
    terminate_exec(exec, CAUSE_TIME);
}

static void on_time_near(struct loop_timer *timer)
{
    struct exec *exec = CONTAINER_OF(timer, struct exec, timer);
    note_time_near(exec);
    arm_limit(exec, exec_spec(exec)->warn_ms, on_time_over);
}

void terminate_when_time_is_over(struct exec *exec)
{
    uint64_t limit = exec->limits.time_ms, warn = exec_spec(exec)->warn_ms;
    /* The timer is taken if it has to end already. */
    if (exec->terminating || limit == SPEC_INFINITY)
        return;
    if (warn > 0 && warn < limit)
        arm_limit(exec, limit - warn, on_time_near);
    else
        arm_limit(exec, limit, on_time_over);
}

void terminate_on_evt_over(struct connection *connection, const struct msg_evt_over *msg)
{
    struct exec *exec = exec_find(connection, msg->channel);
    if (exec == NULL || exec->over)
        return;
    const struct sandbox_spec *spec = exec_spec(exec);
    bool idle = msg->limit == OVER_IDLE;
    uint64_t age_ms = loop_now_ms() - exec->started_ms;
    /* The session alone sees the bytes. A lie can end a command of its own early, but must not be
     * the word of a limit that isn't there. */
    if (idle ? age_ms < spec->idle_ms : spec->output == SPEC_INFINITY) {
        connection_end(connection, "its session invented a limit");
        return;
    }
    exec->over = true;
    log_line(LOG_LEVEL_INFO, "%s: %s limit is over", exec->record.id, idle ? "idle" : "output");
    if (exec->ended)
        exec_finish_over(exec, !idle);
    else
        terminate_exec(exec, idle ? CAUSE_IDLE : CAUSE_OUTPUT);
}

void terminate_carry(struct state *state, struct exec *exec)
{
    static void (*const due[])(struct loop_timer *) = {on_time_near, on_time_over, on_grace_over,
                                                       kill_worker, on_dying};
    state_timer(state, exec->server->loop, &exec->timer, due, array_len(due));
}
