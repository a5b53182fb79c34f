#include "learn_run.h"
#include "cleanup.h"
#include "learn_trace.h"
#include "order.h"
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 50, /* how often we look up from the stops */
    GRACE_TICKS = 100
};

static volatile sig_atomic_t told_to_stop, times_told;

static void on_signal(int signo)
{
    if (signo == SIGALRM) /* it only wakes us up */
        return;
    if (told_to_stop == 0)
        told_to_stop = signo;
    times_told++;
}

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct signals {
    struct sigaction stop[array_len(stop_signals)], alarm, child;
};

/* Without SA_RESTART, so that waitpid(2) comes back. */
static void signals_take(struct signals *old)
{
    struct sigaction action = {.sa_handler = on_signal};
    const struct sigaction ordinary = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    told_to_stop = times_told = 0;
    for (size_t i = 0; i < array_len(stop_signals); i++)
        (void)sigaction(stop_signals[i], &action, &old->stop[i]);
    (void)sigaction(SIGALRM, &action, &old->alarm);
    (void)sigaction(SIGCHLD, &ordinary, &old->child);
    const struct itimerval tick = {{0, TICK_MS * 1000}, {0, TICK_MS * 1000}};
    (void)setitimer(ITIMER_REAL, &tick, NULL);
}

static void signals_give_back(const struct signals *old)
{
    const struct itimerval none = {0};
    (void)setitimer(ITIMER_REAL, &none, NULL);
    for (size_t i = 0; i < array_len(stop_signals); i++)
        (void)sigaction(stop_signals[i], &old->stop[i], NULL);
    (void)sigaction(SIGALRM, &old->alarm, NULL);
    (void)sigaction(SIGCHLD, &old->child, NULL);
}

/* What our child and we tell each other. */
struct links {
    int go[2];     /* a byte: it is traced now */
    int error[2];  /* struct err, if it could not start the worker */
    int report[2]; /* the worker's */
};

static void links_close(struct links *links)
{
    int *all[] = {links->go, links->error, links->report};
    for (size_t i = 0; i < array_len(all); i++) {
        close_fd(&all[i][0]);
        close_fd(&all[i][1]);
    }
}

static int links_open(struct links *links, struct err *err)
{
    if (pipe2(links->go, O_CLOEXEC) < 0 || pipe2(links->error, O_CLOEXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, links->report) < 0)
        return err_set(err, errno, "pipes");
    return 0;
}

/* In the child. The worker's parent has to stay, and to be the one that the tracer follows. */
static void __attribute__((noreturn))
spawn_and_exit(const struct sandbox_template *tpl, const struct learn_job *of, struct links *links)
{
    const struct order order = {
        .argv = of->argv, .envp = of->envp, .stdio = {of->stdio[0], of->stdio[1], of->stdio[2]}};
    const struct sandbox_job job = {
        .user_name = of->user_name,
        .uid = of->uid,
        .gid = of->gid,
        .report_fd = links->report[1],
        .shared = -1,
        .cgroup = -1,
    };
    pid_t pid;
    int pidfd;
    char byte;
    struct err err = {0};
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    close_fd(&links->go[1]);
    int sent = order_send(links->report[0], &order, &err);
    close_fd(&links->report[0]);
    if (read(links->go[0], &byte, 1) != 1)
        _exit(1);
    if (sent < 0 || sandbox_spawn(tpl, &job, &pid, &pidfd, NULL, &err) < 0) {
        (void)!write(links->error[1], &err, sizeof err);
        _exit(1);
    }
    close_fd(&links->report[1]);
    (void)waitpid(pid, NULL, 0);
    _exit(0);
}

static void keep_note(struct seen *seen, const struct refused_call *call)
{
    if (call->abi != CALL_NATIVE || call->nr < 0 || call->nr >= SEEN_CALLS_MAX)
        return;
    seen->calls[call->nr].noted = true;
    seen->calls[call->nr].why = profile_always_refused(call, false);
}

static void read_reports(int fd, struct seen *seen, struct learn_end *end)
{
    unsigned char buf[REPORT_MAX];
    struct report report;
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        /* Its worker has ended without having read all that it was told; what it had said itself
         * comes behind that. */
        if (n < 0 && errno == ECONNRESET)
            continue;
        if (n <= 0)
            break;
        if (report_decode(buf, (size_t)n, &report) < 0)
            continue;
        if (report.type == REPORT_FAILED) {
            end->failed = true;
            end->failure = report;
        } else if (report.type == REPORT_EXIT) {
            end->ended = true;
            end->exit = report;
        } else if (report.type == REPORT_NOTE) {
            keep_note(seen, &report.call);
        }
    }
}

