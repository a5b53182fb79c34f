/*
 * postern - the administrator's tool for a Postern server: checks, shows, explains and tries out
 * its policy.
 */
#include "cli.h"
#include "cleanup.h"
#include "doc.h"
#include "style.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static int version_run(struct cli *cli);
static int help_run(struct cli *cli);

static const struct cli_command version_command = {
    .name = "version", .synopsis = "", .summary = "Print the version", .run = version_run};
static const struct cli_command help_command = {.name = "help",
                                                .synopsis = "[SUBCOMMAND]",
                                                .summary = "Print what there is, or one of it",
                                                .run = help_run};

static const struct cli_command *const commands[] = {
    &check_command,
    &show_command,
    &explain_command,
    &test_command,
    &replay_command,
    &audit_command,
    &logs_command,
    &play_command,
    &doctor_command,
    &learn_command,
    &self_test_command,
    &tenant_command,
    &key_command,
    /* Of a running server. */
    &status_command,
    &ps_command,
    &top_command,
    &kill_command,
    &drain_command,
    &resume_command,
    &reload_command,
    &metrics_command,
    &version_command,
    &help_command,
};

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < array_len(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_help(FILE *to)
{
    fputs("usage: postern SUBCOMMAND [ARGUMENT...]\n", to);
    for (size_t i = 0; i < array_len(commands); i++)
        fprintf(to, "\n  postern %s%s%s\n      %s\n", commands[i]->name,
                commands[i]->synopsis[0] != '\0' ? " " : "", commands[i]->synopsis,
                commands[i]->summary);
    fputs("\nEvery subcommand knows " CLI_COMMON_OPTIONS ".\n", to);
}

static int version_run(struct cli *cli)
{
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 0)
        return cli_usage_error(cli, "takes no arguments");
    if (cli->json) {
        json_t *doc = doc_new("version");
        doc_text(doc, "version", POSTERN_VERSION);
        return doc_print(doc);
    }
    puts("postern " POSTERN_VERSION);
    return EX_OK;
}

static int unknown_subcommand(const char *name)
{
    struct suggestion guess;
    char hint[64];
    char shown[64];
    suggest_begin(&guess, name);
    for (size_t i = 0; i < array_len(commands); i++)
        suggest_try(&guess, commands[i]->name);
    (void)suggest_hint(&guess, hint, sizeof hint);
    if (name[0] == '-')
        (void)snprintf(hint, sizeof hint, "options come after the subcommand");
    fprintf(stderr, "postern: unknown subcommand '%s'%s%s\nTry 'postern help'.\n",
            text_escape_str(shown, sizeof shown, name), hint[0] != '\0' ? ": " : "", hint);
    return EX_USAGE;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli cli = {.command = command, .argc = argc, .argv = argv};
    return command->run(&cli);
}

static int help_run(struct cli *cli)
{
    if (!cli_read_options(cli))
        return cli->status;
    if (cli->n_words > 1)
        return cli_usage_error(cli, "takes one subcommand");
    if (cli->n_words == 0) {
        print_help(stdout);
        return EX_OK;
    }
    const struct cli_command *command = find_command(cli->words[0]);
    if (command == NULL)
        return unknown_subcommand(cli->words[0]);
    cli_print_help(command);
    return EX_OK;
}

/* A file that is opened later must not take the place of a standard stream that is closed. */
static void hold_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* What could not be written must not pass for a short answer. */
static int finish(int status)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !failed)
        return status;
    fprintf(stderr, "postern: the output can't be written%s%s\n", errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    return EX_IOERR;
}

int main(int argc, char **argv)
{
    hold_standard_fds();
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    const struct cli_command *command = find_command(name);
    if (command == NULL)
        return unknown_subcommand(name);
    return finish(run(command, argc - 1, argv + 1));
}
