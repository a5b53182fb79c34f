/*
 * client_wish.h - what a client asks of Postern itself, by variables that accept-env lists one by
 * one: a receipt, and limits that are tighter than the policy's. The command never sees them.
 */
#ifndef POSTERN_CONFIG_CLIENT_WISH_H
#define POSTERN_CONFIG_CLIENT_WISH_H

#include "decide.h"

#define WISH_RECEIPT "POSTERN_RECEIPT"
#define WISH_TIME    "POSTERN_TIME"
#define WISH_MEMORY  "POSTERN_MEMORY"

/* Whether a variable is one of these; their case counts. */
bool client_wish_is_name(const char *name, size_t len);

/*
 * What is in force for one exec: the sandbox's limits and the tenant's `receipt`, or what the key
 * and the client ask for, which can't loosen a limit. Returns 0, or -1 with an err for the client:
 * a value is malformed.
 */
int client_wish_read(const struct decide_request *request, const struct login *login,
                     struct exec_limits *limits, enum receipt_wish *receipt, struct err *err);

#endif
