/* What postern doctor makes of a host: every finding from facts that were made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diag.h"
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { NOW = 1790000000 };

static struct tenant tenants[2];
static struct sandbox_spec sandboxes[1];
static struct policy policy;

/* A host on which nothing is amiss. */
static struct facts healthy(void)
{
    static char user[] = "_postern", session[] = "/usr/libexec/postern/postern-session",
                state[] = "/var/lib/postern", box[] = "box";
    struct facts facts = {
        .is_root = true,
        .kernel = {.release = "6.1.0-18-amd64",
                   .machine = "x86_64",
                   .major = 6,
                   .minor = 1,
                   .landlock_abi = 6,
                   .lsms = "lockdown,capability,landlock,yama",
                   .seccomp_actions = "kill_process kill_thread trap errno user_notif trace log "
                                      "allow",
                   .cgroup_bpf = YES,
                   .has_tmpfs = true},
        .host = {.core_pattern = "core",
                 .apparmor = YES,
                 .selinux = -1,
                 .has_systemd = true,
                 .unit = YES,
                 .unit_delegate = YES,
                 .now = NOW,
                 .clock_synced = YES,
                 .libssh = "0.10.6-0+deb12u3",
                 .libssh_fixed = YES,
                 .seccomp_version = {2, 5, 4},
                 .openssl = "OpenSSL 3.0.17"},
        .process = {.nofile = 20000, .nproc = SPEC_INFINITY, .memlock = 8 << 20},
        .server = {.config = "/etc/postern/postern.ini",
                   .policy = &policy,
                   .host_limits = {.controllers = CGROUP_ALL},
                   .keys = {{.path = "/k", .mode = S_IFREG | 0600, .type = "ssh-ed25519"}},
                   .n_keys = 1,
                   .has_user = true,
                   .user = 990,
                   .ports = {{.host = "0.0.0.0", .port = 2222}},
                   .n_ports = 1,
                   .n_recorded = 2},
    };
    sandboxes[0] = (struct sandbox_spec){
        .name = box, .tasks = 256, .workspace = WORKSPACE_KEPT, .workspace_size = 1 << 30};
    policy = (struct policy){
        .server = {.user = user,
                   .session_path = session,
                   .state_dir = state,
                   .max_connections = 1000},
        .tenants = tenants,
        .n_tenants = 2,
        .sandboxes = sandboxes,
        .n_sandboxes = 1,
    };
    return facts;
}

static struct findings judge(const struct facts *facts)
{
    struct findings findings = {0};
    doctor_judge_kernel(facts, &findings);
    doctor_judge_settings(facts, &findings);
    doctor_judge_host(facts, &findings);
    doctor_judge_server(facts, &findings);
    assert_false(findings.failed);
    return findings;
}

/* The one finding that isn't ok, with all that is to be in it. */
static void expect(const struct facts *facts, enum grade grade, const char *check, const char *text,
                   const char *remedy)
{
    struct findings findings = judge(facts);
    const struct finding *found = NULL;
    for (size_t i = 0; i < findings.n; i++) {
        const struct finding *f = &findings.items[i];
        if (f->grade == GRADE_OK)
            continue;
        if (found != NULL)
            fail_msg("both '%s' and '%s'", found->text, f->text);
        found = f;
        assert_true(f->area[0] != '\0' && f->check[0] != '\0');
    }
    if (found == NULL)
        fail_msg("nothing of %s", check);
    else if (found->grade != grade || strcmp(found->check, check) != 0 ||
             strstr(found->text, text) == NULL || strstr(found->remedy, remedy) == NULL)
        fail_msg("%d %s: '%s' -> '%s'", (int)found->grade, found->check, found->text,
                 found->remedy);
    findings_free(&findings);
}

static void expect_ok(const struct facts *facts, const char *text)
{
    struct findings findings = judge(facts);
    bool found = false;
    for (size_t i = 0; i < findings.n; i++) {
        if (findings.items[i].grade != GRADE_OK)
            fail_msg("'%s'", findings.items[i].text);
        found |= strstr(findings.items[i].text, text) != NULL ||
                 strstr(findings.items[i].meaning, text) != NULL;
    }
    assert_true(found);
    findings_free(&findings);
}

static void test_healthy(void **state)
{
    (void)state;
    struct facts f = healthy();
    expect_ok(&f, "Linux 6.1.0-18-amd64, x86_64");
    expect_ok(&f, "host key /k: ssh-ed25519");
    expect_ok(&f, "0.0.0.0:2222 is free");
    expect_ok(&f, "memory, pids, cpu and io");
    expect_ok(&f, "20000 files at most: 3387 commands and 1000 connections at once");
    expect_ok(&f, "/var/lib/postern/uids keeps 2 uids");
}

