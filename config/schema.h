/*
 * schema.h - which keys a section may hold, what each does, and what is true without it. One table
 * per type of section, in the order of the manual, so that no key is known without being acted on.
 */
#ifndef POSTERN_CONFIG_SCHEMA_H
#define POSTERN_CONFIG_SCHEMA_H

#include "loader.h"

enum key_kind {
    KEY_SINGLE,   /* once per section; its value wins over an inherited one */
    KEY_OPTIONAL, /* the same, and an empty value takes an inherited one back */
    KEY_LIST,     /* repeatable; an empty first value resets an inherited list */
    KEY_EXTENDS,  /* read by sections.c */
    KEY_LATER,    /* part of the language, not of this version: any value is refused */
};

/* The first members of a struct schema_key. */
#define KEY(key_name, key_kind, key_fallback)                                                      \
    .name = (key_name), .kind = (key_kind), .fallback = (key_fallback)

struct schema_key {
    const char *name;
    /* The built-in default as one would write it; of a list, one item per line. NULL: none, or one
     * that follows from something else. */
    const char *fallback;
    /* Applies a value; "" resets. Returns 0, or -1 with err. NULL: see `parse`. */
    int (*set)(struct loader *l, void *target, const struct origin *at, const char *value,
               struct err *err);
    /* One of schema_fields.h, which reads the value into the member at `offset` of the target. */
    int (*parse)(const struct schema_key *key, const char *value, void *field, struct err *err);
    size_t offset;
    uint64_t min, max;
    const char *const *choices; /* by value, then NULL */
    enum key_kind kind;
    bool infinite; /* "infinity" is a value */
    char replaces; /* of a list: an item takes the place of an inherited one with the same text up
                      to this character */
    bool personal; /* not inherited */
    bool quotable; /* quotes are part of the value's syntax */
};

enum { SCHEMA_KEYS_MAX = 64 }; /* of one type of section */

/* Where a section may stand. */
enum file_role { FILE_SERVER = 1, FILE_POLICY = 2, FILE_SECCOMP = 4 };

enum section_naming {
    SECTION_UNNAMED,
    SECTION_NAMED,  /* value_name() */
    SECTION_TITLED, /* any short text */
};

struct schema {
    const char *type;
    enum section_naming naming;
    unsigned roles; /* of enum file_role */
    const struct schema_key *keys;
    size_t n_keys;
    const struct schema *full; /* has keys that this one leaves to others; or NULL */
};

extern const struct schema server_schema, defaults_schema, tenant_schema, sandbox_schema,
    profile_schema, group_schema, test_schema;

/* Checks the type, name and place of the sections of l->doc from `first` on; drops the others. */
void schema_check_sections(struct loader *l, size_t first, enum file_role role);

/* The one section of this type, or NULL; complains of others. */
const struct ini_section *schema_only_section(struct loader *l, const struct schema *schema);

/* Applies the built-in defaults, but for lists, to `target`. */
void schema_apply_fallbacks(struct loader *l, const struct schema *schema, void *target);

/* Applies the built-in default of one list. Returns 0, or -1 if memory ran out. */
int schema_apply_list_fallback(struct loader *l, const struct schema *schema, const char *name,
                               void *target);

/* Runs the setters of a section's entries on `target`, complaining of each wrong entry. Where the
 * others stand goes into `places` (places.h), unless that is NULL. */
void schema_apply(struct loader *l, const struct schema *schema, const struct ini_section *section,
                  void *target, struct origin *places);

#endif
