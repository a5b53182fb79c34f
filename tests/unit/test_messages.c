/* The message table: what is refused, and that every message survives the way there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct row {
    enum msg_type type;
    enum ipc_link link;
    enum ipc_sender sender;
    unsigned states;
    size_t least, most;
} rows[] = {
#define X(type, member, link, sender, states, least, most)                                         \
    {MSG_##type, link, sender, states, least, most},
    IPC_MESSAGES(X)
#undef X
};
enum { N_ROWS = sizeof rows / sizeof *rows };
static const unsigned all_states[] = {STATE_PREAUTH, STATE_AUTHED, STATE_STARTING, STATE_READY};

static size_t encode_empty(enum msg_type type, unsigned char *buf, size_t cap)
{
    struct ipc_msg msg = {.type = type};
    return msg_encode(&msg, buf, cap);
}

static void test_table_is_enforced(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        unsigned char buf[1024];
        size_t len = encode_empty(rows[i].type, buf, sizeof buf);
        assert_true(len >= 4);
        for (int link = LINK_SESSION; link <= LINK_CONTROL; link++)
            for (int sender = FROM_MASTER; sender <= FROM_PEER; sender++)
                for (size_t s = 0; s < 4; s++)
                    for (size_t fds = 0; fds <= IPC_FDS_MAX; fds++) {
                        struct ipc_msg out;
                        struct err err = {0};
                        int rc =
                            msg_decode(buf, len, fds, (enum ipc_link)link, (enum ipc_sender)sender,
                                       (enum ipc_state)all_states[s], &out, &err);
                        int allowed = link == (int)rows[i].link && sender == (int)rows[i].sender &&
                                      (all_states[s] & rows[i].states) && fds >= rows[i].least &&
                                      fds <= rows[i].most;
                        assert_int_equal(rc, allowed ? 0 : -1);
                        if (rc < 0)
                            assert_true(err.text[0] != '\0');
                        else
                            assert_int_equal(out.type, rows[i].type);
                    }
    }
}

static int decode_row(const struct row *row, const unsigned char *buf, size_t len,
                      struct ipc_msg *out)
{
    unsigned bit = row->states & (~row->states + 1);
    return msg_decode(buf, len, row->least, row->link, row->sender, (enum ipc_state)bit, out, NULL);
}

static void test_length_must_be_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        unsigned char buf[1024] = {0};
        struct ipc_msg out;
        size_t len = encode_empty(rows[i].type, buf, sizeof buf);
        assert_int_equal(decode_row(&rows[i], buf, len, &out), 0);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(decode_row(&rows[i], buf, cut, &out), -1);
        assert_int_equal(decode_row(&rows[i], buf, len + 1, &out), -1);
    }
}

static void test_unknown_types(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, MSG_COUNT, MSG_COUNT + 1, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char buf[4] = {(unsigned char)(bad[i] >> 24), (unsigned char)(bad[i] >> 16),
                                (unsigned char)(bad[i] >> 8), (unsigned char)bad[i]};
        struct ipc_msg out;
        assert_int_equal(
            msg_decode(buf, sizeof buf, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &out, NULL), -1);
    }
    assert_string_equal(msg_name(0), "?");
    assert_string_equal(msg_name(MSG_REQ_EXEC), "REQ_EXEC");
}

static void test_fields_arrive(void **state)
{
    (void)state;
    static unsigned char buf[IPC_DATAGRAM_MAX];
    char names_buf[64], values_buf[64];
    const char *names[] = {"LANG", "CI_JOB", NULL}, *values[] = {"C", "", NULL};
    struct ipc_msg msg = {.type = MSG_REQ_EXEC,
                          .req_exec = {.channel = 7,
                                       .kind = 2,
                                       .command = {(const unsigned char *)"a\0b\n", 4},
                                       .truncated = 1}};
    assert_int_equal(wire_strv_pack(&msg.req_exec.env_names, names, names_buf, 64), 0);
    assert_int_equal(wire_strv_pack(&msg.req_exec.env_values, values, values_buf, 64), 0);
    size_t len = msg_encode(&msg, buf, sizeof buf);
    struct ipc_msg out;
    assert_int_equal(msg_decode(buf, len, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &out, NULL), 0);
    assert_int_equal(out.req_exec.channel, 7);
    assert_int_equal(out.req_exec.kind, 2);
    assert_int_equal(out.req_exec.truncated, 1);
    assert_int_equal(out.req_exec.command.len, 4);
    assert_memory_equal(out.req_exec.command.data, "a\0b\n", 4);
    const char *vec[3];
    assert_int_equal(wire_strv_split(out.req_exec.env_names, vec, 3), 0);
    assert_string_equal(vec[0], "LANG");
    assert_string_equal(vec[1], "CI_JOB");
    assert_int_equal(wire_strv_split(out.req_exec.env_values, vec, 3), 0);
    assert_string_equal(vec[1], "");
    assert_null(vec[2]);
}

static void test_bounds(void **state)
{
    (void)state;
    static unsigned char buf[IPC_DATAGRAM_MAX];
    static unsigned char command[IPC_COMMAND_MAX + 1];
    struct ipc_msg msg = {.type = MSG_REQ_EXEC,
                          .req_exec = {.command = {command, IPC_COMMAND_MAX}}};
    assert_true(msg_encode(&msg, buf, sizeof buf) > IPC_COMMAND_MAX);
    msg.req_exec.command.len++;
    assert_int_equal(msg_encode(&msg, buf, sizeof buf), 0);
    msg.req_exec = (struct msg_req_exec){.kind = 3};
    assert_int_equal(msg_encode(&msg, buf, sizeof buf), 0);

    /* The reader refuses what a lying writer sends: kind 3, and a string with a NUL inside. */
    msg.req_exec = (struct msg_req_exec){.kind = 2};
    size_t len = msg_encode(&msg, buf, sizeof buf);
    struct ipc_msg out;
    buf[8] = 3;
    assert_int_equal(msg_decode(buf, len, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &out, NULL),
                     -1);
    struct ipc_msg env = {.type = MSG_REQ_ENV, .req_env = {.name = "AB", .value = "c"}};
    len = msg_encode(&env, buf, sizeof buf);
    assert_int_equal(msg_decode(buf, len, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &out, NULL), 0);
    buf[12] = '\0';
    assert_int_equal(msg_decode(buf, len, 0, LINK_SESSION, FROM_PEER, STATE_AUTHED, &out, NULL),
                     -1);
}

