#include "egress_emit.h"

#include "egress_program.h"
#include "egress_rules.h"

#include <arpa/inet.h>
#include <string.h>

/* An address as a program sees it: four words of memory. */
struct words {
    uint32_t w[4];
};

static struct words words_of(const unsigned char bytes[16])
{
    struct words out;
    memcpy(out.w, bytes, sizeof out.w);
    return out;
}

static struct words mask_of(unsigned prefix)
{
    unsigned char bytes[16] = {0};
    for (unsigned i = 0; i < prefix; i++)
        bytes[i / 8] = (unsigned char)(bytes[i / 8] | 0x80U >> i % 8);
    return words_of(bytes);
}

/*
 * The register itself is not compared but a copy that was counted with: the kernel's verifier would
 * learn something about it from each rule, and take the paths that lead to the next one for as many
 * different ones. 256 rules then took it seconds.
 */
static void emit_unless_same(struct bpf_asm *a, int reg, uint32_t mask, uint32_t want,
                             unsigned other)
{
    bpf_asm_move(a, R_WORK, reg);
    if (mask != UINT32_MAX)
        bpf_asm_and(a, R_WORK, mask);
    bpf_asm_xor(a, R_WORK, want);
    bpf_asm_jump_if(a, BPF_JNE, R_WORK, 0, other);
}

/* On to `other` unless the address, of which the words from `first` on are in registers, is in the
 * network. */
static void emit_within(struct bpf_asm *a, const unsigned char net[16], unsigned prefix, int first,
                        unsigned other)
{
    const struct words want = words_of(net), mask = mask_of(prefix);
    for (int i = first; i < 4; i++)
        if (mask.w[i] != 0)
            emit_unless_same(a, (int)R_ADDR + i - first, mask.w[i], want.w[i], other);
}

static void emit_rule(const struct gen *gen, const struct egress_rule *rule, int first)
{
    struct bpf_asm *a = gen->a;
    unsigned next = bpf_asm_label(a);
    if (rule->protocols != EGRESS_ANY)
        bpf_asm_jump_if(a, BPF_JNE, R_PROTO, rule->protocols, next);
    if (rule->first == rule->last) {
        emit_unless_same(a, R_PORT, UINT32_MAX, rule->first, next);
    } else if (rule->first > 0 || rule->last < UINT16_MAX) {
        bpf_asm_move(a, R_WORK, R_PORT);
        bpf_asm_and(a, R_WORK, UINT16_MAX); /* a difference alone would tell about R_PORT */
        bpf_asm_subtract(a, R_WORK, rule->first);
        bpf_asm_jump_if(a, BPF_JGT, R_WORK, (uint32_t)(rule->last - rule->first), next);
    }
    emit_within(a, rule->net, rule->prefix, first, next);
    bpf_asm_jump(a, gen->allow);
    bpf_asm_here(a, next);
}

/* Which addresses a rule is about. */
enum reach { REACHES_RANGE, REACHES_ONE, REACHES_MANY };

static enum reach reach_of(const struct egress_rule *rule)
{
    if (egress_range_of(rule->net, rule->prefix) != NULL)
        return REACHES_RANGE;
    return rule->prefix == 128 ? REACHES_ONE : REACHES_MANY;
}

static void emit_rules(const struct gen *gen, enum reach reach, bool ipv4)
{
    for (size_t i = 0; i < gen->n; i++)
        if (reach_of(&gen->rules[i]) == reach &&
            egress_is_ipv4(gen->rules[i].net, gen->rules[i].prefix) == ipv4)
            emit_rule(gen, &gen->rules[i], ipv4 ? 3 : 0);
}

/* As egress_match(), for an address of this family: its last word, or all four, in R_ADDR and on.
 */
static void emit_family(const struct gen *gen, bool ipv4)
{
    struct bpf_asm *a = gen->a;
    unsigned in_range = bpf_asm_label(a);
    for (size_t i = 0; i < egress_n_ranges; i++) {
        const struct egress_range *range = &egress_ranges[i];
        unsigned other = bpf_asm_label(a);
        if (egress_is_ipv4(range->net, range->prefix) != ipv4)
            continue;
        emit_within(a, range->net, range->prefix, ipv4 ? 3 : 0, other);
        bpf_asm_jump(a, in_range);
        bpf_asm_here(a, other);
    }
    emit_rules(gen, REACHES_ONE, ipv4);
    bpf_asm_jump_if(a, BPF_JEQ, R_OWN, 1, gen->deny);
    emit_rules(gen, REACHES_MANY, ipv4);
    bpf_asm_jump(a, gen->deny);
    bpf_asm_here(a, in_range);
    emit_rules(gen, REACHES_RANGE, ipv4);
    bpf_asm_jump(a, gen->deny);
}

void egress_emit_match_ipv4(const struct gen *gen)
{
    emit_family(gen, true);
}

void egress_emit_match_ipv6(const struct gen *gen)
{
    struct bpf_asm *a = gen->a;
    unsigned ipv6 = bpf_asm_label(a);
    bpf_asm_jump_if(a, BPF_JNE, R_ADDR, 0, ipv6);
    bpf_asm_jump_if(a, BPF_JNE, R_ADDR + 1, 0, ipv6);
    bpf_asm_jump_if(a, BPF_JNE, R_ADDR + 2, htonl(0xffff), ipv6);
    bpf_asm_move(a, R_ADDR, R_ADDR + 3);
    emit_family(gen, true);
    bpf_asm_here(a, ipv6);
    emit_family(gen, false);
}

