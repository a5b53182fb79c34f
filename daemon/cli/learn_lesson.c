#include "learn_lesson.h"
#include "cleanup.h"
#include "egress_rules.h"

#include <string.h>
#include <sys/syscall.h>

#define MIB (1ULL << 20)

/* Whether the command itself is what answers on this port of the loopback. */
static bool is_served(const struct seen *seen, const struct seen_peer *peer)
{
    for (size_t i = 0; i < seen->n_peers; i++)
        if (seen->peers[i].listening && seen->peers[i].udp == peer->udp &&
            seen->peers[i].port == peer->port)
            return true;
    return false;
}

enum learn_contact lesson_contact(const struct seen *seen, const struct seen_peer *peer)
{
    if (peer->listening)
        return CONTACT_SERVED;
    if (peer->failed == peer->count && peer->sent == 0)
        return CONTACT_IN_VAIN;
    if (peer->udp && peer->sent == 0)
        return CONTACT_UNUSED;
    if (!peer_is_loopback(peer) && !peer_is_unspecified(peer))
        return CONTACT_OUTSIDE;
    return is_served(seen, peer) ? CONTACT_OWN : CONTACT_HOST;
}

/*
 * Without an interface nobody can be reached, and without an address nothing be listened on. With
 * rules others are reached, but nobody is let in, not even the command itself.
 */
static enum sandbox_network network_of(const struct seen *seen)
{
    size_t n_others = 0, n_own = 0;
    for (size_t i = 0; i < seen->n_peers; i++) {
        switch (lesson_contact(seen, &seen->peers[i])) {
        case CONTACT_OUTSIDE:
        case CONTACT_HOST:
            n_others++;
            break;
        case CONTACT_OWN:
        case CONTACT_SERVED:
            n_own++;
            break;
        case CONTACT_UNUSED:
        case CONTACT_IN_VAIN:
            break;
        }
    }
    if (n_others > 0)
        return n_own > 0 || seen->peers_capped || n_others > EGRESS_RULES_MAX ? NETWORK_HOST
                                                                              : NETWORK_EGRESS;
    return n_own > 0 ? NETWORK_LOOPBACK : NETWORK_NONE;
}

/* What the kernel always refused for want of privileges the profile may refuse as well, if it isn't
 * what every program does. */
static void choose_needed(const struct lesson_source *source, struct lesson *out)
{
    /* Calls that the kernel makes for a process, or that end it. */
    static const int always[] = {SYS_execve, SYS_exit, SYS_exit_group, SYS_rt_sigreturn,
                                 SYS_restart_syscall};
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        const struct seen_call *call = &out->seen->calls[nr];
        bool in_vain = call->refused == call->count && !spec_allows(source->ordinary, nr);
        out->needed[nr] = call->count > 0 && !in_vain;
    }
    for (size_t i = 0; i < array_len(always); i++)
        out->needed[always[i]] = true;
}

static bool is_shipped(const struct policy *policy, const struct policy_profile *profile)
{
    return path_is_within(profile->origin.file, policy->server.seccomp_dir);
}

static int choose_profile(const struct lesson_source *source, struct lesson *out)
{
    const struct policy *policy = source->policy;
    cleanup_free const struct policy_profile **bases =
        calloc(policy->n_profiles + 1, sizeof *bases);
    size_t n = 0;
    if (bases == NULL)
        return -1;
    for (size_t i = 0; i < policy->n_profiles; i++) {
        const struct policy_profile *profile = &policy->profiles[i];
        bool is_base =
            source->base != NULL && strcmp(source->base->seccomp.name, profile->spec.name) == 0;
        if (is_shipped(policy, profile) || is_base)
            bases[n++] = profile;
    }
    return learn_profile_choose(policy, bases, n, source->ordinary, out->needed, &out->profile);
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

/* At least `least`, and twice what was seen: the next power of two. */
static uint64_t with_room(uint64_t seen, uint64_t least)
{
    uint64_t value = least;
    while (value < seen * 2 && value < 1ULL << 60)
        value *= 2;
    return value;
}

static void suggest(const struct seen_peaks *peaks, struct lesson *out)
{
    enum { TIMES = 10, MINUTE_MS = 60000 };
    out->memory = with_room(peaks->memory, 32 * MIB);
    out->tasks = with_room(peaks->tasks, 16);
    out->time_ms = round_up(peaks->wall_ms * TIMES, MINUTE_MS);
    if (out->time_ms == 0)
        out->time_ms = MINUTE_MS;
    out->tmp = with_room(peaks->tmp, 16 * MIB);
    out->workspace = with_room(peaks->workspace, 16 * MIB);
}

int lesson_draw(const struct lesson_source *source, struct seen *seen, struct lesson *out)
{
    *out = (struct lesson){.seen = seen, .base = source->base};
    seen_sort_paths(seen);
    choose_needed(source, out);
    for (size_t i = 0; i < source->ordinary->n_rules; i++)
        out->n_ordinary += source->ordinary->rules[i].answer == SECCOMP_ANSWER_ALLOW;
    out->network = network_of(seen);
    suggest(&seen->peaks, out);
    if (choose_profile(source, out) < 0)
        return -1;
    return learn_units_make(seen, source->given, source->given_arg, &out->units);
}

void lesson_free(struct lesson *lesson)
{
    learn_profile_free(&lesson->profile);
    learn_units_free(&lesson->units);
}
