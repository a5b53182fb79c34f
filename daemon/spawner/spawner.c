#include "spawner.h"
#include "cleanup.h"
#include "netns.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A worker that has not been waited for. */
struct running {
    pid_t pid;
    uid_t uid;
    int network; /* of netns.h, or -1 */
};

struct spawner {
    const struct policy *policy;
    struct sandbox_template *templates; /* parallel to policy->sandboxes */
    struct egress_maps maps;            /* if a sandbox needs them */
    struct ipc link;
    int signal_fd;
    struct netns_pool networks;
    struct running *workers;
    size_t n_workers, max_workers;
};

/* Fixed number of the link in the spawner; everything above it is closed. */
enum { LINK_FD = 3 };

/* The spawner has no use for a network; what shares the host's on purpose still needs it. */
static int leave_network(const struct policy *policy, struct err *err)
{
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (SPEC_SHARES_NETWORK(&policy->sandboxes[i]))
            return 0;
    if (unshare(CLONE_NEWNET) < 0)
        return err_set(err, errno, "unshare network");
    return 0;
}

static int blame(const struct sandbox_spec *spec, struct err *err)
{
    struct origin at = {spec->file, spec->line};
    if (err->setting != NULL)
        at = sandbox_place(spec, err->setting, err->item);
    if (at.line == 0) /* built-in */
        return err_wrap(err, "sandbox '%s'", spec->name);
    return err_wrap(err, "%s:%u: sandbox '%s'", at.file, at.line, spec->name);
}

static int build_templates(struct spawner *spawner, struct err *err)
{
    const struct policy *policy = spawner->policy;
    for (size_t i = 0; i < policy->n_sandboxes && spawner->maps.ring < 0; i++)
        if (policy->sandboxes[i].network == NETWORK_EGRESS &&
            egress_maps_make(&spawner->maps, err) < 0)
            return blame(&policy->sandboxes[i], err);
    spawner->templates = calloc(policy->n_sandboxes, sizeof *spawner->templates);
    if (spawner->templates == NULL)
        return err_set(err, errno, "templates");
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        if (sandbox_prepare(&policy->sandboxes[i], &spawner->maps, &spawner->templates[i], err) < 0)
            return blame(&policy->sandboxes[i], err);
    return 0;
}

/*
 * What the execs of a connection share is made for the first of them. The master keeps it, so that
 * it outlives this process and ends with the connection; it asks for one at a time.
 */
static int make_share(const struct sandbox_template *tpl, const struct ipc_in *in,
                      const struct tenant *tenant, int *shared, struct err *err)
{
    if (tpl->spec->workspace != WORKSPACE_CONNECTION || in->msg.req_spawn.shared)
        return 0;
    return sandbox_share(tpl, tenant->uid, tenant->gid, shared, err);
}

/* Makes room for one more before there is a process that would have no place. */
static int reserve_worker(struct spawner *spawner, struct err *err)
{
    if (spawner->n_workers < spawner->max_workers)
        return 0;
    size_t max = spawner->max_workers > 0 ? 2 * spawner->max_workers : 64;
    struct running *grown = reallocarray(spawner->workers, max, sizeof *grown);
    if (grown == NULL)
        return err_set(err, ENOMEM, "workers");
    spawner->workers = grown;
    spawner->max_workers = max;
    return 0;
}

/* To where the job's network is or is copied from. */
static int enter_network(struct spawner *spawner, const struct sandbox_spec *spec, uid_t uid,
                         int *network, struct err *err)
{
    if (spec->network == NETWORK_NONE)
        return netns_enter(&spawner->networks, uid, network, err);
    return netns_leave(&spawner->networks, err);
}

/* What comes of a job that has been started: -1 where there is none. */
struct started {
    int pidfd, terminal, shared;
};

/* Runs one REQ_SPAWN; on success *started is the caller's. */
static int run_job(struct spawner *spawner, struct ipc_in *in, struct started *started,
                   struct err *err)
{
    const struct msg_req_spawn *req = &in->msg.req_spawn;
    const struct policy *policy = spawner->policy;
    if (req->tenant >= policy->n_tenants || req->sandbox >= policy->n_sandboxes)
        return err_set(err, 0, "no such tenant or sandbox");
    if (in->n_fds != 1U + req->cgroup + req->shared)
        return err_set(err, 0, "wrong number of descriptors");

