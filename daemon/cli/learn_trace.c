#include "learn_trace.h"
#include "cleanup.h"
#include "learn_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)

enum { SYSCALL_STOP = SIGTRAP | 0x80, SAMPLE_US = 2000 };

void trace_mark_filter(struct sock_filter *filter, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (filter[i].code == (BPF_RET | BPF_K) && filter[i].k == SECCOMP_RET_ALLOW)
            filter[i].k = SECCOMP_RET_TRACE;
}

int trace_begin(struct trace *trace, pid_t spawner, struct err *err)
{
    struct task *task = tasks_add(&trace->tasks, spawner);
    if (task == NULL)
        return err_set(err, ENOMEM, "tracing");
    tasks_set_role(&trace->tasks, task, ROLE_SPAWNER);
    if (ptrace(PTRACE_SEIZE, spawner, NULL, (void *)OPTIONS) < 0)
        return err_set(err, errno,
                       "ptrace (kernel.yama.ptrace_scope = 3 forbids it to everybody, until the "
                       "next boot)");
    return 0;
}

void trace_free(struct trace *trace)
{
    tasks_free(&trace->tasks);
    close_fd(&trace->observer.root);
    close_fd(&trace->tmp);
    close_fd(&trace->workspace);
}

/* Fails only for those that have been killed meanwhile; their end is still to come. */
static void resume(const struct task *task, int signo)
{
    (void)ptrace(task->call.waiting ? PTRACE_SYSCALL : PTRACE_CONT, task->tid, NULL,
                 (void *)(intptr_t)signo);
}

static pid_t read_tgid(pid_t tid)
{
    char path[64], line[128];
    int tgid = (int)tid;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    cleanup_file FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Tgid: %d", &tgid) == 1) /* NOLINT(cert-err34-c): the kernel's */
            break;
    return tgid;
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void add_memory(struct task *task, void *arg)
{
    char path[64], text[128] = "";
    if (task->role != ROLE_COMMAND || task->tid != task->tgid)
        return;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)task->tid);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return;
    char *second = strchr(text, ' ');
    if (second != NULL)
        *(uint64_t *)arg += strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t bytes_in(int place)
{
    struct statfs fs;
    if (place < 0 || fstatfs(place, &fs) < 0)
        return 0;
    return (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
}

static void raise_to(uint64_t *peak, uint64_t value)
{
    if (value > *peak)
        *peak = value;
}

void trace_sample(struct trace *trace)
{
    struct seen_peaks *peaks = &trace->observer.seen->peaks;
    uint64_t memory = 0;
    if (trace->observer.root < 0)
        return;
    trace->sampled_us = now_us();
    tasks_each(&trace->tasks, add_memory, &memory);
    raise_to(&peaks->memory, memory);
    raise_to(&peaks->tmp, bytes_in(trace->tmp));
    raise_to(&peaks->workspace, bytes_in(trace->workspace));
}

/* The program that was asked for has taken the place of those before it: it counts from here. */
static void begin_watching(struct trace *trace, const struct task *task)
{
    char path[64], who[SEEN_WHO_MAX];
    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)task->tid);
    trace->observer.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (trace->observer.root < 0) {
        trace->failed = true;
        return;
    }
    trace->tmp = openat(trace->observer.root, "tmp", O_PATH | O_CLOEXEC);
    trace->workspace = openat(trace->observer.root, &SPEC_WORKSPACE[1], O_PATH | O_CLOEXEC);
    seen_add_call(trace->observer.seen, SYS_execve, observe_name(task->tid, who));
}

static void on_exec(struct trace *trace, struct task *task)
{
    unsigned long former = 0;
    (void)ptrace(PTRACE_GETEVENTMSG, task->tid, NULL, &former);
    if ((pid_t)former != task->tid) {
        /* A thread has taken the leader's place, and what it had begun goes with it. */
        struct task *old = tasks_find(&trace->tasks, (pid_t)former);
        observed_clear(&task->call);
        if (old != NULL) {
            task->call = old->call;
            old->call = (struct observed){0};
            tasks_drop(&trace->tasks, (pid_t)former);
        }
    }
    if (task->role == ROLE_COMMAND && ++trace->n_execs == trace->skip + 1)
        begin_watching(trace, task);
    if (task->role == ROLE_COMMAND && trace->observer.root >= 0)
        observe_exec(&trace->observer, task->tid, &task->call);
    else
        observed_clear(&task->call);
}

