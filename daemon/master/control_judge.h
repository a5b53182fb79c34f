/*
 * control_judge.h - who may do what through the control socket. Pure.
 */
#ifndef POSTERN_DAEMON_MASTER_CONTROL_JUDGE_H
#define POSTERN_DAEMON_MASTER_CONTROL_JUDGE_H

#include "policy.h"

/* Each holds those before it. */
enum control_rights { CONTROL_NONE, CONTROL_READ, CONTROL_ADMIN };

/* What the kernel says of a peer: SO_PEERCRED and SO_PEERGROUPS (unix(7)). */
struct control_peer {
    uid_t uid;
    pid_t pid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
};

/* Root may do everything, as may members of admin-group; members of control-group may look. */
enum control_rights control_judge(const struct control_peer *peer,
                                  const struct server_config *config);

/* Why `rights` are not enough for what needs `needed`, and what helps, for the peer; returns buf.
 */
char *control_refusal(const struct control_peer *peer, enum control_rights needed,
                      const struct server_config *config, char *buf, size_t len);

#endif
