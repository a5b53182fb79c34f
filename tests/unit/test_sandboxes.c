/* Sandboxes: what each key becomes, and what it is in a child: added to, reset, replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"

#include <string.h>

static const struct sandbox_spec *find(const struct policy *p, const char *name)
{
    for (size_t i = 0; i < p->n_sandboxes; i++)
        if (strcmp(p->sandboxes[i].name, name) == 0)
            return &p->sandboxes[i];
    fail_msg("no sandbox %s", name);
    return NULL;
}

#define FULL                                                                                       \
    "[sandbox \"full\"]\nroot = /srv/root\nread = /a\nread = /b:/c\nwrite = /d\nwrite = /e:/f\n"   \
    "hide = /usr/bin/perl\nhide = /opt\nworkspace = /srv/%t\nworkspace-size = infinity\n"          \
    "tmp = 1M\nnetwork = host\nmemory = 2G\nmemory-high = 1G\nswap = 512M\ntasks = infinity\n"     \
    "cpu = 150%\ncpu-weight = 50\nio-weight = 10000\ntime = infinity\nidle-time = 15m\n"           \
    "output = 1K\nhome = /d\n"

static void assert_full(const struct sandbox_spec *s)
{
    assert_string_equal(s->root, "/srv/root");
    assert_int_equal(s->workspace, WORKSPACE_KEPT);
    assert_string_equal(s->workspace_path, "/srv/%t");
    assert_true(s->workspace_size == SPEC_INFINITY);
    assert_int_equal(s->tmp_size, 1 << 20);
    assert_int_equal(s->network, NETWORK_HOST);
    assert_true(s->cgroup.memory == 2ULL << 30);
    assert_int_equal(s->cgroup.memory_high, 1 << 30);
    assert_int_equal(s->cgroup.swap, 512 << 20);
    assert_true(s->cgroup.tasks == SPEC_INFINITY);
    assert_true(s->tasks == SPEC_INFINITY);
    assert_int_equal(s->cgroup.cpu, 150);
    assert_int_equal(s->cgroup.cpu_weight, 50);
    assert_int_equal(s->cgroup.io_weight, 10000);
    assert_true(s->time_ms == SPEC_INFINITY);
    assert_int_equal(s->idle_ms, 15 * 60 * 1000);
    assert_int_equal(s->output, 1024);
    assert_string_equal(s->home, "/d");
    assert_string_equal(SPEC_HOME(s), "/d");
}

static void test_keys(void **state)
{
    (void)state;
    struct policy *p =
        fixture_load_good(FULL "[sandbox \"exec\"]\nworkspace = exec\nswap = infinity\n"
                               "[sandbox \"connection\"]\nworkspace = connection\n"
                               "[sandbox \"none\"]\nworkspace = none\nroot = host\n");
    const struct sandbox_spec *s = find(p, "full");
    assert_full(s);
    assert_int_equal(s->line, 1);
    assert_int_equal(s->n_reads, 2);
    assert_string_equal(s->reads[0].source, "/a");
    assert_string_equal(s->reads[0].dest, "/a");
    assert_string_equal(s->reads[1].dest, "/c");
    assert_int_equal(s->n_writes, 2);
    assert_string_equal(s->writes[1].source, "/e");
    assert_string_equal(s->writes[1].dest, "/f");
    assert_int_equal(s->n_hides, 2);
    assert_string_equal(s->hides[0], "/usr/bin/perl");
    assert_int_equal(find(p, "exec")->workspace, WORKSPACE_EXEC);
    assert_true(find(p, "exec")->cgroup.swap == SPEC_INFINITY);
    assert_int_equal(find(p, "connection")->workspace, WORKSPACE_CONNECTION);
    assert_int_equal(find(p, "none")->workspace, WORKSPACE_NONE);
    assert_null(find(p, "none")->root);
    policy_free(p);
}

static void test_inheritance(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good(
        FULL
        "[sandbox \"same\"]\nextends = full\n"
        "[sandbox \"more\"]\nextends = full\nread = /x\nwrite = /y\nhide = /z\n"
        "[sandbox \"less\"]\nextends = more\nread =\nwrite =\nwrite = /a\nhide =\nroot = host\n"
        "workspace = none\nmemory = infinity\ncpu-weight = default\noutput = infinity\n");
    const struct sandbox_spec *same = find(p, "same");
    const struct sandbox_spec *more = find(p, "more");
    const struct sandbox_spec *less = find(p, "less");
    assert_full(same);
    assert_full(more);
    assert_int_equal(same->n_reads, 2);
    assert_int_equal(same->n_writes, 2);
    assert_int_equal(same->n_hides, 2);
    assert_int_equal(more->n_reads, 3);
    assert_string_equal(more->reads[2].dest, "/x");
    assert_int_equal(more->n_writes, 3);
    assert_string_equal(more->writes[2].dest, "/y");
    assert_int_equal(more->n_hides, 3);
    assert_string_equal(more->hides[2], "/z");
    assert_int_equal(find(p, "full")->n_hides, 2);
    assert_int_equal(less->n_reads, 0);
    assert_int_equal(less->n_writes, 1);
    assert_string_equal(less->writes[0].dest, "/a");
    assert_int_equal(less->n_hides, 0);
    assert_null(less->root);
    assert_int_equal(less->workspace, WORKSPACE_NONE);
    assert_null(less->workspace_path);
    assert_true(less->cgroup.memory == SPEC_INFINITY);
    assert_int_equal(less->cgroup.memory_high, 1 << 30);
    assert_int_equal(less->cgroup.cpu_weight, 0);
    assert_true(less->output == SPEC_INFINITY);
    policy_free(p);
}

/* The sandbox of those who name none can be defined like any other. */
static void test_default(void **state)
{
    (void)state;
    struct policy *p = fixture_load_good("[sandbox \"default\"]\ntmp = 1M\n[tenant \"a\"]\n"
                                         "[sandbox \"b\"]\nextends = default\n");
    assert_int_equal(p->n_sandboxes, 2);
    assert_string_equal(p->sandboxes[p->tenants[0].sandbox].name, "default");
    assert_int_equal(find(p, "default")->tmp_size, 1 << 20);
    assert_int_equal(find(p, "default")->line, 1);
    assert_int_equal(find(p, "b")->tmp_size, 1 << 20);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
