/*
 * risky_programs.h - programs that do more for whoever chooses their words: run other programs, or
 * take options that do.
 */
#ifndef POSTERN_CONFIG_RISKY_PROGRAMS_H
#define POSTERN_CONFIG_RISKY_PROGRAMS_H

#include "template.h"

struct risk {
    const char *program;              /* as the policy names it */
    const struct template_word *word; /* what lets the client choose */
    const char *trick;                /* what it can be used for */
};

/*
 * Whether a word of the template leaves too much to the client, given its program; looks through
 * programs that run the program in their words. False is no promise.
 */
bool risky_programs_find(const struct command_template *tpl, struct risk *out);

/* Whether the client could give an option in place of this word, which doesn't look like one. */
bool risky_programs_takes_option(const struct template_word *w);

#endif
