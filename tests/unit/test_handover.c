/* The master's state on its way from one program to the next: what comes out is what went in, and
 * whatever is not whole is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "handover_fixture.h"
#include "terminate.h"

#include <sys/mman.h>
#include <unistd.h>

enum { STEP = 7 }; /* not all of what is much the same */

static struct server original, restored;

static void save(struct server *server, struct state *state)
{
    struct err err = {0};
    *state = (struct state)STATE_TO_SAVE;
    handover_carry(state, server, &err);
    assert_string_equal(err.text, "");
    assert_true(state_is_good(state));
}

/* With as many bytes of it, and one of them changed by `flip`. */
static bool restore(const struct state *saved, size_t len, size_t at, unsigned char flip,
                    struct server *server, struct err *err)
{
    struct state state;
    unsigned char *bytes = malloc(len > 0 ? len : 1);
    memcpy(bytes, saved->out.buf, len);
    if (at < len)
        bytes[at] ^= flip;
    handover_fixture_begin(server);
    state_open_fields(&state, (struct wire_bytes){bytes, len}, handover_fixture_fds(saved),
                      saved->n_fds);
    *err = (struct err){0};
    handover_carry(&state, server, err);
    bool done = state_is_done(&state);
    state_free(&state);
    free(bytes);
    return done;
}

static void test_what_goes_in_comes_out(void **unused)
{
    (void)unused;
    struct state first, second;
    struct err err;
    save(&original, &first);
    assert_true(restore(&first, first.out.len, SIZE_MAX, 0, &restored, &err));
    save(&restored, &second);
    assert_int_equal(second.out.len, first.out.len);
    assert_memory_equal(second.out.buf, first.out.buf, first.out.len);
    assert_int_equal(second.n_fds, first.n_fds);
    /* All of that could be missing from both. */
    assert_string_equal(restored.run_id, "abc");
    assert_string_equal(restored.options.config_path, FIXTURE_CONFIG);
    assert_int_equal(restored.conn_count, 2);
    assert_int_equal(restored.exec_count, 2);
    assert_int_equal(restored.generation_count, 2);
    assert_int_equal(restored.n_connections, 2);
    assert_int_equal(restored.n_unauthenticated, 1);
    assert_int_equal(restored.n_execs, 2);
    assert_int_equal(restored.n_running, 1);
    assert_int_equal(restored.n_proxied, 1);
    assert_int_equal(restored.waiting_bytes, original.waiting_bytes);
    assert_int_equal(restored.metrics.counters.connections, 17);
    assert_true(regular_is(&restored.regulars, &(struct source_key){.net = {0x20, 1}, .bits = 64},
                           loop_now_ms()));
    assert_int_equal(restored.current->number, 2);
    assert_non_null(restored.current->signer);
    assert_non_null(restored.current->child);
    assert_true(restored.current->ready);
    assert_int_equal(restored.current->policy->n_tenants, 1);
    assert_int_equal(restored.current->policy->tenants[0].uid, 12345);
    assert_non_null(restored.zygote);
    assert_non_null(restored.control);
    assert_int_equal(restored.cgroups->limits.controllers, CGROUP_MEMORY | CGROUP_PIDS);
    assert_non_null(restored.cgroups->dying);
    state_free(&first);
    state_free(&second);
    handover_fixture_free(&restored);
}

static void test_connections_and_execs(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err;
    save(&original, &saved);
    assert_true(restore(&saved, saved.out.len, SIZE_MAX, 0, &restored, &err));
    struct connection *early = connection_find(&restored, 1), *c = connection_find(&restored, 2);
    assert_true(early->starting_up);
    assert_ptr_equal(restored.startups, early);
    assert_int_equal(early->timer.due_ms, connection_find(&original, 1)->timer.due_ms);
    assert_int_equal(early->link.state, STATE_PREAUTH);
    assert_int_equal(c->link.state, STATE_AUTHED);
    assert_int_equal(c->blob_len, 9);
    assert_memory_equal(c->blob, "not a key", 9);
    assert_int_equal(c->session_id_len, 32);
    assert_int_equal(c->from->n_connections, 2);
    assert_int_equal(c->from->n_startups, 1);
    assert_int_equal(c->n_execs_open, 2);
    assert_int_equal(c->n_waiting, 3);
    assert_string_equal(c->load->name, "acme");
    assert_int_equal(c->load->connections, 1);
    assert_int_equal(c->load->running, 1);
    assert_int_equal(c->load->queue.n, 3);
    struct exec *exec = exec_find(c, 1), *over = exec_find(c, 2);
    assert_int_equal(exec->sandbox, 1);
    assert_int_equal(exec->started_ms, 4711);
    assert_int_equal(exec->blocked[1].port, 22);
    assert_int_not_equal(exec->timer.slot, 0);
    assert_int_equal(exec->timer.due_ms, exec_find(connection_find(&original, 2), 1)->timer.due_ms);
    assert_ptr_equal(exec->timer.on_due, exec_find(connection_find(&original, 2), 1)->timer.on_due);
    assert_true(over->ended);
    assert_int_equal(over->usage.code, 3);
    assert_int_equal(over->outcome.code, 3);
    state_free(&saved);
    handover_fixture_free(&restored);
}

