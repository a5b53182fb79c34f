/*
 * bench_client - a minimal SSH client, so that what is measured is the server.
 *
 *   bench-client cold PORT USER KEY ROUNDS COMMAND
 *   bench-client serial PORT USER KEY ROUNDS COMMAND
 *   bench-client parallel PORT USER KEY CONNECTIONS CHANNELS EXECS COMMAND
 *   bench-client idle PORT USER KEY CONNECTIONS
 *   bench-client hold PORT USER KEY CONNECTIONS CHANNELS COMMAND
 *   bench-client refused PORT USER KEY ROUNDS
 *
 * cold, serial and refused print the microseconds of each round. parallel prints those of all execs
 * together; CHANNELS of each connection are busy at a time. idle and hold print "ready" when
 * everything is open, and keep it until their input ends. Each command must end with status 0.
 */
#include <errno.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHANNELS_MAX = 256, NUMBER_MAX = 1000000 };

struct target {
    unsigned port;
    const char *user;
    ssh_key key;
};

static void fail(const char *what, ssh_session ssh)
{
    (void)fprintf(stderr, "%s: %s\n", what, ssh != NULL ? ssh_get_error(ssh) : strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || n == 0 || n > NUMBER_MAX) {
        (void)fprintf(stderr, "%s: not a number from 1 to %d\n", text, NUMBER_MAX);
        exit(64);
    }
    return (unsigned)n;
}

static ssh_session connect_to(const struct target *target)
{
    int nodelay = 1;
    bool no_config = false;
    ssh_session ssh = ssh_new();
    if (ssh == NULL)
        fail("ssh_new", NULL);
    (void)ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no_config);
    (void)ssh_options_set(ssh, SSH_OPTIONS_HOST, "127.0.0.1");
    (void)ssh_options_set(ssh, SSH_OPTIONS_PORT, &target->port);
    (void)ssh_options_set(ssh, SSH_OPTIONS_USER, target->user);
    (void)ssh_options_set(ssh, SSH_OPTIONS_NODELAY, &nodelay);
    if (ssh_connect(ssh) != SSH_OK)
        fail("connect", ssh);
    return ssh;
}

static ssh_session log_in(const struct target *target)
{
    ssh_session ssh = connect_to(target);
    if (ssh_userauth_publickey(ssh, NULL, target->key) != SSH_AUTH_SUCCESS)
        fail("login", ssh);
    return ssh;
}

static void leave(ssh_session ssh)
{
    ssh_disconnect(ssh);
    ssh_free(ssh);
}

static ssh_channel start(ssh_session ssh, const char *command)
{
    ssh_channel channel = ssh_channel_new(ssh);
    if (channel == NULL || ssh_channel_open_session(channel) != SSH_OK)
        fail("open", ssh);
    if (ssh_channel_request_exec(channel, command) != SSH_OK)
        fail("exec", ssh);
    return channel;
}

static void run(ssh_session ssh, const char *command)
{
    char buf[4096];
    ssh_channel channel = start(ssh, command);
    int n;
    while ((n = ssh_channel_read(channel, buf, sizeof buf, 0)) > 0)
        ;
    if (n < 0 || ssh_channel_get_exit_status(channel) != 0)
        fail(command, ssh);
    (void)ssh_channel_close(channel);
    ssh_channel_free(channel);
}

static void tell(uint64_t since)
{
    (void)printf("%llu\n", (unsigned long long)(now_us() - since));
}

static void cold(const struct target *target, unsigned rounds, const char *command)
{
    while (rounds-- > 0) {
        uint64_t begin = now_us();
        ssh_session ssh = log_in(target);
        run(ssh, command);
        leave(ssh);
        tell(begin);
    }
}

static void serial(const struct target *target, unsigned rounds, const char *command)
{
    ssh_session ssh = log_in(target);
    run(ssh, command);
    while (rounds-- > 0) {
        uint64_t begin = now_us();
        run(ssh, command);
        tell(begin);
    }
    leave(ssh);
}

static void refused(const struct target *target, unsigned rounds)
{
    while (rounds-- > 0) {
        uint64_t begin = now_us();
        ssh_session ssh = connect_to(target);
        if (ssh_userauth_publickey(ssh, NULL, target->key) == SSH_AUTH_SUCCESS)
            fail("it let us in", NULL);
        leave(ssh);
        tell(begin);
    }
}

/* One of the channels that are busy: what it has come to. */
struct slot {
    ssh_channel channel;
    enum { SLOT_EMPTY, SLOT_OPENING, SLOT_ASKING, SLOT_RUNNING } state;
};

