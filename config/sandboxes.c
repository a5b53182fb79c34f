#include "cleanup.h"
#include "connect_rule.h"
#include "sandbox_build.h"
#include "schema_fields.h"
#include "syscall_profiles.h"
#include "text.h"
#include "values.h"

#include <string.h>

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
    sandbox_spec_of(target)->network = (enum sandbox_network)network;
    return 0;
}

static int set_connect(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct sandbox_spec *spec = sandbox_spec_of(target);
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
    {KEY("root", KEY_SINGLE, "host"), .set = sandbox_set_root},
    {KEY("read", KEY_LIST, NULL), .set = sandbox_set_read},
    {KEY("write", KEY_LIST, NULL), .set = sandbox_set_write},
    {KEY("hide", KEY_LIST, NULL), .set = sandbox_set_hide},
    {KEY("workspace", KEY_SINGLE, "none"), .set = sandbox_set_workspace},
    {KEY("workspace-size", KEY_SINGLE, NULL), .parse = schema_size, IN_SPEC(workspace_size),
     .min = 4096, .max = PIB, .infinite = true},
    {KEY("home", KEY_SINGLE, "default"), .set = sandbox_set_home},
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
    if (sandbox_copy_lists(l, b, &sandbox_schema) < 0)
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
