/* Workspaces: of one exec, of a connection, and kept. */
#include "cases.h"
#include "cleanup.h"
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>

enum { PATIENCE_MS = 30000 };

static const char *const probe[] = {TEST_BIN "/postern-probe", NULL};

static struct sandbox_spec workspace_spec(enum sandbox_workspace kind, uint64_t size)
{
    struct sandbox_spec spec = harness_spec();
    spec.workspace = kind;
    spec.workspace_size = size;
    return spec;
}

static void gives_a_fresh_workspace(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_EXEC, 8 << 20);
    struct sandbox_template tpl = harness_prepare(&spec);
    for (int i = 0; i < 2; i++)
        places_expect_output(&tpl,
                             "pwd; echo $HOME; getent passwd acme | cut -d: -f6; ls -A; "
                             "stat -c '%a %U %G' .; echo x > left; echo '#!/bin/sh' > p; "
                             "chmod +x p; ./p",
                             "/workspace\n/workspace\n/workspace\n700 acme acme\n");
    /* 8 MiB and 1024 inodes, the root directory's among them. */
    places_expect_output(
        &tpl,
        "head -c 8388608 /dev/zero > big && echo fits; echo x 2>/dev/null >> big || "
        "echo full; rm big; echo x > again && echo room",
        "fits\nfull\nroom\n");
    places_expect_output(
        &tpl, "seq 2000 | xargs touch 2>/dev/null; ls | wc -l; rm 1 2 3; mkdir -p a/b && echo on",
        "1023\non\n");
    sandbox_template_free(&tpl);
}

/* A watch that tells when the file system of a workspace is gone, without keeping it. */
static int watch_share(int share)
{
    int watch = inotify_init1(IN_CLOEXEC);
    CHECK(watch >= 0 && setns(share, CLONE_NEWNS) == 0);
    CHECK(inotify_add_watch(watch, "/", IN_DELETE_SELF) >= 0);
    return watch;
}

static bool is_gone(int watch, int patience_ms)
{
    struct inotify_event event;
    struct pollfd wait = {.fd = watch, .events = POLLIN};
    if (poll(&wait, 1, patience_ms) == 0)
        return false;
    CHECK(read(watch, &event, sizeof event) == sizeof event);
    return (event.mask & IN_UNMOUNT) != 0;
}

static void shares_a_workspace(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_CONNECTION, 8 << 20);
    struct sandbox_spec later_spec = spec;
    later_spec.workspace_size = 16 << 20;
    struct sandbox_template tpl = harness_prepare(&spec), later = harness_prepare(&later_spec);
    struct err err;
    cleanup_fd int first = -1, second = -1;
    CHECK(sandbox_share(&tpl, TEST_UID, TEST_GID, &first, &err) == 0);
    CHECK(sandbox_share(&tpl, TEST_UID, TEST_GID, &second, &err) == 0);
    CHECK((fcntl(first, F_GETFD) & FD_CLOEXEC) != 0);
    harness_share(first);
    places_expect_output(&tpl, "pwd; ls -A; echo one > file", "/workspace\n");
    /* At the same time, and under the template of a later policy. */
    struct run run = harness_shell(&tpl, "echo; cat; cat two");
    char byte;
    CHECK(read(run.output, &byte, 1) == 1);
    places_expect_output(&later, "cat file; echo two > two", "one\n");
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(strcmp(out.output, "two\n") == 0);
    harness_share(second);
    places_expect_output(&tpl, "ls -A; echo theirs > file", "");
    harness_share(first);
    places_expect_output(&tpl,
                         "cat file two; head -c 9000000 /dev/zero 2>/dev/null > big || echo full",
                         "one\ntwo\nfull\n");
    sandbox_template_free(&tpl);
    sandbox_template_free(&later);
}

