#include "waiting.h"
#include "cleanup.h"
#include "generation.h"
#include "log.h"
#include "waiter.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    NOTE_MS = 1000, /* between two lines to one client */
    PAUSED_MS = 50,
};

static struct waiter *waiter_of(struct queue_item *item)
{
    return CONTAINER_OF(item, struct waiter, item);
}

static const struct tenant *tenant_of(const struct tenant_load *load)
{
    return policy_find_tenant(load->server->current->policy, load->name);
}

static void leave_connection(const struct waiter *waiter)
{
    struct waiter **at = &waiter->connection->waiters;
    while (*at != waiter)
        at = &(*at)->next_of_connection;
    *at = waiter->next_of_connection;
    waiter->connection->n_waiting--;
}

/* Takes it out of everything but memory. */
static void leave(struct waiter *waiter)
{
    struct server *server = waiter->connection->server;
    queue_remove(&waiter->load->queue, &waiter->item);
    loop_disarm(server->loop, &waiter->deadline);
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        server->waiters = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        server->last_waiter = waiter->prev;
    server->waiting_bytes -= waiter->size;
    waiter->load->waiting_bytes -= waiter->size;
    leave_connection(waiter);
    /* Those behind it have another place now. */
    waiting_wake(waiter->load);
    if (waiter->load->queue.n == 0)
        loop_disarm(server->loop, &waiter->load->look);
    tenant_load_release(&server->loads, steal_ptr(waiter->load), loop_now_ms());
    drain_check(server);
}

static struct asking asking_of(const struct waiter *waiter)
{
    return (struct asking){.connection = waiter->connection,
                           .req = &waiter->req,
                           .record = waiter->record,
                           .since_ms = waiter->since_ms,
                           .queued = true,
                           .told = waiter->told};
}

/* The wait is over without a start. */
static void give_up(struct waiter *waiter, enum limit limit, const char *reason)
{
    struct asking asking = asking_of(waiter);
    const struct tenant *tenant = tenant_of(waiter->load);
    leave(waiter);
    admit_refuse(&asking, tenant, limit, reason);
    free(waiter);
}

void waiter_on_deadline(struct loop_timer *timer)
{
    struct waiter *waiter = CONTAINER_OF(timer, struct waiter, deadline);
    const struct server *server = waiter->load->server;
    const struct tenant *tenant = tenant_of(waiter->load);
    char waited[32], reason[256];
    struct limit_hit hit = {.text = ""};
    if (tenant != NULL)
        room_for_exec(tenant, waiter->load, server->n_running, server->max_execs, loop_now_ms(),
                      &hit);
    (void)snprintf(reason, sizeof reason, "waited %s for its turn%s%s",
                   verdict_duration(waiter->until_ms - waiter->since_ms, waited, sizeof waited),
                   hit.limit != LIMIT_NONE ? "; " : "", hit.text);
    give_up(waiter, LIMIT_QUEUE, reason);
}

static void tell_place(struct waiter *waiter, const struct tenant *tenant,
                       const struct limit_hit *hit)
{
    char line[IPC_LINE_MAX], left[32];
    uint64_t now = loop_now_ms();
    bool told = tenant->explain != EXPLAIN_NONE && hit->text[0] != '\0';
    verdict_duration(waiter->until_ms > now ? waiter->until_ms - now : 0, left, sizeof left);
    (void)snprintf(line, sizeof line, "postern: queued: place %zu, at most %s%s%s [%s]",
                   waiter->item.place, left, told ? "; " : "", told ? hit->text : "",
                   waiter->record.id);
    waiter->told = (struct told){.place = waiter->item.place, .ms = now};
    struct ipc_msg msg = {.type = MSG_EVT_NOTE,
                          .evt_note = {.channel = waiter->req.channel, .text = line}};
    connection_send(waiter->connection, &msg, NULL, 0);
}

/* Telling everybody their places, and how that went. */
struct telling {
    const struct tenant *tenant;
    const struct limit_hit *hit;
    uint64_t now_ms;
    uint64_t again_ms; /* from now, when somebody has to be told whom it is too early to tell */
};

static void tell_change(struct queue_item *item, void *user)
{
    struct telling *telling = user;
    struct waiter *waiter = waiter_of(item);
    uint64_t ago = telling->now_ms - waiter->told.ms;
    if (item->place == waiter->told.place)
        return;
    if (ago >= NOTE_MS)
        tell_place(waiter, telling->tenant, telling->hit);
    else if (NOTE_MS - ago < telling->again_ms)
        telling->again_ms = NOTE_MS - ago;
}

