#include "facts.h"
#include "cleanup.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

size_t facts_read_line(const char *path, char *buf, size_t len)
{
    cleanup_file FILE *file = fopen(path, "re");
    cleanup_free char *line = NULL;
    size_t room = 0;
    buf[0] = '\0';
    if (file != NULL && getline(&line, &room, file) > 0)
        (void)snprintf(buf, len, "%.*s", (int)strcspn(line, "\n"), line);
    return strlen(buf);
}

static void look_at_release(struct kernel_facts *facts)
{
    struct utsname name;
    if (uname(&name) < 0)
        return;
    (void)snprintf(facts->release, sizeof facts->release, "%s", name.release);
    (void)snprintf(facts->machine, sizeof facts->machine, "%s", name.machine);
    char *end;
    facts->major = (unsigned)strtoul(name.release, &end, 10);
    facts->minor = *end == '.' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
}

/* Asks for the verifier's opinion of a program that does nothing; it is never attached. */
static enum seen look_at_cgroup_bpf(void)
{
    static const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    attr.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
    attr.insns = (uint64_t)(uintptr_t)program;
    attr.insn_cnt = array_len(program);
    attr.license = (uint64_t)(uintptr_t) "GPL";
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0)
        return errno == EPERM || errno == EACCES ? UNSEEN : NO;
    close(fd);
    return YES;
}

static void look_at_namespaces(struct kernel_facts *facts)
{
    static const struct {
        const char *name, *file;
    } needed[] = {
        {"mnt", "mnt"}, {"pid", "pid"}, {"ipc", "ipc"},
        {"uts", "uts"}, {"net", "net"}, {"cgroup", "cgroup"},
    };
    size_t used = 0;
    for (size_t i = 0; i < array_len(needed); i++) {
        char path[64], line[32];
        (void)snprintf(path, sizeof path, "/proc/self/ns/%s", needed[i].file);
        bool is_there = access(path, F_OK) == 0;
        (void)snprintf(path, sizeof path, "/proc/sys/user/max_%s_namespaces", needed[i].name);
        (void)facts_read_line(path, line, sizeof line);
        if (is_there && strcmp(line, "0") != 0)
            continue;
        used += (size_t)snprintf(facts->missing_namespaces + used,
                                 sizeof facts->missing_namespaces - used, "%s%s",
                                 used > 0 ? " " : "", needed[i].name);
    }
}

static bool has_file_system(const char *wanted)
{
    cleanup_file FILE *file = fopen("/proc/filesystems", "re");
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *name = strrchr(line, '\t');
        line[strcspn(line, "\n")] = '\0';
        if (name != NULL && strcmp(name + 1, wanted) == 0)
            return true;
    }
    return false;
}

void facts_look_at_kernel(struct kernel_facts *facts)
{
    *facts = (struct kernel_facts){0};
    look_at_release(facts);
    facts->landlock_abi =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    facts->landlock_errno = facts->landlock_abi < 0 ? errno : 0;
    (void)facts_read_line("/sys/kernel/security/lsm", facts->lsms, sizeof facts->lsms);
    (void)facts_read_line("/proc/sys/kernel/seccomp/actions_avail", facts->seccomp_actions,
                          sizeof facts->seccomp_actions);
    facts->cgroup_bpf = look_at_cgroup_bpf();
    facts->has_tmpfs = has_file_system("tmpfs");
    look_at_namespaces(facts);
}
