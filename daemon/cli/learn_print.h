/*
 * learn_print.h - a lesson as INI to be pasted into a policy, and as JSON.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_PRINT_H
#define POSTERN_DAEMON_CLI_LEARN_PRINT_H

#include "learn_lesson.h"
#include "learn_run.h"

#include <jansson.h>
#include <stdio.h>

/* Of one run, for the words around the lesson. */
struct learn_report {
    const struct lesson *lesson;
    const struct learn_job *job;
    const struct learn_end *end;
    const char *name;         /* of the sections */
    const char *const *words; /* the command as it was given */
    const char *cwd;          /* where it ran, or NULL: where every command begins */
    const char *network_word; /* as a policy has it */
};

void learn_print_ini(const struct learn_report *report, FILE *to);

/* Adds the members of the document, `policy` (the INI) among them. */
void learn_print_json(const struct learn_report *report, const char *ini, json_t *doc);

/* "exited with 2", "was killed by SIGSEGV", … Returns buf. */
const char *learn_describe_end(const struct learn_end *end, char *buf, size_t len);

#endif
