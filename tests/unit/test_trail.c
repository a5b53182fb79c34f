/* Trails: lines in order and whole, whatever the file system does; what is held is bounded. And the
 * journal's entries, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "journal.h"
#include "trail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/test_trail.XXXXXX", path[64], old[64];
static struct trail trail;

static void limit_size(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int begin(void **state)
{
    struct err err = {0};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    strcpy(dir, "/tmp/test_trail.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/log", dir);
    (void)snprintf(old, sizeof old, "%s/log.1", dir);
    return trail_open(&trail, path, &err);
}

static int end(void **state)
{
    (void)state;
    limit_size(RLIM_INFINITY);
    trail_close(&trail);
    (void)unlink(path);
    (void)unlink(old);
    return rmdir(dir);
}

static void put(const char *line, bool matters)
{
    (void)trail_put(&trail, AUDIT_END, line, strlen(line), matters);
}

static void expect_file(const char *name, const char *text)
{
    char buf[256] = "";
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    buf[fread(buf, 1, sizeof buf - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(buf, text);
}

static void test_half_a_line_goes_on(void **state)
{
    (void)state;
    put("{one}\n", true);
    limit_size(9);
    put("{two}\n", true);
    put("{three}\n", true);
    assert_int_equal(trail.error, EFBIG);
    assert_false(trail_is_clear(&trail));
    assert_int_equal(trail_count_held(&trail), 2);
    expect_file(path, "{one}\n{tw");
    limit_size(RLIM_INFINITY);
    trail_flush(&trail);
    assert_true(trail_is_clear(&trail));
    assert_int_equal(trail.error, 0);
    expect_file(path, "{one}\n{two}\n{three}\n");
}

static void test_half_a_line_is_whole_in_the_next_file(void **state)
{
    (void)state;
    limit_size(3);
    put("{one}\n", true);
    limit_size(RLIM_INFINITY);
    assert_int_equal(rename(path, old), 0);
    put("{two}\n", true);
    expect_file(old, "{on");
    expect_file(path, "{one}\n{two}\n");
}

static void test_a_crash(void **state)
{
    struct err err = {0};
    (void)state;
    put("{one", true);
    trail_close(&trail);
    assert_int_equal(trail_open(&trail, path, &err), 0);
    put("{two}\n", true);
    put("{three}\n", true);
    expect_file(path, "{one\n{two}\n{three}\n");
}

static void test_another_sink_takes_over(void **state)
{
    struct trail next;
    struct err err = {0};
    (void)state;
    limit_size(3);
    put("{one}\n", true);
    put("{two}\n", true);
    limit_size(RLIM_INFINITY);
    assert_int_equal(trail_open(&next, path, &err), 0);
    trail_hand_on(&trail, &next);
    assert_true(trail_is_clear(&trail));
    trail_flush(&next);
    expect_file(path, "{one}\n{two}\n");
    trail_close(&next);
}

static void test_what_is_held_is_bounded(void **state)
{
    static char line[100001];
    unsigned kept = 0;
    (void)state;
    memset(line, 'x', sizeof line - 1);
    limit_size(0);
    for (int i = 0; i < 100; i++)
        put(line, false);
    assert_int_equal(trail_count_held(&trail) + trail.n_lost, 100);
    assert_true(trail.held <= TRAIL_HELD_MAX / 2 && trail.held > TRAIL_HELD_MAX / 2 - 100000);
    kept = (unsigned)trail_count_held(&trail);
    /* What matters more still finds room. */
    put("{end}\n", true);
    assert_int_equal(trail_count_held(&trail), kept + 1);
    for (int i = 0; i < 100; i++)
        put(line, true);
    assert_true(trail.held <= TRAIL_HELD_MAX);
    assert_true(trail.n_lost > 0);
    assert_true(trail.lost_since.tv_sec > 0);
}

static void test_a_place_that_is_no_file(void **state)
{
    struct trail bad;
    struct err err = {0};
    (void)state;
    assert_int_equal(trail_open(&bad, "/dev/full", &err), -1);
    assert_string_equal(err.text, "audit file /dev/full is not a regular file");
    trail_close(&bad);
    assert_int_equal(symlink(path, old), 0);
    assert_int_equal(trail_open(&bad, old, &err), -1);
    trail_close(&bad);
}

