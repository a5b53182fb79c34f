#include "doctor.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define AREA "server"

enum { SHOWN = 160 };

static void judge_config(const struct facts *facts, struct findings *out)
{
    const struct server_facts *server = &facts->server;
    char path[SHOWN];
    text_escape_str(path, sizeof path, server->config);
    if (server->policy != NULL) {
        finding_add(out, GRADE_OK, AREA, "policy", "the policy of %s: %zu tenants", path,
                    server->policy->n_tenants);
    } else if (server->config_error == EACCES) {
        finding_add(out, GRADE_UNKNOWN, AREA, "policy", "%s is for root alone to read", path);
        finding_mean(out, "what depends on the policy is left out");
        finding_remedy(out, "sudo postern doctor");
    } else if (server->config_error != 0) {
        finding_add(out, GRADE_PROBLEM, AREA, "policy", "%s: %s", path,
                    strerror(server->config_error));
        finding_mean(out,
                     "posternd won't start without it; what depends on the policy is left out");
        finding_remedy(out, "name the configuration with -f, or write one: postern.ini(5)");
    } else {
        finding_add(out, GRADE_PROBLEM, AREA, "policy", "the policy of %s has %zu error%s", path,
                    server->policy_errors, server->policy_errors == 1 ? "" : "s");
        finding_mean(out, "it won't be loaded; what depends on it is left out");
        finding_remedy(out, "postern check -f %s", path);
    }
}

static void judge_user(const struct facts *facts, struct findings *out)
{
    const char *name = facts->server.policy->server.user;
    bool is_root = facts->server.has_user && facts->server.user == 0;
    if (facts->server.has_user && !is_root && strcmp(name, "nobody") != 0) {
        finding_add(out, GRADE_OK, AREA, "user", "the user %s, for sessions", name);
        return;
    }
    finding_add(out, facts->server.has_user && !is_root ? GRADE_WARNING : GRADE_PROBLEM, AREA,
                "user", "the user of sessions, %s, %s", name,
                is_root                  ? "is root"
                : facts->server.has_user ? "is that of other services, too"
                                         : "does not exist");
    finding_mean(out, "%s",
                 is_root || !facts->server.has_user
                     ? "posternd won't start"
                     : "whatever else runs as it is not kept from sessions by its user");
    finding_remedy(out, "adduser --system --group --no-create-home --home /nonexistent _postern, "
                        "and 'user = _postern' in [server]");
}

static void judge_key(const struct facts *facts, const struct key_fact *key, struct findings *out)
{
    char path[SHOWN];
    text_escape_str(path, sizeof path, key->path);
    if (key->error == EACCES ||
        (key->error == 0 && key->type[0] == '\0' && key->problem[0] == '\0' && !facts->is_root)) {
        finding_add(out, key->error == 0 ? GRADE_OK : GRADE_UNKNOWN, AREA, "host-key",
                    "host key %s is for root alone to read%s", path,
                    key->error == 0 ? ", as it should be" : "");
    } else if (key->error != 0) {
        finding_add(out, GRADE_PROBLEM, AREA, "host-key", "host key %s: %s", path,
                    strerror(key->error));
        finding_mean(out, "posternd won't start without the keys that it is told to use");
        finding_remedy(out, "ssh-keygen -q -t ed25519 -N '' -f %s", path);
    } else if (key->owner != 0 || (key->mode & 077) != 0 || !S_ISREG(key->mode)) {
        finding_add(out, GRADE_PROBLEM, AREA, "host-key", "host key %s: owned by uid %u, mode %04o",
                    path, key->owner, key->mode & 07777);
        finding_mean(out, "posternd refuses it: whoever has read it can pass for this server");
        finding_remedy(out, "chown root %s && chmod 600 %s", path, path);
    } else if (key->problem[0] != '\0') {
        finding_add(out, GRADE_PROBLEM, AREA, "host-key", "host key %s %s", path, key->problem);
        finding_mean(out, "posternd can't use it");
        finding_remedy(out, "ssh-keygen -p -N '' -f %s, or make another", path);
    } else {
        finding_add(out, GRADE_OK, AREA, "host-key", "host key %s: %s", path, key->type);
    }
}

