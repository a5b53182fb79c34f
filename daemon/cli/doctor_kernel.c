#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AREA "kernel"

static bool is_older(const struct kernel_facts *kernel, unsigned major, unsigned minor)
{
    return kernel->major < major || (kernel->major == major && kernel->minor < minor);
}

static void judge_release(const struct kernel_facts *kernel, struct findings *out)
{
    enum grade grade = is_older(kernel, 5, 14)  ? GRADE_PROBLEM
                       : is_older(kernel, 6, 1) ? GRADE_WARNING
                                                : GRADE_OK;
    finding_add(out, grade, AREA, "release", "Linux %s, %s", kernel->release, kernel->machine);
    if (grade == GRADE_OK)
        return;
    finding_mean(out, "%s",
                 grade == GRADE_PROBLEM
                     ? "it lacks mount_setattr, quotactl_fd, cgroup.kill or Landlock: sandboxes "
                       "can't be built"
                     : "Postern is tested from Linux 6.1 on");
    finding_remedy(out, "boot a newer kernel: apt install linux-image-amd64");
}

static void judge_landlock(const struct kernel_facts *kernel, struct findings *out)
{
    if (kernel->landlock_abi < 1) {
        bool is_off = kernel->landlock_errno == EOPNOTSUPP;
        finding_add(out, GRADE_PROBLEM, AREA, "landlock", "Landlock is %s",
                    is_off ? "built in but not turned on" : "not in this kernel");
        finding_mean(out, "no sandbox starts without it: no layer is optional");
        if (is_off)
            finding_remedy(out, "boot with lsm=landlock,%s",
                           kernel->lsms[0] != '\0' ? kernel->lsms : "yama,apparmor");
        else
            finding_remedy(out, "boot a kernel that has CONFIG_SECURITY_LANDLOCK");
        return;
    }
    finding_add(out, GRADE_OK, AREA, "landlock", "Landlock, ABI %d", kernel->landlock_abi);
    if (kernel->landlock_abi < 6)
        finding_mean(out,
                     "from ABI 6 (Linux 6.12) on it also keeps abstract sockets and signals in; "
                     "here the namespaces alone do, and with network = host nothing does");
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
        if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    return false;
}

static void judge_seccomp(const struct kernel_facts *kernel, struct findings *out)
{
    static const char *const needed[] = {"kill_process", "errno", "user_notif", "allow"};
    const char *actions = kernel->seccomp_actions;
    if (actions[0] == '\0') {
        finding_add(out, GRADE_UNKNOWN, AREA, "seccomp",
                    "whether seccomp has user notification can't be seen");
        finding_remedy(out, "look at /proc/sys/kernel/seccomp/actions_avail");
        return;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (has_word(actions, needed[i]))
            continue;
        finding_add(out, GRADE_PROBLEM, AREA, "seccomp", "seccomp has no action %s", needed[i]);
        finding_mean(out, "system calls can't be refused and explained: no sandbox starts");
        finding_remedy(out, "boot a kernel that has CONFIG_SECCOMP_FILTER");
        return;
    }
    finding_add(out, GRADE_OK, AREA, "seccomp", "seccomp filters, with user notification");
}

static void judge_bpf(const struct kernel_facts *kernel, struct findings *out)
{
    if (kernel->cgroup_bpf == YES) {
        finding_add(out, GRADE_OK, AREA, "cgroup-bpf", "programs for the network of a cgroup");
    } else if (kernel->cgroup_bpf == NO) {
        finding_add(out, GRADE_WARNING, AREA, "cgroup-bpf",
                    "no programs for the network of a cgroup (cgroup BPF)");
        finding_mean(out, "rules for the addresses that commands may connect to can't be enforced");
        finding_remedy(out, "boot a kernel that has CONFIG_CGROUP_BPF");
    } else {
        finding_add(out, GRADE_UNKNOWN, AREA, "cgroup-bpf",
                    "whether a cgroup's network can have programs is for root alone to see");
        finding_remedy(out, "sudo postern doctor");
    }
}

static void judge_namespaces(const struct kernel_facts *kernel, struct findings *out)
{
    if (kernel->missing_namespaces[0] == '\0') {
        finding_add(out, GRADE_OK, AREA, "namespaces", "all namespaces that sandboxes have");
        return;
    }
    finding_add(out, GRADE_PROBLEM, AREA, "namespaces", "no namespaces of kind: %s",
                kernel->missing_namespaces);
    finding_mean(out, "no sandbox starts without them");
    finding_remedy(out, "sysctl user | grep max_.*_namespaces  # which is 0?");
}

static void judge_user_namespaces(const struct facts *facts, struct findings *out)
{
    bool are_open = true;
    for (size_t i = 0; i < facts->host.n_sysctls; i++) {
        const struct sysctl_fact *s = &facts->host.sysctls[i];
        bool is_one = strcmp(s->name, "user/max_user_namespaces") == 0 ||
                      strcmp(s->name, "kernel/unprivileged_userns_clone") == 0;
        are_open &= !(is_one && s->is_there && s->value == 0);
    }
    finding_add(out, GRADE_OK, AREA, "user-namespaces", "user namespaces are %s ordinary users",
                are_open ? "open to" : "closed to");
    finding_mean(out, "commands in sandboxes can't make any in either case: no profile allows it");
    if (are_open)
        finding_remedy(out, "if nothing else on this host needs them: sysctl -w "
                            "user.max_user_namespaces=0");
}

static void judge_modules(const struct facts *facts, struct findings *out)
{
    const char *profile = facts->process.profile;
    bool is_confined = profile[0] != '\0' && strncmp(profile, "unconfined", 10) != 0 &&
                       strcmp(profile, "kernel") != 0;
    if (facts->host.selinux >= 0) {
        finding_add(out, facts->host.selinux == 1 ? GRADE_WARNING : GRADE_OK, AREA, "selinux",
                    "SELinux is %s", facts->host.selinux == 1 ? "enforcing" : "permissive");
        finding_mean(out, "Postern brings no module for it, and its mounts and changes of user may "
                          "be refused");
        finding_remedy(out, "ausearch -m avc -c posternd -c postern-session -c worker");
    }
    if (facts->host.apparmor != YES) {
        finding_add(out, GRADE_OK, AREA, "apparmor", "AppArmor is off: Postern needs none");
    } else if (is_confined && facts->host.selinux < 0) {
        finding_add(out, GRADE_WARNING, AREA, "apparmor", "posternd is confined by AppArmor: %s",
                    profile);
        finding_mean(out, "a profile that is not made for it refuses mounts and changes of user, "
                          "and commands inherit it");
        finding_remedy(out, "aa-complain posternd; journalctl -k -g apparmor=.DENIED");
    } else {
        finding_add(out, GRADE_OK, AREA, "apparmor", "AppArmor is on%s",
                    facts->process.posternd != 0 && profile[0] != '\0'
                        ? ", and does not confine posternd"
                        : "");
    }
}

void doctor_judge_kernel(const struct facts *facts, struct findings *out)
{
    const struct kernel_facts *kernel = &facts->kernel;
    judge_release(kernel, out);
    judge_landlock(kernel, out);
    judge_seccomp(kernel, out);
    judge_bpf(kernel, out);
    judge_namespaces(kernel, out);
    if (!kernel->has_tmpfs) {
        finding_add(out, GRADE_PROBLEM, AREA, "tmpfs", "no tmpfs");
        finding_mean(out, "private directories are made of it: no sandbox starts");
    }
    judge_user_namespaces(facts, out);
    judge_modules(facts, out);
}
