#include "overhear.h"
#include "tell.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char name[128] = "(unknown)";
static bool wants_reply = true;

/* Copies what lies between the first `before` and the last `after`; false if they aren't there. */
static bool cut(const char *line, const char *before, const char *after)
{
    const char *start = strstr(line, before), *end = NULL;
    if (start == NULL)
        return false;
    start += strlen(before);
    for (const char *at = strstr(start, after); at != NULL; at = strstr(at + 1, after))
        end = at;
    if (end == NULL)
        return false;
    (void)snprintf(name, sizeof name, "%.*s", (int)(end - start), start);
    return true;
}

/* The number after the last `key`; -1 if there is none. */
static int number_after(const char *line, const char *key)
{
    const char *found = NULL;
    for (const char *at = strstr(line, key); at != NULL; at = strstr(at + 1, key))
        found = at;
    return found != NULL ? (int)strtol(found + strlen(key), NULL, 10) : -1;
}

static void on_global_request(const char *line)
{
    int wanted;
    bool known = false;
    if (cut(line, "UNKNOWN SSH_MSG_GLOBAL_REQUEST ", ", want_reply = ")) {
        wanted = number_after(line, "want_reply = ");
    } else if (strstr(line, "Received keepalive@openssh.com ") != NULL) {
        known = true;
        (void)snprintf(name, sizeof name, "keepalive@openssh.com");
        wanted = number_after(line, "keepalive@openssh.com ");
    } else if (cut(line, "Received SSH_MSG_GLOBAL_REQUEST ", ":")) {
        /* "tcpip-forward 1 host" is left of it; an address may have colons of its own. */
        char *space = strchr(name, ' ');
        wanted = space != NULL ? (int)strtol(space, NULL, 10) : -1;
        if (space != NULL)
            *space = '\0';
    } else {
        return;
    }
    TRACE("<- global request %s", name);
    if (wanted != 0)
        TRACE("-> %s", known ? "success" : "failure");
}

void overhear_line(const char *function, const char *line)
{
    if (strcmp(function, "ssh_message_handle_channel_request") == 0) {
        if (cut(line, "Received a ", " channel_request for channel ("))
            wants_reply = number_after(line, "(want_reply=") != 0;
    } else if (strcmp(function, "ssh_packet_channel_open") == 0) {
        (void)cut(line, "Clients wants to open a ", " channel");
    } else if (strcmp(function, "ssh_packet_global_request") == 0) {
        on_global_request(line);
    } else if (strcmp(function, "channel_rcv_request") == 0) {
        /* libssh answers these two itself and does not say for which channel. */
        if (strstr(line, "auth-agent-req") != NULL)
            TRACE("<- request auth-agent-req@openssh.com: refused");
        else if (strstr(line, "keepalive") != NULL)
            TRACE("<- request keepalive@openssh.com: answered");
    }
}

static void on_log(int priority, const char *function, const char *line, void *userdata)
{
    (void)userdata;
    if (priority <= SSH_LOG_WARNING)
        TELL(LOG_LEVEL_DEBUG, "libssh: %s", line);
    else
        overhear_line(function, line);
}

void overhear_start(enum log_level level)
{
    int verbosity = SSH_LOG_NOLOG;
    if (level >= LOG_LEVEL_TRACE)
        verbosity = SSH_LOG_PACKET;
    else if (level >= LOG_LEVEL_DEBUG)
        verbosity = SSH_LOG_WARNING;
    (void)ssh_set_log_callback(on_log);
    (void)ssh_set_log_level(verbosity);
}

const char *overhear_name(void)
{
    return name;
}

bool overhear_wants_reply(void)
{
    return wants_reply;
}
