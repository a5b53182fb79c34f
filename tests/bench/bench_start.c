/*
 * bench_start - what it takes to start a program and see it end: by itself, or in a sandbox of
 * ours.
 *
 *   bench-start bare ROUNDS PROGRAM [ARGUMENT]...
 *   bench-start sandbox SECCOMP-DIR CGROUP ROUNDS PROGRAM [ARGUMENT]...
 *
 * Prints the microseconds of each round. CGROUP is a cgroup v2 directory to make one in for each
 * round, or "-".
 */
#include "harness.h"

#include "cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", NULL};

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void tell(uint64_t since)
{
    (void)printf("%llu\n", (unsigned long long)(now_us() - since));
}

static void run_bare(int rounds, char **argv)
{
    while (rounds-- > 0) {
        pid_t pid;
        int status;
        uint64_t begin = now_us();
        CHECK(posix_spawn(&pid, argv[0], NULL, NULL, argv, (char **)environment) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, 0);
        tell(begin);
    }
}

static void run_sandboxed(const char *cgroup, int rounds, char **argv)
{
    struct sandbox_spec spec = harness_spec();
    struct netns_pool networks;
    struct err problem;
    CHECK(netns_pool_open(&networks, &problem) == 0);
    harness_networks(&networks);
    spec.n_reads = 0;
    struct sandbox_template tpl = harness_prepare(&spec);
    cleanup_fd int parent = -1;
    if (strcmp(cgroup, "-") != 0) {
        parent = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(parent >= 0);
    }
    for (int i = 0; i < rounds; i++) {
        static struct outcome outcome;
        struct run run;
        struct err err;
        char name[32];
        uint64_t begin = now_us();
        (void)snprintf(name, sizeof name, "exec%d", i);
        cleanup_fd int leaf = -1;
        if (parent >= 0) {
            CHECK(mkdirat(parent, name, 0755) == 0);
            leaf = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        harness_cgroup(leaf);
        CHECK(harness_try(&tpl, (const char *const *)argv, &run, &err));
        /* The command's end is known when its report is there; what is left of the sandbox goes
         * beside the next. */
        harness_await(&run, REPORT_EXIT);
        tell(begin);
        harness_finish(&run, &outcome);
        if (parent >= 0)
            CHECK(unlinkat(parent, name, AT_REMOVEDIR) == 0);
    }
    sandbox_template_free(&tpl);
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc >= 4 && strcmp(argv[1], "bare") == 0)
        run_bare(atoi(argv[2]), argv + 3);
    else if (argc >= 6 && strcmp(argv[1], "sandbox") == 0) {
        harness_init("/usr", argv[2], "/");
        run_sandboxed(argv[3], atoi(argv[4]), argv + 5);
    } else {
        (void)fprintf(stderr, "usage: see the head of bench_start.c\n");
        return 64;
    }
    (void)fflush(NULL);
    /* The template's namespace has no /proc that a leak checker could read. */
    _exit(0);
}
