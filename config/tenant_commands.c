#include "diag.h"
#include "split.h"
#include "template.h"
#include "tenant_build.h"
#include "text.h"

#include <string.h>

/* Templates are tried one by one, for every command. */
enum { TEMPLATES_MAX = 256, SUBSYSTEMS_MAX = 64, SUBSYSTEM_NAME_MAX = 64 };

/* A command line of the policy's own, to words. */
static int split_line(struct loader *l, const char *value, char **line, struct str_list *words,
                      struct err *err)
{
    struct split_error why;
    struct str_list split;
    *words = (struct str_list){0};
    if (split_command(value, strlen(value), &split, &why) < 0)
        return err_set(err, 0, "%s%s", why.text, split_remedy(value[why.offset]));
    int rc = 0;
    if (split.n == 0 || split.items[0][0] == '\0')
        rc = err_set(err, 0, "the program's name is empty");
    for (size_t i = 0; rc == 0 && i < split.n; i++) {
        char shown[64];
        if (is_placeholder(split.items[i]))
            rc = err_set(err, 0, "'%s' stands for nothing here: placeholders belong in 'command'",
                         text_escape_str(shown, sizeof shown, split.items[i]));
        else if (pool_push_str(l->pool, words, split.items[i]) < 0)
            rc = err_no_memory(err);
    }
    split_free(&split);
    if (rc == 0 && (*line = pool_strdup(l->pool, value)) == NULL)
        rc = err_no_memory(err);
    return rc;
}

/* The same; "" takes an inherited one back. */
static int set_line(struct loader *l, const char *value, char **line, struct str_list *words,
                    struct err *err)
{
    *line = NULL;
    *words = (struct str_list){0};
    return value[0] == '\0' ? 0 : split_line(l, value, line, words, err);
}

int tenant_set_shell(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct tenant_build *b = target;
    b->shell_at = *at;
    if (set_line(l, value, &b->t.shell_line, &b->t.shell, err) < 0)
        return -1;
    for (size_t i = 1; i < b->t.shell.n; i++)
        if (strcmp(b->t.shell.items[i], "-c") == 0)
            diag_warn(l->diags, at->file, at->line, "leave it out",
                      "shell: Postern adds '-c' and the command line itself");
    return 0;
}

int tenant_set_force(struct loader *l, void *target, const struct origin *at, const char *value,
                     struct err *err)
{
    struct tenant_build *b = target;
    b->force_at = *at;
    return set_line(l, value, &b->t.force_line, &b->t.force, err);
}

int tenant_set_command(struct loader *l, void *target, const struct origin *at, const char *value,
                       struct err *err)
{
    struct tenant *t = &((struct tenant_build *)target)->t;
    if (value[0] == '\0') {
        t->templates = NULL;
        t->n_templates = 0;
        return 0;
    }
    struct command_template tpl;
    if (t->n_templates == TEMPLATES_MAX)
        return err_set(err, 0, "more than %d command templates", TEMPLATES_MAX);
    if (template_parse(l->pool, value, at, &tpl, err) < 0)
        return -1;
    if (pool_push(l->pool, (void *)&t->templates, &t->n_templates, &tpl, sizeof tpl) < 0)
        return err_no_memory(err);
    return 0;
}

static bool is_subsystem_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return len > 0 && len <= SUBSYSTEM_NAME_MAX;
}

static const struct subsystem *find_subsystem(const struct subsystem *list, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

/* NAME: COMMAND LINE */
static int parse_subsystem(struct loader *l, const char *value, struct subsystem *out,
                           struct err *err)
{
    char shown[96];
    size_t len = strcspn(value, ":");
    if (value[len] != ':' || !is_subsystem_name(value, len))
        return err_set(err, 0,
                       "'%s' is not NAME: COMMAND LINE, such as sftp: "
                       "/usr/lib/openssh/sftp-server",
                       text_escape_str(shown, sizeof shown, value));
    out->name = pool_strndup(l->pool, value, len);
    const char *line = value + len + 1;
    line += strspn(line, " \t");
    return out->name == NULL ? err_no_memory(err)
                             : split_line(l, line, &out->line, &out->argv, err);
}

int tenant_set_subsystem(struct loader *l, void *target, const struct origin *at, const char *value,
                         struct err *err)
{
    struct tenant_build *b = target;
    if (value[0] == '\0') {
        b->t.subsystems = NULL;
        b->t.n_subsystems = 0;
        return 0;
    }
    struct subsystem new = {.origin = *at};
    if (parse_subsystem(l, value, &new, err) < 0)
        return -1;
    const struct subsystem *same = find_subsystem(b->own_subsystems, b->n_own_subsystems, new.name);
    if (same != NULL)
        return err_set(err, 0, "subsystem '%s' is given twice (first at line %u)", new.name,
                       same->origin.line);
    if (b->n_own_subsystems == SUBSYSTEMS_MAX)
        return err_set(err, 0, "more than %d subsystems", SUBSYSTEMS_MAX);
    if (pool_push(l->pool, (void *)&b->own_subsystems, &b->n_own_subsystems, &new, sizeof new) < 0)
        return err_no_memory(err);
    return 0;
}

int tenant_merge_subsystems(struct loader *l, struct tenant_build *b)
{
    const struct subsystem *inherited = b->t.subsystems;
    size_t n = b->t.n_subsystems;
    b->t.subsystems = NULL;
    b->t.n_subsystems = 0;
    for (size_t i = 0; i < n; i++)
        if (find_subsystem(b->own_subsystems, b->n_own_subsystems, inherited[i].name) == NULL &&
            pool_push(l->pool, (void *)&b->t.subsystems, &b->t.n_subsystems, &inherited[i],
                      sizeof *inherited) < 0)
            return -1;
    if (pool_push_array(l->pool, (void *)&b->t.subsystems, &b->t.n_subsystems, b->own_subsystems,
                        b->n_own_subsystems, sizeof *b->own_subsystems) < 0)
        return -1;
    b->own_subsystems = NULL;
    b->n_own_subsystems = 0;
    return 0;
}
