/*
 * findings.h - what `postern doctor` has to say: one finding for each thing that it looked at.
 */
#ifndef POSTERN_DAEMON_CLI_FINDINGS_H
#define POSTERN_DAEMON_CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

enum grade {
    GRADE_OK,
    GRADE_UNKNOWN, /* could not be seen */
    GRADE_WARNING, /* Postern runs; something is weaker than it could be */
    GRADE_PROBLEM, /* Postern won't start, or the policy can't be kept */
};

struct finding {
    enum grade grade;
    const char *area;  /* "kernel", … */
    const char *check; /* a stable name for programs, within the area */
    char text[256];    /* what is so */
    char meaning[256]; /* what that is to Postern; "" if it goes without saying */
    char remedy[256];  /* a command to type, or what else to do; "" if there is nothing to do */
};

struct findings {
    struct finding *items;
    size_t n;
    bool failed; /* memory ran out */
};

/* Adds a finding; its meaning and remedy follow with the next two. What is not printable becomes
 * '?': names that must stay readable are escaped before. */
void finding_add(struct findings *findings, enum grade grade, const char *area, const char *check,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void finding_mean(struct findings *findings, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void finding_remedy(struct findings *findings, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

size_t findings_count(const struct findings *findings, enum grade grade);
void findings_free(struct findings *findings);

#endif
