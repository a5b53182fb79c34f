#include "generation.h"
#include "audit.h"
#include "blocked.h"
#include "cleanup.h"
#include "control.h"
#include "exec.h"
#include "job.h"
#include "log.h"
#include "metrics_file.h"
#include "policy_files.h"
#include "presence.h"
#include "ready.h"
#include "recordings.h"
#include "share.h"
#include "reload.h"
#include "signer.h"
#include "spawner.h"
#include "totals.h"
#include "uid_file.h"
#include "zygote.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum {
    RESPAWN_MS = 1000,
    RESPAWNS_MAX = 5,
    READY_MS = 60000,     /* for a spawner to build its templates */
    ANSWER_MS = 10000,    /* between two answers, while it has jobs */
    AFTER_RELOAD_MS = 20, /* until a respawn looks again whether a load has ended */
};

static void on_spawner(struct loop_source *source);

/* It ends by its closed link when the last of its sandboxes has. */
static void drop_spawner(struct generation *generation)
{
    struct server *server = generation->server;
    loop_remove(server->loop, &generation->source);
    loop_disarm(server->loop, &generation->answer_timer);
    ipc_close(&generation->spawner);
    blocked_stop(generation);
    child_release(server, steal_ptr(generation->child));
    generation->ready = false;
    ready_drop(server, generation);
    share_on_spawner_gone(server, generation);
}

size_t generation_tell(const struct diags *diags, bool to_terminal)
{
    size_t n_errors = 0;
    for (size_t i = 0; i < diags->n; i++) {
        char line[1024];
        bool is_error = diags->items[i].grade == DIAG_ERROR;
        diag_format(&diags->items[i], line, sizeof line);
        if (to_terminal)
            fprintf(stderr, "%s\n", line);
        else
            log_line(is_error ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s", line);
        n_errors += is_error;
    }
    return n_errors;
}

/* One error that is all there is to say is said where the refusal is. */
static bool take_only_error(const struct diags *diags, struct err *err)
{
    char line[1024];
    const struct diag *only = diags->n == 1 ? &diags->items[0] : NULL;
    if (only == NULL || only->grade != DIAG_ERROR || diags->truncated)
        return false;
    diag_format(only, line, sizeof line);
    if (strlen(line) >= sizeof err->text)
        return false;
    err_set(err, 0, "%s", line);
    return true;
}

struct policy *generation_take_policy(struct policy *policy, const struct diags *diags, int code,
                                      bool to_terminal, size_t *n_errors, struct err *err)
{
    size_t n = 1;
    bool told = policy == NULL && !to_terminal && take_only_error(diags, err);
    if (!told)
        n = generation_tell(diags, to_terminal);
    if (policy == NULL && !told)
        err_set(err, 0, "the %s has %zu error%s%s", code != 0 ? "configuration" : "policy", n,
                n == 1 ? "" : "s", diags->truncated ? " and more" : "");
    if (policy == NULL)
        err->code = code != 0 ? code : EX_CONFIG;
    *n_errors = n;
    return policy;
}

struct policy *generation_load_policy(const char *config_path, struct host_judge *judge,
                                      bool to_terminal, struct policy_texts *texts, struct err *err)
{
    struct diags diags = {0};
    size_t n_errors;
    struct policy_source source = {.host = policy_texts_host(texts),
                                   .config_path = config_path,
                                   .judge = host_judge,
                                   .judge_user = judge};
    struct policy *policy = policy_load(&source, &diags);
    policy = generation_take_policy(policy, &diags, judge->code, to_terminal, &n_errors, err);
    diags_free(&diags);
    return policy;
}

static int start_spawner(struct generation *generation, struct err *err)
{
    struct server *server = generation->server;
    pid_t pid;
    generation->ready = false;
    generation->n_unanswered = 0;
    if (spawner_start(generation->policy, &generation->spawner, &pid, err) < 0)
        return -1;
    generation->child = child_new(server, pid);
    server->metrics.counters.spawner_starts++;
    if (generation->child == NULL)
        err_set(err, ENOMEM, "spawner");
    else if (generation_watch(generation, err) == 0 &&
             loop_arm(server->loop, &generation->answer_timer, READY_MS, generation_on_no_answer) ==
                 0)
        return 0;
    drop_spawner(generation);
    return -1;
}

/* Here and not at each start of a zygote: a name service may take its time. */
static int find_session_user(struct generation *generation, struct err *err)
{
    const char *name = generation->policy->server.user;
    const struct passwd *pw = getpwnam(name);
    int rc = 0;
    if (pw == NULL)
        rc = err_set(err, 0, "user %s of [server] does not exist; make it, or name another", name);
    else if (pw->pw_uid == 0)
        rc = err_set(err, 0, "user %s of [server] is root; sessions need an unprivileged user",
                     name);
    if (rc < 0) {
        err->code = EX_NOUSER;
        return -1;
    }
    generation->session_uid = pw->pw_uid;
    generation->session_gid = pw->pw_gid;
    return 0;
}

int generation_watch(struct generation *generation, struct err *err)
{
    return loop_add(generation->server->loop, &generation->source, generation->spawner.fd,
                    on_spawner, err);
}

struct generation *generation_start(struct server *server, struct policy *policy,
                                    struct policy_texts *texts, struct err *err)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        policy_free(policy);
        err_set(err, 0, "out of memory");
        return NULL;
    }
    *generation = (struct generation){
        .server = server,
        .next = server->generations,
        .state = GENERATION_NEXT,
        /* A number that is refused is given again: what counts is what has served. */
        .number = server->generation_count + 1,
        .policy = policy,
        .recordings_fd = -1,
        .texts = -1,
        .spawner = {.fd = -1},
        .source = {.fd = -1},
        .refs = 1,
    };
    server->generations = generation;
    if (policy_texts_seal(texts, &generation->texts, err) < 0 ||
        find_session_user(generation, err) < 0 ||
        audit_sink_open(&generation->audit, &policy->server, err) < 0 ||
        recordings_open(policy, &generation->recordings_fd, err) < 0 ||
        start_spawner(generation, err) < 0) {
        generation_unref(generation);
        return NULL;
    }
    return generation;
}

