/*
 * ini_file.h - strict reading of INI files on top of inih(3).
 *
 * What inih would silently cut, merge or reinterpret is refused here with file and line, before it
 * sees it: indentation, long names, junk after a section, control characters, quoted comments.
 * Long lines are fed to it in pieces and put together again.
 *
 * The language: `[type]` or `[type "name"]`; `key = value`; lines that begin with ';' or '#' are
 * comments; white space followed by ';' begins a comment too, and can't stand inside quotes.
 */
#ifndef POSTERN_CONFIG_INI_FILE_H
#define POSTERN_CONFIG_INI_FILE_H

#include "policy.h"
#include "pool.h"

enum { INI_LINE_LEN_MAX = 8192, INI_KEY_LEN_MAX = 40, INI_FILE_SIZE_MAX = 8 << 20 };

/* A hint for those who look for it. */
#define INI_NO_INCLUDE "nothing is included: every *.ini file in policy.d is read"

struct ini_entry {
    char *key;
    char *value; /* white space around it removed; may be "" */
    unsigned line;
};

struct ini_section {
    char *type;
    char *name; /* as it stands in its quotes; "" if there is none */
    struct origin origin;
    struct ini_entry *entries;
    size_t n_entries;
};

struct ini_doc {
    struct ini_section *sections; /* in the order of the file; sections are not merged */
    size_t n;
};

/*
 * Reads one file's bytes into `doc`; `file` is borrowed by its origins. Problems go to `diags`,
 * and the lines that caused them are left out. Returns 0, or -1 if memory ran out.
 */
int ini_file_read(struct pool *pool, const char *file, const char *data, size_t len,
                  struct ini_doc *doc, struct diags *diags);

#endif
