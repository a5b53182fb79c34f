/* The session's pure parts: signal names, backlogs, collected environments, overheard names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backlog.h"
#include "env_list.h"
#include "overhear.h"
#include "peek.h"
#include "signames.h"
#include "terminal.h"

#include <signal.h>
#include <string.h>

static void test_rfc_signal_names(void **state)
{
    (void)state;
    char name[SIGNAME_MAX];
    assert_string_equal(signame_ssh(SIGKILL, name), "KILL");
    assert_string_equal(signame_ssh(SIGSEGV, name), "SEGV");
    assert_string_equal(signame_ssh(SIGUSR2, name), "USR2");
}

static void test_local_signal_names(void **state)
{
    (void)state;
    char name[SIGNAME_MAX];
    assert_string_equal(signame_ssh(SIGBUS, name), "BUS@postern");
    assert_string_equal(signame_ssh(SIGSYS, name), "SYS@postern");
    assert_string_equal(signame_ssh(SIGRTMIN + 3, name), "RTMIN+3@postern");
    assert_string_equal(signame_ssh(0, name), "0@postern");
    assert_string_equal(signame_ssh(255, name), "255@postern");
}

static void test_signals_that_clients_may_ask_for(void **state)
{
    (void)state;
    assert_int_equal(signame_number("KILL"), SIGKILL);
    assert_int_equal(signame_number("USR2"), SIGUSR2);
    static const char *const others[] = {"",     "kill",  "SIGKILL",    "9",
                                         "STOP", "KILL ", "BUS@postern"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(signame_number(others[i]), 0);
}

static void test_backlog_keeps_order_and_bound(void **state)
{
    (void)state;
    struct backlog b = {0};
    assert_int_equal(backlog_put(&b, "", 0, 0), 0);
    assert_null(b.data);
    assert_int_equal(backlog_put(&b, "abcd", 4, 6), 0);
    assert_int_equal(backlog_put(&b, "efg", 3, 6), -1);
    assert_int_equal(b.len, 4);
    backlog_drop(&b, 3);
    assert_int_equal(backlog_put(&b, "efghi", 5, 6), 0);
    assert_int_equal(b.len, 6);
    assert_memory_equal(backlog_front(&b), "defghi", 6);
    backlog_drop(&b, 6);
    assert_null(b.data);
    assert_int_equal(backlog_put(&b, "x", 1, 6), 0);
    backlog_free(&b);
    assert_int_equal(b.len, 0);
}

/* The same sequence each time. */
static size_t next_number(void)
{
    static uint32_t seed = 1;
    seed = seed * 1103515245 + 12345;
    return seed >> 16;
}

static void test_backlog_of_every_size(void **state)
{
    (void)state;
    struct backlog b = {0};
    unsigned char in = 0, out = 0;
    for (int i = 0; i < 2000; i++) {
        unsigned char chunk[64];
        size_t n = next_number() % sizeof chunk;
        for (size_t k = 0; k < n; k++)
            chunk[k] = in++;
        assert_int_equal(backlog_put(&b, chunk, n, 1 << 20), 0);
        size_t drop = b.len > 0 ? next_number() % (b.len + 1) : 0;
        for (size_t k = 0; k < drop; k++)
            assert_int_equal(backlog_front(&b)[k], out++);
        backlog_drop(&b, drop);
    }
    backlog_free(&b);
}

static void test_env_list_views(void **state)
{
    (void)state;
    struct env_list list = {0};
    assert_int_equal(env_list_names(&list).count, 0);
    assert_int_equal(env_list_names(&list).len, 0);
    assert_int_equal(env_list_add(&list, "LANG", "C"), 0);
    assert_int_equal(env_list_add(&list, "LC_ALL", ""), 0);
    struct wire_strv names = env_list_names(&list), values = env_list_values(&list);
    assert_int_equal(names.count, 2);
    assert_int_equal(names.len, 12);
    assert_memory_equal(names.data, "LANG\0LC_ALL\0", 12);
    assert_int_equal(values.count, 2);
    assert_memory_equal(values.data, "C\0\0", 3);
    env_list_free(&list);
    assert_int_equal(env_list_values(&list).count, 0);
}

static void test_env_list_bounds(void **state)
{
    (void)state;
    static char name[IPC_ENV_NAME_MAX + 2], value[IPC_ENV_VALUE_MAX + 2];
    struct env_list list = {0};
    memset(name, 'n', sizeof name - 1);
    memset(value, 'v', sizeof value - 1);
    assert_false(env_list_has_room(&list, name, ""));
    assert_false(env_list_has_room(&list, "N", value));
    name[IPC_ENV_NAME_MAX] = value[IPC_ENV_VALUE_MAX] = '\0';
    assert_int_equal(env_list_add(&list, name, value), 0);
    int n = 1;
    while (env_list_add(&list, "N", value) == 0)
        n++;
    assert_int_equal(n, IPC_ENV_MAX / (IPC_ENV_VALUE_MAX + 1));
    while (env_list_add(&list, "N", "") == 0)
        n++;
    assert_int_equal(n, ENV_LIST_COUNT_MAX);
    assert_int_equal(list.count, ENV_LIST_COUNT_MAX);
    assert_true(env_list_values(&list).len <= IPC_ENV_MAX);
    env_list_free(&list);
}

