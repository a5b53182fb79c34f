#include "sandbox.h"

#include "binds.h"
#include "cleanup.h"
#include "drop.h"
#include "devpts.h"
#include "worker.h"
#include "workspace.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As fork(2), but into namespaces and a cgroup of its own: no process of a sandbox is ever outside
 * of them, and a cgroup namespace has the cgroup as its root. */
static pid_t clone_worker(const struct sandbox_spec *spec, const struct sandbox_job *job,
                          int *pidfd)
{
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                 CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (!SPEC_SHARES_NETWORK(spec) && !job->in_network)
        args.flags |= CLONE_NEWNET;
    if (job->has_cgroup) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)job->cgroup;
    }
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Dropping each of some forty capabilities costs a worker more than all its mounts but one. */
static void prepare_caller(void)
{
    static bool prepared;
    if (!prepared)
        drop_bounding_early();
    prepared = true;
}

/* Before there is a process that they are for. */
static int attach_programs(const struct sandbox_template *tpl, const struct sandbox_job *job,
                           struct err *err)
{
    if (tpl->spec->network != NETWORK_EGRESS)
        return 0;
    if (!job->has_cgroup)
        return err_set(err, 0, "sandbox '%s': network = egress without a cgroup", tpl->spec->name);
    if (egress_attach(tpl->egress, job->cgroup, err) < 0)
        return err_wrap(err, "sandbox '%s'", tpl->spec->name);
    return 0;
}

int sandbox_spawn(const struct sandbox_template *tpl, const struct sandbox_job *job, pid_t *pid,
                  int *pidfd, int *terminal, struct err *err)
{
    *pidfd = -1;
    if (attach_programs(tpl, job, err) < 0)
        return -1;
    prepare_caller();
    cleanup_fd int workspace = -1, devpts = -1, outside = -1;
    bool opened = workspace_open(tpl, job, &workspace, err) == 0;
    /* Cloned from there the copy is cheap; from the host's namespace it would copy every mount. And
     * whoever stayed in what a connection shares would keep it. */
    if (setns(tpl->mnt_ns, CLONE_NEWNS) < 0)
        return err_set(err, errno, "sandbox '%s': setns", tpl->spec->name);
    if (!opened)
        return -1;
    if (binds_hide_again(tpl->spec, err) < 0 || devpts_make(job, &devpts, &outside, err) < 0)
        return err_wrap(err, "sandbox '%s'", tpl->spec->name);
    /* No signal may find the child with the caller's state. The worker sets a mask of its own. */
    sigset_t all, old;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &old) < 0)
        return err_set(err, errno, "sigprocmask");
    *pid = clone_worker(tpl->spec, job, pidfd);
    int num = errno;
    if (*pid == 0)
        worker_run(tpl, job, workspace, devpts);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (*pid < 0) {
        /* The kernel has written a number that it took back when the cgroup had no room. */
        *pidfd = -1;
        return err_set(err, num, "sandbox '%s': clone3", tpl->spec->name);
    }
    if (terminal != NULL)
        *terminal = steal_fd(&outside);
    return 0;
}
