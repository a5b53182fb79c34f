/* How an exec starts, is steered and ends. */
#include "cases.h"
#include "cleanup.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A spec is borrowed by its template, so it lives as long as the process. */
static const struct sandbox_template *template_get(void)
{
    static struct sandbox_spec spec;
    static struct sandbox_template tpl = {.mnt_ns = -1};
    if (tpl.mnt_ns < 0) {
        spec = harness_spec();
        tpl = harness_prepare(&spec);
    }
    return &tpl;
}

static void passes_exit_codes(void)
{
    static const int codes[] = {0, 1, 2, 7, 77, 125, 126, 127, 128, 137, 159, 254, 255};
    for (size_t i = 0; i < array_len(codes); i++) {
        struct outcome out;
        char line[32];
        (void)snprintf(line, sizeof line, "exit %d", codes[i]);
        harness_run_shell(template_get(), line, &out);
        CHECK(out.started && out.ended && !out.exit.signalled);
        CHECK_INT(out.exit.code, codes[i]);
        CHECK_INT(out.exit.call.nr, -1);
    }
}

static void passes_signals(void)
{
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGABRT, SIGBUS,  SIGFPE,
                                  SIGKILL, SIGUSR1, SIGSEGV, SIGPIPE, SIGALRM, SIGTERM, 64};
    for (size_t i = 0; i < array_len(signals); i++) {
        struct outcome out;
        char line[32];
        (void)snprintf(line, sizeof line, "kill -%d $$", signals[i]);
        harness_run_shell(template_get(), line, &out);
        CHECK(out.ended && out.exit.signalled && !out.exit.core);
        CHECK_INT(out.exit.code, signals[i]);
        CHECK_INT(out.exit.call.nr, -1);
    }
}

static void streams_bytes(void)
{
    static const char text[] = "to be passed on\n";
    struct run run = harness_shell(template_get(), "cat; echo done >&2");
    CHECK(write(run.input, text, sizeof text - 1) == sizeof text - 1);
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(strcmp(out.output, "to be passed on\ndone\n") == 0);
}

static void expect_exec_failure(const char *program, int num, enum report_why why)
{
    const char *const argv[] = {program, NULL};
    struct outcome out;
    harness_run(template_get(), argv, &out);
    CHECK(out.failed && !out.started && !out.ended);
    CHECK_INT(out.failure.stage, STAGE_EXEC);
    CHECK_INT(out.failure.err_num, num);
    CHECK_INT(out.failure.why, why);
}

static void tells_why_execve_failed(void)
{
    expect_exec_failure("no-such-program", ENOENT, WHY_NONE);
    expect_exec_failure("/usr/bin/no-such-program", ENOENT, WHY_NONE);
    expect_exec_failure("/usr/bin/env/x", ENOTDIR, WHY_NONE);
    expect_exec_failure("", ENOENT, WHY_NONE);
    expect_exec_failure("./relative", ENOENT, WHY_NONE);
    expect_exec_failure("/etc/hostname", EACCES, WHY_MODE);
    expect_exec_failure("/usr", EACCES, WHY_DIRECTORY);
    expect_exec_failure("/dev/null", EACCES, WHY_NOT_REGULAR);
    expect_exec_failure("/proc/version", EACCES, WHY_NOEXEC);
}

static void looks_programs_up_in_path(void)
{
    const char *const argv[] = {"env", "sh", "-c", "exit 9", NULL};
    struct outcome out;
    harness_run(template_get(), argv, &out);
    CHECK(out.ended);
    CHECK_INT(out.exit.code, 9);
}

static void refuses_bad_names(void)
{
    static const char *const names[] = {"", "a:b", "a\nroot:x:0:0::/:/bin/sh", "-x", "a/b", "a b"};
    for (size_t i = 0; i < array_len(names); i++) {
        int report[2], pidfd = -1;
        pid_t pid = -1;
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) == 0);
        const struct sandbox_job job = {.user_name = names[i],
                                        .uid = TEST_UID,
                                        .gid = TEST_GID,
                                        .project = TEST_PROJECT,
                                        .report_fd = report[1]};
        struct err err;
        CHECK(sandbox_spawn(template_get(), &job, &pid, &pidfd, NULL, &err) == 0);
        unsigned char buf[REPORT_MAX];
        struct report got;
        ssize_t n = recv(report[0], buf, sizeof buf, 0);
        CHECK(n > 0 && report_decode(buf, (size_t)n, &got) == 0);
        CHECK(got.type == REPORT_FAILED && got.stage == STAGE_IDENTITY);
        CHECK_INT(got.err_num, EINVAL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        close(pidfd);
        close(report[0]);
        close(report[1]);
    }
}

static void reports_usage(void)
{
    struct outcome out;
    harness_run_shell(template_get(), "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done", &out);
    CHECK(out.ended && out.exit.code == 0);
    CHECK(out.exit.user_us + out.exit.system_us > 10000);
    CHECK(out.exit.max_rss_kib > 100);
}

static void ends_what_the_command_left(void)
{
    struct outcome out;
    harness_run_shell(template_get(),
                      "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &); echo x", &out);
    CHECK(out.ended && out.exit.code == 0);
    CHECK(strcmp(out.output, "x\n") == 0);
}

