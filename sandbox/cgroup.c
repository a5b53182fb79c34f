#include "cgroup.h"

#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    VALUE_MAX = 128,
    READ_MAX = 16384, /* of a file; a line that is cut off there is left out */
    CPU_PERIOD_US = 100000,
    BFQ_WEIGHT_MAX = 1000,
};

static const struct {
    unsigned bit;
    const char *name;
} known[] = {
#define X(id, bit, name) {bit, name},
    CGROUP_CONTROLLERS(X)
#undef X
};

bool cgroup_is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= CGROUP_NAME_MAX || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

char *cgroup_controller_names(unsigned controllers, char *buf, size_t len)
{
    size_t at = 0;
    unsigned left = controllers & CGROUP_ALL;
    (void)snprintf(buf, len, "none");
    for (size_t i = 0; i < array_len(known); i++) {
        if ((left & known[i].bit) == 0)
            continue;
        left &= ~known[i].bit;
        const char *before = at == 0 ? "" : left == 0 ? " and " : ", ";
        int n = snprintf(buf + at, len - at, "%s%s", before, known[i].name);
        if (n < 0 || (size_t)n >= len - at)
            break;
        at += (size_t)n;
    }
    return buf;
}

/* Reads what fits into buf[READ_MAX], as text. Returns its length, or -1 with errno. */
static ssize_t read_text(int dir, const char *file, char *buf)
{
    cleanup_fd int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    size_t len = 0;
    if (fd < 0)
        return -1;
    for (ssize_t n; (n = read(fd, buf + len, READ_MAX - 1 - len)) != 0; len += (size_t)n)
        if (n < 0)
            return -1;
    buf[len] = '\0';
    return (ssize_t)len;
}

static int write_text(int dir, const char *file, const char *text)
{
    /* O_NONBLOCK: who lowers a limit isn't made to reclaim the memory that is over it (6.15). */
    cleanup_fd int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    size_t len = strlen(text);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, len);
    if (n >= 0 && (size_t)n != len)
        errno = EIO;
    return n == (ssize_t)len ? 0 : -1;
}

