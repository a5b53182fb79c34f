#include "worker.h"

#include "cleanup.h"
#include "command.h"
#include "enter.h"
#include "notes.h"
#include "order.h"
#include "profile.h"
#include "report.h"
#include "syscall_args.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    NOTIF_SIZE_MAX = 512,   /* of the kernel's struct seccomp_notif, which may grow */
    CALL_NR_MASK = 0xffff,  /* no ABI numbers its calls higher */
    SEND_TIMEOUT_MS = 5000, /* for a report that must not be lost */
    RUSAGE_BLOCK = 512      /* bytes, whatever the file system's are */
};

struct worker {
    const struct seccomp_spec *profile;
    struct command command;
    int report, signals;
    struct notes notes;
    struct refused_call killed; /* the call that ended the exec; nr is -1 if none did */
};

static bool try_send(int fd, const unsigned char *buf, size_t len)
{
    return send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* Waits for a stalled master, but not for ever: it would find end of file then. */
static void send_report(int fd, const struct report *report)
{
    unsigned char buf[REPORT_MAX];
    size_t len = report_encode(report, buf);
    if (try_send(fd, buf, len) || errno != EAGAIN)
        return;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    const struct timespec timeout = {.tv_sec = SEND_TIMEOUT_MS / 1000};
    if (ppoll(&wait, 1, &timeout, NULL) > 0)
        (void)try_send(fd, buf, len);
}

static void fail_and_exit(int fd, enum report_stage stage, int num, enum report_why why)
{
    const struct report report = {
        .type = REPORT_FAILED, .stage = stage, .err_num = num, .why = why};
    char waste;
    send_report(fd, &report);
    /* An order that nobody has read would make our end look like a fault of the socket. */
    (void)recv(fd, &waste, sizeof waste, MSG_DONTWAIT);
    _exit(1);
}

/*
 * What a worker does from here on. It has no privileges left; this keeps a fault in it from being
 * of use to the command, with which it shares a uid and a pid namespace.
 */
static int confine_supervisor(void)
{
#ifdef POSTERN_SANITIZE
    /* A sanitizer's runtime makes calls of its own whenever it likes. */
    return 0;
#else
#define ALLOW(name)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROFILE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(ppoll),
        ALLOW(read),
        ALLOW(recvfrom),
        ALLOW(sendto),
        ALLOW(ioctl),
        ALLOW(wait4),
        ALLOW(kill),
        ALLOW(getrusage),
        ALLOW(close),
        ALLOW(restart_syscall),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
#undef ALLOW
    const struct sock_fprog program = {.len = array_len(filter), .filter = filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
#endif
}

static void report_exit_and_exit(const struct worker *worker, int status)
{
    struct report report = {
        .type = REPORT_EXIT, .call = worker->killed, .untold = worker->notes.n_untold};
    struct rusage usage;
    if (worker->killed.nr >= 0) {
        report.signalled = true;
        report.code = SIGSYS;
    } else if (WIFSIGNALED(status)) {
        report.signalled = true;
        report.code = WTERMSIG(status);
        report.core = WCOREDUMP(status);
    } else {
        report.code = WEXITSTATUS(status);
    }
    /* Of all that was waited for: by the command, and here of what it left behind. */
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
        report.user_us =
            (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec;
        report.system_us =
            (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec;
        report.max_rss_kib = (uint64_t)usage.ru_maxrss;
        report.read_bytes = (uint64_t)usage.ru_inblock * RUSAGE_BLOCK;
        report.written_bytes = (uint64_t)usage.ru_oublock * RUSAGE_BLOCK;
    }
    /* Before the end, which waits until the kernel has taken the namespaces down. */
    send_report(worker->report, &report);
    _exit(0);
}

/* Reaps everything that has died, as pid 1 must; the command's end is the end. */
static void on_child(struct worker *worker)
{
    struct signalfd_siginfo info;
    (void)!read(worker->signals, &info, sizeof info);
    bool ended = false;
    int status, command_status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == worker->command.pid) {
            ended = true;
            command_status = status;
        }
    }
    if (ended)
        report_exit_and_exit(worker, command_status);
}

static void on_control(const struct worker *worker)
{
    unsigned char buf[REPORT_MAX];
    struct control control;
    ssize_t len = recv(worker->report, buf, sizeof buf, MSG_DONTWAIT | MSG_TRUNC);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* The master has gone, or what is there is not the master: so goes the sandbox. */
    if (len <= 0 || (size_t)len > sizeof buf || control_decode(buf, (size_t)len, &control) < 0)
        _exit(1);
    pid_t target = control.type == CONTROL_SIGNAL ? -worker->command.pid : -1;
    (void)kill(target, control.signo);
}

static void note_refusal(struct worker *worker, const struct refused_call *call)
{
    if (!notes_add(&worker->notes, call))
        return;
    unsigned char buf[REPORT_MAX];
    const struct report report = {.type = REPORT_NOTE, .call = *call};
    size_t len = report_encode(&report, buf);
    /* One that doesn't fit is only counted: the command must not wait for the master. */
    if (!try_send(worker->report, buf, len))
        worker->notes.n_untold++;
}

/* What was called, with nothing of it that points into the caller's memory. */
static struct refused_call describe_call(const struct seccomp_data *data)
{
    struct refused_call call = {.nr = data->nr};
    if (data->arch != PROFILE_ARCH)
        call.abi = CALL_32_BIT;
    else if ((data->nr & X32_BIT) != 0)
        call.abi = CALL_X32;
    call.nr &= CALL_NR_MASK;
    uint64_t args[CALL_ARGS];
    for (size_t i = 0; i < CALL_ARGS; i++)
        args[i] = data->args[i];
    syscall_args_keep(&call, args);
    return call;
}

static void on_refused_call(struct worker *worker)
{
    union {
        struct seccomp_notif notif;
        unsigned char room[NOTIF_SIZE_MAX];
    } got = {.room = {0}};
    /* It fails if the caller has died meanwhile. */
    if (ioctl(worker->command.listener, SECCOMP_IOCTL_NOTIF_RECV, &got.notif) < 0)
        return;
    struct refused_call call = describe_call(&got.notif.data);
    if (call.abi != CALL_NATIVE) {
        /* Like a program of another machine, its process can't go on; unanswered, it can only die.
         */
        if ((pid_t)got.notif.pid == worker->command.pid)
            worker->killed = call;
        else
            note_refusal(worker, &call);
        (void)kill((pid_t)got.notif.pid, SIGKILL);
        return;
    }
    if (profile_answer(worker->profile, call.nr) == SECCOMP_ANSWER_KILL) {
        if (worker->killed.nr < 0)
            worker->killed = call;
        (void)kill(-1, SIGKILL);
        return;
    }
    note_refusal(worker, &call);
    struct seccomp_notif_resp answer = {.id = got.notif.id, .error = -EPERM};
    (void)ioctl(worker->command.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void __attribute__((noreturn)) supervise(struct worker *worker)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = worker->report, .events = POLLIN},
            {.fd = worker->command.listener, .events = POLLIN},
            {.fd = worker->signals, .events = POLLIN},
        };
        if (ppoll(fds, array_len(fds), NULL, NULL) < 0 && errno != EINTR)
            _exit(1);
        if (fds[0].revents != 0)
            on_control(worker);
        if (fds[1].revents & POLLIN)
            on_refused_call(worker);
        else if (fds[1].revents != 0)
            close_fd(&worker->command.listener); /* nobody is left under the filter */
        if (fds[2].revents != 0)
            on_child(worker);
    }
}

