#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void format(char *buf, size_t len, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void format(char *buf, size_t len, const char *fmt, va_list ap)
{
    if (vsnprintf(buf, len, fmt, ap) < 0)
        buf[0] = '\0';
    for (char *c = buf; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void finding_add(struct findings *findings, enum grade grade, const char *area, const char *check,
                 const char *fmt, ...)
{
    if ((findings->n & (findings->n - 1)) == 0) {
        size_t cap = findings->n == 0 ? 1 : findings->n * 2;
        struct finding *items = realloc(findings->items, cap * sizeof *items);
        findings->failed |= items == NULL;
        if (items == NULL)
            return;
        findings->items = items;
    }
    struct finding *finding = &findings->items[findings->n++];
    va_list ap;
    *finding = (struct finding){.grade = grade, .area = area, .check = check};
    va_start(ap, fmt);
    format(finding->text, sizeof finding->text, fmt, ap);
    va_end(ap);
}

void finding_mean(struct findings *findings, const char *fmt, ...)
{
    va_list ap;
    if (findings->n == 0)
        return;
    struct finding *last = &findings->items[findings->n - 1];
    va_start(ap, fmt);
    format(last->meaning, sizeof last->meaning, fmt, ap);
    va_end(ap);
}

void finding_remedy(struct findings *findings, const char *fmt, ...)
{
    va_list ap;
    if (findings->n == 0)
        return;
    struct finding *last = &findings->items[findings->n - 1];
    va_start(ap, fmt);
    format(last->remedy, sizeof last->remedy, fmt, ap);
    va_end(ap);
}

size_t findings_count(const struct findings *findings, enum grade grade)
{
    size_t n = 0;
    for (size_t i = 0; i < findings->n; i++)
        n += findings->items[i].grade == grade;
    return n;
}

void findings_free(struct findings *findings)
{
    free(findings->items);
    *findings = (struct findings){0};
}
