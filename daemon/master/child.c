#include "child.h"
#include "server.h"

#include <signal.h>
#include <stdlib.h>

struct child *child_new(struct server *server, pid_t pid)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return NULL;
    *child = (struct child){.next = server->children, .pid = pid, .refs = 1};
    server->children = child;
    return child;
}

struct child *child_ref(struct child *child)
{
    child->refs++;
    return child;
}

static void forget(struct server *server, struct child *child)
{
    struct child **at = &server->children;
    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
    free(child);
}

void child_release(struct server *server, struct child *child)
{
    if (child == NULL || --child->refs > 0)
        return;
    if (child->reaped)
        forget(server, child);
    else if (child->stuck)
        (void)kill(child->pid, SIGKILL);
}

void child_reaped(struct server *server, pid_t pid)
{
    struct child *child = server->children;
    while (child != NULL && (child->reaped || child->pid != pid))
        child = child->next;
    if (child == NULL)
        return;
    child->reaped = true;
    if (child->refs == 0)
        forget(server, child);
}

void child_kill_all(struct server *server)
{
    for (struct child *child = server->children; child != NULL; child = child->next)
        if (!child->reaped)
            (void)kill(child->pid, SIGKILL);
}

void child_free_all(struct server *server)
{
    while (server->children != NULL)
        forget(server, server->children);
}
