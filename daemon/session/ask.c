#include "ask.h"
#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Far more than the channels of one connection can have under way. */
enum { EVENTS_MAX = 65536 };

static int send_message(struct ask *ask, const struct ipc_msg *msg, struct err *err)
{
    switch (ipc_send(&ask->link, msg, NULL, 0, true, err)) {
    case IPC_OK:
        return 0;
    case IPC_EOF:
        return err_set(err, 0, "%s", "");
    default:
        return -1;
    }
}

static void copy_text(char *dst, size_t cap, const char *src)
{
    (void)snprintf(dst, cap, "%s", src);
}

static void take_fds(struct ask *ask, struct event *event)
{
    size_t n = ask->in.n_fds - (event->recorded ? 1 : 0);
    for (size_t i = 0; i < n && i < array_len(event->fds); i++)
        event->fds[i] = ipc_take_fd(&ask->in, i);
    if (event->recorded)
        event->record_fd = ipc_take_fd(&ask->in, n);
}

/* A copy of the message in ask->in that outlives its buffer. */
static struct event *event_new(struct ask *ask)
{
    const struct ipc_msg *msg = &ask->in.msg;
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL)
        return NULL;
    event->type = msg->type;
    event->record_fd = -1;
    for (size_t i = 0; i < array_len(event->fds); i++)
        event->fds[i] = -1;
    switch (msg->type) {
    case MSG_ANS_EXEC:
        event->channel = msg->ans_exec.channel;
        event->allowed = msg->ans_exec.allowed != 0;
        event->signalled = msg->ans_exec.signalled != 0;
        event->code = msg->ans_exec.status;
        event->terminal = msg->ans_exec.terminal != 0;
        event->recorded = msg->ans_exec.recorded != 0;
        event->record_room = msg->ans_exec.record_room;
        event->idle_ms = msg->ans_exec.idle_ms;
        event->warn_ms = msg->ans_exec.warn_ms;
        event->output_max = msg->ans_exec.output_max;
        copy_text(event->exec_id, sizeof event->exec_id, msg->ans_exec.exec_id);
        copy_text(event->text, sizeof event->text, msg->ans_exec.text);
        copy_text(event->receipt, sizeof event->receipt, msg->ans_exec.receipt);
        take_fds(ask, event);
        break;
    case MSG_EVT_TERMINAL:
        event->channel = msg->evt_terminal.channel;
        take_fds(ask, event);
        break;
    case MSG_EVT_NOTE:
        event->channel = msg->evt_note.channel;
        copy_text(event->text, sizeof event->text, msg->evt_note.text);
        break;
    case MSG_EVT_EXIT:
        event->channel = msg->evt_exit.channel;
        event->signalled = msg->evt_exit.signalled != 0;
        event->core = msg->evt_exit.core != 0;
        event->over = msg->evt_exit.over != 0;
        event->cut = msg->evt_exit.cut != 0;
        event->code = msg->evt_exit.code;
        copy_text(event->text, sizeof event->text, msg->evt_exit.text);
        copy_text(event->receipt, sizeof event->receipt, msg->evt_exit.receipt);
        break;
    case MSG_EVT_CLOSE:
        copy_text(event->text, sizeof event->text, msg->evt_close.text);
        break;
    default:
        event_free(event);
        return NULL;
    }
    return event;
}

/* An allowed exec comes with its three descriptors, one with a terminal and a refusal with none;
 * one that is recorded with one more. */
static bool has_sane_fds(const struct ask *ask)
{
    const struct msg_ans_exec *answer = &ask->in.msg.ans_exec;
    if (ask->in.msg.type != MSG_ANS_EXEC)
        return true;
    size_t n = answer->allowed && !answer->terminal ? 3 : 0;
    return ask->in.n_fds == n + answer->recorded && (answer->allowed || !answer->recorded);
}

static int take_event(struct ask *ask, struct event **event, struct err *err)
{
    if (!has_sane_fds(ask))
        return err_set(err, 0, "ANS_EXEC with %zu descriptors", ask->in.n_fds);
    *event = event_new(ask);
    if (*event == NULL)
        return err_set(err, 0, "message %s out of turn, or no memory", msg_name(ask->in.msg.type));
    return 0;
}

static int queue_event(struct ask *ask, struct err *err)
{
    struct event *event;
    if (ask->n_queued >= EVENTS_MAX)
        return err_set(err, 0, "too many messages queued");
    if (take_event(ask, &event, err) < 0)
        return -1;
    if (ask->last != NULL)
        ask->last->next = event;
    else
        ask->first = event;
    ask->last = event;
    ask->n_queued++;
    return 0;
}

static int wait_answer(struct ask *ask, enum msg_type type, struct err *err)
{
    while (true) {
        switch (ipc_recv(&ask->link, &ask->in, true, err)) {
        case IPC_OK:
            break;
        case IPC_EOF:
            return err_set(err, 0, "%s", "");
        default:
            return -1;
        }
        if (ask->in.msg.type == type)
            return 0;
        if (queue_event(ask, err) < 0)
            return -1;
    }
}

int ask_start(struct ask *ask, struct msg_evt_start *start, struct err *err)
{
    if (wait_answer(ask, MSG_EVT_START, err) < 0)
        return -1;
    *start = ask->in.msg.evt_start;
    return 0;
}

