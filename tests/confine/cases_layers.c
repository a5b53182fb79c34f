/* What confines an exec, and that none of it may fail unnoticed. */
#include "cases.h"
#include "cleanup.h"
#include "harness.h"
#include "notes.h"
#include "profile_file.h"
#include "syscalls.h"

#include <errno.h>
#include <grp.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *const probe[] = {TEST_BIN "/postern-probe", NULL};

static void expect_success(const struct outcome *out)
{
    if (!out->ended || out->exit.signalled || out->exit.code != 0)
        (void)fprintf(stderr, "%s", out->output);
    CHECK(out->ended && !out->exit.signalled);
    CHECK_INT(out->exit.code, 0);
}

static void holds_every_property(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run(&tpl, probe, &out);
    expect_success(&out);
    sandbox_template_free(&tpl);
}

/* The daemon's ways are set as badly as they can be. */
static void inherits_nothing(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_template tpl = harness_prepare(&spec);
    FILE *oom = fopen("/proc/self/oom_score_adj", "we");
    if (oom != NULL) {
        (void)fputs("-900", oom);
        (void)fclose(oom);
    }
    const gid_t groups[] = {0, 4, 27};
    CHECK(setgroups(array_len(groups), groups) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, SIGALRM);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
    umask(0);
    CHECK(nice(5) != -1);
    CHECK(setenv("LD_PRELOAD", "/nowhere", 1) == 0);
    for (int fd = 200; fd < 210; fd++)
        CHECK(dup2(0, fd) == fd);
    struct outcome out;
    harness_run(&tpl, probe, &out);
    expect_success(&out);
    sandbox_template_free(&tpl);
}

static void has_loopback_if_asked(void)
{
    static const char line[] = "exec 3<>/dev/tcp/127.0.0.1/9";
    const char *const argv[] = {"bash", "-c", line, NULL};
    struct sandbox_spec spec = harness_spec();
    spec.network = NETWORK_LOOPBACK;
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run(&tpl, argv, &out);
    CHECK(out.ended && strstr(out.output, "refused") != NULL);
    sandbox_template_free(&tpl);
}

static void has_host_network_if_asked(void)
{
    const char *const interfaces[] = {"cat", "/proc/net/dev", NULL};
    const char *const abstract[] = {probe[0], "abstract-sockets", "sysv-ipc", "vsock", NULL};
    struct sandbox_spec spec = harness_spec();
    spec.network = NETWORK_HOST;
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run(&tpl, interfaces, &out);
    expect_success(&out);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi >= 6) { /* before, nothing but a network namespace keeps abstract sockets apart */
        harness_run(&tpl, abstract, &out);
        expect_success(&out);
    }
    sandbox_template_free(&tpl);
}

static void notes_refused_calls(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run_shell(&tpl, "unshare --user true; unshare --mount true; echo on", &out);
    CHECK(out.ended && out.exit.code == 0);
    CHECK(strstr(out.output, "Operation not permitted") != NULL);
    CHECK(strstr(out.output, "on\n") != NULL);
    CHECK_INT(out.n_notes, 2);
    CHECK_INT(out.notes[0].nr, SYS_unshare);
    CHECK_INT(out.notes[0].args[0], CLONE_NEWUSER);
    CHECK_INT(out.notes[1].args[0], CLONE_NEWNS);
    CHECK_INT(out.exit.untold, 0);
    /* The probe tries far more than eight kinds: eight are told, each once. */
    harness_run(&tpl, probe, &out);
    CHECK(out.ended);
    CHECK_INT(out.n_notes, 8);
    for (size_t i = 0; i < out.n_notes; i++)
        for (size_t k = i + 1; k < out.n_notes; k++)
            CHECK(memcmp(&out.notes[i], &out.notes[k], sizeof out.notes[i]) != 0);
    CHECK(out.exit.untold > 8 && out.exit.untold <= NOTES_SEEN_MAX - spec.notes);
    const unsigned others = out.exit.untold;
    spec.notes = 3;
    harness_run(&tpl, probe, &out);
    CHECK_INT(out.n_notes, 3);
    CHECK(out.exit.untold > others);
    sandbox_template_free(&tpl);
}

