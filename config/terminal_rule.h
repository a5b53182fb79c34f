/*
 * terminal_rule.h - who may have a terminal, and what a client may call its own. Pure.
 */
#ifndef POSTERN_CONFIG_TERMINAL_RULE_H
#define POSTERN_CONFIG_TERMINAL_RULE_H

#include "login.h"

/* Whether somebody who has logged in may have a terminal: the tenant, the key and its certificate
 * must all allow it. If not, `why` says what does not, and *at where it says so (no file: nowhere,
 * it is the default). */
bool terminal_rule_allows(const struct login *login, char *why, size_t len, struct origin *at);

/* The client's name for its terminal, for TERM: as it is if it can be the name of an entry in a
 * terminfo database, else "dumb", which any program can live with. */
const char *terminal_rule_name(const char *term);

#endif