static void test_kernel(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.kernel.major = 5;
    f.kernel.minor = 15;
    expect(&f, GRADE_WARNING, "release", "Linux", "newer kernel");
    f.kernel.minor = 13;
    expect(&f, GRADE_PROBLEM, "release", "Linux", "newer kernel");
    f = healthy();
    f.kernel.landlock_abi = -1;
    f.kernel.landlock_errno = EOPNOTSUPP;
    (void)snprintf(f.kernel.lsms, sizeof f.kernel.lsms, "yama,apparmor");
    expect(&f, GRADE_PROBLEM, "landlock", "not turned on", "boot with lsm=landlock,yama,apparmor");
    f.kernel.landlock_errno = ENOSYS;
    expect(&f, GRADE_PROBLEM, "landlock", "not in this kernel", "CONFIG_SECURITY_LANDLOCK");
    f = healthy();
    f.kernel.landlock_abi = 2;
    expect_ok(&f, "with network = host nothing does");
    f = healthy();
    (void)snprintf(f.kernel.seccomp_actions, sizeof f.kernel.seccomp_actions,
                   "kill_process errno user_notification allow");
    expect(&f, GRADE_PROBLEM, "seccomp", "no action user_notif", "CONFIG_SECCOMP_FILTER");
    f.kernel.seccomp_actions[0] = '\0';
    expect(&f, GRADE_UNKNOWN, "seccomp", "can't be seen", "");
    f = healthy();
    f.kernel.cgroup_bpf = NO;
    expect(&f, GRADE_WARNING, "cgroup-bpf", "no programs", "CONFIG_CGROUP_BPF");
    f.kernel.cgroup_bpf = UNSEEN;
    expect(&f, GRADE_UNKNOWN, "cgroup-bpf", "root alone", "sudo postern doctor");
    f = healthy();
    (void)snprintf(f.kernel.missing_namespaces, sizeof f.kernel.missing_namespaces, "pid net");
    expect(&f, GRADE_PROBLEM, "namespaces", "of kind: pid net", "sysctl");
    f = healthy();
    f.kernel.has_tmpfs = false;
    expect(&f, GRADE_PROBLEM, "tmpfs", "no tmpfs", "");
}

static void test_security_modules(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.host.selinux = 1;
    expect(&f, GRADE_WARNING, "selinux", "enforcing", "ausearch");
    f.host.selinux = 0;
    expect_ok(&f, "permissive");
    f = healthy();
    f.process.posternd = 7;
    (void)snprintf(f.process.profile, sizeof f.process.profile, "unconfined");
    expect_ok(&f, "does not confine posternd");
    (void)snprintf(f.process.profile, sizeof f.process.profile, "/usr/sbin/posternd (enforce)");
    expect(&f, GRADE_WARNING, "apparmor", "confined by AppArmor: /usr/sbin/posternd (enforce)",
           "aa-complain");
    f = healthy();
    f.host.apparmor = NO;
    expect_ok(&f, "AppArmor is off");
}

static void set(struct facts *f, const char *name, int64_t value, bool is_there)
{
    f->host.sysctls[0] = (struct sysctl_fact){.name = name, .value = value, .is_there = is_there};
    f->host.n_sysctls = 1;
}

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t good, bad;
        enum grade grade;
        const char *remedy;
    } cases[] = {
        {"kernel/kptr_restrict", 1, 0, GRADE_WARNING, "sysctl -w kernel.kptr_restrict=1 "},
        {"kernel/dmesg_restrict", 1, 0, GRADE_WARNING, "sysctl -w kernel.dmesg_restrict=1 "},
        {"kernel/yama/ptrace_scope", 3, 0, GRADE_WARNING, "sysctl -w kernel.yama.ptrace_scope=1 "},
        {"kernel/unprivileged_bpf_disabled", 2, 0, GRADE_WARNING, "_disabled=1 "},
        {"kernel/perf_event_paranoid", 3, -1, GRADE_WARNING, "kernel.perf_event_paranoid=2 "},
        {"vm/unprivileged_userfaultfd", 0, 1, GRADE_WARNING, "vm.unprivileged_userfaultfd=0 "},
        {"vm/panic_on_oom", 0, 1, GRADE_PROBLEM, "vm.panic_on_oom=0 "},
        {"vm/overcommit_memory", 1, 2, GRADE_WARNING, "vm.overcommit_memory=0 "},
        {"fs/protected_symlinks", 1, 0, GRADE_WARNING, "fs.protected_symlinks=1 "},
        {"fs/protected_hardlinks", 1, 0, GRADE_WARNING, "fs.protected_hardlinks=1 "},
        {"fs/suid_dumpable", 0, 2, GRADE_WARNING, "fs.suid_dumpable=0 "},
        {"kernel/pid_max", 32768, 4096, GRADE_WARNING, "kernel.pid_max=4194304 "},
    };
    struct facts f = healthy();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set(&f, cases[i].name, cases[i].good, true);
        expect_ok(&f, " = ");
        set(&f, cases[i].name, cases[i].bad, true);
        expect(&f, cases[i].grade, cases[i].name, " = ", cases[i].remedy);
        set(&f, cases[i].name, cases[i].bad, false);
        expect_ok(&f, "kernel.core_pattern = core");
    }
    set(&f, "user/max_user_namespaces", 0, true);
    expect_ok(&f, "user namespaces are closed to");
    set(&f, "kernel/unprivileged_userns_clone", 1, true);
    expect_ok(&f, "user namespaces are open to");
    (void)snprintf(f.host.core_pattern, sizeof f.host.core_pattern, "|/x \033[1m");
    expect_ok(&f, "kernel.core_pattern = |/x \\x1b[1m");
    expect_ok(&f, "none of sandboxes");
}

