/*
 * hostile-session - takes the place of postern-session and does to posternd whatever the TCP client
 * asks for. It stands for a session whose memory the client has taken over: every line from the
 * client is one step, a verb of `verbs` with its arguments, and is answered by one line. It never
 * looks at its link unless told to, and never leaves by itself while the client is there.
 *
 * The zygote part sends forged messages along with each true one; a signal makes it send worse.
 */
#include "cleanup.h"
#include "ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    LINK_FD = 3,
    CHILDREN_MAX = 64,
    ARGS_MAX = 6,
    FDS_MAX = 253,    /* of one datagram; the kernel's SCM_MAX_FD */
    LIFE_S = 600,     /* of a session that a failed test has left behind */
    RECV_MS = 30000,  /* for the master's answer */
    NOBODY = 1 << 30, /* number of a connection that does not exist */
};

/* What is done to the next message instead of just sending it. */
struct twist {
    unsigned times, fds, cut, pad;
};

struct session {
    struct ipc link;
    int tcp_fd;
    int output_fd; /* stdout of the exec that was allowed last */
    int record_fd; /* what it is recorded in */
    struct twist next;
};

static struct ipc_in in;
static unsigned char datagram[2 * IPC_DATAGRAM_MAX];

static const struct twist plain = {.times = 1};

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

/* Bytes from hexadecimal, in place; "-" is none. */
static struct wire_bytes unhex(char *text)
{
    struct wire_bytes bytes = {.data = (unsigned char *)text};
    char pair[3] = "";
    for (size_t i = 0; text[i] != '\0' && text[i + 1] != '\0'; i += 2) {
        memcpy(pair, text + i, 2);
        text[bytes.len++] = (char)strtoul(pair, NULL, 16);
    }
    return bytes;
}

/* The surplus descriptors are the client's socket: one that leaks keeps the connection open. */
static bool send_datagram(const struct session *session, size_t len, unsigned n_fds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = {0};
    struct iovec iov = {.iov_base = datagram, .iov_len = len};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds > 0) {
        hdr.msg_control = control.space;
        hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        for (unsigned i = 0; i < n_fds; i++)
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &session->tcp_fd, sizeof(int));
    }
    return sendmsg(session->link.fd, &hdr, MSG_NOSIGNAL) >= 0;
}

static void transmit(struct session *session, size_t len)
{
    struct twist twist = session->next;
    unsigned sent = 0;
    session->next = plain;
    len -= twist.cut < len ? twist.cut : len;
    memset(datagram + len, 0, twist.pad);
    while (sent < twist.times && send_datagram(session, len + twist.pad, twist.fds))
        sent++;
    dprintf(session->tcp_fd, "sent %u\n", sent);
}

static void encode(struct session *session, const struct ipc_msg *msg)
{
    size_t len = msg_encode(msg, datagram, sizeof datagram);
    if (len == 0)
        dprintf(session->tcp_fd, "%s can't be encoded\n", msg_name(msg->type));
    else
        transmit(session, len);
}

/* ping */
static void do_ping(struct session *session, char **args)
{
    (void)args;
    dprintf(session->tcp_fd, "pong\n");
}

/* next TIMES FDS CUT PAD: send the next message so often, with descriptors, shortened, lengthened
 */
static void do_next(struct session *session, char **args)
{
    session->next =
        (struct twist){number(args[0]), number(args[1]), number(args[2]), number(args[3])};
    bool fits = session->next.fds <= FDS_MAX && session->next.pad <= IPC_DATAGRAM_MAX;
    dprintf(session->tcp_fd, fits ? "next\n" : "too much\n");
    if (!fits)
        session->next = plain;
}

/* sign KEY ALGORITHM DIGEST_LEN EXCHANGE */
static void do_sign(struct session *session, char **args)
{
    struct ipc_msg msg = {.type = MSG_REQ_SIGN,
                          .req_sign = {.key = number(args[0]),
                                       .algorithm = args[1],
                                       .digest_len = (uint8_t)number(args[2]),
                                       .exchange = unhex(args[3])}};
    encode(session, &msg);
}