/* Starts those whose turn it is, as long as there is room. Says in *hit what keeps the next. */
static void serve(struct tenant_load *load, struct limit_hit *hit)
{
    const struct server *server = load->server;
    const struct tenant *tenant = tenant_of(load);
    *hit = (struct limit_hit){.limit = LIMIT_NONE};
    while (load->queue.n > 0) {
        if (tenant != NULL)
            room_for_exec(tenant, load, server->n_running, server->max_execs, loop_now_ms(), hit);
        if (hit->limit != LIMIT_NONE)
            return;
        struct waiter *waiter = waiter_of(queue_first(&load->queue));
        struct asking asking = asking_of(waiter);
        asking.its_turn = true;
        queue_turn(&load->queue);
        leave(waiter);
        admit_judge(&asking);
        free(waiter);
    }
}

static void on_look(struct loop_timer *timer)
{
    struct tenant_load *load = tenant_load_ref(CONTAINER_OF(timer, struct tenant_load, look));
    struct server *server = load->server;
    struct limit_hit hit;
    if (server->paused) {
        (void)loop_arm(server->loop, timer, PAUSED_MS, on_look);
        tenant_load_release(&server->loads, load, loop_now_ms());
        return;
    }
    serve(load, &hit);
    struct telling telling = {.tenant = tenant_of(load),
                              .hit = &hit,
                              .now_ms = loop_now_ms(),
                              .again_ms = hit.wait_ms > 0 ? hit.wait_ms : UINT64_MAX};
    if (telling.tenant != NULL)
        queue_number(&load->queue, tell_change, &telling);
    if (load->queue.n == 0)
        loop_disarm(server->loop, &load->look);
    else if (telling.again_ms != UINT64_MAX)
        (void)loop_arm(server->loop, &load->look, telling.again_ms, on_look);
    tenant_load_release(&server->loads, load, loop_now_ms());
}

void waiting_wake(struct tenant_load *load)
{
    if (load->queue.n > 0)
        (void)loop_arm(load->server->loop, &load->look, 0, on_look);
}

static void set_full(struct limit_hit *hit, const char *why)
{
    *hit = (struct limit_hit){.limit = LIMIT_QUEUE};
    (void)snprintf(hit->text, sizeof hit->text, "%s", why);
}

/* Without keys it is the address that tells one client from another. */
static const char *lane_of(const struct asking *asking)
{
    return asking->record.key[0] != '\0' ? asking->record.key : asking->record.peer_host;
}

/* Why no more may wait, or NULL. */
static const char *what_is_full(const struct asking *asking, const struct tenant_load *load)
{
    const struct connection *connection = asking->connection;
    size_t places_left = WAITING_TENANT_MAX - load->queue.n;
    size_t bytes_left = WAITING_BYTES_MAX - connection->server->waiting_bytes;
    if (places_left == 0)
        return "as many commands of the tenant wait already as may";
    if (connection->n_waiting >= WAITING_CONNECTION_MAX)
        return "as many commands of this connection wait already as may";
    if (queue_count(&load->queue, lane_of(asking)) >= places_left)
        return "as many commands of this key wait already as may";
    if (load->waiting_bytes + waiter_size(asking->req) > bytes_left)
        return "the server can't keep more commands of the tenant waiting";
    return NULL;
}

int waiting_add(const struct asking *asking, const struct tenant *tenant, struct tenant_load *load,
                struct limit_hit *hit)
{
    struct server *server = asking->connection->server;
    uint64_t now = loop_now_ms();
    uint64_t until = asking->since_ms + tenant->queue_ms;
    const char *full = what_is_full(asking, load);
    if (full != NULL) {
        set_full(hit, full);
        return -1;
    }
    struct waiter *waiter = waiter_new(asking->req);
    if (waiter == NULL || queue_add(&load->queue, &waiter->item, lane_of(asking)) < 0) {
        free(waiter);
        set_full(hit, "the server is out of memory");
        return -1;
    }
    waiter->number = ++server->waiter_count;
    waiter->connection = asking->connection;
    waiter->load = tenant_load_ref(load);
    waiter->record = asking->record;
    waiter->since_ms = asking->since_ms;
    waiter->until_ms = until;
    waiter->told = asking->told;
    waiter_link(server, waiter);
    (void)loop_arm(server->loop, &waiter->deadline, until > now ? until - now : 0,
                   waiter_on_deadline);
    queue_number(&load->queue, NULL, NULL);
    if (!asking->queued) {
        log_line(LOG_LEVEL_INFO, "%s: waits, place %zu%s%s", waiter->record.id, waiter->item.place,
                 hit->text[0] != '\0' ? ": " : "", hit->text);
        tell_place(waiter, tenant, hit);
    }
    /* What it waits for may come by itself, or be there already. */
    waiting_wake(load);
    return 0;
}

