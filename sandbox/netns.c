#include "netns.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>

int netns_pool_open(struct netns_pool *pool, struct err *err)
{
    *pool = (struct netns_pool){.own = -1};
    pool->names = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (pool->names < 0)
        return err_set(err, errno, "/proc/self/ns");
    pool->own = openat(pool->names, "net", O_RDONLY | O_CLOEXEC);
    if (pool->own < 0) {
        err_set(err, errno, "/proc/self/ns/net");
        close_fd(&pool->names);
        return -1;
    }
    pool->current = pool->own;
    return 0;
}

void netns_pool_close(struct netns_pool *pool)
{
    while (pool->n_idle > 0)
        close_fd(&pool->idle[--pool->n_idle].fd);
    close_fd(&pool->own);
    close_fd(&pool->names);
}

static int take_idle(struct netns_pool *pool, size_t i)
{
    int fd = pool->idle[i].fd;
    pool->n_idle--;
    memmove(&pool->idle[i], &pool->idle[i + 1], (pool->n_idle - i) * sizeof *pool->idle);
    return fd;
}

/* The one that was used last is the most likely to be in the caches. */
static int find_idle(struct netns_pool *pool, uid_t uid)
{
    for (size_t i = pool->n_idle; i > 0; i--)
        if (pool->idle[i - 1].uid == uid)
            return take_idle(pool, i - 1);
    return -1;
}

static int move_to(struct netns_pool *pool, int fd, struct err *err)
{
    if (fd == pool->current)
        return 0;
    if (setns(fd, CLONE_NEWNET) < 0)
        return err_set(err, errno, "setns network");
    pool->current = fd;
    return 0;
}

static int make(struct netns_pool *pool, int *fd, struct err *err)
{
    int before = pool->current;
    if (unshare(CLONE_NEWNET) < 0)
        return err_set(err, errno, "unshare network");
    *fd = openat(pool->names, "net", O_RDONLY | O_CLOEXEC);
    if (*fd >= 0) {
        pool->current = *fd;
        return 0;
    }
    err_set(err, errno, "/proc/self/ns/net");
    pool->current = -1;
    (void)move_to(pool, before, err);
    return -1;
}

int netns_enter(struct netns_pool *pool, uid_t uid, int *fd, struct err *err)
{
    *fd = find_idle(pool, uid);
    if (*fd < 0)
        return make(pool, fd, err);
    if (move_to(pool, *fd, err) == 0)
        return 0;
    close_fd(fd);
    return -1;
}

void netns_give_back(struct netns_pool *pool, uid_t uid, int fd)
{
    if (pool->n_idle == NETNS_IDLE_MAX) {
        int oldest = take_idle(pool, 0);
        /* Its number may come again for another one. */
        if (oldest == pool->current && netns_leave(pool, NULL) < 0)
            pool->current = -1;
        close_fd(&oldest);
    }
    pool->idle[pool->n_idle++] = (struct netns_idle){uid, fd};
}

int netns_leave(struct netns_pool *pool, struct err *err)
{
    return move_to(pool, pool->own, err);
}
