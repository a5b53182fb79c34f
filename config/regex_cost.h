/*
 * regex_cost.h - POSIX extended regular expressions that regcomp(3) or regexec(3) would spend too
 * much memory or time on.
 */
#ifndef POSTERN_CONFIG_REGEX_COST_H
#define POSTERN_CONFIG_REGEX_COST_H

/*
 * Why this expression isn't accepted, or NULL. Repetitions are written out when an expression is
 * compiled, those of repetitions many times over, and back-references make matching exponential.
 */
const char *regex_cost_problem(const char *pattern);

#endif
