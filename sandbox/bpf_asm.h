/*
 * bpf_asm.h - an assembler for eBPF, as much of it as egress_program.c needs (in the kernel's
 * sources Documentation/bpf/standardization/instruction-set.rst). Private to sandbox/.
 *
 * Instructions are appended; jumps go forward to labels. What doesn't fit is remembered, and
 * bpf_asm_finish() says so: nothing in between has to be checked.
 */
#ifndef POSTERN_SANDBOX_BPF_ASM_H
#define POSTERN_SANDBOX_BPF_ASM_H

#include "err.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that EGRESS_RULES_MAX rules can take, with room to spare. */
enum { BPF_ASM_INSNS_MAX = 8192, BPF_ASM_LABELS_MAX = 1024 };

struct bpf_asm {
    struct bpf_insn insns[BPF_ASM_INSNS_MAX];
    uint16_t target[BPF_ASM_INSNS_MAX]; /* of a jump: label + 1; 0: it is none */
    uint16_t label[BPF_ASM_LABELS_MAX]; /* where it is; BPF_ASM_INSNS_MAX: nowhere yet */
    size_t n, n_labels;
    bool full;
    bool reached[BPF_ASM_INSNS_MAX]; /* bpf_asm_finish()'s own */
    uint16_t place[BPF_ASM_INSNS_MAX];
};

void bpf_asm_init(struct bpf_asm *a);

/* A place to jump to, which is where bpf_asm_here() is called for it. */
unsigned bpf_asm_label(struct bpf_asm *a);
void bpf_asm_here(struct bpf_asm *a, unsigned label);

void bpf_asm_emit(struct bpf_asm *a, struct bpf_insn insn);
void bpf_asm_jump(struct bpf_asm *a, unsigned label);
/* If the lower half of `reg` stands in this relation (BPF_JEQ, BPF_JNE, BPF_JGT, …) to `value`. */
void bpf_asm_jump_if(struct bpf_asm *a, int relation, int reg, uint32_t value, unsigned label);
/* The same for all of it, as with pointers. */
void bpf_asm_jump_if_whole(struct bpf_asm *a, int relation, int reg, int32_t value, unsigned label);

/* size: BPF_B, BPF_H, BPF_W or BPF_DW; memory at base + offset. */
void bpf_asm_load(struct bpf_asm *a, int size, int reg, int base, int offset);
void bpf_asm_store(struct bpf_asm *a, int size, int base, int offset, int reg);
void bpf_asm_store_value(struct bpf_asm *a, int size, int base, int offset, int32_t value);

void bpf_asm_move(struct bpf_asm *a, int to, int from); /* all of it */
void bpf_asm_set(struct bpf_asm *a, int reg, int32_t value);
void bpf_asm_add(struct bpf_asm *a, int reg, int32_t value);
/* The lower half; the upper one is 0 after it. */
void bpf_asm_and(struct bpf_asm *a, int reg, uint32_t value);
void bpf_asm_xor(struct bpf_asm *a, int reg, uint32_t value);
void bpf_asm_subtract(struct bpf_asm *a, int reg, uint32_t value);
void bpf_asm_shift_left(struct bpf_asm *a, int reg, int bits);
/* 16 bits of the network's byte order into the host's. */
void bpf_asm_from_network(struct bpf_asm *a, int reg);
void bpf_asm_load_map(struct bpf_asm *a, int reg, int map_fd);
void bpf_asm_call(struct bpf_asm *a, int helper);
void bpf_asm_return(struct bpf_asm *a, int32_t value);

/*
 * Resolves the jumps and leaves out what is never reached, which the kernel's verifier would refuse
 * the whole program for. The result is a->insns[0 .. a->n). Returns 0, or -1 with err if it does
 * not fit or a label is nowhere.
 */
int bpf_asm_finish(struct bpf_asm *a, struct err *err);

#endif