/* Goes on as far as it can without waiting. Returns true when the command has ended. */
static bool advance(struct slot *slot, ssh_session ssh, const char *command)
{
    char buf[4096];
    if (slot->state == SLOT_EMPTY) {
        slot->channel = ssh_channel_new(ssh);
        if (slot->channel == NULL)
            fail("channel", ssh);
        slot->state = SLOT_OPENING;
    }
    if (slot->state == SLOT_OPENING) {
        int rc = ssh_channel_open_session(slot->channel);
        if (rc == SSH_AGAIN)
            return false;
        if (rc != SSH_OK)
            fail("open", ssh);
        slot->state = SLOT_ASKING;
    }
    if (slot->state == SLOT_ASKING) {
        int rc = ssh_channel_request_exec(slot->channel, command);
        if (rc == SSH_AGAIN)
            return false;
        if (rc != SSH_OK)
            fail("exec", ssh);
        slot->state = SLOT_RUNNING;
    }
    while (ssh_channel_read_nonblocking(slot->channel, buf, sizeof buf, 0) > 0)
        ;
    if (!ssh_channel_is_closed(slot->channel))
        return false;
    if (ssh_channel_get_exit_status(slot->channel) != 0)
        fail(command, ssh);
    (void)ssh_channel_close(slot->channel);
    ssh_channel_free(slot->channel);
    slot->state = SLOT_EMPTY;
    return true;
}

static void run_many(const struct target *target, unsigned channels, unsigned execs,
                     const char *command, int ready_fd, int go_fd)
{
    struct slot slots[CHANNELS_MAX] = {0};
    unsigned started = 0, ended = 0;
    char byte = 0;
    ssh_session ssh = log_in(target);
    ssh_event event = ssh_event_new();
    run(ssh, command);
    ssh_set_blocking(ssh, 0);
    if (event == NULL || ssh_event_add_session(event, ssh) != SSH_OK)
        fail("event", ssh);
    if (write(ready_fd, &byte, 1) != 1 || read(go_fd, &byte, 1) < 0)
        fail("pipe", NULL);
    while (ended < execs) {
        for (unsigned i = 0; i < channels; i++) {
            if (slots[i].state == SLOT_EMPTY) {
                if (started == execs)
                    continue;
                started++;
            }
            if (advance(&slots[i], ssh, command))
                ended++;
        }
        if (ended < execs && ssh_event_dopoll(event, 1000) == SSH_ERROR)
            fail("poll", ssh);
    }
    (void)ssh_event_remove_session(event, ssh);
    ssh_event_free(event);
    ssh_set_blocking(ssh, 1);
    leave(ssh);
}

/* A process for each connection; all begin together. */
static void parallel(const struct target *target, unsigned connections, unsigned channels,
                     unsigned execs, const char *command)
{
    int ready[2], go[2];
    char byte;
    if (channels > CHANNELS_MAX || pipe(ready) < 0 || pipe(go) < 0)
        fail("parallel", NULL);
    for (unsigned i = 0; i < connections; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("fork", NULL);
        if (pid > 0)
            continue;
        close(go[1]);
        run_many(target, channels, execs / connections, command, ready[1], go[0]);
        exit(0);
    }
    close(ready[1]);
    for (unsigned i = 0; i < connections; i++)
        if (read(ready[0], &byte, 1) != 1)
            fail("a connection failed", NULL);
    uint64_t begin = now_us();
    close(go[0]);
    close(go[1]);
    int status = 0;
    for (unsigned i = 0; i < connections; i++)
        if (wait(&status) < 0 || status != 0)
            exit(1);
    tell(begin);
}

static void wait_for_end(void)
{
    char byte;
    (void)puts("ready");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static void idle(const struct target *target, unsigned connections)
{
    ssh_session *all = calloc(connections, sizeof *all);
    if (all == NULL)
        fail("memory", NULL);
    for (unsigned i = 0; i < connections; i++)
        all[i] = log_in(target);
    wait_for_end();
    /* They end with us. */
    _exit(0);
}

static void hold(const struct target *target, unsigned connections, unsigned channels,
                 const char *command)
{
    for (unsigned i = 0; i < connections; i++) {
        ssh_session ssh = log_in(target);
        for (unsigned j = 0; j < channels; j++)
            (void)start(ssh, command);
    }
    wait_for_end();
    _exit(0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc < 6) {
        (void)fprintf(stderr, "usage: see the head of bench_client.c\n");
        return 64;
    }
    struct target target = {.port = number(argv[2]), .user = argv[3]};
    if (ssh_pki_import_privkey_file(argv[4], NULL, NULL, NULL, &target.key) != SSH_OK)
        fail(argv[4], NULL);
    unsigned n = number(argv[5]);
    if (strcmp(mode, "cold") == 0 && argc == 7)
        cold(&target, n, argv[6]);
    else if (strcmp(mode, "serial") == 0 && argc == 7)
        serial(&target, n, argv[6]);
    else if (strcmp(mode, "parallel") == 0 && argc == 9)
        parallel(&target, n, number(argv[6]), number(argv[7]), argv[8]);
    else if (strcmp(mode, "idle") == 0 && argc == 6)
        idle(&target, n);
    else if (strcmp(mode, "hold") == 0 && argc == 8)
        hold(&target, n, number(argv[6]), argv[7]);
    else if (strcmp(mode, "refused") == 0 && argc == 6)
        refused(&target, n);
    else
        return 64;
    ssh_key_free(target.key);
    return 0;
}
