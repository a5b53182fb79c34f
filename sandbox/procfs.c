#include "procfs.h"

#include "cleanup.h"
#include "layout.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

enum {
    CPUINFO_MAX = 1 << 20, /* bytes; what is longer is cut after a processor */
    MEMINFO_MAX = 1024,
    PERCENT = 100, /* of one CPU */
};

#define MEMINFO "/run/meminfo"

/*
 * World-readable parts of /proc that tell about the host or its other tenants, and the root-only
 * ones that would be fatal if anything else failed.
 */
static const struct {
    const char *path;
    const char *mask;
} masks[] = {
    {"/proc/acpi", MASK_DIR},         {"/proc/asound", MASK_DIR},
    {"/proc/bus", MASK_DIR},          {"/proc/driver", MASK_DIR},
    {"/proc/fs", MASK_DIR},           {"/proc/irq", MASK_DIR},
    {"/proc/scsi", MASK_DIR},         {"/proc/interrupts", MASK_FILE},
    {"/proc/kallsyms", MASK_FILE},    {"/proc/kcore", MASK_FILE},
    {"/proc/key-users", MASK_FILE},   {"/proc/keys", MASK_FILE},
    {"/proc/kmsg", MASK_FILE},        {"/proc/latency_stats", MASK_FILE},
    {"/proc/sched_debug", MASK_FILE}, {"/proc/sysrq-trigger", MASK_FILE},
    {"/proc/timer_list", MASK_FILE},
};

/* What builds look at; the rest is links to what each process has of its own. */
static const char *const of_builds[] = {"cpuinfo", "meminfo", "filesystems", "sys", "version"};

/* How much of a cpuinfo its first n processors are; a blank line ends each. */
static size_t first_processors(const char *text, uint64_t n)
{
    const char *at = text;
    for (const char *end; n > 0 && (end = strstr(at, "\n\n")) != NULL; n--)
        at = end + 2;
    return (size_t)(at - text);
}

/* Without a limit of CPU the host's own file serves, but it tells the clock's rate of the moment.
 */
static uint64_t processors_of(const struct sandbox_spec *spec)
{
    if (spec->cgroup.cpu == SPEC_INFINITY)
        return spec->proc == PROC_BUILD ? SPEC_INFINITY : 0;
    return (spec->cgroup.cpu + PERCENT - 1) / PERCENT;
}

static int read_cpuinfo(char text[CPUINFO_MAX + 1])
{
    cleanup_fd int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && len < CPUINFO_MAX && (n = read(fd, text + len, CPUINFO_MAX - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return n < 0 ? -1 : 0;
}

int procfs_prepare(int root, const struct sandbox_spec *spec, struct err *err)
{
    uint64_t n = processors_of(spec);
    if (n == 0 || spec->proc == PROC_PROCESSES)
        return 0;
    cleanup_free char *text = malloc(CPUINFO_MAX + 1);
    if (text == NULL || read_cpuinfo(text) < 0)
        return err_set(err, errno, "/proc/cpuinfo");
    size_t shown = first_processors(text, n);
    if (shown == 0)
        return err_set(err, 0, "/proc/cpuinfo: no processor in it");
    return tree_file(root, CPUINFO_IN_ROOT, text, shown, 0444, err);
}

/* Whichever of the two is missing: what isn't there needs no cover, and has none. */
static int cover(const char *path, const char *with)
{
    return mount(with, path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT ? -1 : 0;
}

static bool is_of_builds(const char *name)
{
    size_t i = 0;
    while (i < array_len(of_builds) && strcmp(of_builds[i], name) != 0)
        i++;
    return i < array_len(of_builds);
}

/* By what is there now: a new kernel or module must not show something new. */
static int hide_all_but_builds(void)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    int rc = dir == NULL ? -1 : 0;
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        char path[sizeof "/proc/" + NAME_MAX];
        const char *name = entry->d_name;
        if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9') || entry->d_type == DT_LNK ||
            is_of_builds(name))
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s", name);
        rc = cover(path, entry->d_type == DT_DIR ? MASK_DIR : MASK_FILE);
    }
    if (rc == 0 && errno != 0)
        rc = -1;
    int num = errno;
    if (dir != NULL)
        closedir(dir);
    errno = num;
    return rc;
}

