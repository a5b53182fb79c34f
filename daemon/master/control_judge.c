#include "control_judge.h"

#include <stdio.h>

static bool is_member(const struct control_peer *peer, const struct group_choice *group)
{
    if (group->name == NULL)
        return false;
    bool is = peer->gid == group->gid;
    for (size_t i = 0; i < peer->n_groups && !is; i++)
        is = peer->groups[i] == group->gid;
    return is;
}

enum control_rights control_judge(const struct control_peer *peer,
                                  const struct server_config *config)
{
    if (peer->uid == 0 || is_member(peer, &config->admin_group))
        return CONTROL_ADMIN;
    return is_member(peer, &config->control_group) ? CONTROL_READ : CONTROL_NONE;
}

char *control_refusal(const struct control_peer *peer, enum control_rights needed,
                      const struct server_config *config, char *buf, size_t len)
{
    const char *admin = config->admin_group.name, *watch = config->control_group.name;
    const char *what =
        needed == CONTROL_ADMIN ? "this is for root" : "the control socket is for root";
    const char *keys =
        needed == CONTROL_ADMIN ? "admin-group =" : "control-group = or admin-group =";
    if (needed == CONTROL_ADMIN)
        watch = NULL;
    if (admin == NULL && watch == NULL)
        (void)snprintf(buf, len, "%s, not uid %u; %s in [server] of postern.ini lets a group in",
                       what, (unsigned)peer->uid, keys);
    else
        (void)snprintf(
            buf, len, "%s and members of group %s%s%s, not uid %u; after joining it log in again",
            what, admin != NULL ? admin : "", admin != NULL && watch != NULL ? " or " : "",
            watch != NULL ? watch : "", (unsigned)peer->uid);
    return buf;
}
