#include "options.h"
#include "cleanup.h"
#include "style.h"
#include "text.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* Ids of the common options, above all others. */
enum { ID_CONFIG = 128, ID_HELP, ID_JSON, ID_COLOR };

enum { OPTIONS_MAX = 32 };

static const struct cli_option common[] = {
    {"config", "CONFIG", "the server's configuration; policies are in policy.d beside it",
     ID_CONFIG, false},
    {"json", NULL, "print one JSON document instead of text", ID_JSON, false},
    {"color", "WHEN", "auto, always or never; auto is for terminals without NO_COLOR", ID_COLOR,
     false},
    {"help", NULL, "print this", ID_HELP, false},
    {0},
};

static const struct cli_letter common_letters[] = {{'f', ID_CONFIG}, {'h', ID_HELP}};

static const struct cli_option no_options[] = {{0}};

static const struct cli_option *own_options(const struct cli *cli)
{
    return cli->command->options != NULL ? cli->command->options : no_options;
}

int cli_usage_error(const struct cli *cli, const char *fmt, ...)
{
    fprintf(stderr, "postern %s: %serror:%s ", cli->command->name, style_begin(stderr, STYLE_ERROR),
            style_end(stderr));
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'postern %s --help'.\n", cli->command->name);
    return EX_USAGE;
}

/* The id of the option that has a letter: one of the subcommand's own goes before a common one. 0:
 * there is none. */
static int find_letter(const struct cli_command *command, char letter)
{
    for (const struct cli_letter *l = command->letters; l != NULL && l->letter != 0; l++)
        if (l->letter == letter)
            return l->id;
    for (size_t i = 0; i < array_len(common_letters); i++)
        if (common_letters[i].letter == letter)
            return common_letters[i].id;
    return 0;
}

static char letter_of(const struct cli_command *command, int id)
{
    for (int letter = 'a'; letter <= 'z'; letter++)
        if (find_letter(command, (char)letter) == id)
            return (char)letter;
    return 0;
}

static void print_options(const struct cli_command *command, const struct cli_option *options)
{
    for (; options->name != NULL; options++) {
        char left[64], short_form[8] = "";
        char letter = letter_of(command, options->id);
        if (letter != 0 && options->id != ID_HELP)
            (void)snprintf(short_form, sizeof short_form, "-%c, ", letter);
        (void)snprintf(left, sizeof left, "%s--%s%s%s", short_form, options->name,
                       options->value != NULL ? " " : "",
                       options->value != NULL ? options->value : "");
        printf("  %-22s %s%s\n", left, options->help,
               options->repeatable ? "; may be repeated" : "");
    }
}

void cli_print_help(const struct cli_command *command)
{
    const char *synopsis = command->synopsis;
    printf("usage: postern %s%s%s\n\n%s.\n\n", command->name, synopsis[0] != '\0' ? " " : "",
           synopsis, command->summary);
    if (command->options != NULL)
        print_options(command, command->options);
    print_options(command, common);
}

static const struct cli_option *find_id(const struct cli *cli, int id)
{
    for (const struct cli_option *o = own_options(cli); o->name != NULL; o++)
        if (o->id == id)
            return o;
    for (const struct cli_option *o = common; o->name != NULL; o++)
        if (o->id == id)
            return o;
    return NULL;
}

/* The same for what getopt(3) has found: an id or a letter. */
static const struct cli_option *find_any(const struct cli *cli, int got)
{
    return find_id(cli, got >= 'a' && got <= 'z' ? find_letter(cli->command, (char)got) : got);
}

/* What getopt(3) is to know of letters. */
static void put_letters(const struct cli *cli, char *to)
{
    if (cli->command->stops_at_words)
        *to++ = '+';
    *to++ = ':';
    for (int letter = 'a'; letter <= 'z'; letter++) {
        const struct cli_option *option = find_id(cli, find_letter(cli->command, (char)letter));
        if (option == NULL)
            continue;
        *to++ = (char)letter;
        if (option->value != NULL)
            *to++ = ':';
    }
    *to = '\0';
}

static size_t add_long(const struct cli_option *from, struct option *to, size_t n)
{
    for (; from->name != NULL && n < OPTIONS_MAX; from++)
        to[n++] = (struct option){from->name, from->value != NULL ? required_argument : no_argument,
                                  NULL, from->id};
    return n;
}

