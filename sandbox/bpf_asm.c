#include "bpf_asm.h"

#include <string.h>

void bpf_asm_init(struct bpf_asm *a)
{
    a->n = a->n_labels = 0;
    a->full = false;
}

unsigned bpf_asm_label(struct bpf_asm *a)
{
    if (a->n_labels == BPF_ASM_LABELS_MAX) {
        a->full = true;
        return 0;
    }
    a->label[a->n_labels] = BPF_ASM_INSNS_MAX;
    return (unsigned)a->n_labels++;
}

void bpf_asm_here(struct bpf_asm *a, unsigned label)
{
    a->label[label] = (uint16_t)a->n;
}

static void emit_to(struct bpf_asm *a, struct bpf_insn insn, unsigned target)
{
    if (a->n == BPF_ASM_INSNS_MAX) {
        a->full = true;
        return;
    }
    a->target[a->n] = (uint16_t)target;
    a->insns[a->n++] = insn;
}

void bpf_asm_emit(struct bpf_asm *a, struct bpf_insn insn)
{
    emit_to(a, insn, 0);
}

void bpf_asm_jump(struct bpf_asm *a, unsigned label)
{
    emit_to(a, (struct bpf_insn){.code = BPF_JMP | BPF_JA}, label + 1);
}

void bpf_asm_jump_if(struct bpf_asm *a, int relation, int reg, uint32_t value, unsigned label)
{
    const struct bpf_insn insn = {.code = (uint8_t)(BPF_JMP32 | relation | BPF_K),
                                  .dst_reg = (uint8_t)reg & 0xf,
                                  .imm = (int32_t)value};
    emit_to(a, insn, label + 1);
}

void bpf_asm_jump_if_whole(struct bpf_asm *a, int relation, int reg, int32_t value, unsigned label)
{
    const struct bpf_insn insn = {
        .code = (uint8_t)(BPF_JMP | relation | BPF_K), .dst_reg = (uint8_t)reg & 0xf, .imm = value};
    emit_to(a, insn, label + 1);
}

void bpf_asm_load(struct bpf_asm *a, int size, int reg, int base, int offset)
{
    bpf_asm_emit(a, (struct bpf_insn){.code = (uint8_t)(BPF_LDX | size | BPF_MEM),
                                      .dst_reg = (uint8_t)reg & 0xf,
                                      .src_reg = (uint8_t)base & 0xf,
                                      .off = (int16_t)offset});
}

void bpf_asm_store(struct bpf_asm *a, int size, int base, int offset, int reg)
{
    bpf_asm_emit(a, (struct bpf_insn){.code = (uint8_t)(BPF_STX | size | BPF_MEM),
                                      .dst_reg = (uint8_t)base & 0xf,
                                      .src_reg = (uint8_t)reg & 0xf,
                                      .off = (int16_t)offset});
}

void bpf_asm_store_value(struct bpf_asm *a, int size, int base, int offset, int32_t value)
{
    bpf_asm_emit(a, (struct bpf_insn){.code = (uint8_t)(BPF_ST | size | BPF_MEM),
                                      .dst_reg = (uint8_t)base & 0xf,
                                      .off = (int16_t)offset,
                                      .imm = value});
}

void bpf_asm_move(struct bpf_asm *a, int to, int from)
{
    bpf_asm_emit(a, (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X,
                                      .dst_reg = (uint8_t)to & 0xf,
                                      .src_reg = (uint8_t)from & 0xf});
}

static void emit_value(struct bpf_asm *a, int code, int reg, int32_t value)
{
    bpf_asm_emit(
        a, (struct bpf_insn){.code = (uint8_t)code, .dst_reg = (uint8_t)reg & 0xf, .imm = value});
}

void bpf_asm_set(struct bpf_asm *a, int reg, int32_t value)
{
    emit_value(a, BPF_ALU64 | BPF_MOV | BPF_K, reg, value);
}

void bpf_asm_add(struct bpf_asm *a, int reg, int32_t value)
{
    emit_value(a, BPF_ALU64 | BPF_ADD | BPF_K, reg, value);
}

void bpf_asm_and(struct bpf_asm *a, int reg, uint32_t value)
{
    emit_value(a, BPF_ALU | BPF_AND | BPF_K, reg, (int32_t)value);
}

void bpf_asm_xor(struct bpf_asm *a, int reg, uint32_t value)
{
    emit_value(a, BPF_ALU | BPF_XOR | BPF_K, reg, (int32_t)value);
}

void bpf_asm_subtract(struct bpf_asm *a, int reg, uint32_t value)
{
    emit_value(a, BPF_ALU | BPF_SUB | BPF_K, reg, (int32_t)value);
}

void bpf_asm_shift_left(struct bpf_asm *a, int reg, int bits)
{
    emit_value(a, BPF_ALU | BPF_LSH | BPF_K, reg, bits);
}

void bpf_asm_from_network(struct bpf_asm *a, int reg)
{
    emit_value(a, BPF_ALU | BPF_END | BPF_TO_BE, reg, 16);
}

void bpf_asm_load_map(struct bpf_asm *a, int reg, int map_fd)
{
    bpf_asm_emit(a, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
                                      .dst_reg = (uint8_t)reg & 0xf,
                                      .src_reg = BPF_PSEUDO_MAP_FD,
                                      .imm = map_fd});
    bpf_asm_emit(a, (struct bpf_insn){0}); /* the second half of one instruction */
}

void bpf_asm_call(struct bpf_asm *a, int helper)
{
    emit_value(a, BPF_JMP | BPF_CALL, 0, helper);
}

void bpf_asm_return(struct bpf_asm *a, int32_t value)
{
    bpf_asm_set(a, BPF_REG_0, value);
    bpf_asm_emit(a, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

static bool ends_here(const struct bpf_insn *insn)
{
    return insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA);
}

/* Jumps go forward, so one pass finds all that is reached. Returns false if one goes nowhere. */
static bool mark_reached(struct bpf_asm *a)
{
    bool *reached = a->reached;
    memset(reached, 0, sizeof a->reached);
    reached[0] = true;
    for (size_t i = 0; i < a->n; i++) {
        if (!reached[i])
            continue;
        if (a->target[i] != 0) {
            size_t to = a->label[a->target[i] - 1];
            if (to <= i || to >= a->n)
                return false;
            reached[to] = true;
        }
        if (ends_here(&a->insns[i]))
            continue;
        if (i + 1 == a->n)
            return false;
        reached[i + 1] = true;
    }
    return true;
}

int bpf_asm_finish(struct bpf_asm *a, struct err *err)
{
    if (a->full || a->n == 0)
        return err_set(err, 0, "the program is too long");
    if (!mark_reached(a))
        return err_set(err, 0, "the program has a loose end");
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        a->place[i] = (uint16_t)kept;
        kept += a->reached[i];
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!a->reached[i])
            continue;
        struct bpf_insn insn = a->insns[i];
        if (a->target[i] != 0)
            insn.off = (int16_t)(a->place[a->label[a->target[i] - 1]] - a->place[i] - 1);
        a->insns[a->place[i]] = insn;
    }
    a->n = kept;
    return 0;
}
