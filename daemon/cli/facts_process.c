#include "facts.h"
#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void read_word(pid_t pid, const char *file, char *buf, size_t len)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    (void)facts_read_line(path, buf, len);
}

static pid_t parent_of(pid_t pid)
{
    char stat[512];
    read_word(pid, "stat", stat, sizeof stat);
    /* "PID (NAME) STATE PARENT …", where the name may hold anything. */
    const char *end = strrchr(stat, ')');
    return end != NULL && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* The master: other processes of it have names of their own, or it for a parent. */
static pid_t find_daemon(void)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[32];
        pid_t pid =
            isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        if (pid == 0)
            continue;
        read_word(pid, "comm", name, sizeof name);
        if (strcmp(name, "posternd") != 0)
            continue;
        read_word(parent_of(pid), "comm", name, sizeof name);
        if (strcmp(name, "posternd") != 0 && (found == 0 || pid < found))
            found = pid;
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

static uint64_t limit_of(pid_t pid, __rlimit_resource_t what, const char *title)
{
    char path[64], line[128];
    struct rlimit own;
    (void)snprintf(path, sizeof path, "/proc/%d/limits", pid);
    cleanup_file FILE *file = pid == 0 ? NULL : fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char hard[32];
        if (strncmp(line, title, strlen(title)) == 0 &&
            sscanf(line + strlen(title), " %*s %31s", hard) == 1)
            return strcmp(hard, "unlimited") == 0 ? SPEC_INFINITY : strtoull(hard, NULL, 10);
    }
    if (getrlimit(what, &own) < 0 || own.rlim_max == RLIM_INFINITY)
        return SPEC_INFINITY;
    return own.rlim_max;
}

void facts_look_at_process(struct process_facts *facts)
{
    pid_t pid = find_daemon();
    *facts = (struct process_facts){
        .posternd = pid,
        .nofile = limit_of(pid, RLIMIT_NOFILE, "Max open files"),
        .nproc = limit_of(pid, RLIMIT_NPROC, "Max processes"),
        .memlock = limit_of(pid, RLIMIT_MEMLOCK, "Max locked memory"),
    };
    if (pid != 0)
        read_word(pid, "attr/current", facts->profile, sizeof facts->profile);
}