/* auth METHOD USER SIGNATURE BLOB */
static void do_auth(struct session *session, char **args)
{
    struct ipc_msg msg = {.type = MSG_REQ_AUTH,
                          .req_auth = {.method = args[0],
                                       .user = args[1],
                                       .signature = unhex(args[2]),
                                       .blob = unhex(args[3])}};
    encode(session, &msg);
}

/* env CHANNEL NAME VALUE */
static void do_env(struct session *session, char **args)
{
    struct ipc_msg msg = {
        .type = MSG_REQ_ENV,
        .req_env = {.channel = number(args[0]), .name = args[1], .value = args[2]}};
    encode(session, &msg);
}

static struct wire_strv strings(unsigned count)
{
    static const char empty[IPC_ENV_NAME_MAX];
    struct wire_strv v = {.data = empty, .len = count, .count = count};
    return v;
}

/* exec CHANNEL KIND COMMAND NAMES VALUES: the last two are numbers of (empty) strings */
static void do_exec(struct session *session, char **args)
{
    struct ipc_msg msg = {.type = MSG_REQ_EXEC,
                          .req_exec = {.channel = number(args[0]),
                                       .kind = (uint8_t)number(args[1]),
                                       .command = unhex(args[2]),
                                       .env_names = strings(number(args[3]) % IPC_ENV_NAME_MAX),
                                       .env_values = strings(number(args[4]) % IPC_ENV_NAME_MAX)}};
    encode(session, &msg);
}

/* bulk CHANNEL COUNT SIZE: asks for so many execs, on this channel and the next ones; the command
 * has SIZE bytes, and about as many has the environment */
static void do_bulk(struct session *session, char **args)
{
    static char command[IPC_COMMAND_MAX], texts[IPC_ENV_MAX];
    unsigned channel = number(args[0]), count = number(args[1]), size = number(args[2]), sent = 0;
    if (size > IPC_COMMAND_MAX)
        size = IPC_COMMAND_MAX;
    unsigned values = size / IPC_ENV_VALUE_MAX;
    memset(command, 'x', sizeof command);
    memset(texts, 'x', sizeof texts);
    for (unsigned i = 1; i <= values; i++)
        texts[i * IPC_ENV_VALUE_MAX - 1] = '\0';
    struct ipc_msg msg = {
        .type = MSG_REQ_EXEC,
        .req_exec = {
            .command = {.data = (unsigned char *)command, .len = size},
            .env_names = strings(values),
            .env_values = {.data = texts, .len = values * IPC_ENV_VALUE_MAX, .count = values}}};
    for (; sent < count; sent++) {
        msg.req_exec.channel = channel + sent;
        size_t len = msg_encode(&msg, datagram, sizeof datagram);
        if (len == 0 || !send_datagram(session, len, 0))
            break;
    }
    dprintf(session->tcp_fd, "sent %u\n", sent);
}

/* gone CHANNEL */
static void do_gone(struct session *session, char **args)
{
    struct ipc_msg msg = {.type = MSG_EVT_GONE, .evt_gone = {.channel = number(args[0])}};
    encode(session, &msg);
}

/* over CHANNEL LIMIT */
static void do_over(struct session *session, char **args)
{
    struct ipc_msg msg = {
        .type = MSG_EVT_OVER,
        .evt_over = {.channel = number(args[0]), .limit = (uint8_t)number(args[1])}};
    encode(session, &msg);
}

/* done CHANNEL */
static void do_done(struct session *session, char **args)
{
    struct ipc_msg msg = {.type = MSG_EVT_DONE,
                          .evt_done = {.channel = number(args[0]),
                                       .bytes_in = UINT64_MAX,
                                       .bytes_out = UINT64_MAX,
                                       .bytes_err = UINT64_MAX}};
    encode(session, &msg);
}

/* log LEVEL TEXT */
static void do_log(struct session *session, char **args)
{
    struct wire_bytes text = unhex(args[1]);
    args[1][text.len] = '\0';
    struct ipc_msg msg = {.type = MSG_EVT_LOG,
                          .evt_log = {.level = (uint8_t)number(args[0]), .text = args[1]}};
    encode(session, &msg);
}

