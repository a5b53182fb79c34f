/*
 * bench_exec CONFIG TENANT COUNT - what the master does for COUNT execs of a tenant, one after the
 * other on one connection, in one process and without a sandbox: to be run under callgrind.
 *
 * The master is the real one, from its event loop on, with the policy and the audit trail that
 * CONFIG names; of a server only what no exec needs is missing: listener, zygote, signer, cgroups.
 * Who it talks to is played here, at the other ends of real sockets: the session by as_session_*(),
 * the spawner by as_spawner(), and a worker by as_worker_*(). They send, read and check what those
 * would, by the same codecs, and do nothing else of what those do.
 *
 * TENANT needs a shell, no limit of rate, and LANG in accept-env.
 */
#include "audit_sink.h"
#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "connection.h"
#include "exec.h"
#include "generation.h"
#include "log.h"
#include "order.h"
#include "policy_files.h"
#include "presence.h"
#include "report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    STDIO_FDS = 3,
    PATIENCE_S = 120,
    WORKERS_MAX = 4,     /* that have been asked for and have not ended */
    CHANNELS = 10,       /* whose numbers are used in turn */
    PRINTED = 17,        /* bytes that a command has written */
    NOBODY = 0x7ffffff0, /* no process has such a number */
};

/* By name, which an inlined function has not. */
#define COUNTED __attribute__((noinline))

static const char command[] = "make -j4 test";

struct bench {
    struct server server;
    struct connection *connection;
    struct ipc session, spawner; /* the ends that are not the master's */
    int workers[WORKERS_MAX];    /* the same of report sockets, the oldest first */
    size_t n_workers;
    int worker;           /* in the place of each worker's pidfd: no signal goes anywhere */
    int stdio[STDIO_FDS]; /* our own, for as long as a worker's are in their place */
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_exec: %s%s%s\n", what, err != NULL ? ": " : "",
            err != NULL ? err->text : "");
    exit(1);
}

static void need(bool condition, const char *what)
{
    if (!condition)
        die(what, NULL);
}

/* One event for the master, which waits for it. */
static void turn(struct bench *b)
{
    struct err err = {0};
    if (loop_turn(b->server.loop, &err) < 0)
        die("the event loop", &err);
}

/* The next message for one whom the master talks to, of that type; it lives until the next one. */
static struct ipc_in *expect(struct ipc *ipc, enum msg_type type)
{
    static struct ipc_in in;
    struct err err = {0};
    if (ipc_recv(ipc, &in, false, &err) != IPC_OK)
        die(msg_name(type), &err);
    need(in.msg.type == type, msg_name(type));
    return &in;
}

static void tell(struct ipc *ipc, const struct ipc_msg *msg, const int *fds, size_t n_fds)
{
    struct err err = {0};
    if (ipc_send(ipc, msg, fds, n_fds, false, &err) != IPC_OK)
        die(msg_name(msg->type), &err);
}

static struct wire_strv pack(const char *const *strings, char *room, size_t len)
{
    struct wire_strv out;
    need(wire_strv_pack(&out, strings, room, len) == 0, "environment");
    return out;
}

static COUNTED void as_session_ask(struct bench *b, uint32_t channel)
{
    static char names[64], values[64];
    const struct ipc_msg msg = {
        .type = MSG_REQ_EXEC,
        .req_exec = {.channel = channel,
                     .kind = EXEC_COMMAND,
                     .command = {(const unsigned char *)command, sizeof command - 1},
                     .term = "",
                     .env_names = pack((const char *const[]){"LANG", NULL}, names, sizeof names),
                     .env_values =
                         pack((const char *const[]){"C.UTF-8", NULL}, values, sizeof values)}};
    tell(&b->session, &msg, NULL, 0);
}

static COUNTED void as_session_hear_start(struct bench *b, uint32_t channel)
{
    struct ipc_in *in = expect(&b->session, MSG_ANS_EXEC);
    const struct msg_ans_exec *answer = &in->msg.ans_exec;
    need(answer->allowed != 0, answer->text);
    need(answer->channel == channel && in->n_fds == STDIO_FDS, "ANS_EXEC");
    ipc_drop_fds(in);
}

