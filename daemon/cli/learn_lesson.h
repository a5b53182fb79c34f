/*
 * learn_lesson.h - what follows for a policy from what a command was seen to do. Pure.
 */
#ifndef POSTERN_DAEMON_CLI_LEARN_LESSON_H
#define POSTERN_DAEMON_CLI_LEARN_LESSON_H

#include "learn_paths.h"
#include "learn_profile.h"
#include "policy.h"

enum learn_contact {
    CONTACT_OWN,     /* on the loopback, with the command itself: no line is needed */
    CONTACT_HOST,    /* a service of this host, on its loopback */
    CONTACT_OUTSIDE, /* anybody else */
    CONTACT_SERVED,  /* it listened there */
    CONTACT_UNUSED,  /* a UDP socket that nothing was sent on: how names are looked up */
    CONTACT_IN_VAIN, /* nobody was there, each time */
};

/* Of a peer of the record. */
enum learn_contact lesson_contact(const struct seen *seen, const struct seen_peer *peer);

struct lesson_source {
    const struct policy *policy;
    const struct sandbox_spec *base; /* what the new sandbox extends; NULL: nothing */
    const struct seccomp_spec *ordinary;
    bool (*given)(void *arg, const char *path);
    void *given_arg;
};

struct lesson {
    const struct seen *seen;
    const struct sandbox_spec *base;
    bool needed[SEEN_CALLS_MAX];
    struct learn_profile profile;
    size_t n_ordinary; /* calls that the default profile allows */
    struct learn_units units;
    enum sandbox_network network;
    /* What to set, with room for more than was seen: bytes, tasks, milliseconds. */
    uint64_t memory, tasks, time_ms, tmp, workspace;
};

/* Sorts the record's paths. Returns 0, or -1: out of memory; lesson_free() is due either way. */
int lesson_draw(const struct lesson_source *source, struct seen *seen, struct lesson *out);
void lesson_free(struct lesson *lesson);

#endif