static int refuse_unknown(const struct cli *cli)
{
    char shown[80];
    char hint[64];
    const char *given = cli->argv[optind - 1];
    if (strncmp(given, "--", 2) != 0) {
        const char letter[] = {(char)optopt, '\0'};
        return cli_usage_error(cli, "unknown option '-%s'",
                               text_escape_str(shown, sizeof shown, letter));
    }
    char name[48];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    struct suggestion guess;
    suggest_begin(&guess, name);
    for (const struct cli_option *o = own_options(cli); o->name != NULL; o++)
        suggest_try(&guess, o->name);
    for (const struct cli_option *o = common; o->name != NULL; o++)
        suggest_try(&guess, o->name);
    hint[0] = '\0';
    if (guess.best != NULL)
        (void)snprintf(hint, sizeof hint, ": did you mean '--%s'?", guess.best);
    return cli_usage_error(cli, "unknown option '--%s'%s",
                           text_escape_str(shown, sizeof shown, name), hint);
}

static int refuse(const struct cli *cli, int got)
{
    const struct cli_option *known = find_any(cli, optopt);
    if (got == ':' && known != NULL)
        return cli_usage_error(cli, "--%s needs a value: %s", known->name, known->value);
    if (known != NULL && strncmp(cli->argv[optind - 1], "--", 2) == 0)
        return cli_usage_error(cli, "--%s takes no value", known->name);
    return refuse_unknown(cli);
}

static int set_color(const struct cli *cli, const char *when)
{
    if (style_choose(when) == 0)
        return EX_OK;
    char shown[48];
    return cli_usage_error(cli, "--color is auto, always or never, not '%s'",
                           text_escape_str(shown, sizeof shown, when));
}

/* Whether a second value would silently replace a first one. */
static bool is_repeated(struct cli *cli, const struct cli_option *option)
{
    int bit = option->id < 64 ? option->id : option->id == ID_CONFIG ? 0 : -1;
    if (bit < 0 || option->repeatable)
        return false;
    bool seen = (cli->seen >> bit & 1) != 0;
    cli->seen |= 1ULL << bit;
    return seen;
}

static int end_with(struct cli *cli, int status)
{
    cli->status = status;
    return CLI_OVER;
}

/* One option of getopt's; 0 if it was a common one and nothing is wrong. */
static int take(struct cli *cli, int id, const char **value)
{
    const struct cli_option *option = find_any(cli, id);
    if (option == NULL)
        return end_with(cli, refuse(cli, id));
    if (is_repeated(cli, option))
        return end_with(cli, cli_usage_error(cli, "--%s is given twice", option->name));
    *value = option->value != NULL ? optarg : NULL;
    switch (option->id) {
    case ID_CONFIG:
        cli->config = optarg;
        return 0;
    case ID_JSON:
        cli->json = true;
        return 0;
    case ID_COLOR:
        cli->status = set_color(cli, optarg);
        return cli->status == EX_OK ? 0 : CLI_OVER;
    case ID_HELP:
        cli_print_help(cli->command);
        return end_with(cli, EX_OK);
    default:
        return option->id;
    }
}

int cli_next_option(struct cli *cli, const char **value)
{
    struct option options[OPTIONS_MAX + 1] = {0};
    size_t n = add_long(own_options(cli), options, 0);
    add_long(common, options, n);
    char letters[64];
    put_letters(cli, letters);
    opterr = 0;
    for (;;) {
        int id = getopt_long(cli->argc, cli->argv, letters, options, NULL);
        if (id == -1) {
            cli->words = cli->argv + optind;
            cli->n_words = (size_t)(cli->argc - optind);
            return CLI_WORDS;
        }
        int taken = take(cli, id, value);
        if (taken != 0)
            return taken;
    }
}

bool cli_read_options(struct cli *cli)
{
    const char *value;
    return cli_next_option(cli, &value) == CLI_WORDS;
}

bool cli_only_option(struct cli *cli, const char **value)
{
    const char *given;
    for (int id; (id = cli_next_option(cli, &given)) != CLI_WORDS;) {
        if (id == CLI_OVER)
            return false;
        *value = given;
    }
    if (cli->n_words > 0)
        cli->status = cli_usage_error(cli, "takes no arguments");
    return cli->n_words == 0;
}