/* raw TYPE BODY: the type is a name or a number */
static void do_raw(struct session *session, char **args)
{
    unsigned type = MSG_NONE + 1;
    while (type < MSG_COUNT && strcmp(msg_name(type), args[0]) != 0)
        type++;
    struct wire_writer w = {.buf = datagram, .cap = sizeof datagram};
    wire_put_u32(&w, type < MSG_COUNT ? type : number(args[0]));
    struct wire_bytes body = unhex(args[1]);
    if (body.len > IPC_DATAGRAM_MAX - w.len)
        body.len = IPC_DATAGRAM_MAX - w.len;
    memcpy(datagram + w.len, body.data, body.len);
    transmit(session, w.len + body.len);
}

/* empty: a datagram of no bytes */
static void do_empty(struct session *session, char **args)
{
    (void)args;
    transmit(session, 0);
}

static void tell_message(struct session *session)
{
    const struct ipc_msg *msg = &in.msg;
    int fd = session->tcp_fd;
    if (msg->type == MSG_ANS_AUTH) {
        dprintf(fd, "ANS_AUTH %u\n", msg->ans_auth.accepted);
    } else if (msg->type == MSG_ANS_SIGN) {
        dprintf(fd, "ANS_SIGN ");
        for (size_t i = 0; i < msg->ans_sign.signature.len; i++)
            dprintf(fd, "%02x", msg->ans_sign.signature.data[i]);
        dprintf(fd, "\n");
    } else if (msg->type == MSG_ANS_ENV)
        dprintf(fd, "ANS_ENV %u %u\n", msg->ans_env.channel, msg->ans_env.accepted);
    else if (msg->type == MSG_ANS_EXEC)
        dprintf(fd, "ANS_EXEC %u %u %s\n", msg->ans_exec.channel, msg->ans_exec.allowed,
                msg->ans_exec.exec_id);
    else if (msg->type == MSG_EVT_EXIT)
        dprintf(fd, "EVT_EXIT %u %u %u\n", msg->evt_exit.channel, msg->evt_exit.signalled,
                msg->evt_exit.code);
    else
        dprintf(fd, "%s\n", msg_name(msg->type));
    if (msg->type == MSG_ANS_EXEC && msg->ans_exec.allowed) {
        close_fd(&session->output_fd);
        session->output_fd = ipc_take_fd(&in, 1);
        close_fd(&session->record_fd);
        if (msg->ans_exec.recorded)
            session->record_fd = ipc_take_fd(&in, in.n_fds - 1);
    }
    ipc_drop_fds(&in);
}

/* recv: one message from the master */
static void do_recv(struct session *session, char **args)
{
    struct pollfd pollfd = {.fd = session->link.fd, .events = POLLIN};
    struct err err = {0};
    (void)args;
    if (poll(&pollfd, 1, RECV_MS) <= 0)
        dprintf(session->tcp_fd, "nothing\n");
    else if (ipc_recv(&session->link, &in, false, &err) == IPC_OK)
        tell_message(session);
    else
        dprintf(session->tcp_fd, "end\n");
}

