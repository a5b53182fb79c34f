/*
 * env_list.h - the environment variables that a channel has collected before its exec.
 */
#ifndef POSTERN_DAEMON_SESSION_ENV_LIST_H
#define POSTERN_DAEMON_SESSION_ENV_LIST_H

#include "backlog.h"
#include "messages.h"

#include <stdbool.h>

enum { ENV_LIST_COUNT_MAX = 64 };

/* Empty when zeroed; names and values are parallel lists in wire_strv form. */
struct env_list {
    struct backlog names, values;
    uint32_t count;
};

/* True if one more variable of this name and value is within every bound. */
bool env_list_has_room(const struct env_list *list, const char *name, const char *value);

/* Appends. Returns 0, or -1 if there is no room or no memory; the list is unchanged then. */
int env_list_add(struct env_list *list, const char *name, const char *value);

/* Views for a request; valid until the next change. */
struct wire_strv env_list_names(const struct env_list *list);
struct wire_strv env_list_values(const struct env_list *list);

void env_list_free(struct env_list *list);

#endif
