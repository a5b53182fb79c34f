#include "learn_tasks.h"

#include <stdlib.h>

static struct task **place_of(struct tasks *tasks, pid_t tid)
{
    struct task **at = &tasks->buckets[(unsigned)tid % TASK_BUCKETS];
    while (*at != NULL && (*at)->tid != tid)
        at = &(*at)->next;
    return at;
}

struct task *tasks_find(const struct tasks *tasks, pid_t tid)
{
    return *place_of((struct tasks *)tasks, tid);
}

struct task *tasks_add(struct tasks *tasks, pid_t tid)
{
    struct task **at = place_of(tasks, tid);
    if (*at != NULL)
        return *at;
    *at = calloc(1, sizeof **at);
    if (*at != NULL)
        (*at)->tid = (*at)->tgid = tid;
    return *at;
}

void tasks_set_role(struct tasks *tasks, struct task *task, enum task_role role)
{
    tasks->n_command -= task->role == ROLE_COMMAND;
    task->role = role;
    tasks->n_command += task->role == ROLE_COMMAND;
}

void tasks_drop(struct tasks *tasks, pid_t tid)
{
    struct task **at = place_of(tasks, tid);
    struct task *task = *at;
    if (task == NULL)
        return;
    tasks_set_role(tasks, task, ROLE_UNKNOWN);
    *at = task->next;
    observed_clear(&task->call);
    free(task);
}

void tasks_free(struct tasks *tasks)
{
    for (size_t i = 0; i < TASK_BUCKETS; i++)
        while (tasks->buckets[i] != NULL)
            tasks_drop(tasks, tasks->buckets[i]->tid);
}

void tasks_each(const struct tasks *tasks, void (*fn)(struct task *task, void *arg), void *arg)
{
    for (size_t i = 0; i < TASK_BUCKETS; i++)
        for (struct task *task = tasks->buckets[i]; task != NULL; task = task->next)
            fn(task, arg);
}