static void judge_keys(const struct facts *facts, struct findings *out)
{
    bool has_modern = false;
    for (size_t i = 0; i < facts->server.n_keys; i++) {
        judge_key(facts, &facts->server.keys[i], out);
        has_modern |= strcmp(facts->server.keys[i].type, "ssh-ed25519") == 0;
    }
    if (facts->server.n_keys == 0) {
        finding_add(out, GRADE_PROBLEM, AREA, "host-key", "there is no host key");
        finding_mean(out, "posternd won't start");
        finding_remedy(out, "ssh-keygen -q -t ed25519 -N '' -f /etc/postern/host_ed25519_key");
    } else if (!has_modern && facts->is_root) {
        finding_add(out, GRADE_WARNING, AREA, "host-key-types", "there is no ed25519 host key");
        finding_mean(out, "it is the fastest to sign with, and all clients of today know it");
        finding_remedy(out, "ssh-keygen -q -t ed25519 -N '' -f /etc/postern/host_ed25519_key, and "
                            "'host-key =' in [server]");
    }
}

static void judge_port(const struct facts *facts, const struct port_fact *port,
                       struct findings *out)
{
    bool is_six = strchr(port->host, ':') != NULL;
    char name[80];
    (void)snprintf(name, sizeof name, is_six ? "[%s]:%u" : "%s:%u", port->host, port->port);
    if (port->error == 0) {
        finding_add(out, GRADE_OK, AREA, "listen", "%s is free", name);
        if (facts->process.posternd != 0)
            finding_mean(out, "the posternd that runs does not listen there");
    } else if (port->error == EADDRINUSE && facts->process.posternd != 0) {
        finding_add(out, GRADE_OK, AREA, "listen", "%s is taken; a posternd runs (process %d)",
                    name, facts->process.posternd);
    } else if (port->error == EACCES) {
        finding_add(out, GRADE_UNKNOWN, AREA, "listen", "%s is for root alone to try", name);
        finding_remedy(out, "sudo postern doctor");
    } else {
        finding_add(out, GRADE_PROBLEM, AREA, "listen", "%s: %s", name, strerror(port->error));
        finding_mean(out, "posternd won't start");
        finding_remedy(out,
                       port->error == EADDRINUSE ? "ss -ltnp 'sport = :%u'  # who has it"
                                                 : "ip addr  # or another 'listen =' than port %u",
                       port->port);
    }
}

static void judge_files(const struct facts *facts, struct findings *out)
{
    const struct server_config *config = &facts->server.policy->server;
    char path[SHOWN];
    if (facts->server.session_error != 0) {
        finding_add(out, GRADE_PROBLEM, AREA, "session-path", "%s: %s",
                    text_escape_str(path, sizeof path, config->session_path),
                    strerror(facts->server.session_error));
        finding_mean(out, "posternd won't start: it is the program that speaks SSH");
        finding_remedy(out, "name it with 'session-path =' in [server]");
    }
    if (facts->server.audit_error != 0) {
        finding_add(out, GRADE_PROBLEM, AREA, "audit", "the directory of %s: %s",
                    text_escape_str(path, sizeof path, facts->server.audit),
                    strerror(facts->server.audit_error));
        finding_mean(out, "posternd won't start without its audit trail");
        finding_remedy(out, "mkdir -m 750 -p \"$(dirname %s)\"", path);
    }
}

static void judge_record(const struct facts *facts, struct findings *out)
{
    const struct server_facts *server = &facts->server;
    char path[SHOWN];
    text_escape_str(path, sizeof path, server->policy->server.state_dir);
    if (server->record_error == ENOENT) {
        finding_add(out, GRADE_OK, AREA, "uids", "%s/uids is not there yet", path);
        finding_mean(out,
                     "the first start makes it; if posternd has run before, it was lost: restore "
                     "it from a backup");
    } else if (server->record_error != 0) {
        finding_add(out, server->record_error == EACCES ? GRADE_UNKNOWN : GRADE_PROBLEM, AREA,
                    "uids", "%s/uids can't be used: %s", path, strerror(server->record_error));
        finding_remedy(out, "postern check");
    } else {
        finding_add(out, GRADE_OK, AREA, "uids", "%s/uids keeps %zu uids", path,
                    server->n_recorded);
        if (server->n_gone == 0)
            return;
        finding_mean(out, "%zu of them for tenants that are gone, such as '%s'", server->n_gone,
                     server->gone);
        finding_remedy(out,
                       "once no file is left of it, take its line out: sed -i '/ %s$/d' "
                       "%s/uids",
                       server->gone, path);
    }
}

