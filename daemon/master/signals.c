#include "signals.h"
#include "cleanup.h"
#include "log.h"
#include "waiting.h"

#include <signal.h>
#include <sys/socket.h>

/* Those of RFC 4254 §6.10; no client stops what only the worker could wake. */
static bool is_for_clients(int signo)
{
    static const int listed[] = {SIGABRT, SIGALRM, SIGFPE,  SIGHUP,  SIGILL,  SIGINT, SIGKILL,
                                 SIGPIPE, SIGQUIT, SIGSEGV, SIGTERM, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < array_len(listed); i++)
        if (listed[i] == signo)
            return true;
    return false;
}

/* Twice what a session passes on: its intervals are not ours. */
static bool may_signal(struct exec *exec)
{
    uint64_t now_ms = loop_now_ms();
    if (rate_wait_ms(&exec->signals, 2 * SIGNALS_MAX, SIGNALS_MS, now_ms) > 0)
        return false;
    rate_take(&exec->signals, 2 * SIGNALS_MAX, SIGNALS_MS, now_ms);
    return true;
}

void signals_on_evt_signal(struct connection *connection, const struct msg_evt_signal *msg)
{
    struct exec *exec = exec_find(connection, msg->channel);
    unsigned char buf[REPORT_MAX];
    const struct control control = {.type = CONTROL_SIGNAL, .signo = msg->signo};
    if (exec == NULL)
        waiting_on_signal(connection, msg->channel, msg->signo);
    /* One that has ended has no process to signal. */
    if (exec == NULL || exec->ended || exec->terminating)
        return;
    if (!is_for_clients(msg->signo) || !may_signal(exec)) {
        log_line(LOG_LEVEL_DEBUG, "%s: signal %u is not passed on", exec->record.id, msg->signo);
        return;
    }
    log_line(LOG_LEVEL_DEBUG, "%s: signal %u from the client", exec->record.id, msg->signo);
    size_t len = control_encode(&control, buf);
    /* The worker reads it when the command has been started. */
    (void)send(exec->report_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
