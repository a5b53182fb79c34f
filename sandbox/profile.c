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

/* A binary search for the segment that the number is in. Returns the instructions it takes. */
static size_t emit_search(struct sock_filter *out, const struct segment *segments, size_t n,
                          bool refuses_unix)
{
    if (n == 1 && segments->nr >= 0)
        return profile_args_emit(out, segments->nr, refuses_unix);
    if (n == 1) {
        out[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, segments->answer);
        return 1;
    }
    size_t half = n / 2;
    uint32_t middle = segments[half].first;
    size_t below = emit_search(out + 1, segments, half, refuses_unix);
    if (below <= UINT8_MAX) {
        out[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, (uint8_t)below, 0);
        return 1 + below + emit_search(out + 1 + below, segments + half, n - half, refuses_unix);
    }
    /* Further than a conditional jump reaches. */
    memmove(out + 2, out + 1, below * sizeof *out);
    out[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, 0, 1);
    out[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)below);
    return 2 + below + emit_search(out + 2 + below, segments + half, n - half, refuses_unix);
}

static size_t emit_program(struct sock_filter *out, const struct segments *segments,
                           bool refuses_unix)
{
    size_t n = 0;
    out[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROFILE_ARCH, 1, 0);
    /* A foreign ABI numbers its calls in another way. */
    out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    out[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    return n + emit_search(out + n, segments->items, segments->n, refuses_unix);
}

int profile_compile(const struct seccomp_spec *spec, struct sock_filter **filter,
                    unsigned short *len, struct err *err)
{
    if (check_rules(spec, err) < 0)
        return -1;
    /* Each rule begins a segment and ends it; each segment is a comparison and its answer. */
    size_t most = 2 * spec->n_rules + 3;
    cleanup_free struct segment *items = calloc(most, sizeof *items);
    cleanup_free struct sock_filter *program =
        calloc(4 + 3 * most + PROFILE_ARGS_MAX, sizeof *program);
    if (items == NULL || program == NULL)
        return err_set(err, ENOMEM, "seccomp filter");
    struct segments segments = {.items = items};
    list_segments(spec, &segments);
    size_t n = emit_program(program, &segments, profile_refuses_unix(spec));
    if (n > BPF_MAXINSNS)
        return err_set(err, 0, "seccomp profile '%s': its filter of %zu instructions is too long",
                       spec->name, n);
    *len = (unsigned short)n;
    *filter = steal_ptr(program);
    return 0;
}
