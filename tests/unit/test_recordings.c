/* The directory of recordings: names in it, and what is removed when there are too many. */
#include "cleanup.h"
#include "recordings_dir.h"
#include "recordings_prune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

/* After the others. */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { NOW = 1700000000, DAY = 86400 };

static char path[64];
static int dir;

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/recordings.XXXXXX");
    if (mkdtemp(path) == NULL)
        return -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
    char command[96];
    (void)state;
    close_fd(&dir);
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command) == 0 ? 0 : -1;
}

static void make(const char *name, off_t size, int age)
{
    const struct timespec times[2] = {{.tv_sec = NOW - age}, {.tv_sec = NOW - age}};
    cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(futimens(fd, times), 0);
}

/* Where that is possible: a file of another tenant. */
static bool give(const char *name, gid_t tenant)
{
    return fchownat(dir, name, (uid_t)-1, tenant, 0) == 0;
}

static bool has(const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct server_config bounds(uint64_t max, uint64_t keep_ms)
{
    return (struct server_config){.recordings_max = max, .recordings_keep_ms = keep_ms};
}

static void test_names(void **state)
{
    static const char *const wrong[] = {"",    ".",   "..",  ".x",  "-x",   "a/b",
                                        "a b", "a_b", "a\n", "a%s", "a\xc3"};
    char name[RECORDING_NAME_MAX], longest[RECORDING_NAME_MAX + 1];
    (void)state;
    assert_true(recordings_dir_name("b36eph-12.3", name));
    assert_string_equal(name, "b36eph-12.3.cast");
    for (size_t i = 0; i < array_len(wrong); i++)
        assert_false(recordings_dir_name(wrong[i], name));
    memset(longest, 'a', sizeof longest);
    longest[RECORDING_NAME_MAX - sizeof RECORDING_SUFFIX] = '\0';
    assert_true(recordings_dir_name(longest, name));
    assert_int_equal(strlen(name), RECORDING_NAME_MAX - 1);
    longest[RECORDING_NAME_MAX - sizeof RECORDING_SUFFIX] = 'a';
    longest[RECORDING_NAME_MAX - sizeof RECORDING_SUFFIX + 1] = '\0';
    assert_false(recordings_dir_name(longest, name));
}

static void test_age(void **state)
{
    const struct server_config config = bounds(SPEC_INFINITY, DAY * 1000ULL);
    (void)state;
    make("old.cast", 1, DAY + 1);
    make("young.cast", 1, DAY);
    make("old.txt", 1, DAY + 1);
    make(".old.cast", 1, DAY + 1);
    assert_int_equal(symlinkat("old.txt", dir, "link.cast"), 0);
    assert_int_equal(mkdirat(dir, "dir.cast", 0700), 0);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 1);
    assert_false(has("old.cast"));
    assert_true(has("young.cast") && has("old.txt") && has(".old.cast") && has("link.cast") &&
                has("dir.cast"));
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 0);
}

static void test_size(void **state)
{
    const struct server_config config = bounds(1600, SPEC_INFINITY);
    (void)state;
    assert_int_equal(recordings_slack(&config), 100);
    make("c.cast", 500, 10);
    make("a.cast", 500, 30);
    make("b.cast", 500, 20);
    /* All of what may be, less what may come until the next time. */
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 0);
    make("d.cast", 1, 5);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 1);
    assert_false(has("a.cast"));
    make("e.cast", 5000, 1);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 4);
    assert_false(has("e.cast"));
}

static void test_no_bounds(void **state)
{
    const struct server_config config = bounds(SPEC_INFINITY, SPEC_INFINITY);
    (void)state;
    make("a.cast", 1 << 30, 100 * DAY);
    assert_true(recordings_slack(&config) == UINT64_MAX);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 0);
}

static void test_what_is_written_stays(void **state)
{
    const struct server_config config = bounds(100, SPEC_INFINITY);
    (void)state;
    make("a.cast", 500, 30);
    make("b.cast", 500, 20);
    cleanup_fd int fd = openat(dir, "a.cast", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 1);
    assert_true(has("a.cast") && !has("b.cast"));
    close_fd(&fd);
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 1);
}

static void test_who_has_most_loses_first(void **state)
{
    const struct server_config config = bounds(1600, SPEC_INFINITY);
    (void)state;
    make("few.cast", 400, 90);
    make("one.cast", 700, 20);
    make("two.cast", 700, 10);
    if (!give("one.cast", 4711) || !give("two.cast", 4711))
        skip();
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 1);
    assert_true(has("few.cast") && !has("one.cast") && has("two.cast"));
}

static void test_many(void **state)
{
    const struct server_config config = bounds(16000, SPEC_INFINITY);
    char name[32];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%d.cast", i);
        make(name, 100, i);
    }
    assert_int_equal(recordings_prune_dir(dir, &config, NOW), 850);
    assert_true(has("149.cast") && !has("150.cast") && !has("999.cast"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        T(test_age),
        T(test_size),
        T(test_no_bounds),
        T(test_what_is_written_stays),
        T(test_who_has_most_loses_first),
        T(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
