/*
 * probe.h - properties of a sandbox, each tried from the inside.
 */
#ifndef POSTERN_DAEMON_PROBE_H
#define POSTERN_DAEMON_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHY_MAX = 256 };

struct property;

/* True if the property holds; otherwise `why` (WHY_MAX bytes) tells what was possible. */
typedef bool property_fn(const struct property *property, char *why);

struct property {
    const char *name;
    const char *text; /* what holds, one line */
    property_fn *holds;
    const char *path; /* for the functions that serve several properties */
    long nr, args[6];
    int want;      /* errno, where a particular one is due; 0: EPERM */
    bool of_tests; /* it speaks of what tests/confine sets up, or of what programs need */
};

/* One entry of a table; what a shared function needs besides goes to the end: .path = "/proc". */
#define PROPERTY(name_, text_, ...)                                                                \
    {                                                                                              \
        .name = (name_), .text = (text_), .holds = __VA_ARGS__                                     \
    }

struct property_list {
    const struct property *items;
    size_t n;
    const char *group; /* "files", "processes", … */
};

enum { PLACES_MAX = 512, PLACE_TEXT_MAX = 160 };

/* Places inside that the policy names. */
struct probe_places {
    const char *paths[PLACES_MAX];
    size_t n;
};

/* What the policy of the sandbox says; or, by default, that of the tests. */
struct probe_settings {
    bool of_server; /* it is a tenant's */
    struct probe_places reads, writes, hides;
    uint64_t tmp, home; /* bytes */
    uint64_t tasks;
};
extern struct probe_settings probe_settings;

struct property_list probe_files(void);
struct property_list probe_proc(void);
struct property_list probe_process(void);
struct property_list probe_kernel(void);
struct property_list probe_arguments(void);
struct property_list probe_network(void);
struct property_list probe_places(void); /* of probe_settings; none in tests */

/* The call with these arguments answers `want`. */
bool probe_is_refused(const struct property *property, char *why);

/* Says why a property can't be tried here: neither it holds nor it doesn't. Returns false. */
bool probe_untried(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says why a property doesn't hold. Returns false. */
bool probe_open(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of a line "key:\tvalue" of /proc/self/status, or "" */
const char *probe_status(const char *key, char *buf, size_t len);

/* Whether something can be opened with these flags. */
bool probe_opens(const char *path, int flags);

/* Names that the tests outside create, and that must not be seen inside. */
#define PROBE_ABSTRACT "postern-confine"
enum { PROBE_SHM_KEY = 0x706f7374 };

/* Where a policy that has them puts its writable bind, one that isn't, and what it hides. */
#define PROBE_WRITE       "/srv/write"
#define PROBE_BESIDE      "/srv/beside"
#define PROBE_HIDDEN_DIR  PROBE_BESIDE "/secrets"
#define PROBE_HIDDEN_FILE PROBE_BESIDE "/secret"

#endif
