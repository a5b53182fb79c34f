/*
 * cases.h - the tests that confine.c runs.
 */
#ifndef POSTERN_TESTS_CASES_H
#define POSTERN_TESTS_CASES_H

#include <stddef.h>

struct test_case {
    const char *name;
    void (*run)(void); /* returns if all is well */
};

struct test_list {
    const struct test_case *items;
    size_t n;
};

struct test_list cases_life(void);    /* how an exec starts, is steered and ends */
struct test_list cases_layers(void);  /* what confines it, and that no layer may fail */
struct test_list cases_places(void);  /* what it sees and may write: binds, hidden places, roots */
struct test_list cases_changes(void); /* what changes of that after the policy was loaded */
struct test_list cases_workspaces(void); /* where it works, alone and with others */
struct test_list cases_network(void);    /* that nobody else is in its network */
struct test_list cases_egress(void);     /* whom it reaches by rules */
struct test_list cases_proc(void);       /* what /proc tells it */

#endif
