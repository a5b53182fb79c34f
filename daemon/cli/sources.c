#include "sources.h"
#include "cleanup.h"
#include "policy_files.h"
#include "problems.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char config_name[] = "postern.ini";

static void free_strings(char **items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(items[i]);
    free(items);
}

void sources_free(struct sources *sources)
{
    free(sources->config);
    free_strings(sources->paths, sources->n_paths);
    free_strings(sources->dirs, sources->n_dirs);
    *sources = (struct sources){0};
}

/* Takes `string` over, which may be NULL: out of memory. The array ends in NULL. */
static int add_string(char ***items, size_t *n, char *string)
{
    char **larger = string == NULL ? NULL : realloc(*items, (*n + 2) * sizeof **items);
    if (larger == NULL) {
        free(string);
        return EX_OSERR;
    }
    *items = larger;
    larger[(*n)++] = string;
    larger[*n] = NULL;
    return EX_OK;
}

/* A copy that messages can go on from. */
static char *without_slashes(const char *dir)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    return strndup(dir, len);
}

static char *join(const char *dir, const char *name)
{
    cleanup_free char *parent = without_slashes(dir);
    char *path = NULL;
    return parent == NULL || asprintf(&path, "%s/%s", parent, name) < 0 ? NULL : path;
}

static int add_directory(struct sources *out, const char *word)
{
    struct str_list names = {0};
    struct err err = {0};
    cleanup_free char *dir = without_slashes(word);
    int status = dir == NULL ? EX_OSERR : add_string(&out->dirs, &out->n_dirs, strdup(dir));
    if (status == EX_OK && policy_files_host.list_dir(NULL, dir, ".ini", 0, &names, &err) < 0) {
        problem_print(stderr, DIAG_ERROR, dir, 0, err.text, "");
        return EX_CONFIG;
    }
    for (size_t i = 0; i < names.n; i++) {
        if (status == EX_OK)
            status = add_string(&out->paths, &out->n_paths, join(dir, names.items[i]));
        free(names.items[i]);
    }
    free(names.items);
    return status;
}

/* Whether `word` is a whole configuration: postern.ini or the directory that holds it. */
static bool is_config(const char *word, bool is_dir, char **config)
{
    const char *slash = strrchr(word, '/');
    cleanup_free char *path = NULL;
    if (is_dir)
        path = join(word, config_name);
    else if (strcmp(slash == NULL ? word : slash + 1, config_name) == 0)
        path = strdup(word);
    if (path == NULL || access(path, F_OK) < 0)
        return false;
    free(*config);
    *config = steal_ptr(path);
    return true;
}

static int add_word(struct sources *out, const char *word)
{
    struct stat st;
    if (stat(word, &st) < 0) {
        problem_no_input(word, errno);
        return EX_NOINPUT;
    }
    if (is_config(word, S_ISDIR(st.st_mode), &out->config))
        return EX_OK;
    if (S_ISDIR(st.st_mode))
        return add_directory(out, word);
    return add_string(&out->paths, &out->n_paths, strdup(word));
}

/* The configuration that goes with what the words have named. */
static int choose_config(struct sources *out, bool is_alone)
{
    if (out->config == NULL && (is_alone || access(DEFAULT_CONFIG, F_OK) == 0)) {
        out->config = strdup(DEFAULT_CONFIG);
        if (out->config == NULL)
            return EX_OSERR;
    }
    /* Files of their own can be judged where no server is configured. */
    if (out->config == NULL && out->n_paths == 0) {
        fputs("postern: no *.ini in what was given\n", stderr);
        return EX_NOINPUT;
    }
    if (out->config == NULL || out->n_paths > 0)
        return EX_OK;
    const char *slash = strrchr(out->config, '/');
    char *dir = NULL;
    int len = slash == NULL ? 0 : (int)(slash - out->config) + 1;
    if (asprintf(&dir, "%.*spolicy.d", len, out->config) < 0)
        dir = NULL;
    return add_string(&out->dirs, &out->n_dirs, dir);
}

int sources_find(const struct cli *cli, char *const *words, size_t n_words, struct sources *out)
{
    *out = (struct sources){0};
    int status = EX_OK;
    struct stat st;
    if (cli->config != NULL) {
        bool is_dir = stat(cli->config, &st) == 0 && S_ISDIR(st.st_mode);
        out->config = is_dir ? join(cli->config, config_name) : strdup(cli->config);
        status = out->config == NULL ? EX_OSERR : EX_OK;
    }
    for (size_t i = 0; i < n_words && status != EX_OSERR; i++) {
        int added = add_word(out, words[i]);
        status = added == EX_OK ? status : added;
    }
    if (status == EX_OK)
        status = choose_config(out, n_words == 0);
    if (status == EX_OSERR)
        fputs("postern: out of memory\n", stderr);
    return status;
}

struct policy *sources_load(const struct cli *cli, const struct sources *sources,
                            bool keep_settings, struct diags *diags, int *status)
{
    struct diags ignored = {0};
    struct diags *found = diags != NULL ? diags : &ignored;
    *found = ignored;
    if (sources->config != NULL && access(sources->config, R_OK) < 0) {
        problem_no_input(sources->config, errno);
        *status = EX_NOINPUT;
        return NULL;
    }
    struct policy_source source = {.host =
                                       sources->host != NULL ? sources->host : &policy_files_host,
                                   .config_path = sources->config,
                                   .policy_paths = (const char *const *)sources->paths,
                                   .keep_settings = keep_settings,
                                   .judge = sources->judge != NULL ? host_judge : NULL,
                                   .judge_user = sources->judge};
    if (sources->judge != NULL)
        sources->judge->no_server = sources->config == NULL;
    struct policy *policy = policy_load(&source, found);
    if (policy == NULL)
        *status = problems_report(
            cli, found, sources->judge != NULL ? host_judge_unseen(sources->judge) : NULL);
    if (policy == NULL || diags == NULL)
        diags_free(found);
    return policy;
}

struct policy *sources_load_system(const struct cli *cli, bool keep_settings, int *status)
{
    struct sources sources;
    struct policy *policy = NULL;
    *status = sources_find(cli, NULL, 0, &sources);
    if (*status == EX_OK)
        policy = sources_load(cli, &sources, keep_settings, NULL, status);
    sources_free(&sources);
    return policy;
}