static void judge_quotas(const struct facts *facts, const struct place_fact *place, const char *dir,
                         struct findings *out)
{
    const struct sandbox_spec *spec = place->sandbox;
    if (spec->workspace_size == SPEC_INFINITY) {
        finding_add(out, GRADE_WARNING, "file systems", "workspace-size",
                    "sandbox '%s' keeps files in %s, of any size", spec->name, dir);
        finding_mean(out, "its tenants can fill that file system%s",
                     place->quotas == YES ? "" : "; workspace-size needs project quotas there");
        finding_remedy(out,
                       place->quotas == YES
                           ? "give it a workspace-size, such as 10G"
                           : "tune2fs -O project,quota DEVICE (unmounted), mount with prjquota, "
                             "and give it a workspace-size");
    } else if (place->quotas == UNSEEN) {
        finding_add(out, GRADE_UNKNOWN, "file systems", "workspace-size",
                    "whether %s has project quotas is for root alone to see", dir);
    } else if (place->quotas == NO) {
        finding_add(out, GRADE_PROBLEM, "file systems", "workspace-size",
                    "%s has no project quotas, which workspace-size of sandbox '%s' needs", dir,
                    spec->name);
        finding_mean(out, "the policy is refused");
        finding_remedy(out,
                       "tune2fs -O project,quota DEVICE (unmounted) and mount with prjquota, or "
                       "workspace-size = infinity");
    } else {
        finding_add(out, GRADE_OK, "file systems", "workspace-size",
                    "%s has project quotas, for sandbox '%s'", dir, spec->name);
    }
    (void)facts;
}

static void judge_place(const struct facts *facts, const struct place_fact *place,
                        struct findings *out)
{
    char dir[SHOWN];
    text_escape_str(dir, sizeof dir, place->dir);
    if (place->error != 0) {
        finding_add(out, place->error == EACCES ? GRADE_UNKNOWN : GRADE_PROBLEM, "file systems",
                    "workspace", "%s, for kept workspaces: %s", dir, strerror(place->error));
        finding_remedy(out, "mkdir -m 755 -p %s", dir);
        return;
    }
    if (place->owner != 0 || (place->mode & (S_IWGRP | S_IWOTH)) != 0) {
        finding_add(out, GRADE_PROBLEM, "file systems", "workspace",
                    "%s, for kept workspaces: owned by uid %u, mode %04o", dir, place->owner,
                    place->mode & 07777);
        finding_mean(out, "somebody else than root could exchange what is in it");
        finding_remedy(out, "chown root %s && chmod go-w %s", dir, dir);
    }
    judge_quotas(facts, place, dir, out);
    if (place->is_nosuid)
        return;
    finding_add(out, GRADE_WARNING, "file systems", "nosuid", "%s is mounted without nosuid", dir);
    finding_mean(out, "inside nothing counts for it, but a program that a tenant leaves there runs "
                      "as the tenant for whoever starts it on the host");
    finding_remedy(out, "a file system of its own there, mounted with nosuid,nodev");
}

/* In the words of check, which says the same of the same settings. */
static void judge_settings(const struct facts *facts, struct findings *out)
{
    const struct diags *limits = facts->server.limits;
    for (size_t i = 0; limits != NULL && i < limits->n; i++) {
        const struct diag *diag = &limits->items[i];
        finding_add(out, diag->grade == DIAG_ERROR ? GRADE_PROBLEM : GRADE_WARNING, "policy",
                    "limits", "%s:%u: %s", diag->file, diag->line, diag->text);
        if (diag->grade == DIAG_ERROR)
            finding_mean(out, "the policy is refused");
        finding_remedy(out, "%s", diag->hint);
    }
}

void doctor_judge_server(const struct facts *facts, struct findings *out)
{
    judge_config(facts, out);
    if (facts->server.policy == NULL)
        return;
    judge_user(facts, out);
    judge_keys(facts, out);
    for (size_t i = 0; i < facts->server.n_ports; i++)
        judge_port(facts, &facts->server.ports[i], out);
    judge_files(facts, out);
    judge_record(facts, out);
    for (size_t i = 0; i < facts->server.n_places; i++)
        judge_place(facts, &facts->server.places[i], out);
    judge_settings(facts, out);
}