static void test_stderr_that_is_full(void **state)
{
    struct trail bad;
    struct err err = {0};
    (void)state;
    int kept = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY);
    assert_true(dup2(full, STDERR_FILENO) >= 0);
    assert_int_equal(trail_open(&bad, "stderr", &err), 0);
    (void)trail_put(&bad, AUDIT_END, "{}\n", 3, true);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(full);
    assert_int_equal(bad.error, ENOSPC);
    assert_int_equal(trail_count_held(&bad), 1);
    trail_close(&bad);
}

static void test_entries(void **state)
{
    static const char line[] =
        "{\"v\":1,\"event\":\"reload\",\"result\":\"ref\\u000aused\",\"generation\":7,"
        "\"reason\":\"\\\"a\\\\ \\u00e9\",\"tenants\":null,\"ok\":true,"
        "\"args\":[\"a]\\\"\",\"b\"]}\n";
    static const char wanted[] =
        "MESSAGE=policy ref\\x0aused: generation 7: \\\"a\\\\ \\xe9\n"
        "MESSAGE_ID=cb79401a3ee94377ad67567cd68c33c3\n"
        "PRIORITY=5\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=posternd\n"
        "POSTERN_V=1\nPOSTERN_EVENT=reload\n"
        "POSTERN_RESULT\n\x08\0\0\0\0\0\0\0ref\nused\n"
        "POSTERN_GENERATION=7\nPOSTERN_REASON=\"a\\ \xe9\nPOSTERN_OK=true\n"
        "POSTERN_ARGS=[\"a]\\\"\",\"b\"]\n";
    size_t len = 0;
    (void)state;
    char *entry = journal_encode(AUDIT_RELOAD, line, sizeof line - 1, &len);
    assert_non_null(entry);
    assert_int_equal(len, sizeof wanted - 1);
    assert_memory_equal(entry, wanted, len);
    free(entry);
}

static void test_lines_that_are_none(void **state)
{
    static const char *const lines[] = {"",
                                        "{",
                                        "{}",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":\"b",
                                        "{\"a\":\"\\u01\"}",
                                        "{\"a\":[\"]}",
                                        "[]",
                                        "{\"a\":1,}",
                                        "{\"a\":1",
                                        "{\"a\":\"\\u0100\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t len = 0;
        char *entry = journal_encode(AUDIT_END, lines[i], strlen(lines[i]), &len);
        if (entry != NULL)
            print_error("%s\n", lines[i]);
        assert_null(entry);
    }
}

/* In a mount namespace of our own, whose /run has nothing but a journal. */
static void test_an_entry_too_long_for_a_datagram(void **state)
{
    static const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    static char entry[600000], got[600000];
    char control[64];
    struct iovec iov = {got, sizeof got};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct err err = {0};
    int from = -1;
    (void)state;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        skip();
    assert_int_equal(journal_open(&err), -1);
    assert_int_equal(mkdir("/run/systemd", 0755), 0);
    assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(sock, (const struct sockaddr *)&at, sizeof at), 0);
    int fd = journal_open(&err);
    assert_true(fd >= 0);
    memset(entry, 'x', sizeof entry);
    assert_int_equal(journal_send(fd, entry, sizeof entry), 0);
    assert_int_equal(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC), 0);
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    assert_true(header != NULL && header->cmsg_type == SCM_RIGHTS);
    memcpy(&from, CMSG_DATA(header), sizeof from);
    assert_int_equal(fcntl(from, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(pread(from, got, sizeof got, 0), (ssize_t)sizeof entry);
    assert_memory_equal(got, entry, sizeof entry);
    close(from);
    /* Nobody is waited for. */
    for (int i = 0; i < 100000 && journal_send(fd, "A=b\n", 4) == 0; i++)
        ;
    assert_int_equal(journal_send(fd, "A=b\n", 4), -1);
    assert_int_equal(errno, EAGAIN);
    close(fd);
    close(sock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_half_a_line_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(test_half_a_line_is_whole_in_the_next_file, begin, end),
        cmocka_unit_test_setup_teardown(test_a_crash, begin, end),
        cmocka_unit_test_setup_teardown(test_another_sink_takes_over, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_held_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(test_a_place_that_is_no_file, begin, end),
        cmocka_unit_test_setup_teardown(test_stderr_that_is_full, begin, end),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_an_entry_too_long_for_a_datagram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
