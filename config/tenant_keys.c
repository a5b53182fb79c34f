#include "cleanup.h"
#include "decide.h"
#include "env_names.h"
#include "key_file.h"
#include "strmap.h"
#include "tenant_build.h"
#include "text.h"

#include <errno.h>
#include <string.h>

/* Every key file that was read; many tenants may name one. */
struct key_files {
    struct key_file *items;
    size_t n;
    struct strmap paths;
};

/* What could have been meant by a path where nothing is. */
static const char *path_hint(const char *path)
{
    if (strstr(path, "/~") != NULL || path[0] == '~')
        return "'~' stands for itself: write the whole path";
    if (strstr(path, "ssh-") != NULL && strstr(path, " AAAA") != NULL)
        return "name a file that holds the key";
    if (strpbrk(path, ", ") != NULL)
        return "repeat 'keys =' for each file";
    return "put the tenant's public keys there, one on each line";
}

static int read_keys(struct loader *l, const struct key_ref *ref, struct key_file *out)
{
    struct err err = {0};
    cleanup_free char *data = NULL;
    size_t len = 0;
    if (l->host->read_file(l->host->user, ref->path, KEY_FILE_SIZE_MAX,
                           l->policy->server.policy_owner, &data, &len, &err) < 0) {
        char shown[160];
        (void)err_wrap(&err, "keys: '%s'", text_escape_str(shown, sizeof shown, ref->path));
        loader_complain(l, &ref->origin,
                        err.num == ENOENT ? path_hint(ref->path) : loader_owner_hint(&err), &err);
        return 0;
    }
    const char *file = loader_intern_file(l, ref->path);
    return file == NULL ? -1 : key_file_parse(l->pool, l->host, file, data, len, out, l->diags);
}

static int find_keys(struct loader *l, struct key_files *files, const struct key_ref *ref,
                     const struct key_file **out)
{
    size_t at = 0;
    if (!strmap_get(&files->paths, ref->path, &at)) {
        struct key_file file = {0};
        at = files->n;
        if (read_keys(l, ref, &file) < 0 ||
            strmap_put(&l->scratch, &files->paths, ref->path, at) < 0 ||
            pool_push(&l->scratch, (void *)&files->items, &files->n, &file, sizeof file) < 0)
            return -1;
    }
    *out = &files->items[at];
    return 0;
}

/* A key may only set what the tenant lets its clients set. */
static void check_environment(struct loader *l, const struct tenant *t,
                              const struct policy_key *key)
{
    for (size_t i = 0; i < key->environment.n; i++) {
        const char *text = key->environment.items[i];
        char name[128];
        size_t len = strcspn(text, "=");
        if (len >= sizeof name)
            continue; /* key_line_parse() refuses such names */
        memcpy(name, text, len);
        name[len] = '\0';
        if (!tenant_accepts_env(t, name, text + len + 1))
            diag_add(l->diags, key->origin.file, key->origin.line, NULL,
                     "environment= sets '%s', which accept-env of tenant '%s' doesn't allow", name,
                     t->name);
    }
}

static int add_keys(struct loader *l, struct tenant *t, const struct key_file *file, bool only)
{
    for (size_t i = 0; i < file->n; i++)
        check_environment(l, t, &file->keys[i]);
    if (!only)
        return pool_push_array(l->pool, (void *)&t->keys, &t->n_keys, file->keys, file->n,
                               sizeof *file->keys);
    /* Nothing will be added: tenants with the same file can share its keys. */
    t->keys = file->keys;
    t->n_keys = file->n;
    return 0;
}

int tenant_keys_load(struct loader *l, struct tenant_build *builds, size_t n)
{
    struct key_files files = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < builds[i].n_key_refs; k++) {
            const struct key_file *file;
            if (find_keys(l, &files, &builds[i].key_refs[k], &file) < 0 ||
                add_keys(l, &builds[i].t, file, builds[i].n_key_refs == 1) < 0)
                return -1;
        }
    return 0;
}
