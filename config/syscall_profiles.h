/*
 * syscall_profiles.h - [group] and [seccomp] sections, resolved to one answer per system call.
 */
#ifndef POSTERN_CONFIG_SYSCALL_PROFILES_H
#define POSTERN_CONFIG_SYSCALL_PROFILES_H

#include "sections.h"

struct call_group {
    const char *name;
    int *numbers;
    size_t n;
};

struct call_profile; /* one [seccomp] section while it is being resolved */

struct profiles {
    struct section_set groups_set;
    struct section_set set;     /* of [seccomp] */
    struct call_group *groups;  /* parallel to groups_set.nodes */
    struct str_list call_names; /* every name of every group, for suggestions */
    bool *known;                /* by number: some group names it */
    struct call_profile *items; /* parallel to set.nodes */
    bool groups_faulty;         /* some of what groups should hold was refused */
};

/* Resolves all profiles. Returns 0, or -1 if memory ran out. */
int profiles_build(struct loader *l, struct profiles *out);

/* Whether something of set.nodes[i] was refused, so that its rules aren't what was meant. */
bool profiles_faulty(const struct profiles *profiles, size_t i);

/* The resolved profile of set.nodes[i]; its memory belongs to the policy. */
struct seccomp_spec profiles_spec(const struct profiles *profiles, size_t i);

/* Copies what there is into the policy: policy.groups and policy.profiles. Returns 0, or -1. */
int profiles_keep(struct loader *l, const struct profiles *profiles);

#endif
