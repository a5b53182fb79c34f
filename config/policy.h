/*
 * policy.h - one loaded, immutable policy (a generation): its model and how it is loaded.
 *
 * Pure: the caller supplies files and system call numbers through struct policy_host, so all of it
 * runs in unit tests without root. postern.ini(5) and postern-policy(5) are the language.
 */
#ifndef POSTERN_CONFIG_POLICY_H
#define POSTERN_CONFIG_POLICY_H

#include "err.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a value came from; `file` is interned in the policy. */
struct origin {
    const char *file;
    unsigned line;
};

struct str_list {
    char **items;
    size_t n;
};

/* One rule of a from= list (address.h). */
struct address_rule {
    unsigned char net[16]; /* IPv6, or IPv4 mapped into it */
    unsigned prefix;       /* bits of net that count, 0 to 128 */
    bool negated;
    char *text; /* as written */
    struct origin origin;
};

struct address_list {
    struct address_rule *rules;
    size_t n;
};

/* One listen address, "HOST:PORT" or "[HOST]:PORT"; literal IPv4 or IPv6 addresses only. */
struct listen_addr {
    char *host;
    uint16_t port;
    bool proxy; /* connections begin with a PROXY header */
    struct origin origin;
};

enum { HOST_KEYS_MAX = 8 };

/* A group of this host. */
struct group_choice {
    char *name; /* NULL: none */
    gid_t gid;
};

/* As long as the address of a socket may be (unix(7)). */
enum { CONTROL_PATH_MAX = 107 };
#define CONTROL_PATH_DEFAULT "/run/postern/control"

/* What becomes of limits that the host can't keep. */
enum limits_mode {
    LIMITS_REQUIRED,   /* the policy is refused */
    LIMITS_BEST_EFFORT /* what rlimits can do instead, and a warning */
};

/* What SSH lets the two sides agree on. */
enum algorithm_kind {
    ALGORITHM_KEX,
    ALGORITHM_CIPHER,
    ALGORITHM_MAC,
    ALGORITHM_HOST_KEY, /* and its signature */
    ALGORITHM_USER_KEY, /* the same, of users; a certificate's is that of its key */
    ALGORITHM_KINDS
};

/* What happens to execs while the audit trail can't be written. */
enum audit_mode { AUDIT_REQUIRED, AUDIT_BEST_EFFORT };
enum { AUDIT_PLACES_MAX = 4 };

