#include "doctor.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AREA "settings"

/* What a setting should be, at least or exactly, and what it is to Postern if it isn't. */
struct wanted {
    const char *name;
    int64_t least, most;
    enum grade grade; /* of anything else */
    int64_t remedy;   /* the value to set */
    const char *meaning;
};

#define INSIDE "commands in sandboxes are kept from it anyway; "

static const struct wanted table[] = {
    {"kernel/kptr_restrict", 1, INT64_MAX, GRADE_WARNING, 1,
     INSIDE "users outside can read the kernel's addresses, which helps to attack it"},
    {"kernel/dmesg_restrict", 1, INT64_MAX, GRADE_WARNING, 1,
     INSIDE "users outside can read the kernel's log, with its addresses"},
    {"kernel/yama/ptrace_scope", 1, INT64_MAX, GRADE_WARNING, 1,
     INSIDE "on the host processes of one user can trace each other, and so can run-as users"},
    {"kernel/unprivileged_bpf_disabled", 1, INT64_MAX, GRADE_WARNING, 1,
     INSIDE "users outside can load BPF programs, a large part of the kernel to attack"},
    {"kernel/perf_event_paranoid", 2, INT64_MAX, GRADE_WARNING, 2,
     INSIDE "users outside can measure the kernel and each other"},
    {"vm/unprivileged_userfaultfd", 0, 0, GRADE_WARNING, 0,
     INSIDE "users outside can stop the kernel in the middle of a copy, which helps to attack it"},
    {"vm/panic_on_oom", 0, 0, GRADE_PROBLEM, 0,
     "a command that uses up the host's memory stops the whole host; 2 does so even for a limit "
     "of its own"},
    {"vm/overcommit_memory", 0, 1, GRADE_WARNING, 0,
     "memory is refused by what is reserved, not used: many commands at once may fail for memory "
     "that nobody uses"},
    {"fs/protected_symlinks", 1, 1, GRADE_WARNING, 1,
     "links that one user plants in a directory that all may write lead programs of others astray"},
    {"fs/protected_hardlinks", 1, 1, GRADE_WARNING, 1,
     "users can give files of others a name of their own, in kept workspaces too"},
    {"fs/suid_dumpable", 0, 0, GRADE_WARNING, 0,
     "programs that changed their user leave memory dumps; sandboxes make none"},
    {"kernel/pid_max", 32768, INT64_MAX, GRADE_WARNING, 4194304,
     "the tenants' limits of processes together may be more than the host has numbers for"},
};

static void dots(char *buf, size_t len, const char *name)
{
    (void)snprintf(buf, len, "%s", name);
    for (char *c = buf; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
}

static void judge(const struct sysctl_fact *sysctl, const struct wanted *wanted,
                  struct findings *out)
{
    char name[64];
    dots(name, sizeof name, wanted->name);
    if (!sysctl->is_there)
        return; /* this kernel has no such thing to be open */
    if (wanted->least <= sysctl->value && sysctl->value <= wanted->most) {
        finding_add(out, GRADE_OK, AREA, wanted->name, "%s = %" PRId64, name, sysctl->value);
        return;
    }
    finding_add(out, wanted->grade, AREA, wanted->name, "%s = %" PRId64, name, sysctl->value);
    finding_mean(out, "%s", wanted->meaning);
    finding_remedy(out, "sysctl -w %s=%" PRId64 "  # to keep it: in a file of /etc/sysctl.d", name,
                   wanted->remedy);
}

static void judge_core_pattern(const struct facts *facts, struct findings *out)
{
    const char *pattern = facts->host.core_pattern;
    char shown[160];
    if (pattern[0] == '\0')
        return;
    finding_add(out, GRADE_OK, AREA, "kernel/core_pattern", "kernel.core_pattern = %s",
                text_escape_str(shown, sizeof shown, pattern));
    finding_mean(out, "%s",
                 pattern[0] == '|'
                     ? "a program on the host takes crashes in, but none of sandboxes: their limit "
                       "of core files is 1 byte"
                     : "sandboxes leave no core files: their limit is 1 byte");
}

void doctor_judge_settings(const struct facts *facts, struct findings *out)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t k = 0; k < facts->host.n_sysctls; k++)
            if (strcmp(facts->host.sysctls[k].name, table[i].name) == 0)
                judge(&facts->host.sysctls[k], &table[i], out);
    judge_core_pattern(facts, out);
}
