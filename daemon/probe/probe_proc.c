/* /proc: what it tells and what it lets one change. */
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool cannot_write(const struct property *p, char *why)
{
    return !probe_opens(p->path, O_WRONLY) || probe_open(why, "%s can be written", p->path);
}

/* Absent, closed, or empty. */
static bool tells_nothing(const struct property *p, char *why)
{
    int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return true;
    char byte;
    ssize_t n = read(fd, &byte, 1);
    close(fd);
    return n <= 0 || probe_open(why, "%s can be read", p->path);
}

static bool lists_nothing(const struct property *p, char *why)
{
    DIR *dir = opendir(p->path);
    size_t n = 0;
    if (dir == NULL)
        return true;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n <= 2 || probe_open(why, "%s has %zu entries", p->path, n - 2);
}

static bool cannot_open(const struct property *p, char *why)
{
    return !probe_opens(p->path, O_RDONLY) || probe_open(why, "%s can be opened", p->path);
}

static bool shows_own_processes(const struct property *p, char *why)
{
    (void)p;
    DIR *dir = opendir("/proc");
    bool fine = dir != NULL || probe_open(why, "no /proc");
    for (const struct dirent *entry; fine && (entry = readdir(dir)) != NULL;) {
        if (isdigit((unsigned char)entry->d_name[0]) && strtol(entry->d_name, NULL, 10) != getpid())
            fine = probe_open(why, "process %s", entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    return fine;
}

static const struct property properties[] = {
    PROPERTY("proc-own", "only its own processes are listed", shows_own_processes),
    PROPERTY("proc-self-fixed", "/proc/self can't be written", cannot_write,
             .path = "/proc/self/comm"),
    PROPERTY("core-pattern", "the host's core pattern can't be set", cannot_write,
             .path = "/proc/sys/kernel/core_pattern"),
    PROPERTY("modprobe-path", "the host's module loader can't be set", cannot_write,
             .path = "/proc/sys/kernel/modprobe"),
    PROPERTY("sysctl-vm", "memory settings can't be set", cannot_write,
             .path = "/proc/sys/vm/overcommit_memory"),
    PROPERTY("sysctl-net", "network settings can't be set", cannot_write,
             .path = "/proc/sys/net/ipv4/ip_forward"),
    PROPERTY("sysrq", "the SysRq key can't be pressed", cannot_write,
             .path = "/proc/sysrq-trigger"),
    PROPERTY("binfmt", "binary formats can't be registered", cannot_write,
             .path = "/proc/sys/fs/binfmt_misc/register"),
    PROPERTY("uid-map", "no user mapping can be written", cannot_write,
             .path = "/proc/self/uid_map"),
    PROPERTY("kcore", "no kernel memory", tells_nothing, .path = "/proc/kcore"),
    PROPERTY("kmsg", "no kernel log", tells_nothing, .path = "/proc/kmsg"),
    PROPERTY("kallsyms", "no kernel symbols", tells_nothing, .path = "/proc/kallsyms"),
    PROPERTY("keys", "no keys of others", tells_nothing, .path = "/proc/keys"),
    PROPERTY("key-users", "no users of keys", tells_nothing, .path = "/proc/key-users"),
    PROPERTY("timer-list", "no kernel timers", tells_nothing, .path = "/proc/timer_list"),
    PROPERTY("sched-debug", "no list of the host's tasks", tells_nothing,
             .path = "/proc/sched_debug"),
    PROPERTY("latency-stats", "no latency records", tells_nothing, .path = "/proc/latency_stats"),
    PROPERTY("interrupts", "no interrupt counters", tells_nothing, .path = "/proc/interrupts"),
    PROPERTY("slabinfo", "no allocator state", tells_nothing, .path = "/proc/slabinfo"),
    PROPERTY("page-flags", "no page state", tells_nothing, .path = "/proc/kpageflags"),
    PROPERTY("proc-acpi", "no ACPI devices", lists_nothing, .path = "/proc/acpi"),
    PROPERTY("proc-bus", "no buses", lists_nothing, .path = "/proc/bus"),
    PROPERTY("proc-driver", "no drivers", lists_nothing, .path = "/proc/driver"),
    PROPERTY("proc-fs", "no file systems of the host", lists_nothing, .path = "/proc/fs"),
    PROPERTY("proc-irq", "no interrupt routing", lists_nothing, .path = "/proc/irq"),
    PROPERTY("proc-scsi", "no disks", lists_nothing, .path = "/proc/scsi"),
    PROPERTY("pid1-hidden", "the supervisor isn't seen", cannot_open, .path = "/proc/1"),
    PROPERTY("pid1-memory", "the supervisor's memory can't be opened", cannot_open,
             .path = "/proc/1/mem"),
    PROPERTY("pid1-environ", "nor its environment", cannot_open, .path = "/proc/1/environ"),
    PROPERTY("pid1-cmdline", "nor its command line", cannot_open, .path = "/proc/1/cmdline"),
    PROPERTY("pid1-fds", "nor its descriptors, the status socket among them", cannot_open,
             .path = "/proc/1/fd/3"),
    PROPERTY("pid1-program", "nor its program", cannot_open, .path = "/proc/1/exe"),
    PROPERTY("pid1-namespaces", "nor its namespaces", cannot_open, .path = "/proc/1/ns/mnt"),
};

struct property_list probe_proc(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties,
                                  "kernel interfaces"};
}
