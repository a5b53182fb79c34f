/*
 * control_socket.h - the file of the control socket (unix(7), SOCK_SEQPACKET): made, opened to
 * those whom the configuration names, and removed.
 */
#ifndef POSTERN_DAEMON_MASTER_CONTROL_SOCKET_H
#define POSTERN_DAEMON_MASTER_CONTROL_SOCKET_H

#include "err.h"
#include "policy.h"

struct control_socket {
    int fd;                          /* listening; -1: there is none */
    int dir_fd;                      /* its directory, -1 likewise */
    char path[CONTROL_PATH_MAX + 1]; /* absolute */
    dev_t device;                    /* of what we have bound */
    ino_t inode;
    bool made_dir;
};

#define CONTROL_SOCKET_NONE                                                                        \
    (struct control_socket)                                                                        \
    {                                                                                              \
        .fd = -1, .dir_fd = -1                                                                     \
    }

/*
 * Listens at `path`, for root alone at first. A directory of which only the last name is missing is
 * made (0755); it must be in the hands of root alone. What a dead server has left is replaced; that
 * of a living one is an error (EX_UNAVAILABLE), as is anything else that has the name. Returns 0,
 * or -1 with err (and a sysexits code).
 */
int control_socket_open(struct control_socket *sock, const char *path, struct err *err);

/* Lets those connect whom the configuration names; who may do what is judged at each connection
 * (control_judge.h). Returns 0, or -1 with err. */
int control_socket_permit(const struct control_socket *sock, const struct server_config *config,
                          struct err *err);

/* For a handover (state.h). */
struct state;
void control_socket_carry(struct state *state, struct control_socket *sock);

/* Closes it and removes what control_socket_open() has made, as far as it is still ours. */
void control_socket_close(struct control_socket *sock);

#endif
