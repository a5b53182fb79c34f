#include "cleanup.h"
#include "connect_rule.h"
#include "places.h"
#include "schema_fields.h"
#include "syscall_profiles.h"
#include "text.h"
#include "values.h"

#include <string.h>

/* Binds are looked through one by one, and mounted for every command. */
enum { BINDS_MAX = 256, HIDES_MAX = 256 };

struct sandbox_build {
    struct sandbox_spec spec;
    struct sandbox_places *places;
    const char *profile;
    struct origin profile_at;
};

static struct sandbox_spec *spec_of(void *target)
{
    return &((struct sandbox_build *)target)->spec;
}

static int set_root(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    (void)at;
    struct sandbox_spec *spec = spec_of(target);
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

static int set_read(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct sandbox_build *b = target;
    return set_bind(l, &b->spec, &b->spec.reads, &b->spec.n_reads, &b->places->reads, at, value,
                    err);
}

static int set_write(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct sandbox_build *b = target;
    return set_bind(l, &b->spec, &b->spec.writes, &b->spec.n_writes, &b->places->writes, at, value,
                    err);
}

static int set_hide(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct sandbox_spec *spec = spec_of(target);
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

static int set_workspace(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    (void)at;
    static const char *const kinds[] = {[WORKSPACE_NONE] = "none",
                                        [WORKSPACE_EXEC] = "exec",
                                        [WORKSPACE_CONNECTION] = "connection"};
    struct sandbox_spec *spec = spec_of(target);
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

static int set_home(struct loader *l, void *target, const struct origin *at, const char *value,
                    struct err *err)
{
    struct sandbox_spec *spec = spec_of(target);
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

static int set_network(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    (void)l;
    (void)at;
    static const char *const networks[] = {[NETWORK_NONE] = "none",
                                           [NETWORK_LOOPBACK] = "loopback",
                                           [NETWORK_HOST] = "host",
                                           [NETWORK_EGRESS] = "egress"};
    size_t network = 0;
    if (value_choice(value, networks, array_len(networks), &network, err) < 0)
        return -1;
    spec_of(target)->network = (enum sandbox_network)network;
    return 0;
}

static int set_connect(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct sandbox_spec *spec = spec_of(target);
    return connect_rules_add(l->pool, &spec->connects, &spec->n_connects, value, at, err);
}

static const char *const proc_modes[] = {
    [PROC_FULL] = "full", [PROC_BUILD] = "build", [PROC_PROCESSES] = "processes", NULL};

static int set_seccomp(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct sandbox_build *b = target;
    if (text_has_hash(value))
        return value_name(value, err);
    b->profile = pool_strdup(&l->scratch, value);
    b->profile_at = *at;
    return b->profile == NULL ? err_no_memory(err) : 0;
}

#define IN_SPEC(member) .offset = offsetof(struct sandbox_build, spec.member)
#define MIB             (1ULL << 20)
#define PIB             (1ULL << 50)
#define DAY_MS          86400000

/* The kernel has no more pids than that (PID_MAX_LIMIT). */
#define TASKS_MAX 4194304

static const struct schema_key sandbox_keys[] = {
    {KEY("extends", KEY_EXTENDS, NULL)},
    {KEY("root", KEY_SINGLE, "host"), .set = set_root},
    {KEY("read", KEY_LIST, NULL), .set = set_read},
    {KEY("write", KEY_LIST, NULL), .set = set_write},
    {KEY("hide", KEY_LIST, NULL), .set = set_hide},
    {KEY("workspace", KEY_SINGLE, "none"), .set = set_workspace},
    {KEY("workspace-size", KEY_SINGLE, NULL), .parse = schema_size, IN_SPEC(workspace_size),
     .min = 4096, .max = PIB, .infinite = true},
    {KEY("home", KEY_SINGLE, "default"), .set = set_home},
    {KEY("tmp", KEY_SINGLE, "64M"), .parse = schema_size, IN_SPEC(tmp_size), .min = 4096,
     .max = PIB},
    {KEY("proc", KEY_SINGLE, "full"), .parse = schema_choice, IN_SPEC(proc), .choices = proc_modes},
    {KEY("network", KEY_SINGLE, "none"), .set = set_network},
    {KEY("connect", KEY_LIST, NULL), .set = set_connect},
    {KEY("memory", KEY_SINGLE, "infinity"), .parse = schema_size, IN_SPEC(cgroup.memory),
     .min = MEMORY_LIMIT_MIN, .max = MEMORY_LIMIT_MAX, .infinite = true},
    {KEY("memory-high", KEY_SINGLE, "infinity"), .parse = schema_size, IN_SPEC(cgroup.memory_high),
     .min = MIB, .max = PIB, .infinite = true},
    {KEY("swap", KEY_SINGLE, "0"), .parse = schema_size, IN_SPEC(cgroup.swap), .max = PIB,
     .infinite = true},
    {KEY("tasks", KEY_SINGLE, "256"), .parse = schema_number, IN_SPEC(tasks), .min = 1,
     .max = TASKS_MAX, .infinite = true},
    {KEY("cpu", KEY_SINGLE, "infinity"), .parse = schema_share, IN_SPEC(cgroup.cpu)},
    {KEY("cpu-weight", KEY_SINGLE, "default"), .parse = schema_weight, IN_SPEC(cgroup.cpu_weight)},
    {KEY("io-weight", KEY_SINGLE, "default"), .parse = schema_weight, IN_SPEC(cgroup.io_weight)},
    {KEY("time", KEY_SINGLE, "1h"), .parse = schema_time, IN_SPEC(time_ms), .infinite = true},
    {KEY("idle-time", KEY_SINGLE, "infinity"), .parse = schema_time, IN_SPEC(idle_ms),
     .infinite = true},
    {KEY("warn", KEY_SINGLE, "no"), .parse = schema_wait, IN_SPEC(warn_ms), .max = DAY_MS},
    {KEY("output", KEY_SINGLE, "infinity"), .parse = schema_size, IN_SPEC(output), .min = 1,
     .max = PIB, .infinite = true},
    {KEY("seccomp", KEY_SINGLE, "default"), .set = set_seccomp},
    {KEY("notes", KEY_SINGLE, "8"), .parse = schema_count, IN_SPEC(notes), .min = 1,
     .max = SPEC_NOTES_MAX},
};
_Static_assert(array_len(sandbox_keys) <= SCHEMA_KEYS_MAX, "schema_apply() counts on it");

const struct schema sandbox_schema = {.type = "sandbox",
                                      .naming = SECTION_NAMED,
                                      .roles = FILE_POLICY,
                                      .keys = sandbox_keys,
                                      .n_keys = array_len(sandbox_keys)};

static int copy_list(struct loader *l, struct place_list *to, const struct place_list *from)
{
    return pool_push_array(l->pool, (void *)&to->items, &to->n, from->items, from->n,
                           sizeof *from->items);
}

static int copy_places(struct loader *l, struct sandbox_build *b)
{
    const struct sandbox_places *from = b->places;
    struct sandbox_places *to = pool_alloc(l->pool, sizeof *to);
    if (to == NULL)
        return -1;
    *to = (struct sandbox_places){
        .keys = places_new(l, &sandbox_schema, from != NULL ? from->keys : NULL)};
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

static int build_sandbox(struct loader *l, const struct section_set *set,
                         const struct profiles *profiles, const struct sandbox_build *built_in,
                         struct sandbox_build *builds, size_t i)
{
    const struct section_node *node = &set->nodes[i];
    const struct origin *at = &node->section->origin;
    struct sandbox_build *b = &builds[i];
    *b = node->parent == NO_PARENT ? *built_in : builds[node->parent];
    if (b->profile_at.file == NULL)
        b->profile_at = *at;
    if (copy_arrays(l, &b->spec) < 0 || copy_places(l, b) < 0)
        return -1;
    b->spec.name = pool_strdup(l->pool, node->section->name);
    b->spec.file = at->line == 0 ? "built-in" : at->file;
    b->spec.line = at->line;
    schema_apply(l, &sandbox_schema, node->section, b, b->places->keys);
    connect_rules_judge(l, &b->spec, node->section);
    size_t profile = 0;
    if (strmap_get(&profiles->set.names, b->profile, &profile)) {
        b->spec.seccomp = profiles_spec(profiles, profile);
        b->spec.faulty |= profiles_faulty(profiles, profile);
    } else {
        b->spec.faulty = true;
        if (profiles->set.n > 0) /* no profile at all was said already */
            section_set_complain(l, &profiles->set, &b->profile_at, "seccomp", b->profile);
    }
    return b->spec.name == NULL ? -1 : 0;
}

/* What follows from other keys where nothing was said. */
static struct sandbox_spec finished(const struct sandbox_spec *spec)
{
    struct sandbox_spec out = *spec;
    out.seccomp.unix_apart = out.network == NETWORK_EGRESS;
    /* A tmpfs needs a limit; of a directory on a disk most file systems can't keep one. */
    if (out.workspace_size == 0)
        out.workspace_size = out.workspace == WORKSPACE_KEPT ? SPEC_INFINITY : 1024 * MIB;
    return out;
}

/* The sandbox of those who name none exists even where the policy doesn't define it. */
static int add_built_in(struct loader *l)
{
    for (size_t i = 0; i < l->doc.n; i++)
        if (strcmp(l->doc.sections[i].type, "sandbox") == 0 &&
            strcmp(l->doc.sections[i].name, "default") == 0)
            return 0;
    /* What is wrong with it is wrong with the configuration as a whole. */
    struct ini_section section = {.type = pool_strdup(&l->scratch, "sandbox"),
                                  .name = pool_strdup(&l->scratch, "default"),
                                  .origin = {l->config_path, 0}};
    if (section.type == NULL || section.name == NULL)
        return -1;
    return pool_push(&l->scratch, (void *)&l->doc.sections, &l->doc.n, &section, sizeof section);
}

int sandboxes_build(struct loader *l)
{
    struct profiles profiles;
    struct section_set set;
    if (profiles_build(l, &profiles) < 0 || profiles_keep(l, &profiles) < 0 ||
        add_built_in(l) < 0 || section_set_build(l, "sandbox", &set) < 0)
        return -1;
    struct sandbox_build built_in = {0};
    schema_apply_fallbacks(l, &sandbox_schema, &built_in);
    built_in.spec.cgroup.tasks = SPEC_INFINITY; /* `tasks` is a matter of rlimits */
    struct sandbox_build *builds = pool_alloc(&l->scratch, (set.n + 1) * sizeof *builds);
    l->policy->sandboxes = pool_alloc(l->pool, (set.n + 1) * sizeof *l->policy->sandboxes);
    if (builds == NULL || l->policy->sandboxes == NULL)
        return -1;
    for (size_t i = 0; i < set.n; i++)
        if (build_sandbox(l, &set, &profiles, &built_in, builds, set.order[i]) < 0)
            return -1;
    for (size_t i = 0; i < set.n; i++)
        l->policy->sandboxes[i] = finished(&builds[i].spec);
    for (size_t i = 0; i < set.n; i++)
        if (set.nodes[i].parent != NO_PARENT)
            l->policy->sandboxes[set.nodes[i].parent].extended = true;
    l->policy->n_sandboxes = set.n;
    l->sandboxes = set;
    return 0;
}
