#include "learn_tree.h"
#include "cleanup.h"
#include "host.h"
#include "learn_paths.h"
#include "learn_record.h"
#include "sandbox.h"
#include "syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ADDED_MAX = 4096, DEPTH_MAX = 8 };

/* Work that the kernel does for a process without system calls, and tracing below ours. */
static const char *const unseen[] = {"io_uring_setup", "io_uring_enter", "io_uring_register",
                                     "ptrace"};

static int allow_all(const struct seccomp_spec *profile, struct seccomp_spec *out, struct err *err)
{
    *out = *profile;
    out->rules = calloc(profile->n_rules + 1, sizeof *out->rules);
    if (out->rules == NULL)
        return err_set(err, ENOMEM, "seccomp profile");
    for (size_t i = 0; i < profile->n_rules; i++) {
        out->rules[i] = profile->rules[i];
        out->rules[i].answer = SECCOMP_ANSWER_ALLOW;
        for (size_t k = 0; k < array_len(unseen); k++)
            if (syscall_number(unseen[k]) == profile->rules[i].nr)
                out->rules[i].answer = SECCOMP_ANSWER_DENY;
    }
    return 0;
}

/* "/" of a mount namespace, by way of a child that is there. */
static int open_root_of(int mnt_ns, int *root, struct err *err)
{
    int ready[2];
    char byte = 0, path[64];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(mnt_ns, CLONE_NEWNS) == 0)
            (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    bool there = pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    *root = there ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int num = errno;
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    return *root >= 0 ? 0 : err_set(err, num, "a look into the sandbox");
}

/* What is to be added to what is there already. */
struct walk {
    struct learn_tree *tree;
    int root;    /* of the sandbox as it is */
    dev_t own;   /* the device of what was made for it alone */
    size_t room; /* of tree->binds */
};

static int add_bind(struct walk *walk, const char *path, struct err *err)
{
    struct learn_tree *tree = walk->tree;
    cleanup_fd int place = -1;
    struct err why;
    struct stat st;
    /* What can't be bound, for whatever reason, no policy could show either. */
    if (stat(path, &st) < 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) ||
        !path_can_be_bound(path) || host_open(path, &place, &why) < 0 || tree->n_added == ADDED_MAX)
        return 0;
    if (tree->spec.n_writes == walk->room) {
        size_t room = walk->room * 2 + 64;
        struct sandbox_bind *larger = realloc(tree->binds, room * sizeof *larger);
        if (larger == NULL)
            return err_set(err, ENOMEM, "the sandbox's tree");
        tree->binds = larger;
        walk->room = room;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return err_set(err, ENOMEM, "the sandbox's tree");
    tree->binds[tree->spec.n_writes++] = (struct sandbox_bind){.source = copy, .dest = copy};
    tree->n_added++;
    return 0;
}

static bool is_there(const struct walk *walk, const char *path, struct stat *st)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    cleanup_fd int fd = (int)syscall(SYS_openat2, walk->root, path, &how, sizeof how);
    return fd >= 0 && fstat(fd, st) == 0;
}

static bool is_taken(const char *path)
{
#define X(place) place,
    static const char *const trees[] = {SPEC_TAKEN_TREES(X)};
#undef X
    for (size_t i = 0; i < array_len(trees); i++)
        if (path_is_within(path, trees[i]))
            return true;
    return false;
}

static int add_missing(struct walk *walk, const char *dir, int depth, struct err *err)
{
    DIR *entries = opendir(dir);
    int rc = 0;
    if (entries == NULL)
        return 0;
    for (const struct dirent *entry; rc == 0 && (entry = readdir(entries)) != NULL;) {
        char path[PATH_MAX];
        struct stat st;
        int n =
            snprintf(path, sizeof path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof path || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0 || is_taken(path))
            continue;
        if (!is_there(walk, path, &st))
            rc = add_bind(walk, path, err);
        else if (S_ISDIR(st.st_mode) && st.st_dev == walk->own && depth < DEPTH_MAX)
            rc = add_missing(walk, path, depth + 1, err); /* NOLINT(misc-no-recursion): bounded */
    }
    (void)closedir(entries);
    return rc;
}

static int add_all(struct learn_tree *tree, struct err *err)
{
    struct sandbox_template bare;
    struct walk walk = {.tree = tree, .root = -1};
    struct stat st;
    if (sandbox_prepare(&tree->spec, NULL, &bare, err) < 0)
        return -1;
    int rc = open_root_of(bare.mnt_ns, &walk.root, err);
    if (rc == 0 && fstat(walk.root, &st) == 0) {
        walk.own = st.st_dev;
        walk.room = tree->spec.n_writes;
        rc = add_missing(&walk, "/", 0, err);
    }
    close_fd(&walk.root);
    sandbox_template_free(&bare);
    tree->spec.writes = tree->binds;
    return rc;
}

/* Enough for anything but what would bring the host down. */
static void lift_limits(struct sandbox_spec *spec)
{
    enum { TASKS = 4096 };
    uint64_t half = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
    spec->network = NETWORK_HOST;
    spec->tmp_size = half;
    spec->workspace_size = half;
    spec->tasks = TASKS;
    spec->time_ms = spec->idle_ms = spec->output = SPEC_INFINITY;
    spec->cgroup = (struct cgroup_limits){.memory = SPEC_INFINITY,
                                          .memory_high = SPEC_INFINITY,
                                          .swap = SPEC_INFINITY,
                                          .tasks = SPEC_INFINITY,
                                          .cpu = SPEC_INFINITY};
}

int learn_tree_make(const struct sandbox_spec *base, const struct seccomp_spec *profile,
                    struct learn_tree *out, struct err *err)
{
    *out = (struct learn_tree){.spec = *base};
    out->spec.seccomp.rules = NULL;
    lift_limits(&out->spec);
    if (out->spec.workspace != WORKSPACE_NONE)
        out->spec.workspace = WORKSPACE_EXEC;
    if (allow_all(profile, &out->spec.seccomp, err) < 0)
        return -1;
    out->binds = calloc(base->n_writes + 1, sizeof *out->binds);
    if (out->binds == NULL)
        return err_set(err, ENOMEM, "the sandbox's tree");
    if (base->n_writes > 0)
        memcpy(out->binds, base->writes, base->n_writes * sizeof *out->binds);
    out->spec.writes = out->binds;
    return add_all(out, err);
}

void learn_tree_free(struct learn_tree *tree)
{
    size_t first = tree->spec.n_writes - tree->n_added;
    for (size_t i = first; i < tree->spec.n_writes; i++)
        free(tree->binds[i].source);
    free_ptr(&tree->binds);
    free_ptr(&tree->spec.seccomp.rules);
    *tree = (struct learn_tree){0};
}

bool learn_tree_gives(void *tree, const char *path)
{
    const struct learn_tree *of = tree;
    for (size_t i = of->spec.n_writes - of->n_added; i < of->spec.n_writes; i++)
        if (path_is_within(path, of->binds[i].dest))
            return false;
    return true;
}
