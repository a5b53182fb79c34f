/*
 * explanation.h - one decision as `postern explain` tells it, to people and to programs.
 */
#ifndef POSTERN_DAEMON_CLI_EXPLANATION_H
#define POSTERN_DAEMON_CLI_EXPLANATION_H

#include "decide.h"
#include "steps.h"

struct explanation {
    const struct decide_request *request;
    const struct decision *decision;
    const char *note; /* about the question; "" if there is none */
    struct step steps[STEPS_MAX];
    size_t n_steps;
    struct str_list refused_env; /* NAME=VALUE that accept-env does not let in */
};

void explanation_print(const struct explanation *e);
/* Returns an exit status: EX_OK or EX_OSERR. */
int explanation_print_json(const struct explanation *e);

#endif