/* output: what the exec that was allowed last has written, to its end */
static void do_output(struct session *session, char **args)
{
    unsigned char buf[4096];
    ssize_t n;
    (void)args;
    dprintf(session->tcp_fd, "output ");
    while ((n = read(session->output_fd, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n; i++)
            dprintf(session->tcp_fd, "%02x", buf[i]);
    dprintf(session->tcp_fd, "\n");
    close_fd(&session->output_fd);
}

/* record SIZE: so many bytes of junk for the recording, after an attempt to forget what is there */
static void do_record(struct session *session, char **args)
{
    static char junk[65536];
    size_t left = number(args[0]), done = 0;
    ssize_t n = 0;
    memset(junk, 'j', sizeof junk);
    (void)lseek(session->record_fd, 0, SEEK_SET);
    for (; left > 0; left -= (size_t)n, done += (size_t)n) {
        n = write(session->record_fd, junk, left < sizeof junk ? left : sizeof junk);
        if (n <= 0)
            break;
    }
    dprintf(session->tcp_fd, "recorded %zu %s\n", done, n < 0 ? strerrorname_np(errno) : "all");
}

/* hangup: the link is closed, the client's socket is not */
static void do_hangup(struct session *session, char **args)
{
    (void)args;
    ipc_close(&session->link);
    dprintf(session->tcp_fd, "hung up\n");
}

/* crash SIGNAL */
static void do_crash(struct session *session, char **args)
{
    (void)session;
    (void)signal((int)number(args[0]), SIG_DFL);
    (void)kill(getpid(), (int)number(args[0]));
}

static const struct verb {
    const char *name;
    int n_args;
    void (*run)(struct session *session, char **args);
} verbs[] = {
    {"ping", 0, do_ping},     {"next", 4, do_next},   {"auth", 4, do_auth},
    {"sign", 4, do_sign},     {"env", 3, do_env},     {"exec", 5, do_exec},
    {"gone", 1, do_gone},     {"done", 1, do_done},   {"log", 2, do_log},
    {"raw", 2, do_raw},       {"empty", 0, do_empty}, {"recv", 0, do_recv},
    {"output", 0, do_output}, {"crash", 1, do_crash}, {"hangup", 0, do_hangup},
    {"over", 2, do_over},     {"bulk", 3, do_bulk},   {"record", 1, do_record},
};

static void obey(struct session *session, char *line)
{
    char *args[ARGS_MAX + 1] = {0}, *rest = line;
    int n = 0;
    while (n < ARGS_MAX && (args[n] = strtok_r(rest, " \n", &rest)) != NULL)
        n++;
    for (size_t i = 0; i < array_len(verbs); i++) {
        if (n == verbs[i].n_args + 1 && strcmp(args[0], verbs[i].name) == 0) {
            verbs[i].run(session, args + 1);
            return;
        }
    }
    dprintf(session->tcp_fd, "what?\n");
}

/* As confine_limits() has done before the client's first byte. */
static void limit_files(uint64_t most)
{
    const struct rlimit limit = {most, most};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(EXIT_FAILURE);
}

static void serve(int tcp_fd, int link_fd) __attribute__((noreturn));

static void serve(int tcp_fd, int link_fd)
{
    struct session session = {
        .link = {.fd = link_fd, .link = LINK_SESSION, .self = FROM_PEER, .state = STATE_PREAUTH},
        .tcp_fd = tcp_fd,
        .output_fd = -1,
        .record_fd = -1,
        .next = plain};
    struct err err = {0};
    FILE *stream = fdopen(tcp_fd, "r");
    char *line = NULL;
    size_t cap = 0;
    alarm(LIFE_S);
    if (stream == NULL || ipc_recv(&session.link, &in, true, &err) != IPC_OK)
        _exit(EXIT_FAILURE);
    limit_files(in.msg.evt_start.record_max);
    dprintf(tcp_fd, "connection %s %s\n", in.msg.evt_start.conn_id, in.msg.evt_start.version);
    session.link.state = STATE_AUTHED;
    while (getline(&line, &cap, stream) > 0)
        obey(&session, line);
    _exit(EXIT_SUCCESS);
}

/* The zygote. */

static struct {
    pid_t pid;
    uint64_t conn;
} children[CHILDREN_MAX];

/* A master that has had enough of us is seen by the loop. */
static void say(struct ipc *link, const struct ipc_msg *msg, int fd)
{
    (void)ipc_send(link, msg, &fd, fd >= 0 ? 1 : 0, true, NULL);
}

static void say_accepted(struct ipc *link, uint64_t conn, bool ok, int fd)
{
    struct ipc_msg msg = {.type = MSG_ANS_ACCEPT, .ans_accept = {.conn = conn, .ok = ok}};
    say(link, &msg, fd);
}

static void say_died(struct ipc *link, uint64_t conn, unsigned signo, unsigned status)
{
    struct ipc_msg msg = {.type = MSG_EVT_DIED,
                          .evt_died = {.conn = conn, .signo = signo, .status = status}};
    say(link, &msg, -1);
}

/* Returns a pidfd of the new session, or -1. */
static int fork_session(struct ipc *link, int signal_fd)
{
    size_t slot = 0;
    sigset_t none;
    while (slot < CHILDREN_MAX && children[slot].pid != 0)
        slot++;
    pid_t pid = slot < CHILDREN_MAX ? fork() : -1;
    if (pid == 0) {
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        close(signal_fd);
        ipc_close(link);
        serve(ipc_take_fd(&in, 0), ipc_take_fd(&in, 1));
    }
    if (pid < 0)
        return -1;
    children[slot].pid = pid;
    children[slot].conn = in.msg.req_accept.conn;
    return pidfd_open(pid, 0);
}

static void accept_connection(struct ipc *link, int signal_fd)
{
    uint64_t conn = in.msg.req_accept.conn;
    cleanup_fd int junk = open("/dev/null", O_RDWR | O_CLOEXEC);
    say_accepted(link, NOBODY, true, junk);
    say_accepted(link, NOBODY, false, junk);
    cleanup_fd int pidfd = fork_session(link, signal_fd);
    ipc_drop_fds(&in);
    say_accepted(link, conn, pidfd >= 0, pidfd);
    say_accepted(link, conn, true, junk);
    say_accepted(link, conn, true, pidfd);
    say_died(link, NOBODY, 0, 1);
}

static void reap_children(struct ipc *link)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        size_t slot = 0;
        while (slot < CHILDREN_MAX && children[slot].pid != pid)
            slot++;
        if (slot == CHILDREN_MAX)
            continue;
        children[slot].pid = 0;
        unsigned signo = WIFSIGNALED(status) ? (unsigned)WTERMSIG(status) : 0;
        say_died(link, children[slot].conn, signo, signo != 0 ? 0 : (unsigned)WEXITSTATUS(status));
        say_died(link, children[slot].conn, 0, 1);
    }
}

