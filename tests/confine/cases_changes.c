/* What the host or a tenant changes about a sandbox's files after the policy was loaded. */
#include "cases.h"
#include "cleanup.h"
#include "places.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

/* To start an exec is to go to its namespace, from where nothing that is mounted on can change. */
static int host = -1;

static void stay_on_host(void)
{
    host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    CHECK(host >= 0);
}

static void replace(const char *from, const char *to)
{
    CHECK(setns(host, CLONE_NEWNS) == 0);
    CHECK(renameat(harness_scratch_fd(), from, harness_scratch_fd(), to) == 0);
}

static void remove_file(const char *name)
{
    CHECK(setns(host, CLONE_NEWNS) == 0);
    CHECK(unlinkat(harness_scratch_fd(), name, 0) == 0);
}

/* By the time of the next exec, also where a package manager or an editor has put new files. */
static void hides_what_is_replaced(void)
{
    static const char *const hidden[] = {"/srv/r/dir", "/srv/r/file", "/srv/r/gone"};
    static const char look[] = "cat /srv/r/file /srv/r/dir/* /srv/r/gone 2>/dev/null; echo .";
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind reads[] = {{harness_dir("c-r", 0, 0755), (char *)"/srv/r"}};
    (void)harness_dir("c-r/dir", 0, 0755);
    (void)harness_file("c-r/file", "first\n", 0, 0644);
    (void)harness_file("c-r/gone", "first\n", 0, 0644);
    spec.reads = reads;
    spec.hides = (char **)(uintptr_t)hidden;
    spec.n_hides = array_len(hidden);
    stay_on_host();
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl, look, ".\n");

    (void)harness_file("c-file", "second\n", 0, 0644);
    (void)harness_dir("c-dir", 0, 0755);
    (void)harness_file("c-dir/file", "second\n", 0, 0644);
    replace("c-file", "c-r/file");
    replace("c-r/dir", "c-r/former");
    replace("c-dir", "c-r/dir");
    remove_file("c-r/gone");
    places_expect_output(&tpl, look, ".\n");
    (void)harness_file("c-r/gone", "second\n", 0, 0644);
    places_expect_output(&tpl, look, ".\n");
    places_expect_output(&tpl, "cat /srv/r/former/* 2>/dev/null; grep -c ' /srv/r/' /proc/mounts",
                         "4\n");

    remove_file("c-r/file");
    places_plant("former", "c-r/file", 0);
    places_expect_not_started(&tpl, "hide = /srv/r/file: there is a symbolic link on the way");
    sandbox_template_free(&tpl);
}

/* Else a command could put something else in its place, and the next policy would hide that. */
static void refuses_hides_that_could_be_moved(void)
{
    struct sandbox_spec spec = harness_spec();
    struct sandbox_bind writes[] = {{harness_dir("v-w", TEST_UID, 0755), (char *)"/srv/w"}};
    struct sandbox_bind reads[] = {{harness_dir("v-r", TEST_UID, 0755), (char *)"/srv/r"}};
    (void)harness_dir("v-w/theirs", TEST_UID, 0755);
    (void)harness_dir("v-w/roots", 0, 0755);
    (void)harness_dir("v-w/roots/below", 0, 0755);
    (void)harness_dir("v-r/below", 0, 0755);
    (void)harness_file("v-w/theirs/secret", "a secret\n", 0, 0644);
    (void)harness_file("v-w/roots/below/secret", "a secret\n", 0, 0644);
    (void)harness_file("v-r/below/secret", "a secret\n", 0, 0644);
    spec.reads = reads;
    spec.writes = writes;
    spec.n_writes = 1;
    spec.n_hides = 1;
    spec.hides = (char *[]){(char *)"/srv/w/theirs/secret"};
    places_expect_refusal(&spec,
                          "hide = /srv/w/theirs/secret: commands could rename /srv/w/theirs");
    spec.hides = (char *[]){(char *)"/srv/w/roots/below/secret"};
    places_expect_refusal(&spec, "commands could rename /srv/w/roots");
    /* What is hidden itself stays where it is, and nothing can be moved in what is read-only. */
    static const char *const fine[] = {"/srv/w/theirs", "/srv/r/below/secret"};
    spec.hides = (char **)(uintptr_t)fine;
    spec.n_hides = array_len(fine);
    stay_on_host();
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl, "mv /srv/w/theirs /srv/w/x 2>/dev/null || echo no", "no\n");
    sandbox_template_free(&tpl);
    /* Root's alone in all that leads there. */
    CHECK(setns(host, CLONE_NEWNS) == 0);
    writes[0].source = harness_path("v-w/roots");
    spec.hides = (char *[]){(char *)"/srv/w/below/secret"};
    spec.n_hides = 1;
    tpl = harness_prepare(&spec);
    places_expect_output(&tpl, "cat /srv/w/below/secret", "");
    sandbox_template_free(&tpl);
}

/* To make a place for a bind, a directory of the root is made anew: what it shut stays shut. */
static void opens_no_closed_directories(void)
{
    struct sandbox_spec spec = harness_spec();
    const char *const bound = harness_dir("o-bind", 0, 0755);
    struct sandbox_bind reads[] = {spec.reads[0],
                                   {(char *)bound, (char *)"/opt/shut/here"},
                                   {(char *)bound, (char *)"/opt/blind/here"}};
    char line[1024];
    (void)harness_file("o-bind/file", "bound\n", 0, 0644);
    spec.root = harness_dir("o-root", 0, 0755);
    places_make_root(spec.root);
    (void)snprintf(line, sizeof line,
                   "set -e; cd %s; mkdir opt/shut opt/blind etc/read etc/shut; "
                   "for d in opt/shut opt/blind etc/read etc/shut var; do "
                   "echo secret > $d/secret; done; chmod 750 opt/shut; chmod 711 opt/blind; "
                   "chmod 744 etc/read; chmod 700 etc/shut var",
                   spec.root);
    places_run(line);
    spec.reads = reads;
    spec.n_reads = array_len(reads);
    struct sandbox_template tpl = harness_prepare(&spec);
    places_expect_output(&tpl,
                         "cat /opt/shut/secret /etc/read/secret /etc/shut/secret /var/secret "
                         "2>/dev/null; ls /opt/blind 2>/dev/null; "
                         "cat /opt/shut/here/file /opt/blind/here/file /opt/blind/secret",
                         "bound\nbound\nsecret\n");
    sandbox_template_free(&tpl);
}

static const struct test_case cases[] = {
    {"hides-what-is-replaced", hides_what_is_replaced},
    {"refuses-hides-that-could-be-moved", refuses_hides_that_could_be_moved},
    {"opens-no-closed-directories", opens_no_closed_directories},
};

struct test_list cases_changes(void)
{
    return (struct test_list){cases, array_len(cases)};
}
