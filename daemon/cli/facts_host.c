#include "facts.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIBSSH_FLOOR "0.10.6-0+deb12u3"

static const char *const sysctls[] = {
    "kernel/kptr_restrict",
    "kernel/dmesg_restrict",
    "kernel/yama/ptrace_scope",
    "kernel/unprivileged_bpf_disabled",
    "kernel/perf_event_paranoid",
    "kernel/unprivileged_userns_clone",
    "user/max_user_namespaces",
    "vm/unprivileged_userfaultfd",
    "vm/panic_on_oom",
    "vm/overcommit_memory",
    "fs/protected_symlinks",
    "fs/protected_hardlinks",
    "fs/suid_dumpable",
    "kernel/pid_max",
};
_Static_assert(array_len(sysctls) <= SYSCTLS_MAX, "room for all");

static void look_at_sysctls(struct host_facts *facts)
{
    for (size_t i = 0; i < array_len(sysctls); i++) {
        char path[96], line[64], *end;
        struct sysctl_fact *sysctl = &facts->sysctls[facts->n_sysctls++];
        (void)snprintf(path, sizeof path, "/proc/sys/%s", sysctls[i]);
        (void)facts_read_line(path, line, sizeof line);
        sysctl->name = sysctls[i];
        sysctl->value = strtoll(line, &end, 10);
        sysctl->is_there = end != line;
    }
}

static void look_at_security_modules(struct host_facts *facts)
{
    char line[16];
    (void)facts_read_line("/sys/module/apparmor/parameters/enabled", line, sizeof line);
    facts->apparmor = line[0] == 'Y' ? YES : NO;
    (void)facts_read_line("/sys/fs/selinux/enforce", line, sizeof line);
    facts->selinux = line[0] == '\0' ? -1 : line[0] == '1';
}

static bool says_delegate(const char *path)
{
    cleanup_file FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Delegate=", 9) == 0)
            found = strncmp(line + 9, "no", 2) != 0 && strncmp(line + 9, "false", 5) != 0 &&
                    line[9] != '0' && line[9] != '\n';
    return found;
}

static void look_at_unit(struct host_facts *facts)
{
    static const char *const places[] = {
        "/etc/systemd/system/postern.service", "/run/systemd/system/postern.service",
        "/usr/local/lib/systemd/system/postern.service", "/lib/systemd/system/postern.service"};
    facts->has_systemd = access("/run/systemd/system", F_OK) == 0;
    facts->has_cgroup1 = access("/sys/fs/cgroup/memory", F_OK) == 0;
    facts->unit = facts->unit_delegate = NO;
    for (size_t i = 0; i < array_len(places); i++) {
        if (access(places[i], F_OK) < 0)
            continue;
        facts->unit = YES;
        facts->unit_delegate = says_delegate(places[i]) ? YES : NO;
        return;
    }
}

static void look_at_clock(struct host_facts *facts)
{
    struct timex state = {0};
    int status = adjtimex(&state);
    facts->now = time(NULL);
    facts->clock_synced = status < 0 ? UNSEEN : status == TIME_ERROR ? NO : YES;
}

/* Runs a program of the system's to its end. Returns its exit status with the first line that it
 * prints, or -1. */
static int ask(char *const argv[], char *buf, size_t len)
{
    static char *const envp[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C",
                                 NULL};
    int fds[2], status = -1;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    buf[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawn(&pid, argv[0], &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    if (out != NULL) {
        if (failed == 0 && fgets(buf, (int)len, out) == NULL)
            buf[0] = '\0';
        (void)fclose(out);
    }
    buf[strcspn(buf, "\n")] = '\0';
    if (failed != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* Upstream's number doesn't tell what is mended; the package's does. */
static void look_at_libraries(struct host_facts *facts)
{
    char *const query[] = {(char *)"/usr/bin/dpkg-query", (char *)"-W", (char *)"-f=${Version}",
                           (char *)"libssh-4", NULL};
    char *const compare[] = {(char *)"/usr/bin/dpkg", (char *)"--compare-versions",
                             facts->libssh,           (char *)"ge",
                             (char *)LIBSSH_FLOOR,    NULL};
    char line[16];
    const struct scmp_version *version = seccomp_version();
    if (ask(query, facts->libssh, sizeof facts->libssh) != 0)
        facts->libssh[0] = '\0';
    if (facts->libssh[0] != '\0') {
        int status = ask(compare, line, sizeof line);
        facts->libssh_fixed = status == 0 ? YES : status == 1 ? NO : UNSEEN;
    }
    if (version != NULL) {
        facts->seccomp_version[0] = version->major;
        facts->seccomp_version[1] = version->minor;
        facts->seccomp_version[2] = version->micro;
    }
    (void)snprintf(facts->openssl, sizeof facts->openssl, "%s", OpenSSL_version(OPENSSL_VERSION));
}

void facts_look_at_host(struct host_facts *facts)
{
    *facts = (struct host_facts){0};
    look_at_sysctls(facts);
    (void)facts_read_line("/proc/sys/kernel/core_pattern", facts->core_pattern,
                          sizeof facts->core_pattern);
    look_at_security_modules(facts);
    look_at_unit(facts);
    look_at_clock(facts);
    look_at_libraries(facts);
}