struct generation *generation_ref(struct generation *generation)
{
    generation->refs++;
    return generation;
}

void generation_unref(struct generation *generation)
{
    if (generation == NULL || --generation->refs > 0)
        return;
    struct generation **at = &generation->server->generations;
    while (*at != generation)
        at = &(*at)->next;
    *at = generation->next;
    drop_spawner(generation);
    signer_unref(steal_ptr(generation->signer));
    loop_disarm(generation->server->loop, &generation->respawn_timer);
    audit_sink_close(&generation->audit);
    close_fd(&generation->recordings_fd);
    close_fd(&generation->texts);
    log_line(LOG_LEVEL_DEBUG, "generation %" PRIu64 " is gone", generation->number);
    policy_free(generation->policy);
    free(generation);
}

static size_t count_keys(const struct policy *policy)
{
    size_t n = 0;
    for (size_t i = 0; i < policy->n_tenants; i++)
        n += policy->tenants[i].n_keys;
    return n;
}

static void record_loaded(const struct generation *generation)
{
    struct metrics_counters *counters = &generation->server->metrics.counters;
    const struct audit_reload reload = {.number = generation->number,
                                        .loaded = true,
                                        .n_tenants = generation->policy->n_tenants,
                                        .n_keys = generation->n_keys};
    counters->reloads[true]++;
    counters->last_reload = true;
    counters->last_loaded_s = (uint64_t)time(NULL);
    audit_reload(generation->server, &reload);
}

void generation_refused(struct server *server, size_t n_errors, const char *why)
{
    const struct audit_reload reload = {
        .number = server->generation_count + 1, .n_errors = n_errors, .reason = why};
    server->metrics.counters.reloads[false]++;
    server->metrics.counters.last_reload = false;
    audit_reload(server, &reload);
    log_line(LOG_LEVEL_ERROR, "reload refused: %s; generation %" PRIu64 " stays", why,
             server->current->number);
    notify_reloaded(server, false);
    reload_result_set(&server->last_reload, why, n_errors);
    control_news(server);
}

static void make_current(struct generation *generation)
{
    struct server *server = generation->server;
    struct generation *old = server->current;
    generation->state = GENERATION_CURRENT;
    server->generation_count = generation->number;
    server->current = generation;
    server->next = NULL;
    metrics_set_max_tenants(&server->metrics, generation->policy->server.metrics_tenants);
    metrics_file_apply(server);
    generation->n_keys = count_keys(generation->policy);
    generation->loaded_at = time(NULL);
    recordings_watch(server);
    if (old != NULL) {
        old->state = GENERATION_RETIRED;
        ready_drop(server, old);
        audit_sink_hand_on(&old->audit, &generation->audit);
        generation_unref(old);
        server_apply_settings(server);
        totals_apply(server, generation->policy);
        zygote_renew(server);
        record_loaded(generation);
        log_line(LOG_LEVEL_INFO, "reloaded: generation %" PRIu64 ", %zu tenants",
                 generation->number, generation->policy->n_tenants);
        reload_result_set(&server->last_reload, NULL, 0);
        control_apply(server, &generation->policy->server);
        control_news(server);
        presence_rejudge(server);
        notify_reloaded(server, true);
    }
    server_check_ready(server);
}

static void refuse_next(struct generation *generation, const struct err *err)
{
    struct server *server = generation->server;
    server->next = NULL;
    if (server->current == NULL)
        server_start_failed(server, err);
    else
        generation_refused(server, 0, err->text);
    generation_unref(generation);
}

/* Only here, when nothing else can refuse it: what is written down stays taken. */
static void accept_next(struct generation *generation)
{
    struct server *server = generation->server;
    struct err err = {0};
    if (uid_file_add(generation->policy, &err) == 0) {
        make_current(generation);
        return;
    }
    refuse_next(generation, &err);
    /* Another policy came before it; does nothing at a start, where there is another one to make.
     */
    if (err.num == EAGAIN)
        reload_start(server);
}