static void wipes_a_shared_workspace(void)
{
    static const char nasty[] =
        "perl -e 'for (1 .. 3000) { mkdir(q(d)) && chdir(q(d)) || die }'; mkdir deep; ln -s "
        "/srv/bait link; ln -s /srv/bait deep/link; "
        "seq 3000 | xargs touch; mkdir -m 0 closed; echo x > locked; chmod 0 locked d/d/d; "
        "mkfifo pipe; chmod 0 .";
    struct sandbox_spec spec = workspace_spec(WORKSPACE_CONNECTION, 256 << 20);
    struct sandbox_bind bait = {harness_dir("bait", TEST_UID, 0777), (char *)"/srv/bait"};
    (void)harness_file("bait/file", "untouched\n", TEST_UID, 0666);
    spec.writes = &bait;
    spec.n_writes = 1;
    struct sandbox_template tpl = harness_prepare(&spec);
    struct err err;
    int share = -1;
    CHECK(sandbox_share(&tpl, TEST_UID, TEST_GID, &share, &err) == 0);
    cleanup_fd int watch = watch_share(share);
    harness_share(share);
    places_expect_done(&tpl, nasty);
    /* It lives until the last exec in it has ended. */
    struct run run = harness_shell(&tpl, "echo; cat");
    char byte;
    CHECK(read(run.output, &byte, 1) == 1);
    close_fd(&share);
    CHECK(!is_gone(watch, 200));
    struct outcome out;
    harness_finish(&run, &out);
    CHECK(is_gone(watch, PATIENCE_MS));
    CHECK_INT(places_look("bait/file").st_size, sizeof "untouched\n" - 1);
    sandbox_template_free(&tpl);
}

/* Neither a template nor a share keeps what the host has mounted from being unmounted. */
static void holds_up_no_file_system(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_CONNECTION, 8 << 20);
    const char *place = harness_dir("mounted", 0, 0755);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("test", place, "tmpfs", 0, NULL) == 0);
    cleanup_fd int watch = inotify_init1(IN_CLOEXEC);
    CHECK(watch >= 0 && inotify_add_watch(watch, place, IN_DELETE_SELF) >= 0);
    struct sandbox_template tpl = harness_prepare(&spec);
    cleanup_fd int share = -1;
    struct err err;
    CHECK(sandbox_share(&tpl, TEST_UID, TEST_GID, &share, &err) == 0);
    CHECK(umount2(place, 0) == 0);
    CHECK(is_gone(watch, PATIENCE_MS));
    sandbox_template_free(&tpl);
}

static void refuses_foreign_shares(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_CONNECTION, 8 << 20);
    struct sandbox_template tpl = harness_prepare(&spec);
    cleanup_fd int theirs = -1, host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    struct err err;
    CHECK(sandbox_share(&tpl, OTHER_UID, OTHER_UID, &theirs, &err) == 0);
    cleanup_fd int watch = watch_share(theirs);
    harness_share(theirs);
    places_expect_not_started(&tpl, "it belongs to uid 1879050124, not to the tenant");
    /* Who was refused it doesn't keep it either. */
    close_fd(&theirs);
    CHECK(is_gone(watch, PATIENCE_MS));
    CHECK(setns(host, CLONE_NEWNS) == 0);
    cleanup_fd int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    harness_share(net);
    places_expect_not_started(&tpl, "workspace: setns: ");
    harness_share(-1);
    places_expect_not_started(&tpl, "workspace: setns: Bad file descriptor");
    sandbox_template_free(&tpl);
}

