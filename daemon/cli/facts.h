/*
 * facts.h - what `postern doctor` has found out about a host, as plain data: facts_*.c look,
 * doctor_*.c judge. What could not be seen is UNSEEN, NULL, "" or -1, and never a guess.
 */
#ifndef POSTERN_DAEMON_CLI_FACTS_H
#define POSTERN_DAEMON_CLI_FACTS_H

#include "host_limits.h"
#include "policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum seen { UNSEEN, NO, YES };

struct kernel_facts {
    char release[65], machine[65];
    unsigned major, minor;
    int landlock_abi;   /* or -1: */
    int landlock_errno; /* ENOSYS: not built in; EOPNOTSUPP: not turned on */
    char lsms[256];     /* "lockdown,yama,…"; "" if unseen */
    char seccomp_actions[256];
    enum seen cgroup_bpf;
    bool has_tmpfs;
    char missing_namespaces[96]; /* "pid net"; "" if all are there */
};

/* A setting of /proc/sys. */
struct sysctl_fact {
    const char *name; /* with slashes */
    bool is_there;    /* and could be read */
    int64_t value;
};

enum { SYSCTLS_MAX = 32 };

struct host_facts {
    struct sysctl_fact sysctls[SYSCTLS_MAX];
    size_t n_sysctls;
    char core_pattern[256];
    enum seen apparmor; /* whether it is on */
    int selinux;        /* -1: not there, 0: permissive, 1: enforcing */
    bool has_systemd;
    bool has_cgroup1;        /* the memory controller is in version 1 */
    enum seen unit;          /* a unit postern.service */
    enum seen unit_delegate; /* says Delegate=yes */
    int64_t now;
    enum seen clock_synced;
    char libssh[64]; /* Debian's version */
    enum seen libssh_fixed;
    unsigned seccomp_version[3];
    char openssl[64];
};

/* Of a posternd that runs, or else of who asks. */
struct process_facts {
    pid_t posternd;    /* 0: none was found */
    char profile[128]; /* AppArmor's or SELinux's name of how it is confined; "" if unseen */
    uint64_t nofile, nproc, memlock; /* hard limits; SPEC_INFINITY; of posternd if there is one */
};

struct key_fact {
    const char *path;
    int error; /* errno of looking at it, or 0 */
    uid_t owner;
    mode_t mode;
    char type[32];    /* "ssh-ed25519"; "" if it could not be read */
    char problem[64]; /* it is no private key that can be used; or "" */
};

struct port_fact {
    const char *host;
    uint16_t port;
    int error; /* errno of bind(2), or 0 */
};

/* Of a kept workspace. */
struct place_fact {
    const struct sandbox_spec *sandbox;
    char dir[256]; /* that they are in */
    int error;
    uid_t owner;
    mode_t mode;
    bool is_nosuid;
    enum seen quotas; /* whether project quotas are enforced */
};

enum { PORTS_MAX = 64, PLACES_MAX = 64 };

/* What a policy names, looked at on this host. */
struct server_facts {
    const char *config;          /* its path */
    int config_error;            /* errno: it can't be read */
    size_t policy_errors;        /* it can be read, and is wrong */
    const struct policy *policy; /* NULL: none; then what follows is empty */
    const struct diags *limits;  /* host_limits_judge() */
    struct host_limits host_limits;
    struct key_fact keys[HOST_KEYS_MAX];
    size_t n_keys;
    struct port_fact ports[PORTS_MAX];
    size_t n_ports;
    struct place_fact places[PLACES_MAX];
    size_t n_places;
    bool has_user;
    uid_t user;
    int session_error, audit_error; /* errno of the program, of the audit file's directory */
    const char *audit;              /* the file whose directory is meant */
    int record_error;               /* of the record of uids */
    size_t n_recorded, n_gone;      /* uids there; those of tenants that the policy hasn't */
    char gone[96];                  /* the name of one of them */
};

struct facts {
    bool is_root;
    struct kernel_facts kernel;
    struct host_facts host;
    struct process_facts process;
    struct server_facts server;
};

/* The first line of a file, without its end; "" if it can't be read. Returns its length. */
size_t facts_read_line(const char *path, char *buf, size_t len);

void facts_look_at_kernel(struct kernel_facts *facts);
void facts_look_at_host(struct host_facts *facts);
void facts_look_at_process(struct process_facts *facts);
/* `policy` and `limits` are borrowed for as long as the facts are used. */
void facts_look_at_server(struct server_facts *facts, const struct policy *policy,
                          const struct diags *limits);

#endif