static COUNTED void as_session_end(struct bench *b, uint32_t channel)
{
    const struct msg_evt_exit *end = &expect(&b->session, MSG_EVT_EXIT)->msg.evt_exit;
    need(end->channel == channel && end->code == 0 && !end->signalled, end->text);
    const struct ipc_msg done = {.type = MSG_EVT_DONE,
                                 .evt_done = {.channel = channel, .bytes_out = PRINTED}};
    tell(&b->session, &done, NULL, 0);
}

/* A job: the master finds the answer in its queue. */
static COUNTED void as_spawner(struct bench *b)
{
    struct ipc_in *in = expect(&b->spawner, MSG_REQ_SPAWN);
    const struct ipc_msg answer = {
        .type = MSG_ANS_SPAWN,
        .ans_spawn = {.exec = in->msg.req_spawn.exec, .ok = true, .text = ""}};
    need(b->n_workers < WORKERS_MAX, "too many workers are asked for");
    b->workers[b->n_workers++] = ipc_take_fd(in, 0);
    tell(&b->spawner, &answer, &b->worker, 1);
}

static void report(struct bench *b, const struct report *report)
{
    unsigned char buf[REPORT_MAX];
    size_t len = report_encode(report, buf);
    need(send(b->workers[0], buf, len, MSG_NOSIGNAL) == (ssize_t)len, "report");
}

/* Its standard descriptors are the lowest that are free. */
static COUNTED void as_worker_begin(struct bench *b)
{
    struct order order;
    for (int fd = 0; fd < STDIO_FDS; fd++)
        close(fd);
    int rc = order_receive(b->workers[0], &order);
    for (int fd = 0; fd < STDIO_FDS; fd++)
        (void)dup2(b->stdio[fd], fd);
    need(rc == 1 && strcmp(order.argv[2], command) == 0, "order");
    free((void *)(uintptr_t)order.argv);
    free((void *)(uintptr_t)order.envp);
    report(b, &(struct report){.type = REPORT_STARTED});
}

static COUNTED void as_worker_end(struct bench *b)
{
    report(b, &(struct report){.type = REPORT_EXIT,
                               .call = {.nr = -1},
                               .user_us = 1234,
                               .system_us = 2345,
                               .max_rss_kib = 3456});
    close_fd(&b->workers[0]);
    b->n_workers--;
    memmove(b->workers, b->workers + 1, b->n_workers * sizeof *b->workers);
}

