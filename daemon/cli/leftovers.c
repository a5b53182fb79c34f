#include "leftovers.h"
#include "cleanup.h"
#include "diag.h"
#include "tenant.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Which file it is, however its path is spelled. */
struct identity {
    dev_t dev;
    ino_t ino;
};

struct identities {
    struct identity *items;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    const struct identity *x = a;
    const struct identity *y = b;
    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int identify_files(const struct str_list *files, struct identities *out)
{
    *out = (struct identities){.items = calloc(files->n + 1, sizeof *out->items)};
    if (out->items == NULL)
        return -1;
    for (size_t i = 0; i < files->n; i++) {
        struct stat st;
        if (stat(files->items[i], &st) == 0)
            out->items[out->n++] = (struct identity){st.st_dev, st.st_ino};
    }
    qsort(out->items, out->n, sizeof *out->items, compare);
    return 0;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    size_t n = strlen(suffix);
    return len >= n && strcmp(name + len - n, suffix) == 0;
}

/* What editors and package managers leave behind. */
static bool is_backup(const char *name)
{
    return name[0] == '.' || name[0] == '#' || ends_in(name, "~") ||
           strstr(name, ".dpkg-") != NULL || strstr(name, ".ucf-") != NULL;
}

/* What to do with each regular file of a directory. */
typedef void visitor(const char *path, const char *name, const struct stat *st, void *user);

/* A directory that can't be read has been an error before, or holds nothing of ours. */
static int visit_files(const char *dir, visitor *visit, void *user)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    int rc = 0;
    for (int i = 0; i < n; i++) {
        cleanup_free char *path = NULL;
        struct stat st;
        if (asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0) {
            path = NULL;
            rc = -1;
        } else if (!is_backup(entries[i]->d_name) && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            visit(path, entries[i]->d_name, &st, user);
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static void judge_policy_file(const char *path, const char *name, const struct stat *st, void *user)
{
    (void)st;
    /* What was put aside on purpose is no leftover; nor is the note that the package leaves. */
    if (!ends_in(name, ".ini") && !ends_in(name, ".ini" DROP_IN_DISABLED) &&
        strcmp(name, "README") != 0)
        diag_warn(user, path, 0, NULL, "not read: its name doesn't end in .ini");
}

/* Whether it holds the keys of a tenant whose policy has been put aside: DIR/keys/NAME. */
static bool is_of_disabled(const char *path, const char *name)
{
    cleanup_free char *policy = NULL;
    int dir_len = (int)(strlen(path) - strlen(name) - strlen("/keys/"));
    if (asprintf(&policy, "%.*s/" TENANT_FILE DROP_IN_DISABLED, dir_len, path, name) < 0)
        policy = NULL;
    return policy != NULL && access(policy, F_OK) == 0;
}

struct key_search {
    const struct identities *used;
    struct diags *diags;
};

static void judge_key_file(const char *path, const char *name, const struct stat *st, void *user)
{
    const struct key_search *search = user;
    const struct identity wanted = {st->st_dev, st->st_ino};
    if (bsearch(&wanted, search->used->items, search->used->n, sizeof wanted, compare) == NULL &&
        !is_of_disabled(path, name))
        diag_warn(search->diags, path, 0, NULL, "not read: no tenant names this key file");
}

int leftovers_find(const struct policy *policy, const struct sources *sources, struct diags *diags)
{
    struct identities used;
    if (identify_files(&policy->files, &used) < 0)
        return -1;
    struct key_search search = {.used = &used, .diags = diags};
    int rc = 0;
    for (size_t i = 0; i < sources->n_dirs && rc == 0; i++) {
        cleanup_free char *keys = NULL;
        rc = visit_files(sources->dirs[i], judge_policy_file, diags);
        if (rc == 0 && asprintf(&keys, "%s/keys", sources->dirs[i]) < 0) {
            keys = NULL;
            rc = -1;
        }
        if (rc == 0)
            rc = visit_files(keys, judge_key_file, &search);
    }
    free(used.items);
    return rc;
}

static bool is_in_path(const char *name)
{
    static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    bool found = false;
    for (size_t i = 0; i < array_len(dirs) && !found; i++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%s", dirs[i], name) < 0)
            path = NULL;
        found = path == NULL || access(path, X_OK) == 0;
    }
    return found;
}

/* Whether it can't be told here where the tenant's commands find the program `name`. */
static bool is_elsewhere(const struct tenant *t, const struct sandbox_spec *spec, const char *name)
{
    if (spec->root != NULL)
        return true;
    for (size_t i = 0; name[0] != '/' && i < t->env.n; i++)
        if (strncmp(t->env.items[i], "PATH=", 5) == 0)
            return true;
    /* A directory that is brought in has been looked for already. */
    return name[0] == '/' && strncmp(name, "/usr/", 5) != 0 && strncmp(name, "/bin/", 5) != 0 &&
           strncmp(name, "/sbin/", 6) != 0;
}

static void check_program(const struct policy *policy, const struct tenant *t, const char *key,
                          const char *name, const struct origin *at, struct diags *diags)
{
    char shown[160];
    char who[64];
    bool there = strchr(name, '/') != NULL ? access(name, X_OK) == 0 : is_in_path(name);
    if (there || is_elsewhere(t, &policy->sandboxes[t->sandbox], name))
        return;
    diag_warn(diags, at->file, at->line, NULL, "tenant '%s': %s = %s: %s",
              text_escape_str(who, sizeof who, t->name), key,
              text_escape_str(shown, sizeof shown, name), strerror(ENOENT));
}

static void check_programs(const struct policy *policy, const struct tenant *t, struct diags *diags)
{
    if (t->shell_line != NULL)
        check_program(policy, t, "shell", t->shell.items[0], &t->rule_origin, diags);
    if (t->force_line != NULL)
        check_program(policy, t, "force", t->force.items[0], &t->rule_origin, diags);
    for (size_t i = 0; i < t->n_subsystems; i++)
        check_program(policy, t, "subsystem", t->subsystems[i].argv.items[0],
                      &t->subsystems[i].origin, diags);
}

void leftovers_programs(const struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->n_tenants; i++)
        check_programs(policy, &policy->tenants[i], diags);
}
