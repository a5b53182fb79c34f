/*
 * harness.h - runs programs in real sandboxes for the tests: what the spawner and the master do,
 * in one process. Every check ends the calling process with 1 and a line if it doesn't hold.
 */
#ifndef POSTERN_TESTS_HARNESS_H
#define POSTERN_TESTS_HARNESS_H

#include "netns.h"
#include "order.h"
#include "report.h"
#include "sandbox.h"

#include <stdio.h>

/* Numbers that nothing else on the machine has; they differ, as those of a user of the host may. */
enum { TEST_UID = 1879050123, TEST_GID = 1879050723, TEST_PROJECT = 1879050823 };
enum { NOTES_KEPT = 32, OUTPUT_MAX = 1 << 16 };

/* Where the test programs are inside. */
#define TEST_BIN "/opt/confine"

/* Ends the process; with no leak check, which would need the host's /proc. */
void harness_exit(int status) __attribute__((noreturn));

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                       \
            harness_exit(1);                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long got_ = (got), want_ = (want);                                                    \
        if (got_ != want_) {                                                                       \
            (void)fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, \
                          want_);                                                                  \
            harness_exit(1);                                                                       \
        }                                                                                          \
    } while (0)

/* One exec on its way. */
struct run {
    pid_t worker;
    int pidfd;
    int report;  /* the master's end */
    int input;   /* writes to the command's stdin */
    int output;  /* reads the command's stdout and stderr */
    int network; /* of harness_networks(), or -1 */
};

/* How it went. */
struct outcome {
    bool started, failed, ended;
    struct report failure, exit;
    struct refused_call notes[NOTES_KEPT];
    size_t n_notes;
    char output[OUTPUT_MAX]; /* NUL-terminated */
};

/* The default sandbox of the tests: the shipped default profile, the test programs bound in. */
void harness_init(const char *program_dir, const char *seccomp_dir, const char *scratch);
struct sandbox_spec harness_spec(void);
struct seccomp_spec harness_profile(const char *name); /* a shipped one */
struct sandbox_template harness_prepare(const struct sandbox_spec *spec);

/* Starts argv with a small environment, from within the caller (which changes namespace). */
struct run harness_start(const struct sandbox_template *tpl, const char *const *argv);
struct run harness_shell(const struct sandbox_template *tpl, const char *line);

/* What harness_start() gives to workspaces of a connection from now on; as a job's `shared`. */
void harness_share(int shared);

/* Where it starts them from now on, in a cgroup of its own; -1: in none. */
void harness_cgroup(int cgroup);

/* Where it takes the networks of NETWORK_NONE from, from now on; NULL: each is made. */
void harness_networks(struct netns_pool *pool);

/* As harness_start(), but a sandbox that can't be started gives false and err. */
bool harness_try(const struct sandbox_template *tpl, const char *const *argv, struct run *run,
                 struct err *err);

/* A directory of root's on the host for what policies name there: its path, and an fd of it that is
 * good in any namespace. It is removed with all that is in it at the end of the tests. */
const char *harness_scratch(void);
int harness_scratch_fd(void);
/* NAME in it, to be freed; and a new directory there, of that owner and mode. */
char *harness_path(const char *name);
char *harness_dir(const char *name, uid_t owner, mode_t mode);
char *harness_file(const char *name, const char *text, uid_t owner, mode_t mode);

/* Waits for the first report of this type, and for the end of everything. */
void harness_await(const struct run *run, enum report_type type);
void harness_finish(struct run *run, struct outcome *out);
void harness_control(const struct run *run, enum control_type type, int signo);

/* All of it: start, end of input, outcome. */
void harness_run(const struct sandbox_template *tpl, const char *const *argv, struct outcome *out);
void harness_run_shell(const struct sandbox_template *tpl, const char *line, struct outcome *out);

/* The processes of TEST_UID on the host; needs the host's /proc. */
size_t harness_count_tenant(void);

#endif
