/*
 * template_file.h - where the templates of `postern tenant add` are.
 */
#ifndef POSTERN_DAEMON_CLI_TEMPLATE_FILE_H
#define POSTERN_DAEMON_CLI_TEMPLATE_FILE_H

#include "policy.h"

enum { TEMPLATE_SIZE_MAX = 1 << 20 };

/*
 * Reads the template of that name, or the file if it is a path (it holds a '/'). *text is the
 * caller's to free, also if it can't be read. Returns an exit status; what is wrong has been said.
 */
int template_read(const char *name, char **text);

/* The name without directories and ".ini": what the template is called. Returns buf. */
const char *template_name(const char *name, char *buf, size_t cap);

#endif
