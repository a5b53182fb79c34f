/* Metrics: what is counted where, how it reads, that it stays bounded and survives a re-execution.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup.h"
#include "metrics_text.h"

#include <string.h>

static struct metrics m;
static unsigned char saved[METRICS_SAVED_MAX];

static int reset(void **state)
{
    (void)state;
    metrics_init(&m, 1700000000);
    metrics_set_max_tenants(&m, 3);
    return 0;
}

static char *render(const struct metrics *metrics)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    metrics_text(metrics, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_says(const char *line)
{
    cleanup_free char *text = render(&m);
    const char *at = strstr(text, line);
    while (at != NULL && at != text && at[-1] != '\n')
        at = strstr(at + 1, line);
    if (at == NULL)
        fail_msg("not there: %s", line);
}

static void assert_says_not(const char *part)
{
    cleanup_free char *text = render(&m);
    if (strstr(text, part) != NULL)
        fail_msg("there: %s", part);
}

/* Something of everything, each number another one. */
static void fill(void)
{
    uint64_t numbers[sizeof m.counters / sizeof(uint64_t)] = {0};
    for (size_t i = 0; i < array_len(numbers); i++)
        numbers[i] = 1000 + i;
    memcpy(&m.counters, numbers, sizeof numbers);
    uint64_t now[sizeof m.now / sizeof(uint64_t)] = {0};
    for (size_t i = 0; i < array_len(now); i++)
        now[i] = 5000 + i;
    memcpy(&m.now, now, sizeof now);
    m.now.cpu_us = 1250000;
    for (size_t i = 0; i < METRICS_TIMES; i++)
        m.counters.times[i].sum_us = 1500000 + i;
    struct metrics_exec exec = {.tenant = "acme", .verdict = VERDICT_EXITED, .cpu_us = 10};
    metrics_exec(&m, &exec);
    exec.verdict = VERDICT_DENIED;
    metrics_exec(&m, &exec);
    exec.tenant = "";
    metrics_exec(&m, &exec);
    /* No policy allows such a name. */
    exec = (struct metrics_exec){.tenant = "a\"b\\c\nd", .verdict = VERDICT_ENDED};
    metrics_exec(&m, &exec);
    m.tenants[0].running = 1;
    m.tenants[0].connections = 2;
    m.tenants[0].waiting = 3;
}

/* A change of names, types or labels breaks dashboards and alerts: it is one of this file, too. */
static void test_text_byte_for_byte(void **state)
{
    (void)state;
    static char expected[65536];
    cleanup_file FILE *file = fopen(SOURCE_DIR "/tests/unit/metrics.prom", "re");
    assert_non_null(file);
    size_t len = fread(expected, 1, sizeof expected - 1, file);
    expected[len] = '\0';
    fill();
    cleanup_free char *text = render(&m);
    static const char version[] = "\"" POSTERN_VERSION "\"";
    char *at = strstr(text, version);
    assert_non_null(at);
    /* That of the file is 0. */
    memcpy(at, "\"0\"", 3);
    memmove(at + 3, at + sizeof version - 1, strlen(at + sizeof version - 1) + 1);
    assert_string_equal(text, expected);
}

static void test_escapes(void **state)
{
    (void)state;
    char buf[16];
    assert_string_equal(metrics_escape("plain", buf, sizeof buf), "plain");
    assert_string_equal(metrics_escape("a\\b\"c\nd", buf, sizeof buf), "a\\\\b\\\"c\\nd");
    /* What is cut off leaves no half of an escape. */
    assert_string_equal(metrics_escape("0123456789abcdef", buf, sizeof buf), "0123456789abcde");
    assert_string_equal(metrics_escape("0123456789abcd\"", buf, sizeof buf), "0123456789abcd");
    assert_string_equal(metrics_escape("0123456789abc\"", buf, sizeof buf), "0123456789abc\\\"");
}

static void test_buckets_are_cumulative_and_bounds_belong_to_them(void **state)
{
    (void)state;
    assert_says("postern_exec_duration_seconds_bucket{le=\"0.01\"} 0\n");
    metrics_observe(&m, METRICS_DURATION, 10000);
    metrics_observe(&m, METRICS_DURATION, 10001);
    metrics_observe(&m, METRICS_DURATION, 86400000000);
    metrics_observe(&m, METRICS_DURATION, 86400000001);
    assert_says("postern_exec_duration_seconds_bucket{le=\"0.01\"} 1\n");
    assert_says("postern_exec_duration_seconds_bucket{le=\"0.05\"} 2\n");
    assert_says("postern_exec_duration_seconds_bucket{le=\"14400\"} 2\n");
    assert_says("postern_exec_duration_seconds_bucket{le=\"86400\"} 3\n");
    assert_says("postern_exec_duration_seconds_bucket{le=\"+Inf\"} 4\n");
    assert_says("postern_exec_duration_seconds_sum 172800.020002\n");
    assert_says("postern_exec_duration_seconds_count 4\n");
    assert_says("postern_queue_wait_seconds_bucket{le=\"+Inf\"} 0\n");
    for (size_t i = 0; i < METRICS_TIMES; i++) {
        size_t n;
        const uint64_t *bounds = metrics_bounds((enum metrics_time)i, &n);
        for (size_t k = 1; k < n; k++)
            assert_true(bounds[k - 1] < bounds[k]);
    }
}

