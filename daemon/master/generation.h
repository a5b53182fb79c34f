/*
 * generation.h - one loaded policy with its spawner. Running execs keep theirs alive.
 */
#ifndef POSTERN_DAEMON_MASTER_GENERATION_H
#define POSTERN_DAEMON_MASTER_GENERATION_H

#include "audit_sink.h"
#include "host_judge.h"
#include "policy_texts.h"
#include "server.h"

enum generation_state {
    GENERATION_NEXT,    /* loaded; becomes current when its spawner is ready, or is refused */
    GENERATION_CURRENT, /* what new execs are judged by; a lost spawner is replaced */
    GENERATION_RETIRED, /* kept for the execs that began with it */
};

struct blocked;
struct state;

/* What is added here goes along with a handover by generation_state.c. */
struct generation {
    struct server *server;
    struct generation *next; /* in server->generations */
    enum generation_state state;
    uint64_t number; /* 1, 2, … */
    struct policy *policy;
    size_t n_keys;     /* of all tenants */
    time_t loaded_at;  /* when it became current */
    int texts;         /* what it was read from (policy_texts.h) */
    uid_t session_uid; /* of [server] user =, looked up when the policy was loaded */
    gid_t session_gid;
    struct audit_sink audit;
    int recordings_fd; /* the directory; -1: nobody is recorded */
    struct ipc spawner;
    struct loop_source source;
    struct child *child;            /* held: the spawner's process */
    struct loop_timer answer_timer; /* how long it may take to get ready, or to answer */
    unsigned n_unanswered;          /* jobs that it has and has not answered */
    struct signer *signer;          /* held: has its host keys; NULL until one is needed */
    bool ready;                     /* the spawner takes jobs */
    struct blocked *blocked;        /* of egress sandboxes, if there are any (blocked.h) */
    unsigned respawns;              /* in a row, without a sandbox started in between */
    struct loop_timer respawn_timer;
    struct exec *waiting; /* execs whose job the spawner's full queue did not take, in order */
    struct exec *asked;   /* those whose job it has and has not answered, in order */
    struct exec **last_asked;
    size_t refs; /* execs, and the server for current and next */
};

/* Every problem becomes a line of the log, or one on stderr that begins with its place, if it is
 * for a person at a terminal. Returns the number of errors. */
size_t generation_tell(const struct diags *diags, bool to_terminal);
/* Loads the policy from disk, judges it and tells the problems; `texts` are of that load. NULL on
 * failure; err then sums up, with a sysexits code. */
struct policy *generation_load_policy(const char *config_path, struct host_judge *judge,
                                      bool to_terminal, struct policy_texts *texts,
                                      struct err *err);
/* The same for what policy_load() has given, which may have happened in another thread; `code` is
 * host_judge.code. */
struct policy *generation_take_policy(struct policy *policy, const struct diags *diags, int code,
                                      bool to_terminal, size_t *n_errors, struct err *err);

/*
 * Makes a generation of a policy and of what it was read from: looks up what its [server] names,
 * opens its audit trail and starts its spawner; it becomes current when that is ready. Owns the
 * policy in any case. NULL with err (and a sysexits code) on failure.
 */
struct generation *generation_start(struct server *server, struct policy *policy,
                                    struct policy_texts *texts, struct err *err);

/* Says in log and audit that the next generation did not come about, so that the current one stays:
 * because of that many errors of the policy, or for another reason (0). */
void generation_refused(struct server *server, size_t n_errors, const char *why);

/* The spawner has got a job: it is given up if it does not answer. */
void generation_await_answer(struct generation *generation);

/*
 * All that serve or have served (state.h): read again from what they were read from then, and held
 * by the caller until generation_release_restored(); then each that holds one. What their spawners
 * have been asked for is not carried.
 */
void generation_carry_all(struct state *state, struct server *server, struct err *err);
void generation_release_restored(struct server *server);
void generation_carry(struct state *state, struct server *server, struct generation **held);
/* No spawner has a job unanswered, none waits for one, and the current one has its own. */
bool generation_all_quiet(const struct server *server);

/* Hears the spawner that it has got from elsewhere. Returns 0, or -1 with err. */
int generation_watch(struct generation *generation, struct err *err);
/* What its timers may call. */
void generation_on_no_answer(struct loop_timer *timer);
void generation_on_respawn(struct loop_timer *timer);

struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation);

#endif