/* A shell that ignores what it can and has daemons of every kind. */
static struct run start_stubborn(void)
{
    struct run run = harness_shell(
        template_get(), "trap '' HUP INT TERM; sleep 1000 & setsid sleep 1000 & "
                        "(setsid sh -c 'trap \"\" HUP TERM; sleep 1000 & sleep 1000' &); "
                        "echo ready; sleep 1000");
    char byte;
    CHECK(read(run.output, &byte, 1) == 1);
    return run;
}

static void await_end(const struct run *run)
{
    struct pollfd wait = {.fd = run->pidfd, .events = POLLIN};
    CHECK(poll(&wait, 1, 30000) == 1);
    CHECK(waitpid(run->worker, NULL, 0) == run->worker);
}

static void dies_with_its_worker(void)
{
    struct run run = start_stubborn();
    harness_await(&run, REPORT_STARTED);
    CHECK(pidfd_send_signal(run.pidfd, SIGKILL, NULL, 0) == 0);
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(!out.ended && !out.failed);
}

static void dies_with_the_master(void)
{
    struct run run = start_stubborn();
    close_fd(&run.report);
    await_end(&run);
}

static void dies_at_nonsense(void)
{
    struct run run = start_stubborn();
    CHECK(send(run.report, "nonsense", 8, 0) == 8);
    await_end(&run);
}

static void dies_with_the_spawner(void)
{
    (void)template_get();
    int pipefd[2];
    CHECK(pipe2(pipefd, O_CLOEXEC) == 0);
    pid_t spawner = fork();
    if (spawner == 0) {
        struct run run = start_stubborn();
        CHECK(write(pipefd[1], &run.report, 1) == 1);
        pause();
    }
    char byte;
    CHECK(read(pipefd[0], &byte, 1) == 1);
    CHECK(kill(spawner, SIGKILL) == 0 && waitpid(spawner, NULL, 0) == spawner);
}

static void obeys_signals(void)
{
    struct run run = harness_shell(template_get(), "trap 'exit 42' USR1; echo; sleep 1000 & wait");
    char byte;
    CHECK(read(run.output, &byte, 1) == 1);
    harness_control(&run, CONTROL_SIGNAL, SIGUSR1);
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(out.ended && !out.exit.signalled);
    CHECK_INT(out.exit.code, 42);

    run = start_stubborn();
    harness_control(&run, CONTROL_SIGNAL, SIGTERM);
    harness_control(&run, CONTROL_SIGNAL_ALL, SIGKILL);
    harness_finish(&run, &out);
    CHECK(out.ended && out.exit.signalled);
    CHECK_INT(out.exit.code, SIGKILL);
}

/* A signal for the command's group stays there. */
static void signals_the_group_alone(void)
{
    struct run run = harness_shell(template_get(), "setsid sh -c 'trap \"echo wrong\" USR1; sleep "
                                                   "2; echo right' & trap 'wait' USR1; echo; wait");
    char byte;
    CHECK(read(run.output, &byte, 1) == 1);
    (void)usleep(300000);
    harness_control(&run, CONTROL_SIGNAL, SIGUSR1);
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(strcmp(out.output, "right\n") == 0);
}

static size_t count_fds(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void is_reused_without_leaks(void)
{
    const char *const argv[] = {"true", NULL};
    struct outcome out;
    harness_run(template_get(), argv, &out);
    size_t before = count_fds();
    for (int i = 0; i < 200; i++) {
        harness_run(template_get(), argv, &out);
        CHECK(out.ended && out.exit.code == 0);
    }
    CHECK_INT(count_fds(), before);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static void runs_many_at_once(void)
{
    enum { MANY = 40 };
    struct run runs[MANY];
    for (int i = 0; i < MANY; i++)
        runs[i] = harness_shell(template_get(), "echo $$ > /tmp/mine; read x; cat /tmp/*");
    for (int i = 0; i < MANY; i++) {
        struct outcome out;
        harness_finish(&runs[i], &out);
        CHECK(out.ended && strcmp(out.output, "2\n") == 0);
    }
}

static const struct test_case cases[] = {
    {"passes-exit-codes", passes_exit_codes},
    {"passes-signals", passes_signals},
    {"streams-bytes", streams_bytes},
    {"tells-why-execve-failed", tells_why_execve_failed},
    {"looks-programs-up-in-path", looks_programs_up_in_path},
    {"refuses-bad-names", refuses_bad_names},
    {"reports-usage", reports_usage},
    {"ends-what-the-command-left", ends_what_the_command_left},
    {"dies-with-its-worker", dies_with_its_worker},
    {"dies-with-the-master", dies_with_the_master},
    {"dies-at-nonsense", dies_at_nonsense},
    {"dies-with-the-spawner", dies_with_the_spawner},
    {"obeys-signals", obeys_signals},
    {"signals-the-group-alone", signals_the_group_alone},
    {"is-reused-without-leaks", is_reused_without_leaks},
    {"runs-many-at-once", runs_many_at_once},
};

struct test_list cases_life(void)
{
    return (struct test_list){cases, array_len(cases)};
}