static int put(int dir, const char *file, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int put(int dir, const char *file, struct err *err, const char *fmt, ...)
{
    char text[VALUE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        return err_set(err, EOVERFLOW, "%s", file);
    return write_text(dir, file, text) < 0 ? err_set(err, errno, "%s", file) : 0;
}

static bool is_word_of(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
        if ((at == text || isspace((unsigned char)at[-1])) &&
            (at[len] == '\0' || isspace((unsigned char)at[len])))
            return true;
    return false;
}

int cgroup_controllers(int dir, unsigned *controllers, struct err *err)
{
    char text[READ_MAX];
    *controllers = 0;
    if (read_text(dir, "cgroup.controllers", text) < 0)
        return err_set(err, errno, "cgroup.controllers");
    for (size_t i = 0; i < array_len(known); i++)
        if (is_word_of(text, known[i].name))
            *controllers |= known[i].bit;
    return 0;
}

int cgroup_enable(int dir, unsigned controllers, struct err *err)
{
    char text[VALUE_MAX] = "";
    size_t at = 0;
    for (size_t i = 0; i < array_len(known); i++)
        if (controllers & known[i].bit)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s+%s", at == 0 ? "" : " ",
                                   known[i].name);
    /* All of them or none: the kernel takes one write as one change. */
    return at == 0 ? 0 : put(dir, "cgroup.subtree_control", err, "%s", text);
}

int cgroup_make(int parent, const char *name, bool *made, int *fd, struct err *err)
{
    *fd = -1;
    if (!cgroup_is_name(name))
        return err_set(err, EINVAL, "name of a cgroup");
    bool is_new = mkdirat(parent, name, 0755) == 0;
    if (!is_new && (errno != EEXIST || made == NULL))
        return err_set(err, errno, "cgroup %s", name);
    if (made != NULL)
        *made = is_new;
    *fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *fd < 0 ? err_set(err, errno, "cgroup %s", name) : 0;
}

/* A count, or "max" for none. */
static int put_count(int dir, const char *file, uint64_t value, struct err *err)
{
    if (value == SPEC_INFINITY)
        return put(dir, file, err, "max");
    return put(dir, file, err, "%" PRIu64, value);
}

static int put_cpu_max(int dir, uint64_t percent, struct err *err)
{
    if (percent == SPEC_INFINITY)
        return put(dir, "cpu.max", err, "max %d", CPU_PERIOD_US);
    return put(dir, "cpu.max", err, "%" PRIu64 " %d", percent * (CPU_PERIOD_US / 100),
               CPU_PERIOD_US);
}

static int put_swap_max(int dir, uint64_t swap, struct err *err)
{
    if (put_count(dir, "memory.swap.max", swap, err) == 0)
        return 0;
    /* A kernel without swap has no such file, and nothing to limit. */
    return errno == ENOENT && access("/proc/swaps", F_OK) < 0 ? 0 : -1;
}

/* The kernel's own file is there if it can share by cost; the scheduler BFQ has another. */
static int put_io_weight(int dir, uint32_t weight, struct err *err)
{
    if (faccessat(dir, "io.weight", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        faccessat(dir, "io.bfq.weight", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return put(dir, "io.weight", err, "default %" PRIu32, weight);
    return put(dir, "io.bfq.weight", err, "%" PRIu32,
               weight < BFQ_WEIGHT_MAX ? weight : (uint32_t)BFQ_WEIGHT_MAX);
}

static int limit_memory(int dir, const struct cgroup_limits *limits, struct err *err)
{
    if (limits->memory_high != SPEC_INFINITY &&
        put_count(dir, "memory.high", limits->memory_high, err) < 0)
        return -1;
    if (limits->memory != SPEC_INFINITY && put_count(dir, "memory.max", limits->memory, err) < 0)
        return -1;
    if (limits->swap != SPEC_INFINITY && put_swap_max(dir, limits->swap, err) < 0)
        return -1;
    /* A command that lost one of its processes at random is of no use to anybody. */
    return put(dir, "memory.oom.group", err, "1");
}

int cgroup_limit_exec(int dir, const struct cgroup_limits *limits, unsigned controllers,
                      struct err *err)
{
    if ((controllers & CGROUP_MEMORY) && limit_memory(dir, limits, err) < 0)
        return -1;
    /* One for the worker. */
    if ((controllers & CGROUP_PIDS) && limits->tasks != SPEC_INFINITY &&
        put_count(dir, "pids.max", limits->tasks + 1, err) < 0)
        return -1;
    if ((controllers & CGROUP_CPU) && limits->cpu != SPEC_INFINITY &&
        put_cpu_max(dir, limits->cpu, err) < 0)
        return -1;
    if ((controllers & CGROUP_CPU) && limits->cpu_weight != 0 &&
        put(dir, "cpu.weight", err, "%" PRIu32, limits->cpu_weight) < 0)
        return -1;
    if ((controllers & CGROUP_IO) && limits->io_weight != 0 &&
        put_io_weight(dir, limits->io_weight, err) < 0)
        return -1;
    return 0;
}

/* A file that holds one number. */
static uint64_t number_in(int dir, const char *file)
{
    char text[READ_MAX];
    uint64_t value = CGROUP_UNKNOWN;
    if (read_text(dir, file, text) <= 0 || !isdigit((unsigned char)text[0]))
        return CGROUP_UNKNOWN;
    char *end;
    errno = 0;
    value = strtoumax(text, &end, 10);
    return errno == 0 && (*end == '\n' || *end == '\0') ? value : CGROUP_UNKNOWN;
}

int cgroup_limit_memory(int dir, uint64_t memory, struct err *err)
{
    return put_count(dir, "memory.max", memory, err);
}

bool cgroup_is_over(int dir, uint64_t memory)
{
    uint64_t used = number_in(dir, "memory.current");
    return used != CGROUP_UNKNOWN && used > memory;
}

int cgroup_limit_total(int dir, const struct cgroup_limits *limits, unsigned controllers,
                       struct err *err)
{
    if ((controllers & CGROUP_MEMORY) && cgroup_limit_memory(dir, limits->memory, err) < 0)
        return -1;
    if ((controllers & CGROUP_PIDS) && put_count(dir, "pids.max", limits->tasks, err) < 0)
        return -1;
    return (controllers & CGROUP_CPU) ? put_cpu_max(dir, limits->cpu, err) : 0;
}

int cgroup_move(int dir, pid_t pid, struct err *err)
{
    return put(dir, "cgroup.procs", err, "%d", pid);
}

int cgroup_each_process(int dir, int (*visit)(void *user, pid_t pid), void *user, struct err *err)
{
    cleanup_fd int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL)
        return err_set(err, errno, "cgroup.procs");
    (void)steal_fd(&fd);
    char line[32];
    while (fgets(line, sizeof line, file) != NULL) {
        int stop = visit(user, (pid_t)strtol(line, NULL, 10));
        if (stop != 0)
            return stop;
    }
    return ferror(file) ? err_set(err, errno, "cgroup.procs") : 0;
}

int cgroup_each_child(int dir, int (*visit)(void *user, int dir, const char *name), void *user,
                      struct err *err)
{
    cleanup_fd int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = own < 0 ? NULL : fdopendir(own);
    int stop = 0;
    if (entries == NULL)
        return err_set(err, errno, "cgroup");
    (void)steal_fd(&own);
    for (const struct dirent *entry; stop == 0 && (entry = readdir(entries)) != NULL;)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            stop = visit(user, dir, entry->d_name);
    closedir(entries);
    return stop;
}

int cgroup_kill(int dir, struct err *err)
{
    return put(dir, "cgroup.kill", err, "1");
}

int cgroup_remove(int parent, const char *name, struct err *err)
{
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return err_set(err, errno, "cgroup %s", name);
}

/* The number after `key` and `mark`, all of it digits. */
static bool find_number(const char *line, const char *key, char mark, uint64_t *out)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0 || line[len] != mark || !isdigit((unsigned char)line[len + 1]))
        return false;
    char *end;
    errno = 0;
    uintmax_t value = strtoumax(line + len + 1, &end, 10);
    if (errno != 0 || (*end != '\0' && !isspace((unsigned char)*end)))
        return false;
    *out = value;
    return true;
}

/* The value of a line "KEY VALUE"; `missing` where there is none. */
static uint64_t value_of(const char *text, const char *key, uint64_t missing)
{
    uint64_t value = missing;
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (end != NULL && find_number(line, key, ' ', &value))
            break;
        line = end == NULL ? NULL : end + 1;
    }
    return value;
}

