#include "bpf_call.h"

#include "cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

enum { LOG_MAX = 1 << 20 };

static uint64_t pointer(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static int call(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

int bpf_map_make(const struct bpf_map_shape *shape, struct err *err)
{
    union bpf_attr attr = {.map_type = shape->type,
                           .key_size = shape->key,
                           .value_size = shape->value,
                           .max_entries = shape->entries};
    strncpy(attr.map_name, shape->name, sizeof attr.map_name - 1);
    int fd = call(BPF_MAP_CREATE, &attr);
    return fd < 0 ? err_set(err, errno, "BPF map %s", shape->name) : fd;
}

int bpf_map_put(int map, const void *key, const void *value)
{
    union bpf_attr attr = {
        .map_fd = (uint32_t)map, .key = pointer(key), .value = pointer(value), .flags = BPF_ANY};
    return call(BPF_MAP_UPDATE_ELEM, &attr);
}

int bpf_map_remove(int map, const void *key)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = pointer(key)};
    return call(BPF_MAP_DELETE_ELEM, &attr);
}

int bpf_map_next(int map, const void *key, void *next)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = pointer(key), .next_key = pointer(next)};
    return call(BPF_MAP_GET_NEXT_KEY, &attr);
}

/* The log ends with some statistics; the line before says what is wrong. */
static void last_words(char *log, char out[128])
{
    char *stats = strstr(log, "\nprocessed ");
    if (stats != NULL)
        *stats = '\0';
    const char *line = strrchr(log, '\n');
    (void)snprintf(out, 128, "%s", line == NULL ? log : line + 1);
}

int bpf_program_load(const struct bpf_program *program, struct err *err)
{
    /* Only helpers that any program may call are called, so this need not be the GPL. */
    static const char license[] = "ISC";
    union bpf_attr attr = {.prog_type = program->type,
                           .expected_attach_type = program->attach,
                           .insns = pointer(program->insns),
                           .insn_cnt = (uint32_t)program->n,
                           .license = pointer(license)};
    strncpy(attr.prog_name, program->name, sizeof attr.prog_name - 1);
    int fd = call(BPF_PROG_LOAD, &attr);
    if (fd >= 0)
        return fd;
    int num = errno;
    char words[128] = "";
    cleanup_free char *log = calloc(1, LOG_MAX);
    if ((num == EINVAL || num == EACCES) && log != NULL) {
        attr.log_level = 1;
        attr.log_size = LOG_MAX;
        attr.log_buf = pointer(log);
        (void)!call(BPF_PROG_LOAD, &attr);
        last_words(log, words);
    }
    return err_set(err, num, "BPF program %s%s%s", program->name, words[0] == '\0' ? "" : ": ",
                   words);
}

int bpf_program_attach(int program, enum bpf_attach_type attach, int cgroup)
{
    union bpf_attr attr = {.target_fd = (uint32_t)cgroup,
                           .attach_bpf_fd = (uint32_t)program,
                           .attach_type = attach,
                           .attach_flags = BPF_F_ALLOW_MULTI};
    return call(BPF_PROG_ATTACH, &attr);
}
