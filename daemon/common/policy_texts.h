/*
 * policy_texts.h - what a policy was read from, kept so that it can be read again as it was: every
 * file, directory listing, user and group of this host that the loader asked for, with the answer.
 *
 * It is kept in a sealed memfd(2), which costs no memory of this process, and is handed from one
 * program to the next as it is.
 */
#ifndef POSTERN_DAEMON_COMMON_POLICY_TEXTS_H
#define POSTERN_DAEMON_COMMON_POLICY_TEXTS_H

#include "policy.h"

/* One load that is being written down; one thread. */
struct policy_texts;

/* What `host` is asked is written down; it has to outlive the texts. NULL if memory ran out. */
struct policy_texts *policy_texts_new(const struct policy_host *host);
void policy_texts_free(struct policy_texts *texts);

/* Asks that host, and writes down what it answers. Lives as long as `texts`. */
const struct policy_host *policy_texts_host(struct policy_texts *texts);

/* What was written down, as a descriptor that is the caller's; texts are of no use any more, and
 * to be freed. Returns 0, or -1 with err. */
int policy_texts_seal(struct policy_texts *texts, int *fd, struct err *err);

/*
 * As policy_load(), from what was written down in `fd` alone. The texts are judged like files. What
 * was not asked for then isn't there. diags_free() must be called either way.
 */
struct policy *policy_texts_load(int fd, const char *config_path, struct diags *diags);

#endif
