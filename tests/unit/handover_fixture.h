/*
 * handover_fixture.h - a server with one of everything that a handover carries, made of memory and
 * of descriptors that lead nowhere; for test_handover.c and fuzz_handover.c, each of which has one
 * file.
 */
#ifndef POSTERN_TESTS_HANDOVER_FIXTURE_H
#define POSTERN_TESTS_HANDOVER_FIXTURE_H

#include "admit.h"
#include "cgroups.h"
#include "child.h"
#include "cleanup.h"
#include "control.h"
#include "generation.h"
#include "handover.h"
#include "listener.h"
#include "log.h"
#include "policy_fixture.h"
#include "proxied.h"
#include "signer.h"
#include "startup.h"
#include "state.h"
#include "terminate.h"
#include "waiting.h"
#include "zygote.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIXTURE_CONFIG "/p/postern.ini"
enum { FIXTURE_PID = 0x7ffffff0, FIXTURE_FAR_MS = 1000000 };

static char fixture_root[] = "/tmp/handover-XXXXXX"; /* stands for a cgroup: an empty directory */

#define FIXTURE_NEED(condition)                                                                    \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "fixture, line %d: %s\n", __LINE__, #condition);                 \
            abort();                                                                               \
        }                                                                                          \
    while (0)

static int fixture_socket(void)
{
    int fds[2];
    FIXTURE_NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    /* The other end stays open for good. */
    return fds[0];
}

/* What nothing of the parts' headers makes: written field by field, as the part would save it. */
static void fixture_restore(struct server *server, struct state *written,
                            void (*carry)(struct state *, struct server *))
{
    struct state state;
    int *fds = calloc(written->n_fds + 1, sizeof *fds);
    FIXTURE_NEED(fds != NULL && state_is_good(written));
    memcpy(fds, written->fds, written->n_fds * sizeof *fds);
    state_open_fields(&state, (struct wire_bytes){written->out.buf, written->out.len}, fds,
                      written->n_fds);
    carry(&state, server);
    FIXTURE_NEED(state_is_done(&state));
    state_free(&state);
    state_free(written);
}

static void put_fd(struct state *state, int fd)
{
    state_fd(state, &fd);
}

static void put_flag(struct state *state, bool flag)
{
    state_bool(state, &flag);
}

static void put_number(struct state *state, uint32_t number)
{
    state_u32(state, &number);
}

static void put_size(struct state *state, size_t size)
{
    state_size(state, &size, SIZE_MAX);
}

static void put_text(struct state *state, const char *text)
{
    state_text(state, (char *)(uintptr_t)text, strlen(text) + 1);
}

static void put_string(struct state *state, const char *text)
{
    char *copy = (char *)(uintptr_t)text;
    state_string(state, &copy, SIZE_MAX);
}

static void add_signer(struct server *server)
{
    struct state w = STATE_TO_SAVE;
    (void)state_more(&w, true);
    put_fd(&w, fixture_socket());
    put_flag(&w, true); /* ready */
    put_number(&w, 1);  /* child */
    put_number(&w, 0);  /* no timer */
    put_number(&w, 0);  /* nothing unanswered */
    put_size(&w, 3);    /* host keys */
    state_bytes(&w, (char[]){"key"}, 3);
    (void)state_more(&w, false);
    fixture_restore(server, &w, signer_carry_all);
}

