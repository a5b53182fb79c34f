#include "proc_usage.h"
#include "cleanup.h"
#include "control_client.h"
#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct sandbox {
    ino_t ns;
    json_t *item;
    uint64_t ticks, pages;
};

struct sandboxes {
    struct sandbox *items;
    size_t n;
};

/* 0: it is gone, or hidden from us. */
static ino_t namespace_of(const char *pid)
{
    char path[300];
    struct stat st;
    (void)snprintf(path, sizeof path, "/proc/%s/ns/pid", pid);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int compare(const void *a, const void *b)
{
    ino_t x = ((const struct sandbox *)a)->ns, y = ((const struct sandbox *)b)->ns;
    return x < y ? -1 : x > y;
}

static bool is_open(const json_t *item)
{
    return item_uint(item, "pid", 0) > 0 && (item_uint(item, "cpu_ms", UINT64_MAX) == UINT64_MAX ||
                                             item_uint(item, "memory", UINT64_MAX) == UINT64_MAX);
}

static void collect(json_t *items, struct sandboxes *out)
{
    size_t i;
    json_t *item;
    out->items = calloc(json_array_size(items) + 1, sizeof *out->items);
    json_array_foreach(items, i, item)
    {
        char pid[24];
        if (out->items == NULL || !is_open(item))
            continue;
        (void)snprintf(pid, sizeof pid, "%" PRIu64, item_uint(item, "pid", 0));
        ino_t ns = namespace_of(pid);
        /* The worker's number may have become that of a process outside. */
        if (ns != 0 && ns != namespace_of("self"))
            out->items[out->n++] = (struct sandbox){.ns = ns, .item = item};
    }
    if (out->n > 0)
        qsort(out->items, out->n, sizeof *out->items, compare);
}

/* The first line of a file of /proc/PID; false if there is none. */
static bool read_line(const char *pid, const char *name, char *line, size_t len)
{
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    cleanup_file FILE *file = fopen(path, "re");
    return file != NULL && fgets(line, (int)len, file) != NULL;
}

/* The sum of fields `first` to `last`, the first of all being 1. */
static uint64_t sum_fields(const char *text, unsigned first, unsigned last)
{
    uint64_t sum = 0;
    size_t len;
    const char *word;
    for (unsigned i = 1; i <= last && (word = text_next_word(&text, &len)) != NULL; i++)
        if (i >= first)
            sum += strtoull(word, NULL, 10);
    return sum;
}

/* Its own time and that of the children that it has waited for: fields 14 to 17, of which the
 * second one may hold anything. */
static uint64_t ticks_of(const char *pid)
{
    char line[1024];
    const char *rest = read_line(pid, "stat", line, sizeof line) ? strrchr(line, ')') : NULL;
    return rest != NULL ? sum_fields(rest + 1, 12, 15) : 0;
}

static uint64_t pages_of(const char *pid)
{
    char line[256];
    return read_line(pid, "statm", line, sizeof line) ? sum_fields(line, 2, 2) : 0;
}

static void add_process(const struct sandboxes *sandboxes, const char *pid)
{
    const struct sandbox key = {.ns = namespace_of(pid)};
    if (key.ns == 0)
        return;
    struct sandbox *found =
        bsearch(&key, sandboxes->items, sandboxes->n, sizeof *sandboxes->items, compare);
    if (found == NULL)
        return;
    found->ticks += ticks_of(pid);
    found->pages += pages_of(pid);
}

static void fill(const struct sandbox *sandbox)
{
    uint64_t cpu_ms = sandbox->ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t memory = sandbox->pages * (uint64_t)sysconf(_SC_PAGESIZE);
    if (item_uint(sandbox->item, "cpu_ms", UINT64_MAX) == UINT64_MAX)
        json_object_set_new(sandbox->item, "cpu_ms", json_integer((json_int_t)cpu_ms));
    if (item_uint(sandbox->item, "memory", UINT64_MAX) == UINT64_MAX)
        json_object_set_new(sandbox->item, "memory", json_integer((json_int_t)memory));
}

void proc_usage_fill(json_t *items)
{
    struct sandboxes sandboxes = {0};
    collect(items, &sandboxes);
    DIR *proc = sandboxes.n > 0 ? opendir("/proc") : NULL;
    for (const struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]))
            add_process(&sandboxes, entry->d_name);
    if (proc != NULL) {
        closedir(proc);
        for (size_t i = 0; i < sandboxes.n; i++)
            fill(&sandboxes.items[i]);
    }
    free(sandboxes.items);
}
