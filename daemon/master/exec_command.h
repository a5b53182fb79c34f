/*
 * exec_command.h - what a client has asked for, as much of it as people look at while it runs.
 */
#ifndef POSTERN_DAEMON_MASTER_EXEC_COMMAND_H
#define POSTERN_DAEMON_MASTER_EXEC_COMMAND_H

#include "messages.h"
#include "policy.h"

enum { EXEC_COMMAND_KEPT = 512 };

struct exec_command {
    enum exec_kind kind;
    bool terminal;
    bool cut; /* it was longer */
    unsigned char text[EXEC_COMMAND_KEPT];
    size_t len;
};

void exec_command_take(struct exec_command *command, const struct msg_req_exec *req);

/* "exec", "shell" or "subsystem". */
const char *exec_kind_word(enum exec_kind kind);

#endif
