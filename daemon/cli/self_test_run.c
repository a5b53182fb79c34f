#include "cgroup.h"
#include "cleanup.h"
#include "host_limits.h"
#include "order.h"
#include "report.h"
#include "sandbox.h"
#include "self_test.h"
#include "self_test_probe.h"
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFE_MS = 120000, OUTPUT_MAX = 1 << 20, KILLS_MAX = 512 };

/* The same names as in daemon/probe/probe.h, where nothing of ours is included. */
#define BAIT_SOCKET "postern-confine"
enum { BAIT_SHM_KEY = 0x706f7374 };

/* What the host has, and no sandbox must see. */
struct bait {
    int socket, shm;
};

static void bait_put(struct bait *bait)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path + 1, BAIT_SOCKET, sizeof BAIT_SOCKET - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof BAIT_SOCKET);
    bait->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Whoever has the name already is as good. */
    if (bait->socket >= 0 && bind(bait->socket, (struct sockaddr *)&name, len) == 0)
        (void)listen(bait->socket, 8);
    bait->shm = shmget(BAIT_SHM_KEY, 4096, IPC_CREAT | IPC_EXCL | 0666);
}

static void bait_take(struct bait *bait)
{
    close_fd(&bait->socket);
    if (bait->shm >= 0)
        (void)shmctl(bait->shm, IPC_RMID, NULL);
}

/* One life of the program. */
struct life {
    pid_t worker;
    int pidfd, report, output;
    struct report end; /* type 0: none came */
    char trying[64];   /* what it was about when it ended */
};

/* For network = egress: a cgroup for each life, beside those of a server that runs. The directory
 * above is opened while the host's files are in sight. */
struct place {
    int above, cgroup;
    char name[64];
};

static void place_close(struct place *place)
{
    close_fd(&place->above);
}

static int place_open(const struct policy *policy, const struct sandbox_spec *spec,
                      struct place *place, struct err *err)
{
    char mount[PATH_MAX];
    const char *path = policy->server.cgroup;
    *place = (struct place){.above = -1, .cgroup = -1};
    if (spec->network != NETWORK_EGRESS)
        return 0;
    (void)snprintf(place->name, sizeof place->name, "postern-self-test-%d", getpid());
    if (path == NULL || access(path, F_OK) < 0)
        path = host_cgroup_mount(mount, err) < 0 ? NULL : mount;
    if (path == NULL || host_cgroup_open(path, &place->above, err) < 0)
        return err_wrap(err, "network = egress needs a cgroup");
    return 0;
}

static int place_take(struct place *place, struct err *err)
{
    return place->above < 0 ? 0 : cgroup_make(place->above, place->name, NULL, &place->cgroup, err);
}

static void place_leave(struct place *place)
{
    close_fd(&place->cgroup);
    if (place->above >= 0)
        (void)cgroup_remove(place->above, place->name, NULL);
}

/* What all lives of the program have in common. */
struct run {
    const struct sandbox_template *tpl;
    const struct tenant *tenant;
    struct place *place; /* of the life that is lived */
    int probe, shared;
    int told; /* readable when we are to end */
};

