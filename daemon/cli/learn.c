/*
 * postern learn - runs a command in a sandbox that lets it do what it likes and keeps account, and
 * prints the sandbox and the seccomp profile that would have been enough.
 */
#include "cleanup.h"
#include "cli.h"
#include "doc.h"
#include "learn_print.h"
#include "learn_settings.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { ENV_OWN = 6 };

/* Runs in the sandbox before the command: where it begins isn't where it is to run. */
static const char change_directory[] = "cd -- \"$1\" && shift && exec \"$@\"";

/* Frees what it made, which is all but the words that were given. */
struct job_words {
    const char **argv;
    const char **envp;
    char *own[ENV_OWN];
};

static void job_words_free(struct job_words *words)
{
    for (size_t i = 0; i < ENV_OWN; i++)
        free(words->own[i]);
    free(words->argv);
    free(words->envp);
}

/* As the server does it, without what only a client has. */
static int make_env(const struct learn *learn, const struct sandbox_spec *spec,
                    struct job_words *out)
{
    const char *const format[ENV_OWN][2] = {
        {"PATH=%s", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME=%s", SPEC_HOME(spec)},
        {"USER=%s", learn->user_name},
        {"LOGNAME=%s", learn->user_name},
        {"SHELL=%s", "/bin/sh"},
        {"POSTERN_TENANT=%s", learn->user_name},
    };
    size_t n = 0;
    out->envp = calloc(ENV_OWN + learn->n_env + 1, sizeof *out->envp);
    if (out->envp == NULL)
        return -1;
    for (size_t i = 0; i < learn->n_env; i++)
        out->envp[n++] = learn->env[i];
    for (size_t i = 0; i < ENV_OWN; i++) {
        size_t len = strcspn(format[i][0], "=") + 1;
        bool given = false;
        for (size_t k = 0; k < learn->n_env; k++)
            given |= strncmp(learn->env[k], format[i][0], len) == 0;
        if (given)
            continue;
        if (asprintf(&out->own[i], "%.*s%s", (int)len, format[i][0], format[i][1]) < 0) {
            out->own[i] = NULL;
            return -1;
        }
        out->envp[n++] = out->own[i];
    }
    return 0;
}

static int make_argv(const struct learn *learn, struct job_words *out)
{
    const char *const before[] = {"/bin/sh", "-c", change_directory, "sh", learn->cwd};
    size_t n = 0;
    out->argv = calloc(learn->cli->n_words + array_len(before) + 1, sizeof *out->argv);
    if (out->argv == NULL)
        return -1;
    for (size_t i = 0; learn->cwd != NULL && i < array_len(before); i++)
        out->argv[n++] = before[i];
    for (size_t i = 0; i < learn->cli->n_words; i++)
        out->argv[n++] = learn->cli->words[i];
    return 0;
}

/* What is no file, such as a pipe, has nothing to be taken out. */
static int empty_output(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    return S_ISREG(st.st_mode) ? ftruncate(fd, 0) : 0;
}

static int print_ini(const struct learn *learn, const char *ini, size_t len)
{
    if (learn->output_fd < 0)
        return fwrite(ini, 1, len, stdout) == len ? EX_OK : EX_IOERR;
    cleanup_file FILE *to = fdopen(dup(learn->output_fd), "w");
    if (to == NULL || empty_output(learn->output_fd) < 0 || fwrite(ini, 1, len, to) != len ||
        fflush(to) != 0)
        return learn_fail(EX_IOERR, "%s: %s", learn->output, strerror(errno));
    return EX_OK;
}

static int print(const struct learn *learn, const struct learn_report *report)
{
    cleanup_free char *ini = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&ini, &len);
    if (memory == NULL)
        return learn_fail(EX_OSERR, "out of memory");
    learn_print_ini(report, memory);
    if (fclose(memory) != 0)
        return learn_fail(EX_OSERR, "out of memory");
    if (learn->cli->json) {
        json_t *doc = doc_new("learn");
        learn_print_json(report, ini, doc);
        if (learn->output_fd < 0)
            return doc_print(doc);
        char *text = json_dumps(doc, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        json_decref(doc);
        int status = text != NULL ? print_ini(learn, text, strlen(text)) : EX_OSERR;
        free(text);
        return status;
    }
    return print_ini(learn, ini, len);
}

static int tell_failure(const struct learn *learn, const struct learn_end *end)
{
    char how[96], shown[128];
    if (end->failed && end->failure.stage == STAGE_EXEC)
        return learn_fail(EX_UNAVAILABLE, "%s could not be executed in the sandbox: %s",
                          text_escape_str(shown, sizeof shown,
                                          learn->cwd != NULL ? "/bin/sh" : learn->cli->words[0]),
                          strerror(end->failure.err_num));
    if (end->failed)
        return learn_fail(EX_OSERR, "the sandbox could not be built: %s: %s",
                          report_stage_name(end->failure.stage), strerror(end->failure.err_num));
    return learn_fail(EX_UNAVAILABLE, "the command itself was never run: what was to start it %s",
                      learn_describe_end(end, how, sizeof how));
}

/* The command's own trouble is told; a profile of it was made all the same. */
static void tell_end(const struct learn_end *end)
{
    char how[96];
    if (!end->ended || end->exit.signalled || end->exit.code != 0)
        fprintf(stderr, "postern learn: the command %s\n",
                learn_describe_end(end, how, sizeof how));
}

static int conclude(const struct learn *learn, const struct learn_job *job, struct seen *seen,
                    const struct learn_end *end)
{
    static const char *const networks[] = {[NETWORK_NONE] = "none",
                                           [NETWORK_LOOPBACK] = "loopback",
                                           [NETWORK_HOST] = "host",
                                           [NETWORK_EGRESS] = "egress"};
    const struct lesson_source source = {.policy = learn->policy,
                                         .base = learn->extends,
                                         .ordinary = learn->ordinary,
                                         .given = learn_tree_gives,
                                         .given_arg = job->tree};
    struct lesson lesson;
    if (!end->began)
        return tell_failure(learn, end);
    tell_end(end);
    int status = EX_OSERR;
    if (lesson_draw(&source, seen, &lesson) == 0) {
        const struct learn_report report = {.lesson = &lesson,
                                            .job = job,
                                            .end = end,
                                            .name = learn->name,
                                            .words = (const char *const *)learn->cli->words,
                                            .cwd = learn->cwd,
                                            .network_word = networks[lesson.network]};
        status = print(learn, &report);
    } else {
        (void)learn_fail(status, "out of memory");
    }
    lesson_free(&lesson);
    return status;
}

static int run_job(const struct learn *learn, struct learn_tree *tree,
                   const struct job_words *words)
{
    struct learn_end end;
    struct err err = {0};
    struct seen *seen = seen_new();
    const struct learn_job job = {
        .tree = tree,
        .ordinary = learn->ordinary,
        .argv = words->argv,
        .envp = words->envp,
        .skip = learn->cwd != NULL,
        .user_name = learn->user_name,
        .uid = learn->uid,
        .gid = learn->gid,
        .stdio = {STDIN_FILENO, learn->output_fd < 0 ? STDERR_FILENO : STDOUT_FILENO,
                  STDERR_FILENO},
    };
    if (seen == NULL)
        return learn_fail(EX_OSERR, "out of memory");
    int status = learn_run(&job, seen, &end, &err) < 0 ? learn_fail(EX_OSERR, "%s", err.text)
                                                       : conclude(learn, &job, seen, &end);
    seen_free(seen);
    return status;
}

static int run_in_tree(const struct learn *learn)
{
    struct learn_tree tree;
    struct job_words words = {0};
    struct err err = {0};
    int status;
    if (learn_tree_make(&learn->base, learn->ordinary, &tree, &err) < 0)
        status = learn_fail(EX_OSERR, "%s", err.text);
    else if (make_argv(learn, &words) < 0 || make_env(learn, &tree.spec, &words) < 0)
        status = learn_fail(EX_OSERR, "out of memory");
    else
        status = run_job(learn, &tree, &words);
    job_words_free(&words);
    learn_tree_free(&tree);
    return status;
}

static int learn_command_run(struct cli *cli)
{
    struct learn learn;
    int status = learn_settings_read(cli, &learn);
    if (status < 0)
        status = run_in_tree(&learn);
    learn_settings_free(&learn);
    return status;
}

static const struct cli_option options[] = {
    {"name", "NAME", "of the sections; after the program if not given", LEARN_NAME, false},
    {"output", "FILE", "write the policy there; the command's output goes to standard output then",
     LEARN_OUTPUT, false},
    {"from-sandbox", "NAME", "begin with this sandbox of the policy, print what it lacks",
     LEARN_FROM_SANDBOX, false},
    {"user", "USER", "run as this user or uid; nobody's uid if not given", LEARN_USER, false},
    {"cwd", "DIR", "run there; in the sandbox's own HOME if not given", LEARN_CWD, false},
    {"env", "NAME=VALUE", "set a variable", LEARN_ENV, true},
    {0},
};

const struct cli_command learn_command = {
    .name = "learn",
    .synopsis = "[OPTION...] -- COMMAND [ARGUMENT...]",
    .summary = "Run a command and print the sandbox that it needs, as policy",
    .options = options,
    .stops_at_words = true,
    .run = learn_command_run,
};
