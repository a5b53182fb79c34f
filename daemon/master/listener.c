#include "listener.h"
#include "activation.h"
#include "cleanup.h"
#include "connection.h"
#include "gate.h"
#include "generation.h"
#include "log.h"
#include "proxied.h"
#include "state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum {
    LISTEN_MAX = 1024, /* a bound for what is restored; a policy is far below */
    HOST_BYTES_MAX = 256,
    BACKLOG = 1024,
    ACCEPTS_PER_TURN = 16, /* then others have their turn */
    OUT_OF_FDS_MS = 500,
    LISTENER_TEXT_MAX = 96,
};

struct listener {
    struct server *server;
    struct loop_source source;
    int fd;
    char *host;
    uint16_t port; /* as configured; 0 if the kernel chose */
    bool proxy;    /* a balancer says first whose connection it is */
};

struct listeners {
    struct listener *items;
    size_t n;
    bool passed; /* there is no 'listen =': they are what systemd has opened */
    bool paused;
    struct loop_timer retry;
};

static void on_connection(struct loop_source *source);

static socklen_t parse_address(const struct listen_addr *addr, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
    if (inet_pton(AF_INET, addr->host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        return sizeof *in;
    }
    if (inet_pton(AF_INET6, addr->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(addr->port);
        return sizeof *in6;
    }
    return 0;
}

/* Nobody asked for it by name: the defaults stand in no line. */
static bool is_default(const struct listen_addr *addr)
{
    return addr->origin.line == 0;
}

static int fail(struct err *err, const struct listen_addr *addr, const char *what)
{
    int num = errno;
    if (is_default(addr))
        err_set(err, num,
                "listen %s port %u (the default; 'listen =' in [server] names another): %s",
                addr->host, addr->port, what);
    else
        err_set(err, num, "%s:%u: listen %s port %u: %s", addr->origin.file, addr->origin.line,
                addr->host, addr->port, what);
    err->code = num == EADDRINUSE || num == EADDRNOTAVAIL ? EX_UNAVAILABLE : EX_OSERR;
    if (num == EACCES)
        err->code = EX_NOPERM;
    return -1;
}

static int bind_one(const struct listen_addr *addr, const struct sockaddr_storage *ss,
                    socklen_t len, int *out, struct err *err)
{
    int on = 1;
    cleanup_fd int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(err, addr, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (ss->ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0))
        return fail(err, addr, "setsockopt");
    if (bind(fd, (const struct sockaddr *)ss, len) < 0)
        return fail(err, addr, "bind");
    if (listen(fd, BACKLOG) < 0)
        return fail(err, addr, "listen");
    *out = steal_fd(&fd);
    return 0;
}

/* With the socket for this address that systemd has passed, if it has. */
static int open_one(const struct listen_addr *addr, struct activation *passed,
                    struct listener *listener, struct err *err)
{
    struct sockaddr_storage ss;
    socklen_t len = parse_address(addr, &ss);
    if (len == 0)
        return errno = EINVAL, fail(err, addr, "not an address");
    cleanup_fd int fd = activation_steal(passed, &ss);
    if (fd < 0 && bind_one(addr, &ss, len, &fd, err) < 0)
        return -1;
    listener->host = strdup(addr->host);
    if (listener->host == NULL)
        return err_set(err, errno, "listen");
    listener->port = addr->port;
    listener->proxy = addr->proxy;
    listener->fd = steal_fd(&fd);
    return 0;
}

static uint16_t describe_address(const struct sockaddr_storage *ss, char host[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)ss;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)ss;
    bool v6 = ss->ss_family == AF_INET6;
    const void *raw = v6 ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr;
    if (inet_ntop(ss->ss_family, raw, host, INET6_ADDRSTRLEN) == NULL)
        host[0] = '\0';
    return ntohs(v6 ? in6->sin6_port : in->sin_port);
}

/* "127.0.0.1:2222", with the port that the kernel chose; and, of a listener for balancers, `mark`.
 */
static void describe(const struct listener *listener, const char *mark,
                     char text[LISTENER_TEXT_MAX])
{
    struct sockaddr_storage ss;
    char host[INET6_ADDRSTRLEN];
    socklen_t len = sizeof ss;
    text[0] = '\0';
    if (getsockname(listener->fd, (struct sockaddr *)&ss, &len) < 0)
        return;
    bool v6 = ss.ss_family == AF_INET6;
    unsigned port = describe_address(&ss, host);
    (void)snprintf(text, LISTENER_TEXT_MAX, "%s%s%s:%u%s", v6 ? "[" : "", host, v6 ? "]" : "", port,
                   listener->proxy ? mark : "");
}

static struct listener *add_listener(struct server *server)
{
    struct listener *listener = &server->listeners->items[server->listeners->n];
    *listener = (struct listener){.server = server, .source = {.fd = -1}, .fd = -1};
    return listener;
}

/* Instead of the default addresses. */
static int use_passed(struct server *server, struct activation *passed, struct err *err)
{
    server->listeners->passed = true;
    for (int i; (i = activation_next(passed)) >= 0;) {
        struct listener *listener = add_listener(server);
        char host[INET6_ADDRSTRLEN];
        listener->port = describe_address(&passed->sockets[i].addr, host);
        listener->host = strdup(host);
        if (listener->host == NULL)
            return err_set(err, errno, "listen");
        listener->fd = steal_fd(&passed->sockets[i].fd);
        server->listeners->n++;
    }
    return 0;
}

static int open_configured(struct server *server, const struct server_config *config,
                           struct activation *passed, struct err *err)
{
    for (size_t i = 0; i < config->n_listen; i++) {
        if (open_one(&config->listen[i], passed, add_listener(server), err) < 0) {
            /* A host without IPv6 serves what the defaults can be had on. */
            if (is_default(&config->listen[i]) &&
                (err->num == EAFNOSUPPORT || err->num == EADDRNOTAVAIL))
                continue;
            return -1;
        }
        server->listeners->n++;
    }
    int left = activation_next(passed);
    if (left < 0)
        return 0;
    char host[INET6_ADDRSTRLEN];
    unsigned port = describe_address(&passed->sockets[left].addr, host);
    err_set(err, 0,
            "systemd passes a socket for %s port %u, which no 'listen =' in [server] names: add it "
            "there, or leave all of them out to serve what systemd passes",
            host, port);
    err->code = EX_CONFIG;
    return -1;
}

int listeners_open(struct server *server, const struct server_config *config, struct err *err)
{
    struct listeners *listeners = calloc(1, sizeof *listeners);
    struct activation passed;
    if (listeners == NULL)
        return err_set(err, errno, "listeners");
    server->listeners = listeners;
    listeners->paused = true;
    if (activation_take(&passed, err) < 0)
        return -1;
    listeners->items = calloc(config->n_listen + passed.n, sizeof *listeners->items);
    int rc = listeners->items == NULL ? err_set(err, errno, "listeners")
             : passed.n > 0 && is_default(&config->listen[0])
                 ? use_passed(server, &passed, err)
                 : open_configured(server, config, &passed, err);
    activation_free(&passed);
    return rc;
}

void listeners_announce(const struct server *server)
{
    for (size_t i = 0; i < server->listeners->n; i++) {
        char text[LISTENER_TEXT_MAX];
        describe(&server->listeners->items[i], ", behind a balancer", text);
        log_line(LOG_LEVEL_INFO, "listening on %s", text);
    }
}

void listeners_put(const struct server *server, struct json *json)
{
    const struct listeners *listeners = server->listeners;
    size_t n = listeners != NULL ? listeners->n : 0;
    char(*texts)[LISTENER_TEXT_MAX] = calloc(n, sizeof *texts);
    const char **items = calloc(n, sizeof *items);
    for (size_t i = 0; texts != NULL && items != NULL && i < n; i++) {
        describe(&listeners->items[i], " proxy", texts[i]);
        items[i] = texts[i];
    }
    json_texts(json, "listen", items, items != NULL && texts != NULL ? n : 0);
    free(texts);
    free(items);
}

void listeners_close(struct server *server)
{
    struct listeners *listeners = server->listeners;
    if (listeners == NULL)
        return;
    loop_disarm(server->loop, &listeners->retry);
    proxied_close_all(server);
    for (size_t i = 0; i < listeners->n; i++) {
        loop_remove(server->loop, &listeners->items[i].source);
        close_fd(&listeners->items[i].fd);
        free(listeners->items[i].host);
    }
    free(listeners->items);
    free(listeners);
    server->listeners = NULL;
}

void listeners_pause(struct server *server)
{
    struct listeners *listeners = server->listeners;
    if (listeners == NULL || listeners->paused)
        return;
    listeners->paused = true;
    for (size_t i = 0; i < listeners->n; i++)
        loop_remove(server->loop, &listeners->items[i].source);
}

void listeners_resume(struct server *server)
{
    struct listeners *listeners = server->listeners;
    /* Both are needed to serve: at start either may be there first. */
    if (listeners == NULL || !listeners->paused || server->zygote == NULL ||
        server->current == NULL || server->stopping || server->paused)
        return;
    listeners->paused = false;
    for (size_t i = 0; i < listeners->n; i++) {
        struct err err = {0};
        if (loop_add(server->loop, &listeners->items[i].source, listeners->items[i].fd,
                     on_connection, &err) < 0)
            log_line(LOG_LEVEL_ERROR, "listen %s: %s", listeners->items[i].host, err.text);
    }
}

static void on_retry(struct loop_timer *timer)
{
    struct listeners *listeners = CONTAINER_OF(timer, struct listeners, retry);
    if (listeners->n > 0)
        listeners_resume(listeners->items[0].server);
}

static void on_connection(struct loop_source *source)
{
    struct listener *listener = CONTAINER_OF(source, struct listener, source);
    struct server *server = listener->server;
    for (int i = 0; i < ACCEPTS_PER_TURN && source->fd >= 0; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log_line(LOG_LEVEL_ERROR, "accept: %s; waiting a little", strerror(errno));
                listeners_pause(server);
                (void)loop_arm(server->loop, &server->listeners->retry, OUT_OF_FDS_MS, on_retry);
            }
            return;
        }
        const struct client client = {.peer = (struct sockaddr *)&peer};
        if (listener->proxy)
            proxied_start(server, fd, client.peer);
        else if (gate_admits(server, fd, &client))
            connection_start(server, fd, &client);
        else
            close(fd);
    }
}

