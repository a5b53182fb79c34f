#include "cleanup.h"
#include "sandbox_build.h"
#include "text.h"
#include "values.h"

#include <string.h>

/* Binds are looked through one by one, and mounted for every command. */
enum { BINDS_MAX = 256, HIDES_MAX = 256 };

int sandbox_set_root(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    (void)at;
    struct sandbox_spec *spec = sandbox_spec_of(target);
    spec->root = NULL;
    if (strcmp(value, "host") == 0)
        return 0;
    if (value_shared_path(value, err) < 0) {
        spec->faulty = true;
        return value[0] == '/' ? -1 : err_wrap(err, "neither 'host' nor a directory's path");
    }
    spec->root = pool_strdup(l->pool, value);
    return spec->root == NULL ? err_no_memory(err) : 0;
}

static bool is_taken(const char *dest)
{
#define X(path) path,
    static const char *const whole[] = {SPEC_TAKEN_WHOLE(X)};
    static const char *const trees[] = {SPEC_TAKEN_TREES(X)};
#undef X
    for (size_t i = 0; i < array_len(whole); i++)
        if (strcmp(dest, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < array_len(trees); i++) {
        size_t len = strlen(trees[i]);
        if (strncmp(dest, trees[i], len) == 0 && (dest[len] == '\0' || dest[len] == '/'))
            return true;
    }
    return false;
}

static bool has_dest(const struct sandbox_bind *binds, size_t n, const char *dest)
{
    size_t i = 0;
    while (i < n && strcmp(binds[i].dest, dest) != 0)
        i++;
    return i < n;
}

/* PATH or PATH:DEST. */
static int parse_bind(struct loader *l, const struct sandbox_spec *spec, const char *value,
                      struct sandbox_bind *out, struct err *err)
{
    char shown[128];
    size_t len = strcspn(value, ":");
    out->source = pool_strndup(l->pool, value, len);
    out->dest = pool_strdup(l->pool, value[len] == ':' ? value + len + 1 : value);
    if (out->source == NULL || out->dest == NULL)
        return err_no_memory(err);
    if (value_shared_path(out->source, err) < 0 || value_shared_path(out->dest, err) < 0)
        return -1;
    text_escape_str(shown, sizeof shown, out->dest);
    if (is_taken(out->dest))
        return err_set(err, 0, "'%s' inside the sandbox is made by Postern itself", shown);
    if (has_dest(spec->reads, spec->n_reads, out->dest) ||
        has_dest(spec->writes, spec->n_writes, out->dest))
        return err_set(err, 0, "something else is at '%s' already", shown);
    if (spec->n_reads + spec->n_writes == BINDS_MAX)
        return err_set(err, 0, "more than %d directories and files", BINDS_MAX);
    return 0;
}

static int add_place(struct loader *l, struct place_list *list, const struct origin *at,
                     struct err *err)
{
    return pool_push(l->pool, (void *)&list->items, &list->n, at, sizeof *at) < 0
               ? err_no_memory(err)
               : 0;
}

static int set_bind(struct loader *l, struct sandbox_spec *spec, struct sandbox_bind **binds,
                    size_t *n, struct place_list *places, const struct origin *at,
                    const char *value, struct err *err)
{
    struct sandbox_bind bind;
    if (value[0] == '\0') {
        *binds = NULL;
        *n = 0;
        *places = (struct place_list){0};
        return 0;
    }
    if (parse_bind(l, spec, value, &bind, err) < 0) {
        spec->lacks_binds = true;
        return -1;
    }
    if (pool_push(l->pool, (void *)binds, n, &bind, sizeof bind) < 0)
        return err_no_memory(err);
    return add_place(l, places, at, err);
}

int sandbox_set_read(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct sandbox_build *b = target;
    return set_bind(l, &b->spec, &b->spec.reads, &b->spec.n_reads, &b->places->reads, at, value,
                    err);
}

int sandbox_set_write(struct loader *l, void *target, const struct origin *at, const char *value,
                      struct err *err)
{
    struct sandbox_build *b = target;
    return set_bind(l, &b->spec, &b->spec.writes, &b->spec.n_writes, &b->places->writes, at, value,
                    err);
}

int sandbox_set_hide(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct sandbox_spec *spec = sandbox_spec_of(target);
    struct place_list *places = &((struct sandbox_build *)target)->places->hides;
    if (value[0] == '\0') {
        spec->hides = NULL;
        spec->n_hides = 0;
        *places = (struct place_list){0};
        return 0;
    }
    if (value_shared_path(value, err) < 0)
        return -1;
    if (value[1] == '\0')
        return err_set(err, 0, "'/' can't be hidden");
    if (spec->n_hides == HIDES_MAX)
        return err_set(err, 0, "more than %d hidden paths", HIDES_MAX);
    char *copy = pool_strdup(l->pool, value);
    if (copy == NULL ||
        pool_push(l->pool, (void *)&spec->hides, &spec->n_hides, (void *)&copy, sizeof copy) < 0)
        return err_no_memory(err);
    return add_place(l, places, at, err);
}

static int check_kept_path(const char *value, struct err *err)
{
    char shown[96];
    if (value[0] != '/')
        return err_set(err, 0, "'%s' is not one of: none, exec, connection, an absolute path",
                       text_escape_str(shown, sizeof shown, value));
    if (value_path(value, err) < 0)
        return -1;
    if (value[1] == '\0')
        return err_set(err, 0, "'/' can't be a workspace");
    for (const char *at = strchr(value, '%'); at != NULL; at = strchr(at + 1, '%'))
        if (at[1] != 't')
            return err_set(err, 0, "'%s': only %%t, the tenant's name, can follow a '%%'",
                           text_escape_str(shown, sizeof shown, value));
    const char *mark = strchr(value, '%');
    if (mark != NULL && (strchr(mark, '/') != NULL || strchr(mark + 1, '%') != NULL))
        return err_set(err, 0, "%%t can be there once, in the last part of the path");
    return 0;
}

int sandbox_set_workspace(struct loader *l, void *target, const struct origin *at,
                          const char *value, struct err *err)
{
    (void)at;
    static const char *const kinds[] = {[WORKSPACE_NONE] = "none",
                                        [WORKSPACE_EXEC] = "exec",
                                        [WORKSPACE_CONNECTION] = "connection"};
    struct sandbox_spec *spec = sandbox_spec_of(target);
    spec->workspace_path = NULL;
    for (size_t i = 0; i < array_len(kinds); i++)
        if (strcmp(value, kinds[i]) == 0) {
            spec->workspace = (enum sandbox_workspace)i;
            return 0;
        }
    if (check_kept_path(value, err) < 0)
        return -1;
    spec->workspace = WORKSPACE_KEPT;
    spec->workspace_path = pool_strdup(l->pool, value);
    return spec->workspace_path == NULL ? err_no_memory(err) : 0;
}

/* It stands in a field of passwd, and in what each exec has of its own there is nothing yet. */
static int check_home(const char *path, struct err *err)
{
    enum { HOME_LEN_MAX = 255 };
    char shown[96];
    if (value_shared_path(path, err) < 0)
        return -1;
    text_escape_str(shown, sizeof shown, path);
    if (strlen(path) > HOME_LEN_MAX || strpbrk(path, ":\\") != NULL)
        return err_set(err, 0, "'%s' is longer than %d bytes, or holds ':' or '\\'", shown,
                       HOME_LEN_MAX);
    if (is_taken(path) && strcmp(path, "/tmp") != 0 && strcmp(path, SPEC_WORKSPACE) != 0)
        return err_set(err, 0,
                       "'%s' inside the sandbox is made by Postern itself: a home is a directory "
                       "of 'root', 'read' or 'write', /tmp or " SPEC_WORKSPACE,
                       shown);
    return 0;
}

int sandbox_set_home(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct sandbox_spec *spec = sandbox_spec_of(target);
    (void)at;
    if (strcmp(value, "default") == 0) {
        spec->home = NULL;
        return 0;
    }
    if (check_home(value, err) < 0)
        return -1;
    spec->home = pool_strdup(l->pool, value);
    return spec->home == NULL ? err_no_memory(err) : 0;
}

static int copy_list(struct loader *l, struct place_list *to, const struct place_list *from)
{
    return pool_push_array(l->pool, (void *)&to->items, &to->n, from->items, from->n,
                           sizeof *from->items);
}

static int copy_places(struct loader *l, struct sandbox_build *b, const struct schema *schema)
{
    const struct sandbox_places *from = b->places;
    struct sandbox_places *to = pool_alloc(l->pool, sizeof *to);
    if (to == NULL)
        return -1;
    *to = (struct sandbox_places){.keys = places_new(l, schema, from != NULL ? from->keys : NULL)};
    b->spec.places = b->places = to;
    if (to->keys == NULL)
        return -1;
    if (from != NULL && (copy_list(l, &to->reads, &from->reads) < 0 ||
                         copy_list(l, &to->writes, &from->writes) < 0 ||
                         copy_list(l, &to->hides, &from->hides) < 0))
        return -1;
    return 0;
}

/* The children's arrays must not grow into their parent's. */
static int copy_arrays(struct loader *l, struct sandbox_spec *spec)
{
    const struct sandbox_spec from = *spec;
    spec->reads = spec->writes = NULL;
    spec->hides = NULL;
    spec->connects = NULL;
    spec->n_reads = spec->n_writes = spec->n_hides = spec->n_connects = 0;
    if (pool_push_array(l->pool, (void *)&spec->connects, &spec->n_connects, from.connects,
                        from.n_connects, sizeof *from.connects) < 0)
        return -1;
    if (pool_push_array(l->pool, (void *)&spec->reads, &spec->n_reads, from.reads, from.n_reads,
                        sizeof *from.reads) < 0 ||
        pool_push_array(l->pool, (void *)&spec->writes, &spec->n_writes, from.writes, from.n_writes,
                        sizeof *from.writes) < 0)
        return -1;
    return pool_push_array(l->pool, (void *)&spec->hides, &spec->n_hides, (const void *)from.hides,
                           from.n_hides, sizeof *from.hides);
}

int sandbox_copy_lists(struct loader *l, struct sandbox_build *b, const struct schema *schema)
{
    return copy_arrays(l, &b->spec) < 0 ? -1 : copy_places(l, b, schema);
}
