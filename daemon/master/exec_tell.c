#include "exec_tell.h"
#include "account.h"
#include "cgroups.h"
#include "cleanup.h"
#include "forbidden.h"
#include "generation.h"

#include <stdio.h>

struct audit_end exec_account(const struct exec *exec)
{
    return (struct audit_end){
        .record = &exec->record,
        .outcome = &exec->outcome,
        .refused = exec->n_notes + (exec->measured ? exec->usage.untold : 0),
        .cause = exec->cause,
        .usage = exec->measured ? &exec->usage : NULL,
        .used = exec->accounted ? &exec->used : NULL,
        .spec = exec_spec(exec),
        .limits = exec->limits,
        .controllers = exec->accounted ? exec->server->cgroups->limits.controllers : 0,
        .wall_ms = exec->ended_ms - exec->started_ms,
        .counted = exec->counted,
        .bytes_in = exec->bytes_in,
        .bytes_out = exec->bytes_out,
        .bytes_err = exec->bytes_err,
    };
}

/* What the session is to say when the idle limit is near; "" where it says nothing. */
static void word_idle_warning(const struct exec *exec, char *line, size_t len)
{
    const struct sandbox_spec *spec = exec_spec(exec);
    char quiet[32], left[32];
    line[0] = '\0';
    if (spec->warn_ms > 0 && spec->warn_ms < spec->idle_ms && spec->idle_ms != SPEC_INFINITY)
        (void)snprintf(
            line, len,
            "postern: warning: no input or output for %s; without any it ends in %s [%s]",
            verdict_duration(spec->idle_ms - spec->warn_ms, quiet, sizeof quiet),
            verdict_duration(spec->warn_ms, left, sizeof left), exec->record.id);
}

void exec_tell_start(const struct exec *exec, const struct plumbing *p, bool terminal,
                     const struct recording_grant *grant)
{
    char warning[IPC_LINE_MAX];
    word_idle_warning(exec, warning, sizeof warning);
    struct ipc_msg answer = {
        .type = MSG_ANS_EXEC,
        .ans_exec = {.channel = exec->channel,
                     .allowed = 1,
                     .exec_id = exec->record.id,
                     .text = warning,
                     .receipt = "",
                     .terminal = terminal,
                     .recorded = grant->fd >= 0,
                     .record_room = grant->room,
                     .idle_ms = exec_spec(exec)->idle_ms,
                     .warn_ms = warning[0] != '\0' ? exec_spec(exec)->warn_ms : 0,
                     .output_max = exec_spec(exec)->output}};
    const int ends[] = {p->in[0], p->out[0], p->err[0]};
    int fds[array_len(ends) + 1];
    size_t n = 0;
    for (size_t i = 0; !terminal && i < array_len(ends); i++)
        fds[n++] = ends[i];
    if (grant->fd >= 0)
        fds[n++] = grant->fd;
    connection_send(exec->connection, &answer, fds, n);
}

void exec_tell_terminal(const struct exec *exec, int fd)
{
    struct ipc_msg msg = {.type = MSG_EVT_TERMINAL, .evt_terminal = {.channel = exec->channel}};
    const int fds[] = {fd, fd};
    if (exec->connection != NULL && !exec->done)
        connection_send(exec->connection, &msg, fds, array_len(fds));
}

void exec_tell_end(const struct exec *exec)
{
    char line[IPC_LINE_MAX] = "", receipt[IPC_RECEIPT_MAX + 1] = "";
    if (exec->connection == NULL || exec->done)
        return;
    struct audit_end end = exec_account(exec);
    if (exec->record.receipt)
        account_receipt(&end, receipt);
    struct outcome told = exec->outcome;
    struct forbidden killed;
    if (told.verdict == VERDICT_SECCOMP &&
        forbidden_find(&exec_spec(exec)->seccomp, &exec->usage.call, &killed))
        forbidden_describe(&killed, "is forbidden", exec_explain(exec), told.reason,
                           sizeof told.reason);
    if (told.reason[0] != '\0')
        verdict_line(&told, exec->record.id, line, sizeof line);
    struct ipc_msg msg = {.type = MSG_EVT_EXIT,
                          .evt_exit = {.channel = exec->channel,
                                       .signalled = exec->outcome.signalled,
                                       .code = exec->outcome.code,
                                       .core = exec->outcome.core,
                                       .over = exec->over,
                                       .cut = exec->cut,
                                       .text = line,
                                       .receipt = receipt}};
    connection_send(exec->connection, &msg, NULL, 0);
}
