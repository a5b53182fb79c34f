/*
 * tenant_template.h - a policy for one tenant, made of a template. Pure.
 *
 * A template is a policy file as it stands: the one of a tenant "acme", with keys in keys/acme,
 * whose first line is "; NAME: summary". Lines that begin with ";   " are commands to try, towards
 * "host" and port "2222".
 */
#ifndef POSTERN_DAEMON_CLI_TENANT_TEMPLATE_H
#define POSTERN_DAEMON_CLI_TENANT_TEMPLATE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define TEMPLATE_TENANT "acme"

struct template_wish {
    const char *tenant;      /* takes the place of the word "acme" */
    const char *template;    /* named in the first line */
    const char *host, *port; /* of the commands to try */
    const char *workspace;   /* value of `workspace`, or NULL: as it stands */
    const char *network;     /* value of `network`, or NULL */
    const char *const *from; /* each a `from` of the tenant */
    size_t n_from;
    bool no_memory, no_cpu,
        no_subsystem; /* what this host doesn't have: such lines become comments */
};

/*
 * The policy's text, malloc'd and *len bytes long (and a NUL). NULL with err: memory ran out, or
 * the template has no line for what is wished.
 */
char *tenant_template_fill(const char *text, const struct template_wish *wish, size_t *len,
                           struct err *err);

/* The next command to try of a policy that was made: *len bytes at *text, which is moved behind it;
 * NULL at the end. */
const char *tenant_template_command(const char **text, size_t *len);

/* What the first line says of the template, or "". Returns buf. */
const char *tenant_template_summary(const char *text, char *buf, size_t cap);

#endif