static void test_overheard_requests(void **state)
{
    (void)state;
    static const char function[] = "ssh_message_handle_channel_request";
    overhear_line(function,
                  "x: Received a break channel_request for channel (43:0) (want_reply=0)");
    assert_string_equal(overhear_name(), "break");
    assert_false(overhear_wants_reply());
    /* A name that looks like the end of the line is still only a name. */
    overhear_line(function, "x: Received a a channel_request for channel (1:0) (want_reply=0)"
                            " channel_request for channel (43:0) (want_reply=1)");
    assert_string_equal(overhear_name(), "a channel_request for channel (1:0) (want_reply=0)");
    assert_true(overhear_wants_reply());
    overhear_line("ssh_packet_channel_open", "x: Clients wants to open a tun@openssh.com channel");
    assert_string_equal(overhear_name(), "tun@openssh.com");
    overhear_line("some_function", "Received a y channel_request for channel (1:0) (want_reply=0)");
    assert_string_equal(overhear_name(), "tun@openssh.com");
}

static void test_sizes_of_terminals(void **state)
{
    (void)state;
    struct terminal_size size = {0};
    terminal_size_merge(&size, &(struct terminal_size){80, 24, 640, 480});
    terminal_size_merge(&size, &(struct terminal_size){0, 50, 0, 0});
    assert_int_equal(size.columns, 80);
    assert_int_equal(size.rows, 50);
    assert_int_equal(size.x_pixels, 640);
    terminal_size_merge(&size,
                        &(struct terminal_size){UINT32_MAX, 4097, 0x80000000, UINT16_MAX + 1});
    assert_int_equal(size.columns, 4096);
    assert_int_equal(size.rows, 4096);
    assert_int_equal(size.x_pixels, UINT16_MAX);
    assert_int_equal(size.y_pixels, UINT16_MAX);
}

/* As libssh takes a request out of its packet. */
static void read_field(ssh_buffer buffer, const void *data, uint32_t len)
{
    static unsigned char to[8192];
    assert_int_equal(ssh_buffer_add_data(buffer, data, len), 0);
    assert_int_equal(ssh_buffer_get_data(buffer, to, len), len);
}

static void read_string(ssh_buffer buffer, const void *data, uint32_t len)
{
    const unsigned char size[] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
                                  (unsigned char)(len >> 8), (unsigned char)len};
    read_field(buffer, size, sizeof size);
    read_field(buffer, data, len);
}

static void test_peeked_requests(void **state)
{
    static const char large[PEEK_TEXT_MAX + 1] = "large";
    char name[PEEK_NAME_MAX];
    const unsigned char *data;
    (void)state;
    ssh_buffer buffer = ssh_buffer_new();
    assert_int_equal(peek_start(), 0);
    read_string(buffer, "break", 5);
    assert_string_equal(peek_request_name(name), ""); /* no want-reply yet */
    read_field(buffer, "\1", 1);
    assert_string_equal(peek_request_name(name), "break");
    assert_int_equal(peek_last_string(&data), 0);
    read_string(buffer, "modes", 5);
    assert_int_equal(peek_last_string(&data), 5);
    assert_memory_equal(data, "modes", 5);
    assert_string_equal(peek_request_name(name), "");
    read_string(buffer, large, PEEK_TEXT_MAX);
    assert_int_equal(peek_last_string(&data), PEEK_TEXT_MAX);
    read_string(buffer, large, PEEK_TEXT_MAX + 1);
    assert_int_equal(peek_last_string(&data), 0);
    read_string(buffer, large, PEEK_NAME_MAX);
    read_field(buffer, "\1", 1);
    assert_string_equal(peek_request_name(name), "");
    ssh_buffer_free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_signal_names),
        cmocka_unit_test(test_local_signal_names),
        cmocka_unit_test(test_signals_that_clients_may_ask_for),
        cmocka_unit_test(test_backlog_keeps_order_and_bound),
        cmocka_unit_test(test_backlog_of_every_size),
        cmocka_unit_test(test_env_list_views),
        cmocka_unit_test(test_env_list_bounds),
        cmocka_unit_test(test_overheard_requests),
        cmocka_unit_test(test_sizes_of_terminals),
        cmocka_unit_test(test_peeked_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
