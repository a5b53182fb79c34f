/*
 * steps.h - why a login was accepted or refused, step by step, for `postern explain`.
 */
#ifndef POSTERN_DAEMON_CLI_STEPS_H
#define POSTERN_DAEMON_CLI_STEPS_H

#include "login.h"

struct step {
    const char *name;     /* "login", "key", "from", … */
    bool passed;          /* false: of the last one alone */
    char text[512];       /* printable */
    struct origin origin; /* the rule that it is about; no file: none is */
};

enum { STEPS_MAX = 8 };

/* What decide_login() looked at to come to `login`, in that order. Returns their number. */
size_t steps_of(const struct login_request *request, const struct login *login,
                struct step steps[STEPS_MAX]);

#endif
