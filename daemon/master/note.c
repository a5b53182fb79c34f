#include "note.h"
#include "audit.h"
#include "cgroups.h"
#include "client_wish.h"
#include "generation.h"
#include "log.h"
#include "notes.h"
#include "forbidden.h"
#include "syscall_args.h"

#include <stdio.h>

enum { NOTE_TEXT_MAX = 768 };

static void tell_note(const struct exec *exec, const char *line)
{
    if (exec->connection == NULL || exec->done)
        return;
    struct ipc_msg msg = {.type = MSG_EVT_NOTE,
                          .evt_note = {.channel = exec->channel, .text = line}};
    connection_send(exec->connection, &msg, NULL, 0);
}

void note_text(const struct exec *exec, const char *text)
{
    char line[IPC_LINE_MAX];
    (void)snprintf(line, sizeof line, "postern: note: %s [%s]", text, exec->record.id);
    tell_note(exec, line);
}

void note_syscall(struct exec *exec, const struct refused_call *call)
{
    struct forbidden forbidden;
    char text[NOTE_TEXT_MAX], line[IPC_LINE_MAX];
    enum explain_level level = exec_explain(exec);
    /* An honest worker stops there itself. */
    if (exec->n_notes == exec_spec(exec)->notes)
        return;
    if (!forbidden_find(&exec_spec(exec)->seccomp, call, &forbidden)) {
        log_line(LOG_LEVEL_ERROR, "%s: the worker told of a refusal that can't be: %s",
                 exec->record.id, syscall_args_describe(call, text, sizeof text));
        return;
    }
    exec->n_notes++;
    audit_refused(exec->server, &exec->record, &forbidden);
    log_line(LOG_LEVEL_INFO, "%s: %s", exec->record.id,
             forbidden_describe(&forbidden, "was refused", EXPLAIN_RULE, text, sizeof text));
    /* Where nothing is explained there is one thing to say. */
    if (level == EXPLAIN_NONE && exec->n_notes > 1)
        return;
    (void)snprintf(line, sizeof line, "postern: note: %s [%s]",
                   forbidden_describe(&forbidden, "was refused", level, text, sizeof text),
                   exec->record.id);
    tell_note(exec, line);
}

void note_untold(struct exec *exec, uint32_t untold)
{
    const uint32_t most = NOTES_SEEN_MAX - exec_spec(exec)->notes;
    char line[IPC_LINE_MAX];
    if (untold == 0 || exec_explain(exec) == EXPLAIN_NONE)
        return;
    (void)snprintf(line, sizeof line,
                   "postern: note: %u%s more kind%s of system call%s refused [%s]",
                   (unsigned)untold, untold >= most ? " or" : "", untold == 1 ? "" : "s",
                   untold == 1 ? " was" : "s were", exec->record.id);
    tell_note(exec, line);
}

void note_memory(const struct exec *exec)
{
    char line[IPC_LINE_MAX];
    if (!exec->limits.memory_is_clients ||
        (exec->server->cgroups->limits.controllers & CGROUP_MEMORY) != 0)
        return;
    (void)snprintf(line, sizeof line,
                   "postern: note: " WISH_MEMORY " is kept for the private memory of each process "
                   "alone: this server gives commands no cgroup with a limit of memory [%s]",
                   exec->record.id);
    tell_note(exec, line);
}

/* A program that can't fork seldom says why. */
void note_tasks(struct exec *exec)
{
    char line[IPC_LINE_MAX], limit[128];
    if (exec->tasks_noted || !exec->accounted || exec->used.tasks_refused == 0)
        return;
    exec->tasks_noted = true;
    verdict_tasks(&exec->used, exec_spec(exec), &exec->total, limit, sizeof limit);
    (void)snprintf(line, sizeof line, "postern: note: it could not start more than %s [%s]", limit,
                   exec->record.id);
    log_line(LOG_LEVEL_INFO, "%s: it could not start more than %s", exec->record.id, limit);
    tell_note(exec, line);
}

void note_time_near(struct exec *exec)
{
    const struct sandbox_spec *spec = exec_spec(exec);
    char line[IPC_LINE_MAX], limit[32], left[32];
    (void)snprintf(line, sizeof line,
                   "postern: warning: the time limit of %s is over in %s: it ends then [%s]",
                   verdict_duration(exec->limits.time_ms, limit, sizeof limit),
                   verdict_duration(spec->warn_ms, left, sizeof left), exec->record.id);
    tell_note(exec, line);
}
