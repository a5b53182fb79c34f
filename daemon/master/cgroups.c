#include "cgroups.h"

#include "cleanup.h"
#include "diag.h"
#include "generation.h"
#include "leaf.h"
#include "log.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <time.h>

#define TENANT_PREFIX "tenant-"

enum { PATIENCE_MS = 3000, PAUSE_MS = 5 };

static void pause_a_moment(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    nanosleep(&pause, NULL);
}

int cgroups_tenant_name(const char *tenant, char name[CGROUP_NAME_MAX], struct err *err)
{
    /* With a prefix, no tenant can be called like a file of the kernel's. */
    int n = snprintf(name, CGROUP_NAME_MAX, TENANT_PREFIX "%s", tenant);
    if (n < 0 || n >= CGROUP_NAME_MAX || !cgroup_is_name(name))
        return err_set(err, EINVAL, "cgroup of a tenant");
    return 0;
}

/* Where this process is, as a path below the mount (cgroups(7)). */
static int read_own_path(char path[PATH_MAX], struct err *err)
{
    cleanup_file FILE *file = fopen("/proc/self/cgroup", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;
    if (file == NULL)
        return err_set(err, errno, "/proc/self/cgroup");
    while (getline(&line, &room, file) > 0) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        int n = snprintf(path, PATH_MAX, "%s", line + 3);
        return n > 0 && n < PATH_MAX ? 0 : err_set(err, ENAMETOOLONG, "/proc/self/cgroup");
    }
    return err_set(err, 0, "cgroup v2 is not mounted");
}

/* systemd marks what it hands over; what it doesn't is its own to manage. */
static bool is_delegated(int dir)
{
    char mark[2];
    if (access("/run/systemd/system", F_OK) < 0)
        return true;
    return (fgetxattr(dir, "trusted.delegate", mark, sizeof mark) == 1 && mark[0] == '1') ||
           (fgetxattr(dir, "user.delegate", mark, sizeof mark) == 1 && mark[0] == '1');
}

struct own {
    pid_t parent; /* that waits for a detached start; or 0 */
    int leaf;
    struct err *err;
};

static int is_stranger(void *user, pid_t pid)
{
    const struct own *own = user;
    return pid != getpid() && pid != own->parent;
}

/* The cgroup that we were started in, if it is ours alone. */
static int open_own(const struct own *own, char path[PATH_MAX], int *out, struct err *err)
{
    char below[PATH_MAX];
    cleanup_fd int fd = -1;
    if (host_cgroup_mount(path, err) < 0 || read_own_path(below, err) < 0)
        return -1;
    size_t len = strlen(path);
    int n = snprintf(path + len, PATH_MAX - len, "%s", below);
    if (n < 0 || (size_t)n >= PATH_MAX - len)
        return err_set(err, ENAMETOOLONG, "%s", below);
    if (host_cgroup_open(path, &fd, err) < 0)
        return -1;
    if (faccessat(fd, "cgroup.events", F_OK, 0) < 0)
        return err_set(err, 0, "posternd runs in the root cgroup");
    if (!is_delegated(fd))
        return err_set(err, 0, "posternd's cgroup is not delegated to it");
    int found = cgroup_each_process(fd, is_stranger, (void *)own, err);
    if (found > 0)
        return err_set(err, 0, "posternd's cgroup holds other processes");
    *out = steal_fd(&fd);
    return found;
}

/* Makes it if it isn't there, and asks for the controllers of the cgroup above. */
static int open_named(const char *path, int *out, struct err *err)
{
    cleanup_fd int fd = -1, above = -1;
    unsigned have = 0, could = 0;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return err_set(err, errno, "cgroup = %s", path);
    if (host_cgroup_open(path, &fd, err) < 0 || cgroup_controllers(fd, &have, err) < 0)
        return err_wrap(err, "cgroup = %s", path);
    above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* What it does not get is told of by what needs it. */
    if (above >= 0 && cgroup_controllers(above, &could, NULL) == 0)
        (void)cgroup_enable(above, could & ~have, NULL);
    *out = steal_fd(&fd);
    return 0;
}

static int move_to_leaf(void *user, pid_t pid)
{
    const struct own *own = user;
    return pid == getpid() || pid == own->parent ? cgroup_move(own->leaf, pid, own->err) : 0;
}