/* Nothing of the event may be unset where it is told. */
void egress_emit_event(const struct gen *gen, enum egress_kind kind)
{
    struct bpf_asm *a = gen->a;
    bpf_asm_store_value(a, BPF_W, R_FP, EVENT_AT(kind), (int32_t)kind);
    bpf_asm_store_value(a, BPF_W, R_FP, EVENT_AT(protocol), 0);
    bpf_asm_store_value(a, BPF_W, R_FP, EVENT_AT(port), 0);
    bpf_asm_store_value(a, BPF_W, R_FP, EVENT_AT(detail), 0);
    for (int i = 0; i < 4; i++)
        bpf_asm_store_value(a, BPF_W, R_FP, EVENT_WORD(i), 0);
}

void egress_emit_event_ipv4(const struct gen *gen)
{
    bpf_asm_store_value(gen->a, BPF_W, R_FP, EVENT_WORD(2), (int32_t)htonl(0xffff));
    bpf_asm_store(gen->a, BPF_W, R_FP, EVENT_WORD(3), R_ADDR);
}

void egress_emit_map_call(struct bpf_asm *a, int map, int key, int helper)
{
    bpf_asm_load_map(a, BPF_REG_1, map);
    bpf_asm_move(a, BPF_REG_2, R_FP);
    bpf_asm_add(a, BPF_REG_2, key);
    bpf_asm_call(a, helper);
}

/* The stack's COUNT, which is 0, as the value of a map's new element. */
static void emit_put(const struct gen *gen, int map)
{
    struct bpf_asm *a = gen->a;
    bpf_asm_store_value(a, BPF_DW, R_FP, COUNT, 0);
    bpf_asm_move(a, BPF_REG_3, R_FP);
    bpf_asm_add(a, BPF_REG_3, COUNT);
    bpf_asm_set(a, BPF_REG_4, BPF_NOEXIST);
    egress_emit_map_call(a, map, EVENT, BPF_FUNC_map_update_elem);
}

/* Tells what is in the event, unless it has been told or its cgroup has told enough. */
static void emit_tell(const struct gen *gen, bool has_packet)
{
    enum { R_COUNT = R_PORT };
    struct bpf_asm *a = gen->a;
    unsigned known = bpf_asm_label(a), enough = bpf_asm_label(a);
    if (gen->maps == NULL)
        return;
    bpf_asm_move(a, BPF_REG_1, R_CTX);
    bpf_asm_call(a, has_packet ? BPF_FUNC_skb_cgroup_id : BPF_FUNC_get_current_cgroup_id);
    bpf_asm_store(a, BPF_DW, R_FP, EVENT_AT(cgroup), BPF_REG_0);
    _Static_assert(EVENT_AT(cgroup) == EVENT, "an event begins with the key of its cgroup");
    egress_emit_map_call(a, gen->maps->told, EVENT, BPF_FUNC_map_lookup_elem);
    bpf_asm_jump_if_whole(a, BPF_JNE, BPF_REG_0, 0, known);
    emit_put(gen, gen->maps->told);
    egress_emit_map_call(a, gen->maps->told, EVENT, BPF_FUNC_map_lookup_elem);
    bpf_asm_jump_if_whole(a, BPF_JEQ, BPF_REG_0, 0, enough);
    bpf_asm_here(a, known);
    bpf_asm_move(a, R_COUNT, BPF_REG_0);
    bpf_asm_load(a, BPF_DW, BPF_REG_1, R_COUNT, 0);
    bpf_asm_jump_if_whole(a, BPF_JGE, BPF_REG_1, EGRESS_EVENTS_MAX, enough);
    emit_put(gen, gen->maps->seen);
    bpf_asm_jump_if_whole(a, BPF_JNE, BPF_REG_0, 0, enough);
    /* Two at once may count as one: it is a bound, not a tally. */
    bpf_asm_load(a, BPF_DW, BPF_REG_1, R_COUNT, 0);
    bpf_asm_add(a, BPF_REG_1, 1);
    bpf_asm_store(a, BPF_DW, R_COUNT, 0, BPF_REG_1);
    bpf_asm_load_map(a, BPF_REG_1, gen->maps->ring);
    bpf_asm_move(a, BPF_REG_2, R_FP);
    bpf_asm_add(a, BPF_REG_2, EVENT);
    bpf_asm_set(a, BPF_REG_3, (int32_t)sizeof(struct egress_event));
    bpf_asm_set(a, BPF_REG_4, 0);
    bpf_asm_call(a, BPF_FUNC_ringbuf_output);
    bpf_asm_here(a, enough);
}

void egress_emit_ends(const struct gen *gen, bool tells, bool has_packet)
{
    bpf_asm_here(gen->a, gen->deny);
    if (tells)
        emit_tell(gen, has_packet);
    bpf_asm_return(gen->a, 0);
    bpf_asm_here(gen->a, gen->allow);
    bpf_asm_return(gen->a, 1);
}