static void kills_by_rule(void)
{
    struct sandbox_spec spec = harness_spec();
    profile_file_answer(&spec.seccomp, "unshare", SECCOMP_ANSWER_KILL);
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    /* A child makes the call, and the whole exec ends for it. */
    harness_run_shell(&tpl, "sleep 1000 & echo before; unshare --user true; echo after", &out);
    CHECK(out.ended && out.exit.signalled);
    CHECK_INT(out.exit.code, SIGSYS);
    CHECK_INT(out.exit.call.nr, SYS_unshare);
    CHECK(strcmp(out.output, "before\n") == 0);
    sandbox_template_free(&tpl);
}

/* What an allow line can't open: namespaces stay closed where a profile names the calls. */
static void keeps_namespaces_closed(void)
{
    static const char *const opened[] = {"unshare", "setns", "clone3"};
    const char *const argv[] = {probe[0],       "clone-user",    "clone-mount", "clone3",
                                "unshare-user", "unshare-mount", "setns",       NULL};
    struct sandbox_spec spec = harness_spec();
    for (size_t i = 0; i < array_len(opened); i++)
        profile_file_answer(&spec.seccomp, opened[i], SECCOMP_ANSWER_ALLOW);
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run(&tpl, argv, &out);
    expect_success(&out);
    sandbox_template_free(&tpl);
}

struct fault {
    const char *call;
    long first_arg; /* -1: any */
    int answer;     /* errno; 0 makes the call lie: it "succeeds" and does nothing */
    enum report_stage stage;
};

static const struct fault faults[] = {
    {"fcntl", -1, EMFILE, STAGE_STDIO},
    {"dup3", -1, EMFILE, STAGE_STDIO},
    {"close_range", -1, EPERM, STAGE_STDIO},
    {"mount", -1, EPERM, STAGE_MOUNT},
    {"mount_setattr", -1, EPERM, STAGE_MOUNT},
    {"sethostname", -1, EPERM, STAGE_HOSTNAME},
    {"setdomainname", -1, EPERM, STAGE_HOSTNAME},
    {"setpriority", -1, EPERM, STAGE_RLIMIT},
    {"setsid", -1, EPERM, STAGE_RLIMIT},
    {"prlimit64", -1, EPERM, STAGE_RLIMIT},
    {"prctl", PR_CAPBSET_DROP, EPERM, STAGE_CAPS},
    {"prctl", PR_CAPBSET_DROP, 0, STAGE_CAPS},
    {"prctl", PR_CAP_AMBIENT, EPERM, STAGE_CAPS},
    {"prctl", PR_SET_SECUREBITS, EPERM, STAGE_CAPS},
    {"prctl", PR_SET_SECUREBITS, 0, STAGE_CAPS},
    {"capset", -1, EPERM, STAGE_CAPS},
    {"setgroups", -1, EPERM, STAGE_IDS},
    {"setgroups", -1, 0, STAGE_IDS},
    {"setresgid", -1, EAGAIN, STAGE_IDS},
    {"setresgid", -1, 0, STAGE_IDS},
    {"setresuid", -1, EAGAIN, STAGE_IDS},
    {"setresuid", -1, 0, STAGE_IDS},
    {"chdir", -1, EIO, STAGE_IDS},
    {"prctl", PR_SET_DUMPABLE, EINVAL, STAGE_NO_NEW_PRIVS},
    {"prctl", PR_SET_PDEATHSIG, EINVAL, STAGE_RLIMIT},
    {"prctl", PR_SET_NO_NEW_PRIVS, EINVAL, STAGE_NO_NEW_PRIVS},
    {"prctl", PR_SET_NO_NEW_PRIVS, 0, STAGE_NO_NEW_PRIVS},
    {"landlock_create_ruleset", -1, ENOSYS, STAGE_LANDLOCK},
    {"landlock_add_rule", -1, EINVAL, STAGE_LANDLOCK},
    {"landlock_restrict_self", -1, EPERM, STAGE_LANDLOCK},
    {"signalfd4", -1, EMFILE, STAGE_FORK},
    {"clone", -1, EAGAIN, STAGE_FORK},
    {"seccomp", -1, EINVAL, STAGE_SECCOMP},
    {"execve", -1, ENOMEM, STAGE_EXEC},
};

static void inject(const struct fault *fault)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    CHECK(ctx != NULL && seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0) == 0);
    uint32_t action = SCMP_ACT_ERRNO((uint32_t)fault->answer);
    int nr = syscall_number(fault->call);
    const struct scmp_arg_cmp first = {
        .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)fault->first_arg};
    int rc = seccomp_rule_add_array(ctx, action, nr, fault->first_arg < 0 ? 0 : 1, &first);
    CHECK(rc == 0 && seccomp_load(ctx) == 0);
    seccomp_release(ctx);
}

