/* What systemd is told: which addresses are understood, what is sent, and to whom a watchdog
 * belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "generation.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stage {
    struct server server;
    struct policy policy;
    struct generation generation;
    int systemd; /* its end */
    char path[108];
};

/* Binds systemd's end to a name: with '@' in front an abstract one. */
static void listen_at(struct stage *stage, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    memcpy(addr.sun_path, name, len);
    if (name[0] == '@')
        addr.sun_path[0] = '\0';
    stage->systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(stage->systemd >= 0);
    assert_int_equal(bind(stage->systemd, (struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int set_up(void **state)
{
    static struct stage stage;
    stage = (struct stage){.systemd = -1};
    stage.policy.n_tenants = 1;
    stage.generation = (struct generation){.policy = &stage.policy, .number = 4};
    stage.server.current = &stage.generation;
    stage.server.loop = loop_new(NULL);
    (void)snprintf(stage.path, sizeof stage.path, "/tmp/postern-notify-%d", (int)getpid());
    log_set_level(LOG_LEVEL_ERROR);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = &stage;
    return stage.server.loop == NULL;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    notify_close(&stage->server);
    loop_free(stage->server.loop);
    if (stage->systemd >= 0)
        close(stage->systemd);
    unlink(stage->path);
    return 0;
}

/* The next message, or "" if there is none. */
static const char *heard(const struct stage *stage)
{
    static char text[512];
    ssize_t n = recv(stage->systemd, text, sizeof text - 1, 0);
    if (n < 0)
        assert_int_equal(errno, EAGAIN);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_tells_what_goes_on(void **state)
{
    struct stage *stage = *state;
    char name[64];
    (void)snprintf(name, sizeof name, "@postern-notify-%d", (int)getpid());
    const char *const names[] = {stage->path, name};
    for (size_t i = 0; i < 2; i++) {
        listen_at(stage, names[i]);
        notify_open(&stage->server);
        notify_ready(&stage->server);
        assert_string_equal(heard(stage), "READY=1");
        assert_string_equal(heard(stage), "STATUS=0 connections, 0 commands; policy 4: 1 tenant");
        stage->server.n_connections = 1;
        stage->server.n_running = 2;
        notify_reloading(&stage->server);
        assert_memory_equal(heard(stage), "RELOADING=1\nMONOTONIC_USEC=", 27);
        notify_reloaded(&stage->server, false);
        assert_string_equal(heard(stage), "READY=1");
        assert_string_equal(heard(stage),
                            "STATUS=1 connection, 2 commands; policy 4: 1 tenant; the "
                            "last reload was refused, see the log");
        /* What has not changed is not told again. */
        notify_reloaded(&stage->server, false);
        assert_string_equal(heard(stage), "READY=1");
        assert_string_equal(heard(stage), "");
        stage->server.drain.active = true;
        notify_reloaded(&stage->server, true);
        assert_string_equal(heard(stage), "READY=1");
        assert_string_equal(heard(stage),
                            "STATUS=draining: 1 connection, 2 commands; policy 4: 1 tenant");
        stage->server.stopping = true;
        notify_stopping(&stage->server);
        assert_string_equal(heard(stage), "STOPPING=1");
        assert_string_equal(heard(stage), "STATUS=stopping: 1 connection, 2 commands");
        stage->server.stopping = stage->server.drain.active = false;
        stage->server.n_connections = stage->server.n_running = 0;
        notify_close(&stage->server);
        close(stage->systemd);
    }
    stage->systemd = -1;
}

/* One reload that overtakes another: ready when the last has ended. */
static void test_ready_after_the_last_reload(void **state)
{
    struct stage *stage = *state;
    struct generation next = {.policy = &stage->policy, .number = 5};
    listen_at(stage, stage->path);
    notify_open(&stage->server);
    stage->server.next = &next;
    notify_reloaded(&stage->server, false);
    assert_string_equal(heard(stage), "");
    stage->server.next = NULL;
    notify_reloaded(&stage->server, true);
    assert_string_equal(heard(stage), "READY=1");
}

static void test_signs_of_life(void **state)
{
    struct stage *stage = *state;
    char pid[16];
    listen_at(stage, stage->path);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "20000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    notify_open(&stage->server);
    assert_int_equal(stage->server.notify.alive_every_ms, 10);
    notify_ready(&stage->server);
    assert_string_equal(heard(stage), "READY=1");
    assert_string_equal(heard(stage), "WATCHDOG=1");
    assert_memory_equal(heard(stage), "STATUS=", 7);
    for (int i = 0; i < 3; i++) {
        const char *text;
        while ((text = heard(stage))[0] == '\0')
            assert_int_equal(loop_turn(stage->server.loop, NULL), 0);
        assert_string_equal(text, "WATCHDOG=1");
    }
}

static void test_whose_watchdog_it_is(void **state)
{
    struct stage *stage = *state;
    static const struct {
        const char *usec, *pid;
        uint64_t every_ms;
    } cases[] = {
        {"30000000", NULL, 15000},
        {"30000000", "1", 0},
        {"30000000", "x", 0},
        {"0", NULL, 0},
        {"-30000000", NULL, 0},
        {"3e7", NULL, 0},
        {"", NULL, 0},
        {"1", NULL, 1},
        {"99999999999999999999999", NULL, 0},
    };
    listen_at(stage, stage->path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid != NULL)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        else
            unsetenv("WATCHDOG_PID");
        notify_open(&stage->server);
        assert_int_equal(stage->server.notify.alive_every_ms, cases[i].every_ms);
        notify_close(&stage->server);
    }
}

static void test_nobody_to_tell(void **state)
{
    struct stage *stage = *state;
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    const char *const names[] = {"", "/", "@", "relative", "vsock:2:1", longest};
    setenv("WATCHDOG_USEC", "30000000", 1);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_open(&stage->server);
        assert_int_equal(stage->server.notify.fd, -1);
        notify_ready(&stage->server);
        notify_reloading(&stage->server);
        notify_stopping(&stage->server);
        assert_int_equal(stage->server.notify.tick.slot, 0);
    }
    /* A socket that has gone is no reason to stop. */
    setenv("NOTIFY_SOCKET", stage->path, 1);
    notify_open(&stage->server);
    notify_ready(&stage->server);
    assert_int_not_equal(stage->server.notify.tick.slot, 0);
    assert_string_equal(stage->server.notify.status, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_tells_what_goes_on), TEST(test_ready_after_the_last_reload),
        TEST(test_signs_of_life),      TEST(test_whose_watchdog_it_is),
        TEST(test_nobody_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