/* A notification is written into our buffer in the kernel's size, not in ours. */
static int check_notif_sizes(void)
{
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return -1;
    if (sizes.seccomp_notif <= NOTIF_SIZE_MAX &&
        sizes.seccomp_notif_resp == sizeof(struct seccomp_notif_resp))
        return 0;
    errno = EOVERFLOW;
    return -1;
}

void worker_run(const struct sandbox_template *tpl, const struct sandbox_job *job, int workspace,
                int devpts)
{
    struct worker worker = {
        .profile = &tpl->spec->seccomp,
        .report = WORKER_REPORT_FD,
        .notes = {.told_max = tpl->spec->notes},
        .killed = {.nr = -1},
    };
    if (enter_descriptors(job, workspace, devpts) < 0)
        fail_and_exit(job->report_fd, STAGE_STDIO, errno, WHY_NONE);
    enum report_stage stage = STAGE_MOUNT;
    struct order order;
    if (enter_build(tpl, job, &stage) < 0)
        fail_and_exit(WORKER_REPORT_FD, stage, errno, WHY_NONE);
    int got = order_receive(WORKER_REPORT_FD, &order);
    if (got == 0)
        _exit(0);
    if (got < 0 || (order.stdio[0] < 0) != (job->terminal != NULL))
        fail_and_exit(WORKER_REPORT_FD, STAGE_STDIO, got < 0 ? errno : EBADMSG, WHY_NONE);
    int ruleset = enter_confine(tpl, job, &stage);
    if (ruleset < 0)
        fail_and_exit(WORKER_REPORT_FD, stage, errno, WHY_NONE);
    if (check_notif_sizes() < 0)
        fail_and_exit(WORKER_REPORT_FD, STAGE_SECCOMP, errno, WHY_NONE);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    worker.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (worker.signals < 0)
        fail_and_exit(WORKER_REPORT_FD, STAGE_FORK, errno, WHY_NONE);
    if (command_start(tpl, &order, ruleset, &worker.command, &stage) < 0)
        fail_and_exit(WORKER_REPORT_FD, stage, errno, worker.command.why);
    /* The command alone holds its ends, so that readers of its output see the end of it. */
    for (int fd = 0; fd < WORKER_REPORT_FD; fd++)
        close(fd);
    close(ruleset);
    if (confine_supervisor() < 0)
        fail_and_exit(WORKER_REPORT_FD, STAGE_SECCOMP, errno, WHY_NONE);
    const struct report started = {.type = REPORT_STARTED};
    send_report(WORKER_REPORT_FD, &started);
    supervise(&worker);
}
