#include "serve.h"
#include "auth.h"
#include "chan.h"
#include "cleanup.h"
#include "confine.h"
#include "offer.h"
#include "over.h"
#include "overhear.h"
#include "provider.h"
#include "random_pool.h"
#include "requests.h"
#include "tell.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
#ifdef POSTERN_SANITIZE
    WATCHDOG_SECONDS = 30,
#else
    WATCHDOG_SECONDS = 3, /* of CPU time, for one turn of the loop */
#endif
    WATCHDOG_ARM_MS = 500, /* it is armed again in turns that come so long after the last time */
    READS_PER_TURN = 64,   /* of libssh, 4 KiB each */
    LITTLE = 2048,         /* bytes of packets, for a read: it has taken all there was */
    EVENTS_PER_TURN = 64,
    /* Input that waits, over all channels: more than 70 stalled ones with full windows. Above the
     * first the socket is left alone until some of it has gone; the second ends the connection. */
    HELD_PAUSE = 96 * 1024 * 1024,
    HELD_MAX = 128 * 1024 * 1024,
    /* What a peer may send before it has logged in: ten times what a login with many keys takes. */
    PREAUTH_PACKETS_MAX = 1000,
    PREAUTH_BYTES_MAX = 1024 * 1024,
    /* Answers that wait to be read, of libssh's making: after authentication and before. */
    ANSWERS_MAX = 4 * 1024 * 1024,
    ANSWERS_EARLY_MAX = 256 * 1024,
    PACKET_OVERHEAD = 64, /* bytes of a packet besides its payload, about */
    FAREWELL_MS = 1000,
};

static void leave(struct session *session, int status) __attribute__((noreturn));

/* libssh can be made to loop for ever (a client with a maximum packet size of 10), so each turn has
 * an allowance of CPU time; the signal's default action ends the process. No more CPU time can have
 * been used than time has passed, so most turns have nearly all of it left. */
static void arm_watchdog(struct session *session)
{
    struct itimerval timer = {.it_value = {.tv_sec = WATCHDOG_SECONDS}};
    if (session->armed_ms != 0 && session->now_ms - session->armed_ms < WATCHDOG_ARM_MS)
        return;
    if (setitimer(ITIMER_PROF, &timer, NULL) < 0)
        _exit(EXIT_FAILURE);
    session->armed_ms = session->now_ms;
}

static int set_socket_options(int fd, struct err *err)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        /* A peer that has vanished is noticed after three minutes. */
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 120},
        {IPPROTO_TCP, TCP_KEEPINTVL, 15},
        {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    /* libssh leaves it blocking and would sit in send() with a peer that doesn't read. */
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(err, errno, "make the socket non-blocking");
    for (size_t i = 0; i < array_len(options); i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                       sizeof options[i].value) < 0)
            return err_set(err, errno, "set socket option %d", options[i].name);
    return 0;
}

/* A client with Nagle's algorithm holds its next small request back until the last one has been
 * acknowledged, which the kernel would put off for 40 ms; it forgets the setting, so it is made in
 * every turn that has heard from the peer. */