static void add_cgroups(struct server *server)
{
    struct state w = STATE_TO_SAVE;
    int root = open(fixture_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FIXTURE_NEED(root >= 0);
    put_fd(&w, root);
    put_string(&w, "/sys/fs/cgroup/some");
    put_number(&w, CGROUP_MEMORY | CGROUP_PIDS);
    put_text(&w, "for some reason");
    put_text(&w, "do something");
    put_flag(&w, false);
    put_flag(&w, false);
    (void)state_more(&w, true); /* one that is being removed */
    put_text(&w, "tenant-acme");
    put_text(&w, "abc-1.1");
    put_fd(&w, -1);
    put_number(&w, 3);
    (void)state_more(&w, false);
    fixture_restore(server, &w, cgroups_carry);
}

static void add_listener(struct server *server)
{
    struct state w = STATE_TO_SAVE;
    put_size(&w, 1);
    put_flag(&w, false); /* not passed by systemd */
    put_fd(&w, fixture_socket());
    put_string(&w, "127.0.0.1");
    put_number(&w, 2222);
    put_flag(&w, true);
    fixture_restore(server, &w, listeners_carry);
}

static void add_zygote(struct server *server)
{
    struct state w = STATE_TO_SAVE;
    (void)state_more(&w, true);
    put_flag(&w, true); /* serving */
    put_fd(&w, fixture_socket());
    put_number(&w, 2); /* child */
    put_number(&w, 1); /* signer */
    put_number(&w, 65534);
    put_number(&w, 65534);
    put_number(&w, 0); /* no timer */
    put_number(&w, 0);
    put_number(&w, 7);
    put_number(&w, 3);
    (void)state_more(&w, false);
    fixture_restore(server, &w, zygote_carry_all);
}

static void add_generation(struct server *server, uint64_t number, enum generation_state is)
{
    struct generation *g = calloc(1, sizeof *g);
    struct policy_texts *texts = policy_texts_new(&fixture_host);
    struct diags diags;
    struct err err = {0};
    FIXTURE_NEED(g != NULL && texts != NULL);
    struct policy_source source = {.host = policy_texts_host(texts), .config_path = FIXTURE_CONFIG};
    *g = (struct generation){.server = server,
                             .next = server->generations,
                             .state = is,
                             .number = number,
                             .policy = policy_load(&source, &diags),
                             .n_keys = 4,
                             .loaded_at = 1700000000,
                             .texts = -1,
                             .session_uid = 65534,
                             .recordings_fd = -1,
                             .spawner = {.fd = -1},
                             .source = {.fd = -1},
                             .refs = 1};
    server->generations = g;
    for (size_t i = 0; i < diags.n; i++)
        (void)fprintf(stderr, "%s\n", diags.items[i].text);
    FIXTURE_NEED(g->policy != NULL && policy_texts_seal(texts, &g->texts, &err) == 0);
    diags_free(&diags);
    policy_texts_free(texts);
    g->audit.n = 1;
    g->audit.trails[0] = (struct trail){.name = g->policy->server.audit.items[0], .fd = -1};
    g->audit.trails[0].end = &g->audit.trails[0].first;
    (void)trail_put(&g->audit.trails[0], AUDIT_RELOAD, "{}\n", 3, true);
    if (is != GENERATION_CURRENT)
        return;
    server->current = g;
    g->spawner = (struct ipc){.fd = fixture_socket()};
    g->child = child_ref(server->children);
    g->ready = true;
    g->signer = signer_ref(server->signers);
}

static struct connection *add_connection(struct server *server, const char *user)
{
    struct connection *c = connection_new(server);
    FIXTURE_NEED(c != NULL);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&c->peer;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(0xc0000207);
    c->number = ++server->conn_count;
    (void)snprintf(c->id, sizeof c->id, "abc-%lu", (unsigned long)c->number);
    (void)snprintf(c->peer_host, sizeof c->peer_host, "192.0.2.7");
    c->link = (struct ipc){.fd = fixture_socket(), .link = LINK_SESSION, .state = STATE_PREAUTH};
    c->pidfd = fixture_socket();
    c->signer = signer_ref(server->signers);
    c->from = gate_hold_source(server, (struct sockaddr *)&c->peer);
    c->max_channels = 256;
    c->max_auth_tries = 6;
    c->started_ms = 12345;
    if (user == NULL) {
        startup_begin(c);
        FIXTURE_NEED(
            loop_arm(server->loop, &c->timer, FIXTURE_FAR_MS, connection_on_login_timeout) == 0);
        return c;
    }
    (void)snprintf(c->user, sizeof c->user, "%s", user);
    (void)snprintf(c->tenant, sizeof c->tenant, "%s", user);
    c->user_known = c->login_known = c->authenticated = true;
    c->link.state = STATE_AUTHED;
    c->blob = (unsigned char *)strdup("not a key");
    c->blob_len = 9;
    c->session_id_len = 32;
    memset(c->session_id, 0xab, 32);
    c->load = tenant_load_hold(&server->loads, user);
    c->load->server = server;
    c->load->connections++;
    return c;
}

static struct exec *add_exec(struct server *server, struct connection *c, bool ended)
{
    struct exec *exec = calloc(1, sizeof *exec);
    FIXTURE_NEED(exec != NULL);
    *exec = (struct exec){.server = server,
                          .connection = c,
                          .generation = generation_ref(server->current),
                          .number = ++server->exec_count,
                          .channel = (uint32_t)server->exec_count,
                          .sandbox = 1,
                          .limits = {.time_ms = 60000, .memory = SPEC_INFINITY},
                          .report_fd = -1,
                          .pidfd = -1,
                          .source = {.fd = -1},
                          .started_ms = 4711,
                          .ended = ended,
                          .n_blocked = 2};
    (void)snprintf(exec->record.id, sizeof exec->record.id, "%.40s.%u", c->id, exec->channel);
    (void)snprintf(exec->record.tenant, sizeof exec->record.tenant, "%s", c->tenant);
    (void)snprintf(exec->program, sizeof exec->program, "/bin/sh");
    exec->blocked[1] = (struct egress_event){.cgroup = 99, .kind = EGRESS_REFUSED_BIND, .port = 22};
    if (ended) {
        exec->measured = true;
        exec->usage = (struct report){.type = REPORT_EXIT, .code = 3, .user_us = 5};
        exec->usage.call.nr = -1;
        exec->outcome = (struct outcome){.verdict = VERDICT_EXITED, .code = 3};
    } else {
        exec->load = tenant_load_ref(c->load);
        exec->spawner = child_ref(server->children);
        exec->report_fd = fixture_socket();
        exec->pidfd = fixture_socket();
        terminate_when_time_is_over(exec);
    }
    exec_link(exec);
    return exec;
}

static void add_waiter(struct server *server, struct connection *c, uint32_t channel,
                       const char *key)
{
    const struct msg_req_exec req = {
        .channel = channel, .command = {(const unsigned char *)"make test", 9}, .term = "xterm"};
    struct asking asking = {.connection = c, .req = &req, .since_ms = loop_now_ms()};
    struct limit_hit hit = {.limit = LIMIT_MAX_EXECS, .text = "all are taken"};
    (void)snprintf(asking.record.id, sizeof asking.record.id, "%.40s.%u", c->id, channel);
    (void)snprintf(asking.record.key, sizeof asking.record.key, "%s", key);
    FIXTURE_NEED(waiting_add(&asking, policy_find_tenant(server->current->policy, c->tenant),
                             c->load, &hit) == 0);
    /* When it is looked at again is nothing that is kept. */
    loop_disarm(server->loop, &c->load->look);
}

static void add_proxied(struct server *server)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    proxied_start(server, fixture_socket(), (struct sockaddr *)&peer);
    FIXTURE_NEED(server->n_proxied == 1);
    proxied_pause(server);
}

