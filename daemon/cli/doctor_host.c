#include "doctor.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    /* As the master counts them: server.c. */
    FDS_OF_OUR_OWN = 64,
    FDS_PER_CONNECTION = 3,
    FDS_PER_EXEC = 5,
    EXECS_LEAST = 8,
    CONNECTIONS_BY_DEFAULT = 1000,
    COMMAND_MEMLOCK = 65536,
    YEAR_2026 = 1767225600,
};

static void judge_controllers(const struct facts *facts, struct findings *out)
{
    const struct host_limits *limits = &facts->server.host_limits;
    char names[64];
    if (limits->controllers == CGROUP_ALL) {
        finding_add(out, GRADE_OK, "cgroups", "controllers", "cgroup v2 has %s",
                    cgroup_controller_names(CGROUP_ALL, names, sizeof names));
        return;
    }
    finding_add(out, GRADE_WARNING, "cgroups", "controllers", "%s",
                limits->why[0] != '\0' ? limits->why : "cgroup v2 lacks controllers");
    finding_mean(out,
                 "with limits = best-effort rlimits keep 'tasks', and 'memory' for the private "
                 "memory of each process alone; cpu, swap, weights and totals of memory and "
                 "cpu are not kept; 'time' and 'output' always are");
    finding_remedy(out, "%s", limits->remedy);
}

static void judge_delegation(const struct facts *facts, struct findings *out)
{
    const struct policy *policy = facts->server.policy;
    if (policy != NULL && policy->server.cgroup != NULL) {
        finding_add(out, GRADE_OK, "cgroups", "delegation", "[server] cgroup = %s",
                    policy->server.cgroup);
        finding_mean(out, "posternd makes it and is alone in it");
    } else if (!facts->host.has_systemd) {
        finding_add(out, GRADE_OK, "cgroups", "delegation", "systemd does not run here");
        finding_mean(out, "posternd takes the cgroup that it is started in, if it is alone there");
        finding_remedy(out, "or name one in [server]: cgroup = /sys/fs/cgroup/postern");
    } else if (facts->host.unit != YES) {
        finding_add(out, GRADE_WARNING, "cgroups", "delegation",
                    "there is no unit postern.service");
        finding_mean(out,
                     "a posternd that is started by hand has no cgroup to itself, so limits of "
                     "memory and CPU can't be kept");
        finding_remedy(out, "systemd-run -p Delegate=yes posternd -d, or [server] cgroup =");
    } else if (facts->host.unit_delegate != YES) {
        finding_add(out, GRADE_WARNING, "cgroups", "delegation",
                    "postern.service does not say Delegate=yes");
        finding_mean(out, "systemd keeps the service's cgroup for itself, so posternd has none");
        finding_remedy(out, "systemctl edit postern  # [Service], Delegate=yes");
    } else {
        finding_add(out, GRADE_OK, "cgroups", "delegation", "postern.service says Delegate=yes");
    }
}

static void judge_files(const struct facts *facts, struct findings *out)
{
    const struct policy *policy = facts->server.policy;
    const char *whose = facts->process.posternd != 0 ? "posternd has" : "what is started here has";
    uint64_t fds = facts->process.nofile, connections = CONNECTIONS_BY_DEFAULT;
    if (policy != NULL)
        connections = policy->server.max_connections;
    if (fds == SPEC_INFINITY)
        fds = 1 << 20;
    fds = fds > FDS_OF_OUR_OWN ? fds - FDS_OF_OUR_OWN : 0;
    uint64_t for_connections = connections * FDS_PER_CONNECTION;
    if (for_connections > fds / 2)
        for_connections = fds / 2;
    uint64_t execs = (fds - for_connections) / FDS_PER_EXEC;
    bool is_short = for_connections < connections * FDS_PER_CONNECTION;
    finding_add(
        out,
        execs < EXECS_LEAST ? GRADE_PROBLEM
        : is_short          ? GRADE_WARNING
                            : GRADE_OK,
        "limits", "open-files",
        "%s %" PRIu64 " files at most: %" PRIu64 " commands and %" PRIu64 " connections at once",
        whose, facts->process.nofile == SPEC_INFINITY ? (uint64_t)1 << 20 : facts->process.nofile,
        execs, for_connections / FDS_PER_CONNECTION);
    if (!is_short && execs >= EXECS_LEAST)
        return;
    finding_mean(out, "max-connections = %" PRIu64 " and as many commands need more", connections);
    finding_remedy(out, "ulimit -n %" PRIu64 ", or LimitNOFILE= in the unit",
                   FDS_OF_OUR_OWN + connections * (FDS_PER_CONNECTION + FDS_PER_EXEC));
}

