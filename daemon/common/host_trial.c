/*
 * Sandboxes are made as the spawner makes them, in a child that may be lost: what hangs on a dead
 * file server or runs into a limit of the kernel must not take check or the master with it. A
 * setting that is refused is said, left out, and the rest is tried again, so that all are told.
 */
#include "cleanup.h"
#include "diag.h"
#include "host_judge.h"
#include "sandbox.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum {
    PATIENCE_S = 60, /* as the master has with a spawner */
    REPORT_MAX = DIAGS_MAX * (sizeof(struct diag) + PATH_MAX),
};

/* How a report ends, where each problem ends in a NUL. */
enum { END_TRIED = 'T', END_UNTRIED = 'U' };

/* A copy of a spec that things are left out of; what is left keeps its number. */
struct attempt {
    struct sandbox_spec spec;
    size_t *reads, *writes, *hides;
};

static void attempt_free(struct attempt *a)
{
    free(a->spec.reads);
    free(a->spec.writes);
    free(a->spec.hides);
    free(a->reads);
    free(a->writes);
    free(a->hides);
}

static void *copy(const void *items, size_t n, size_t size)
{
    void *to = calloc(n + 1, size);
    if (to != NULL && n > 0)
        memcpy(to, items, n * size);
    return to;
}

static size_t *number(size_t n)
{
    size_t *numbers = calloc(n + 1, sizeof *numbers);
    for (size_t i = 0; numbers != NULL && i < n; i++)
        numbers[i] = i;
    return numbers;
}

static int attempt_init(struct attempt *a, const struct sandbox_spec *spec)
{
    *a = (struct attempt){.spec = *spec,
                          .reads = number(spec->n_reads),
                          .writes = number(spec->n_writes),
                          .hides = number(spec->n_hides)};
    a->spec.reads = copy(spec->reads, spec->n_reads, sizeof *spec->reads);
    a->spec.writes = copy(spec->writes, spec->n_writes, sizeof *spec->writes);
    a->spec.hides = copy(spec->hides, spec->n_hides, sizeof *spec->hides);
    bool good = a->reads != NULL && a->writes != NULL && a->hides != NULL &&
                a->spec.reads != NULL && a->spec.writes != NULL && a->spec.hides != NULL;
    return good ? 0 : -1;
}

static void leave_out_hide(struct attempt *a, size_t i)
{
    size_t after = --a->spec.n_hides - i;
    memmove(&a->spec.hides[i], &a->spec.hides[i + 1], after * sizeof *a->spec.hides);
    memmove(&a->hides[i], &a->hides[i + 1], after * sizeof *a->hides);
}