static struct waiter *find(const struct connection *connection, uint32_t channel)
{
    struct waiter *waiter = connection->waiters;
    while (waiter != NULL && waiter->req.channel != channel)
        waiter = waiter->next_of_connection;
    return waiter;
}

bool waiting_has(const struct connection *connection, uint32_t channel)
{
    return find(connection, channel) != NULL;
}

static void client_gone(struct waiter *waiter)
{
    char waited[32], reason[128];
    (void)snprintf(reason, sizeof reason, "the client went away after it had waited %s",
                   verdict_duration(loop_now_ms() - waiter->since_ms, waited, sizeof waited));
    give_up(waiter, LIMIT_QUEUE, reason);
}

void waiting_on_gone(struct connection *connection, uint32_t channel)
{
    struct waiter *waiter = find(connection, channel);
    if (waiter != NULL)
        client_gone(waiter);
}

void waiting_on_signal(struct connection *connection, uint32_t channel, unsigned signo)
{
    char waited[32], reason[128];
    struct waiter *waiter = find(connection, channel);
    /* What a command might make something else of, had it begun, is no wish to give it up. */
    bool ends = signo == SIGTERM || signo == SIGINT || signo == SIGHUP || signo == SIGQUIT ||
                signo == SIGKILL;
    if (waiter == NULL || !ends)
        return;
    struct asking asking = asking_of(waiter);
    const struct tenant *tenant = tenant_of(waiter->load);
    (void)snprintf(reason, sizeof reason, "its client sent %s after it had waited %s",
                   sigabbrev_np((int)signo),
                   verdict_duration(loop_now_ms() - waiter->since_ms, waited, sizeof waited));
    leave(waiter);
    admit_signalled(&asking, tenant, signo, reason);
    free(waiter);
}

void waiting_connection_gone(struct connection *connection)
{
    while (connection->waiters != NULL)
        client_gone(connection->waiters);
}

const struct waiter *waiting_next(const struct server *server, const struct waiter *hint,
                                  uint64_t after, struct waiting_view *view)
{
    const struct waiter *waiter = hint != NULL ? hint : server->waiters;
    while (waiter != NULL && waiter->number <= after)
        waiter = waiter->next;
    if (waiter == NULL)
        return NULL;
    *view = (struct waiting_view){.number = waiter->number,
                                  .record = &waiter->record,
                                  .place = waiter->item.place,
                                  .since_ms = waiter->since_ms};
    exec_command_take(&view->command, &waiter->req);
    return waiter;
}

size_t waiting_count(const struct server *server)
{
    size_t n = 0;
    for (const struct waiter *waiter = server->waiters; waiter != NULL; waiter = waiter->next)
        n++;
    return n;
}

size_t waiting_end(struct server *server,
                   bool (*matches)(const void *arg, const struct exec_record *record),
                   const void *arg, const char *why)
{
    size_t n = 0;
    for (struct waiter *waiter = server->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (!matches(arg, &waiter->record))
            continue;
        struct asking asking = asking_of(waiter);
        const struct tenant *tenant = tenant_of(waiter->load);
        leave(waiter);
        admit_end(&asking, tenant, why);
        free(waiter);
        n++;
    }
    return n;
}

void waiting_rejudge(struct server *server)
{
    struct waiter *all = NULL, **end = &all, *waiter;
    /* All leave before the first is judged, or it would find the others before it. */
    while ((waiter = server->waiters) != NULL) {
        leave(waiter);
        waiter->next = NULL;
        *end = waiter;
        end = &waiter->next;
    }
    while ((waiter = all) != NULL) {
        struct asking asking = asking_of(waiter);
        all = waiter->next;
        admit_judge(&asking);
        free(waiter);
    }
}