static void on_signal(struct ipc *link, int signal_fd)
{
    static const unsigned char unknown[] = {0, 0, 0, MSG_COUNT};
    struct ipc_msg ready = {.type = MSG_ZYGOTE_READY};
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap_children(link);
        else if (info.ssi_signo == SIGUSR1)
            (void)send(link->fd, unknown, sizeof unknown, MSG_NOSIGNAL);
        else if (info.ssi_signo == SIGUSR2)
            say_died(link, NOBODY, SIGSEGV, 0);
        else if (info.ssi_signo == SIGURG)
            say(link, &ready, -1);
    }
}

/* The master's word is kept until it closes the link. */
static void run(struct ipc *link, int signal_fd)
{
    struct pollfd fds[] = {{.fd = link->fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    struct err err = {0};
    while (true) {
        if (poll(fds, array_len(fds), -1) < 0)
            continue;
        if (fds[1].revents != 0)
            on_signal(link, signal_fd);
        if (fds[0].revents == 0)
            continue;
        enum ipc_result got = ipc_recv(link, &in, false, &err);
        if (got == IPC_EOF || got == IPC_ERROR)
            return;
        if (got == IPC_OK)
            accept_connection(link, signal_fd);
    }
}

static int watch_signals(void)
{
    static const int watched[] = {SIGCHLD, SIGUSR1, SIGUSR2, SIGURG};
    static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < array_len(watched); i++)
        sigaddset(&set, watched[i]);
    for (size_t i = 0; i < array_len(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(void)
{
    struct ipc link = {
        .fd = LINK_FD, .link = LINK_ZYGOTE, .self = FROM_PEER, .state = STATE_STARTING};
    struct ipc_msg ready = {.type = MSG_ZYGOTE_READY};
    struct err err = {0};
    int signal_fd = watch_signals();
    if (signal_fd < 0 || ipc_recv(&link, &in, true, &err) != IPC_OK)
        return EXIT_FAILURE;
    uid_t uid = in.msg.evt_setup.uid;
    gid_t gid = in.msg.evt_setup.gid;
    ipc_drop_fds(&in);
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return EXIT_FAILURE;
    say(&link, &ready, -1);
    link.state = STATE_READY;
    run(&link, signal_fd);
    return EXIT_SUCCESS;
}