static void test_counts_what_it_is_told(void **state)
{
    (void)state;
    metrics_auth(&m, "publickey", true);
    metrics_auth(&m, "publickey", false);
    metrics_auth(&m, "none", false);
    metrics_auth(&m, "password", false);
    metrics_auth(&m, "x\"y", false);
    assert_says("postern_auth_total{method=\"publickey\",result=\"accepted\"} 1\n");
    assert_says("postern_auth_total{method=\"publickey\",result=\"failed\"} 1\n");
    assert_says("postern_auth_total{method=\"none\",result=\"accepted\"} 0\n");
    assert_says("postern_auth_total{method=\"none\",result=\"failed\"} 1\n");
    assert_says("postern_auth_total{method=\"other\",result=\"failed\"} 2\n");
    metrics_denied(&m, LIMIT_NONE, DENIAL_LOGIN);
    metrics_denied(&m, LIMIT_MAX_EXECS, DENIAL_LOGIN);
    metrics_denied(&m, LIMIT_COUNT - 1, DENIAL_RULE);
    assert_says("postern_denials_total{reason=\"rule\"} 0\n");
    assert_says("postern_denials_total{reason=\"login\"} 1\n");
    assert_says("postern_denials_total{reason=\"max-execs\"} 1\n");
    assert_int_equal(m.counters.denials[DENIAL_COUNT - 1], 1);
    struct metrics_exec exec = {.tenant = "acme",
                                .verdict = VERDICT_TIME,
                                .cpu_us = 1500000,
                                .refused_calls = 2,
                                .bytes = {1, 2, 3}};
    metrics_exec(&m, &exec);
    assert_says("postern_bytes_total{direction=\"in\"} 0\n");
    exec.counted = true;
    metrics_exec(&m, &exec);
    assert_says("postern_execs_total{tenant=\"acme\",verdict=\"time\"} 2\n");
    assert_says("postern_exec_cpu_seconds_total{tenant=\"acme\"} 3\n");
    assert_says("postern_sandbox_refusals_total{kind=\"syscall\"} 4\n");
    assert_says("postern_bytes_total{direction=\"in\"} 1\n");
    assert_says("postern_bytes_total{direction=\"out\"} 2\n");
    assert_says("postern_bytes_total{direction=\"err\"} 3\n");
}

static void run_one(const char *tenant)
{
    const struct metrics_exec exec = {.tenant = tenant, .verdict = VERDICT_EXITED};
    metrics_exec(&m, &exec);
}

static void test_no_more_tenants_than_may(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "a", "d"};
    for (size_t i = 0; i < array_len(names); i++)
        run_one(names[i]);
    assert_int_equal(m.n_tenants, 3);
    assert_says("postern_execs_total{tenant=\"a\",verdict=\"exited\"} 2\n");
    assert_says("postern_execs_total{tenant=\"c\",verdict=\"exited\"} 1\n");
    assert_says("postern_execs_total{tenant=\"(others)\",verdict=\"exited\"} 3\n");
    assert_says_not("tenant=\"d\"");
    /* Fewer: those that are there stay. */
    metrics_set_max_tenants(&m, 0);
    run_one("a");
    run_one("f");
    assert_says("postern_execs_total{tenant=\"a\",verdict=\"exited\"} 3\n");
    assert_says("postern_execs_total{tenant=\"(others)\",verdict=\"exited\"} 4\n");
    /* Never more than there is room for. */
    metrics_set_max_tenants(&m, SIZE_MAX);
    for (unsigned i = 0; i < 5 * METRICS_TENANTS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", i);
        run_one(name);
        run_one(name);
    }
    assert_int_equal(m.n_tenants, METRICS_TENANTS_MAX);
    for (size_t i = 3; i < METRICS_TENANTS_MAX; i++)
        assert_int_equal(m.tenants[i].execs[VERDICT_EXITED], 2);
    assert_int_equal(m.others.execs[VERDICT_EXITED], 4 + 8000 + 6);
}

static void test_size_is_bounded(void **state)
{
    (void)state;
    metrics_set_max_tenants(&m, METRICS_TENANTS_MAX);
    for (unsigned i = 0; i < 2 * METRICS_TENANTS_MAX; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%063u", i);
        struct metrics_tenant *tenant = metrics_tenant(&m, name);
        for (size_t k = 0; k < VERDICT_COUNT; k++)
            tenant->execs[k] = UINT64_MAX;
    }
    cleanup_free char *text = render(&m);
    /* As postern.ini(5) says of metrics-tenants: 2.5 kB for a tenant at most. */
    assert_true(strlen(text) < (size_t)METRICS_TENANTS_MAX * 2500 + 32768);
}

