/*
 * problems.h - telling what is wrong: errors and warnings of a policy, files that can't be read.
 */
#ifndef POSTERN_DAEMON_CLI_PROBLEMS_H
#define POSTERN_DAEMON_CLI_PROBLEMS_H

#include "doc.h"
#include "options.h"

/* "file:line: error: text (hint)"; line 0 and an empty hint are left out. */
void problem_print(FILE *to, enum diag_grade grade, const char *file, unsigned line,
                   const char *text, const char *hint);

/* "postern: PATH: …", on stderr. */
void problem_no_input(const char *path, int num);

/* Every line of `diags` on stderr. */
void problems_print(const struct diags *diags);
/* The same as a member "diagnostics". */
void problems_put(json_t *doc, const struct diags *diags);
size_t problems_count(const struct diags *diags, enum diag_grade grade);

/*
 * A policy that has errors: says them on stderr or, with --json, in a document of the subcommand's
 * kind that holds "ok": false and them alone; and what could not be looked at (problems_unseen()).
 * Returns EX_CONFIG.
 */
int problems_report(const struct cli *cli, const struct diags *diags, const char *unseen);

/* What could not be looked at, on stderr or as a member "unseen"; NULL: nothing. */
void problems_unseen(const char *unseen);
void problems_put_unseen(json_t *doc, const char *unseen);

/* "postern: there is no WHAT 'NAME': did you mean …?", on stderr. Returns EX_DATAERR. */
struct suggestion;
int problem_no_such(const char *what, const char *name, const struct suggestion *guess);

#endif
