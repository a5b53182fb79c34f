#include "tenant_host.h"
#include "host_limits.h"
#include "values.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

const char *tenant_host_name(const struct server_config *server, char *buf, size_t cap)
{
    const char *host = server->n_listen > 0 ? server->listen[0].host : "0.0.0.0";
    if (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0)
        return "localhost";
    if (strcmp(host, "0.0.0.0") != 0 && strchr(host, ':') == NULL)
        return host;
    if (gethostname(buf, cap) < 0)
        return "localhost";
    buf[cap - 1] = '\0';
    return buf[0] != '\0' && is_name(buf, strlen(buf)) ? buf : "localhost";
}

void tenant_host_lacks(const struct server_config *server, const struct host_limits *known,
                       const char *template, struct template_wish *wish,
                       char notes[HOST_NOTES][HOST_NOTE_MAX])
{
    struct host_limits limits = {.controllers = CGROUP_ALL};
    if (server->limits == LIMITS_REQUIRED && known != NULL)
        limits = *known;
    else if (server->limits == LIMITS_REQUIRED)
        host_limits_probe(server, &limits);
    wish->no_memory =
        (limits.controllers & CGROUP_MEMORY) == 0 && strstr(template, "\nmemory ") != NULL;
    wish->no_cpu = (limits.controllers & CGROUP_CPU) == 0 && strstr(template, "\ncpu ") != NULL;
    if (wish->no_memory || wish->no_cpu)
        (void)snprintf(notes[0], HOST_NOTE_MAX,
                       "there are no limits of%s%s%s, which stand as comments: %s (%s)",
                       wish->no_memory ? " memory" : "",
                       wish->no_memory && wish->no_cpu ? " and" : "", wish->no_cpu ? " CPU" : "",
                       limits.why, limits.remedy);
    wish->no_subsystem = strstr(template, SFTP_SERVER) != NULL && access(SFTP_SERVER, X_OK) < 0;
    if (wish->no_subsystem)
        (void)snprintf(notes[1], HOST_NOTE_MAX,
                       "there is no sftp, which stands as a comment: " SFTP_SERVER
                       " is missing (apt install openssh-sftp-server)");
}