void generation_on_respawn(struct loop_timer *timer)
{
    struct generation *generation = CONTAINER_OF(timer, struct generation, respawn_timer);
    struct err err = {0};
    /* A child of one thread could wait for ever for a lock that another one held. */
    if (reload_is_running(generation->server)) {
        (void)loop_arm(generation->server->loop, timer, AFTER_RELOAD_MS, generation_on_respawn);
        return;
    }
    if (start_spawner(generation, &err) < 0) {
        log_line(LOG_LEVEL_ERROR, "%s", err.text);
        (void)loop_arm(generation->server->loop, timer, RESPAWN_MS, generation_on_respawn);
    }
}

/*
 * A spawner never ends by itself while we hold its link. Its sandboxes end with it (they ask the
 * kernel for that), as end of file on their report sockets; so do the jobs in its queue.
 */
static void spawner_lost(struct generation *generation, const char *why)
{
    drop_spawner(generation);
    if (generation->state == GENERATION_NEXT) {
        struct err err = {0};
        err_set(&err, 0, "spawner: %s", why);
        err.code = EX_OSERR;
        refuse_next(generation, &err);
        return;
    }
    if (generation->state == GENERATION_RETIRED) {
        log_line(LOG_LEVEL_ERROR, "spawner of the old generation %" PRIu64 " is gone: %s",
                 generation->number, why);
        job_drop_waiting(generation);
        return;
    }
    log_line(LOG_LEVEL_ERROR, "spawner of generation %" PRIu64 " is gone: %s; starting another",
             generation->number, why);
    uint64_t delay = generation->respawns++ < RESPAWNS_MAX ? 0 : RESPAWN_MS * 10;
    /* Whoever has waited for so many of them had better know. */
    if (delay > 0)
        job_drop_waiting(generation);
    (void)loop_arm(generation->server->loop, &generation->respawn_timer, delay,
                   generation_on_respawn);
}

/*
 * It is stopped, or hangs in the kernel. What it runs goes on without it; so it is killed, which
 * would end its sandboxes, only when the last of them has ended.
 */
void generation_on_no_answer(struct loop_timer *timer)
{
    struct generation *generation = CONTAINER_OF(timer, struct generation, answer_timer);
    bool was_ready = generation->ready;
    /* What is done here may drop the last reference but ours. */
    generation_ref(generation);
    generation->child->stuck = true;
    spawner_lost(generation, was_ready ? "it does not answer" : "it does not get ready");
    job_fail_asked(generation);
    generation_unref(generation);
}

void generation_await_answer(struct generation *generation)
{
    if (generation->n_unanswered++ == 0)
        (void)loop_arm(generation->server->loop, &generation->answer_timer, ANSWER_MS,
                       generation_on_no_answer);
}

static void on_answer(struct generation *generation)
{
    struct loop *loop = generation->server->loop;
    if (generation->n_unanswered > 0)
        generation->n_unanswered--;
    if (generation->n_unanswered == 0)
        loop_disarm(loop, &generation->answer_timer);
    else
        (void)loop_arm(loop, &generation->answer_timer, ANSWER_MS, generation_on_no_answer);
}

static void on_spawner_ready(struct generation *generation, struct ipc_in *in)
{
    struct err err = {0};
    /* Without it execs are confined all the same. */
    if (in->n_fds > 0 && blocked_watch(generation, ipc_take_fd(in, 0), &err) < 0)
        log_line(LOG_LEVEL_ERROR, "what network = egress refuses is not told: %s", err.text);
    generation->spawner.state = STATE_READY;
    generation->ready = true;
    loop_disarm(generation->server->loop, &generation->answer_timer);
    if (generation->state == GENERATION_NEXT)
        accept_next(generation);
    job_send_waiting(generation);
}

static void on_spawner(struct loop_source *source)
{
    static struct ipc_in in;
    struct generation *generation = CONTAINER_OF(source, struct generation, source);
    struct err err = {0};
    switch (ipc_recv(&generation->spawner, &in, false, &err)) {
    case IPC_AGAIN:
        return;
    case IPC_EOF:
        spawner_lost(generation, "it ended unexpectedly");
        return;
    case IPC_ERROR:
        spawner_lost(generation, err.text);
        return;
    case IPC_OK:
        break;
    }
    /* What is done here may drop the last reference but ours. */
    generation_ref(generation);
    if (in.msg.type == MSG_SPAWNER_READY) {
        on_spawner_ready(generation, &in);
    } else if (in.msg.type == MSG_SPAWNER_FAILED) {
        spawner_lost(generation, in.msg.spawner_failed.text);
    } else if (in.msg.type == MSG_ANS_SPAWN) {
        generation->respawns = 0;
        on_answer(generation);
        exec_on_ans_spawn(generation, &in);
        job_send_waiting(generation);
    }
    generation_unref(generation);
    ipc_drop_fds(&in);
}
