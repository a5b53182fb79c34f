#include "host_limits.h"

#include "cleanup.h"
#include "diag.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

/* The mount point of a line of mountinfo (proc(5)) that is a whole cgroup v2. */
static bool take_mount(char *line, char path[PATH_MAX])
{
    char *fields[5] = {0};
    char *rest = strstr(line, " - ");
    if (rest == NULL || strncmp(rest, " - cgroup2 ", 11) != 0)
        return false;
    char *state = NULL;
    char *field = strtok_r(line, " ", &state);
    for (size_t i = 0; i < array_len(fields) && field != NULL; i++) {
        fields[i] = field;
        field = strtok_r(NULL, " ", &state);
    }
    if (fields[4] == NULL || strcmp(fields[3], "/") != 0)
        return false;
    int n = snprintf(path, PATH_MAX, "%s", fields[4]);
    return n > 0 && n < PATH_MAX;
}

int host_cgroup_mount(char path[PATH_MAX], struct err *err)
{
    cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;
    if (file == NULL)
        return err_set(err, errno, "/proc/self/mountinfo");
    while (getline(&line, &room, file) > 0)
        if (take_mount(line, path))
            return 0;
    return err_set(err, 0, "cgroup v2 is not mounted");
}

int host_cgroup_open(const char *path, int *out, struct err *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct statfs fs;
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return err_set(err, errno, "%s", path);
    if (fs.f_type != CGROUP2_SUPER_MAGIC)
        return err_set(err, 0, "%s is not in a cgroup v2 file system", path);
    *out = steal_fd(&fd);
    return 0;
}

static void set_why(struct host_limits *limits, const char *why, const char *remedy)
{
    text_escape_str(limits->why, sizeof limits->why, why);
    (void)snprintf(limits->remedy, sizeof limits->remedy, "%s", remedy);
}

void host_limits_explain(struct host_limits *limits, const char *path)
{
    char names[64], why[sizeof limits->why];
    unsigned missing = CGROUP_ALL & ~limits->controllers;
    set_why(limits, "", "");
    if (missing == 0)
        return;
    (void)snprintf(why, sizeof why, "the cgroup %.70s has no %s controller", path,
                   cgroup_controller_names(missing, names, sizeof names));
    /* Where the first version holds a controller, the second doesn't have it anywhere. */
    set_why(limits, why,
            access("/sys/fs/cgroup/memory", F_OK) == 0
                ? "boot with systemd.unified_cgroup_hierarchy=1"
                : "enable it in the cgroup above, as Delegate=yes does");
}

/* A cgroup that the operator names may be yet to be made, of what the one above it has. */
static int open_named(const char *path, int *fd, struct err *err)
{
    if (host_cgroup_open(path, fd, err) == 0)
        return 0;
    const char *slash = strrchr(path, '/');
    char above[PATH_MAX];
    if (err->num != ENOENT || slash == NULL || slash == path || slash - path >= PATH_MAX)
        return -1;
    (void)snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
    return host_cgroup_open(above, fd, err);
}

void host_limits_probe(const struct server_config *config, struct host_limits *out)
{
    char mount[PATH_MAX];
    struct err err = {0};
    cleanup_fd int fd = -1;
    const char *path = config->cgroup;
    *out = (struct host_limits){0};
    if (path == NULL && host_cgroup_mount(mount, &err) < 0) {
        set_why(out, err.text, "mount it on /sys/fs/cgroup");
        out->no_cgroup = true;
        return;
    }
    if (path == NULL)
        path = mount;
    if ((config->cgroup != NULL ? open_named(path, &fd, &err) : host_cgroup_open(path, &fd, &err)) <
            0 ||
        cgroup_controllers(fd, &out->controllers, &err) < 0) {
        set_why(out, err.text, "name a place in cgroup v2 with [server] cgroup =");
        out->unusable = config->cgroup != NULL;
        out->no_cgroup = true;
    } else {
        host_limits_explain(out, path);
    }
}

/* Limits that differ from none only if somebody asks for them. */
struct demand {
    const char *key;
    unsigned controller;
    uint64_t value; /* as limits have it, with SPEC_INFINITY for none */
    const char *instead;
};

/* Sections inherit: one setting is to be complained of once. */
static bool was_said(const struct diags *diags, size_t before, const struct origin *at,
                     const char *key)
{
    size_t len = strlen(key);
    for (size_t i = before; i < diags->n; i++)
        if (diags->items[i].line == at->line && strcmp(diags->items[i].file, at->file) == 0 &&
            strncmp(diags->items[i].text, key, len) == 0 && diags->items[i].text[len] == ' ')
            return true;
    return false;
}