static int start(const struct run *run, const char *const *argv, struct life *life, struct err *err)
{
    const struct tenant *tenant = run->tenant;
    char home[320], user[160], logname[160];
    const char *const envp[] = {"PATH=/usr/local/bin:/usr/bin:/bin", home, user, logname, NULL};
    int out[2], report[2];
    (void)snprintf(home, sizeof home, "HOME=%s", SPEC_HOME(run->tpl->spec));
    (void)snprintf(user, sizeof user, "USER=%.128s", tenant->name);
    (void)snprintf(logname, sizeof logname, "LOGNAME=%.128s", tenant->name);
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    life->output = out[0];
    cleanup_fd int theirs = out[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
        return err_set(err, errno, "socketpair");
    life->report = report[0];
    cleanup_fd int told = report[1];
    const struct order order = {.argv = argv, .envp = envp, .stdio = {run->probe, theirs, theirs}};
    const struct sandbox_job job = {
        .user_name = tenant->name,
        .uid = tenant->uid,
        .gid = tenant->gid,
        .project = tenant->project,
        .report_fd = told,
        .shared = run->shared,
        .has_cgroup = run->place->cgroup >= 0,
        .cgroup = run->place->cgroup,
        .tasks_total = tenant->total.tasks == SPEC_INFINITY ? 0 : tenant->total.tasks,
    };
    if (order_send(life->report, &order, err) < 0)
        return -1;
    return sandbox_spawn(run->tpl, &job, &life->worker, &life->pidfd, NULL, err);
}

/* Until the last report: who hangs up before ends the sandbox. */
static void read_reports(struct life *life)
{
    unsigned char buf[REPORT_MAX];
    struct report report;
    struct pollfd wait = {.fd = life->report, .events = POLLIN};
    while (life->end.type == 0 && poll(&wait, 1, LIFE_MS) > 0) {
        ssize_t n = recv(life->report, buf, sizeof buf, MSG_DONTWAIT);
        if (n <= 0)
            return;
        if (report_decode(buf, (size_t)n, &report) == 0 &&
            (report.type == REPORT_EXIT || report.type == REPORT_FAILED))
            life->end = report;
    }
}

/* Lines until the end of the output. Whoever waits longer than any test takes is ended. */
static int read_rows(struct life *life, int told, struct self_test_rows *rows, struct err *err)
{
    cleanup_fd int fd = steal_fd(&life->output);
    cleanup_free char *text = calloc(1, OUTPUT_MAX + 1);
    size_t used = 0;
    if (text == NULL)
        return err_set(err, ENOMEM, "output");
    for (;;) {
        struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = told, .events = POLLIN}};
        int ready = poll(wait, array_len(wait), LIFE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready > 0 && wait[1].revents != 0)
            return err_set(err, EINTR, "told to end");
        ssize_t n = ready > 0 && used < OUTPUT_MAX ? read(fd, text + used, OUTPUT_MAX - used) : -1;
        if (n == 0)
            break;
        if (n < 0)
            return err_set(err, ETIMEDOUT, "what runs in the sandbox doesn't come to an end");
        used += (size_t)n;
    }
    for (char *at = text, *line; (line = strsep(&at, "\n")) != NULL;)
        if (line[0] != '\0' && self_test_read(line, rows, life->trying) < 0)
            return err_set(err, EPROTO, "what runs in the sandbox doesn't say what it should");
    return 0;
}

static void life_end(struct life *life)
{
    close_fd(&life->report);
    close_fd(&life->output);
    if (life->worker > 0)
        (void)waitpid(life->worker, NULL, 0);
    close_fd(&life->pidfd);
}

static int judge_end(const struct life *life, struct err *err)
{
    if (life->end.type == REPORT_FAILED)
        return err_set(err, life->end.err_num, "the sandbox can't be entered: %s",
                       report_stage_name(life->end.stage));
    if (life->end.type != REPORT_EXIT)
        return err_set(err, 0, "the sandbox ended before its time");
    if (life->end.signalled && life->trying[0] == '\0')
        return err_set(err, 0, "the program in the sandbox was killed by signal %d",
                       life->end.code);
    return 0;
}

/* A rule `kill` ends the program: that is a refusal, and it goes on after it in another life. */
static int add_killed(const struct life *life, struct self_test_rows *rows, struct err *err)
{
    char line[512], rest[64], name[64];
    (void)snprintf(line, sizeof line, "ok\tkernel interfaces\t%s\t%d\tno system call %s\t",
                   life->trying, life->end.call.nr,
                   syscall_name(life->end.call.nr, name, sizeof name));
    if (self_test_read(line, rows, rest) < 0)
        return err_set(err, EPROTO, "what runs in the sandbox doesn't say what it should");
    rows->items[rows->n - 1].result = SELF_TEST_KILLED;
    return 0;
}