    const struct tenant *tenant = &policy->tenants[req->tenant];
    const struct sandbox_template *tpl = &spawner->templates[req->sandbox];
    cleanup_fd int made = -1;
    if (make_share(tpl, in, tenant, &made, err) < 0)
        return -1;
    const struct terminal_spec terminal_spec = {.columns = (uint16_t)req->columns,
                                                .rows = (uint16_t)req->rows,
                                                .x_pixels = (uint16_t)req->x_pixels,
                                                .y_pixels = (uint16_t)req->y_pixels,
                                                .modes = req->modes.data,
                                                .modes_len = req->modes.len};
    struct sandbox_job job = {
        .user_name = tenant->name,
        .uid = tenant->uid,
        .gid = tenant->gid,
        .project = tenant->project,
        .ptys = tenant->pty,
        .terminal = req->terminal ? &terminal_spec : NULL,
        .report_fd = in->fds[0],
        .shared = req->shared ? in->fds[in->n_fds - 1] : made,
        .has_cgroup = req->cgroup,
        .cgroup = req->cgroup ? in->fds[1] : -1,
        .controllers = req->controllers,
        .memory = req->memory,
        .memory_total = tenant->total.memory,
        .tasks_total = tenant->total.tasks,
    };
    struct running worker = {.uid = tenant->uid, .network = -1};
    if (reserve_worker(spawner, err) < 0 ||
        enter_network(spawner, tpl->spec, worker.uid, &worker.network, err) < 0)
        return -1;
    job.in_network = worker.network >= 0;
    if (sandbox_spawn(tpl, &job, &worker.pid, &started->pidfd, &started->terminal, err) < 0) {
        if (worker.network >= 0)
            netns_give_back(&spawner->networks, worker.uid, worker.network);
        return -1;
    }
    spawner->workers[spawner->n_workers++] = worker;
    started->shared = steal_fd(&made);
    return 0;
}

static int spawner_on_req_spawn(struct spawner *spawner, struct ipc_in *in, struct err *err)
{
    struct ipc_msg answer = {.type = MSG_ANS_SPAWN,
                             .ans_spawn = {.exec = in->msg.req_spawn.exec, .text = ""}};
    struct err why = {0};
    struct started started = {-1, -1, -1};
    if (run_job(spawner, in, &started, &why) == 0)
        answer.ans_spawn.ok = 1;
    else {
        answer.ans_spawn.text = why.text;
        answer.ans_spawn.err_num = why.num > 0 && why.num < 4096 ? (uint32_t)why.num : 0;
    }
    answer.ans_spawn.terminal = started.terminal >= 0;
    answer.ans_spawn.shared = started.shared >= 0;
    const int made[] = {started.pidfd, started.terminal, started.shared};
    int fds[array_len(made)];
    size_t n_fds = 0;
    for (size_t i = 0; i < array_len(made); i++)
        if (made[i] >= 0)
            fds[n_fds++] = made[i];
    enum ipc_result sent = ipc_send(&spawner->link, &answer, fds, n_fds, true, err);
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    /* Our copy of its report socket would keep that open for ever; but where there is no worker the
     * answer must be there before the end of it. */
    ipc_drop_fds(in);
    return sent == IPC_OK || sent == IPC_EOF ? 0 : -1;
}

/* All of its sandbox has ended: pid 1 of a namespace is the last that can be waited for. */
static void forget_worker(struct spawner *spawner, pid_t pid)
{
    for (size_t i = 0; i < spawner->n_workers; i++) {
        struct running worker = spawner->workers[i];
        if (worker.pid != pid)
            continue;
        spawner->workers[i] = spawner->workers[--spawner->n_workers];
        if (worker.network >= 0)
            netns_give_back(&spawner->networks, worker.uid, worker.network);
        return;
    }
}