static void hand_on(int fd, enum control_type type, int signo)
{
    unsigned char buf[REPORT_MAX];
    const struct control control = {.type = type, .signo = signo};
    size_t len = control_encode(&control, buf);
    (void)send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Once a tick: what we were told goes on to the command, once as it is and then as KILL. */
struct stopping {
    unsigned ticks;
    bool handed_on;
};

static void on_tick(struct trace *trace, int report, struct stopping *stopping)
{
    trace_sample(trace);
    trace_release_held(trace);
    if (told_to_stop == 0)
        return;
    if (!stopping->handed_on)
        hand_on(report, CONTROL_SIGNAL, told_to_stop);
    stopping->handed_on = true;
    if (++stopping->ticks > GRACE_TICKS || times_told > 1)
        hand_on(report, CONTROL_SIGNAL_ALL, SIGKILL);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until there is nobody left to wait for. */
static void watch(struct trace *trace, int report, struct learn_end *end)
{
    struct stopping stopping = {0};
    uint64_t last = now_ms();
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid > 0)
            trace_on_status(trace, tid, status);
        else if (errno != EINTR)
            break;
        if (tid > 0 && now_ms() - last < TICK_MS)
            continue;
        last = now_ms();
        on_tick(trace, report, &stopping);
        read_reports(report, trace->observer.seen, end);
    }
    read_reports(report, trace->observer.seen, end);
}

static void finish(const struct trace *trace, uint64_t began, struct learn_end *end)
{
    struct seen_peaks *peaks = &trace->observer.seen->peaks;
    peaks->wall_ms = now_ms() - began;
    peaks->user_ms = end->exit.user_us / 1000;
    peaks->system_ms = end->exit.system_us / 1000;
    peaks->largest = end->exit.max_rss_kib * 1024;
    if (peaks->memory < peaks->largest)
        peaks->memory = peaks->largest;
    end->began = trace->observer.root >= 0;
    end->incomplete = trace->failed;
    end->interrupted = told_to_stop;
}

static int run_child(struct trace *trace, pid_t child, struct links *links, struct learn_end *end,
                     struct err *err)
{
    struct err told;
    close_fd(&links->go[0]);
    close_fd(&links->error[1]);
    close_fd(&links->report[1]);
    int rc = trace_begin(trace, child, err);
    uint64_t began = now_ms();
    if (rc == 0)
        rc = write(links->go[1], "", 1) == 1 ? 0 : err_set(err, errno, "pipe");
    close_fd(&links->go[1]);
    watch(trace, links->report[0], end);
    if (rc == 0 && read(links->error[0], &told, sizeof told) == (ssize_t)sizeof told) {
        *err = told;
        rc = -1;
    }
    finish(trace, began, end);
    return rc;
}

static int run_traced(const struct learn_job *job, const struct sandbox_template *tpl,
                      struct trace *trace, struct learn_end *end, struct err *err)
{
    struct links links = {{-1, -1}, {-1, -1}, {-1, -1}};
    struct signals signals;
    int rc = links_open(&links, err);
    signals_take(&signals);
    pid_t child = rc == 0 ? fork() : -1;
    if (child == 0)
        spawn_and_exit(tpl, job, &links);
    if (rc == 0)
        rc = child > 0 ? run_child(trace, child, &links, end, err) : err_set(err, errno, "fork");
    signals_give_back(&signals);
    links_close(&links);
    return rc;
}

int learn_run(const struct learn_job *job, struct seen *seen, struct learn_end *end,
              struct err *err)
{
    struct sandbox_template tpl;
    struct trace trace = {
        .observer = {.seen = seen,
                     .cache = seen_new(),
                     .root = -1,
                     .given = learn_tree_gives,
                     .given_arg = job->tree},
        .ordinary = job->ordinary,
        .skip = job->skip,
        .tmp = -1,
        .workspace = -1,
    };
    *end = (struct learn_end){0};
    if (trace.observer.cache == NULL)
        return err_set(err, ENOMEM, "learning");
    int rc = sandbox_prepare(&job->tree->spec, NULL, &tpl, err);
    if (rc == 0) {
        trace_mark_filter(tpl.filter, tpl.filter_len);
        rc = run_traced(job, &tpl, &trace, end, err);
        sandbox_template_free(&tpl);
    }
    trace_free(&trace);
    seen_free(trace.observer.cache);
    return rc;
}
