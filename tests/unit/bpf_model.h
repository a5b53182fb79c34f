/*
 * bpf_model.h - runs eBPF programs without a kernel: the instructions and helpers that egress
 * programs have, and a failed assertion on any other, on a jump out of the program, on a register
 * that was never set and on memory outside of the stack, the context and map values.
 */
#ifndef POSTERN_TESTS_BPF_MODEL_H
#define POSTERN_TESTS_BPF_MODEL_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_EVENT_MAX = 128,
    MODEL_RING = 3,
    MODEL_TOLD = 4,
    MODEL_OWN = 5,
    MODEL_SEEN = 6,
    MODEL_SEEN_MAX = 128
};

/* What a program runs in. */
struct bpf_model {
    const unsigned char *packet; /* of skb_load_bytes() */
    size_t packet_len;
    uint64_t cgroup; /* both helpers give it */
    uint64_t told;   /* the value of `cgroup` in MODEL_TOLD, if there is one: */
    bool has_told;
    unsigned char seen[MODEL_SEEN_MAX][40]; /* keys of MODEL_SEEN */
    size_t n_seen;
    unsigned char own[16]; /* the only key of MODEL_OWN, unless it is all zeroes */

    unsigned char event[MODEL_EVENT_MAX]; /* the last that was put into the ring */
    size_t event_len;                     /* 0: none was */
    size_t steps;
};

/* Returns what the program returns. */
uint64_t bpf_model_run(struct bpf_model *model, const void *ctx, size_t ctx_len,
                       const struct bpf_insn *insns, size_t n);

#endif
