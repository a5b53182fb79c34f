#include "profile.h"

#include "cleanup.h"
#include "profile_args.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* Of a call that is newer than the profile: libc falls back to what it used before. */
#define ANSWER_UNKNOWN ((uint32_t)SECCOMP_RET_ERRNO | ENOSYS)

const struct seccomp_rule *profile_find_rule(const struct seccomp_spec *spec, int nr)
{
    size_t low = 0, high = spec->n_rules;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (spec->rules[mid].nr == nr)
            return &spec->rules[mid];
        if (spec->rules[mid].nr < nr)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_allowed(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = profile_find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_ALLOW;
}

enum seccomp_answer profile_answer(const struct seccomp_spec *spec, int nr)
{
    const struct seccomp_rule *rule = profile_find_rule(spec, nr);
    return rule != NULL && rule->answer == SECCOMP_ANSWER_KILL ? SECCOMP_ANSWER_KILL
                                                               : SECCOMP_ANSWER_DENY;
}

static int check_rules(const struct seccomp_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->n_rules; i++) {
        const struct seccomp_rule *rule = &spec->rules[i];
        if (rule->nr < 0 || (i > 0 && rule->nr <= spec->rules[i - 1].nr))
            return err_set(err, 0, "%s:%u: seccomp rules are not in order at call %d", rule->file,
                           rule->line, rule->nr);
    }
    /* The filter is on when the command is executed, and nobody answers notifications yet. */
    if (!is_allowed(spec, SYS_execve) || !is_allowed(spec, SYS_exit_group))
        return err_set(err, 0, "seccomp profile '%s' must allow execve and exit_group", spec->name);
    return 0;
}

/*
 * Numbers of calls in a row that get the same answer, up to where the next one begins. One whose
 * arguments matter is alone in its own.
 */
struct segment {
    uint32_t first;
    uint32_t answer; /* SECCOMP_RET_…; not looked at with `nr` */
    int nr;          /* the call whose arguments decide, or -1 */
};

struct segments {
    struct segment *items;
    size_t n;
};

static void begin_segment(struct segments *to, uint32_t first, uint32_t answer, int nr)
{
    struct segment *last = to->n > 0 ? &to->items[to->n - 1] : NULL;
    if (last != NULL && last->first == first)
        to->n--; /* it has come to nothing */
    last = to->n > 0 ? &to->items[to->n - 1] : NULL;
    if (last != NULL && last->nr < 0 && nr < 0 && last->answer == answer)
        return;
    to->items[to->n++] = (struct segment){first, answer, nr};
}

static void list_segments(const struct seccomp_spec *spec, struct segments *to)
{
    begin_segment(to, 0, ANSWER_UNKNOWN, -1);
    for (size_t i = 0; i < spec->n_rules; i++) {
        const struct seccomp_rule *rule = &spec->rules[i];
        bool allowed = rule->answer == SECCOMP_ANSWER_ALLOW;
        /* A filter can't see flags behind a pointer, so libc is sent back to clone. */
        if (rule->nr == SYS_clone3)
            continue;
        begin_segment(to, (uint32_t)rule->nr,
                      allowed ? (uint32_t)SECCOMP_RET_ALLOW : (uint32_t)SECCOMP_RET_USER_NOTIF,
                      allowed && profile_args_matter(rule->nr) ? rule->nr : -1);
        begin_segment(to, (uint32_t)rule->nr + 1, ANSWER_UNKNOWN, -1);
    }
#if defined(__x86_64__)
    /* Calls of x32 have this bit. -1 is none, but what a tracer makes of one that it skips. */
    begin_segment(to, X32_BIT, (uint32_t)SECCOMP_RET_USER_NOTIF, -1);
    begin_segment(to, 2 * (uint32_t)X32_BIT, ANSWER_UNKNOWN, -1);
#endif
}

/*
 * A program is written from its end: jumps only lead forward, so wherever one goes is there
 * already. A filter is compiled anew for each exec, so it pays to be short: its answers are shared.
 */
struct program {
    struct sock_filter *items;
    size_t at, cap;    /* what is written lies between */
    size_t returns[8]; /* where there is one already */
    size_t n_returns;
};

static size_t put(struct program *p, struct sock_filter insn)
{
    p->items[--p->at] = insn;
    return p->at;
}

static size_t put_return(struct program *p, uint32_t answer)
{
    for (size_t i = 0; i < p->n_returns; i++)
        if (p->items[p->returns[i]].k == answer)
            return p->returns[i];
    size_t at = put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
    if (p->n_returns < array_len(p->returns))
        p->returns[p->n_returns++] = at;
    return at;
}

static size_t put_call(struct program *p, int nr, bool refuses_unix)
{
    struct sock_filter args[PROFILE_ARGS_MAX];
    size_t n = profile_args_emit(args, nr, refuses_unix);
    p->at -= n;
    memcpy(p->items + p->at, args, n * sizeof *args);
    return p->at;
}

/* Where the comparison that is about to be written can go to for `target`: a conditional jump does
 * not reach far. */
static size_t within_reach(struct program *p, size_t target)
{
    enum { BETWEEN = 2 }; /* another one of these, and the comparison */
    if (target - p->at + BETWEEN <= UINT8_MAX)
        return target;
    return put(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(target - p->at)));
}

/* A binary search for the segment that the number is in. Returns where it begins. */
static size_t put_search(struct program *p, const struct segment *segments, size_t n,
                         bool refuses_unix)
{
    if (n == 1)
        return segments->nr >= 0 ? put_call(p, segments->nr, refuses_unix)
                                 : put_return(p, segments->answer);
    size_t half = n / 2;
    size_t above = put_search(p, segments + half, n - half, refuses_unix);
    size_t below = put_search(p, segments, half, refuses_unix);
    above = within_reach(p, above);
    below = within_reach(p, below);
    return put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, segments[half].first,
                                               (uint8_t)(above - p->at), (uint8_t)(below - p->at)));
}

static void put_program(struct program *p, const struct segments *segments, bool refuses_unix)
{
    /* It goes on with the first instruction of the search, which is its last to be written: there
     * are always segments to tell apart. */
    (void)put_search(p, segments->items, segments->n, refuses_unix);
    put(p,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    /* A foreign ABI numbers its calls in another way. */
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROFILE_ARCH, 1, 0));
    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        offsetof(struct seccomp_data, arch)));
}

int profile_compile(const struct seccomp_spec *spec, struct sock_filter **filter,
                    unsigned short *len, struct err *err)
{
    if (check_rules(spec, err) < 0)
        return -1;
    /* Each rule begins a segment and ends it; each segment is a comparison and two long jumps. */
    size_t most = 2 * spec->n_rules + 3;
    struct program program = {.cap = 8 + 3 * most + PROFILE_ARGS_MAX};
    program.at = program.cap;
    cleanup_free struct segment *items = calloc(most, sizeof *items);
    cleanup_free struct sock_filter *insns = program.items =
        calloc(program.cap, sizeof *program.items);
    if (items == NULL || insns == NULL)
        return err_set(err, ENOMEM, "seccomp filter");
    struct segments segments = {.items = items};
    list_segments(spec, &segments);
    put_program(&program, &segments, profile_refuses_unix(spec));
    size_t n = program.cap - program.at;
    if (n > BPF_MAXINSNS)
        return err_set(err, 0, "seccomp profile '%s': its filter of %zu instructions is too long",
                       spec->name, n);
    memmove(insns, insns + program.at, n * sizeof *insns);
    *len = (unsigned short)n;
    *filter = steal_ptr(insns);
    return 0;
}