static void reap_workers(struct spawner *spawner)
{
    struct signalfd_siginfo info;
    while (read(spawner->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        ;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        forget_worker(spawner, pid);
}

/* Serves until the master closes the link and the last worker is gone. */
static int serve(struct spawner *spawner, struct err *err)
{
    static struct ipc_in in;
    while (spawner->link.fd >= 0 || spawner->n_workers > 0) {
        struct pollfd fds[] = {{.fd = spawner->signal_fd, .events = POLLIN},
                               {.fd = spawner->link.fd, .events = POLLIN}};
        if (poll(fds, array_len(fds), -1) < 0 && errno != EINTR)
            return err_set(err, errno, "poll");
        reap_workers(spawner);
        if (spawner->link.fd < 0 || fds[1].revents == 0)
            continue;
        enum ipc_result got = ipc_recv(&spawner->link, &in, false, err);
        if (got == IPC_ERROR)
            return -1;
        if (got == IPC_EOF)
            ipc_close(&spawner->link);
        else if (got == IPC_OK && spawner_on_req_spawn(spawner, &in, err) < 0)
            return -1;
    }
    return 0;
}

/* Who started the master must not wait for our end of its pipes. */
static int let_go_of_output(struct err *err)
{
#ifdef POSTERN_SANITIZE
    /* A sanitizer's report has to go somewhere. */
    (void)err;
    return 0;
#else
    cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(null_fd, 2) < 0)
        return err_set(err, errno, "/dev/null");
    return 0;
#endif
}

static int prepare_process(struct spawner *spawner, int link_fd, struct err *err)
{
    if (dup3(link_fd, LINK_FD, O_CLOEXEC) < 0 && link_fd != LINK_FD)
        return err_set(err, errno, "dup3");
    spawner->link.fd = LINK_FD;
    if (close_range(LINK_FD + 1, ~0U, 0) < 0)
        return err_set(err, errno, "close_range");
    (void)prctl(PR_SET_NAME, "postern-spawner");
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_set(err, errno, "PR_SET_DUMPABLE");
    /* The master's 077 would hide from tenants what sandboxes are made of. */
    umask(022);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    /* The terminal's Ctrl-C and a group's SIGTERM are the master's to judge. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0)
        return err_set(err, errno, "sigprocmask");
    spawner->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (spawner->signal_fd < 0)
        return err_set(err, errno, "signalfd");
    if (let_go_of_output(err) < 0)
        return -1;
    if (leave_network(spawner->policy, err) < 0)
        return -1;
    return netns_pool_open(&spawner->networks, err);
}

static void spawner_main(const struct policy *policy, int link_fd) __attribute__((noreturn));

static void spawner_main(const struct policy *policy, int link_fd)
{
    struct spawner spawner = {
        .policy = policy,
        .link = {.fd = link_fd, .link = LINK_SPAWNER, .self = FROM_PEER, .state = STATE_STARTING},
        .signal_fd = -1,
        .maps = EGRESS_NO_MAPS,
    };
    struct err err = {0};
    /* Each exec is a fork of this process: what it has in memory should be little, or shared. */
    (void)policy_freeze(policy);
    (void)malloc_trim(0);
    if (prepare_process(&spawner, link_fd, &err) < 0 || build_templates(&spawner, &err) < 0) {
        struct ipc_msg failed = {.type = MSG_SPAWNER_FAILED, .spawner_failed = {.text = err.text}};
        (void)ipc_send(&spawner.link, &failed, NULL, 0, true, NULL);
        _exit(1);
    }
    struct ipc_msg ready = {.type = MSG_SPAWNER_READY};
    if (ipc_send(&spawner.link, &ready, &spawner.maps.ring, spawner.maps.ring >= 0, true, &err) !=
        IPC_OK)
        _exit(1);
    spawner.link.state = STATE_READY;
    _exit(serve(&spawner, &err) < 0 ? 1 : 0);
}

int spawner_start(const struct policy *policy, struct ipc *link, pid_t *pid, struct err *err)
{
    int fds[2];
    if (ipc_pair(fds, err) < 0)
        return err_wrap(err, "spawner");
    *pid = fork();
    if (*pid < 0) {
        err_set(err, errno, "fork spawner");
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    if (*pid == 0)
        spawner_main(policy, fds[1]);
    close(fds[1]);
    *link = (struct ipc){
        .fd = fds[0], .link = LINK_SPAWNER, .self = FROM_MASTER, .state = STATE_STARTING};
    return 0;
}
