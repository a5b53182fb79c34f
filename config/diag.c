#include "diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct diag *next_slot(struct diags *diags)
{
    if (diags->n >= DIAGS_MAX)
        return NULL;
    if ((diags->n & (diags->n - 1)) == 0) {
        size_t cap = diags->n == 0 ? 1 : diags->n * 2;
        struct diag *items = realloc(diags->items, cap * sizeof *items);
        if (items == NULL)
            return NULL;
        diags->items = items;
    }
    return &diags->items[diags->n];
}

static int add(struct diags *diags, enum diag_grade grade, const char *file, unsigned line,
               const char *hint, const char *fmt, va_list ap) __attribute__((format(printf, 6, 0)));

static int add(struct diags *diags, enum diag_grade grade, const char *file, unsigned line,
               const char *hint, const char *fmt, va_list ap)
{
    struct diag *diag = next_slot(diags);
    char *name = diag == NULL ? NULL : strdup(file);
    if (name == NULL)
        return -1;
    *diag = (struct diag){.grade = grade, .file = name, .line = line, .order = diags->n};
    (void)vsnprintf(diag->text, sizeof diag->text, fmt, ap);
    (void)snprintf(diag->hint, sizeof diag->hint, "%s", hint == NULL ? "" : hint);
    diags->n++;
    return 0;
}

void diag_add(struct diags *diags, const char *file, unsigned line, const char *hint,
              const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (add(diags, DIAG_ERROR, file, line, hint, fmt, ap) < 0)
        diags->truncated = true;
    va_end(ap);
}

void diag_warn(struct diags *diags, const char *file, unsigned line, const char *hint,
               const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (diags->n >= WARNINGS_MAX || add(diags, DIAG_WARNING, file, line, hint, fmt, ap) < 0)
        diags->more_warnings = true;
    va_end(ap);
}

bool diags_any(const struct diags *diags)
{
    bool any = diags->truncated;
    for (size_t i = 0; !any && i < diags->n; i++)
        any = diags->items[i].grade == DIAG_ERROR;
    return any;
}

const char *origin_format(const struct origin *at, char *buf, size_t len)
{
    if (at->file == NULL)
        (void)snprintf(buf, len, "built-in");
    else if (at->line == 0)
        (void)snprintf(buf, len, "%s", at->file);
    else
        (void)snprintf(buf, len, "%s:%u", at->file, at->line);
    return buf;
}

int err_no_memory(struct err *err)
{
    return err_set(err, ENOMEM, "the policy can't be loaded");
}

static int compare(const void *a, const void *b)
{
    const struct diag *x = a;
    const struct diag *y = b;
    int by_file = strcmp(x->file, y->file);
    if (by_file != 0)
        return by_file;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void diags_sort(struct diags *diags)
{
    if (diags->n > 1)
        qsort(diags->items, diags->n, sizeof *diags->items, compare);
}

void diags_free(struct diags *diags)
{
    for (size_t i = 0; i < diags->n; i++)
        free(diags->items[i].file);
    free(diags->items);
    *diags = (struct diags){0};
}

void diag_format(const struct diag *diag, char *buf, size_t len)
{
    char line[16] = "";
    if (diag->line > 0)
        (void)snprintf(line, sizeof line, ":%u", diag->line);
    bool hinted = diag->hint[0] != '\0';
    (void)snprintf(buf, len, "%s%s: %s: %s%s%s%s", diag->file, line,
                   diag->grade == DIAG_WARNING ? "warning" : "error", diag->text,
                   hinted ? " (" : "", diag->hint, hinted ? ")" : "");
}
