/* Commands that wait, on their way to the next program (waiting.h, state.h). */
#include "cleanup.h"
#include "state.h"
#include "waiter.h"

#include <stdlib.h>

/* The request as it came from the session. */
static void save_request(struct state *state, const struct waiter *waiter)
{
    static unsigned char buf[IPC_DATAGRAM_MAX];
    const struct ipc_msg msg = {.type = MSG_REQ_EXEC, .req_exec = waiter->req};
    unsigned char *data = buf;
    size_t len = msg_encode(&msg, buf, sizeof buf);
    state_blob(state, &data, &len, sizeof buf);
}

/* NULL, and the state is refused, if it is none. */
static struct waiter *restore_request(struct state *state)
{
    cleanup_free unsigned char *data = NULL;
    size_t len = 0;
    struct ipc_msg msg;
    state_blob(state, &data, &len, IPC_DATAGRAM_MAX);
    bool good = state_is_good(state) &&
                msg_decode(data, len, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &msg, NULL) == 0 &&
                msg.type == MSG_REQ_EXEC;
    struct waiter *waiter = good ? waiter_new(&msg.req_exec) : NULL;
    if (waiter == NULL)
        state_refuse(state);
    return waiter;
}

static void carry(struct state *state, struct server *server, struct waiter *waiter)
{
    static void (*const due[])(struct loop_timer *) = {waiter_on_deadline};
    connection_carry(state, server, &waiter->connection);
    tenant_load_carry(state, server, &server->loads, &waiter->load);
    state_u64(state, &waiter->number);
    state_size(state, &waiter->item.place, SIZE_MAX);
    state_timer(state, server->loop, &waiter->deadline, due, array_len(due));
    state_u64(state, &waiter->since_ms);
    state_u64(state, &waiter->until_ms);
    state_size(state, &waiter->told.place, SIZE_MAX);
    state_u64(state, &waiter->told.ms);
    exec_record_carry(state, &waiter->record);
    if (waiter->connection == NULL || waiter->load == NULL || waiter->deadline.slot == 0)
        state_refuse(state);
}

static void restore(struct state *state, struct server *server)
{
    struct waiter *waiter = restore_request(state);
    if (waiter == NULL)
        return;
    carry(state, server, waiter);
    if (state_is_good(state)) {
        waiter_link(server, waiter);
        return;
    }
    loop_disarm(server->loop, &waiter->deadline);
    tenant_load_release(&server->loads, waiter->load, loop_now_ms());
    free(waiter);
}

static int compare_places(const void *a, const void *b)
{
    size_t pa = (*(struct waiter *const *)a)->item.place;
    size_t pb = (*(struct waiter *const *)b)->item.place;
    return pa < pb ? -1 : pa > pb;
}

/* In the order of their places the lanes and what is in them come to be as they were. */
static void restore_queues(struct state *state, struct server *server)
{
    size_t n = 0;
    for (const struct waiter *w = server->waiters; w != NULL; w = w->next)
        n++;
    struct waiter **all = calloc(n + 1, sizeof(struct waiter *));
    n = 0;
    for (struct waiter *w = server->waiters; all != NULL && w != NULL; w = w->next)
        all[n++] = w;
    if (n > 1)
        qsort(all, n, sizeof(struct waiter *), compare_places);
    for (size_t i = 0; i < n; i++) {
        const struct exec_record *record = &all[i]->record;
        const char *lane = record->key[0] != '\0' ? record->key : record->peer_host;
        if (queue_add(&all[i]->load->queue, &all[i]->item, lane) < 0)
            state_refuse(state);
        waiting_wake(all[i]->load);
    }
    if (all == NULL)
        state_refuse(state);
    free(all);
}

void waiting_carry_all(struct state *state, struct server *server)
{
    for (struct waiter *w = server->waiters; state->saving && w != NULL; w = w->next) {
        queue_number(&w->load->queue, NULL, NULL);
        (void)state_more(state, true);
        save_request(state, w);
        carry(state, server, w);
    }
    while (state_more(state, false))
        restore(state, server);
    if (!state->saving)
        restore_queues(state, server);
}
