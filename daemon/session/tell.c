#include "tell.h"

#include <stdarg.h>
#include <stdio.h>

static struct ipc *master;
static enum log_level threshold;

void tell_open(struct ipc *link, enum log_level level)
{
    master = link;
    threshold = level;
}

bool tell_enabled(enum log_level level)
{
    return master != NULL && level <= threshold;
}

void tell_line(enum log_level level, const char *fmt, ...)
{
    char text[IPC_LINE_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    struct ipc_msg msg = {.type = MSG_EVT_LOG, .evt_log = {.level = (uint8_t)level, .text = text}};
    /* A master that is gone is noticed by the loop. */
    (void)ipc_send(master, &msg, NULL, 0, true, NULL);
}
