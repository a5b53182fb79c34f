#include "learn_profile.h"
#include "cleanup.h"
#include "profile.h"

#include <string.h>

bool spec_allows(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = profile_find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_ALLOW;
}

void learn_profile_free(struct learn_profile *profile)
{
    free_ptr(&profile->words);
    profile->n_words = 0;
}

/* Calls by number, of the profile that is being made. */
struct draft {
    const struct policy *policy;
    const struct seccomp_spec *ordinary;
    const bool *needed;
    bool allowed[SEEN_CALLS_MAX];
    struct learn_profile out;
};

static bool is_call(int nr)
{
    return nr >= 0 && nr < SEEN_CALLS_MAX;
}

static bool may_come_whole(const struct draft *draft, const struct policy_group *group)
{
    for (size_t i = 0; i < group->n_calls; i++)
        if (!spec_allows(draft->ordinary, group->calls[i]))
            return false;
    return true;
}

/* What naming the whole group saves: below 0, it costs. */
static long gain_of(const struct draft *draft, const struct policy_group *group, size_t *n_used)
{
    long added = 0;
    *n_used = 0;
    for (size_t i = 0; i < group->n_calls; i++) {
        int nr = group->calls[i];
        if (!is_call(nr) || draft->allowed[nr])
            continue;
        added++;
        *n_used += draft->needed[nr];
    }
    long single = (long)*n_used * (LEARN_WORD_COST + 1);
    return single - (LEARN_WORD_COST + added);
}

static void add_word(struct draft *draft, const struct learn_word *word)
{
    draft->out.words[draft->out.n_words++] = *word;
    if (word->group == NULL) {
        draft->allowed[word->nr] = true;
        return;
    }
    for (size_t i = 0; i < word->group->n_calls; i++)
        if (is_call(word->group->calls[i]))
            draft->allowed[word->group->calls[i]] = true;
}

static void add_groups(struct draft *draft)
{
    for (size_t i = 0; i < draft->policy->n_groups; i++) {
        struct learn_word word = {.group = &draft->policy->groups[i]};
        if (gain_of(draft, word.group, &word.n_used) > 0 && may_come_whole(draft, word.group))
            add_word(draft, &word);
    }
}

/* Singles in the order of the groups too, so that what belongs together stands together. */
static void add_singles(struct draft *draft)
{
    for (size_t i = 0; i < draft->policy->n_groups; i++) {
        const struct policy_group *group = &draft->policy->groups[i];
        for (size_t k = 0; k < group->n_calls; k++) {
            const struct learn_word word = {.nr = group->calls[k], .n_used = 1};
            if (is_call(word.nr) && draft->needed[word.nr] && !draft->allowed[word.nr])
                add_word(draft, &word);
        }
    }
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        const struct learn_word word = {.nr = nr, .n_used = 1};
        if (draft->needed[nr] && !draft->allowed[nr])
            add_word(draft, &word);
    }
}

static int fill(struct draft *draft, const struct policy_profile *base)
{
    size_t room = draft->policy->n_groups;
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        draft->allowed[nr] = base != NULL && spec_allows(&base->spec, nr);
        room += draft->needed[nr];
    }
    draft->out = (struct learn_profile){.base = base};
    draft->out.words = calloc(room + 1, sizeof *draft->out.words);
    if (draft->out.words == NULL)
        return -1;
    add_groups(draft);
    add_singles(draft);
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        draft->out.n_used += draft->needed[nr];
        draft->out.n_allowed += draft->allowed[nr];
    }
    return 0;
}

static size_t cost_of(const struct learn_profile *profile)
{
    size_t words = profile->n_words + (profile->base != NULL);
    return profile->n_allowed + words * LEARN_WORD_COST;
}

int learn_profile_choose(const struct policy *policy, const struct policy_profile *const *bases,
                         size_t n_bases, const struct seccomp_spec *ordinary,
                         const bool needed[SEEN_CALLS_MAX], struct learn_profile *out)
{
    struct draft draft = {.policy = policy, .ordinary = ordinary, .needed = needed};
    *out = (struct learn_profile){0};
    if (fill(&draft, NULL) < 0)
        return -1;
    *out = draft.out;
    for (size_t i = 0; i < n_bases; i++) {
        if (fill(&draft, bases[i]) < 0) {
            learn_profile_free(out);
            return -1;
        }
        bool better = cost_of(&draft.out) < cost_of(out);
        learn_profile_free(better ? out : &draft.out);
        if (better)
            *out = draft.out;
    }
    return 0;
}
