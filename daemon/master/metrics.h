/*
 * metrics.h - what the server counts, for monitoring: counters, histograms, and gauges that are
 * looked at when they are asked for. Pure, plain data; counting never allocates and never fails.
 *
 * Only counters and tenants survive a re-execution of the master (metrics_save()); `now` is filled
 * anew before each rendering (metrics_now.h), by metrics_text.h into what Prometheus reads.
 *
 * Cardinality is bounded: of tenants at most `max_tenants` have series of their own, the first that
 * come; the rest share one. A tenant that has left the policy gives its series up at the reload.
 */
#ifndef POSTERN_DAEMON_MASTER_METRICS_H
#define POSTERN_DAEMON_MASTER_METRICS_H

#include "penalty.h"
#include "room.h"
#include "verdict.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(enumerator, word): why a connection was refused before it was served */
#define REFUSED_REASONS(X)                                                                         \
    X(REFUSED_CONNECTIONS, "max-connections")                                                      \
    X(REFUSED_STARTUPS, "max-startups")                                                            \
    X(REFUSED_EARLY, "max-startups-random")                                                        \
    X(REFUSED_SOURCE_STARTUPS, "max-startups-per-source")                                          \
    X(REFUSED_SOURCE_CONNECTIONS, "max-connections-per-source")                                    \
    X(REFUSED_PENALTY, "penalty")                                                                  \
    X(REFUSED_PROXY, "proxy")                                                                      \
    X(REFUSED_NO_SESSION, "no-session")

enum refused_reason {
#define X(name, word) name,
    REFUSED_REASONS(X)
#undef X
        REFUSED_REASON_COUNT
};

enum metrics_method { METRICS_NONE, METRICS_PUBLICKEY, METRICS_OTHER_METHOD, METRICS_METHODS };

/* Why a command was denied; behind these come the limits of room.h but for LIMIT_NONE. */
enum denial { DENIAL_RULE, DENIAL_LOGIN, DENIAL_CLIENT_LIMIT, DENIAL_LIMITS };
enum { DENIAL_COUNT = DENIAL_LIMITS + LIMIT_COUNT - 1 };

enum metrics_refusal { METRICS_SYSCALL, METRICS_NETWORK, METRICS_REFUSALS };

enum metrics_stream { METRICS_IN, METRICS_OUT, METRICS_ERR, METRICS_STREAMS };

enum metrics_time {
    METRICS_DURATION,      /* of a command */
    METRICS_SANDBOX_START, /* from the decision to the command's execve */
    METRICS_QUEUE_WAIT,    /* of a command that has started then */
    METRICS_TIMES
};

enum {
    METRICS_BUCKETS_MAX = 16,
    METRICS_TENANTS_MAX = 1000, /* [server] metrics-tenants is at most that */
    METRICS_INDEX = 2048,       /* a power of two, about twice as many */
};

struct metrics_histogram {
    uint64_t
        counts[METRICS_BUCKETS_MAX + 1]; /* not cumulative; the last one is beyond all bounds */
    uint64_t sum_us;
};

/* Everything that only grows. Nothing but uint64_t, so that it is saved as an array of them. */
struct metrics_counters {
    uint64_t connections; /* that were given to a session */
    uint64_t refused[REFUSED_REASON_COUNT];
    uint64_t auth[METRICS_METHODS][2]; /* failed, accepted */
    uint64_t offences[OFFENCES];
    uint64_t penalties; /* sources that were not served from then on */
    uint64_t session_crashes;
    uint64_t denials[DENIAL_COUNT];
    uint64_t refusals[METRICS_REFUSALS];
    uint64_t bytes[METRICS_STREAMS];
    struct metrics_histogram times[METRICS_TIMES];
    uint64_t reloads[2];    /* refused, loaded */
    uint64_t last_reload;   /* whether the last one was loaded; the start counts as one */
    uint64_t last_loaded_s; /* when the current policy was, since 1970 */
    uint64_t start_s;       /* the same of the start */
    uint64_t zygote_starts;
    uint64_t spawner_starts;
    uint64_t audit_lines[2]; /* lost, written */
};

struct metrics_tenant {
    char name[64];
    uint64_t execs[VERDICT_COUNT];          /* that have ended, or were denied */
    uint64_t cpu_us;                        /* of theirs */
    uint64_t running, connections, waiting; /* now */
};

enum metrics_zygote { METRICS_STARTING, METRICS_SERVING, METRICS_RETIRED, METRICS_ZYGOTES };

/* At the moment of rendering. */
struct metrics_now {
    uint64_t connections, unauthenticated, proxied, max_connections;
    uint64_t execs, max_execs;
    uint64_t waiting, waiting_bytes;
    uint64_t penalties; /* sources that are not served */
    uint64_t generation, generations, tenants;
    uint64_t stopping; /* 0 or 1 */
    uint64_t zygotes[METRICS_ZYGOTES];
    uint64_t spawner_ready; /* 0 or 1 */
    uint64_t cpu_us, resident_bytes;
    uint64_t draining; /* 0 or 1 */
};

struct metrics {
    struct metrics_counters counters;
    struct metrics_tenant tenants[METRICS_TENANTS_MAX];
    size_t n_tenants, max_tenants;
    struct metrics_tenant others;  /* of whom there is no room for */
    struct metrics_tenant nobody;  /* commands of logins that no tenant has any more */
    uint16_t index[METRICS_INDEX]; /* 1 + place in `tenants`, by a hash of the name; 0: free */
    struct metrics_now now;
};

/* At the start of the server: nothing was counted yet. */
void metrics_init(struct metrics *metrics, uint64_t now_s);

/* How many tenants may have series of their own, from now on. */
void metrics_set_max_tenants(struct metrics *metrics, size_t max);

/* The entry of a tenant, which is made if there is room; "" is nobody. Never NULL; valid until the
 * next metrics_sweep(). */
struct metrics_tenant *metrics_tenant(struct metrics *metrics, const char *name);

/* After a reload: tenants that `exists` does not know lose their entries. */
void metrics_sweep(struct metrics *metrics, bool (*exists)(const void *user, const char *),
                   const void *user);

void metrics_observe(struct metrics *metrics, enum metrics_time time, uint64_t us);

/* An attempt to log in, with a method as the client names it. */
void metrics_auth(struct metrics *metrics, const char *method, bool accepted);

/* A command was denied: for a limit, or if that is LIMIT_NONE for `why`. */
void metrics_denied(struct metrics *metrics, enum limit limit, enum denial why);

/* One that has ended, or was denied. */
struct metrics_exec {
    const char *tenant;
    enum verdict verdict;
    uint64_t cpu_us;
    unsigned refused_calls; /* kinds of them */
    bool counted;           /* the bytes are known */
    uint64_t bytes[METRICS_STREAMS];
};
void metrics_exec(struct metrics *metrics, const struct metrics_exec *exec);

/* The bounds of a histogram's buckets in microseconds, ascending; *n of them. */
const uint64_t *metrics_bounds(enum metrics_time time, size_t *n);

const char *metrics_refused_word(size_t reason);
const char *metrics_denial_word(size_t denial);

/*
 * For a re-execution of the master: at most METRICS_SAVED_MAX bytes. What another version has
 * saved, whose counters are others, is read over and leaves everything at zero, which Prometheus
 * takes for a restart; so does what is damaged, which returns -1.
 */
enum { METRICS_SAVED_MAX = sizeof(struct metrics) };
void metrics_save(const struct metrics *metrics, struct wire_writer *w);
int metrics_restore(struct metrics *metrics, struct wire_reader *r);

#endif
