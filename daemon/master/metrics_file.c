#include "metrics_file.h"
#include "cleanup.h"
#include "generation.h"
#include "log.h"
#include "metrics_now.h"
#include "trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

enum { PATIENCE_S = 1 /* with a disk, where something waits for it */ };

struct metrics_file {
    struct server *server;
    char *path;
    const char *name; /* in `path` */
    char *temporary;  /* another name, which collectors pass over */
    uint64_t interval_ms;
    int dir; /* -1 until it could be opened */
    struct loop_source written;
    struct loop_timer due;
    pthread_t thread;
    bool writing; /* then the next three are the thread's */
    char *text;
    size_t len;
    int failure;  /* errno(3) of the last writing, or 0 */
    bool failing; /* said so on the log */
};

static int write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* Nothing here takes a lock or memory: the loop may fork at any moment. */
static int replace(const struct metrics_file *file)
{
    (void)unlinkat(file->dir, file->temporary, 0);
    cleanup_fd int fd = openat(file->dir, file->temporary,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (write_whole(fd, file->text, file->len) == 0 && fchmod(fd, 0644) == 0 &&
        renameat(file->dir, file->temporary, file->dir, file->name) == 0)
        return 0;
    int num = errno;
    (void)unlinkat(file->dir, file->temporary, 0);
    errno = num;
    return -1;
}

static void *write_file(void *arg)
{
    struct metrics_file *file = arg;
    file->failure = replace(file) < 0 ? errno : 0;
    (void)eventfd_write(file->written.fd, 1);
    return NULL;
}

/* Once per spell: it may last for days. */
static void tell(struct metrics_file *file, const char *why)
{
    if (why != NULL && !file->failing)
        log_line(LOG_LEVEL_ERROR, "metrics-file = %s can't be written: %s", file->path, why);
    if (why == NULL && file->failing)
        log_line(LOG_LEVEL_WARNING, "metrics-file = %s is written again", file->path);
    file->failing = why != NULL;
}

/* Joins the thread. False if it still writes after so long. */
static bool end_writing(struct metrics_file *file, time_t patience)
{
    struct timespec until;
    if (!file->writing)
        return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += patience;
    if (pthread_timedjoin_np(file->thread, NULL, &until) != 0)
        return false;
    file->writing = false;
    free_ptr(&file->text);
    /* It may have been replaced: the next attempt looks again. */
    if (file->failure != 0)
        close_fd(&file->dir);
    return true;
}

static void on_written(struct loop_source *source)
{
    struct metrics_file *file = CONTAINER_OF(source, struct metrics_file, written);
    eventfd_t count;
    if (eventfd_read(source->fd, &count) == 0 && end_writing(file, PATIENCE_S))
        tell(file, file->failure != 0 ? strerror(file->failure) : NULL);
}

static int open_directory(struct metrics_file *file, struct err *err)
{
    char above[4096];
    if (file->dir >= 0)
        return 0;
    int n = snprintf(above, sizeof above, "%.*s", (int)(file->name - file->path), file->path);
    if (n < 0 || (size_t)n >= sizeof above)
        return err_set(err, ENAMETOOLONG, "its directory");
    return trusted_path_open_dir(above, 0, &file->dir, err);
}

static int begin_writing(struct metrics_file *file, struct err *err)
{
    if (open_directory(file, err) < 0)
        return -1;
    file->text = metrics_now_text(file->server, &file->len);
    if (file->text == NULL)
        return err_set(err, ENOMEM, "its text");
    int num = pthread_create(&file->thread, NULL, write_file, file);
    file->writing = num == 0;
    if (num != 0)
        free_ptr(&file->text);
    return num == 0 ? 0 : err_set(err, num, "pthread_create");
}

static void on_due(struct loop_timer *timer)
{
    struct metrics_file *file = CONTAINER_OF(timer, struct metrics_file, due);
    struct err err = {0};
    (void)loop_arm(file->server->loop, timer, file->interval_ms, on_due);
    if (file->writing)
        tell(file, "the last writing has not ended yet");
    else if (begin_writing(file, &err) < 0)
        tell(file, err.text);
}

static void forget(struct server *server)
{
    struct metrics_file *file = steal_ptr(server->metrics_file);
    int event_fd = file->written.fd;
    bool ended = end_writing(file, PATIENCE_S);
    loop_disarm(server->loop, &file->due);
    loop_remove(server->loop, &file->written);
    if (!ended) {
        /* All of it is the thread's until the disk answers, which may be never. */
        log_line(LOG_LEVEL_ERROR, "metrics-file = %s hangs: it is given up", file->path);
        (void)pthread_detach(file->thread);
        return;
    }
    close_fd(&event_fd);
    close_fd(&file->dir);
    free(file->path);
    free(file->temporary);
    free(file);
}

void metrics_file_stop(struct server *server)
{
    struct metrics_file *file = server->metrics_file;
    struct err err = {0};
    if (file == NULL)
        return;
    if (end_writing(file, PATIENCE_S) && open_directory(file, &err) == 0)
        (void)unlinkat(file->dir, file->name, 0);
    forget(server);
}

void metrics_file_leave(struct server *server)
{
    if (server->metrics_file != NULL)
        forget(server);
}

static int begin(struct server *server, const char *path, struct err *err)
{
    struct metrics_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return err_set(err, ENOMEM, "metrics-file");
    *file = (struct metrics_file){.server = server, .dir = -1, .written = {.fd = -1}};
    server->metrics_file = file;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    file->path = strdup(path);
    if (file->path != NULL)
        file->name = strrchr(file->path, '/') + 1;
    if (fd >= 0 && file->path != NULL && asprintf(&file->temporary, ".%s.new", file->name) >= 0 &&
        loop_add(server->loop, &file->written, fd, on_written, err) == 0)
        return 0;
    err_set(err, errno, "metrics-file");
    if (file->written.fd < 0)
        close_fd(&fd);
    forget(server);
    return -1;
}

void metrics_file_apply(struct server *server)
{
    const struct server_config *config = &server->current->policy->server;
    struct err err = {0};
    if (server->metrics_file != NULL &&
        (config->metrics_file == NULL ||
         strcmp(config->metrics_file, server->metrics_file->path) != 0))
        metrics_file_stop(server);
    if (config->metrics_file == NULL)
        return;
    if (server->metrics_file == NULL && begin(server, config->metrics_file, &err) < 0) {
        log_line(LOG_LEVEL_ERROR, "%s; no metrics-file is written", err.text);
        return;
    }
    server->metrics_file->interval_ms = config->metrics_ms;
    (void)loop_arm(server->loop, &server->metrics_file->due, 0, on_due);
}
