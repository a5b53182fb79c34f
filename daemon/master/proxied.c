#include "proxied.h"
#include "address.h"
#include "cleanup.h"
#include "connection.h"
#include "gate.h"
#include "generation.h"
#include "log.h"
#include "proxy_header.h"
#include "state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { PROXIED_EVICT_MS = 2000 };

struct proxied {
    struct server *server;
    struct proxied *older, *newer;
    struct loop_source source;
    struct loop_timer timer;
    int fd;
    uint64_t since_ms;
    struct sockaddr_storage peer;
    unsigned char buf[PROXY_HEADER_MAX];
    size_t len;
};

static const struct server_config *config_of(const struct server *server)
{
    return &server->current->policy->server;
}

static void link_newest(struct proxied *proxied)
{
    struct server *server = proxied->server;
    proxied->older = server->last_proxied;
    *(proxied->older != NULL ? &proxied->older->newer : &server->proxied) = proxied;
    server->last_proxied = proxied;
    server->n_proxied++;
}

static void proxied_free(struct proxied *proxied)
{
    struct server *server = proxied->server;
    loop_remove(server->loop, &proxied->source);
    loop_disarm(server->loop, &proxied->timer);
    close_fd(&proxied->fd);
    *(proxied->older != NULL ? &proxied->older->newer : &server->proxied) = proxied->newer;
    *(proxied->newer != NULL ? &proxied->newer->older : &server->last_proxied) = proxied->older;
    server->n_proxied--;
    free(proxied);
}

static void refuse(struct proxied *proxied, const char *problem)
{
    char why[160];
    (void)snprintf(why, sizeof why, "its PROXY header is refused: %s", problem);
    gate_log_refusal(proxied->server, (struct sockaddr *)&proxied->peer, REFUSED_PROXY, why);
    proxied_free(proxied);
}

static void on_late(struct loop_timer *timer)
{
    refuse(CONTAINER_OF(timer, struct proxied, timer), "it did not come within login-grace");
}

static void serve(struct proxied *proxied, const struct proxy_header *header)
{
    static const struct gate_refusal not_ready = {REFUSED_NO_SESSION, "no session process is ready",
                                                  "the server is busy; try again later"};
    struct server *server = proxied->server;
    bool named = header->has_address;
    const struct sockaddr_storage peer = named ? header->source : proxied->peer;
    const struct client client = {.peer = (const struct sockaddr *)&peer,
                                  .local =
                                      named ? (const struct sockaddr *)&header->destination : NULL,
                                  .is_balancer = !named};
    cleanup_fd int fd = steal_fd(&proxied->fd);
    loop_remove(server->loop, &proxied->source);
    proxied_free(proxied);
    if (server->zygote == NULL)
        gate_refuse(server, fd, client.peer, &not_ready);
    else if (gate_admits(server, fd, &client))
        connection_start(server, steal_fd(&fd), &client);
}

/* The bytes after the header are for the session: what belongs to the header is found out before it
 * is taken. */
static void on_readable(struct loop_source *source)
{
    struct proxied *proxied = CONTAINER_OF(source, struct proxied, source);
    struct proxy_header header;
    ssize_t n = recv(proxied->fd, proxied->buf + proxied->len, sizeof proxied->buf - proxied->len,
                     MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        /* A check of health looks and goes. */
        if (proxied->len > 0)
            refuse(proxied, "it is cut short");
        else
            proxied_free(proxied);
        return;
    }
    enum proxy_result result = proxy_header_parse(proxied->buf, proxied->len + (size_t)n, &header);
    if (result == PROXY_BAD) {
        refuse(proxied, header.problem);
        return;
    }
    size_t ours = result == PROXY_DONE ? header.len - proxied->len : (size_t)n;
    if (recv(proxied->fd, proxied->buf + proxied->len, ours, MSG_DONTWAIT) != (ssize_t)ours) {
        refuse(proxied, "it can't be read");
        return;
    }
    proxied->len += ours;
    if (result == PROXY_DONE)
        serve(proxied, &header);
}

/* As many may wait as may be unauthenticated; one that is late gives way. */
static bool make_room(struct server *server)
{
    struct proxied *oldest = server->proxied;
    if (server->n_proxied < config_of(server)->max_startups)
        return true;
    if (loop_now_ms() - oldest->since_ms < PROXIED_EVICT_MS)
        return false;
    refuse(oldest, "others wait for its place");
    return true;
}

static bool is_trusted(const struct server *server, const struct sockaddr *peer)
{
    unsigned char addr[SOURCE_LEN];
    const struct address_list *from = &config_of(server)->proxy_from;
    return from->n > 0 && source_address(peer, addr) && address_list_allows(from, addr);
}

void proxied_start(struct server *server, int socket_fd, const struct sockaddr *peer)
{
    static const struct gate_refusal stranger = {REFUSED_PROXY, "it is not in proxy-from",
                                                 "this port is for a balancer"};
    static const struct gate_refusal full = {REFUSED_PROXY, "too many wait to say whose they are",
                                             "the server is busy; try again later"};
    cleanup_fd int fd = socket_fd;
    struct err err = {0};
    if (!is_trusted(server, peer)) {
        gate_refuse(server, fd, peer, &stranger);
        return;
    }
    if (!make_room(server)) {
        gate_refuse(server, fd, peer, &full);
        return;
    }
    struct proxied *proxied = calloc(1, sizeof *proxied);
    if (proxied == NULL)
        return;
    *proxied = (struct proxied){
        .server = server, .source = {.fd = -1}, .fd = steal_fd(&fd), .since_ms = loop_now_ms()};
    memcpy(&proxied->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    link_newest(proxied);
    if (loop_add(server->loop, &proxied->source, proxied->fd, on_readable, &err) < 0 ||
        loop_arm(server->loop, &proxied->timer, config_of(server)->login_grace_ms, on_late) < 0)
        refuse(proxied, "the server is out of memory");
}

void proxied_close_all(struct server *server)
{
    while (server->proxied != NULL)
        proxied_free(server->proxied);
}

void proxied_pause(struct server *server)
{
    for (struct proxied *p = server->proxied; p != NULL; p = p->newer)
        loop_remove(server->loop, &p->source);
}

void proxied_resume(struct server *server)
{
    for (struct proxied *p = server->proxied, *next; p != NULL; p = next) {
        next = p->newer;
        if (loop_add(server->loop, &p->source, p->fd, on_readable, NULL) < 0)
            refuse(p, "the server is out of memory");
    }
}

static void carry(struct state *state, struct proxied *proxied)
{
    static void (*const due[])(struct loop_timer *) = {on_late};
    state_fd(state, &proxied->fd);
    state_u64(state, &proxied->since_ms);
    state_address(state, &proxied->peer);
    state_size(state, &proxied->len, sizeof proxied->buf);
    state_bytes(state, proxied->buf, proxied->len);
    state_timer(state, proxied->server->loop, &proxied->timer, due, array_len(due));
    if (proxied->fd < 0 || proxied->timer.slot == 0)
        state_refuse(state);
}

static void restore(struct state *state, struct server *server)
{
    struct proxied *proxied = calloc(1, sizeof *proxied);
    if (proxied == NULL) {
        state_refuse(state);
        return;
    }
    *proxied = (struct proxied){.server = server, .source = {.fd = -1}, .fd = -1};
    link_newest(proxied);
    carry(state, proxied);
}

void proxied_carry_all(struct state *state, struct server *server)
{
    for (struct proxied *p = server->proxied; state->saving && p != NULL; p = p->newer) {
        (void)state_more(state, true);
        carry(state, p);
    }
    while (state_more(state, false))
        restore(state, server);
}
