#include "env_list.h"

#include <string.h>

bool env_list_has_room(const struct env_list *list, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    return list->count < ENV_LIST_COUNT_MAX && name_len <= IPC_ENV_NAME_MAX &&
           value_len <= IPC_ENV_VALUE_MAX && list->names.len + name_len + 1 <= IPC_ENV_MAX &&
           list->values.len + value_len + 1 <= IPC_ENV_MAX;
}

int env_list_add(struct env_list *list, const char *name, const char *value)
{
    if (!env_list_has_room(list, name, value))
        return -1;
    if (backlog_put(&list->names, name, strlen(name) + 1, IPC_ENV_MAX) < 0)
        return -1;
    if (backlog_put(&list->values, value, strlen(value) + 1, IPC_ENV_MAX) < 0) {
        list->names.len -= strlen(name) + 1;
        return -1;
    }
    list->count++;
    return 0;
}

static struct wire_strv view(const struct backlog *strings, uint32_t count)
{
    if (count == 0)
        return (struct wire_strv){.data = ""};
    return (struct wire_strv){
        .data = (const char *)backlog_front(strings), .len = strings->len, .count = count};
}

struct wire_strv env_list_names(const struct env_list *list)
{
    return view(&list->names, list->count);
}

struct wire_strv env_list_values(const struct env_list *list)
{
    return view(&list->values, list->count);
}

void env_list_free(struct env_list *list)
{
    backlog_free(&list->names);
    backlog_free(&list->values);
    list->count = 0;
}
