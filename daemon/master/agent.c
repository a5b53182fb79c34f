#include "agent.h"
#include "address.h"
#include "cleanup.h"
#include "gate.h"
#include "generation.h"
#include "log.h"
#include "state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum { BACKLOG = 16, ANSWERS_PER_TURN = 8, OUT_OF_FDS_MS = 500 };

struct agent {
    struct server *server;
    int fd;
    char *host;
    uint16_t port;
    struct loop_source source;
    struct loop_timer retry;
};

static void on_question(struct loop_source *source);

static int fail(struct err *err, const struct listen_addr *addr, const char *what)
{
    int num = errno;
    err_set(err, num, "%s:%u: agent-check %s port %u: %s", addr->origin.file, addr->origin.line,
            addr->host, addr->port, what);
    err->code = num == EADDRINUSE || num == EADDRNOTAVAIL ? EX_UNAVAILABLE : EX_OSERR;
    return -1;
}

static socklen_t parse_address(const struct listen_addr *addr, struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, addr->host, &in.sin_addr) == 1) {
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    if (inet_pton(AF_INET6, addr->host, &in6.sin6_addr) != 1)
        return 0;
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

static int listen_there(struct agent *agent, const struct listen_addr *addr, struct err *err)
{
    struct sockaddr_storage ss;
    int on = 1;
    socklen_t len = parse_address(addr, &ss);
    agent->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (len == 0 || agent->fd < 0)
        return fail(err, addr, "socket");
    if (setsockopt(agent->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(agent->fd, (struct sockaddr *)&ss, len) < 0)
        return fail(err, addr, "bind");
    return listen(agent->fd, BACKLOG) < 0 ? fail(err, addr, "listen") : 0;
}

int agent_open(struct server *server, const struct server_config *config, struct err *err)
{
    const struct listen_addr *addr = &config->agent_check;
    if (addr->host == NULL)
        return 0;
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL)
        return err_set(err, errno, "agent-check");
    *agent = (struct agent){.server = server, .fd = -1, .port = addr->port, .source = {.fd = -1}};
    server->agent = agent;
    agent->host = strdup(addr->host);
    if (agent->host == NULL)
        return err_set(err, errno, "agent-check");
    return listen_there(agent, addr, err);
}

static void announce(const struct agent *agent)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(agent->fd, (struct sockaddr *)&ss, &len) < 0)
        return;
    bool v6 = ss.ss_family == AF_INET6;
    unsigned port = ntohs(v6 ? ((struct sockaddr_in6 *)(void *)&ss)->sin6_port
                             : ((struct sockaddr_in *)(void *)&ss)->sin_port);
    log_line(LOG_LEVEL_INFO, "agent-check answers on %s%s%s port %u", v6 ? "[" : "", agent->host,
             v6 ? "]" : "", port);
}

static void watch(struct agent *agent)
{
    struct err err = {0};
    if (loop_add(agent->server->loop, &agent->source, agent->fd, on_question, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "agent-check: %s", err.text);
}

void agent_serve(struct server *server)
{
    if (server->agent == NULL || server->agent->source.fd >= 0)
        return;
    announce(server->agent);
    watch(server->agent);
}

void agent_close(struct server *server)
{
    struct agent *agent = server->agent;
    if (agent == NULL)
        return;
    loop_remove(server->loop, &agent->source);
    loop_disarm(server->loop, &agent->retry);
    close_fd(&agent->fd);
    free(agent->host);
    free(agent);
    server->agent = NULL;
}

void agent_carry(struct state *state, struct server *server)
{
    bool there = server->agent != NULL;
    state_bool(state, &there);
    if (!there)
        return;
    if (!state->saving && (server->agent = calloc(1, sizeof *server->agent)) == NULL) {
        state_refuse(state);
        return;
    }
    struct agent *agent = server->agent;
    if (!state->saving)
        *agent = (struct agent){.server = server, .fd = -1, .source = {.fd = -1}};
    state_fd(state, &agent->fd);
    state_string(state, &agent->host, INET6_ADDRSTRLEN);
    state_u16(state, &agent->port);
    if (agent->fd < 0 || agent->host == NULL)
        state_refuse(state);
}

bool agent_match(const struct server *server, const struct server_config *config)
{
    const struct agent *agent = server->agent;
    const struct listen_addr *addr = &config->agent_check;
    if (agent == NULL || addr->host == NULL)
        return agent == NULL && addr->host == NULL;
    return agent->port == addr->port && strcmp(agent->host, addr->host) == 0;
}

static uint64_t percent_free(uint64_t used, uint64_t most)
{
    return used >= most ? 0 : 100 - used * 100 / most;
}

const char *agent_line(const struct server *server, char buf[AGENT_LINE_MAX])
{
    const struct server_config *config = &server->current->policy->server;
    uint64_t left = percent_free(server->n_connections, config->max_connections);
    uint64_t other = percent_free(server->n_running, server->max_execs);
    left = other < left ? other : left;
    /* "ready" takes a former "drain" back. */
    if (server->drain.active || server->stopping)
        (void)snprintf(buf, AGENT_LINE_MAX, "drain\n");
    else
        (void)snprintf(buf, AGENT_LINE_MAX, "up ready %u%%\n", (unsigned)left);
    return buf;
}

/* Only who balances needs to know. */
static bool is_allowed(const struct server *server, const struct sockaddr *peer)
{
    static const unsigned char v4[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char addr[SOURCE_LEN];
    const struct address_list *from = &server->current->policy->server.proxy_from;
    if (!source_address(peer, addr))
        return false;
    if (memcmp(addr, v4, sizeof v4) == 0 ? addr[12] == 127
                                         : memcmp(addr, &in6addr_loopback, SOURCE_LEN) == 0)
        return true;
    return from->n > 0 && address_list_allows(from, addr);
}

static void answer(const struct agent *agent, int fd)
{
    char line[AGENT_LINE_MAX], waste[1024];
    const char *text = agent_line(agent->server, line);
    (void)send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    /* What it has sent (agent-send) and is not read would take the line back. */
    (void)recv(fd, waste, sizeof waste, MSG_DONTWAIT);
}

static void on_retry(struct loop_timer *timer)
{
    watch(CONTAINER_OF(timer, struct agent, retry));
}

static void on_question(struct loop_source *source)
{
    struct agent *agent = CONTAINER_OF(source, struct agent, source);
    for (int i = 0; i < ANSWERS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        cleanup_fd int fd = accept4(agent->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
        bool full =
            fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
        if (full) {
            loop_remove(agent->server->loop, &agent->source);
            (void)loop_arm(agent->server->loop, &agent->retry, OUT_OF_FDS_MS, on_retry);
        }
        if (fd < 0)
            return;
        if (is_allowed(agent->server, (struct sockaddr *)&peer))
            answer(agent, fd);
        else
            gate_log_refusal(agent->server, (struct sockaddr *)&peer, REFUSED_PROXY,
                             "agent-check answers loopback addresses and proxy-from alone");
    }
}