static void note_place(struct queue_item *item, void *user)
{
    size_t *places = user;
    places[item->place - 1]++;
}

/* b is not behind both of a. */
static void test_queues_keep_their_order(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err;
    size_t places[3] = {0};
    save(&original, &saved);
    assert_true(restore(&saved, saved.out.len, SIZE_MAX, 0, &restored, &err));
    struct waiting_view view;
    const size_t expected[] = {1, 3, 2};
    const struct waiter *waiter = NULL;
    uint64_t after = 0;
    for (size_t i = 0; i < 3; i++) {
        waiter = waiting_next(&restored, waiter, after, &view);
        assert_non_null(waiter);
        assert_int_equal(view.place, expected[i]);
        assert_memory_equal(view.command.text, "make test", 9);
        after = view.number;
    }
    queue_number(&connection_find(&restored, 2)->load->queue, note_place, places);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(places[i], 1);
    state_free(&saved);
    handover_fixture_free(&restored);
}

static void test_cut_short(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err;
    save(&original, &saved);
    for (size_t len = 0; len < saved.out.len; len += len < 500 ? 1 : STEP) {
        assert_false(restore(&saved, len, SIZE_MAX, 0, &restored, &err));
        handover_fixture_free(&restored);
    }
    state_free(&saved);
}

/* Refused, or another state: but never the end of the program. */
static void test_damaged(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err;
    size_t refused = 0;
    save(&original, &saved);
    for (size_t at = 0; at < saved.out.len; at += at < 500 ? 1 : STEP) {
        refused += !restore(&saved, saved.out.len, at, at % 2 == 0 ? 0xff : 1, &restored, &err);
        handover_fixture_free(&restored);
    }
    assert_true(refused > 100);
    state_free(&saved);
}

static void test_more_than_all(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err;
    save(&original, &saved);
    wire_put_u8(&saved.out, 0);
    assert_false(restore(&saved, saved.out.len, SIZE_MAX, 0, &restored, &err));
    handover_fixture_free(&restored);
    state_free(&saved);
}

/* Opens what was written, with a byte changed. */
static int open_changed(int fd, size_t at, unsigned char flip, struct err *err)
{
    unsigned char bytes[64 * 1024];
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    assert_true(n > 0 && (size_t)n < sizeof bytes);
    bytes[at] ^= flip;
    int copy = memfd_create("copy", MFD_CLOEXEC);
    assert_int_equal(write(copy, bytes, (size_t)n), n);
    struct state state = {0};
    struct wire_bytes map;
    *err = (struct err){0};
    int rc = state_open(&state, copy, &map, err);
    munmap((void *)(uintptr_t)map.data, map.len);
    state_free(&state);
    close(copy);
    return rc;
}

static void test_versions(void **unused)
{
    (void)unused;
    struct state saved;
    struct err err = {0};
    int fd = -1;
    save(&original, &saved);
    assert_int_equal(state_write(&saved, &fd, &err), 0);
    /* It is as it was written. */
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(open_changed(fd, 0, 1, &err), -1);
    assert_string_equal(err.text, "it is no state of posternd");
    assert_int_equal(open_changed(fd, 7, 0x40, &err), -1);
    char version[64];
    (void)snprintf(version, sizeof version, "writes its state in version %d, posternd",
                   STATE_VERSION ^ 0x40);
    assert_non_null(strstr(err.text, version));
    assert_int_equal(open_changed(fd, 15, 1, &err), -1);
    assert_non_null(strstr(err.text, "don't understand posternd"));
    /* The descriptors were not handed over: they are still close-on-exec. */
    assert_int_equal(open_changed(fd, 0, 0, &err), -1);
    assert_non_null(strstr(err.text, "was not handed over"));
    close(fd);
    state_free(&saved);
}

static void test_descriptors(void **unused)
{
    (void)unused;
    struct state saved = STATE_TO_SAVE, state = {0};
    struct wire_bytes map;
    struct err err = {0};
    int fd = -1, a = dup(0), none = -1, got = -2, got_none = -2;
    state_fd(&saved, &a);
    state_fd(&saved, &none);
    assert_int_equal(state_write(&saved, &fd, &err), 0);
    assert_int_equal(fcntl(a, F_SETFD, 0), 0);
    assert_int_equal(state_open(&state, fd, &map, &err), 0);
    state_fd(&state, &got);
    state_fd(&state, &got_none);
    assert_true(state_is_done(&state));
    assert_int_equal(got, a);
    assert_int_equal(got_none, -1);
    assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
    munmap((void *)(uintptr_t)map.data, map.len);
    state_free(&state);
    state_free(&saved);
    close(a);
    close(fd);
}

static int set_up(void **unused)
{
    (void)unused;
    log_open(false, LOG_LEVEL_ERROR);
    handover_fixture_fill(&original);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_connections_and_execs),
        cmocka_unit_test(test_queues_keep_their_order),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_more_than_all),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
