#include "recordings_prune.h"
#include "cleanup.h"
#include "log.h"
#include "recordings_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

enum { SLACK_PART = 16 };

struct found {
    gid_t tenant;
    int64_t time; /* of the last write */
    uint64_t size;
    char name[RECORDING_NAME_MAX];
};

/* The recordings of one tenant: a part of the list. */
struct share {
    size_t next, end; /* what is left of them, the oldest first */
    uint64_t size;
};

struct pruning {
    int dir;
    struct found *found;
    size_t n, cap;
    struct share *shares;
    size_t n_shares;
    uint64_t size;
    long removed;
};

uint64_t recordings_slack(const struct server_config *config)
{
    return config->recordings_max == SPEC_INFINITY ? UINT64_MAX
                                                   : config->recordings_max / SLACK_PART;
}

static int compare(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    if (x->tenant != y->tenant)
        return x->tenant < y->tenant ? -1 : 1;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool is_recording(const char *name)
{
    size_t len = strlen(name), suffix = sizeof RECORDING_SUFFIX - 1;
    return name[0] != '.' && len > suffix && len < RECORDING_NAME_MAX &&
           strcmp(name + len - suffix, RECORDING_SUFFIX) == 0;
}

static int add(struct pruning *p, const char *name)
{
    struct stat st;
    if (!is_recording(name) || fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    if (p->n == p->cap) {
        size_t cap = p->cap == 0 ? 256 : p->cap * 2;
        struct found *more = reallocarray(p->found, cap, sizeof *more);
        if (more == NULL)
            return -1;
        p->found = more;
        p->cap = cap;
    }
    struct found *found = &p->found[p->n++];
    *found = (struct found){
        .tenant = st.st_gid, .time = st.st_mtim.tv_sec, .size = (uint64_t)st.st_size};
    (void)snprintf(found->name, sizeof found->name, "%s", name);
    p->size += found->size;
    return 0;
}

static int list(struct pruning *p)
{
    int rc = 0;
    /* One of its own: it has a position. */
    int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        close_fd(&fd);
        return -1;
    }
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        rc = add(p, entry->d_name);
    (void)closedir(dir);
    return rc;
}

static int divide(struct pruning *p)
{
    if (p->n == 0)
        return 0;
    qsort(p->found, p->n, sizeof *p->found, compare);
    p->shares = calloc(p->n, sizeof *p->shares);
    if (p->shares == NULL)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        bool is_new = i == 0 || p->found[i].tenant != p->found[i - 1].tenant;
        if (is_new)
            p->shares[p->n_shares++].next = i;
        struct share *share = &p->shares[p->n_shares - 1];
        share->end = i + 1;
        share->size += p->found[i].size;
    }
    return 0;
}

/* What somebody still writes is locked. */
static bool is_written(const struct pruning *p, const char *name)
{
    cleanup_fd int fd = openat(p->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* The oldest of them, unless it has to stay. */
static void remove_next(struct pruning *p, struct share *share)
{
    const struct found *found = &p->found[share->next++];
    if (is_written(p, found->name))
        return;
    if (unlinkat(p->dir, found->name, 0) < 0 && errno != ENOENT)
        return;
    share->size -= found->size;
    p->size -= found->size;
    p->removed++;
}

static void remove_old(struct pruning *p, int64_t before)
{
    for (size_t i = 0; i < p->n_shares; i++) {
        struct share *share = &p->shares[i];
        while (share->next < share->end && p->found[share->next].time < before)
            remove_next(p, share);
    }
}

static struct share *largest(struct pruning *p)
{
    struct share *largest = NULL;
    for (size_t i = 0; i < p->n_shares; i++) {
        struct share *share = &p->shares[i];
        if (share->next < share->end && (largest == NULL || share->size > largest->size))
            largest = share;
    }
    return largest;
}

long recordings_prune_dir(int dir, const struct server_config *config, int64_t now)
{
    struct pruning p = {.dir = dir};
    struct share *share;
    bool ok = list(&p) == 0 && divide(&p) == 0;
    if (ok && config->recordings_keep_ms != SPEC_INFINITY)
        remove_old(&p, now - (int64_t)(config->recordings_keep_ms / 1000));
    if (ok && config->recordings_max != SPEC_INFINITY)
        while (p.size > config->recordings_max - recordings_slack(config) &&
               (share = largest(&p)) != NULL)
            remove_next(&p, share);
    free(p.found);
    free(p.shares);
    return ok ? p.removed : -1;
}

static void prune_and_exit(int dir, const struct server_config *config) __attribute__((noreturn));

static void prune_and_exit(int dir, const struct server_config *config)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "postern-prune");
    /* Nothing of the master's stays open here: somebody would wait for its end. */
    if (dup2(dir, STDIN_FILENO) < 0 || close_range(STDIN_FILENO + 1, ~0U, 0) < 0)
        _exit(1);
    _exit(recordings_prune_dir(STDIN_FILENO, config, time(NULL)) < 0 ? 1 : 0);
}

struct child *recordings_prune(struct server *server, int dir, const struct server_config *config)
{
    pid_t pid = fork();
    if (pid == 0)
        prune_and_exit(dir, config);
    if (pid > 0)
        return child_new(server, pid);
    log_line(LOG_LEVEL_ERROR, "remove old recordings: fork: %s", strerror(errno));
    return NULL;
}
