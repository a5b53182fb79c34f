#include "notify.h"
#include "cleanup.h"
#include "generation.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 2000 };

static void on_tick(struct loop_timer *timer);

/* A path, or an abstract name that is written with @ in front. */
static int parse_address(struct notify *notify, const char *text)
{
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof notify->addr.sun_path)
        return -1;
    notify->addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify->addr.sun_path, text, len);
    if (text[0] == '@')
        notify->addr.sun_path[0] = '\0';
    notify->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (text[0] == '/'));
    return 0;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* How often a sign of life is due, 0 if nobody waits for one of this process. */
static uint64_t watchdog_interval_ms(void)
{
    uint64_t usec, pid;
    const char *whose = getenv("WATCHDOG_PID");
    if (!parse_number(getenv("WATCHDOG_USEC"), &usec) || usec == 0)
        return 0;
    if (whose != NULL && (!parse_number(whose, &pid) || pid != (uint64_t)getpid()))
        return 0;
    uint64_t ms = usec / 1000 / 2;
    return ms > 0 ? ms : 1;
}

void notify_open(struct server *server)
{
    struct notify *notify = &server->notify;
    const char *text = getenv("NOTIFY_SOCKET");
    *notify = (struct notify){.fd = -1};
    if (text == NULL || text[0] == '\0')
        return;
    if (parse_address(notify, text) < 0) {
        log_line(LOG_LEVEL_WARNING, "NOTIFY_SOCKET is no path of a socket: %s", text);
        return;
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0) {
        log_line(LOG_LEVEL_WARNING, "NOTIFY_SOCKET: socket: %s", strerror(errno));
        return;
    }
    notify->alive_every_ms = watchdog_interval_ms();
}

void notify_close(struct server *server)
{
    loop_disarm(server->loop, &server->notify.tick);
    close_fd(&server->notify.fd);
}

static int tell(const struct notify *notify, const char *text)
{
    if (notify->fd < 0)
        return -1;
    size_t len = strlen(text);
    ssize_t n = sendto(notify->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT,
                       (const struct sockaddr *)&notify->addr, notify->addr_len);
    return n == (ssize_t)len ? 0 : -1;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void describe(const struct server *server, char *buf, size_t cap)
{
    const struct policy *policy = server->current->policy;
    char more[96] = "";
    if (!server->stopping)
        (void)snprintf(more, sizeof more, "; policy %" PRIu64 ": %zu tenant%s%s",
                       server->current->number, policy->n_tenants, plural(policy->n_tenants),
                       server->notify.refused ? "; the last reload was refused, see the log" : "");
    (void)snprintf(buf, cap, "%s%zu connection%s, %zu command%s%s",
                   server->stopping       ? "stopping: "
                   : server->drain.active ? "draining: "
                                          : "",
                   server->n_connections, plural(server->n_connections), server->n_running,
                   plural(server->n_running), more);
}

static void tell_status(struct server *server)
{
    struct notify *notify = &server->notify;
    char text[sizeof notify->status], line[sizeof text + sizeof "STATUS="];
    describe(server, text, sizeof text);
    if (strcmp(text, notify->status) == 0)
        return;
    (void)snprintf(line, sizeof line, "STATUS=%s", text);
    if (tell(notify, line) == 0)
        memcpy(notify->status, text, sizeof text);
}

static void tell_alive(struct notify *notify)
{
    uint64_t now_ms = loop_now_ms();
    if (notify->alive_every_ms == 0 || now_ms < notify->alive_due_ms)
        return;
    /* One that is not taken is sent again at the next tick. */
    if (tell(notify, "WATCHDOG=1") == 0)
        notify->alive_due_ms = now_ms + notify->alive_every_ms;
}

static void on_tick(struct loop_timer *timer)
{
    struct notify *notify = CONTAINER_OF(timer, struct notify, tick);
    struct server *server = CONTAINER_OF(notify, struct server, notify);
    uint64_t next_ms = TICK_MS;
    tell_alive(notify);
    tell_status(server);
    if (notify->alive_every_ms > 0 && notify->alive_every_ms < next_ms)
        next_ms = notify->alive_every_ms;
    (void)loop_arm(server->loop, timer, next_ms, on_tick);
}

void notify_ready(struct server *server)
{
    if (server->notify.fd < 0)
        return;
    (void)tell(&server->notify, "READY=1");
    on_tick(&server->notify.tick);
}

void notify_reloading(struct server *server)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    (void)tell(&server->notify, text);
}

void notify_reloaded(struct server *server, bool loaded)
{
    server->notify.refused = !loaded;
    if (server->reload == NULL && server->next == NULL)
        notify_ready(server);
}

void notify_stopping(struct server *server)
{
    (void)tell(&server->notify, "STOPPING=1");
    if (server->notify.fd >= 0)
        tell_status(server);
}