/* The sum of all "KEY=VALUE" words. */
static uint64_t sum_of(const char *text, const char *key)
{
    uint64_t sum = 0, value;
    for (const char *word = strpbrk(text, " \n"); word != NULL; word = strpbrk(word + 1, " \n"))
        if (find_number(word + 1, key, '=', &value))
            sum += value;
    return sum;
}

void cgroup_read_usage(int dir, struct cgroup_usage *usage)
{
    char text[READ_MAX];
    *usage = (struct cgroup_usage){
        .memory_peak = number_in(dir, "memory.peak"),
        .tasks_peak = number_in(dir, "pids.peak"),
        .user_us = CGROUP_UNKNOWN,
        .system_us = CGROUP_UNKNOWN,
        .throttled_us = CGROUP_UNKNOWN,
        .read_bytes = CGROUP_UNKNOWN,
        .written_bytes = CGROUP_UNKNOWN,
    };
    /* One for the worker. */
    if (usage->tasks_peak != CGROUP_UNKNOWN && usage->tasks_peak > 0)
        usage->tasks_peak--;
    if (read_text(dir, "cpu.stat", text) >= 0) {
        usage->user_us = value_of(text, "user_usec", CGROUP_UNKNOWN);
        usage->system_us = value_of(text, "system_usec", CGROUP_UNKNOWN);
        usage->throttled_us = value_of(text, "throttled_usec", CGROUP_UNKNOWN);
    }
    if (read_text(dir, "io.stat", text) >= 0) {
        usage->read_bytes = sum_of(text, "rbytes");
        usage->written_bytes = sum_of(text, "wbytes");
    }
    if (read_text(dir, "memory.events", text) >= 0) {
        usage->oom_known = true;
        usage->oom_kills = value_of(text, "oom_kill", 0);
        usage->memory_full = value_of(text, "oom", 0);
    }
    if (read_text(dir, "pids.events", text) >= 0)
        usage->tasks_refused = value_of(text, "max", 0);
}

void cgroup_read_now(int dir, uint64_t *memory, uint64_t *cpu_us)
{
    char text[READ_MAX];
    *memory = number_in(dir, "memory.current");
    *cpu_us = read_text(dir, "cpu.stat", text) >= 0 ? value_of(text, "usage_usec", CGROUP_UNKNOWN)
                                                    : CGROUP_UNKNOWN;
}

uint64_t cgroup_memory_full(int dir)
{
    char text[READ_MAX];
    return read_text(dir, "memory.events.local", text) >= 0 ? value_of(text, "oom", 0) : 0;
}
