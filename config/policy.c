#include "cleanup.h"
#include "key_index.h"
#include "loader.h"
#include "revoked.h"
#include "schema.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void loader_complain(struct loader *l, const struct origin *at, const char *hint,
                     const struct err *err)
{
    diag_add(l->diags, at->file, at->line, hint, "%s", err->text);
}

bool loader_may_guess(struct loader *l)
{
    return l->guesses++ < GUESSES_MAX;
}

const char *loader_path(struct loader *l, const struct origin *at, const char *path)
{
    const char *slash = path[0] == '/' ? NULL : strrchr(at->file, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - at->file) + 1;
    return pool_printf(&l->scratch, "%.*s%s", dir_len, at->file, path);
}

const char *loader_owner_hint(const struct err *err)
{
    return err->num == EPERM ? "or name the owner with 'policy-owner' in [server]" : NULL;
}

const char *loader_intern_file(struct loader *l, const char *path)
{
    struct str_list *files = &l->policy->files;
    return pool_push_str(l->pool, files, path) < 0 ? NULL : files->items[files->n - 1];
}

/* Reads one INI file into l->doc; what is wrong with it is a problem of that file. */
static int read_ini(struct loader *l, const char *path, enum file_role role)
{
    struct err err = {0};
    cleanup_free char *data = NULL;
    size_t len = 0;
    const char *file = loader_intern_file(l, path);
    if (file == NULL)
        return -1;
    if (l->host->read_file(l->host->user, path, INI_FILE_SIZE_MAX, l->policy->server.policy_owner,
                           &data, &len, &err) < 0) {
        diag_add(l->diags, path, 0, role == FILE_SERVER ? NULL : loader_owner_hint(&err), "%s",
                 err.text);
        return 0;
    }
    size_t first = l->doc.n;
    if (ini_file_read(&l->scratch, file, data, len, &l->doc, l->diags) < 0)
        return -1;
    schema_check_sections(l, first, role);
    return 0;
}

static void free_names(struct str_list *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct str_list){0};
}

static int read_names(struct loader *l, const char *dir, const struct str_list *names,
                      enum file_role role)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *path = pool_printf(&l->scratch, "%s/%s", dir, names->items[i]);
        if (path == NULL || read_ini(l, path, role) < 0)
            return -1;
    }
    return 0;
}

/* Reads every *.ini of a directory; *n is how many there are. */
static int read_dir(struct loader *l, const char *dir, enum file_role role, size_t *n)
{
    struct err err = {0};
    struct str_list names = {0};
    *n = SIZE_MAX;
    if (l->host->list_dir(l->host->user, dir, ".ini", l->policy->server.policy_owner, &names,
                          &err) < 0) {
        diag_add(l->diags, dir, 0, loader_owner_hint(&err), "%s", err.text);
        return 0;
    }
    *n = names.n;
    int rc = read_names(l, dir, &names, role);
    free_names(&names);
    return rc;
}

static int read_policies(struct loader *l, const char *config_path, const char *const *paths)
{
    if (paths != NULL) {
        for (; *paths != NULL; paths++)
            if (read_ini(l, *paths, FILE_POLICY) < 0)
                return -1;
        return 0;
    }
    if (config_path == NULL)
        return 0;
    const char *dir = loader_path(l, &(struct origin){config_path, 0}, "policy.d");
    size_t n;
    return dir == NULL ? -1 : read_dir(l, dir, FILE_POLICY, &n);
}

static int read_profiles(struct loader *l)
{
    const char *dir = l->policy->server.seccomp_dir;
    struct origin at = server_place(l->policy, "seccomp-dir");
    char shown[200];
    size_t n;
    if (read_dir(l, dir, FILE_SECCOMP, &n) < 0)
        return -1;
    if (n == 0)
        diag_add(l->diags, at.file, at.line,
                 at.line == l->policy->server.origin.line
                     ? "'seccomp-dir' in [server] says where they are"
                     : "it holds what the package installs as default.ini",
                 "seccomp-dir = %s: no seccomp profiles are there",
                 text_escape_str(shown, sizeof shown, dir));
    return 0;
}

static int load(struct loader *l, const char *config_path, const char *const *policy_paths)
{
    if (config_path != NULL && read_ini(l, config_path, FILE_SERVER) < 0)
        return -1;
    /* Nothing of it could be read: what follows would be judged by settings that nobody chose. */
    if (l->doc.n == 0 && diags_any(l->diags))
        return 0;
    if (server_build(l) < 0 || read_policies(l, config_path, policy_paths) < 0 ||
        read_profiles(l) < 0)
        return -1;
    if (revoked_build(l) < 0 || sandboxes_build(l) < 0 || tenants_build(l) < 0 ||
        key_index_build(l) < 0)
        return -1;
    l->is_whole = true;
    return policy_tests_build(l);
}

static int load_all(struct loader *l, const struct policy_source *source)
{
    if (load(l, source->config_path, source->policy_paths) < 0)
        return -1;
    if (source->judge != NULL && l->is_whole)
        source->judge(source->judge_user, l->policy, l->diags);
    return source->keep_settings && !diags_any(l->diags) ? effective_build(l) : 0;
}

static struct policy *new_policy(void)
{
    struct policy *policy = calloc(1, sizeof *policy);
    struct pool *pool = calloc(1, sizeof *pool);
    if (policy == NULL || pool == NULL) {
        free(policy);
        free(pool);
        return NULL;
    }
    policy->pool = pool;
    return policy;
}

struct policy *policy_load(const struct policy_source *source, struct diags *diags)
{
    *diags = (struct diags){0};
    struct policy *policy = new_policy();
    const char *where = source->config_path == NULL ? "built-in" : source->config_path;
    if (policy == NULL) {
        diag_add(diags, where, 0, NULL, "out of memory");
        return NULL;
    }
    struct loader l = {.host = source->host,
                       .policy = policy,
                       .pool = policy->pool,
                       .diags = diags,
                       .config_path = where};
    if (load_all(&l, source) < 0)
        diag_add(diags, where, 0, NULL, "out of memory");
    pool_free(&l.scratch);
    diags_sort(diags);
    if (diags_any(diags)) {
        policy_free(policy);
        return NULL;
    }
    return policy;
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    pool_free(policy->pool);
    free(policy->pool);
    free(policy);
}

int policy_freeze(const struct policy *policy)
{
    return pool_freeze(policy->pool);
}

const struct tenant *policy_find_tenant(const struct policy *policy, const char *name)
{
    size_t low = 0;
    size_t high = policy->n_tenants;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, policy->tenants[middle].name);
        if (order == 0)
            return &policy->tenants[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