/* [server] */
struct server_config {
    struct listen_addr *listen; /* default: 0.0.0.0:2222 and [::]:2222 */
    size_t n_listen;
    struct address_list proxy_from; /* whose PROXY headers are believed */
    bool proxies_unclear; /* `listen` or `proxy-from` was refused: seen while it is judged alone */
    struct address_list source_exempt; /* default 127.0.0.0/8 and ::1 */
    uint32_t source_ipv4, source_ipv6; /* bits of addresses that tell sources apart: 32, 64 */
    struct str_list host_keys;      /* paths; default: /etc/postern/host_{ed25519,ecdsa,rsa}_key */
    bool host_keys_defaulted;       /* then only those that exist are used, at least one */
    struct origin *host_key_places; /* parallel to host_keys, unless that is the default */
    size_t n_host_key_places;
    struct str_list revoked_keys;      /* paths of the lists */
    struct origin *revoked_key_places; /* parallel to revoked_keys */
    size_t n_revoked_key_places;
    char *user;            /* of sessions; default "_postern" */
    char *session_path;    /* default: compiled in */
    char *seccomp_dir;     /* profiles and groups; default: compiled in */
    struct str_list audit; /* paths, "stderr" or "journal"; default /var/log/postern/audit.log */
    char *control;         /* path of the control socket; NULL: none */
    /* Whose members may look through it, and do everything. */
    struct group_choice control_group, admin_group;
    struct listen_addr agent_check; /* for balancers that ask; host NULL: none */
    char *recordings;               /* directory; default /var/log/postern/recordings */
    uint64_t record_max;            /* bytes of one recording; default 64 MiB */
    uint64_t recordings_max;        /* of all together, or SPEC_INFINITY; default 10 GiB */
    uint64_t recordings_keep_ms;    /* how long they are kept, or SPEC_INFINITY, the default */
    char *log_level;                /* error, warning, info, debug, trace; default info */
    uint64_t login_grace_ms;        /* default 30 s */
    uint32_t max_auth_tries;        /* default 6 */
    uint32_t max_connections;       /* default 1000 */
    uint32_t max_startups;          /* unauthenticated at once; default 100 */
    uint32_t startups_begin;        /* from so many on they are refused at random; default 50 */
    uint32_t startups_percent;    /* with this likelihood, growing up to max_startups; default 30 */
    uint32_t max_startups_source; /* the same of one source, or COUNT_INFINITY; default 20 */
    uint32_t max_connections_source;   /* of one source at once; default COUNT_INFINITY */
    uint32_t max_channels;             /* open at once per connection; default 256 */
    char *algorithms[ALGORITHM_KINDS]; /* names with commas between them, best first */
    uint64_t rekey_bytes;      /* that one key may carry, SPEC_INFINITY: any; default 1 GiB */
    uint64_t rekey_ms;         /* how long it may be used, the same; default 1 h */
    bool compression;          /* clients may ask for it; default no */
    char *banner;              /* lines that end in CR LF; NULL: none */
    uid_t uid_first, uid_last; /* uid-range = FIRST-LAST; default 1879048192-2147483647 */
    struct origin uid_range_at;
    char *state_dir;    /* what the server has to remember; default /var/lib/postern */
    char *cgroup;       /* directory of cgroup v2 to run in; NULL: the one that it was started in */
    char *metrics_file; /* ends in ".prom"; NULL: none is written */
    uint64_t metrics_ms;      /* between two writings; default 15 s */
    uint32_t metrics_tenants; /* that have series of their own; default 200 */
    uint32_t ready_sandboxes; /* that are built ahead, at most; default 8 */
    enum limits_mode limits;
    enum audit_mode audit_mode; /* default best-effort */
    bool limits_unclear; /* `limits` or `cgroup` was refused: seen while a policy is judged alone */
    uid_t policy_owner;  /* who besides root may own policy and key files; default 0 */
    struct origin origin;        /* of the section, or of the configuration without one */
    const struct origin *places; /* of the settings, for server_place() */
};

enum explain_level { EXPLAIN_NONE, EXPLAIN_REASON, EXPLAIN_RULE };

/* Of which commands it is kept what they print. */
enum record_mode {
    RECORD_NONE,
    RECORD_OUTPUT /* all */,
    RECORD_TERMINAL /* those that have one */
};

/* What `record-max` may be, in bytes. */
#define RECORD_BYTES_MIN (2ULL << 20)
#define RECORD_BYTES_MAX (1ULL << 30)

/* One word of a command template. */
enum template_word_type {
    WORD_LITERAL,
    WORD_WORD,
    WORD_INT,
    WORD_ONEOF,
    WORD_PATH,
    WORD_RE,
    WORD_ANY,
    WORD_ARGS
};

struct template_word;

struct command_template {
    struct template_word *words;
    size_t n_words;
    char *text; /* as written, for messages */
    struct origin origin;
};

/* "SHA256:…", unpadded base64, as ssh-keygen -l prints it, with its NUL. */
enum { KEY_FINGERPRINT_MAX = 64 };

/* One accepted public key of a tenant. */
struct policy_key {
    char *type;          /* "ssh-ed25519", … as in the blob */
    unsigned char *blob; /* RFC 4253 §6.6 */
    size_t blob_len;
    char *comment; /* may be "" */
    char fingerprint[KEY_FINGERPRINT_MAX];
    bool restricted;            /* no terminal: `restrict` or `no-pty`, not taken back by `pty` */
    bool is_authority;          /* `cert-authority`: signs certificates, can't log in itself */
    bool untouched;             /* of a security key: `no-touch-required` */
    bool verified;              /* the same: `verify-required`, so by PIN or fingerprint */
    struct str_list principals; /* of an authority: names one of which a certificate must hold */
    struct address_list from;   /* empty: from anywhere */
    int64_t expires;            /* seconds since the epoch; 0: never */
    char *force;                /* command="…", or NULL; stands in for what the client asks for */
    struct str_list environment; /* NAME=VALUE, names allowed by accept-env */
    struct origin origin;
};