static bool is_b_or_c(const void *user, const char *name)
{
    assert_ptr_equal(user, &m);
    return strcmp(name, "b") == 0 || strcmp(name, "c") == 0;
}

static void test_who_left_the_policy_gives_up_its_series(void **state)
{
    (void)state;
    run_one("a");
    run_one("b");
    run_one("c");
    run_one("c");
    metrics_sweep(&m, is_b_or_c, &m);
    assert_says_not("tenant=\"a\"");
    assert_int_equal(m.n_tenants, 2);
    assert_says("postern_execs_total{tenant=\"c\",verdict=\"exited\"} 2\n");
    /* There is room again, and it begins anew. */
    run_one("d");
    run_one("a");
    run_one("c");
    assert_says("postern_execs_total{tenant=\"b\",verdict=\"exited\"} 1\n");
    assert_says("postern_execs_total{tenant=\"c\",verdict=\"exited\"} 3\n");
    assert_says("postern_execs_total{tenant=\"d\",verdict=\"exited\"} 1\n");
    assert_says("postern_execs_total{tenant=\"(others)\",verdict=\"exited\"} 1\n");
}

static size_t save(void)
{
    struct wire_writer w = {.buf = saved, .cap = sizeof saved};
    metrics_save(&m, &w);
    assert_false(w.overflow);
    return w.len;
}

static int restore(size_t len)
{
    struct wire_reader r = {.buf = saved, .len = len};
    int rc = metrics_restore(&m, &r);
    assert_true(rc < 0 || wire_end(&r));
    return rc;
}

static void test_survives(void **state)
{
    (void)state;
    fill();
    m.now = (struct metrics_now){0};
    m.tenants[0].running = m.tenants[0].connections = m.tenants[0].waiting = 0;
    run_one("x");
    run_one("y");
    cleanup_free char *before = render(&m);
    size_t len = save();
    metrics_init(&m, 5);
    metrics_set_max_tenants(&m, 2);
    assert_int_equal(restore(len), 0);
    cleanup_free char *after = render(&m);
    assert_string_equal(after, before);
    /* And goes on, under the limit of the new policy. */
    run_one("acme");
    run_one("z");
    assert_int_equal(m.n_tenants, 3);
    assert_int_equal(m.tenants[0].execs[VERDICT_EXITED], 2);
    assert_int_equal(m.others.execs[VERDICT_EXITED], 2);
}

static void test_what_another_version_saved_is_zero(void **state)
{
    (void)state;
    fill();
    size_t len = save();
    saved[0] ^= 1;
    metrics_init(&m, 5);
    cleanup_free char *before = render(&m);
    assert_int_equal(restore(len), 0);
    cleanup_free char *after = render(&m);
    assert_string_equal(after, before);
}

static void test_damage_is_told(void **state)
{
    (void)state;
    fill();
    size_t len = save();
    metrics_init(&m, 5);
    cleanup_free char *before = render(&m);
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(restore(cut), -1);
        cleanup_free char *after = render(&m);
        assert_string_equal(after, before);
    }
    /* The counts of numbers, of those of a tenant, and of tenants. */
    for (size_t at = 4; at < 16; at++) {
        saved[at] ^= 0x40;
        assert_int_equal(restore(len), -1);
        saved[at] ^= 0x40;
    }
    assert_int_equal(restore(len), 0);
}

static void test_a_full_table_can_be_saved(void **state)
{
    (void)state;
    metrics_set_max_tenants(&m, METRICS_TENANTS_MAX);
    for (unsigned i = 0; i < METRICS_TENANTS_MAX; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%063u", i);
        run_one(name);
    }
    assert_int_equal(restore(save()), 0);
    assert_int_equal(m.n_tenants, METRICS_TENANTS_MAX);
    for (unsigned i = 0; i < METRICS_TENANTS_MAX; i++)
        assert_int_equal(m.tenants[i].execs[VERDICT_EXITED], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_text_byte_for_byte, reset),
        cmocka_unit_test_setup(test_escapes, reset),
        cmocka_unit_test_setup(test_buckets_are_cumulative_and_bounds_belong_to_them, reset),
        cmocka_unit_test_setup(test_counts_what_it_is_told, reset),
        cmocka_unit_test_setup(test_no_more_tenants_than_may, reset),
        cmocka_unit_test_setup(test_size_is_bounded, reset),
        cmocka_unit_test_setup(test_who_left_the_policy_gives_up_its_series, reset),
        cmocka_unit_test_setup(test_survives, reset),
        cmocka_unit_test_setup(test_what_another_version_saved_is_zero, reset),
        cmocka_unit_test_setup(test_damage_is_told, reset),
        cmocka_unit_test_setup(test_a_full_table_can_be_saved, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
