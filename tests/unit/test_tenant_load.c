/* What tenants have in use, by name, and the limits that are judged by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "room.h"

#include <stdio.h>
#include <string.h>

static void test_one_entry_for_one_name(void **state)
{
    (void)state;
    struct tenant_loads loads = {0};
    struct tenant_load *a = tenant_load_hold(&loads, "acme");
    struct tenant_load *b = tenant_load_hold(&loads, "acm");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(tenant_load_hold(&loads, "acme"), a);
    assert_string_equal(a->name, "acme");
    assert_int_equal(loads.n, 2);
    tenant_load_release(&loads, a, 0);
    assert_int_equal(loads.n, 2);
    tenant_load_release(&loads, a, 0);
    tenant_load_release(&loads, b, 0);
    tenant_load_release(&loads, NULL, 0);
    assert_int_equal(loads.n, 0);
    tenant_loads_free(&loads);
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static struct tenant_load *held[MANY];
    struct tenant_loads loads = {0};
    char name[32];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        held[i] = tenant_load_hold(&loads, name);
        held[i]->running = (uint32_t)i;
    }
    assert_int_equal(loads.n, MANY);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        struct tenant_load *again = tenant_load_hold(&loads, name);
        assert_int_equal(again->running, i);
        tenant_load_release(&loads, again, 0);
    }
    for (int i = 0; i < MANY; i++)
        tenant_load_release(&loads, held[i], 0);
    assert_int_equal(loads.n, 0);
    tenant_loads_free(&loads);
}

static bool is_acme(const void *user, const char *name)
{
    (void)user;
    return strcmp(name, "acme") == 0;
}

static void test_what_is_remembered(void **state)
{
    (void)state;
    struct tenant_loads loads = {0};
    struct tenant_load *acme = tenant_load_hold(&loads, "acme");
    struct tenant_load *gone = tenant_load_hold(&loads, "gone");
    struct tenant_load *used = tenant_load_hold(&loads, "used");
    rate_take(&acme->rate, 1, 60000, 1000);
    rate_take(&gone->rate, 1, 60000, 1000);
    rate_take(&used->rate, 1, 60000, 1000);
    tenant_load_release(&loads, acme, 1000);
    tenant_load_release(&loads, gone, 1000);
    assert_int_equal(loads.n, 3);
    /* One that the policy doesn't know any more is kept only as long as it is held. */
    tenant_loads_sweep(&loads, is_acme, NULL, 1000);
    assert_int_equal(loads.n, 2);
    tenant_load_release(&loads, used, 1000);
    assert_int_equal(loads.n, 1);
    acme = tenant_load_hold(&loads, "acme");
    assert_int_equal(rate_wait_ms(&acme->rate, 1, 60000, 1000), 60000);
    tenant_load_release(&loads, acme, 60999);
    assert_int_equal(loads.n, 1);
    /* When the rate is whole again there is nothing to remember. */
    tenant_loads_sweep(&loads, is_acme, NULL, 61000);
    assert_int_equal(loads.n, 0);
    tenant_loads_free(&loads);
}

/* A tenant that comes back by a reload while it is held goes on being remembered. */
static void test_back_again(void **state)
{
    (void)state;
    struct tenant_loads loads = {0};
    struct tenant_load *other = tenant_load_hold(&loads, "other");
    struct tenant_load *acme = tenant_load_hold(&loads, "acme");
    acme->gone = true;
    tenant_loads_sweep(&loads, is_acme, NULL, 1000);
    assert_false(acme->gone);
    assert_true(other->gone);
    rate_take(&acme->rate, 1, 60000, 1000);
    tenant_load_release(&loads, acme, 1000);
    assert_int_equal(loads.n, 2);
    tenant_load_release(&loads, other, 1000);
    assert_int_equal(loads.n, 1);
    tenant_loads_free(&loads);
}

