/* The control socket's door: who comes in, and who is told why not. */
#include "cleanup.h"
#include "control.h"
#include "generation.h"
#include "log.h"
#include "state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum { ACCEPTS_PER_TURN = 8, OUT_OF_FDS_MS = 500 };

static void on_connection(struct loop_source *source);

int control_open(struct server *server, const struct server_config *config, struct err *err)
{
    if (config->control == NULL)
        return 0;
    struct control_point *control = calloc(1, sizeof *control);
    if (control == NULL)
        return err_set(err, errno, "control socket");
    *control =
        (struct control_point){.server = server, .sock = CONTROL_SOCKET_NONE, .source = {.fd = -1}};
    server->control = control;
    if (control_socket_open(&control->sock, config->control, err) < 0)
        return -1;
    return control_socket_permit(&control->sock, config, err);
}

void control_serve(struct server *server)
{
    struct control_point *control = server->control;
    struct err err = {0};
    if (control != NULL && control->source.fd < 0 &&
        loop_add(server->loop, &control->source, control->sock.fd, on_connection, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "control socket: %s", err.text);
}

void control_carry(struct state *state, struct server *server)
{
    bool there = server->control != NULL;
    state_bool(state, &there);
    if (!there)
        return;
    if (!state->saving && (server->control = calloc(1, sizeof *server->control)) == NULL) {
        state_refuse(state);
        return;
    }
    if (!state->saving)
        *server->control = (struct control_point){
            .server = server, .sock = CONTROL_SOCKET_NONE, .source = {.fd = -1}};
    control_socket_carry(state, &server->control->sock);
}

void control_apply(struct server *server, const struct server_config *config)
{
    const struct control_point *control = server->control;
    struct err err = {0};
    const char *open = control != NULL ? control->sock.path : "";
    if (strcmp(open, config->control != NULL ? config->control : "") != 0)
        log_line(LOG_LEVEL_WARNING, "'control' has changed: that takes effect at the next start");
    if (control != NULL && control_socket_permit(&control->sock, config, &err) < 0)
        log_line(LOG_LEVEL_ERROR, "%s", err.text);
}

static int read_peer(int fd, struct control_peer *peer, gid_t **groups)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || len != sizeof cred)
        return -1;
    *peer = (struct control_peer){.uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
    len = 0;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
    if (len == 0 || len > NGROUPS_MAX * sizeof **groups)
        return 0;
    *groups = malloc(len);
    /* Without its groups it is judged by the rest. */
    if (*groups == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, *groups, &len) < 0)
        return 0;
    peer->groups = *groups;
    peer->n_groups = len / sizeof **groups;
    return 0;
}

static bool has_room(const struct control_point *control, const struct control_peer *peer)
{
    size_t most = CONTROL_CLIENTS_MAX - (peer->uid == 0 ? 0 : CONTROL_ROOT_RESERVE);
    return control->n_clients < most;
}

static void take_connection(struct control_point *control, int fd)
{
    struct ipc link = {.fd = fd, .link = LINK_CONTROL, .self = FROM_MASTER, .state = STATE_READY};
    const struct server_config *config = &control->server->current->policy->server;
    cleanup_free gid_t *groups = NULL;
    struct control_peer peer;
    char why[IPC_LINE_MAX];
    if (read_peer(fd, &peer, &groups) < 0) {
        ipc_close(&link);
        return;
    }
    if (control_judge(&peer, config) == CONTROL_NONE) {
        control_refusal(&peer, CONTROL_READ, config, why, sizeof why);
        log_line(LOG_LEVEL_DEBUG, "control client (uid %u, process %d) refused", (unsigned)peer.uid,
                 (int)peer.pid);
        (void)control_send_end(&link, EX_NOPERM, why);
    } else if (!has_room(control, &peer)) {
        (void)control_send_end(&link, EX_TEMPFAIL,
                               "too many clients at the control socket; try again later");
    } else {
        control_admit(control, &link, &peer);
    }
    ipc_close(&link);
}

static void on_retry(struct loop_timer *timer)
{
    control_serve(CONTAINER_OF(timer, struct control_point, retry)->server);
}

static void on_connection(struct loop_source *source)
{
    struct control_point *control = CONTAINER_OF(source, struct control_point, source);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(control->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take_connection(control, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_remove(control->server->loop, &control->source);
            (void)loop_arm(control->server->loop, &control->retry, OUT_OF_FDS_MS, on_retry);
        }
        return;
    }
}