static void try_fault(const struct fault *fault, const struct sandbox_template *tpl)
{
    const gid_t groups[] = {4, 27};
    CHECK(setgroups(array_len(groups), groups) == 0);
    inject(fault);
    struct outcome out;
    harness_run_shell(tpl, "echo it ran", &out);
    CHECK(out.failed && !out.started && out.output[0] == '\0');
    CHECK_INT(out.failure.stage, fault->stage);
    CHECK(fault->answer == 0 || out.failure.err_num == fault->answer);
}

/* Each step of entering is made to fail, or to lie, and the command never runs. */
static void survives_no_fault(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_template tpl = harness_prepare(&spec);
    for (size_t i = 0; i < array_len(faults); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            try_fault(&faults[i], &tpl);
            harness_exit(0);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            (void)fprintf(stderr, "with %s(%ld) answering %d\n", faults[i].call,
                          faults[i].first_arg, faults[i].answer);
        CHECK_INT(status, 0);
    }
}

static void expect_refusal(struct sandbox_spec *spec, const char *text)
{
    struct sandbox_template tpl;
    struct err err;
    struct stat before, after;
    CHECK(stat(".", &before) == 0);
    CHECK(sandbox_prepare(spec, NULL, &tpl, &err) < 0);
    CHECK(tpl.mnt_ns < 0 && tpl.filter == NULL);
    if (strstr(err.text, text) == NULL)
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(strstr(err.text, text) != NULL);
    CHECK(stat(".", &after) == 0);
    CHECK(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
}

static void refuses_bad_specs(void)
{
    static const struct {
        const char *source, *dest, *text;
    } reads[] = {
        {"/no/such/place", "/opt/x", "/no/such/place"},
        {"/etc", "/tmp/x", "made by Postern itself"},
        {"/etc", "/proc", "made by Postern itself"},
        {"/etc", "/", "absolute paths"},
        {"relative", "/opt/x", "absolute paths"},
        {"/etc", "/usr/no-such-place", "/usr/no-such-place"},
        {"/etc", "/lib/x", "/lib/x"},
        {"/etc", "/opt/../x", "/opt/../x"},
        {"/dev/null", "/opt/x", "neither a directory nor a regular file"},
    };
    for (size_t i = 0; i < array_len(reads); i++) {
        struct sandbox_spec spec = harness_spec();
        struct sandbox_bind bind = {(char *)reads[i].source, (char *)reads[i].dest};
        spec.reads = &bind;
        expect_refusal(&spec, reads[i].text);
    }
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind twice[] = {{(char *)"/etc", (char *)"/opt/x"},
                                   {(char *)"/usr", (char *)"/opt/x"}};
    spec.reads = twice;
    spec.n_reads = 2;
    expect_refusal(&spec, "two read or write lines");
    spec = harness_spec();
    profile_file_answer(&spec.seccomp, "execve", SECCOMP_ANSWER_DENY);
    expect_refusal(&spec, "must allow execve");
}

static void binds_inside_out(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind binds[] = {
        {(char *)"/etc/hostname", (char *)"/srv/a/b/name"},
        {(char *)"/usr/share", (char *)"/srv/a"},
        {(char *)"/etc/passwd", (char *)"/srv/names"},
    };
    spec.reads = binds + 1;
    spec.n_reads = 2;
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    harness_run_shell(&tpl, "test -d /srv/a/doc && test -s /srv/names && ! touch /srv/a/x", &out);
    CHECK(out.ended);
    CHECK_INT(out.exit.code, 0);
    sandbox_template_free(&tpl);
}

static bool has_program(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "/usr/bin/%s", name);
    return access(path, X_OK) == 0;
}

