#include "learn_paths.h"
#include "cleanup.h"
#include "spec.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

#define NONE SIZE_MAX

enum unit { UNIT_NONE, UNIT_READ, UNIT_WRITE };

/* A directory or file of those that were used, or one that leads to them. */
struct node {
    const char *path; /* of the record, which may go on after len */
    size_t len;
    size_t parent;
    const struct seen_path *seen; /* NULL: it was not used itself */
    size_t reads, writes;         /* lines that what is below would need */
    bool holds_odd;
    bool has_more; /* something below it was used */
    bool collapsed;
    enum unit unit;
    size_t covered_by; /* index of a unit, or NONE */
};

struct tree {
    struct node *items; /* a directory before what is in it */
    size_t n, cap;
};

static size_t add_node(struct tree *tree, const char *path, size_t len, size_t parent)
{
    if (tree->n == tree->cap) {
        size_t cap = tree->cap == 0 ? 256 : tree->cap * 2;
        struct node *larger = realloc(tree->items, cap * sizeof *larger);
        if (larger == NULL)
            return NONE;
        tree->items = larger;
        tree->cap = cap;
    }
    tree->items[tree->n] =
        (struct node){.path = path, .len = len, .parent = parent, .covered_by = NONE};
    return tree->n++;
}

static bool is_above(const struct node *node, const char *path)
{
    return strncmp(path, node->path, node->len) == 0 &&
           (path[node->len] == '/' || path[node->len] == '\0');
}

/* Adds `seen` and the directories down to it; *last is the node of the path before it. */
static int add_path(struct tree *tree, const struct seen_path *seen, size_t *last)
{
    const char *path = seen->path;
    size_t at = *last;
    while (at != NONE && !is_above(&tree->items[at], path))
        at = tree->items[at].parent;
    size_t from = at == NONE ? 0 : tree->items[at].len;
    while (path[from] != '\0') {
        from += 1 + strcspn(path + from + 1, "/");
        at = add_node(tree, path, from, at);
        if (at == NONE)
            return -1;
    }
    if (at != NONE)
        tree->items[at].seen = seen;
    *last = at;
    return 0;
}

static size_t depth_of(const struct node *node)
{
    size_t depth = 0;
    for (size_t i = 0; i < node->len; i++)
        depth += node->path[i] == '/';
    return depth;
}

static bool holds_much_else(const struct node *node)
{
    static const char *const of_many[] = {"/home/", "/var/"};
    char name[NAME_MAX + 1];
    if (depth_of(node) < 2)
        return true;
    for (size_t i = 0; i < array_len(of_many); i++)
        if (depth_of(node) == 2 && strncmp(node->path, of_many[i], strlen(of_many[i])) == 0)
            return true;
    const char *end = node->path + node->len;
    const char *begin = end;
    while (begin[-1] != '/')
        begin--;
    size_t len = (size_t)(end - begin) < sizeof name ? (size_t)(end - begin) : sizeof name - 1;
    memcpy(name, begin, len);
    name[len] = '\0';
    return path_looks_secret(name);
}

static bool is_needed_file(unsigned uses)
{
    if (uses & IS_ODD)
        return false;
    return (uses & (USE_READ | USE_EXECUTED | USE_LINK)) != 0 ||
           ((uses & USE_LOOKED) && !(uses & IS_DIR));
}

/* Whether it has to be given itself, rather than for what is in it. */
static bool is_read(const struct node *node, unsigned uses)
{
    return (uses & USE_LISTED) || node->holds_odd || is_needed_file(uses) ||
           ((uses & USE_ENTERED) && node->reads + node->writes == 0);
}

/* What has to be said of this node, now that all below it is known. */
static void judge(struct node *node)
{
    unsigned uses = node->seen != NULL ? node->seen->uses : 0;
    bool many = !holds_much_else(node);
    if ((uses & USE_ENTRIES) || ((uses & USE_WRITTEN) && !(uses & IS_ODD))) {
        node->unit = UNIT_WRITE;
    } else if (node->writes > LEARN_FILES_MAX && many) {
        node->unit = UNIT_WRITE;
        node->collapsed = true;
    } else if (is_read(node, uses)) {
        node->unit = UNIT_READ;
    } else if (node->reads > LEARN_FILES_MAX && many) {
        node->unit = UNIT_READ;
        node->collapsed = true;
    }
    if (node->unit == UNIT_WRITE) {
        node->writes = 1;
        node->reads = 0;
    } else if (node->unit == UNIT_READ) {
        node->reads = 1;
    }
}

static void judge_all(struct tree *tree)
{
    for (size_t i = tree->n; i-- > 0;) {
        struct node *node = &tree->items[i];
        struct node *parent = node->parent == NONE ? NULL : &tree->items[node->parent];
        judge(node);
        if (parent == NULL)
            continue;
        parent->has_more = true;
        parent->reads += node->reads;
        parent->writes += node->writes;
        /* A line can't name it: the directory has to be shown. */
        parent->holds_odd |=
            node->seen != NULL && (node->seen->uses & IS_ODD) && node->unit == UNIT_NONE;
    }
}