static void acknowledge_at_once(const struct session *session)
{
    int on = 1;
    (void)setsockopt(session->tcp.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static int watch(const struct session *session, struct stream *stream, uint32_t events, int op,
                 struct err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = stream};
    if (epoll_ctl(session->epoll_fd, op, stream->fd, &event) < 0)
        return err_set(err, errno, "epoll");
    return 0;
}

static int open_session(struct session *session, int tcp_fd, struct err *err)
{
    session->tcp.fd = fcntl(tcp_fd, F_DUPFD_CLOEXEC, 0);
    if (session->tcp.fd < 0)
        return err_set(err, errno, "descriptors");
    session->link.fd = session->ask.link.fd;
    session->watched = EPOLLIN;
    if (set_socket_options(tcp_fd, err) < 0 ||
        watch(session, &session->tcp, EPOLLIN, EPOLL_CTL_ADD, err) < 0 ||
        watch(session, &session->link, EPOLLIN, EPOLL_CTL_ADD, err) < 0)
        return -1;
    /* libssh owns tcp_fd from here on. */
    return offer_connect(session->offer, session->ssh, tcp_fd, session->version, err);
}

/* By the master's word: who this is for and within which bounds. */
static int start(struct session *session, struct err *err)
{
    struct msg_evt_start start;
    if (ask_start(&session->ask, &start, err) < 0)
        return -1;
    enum log_level level = start.log_level <= LOG_LEVEL_TRACE ? start.log_level : LOG_LEVEL_TRACE;
    tell_open(&session->ask.link, level);
    overhear_start(level);
    (void)snprintf(session->version, sizeof session->version, "%s", start.version);
    session->max_auth_tries = start.max_auth_tries;
    session->max_channels = confine_limits(start.max_channels, start.record_max, err);
    return session->max_channels > 0 ? 0 : -1;
}

/* Too much waits for commands that do not read; a peer that has gone is heard out all the same. */
static bool is_paused(const struct session *session)
{
    return session->held > HELD_PAUSE && !session->hangup;
}

/* Whether the peer is gone; ssh_is_connected() stays true after a protocol error. */
static bool is_lost(const struct session *session)
{
    return (ssh_get_status(session->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0;
}

/* Has libssh read, decode and answer what has come, and write what is due, if anything has come or
 * can be written. Returns true if there may be more; what is left unread, the loop says again. */
static bool drive(struct session *session)
{
    const struct ssh_counter_struct *traffic = &session->traffic;
    if (!session->tcp.ready ||
        (is_paused(session) && !(ssh_get_status(session->ssh) & SSH_WRITE_PENDING)))
        return false;
    for (int i = 0; i < READS_PER_TURN; i++) {
        uint64_t packets = traffic->in_packets, bytes = traffic->in_bytes;
        int rc = ssh_event_dopoll(session->event, 0);
        if (rc == SSH_AGAIN || rc == SSH_ERROR)
            return false;
        if (traffic->in_packets != packets && traffic->in_bytes - bytes < LITTLE)
            return false;
        /* Going on after an error would put another one in its place. */
        if (session->closing || is_paused(session) || is_lost(session))
            return false;
    }
    return true;
}

/* The loop says again that there is more: to be expected where there are more channels. */
static void receive(struct session *session)
{
    struct event *event;
    struct err err = {0};
    bool may_read = session->link.ready;
    int rc;
    session->link.ready = false;
    while (!session->closing && (may_read || ask_has_queued(&session->ask)) &&
           (rc = ask_next(&session->ask, &event, &err)) != 0) {
        may_read = may_read && session->n_channels > 1;
        if (rc < 0) {
            session_link_lost(session, &err);
            return;
        }
        /* A channel that is over may still be spoken of: the message was under way. */
        struct channel *channel = chan_find(session, event->channel);
        if (event->type == MSG_EVT_CLOSE)
            session_close(session, false, event->text);
        else if (channel != NULL)
            chan_on_event(channel, event);
        event_free(event);
    }
}

/*
 * Each channel gets its turn; the one that comes first is another one each time. A write lets
 * libssh read, so what it got may concern a channel that has had its turn (a window's growth makes
 * no callback): then there is more to do before we may wait.
 */
static bool work(struct session *session)
{
    uint64_t packets = session->traffic.in_packets;
    bool more = false;
    struct channel *channel = session->channels, *next;
    for (; channel != NULL; channel = next) {
        next = channel->next;
        more |= chan_work(channel);
        if (chan_is_over(channel))
            chan_free(channel);
    }
    struct channel *first = session->channels;
    if (first != NULL && first->next != NULL) {
        session->channels = first->next;
        first->next = NULL;
        struct channel **end = &session->channels;
        while (*end != NULL)
            end = &(*end)->next;
        *end = first;
    }
    return more || session->traffic.in_packets != packets;
}

/* A peer that asks and asks but reads no answer makes libssh keep them all. Channels write nothing
 * while a write is pending, so what has come since it was not is answers. */
static void check_answers(struct session *session)
{
    uint64_t sent = session->traffic.out_bytes + session->traffic.out_packets * PACKET_OVERHEAD;
    if (!(ssh_get_status(session->ssh) & SSH_WRITE_PENDING))
        session->sent_mark = sent;
    if (sent - session->sent_mark <= (session->authed ? ANSWERS_MAX : ANSWERS_EARLY_MAX))
        return;
    TELL(LOG_LEVEL_INFO, "the client does not read the answers to what it sends");
    session_close(session, true, "answers are not read");
}

static void check_held(struct session *session)
{
    if (session->held <= HELD_MAX)
        return;
    TELL(LOG_LEVEL_INFO, "the client has %zu bytes of input waiting", session->held);
    session_close(session, true, "too much input waiting");
}

/* Messages that RFC 4253 lets anybody send at any time must not be sent for ever. */
static void check_preauth(struct session *session)
{
    if (session->authed || (session->traffic.in_packets <= PREAUTH_PACKETS_MAX &&
                            session->traffic.in_bytes <= PREAUTH_BYTES_MAX))
        return;
    TELL(LOG_LEVEL_INFO, "the client sends much and does not log in");
    session_close(session, true, "too much traffic before authentication");
}

static void wait_for_events(struct session *session, bool more)
{
    struct epoll_event events[EVENTS_PER_TURN];
    struct err err = {0};
    uint32_t wanted = is_paused(session) ? EPOLLRDHUP : EPOLLIN;
    if (ssh_get_status(session->ssh) & SSH_WRITE_PENDING)
        wanted |= EPOLLOUT;
    if (wanted != session->watched &&
        watch(session, &session->tcp, wanted, EPOLL_CTL_MOD, &err) == 0)
        session->watched = wanted;
    int n =
        epoll_wait(session->epoll_fd, events, EVENTS_PER_TURN, more ? 0 : over_timeout(session));
    session->now_ms = over_clock();
    for (int i = 0; i < n; i++) {
        struct stream *stream = events[i].data.ptr;
        stream->ready = true;
        if (stream == &session->tcp && (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            session->hangup = true;
    }
}

/* True for the ends that are nobody's fault. */
static bool is_orderly(const char *reason)
{
    return strncmp(reason, "Socket error", strlen("Socket error")) == 0 ||
           strncmp(reason, "Received SSH_MSG_DISCONNECT", strlen("Received SSH_MSG_DISCONNECT")) ==
               0;
}

/* libssh forgets what was wrong with the first line once it has closed the socket for it. */
static bool began_otherwise(const struct session *session)
{
    const char *banner = ssh_get_clientbanner(session->ssh);
    return banner != NULL && strncmp(banner, "SSH-", strlen("SSH-")) != 0;
}

static void leave_lost(struct session *session) __attribute__((noreturn));

static void leave_lost(struct session *session)
{
    const char *reason = ssh_get_error(session->ssh);
    if (began_otherwise(session))
        reason = "its first line is no SSH version";
    if (is_orderly(reason)) {
        TELL(LOG_LEVEL_DEBUG, "client gone: %s", reason);
        leave(session, EXIT_SUCCESS);
    }
    TELL(LOG_LEVEL_INFO, "protocol error: %s", reason[0] != '\0' ? reason : "malformed packet");
    leave(session, EXIT_FAILURE);
}

/* Lets the peer read the last bytes before the socket is closed: a close with input unread would
 * reset the connection and may take them back. */
static void linger(int fd)
{
    char waste[4096];
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    if (shutdown(fd, SHUT_WR) < 0)
        return;
    for (int i = 0; i < 64 && poll(&pfd, 1, FAREWELL_MS) > 0; i++)
        if (recv(fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
            return;
}

static void say_goodbye(struct session *session)
{
    TELL(LOG_LEVEL_DEBUG, "disconnecting: %s", session->close_text);
    /* ssh_disconnect() does not wait for what is still to be written. */
    for (int i = 0; i < 10 && !is_lost(session); i++) {
        if (ssh_event_dopoll(session->event, i == 0 ? 0 : FAREWELL_MS / 10) == SSH_ERROR)
            break;
        if (!(ssh_get_poll_flags(session->ssh) & SSH_WRITE_PENDING))
            break;
    }
    if (is_lost(session))
        return;
    (void)ssh_session_set_disconnect_message(session->ssh, session->close_text);
    ssh_disconnect(session->ssh);
    linger(session->tcp.fd);
}

/* The master hears of every exec that loses its client, once. */
static void leave(struct session *session, int status)
{
    for (struct channel *channel = session->channels; channel != NULL; channel = channel->next)
        chan_abandon(channel);
    if (session->closing && session->close_text[0] != '\0')
        say_goodbye(session);
    _exit(status);
}

/* The first bytes are exchanged here, under the filter. */
static void greet(struct session *session)
{
    if (ssh_handle_key_exchange(session->ssh) == SSH_ERROR)
        leave_lost(session);
    if (ssh_event_add_session(session->event, session->ssh) != SSH_OK)
        session_close(session, true, "out of memory");
}

static void run(struct session *session) __attribute__((noreturn));

static void run(struct session *session)
{
    while (true) {
        arm_watchdog(session);
        bool more = drive(session);
        if (session->tcp.ready)
            acknowledge_at_once(session);
        session->tcp.ready = false;
        receive(session);
        if (!session->closing && is_lost(session))
            leave_lost(session);
        if (!session->closing)
            more |= work(session);
        check_held(session);
        check_answers(session);
        check_preauth(session);
        if (session->closing)
            leave(session, session->failed ? EXIT_FAILURE : EXIT_SUCCESS);
        wait_for_events(session, more);
    }
}

/* libcrypto's generators have to be seeded anew in every process. */
static int seed(struct err *err)
{
    unsigned char random[16];
    random_pool_start();
    if (RAND_bytes(random, sizeof random) != 1 || RAND_priv_bytes(random, sizeof random) != 1)
        return err_set(err, 0, "libcrypto has no random numbers");
    return 0;
}

/* All but what the connection decides; to be tried again if it failed. */
static int prepare(struct session *session, struct err *err)
{
    if (session->event != NULL)
        return 0;
    if (seed(err) < 0)
        return -1;
    if (session->epoll_fd < 0 && (session->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return err_set(err, errno, "epoll");
    if (session->ssh == NULL && (session->ssh = offer_session(session->offer, err)) == NULL)
        return -1;
    ssh_set_counters(session->ssh, NULL, &session->traffic);
    auth_listen(session);
    requests_listen(session);
    session->event = ssh_event_new();
    return session->event != NULL ? 0 : err_set(err, 0, "no memory");
}

struct session *serve_prepare(const struct offer *offer)
{
    static struct session session = {
        .epoll_fd = -1, .tcp = {.fd = -1, .ready = true}, .link = {.fd = -1}};
    struct err err = {0};
    session.offer = offer;
    /* The connection that it fails for is to hear of it. */
    (void)prepare(&session, &err);
    return &session;
}

void serve_or_exit(struct session *session, int tcp_fd, int link_fd, const struct filter *filter)
{
    struct err err = {0};
    session->ask.link = (struct ipc){
        .fd = link_fd, .link = LINK_SESSION, .self = FROM_PEER, .state = STATE_PREAUTH};
    provider_set_master(&session->ask);
    session->now_ms = over_clock();
    arm_watchdog(session);
    /* From the filter on nothing but the listed system calls is possible; only then is the peer
     * listened to. */
    if (start(session, &err) < 0 || prepare(session, &err) < 0 ||
        open_session(session, tcp_fd, &err) < 0 || filter_install(filter, &err) < 0) {
        TELL(LOG_LEVEL_INFO, "session: %s", err.text);
        _exit(EXIT_FAILURE);
    }
    greet(session);
    run(session);
}
