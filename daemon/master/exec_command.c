#include "exec_command.h"

#include <string.h>

void exec_command_take(struct exec_command *command, const struct msg_req_exec *req)
{
    size_t len = req->command.len < EXEC_COMMAND_KEPT ? req->command.len : EXEC_COMMAND_KEPT;
    command->kind = (enum exec_kind)req->kind;
    command->terminal = req->terminal;
    command->cut = req->truncated || len < req->command.len;
    command->len = len;
    if (len > 0)
        memcpy(command->text, req->command.data, len);
}

const char *exec_kind_word(enum exec_kind kind)
{
    static const char *const words[] = {
        [EXEC_COMMAND] = "exec", [EXEC_SHELL] = "shell", [EXEC_SUBSYSTEM] = "subsystem"};
    return words[kind];
}
