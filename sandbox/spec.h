/*
 * spec.h - what one sandbox is, as plain data: written by config/, carried out by sandbox/.
 */
#ifndef POSTERN_SANDBOX_SPEC_H
#define POSTERN_SANDBOX_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A limit that was lifted on purpose ("infinity"). */
#define SPEC_INFINITY UINT64_MAX

enum sandbox_network {
    NETWORK_NONE,     /* a network namespace of its own with nothing up, not even loopback */
    NETWORK_LOOPBACK, /* a network namespace of its own with lo up */
    NETWORK_HOST,     /* the host's network */
    NETWORK_EGRESS,   /* the same, but only to where a rule leads, and nobody comes in (egress.h) */
};

#define SPEC_SHARES_NETWORK(spec)                                                                  \
    ((spec)->network == NETWORK_HOST || (spec)->network == NETWORK_EGRESS)

/* Of an egress_rule, as bits. */
enum egress_protocol { EGRESS_TCP = 1, EGRESS_UDP = 2, EGRESS_ANY = EGRESS_TCP | EGRESS_UDP };

/* `connect = …`: where commands may reach with NETWORK_EGRESS (egress_rules.h). */
struct egress_rule {
    unsigned char net[16]; /* IPv6, or IPv4 mapped into it; bits beyond the prefix are 0 */
    unsigned prefix;       /* bits of net that count: 0 to 128, for IPv4 96 or more */
    uint16_t first, last;  /* ports, both included */
    unsigned protocols;    /* of enum egress_protocol */
    const char *text;      /* as written */
    const char *file;
    unsigned line;
};

/* What /proc shows besides the exec's own processes. */
enum sandbox_proc {
    PROC_FULL,      /* most of the host's */
    PROC_BUILD,     /* what builds look at: processors, memory, settings of the kernel */
    PROC_PROCESSES, /* nothing */
};

/* What happens to a system call that a profile names. */
enum seccomp_answer {
    SECCOMP_ANSWER_ALLOW,
    SECCOMP_ANSWER_DENY, /* EPERM, and a note that names the call */
    SECCOMP_ANSWER_KILL, /* the exec ends with verdict "seccomp", naming the call */
};

struct seccomp_rule {
    int nr; /* system call number on the native architecture */
    enum seccomp_answer answer;
    const char *file; /* where the policy says so; "" if nowhere */
    unsigned line;
};

/*
 * A resolved profile: one rule per system call, sorted by nr. Calls that no rule names are newer
 * than the profile and answer ENOSYS.
 */
struct seccomp_spec {
    char *name;
    struct seccomp_rule *rules;
    size_t n_rules;
    bool unix_apart; /* unix sockets must not reach the host's: of NETWORK_EGRESS */
};

struct sandbox_bind {
    char *source; /* absolute host path */
    char *dest;   /* absolute path inside */
};

enum { SPEC_NOTES_DEFAULT = 8, SPEC_NOTES_MAX = 32 };

/* Where a workspace is inside; without one /tmp stands in for it. */
#define SPEC_WORKSPACE "/workspace"
#define SPEC_HOME(spec)                                                                            \
    ((spec)->home != NULL                  ? (spec)->home                                          \
     : (spec)->workspace == WORKSPACE_NONE ? "/tmp"                                                \
                                           : SPEC_WORKSPACE)

/*
 * Places inside that a sandbox fills itself, trees with all below them, wholes for themselves
 * alone: no bind may go there, it would be hidden or could not be made.
 * X(absolute path)
 */
#define SPEC_TAKEN_TREES(X)                                                                        \
    X(SPEC_WORKSPACE)                                                                              \
    X("/proc")                                                                                     \
    X("/dev")                                                                                      \
    X("/sys")                                                                                      \
    X("/tmp")                                                                                      \
    X("/run")                                                                                      \
    X("/var/tmp")                                                                                  \
    X("/var/run")                                                                                  \
    X("/usr")                                                                                      \
    X("/bin")                                                                                      \
    X("/sbin")                                                                                     \
    X("/lib")                                                                                      \
    X("/lib32")                                                                                    \
    X("/lib64")                                                                                    \
    X("/libx32")
#define SPEC_TAKEN_WHOLE(X) X("/") X("/etc") X("/var")

/* A private directory for the command's files, its HOME and where it starts. */
enum sandbox_workspace {
    WORKSPACE_NONE,       /* /tmp is */
    WORKSPACE_EXEC,       /* fresh for each exec */
    WORKSPACE_CONNECTION, /* shared by the execs of one connection, wiped when it ends */
    WORKSPACE_KEPT,       /* a host directory that stays; its path may hold %t, the tenant's name */
};

/* Limits that only cgroup v2 can keep, of one exec or of all a tenant's together. */
struct cgroup_limits {
    uint64_t memory;      /* bytes; SPEC_INFINITY: none, as for all of these but the weights */
    uint64_t memory_high; /* bytes, above which it is slowed down */
    uint64_t swap;        /* bytes; default 0 */
    uint64_t tasks;
    uint64_t cpu;        /* percent of one CPU */
    uint32_t cpu_weight; /* 1-10000; 0: the kernel's default */
    uint32_t io_weight;  /* the same */
};

struct sandbox_places;

struct sandbox_spec {
    char *name;
    const char *file; /* where the policy defines it, for messages */
    unsigned line;
    const struct sandbox_places *places; /* of its settings, for config/ alone (places.h) */
    /* Seen while a policy is judged alone: */
    bool faulty;      /* its root or its profile was refused */
    bool lacks_binds; /* so were some of what it should hold */
    bool extended;    /* other sandboxes begin with it */
    char *root;       /* a directory that holds a root file system; NULL: the host's /usr */
    struct sandbox_bind *reads; /* read-only binds beside /usr */
    size_t n_reads;
    struct sandbox_bind *writes; /* writable ones */
    size_t n_writes;
    char **hides; /* absolute paths inside that are made empty */
    size_t n_hides;
    enum sandbox_workspace workspace;
    char *workspace_path;    /* of WORKSPACE_KEPT: absolute host path */
    uint64_t workspace_size; /* bytes */
    char *home;              /* where commands begin: a path inside; NULL: in the workspace */
    uint64_t idle_ms;        /* without a byte in any direction; SPEC_INFINITY: none */
    uint32_t notes;          /* kinds of refused calls, and of refused packets, that are told */
    uint64_t output;         /* bytes of stdout and stderr together; SPEC_INFINITY: any */
    struct cgroup_limits cgroup;
    enum sandbox_network network;
    enum sandbox_proc proc;
    struct egress_rule *connects; /* of NETWORK_EGRESS */
    size_t n_connects;
    uint64_t tmp_size; /* bytes, of the private /tmp */
    uint64_t tasks;    /* RLIMIT_NPROC: processes and threads of the tenant, over all its execs */
    uint64_t time_ms;  /* wall time; SPEC_INFINITY: none */
    uint64_t warn_ms;  /* how long before time_ms or idle_ms is over the client is told; 0: never */
    struct seccomp_spec seccomp;
};

#endif