static uint64_t weight(uint32_t value)
{
    return value == 0 ? SPEC_INFINITY : value;
}

static const char none[] = "is not kept";

struct judging {
    const struct policy *policy;
    const struct host_limits *host;
    struct diags *diags;
    size_t before;
    size_t n_errors;
};

static bool is_kept(const struct judging *judging, const struct demand *demand)
{
    return demand->value == SPEC_INFINITY || (judging->host->controllers & demand->controller) != 0;
}

static void judge(struct judging *judging, const struct demand *demand, const struct origin *at,
                  const char *type, const char *name)
{
    const struct host_limits *host = judging->host;
    if (was_said(judging->diags, judging->before, at, demand->key))
        return;
    char names[16], hint[160];
    cgroup_controller_names(demand->controller, names, sizeof names);
    if (judging->policy->server.limits == LIMITS_BEST_EFFORT) {
        diag_warn(judging->diags, at->file, at->line, NULL, "%s of %s '%s' %s: %s", demand->key,
                  type, name, demand->instead, host->why);
        return;
    }
    (void)snprintf(hint, sizeof hint, "%s; or set limits = best-effort in [server]", host->remedy);
    diag_add(judging->diags, at->file, at->line, hint,
             "%s of %s '%s' needs the %s controller of cgroup v2: %s", demand->key, type, name,
             names, host->why);
    judging->n_errors++;
}

static void judge_sandbox(struct judging *judging, const struct sandbox_spec *spec)
{
    const struct cgroup_limits *limits = &spec->cgroup;
    /* No swap is the default, and means something only beside a limit of memory. */
    const struct demand demands[] = {
        {"memory", CGROUP_MEMORY, limits->memory,
         "is kept for the private memory of each process alone"},
        {"memory-high", CGROUP_MEMORY, limits->memory_high, none},
        {"swap", CGROUP_MEMORY, limits->swap == 0 ? SPEC_INFINITY : limits->swap, none},
        {"cpu", CGROUP_CPU, limits->cpu, none},
        {"cpu-weight", CGROUP_CPU, weight(limits->cpu_weight), none},
        {"io-weight", CGROUP_IO, weight(limits->io_weight), none},
    };
    for (size_t i = 0; i < array_len(demands); i++) {
        if (is_kept(judging, &demands[i]))
            continue;
        struct origin at = sandbox_place(spec, demands[i].key, 0);
        judge(judging, &demands[i], &at, "sandbox", spec->name);
    }
}

static void judge_tenant(struct judging *judging, const struct tenant *tenant)
{
    const struct demand demands[] = {
        {"memory-total", CGROUP_MEMORY, tenant->total.memory, none},
        {"cpu-total", CGROUP_CPU, tenant->total.cpu, none},
    };
    for (size_t i = 0; i < array_len(demands); i++) {
        if (is_kept(judging, &demands[i]))
            continue;
        struct origin at = tenant_place(tenant, demands[i].key);
        judge(judging, &demands[i], &at, "tenant", tenant->name);
    }
}

size_t host_limits_judge_egress(const struct policy *policy, const struct host_limits *host,
                                struct diags *diags)
{
    size_t n_errors = 0, before = diags->n;
    for (size_t i = 0; host->no_cgroup && i < policy->n_sandboxes; i++) {
        const struct sandbox_spec *spec = &policy->sandboxes[i];
        struct origin at = sandbox_place(spec, "network", 0);
        if (spec->network != NETWORK_EGRESS || was_said(diags, before, &at, "network"))
            continue;
        diag_add(diags, at.file, at.line, host->remedy,
                 "network = egress of sandbox '%s' needs a cgroup for each command: %s", spec->name,
                 host->why);
        n_errors++;
    }
    return n_errors;
}

size_t host_limits_judge(const struct policy *policy, const struct host_limits *host,
                         struct diags *diags)
{
    struct judging judging = {.policy = policy, .host = host, .diags = diags, .before = diags->n};
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        judge_sandbox(&judging, &policy->sandboxes[i]);
    for (size_t i = 0; i < policy->n_tenants; i++)
        judge_tenant(&judging, &policy->tenants[i]);
    judging.n_errors += host_limits_judge_egress(policy, host, diags);
    if (host->unusable && policy->server.limits == LIMITS_REQUIRED) {
        struct origin at = server_place(policy, "cgroup");
        diag_add(diags, at.file, at.line, "or set limits = best-effort", "cgroup = %s: %s",
                 policy->server.cgroup, host->why);
        judging.n_errors++;
    }
    return judging.n_errors;
}
