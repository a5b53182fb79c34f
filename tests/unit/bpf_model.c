#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf_model.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { REGISTERS = 11, STACK = 512 };

struct machine {
    struct bpf_model *model;
    const void *ctx;
    size_t ctx_len;
    const struct bpf_insn *insns;
    size_t n, at;
    uint64_t reg[REGISTERS];
    bool set[REGISTERS];
    unsigned char stack[STACK];
    bool written[STACK];
    unsigned char yes;
};

static uint64_t get(const struct machine *m, unsigned reg)
{
    assert_true(reg < REGISTERS && m->set[reg]);
    return m->reg[reg];
}

static void put(struct machine *m, unsigned reg, uint64_t value)
{
    assert_true(reg < BPF_REG_10);
    m->reg[reg] = value;
    m->set[reg] = true;
}

static bool is_in(const void *area, size_t area_len, uint64_t at, size_t len)
{
    uint64_t begin = (uint64_t)(uintptr_t)area;
    return at >= begin && at - begin <= area_len && len <= area_len - (at - begin);
}

/* Memory that may be read; of the stack, only what was written. */
static void *reading(struct machine *m, uint64_t at, size_t len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)at;
    if (is_in(m->stack, sizeof m->stack, at, len)) {
        for (size_t i = 0; i < len; i++)
            assert_true(m->written[p - m->stack + (ptrdiff_t)i]);
        return p;
    }
    assert_true(is_in(m->ctx, m->ctx_len, at, len) ||
                is_in(&m->model->told, sizeof m->model->told, at, len));
    return p;
}

static void *writing(struct machine *m, uint64_t at, size_t len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)at;
    if (is_in(m->stack, sizeof m->stack, at, len))
        memset(&m->written[p - m->stack], true, len);
    else
        assert_true(is_in(&m->model->told, sizeof m->model->told, at, len));
    return p;
}

static size_t size_of(unsigned code)
{
    switch (BPF_SIZE(code)) {
    case BPF_B:
        return 1;
    case BPF_H:
        return 2;
    case BPF_W:
        return 4;
    default:
        return 8;
    }
}

static uint64_t read_as(const void *p, size_t size)
{
    uint64_t value = 0;
    uint32_t word;
    uint16_t half;
    switch (size) {
    case 1:
        return *(const unsigned char *)p;
    case 2:
        memcpy(&half, p, 2);
        return half;
    case 4:
        memcpy(&word, p, 4);
        return word;
    default:
        memcpy(&value, p, 8);
        return value;
    }
}

static void write_as(void *p, size_t size, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    uint16_t half = (uint16_t)value;
    uint32_t word = (uint32_t)value;
    const void *from = size == 1   ? (const void *)&byte
                       : size == 2 ? (const void *)&half
                       : size == 4 ? (const void *)&word
                                   : (const void *)&value;
    memcpy(p, from, size);
}

static uint64_t look_up(struct machine *m, uint64_t map, uint64_t key)
{
    static const unsigned char none[16];
    struct bpf_model *model = m->model;
    if (map == MODEL_TOLD) {
        uint64_t cgroup = read_as(reading(m, key, 8), 8);
        return model->has_told && cgroup == model->cgroup ? (uint64_t)(uintptr_t)&model->told : 0;
    }
    assert_int_equal(map, MODEL_OWN);
    const void *addr = reading(m, key, 16);
    return memcmp(model->own, none, 16) != 0 && memcmp(model->own, addr, 16) == 0
               ? (uint64_t)(uintptr_t)&m->yes
               : 0;
}

static uint64_t update(struct machine *m)
{
    struct bpf_model *model = m->model;
    uint64_t key = get(m, BPF_REG_2), value = read_as(reading(m, get(m, BPF_REG_3), 8), 8);
    assert_int_equal(get(m, BPF_REG_4), BPF_NOEXIST);
    assert_int_equal(value, 0);
    assert_int_equal(read_as(reading(m, key, 8), 8), model->cgroup);
    if (get(m, BPF_REG_1) == MODEL_TOLD) {
        assert_false(model->has_told);
        model->told = value;
        model->has_told = true;
        return 0;
    }
    assert_int_equal(get(m, BPF_REG_1), MODEL_SEEN);
    const void *event = reading(m, key, sizeof model->seen[0]);
    for (size_t i = 0; i < model->n_seen; i++)
        if (memcmp(model->seen[i], event, sizeof model->seen[i]) == 0)
            return (uint64_t)-EEXIST;
    assert_true(model->n_seen < MODEL_SEEN_MAX);
    memcpy(model->seen[model->n_seen++], event, sizeof model->seen[0]);
    return 0;
}

static uint64_t load_bytes(struct machine *m)
{
    uint64_t offset = get(m, BPF_REG_2), len = get(m, BPF_REG_4);
    void *to = writing(m, get(m, BPF_REG_3), len);
    if (offset > m->model->packet_len || len > m->model->packet_len - offset) {
        memset(to, 0, len);
        return (uint64_t)-EFAULT;
    }
    memcpy(to, m->model->packet + offset, len);
    return 0;
}