/* Whether one of the open sockets is for `addr`. */
static bool is_open(const struct listeners *listeners, const struct listen_addr *addr)
{
    for (size_t i = 0; i < listeners->n; i++)
        if (listeners->items[i].port == addr->port && listeners->items[i].proxy == addr->proxy &&
            strcmp(listeners->items[i].host, addr->host) == 0)
            return true;
    return false;
}

bool listeners_match(const struct server *server, const struct server_config *config)
{
    size_t n_open = 0;
    if (server->listeners->passed)
        return is_default(&config->listen[0]);
    for (size_t i = 0; i < config->n_listen; i++) {
        bool open = is_open(server->listeners, &config->listen[i]);
        if (!open && !is_default(&config->listen[i]))
            return false;
        n_open += open;
    }
    return n_open == server->listeners->n;
}

static void carry(struct state *state, struct listener *listener)
{
    state_fd(state, &listener->fd);
    state_string(state, &listener->host, HOST_BYTES_MAX);
    state_u16(state, &listener->port);
    state_bool(state, &listener->proxy);
    if (listener->fd < 0 || listener->host == NULL)
        state_refuse(state);
}

void listeners_carry(struct state *state, struct server *server)
{
    struct listeners *listeners = server->listeners;
    size_t n = listeners != NULL ? listeners->n : 0;
    bool passed = listeners != NULL && listeners->passed;
    state_size(state, &n, LISTEN_MAX);
    state_bool(state, &passed);
    if (!state->saving) {
        listeners = server->listeners = calloc(1, sizeof *listeners);
        if (listeners == NULL ||
            (listeners->items = calloc(n + 1, sizeof(struct listener))) == NULL) {
            state_refuse(state);
            return;
        }
        listeners->paused = true;
        listeners->passed = passed;
    }
    for (size_t i = 0; i < n; i++) {
        if (!state->saving)
            listeners->items[listeners->n++] =
                (struct listener){.server = server, .source = {.fd = -1}, .fd = -1};
        carry(state, &listeners->items[i]);
    }
}
