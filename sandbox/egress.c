#include "egress.h"

#include "bpf_call.h"
#include "cleanup.h"
#include "egress_program.h"

#include <errno.h>
#include <sys/stat.h>

struct egress {
    int programs[EGRESS_HOOK_COUNT];
    struct egress_maps *maps; /* borrowed, or NULL */
};

static const struct {
    enum bpf_prog_type type;
    enum bpf_attach_type attach;
    const char *name;
} hooks[] = {
#define X(hook, type, attach, name) [hook] = {type, attach, name},
    EGRESS_HOOKS(X)
#undef X
};

static int load_hook(enum egress_hook hook, const struct egress_rule *rules, size_t n,
                     const struct egress_maps *maps, struct bpf_asm *a, struct err *err)
{
    if (egress_assemble(a, hook, rules, n, maps, err) < 0)
        return err_wrap(err, "BPF program %s", hooks[hook].name);
    const struct bpf_program program = {.type = hooks[hook].type,
                                        .attach = hooks[hook].attach,
                                        .name = hooks[hook].name,
                                        .insns = a->insns,
                                        .n = a->n};
    return bpf_program_load(&program, err);
}

int egress_load(const struct sandbox_spec *spec, struct egress_maps *maps, struct egress **out,
                struct err *err)
{
    cleanup_free struct bpf_asm *a = malloc(sizeof *a);
    struct egress *egress = malloc(sizeof *egress);
    *out = NULL;
    if (a == NULL || egress == NULL) {
        free(egress);
        return err_set(err, ENOMEM, "BPF programs");
    }
    egress->maps = maps;
    for (size_t i = 0; i < array_len(hooks); i++)
        egress->programs[i] = -1;
    for (size_t i = 0; i < array_len(hooks); i++) {
        egress->programs[i] =
            load_hook((enum egress_hook)i, spec->connects, spec->n_connects, maps, a, err);
        if (egress->programs[i] < 0) {
            egress_free(egress);
            return err_wrap(err, "network = egress needs programs for cgroups (CONFIG_BPF_SYSCALL, "
                                 "CONFIG_CGROUP_BPF) and the right to load them");
        }
    }
    *out = egress;
    return 0;
}

void egress_free(struct egress *egress)
{
    for (size_t i = 0; egress != NULL && i < array_len(egress->programs); i++)
        close_fd(&egress->programs[i]);
    free(egress);
}

int egress_attach(const struct egress *egress, int cgroup, struct err *err)
{
    if (egress->maps != NULL)
        egress_maps_refresh(egress->maps);
    for (size_t i = 0; i < array_len(hooks); i++)
        if (bpf_program_attach(egress->programs[i], hooks[i].attach, cgroup) < 0)
            return err_set(err, errno, "BPF program %s: attach", hooks[i].name);
    return 0;
}

int egress_probe(struct err *err)
{
    const struct sandbox_spec none = {.name = NULL};
    struct egress_maps maps = EGRESS_NO_MAPS;
    struct egress *egress = NULL;
    int rc = egress_maps_make(&maps, err);
    if (rc == 0)
        rc = egress_load(&none, &maps, &egress, err);
    egress_free(egress);
    egress_maps_close(&maps);
    return rc;
}

uint64_t egress_cgroup_id(int cgroup)
{
    /* kernfs numbers inodes by the id where an ino_t has room for it. */
    _Static_assert(sizeof(ino_t) == sizeof(uint64_t), "an inode number is a cgroup's id");
    struct stat st;
    return fstat(cgroup, &st) < 0 ? 0 : st.st_ino;
}