/* A cgroup that hands controllers on has no processes itself: they move out of the way. */
static int settle(int root, struct own *own, struct host_limits *limits, struct err *err)
{
    bool made;
    cleanup_fd int leaf = -1;
    if (flock(root, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, errno == EWOULDBLOCK ? 0 : errno, "another posternd uses it");
    if (cgroup_make(root, HOST_DAEMON_CGROUP, &made, &leaf, err) < 0)
        return -1;
    own->leaf = leaf;
    own->err = err;
    if (cgroup_each_process(root, move_to_leaf, own, err) != 0 ||
        cgroup_move(leaf, getpid(), err) < 0 ||
        cgroup_controllers(root, &limits->controllers, err) < 0)
        return -1;
    return cgroup_enable(root, limits->controllers, err);
}

static int kill_child(void *user, int dir, const char *name)
{
    (void)user;
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        (void)cgroup_kill(fd, NULL);
    return 0;
}

static int remove_child(void *user, int dir, const char *name)
{
    bool *all = user;
    if (cgroup_remove(dir, name, NULL) < 0)
        *all = false;
    return 0;
}

/* Removes a tenant's node of a run that did not get to it. */
static int sweep_tenant(void *user, int root, const char *name)
{
    bool gone = false;
    (void)user;
    if (strncmp(name, TENANT_PREFIX, sizeof TENANT_PREFIX - 1) != 0)
        return 0;
    cleanup_fd int node = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (node < 0)
        return 0;
    (void)cgroup_each_child(node, kill_child, NULL, NULL);
    for (int waited = 0; !gone && waited < PATIENCE_MS; waited += PAUSE_MS) {
        gone = true;
        (void)cgroup_each_child(node, remove_child, &gone, NULL);
        if (!gone)
            pause_a_moment();
    }
    struct err err = {0};
    if (cgroup_remove(root, name, &err) < 0)
        log_line(LOG_LEVEL_WARNING, "left by an earlier run: %s", err.text);
    return 0;
}

static int take_over(struct cgroups *cgroups, const struct server_config *config, pid_t parent,
                     struct err *err)
{
    char path[PATH_MAX];
    struct own own = {.parent = parent};
    cleanup_fd int root = -1;
    if (config->cgroup != NULL) {
        (void)snprintf(path, sizeof path, "%s", config->cgroup);
        if (open_named(path, &root, err) < 0)
            return -1;
    } else if (open_own(&own, path, &root, err) < 0) {
        return -1;
    }
    if (settle(root, &own, &cgroups->limits, err) < 0)
        return err_wrap(err, "cgroup %s", path);
    (void)cgroup_each_child(root, sweep_tenant, NULL, NULL);
    host_limits_explain(&cgroups->limits, path);
    char names[64];
    log_line(LOG_LEVEL_INFO, "cgroup %s, controllers: %s", path,
             cgroup_controller_names(cgroups->limits.controllers, names, sizeof names));
    cgroups->root = steal_fd(&root);
    return 0;
}

int cgroups_open(struct server *server, const struct server_config *config, struct err *err)
{
    struct err why = {0};
    struct cgroups *cgroups = calloc(1, sizeof *cgroups);
    if (cgroups == NULL)
        return err_set(err, ENOMEM, "cgroups");
    cgroups->root = -1;
    server->cgroups = cgroups;
    cgroups->named = config->cgroup == NULL ? NULL : strdup(config->cgroup);
    if (config->cgroup != NULL && cgroups->named == NULL)
        return err_set(err, ENOMEM, "cgroups");
    if (take_over(cgroups, config, server->ready_fd >= 0 ? getppid() : 0, &why) == 0)
        return 0;
    cgroups->limits = (struct host_limits){.no_cgroup = true};
    (void)snprintf(cgroups->limits.why, sizeof cgroups->limits.why, "%.127s", why.text);
    (void)snprintf(cgroups->limits.remedy, sizeof cgroups->limits.remedy,
                   "a unit with Delegate=yes, or [server] cgroup =, gives it one");
    if (config->cgroup != NULL && config->limits == LIMITS_REQUIRED) {
        err_set(err, 0, "%s", why.text);
        err->code = EX_CONFIG;
        return -1;
    }
    log_line(config->cgroup != NULL ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
             "commands run without cgroups of their own: %s", why.text);
    return 0;
}

void cgroups_close(struct server *server)
{
    struct cgroups *cgroups = server->cgroups;
    if (cgroups == NULL)
        return;
    for (int waited = 0; !leaf_remove_dying(cgroups) && waited < PATIENCE_MS; waited += PAUSE_MS)
        pause_a_moment();
    leaf_forget_dying(cgroups);
    close_fd(&cgroups->root);
    free(cgroups->named);
    free(cgroups);
    server->cgroups = NULL;
}

bool cgroups_match(const struct server *server, const struct server_config *config)
{
    const char *named = server->cgroups->named;
    if (named == NULL || config->cgroup == NULL)
        return named == config->cgroup;
    return strcmp(named, config->cgroup) == 0;
}

const struct tenant *cgroups_find_tenant(const struct policy *policy, const char *name)
{
    if (strncmp(name, TENANT_PREFIX, sizeof TENANT_PREFIX - 1) != 0)
        return NULL;
    return policy_find_tenant(policy, name + sizeof TENANT_PREFIX - 1);
}

int cgroups_judge(const struct server *server, const struct policy *policy, struct err *err)
{
    struct diags diags = {0};
    size_t n_errors = host_limits_judge(policy, &server->cgroups->limits, &diags);
    diags_sort(&diags);
    generation_tell(&diags, false);
    diags_free(&diags);
    if (n_errors == 0)
        return 0;
    err_set(err, 0, "the policy has %zu limit%s that this host can't keep", n_errors,
            n_errors == 1 ? "" : "s");
    err->code = EX_CONFIG;
    return -1;
}

static void carry_limits(struct state *state, struct host_limits *limits)
{
    state_unsigned(state, &limits->controllers);
    STATE_TEXT(state, limits->why);
    STATE_TEXT(state, limits->remedy);
    state_bool(state, &limits->no_cgroup);
    state_bool(state, &limits->unusable);
    limits->controllers &= CGROUP_ALL;
}

void cgroups_carry(struct state *state, struct server *server)
{
    if (!state->saving && (server->cgroups = calloc(1, sizeof *server->cgroups)) == NULL) {
        state_refuse(state);
        return;
    }
    struct cgroups *cgroups = server->cgroups;
    state_fd(state, &cgroups->root);
    state_string(state, &cgroups->named, PATH_MAX);
    carry_limits(state, &cgroups->limits);
    leaf_carry_dying(state, server);
}
