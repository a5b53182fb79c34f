#include "tenant_template.h"
#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One filling in. */
struct filling {
    FILE *to;
    const struct template_wish *wish;
    bool in_tenant; /* the section that the line is in */
    bool had_workspace, had_network, had_keys;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool is_command(const char *line, size_t len)
{
    return len > 4 && strncmp(line, ";   ", 4) == 0;
}

static bool is_same(const char *word, size_t len, const char *other)
{
    return len == strlen(other) && strncmp(word, other, len) == 0;
}

/* What a word of the template stands for, or NULL: for itself. */
static const char *meaning(const struct template_wish *wish, const char *word, size_t len,
                           bool in_command)
{
    if (is_same(word, len, TEMPLATE_TENANT))
        return wish->tenant;
    if (in_command && is_same(word, len, "host"))
        return wish->host;
    return in_command && is_same(word, len, "2222") ? wish->port : NULL;
}

static void put_named(struct filling *f, const char *line, size_t len)
{
    bool in_command = is_command(line, len);
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && is_word(line[i + n]))
            n++;
        const char *other = meaning(f->wish, line + i, n, in_command);
        if (other != NULL)
            fputs(other, f->to);
        else
            fwrite(line + i, 1, n > 0 ? n : 1, f->to);
        i += n > 0 ? n : 1;
    }
    fputc('\n', f->to);
}

/* Whether the line sets this key. */
static bool sets(const char *line, size_t len, const char *key)
{
    size_t n = strlen(key);
    if (len <= n || strncmp(line, key, n) != 0)
        return false;
    while (n < len && line[n] == ' ')
        n++;
    return n < len && line[n] == '=';
}

/* The line up to its value, and another value. */
static void put_value(struct filling *f, const char *line, size_t len, const char *value)
{
    const char *equals = memchr(line, '=', len);
    fprintf(f->to, "%.*s= %s\n", (int)(equals - line), line, value);
}

static void put_from(struct filling *f, const char *keys_line, size_t len)
{
    const char *equals = memchr(keys_line, '=', len);
    int width = (int)(equals - keys_line);
    for (size_t i = 0; i < f->wish->n_from; i++)
        fprintf(f->to, "%-*s= %s\n", width, "from", f->wish->from[i]);
}

static void put_line(struct filling *f, const char *line, size_t len)
{
    const struct template_wish *wish = f->wish;
    if (len > 0 && line[0] == '[')
        f->in_tenant = strncmp(line, "[tenant ", 8) == 0;
    bool is_missing = (wish->no_memory && sets(line, len, "memory")) ||
                      (wish->no_cpu && sets(line, len, "cpu")) ||
                      (wish->no_subsystem && sets(line, len, "subsystem"));
    if (is_missing)
        fputs("; ", f->to);
    if (wish->workspace != NULL && sets(line, len, "workspace")) {
        put_value(f, line, len, wish->workspace);
        f->had_workspace = true;
    } else if (wish->network != NULL && sets(line, len, "network")) {
        put_value(f, line, len, wish->network);
        f->had_network = true;
    } else if (wish->workspace != NULL && sets(line, len, "workspace-size")) {
        /* One that is kept has its size by a quota of the file system, where there are any. */
        fputs("; ", f->to);
        put_named(f, line, len);
    } else {
        put_named(f, line, len);
    }
    if (f->in_tenant && sets(line, len, "keys")) {
        put_from(f, line, len);
        f->had_keys = true;
    }
}

static void put_all(struct filling *f, const char *text)
{
    fprintf(f->to, "; Tenant \"%s\", made from the template \"%s\". It is yours to edit; then:\n",
            f->wish->tenant, f->wish->template);
    fputs("; postern check && postern reload\n;\n", f->to);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        put_line(f, text, len);
        text += len + (text[len] == '\n');
    }
}

char *tenant_template_fill(const char *text, const struct template_wish *wish, size_t *len,
                           struct err *err)
{
    char *out = NULL;
    struct filling f = {.to = open_memstream(&out, len), .wish = wish};
    if (f.to == NULL) {
        err_set(err, ENOMEM, "template");
        return NULL;
    }
    put_all(&f, text);
    bool failed = ferror(f.to) != 0;
    failed = fclose(f.to) != 0 || failed;
    int rc = 0;
    if (failed)
        rc = err_set(err, ENOMEM, "template");
    else if (!f.had_keys)
        rc = err_set(err, 0, "the template has no 'keys' in a [tenant]");
    else if (wish->workspace != NULL && !f.had_workspace)
        rc = err_set(err, 0, "the template has no 'workspace' to set");
    else if (wish->network != NULL && !f.had_network)
        rc = err_set(err, 0, "the template has no 'network' to set");
    if (rc == 0)
        return out;
    free(out);
    return NULL;
}

const char *tenant_template_summary(const char *text, char *buf, size_t cap)
{
    const char *colon = strstr(text, ": ");
    const char *newline = strchr(text, '\n');
    buf[0] = '\0';
    if (text[0] == ';' && colon != NULL && newline != NULL && colon < newline)
        (void)snprintf(buf, cap, "%.*s", (int)(newline - colon - 2), colon + 2);
    return buf;
}

const char *tenant_template_command(const char **text, size_t *len)
{
    while (**text != '\0') {
        const char *line = *text;
        size_t n = strcspn(line, "\n");
        *text += n + (line[n] == '\n');
        if (!is_command(line, n))
            continue;
        *len = n - 4;
        return line + 4;
    }
    return NULL;
}
