#include "harness.h"

#include "cleanup.h"
#include "profile_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 30000 };

void harness_exit(int status)
{
    (void)fflush(NULL);
    _exit(status);
}

static const char *program_directory, *profile_directory, *scratch_directory;
static int scratch_fd = -1, shared_workspace = -1;
static int own_cgroup = -1;
static struct netns_pool *networks;

void harness_init(const char *program_dir, const char *seccomp_dir, const char *scratch)
{
    program_directory = program_dir;
    profile_directory = seccomp_dir;
    scratch_directory = scratch;
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(scratch_fd >= 0);
}

void harness_share(int shared)
{
    shared_workspace = shared;
}

const char *harness_scratch(void)
{
    return scratch_directory;
}

int harness_scratch_fd(void)
{
    return scratch_fd;
}

char *harness_path(const char *name)
{
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s", scratch_directory, name) > 0);
    return path;
}

static void set_owner(const char *name, uid_t owner, mode_t mode)
{
    CHECK(fchmodat(scratch_fd, name, mode, 0) == 0);
    CHECK(fchownat(scratch_fd, name, owner, owner, 0) == 0);
}

char *harness_dir(const char *name, uid_t owner, mode_t mode)
{
    CHECK(mkdirat(scratch_fd, name, 0700) == 0);
    set_owner(name, owner, mode);
    return harness_path(name);
}

char *harness_file(const char *name, const char *text, uid_t owner, mode_t mode)
{
    cleanup_fd int fd = openat(scratch_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    set_owner(name, owner, mode);
    return harness_path(name);
}

struct seccomp_spec harness_profile(const char *name)
{
    return profile_file_load_or_exit(profile_directory, name);
}

struct sandbox_spec harness_spec(void)
{
    static struct sandbox_bind binds[1];
    binds[0].source = strdup(program_directory);
    binds[0].dest = strdup(TEST_BIN);
    return (struct sandbox_spec){
        .name = (char *)"test",
        .file = "",
        .reads = binds,
        .n_reads = 1,
        .network = NETWORK_NONE,
        .tmp_size = 16 << 20,
        .tasks = 256,
        .time_ms = SPEC_INFINITY,
        .notes = SPEC_NOTES_DEFAULT,
        .cgroup = {.memory = SPEC_INFINITY,
                   .memory_high = SPEC_INFINITY,
                   .tasks = SPEC_INFINITY,
                   .cpu = SPEC_INFINITY},
        .seccomp = harness_profile("default"),
    };
}

struct sandbox_template harness_prepare(const struct sandbox_spec *spec)
{
    struct sandbox_template tpl;
    struct err err;
    if (sandbox_prepare(spec, NULL, &tpl, &err) < 0) {
        (void)fprintf(stderr, "sandbox_prepare: %s\n", err.text);
        harness_exit(1);
    }
    return tpl;
}

void harness_cgroup(int cgroup)
{
    own_cgroup = cgroup;
}

void harness_networks(struct netns_pool *pool)
{
    networks = pool;
}

bool harness_try(const struct sandbox_template *tpl, const char *const *argv, struct run *run,
                 struct err *err)
{
    char home[64];
    const char *const envp[] = {"PATH=/usr/bin:/bin", home, "LANG=C", NULL};
    (void)snprintf(home, sizeof home, "HOME=%s", SPEC_HOME(tpl->spec));
    int in[2], out[2], report[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) == 0);
    const struct order order = {.argv = argv, .envp = envp, .stdio = {in[0], out[1], out[1]}};
    struct sandbox_job job = {
        .user_name = "acme",
        .uid = TEST_UID,
        .gid = TEST_GID,
        .project = TEST_PROJECT,
        .report_fd = report[1],
        .shared = shared_workspace,
        .has_cgroup = own_cgroup >= 0,
        .cgroup = own_cgroup,
    };
    *run = (struct run){.report = report[0], .input = in[1], .output = out[0], .network = -1};
    if (networks != NULL && tpl->spec->network == NETWORK_NONE)
        CHECK(netns_enter(networks, TEST_UID, &run->network, err) == 0);
    job.in_network = run->network >= 0;
    CHECK(order_send(report[0], &order, err) == 0);
    bool started = sandbox_spawn(tpl, &job, &run->worker, &run->pidfd, NULL, err) == 0;
    close(in[0]);
    close(out[1]);
    close(report[1]);
    if (started)
        return true;
    close_fd(&run->report);
    close_fd(&run->input);
    close_fd(&run->output);
    return false;
}

