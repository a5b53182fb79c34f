#include "drop.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOCKED_SECUREBITS                                                                          \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |                        \
     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* The system call takes two of these for 64 capabilities. */
enum { CAP_WORDS = _LINUX_CAPABILITY_U32S_3, CAPS_MAX = 32 * CAP_WORDS };

static int capabilities_get(struct __user_cap_data_struct data[CAP_WORDS])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return capget(&header, data);
}

static int capabilities_set(struct __user_cap_data_struct data[CAP_WORDS])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return capset(&header, data);
}

static int fail(int num)
{
    errno = num;
    return -1;
}

void drop_bounding_early(void)
{
    for (unsigned long cap = 0; cap < CAPS_MAX; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int drop_capabilities(void)
{
    /* Up to the first that the kernel doesn't know, so that new ones go too. */
    for (unsigned long cap = 0; cap < CAPS_MAX; cap++) {
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (has < 0 && errno == EINVAL && cap > CAP_CHOWN)
            break;
        if (has < 0 || (has > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0))
            return -1;
        if (has > 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
            return fail(EPROTO);
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECUREBITS, LOCKED_SECUREBITS, 0, 0, 0) < 0)
        return -1;
    if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != LOCKED_SECUREBITS)
        return fail(EPROTO);
    struct __user_cap_data_struct data[CAP_WORDS];
    if (capabilities_get(data) < 0)
        return -1;
    for (int i = 0; i < CAP_WORDS; i++)
        data[i].inheritable = 0;
    return capabilities_set(data);
}

static bool has_ids(uid_t uid, gid_t gid)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    return getresuid(&ruid, &euid, &suid) == 0 && getresgid(&rgid, &egid, &sgid) == 0 &&
           ruid == uid && euid == uid && suid == uid && rgid == gid && egid == gid && sgid == gid;
}

static bool has_capabilities(void)
{
    struct __user_cap_data_struct data[CAP_WORDS];
    if (capabilities_get(data) < 0)
        return true;
    for (int i = 0; i < CAP_WORDS; i++) {
        if (data[i].effective != 0 || data[i].permitted != 0 || data[i].inheritable != 0)
            return true;
    }
    return false;
}

/* Every way back to root must be closed, not just unused. */
static bool can_return(void)
{
    const gid_t root = 0;
    return setresuid(0, 0, 0) == 0 || setuid(0) == 0 || seteuid(0) == 0 ||
           setresgid(0, 0, 0) == 0 || setgid(0) == 0 || setegid(0) == 0 || setgroups(1, &root) == 0;
}

int drop_ids(uid_t uid, gid_t gid)
{
    if (uid == 0 || uid == (uid_t)-1 || gid == 0 || gid == (gid_t)-1)
        return fail(EINVAL);
    /* Groups first: without root it could no longer be done; the uid last, for the same reason. */
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -1;
    struct __user_cap_data_struct none[CAP_WORDS] = {{0}};
    if (capabilities_set(none) < 0)
        return -1;
    if (!has_ids(uid, gid) || getgroups(0, NULL) != 0 || has_capabilities() || can_return())
        return fail(EPROTO);
    return 0;
}

int drop_new_privileges(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : fail(EPROTO);
}