static void test_cgroups(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.server.host_limits =
        (struct host_limits){.controllers = CGROUP_PIDS, .why = "no memory", .remedy = "boot it"};
    expect(&f, GRADE_WARNING, "controllers", "no memory", "boot it");
    f = healthy();
    f.host.unit_delegate = NO;
    expect(&f, GRADE_WARNING, "delegation", "does not say Delegate=yes", "systemctl edit postern");
    f.host.unit = NO;
    expect(&f, GRADE_WARNING, "delegation", "no unit", "-p Delegate=yes");
    policy.server.cgroup = (char *)"/sys/fs/cgroup/postern";
    expect_ok(&f, "[server] cgroup = /sys/fs/cgroup/postern");
    f = healthy();
    f.host.has_systemd = false;
    expect_ok(&f, "systemd does not run here");
}

static void test_limits(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.process.nofile = 1024;
    expect(&f, GRADE_WARNING, "open-files", "1024 files at most: 96 commands and 160 connections",
           "ulimit -n 8064");
    f.process.nofile = 100;
    expect(&f, GRADE_PROBLEM, "open-files", "3 commands", "LimitNOFILE=");
    f.process.nofile = SPEC_INFINITY;
    expect_ok(&f, "1048576 files at most");
    f.process.nproc = 255;
    expect(&f, GRADE_WARNING, "processes", "255 processes of a user at most", "ulimit -u 256");
    f = healthy();
    f.process.memlock = 65535;
    expect(&f, GRADE_WARNING, "locked-memory", "65535 bytes", "ulimit -l 64");
}

static void test_libraries_and_clock(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.host.libssh_fixed = NO;
    expect(&f, GRADE_PROBLEM, "libssh", "libssh 0.10.6", "apt install libssh-4");
    f.host.libssh[0] = '\0';
    expect(&f, GRADE_UNKNOWN, "libssh", "no Debian package", "CVE-2026-59847");
    f = healthy();
    f.host.seccomp_version[2] = 3;
    expect(&f, GRADE_WARNING, "libseccomp", "libseccomp 2.5.3", "apt install libseccomp2");
    f = healthy();
    f.host.clock_synced = NO;
    expect(&f, GRADE_WARNING, "time", "nothing keeps the clock right", "timedatectl");
    f.host.now = 3600;
    expect(&f, GRADE_PROBLEM, "time", "years behind", "timedatectl");
}

static void test_policy(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.server.policy = NULL;
    f.server.config_error = EACCES;
    expect(&f, GRADE_UNKNOWN, "policy", "for root alone", "sudo postern doctor");
    f.server.config_error = ENOENT;
    expect(&f, GRADE_PROBLEM, "policy", "No such file", "-f");
    f.server.config_error = 0;
    f.server.policy_errors = 3;
    expect(&f, GRADE_PROBLEM, "policy", "has 3 errors",
           "postern check -f /etc/postern/postern.ini");
    f = healthy();
    struct diag diag = {.grade = DIAG_ERROR, .file = (char *)"p.ini", .line = 7, .text = "memory"};
    struct diags diags = {.items = &diag, .n = 1};
    f.server.limits = &diags;
    expect(&f, GRADE_PROBLEM, "limits", "p.ini:7: memory", "");
    diag.grade = DIAG_WARNING;
    expect(&f, GRADE_WARNING, "limits", "p.ini:7: memory", "");
}

static void test_user(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.server.user = 0;
    expect(&f, GRADE_PROBLEM, "user", "is root", "adduser --system");
    f.server.has_user = false;
    expect(&f, GRADE_PROBLEM, "user", "does not exist", "adduser --system");
    f = healthy();
    policy.server.user = (char *)"nobody";
    expect(&f, GRADE_WARNING, "user", "of other services", "adduser --system");
}