static void add_control(struct server *server)
{
    server->control = calloc(1, sizeof *server->control);
    FIXTURE_NEED(server->control != NULL);
    *server->control =
        (struct control_point){.server = server, .sock = CONTROL_SOCKET_NONE, .source = {.fd = -1}};
    server->control->sock.fd = fixture_socket();
    server->control->sock.dir_fd = fixture_socket();
    server->control->sock.inode = 5;
    (void)snprintf(server->control->sock.path, sizeof server->control->sock.path, "/nowhere/c");
}

static void remove_root(void)
{
    (void)rmdir(fixture_root);
}

/* A server with a loop and nothing else, to be restored. */
static void handover_fixture_begin(struct server *server)
{
    struct err err;
    *server = (struct server){.ready_fd = -1, .signals = {.fd = -1}, .notify = {.fd = -1}};
    server->loop = loop_new(&err);
    FIXTURE_NEED(server->loop != NULL);
    metrics_init(&server->metrics, 1);
}

static void handover_fixture_fill(struct server *server)
{
    fixture_reset();
    fixture_add_text(FIXTURE_CONFIG, "[server]\nseccomp-dir = /s\nuser = nobody\n"
                                     "listen = 127.0.0.1:2222 proxy\nproxy-from = 127.0.0.1\n"
                                     "audit = /nonexistent/handover/audit.log\n");
    /* It is read again by the host's numbers. */
    fixture_add_text("/s/groups.ini", "[group \"basic\"]\ncall = read write execve exit_group\n");
    fixture_add_text("/p/policy.d/keys/a", KEY_A "\n");
    fixture_add_text("/p/policy.d/t.ini",
                     "[sandbox \"one\"]\nnetwork = none\n[sandbox \"two\"]\nnetwork = none\n"
                     "[tenant \"acme\"]\nkeys = keys/a\nsandbox = two\nshell = /bin/sh\n"
                     "max-execs = 1\nqueue = 60s\nuid = 12345\n");
    if (strchr(fixture_root, 'X') != NULL)
        FIXTURE_NEED(mkdtemp(fixture_root) != NULL && atexit(remove_root) == 0);
    handover_fixture_begin(server);
    server->options.config_path = FIXTURE_CONFIG;
    server->options.program = "/usr/sbin/posternd";
    (void)snprintf(server->run_id, sizeof server->run_id, "abc");
    for (pid_t i = 0; i < 2; i++)
        FIXTURE_NEED(child_new(server, FIXTURE_PID + i) != NULL);
    add_signer(server);
    add_cgroups(server);
    add_generation(server, 1, GENERATION_RETIRED);
    add_generation(server, 2, GENERATION_CURRENT);
    server->generation_count = 2;
    add_listener(server);
    add_control(server);
    add_zygote(server);
    (void)add_connection(server, NULL);
    struct connection *c = add_connection(server, "acme");
    (void)add_exec(server, c, false);
    (void)add_exec(server, c, true);
    add_waiter(server, c, 10, "SHA256:a");
    add_waiter(server, c, 11, "SHA256:a");
    add_waiter(server, c, 12, "SHA256:b");
    add_proxied(server);
    rate_take(&c->load->rate, 1, UINT32_MAX, loop_now_ms());
    const struct source_key key = {.net = {0x20, 1}, .bits = 64};
    (void)penalty_add(&server->penalties, &key, OFFENCE_CRASH, loop_now_ms());
    regular_add(&server->regulars, &key, loop_now_ms());
    server->metrics.counters.connections = 17;
}

/* Its descriptors once more, so that they can be taken over. */
static int *handover_fixture_fds(const struct state *saved)
{
    int *fds = calloc(saved->n_fds + 1, sizeof *fds);
    FIXTURE_NEED(fds != NULL);
    for (size_t i = 0; i < saved->n_fds; i++)
        FIXTURE_NEED((fds[i] = fcntl(saved->fds[i], F_DUPFD_CLOEXEC, 3)) >= 0);
    return fds;
}

/* Frees a server that was restored, in whatever state: no process is signalled, no file removed. */
static void handover_fixture_free(struct server *server)
{
    for (struct child *child = server->children; child != NULL; child = child->next)
        child->reaped = true;
    if (server->control != NULL) {
        close_fd(&server->control->sock.fd);
        close_fd(&server->control->sock.dir_fd);
        server->control->sock = CONTROL_SOCKET_NONE;
    }
    if (server->cgroups != NULL && server->cgroups->root >= 0) {
        close_fd(&server->cgroups->root);
        server->cgroups->root = open(fixture_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    generation_release_restored(server);
    signer_release_restored(server);
    server_free(server);
}

#endif