static void keeps_a_workspace(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_KEPT, SPEC_INFINITY);
    (void)harness_dir("kept", 0, 0755);
    spec.workspace_path = harness_path("kept/of-%t");
    struct sandbox_template tpl = harness_prepare(&spec);
    CHECK(!places_have("kept/of-acme"));
    places_expect_output(&tpl, "pwd; ls -A; echo one > file", "/workspace\n");
    struct stat st = places_look("kept/of-acme");
    CHECK(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
    CHECK(st.st_uid == TEST_UID && st.st_gid == TEST_GID);
    CHECK_INT(places_look("kept/of-acme/file").st_uid, TEST_UID);
    /* What the tenant does to its own directory is its own affair. */
    places_expect_output(&tpl, "cat file; chmod 0 /workspace; touch new 2>/dev/null || echo no",
                         "one\nno\n");
    CHECK_INT(places_look("kept/of-acme").st_mode & 07777, 0);
    places_expect_output(&tpl, "cat file; stat -c %a .; chmod 2750 .", "one\n700\n");
    places_expect_output(&tpl, "stat -c %a .", "2750\n");
    sandbox_template_free(&tpl);
}

static void keeps_to_its_own_directory(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_KEPT, SPEC_INFINITY);
    (void)harness_dir("own", 0, 0755);
    (void)harness_dir("own-bait", TEST_UID, 0755);
    spec.workspace_path = harness_path("own/%t");
    struct sandbox_template tpl = harness_prepare(&spec);
    int in = harness_scratch_fd();
    places_plant("../own-bait", "own/acme", 0);
    places_expect_not_started(&tpl, "Too many levels of symbolic links");
    CHECK(unlinkat(in, "own/acme", 0) == 0);
    (void)harness_file("own/acme", "", TEST_UID, 0700);
    places_expect_not_started(&tpl, "Not a directory");
    CHECK(unlinkat(in, "own/acme", 0) == 0);
    (void)harness_dir("own/acme", OTHER_UID, 0777);
    places_expect_not_started(&tpl, "acme belongs to uid 1879050124, not to the tenant");
    CHECK(fchownat(in, "own/acme", 0, 0, 0) == 0);
    places_expect_not_started(&tpl, "acme belongs to uid 0, not to the tenant (chown 1879050123)");
    CHECK_INT(places_look("own/acme").st_uid, 0);
    CHECK(unlinkat(in, "own/acme", AT_REMOVEDIR) == 0);
    /* Left by a spawner that was killed in between. */
    (void)harness_dir("own/.new-acme", 0, 0700);
    places_expect_output(&tpl, "stat -c %U .", "acme\n");
    CHECK(!places_have("own/.new-acme") && places_have("own/acme"));
    sandbox_template_free(&tpl);
}

static void refuses_bad_kept_places(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_KEPT, SPEC_INFINITY);
    (void)harness_dir("bk", 0, 0755);
    (void)harness_dir("bk/theirs", TEST_UID, 0755);
    (void)harness_dir("bk/theirs/below", 0, 0755);
    (void)harness_dir("bk/open", 0, 0775);
    (void)harness_file("bk/file", "", 0, 0644);
    places_plant("theirs", "bk/link", 0);
    static const struct {
        const char *path, *text;
    } bad[] = {
        {"bk/missing/%t", "bk/missing: No such file"},
        {"bk/theirs/%t", "belongs to uid 1879050123; it must be root's (chown root)"},
        {"bk/theirs/below/%t", "others than root may change a directory above it"},
        {"bk/open/%t", "may be written by group or others (mode 775; chmod go-w)"},
        {"bk/file/%t", "bk/file: Not a directory"},
        {"bk/link/%t", "there is a symbolic link on the way; name the directory itself"},
        {"bk/%t/x", "%t may be in the last part of the path alone"},
        {"bk/%t%t", "can't be the name of a workspace"},
        {"bk/..", "can't be the name of a workspace"},
        {"bk/", "not an absolute path of a directory"},
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        spec.workspace_path = harness_path(bad[i].path);
        places_expect_refusal(&spec, bad[i].text);
    }
    spec.workspace_path = (char *)"relative/%t";
    places_expect_refusal(&spec, "not an absolute path");
}

