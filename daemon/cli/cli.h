/*
 * cli.h - the subcommands of postern(1).
 */
#ifndef POSTERN_DAEMON_CLI_H
#define POSTERN_DAEMON_CLI_H

#include "options.h"

extern const struct cli_command check_command, show_command, explain_command, test_command,
    replay_command, play_command, doctor_command, learn_command, self_test_command, tenant_command,
    key_command, status_command, ps_command, top_command, reload_command, metrics_command,
    kill_command, drain_command, resume_command, audit_command, logs_command;

/* 1: denied, failed, warnings under --strict, or decisions that differ. */
enum { EXIT_NO = 1 };

#endif