enum auth_method {
    AUTH_PUBLICKEY,
    AUTH_NONE, /* whoever knows the login name is let in; no key is asked for */
};

/* `subsystem = NAME: COMMAND` */
struct subsystem {
    char *name;
    char *line; /* as written, for messages */
    struct str_list argv;
    struct origin origin;
};

/* What `memory` of a sandbox may be, in bytes. */
#define MEMORY_LIMIT_MIN (1ULL << 20)
#define MEMORY_LIMIT_MAX (1ULL << 50)

/* `infinity` where a count is limited. */
#define COUNT_INFINITY UINT32_MAX

struct tenant {
    char *name; /* tenants are sorted by it */
    struct origin origin;
    const struct origin *places; /* of the settings, for tenant_place() */
    bool extended;               /* other tenants begin with it */
    char *user;                  /* login name, default: name */
    char *run_as; /* user of this host that its commands run as; NULL: nobody's, a uid of its own */
    uid_t uid;
    gid_t gid;             /* the same number as uid, or the primary group of run_as */
    uint32_t project;      /* for quotas: a number like uid that no other tenant has, in any case */
    enum auth_method auth; /* default AUTH_PUBLICKEY; AUTH_NONE has its login for itself */
    struct policy_key *keys;
    size_t n_keys;
    struct address_list from; /* empty: from anywhere */
    size_t sandbox;           /* index into policy.sandboxes */
    /* exactly one of shell, force and templates, or none: every exec is denied */
    char *shell_line;      /* as written, or NULL */
    struct str_list shell; /* split; run as: shell… -c LINE */
    char *force_line;
    struct str_list force; /* split */
    struct command_template *templates;
    size_t n_templates;
    struct origin rule_origin; /* of shell or force */
    struct subsystem *subsystems;
    size_t n_subsystems;
    bool pty;                   /* default no */
    struct origin pty_at;       /* where it is said; no file: nowhere */
    uint32_t max_connections;   /* default 100; COUNT_INFINITY: the server's own limit alone */
    uint32_t max_execs;         /* default 64 */
    uint64_t queue_ms;          /* how long an exec may wait for a place; default 0: not at all */
    struct cgroup_limits total; /* memory-total, tasks-total, cpu-total: all execs together */
    uint32_t rate;              /* execs that may start per rate_ms; 0: any number */
    uint64_t rate_ms;           /* a second, minute, hour or day */
    struct str_list accept_env; /* fnmatch(3)-free patterns: literal or trailing '*' */
    struct str_list env;        /* NAME=VALUE; always wins over what a client or key sets */
    enum explain_level explain; /* default EXPLAIN_REASON */
    bool receipt;               /* an account of each exec for its client; default no */
    enum record_mode record;    /* default RECORD_NONE */
    bool record_notice;         /* whoever has a terminal that is recorded is told; default yes */
};

enum exec_kind { EXEC_COMMAND, EXEC_SHELL, EXEC_SUBSYSTEM };

/* One [test "name"]: a decision and what it should be. */
struct policy_test {
    char *name;
    struct origin origin;
    char *user;
    char *fingerprint;   /* of key = or key-file =, or NULL: no key is offered */
    unsigned char *blob; /* of key-file =, or NULL */
    size_t blob_len;
    char *from;          /* numeric; default 127.0.0.1 */
    int64_t at;          /* seconds since the epoch; 0: now */
    enum exec_kind kind; /* command =, subsystem =, or neither: a shell */
    char *command;       /* or the subsystem's name; NULL for a shell */
    bool expect_allowed; /* expect = allowed | denied */
    char *tenant;        /* which it must be, or NULL: any */
    char *sandbox;       /* the same */
    char *reason;        /* what the reason of a denial must contain, or NULL */
    bool has_pty;        /* it matters whether a terminal may be had, as `pty` says: */
    bool pty;
};