static void on_stop(struct trace *trace, struct task *task, int status);

static void adopt(struct trace *trace, const struct task *parent, pid_t tid)
{
    struct task *task = tasks_add(&trace->tasks, tid);
    if (task == NULL) {
        trace->failed = true;
        return;
    }
    bool held = task->held;
    task->held = false;
    task->tgid = read_tgid(tid);
    tasks_set_role(&trace->tasks, task, parent->role == ROLE_SPAWNER ? ROLE_WORKER : ROLE_COMMAND);
    raise_to(&trace->observer.seen->peaks.tasks, trace->tasks.n_command);
    trace->observer.seen->processes += task->role == ROLE_COMMAND && task->tgid == tid;
    if (held)
        on_stop(trace, task, task->held_status);
}

static void on_birth(struct trace *trace, const struct task *parent)
{
    unsigned long tid = 0;
    if (ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &tid) == 0 && tid > 0)
        adopt(trace, parent, (pid_t)tid);
}

static void on_call(struct trace *trace, struct task *task)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, (void *)sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_SECCOMP)
        return;
    int nr = (int)info.seccomp.nr;
    uint64_t args[6];
    memcpy(args, info.seccomp.args, sizeof args);
    if (task->role == ROLE_COMMAND && (trace->observer.root >= 0 || nr == SYS_execve))
        observe_begin(&trace->observer, task->tid, nr, args, spec_allows(trace->ordinary, nr),
                      &task->call);
}

static void on_result(struct trace *trace, struct task *task)
{
    struct __ptrace_syscall_info info;
    if (!task->call.waiting)
        return;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, (void *)sizeof info, &info) <= 0)
        observed_clear(&task->call);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        observe_end(&trace->observer, task->tid, task->tgid, &task->call, info.exit.rval);
}

static bool is_group_stop(int signo)
{
    return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

static void on_stop(struct trace *trace, struct task *task, int status)
{
    int signo = WSTOPSIG(status);
    int deliver = 0;
    switch (status >> 16) {
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        on_birth(trace, task);
        break;
    case PTRACE_EVENT_EXEC:
        on_exec(trace, task);
        break;
    case PTRACE_EVENT_SECCOMP:
        on_call(trace, task);
        break;
    case PTRACE_EVENT_EXIT:
        if (task->role == ROLE_COMMAND && now_us() - trace->sampled_us > SAMPLE_US)
            trace_sample(trace);
        break;
    case PTRACE_EVENT_STOP:
        if (is_group_stop(signo)) {
            (void)ptrace(PTRACE_LISTEN, task->tid, NULL, NULL);
            return;
        }
        break;
    case 0:
        if (signo == SYSCALL_STOP)
            on_result(trace, task);
        else
            deliver = signo;
        break;
    default:
        break;
    }
    resume(task, deliver);
}

void trace_on_status(struct trace *trace, pid_t tid, int status)
{
    if (!WIFSTOPPED(status)) {
        tasks_drop(&trace->tasks, tid);
        return;
    }
    struct task *task = tasks_add(&trace->tasks, tid);
    if (task == NULL) {
        /* Unwatched it can only be let go, and what it does goes unseen. */
        trace->failed = true;
        (void)ptrace(PTRACE_CONT, tid, NULL, NULL);
        return;
    }
    if (task->role == ROLE_UNKNOWN) {
        task->held = true;
        task->held_status = status;
        return;
    }
    on_stop(trace, task, status);
}

static void release_one(struct task *task, void *arg)
{
    struct trace *trace = arg;
    if (task->role != ROLE_UNKNOWN || !task->held)
        return;
    task->held = false;
    task->tgid = read_tgid(task->tid);
    tasks_set_role(&trace->tasks, task, ROLE_COMMAND);
    resume(task, 0);
}

void trace_release_held(struct trace *trace)
{
    tasks_each(&trace->tasks, release_one, trace);
}
