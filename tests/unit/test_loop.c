/* The event loop: order of timers, and owners that vanish in the middle of a round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loop.h"

#include <stdlib.h>
#include <unistd.h>

enum { N_TIMERS = 500 };

struct item {
    struct loop_timer timer;
    uint64_t delay;
    int fired;
};
static struct item items[N_TIMERS];
static uint64_t last_due;
static int n_fired;

static void on_due(struct loop_timer *timer)
{
    struct item *item = CONTAINER_OF(timer, struct item, timer);
    assert_true(timer->due_ms >= last_due);
    last_due = timer->due_ms;
    item->fired++;
    n_fired++;
}

static void test_timers_fire_in_order_and_once(void **state)
{
    (void)state;
    struct loop *loop = loop_new(NULL);
    srand(1);
    for (int i = 0; i < N_TIMERS; i++)
        assert_int_equal(loop_arm(loop, &items[i].timer, (uint64_t)(rand() % 40), on_due), 0);
    for (int i = 0; i < N_TIMERS; i += 3)
        loop_disarm(loop, &items[i].timer);
    for (int i = 1; i < N_TIMERS; i += 3)
        assert_int_equal(loop_arm(loop, &items[i].timer, (uint64_t)(rand() % 40), on_due), 0);
    int expected = N_TIMERS - (N_TIMERS + 2) / 3;
    while (n_fired < expected)
        assert_int_equal(loop_turn(loop, NULL), 0);
    for (int i = 0; i < N_TIMERS; i++) {
        assert_int_equal(items[i].fired, i % 3 != 0);
        assert_int_equal(items[i].timer.slot, 0);
    }
    loop_free(loop);
}

struct pair {
    struct loop_source source;
    struct pair *other;
    struct loop *loop;
    int called;
};

static void remove_other(struct loop_source *source)
{
    struct pair *pair = CONTAINER_OF(source, struct pair, source);
    pair->called++;
    loop_remove(pair->loop, &pair->other->source);
    loop_remove(pair->loop, &pair->source);
}

static void test_removed_source_is_not_called(void **state)
{
    (void)state;
    struct loop *loop = loop_new(NULL);
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    struct pair one = {.loop = loop}, two = {.loop = loop};
    one.other = &two;
    two.other = &one;
    assert_int_equal(loop_add(loop, &one.source, a[0], remove_other, NULL), 0);
    assert_int_equal(loop_add(loop, &two.source, b[0], remove_other, NULL), 0);
    assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    assert_int_equal(loop_turn(loop, NULL), 0);
    assert_int_equal(one.called + two.called, 1);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_order_and_once),
        cmocka_unit_test(test_removed_source_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