/* One value that is in force, for `show`. */
struct setting {
    const char *key;
    const char *value;
    struct origin origin; /* {NULL, 0}: the built-in default */
    bool inherited;       /* by extends or from [defaults] */
};

/* All that is in force for one section. */
struct shown_section {
    const char *type;
    const char *name; /* "" if it has none */
    struct origin origin;
    struct setting *settings; /* in the order of the manual; lists give one for each item */
    size_t n_settings;
};

/* A uid that is a tenant's for good (uid_record.h). */
struct uid_claim {
    const char *name; /* the tenant's */
    uid_t uid;
    bool fixed; /* the policy names it; else it was found in uid-range */
};

/* A [group] of system calls, by number; calls of other architectures are left out. */
struct policy_group {
    char *name;
    int *calls; /* in the order of the file */
    size_t n_calls;
};

/* A [seccomp] profile, whether a sandbox uses it or not. */
struct policy_profile {
    struct seccomp_spec spec;
    struct origin origin;
};

struct strmap;

struct policy {
    struct server_config server;
    struct tenant *tenants;
    size_t n_tenants;
    struct sandbox_spec *sandboxes;
    size_t n_sandboxes;
    struct policy_index *index; /* (login, key blob) → tenant and key */
    struct revoked *revoked;    /* keys that nobody may use (revoked.h) */
    struct strmap *open_logins; /* login → index of the tenant with auth = none */
    struct policy_test *tests;  /* in the order of the files */
    size_t n_tests;
    struct policy_group *groups; /* in the order of the files */
    size_t n_groups;
    struct policy_profile *profiles; /* the same */
    size_t n_profiles;
    struct shown_section *shown; /* if policy_source.keep_settings: [server], and all tenants and
                                    sandboxes as they stand above */
    size_t n_shown;              /* 1 + n_tenants + n_sandboxes, or 0 */
    struct uid_claim *claims;    /* uids that the record doesn't hold yet: to be written down
                                    before anything runs with one of them */
    size_t n_claims;
    struct str_list files; /* every file that was read, owner of origin.file */
    struct pool *pool;     /* owns all of the above */
};

enum diag_grade {
    DIAG_ERROR,
    DIAG_WARNING /* legal, but unwise (review.h) */
};

/* A problem found while loading; `hint` may be "". */
struct diag {
    enum diag_grade grade;
    char *file;
    unsigned line; /* 0: the file as a whole */
    size_t order;  /* of discovery */
    char text[512];
    char hint[160];
};

struct diags {
    struct diag *items;
    size_t n;
    bool truncated;     /* more errors were found than DIAGS_MAX */
    bool more_warnings; /* warnings were left out */
};
enum { DIAGS_MAX = 1000 };

/* The outside world, as loading needs it. */
struct policy_host {
    void *user;
    /* Reads a whole file (at most `max` bytes) that nobody but root, ourselves and `owner` could
     * have written or replaced; the caller frees *data. -1: err says why. */
    int (*read_file)(void *user, const char *path, size_t max, uid_t owner, char **data,
                     size_t *len, struct err *err);
    /* The names (not paths) in a directory that end in `suffix`, in C-locale order, without hidden
     * files and editor backups. The caller frees each and the list. A directory that doesn't exist
     * is an empty list. The same is asked of its owners. */
    int (*list_dir)(void *user, const char *path, const char *suffix, uid_t owner,
                    struct str_list *names, struct err *err);
    /* The uid of a system user, and its primary group unless `gid` is NULL. Returns 0, or -1 with
     * err. */
    int (*find_user)(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err);
    /* The number of a group of this host. Returns 0, or -1 with err. */
    int (*find_group)(void *user, const char *name, gid_t *gid, struct err *err);
    /* syscall_number() of sandbox/syscalls.h. */
    int (*syscall_number)(const char *name);
    /* SHA-256; returns 0, or -1. Kept by the policy for lookups, so it must not need `user`. */
    int (*sha256)(const void *data, size_t len, unsigned char out[32]);
    /* SHA-1, kept like it; NULL: no list of revoked keys may ask for it. */
    int (*sha1)(const void *data, size_t len, unsigned char out[20]);
    /* Random bytes, so that nobody can foresee the places of keys in the lookup table. 0 or -1. */
    int (*random_bytes)(void *buf, size_t len);
    /* signature_verify(): 0 if an SSH signature of `data` by this key is right, else -1. Kept like
     * sha256. NULL: no certificate is accepted. */
    int (*verify)(const unsigned char *key, size_t key_len, const unsigned char *data,
                  size_t data_len, const unsigned char *signature, size_t signature_len);
};

