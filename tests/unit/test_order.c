/* What a worker is told to run: the way there and back over a socket, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "order.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAULT = 100, WRONG = 99 };

/* In a process whose 0, 1 and 2 are free, as a worker's are: exits with what it returns. */
static int receive_in_child(int fd, int (*judge)(int got, const struct order *order))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct order order;
        for (int i = 0; i < 3; i++)
            close(i);
        errno = 0;
        int got = order_receive(fd, &order);
        _exit(judge(got, &order));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int judge_whole(int got, const struct order *order)
{
    char buf[8] = "";
    bool good = got == 1 && !order->login && strcmp(order->argv[0], "git") == 0 &&
                strcmp(order->argv[1], "") == 0 && strcmp(order->argv[2], "a b\n") == 0 &&
                order->argv[3] == NULL && strcmp(order->envp[0], "A=1") == 0 &&
                order->envp[1] == NULL && order->stdio[0] == 0 && order->stdio[2] == 2 &&
                read(0, buf, sizeof buf) == 2 && strcmp(buf, "in") == 0 &&
                write(1, "out", 3) == 3 && fcntl(1, F_GETFD) == 0;
    return good ? 0 : WRONG;
}

static void test_whole(void **state)
{
    (void)state;
    int fds[2], in[2], out[2];
    char buf[8] = "";
    const char *const argv[] = {"git", "", "a b\n", NULL}, *const envp[] = {"A=1", NULL};
    make_pair(fds);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "in", 2), 2);
    const struct order order = {.argv = argv, .envp = envp, .stdio = {in[0], out[1], out[1]}};
    struct err err;
    assert_int_equal(order_send(fds[0], &order, &err), 0);
    assert_int_equal(receive_in_child(fds[1], judge_whole), 0);
    assert_int_equal(read(out[0], buf, sizeof buf), 3);
    assert_string_equal(buf, "out");
    close_pair(fds);
    close_pair(in);
    close_pair(out);
}

static int judge_login(int got, const struct order *order)
{
    return got == 1 && order->login && order->stdio[0] == -1 && order->envp[0] == NULL ? 0 : WRONG;
}

static void test_terminal(void **state)
{
    (void)state;
    int fds[2];
    const char *const argv[] = {"/bin/sh", NULL}, *const envp[] = {NULL};
    const struct order order = {.argv = argv, .envp = envp, .login = true, .stdio = {-1, -1, -1}};
    struct err err;
    make_pair(fds);
    assert_int_equal(order_send(fds[0], &order, &err), 0);
    assert_int_equal(receive_in_child(fds[1], judge_login), 0);
    close_pair(fds);
}

static int judge_long(int got, const struct order *order)
{
    return got == 1 && strlen(order->argv[0]) == ORDER_STRINGS_MAX - 1 &&
                   strlen(order->envp[0]) == ORDER_STRINGS_MAX - 1
               ? 0
               : WRONG;
}

/* The longest of both passes even where sockets are given little room; a byte more is refused. */
static void test_length(void **state)
{
    (void)state;
    static char text[ORDER_STRINGS_MAX + 1];
    const int little = 4096;
    int fds[2];
    const char *const vec[] = {text, NULL};
    const struct order order = {.argv = vec, .envp = vec, .stdio = {-1, -1, -1}};
    struct err err;
    memset(text, 'x', ORDER_STRINGS_MAX);
    make_pair(fds);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    assert_int_equal(order_send(fds[0], &order, &err), -1);
    assert_int_equal(err.num, E2BIG);
    text[ORDER_STRINGS_MAX - 1] = '\0';
    assert_int_equal(order_send(fds[0], &order, &err), 0);
    assert_int_equal(receive_in_child(fds[1], judge_long), 0);
    close_pair(fds);
}

static int judge_fault(int got, const struct order *order)
{
    (void)order;
    return got == 0 ? 0 : got < 0 ? FAULT : WRONG;
}

static void test_nobody(void **state)
{
    (void)state;
    int fds[2];
    const char *const vec[] = {"true", NULL};
    const struct order order = {.argv = vec, .envp = vec, .stdio = {-1, -1, -1}};
    struct err err;
    make_pair(fds);
    close(fds[0]);
    assert_int_equal(receive_in_child(fds[1], judge_fault), 0);
    close(fds[1]);
    make_pair(fds);
    close(fds[1]);
    assert_int_equal(order_send(fds[0], &order, &err), -1);
    assert_int_equal(err.num, EPIPE);
    close(fds[0]);
}

/* What was ordered by somebody who has gone meanwhile is not run any more. */
static void test_revoked(void **state)
{
    (void)state;
    int fds[2];
    const char *const vec[] = {"true", NULL};
    const struct order order = {.argv = vec, .envp = vec, .stdio = {-1, -1, -1}};
    struct err err;
    make_pair(fds);
    assert_int_equal(order_send(fds[0], &order, &err), 0);
    close(fds[0]);
    assert_int_equal(receive_in_child(fds[1], judge_fault), 0);
    close(fds[1]);
}

/* Descriptors that come in another number than three, or where none was announced. */
static void test_descriptors(void **state)
{
    (void)state;
    static const struct {
        char announced;
        size_t n;
    } cases[] = {{1, 0}, {1, 2}, {1, 4}, {0, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[2];
        unsigned char data[] = "\0\0\0\0\0\1\0\0\0\2x\0\0\0\0\0\0\0\0";
        union {
            char room[CMSG_SPACE(4 * sizeof(int))];
            struct cmsghdr align;
        } control = {.room = {0}};
        struct iovec iov = {data, sizeof data};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        make_pair(fds);
        data[1] = (unsigned char)cases[i].announced;
        if (cases[i].n > 0) {
            msg.msg_control = control.room;
            msg.msg_controllen = CMSG_SPACE(cases[i].n * sizeof(int));
            struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
            cmsg->cmsg_level = SOL_SOCKET;
            cmsg->cmsg_type = SCM_RIGHTS;
            cmsg->cmsg_len = CMSG_LEN(cases[i].n * sizeof(int));
            const int given[] = {fds[0], fds[0], fds[0], fds[0]};
            memcpy(CMSG_DATA(cmsg), given, cases[i].n * sizeof(int));
        }
        assert_int_equal(sendmsg(fds[0], &msg, 0), sizeof data);
        assert_int_equal(receive_in_child(fds[1], judge_fault), FAULT);
        close_pair(fds);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len;
    } cases[] = {
        {"\0", 1},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18},             /* no command */
        {"\0\1\0\0\0\1\0\0\0\2x\0\0\0\0\0\0\0\0\0", 20},          /* no descriptors */
        {"\0\0\0\0\0\1\0\0\0\2xx\0\0\0\0\0\0\0\0", 20},           /* no end of the string */
        {"\0\0\0\0\0\1\0\0\0\2x\0\0\0\0\0\0\0\0\0!", 21},         /* more than all */
        {"\0\0\0\0\0\1\x7f\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 20}, /* too long */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[2];
        make_pair(fds);
        assert_int_equal(send(fds[0], cases[i].data, cases[i].len, 0), cases[i].len);
        assert_int_equal(receive_in_child(fds[1], judge_fault), FAULT);
        close_pair(fds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),       cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_length),      cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_malformed),   cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
