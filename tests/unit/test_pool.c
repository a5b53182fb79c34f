/* pool: memory is zeroed, aligned, and nobody else's; arrays keep what they hold while they grow.
 */
#include "pool.h"
#include "strmap.h"

#include <setjmp.h>
#include <stdalign.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_zero(const unsigned char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return false;
    return true;
}

/* Sizes around those where a chunk ends, and beyond any chunk. */
static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {1,   2,    3,    7,    8,     15,     16,     17,     31, 100,
                                   505, 3000, 4032, 4096, 30000, 262080, 262144, 700000, 5,  64};
    return sizes[i % (sizeof sizes / sizeof *sizes)];
}

static void test_allocations(void **state)
{
    (void)state;
    enum { N = 300 };
    static struct {
        unsigned char *data;
        size_t len;
    } got[N];
    struct pool pool = {0};
    for (unsigned i = 0; i < N; i++) {
        size_t len = size_of(i * 7 + i / 20);
        unsigned char *data = i % 3 == 0 ? pool_bytes(&pool, len) : pool_alloc(&pool, len);
        assert_non_null(data);
        if (i % 3 != 0)
            assert_int_equal((uintptr_t)data % alignof(max_align_t), 0);
        assert_true(is_zero(data, len));
        memset(data, (int)(i % 255) + 1, len);
        got[i].data = data;
        got[i].len = len;
    }
    for (unsigned i = 0; i < N; i++)
        for (size_t k = 0; k < got[i].len; k++)
            if (got[i].data[k] != i % 255 + 1)
                fail_msg("allocation %u has been written to", i);
    pool_free(&pool);
    assert_null(pool.blocks);
    /* It can be used again. */
    assert_string_equal(pool_strdup(&pool, "again"), "again");
    pool_free(&pool);
}

static void test_refusals(void **state)
{
    (void)state;
    struct pool pool = {0};
    int item = 1;
    int *items = &item;
    size_t n = SIZE_MAX / 8;
    assert_null(pool_alloc(&pool, SIZE_MAX));
    assert_null(pool_alloc(&pool, SIZE_MAX / 2 + 1));
    assert_null(pool_bytes(&pool, SIZE_MAX));
    assert_null(pool_strndup(&pool, "x", SIZE_MAX));
    assert_int_equal(pool_push_array(&pool, (void *)&items, &n, &item, n * 4, sizeof item), -1);
    n = SIZE_MAX - 1;
    assert_int_equal(pool_push_array(&pool, (void *)&items, &n, &item, 2, sizeof item), -1);
    assert_non_null(pool_alloc(&pool, 0));
    pool_free(&pool);
}

/* Two arrays that grow by turns, one that grows alone, and strings in between. */
static void test_arrays(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct pool pool = {0};
    uint32_t *alone = NULL;
    struct triple {
        uint64_t values[3];
    } *triples = NULL;
    struct str_list list = {0};
    size_t n_alone = 0;
    size_t n_triples = 0;
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(pool_push(&pool, (void *)&alone, &n_alone, &i, sizeof i), 0);
    for (uint32_t i = 0; i < N; i++) {
        char text[16];
        struct triple triple = {{i, i + 1, i + 2}};
        (void)snprintf(text, sizeof text, "string %u", i);
        assert_int_equal(pool_push(&pool, (void *)&triples, &n_triples, &triple, sizeof triple), 0);
        assert_int_equal(pool_push_str(&pool, &list, text), 0);
    }
    assert_int_equal(n_alone, N);
    assert_int_equal(n_triples, N);
    assert_int_equal(list.n, N);
    for (uint32_t i = 0; i < N; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "string %u", i);
        assert_int_equal(alone[i], i);
        assert_int_equal(triples[i].values[2], i + 2);
        assert_string_equal(list.items[i], text);
    }
    pool_free(&pool);
}

static void test_arrays_at_once(void **state)
{
    (void)state;
    struct pool pool = {0};
    int *items = NULL;
    size_t n = 0;
    const int first[] = {1, 2, 3, 4, 5};
    assert_int_equal(pool_push_array(&pool, (void *)&items, &n, first, 0, sizeof *first), 0);
    assert_null(items);
    assert_int_equal(pool_push_array(&pool, (void *)&items, &n, first, 5, sizeof *first), 0);
    for (int i = 6; i <= 100; i++)
        assert_int_equal(pool_push(&pool, (void *)&items, &n, &i, sizeof i), 0);
    assert_int_equal(pool_push_array(&pool, (void *)&items, &n, first, 5, sizeof *first), 0);
    assert_int_equal(n, 105);
    for (int i = 0; i < 105; i++)
        assert_int_equal(items[i], i < 100 ? i + 1 : i - 99);
    pool_free(&pool);
}

static char *order[3];
static size_t n_ran;

static void note(void *arg)
{
    order[n_ran++] = arg;
}

static void test_hooks(void **state)
{
    (void)state;
    struct pool pool = {0};
    n_ran = 0;
    assert_int_equal(pool_at_free(&pool, note, (char[]){"first"}), 0);
    assert_int_equal(pool_at_free(&pool, note, (char[]){"second"}), 0);
    pool_free(&pool);
    assert_int_equal(n_ran, 2);
    assert_string_equal(order[0], "second");
    pool_free(&pool);
    assert_int_equal(n_ran, 2);
}

static void test_strmap(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct pool pool = {0};
    struct strmap map = {0};
    size_t value;
    assert_false(strmap_get(&map, "", &value));
    for (size_t i = 0; i < N; i++)
        assert_int_equal(strmap_put(&pool, &map, pool_printf(&pool, "key %zu", i), i), 0);
    for (size_t i = 0; i < 2 * N; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key %zu", i);
        assert_int_equal(strmap_get(&map, key, &value), i < N);
        if (i < N)
            assert_int_equal(value, i);
    }
    pool_free(&pool);
}

/* What was there can be read as before but not be written; what comes later can. */
static void test_freeze(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 5000, 100000, 3000000, 200};
    enum { N = sizeof sizes / sizeof *sizes };
    struct pool pool = {0};
    unsigned char *data[N];
    for (unsigned i = 0; i < N; i++) {
        data[i] = pool_alloc(&pool, sizes[i]);
        assert_non_null(data[i]);
        memset(data[i], (int)i + 1, sizes[i]);
    }
    assert_int_equal(pool_freeze(&pool), 0);
    for (unsigned i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(data[i][k], i + 1);
    unsigned char *later = pool_alloc(&pool, 5000);
    assert_non_null(later);
    assert_true(is_zero(later, 5000));
    memset(later, 7, 5000);
#ifndef POSTERN_SANITIZE
    /* With a sanitizer no chunk is large. */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        data[3][1500000] = 0;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
#endif
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations),    cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_arrays_at_once), cmocka_unit_test(test_hooks),
        cmocka_unit_test(test_strmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
