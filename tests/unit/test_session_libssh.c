/* What of libssh's calls goes through the session: what it sends, and its random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cork.h"
#include "random_pool.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of datagrams it can be told which were sent as one. */
static void open_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fds[1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fds[1], (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fds[1], (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
}

static void assert_received(int fd, const char *text)
{
    char buf[16];
    assert_int_equal(recv(fd, buf, sizeof buf, 0), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

static void test_what_is_held_leaves_with_the_next(void **state)
{
    int fds[2];
    (void)state;
    open_pair(fds);
    assert_int_equal(send(fds[0], "a", 1, 0), 1);
    cork_hold();
    assert_int_equal(send(fds[0], "b", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(send(fds[0], "c", 1, MSG_NOSIGNAL), 1);
    cork_release();
    assert_int_equal(send(fds[0], "d", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(send(fds[0], "e", 1, MSG_NOSIGNAL), 1);
    assert_received(fds[1], "a");
    assert_received(fds[1], "bcd");
    assert_received(fds[1], "e");
    close(fds[0]);
    close(fds[1]);
}

/* In two processes, from the same state on. */
static bool differ_after_fork(void)
{
    unsigned char own[32], other[32];
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        random_pool_start();
        _exit(RAND_bytes(own, sizeof own) == 1 && write(fds[1], own, sizeof own) == sizeof own ? 0
                                                                                               : 1);
    }
    assert_int_equal(RAND_bytes(own, sizeof own), 1);
    assert_int_equal(read(fds[0], other, sizeof other), sizeof other);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fds[0]);
    close(fds[1]);
    return memcmp(own, other, sizeof own) != 0;
}

static void test_nothing_is_kept_before_the_start(void **state)
{
    unsigned char random[8];
    (void)state;
    assert_int_equal(RAND_bytes(random, sizeof random), 1);
    assert_true(differ_after_fork());
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void test_no_bytes_come_twice(void **state)
{
    static unsigned char taken[4096][8];
    unsigned char large[2000] = {0};
    (void)state;
    random_pool_start();
    for (size_t i = 0; i < 4096; i++) {
        assert_int_equal(RAND_bytes(taken[i], 8), 1);
        /* So that the pool ends within one, and at one's end. */
        assert_int_equal(RAND_bytes(large, (int)(i % 300)), 1);
    }
    qsort(taken, 4096, 8, compare);
    for (size_t i = 1; i < 4096; i++)
        assert_memory_not_equal(taken[i - 1], taken[i], 8);
    memset(large, 0, sizeof large);
    assert_int_equal(RAND_bytes(large, sizeof large), 1);
    assert_memory_not_equal(large, large + 1000, 1000);
    assert_int_equal(RAND_bytes(large, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held_leaves_with_the_next),
        cmocka_unit_test(test_nothing_is_kept_before_the_start),
        cmocka_unit_test(test_no_bytes_come_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
