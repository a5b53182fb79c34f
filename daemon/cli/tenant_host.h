/*
 * tenant_host.h - what a new tenant's policy has to know of this host.
 */
#ifndef POSTERN_DAEMON_CLI_TENANT_HOST_H
#define POSTERN_DAEMON_CLI_TENANT_HOST_H

#include "host_limits.h"
#include "policy.h"
#include "tenant_template.h"

enum { HOST_NOTES = 2, HOST_NOTE_MAX = 512 };

/* What clients may call it: by where it listens, or its own name. Points into `server` or `buf`. */
const char *tenant_host_name(const struct server_config *server, char *buf, size_t cap);

/* What the template asks for and this host doesn't have: is to become comments, and each has a line
 * to be told, printable, or "". */
void tenant_host_lacks(const struct server_config *server, const struct host_limits *known,
                       const char *template, struct template_wish *wish,
                       char notes[HOST_NOTES][HOST_NOTE_MAX]);

#endif
