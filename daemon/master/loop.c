#include "loop.h"
#include "cleanup.h"

#include <errno.h>
#include <time.h>

enum { BATCH = 64 };

struct loop {
    int epoll_fd;
    struct epoll_event batch[BATCH];
    int batch_len;
    struct loop_timer **heap; /* heap[0] is unused; children of i are 2i and 2i + 1 */
    size_t n_timers;
    size_t cap_timers;
};

struct loop *loop_new(struct err *err)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        err_set(err, errno, "event loop");
        return NULL;
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        err_set(err, errno, "epoll_create1");
        free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    close_fd(&loop->epoll_fd);
    free(loop->heap);
    free(loop);
}

static int add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
               void (*on_ready)(struct loop_source *), struct err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        source->fd = -1;
        return err_set(err, errno, "epoll_ctl");
    }
    source->fd = fd;
    source->on_ready = on_ready;
    return 0;
}

int loop_add(struct loop *loop, struct loop_source *source, int fd,
             void (*on_ready)(struct loop_source *), struct err *err)
{
    return add(loop, source, fd, EPOLLIN, on_ready, err);
}

int loop_add_changing(struct loop *loop, struct loop_source *source, int fd,
                      void (*on_ready)(struct loop_source *), struct err *err)
{
    return add(loop, source, fd, EPOLLPRI, on_ready, err);
}

int loop_watch_writing(struct loop *loop, struct loop_source *source, bool writing, struct err *err)
{
    struct epoll_event event = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return err_set(err, errno, "epoll_ctl");
    return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (source->fd < 0)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
    /* An event of this source may still wait in the round that is being run. */
    for (int i = 0; i < loop->batch_len; i++)
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
}

uint64_t loop_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t loop_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void heap_put(struct loop *loop, size_t slot, struct loop_timer *timer)
{
    loop->heap[slot] = timer;
    timer->slot = slot;
}

/* Moves a timer towards the root, then towards the leaves, until the heap is in order again. */
static void heap_settle(struct loop *loop, struct loop_timer *timer)
{
    size_t slot = timer->slot;
    for (; slot > 1 && loop->heap[slot / 2]->due_ms > timer->due_ms; slot /= 2)
        heap_put(loop, slot, loop->heap[slot / 2]);
    for (size_t child; (child = slot * 2) <= loop->n_timers; slot = child) {
        if (child < loop->n_timers && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (loop->heap[child]->due_ms >= timer->due_ms)
            break;
        heap_put(loop, slot, loop->heap[child]);
    }
    heap_put(loop, slot, timer);
}

int loop_arm_at(struct loop *loop, struct loop_timer *timer, uint64_t due_ms,
                void (*on_due)(struct loop_timer *))
{
    if (timer->slot == 0) {
        if (loop->n_timers + 1 >= loop->cap_timers) {
            size_t cap = loop->cap_timers > 0 ? loop->cap_timers * 2 : 64;
            struct loop_timer **heap = realloc(loop->heap, cap * sizeof(*heap));
            if (heap == NULL)
                return -1;
            loop->heap = heap;
            loop->cap_timers = cap;
        }
        heap_put(loop, ++loop->n_timers, timer);
    }
    timer->due_ms = due_ms;
    timer->on_due = on_due;
    heap_settle(loop, timer);
    return 0;
}

int loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
             void (*on_due)(struct loop_timer *))
{
    uint64_t now = loop_now_ms();
    return loop_arm_at(loop, timer, delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms,
                       on_due);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
    if (timer->slot == 0)
        return;
    struct loop_timer *last = loop->heap[loop->n_timers--];
    size_t slot = timer->slot;
    timer->slot = 0;
    if (last != timer) {
        heap_put(loop, slot, last);
        heap_settle(loop, last);
    }
}

static int next_timeout(const struct loop *loop)
{
    if (loop->n_timers == 0)
        return -1;
    uint64_t now = loop_now_ms(), due = loop->heap[1]->due_ms;
    if (due <= now)
        return 0;
    return due - now > 3600000 ? 3600000 : (int)(due - now);
}

int loop_turn(struct loop *loop, struct err *err)
{
    int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, next_timeout(loop));
    if (n < 0 && errno != EINTR)
        return err_set(err, errno, "epoll_wait");
    loop->batch_len = n > 0 ? n : 0;
    for (int i = 0; i < loop->batch_len; i++) {
        struct loop_source *source = loop->batch[i].data.ptr;
        if (source != NULL)
            source->on_ready(source);
    }
    loop->batch_len = 0;
    uint64_t now = loop_now_ms();
    while (loop->n_timers > 0 && loop->heap[1]->due_ms <= now) {
        struct loop_timer *timer = loop->heap[1];
        loop_disarm(loop, timer);
        timer->on_due(timer);
    }
    return 0;
}
