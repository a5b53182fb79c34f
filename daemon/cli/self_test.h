/*
 * self_test.h - what a program found that asked, inside a tenant's sandbox, for what no command
 * must have; and what of it the policy wants so.
 */
#ifndef POSTERN_DAEMON_CLI_SELF_TEST_H
#define POSTERN_DAEMON_CLI_SELF_TEST_H

#include "err.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>

enum self_test_result {
    SELF_TEST_REFUSED,
    SELF_TEST_KILLED,    /* refused by ending the command */
    SELF_TEST_UNTRIED,   /* it could not be tried */
    SELF_TEST_BY_POLICY, /* open, and a line of the policy opens it */
    SELF_TEST_OPEN,
};

enum { SELF_TEST_ROWS_MAX = 2048, SELF_TEST_TEXT_MAX = 256 };

struct self_test_row {
    enum self_test_result result;
    char group[32];
    char name[64];
    int call;                      /* that it is about, or -1 */
    char text[SELF_TEST_TEXT_MAX]; /* what is expected */
    char why[SELF_TEST_TEXT_MAX];  /* what was possible */
    char line[SELF_TEST_TEXT_MAX]; /* BY_POLICY: which says so */
};

struct self_test_rows {
    struct self_test_row *items;
    size_t n;
};

void self_test_rows_free(struct self_test_rows *rows);

/*
 * Reads one line of what the probe prints. Nothing in it is believed: it comes out of a sandbox. A
 * line "try NAME" goes to `trying`, 64 bytes; a row is added, which ends that. Returns 0, or -1: it
 * is neither, there are too many, or memory ran out.
 */
int self_test_read(const char *line, struct self_test_rows *rows, char trying[64]);

/* Turns OPEN into BY_POLICY where the policy, loaded with its settings, gives this on purpose. */
void self_test_judge(const struct policy *policy, const struct sandbox_spec *spec,
                     struct self_test_row *row);

/*
 * Runs the program `probe` in the sandbox of the tenant, made and entered as for a command. Needs
 * root. Returns 0, or -1 with err; self_test_rows_free() is due either way.
 */
int self_test_run(const struct policy *policy, const struct tenant *tenant, const char *probe,
                  struct self_test_rows *out, struct err *err);

#endif
