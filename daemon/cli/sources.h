/*
 * sources.h - which policy a subcommand works on: what its words and -f name, loaded.
 */
#ifndef POSTERN_DAEMON_CLI_SOURCES_H
#define POSTERN_DAEMON_CLI_SOURCES_H

#include "host_judge.h"
#include "options.h"
#include "policy.h"

#define DEFAULT_CONFIG "/etc/postern/postern.ini"

/* What policy_load() is to read. */
struct sources {
    char *config; /* NULL: the built-in defaults */
    char **paths; /* policy files, NULL-terminated; NULL: policy.d beside the configuration */
    size_t n_paths;
    char **dirs; /* those that `paths` came from, and policy.d */
    size_t n_dirs;
    const struct policy_host *host; /* what reads them; NULL: policy_files_host */
    struct host_judge *judge;       /* what this host says of it; NULL: it isn't asked */
};

/*
 * Finds the policy that `words` name: a postern.ini, the directory that holds one, policy files or
 * directories of them; with no words, or beside policy files, the configuration of -f or else the
 * system's. What is missing is said on stderr. Returns an exit status; sources_free() either way.
 */
int sources_find(const struct cli *cli, char *const *words, size_t n_words, struct sources *out);
void sources_free(struct sources *sources);

/*
 * Loads it. NULL with *status if that failed; every error has been printed then, to stderr or as
 * the subcommand's JSON document. Warnings, which are no failure, are in `diags`, for diags_free();
 * if that is NULL they are left out.
 */
struct policy *sources_load(const struct cli *cli, const struct sources *sources,
                            bool keep_settings, struct diags *diags, int *status);

/* sources_find() and sources_load() for a subcommand whose words are something else. */
struct policy *sources_load_system(const struct cli *cli, bool keep_settings, int *status);

#endif
