/* Asking the master: answers find their question, what comes between waits in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ask.h"
#include "cleanup.h"

#include <fcntl.h>
#include <string.h>

static struct ask ask;
static struct ipc master;
static struct ipc_in in;

static int open_link(void **state)
{
    int fds[2];
    struct err err;
    (void)state;
    if (ipc_pair(fds, &err) < 0)
        return -1;
    ask.link =
        (struct ipc){.fd = fds[0], .link = LINK_SESSION, .self = FROM_PEER, .state = STATE_AUTHED};
    master = (struct ipc){
        .fd = fds[1], .link = LINK_SESSION, .self = FROM_MASTER, .state = STATE_AUTHED};
    return 0;
}

static int close_link(void **state)
{
    (void)state;
    ask_free(&ask);
    ipc_drop_fds(&in);
    ipc_close(&master);
    return 0;
}

static void say(const struct ipc_msg *msg, const int *fds, size_t n_fds)
{
    struct err err;
    assert_int_equal(ipc_send(&master, msg, fds, n_fds, false, &err), IPC_OK);
}

static void say_note(uint32_t channel, const char *text)
{
    say(&(struct ipc_msg){.type = MSG_EVT_NOTE, .evt_note = {.channel = channel, .text = text}},
        NULL, 0);
}

static void say_env_answer(uint32_t channel, bool accepted)
{
    say(&(struct ipc_msg){.type = MSG_ANS_ENV,
                          .ans_env = {.channel = channel, .accepted = accepted}},
        NULL, 0);
}

static void test_events_queue_while_an_answer_is_awaited(void **state)
{
    struct err err;
    struct event *event;
    bool accepted;
    (void)state;
    say_note(1, "first");
    say_note(2, "second");
    say_env_answer(7, true);
    say_note(3, "third");
    assert_int_equal(ask_env(&ask, 7, "LANG", "C", &accepted, &err), 0);
    assert_true(accepted);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(ask_next(&ask, &event, &err), 1);
        assert_int_equal(event->type, MSG_EVT_NOTE);
        assert_int_equal(event->channel, i);
        event_free(event);
    }
    assert_int_equal(ask_next(&ask, &event, &err), 0);
    assert_int_equal(ipc_recv(&master, &in, false, &err), IPC_OK);
    assert_int_equal(in.msg.type, MSG_REQ_ENV);
    assert_string_equal(in.msg.req_env.name, "LANG");
}

static void test_an_answer_for_another_channel_ends_the_link(void **state)
{
    struct err err;
    bool accepted = true;
    (void)state;
    say_env_answer(8, true);
    assert_int_equal(ask_env(&ask, 7, "LANG", "C", &accepted, &err), -1);
    assert_false(accepted);
}

static void test_an_answer_nobody_asked_for_ends_the_link(void **state)
{
    struct err err;
    struct event *event;
    (void)state;
    say_env_answer(1, true);
    assert_int_equal(ask_next(&ask, &event, &err), -1);
}

static void test_exec_answers_carry_three_descriptors_or_none(void **state)
{
    struct err err;
    struct event *event;
    struct ipc_msg answer = {.type = MSG_ANS_EXEC,
                             .ans_exec = {.channel = 4, .allowed = 1, .exec_id = "x.1"}};
    int fds[] = {0, 0, 0};
    (void)state;
    say(&answer, fds, 3);
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    assert_true(event->allowed);
    assert_string_equal(event->exec_id, "x.1");
    for (int i = 0; i < 3; i++)
        assert_true(event->fds[i] >= 0 && fcntl(event->fds[i], F_GETFD) >= 0);
    int seen = event->fds[2];
    event_free(event);
    assert_int_equal(fcntl(seen, F_GETFD), -1);

    /* One that is recorded has one more, which is the last. */
    answer.ans_exec.recorded = 1;
    answer.ans_exec.record_room = 77;
    int four[] = {0, 0, 0, 0};
    say(&answer, four, 4);
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    assert_true(event->recorded && event->record_room == 77);
    assert_true(event->fds[2] >= 0 && event->record_fd > event->fds[2]);
    seen = event->record_fd;
    event_free(event);
    assert_int_equal(fcntl(seen, F_GETFD), -1);
    answer.ans_exec.terminal = 1;
    say(&answer, fds, 1);
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    assert_true(event->fds[0] == -1 && event->record_fd >= 0);
    event_free(event);
    answer.ans_exec.terminal = 0;
    say(&answer, fds, 3);
    assert_int_equal(ask_next(&ask, &event, &err), -1);
    answer.ans_exec.recorded = 0;
    say(&answer, four, 4);
    assert_int_equal(ask_next(&ask, &event, &err), -1);

    say(&answer, fds, 2);
    assert_int_equal(ask_next(&ask, &event, &err), -1);
    answer.ans_exec.allowed = 0;
    say(&answer, fds, 3);
    assert_int_equal(ask_next(&ask, &event, &err), -1);
    answer.ans_exec.text = "postern: denied: no";
    answer.ans_exec.status = 126;
    say(&answer, NULL, 0);
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    assert_false(event->allowed);
    assert_int_equal(event->code, 126);
    assert_string_equal(event->text, "postern: denied: no");
    assert_int_equal(event->fds[0], -1);
    event_free(event);
}

