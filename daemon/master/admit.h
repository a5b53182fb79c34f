/*
 * admit.h - what becomes of a command that is asked for, by the rules and limits of this moment: it
 * starts, it waits for its turn, or it is refused with a reason.
 */
#ifndef POSTERN_DAEMON_MASTER_ADMIT_H
#define POSTERN_DAEMON_MASTER_ADMIT_H

#include "exec.h"
#include "room.h"

/* What a client has been told of its place in the queue. */
struct told {
    size_t place; /* 0: nothing yet */
    uint64_t ms;
};

/* One asking: who, what, and since when. */
struct asking {
    struct connection *connection;
    const struct msg_req_exec *req;
    struct exec_record record; /* its id is given; the rest follows from the decision */
    uint64_t since_ms;         /* when it was first asked */
    bool queued;               /* it has waited since then */
    bool its_turn;             /* nobody of the tenant is before it */
    struct told told;
};

/* Answers it, or has it wait. */
void admit_judge(struct asking *asking);

/*
 * Refuses it for a limit. `tenant` is that of the policy that is current, or NULL if it has none
 * any more.
 */
void admit_refuse(const struct asking *asking, const struct tenant *tenant, enum limit limit,
                  const char *reason);

/* Ends one that waits: the operator wants it, with that reason. */
void admit_end(const struct asking *asking, const struct tenant *tenant, const char *reason);

/* It waits, and its client has sent a signal that ends it. */
void admit_signalled(const struct asking *asking, const struct tenant *tenant, unsigned signo,
                     const char *reason);

/* What a connection that is not accepted any more is told: which login, and why. */
void admit_describe_login(const struct connection *connection, const struct login *login, char *buf,
                          size_t len);

#endif