/* With what is hidden in it. */
static void leave_out_bind(struct attempt *a, struct sandbox_bind *binds, size_t *numbers,
                           size_t *n, size_t i)
{
    const char *dest = binds[i].dest;
    size_t len = strlen(dest);
    for (size_t k = a->spec.n_hides; k > 0; k--) {
        const char *path = a->spec.hides[k - 1];
        if (strncmp(path, dest, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            leave_out_hide(a, k - 1);
    }
    size_t after = --*n - i;
    memmove(&binds[i], &binds[i + 1], after * sizeof *binds);
    memmove(&numbers[i], &numbers[i + 1], after * sizeof *numbers);
}

static void leave_out_read(struct attempt *a, size_t i)
{
    leave_out_bind(a, a->spec.reads, a->reads, &a->spec.n_reads, i);
}

static void leave_out_write(struct attempt *a, size_t i)
{
    leave_out_bind(a, a->spec.writes, a->writes, &a->spec.n_writes, i);
}

static bool is_missing(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0;
}

static bool is_no_dir(const char *path, int len)
{
    char as_dir[PATH_MAX];
    (void)snprintf(as_dir, sizeof as_dir, "%.*s/", len, path);
    return is_missing(as_dir);
}

/* What host_paths_judge() has complained of. */
static void leave_out_missing(struct attempt *a)
{
    struct sandbox_spec *spec = &a->spec;
    for (size_t i = spec->n_reads; i > 0; i--)
        if (is_missing(spec->reads[i - 1].source))
            leave_out_read(a, i - 1);
    for (size_t i = spec->n_writes; i > 0; i--)
        if (is_missing(spec->writes[i - 1].source))
            leave_out_write(a, i - 1);
    if (spec->workspace != WORKSPACE_KEPT)
        return;
    const char *path = spec->workspace_path;
    if (is_no_dir(path, (int)(strrchr(path, '/') - path)))
        spec->workspace = WORKSPACE_EXEC;
}

/* What `err` blames, by its number in the policy; false if there is nothing to go on without. */
static bool leave_out(struct attempt *a, const struct err *err, size_t *item)
{
    const char *setting = err->setting == NULL ? "" : err->setting;
    size_t i = err->item;
    *item = 0;
    if (strcmp(setting, "read") == 0 && i < a->spec.n_reads) {
        *item = a->reads[i];
        leave_out_read(a, i);
    } else if (strcmp(setting, "write") == 0 && i < a->spec.n_writes) {
        *item = a->writes[i];
        leave_out_write(a, i);
    } else if (strcmp(setting, "hide") == 0 && i < a->spec.n_hides) {
        *item = a->hides[i];
        leave_out_hide(a, i);
    } else if (strcmp(setting, "workspace-size") == 0 && a->spec.workspace_size != SPEC_INFINITY) {
        a->spec.workspace_size = SPEC_INFINITY;
    } else if (strcmp(setting, "workspace") == 0 && a->spec.workspace == WORKSPACE_KEPT) {
        a->spec.workspace = WORKSPACE_EXEC;
    } else if (strcmp(setting, "network") == 0 && a->spec.network == NETWORK_EGRESS) {
        a->spec.network = NETWORK_NONE;
    } else if (strcmp(setting, "home") == 0 && a->spec.home != NULL) {
        a->spec.home = NULL;
    } else {
        return false;
    }
    return true;
}

/* False if we lack the right to. */
static bool make(const struct sandbox_spec *spec, struct attempt *a, struct diags *diags)
{
    for (bool more = true; more;) {
        struct sandbox_template tpl;
        struct err err = {0};
        struct egress_maps maps = EGRESS_NO_MAPS;
        bool egress = a->spec.network == NETWORK_EGRESS;
        if (egress && egress_maps_make(&maps, &err) < 0)
            err_blame(&err, "network", 0);
        else if (sandbox_prepare(&a->spec, &maps, &tpl, &err) == 0)
            sandbox_template_free(&tpl);
        egress_maps_close(&maps);
        if (err.text[0] == '\0')
            return true;
        if (err.setting == NULL && err.num == EPERM)
            return false;
        size_t item;
        more = leave_out(a, &err, &item);
        struct origin at = {spec->file, spec->line};
        if (err.setting != NULL)
            at = sandbox_place(spec, err.setting, item);
        char shown[ERR_TEXT_MAX];
        host_judge_add(diags, spec, &at, NULL, text_escape_str(shown, sizeof shown, err.text));
    }
    return true;
}

static bool try_out(const struct sandbox_spec *spec, struct diags *diags)
{
    struct attempt a;
    bool allowed = true;
    /* Of one that isn't what the policy wants, refusals would mislead. */
    if (spec->faulty || (spec->root != NULL && is_no_dir(spec->root, PATH_MAX)))
        return true;
    if (attempt_init(&a, spec) == 0) {
        leave_out_missing(&a);
        if (spec->lacks_binds)
            a.spec.n_hides = 0;
        allowed = make(spec, &a, diags);
    }
    attempt_free(&a);
    return allowed;
}

/* One that the reader takes apart again: strings, each with its end. */
static void write_problem(FILE *to, const struct diag *d)
{
    fprintf(to, "%s%c%u%c%s%c%s%c", d->file, '\0', d->line, '\0', d->text, '\0', d->hint, '\0');
}

static void run_trial(const struct policy *policy, int out) __attribute__((noreturn));

static void run_trial(const struct policy *policy, int out)
{
    enum { OUT = 3 };
    struct diags diags = {0};
    sigset_t none;
    bool allowed = true;
    /* What a master has open would stay open for as long as this takes. */
    if ((out != OUT && dup3(out, OUT, O_CLOEXEC) < 0) || close_range(OUT + 1, ~0U, 0) < 0)
        _exit(1);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(PATIENCE_S);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    host_paths_judge(policy, &diags);
    for (size_t i = 0; allowed && i < policy->n_sandboxes; i++)
        allowed = try_out(&policy->sandboxes[i], &diags);
    FILE *to = fdopen(OUT, "w");
    for (size_t i = 0; to != NULL && i < diags.n; i++)
        write_problem(to, &diags.items[i]);
    if (to != NULL)
        fputc(allowed ? END_TRIED : END_UNTRIED, to);
    _exit(to != NULL && fclose(to) == 0 ? 0 : 1);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All until its end, or as much as came in time. */
static char *read_report(int in, size_t *len)
{
    size_t room = 0;
    char *report = NULL;
    int64_t until = now_ms() + (PATIENCE_S + 5) * 1000;
    for (*len = 0; *len < REPORT_MAX;) {
        if (*len == room) {
            char *larger = realloc(report, room += 65536);
            if (larger == NULL)
                break;
            report = larger;
        }
        int64_t left = until - now_ms();
        struct pollfd wait = {.fd = in, .events = POLLIN};
        int polled = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (polled < 0 && errno == EINTR)
            continue;
        ssize_t n = polled > 0 ? read(in, report + *len, room - *len) : 0;
        if (n <= 0)
            break;
        *len += (size_t)n;
    }
    return report;
}

/* Cuts the next string off; NULL if it has no end. */
static const char *next_string(const char **at, const char *end)
{
    const char *string = *at;
    const char *nul = memchr(string, '\0', (size_t)(end - string));
    *at = nul == NULL ? end : nul + 1;
    return nul == NULL ? NULL : string;
}

static void take_problems(const char *report, size_t len, struct diags *diags)
{
    const char *end = report + len;
    for (const char *at = report; at < end;) {
        const char *file = next_string(&at, end);
        const char *line = next_string(&at, end);
        const char *text = next_string(&at, end);
        const char *hint = next_string(&at, end);
        if (file != NULL && line != NULL && text != NULL && hint != NULL)
            diag_add(diags, file, (unsigned)strtoul(line, NULL, 10), hint, "%s", text);
    }
}

static pid_t start_trial(const struct policy *policy, int *in)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run_trial(policy, fds[1]);
    }
    close(fds[1]);
    if (pid < 0)
        close(fds[0]);
    else
        *in = fds[0];
    return pid;
}

bool host_trial_judge(const struct policy *policy, struct diags *diags)
{
    cleanup_fd int in = -1;
    size_t len = 0;
    pid_t pid = start_trial(policy, &in);
    cleanup_free char *report = pid < 0 ? NULL : read_report(in, &len);
    char mark = len > 0 ? report[len - 1] : '\0';
    bool whole = mark == END_TRIED || mark == END_UNTRIED;
    if (whole)
        take_problems(report, len - 1, diags);
    else
        diag_warn(diags, policy->server.origin.file, 0, NULL,
                  "whether the sandboxes can be made could not be tried out: %s",
                  pid < 0 ? strerror(errno) : "the trial did not end as it should");
    /* It may be stuck in the kernel; and in the master another thread may have reaped it. */
    if (pid > 0)
        (void)waitpid(pid, NULL, whole ? 0 : WNOHANG);
    return mark != END_UNTRIED;
}