static void test_a_long_command_is_cut_and_says_so(void **state)
{
    static char command[IPC_COMMAND_MAX + 3];
    struct env_list env = {0};
    struct err err;
    (void)state;
    memset(command, 'x', sizeof command - 1);
    assert_int_equal(env_list_add(&env, "LANG", "C"), 0);
    struct msg_req_exec request = {
        .channel = 5, .kind = 2, .terminal = 1, .columns = 80, .term = "xt"};
    assert_int_equal(ask_exec(&ask, &request, command, &env, &err), 0);
    assert_int_equal(ipc_recv(&master, &in, false, &err), IPC_OK);
    assert_int_equal(in.msg.type, MSG_REQ_EXEC);
    assert_int_equal(in.msg.req_exec.kind, 2);
    assert_int_equal(in.msg.req_exec.command.len, IPC_COMMAND_MAX);
    assert_true(in.msg.req_exec.truncated);
    assert_int_equal(in.msg.req_exec.env_names.count, 1);
    assert_string_equal(in.msg.req_exec.env_values.data, "C");
    assert_int_equal(in.msg.req_exec.terminal, 1);
    assert_int_equal(in.msg.req_exec.columns, 80);
    assert_string_equal(in.msg.req_exec.term, "xt");

    command[IPC_COMMAND_MAX] = '\0';
    assert_int_equal(ask_exec(&ask, &(struct msg_req_exec){.channel = 6}, command, &env, &err), 0);
    assert_int_equal(ipc_recv(&master, &in, false, &err), IPC_OK);
    assert_int_equal(in.msg.req_exec.command.len, IPC_COMMAND_MAX);
    assert_false(in.msg.req_exec.truncated);
    env_list_free(&env);
}

static void test_limits_come_and_go(void **state)
{
    struct err err;
    struct event *event;
    int fds[] = {0, 0, 0};
    (void)state;
    say(
        &(struct ipc_msg){
            .type = MSG_ANS_EXEC,
            .ans_exec = {.channel = 4, .allowed = 1, .idle_ms = 900000, .output_max = UINT64_MAX}},
        fds, 3);
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    assert_true(event->idle_ms == 900000 && event->output_max == UINT64_MAX);
    event_free(event);
    const struct msg_evt_over over = {.channel = 4, .limit = OVER_OUTPUT};
    assert_int_equal(ask_tell_over(&ask, &over, &err), 0);
    assert_int_equal(ipc_recv(&master, &in, false, &err), IPC_OK);
    assert_int_equal(in.msg.type, MSG_EVT_OVER);
    assert_int_equal(in.msg.evt_over.channel, 4);
    assert_int_equal(in.msg.evt_over.limit, OVER_OUTPUT);
    for (unsigned i = 0; i < 4; i++) {
        say(
            &(struct ipc_msg){
                .type = MSG_EVT_EXIT,
                .evt_exit = {.channel = 4, .code = 153, .over = i & 1, .cut = i >> 1}},
            NULL, 0);
        assert_int_equal(ask_next(&ask, &event, &err), 1);
        assert_int_equal(event->over, i & 1);
        assert_int_equal(event->cut, i >> 1);
        event_free(event);
    }
}

static void test_a_closed_link_has_nothing_to_say(void **state)
{
    struct err err;
    struct event *event;
    bool accepted;
    (void)state;
    say_note(1, "last");
    ipc_close(&master);
    assert_int_equal(ask_env(&ask, 1, "LANG", "C", &accepted, &err), -1);
    assert_string_equal(err.text, "");
    assert_int_equal(ask_next(&ask, &event, &err), 1);
    event_free(event);
    assert_int_equal(ask_next(&ask, &event, &err), -1);
    assert_string_equal(err.text, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_link, close_link)
    const struct CMUnitTest tests[] = {
        TEST(test_events_queue_while_an_answer_is_awaited),
        TEST(test_an_answer_for_another_channel_ends_the_link),
        TEST(test_an_answer_nobody_asked_for_ends_the_link),
        TEST(test_exec_answers_carry_three_descriptors_or_none),
        TEST(test_a_long_command_is_cut_and_says_so),
        TEST(test_limits_come_and_go),
        TEST(test_a_closed_link_has_nothing_to_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