struct policy_source {
    const struct policy_host *host;
    const char *config_path;         /* [server] only; NULL: defaults */
    const char *const *policy_paths; /* NULL-terminated, or NULL: policy.d beside config_path */
    bool keep_settings;              /* fill policy.shown; takes memory for every key */
    /*
     * Adds what else is wrong with the policy, or unwise, as far as this host can tell; or NULL. It
     * is called once all sections have been read, even if that has found errors: then the policy
     * holds what was right in it and, for the rest, what is inherited or the defaults. It is not
     * called if the configuration could not be read at all, or memory ran out.
     */
    void (*judge)(void *user, const struct policy *policy, struct diags *diags);
    void *judge_user;
};

/*
 * Loads the server's configuration and its policies: every *.ini of the directory "policy.d" beside
 * it, or the files that are named instead. All errors are collected in `diags`, sorted by file and
 * line. Returns the policy, or NULL if there was any error: warnings refuse nothing. diags_free()
 * must be called either way.
 */
struct policy *policy_load(const struct policy_source *source, struct diags *diags);
void policy_free(struct policy *policy);

/* For a process that forks often and has this policy to itself: pool_freeze() of all that it owns.
 */
int policy_freeze(const struct policy *policy);
void diags_free(struct diags *diags);

/* "file:line: error: text (hint)", or warning, without a newline. */
void diag_format(const struct diag *diag, char *buf, size_t len);

/*
 * Who logs in as `user` with this key blob: the tenant and the key, or false; a cert-authority is
 * no such key. Takes the same time and the same path for a login that doesn't exist. Whether they
 * may is decide_login()'s to say (login.h).
 */
bool policy_find_key(const struct policy *policy, const char *user, const unsigned char *blob,
                     size_t blob_len, const struct tenant **tenant, const struct policy_key **key);

/* The fingerprint of any key blob, listed or not. Returns 0, or -1 if there is no SHA-256. */
int policy_fingerprint(const struct policy_host *host, const unsigned char *blob, size_t blob_len,
                       char out[KEY_FINGERPRINT_MAX]);

/* By SHA256:… fingerprint, for `explain`. */
bool policy_find_fingerprint(const struct policy *policy, const char *user, const char *fingerprint,
                             const struct tenant **tenant, const struct policy_key **key);

/* The tenant that lets everybody in under this login (auth = none), or NULL. */
const struct tenant *policy_find_open(const struct policy *policy, const char *user);

const struct tenant *policy_find_tenant(const struct policy *policy, const char *name);

/*
 * Where a setting was made, by the section itself or by one that it inherits from; the place of the
 * section if it is nowhere, or the key has a wrong value. `item` tells the values of `read`,
 * `write` and `hide` apart, by their index; of other lists it is the last line.
 */
struct origin server_place(const struct policy *policy, const char *key);
struct origin tenant_place(const struct tenant *tenant, const char *key);
struct origin sandbox_place(const struct sandbox_spec *spec, const char *key, size_t item);

/* Whether accept-env of the tenant lets the client set `name` to `value` (RFC 4254 §6.4). Names
 * that steer the loader, a shell or our own variables are never accepted. */
bool tenant_accepts_env(const struct tenant *tenant, const char *name, const char *value);

#endif
