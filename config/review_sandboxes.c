#include "cleanup.h"
#include "diag.h"
#include "review_parts.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How one sandbox is used. */
struct use {
    size_t n_tenants;
    const struct tenant *crowded; /* the first whose commands can't all have their processes */
    size_t n_crowded;
};

enum { SHOWN = 64 };

static void warn(const struct sandbox_spec *s, struct diags *diags, const char *hint,
                 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void warn(const struct sandbox_spec *s, struct diags *diags, const char *hint,
                 const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    diag_warn(diags, s->file, s->line, hint, "sandbox '%s': %s", s->name, text);
}

static bool is_within(const char *path, const char *dir)
{
    size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool overlap(const char *a, const char *b)
{
    return is_within(a, b) || is_within(b, a);
}

/* Whether `inner` is put where it would be anyway: the same files, at the same place of `outer`. */
static bool is_nested(const struct sandbox_bind *inner, const struct sandbox_bind *outer)
{
    return is_within(inner->dest, outer->dest) && is_within(inner->source, outer->source) &&
           strcmp(inner->dest + strlen(outer->dest), inner->source + strlen(outer->source)) == 0;
}

static void warn_of_limits(const struct sandbox_spec *s, struct diags *diags)
{
    if (s->time_ms == SPEC_INFINITY)
        warn(s, diags, "time = 1h", "time = infinity lets a command run for ever");
    if (s->warn_ms > 0 && s->warn_ms >= s->time_ms && s->warn_ms >= s->idle_ms)
        warn(s, diags, "a shorter time", "warn is not before time or idle-time: nobody is warned");
    if (s->tasks == SPEC_INFINITY)
        warn(s, diags, "tasks = 256",
             "tasks = infinity lets a command take all processes of the host");
    if (s->network == NETWORK_HOST)
        warn(s, diags, "network = egress, loopback or none",
             "network = host lets commands reach whatever this host reaches, and its own services");
    if (s->network == NETWORK_EGRESS && s->n_connects == 0)
        warn(s, diags, "connect = 192.0.2.0/24:443",
             "network = egress without connect reaches nothing");
}

static void warn_of_write(const struct sandbox_spec *s, const struct sandbox_bind *write,
                          const struct sandbox_bind *read, struct diags *diags)
{
    char w[SHOWN];
    char r[SHOWN];
    text_escape_str(w, sizeof w, write->dest);
    text_escape_str(r, sizeof r, read->dest);
    if (is_within(write->dest, read->dest))
        warn(s, diags, "directories side by side are easier to judge",
             "%s can be written, inside %s, which can't", w, r);
    else if (overlap(write->source, read->source) && !is_nested(read, write))
        warn(s, diags, "let 'read' and 'write' name different files of the host",
             "files that can't be written at %s can be at %s: they are the same", r, w);
}

static void warn_of_hidden(const struct sandbox_spec *s, const char *hide,
                           const struct sandbox_bind *bind, const char *key, struct diags *diags)
{
    char h[SHOWN];
    char d[SHOWN];
    if (is_within(bind->dest, hide))
        warn(s, diags, "take back one of the two", "hide = %s covers what %s = brings to %s",
             text_escape_str(h, sizeof h, hide), key, text_escape_str(d, sizeof d, bind->dest));
}

/* Whether a kept workspace, of whichever tenant, can be in what is brought in from `source`, or
 * hold it. */
static bool is_kept_in(const char *workspace, const char *source)
{
    char holder[4096];
    size_t len = strcspn(workspace, "%");
    if (workspace[len] == '\0')
        return overlap(workspace, source);
    if (strncmp(source, workspace, len) == 0)
        return true;
    while (len > 1 && workspace[len - 1] != '/')
        len--;
    (void)snprintf(holder, sizeof holder, "%.*s", (int)(len > 1 ? len - 1 : len), workspace);
    return is_within(holder, source);
}

static void warn_of_kept(const struct sandbox_spec *s, size_t n_tenants, struct diags *diags)
{
    char w[SHOWN];
    char d[SHOWN];
    text_escape_str(w, sizeof w, s->workspace_path);
    if (strchr(s->workspace_path, '%') == NULL && n_tenants > 1)
        warn(s, diags, "'%t' in the path keeps them apart",
             "workspace = %s is one directory for %zu tenants", w, n_tenants);
    for (size_t i = 0; i < s->n_reads + s->n_writes; i++) {
        bool reads = i < s->n_reads;
        const struct sandbox_bind *bind = reads ? &s->reads[i] : &s->writes[i - s->n_reads];
        if (is_kept_in(s->workspace_path, bind->source))
            warn(s, diags, "keep workspaces where nothing else is brought in from",
                 "workspace = %s: what tenants keep there, all commands can %s at %s", w,
                 reads ? "read" : "write", text_escape_str(d, sizeof d, bind->dest));
    }
}

static bool has_whole_host(const struct sandbox_bind *binds, size_t n)
{
    size_t i = 0;
    while (i < n && strcmp(binds[i].source, "/") != 0)
        i++;
    return i < n;
}

static void warn_of_whole_host(const struct sandbox_spec *s, struct diags *diags)
{
    if (s->root != NULL && strcmp(s->root, "/") == 0)
        warn(s, diags, "root = host shows /usr alone",
             "root = / lets commands read all files of this host that everybody may read");
    if (has_whole_host(s->reads, s->n_reads))
        warn(s, diags, "name what they need",
             "read = / lets commands read all files of this host that everybody may read");
    if (has_whole_host(s->writes, s->n_writes))
        warn(s, diags, "name what they need",
             "write = / lets commands change all files of this host that the tenant or everybody "
             "may write");
}

/* Places of the host that say or do more than their files' modes tell. */
static void warn_of_place(const struct sandbox_spec *s, const struct sandbox_bind *bind,
                          const char *key, struct diags *diags)
{
    char source[SHOWN];
    text_escape_str(source, sizeof source, bind->source);
    if (is_within(bind->source, "/proc"))
        warn(s, diags, "'proc' chooses what commands see of their own",
             "%s = %s shows commands what /proc tells of this host and its other users", key,
             source);
    else if (strcmp(bind->source, "/run") == 0 || strcmp(bind->source, "/var/run") == 0)
        warn(s, diags, "name what they need",
             "%s = %s lets commands talk to services of this host by their sockets", key, source);
}

static void warn_of_size(const struct sandbox_spec *s, struct diags *diags)
{
    static const char text[] = "workspace-size limits nothing: the sandbox has no workspace";
    struct origin at = sandbox_place(s, "workspace-size", 0);
    bool is_set = at.line != s->line || strcmp(at.file, s->file) != 0;
    /* Without one, `show` prints the default of those that have one. */
    if (!is_set || s->workspace != WORKSPACE_NONE || s->workspace_size == 1ULL << 30)
        return;
    for (size_t i = 0; i < diags->n; i++)
        if (diags->items[i].line == at.line && strcmp(diags->items[i].text, text) == 0 &&
            strcmp(diags->items[i].file, at.file) == 0)
            return;
    diag_warn(diags, at.file, at.line, "workspace = exec, or connection, gives it one", "%s", text);
}

static void warn_of_paths(const struct sandbox_spec *s, size_t n_tenants, struct diags *diags)
{
    for (size_t i = 0; i < s->n_writes; i++)
        for (size_t k = 0; k < s->n_reads; k++)
            warn_of_write(s, &s->writes[i], &s->reads[k], diags);
    for (size_t i = 0; i < s->n_hides; i++) {
        for (size_t k = 0; k < s->n_reads; k++)
            warn_of_hidden(s, s->hides[i], &s->reads[k], "read", diags);
        for (size_t k = 0; k < s->n_writes; k++)
            warn_of_hidden(s, s->hides[i], &s->writes[k], "write", diags);
    }
    warn_of_whole_host(s, diags);
    for (size_t i = 0; i < s->n_reads; i++)
        warn_of_place(s, &s->reads[i], "read", diags);
    for (size_t i = 0; i < s->n_writes; i++)
        warn_of_place(s, &s->writes[i], "write", diags);
    if (s->workspace == WORKSPACE_KEPT)
        warn_of_kept(s, n_tenants, diags);
}

/* `tasks` counts all processes of a tenant, and every command has one that watches over it. */
static bool is_crowded(const struct tenant *t, const struct sandbox_spec *s)
{
    return s->tasks != SPEC_INFINITY && t->max_execs != COUNT_INFINITY &&
           2 * (uint64_t)t->max_execs > s->tasks;
}

static void warn_of_crowd(const struct use *use, const struct sandbox_spec *s, struct diags *diags)
{
    char name[48];
    char others[48] = "";
    const struct tenant *t = use->crowded;
    if (use->n_crowded > 1)
        (void)snprintf(others, sizeof others, " (and %zu more tenants)", use->n_crowded - 1);
    diag_warn(diags, t->origin.file, t->origin.line,
              "each command takes two processes at least: lower max-execs, or raise tasks",
              "tenant '%s'%s may run %u commands at once, but sandbox '%s' has tasks = %llu for "
              "all of them",
              text_escape_str(name, sizeof name, t->name), others, t->max_execs, s->name,
              (unsigned long long)s->tasks);
}

static void review_sandbox(const struct sandbox_spec *s, const struct use *use, struct diags *diags)
{
    if (use->n_tenants > 0) {
        warn_of_limits(s, diags);
        warn_of_size(s, diags);
        warn_of_paths(s, use->n_tenants, diags);
        if (use->crowded != NULL)
            warn_of_crowd(use, s, diags);
    } else if (!s->extended && s->line > 0) { /* the built-in one has no line */
        warn(s, diags, "name it with 'sandbox =', or remove it", "no tenant uses it");
    }
}

int review_sandboxes(const struct policy *policy, struct diags *diags)
{
    cleanup_free struct use *uses = calloc(policy->n_sandboxes + 1, sizeof *uses);
    if (uses == NULL)
        return -1;
    for (size_t i = 0; i < policy->n_tenants; i++) {
        const struct tenant *t = &policy->tenants[i];
        struct use *use = &uses[t->sandbox];
        use->n_tenants++;
        if (!is_crowded(t, &policy->sandboxes[t->sandbox]))
            continue;
        use->n_crowded++;
        if (use->crowded == NULL)
            use->crowded = t;
    }
    for (size_t i = 0; i < policy->n_sandboxes; i++)
        review_sandbox(&policy->sandboxes[i], &uses[i], diags);
    return 0;
}
