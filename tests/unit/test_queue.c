/* Whose turn it is: lanes in turn, first come first served in each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct queue_item item; /* first, so that one is the other */
    char name[8];
};

enum { ENTRIES = 64 };
static struct entry entries[ENTRIES];
static size_t n_entries;
static struct queue queue;

/* "a1 b1 a2": adds these, the letter is the lane. */
static void add(const char *names)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *rest = copy, *name; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        struct entry *entry = &entries[n_entries++];
        char lane[2] = {name[0], '\0'};
        (void)snprintf(entry->name, sizeof entry->name, "%s", name);
        assert_int_equal(queue_add(&queue, &entry->item, lane), 0);
    }
}

static struct entry *find(const char *name)
{
    for (size_t i = 0; i < n_entries; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    fail_msg("no entry %s", name);
    return NULL;
}

static void expect_turn(const char *name)
{
    struct queue_item *item = queue_first(&queue);
    assert_non_null(item);
    assert_string_equal(((struct entry *)(void *)item)->name, name);
    queue_turn(&queue);
    queue_remove(&queue, item);
}

static void collect(struct queue_item *item, void *user)
{
    char *text = user;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%s%s=%zu", len > 0 ? " " : "",
                   ((struct entry *)(void *)item)->name, item->place);
}

static void expect_places(const char *expected)
{
    char text[256] = "";
    queue_number(&queue, collect, text);
    assert_string_equal(text, expected);
}

static int clear(void **state)
{
    (void)state;
    while (queue.n > 0)
        queue_remove(&queue, queue_first(&queue));
    memset(entries, 0, sizeof entries);
    n_entries = 0;
    return queue.first == NULL && queue.last == NULL ? 0 : -1;
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    assert_null(queue_first(&queue));
    queue_turn(&queue);
    add("a1 a2 a3");
    expect_places("a1=1 a2=2 a3=3");
    expect_turn("a1");
    add("a4");
    expect_turn("a2");
    expect_turn("a3");
    expect_turn("a4");
    assert_null(queue_first(&queue));
}

static void test_count_of_a_key(void **state)
{
    (void)state;
    assert_int_equal(queue_count(&queue, "a"), 0);
    add("a1 a2 b1 a3");
    assert_int_equal(queue_count(&queue, "a"), 3);
    assert_int_equal(queue_count(&queue, "b"), 1);
    assert_int_equal(queue_count(&queue, "c"), 0);
    expect_turn("a1");
    expect_turn("b1");
    assert_int_equal(queue_count(&queue, "a"), 2);
    assert_int_equal(queue_count(&queue, "b"), 0);
    queue_remove(&queue, &find("a3")->item);
    assert_int_equal(queue_count(&queue, "a"), 1);
}

static void test_lanes_in_turn(void **state)
{
    (void)state;
    add("a1 a2 a3 a4 b1 c1 c2");
    expect_places("a1=1 b1=2 c1=3 a2=4 c2=5 a3=6 a4=7");
    expect_turn("a1");
    expect_places("b1=1 c1=2 a2=3 c2=4 a3=5 a4=6");
    expect_turn("b1");
    expect_turn("c1");
    add("b2");
    expect_places("a2=1 c2=2 b2=3 a3=4 a4=5");
    expect_turn("a2");
    expect_turn("c2");
    expect_turn("b2");
    expect_turn("a3");
    expect_turn("a4");
}

/* Who comes again and again, one at a time, gets every second place and not more. */
static void test_nobody_starves(void **state)
{
    (void)state;
    add("a1 a2 a3 b1");
    expect_turn("a1");
    add("c1");
    expect_turn("b1");
    add("b2");
    expect_turn("a2");
    expect_turn("c1");
    add("c2");
    expect_turn("b2");
    add("b3");
    expect_turn("a3");
    expect_turn("c2");
    expect_turn("b3");
}

static void test_leaving(void **state)
{
    (void)state;
    add("a1 a2 a3 b1 b2");
    queue_remove(&queue, &find("a2")->item);
    expect_places("a1=1 b1=2 a3=3 b2=4");
    /* The first goes without a turn: the next of its lane stands in for it. */
    queue_remove(&queue, &find("a1")->item);
    expect_places("a3=1 b1=2 b2=3");
    queue_remove(&queue, &find("b2")->item);
    queue_remove(&queue, &find("a3")->item);
    expect_places("b1=1");
    assert_int_equal(queue.n, 1);
    add("a4");
    expect_places("b1=1 a4=2");
    queue_remove(&queue, &find("a4")->item);
    add("b3");
    expect_turn("b1");
    expect_turn("b3");
    assert_int_equal(queue.n, 0);
}

/* Whatever happens, the places say in which order the turns will come. */
static void test_places_are_kept(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 200; round++) {
        assert_int_equal(clear(NULL), 0);
        for (int i = 0; i < 40; i++) {
            char name[4] = {(char)('a' + rand_r(&seed) % 5), (char)('0' + i / 10),
                            (char)('0' + i % 10), '\0'};
            if (rand_r(&seed) % 3 > 0 || queue.n == 0)
                add(name);
            else if (rand_r(&seed) % 2 == 0)
                queue_remove(&queue, queue_first(&queue));
            else
                expect_turn(((struct entry *)(void *)queue_first(&queue))->name);
        }
        queue_number(&queue, NULL, NULL);
        for (size_t place = 1; queue.n > 0; place++) {
            struct queue_item *item = queue_first(&queue);
            assert_int_equal(item->place, place);
            queue_turn(&queue);
            queue_remove(&queue, item);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_first_come_first_served, clear),
        cmocka_unit_test_teardown(test_count_of_a_key, clear),
        cmocka_unit_test_teardown(test_lanes_in_turn, clear),
        cmocka_unit_test_teardown(test_nobody_starves, clear),
        cmocka_unit_test_teardown(test_leaving, clear),
        cmocka_unit_test_teardown(test_places_are_kept, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