static uint64_t call(struct machine *m, int helper)
{
    struct bpf_model *model = m->model;
    switch (helper) {
    case BPF_FUNC_map_lookup_elem:
        return look_up(m, get(m, BPF_REG_1), get(m, BPF_REG_2));
    case BPF_FUNC_map_update_elem:
        return update(m);
    case BPF_FUNC_get_current_cgroup_id:
        assert_null(model->packet);
        return model->cgroup;
    case BPF_FUNC_skb_cgroup_id:
        assert_non_null(model->packet);
        assert_true(get(m, BPF_REG_1) == (uint64_t)(uintptr_t)m->ctx);
        return model->cgroup;
    case BPF_FUNC_skb_load_bytes:
        assert_true(get(m, BPF_REG_1) == (uint64_t)(uintptr_t)m->ctx);
        return load_bytes(m);
    case BPF_FUNC_ringbuf_output:
        assert_int_equal(get(m, BPF_REG_1), MODEL_RING);
        assert_int_equal(get(m, BPF_REG_4), 0);
        model->event_len = get(m, BPF_REG_3);
        assert_true(model->event_len <= sizeof model->event);
        memcpy(model->event, reading(m, get(m, BPF_REG_2), model->event_len), model->event_len);
        return 0;
    default:
        fail_msg("helper %d", helper);
        return 0;
    }
}

static void run_alu(struct machine *m, const struct bpf_insn *insn)
{
    bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
    if (insn->code == (BPF_ALU | BPF_END | BPF_TO_BE)) {
        assert_int_equal(insn->imm, 16);
        put(m, insn->dst_reg, ntohs((uint16_t)get(m, insn->dst_reg)));
        return;
    }
    uint64_t from =
        BPF_SRC(insn->code) == BPF_X ? get(m, insn->src_reg) : (uint64_t)(int64_t)insn->imm;
    uint64_t to = BPF_OP(insn->code) == BPF_MOV ? 0 : get(m, insn->dst_reg);
    switch (BPF_OP(insn->code)) {
    case BPF_MOV:
        to = from;
        break;
    case BPF_ADD:
        to += from;
        break;
    case BPF_SUB:
        to -= from;
        break;
    case BPF_AND:
        to &= from;
        break;
    case BPF_XOR:
        to ^= from;
        break;
    case BPF_LSH:
        to <<= from;
        break;
    default:
        fail_msg("instruction %#x", insn->code);
    }
    put(m, insn->dst_reg, wide ? to : (uint32_t)to);
}

static bool holds(const struct machine *m, const struct bpf_insn *insn)
{
    uint64_t a = get(m, insn->dst_reg);
    uint64_t b = (uint64_t)(int64_t)insn->imm;
    if (BPF_CLASS(insn->code) == BPF_JMP32) {
        a = (uint32_t)a;
        b = (uint32_t)b;
    }
    switch (BPF_OP(insn->code)) {
    case BPF_JEQ:
        return a == b;
    case BPF_JNE:
        return a != b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        fail_msg("instruction %#x", insn->code);
        return false;
    }
}

/* Returns false at the end. */
static bool step(struct machine *m)
{
    const struct bpf_insn *insn = &m->insns[m->at++];
    switch (BPF_CLASS(insn->code)) {
    case BPF_ALU:
    case BPF_ALU64:
        run_alu(m, insn);
        return true;
    case BPF_LDX:
        put(m, insn->dst_reg,
            read_as(reading(m, get(m, insn->src_reg) + (uint64_t)insn->off, size_of(insn->code)),
                    size_of(insn->code)));
        return true;
    case BPF_ST:
        write_as(writing(m, get(m, insn->dst_reg) + (uint64_t)insn->off, size_of(insn->code)),
                 size_of(insn->code), (uint64_t)(int64_t)insn->imm);
        return true;
    case BPF_STX:
        write_as(writing(m, get(m, insn->dst_reg) + (uint64_t)insn->off, size_of(insn->code)),
                 size_of(insn->code), get(m, insn->src_reg));
        return true;
    case BPF_LD: /* of a map: two instructions in one */
        assert_int_equal(insn->code, BPF_LD | BPF_DW | BPF_IMM);
        assert_int_equal(insn->src_reg, BPF_PSEUDO_MAP_FD);
        put(m, insn->dst_reg, (uint64_t)insn->imm);
        m->at++;
        return true;
    default:
        break;
    }
    if (insn->code == (BPF_JMP | BPF_EXIT))
        return false;
    if (insn->code == (BPF_JMP | BPF_CALL)) {
        uint64_t result = call(m, insn->imm);
        for (int i = BPF_REG_1; i <= BPF_REG_5; i++)
            m->set[i] = false;
        put(m, BPF_REG_0, result);
    } else if (insn->code == (BPF_JMP | BPF_JA) || holds(m, insn)) {
        assert_true(insn->off >= 0);
        m->at += (size_t)insn->off;
    }
    return true;
}

uint64_t bpf_model_run(struct bpf_model *model, const void *ctx, size_t ctx_len,
                       const struct bpf_insn *insns, size_t n)
{
    struct machine m = {
        .model = model, .ctx = ctx, .ctx_len = ctx_len, .insns = insns, .n = n, .yes = 1};
    put(&m, BPF_REG_1, (uint64_t)(uintptr_t)ctx);
    m.reg[BPF_REG_10] = (uint64_t)(uintptr_t)(m.stack + STACK);
    m.set[BPF_REG_10] = true;
    model->event_len = 0;
    model->steps = 0;
    do {
        assert_true(m.at < n);
        model->steps++;
    } while (step(&m));
    return get(&m, BPF_REG_0);
}
