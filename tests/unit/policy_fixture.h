/*
 * policy_fixture.h - a policy_host made of memory, for tests and fuzzing: files by name, a handful
 * of system calls, a fixed salt.
 */
#ifndef POSTERN_TESTS_POLICY_FIXTURE_H
#define POSTERN_TESTS_POLICY_FIXTURE_H

#include "policy.h"

extern const struct policy_host fixture_host;

/* Forgets all files, then adds /s/groups.ini and /s/default.ini (seccomp) and /p/postern.ini. */
void fixture_reset(void);
/* Adds or replaces a file; `data` is borrowed. */
void fixture_add(const char *path, const char *data, size_t len);
void fixture_add_text(const char *path, const char *text);
/* Lets the reading of a file fail for want of permission. */
void fixture_forbid(const char *path);

/* Whose a file could have been, by what was asked for when it was read last. */
uid_t fixture_owner_of(const char *path);

/* Loads /p/postern.ini and /p/policy.d; the diagnostics, one per line, are in fixture_problems. */
struct policy *fixture_load(void);
struct policy *fixture_load_shown(void); /* with policy.shown filled */
/* Loads them to be judged; whether there is no error. */
bool fixture_judge(void (*judge)(void *user, const struct policy *policy, struct diags *diags),
                   void *user);
extern char fixture_problems[16384];

/*
 * fixture_reset(), these key files in /p/policy.d/keys, and `text` as /p/policy.d/t.ini; then
 * loads. a: KEY_A; b: KEY_B and KEY_C; env: KEY_A with an option; bad: two lines in error;
 * private: a private key; none-in-it: a comment.
 */
struct policy *fixture_load_text(const char *text);
/* The test fails if the problems aren't these; lines that begin with a digit are t.ini's. */
void assert_problems(const char *expected);
/* Loads it, and the test fails if there is a problem. */
struct policy *fixture_load_good(const char *text);

/* Public keys, as lines of a key file hold them. */
#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8m3JiqO+1wCwOjP2tFvnbAJpYe6W1pRKqX0nUZ3d0K"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8m3JiqO+1wCwOjP2tFvnbAJpYe6W1pRKqX0nUZ3d0K"
#define KEY_C "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC8m3JiqO+1wCwOjP2tFvnbAJpYe6W1pRKqX0nUZ3d0K"

#endif