/* A job is there: of this exec, or the sandbox that is built ahead for the next. */
static bool has_job(const struct bench *b)
{
    char byte;
    return recv(b->spawner.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void run_exec(struct bench *b, uint32_t channel)
{
    as_session_ask(b, channel);
    turn(b);
    as_session_hear_start(b, channel);
    while (has_job(b)) {
        as_spawner(b);
        turn(b);
    }
    as_worker_begin(b);
    turn(b);
    as_worker_end(b);
    turn(b);
    as_session_end(b, channel);
    turn(b);
    need(b->connection->execs == NULL, "the exec is not forgotten");
}

static void link_up(struct ipc *ours, struct ipc *theirs, enum ipc_link link, enum ipc_state state)
{
    int fds[2];
    struct err err = {0};
    if (ipc_pair(fds, &err) < 0)
        die("link", &err);
    *ours = (struct ipc){.fd = fds[0], .link = link, .self = FROM_MASTER, .state = state};
    *theirs = (struct ipc){.fd = fds[1], .link = link, .self = FROM_PEER, .state = state};
}

static struct policy *load(const char *config)
{
    struct diags diags;
    struct policy_source source = {.host = &policy_files_host, .config_path = config};
    struct policy *policy = policy_load(&source, &diags);
    char line[1024] = "the policy can't be loaded";
    if (policy == NULL && diags.n > 0)
        diag_format(&diags.items[0], line, sizeof line);
    need(policy != NULL, line);
    diags_free(&diags);
    return policy;
}

/* As it is once its spawner is ready. */
static struct generation *add_generation(struct bench *b, struct policy *policy)
{
    struct err err = {0};
    struct generation *g = calloc(1, sizeof *g);
    need(g != NULL, "out of memory");
    *g = (struct generation){.server = &b->server,
                             .state = GENERATION_CURRENT,
                             .number = 1,
                             .policy = policy,
                             .texts = -1,
                             .recordings_fd = -1,
                             .source = {.fd = -1},
                             .ready = true,
                             .refs = 1};
    b->server.generations = g;
    link_up(&g->spawner, &b->spawner, LINK_SPAWNER, STATE_READY);
    /* It has been waited for, so that it is never signalled. */
    g->child = child_new(&b->server, NOBODY);
    need(g->child != NULL, "out of memory");
    g->child->reaped = true;
    if (audit_sink_open(&g->audit, &policy->server, &err) < 0 || generation_watch(g, &err) < 0)
        die("generation", &err);
    return g;
}

/* Of somebody who has logged in. */
static struct connection *add_connection(struct bench *b, const struct tenant *tenant)
{
    struct connection *c = connection_new(&b->server);
    const struct policy_key *key = &tenant->keys[0];
    need(c != NULL && (c->blob = malloc(key->blob_len)) != NULL, "out of memory");
    c->number = 1;
    (void)snprintf(c->id, sizeof c->id, "%s-1", b->server.run_id);
    (void)snprintf(c->peer_host, sizeof c->peer_host, "10.1.2.3");
    (void)snprintf(c->local_host, sizeof c->local_host, "192.0.2.1");
    (void)snprintf(c->user, sizeof c->user, "%s", tenant->user);
    c->started_ms = loop_now_ms();
    c->peer_port = 40000;
    c->local_port = 22;
    c->method = AUTH_PUBLICKEY;
    memcpy(c->blob, key->blob, key->blob_len);
    c->blob_len = key->blob_len;
    c->user_known = c->login_known = c->authenticated = true;
    c->max_channels = b->server.current->policy->server.max_channels;
    link_up(&c->link, &b->session, LINK_SESSION, STATE_AUTHED);
    connections_resume(&b->server);
    presence_begin(c, tenant);
    return c;
}

static void start(struct bench *b, const char *config, const char *name)
{
    struct err err = {0};
    struct policy *policy = load(config);
    const struct tenant *tenant = policy_find_tenant(policy, name);
    need(tenant != NULL && tenant->n_keys > 0, "no such tenant, or it has no key");
    for (int i = 0; i < STDIO_FDS; i++)
        need((b->stdio[i] = fcntl(i, F_DUPFD_CLOEXEC, STDIO_FDS)) >= 0, "descriptors");
    need((b->worker = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0, "/dev/null");
    log_open(true, LOG_LEVEL_INFO);
    b->server = (struct server){.ready_fd = -1,
                                .signals = {.fd = -1},
                                .notify = {.fd = -1},
                                .loop = loop_new(&err),
                                .cgroups = calloc(1, sizeof *b->server.cgroups),
                                .max_execs = 1000};
    need(b->server.loop != NULL && b->server.cgroups != NULL, "out of memory");
    b->server.cgroups->root = -1;
    (void)snprintf(b->server.run_id, sizeof b->server.run_id, "bench");
    metrics_init(&b->server.metrics, 1);
    metrics_set_max_tenants(&b->server.metrics, policy->server.metrics_tenants);
    b->server.current = add_generation(b, policy);
    b->connection = add_connection(b, tenant);
}

static void stop(struct bench *b)
{
    ipc_close(&b->session);
    ipc_close(&b->spawner);
    while (b->n_workers > 0)
        close_fd(&b->workers[--b->n_workers]);
    server_free(&b->server);
    close_fd(&b->worker);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    if (argc != 4)
        die("usage: bench_exec CONFIG TENANT COUNT", NULL);
    unsigned long count = strtoul(argv[3], NULL, 10);
    (void)alarm(PATIENCE_S);
    start(&bench, argv[1], argv[2]);
    for (unsigned long i = 0; i < count; i++)
        run_exec(&bench, (uint32_t)(i % CHANNELS));
    stop(&bench);
    return 0;
}