static int live_once(const struct run *run, char after[64], struct self_test_rows *rows,
                     struct err *err)
{
    struct life life = {.pidfd = -1, .report = -1, .output = -1};
    struct probe_words words = {.n = 0};
    int rc = -1;
    if (place_take(run->place, err) < 0)
        return -1;
    probe_describe(run->tpl->spec, after, &words);
    if (words.failed)
        err_set(err, E2BIG, "the words for the probe");
    else
        rc = start(run, words.argv, &life, err);
    probe_words_free(&words);
    if (rc == 0)
        rc = read_rows(&life, run->told, rows, err);
    if (rc == 0)
        read_reports(&life);
    life_end(&life);
    place_leave(run->place);
    if (rc == 0)
        rc = judge_end(&life, err);
    after[0] = '\0';
    if (rc == 0 && life.end.signalled) {
        rc = add_killed(&life, rows, err);
        (void)snprintf(after, 64, "%s", life.trying);
    }
    return rc;
}

static int live(struct run *run, struct self_test_rows *rows, struct err *err)
{
    const struct tenant *tenant = run->tenant;
    cleanup_fd int shared = -1;
    char after[64] = "";
    if (run->tpl->spec->workspace == WORKSPACE_CONNECTION &&
        sandbox_share(run->tpl, tenant->uid, tenant->gid, &shared, err) < 0)
        return -1;
    run->shared = shared;
    for (int i = 0; i < KILLS_MAX; i++) {
        if (live_once(run, after, rows, err) < 0)
            return -1;
        if (after[0] == '\0')
            return 0;
    }
    return err_set(err, 0, "the program in the sandbox was killed again and again");
}

/* Held back until what we have put on the host is gone; then they end us as they would anybody. */
static int hold_signals(sigset_t *before)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action;
    sigset_t held;
    sigemptyset(&held);
    /* What is ignored, as by nohup(1), would be pending all the same. */
    for (size_t i = 0; i < array_len(stops); i++)
        if (sigaction(stops[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&held, stops[i]);
    (void)sigprocmask(SIG_BLOCK, &held, before);
    return signalfd(-1, &held, SFD_CLOEXEC);
}

static int run_held(const struct policy *policy, const struct tenant *tenant, const char *probe,
                    int told, struct self_test_rows *out, struct err *err)
{
    const struct sandbox_spec *spec = &policy->sandboxes[tenant->sandbox];
    struct sandbox_template tpl;
    struct bait bait;
    cleanup_fd int program = -1, home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    (void)signal(SIGCHLD, SIG_DFL);
    __attribute__((cleanup(place_close))) struct place place = {.above = -1};
    if (probe_load(probe, &program, err) < 0 || place_open(policy, spec, &place, err) < 0 ||
        sandbox_prepare(spec, NULL, &tpl, err) < 0)
        return -1;
    struct run run = {
        .tpl = &tpl, .tenant = tenant, .probe = program, .place = &place, .told = told};
    bait_put(&bait);
    int rc = live(&run, out, err);
    bait_take(&bait);
    sandbox_template_free(&tpl);
    /* Starting the sandbox has taken us into its mount namespace. */
    if (home < 0 || setns(home, CLONE_NEWNS) < 0)
        rc = err_set(err, errno, "the host's mount namespace");
    return rc;
}

int self_test_run(const struct policy *policy, const struct tenant *tenant, const char *probe,
                  struct self_test_rows *out, struct err *err)
{
    sigset_t before;
    cleanup_fd int told = hold_signals(&before);
    *out = (struct self_test_rows){0};
    int rc = told < 0 ? err_set(err, errno, "signalfd")
                      : run_held(policy, tenant, probe, told, out, err);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    for (size_t i = 0; rc == 0 && i < out->n; i++)
        self_test_judge(policy, &policy->sandboxes[tenant->sandbox], &out->items[i]);
    return rc;
}
