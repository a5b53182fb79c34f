#include "key_files.h"
#include "cleanup.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { SHOWN_MAX = 400, NAMED_MAX = 5 };

/* Which file a `keys` is; malloc'd. */
static char *key_path(const struct setting *setting)
{
    char *path = NULL;
    const char *slash = strrchr(setting->origin.file, '/');
    bool is_whole = setting->value[0] == '/' || slash == NULL;
    int len = is_whole ? 0 : (int)(slash - setting->origin.file) + 1;
    return asprintf(&path, "%.*s%s", len, setting->origin.file, setting->value) < 0 ? NULL : path;
}

/* Calls for each `keys` of a tenant, or of all (NULL), until that is false. */
static void each_file(const struct policy *policy, const char *tenant,
                      bool (*call)(const char *name, const struct setting *, const char *path,
                                   void *user),
                      void *user)
{
    for (size_t i = 0; i < policy->n_shown; i++) {
        const struct shown_section *s = &policy->shown[i];
        if (strcmp(s->type, "tenant") != 0 || (tenant != NULL && strcmp(s->name, tenant) != 0))
            continue;
        for (size_t k = 0; k < s->n_settings; k++) {
            const struct setting *setting = &s->settings[k];
            if (strcmp(setting->key, "keys") != 0 || setting->origin.file == NULL)
                continue;
            cleanup_free char *path = key_path(setting);
            if (path == NULL || !call(s->name, setting, path, user))
                return;
        }
    }
}

/* The file that a tenant's keys are added to. */
struct choice {
    char *path;
    size_t cap;
    size_t n_own, n_inherited;
    bool has_name; /* `path` ends in the tenant's name: that is the one */
};

static bool choose(const char *name, const struct setting *setting, const char *path, void *user)
{
    struct choice *c = user;
    const char *slash = strrchr(path, '/');
    bool has_name = strcmp(slash == NULL ? path : slash + 1, name) == 0;
    c->n_own += !setting->inherited;
    c->n_inherited += setting->inherited;
    if (!setting->inherited && !c->has_name)
        (void)snprintf(c->path, c->cap, "%s", path);
    c->has_name = c->has_name || (has_name && !setting->inherited);
    return true;
}

/* Who else has the keys of a file. */
struct sharing {
    const char *tenant, *path;
    char names[NAMED_MAX * 40];
    size_t n;
};

static bool share(const char *name, const struct setting *setting, const char *path, void *user)
{
    (void)setting;
    struct sharing *s = user;
    size_t len = strlen(s->names);
    if (strcmp(path, s->path) != 0 || strcmp(name, s->tenant) == 0)
        return true;
    if (s->n++ < NAMED_MAX)
        (void)snprintf(s->names + len, sizeof s->names - len, "%s'%s'", len > 0 ? ", " : "", name);
    return true;
}

int key_files_refuse_shared(const struct policy *policy, const char *tenant, const char *path)
{
    struct sharing sharing = {.tenant = tenant, .path = path};
    char shown[SHOWN_MAX];
    each_file(policy, NULL, share, &sharing);
    if (sharing.n == 0)
        return EX_OK;
    fprintf(stderr,
            "postern: %s holds the keys of %s%s as well as of '%s': edit it, if all of them are "
            "meant\n",
            text_escape_str(shown, sizeof shown, path), sharing.names,
            sharing.n > NAMED_MAX ? " and more" : "", tenant);
    return EX_DATAERR;
}

int key_files_choose(const struct policy *policy, const struct tenant *tenant, char *path,
                     size_t cap)
{
    char shown[SHOWN_MAX];
    const struct origin at = tenant_place(tenant, "keys");
    struct choice c = {.path = path, .cap = cap};
    each_file(policy, tenant->name, choose, &c);
    if (c.has_name || c.n_own == 1)
        return key_files_refuse_shared(policy, tenant->name, path);
    text_escape_str(shown, sizeof shown, at.file);
    if (c.n_own > 1)
        fprintf(stderr,
                "postern: tenant '%s' has %zu key files: edit the one that is meant, see %s:%u\n",
                tenant->name, c.n_own, shown, at.line);
    else
        fprintf(stderr,
                "postern: tenant '%s' has no key file of its own%s: give it one with 'keys =', see "
                "%s:%u\n",
                tenant->name, c.n_inherited > 0 ? ", its keys are inherited" : "", shown, at.line);
    return EX_DATAERR;
}