/* The file system under the tests hardly has quotas, so one that has is made. */
static bool mount_with_quota(const char *image, const char *where)
{
    char line[512];
    (void)snprintf(
        line, sizeof line,
        "PATH=$PATH:/usr/sbin:/sbin; truncate -s 64M %s && mkfs.ext4 -q -O quota,project "
        "-E quotatype=prjquota %s && mount -o loop,prjquota %s %s 2>/dev/null",
        image, image, image, where);
    return system(line) == 0; /* NOLINT(cert-env33-c): our own names */
}

static void bounds_a_kept_workspace(void)
{
    struct sandbox_spec spec = workspace_spec(WORKSPACE_KEPT, 4 << 20);
    const char *place = harness_dir("quota", 0, 0755);
    spec.workspace_path = harness_path("quota/%t");
    places_expect_refusal(&spec, "mount it with the option prjquota, or leave workspace-size out");
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    if (!mount_with_quota(harness_path("image"), place)) {
        printf("left out: no ext4 with quotas can be mounted here\n");
        return;
    }
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl,
                         "head -c 3000000 /dev/zero > a && echo fits; "
                         "head -c 3000000 /dev/zero 2>&1 > b || rm a b",
                         "fits\nhead: error writing 'standard output': Disk quota exceeded\n");
    places_expect_output(&tpl, "seq 2000 | xargs touch 2>/dev/null; ls | wc -l; rm *", "1023\n");
    const char *const leave[] = {probe[0], "leave-project", "file-flags", NULL};
    struct outcome out;
    harness_run(&tpl, leave, &out);
    CHECK(out.ended);
    CHECK_INT(out.exit.code, 0);
    sandbox_template_free(&tpl);
}

/* A limit that a tenant could get around by what it made before there was one. */
static void counts_all_or_refuses(void)
{
    struct sandbox_spec limited = workspace_spec(WORKSPACE_KEPT, 4 << 20);
    const char *place = harness_dir("older", 0, 0755);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    if (!mount_with_quota(harness_path("older-image"), place)) {
        printf("left out: no ext4 with quotas can be mounted here\n");
        return;
    }
    limited.workspace_path = harness_path("older/%t");
    struct sandbox_spec any = limited;
    any.workspace_size = SPEC_INFINITY;
    struct sandbox_template tpl = harness_prepare(&limited), free_tpl = harness_prepare(&any);
    static const char fill[] = "head -c 6000000 /dev/zero 2>/dev/null > old/big && echo fits; :";
    places_expect_output(&free_tpl, "mkdir old; ls", "old\n");
    places_expect_not_started(&tpl, "it holds files that workspace-size would not count: empty it, "
                                    "or count them (chattr -R -p 1879050823 +P)");
    places_expect_done(&free_tpl, "rmdir old");
    places_expect_done(&tpl, "mkdir old");
    places_expect_done(&tpl, fill);
    /* Lifted for a while and then kept again, it counts what came in between. */
    places_expect_output(&free_tpl, fill, "fits\n");
    places_expect_done(&tpl, "echo x 2>/dev/null > new || :; test ! -s new");
    sandbox_template_free(&tpl);
    sandbox_template_free(&free_tpl);
}

static const struct test_case cases[] = {
    {"gives-a-fresh-workspace", gives_a_fresh_workspace},
    {"shares-a-workspace", shares_a_workspace},
    {"wipes-a-shared-workspace", wipes_a_shared_workspace},
    {"holds-up-no-file-system", holds_up_no_file_system},
    {"refuses-foreign-shares", refuses_foreign_shares},
    {"keeps-a-workspace", keeps_a_workspace},
    {"keeps-to-its-own-directory", keeps_to_its_own_directory},
    {"refuses-bad-kept-places", refuses_bad_kept_places},
    {"bounds-a-kept-workspace", bounds_a_kept_workspace},
    {"counts-all-or-refuses", counts_all_or_refuses},
};

struct test_list cases_workspaces(void)
{
    return (struct test_list){cases, array_len(cases)};
}
