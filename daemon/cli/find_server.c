#include "find_server.h"
#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define DEFAULT_CONFIG_PATH "/etc/postern/postern.ini"

enum { ARGUMENTS_MAX = 16384 };

static ssize_t read_file(int proc, const char *name, char *buf, size_t cap)
{
    cleanup_fd int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, cap - 1);
    if (n >= 0)
        buf[n] = '\0';
    return n;
}

/* Its children that do other work call themselves otherwise, or are other programs. */
static bool is_posternd(int proc)
{
    char name[64];
    char exe[PATH_MAX];
    ssize_t n = readlinkat(proc, "exe", exe, sizeof exe - 1);
    if (n < 0 || read_file(proc, "comm", name, sizeof name) < 0)
        return false;
    exe[n] = '\0';
    const char *base = strrchr(exe, '/');
    /* " (deleted)" follows once it has been upgraded. */
    return base != NULL && strncmp(base, "/posternd", 9) == 0 && strcmp(name, "posternd\n") == 0;
}

/* What follows -f, as posternd reads its arguments. */
static const char *config_argument(const char *args, size_t len)
{
    const char *found = DEFAULT_CONFIG_PATH;
    const char *end = args + len;
    const char *arg = args + strlen(args) + 1; /* behind its own name */
    for (; arg < end; arg += strlen(arg) + 1) {
        if (arg[0] != '-' || arg[1] == '-')
            break;
        const char *letter = arg + 1 + strspn(arg + 1, "dthV");
        const char *value = letter[0] != '\0' ? letter + 1 : NULL;
        if (value != NULL && *value == '\0') {
            arg = value + 1;
            value = arg;
        }
        if (value != NULL && value < end && letter[0] == 'f')
            found = value;
        if (arg >= end)
            break;
    }
    return found;
}

static bool is_same_file(int proc, const char *path, const struct stat *wanted)
{
    struct stat st;
    return fstatat(proc, path, &st, 0) == 0 && st.st_dev == wanted->st_dev &&
           st.st_ino == wanted->st_ino;
}

/* Where it was started: since then it has gone to the root directory. */
static const char *start_directory(const char *environment, size_t len)
{
    const char *end = environment + len;
    for (const char *at = environment; at < end; at += strlen(at) + 1)
        if (strncmp(at, "PWD=/", 5) == 0)
            return at + 4;
    return "/";
}

/* By what the name means to that process, which may have another root. */
static bool has_config(int proc, const struct stat *wanted)
{
    char args[ARGUMENTS_MAX], environment[ARGUMENTS_MAX], path[2 * PATH_MAX];
    ssize_t n = read_file(proc, "cmdline", args, sizeof args);
    if (n <= 0)
        return false;
    const char *config = config_argument(args, (size_t)n);
    const char *dir = "";
    if (config[0] != '/') {
        n = read_file(proc, "environ", environment, sizeof environment);
        dir = start_directory(environment, n > 0 ? (size_t)n : 0);
    }
    int len = snprintf(path, sizeof path, "root%s/%s", dir, config);
    return len > 0 && (size_t)len < sizeof path && is_same_file(proc, path, wanted);
}

static bool is_wanted(const char *name, const struct stat *wanted)
{
    char path[32];
    if (!isdigit((unsigned char)name[0]) ||
        snprintf(path, sizeof path, "/proc/%s", name) >= (int)sizeof path)
        return false;
    cleanup_fd int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return proc >= 0 && is_posternd(proc) && has_config(proc, wanted);
}

int find_server(const char *config, pid_t *pid, int *pidfd)
{
    struct stat wanted;
    const struct dirent *entry;
    int found = 0;
    DIR *proc = stat(config, &wanted) == 0 ? opendir("/proc") : NULL;
    while (proc != NULL && found == 0 && (entry = readdir(proc)) != NULL) {
        if (!is_wanted(entry->d_name, &wanted))
            continue;
        *pid = (pid_t)strtol(entry->d_name, NULL, 10);
        *pidfd = pidfd_open(*pid, 0);
        /* Looked at again: what the descriptor stands for is what has just been seen. */
        found = *pidfd >= 0 && is_wanted(entry->d_name, &wanted);
        if (found == 0)
            close_fd(pidfd);
    }
    if (proc != NULL)
        closedir(proc);
    return found;
}

/* Where it is, below the mount (cgroups(7)); "" if there is no cgroup v2. */
static bool read_cgroup(pid_t pid, char *path, size_t cap)
{
    char name[32], text[8192];
    (void)snprintf(name, sizeof name, "/proc/%d", (int)pid);
    cleanup_fd int proc = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || read_file(proc, "cgroup", text, sizeof text) < 0)
        return false;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    const char *begin = line == NULL ? "" : strchr(line, '/');
    int n = snprintf(path, cap, "%.*s", begin == NULL ? 0 : (int)strcspn(begin, "\n"),
                     begin == NULL ? "" : begin);
    return n >= 0 && (size_t)n < cap && strstr(path, "/..") == NULL;
}

bool find_server_limits(pid_t pid, struct host_limits *out)
{
    static const char leaf[] = "/" HOST_DAEMON_CGROUP;
    char path[PATH_MAX], whole[2 * PATH_MAX];
    struct err err = {0};
    *out = (struct host_limits){0};
    if (!read_cgroup(pid, path, sizeof path))
        return false;
    size_t len = strlen(path);
    size_t n = sizeof leaf - 1;
    if (len < n || strcmp(path + len - n, leaf) != 0) {
        (void)snprintf(out->why, sizeof out->why,
                       "the running server (pid %d) has no cgroup of its own", (int)pid);
        (void)snprintf(out->remedy, sizeof out->remedy,
                       "CGROUPS in postern(7) tells how it gets one");
        out->no_cgroup = true;
        return true;
    }
    if (host_cgroup_mount(whole, &err) < 0)
        return false;
    (void)snprintf(whole + strlen(whole), PATH_MAX, "%.*s", (int)(len - n), path);
    cleanup_fd int fd = -1;
    if (host_cgroup_open(whole, &fd, &err) < 0 ||
        cgroup_controllers(fd, &out->controllers, &err) < 0)
        return false;
    host_limits_explain(out, whole);
    return true;
}
