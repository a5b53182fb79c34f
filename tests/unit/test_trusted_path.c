/* trusted_path: each way in which somebody else could have written a file, or put it there. */
#include "trusted_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOMEBODY = 12345, NOBODY = 65534 };

static char base[64]; /* root's own, in /tmp; '@' stands for it in paths and messages */
static size_t fds_before;

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* One of a few buffers, so that a call may name several. */
static const char *full(const char *text)
{
    static char bufs[4][PATH_MAX];
    static unsigned next;
    char *out = bufs[next++ % 4];
    size_t n = 0;
    for (; *text != '\0'; text++) {
        assert_true(n + sizeof base < PATH_MAX);
        if (*text == '@')
            n += (size_t)snprintf(out + n, PATH_MAX - n, "%s", base);
        else
            out[n++] = *text;
    }
    out[n] = '\0';
    return out;
}

static void make_dir(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(full(path), 0700), 0);
    assert_int_equal(chmod(full(path), mode), 0);
}

static void make_file(const char *path, mode_t mode)
{
    int fd = open(full(path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text\n", 5), 5);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void make_link(const char *path, const char *target)
{
    assert_int_equal(symlink(full(target), full(path)), 0);
}

static void give(const char *path, uid_t uid)
{
    assert_int_equal(lchown(full(path), uid, 0), 0);
}

static int open_path(const char *path, bool dir, uid_t owner, struct err *err)
{
    int fd = -1;
    struct stat st = {0};
    *err = (struct err){0};
    int rc = dir ? trusted_path_open_dir(full(path), owner, &fd, err)
                 : trusted_path_open_file(full(path), owner, &fd, &st, err);
    assert_int_equal(rc, fd >= 0 ? 0 : -1);
    if (fd >= 0 && !dir)
        assert_int_equal(st.st_size, 5);
    return fd;
}

static void expect_file_of(const char *path, uid_t owner)
{
    char text[8] = "";
    struct err err;
    int fd = open_path(path, false, owner, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(read(fd, text, sizeof text), 5);
    assert_string_equal(text, "text\n");
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

static void expect_file(const char *path)
{
    expect_file_of(path, 0);
}

static void expect_no(const char *path, bool dir, uid_t owner, int num, const char *text)
{
    struct err err;
    assert_int_equal(open_path(path, dir, owner, &err), -1);
    assert_string_equal(err.text, full(text));
    assert_int_equal(err.num, num);
}

static void refuse_file(const char *path, const char *text)
{
    expect_no(path, false, 0, 0, text);
}

static void refuse_owner(const char *path, const char *text)
{
    expect_no(path, false, 0, EPERM, text);
}

static void fail_file(const char *path, int num, const char *text)
{
    expect_no(path, false, 0, num, text);
}

/* The tests give files away. */
static bool is_root(void)
{
    return geteuid() == 0;
}

static void test_plain(void **state)
{
    (void)state;
    make_dir("@/d", 0755);
    make_file("@/d/f", 0644);
    expect_file("@/d/f");
    expect_file("@//d/.//f");
    expect_file("@/d/../d/f");
    expect_file("/../../..@/d/f");
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        const char *text;
    } cases[] = {
        {0664, "writable by group (mode 664): chmod g-w @/f"},
        {0646, "writable by others (mode 646): chmod o-w @/f"},
        {0666, "writable by group and others (mode 666): chmod go-w @/f"},
        {01666, "writable by group and others (mode 1666): chmod go-w @/f"},
        {0620, "writable by group (mode 620): chmod g-w @/f"},
    };
    make_file("@/f", 0600);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(chmod(full("@/f"), cases[i].mode), 0);
        refuse_file("@/f", cases[i].text);
    }
    assert_int_equal(chmod(full("@/f"), 0755), 0);
    expect_file("@/f");
}

static void test_owners(void **state)
{
    (void)state;
    if (!is_root())
        skip();
    make_file("@/f", 0644);
    give("@/f", SOMEBODY);
    refuse_owner("@/f", "owned by uid 12345: chown root @/f");
    expect_no("@/f", false, SOMEBODY + 1, EPERM, "owned by uid 12345: chown root @/f");
    expect_file_of("@/f", SOMEBODY);
    /* An owner may not lend the right to write. */
    assert_int_equal(chmod(full("@/f"), 0664), 0);
    expect_no("@/f", false, SOMEBODY, 0, "writable by group (mode 664): chmod g-w @/f");
    give("@/f", NOBODY);
    refuse_owner("@/f", "owned by uid 65534 (nobody): chown root @/f");
}

static void test_parents(void **state)
{
    (void)state;
    make_dir("@/a", 0755);
    make_dir("@/a/b", 0755);
    make_dir("@/a/b/c", 0755);
    make_file("@/a/b/c/f", 0644);
    expect_file("@/a/b/c/f");
    assert_int_equal(chmod(full("@/a/b/c"), 0775), 0);
    refuse_file("@/a/b/c/f", "@/a/b/c is writable by group (mode 775): chmod g-w @/a/b/c");
    /* The first one is told: what is below it is its writers'. */
    assert_int_equal(chmod(full("@/a"), 0757), 0);
    refuse_file("@/a/b/c/f", "@/a is writable by others (mode 757): chmod o-w @/a");
    refuse_file("@/a/b/../../a/b/c/f", "@/a is writable by others (mode 757): chmod o-w @/a");
    assert_int_equal(chmod(full("@/a"), 0755), 0);
    assert_int_equal(chmod(full("@/a/b/c"), 0755), 0);
    if (!is_root())
        return;
    give("@/a/b", SOMEBODY);
    refuse_owner("@/a/b/c/f", "@/a/b is owned by uid 12345: chown root @/a/b");
    expect_file_of("@/a/b/c/f", SOMEBODY);
}

static void test_acl(void **state)
{
    (void)state;
    static const struct {
        uint16_t tag, perm;
        uint32_t id;
    } grants[] = {{0x01, 6, UINT32_MAX}, /* the owner */
                  {0x02, 6, SOMEBODY},
                  {0x04, 4, UINT32_MAX},  /* the group */
                  {0x10, 6, UINT32_MAX},  /* the mask */
                  {0x20, 4, UINT32_MAX}}; /* others */
    unsigned char acl[4 + sizeof grants] = {2};
    memcpy(acl + 4, grants, sizeof grants);
    make_file("@/f", 0644);
    if (setxattr(full("@/f"), "system.posix_acl_access", acl, sizeof acl, 0) < 0)
        skip();
    refuse_file("@/f", "writable by group (mode 664): chmod g-w @/f");
    /* What it tells to do takes the grant back: the mask is cut. */
    assert_int_equal(chmod(full("@/f"), 0644), 0);
    expect_file("@/f");
}

static void test_sticky(void **state)
{
    (void)state;
    make_dir("@/s", 01777);
    make_file("@/s/f", 0644);
    expect_file("@/s/f");
    make_file("@/outside", 0644);
    make_link("@/s/own", "../outside");
    expect_file("@/s/own");
    assert_int_equal(link(full("@/outside"), full("@/s/hard")), 0);
    refuse_file("@/s/hard", "a hard link in a directory that others may write: put a copy there");
    assert_int_equal(unlink(full("@/s/hard")), 0);
    if (!is_root())
        return;
    make_dir("@/s/d", 0755);
    make_file("@/s/d/f", 0644);
    give("@/s/d", SOMEBODY);
    refuse_owner("@/s/d/f", "@/s/d is owned by uid 12345: chown root @/s/d");
    make_link("@/s/l", "f");
    give("@/s/l", SOMEBODY);
    refuse_owner("@/s/l", "a link owned by uid 12345: chown -h root @/s/l");
    make_link("@/s/up", "..");
    give("@/s/up", SOMEBODY);
    refuse_owner("@/s/up/outside", "@/s/up is a link owned by uid 12345: chown -h root @/s/up");
    expect_file_of("@/s/up/outside", SOMEBODY);
    /* Who owns a sticky directory may do all in it. */
    give("@/s", SOMEBODY);
    refuse_owner("@/s/f", "@/s is owned by uid 12345: chown root @/s");
}

static void test_links(void **state)
{
    (void)state;
    make_dir("@/d", 0755);
    make_dir("@/d/e", 0755);
    make_file("@/d/f", 0644);
    make_link("@/relative", "d/f");
    make_link("@/absolute", "@/d/f");
    make_link("@/dots", "d/e/.././f");
    make_link("@/dir", "d/");
    make_link("@/chain", "dir/../relative");
    make_link("@/deep", "@/d/e");
    expect_file("@/relative");
    expect_file("@/absolute");
    expect_file("@/dots");
    expect_file("@/dir/f");
    expect_file("@/chain");
    /* ".." of what the link leads to, not of where it stands. */
    expect_file("@/deep/../f");
    fail_file("@/deep/../../f", ENOENT, "@/f can't be opened: No such file or directory");
    /* Nobody else can have put it into a directory of ours. */
    if (is_root())
        give("@/relative", SOMEBODY);
    expect_file("@/relative");

    /* Where it leads to is judged, in every part. */
    assert_int_equal(chmod(full("@/d/f"), 0664), 0);
    refuse_file("@/chain", "@/d/f is writable by group (mode 664): chmod g-w @/d/f");
    assert_int_equal(chmod(full("@/d"), 0777), 0);
    refuse_file("@/absolute", "@/d is writable by group and others (mode 777): chmod go-w @/d");
    refuse_file("@/dir/f", "@/d is writable by group and others (mode 777): chmod go-w @/d");
}

static void test_endless_links(void **state)
{
    (void)state;
    make_file("@/l0", 0644);
    for (int i = 1; i <= TRUSTED_LINKS_MAX + 1; i++) {
        char path[32];
        char target[32];
        (void)snprintf(path, sizeof path, "@/l%d", i);
        (void)snprintf(target, sizeof target, "l%d", i - 1);
        make_link(path, target);
    }
    expect_file("@/l40");
    fail_file("@/l41", ELOOP, "@/l1 can't be opened: Too many levels of symbolic links");
    make_link("@/self", "self");
    fail_file("@/self", ELOOP, "@/self can't be opened: Too many levels of symbolic links");
    make_link("@/one", "two");
    make_link("@/two", "@/one");
    fail_file("@/one", ELOOP, "@/one can't be opened: Too many levels of symbolic links");
    make_link("@/grow", "grow/grow");
    fail_file("@/grow", ELOOP, "@/grow can't be opened: Too many levels of symbolic links");
}

static void test_relative(void **state)
{
    (void)state;
    make_dir("@/d", 0755);
    make_dir("@/d/e", 0755);
    make_file("@/d/f", 0644);
    assert_int_equal(chdir(full("@/d/e")), 0);
    expect_file("../f");
    expect_file("../e/../f");
    assert_int_equal(chdir(full("@/d")), 0);
    expect_file("f");
    expect_file("./f");
    assert_int_equal(chmod(full("@/d"), 0775), 0);
    refuse_file("f", "@/d is writable by group (mode 775): chmod g-w @/d");
    assert_int_equal(chdir(full("@/d/e")), 0);
    refuse_file("../f", "@/d is writable by group (mode 775): chmod g-w @/d");
    assert_int_equal(chmod(full("@/d/f"), 0664), 0);
    assert_int_equal(chmod(full("@/d"), 0755), 0);
    refuse_file("../f", "writable by group (mode 664): chmod g-w @/d/f");
    assert_int_equal(rmdir(full("@/d/e")), 0);
    fail_file("../f", ENOENT, "the current directory can't be examined: No such file or directory");
}

static void test_kinds(void **state)
{
    (void)state;
    make_dir("@/d", 0755);
    make_file("@/f", 0644);
    /* Opening it would wait for a writer. */
    assert_int_equal(mkfifo(full("@/fifo"), 0600), 0);
    make_link("@/null", "/dev/null");
    refuse_file("@/d", "not a regular file");
    refuse_file("@/d/", "not a regular file");
    refuse_file("@/d/..", "not a regular file");
    refuse_file("/", "not a regular file");
    refuse_file("@/fifo", "not a regular file");
    refuse_file("@/null", "/dev/null is not a regular file");
    fail_file("@/f/x", ENOTDIR, "@/f can't be entered: Not a directory");
    fail_file("@/f/", ENOTDIR, "@/f can't be entered: Not a directory");
}

static void test_missing(void **state)
{
    (void)state;
    char name[600] = "@/";
    char text[700];
    make_link("@/nowhere", "gone");
    fail_file("@/none", ENOENT, "can't be opened: No such file or directory");
    fail_file("@/none/f", ENOENT, "@/none can't be opened: No such file or directory");
    fail_file("@/nowhere", ENOENT, "@/gone can't be opened: No such file or directory");
    fail_file("", ENOENT, "can't be opened: No such file or directory");
    memset(name + 2, 'x', NAME_MAX + 1);
    fail_file(name, ENAMETOOLONG, "can't be opened: File name too long");
    (void)snprintf(text, sizeof text, "can't be opened: %s", strerror(EACCES));
    if (is_root())
        return;
    make_file("@/closed", 0);
    fail_file("@/closed", EACCES, text);
}

static void test_long_paths(void **state)
{
    (void)state;
    struct err err;
    int fd = -1;
    struct stat st;
    char path[3 * PATH_MAX];
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = "/./../"[i % 6];
    path[PATH_MAX - 1] = '\0';
    assert_int_equal(trusted_path_open_dir(path, 0, &fd, &err), 0);
    close(fd);
    path[PATH_MAX - 1] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(trusted_path_open_file(path, 0, &fd, &st, &err), -1);
    assert_string_equal(err.text, "can't be opened: File name too long");
    /* A link that makes it so long. */
    path[PATH_MAX - 100] = '\0';
    make_link("@/long", path);
    char asked[300];
    (void)snprintf(asked, sizeof asked, "@/long%.200s", path);
    fail_file(asked, ENAMETOOLONG, "@ can't be opened: File name too long");
}

static void test_shown(void **state)
{
    (void)state;
    make_dir("@/a b", 0775);
    make_file("@/a b/f", 0644);
    refuse_file("@/a b/f", "'@/a b' is writable by group (mode 775): chmod g-w '@/a b'");
    make_file("@/new\nline\033", 0646);
    refuse_file("@/new\nline\033",
                "writable by others (mode 646): chmod o-w '@/new\\x0aline\\x1b'");
    /* The remedy is there even for a long path. */
    char path[260] = "@/";
    memset(path + 2, 'y', 250);
    make_file(path, 0664);
    struct err err;
    assert_int_equal(open_path(path, false, 0, &err), -1);
    assert_non_null(strstr(err.text, "writable by group (mode 664): chmod g-w /tmp/"));
    assert_string_equal(err.text + strlen(err.text) - 4, "y...");
}

static void test_dirs(void **state)
{
    (void)state;
    struct err err;
    make_dir("@/d", 0755);
    make_file("@/d/f", 0644);
    make_link("@/l", "d");
    static const char *const paths[] = {"@/d", "@/d/", "@/l", "@/d/.", "@/d/../d", "/", "@/l/.."};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = open_path(paths[i], true, 0, &err);
        assert_string_equal(err.text, "");
        DIR *dir = fdopendir(fd);
        assert_non_null(dir);
        assert_non_null(readdir(dir));
        closedir(dir);
    }
    expect_no("@/d/f", true, 0, 0, "not a directory");
    expect_no("@/none", true, 0, ENOENT, "can't be opened: No such file or directory");
    assert_int_equal(chmod(full("@/d"), 0775), 0);
    expect_no("@/d", true, 0, 0, "writable by group (mode 775): chmod g-w @/d");
    expect_no("@/l", true, 0, 0, "@/d is writable by group (mode 775): chmod g-w @/d");
    if (!is_root())
        return;
    assert_int_equal(chmod(full("@/d"), 0755), 0);
    give("@/d", SOMEBODY);
    expect_no("@/d", true, 0, EPERM, "owned by uid 12345: chown root @/d");
}

/* Exchanges two names until it is killed. */
static pid_t start_exchanging(const char *one, const char *other)
{
    char a[PATH_MAX];
    char b[PATH_MAX];
    (void)snprintf(a, sizeof a, "%s", full(one));
    (void)snprintf(b, sizeof b, "%s", full(other));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (;;)
        if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
            _exit(1);
}

static void end(pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/* Whatever stands there at any moment: what is opened is what was judged. */
static void test_exchanged(void **state)
{
    (void)state;
    struct stat good;
    make_dir("@/good", 0755);
    make_file("@/good/f", 0644);
    make_dir("@/bad", 0777);
    make_file("@/bad/f", 0644);
    make_link("@/good/l", "../bad/f");
    assert_int_equal(stat(full("@/good/f"), &good), 0);
    for (int way = 0; way < 2; way++) {
        pid_t pid = way == 0 ? start_exchanging("@/good/f", "@/good/l")
                             : start_exchanging("@/good", "@/bad");
        for (int i = 0; i < 2000; i++) {
            struct err err = {0};
            struct stat st;
            int fd = -1;
            if (trusted_path_open_file(full("@/good/f"), 0, &fd, &st, &err) < 0) {
                assert_true(err.text[0] != '\0');
                continue;
            }
            assert_int_equal(st.st_ino, good.st_ino);
            assert_int_equal(fstat(fd, &st), 0);
            assert_int_equal(st.st_ino, good.st_ino);
            close(fd);
        }
        end(pid);
    }
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/postern-unit-XXXXXX");
    fds_before = count_fds();
    return mkdtemp(base) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    if (chdir("/") < 0 || count_fds() != fds_before)
        return -1;
    (void)snprintf(command, sizeof command, "rm -rf -- %s", base);
    return system(command);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),    TEST(test_modes),  TEST(test_owners),    TEST(test_parents),
        TEST(test_acl),      TEST(test_sticky), TEST(test_links),     TEST(test_endless_links),
        TEST(test_relative), TEST(test_kinds),  TEST(test_missing),   TEST(test_long_paths),
        TEST(test_shown),    TEST(test_dirs),   TEST(test_exchanged),
    };
    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