static int emit(const struct node *node, struct learn_units *out)
{
    unsigned uses = node->seen != NULL ? node->seen->uses : IS_DIR;
    struct learn_unit *unit = &out->items[out->n];
    *unit = (struct learn_unit){.path = strndup(node->path, node->len),
                                .write = node->unit == UNIT_WRITE,
                                .is_dir = (uses & IS_DIR) != 0 || node->has_more,
                                .is_link = (uses & USE_LINK) != 0,
                                .collapsed = node->collapsed};
    if (unit->path == NULL)
        return -1;
    unit->impossible = !path_can_be_bound(unit->path);
    out->n++;
    return 0;
}

static void count_in(struct learn_unit *unit, const struct seen_path *seen)
{
    if (seen->uses & (USE_WRITTEN | USE_ENTRIES))
        unit->n_written++;
    else if (seen->uses & USE_EXECUTED)
        unit->n_executed++;
    else
        unit->n_read++;
    if (unit->who == NULL)
        unit->who = seen->who;
    if (unit->secret == NULL && path_looks_secret(seen->path))
        unit->secret = seen->path;
}

/* From the outside in: a line is left out where one above it gives as much. */
static int emit_all(struct tree *tree, struct learn_units *out)
{
    for (size_t i = 0; i < tree->n; i++) {
        struct node *node = &tree->items[i];
        if (node->parent != NONE)
            node->covered_by = tree->items[node->parent].covered_by;
        bool covered = node->covered_by != NONE &&
                       (out->items[node->covered_by].write || node->unit == UNIT_READ);
        if (node->unit != UNIT_NONE && !covered) {
            if (emit(node, out) < 0)
                return -1;
            node->covered_by = out->n - 1;
        }
        if (node->seen == NULL)
            continue;
        if (node->covered_by != NONE)
            count_in(&out->items[node->covered_by], node->seen);
        else if (node->reads + node->writes == 0)
            out->looked[out->n_looked++] = node->seen;
    }
    return 0;
}

int learn_units_make(const struct seen *seen, bool (*given)(void *arg, const char *path), void *arg,
                     struct learn_units *out)
{
    struct tree tree = {0};
    size_t last = NONE;
    int rc = 0;
    *out = (struct learn_units){0};
    for (size_t i = 0; i < seen->n_paths && rc == 0; i++)
        if (seen->paths[i].path[0] == '/' && seen->paths[i].path[1] != '\0' &&
            !given(arg, seen->paths[i].path))
            rc = add_path(&tree, &seen->paths[i], &last);
    out->items = calloc(tree.n + 1, sizeof *out->items);
    out->looked = calloc(tree.n + 1, sizeof *out->looked);
    if (rc == 0 && out->items != NULL && out->looked != NULL) {
        judge_all(&tree);
        rc = emit_all(&tree, out);
    } else {
        rc = -1;
    }
    free(tree.items);
    return rc;
}

void learn_units_free(struct learn_units *units)
{
    for (size_t i = 0; i < units->n; i++)
        free(units->items[i].path);
    free_ptr(&units->items);
    free_ptr(&units->looked);
    units->n = units->n_looked = 0;
}

static bool is_secret_name(const char *name)
{
    static const char *const patterns[] = {
        ".ssh",
        ".gnupg",
        ".aws",
        ".kube",
        ".docker",
        ".netrc",
        "_netrc",
        ".pgpass",
        ".my.cnf",
        ".env",
        ".npmrc",
        ".pypirc",
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.kdbx",
        "*.keytab",
        "*_key",
        "shadow",
        "gshadow",
        "*secret*",
        "*passw*d*",
        "*credential*",
        "*token*",
        ".git-credentials",
        "private",
        ".vault*",
        "htpasswd*",
        ".htpasswd*",
        "authorized_keys*",
    };
    for (size_t i = 0; i < array_len(patterns); i++)
        if (fnmatch(patterns[i], name, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

bool path_looks_secret(const char *path)
{
    char name[NAME_MAX + 1];
    if (path_is_within(path, "/root") || path_is_within(path, "/etc/postern"))
        return true;
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        if (len < sizeof name) {
            memcpy(name, path, len);
            name[len] = '\0';
            if (is_secret_name(name))
                return true;
        }
        path += len + (path[len] == '/');
    }
    return false;
}

static bool is_taken(const char *path)
{
#define X(place) place,
    static const char *const whole[] = {SPEC_TAKEN_WHOLE(X)};
    static const char *const trees[] = {SPEC_TAKEN_TREES(X)};
#undef X
    for (size_t i = 0; i < array_len(whole); i++)
        if (strcmp(path, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < array_len(trees); i++)
        if (path_is_within(path, trees[i]))
            return true;
    return false;
}

/* In a policy ':' parts a bind, " ;" begins a comment, and blanks at an end are cut off. */
bool path_can_be_bound(const char *path)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len >= PATH_MAX || is_taken(path) || path[len - 1] == ' ' ||
        strchr(path, ':') != NULL || strstr(path, " ;") != NULL || strstr(path, "%t") != NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return false;
    return true;
}