static int hide_some(void)
{
    for (size_t i = 0; i < array_len(masks); i++) {
        if (cover(masks[i].path, masks[i].mask) < 0)
            return -1;
    }
    return 0;
}

/* The daemon may be protected from the OOM killer; what tenants run is not. */
static int reset_oom_score(void)
{
    cleanup_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    /* Down to 0 needs CAP_SYS_RESOURCE; a daemon that is first in line hands that on. */
    return write(fd, "0", 1) == 1 || errno == EACCES ? 0 : -1;
}

int procfs_mount(const struct sandbox_spec *spec)
{
    /* hidepid: the worker isn't dumpable, so it and its command line are not even seen. */
    const char *options =
        spec->proc == PROC_PROCESSES ? "hidepid=ptraceable,subset=pid" : "hidepid=ptraceable";
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        return -1;
    if ((spec->proc == PROC_FULL && hide_some() < 0) ||
        (spec->proc == PROC_BUILD && hide_all_but_builds() < 0) ||
        cover("/proc/cpuinfo", CPUINFO) < 0 || reset_oom_score() < 0)
        return -1;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    return mount_setattr(AT_FDCWD, "/proc", 0, &attr, sizeof attr);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The memory and swap, in bytes, that the exec can have at most. */
static void find_memory(const struct sandbox_spec *spec, const struct sandbox_job *job,
                        const struct sysinfo *host, uint64_t *memory, uint64_t *swap)
{
    uint64_t own = job->memory != 0 ? job->memory : spec->cgroup.memory;
    uint64_t total = job->memory_total != 0 ? job->memory_total : SPEC_INFINITY;
    *memory = least(least(own, total), (uint64_t)host->totalram * host->mem_unit);
    *swap = least(spec->cgroup.swap, (uint64_t)host->totalswap * host->mem_unit);
}

/* All of it is free, as it is when the command begins; what others use now is not to be seen. */
static int format_meminfo(char *buf, size_t size, uint64_t memory, uint64_t swap)
{
    uint64_t kib = memory >> 10, swap_kib = swap >> 10;
    const struct {
        const char *name;
        uint64_t kib;
    } lines[] = {
        {"MemTotal:", kib},
        {"MemFree:", kib},
        {"MemAvailable:", kib},
        {"Buffers:", 0},
        {"Cached:", 0},
        {"SwapCached:", 0},
        {"Active:", 0},
        {"Inactive:", 0},
        {"SwapTotal:", swap_kib},
        {"SwapFree:", swap_kib},
        {"Dirty:", 0},
        {"Writeback:", 0},
        {"AnonPages:", 0},
        {"Mapped:", 0},
        {"Shmem:", 0},
        {"Slab:", 0},
        {"SReclaimable:", 0},
        {"SUnreclaim:", 0},
    };
    size_t at = 0;
    for (size_t i = 0; i < array_len(lines); i++) {
        int n =
            snprintf(buf + at, size - at, "%-15s %8" PRIu64 " kB\n", lines[i].name, lines[i].kib);
        if (n < 0 || (size_t)n >= size - at) {
            errno = ENAMETOOLONG;
            return -1;
        }
        at += (size_t)n;
    }
    return (int)at;
}

int procfs_write_memory(const struct sandbox_spec *spec, const struct sandbox_job *job,
                        bool *written)
{
    struct sysinfo host;
    uint64_t memory, swap;
    char text[MEMINFO_MAX];
    *written = false;
    if (spec->proc == PROC_PROCESSES)
        return 0;
    if (sysinfo(&host) < 0)
        return -1;
    find_memory(spec, job, &host, &memory, &swap);
    if (spec->proc == PROC_FULL && memory == (uint64_t)host.totalram * host.mem_unit)
        return 0;
    int len = format_meminfo(text, sizeof text, memory, swap);
    cleanup_fd int fd = open(MEMINFO, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (len < 0 || fd < 0 || write(fd, text, (size_t)len) != len)
        return -1;
    *written = true;
    return 0;
}

int procfs_show_memory(void)
{
    return mount(MEMINFO, "/proc/meminfo", NULL, MS_BIND, NULL);
}
