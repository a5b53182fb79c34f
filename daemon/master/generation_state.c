/* Generations on their way to the next program (generation.h, state.h). */
#include "blocked.h"
#include "child.h"
#include "cleanup.h"
#include "generation.h"
#include "signer.h"
#include "state.h"

#include <string.h>

/* FNV-1a. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3U;
    return h;
}

/* What spawners and cgroups go by: the places of tenants and sandboxes, and their users. */
static uint64_t shape_of(const struct policy *policy)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        const uint32_t ids[] = {t->uid, t->gid, t->project};
        h = mix(mix(h, t->name, strlen(t->name) + 1), ids, sizeof ids);
    }
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        h = mix(h, policy->sandboxes[i].name, strlen(policy->sandboxes[i].name) + 1);
    return h;
}

/* The policy as it was, or none. */
static void restore_policy(struct state *state, struct generation *generation, struct err *err)
{
    struct diags diags = {0};
    const char *config_path = generation->server->options.config_path;
    uint64_t shape = 0;
    state_u64(state, &shape);
    if (!state_is_good(state) || generation->texts < 0) {
        state_refuse(state);
        return;
    }
    generation->policy = policy_texts_load(generation->texts, config_path, &diags);
    if (generation->policy == NULL) {
        char line[ERR_TEXT_MAX / 2] = "out of memory";
        if (diags.n > 0)
            diag_format(&diags.items[0], line, sizeof line);
        err_set(err, 0, "the policy in force is not accepted: %s", line);
    } else if (shape_of(generation->policy) != shape) {
        err_set(err, 0, "the policy in force is understood differently");
    }
    diags_free(&diags);
    if (err->text[0] != '\0')
        state_refuse(state);
}

static void carry_policy(struct state *state, struct generation *generation, struct err *err)
{
    state_fd(state, &generation->texts);
    if (!state->saving) {
        restore_policy(state, generation, err);
        return;
    }
    uint64_t shape = shape_of(generation->policy);
    state_u64(state, &shape);
}

static void carry_spawner(struct state *state, struct generation *generation)
{
    static void (*const no_answer[])(struct loop_timer *) = {generation_on_no_answer};
    static void (*const respawn[])(struct loop_timer *) = {generation_on_respawn};
    struct server *server = generation->server;
    state_fd(state, &generation->spawner.fd);
    state_bool(state, &generation->ready);
    child_carry(state, server, &generation->child);
    state_unsigned(state, &generation->n_unanswered);
    state_timer(state, server->loop, &generation->answer_timer, no_answer, array_len(no_answer));
    state_unsigned(state, &generation->respawns);
    state_timer(state, server->loop, &generation->respawn_timer, respawn, array_len(respawn));
    if ((generation->spawner.fd < 0) != (generation->child == NULL) ||
        (generation->ready && generation->spawner.fd < 0))
        state_refuse(state);
    if (state->saving)
        return;
    generation->spawner = (struct ipc){.fd = generation->spawner.fd,
                                       .link = LINK_SPAWNER,
                                       .self = FROM_MASTER,
                                       .state = generation->ready ? STATE_READY : STATE_STARTING};
    if (state_is_good(state) && generation->spawner.fd >= 0 &&
        generation_watch(generation, NULL) < 0)
        state_refuse(state);
}

static void carry(struct state *state, struct generation *generation, struct err *err)
{
    bool current = generation->state == GENERATION_CURRENT;
    state_bool(state, &current);
    state_u64(state, &generation->number);
    state_size(state, &generation->n_keys, SIZE_MAX);
    uint64_t loaded_at = (uint64_t)generation->loaded_at;
    state_u64(state, &loaded_at);
    generation->loaded_at = (time_t)loaded_at;
    carry_policy(state, generation, err);
    state_u32(state, &generation->session_uid);
    state_u32(state, &generation->session_gid);
    if (!state_is_good(state))
        return;
    audit_sink_carry(state, &generation->audit, &generation->policy->server);
    state_fd(state, &generation->recordings_fd);
    signer_carry(state, generation->server, &generation->signer);
    carry_spawner(state, generation);
    blocked_carry(state, generation);
    generation->state = current ? GENERATION_CURRENT : GENERATION_RETIRED;
}

/* Linked at once, so that whatever is wrong with it is freed with it. */
static void restore(struct state *state, struct server *server, struct err *err)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        state_refuse(state);
        return;
    }
    *generation = (struct generation){.server = server,
                                      .next = server->generations,
                                      .texts = -1,
                                      .recordings_fd = -1,
                                      .spawner = {.fd = -1},
                                      .source = {.fd = -1},
                                      .refs = 1};
    server->generations = generation;
    carry(state, generation, err);
    if (generation->state != GENERATION_CURRENT || !state_is_good(state))
        return;
    if (server->current != NULL)
        state_refuse(state);
    else
        server->current = generation_ref(generation);
}

static struct generation *last(const struct server *server)
{
    struct generation *generation = server->generations;
    while (generation != NULL && generation->next != NULL)
        generation = generation->next;
    return generation;
}

static struct generation *before(const struct server *server, const struct generation *generation)
{
    struct generation *previous = server->generations;
    if (previous == generation)
        return NULL;
    while (previous->next != generation)
        previous = previous->next;
    return previous;
}

/* The oldest first; one that has not served yet is loaded again by whoever comes next. */
void generation_carry_all(struct state *state, struct server *server, struct err *err)
{
    struct generation *generation = state->saving ? last(server) : NULL;
    for (; generation != NULL; generation = before(server, generation)) {
        if (generation->state == GENERATION_NEXT)
            continue;
        (void)state_more(state, true);
        carry(state, generation, err);
    }
    while (state_more(state, false))
        restore(state, server, err);
    if (server->current == NULL)
        state_refuse(state);
}

void generation_release_restored(struct server *server)
{
    for (struct generation *generation = server->generations, *next; generation != NULL;
         generation = next) {
        next = generation->next;
        generation_unref(generation);
    }
}

static struct generation *find(const struct server *server, uint64_t number)
{
    struct generation *generation = server->generations;
    while (generation != NULL &&
           (generation->number != number || generation->state == GENERATION_NEXT))
        generation = generation->next;
    return generation;
}

void generation_carry(struct state *state, struct server *server, struct generation **held)
{
    uint64_t number = *held != NULL ? (*held)->number : 0;
    state_u64(state, &number);
    if (state->saving)
        return;
    struct generation *generation = find(server, number);
    if (generation == NULL)
        state_refuse(state);
    else
        *held = generation_ref(generation);
}

bool generation_all_quiet(const struct server *server)
{
    for (const struct generation *g = server->generations; g != NULL; g = g->next)
        if (g->state != GENERATION_NEXT && g->spawner.fd >= 0 &&
            (g->n_unanswered > 0 || g->waiting != NULL || g->asked != NULL))
            return false;
    return server->current->ready;
}
