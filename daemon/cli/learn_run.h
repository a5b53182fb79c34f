/*
 * learn_run.h - one command in a sandbox under the eyes of the tracer, from start to end.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_RUN_H
#define POSTERN_DAEMON_CLI_LEARN_RUN_H

#include "learn_record.h"
#include "learn_tree.h"
#include "report.h"
#include "sandbox.h"

struct learn_job {
    struct learn_tree *tree;
    const struct seccomp_spec *ordinary; /* calls whose results are of no interest */
    const char *const *argv;
    const char *const *envp;
    unsigned skip; /* programs that argv executes before the command itself */
    const char *user_name;
    uid_t uid;
    gid_t gid;
    int stdio[3]; /* borrowed */
};

struct learn_end {
    bool began;  /* the command itself was executed */
    bool failed; /* the sandbox, or its first program, could not be started: */
    struct report failure;
    bool ended;
    struct report exit;
    int interrupted; /* the first signal that we were sent meanwhile, or 0 */
    bool incomplete; /* something has gone unseen, memory was short */
};

/*
 * Runs it to its end, and kills what it leaves behind. A signal to us (INT, TERM, HUP, QUIT) is
 * handed on; a second one, or a grace time, kills. Returns 0, or -1 with err if nothing was run.
 */
int learn_run(const struct learn_job *job, struct seen *seen, struct learn_end *end,
              struct err *err);

#endif