/* What the default profile is for; what isn't installed is left out. */
static void runs_real_programs(void)
{
    static const struct {
        const char *program, *line;
    } tools[] = {
        {"git", "git init -q /tmp/r && cd /tmp/r && echo x > f && git add f && "
                "git -c user.name=a -c user.email=a@b commit -qm m && git clone -q /tmp/r /tmp/s"},
        {"cc", "echo 'int main(void){return 0;}' > a.c && cc a.c -o a && ./a"},
        {"make", "printf 'all:\\n\\t@true\\n' > Makefile && make -s -j4"},
        {"python3.11", "python3.11 -c 'import subprocess, threading, multiprocessing as m; "
                       "subprocess.run([\"true\"], check=True); m.Pool(2).map(len, [\"a\"])'"},
        {"perl", "perl -e 'exit(getpwuid($<) ne \"acme\")'"},
        {"java", "java -version"},
        {"javac", "printf 'class A { public static void main(String[] a) throws Exception "
                  "{ Thread t = new Thread(() -> {}); t.start(); t.join(); } }' > A.java && "
                  "javac A.java && java -cp . A"},
        {"node", "node -e 'const c = require(\"child_process\"), n = require(\"net\"); "
                 "c.execSync(\"true\"); n.createServer().listen(0, function() { this.close() }); "
                 "new (require(\"worker_threads\").Worker)(\"1\", {eval: true})'"},
        {"go", "printf 'package main\\nimport (\"net\"; \"os/exec\")\\nfunc main() { "
               "_, _ = net.Listen(\"tcp\", \":0\"); _ = exec.Command(\"true\").Run() }' > m.go && "
               "GOCACHE=$PWD/c GOFLAGS=-mod=mod go run m.go"},
        {"cmake", "printf 'project(x C)\\nadd_executable(x x.c)' > CMakeLists.txt && "
                  "echo 'int main(void){return 0;}' > x.c && cmake -B b >/dev/null && "
                  "cmake --build b >/dev/null"},
        {"tar", "tar cf - /etc/passwd 2>/dev/null | xz | xz -d | tar tf -"},
        {"tclsh", "echo 'exec true' | tclsh"},
        {"gpg", "gpg --batch --homedir $PWD --passphrase '' --quick-gen-key a 2>/dev/null; "
                "gpgconf --homedir $PWD --kill all; true"},
        {"sha256sum", "echo x | sha256sum && seq 100000 | sort -n | tail -1"},
    };
    struct sandbox_spec spec = harness_spec();
    spec.tmp_size = 256 << 20;
    spec.tasks = 1024;
    bool have[array_len(tools)];
    for (size_t i = 0; i < array_len(tools); i++)
        have[i] = has_program(tools[i].program);
    struct sandbox_template tpl = harness_prepare(&spec);
    for (size_t i = 0; i < array_len(tools); i++) {
        struct outcome out;
        if (!have[i])
            continue;
        harness_run_shell(&tpl, tools[i].line, &out);
        expect_success(&out);
        if (out.n_notes > 0)
            printf("%s: %zu notes, of call %d\n", tools[i].program, out.n_notes, out.notes[0].nr);
        CHECK_INT(out.n_notes, 0);
    }
    sandbox_template_free(&tpl);
}

/* What the strict profile is for, and what it is not. */
static void runs_git_strictly(void)
{
    struct sandbox_spec spec = harness_spec();
    bool have_git = has_program("git"), have_perl = has_program("perl");
    spec.seccomp = harness_profile("strict");
    struct sandbox_template tpl = harness_prepare(&spec);
    struct outcome out;
    if (have_git) {
        harness_run_shell(&tpl, "git init -q /tmp/r && git clone -q /tmp/r /tmp/s 2>/dev/null",
                          &out);
        expect_success(&out);
        CHECK_INT(out.n_notes, 0);
    }
    const char *const listen[] = {"perl", "-MSocket", "-e",
                                  "socket(S, PF_INET, SOCK_STREAM, 0); exit(!listen(S, 1))", NULL};
    if (have_perl) {
        harness_run(&tpl, listen, &out);
        CHECK(out.ended && out.exit.code == 1);
        CHECK_INT(out.notes[0].nr, SYS_listen);
    }
    sandbox_template_free(&tpl);
}

static const struct test_case cases[] = {
    {"holds-every-property", holds_every_property},
    {"inherits-nothing", inherits_nothing},
    {"has-loopback-if-asked", has_loopback_if_asked},
    {"has-host-network-if-asked", has_host_network_if_asked},
    {"notes-refused-calls", notes_refused_calls},
    {"kills-by-rule", kills_by_rule},
    {"keeps-namespaces-closed", keeps_namespaces_closed},
    {"survives-no-fault", survives_no_fault},
    {"refuses-bad-specs", refuses_bad_specs},
    {"binds-inside-out", binds_inside_out},
    {"runs-real-programs", runs_real_programs},
    {"runs-git-strictly", runs_git_strictly},
};

struct test_list cases_layers(void)
{
    return (struct test_list){cases, array_len(cases)};
}