int ask_auth(struct ask *ask, const struct msg_req_auth *request, bool *accepted, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_REQ_AUTH, .req_auth = *request};
    *accepted = false;
    if (send_message(ask, &msg, err) < 0 || wait_answer(ask, MSG_ANS_AUTH, err) < 0)
        return -1;
    *accepted = ask->in.msg.ans_auth.accepted != 0;
    return 0;
}

int ask_sign(struct ask *ask, const struct msg_req_sign *request, unsigned char *signature,
             size_t cap, size_t *len, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_REQ_SIGN, .req_sign = *request};
    if (send_message(ask, &msg, err) < 0 || wait_answer(ask, MSG_ANS_SIGN, err) < 0)
        return -1;
    const struct wire_bytes *made = &ask->in.msg.ans_sign.signature;
    if (made->len == 0 || made->len > cap)
        return err_set(err, 0, "a signature of %zu bytes", made->len);
    memcpy(signature, made->data, made->len);
    *len = made->len;
    return 0;
}

int ask_env(struct ask *ask, uint32_t channel, const char *name, const char *value, bool *accepted,
            struct err *err)
{
    struct ipc_msg msg = {.type = MSG_REQ_ENV,
                          .req_env = {.channel = channel, .name = name, .value = value}};
    *accepted = false;
    if (send_message(ask, &msg, err) < 0 || wait_answer(ask, MSG_ANS_ENV, err) < 0)
        return -1;
    if (ask->in.msg.ans_env.channel != channel)
        return err_set(err, 0, "ANS_ENV for another channel");
    *accepted = ask->in.msg.ans_env.accepted != 0;
    return 0;
}

int ask_terminal(struct ask *ask, uint32_t channel, bool *accepted, char text[IPC_LINE_MAX + 1],
                 struct err *err)
{
    struct ipc_msg msg = {.type = MSG_REQ_TERMINAL, .req_terminal = {.channel = channel}};
    *accepted = false;
    if (send_message(ask, &msg, err) < 0 || wait_answer(ask, MSG_ANS_TERMINAL, err) < 0)
        return -1;
    if (ask->in.msg.ans_terminal.channel != channel)
        return err_set(err, 0, "ANS_TERMINAL for another channel");
    *accepted = ask->in.msg.ans_terminal.accepted != 0;
    copy_text(text, IPC_LINE_MAX + 1, ask->in.msg.ans_terminal.text);
    return 0;
}

int ask_exec(struct ask *ask, const struct msg_req_exec *request, const char *command,
             const struct env_list *env, struct err *err)
{
    size_t len = strlen(command);
    struct ipc_msg msg = {.type = MSG_REQ_EXEC, .req_exec = *request};
    msg.req_exec.command =
        (struct wire_bytes){.data = (const unsigned char *)command,
                            .len = len < IPC_COMMAND_MAX ? len : IPC_COMMAND_MAX};
    msg.req_exec.truncated = len > IPC_COMMAND_MAX;
    msg.req_exec.env_names = env_list_names(env);
    msg.req_exec.env_values = env_list_values(env);
    return send_message(ask, &msg, err);
}

int ask_tell_gone(struct ask *ask, uint32_t channel, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_EVT_GONE, .evt_gone = {.channel = channel}};
    return send_message(ask, &msg, err);
}

int ask_tell_over(struct ask *ask, const struct msg_evt_over *over, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_EVT_OVER, .evt_over = *over};
    return send_message(ask, &msg, err);
}

int ask_tell_signal(struct ask *ask, uint32_t channel, int signo, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_EVT_SIGNAL,
                          .evt_signal = {.channel = channel, .signo = (uint8_t)signo}};
    return send_message(ask, &msg, err);
}

int ask_tell_done(struct ask *ask, const struct msg_evt_done *done, struct err *err)
{
    struct ipc_msg msg = {.type = MSG_EVT_DONE, .evt_done = *done};
    return send_message(ask, &msg, err);
}

bool ask_has_queued(const struct ask *ask)
{
    return ask->first != NULL;
}

int ask_next(struct ask *ask, struct event **event, struct err *err)
{
    *event = ask->first;
    if (*event != NULL) {
        ask->first = (*event)->next;
        if (ask->first == NULL)
            ask->last = NULL;
        (*event)->next = NULL;
        ask->n_queued--;
        return 1;
    }
    switch (ipc_recv(&ask->link, &ask->in, false, err)) {
    case IPC_OK:
        return take_event(ask, event, err) < 0 ? -1 : 1;
    case IPC_AGAIN:
        return 0;
    case IPC_EOF:
        return err_set(err, 0, "%s", "");
    default:
        return -1;
    }
}

void event_free(struct event *event)
{
    if (event == NULL)
        return;
    for (size_t i = 0; i < array_len(event->fds); i++)
        close_fd(&event->fds[i]);
    close_fd(&event->record_fd);
    free(event);
}

void ask_free(struct ask *ask)
{
    while (ask->first != NULL) {
        struct event *next = ask->first->next;
        event_free(ask->first);
        ask->first = next;
    }
    ask->last = NULL;
    ask->n_queued = 0;
    ipc_drop_fds(&ask->in);
    ipc_close(&ask->link);
}
