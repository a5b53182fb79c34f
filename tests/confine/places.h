/*
 * places.h - what the tests of binds, roots and workspaces share. Names are those of things in
 * harness_scratch(). Every expectation ends the process if it isn't met.
 */
#ifndef POSTERN_TESTS_PLACES_H
#define POSTERN_TESTS_PLACES_H

#include "harness.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { OTHER_UID = TEST_UID + 1 };

/* The shell runs `line`, ends with 0, and has written just that. */
void places_expect_output(const struct sandbox_template *tpl, const char *line, const char *text);
void places_expect_done(const struct sandbox_template *tpl, const char *line);

/* The spec can't be prepared, or no exec be started, for a reason that holds this. */
void places_expect_refusal(const struct sandbox_spec *spec, const char *text);
void places_expect_not_started(const struct sandbox_template *tpl, const char *text);

struct stat places_look(const char *name);
bool places_have(const char *name);

/* A symbolic link of this owner. */
void places_plant(const char *target, const char *name, uid_t owner);

/* Fills it with a root file system of a few programs, with the libraries that they name. */
void places_make_root(const char *root);

/* A line for the host's shell, which must end with 0. */
void places_run(const char *line);

#endif