static void test_strv_count_must_match(void **state)
{
    (void)state;
    unsigned char buf[256];
    const char *names[] = {"A", "B", NULL};
    char packed[16];
    struct ipc_msg msg = {.type = MSG_EVT_KEYS}, out;
    assert_int_equal(wire_strv_pack(&msg.evt_keys.key_names, names, packed, sizeof packed), 0);
    size_t len = msg_encode(&msg, buf, sizeof buf);
    assert_int_equal(msg_decode(buf, len, 2, LINK_SIGNER, FROM_MASTER, STATE_STARTING, &out, NULL),
                     0);
    buf[len - 5 - 4] ^= 1; /* the count, before the length of "A\0B\0" */
    assert_int_equal(msg_decode(buf, len, 2, LINK_SIGNER, FROM_MASTER, STATE_STARTING, &out, NULL),
                     -1);
}

static void link_pair(struct ipc *master, struct ipc *session)
{
    int fds[2];
    assert_int_equal(ipc_pair(fds, NULL), 0);
    *master = (struct ipc){fds[0], LINK_SESSION, FROM_MASTER, STATE_AUTHED};
    *session = (struct ipc){fds[1], LINK_SESSION, FROM_PEER, STATE_AUTHED};
}

static void test_descriptors_travel(void **state)
{
    (void)state;
    static struct ipc_in in;
    struct ipc master, session;
    int pipes[2];
    link_pair(&master, &session);
    assert_int_equal(pipe(pipes), 0);
    struct ipc_msg msg = {.type = MSG_ANS_EXEC, .ans_exec = {.allowed = 1}};
    int three[] = {pipes[0], pipes[1], pipes[1]};
    assert_int_equal(ipc_send(&master, &msg, three, 3, false, NULL), IPC_OK);
    assert_int_equal(ipc_recv(&session, &in, false, NULL), IPC_OK);
    assert_int_equal(in.n_fds, 3);
    int mine = ipc_take_fd(&in, 1);
    assert_int_equal(write(mine, "x", 1), 1);
    close(mine);
    assert_int_equal(ipc_take_fd(&in, 1), -1);
    ipc_drop_fds(&in);

    /* More than the table allows: refused, and nothing stays open. */
    int five[] = {pipes[0], pipes[0], pipes[0], pipes[0], pipes[0]};
    int before = dup(0);
    close(before);
    assert_int_equal(ipc_send(&master, &msg, five, 5, false, NULL), IPC_OK);
    assert_int_equal(ipc_recv(&session, &in, false, NULL), IPC_ERROR);
    int after = dup(0);
    assert_int_equal(after, before);
    close(after);
    close(pipes[0]);
    close(pipes[1]);
    ipc_close(&master);
    assert_int_equal(ipc_recv(&session, &in, true, NULL), IPC_EOF);
    assert_int_equal(
        ipc_send(&session, &(struct ipc_msg){.type = MSG_EVT_GONE}, NULL, 0, true, NULL), IPC_EOF);
    ipc_close(&session);
}