static void test_room_for_an_exec(void **state)
{
    (void)state;
    static const struct {
        uint32_t max_execs, rate;
        uint64_t rate_ms;
        uint32_t running, taken;
        size_t all;
        enum limit limit;
        uint64_t wait_ms;
        const char *text;
    } cases[] = {
        {2, 0, 0, 1, 0, 5, LIMIT_NONE, 0, ""},
        {2, 0, 0, 2, 0, 5, LIMIT_MAX_EXECS, 0,
         "tenant \"ci\" already runs 2 commands, its max-execs"},
        {1, 0, 0, 1, 0, 5, LIMIT_MAX_EXECS, 0,
         "tenant \"ci\" already runs 1 command, its max-execs"},
        {2, 0, 0, 5, 0, 5, LIMIT_MAX_EXECS, 0,
         "tenant \"ci\" already runs 5 commands, its max-execs is 2"},
        {COUNT_INFINITY, 0, 0, COUNT_INFINITY, 0, 5, LIMIT_NONE, 0, ""},
        {COUNT_INFINITY, 0, 0, 1, 0, 10, LIMIT_SERVER, 1000,
         "the server already runs 10 commands, all that it can"},
        {9, 30, 60000, 1, 29, 5, LIMIT_NONE, 0, ""},
        {9, 30, 60000, 1, 30, 5, LIMIT_RATE, 2000,
         "tenant \"ci\" may start 30 commands per minute, its rate"},
        {9, 1, 1000, 1, 1, 5, LIMIT_RATE, 1000,
         "tenant \"ci\" may start 1 command per second, its rate"},
        {9, 2, 3600000, 1, 2, 5, LIMIT_RATE, 1800000,
         "tenant \"ci\" may start 2 commands per hour, its rate"},
        {9, 2, 86400000, 1, 2, 5, LIMIT_RATE, 43200000,
         "tenant \"ci\" may start 2 commands per day, its rate"},
        {2, 1, 1000, 2, 1, 10, LIMIT_MAX_EXECS, 0,
         "tenant \"ci\" already runs 2 commands, its max-execs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tenant tenant = {.name = (char[]){"ci"},
                                .max_execs = cases[i].max_execs,
                                .rate = cases[i].rate,
                                .rate_ms = cases[i].rate_ms};
        struct tenant_loads loads = {0};
        struct tenant_load *load = tenant_load_hold(&loads, "ci");
        struct limit_hit hit;
        load->running = cases[i].running;
        for (uint32_t n = 0; n < cases[i].taken; n++)
            rate_take(&load->rate, cases[i].rate, cases[i].rate_ms, 5000);
        room_for_exec(&tenant, load, cases[i].all, 10, 5000, &hit);
        assert_int_equal(hit.limit, cases[i].limit);
        assert_int_equal(hit.wait_ms, cases[i].wait_ms);
        assert_string_equal(hit.text, cases[i].text);
        load->refs = 0;
        tenant_loads_free(&loads);
    }
}

static void test_room_for_a_connection(void **state)
{
    (void)state;
    struct tenant_loads loads = {0};
    struct tenant tenant = {.name = (char[]){"ci"}, .max_connections = 2};
    struct tenant_load *load = tenant_load_hold(&loads, "ci");
    struct limit_hit hit;
    load->connections = 1;
    room_for_connection(&tenant, load, &hit);
    assert_int_equal(hit.limit, LIMIT_NONE);
    load->connections = 2;
    room_for_connection(&tenant, load, &hit);
    assert_int_equal(hit.limit, LIMIT_MAX_CONNECTIONS);
    assert_string_equal(hit.text, "tenant \"ci\" already has 2 connections, its max-connections");
    assert_string_equal(room_limit_word(hit.limit), "max-connections");
    assert_null(room_limit_word(LIMIT_NONE));
    tenant.max_connections = COUNT_INFINITY;
    load->connections = COUNT_INFINITY;
    room_for_connection(&tenant, load, &hit);
    assert_int_equal(hit.limit, LIMIT_NONE);
    tenant_load_release(&loads, load, 0);
    tenant_loads_free(&loads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_entry_for_one_name), cmocka_unit_test(test_many),
        cmocka_unit_test(test_what_is_remembered),     cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_room_for_an_exec),       cmocka_unit_test(test_room_for_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