struct run harness_start(const struct sandbox_template *tpl, const char *const *argv)
{
    struct run run;
    struct err err;
    if (!harness_try(tpl, argv, &run, &err)) {
        (void)fprintf(stderr, "sandbox_spawn: %s\n", err.text);
        harness_exit(1);
    }
    return run;
}

struct run harness_shell(const struct sandbox_template *tpl, const char *line)
{
    const char *const argv[] = {"sh", "-c", line, NULL};
    return harness_start(tpl, argv);
}

/* Returns false at end of file. */
static bool next_report(int fd, struct report *report)
{
    unsigned char buf[REPORT_MAX];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n <= 0)
        return false;
    CHECK(report_decode(buf, (size_t)n, report) == 0);
    return true;
}

static void keep_report(struct outcome *out, const struct report *report)
{
    CHECK(!out->ended && !out->failed);
    switch (report->type) {
    case REPORT_STARTED:
        CHECK(!out->started);
        out->started = true;
        break;
    case REPORT_FAILED:
        out->failed = true;
        out->failure = *report;
        break;
    case REPORT_NOTE:
        CHECK(out->n_notes < NOTES_KEPT);
        out->notes[out->n_notes++] = report->call;
        break;
    case REPORT_EXIT:
        out->ended = true;
        out->exit = *report;
        break;
    }
}

void harness_await(const struct run *run, enum report_type type)
{
    struct report report;
    do
        CHECK(next_report(run->report, &report));
    while (report.type != type);
}

static void read_output(int fd, char *buf, size_t size)
{
    size_t used = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
        ssize_t n = read(fd, buf + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    buf[used] = '\0';
}

void harness_finish(struct run *run, struct outcome *out)
{
    struct report report;
    *out = (struct outcome){0};
    close_fd(&run->input);
    read_output(run->output, out->output, sizeof out->output);
    while (next_report(run->report, &report))
        keep_report(out, &report);
    struct pollfd wait = {.fd = run->pidfd, .events = POLLIN};
    CHECK(poll(&wait, 1, PATIENCE_MS) == 1);
    CHECK(waitpid(run->worker, NULL, 0) == run->worker);
    close_fd(&run->output);
    close_fd(&run->report);
    close_fd(&run->pidfd);
    if (run->network >= 0)
        netns_give_back(networks, TEST_UID, steal_fd(&run->network));
}

void harness_control(const struct run *run, enum control_type type, int signo)
{
    unsigned char buf[REPORT_MAX];
    const struct control control = {.type = type, .signo = signo};
    size_t len = control_encode(&control, buf);
    CHECK(send(run->report, buf, len, MSG_NOSIGNAL) == (ssize_t)len);
}

void harness_run(const struct sandbox_template *tpl, const char *const *argv, struct outcome *out)
{
    struct run run = harness_start(tpl, argv);
    harness_finish(&run, out);
}

void harness_run_shell(const struct sandbox_template *tpl, const char *line, struct outcome *out)
{
    struct run run = harness_shell(tpl, line);
    harness_finish(&run, out);
}

size_t harness_count_tenant(void)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    CHECK(proc != NULL);
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char path[300];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        /* The directory belongs to root while its process isn't dumpable, its status says who. */
        (void)snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
        cleanup_file FILE *status = fopen(path, "re");
        char line[256];
        bool ours = false, zombie = false;
        while (status != NULL && fgets(line, sizeof line, status) != NULL) {
            /* What is dead waits only for a pid 1 that may not care. */
            zombie |= strncmp(line, "State:\tZ", 8) == 0;
            ours |= strncmp(line, "Uid:", 4) == 0 && strtoul(line + 4, NULL, 10) == TEST_UID;
        }
        count += ours && !zombie;
    }
    closedir(proc);
    return count;
}