static uint64_t most_tasks(const struct policy *policy)
{
    uint64_t most = policy == NULL ? 256 : 0;
    for (size_t i = 0; policy != NULL && i < policy->n_sandboxes; i++)
        if (policy->sandboxes[i].tasks > most && policy->sandboxes[i].tasks != SPEC_INFINITY)
            most = policy->sandboxes[i].tasks;
    return most;
}

static void judge_other_limits(const struct facts *facts, struct findings *out)
{
    uint64_t tasks = most_tasks(facts->server.policy);
    if (facts->process.nproc < tasks) {
        finding_add(out, GRADE_WARNING, "limits", "processes",
                    "%" PRIu64 " processes of a user at most, and a sandbox has tasks = %" PRIu64,
                    facts->process.nproc, tasks);
        finding_mean(out, "commands get no higher limit than posternd's own");
        finding_remedy(out, "ulimit -u %" PRIu64 ", or LimitNPROC= in the unit", tasks);
    } else {
        finding_add(out, GRADE_OK, "limits", "processes", "processes are limited by tasks = alone");
    }
    if (facts->process.memlock < COMMAND_MEMLOCK) {
        finding_add(out, GRADE_WARNING, "limits", "locked-memory",
                    "%" PRIu64 " bytes of locked memory at most", facts->process.memlock);
        finding_mean(out, "commands are to have %d", COMMAND_MEMLOCK);
        finding_remedy(out, "ulimit -l %d, or LimitMEMLOCK= in the unit", COMMAND_MEMLOCK / 1024);
    } else {
        finding_add(out, GRADE_OK, "limits", "locked-memory",
                    "locked memory is not limited below "
                    "what commands get");
    }
}

static void judge_libraries(const struct facts *facts, struct findings *out)
{
    const struct host_facts *host = &facts->host;
    const unsigned *v = host->seccomp_version;
    if (host->libssh[0] == '\0') {
        finding_add(out, GRADE_UNKNOWN, "libraries", "libssh",
                    "which libssh this is can't be asked: it is no Debian package");
        finding_remedy(out, "see that it verifies AES-GCM tags (CVE-2026-59847)");
    } else if (host->libssh_fixed == NO) {
        finding_add(out, GRADE_PROBLEM, "libraries", "libssh", "libssh %s", host->libssh);
        finding_mean(out, "it does not verify AES-GCM tags (CVE-2026-59847): what is on the wire "
                          "can be changed");
        finding_remedy(out, "apt update && apt install libssh-4  # 0.10.6-0+deb12u3 or later");
    } else {
        finding_add(out, host->libssh_fixed == YES ? GRADE_OK : GRADE_UNKNOWN, "libraries",
                    "libssh", "libssh %s", host->libssh);
    }
    bool is_old = v[0] < 2 || (v[0] == 2 && (v[1] < 5 || (v[1] == 5 && v[2] < 4)));
    finding_add(out, is_old ? GRADE_WARNING : GRADE_OK, "libraries", "libseccomp",
                "libseccomp %u.%u.%u", v[0], v[1], v[2]);
    if (is_old) {
        finding_mean(out, "it does not know the names of newer system calls");
        finding_remedy(out, "apt install libseccomp2  # 2.5.4 or later");
    }
    finding_add(out, GRADE_OK, "libraries", "openssl", "%s", host->openssl);
}

static void judge_clock(const struct facts *facts, struct findings *out)
{
    if (facts->host.now < YEAR_2026) {
        finding_add(out, GRADE_PROBLEM, "clock", "time", "the clock is years behind");
        finding_mean(out, "keys and certificates that have expired are taken for good");
        finding_remedy(out, "timedatectl set-ntp true, or apt install chrony");
    } else if (facts->host.clock_synced == NO) {
        finding_add(out, GRADE_WARNING, "clock", "time", "nothing keeps the clock right");
        finding_mean(out, "when keys and certificates expire, and the times in the audit trail, "
                          "depend on it");
        finding_remedy(out, "timedatectl set-ntp true, or apt install chrony");
    } else {
        finding_add(out, facts->host.clock_synced == YES ? GRADE_OK : GRADE_UNKNOWN, "clock",
                    "time",
                    facts->host.clock_synced == YES ? "the clock is kept right"
                                                    : "who keeps the clock is not known");
    }
}

void doctor_judge_host(const struct facts *facts, struct findings *out)
{
    judge_controllers(facts, out);
    judge_delegation(facts, out);
    judge_files(facts, out);
    judge_other_limits(facts, out);
    judge_libraries(facts, out);
    judge_clock(facts, out);
}
