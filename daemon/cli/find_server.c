#include "find_server.h"
#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
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

/* By what the name means to that process, which may have another root. */
static bool has_config(int proc, const struct stat *wanted)
{
    char args[ARGUMENTS_MAX];
    char path[PATH_MAX];
    struct stat st;
    ssize_t n = read_file(proc, "cmdline", args, sizeof args);
    if (n <= 0)
        return false;
    const char *config = config_argument(args, (size_t)n);
    int len = snprintf(path, sizeof path, "root/%s", config);
    return config[0] == '/' && len > 0 && len < PATH_MAX && fstatat(proc, path, &st, 0) == 0 &&
           st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
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
