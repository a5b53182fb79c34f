/*
 * options.h - what the subcommands of postern(1) share: their options, their help, and how wrong
 * ones are refused.
 */
#ifndef POSTERN_DAEMON_CLI_OPTIONS_H
#define POSTERN_DAEMON_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct cli;

/* An option of one subcommand, all in the long form. */
struct cli_option {
    const char *name;  /* without "--" */
    const char *value; /* what it takes, as the help calls it; NULL: nothing */
    const char *help;
    int id; /* 1 to 63 */
    bool repeatable;
};

/* The short form of an option. */
struct cli_letter {
    char letter; /* a to z */
    int id;
};

/* Understood by every subcommand. */
#define CLI_COMMON_OPTIONS "-f CONFIG, --config CONFIG; --json; --color WHEN; --help"

struct cli_command {
    const char *name;
    const char *synopsis; /* what follows the name; "" if nothing does */
    const char *summary;
    const struct cli_option *options; /* the last one has no name; NULL: none of its own */
    const struct cli_letter
        *letters;                /* that go before the common ones; the last is 0. NULL: none */
    bool stops_at_words;         /* what follows the first word belongs to the words */
    int (*run)(struct cli *cli); /* returns an exit status, see sysexits.h */
};

/* One run of a subcommand. */
struct cli {
    const struct cli_command *command;
    int argc;
    char **argv; /* argv[0] is the subcommand */
    unsigned long long seen;
    const char *config; /* -f; NULL: not given */
    bool json;
    char **words; /* what is no option, when all options have been read */
    size_t n_words;
    int status; /* why cli_next_option() returned CLI_OVER */
};

enum { CLI_WORDS = 0, CLI_OVER = -1 };

/*
 * Reads the next option: returns its id with *value (NULL if it takes none), CLI_WORDS when there
 * are none left, or CLI_OVER if the run is over: help was asked for, or something was wrong and has
 * been said. Common options are dealt with here.
 */
int cli_next_option(struct cli *cli, const char **value);

/* For subcommands without options of their own: all of that in one. False: the run is over. */
bool cli_read_options(struct cli *cli);

/* For those with one option, which takes a value, and no words: *value stays as it is where the
 * option isn't given. False: the run is over. */
bool cli_only_option(struct cli *cli, const char **value);

/* The subcommand's usage and options, on stdout. */
void cli_print_help(const struct cli_command *command);

/* "postern NAME: …" and how to learn more, on stderr. Returns EX_USAGE. */
int cli_usage_error(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
