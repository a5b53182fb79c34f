#include "policy_files.h"
#include "reload.h"
#include "agent.h"
#include "cgroups.h"
#include "cleanup.h"
#include "generation.h"
#include "hostkeys.h"
#include "listener.h"
#include "log.h"
#include "notify.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

struct reload {
    struct server *server;
    struct loop_source source; /* an eventfd, readable when the thread has done its work */
    pthread_t thread;
    bool again;                /* asked for once more meanwhile */
    struct host_limits limits; /* the thread's own */
    struct host_judge judge;
    struct policy_texts *texts;
    struct policy *policy;
    struct diags diags;
};

static void on_loaded(struct loop_source *source);

/* The thread. */
static void *load(void *arg)
{
    struct reload *reload = arg;
    struct policy_source source = {.host = policy_texts_host(reload->texts),
                                   .config_path = reload->server->options.config_path,
                                   .judge = host_judge,
                                   .judge_user = &reload->judge};
    reload->policy = policy_load(&source, &reload->diags);
    (void)eventfd_write(reload->source.fd, 1);
    return NULL;
}

static void free_reload(struct reload *reload)
{
    int fd = reload->source.fd;
    loop_remove(reload->server->loop, &reload->source);
    close_fd(&fd);
    policy_texts_free(reload->texts);
    free(reload);
}

static int start_thread(struct reload *reload, struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno, "eventfd");
    if (loop_add(reload->server->loop, &reload->source, fd, on_loaded, err) < 0) {
        close(fd);
        return -1;
    }
    int num = pthread_create(&reload->thread, NULL, load, reload);
    return num == 0 ? 0 : err_set(err, num, "pthread_create");
}

static void refuse(struct server *server, size_t n_errors, const struct err *err)
{
    generation_refused(server, n_errors, err->text);
}

/* Everything that can be wrong with a new policy is found before anything of it counts. */
static struct generation *start_generation(struct server *server, struct policy *policy,
                                           struct policy_texts *texts, struct err *err)
{
    if (hostkeys_check(&policy->server, err) < 0) {
        policy_free(policy);
        return NULL;
    }
    if (!listeners_match(server, &policy->server))
        log_line(LOG_LEVEL_WARNING,
                 "the listen addresses have changed: that takes effect at the next start");
    if (!agent_match(server, &policy->server))
        log_line(LOG_LEVEL_WARNING,
                 "'agent-check' has changed: that takes effect at the next start");
    if (!cgroups_match(server, &policy->server))
        log_line(LOG_LEVEL_WARNING, "'cgroup' has changed: that takes effect at the next start");
    return generation_start(server, policy, texts, err);
}

static void take_over(struct server *server, const struct reload *reload, struct diags *diags)
{
    struct err err = {0};
    size_t n_errors = 0;
    struct policy *policy =
        generation_take_policy(reload->policy, diags, reload->judge.code, false, &n_errors, &err);
    struct generation *next =
        policy == NULL ? NULL : start_generation(server, policy, reload->texts, &err);
    reload_result_keep(&server->last_reload, diags);
    if (next == NULL) {
        refuse(server, n_errors, &err);
        return;
    }
    /* A reload that another one overtakes never becomes current. */
    generation_unref(server->next);
    server->next = next;
}

static void on_loaded(struct loop_source *source)
{
    struct reload *reload = CONTAINER_OF(source, struct reload, source);
    struct server *server = reload->server;
    (void)pthread_join(reload->thread, NULL);
    server->reload = NULL;
    if (server->stopping) {
        policy_free(reload->policy);
        diags_free(&reload->diags);
    } else {
        take_over(server, reload, &reload->diags);
        if (reload->again)
            reload_start(server);
    }
    free_reload(reload);
}

void reload_start(struct server *server)
{
    struct err err = {0};
    if (server->current == NULL || server->stopping)
        return;
    if (server->reload != NULL) {
        server->reload->again = true;
        return;
    }
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL) {
        err_set(&err, ENOMEM, "reload");
        refuse(server, 0, &err);
        return;
    }
    *reload = (struct reload){.server = server,
                              .source = {.fd = -1},
                              .limits = server->cgroups->limits,
                              .texts = policy_texts_new(&policy_files_host)};
    reload->judge.limits = &reload->limits;
    if (reload->texts == NULL)
        err_set(&err, ENOMEM, "reload");
    if (reload->texts == NULL || start_thread(reload, &err) < 0) {
        refuse(server, 0, &err);
        free_reload(reload);
        return;
    }
    server->reload = reload;
    notify_reloading(server);
}

bool reload_is_running(const struct server *server)
{
    return server->reload != NULL;
}

void reload_abandon(struct server *server)
{
    struct reload *reload = server->reload;
    if (reload == NULL)
        return;
    (void)pthread_join(reload->thread, NULL);
    policy_free(reload->policy);
    diags_free(&reload->diags);
    free_reload(reload);
    server->reload = NULL;
}
