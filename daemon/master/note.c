#include "note.h"
#include "cgroups.h"
#include "client_wish.h"
#include "generation.h"
#include "log.h"
#include "syscalls.h"

#include <stdio.h>

enum { NOTES_MAX = 16 /* lines for one client; the worker's own bound is lower */ };

static void tell_note(const struct exec *exec, const char *line)
{
    if (exec->connection == NULL || exec->done)
        return;
    struct ipc_msg msg = {.type = MSG_EVT_NOTE,
                          .evt_note = {.channel = exec->channel, .text = line}};
    connection_send(exec->connection, &msg, NULL, 0);
}

void note_syscall(struct exec *exec, int nr)
{
    if (++exec->n_notes > NOTES_MAX)
        return;
    char call[64], line[IPC_LINE_MAX], where[256] = "";
    const struct seccomp_spec *profile = &exec_spec(exec)->seccomp;
    for (size_t i = 0; i < profile->n_rules; i++)
        if (profile->rules[i].nr == nr && profile->rules[i].file[0] != '\0')
            (void)snprintf(where, sizeof where, " (%s:%u)", profile->rules[i].file,
                           profile->rules[i].line);
    (void)snprintf(
        line, sizeof line,
        "postern: note: system call %s was refused (EPERM) by seccomp profile \"%s\"%s [%s]",
        syscall_name(nr, call, sizeof call), profile->name, where, exec->record.id);
    log_line(LOG_LEVEL_INFO, "%s: system call %s was refused by seccomp profile \"%s\"%s",
             exec->record.id, call, profile->name, where);
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
    if (!exec->accounted || exec->used.tasks_refused == 0)
        return;
    verdict_tasks(&exec->used, exec_spec(exec), &exec->total, limit, sizeof limit);
    (void)snprintf(line, sizeof line, "postern: note: it could not start more than %s [%s]", limit,
                   exec->record.id);
    log_line(LOG_LEVEL_INFO, "%s: it could not start more than %s", exec->record.id, limit);
    tell_note(exec, line);
}
