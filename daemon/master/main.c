/* posternd(8): options, and the way from a command line to a running server. */
#include "cleanup.h"
#include "generation.h"
#include "handover.h"
#include "host_judge.h"
#include "host_key_try.h"
#include "log.h"
#include "policy_files.h"
#include "server.h"
#include "signer_main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define SYNOPSIS "usage: posternd [-dthV] [-f FILE] [-l LEVEL]\n"

static void help(void)
{
    fputs(SYNOPSIS
          "  -f FILE   read FILE, and policy.d beside it (default /etc/postern/postern.ini)\n"
          "  -d        stay in the foreground, log to standard error\n"
          "  -l LEVEL  log level: error, warning, info, debug or trace\n"
          "  -t        check the policy and the host keys, then exit\n"
          "  -V        print the version\n"
          "  -h        print this\n",
          stdout);
}

static int misuse(const char *what, const char *word)
{
    fprintf(stderr, "posternd: %s '%s'\n" SYNOPSIS, what, word);
    return EX_USAGE;
}

/* Returns -1 to go on, or the code to exit with. */
static int parse_options(int argc, char **argv, struct options *options)
{
    int opt;
    *options = (struct options){.config_path = "/etc/postern/postern.ini", .log_level = -1};
    opterr = 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        argv[1] = "-h";
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        argv[1] = "-V";
    while ((opt = getopt(argc, argv, ":dthVf:l:")) != -1) {
        switch (opt) {
        case 'd':
            options->foreground = true;
            break;
        case 't':
            options->check_only = true;
            break;
        case 'f':
            options->config_path = optarg;
            break;
        case 'l':
            options->log_level = log_level_parse(optarg);
            if (options->log_level < 0)
                return misuse("log level is none of error, warning, info, debug, trace:", optarg);
            break;
        case 'V':
            puts("posternd " POSTERN_VERSION);
            return EX_OK;
        case 'h':
            help();
            return EX_OK;
        case ':':
            return misuse("a value is missing after", (char[]){'-', (char)optopt, '\0'});
        default:
            /* There are no long options: show one as it was written, not its second dash. */
            return misuse("unknown option",
                          optopt == '-' ? argv[optind] : (char[]){'-', (char)optopt, '\0'});
        }
    }
    return optind < argc ? misuse("unexpected argument", argv[optind]) : -1;
}

static int check(const struct options *options)
{
    struct err err = {0};
    struct host_key_tries tries = {0};
    struct host_judge judge = {.try_host_key = host_key_try, .tries = &tries};
    struct policy_texts *texts = policy_texts_new(&policy_files_host);
    if (texts == NULL)
        return EX_OSERR;
    struct policy *policy = generation_load_policy(options->config_path, &judge, true, texts, &err);
    policy_texts_free(texts);
    const char *unseen = host_judge_unseen(&judge);
    if (unseen != NULL)
        fprintf(stderr, "posternd: %s\n", unseen);
    if (policy == NULL) {
        fprintf(stderr, "posternd: %s\n", err.text);
        return err.code;
    }
    printf("OK: %zu tenant%s\n", policy->n_tenants, policy->n_tenants == 1 ? "" : "s");
    policy_free(policy);
    return EX_OK;
}

/*
 * Leaves the starting terminal: the parent exits with what the child tells it once the child serves
 * (or can't). Returns the child's end of that pipe, -1 on error; only the child returns it.
 */
static int detach(void)
{
    int fds[2];
    unsigned char code = EX_SOFTWARE;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        close(fds[0]);
        (void)setsid();
        return fds[1];
    }
    close(fds[1]);
    if (read(fds[0], &code, 1) != 1)
        code = EX_SOFTWARE;
    _exit(code);
}

/* Standard descriptors must exist: what is opened next must not become one of them. */
static int fill_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

/* It waits until we can hear it: it must not end us before. */
static void hold_back_sigusr2(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What the state was given for: to see whether we could go on with it. */
static void check_state_and_exit(struct server *server, int state_fd) __attribute__((noreturn));

static void check_state_and_exit(struct server *server, int state_fd)
{
    struct err err = {0};
    if (handover_adopt(server, state_fd, true, &err) == 0)
        (void)!write(STDOUT_FILENO, HANDOVER_READY, strlen(HANDOVER_READY));
    else
        fprintf(stderr, "%s\n", err.text);
    /* Nothing of it is ours: what an orderly end does would be done to the server that runs. */
    _exit(EX_OK);
}

/* The master, from here on to its end. */
static int run(struct server *server, int state_fd)
{
    struct err err = {0};
    int code, rc = state_fd >= 0 ? handover_adopt(server, state_fd, false, &err)
                                 : server_start(server, &err);
    if (rc < 0 && state_fd >= 0)
        (void)err_wrap(&err, "can't take over");
    if (rc < 0) {
        log_line(LOG_LEVEL_ERROR, "%s", err.text);
        code = err.code != 0 ? err.code : EX_OSERR;
        /* Whatever was restored of it hangs in the air: our end ends all of it. */
        if (state_fd >= 0)
            _exit(code);
    } else {
        code = server_run(server);
    }
    bool served = server->announced;
    server_free(server);
    if (served && code == EX_OK)
        log_line(LOG_LEVEL_INFO, "stopped");
    return code;
}

int main(int argc, char **argv)
{
    static struct server server = {.ready_fd = -1};
    bool checking;
    hold_back_sigusr2();
    if (argc == 1 && strcmp(argv[0], SIGNER_NAME) == 0)
        return signer_main();
    if (fill_standard_fds() < 0)
        return EX_OSERR;
    int state_fd = handover_inherited(&argc, &argv, &checking);
    int code = parse_options(argc, argv, &server.options);
    if (code >= 0)
        return code;
    server.options.argv = argv;
    umask(077);
    /* A start that goes well is quiet on the terminal that it leaves. */
    log_open(true, server.options.foreground ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
    if (server.options.check_only)
        return check(&server.options);
    if (checking)
        check_state_and_exit(&server, state_fd);
    /* Both are read again, long after we have left this directory. */
    char *program = handover_find_program();
    server.options.program = program;
    char *absolute = realpath(server.options.config_path, NULL);
    if (absolute != NULL)
        server.options.config_path = absolute;
    if (geteuid() != 0) {
        fputs("posternd: must be started by root: it builds sandboxes and changes users\n", stderr);
        return EX_NOPERM;
    }
    if (!server.options.foreground && state_fd < 0) {
        if (access("/dev/log", F_OK) < 0)
            fputs("posternd: warning: there is no syslog at /dev/log, so the log is lost; "
                  "-d logs to standard error\n",
                  stderr);
        server.ready_fd = detach();
        if (server.ready_fd < 0) {
            fprintf(stderr, "posternd: cannot detach: %s\n", strerror(errno));
            return EX_OSERR;
        }
    }
    if (chdir("/") < 0)
        return EX_OSERR;
    if (!server.options.foreground && state_fd >= 0)
        log_open(false, LOG_LEVEL_INFO);
    code = run(&server, state_fd);
    free(absolute);
    free(program);
    unsigned char told = (unsigned char)code;
    if (server.ready_fd >= 0)
        (void)!write(server.ready_fd, &told, 1);
    return code;
}