static void test_empty_datagram_leaves_nothing_open(void **state)
{
    (void)state;
    static struct ipc_in in;
    struct ipc master, session;
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * 2)];
    } control = {0};
    struct iovec iov = {.iov_base = &control, .iov_len = 0};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * 2);
    memset(CMSG_DATA(cmsg), 0, sizeof(int) * 2);
    link_pair(&master, &session);
    assert_int_equal(sendmsg(session.fd, &hdr, 0), 0);
    int before = dup(0);
    close(before);
    assert_int_equal(ipc_recv(&master, &in, false, NULL), IPC_EOF);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
    ipc_close(&master);
    ipc_close(&session);
}

/* The kernel tells of the loss with an error that comes before what is in the queue. */
static void test_last_words_of_one_that_has_not_heard_all(void **state)
{
    (void)state;
    static struct ipc_in in;
    struct ipc_msg done = {.type = MSG_EVT_DONE, .evt_done = {.channel = 3, .bytes_out = 7}};
    struct ipc_msg note = {.type = MSG_EVT_NOTE, .evt_note = {.text = "note"}};
    for (int wait = 0; wait < 2; wait++) {
        struct ipc master, session;
        link_pair(&master, &session);
        assert_int_equal(ipc_send(&master, &note, NULL, 0, false, NULL), IPC_OK);
        assert_int_equal(ipc_send(&session, &done, NULL, 0, true, NULL), IPC_OK);
        assert_int_equal(ipc_send(&session, &done, NULL, 0, true, NULL), IPC_OK);
        ipc_close(&session);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(ipc_recv(&master, &in, wait, NULL), IPC_OK);
            assert_int_equal(in.msg.evt_done.bytes_out, 7);
        }
        assert_int_equal(ipc_recv(&master, &in, wait, NULL), IPC_EOF);
        ipc_close(&master);
    }
}

static void test_full_queue_never_blocks(void **state)
{
    (void)state;
    struct ipc master, session;
    link_pair(&master, &session);
    struct ipc_msg msg = {.type = MSG_EVT_NOTE, .evt_note = {.text = "note"}};
    enum ipc_result sent = IPC_OK;
    int n = 0;
    while (sent == IPC_OK && n++ < 100000)
        sent = ipc_send(&master, &msg, NULL, 0, false, NULL);
    assert_int_equal(sent, IPC_AGAIN);
    ipc_close(&master);
    ipc_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_enforced),
        cmocka_unit_test(test_length_must_be_exact),
        cmocka_unit_test(test_unknown_types),
        cmocka_unit_test(test_fields_arrive),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_strv_count_must_match),
        cmocka_unit_test(test_descriptors_travel),
        cmocka_unit_test(test_empty_datagram_leaves_nothing_open),
        cmocka_unit_test(test_last_words_of_one_that_has_not_heard_all),
        cmocka_unit_test(test_full_queue_never_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
