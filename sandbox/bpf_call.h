/*
 * bpf_call.h - the parts of bpf(2) that egress sandboxes need. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_BPF_CALL_H
#define POSTERN_SANDBOX_BPF_CALL_H

#include "err.h"

#include <linux/bpf.h>
#include <stddef.h>

struct bpf_map_shape {
    enum bpf_map_type type;
    const char *name; /* at most 15 characters, for bpftool(8) */
    unsigned key, value, entries;
};

/* Returns a CLOEXEC fd, or -1 with err. */
int bpf_map_make(const struct bpf_map_shape *shape, struct err *err);

int bpf_map_put(int map, const void *key, const void *value);
int bpf_map_remove(int map, const void *key);
/* The key after this one, or the first (NULL). Returns 0, or -1 at the end. */
int bpf_map_next(int map, const void *key, void *next);

struct bpf_program {
    enum bpf_prog_type type;
    enum bpf_attach_type attach;
    const char *name; /* at most 15 characters */
    const struct bpf_insn *insns;
    size_t n;
};

/* Returns a CLOEXEC fd, or -1 with err, which has the last words of the verifier. */
int bpf_program_load(const struct bpf_program *program, struct err *err);

/* Beside what is attached to this cgroup and those above. Returns 0, or -1 with errno. */
int bpf_program_attach(int program, enum bpf_attach_type attach, int cgroup);

#endif