static void test_host_keys(void **state)
{
    (void)state;
    struct facts f = healthy();
    struct key_fact *key = &f.server.keys[0];
    key->mode = S_IFREG | 0640;
    expect(&f, GRADE_PROBLEM, "host-key", "mode 0640", "chmod 600 /k");
    key->mode = S_IFREG | 0600;
    key->owner = 7;
    expect(&f, GRADE_PROBLEM, "host-key", "owned by uid 7", "chown root /k");
    key->owner = 0;
    (void)snprintf(key->problem, sizeof key->problem, "has a passphrase");
    expect(&f, GRADE_PROBLEM, "host-key", "/k has a passphrase", "ssh-keygen -p");
    key->problem[0] = '\0';
    (void)snprintf(key->type, sizeof key->type, "ssh-rsa");
    expect(&f, GRADE_WARNING, "host-key-types", "no ed25519", "ssh-keygen");
    f.server.n_keys = 0;
    expect(&f, GRADE_PROBLEM, "host-key", "there is no host key", "ssh-keygen");
    f = healthy();
    f.is_root = false;
    f.server.keys[0].type[0] = '\0';
    expect_ok(&f, "as it should be");
    f.server.keys[0].error = EACCES;
    expect(&f, GRADE_UNKNOWN, "host-key", "root alone", "");
}

static void test_ports(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.server.ports[0] = (struct port_fact){.host = "::1", .port = 22, .error = EADDRINUSE};
    expect(&f, GRADE_PROBLEM, "listen", "[::1]:22: Address already in use", "sport = :22");
    f.process.posternd = 77;
    expect_ok(&f, "[::1]:22 is taken; a posternd runs (process 77)");
    f.server.ports[0].error = EACCES;
    expect(&f, GRADE_UNKNOWN, "listen", "root alone", "sudo");
    f.server.ports[0].error = EADDRNOTAVAIL;
    expect(&f, GRADE_PROBLEM, "listen", "Cannot assign", "ip addr");
}

static void test_files(void **state)
{
    (void)state;
    struct facts f = healthy();
    f.server.session_error = ENOENT;
    expect(&f, GRADE_PROBLEM, "session-path", "postern-session: No such file", "session-path =");
    f = healthy();
    f.server.audit_error = ENOENT;
    f.server.audit = "/var/log/postern/audit.log";
    expect(&f, GRADE_PROBLEM, "audit", "audit.log", "mkdir");
    f = healthy();
    f.server.record_error = EINVAL;
    expect(&f, GRADE_PROBLEM, "uids", "can't be used", "postern check");
    f.server.record_error = EACCES;
    expect(&f, GRADE_UNKNOWN, "uids", "can't be used", "postern check");
    f.server.record_error = ENOENT;
    expect_ok(&f, "is not there yet");
    f = healthy();
    f.server.n_gone = 1;
    (void)snprintf(f.server.gone, sizeof f.server.gone, "old");
    expect_ok(&f, "1 of them for tenants that are gone, such as 'old'");
}

static void test_places(void **state)
{
    (void)state;
    struct facts f = healthy();
    struct place_fact *place = &f.server.places[0];
    f.server.n_places = 1;
    *place = (struct place_fact){.sandbox = &sandboxes[0],
                                 .dir = "/srv/ci",
                                 .mode = S_IFDIR | 0755,
                                 .is_nosuid = true,
                                 .quotas = YES};
    expect_ok(&f, "/srv/ci has project quotas, for sandbox 'box'");
    place->quotas = NO;
    expect(&f, GRADE_PROBLEM, "workspace-size", "which workspace-size of sandbox 'box' needs",
           "prjquota");
    place->quotas = UNSEEN;
    expect(&f, GRADE_UNKNOWN, "workspace-size", "root alone", "");
    sandboxes[0].workspace_size = SPEC_INFINITY;
    expect(&f, GRADE_WARNING, "workspace-size", "of any size", "tune2fs");
    place->quotas = YES;
    expect(&f, GRADE_WARNING, "workspace-size", "of any size", "such as 10G");
    sandboxes[0].workspace_size = 1 << 30;
    place->is_nosuid = false;
    expect(&f, GRADE_WARNING, "nosuid", "without nosuid", "nosuid,nodev");
    place->is_nosuid = true;
    place->mode |= S_IWGRP;
    expect(&f, GRADE_PROBLEM, "workspace", "mode 0775", "chmod go-w /srv/ci");
    place->error = ENOENT;
    expect(&f, GRADE_PROBLEM, "workspace", "No such file", "mkdir -m 755 -p /srv/ci");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_security_modules),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_cgroups),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_libraries_and_clock),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_host_keys),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
