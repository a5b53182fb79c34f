#include "landlock.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of the oldest system that we build on. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

enum {
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
};

/* struct landlock_ruleset_attr of ABI 6; an older kernel takes it as long as what it lacks is 0. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

#define ACCESS_READ                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

#define ACCESS_DEVICE                                                                              \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                   \
     LANDLOCK_ACCESS_FS_IOCTL_DEV)

#define ACCESS_PRIVATE                                                                             \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                   \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

/* What a rule for a file may speak of. */
#define ACCESS_FILE                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
     LANDLOCK_ACCESS_FS_TRUNCATE)

/* MAKE_CHAR and MAKE_BLOCK are handled and granted nowhere. */
#define ACCESS_ALL                                                                                 \
    (ACCESS_PRIVATE | ACCESS_DEVICE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

static const struct {
    const char *path;
    uint64_t access;
} rules[] = {
    {"/", ACCESS_READ},
    {"/dev", ACCESS_DEVICE},
    {"/dev/shm", ACCESS_PRIVATE},
    {"/tmp", ACCESS_PRIVATE},
};

static uint64_t known_access(int abi)
{
    uint64_t access = ACCESS_ALL;
    if (abi < 2)
        access &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
    if (abi < 3)
        access &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi < 5)
        access &= ~(uint64_t)LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return access;
}

static int add_rule(int ruleset, const char *path, uint64_t access)
{
    cleanup_fd int place = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (place < 0 || fstat(place, &st) < 0)
        return -1;
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = S_ISDIR(st.st_mode) ? access : access & ACCESS_FILE,
        .parent_fd = place,
    };
    return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
}

static int add_rules(int ruleset, const struct sandbox_spec *spec, uint64_t handled)
{
    for (size_t i = 0; i < array_len(rules); i++) {
        if (add_rule(ruleset, rules[i].path, rules[i].access & handled) < 0)
            return -1;
    }
    for (size_t i = 0; i < spec->n_writes; i++) {
        /* What the tenant can't reach it needs no right to. */
        if (add_rule(ruleset, spec->writes[i].dest, ACCESS_PRIVATE & handled) < 0 &&
            errno != EACCES)
            return -1;
    }
    if (spec->workspace == WORKSPACE_NONE)
        return 0;
    return add_rule(ruleset, SPEC_WORKSPACE, ACCESS_PRIVATE & handled);
}

int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int landlock_ruleset(const struct sandbox_spec *spec)
{
    int abi = landlock_abi();
    if (abi < 1)
        return -1;
    struct ruleset_attr attr = {
        .handled_access_fs = known_access(abi),
        .scoped = abi >= LANDLOCK_ABI_SCOPED ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
    };
    cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0 || add_rules(ruleset, spec, attr.handled_access_fs) < 0)
        return -1;
    return steal_fd(&ruleset);
}

int landlock_restrict(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}
