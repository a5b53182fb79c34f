/* The record of uids on the disk: who may have written it, and what a write leaves there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "uid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define BEGIN                                                                                      \
    "# Written by posternd: which uid is whose, see state-dir in postern.ini(5).\nuids 1\n"

static char dir[64];

static const char *full(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/postern-uids.XXXXXX");
    umask(077);
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int end(void **state)
{
    char line[128];
    (void)state;
    (void)snprintf(line, sizeof line, "rm -rf %s", dir);
    return system(line); /* NOLINT(cert-env33-c): our own name */
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(full(name), "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void expect_file(const char *text)
{
    char got[1024];
    FILE *file = fopen(full("s/uids"), "re");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    (void)fclose(file);
    assert_string_equal(got, text);
    assert_int_not_equal(access(full("s/uids.new"), F_OK), 0);
}

static int add(struct uid_claim *claims, size_t n, struct err *err)
{
    struct policy policy = {.claims = claims, .n_claims = n};
    *err = (struct err){0};
    policy.server.state_dir = (char *)full("s");
    return uid_file_add(&policy, err);
}

static void test_a_first_start(void **state)
{
    (void)state;
    struct err err;
    struct stat st;
    assert_int_equal(add(NULL, 0, &err), 0);
    expect_file(BEGIN "end\n");
    assert_int_equal(stat(full("s"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(full("s/uids"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_claims(void **state)
{
    (void)state;
    struct err err;
    struct stat before, after;
    struct uid_claim claims[] = {{"a", 1000, false}, {"b", 7, true}};
    assert_int_equal(add(claims, 2, &err), 0);
    expect_file(BEGIN "auto 1000 a\nfixed 7 b\nend\n");
    /* The same again changes nothing, not even the file. */
    assert_int_equal(stat(full("s/uids"), &before), 0);
    assert_int_equal(add(claims, 2, &err), 0);
    assert_int_equal(stat(full("s/uids"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    struct uid_claim more[] = {{"c", 1001, false}};
    assert_int_equal(add(more, 1, &err), 0);
    expect_file(BEGIN "auto 1000 a\nfixed 7 b\nauto 1001 c\nend\n");
}

/* Another server, or a person, has written meanwhile. */
static void test_what_came_between(void **state)
{
    (void)state;
    struct err err;
    struct uid_claim both[] = {{"new", 1004, false}, {"late", 1000, false}};
    assert_int_equal(add(NULL, 0, &err), 0);
    put("s/uids", "uids 1\nauto 1000 early\nend\n");
    assert_int_equal(add(both, 2, &err), -1);
    assert_int_equal(err.num, EAGAIN);
    assert_int_equal(err.code, EX_TEMPFAIL);
    assert_non_null(strstr(err.text, "/s/uids: uid 1000 is that of tenant 'early', not of 'late'"));
    expect_file("uids 1\nauto 1000 early\nend\n");
    assert_int_equal(add(both, 1, &err), 0);
    expect_file(BEGIN "auto 1000 early\nauto 1004 new\nend\n");
}

static void expect_failure(const char *text)
{
    struct err err;
    struct uid_claim claim = {"a", 1000, false};
    assert_int_equal(add(&claim, 1, &err), -1);
    assert_int_equal(err.code, EX_CANTCREAT);
    if (strstr(err.text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, err.text);
}

static void test_what_can_not_be_trusted(void **state)
{
    (void)state;
    put("s", "");
    expect_failure("/s: not a directory");
    assert_int_equal(unlink(full("s")), 0);
    assert_int_equal(mkdir(full("s"), 0777) | chmod(full("s"), 0777), 0);
    expect_failure("/s: writable by group and others (mode 777): chmod go-w ");
    assert_int_equal(chmod(full("s"), 0755), 0);
    put("s/uids", "uids 1\nauto 1000 a\n");
    expect_failure("/s/uids: it is cut off");
    put("s/uids", "uids 1\nauto 1000\nend\n");
    expect_failure("/s/uids: line 2: not 'auto UID NAME'");
    put("s/uids", "uids 1\nend\n");
    assert_int_equal(chmod(full("s/uids"), 0664), 0);
    expect_failure("/s/uids: writable by group (mode 664): chmod g-w ");
    assert_int_equal(unlink(full("s/uids")), 0);
    assert_int_equal(symlink("/etc/passwd", full("s/uids.new")), 0);
    expect_failure("/s/uids: it can't be written: Too many levels of symbolic links");
    if (geteuid() != 0)
        return;
    put("s/uids", "uids 1\nend\n");
    assert_int_equal(chown(full("s/uids"), 12345, 0), 0);
    expect_failure("/s/uids: owned by uid 12345: chown root ");
}

static void test_another_writer(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(add(NULL, 0, &err), 0);
    int fd = open(full("s/uids.lock"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect_failure("/s/uids: another server is writing it");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_first_start, begin, end),
        cmocka_unit_test_setup_teardown(test_claims, begin, end),
        cmocka_unit_test_setup_teardown(test_what_came_between, begin, end),
        cmocka_unit_test_setup_teardown(test_what_can_not_be_trusted, begin, end),
        cmocka_unit_test_setup_teardown(test_another_writer, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
