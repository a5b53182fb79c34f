#include "trail_files.h"
#include "cleanup.h"
#include "problems.h"
#include "sources.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

void trail_files_free(struct trail_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->paths[i]);
    free(files->paths);
    *files = (struct trail_files){0};
}

struct found {
    char *path;
    struct timespec changed;
};

/* What logrotate(8) adds to a name: a number or a date, and how it is packed. */
static bool is_rotated(const char *suffix)
{
    static const char *const packers[] = {"", ".gz", ".xz", ".zst"};
    if ((suffix[0] != '.' && suffix[0] != '-') || suffix[1] < '0' || suffix[1] > '9')
        return false;
    const char *rest = suffix + 1 + strspn(suffix + 1, "0123456789-");
    for (size_t i = 0; i < array_len(packers); i++)
        if (strcmp(rest, packers[i]) == 0)
            return true;
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    if (one->changed.tv_sec != other->changed.tv_sec)
        return one->changed.tv_sec < other->changed.tv_sec ? -1 : 1;
    if (one->changed.tv_nsec != other->changed.tv_nsec)
        return one->changed.tv_nsec < other->changed.tv_nsec ? -1 : 1;
    return strcmp(other->path, one->path);
}

static size_t look(DIR *dir, const char *path, const char *base, struct found *out, size_t max)
{
    const struct dirent *entry;
    size_t n = 0;
    while (n < max && (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (strncmp(entry->d_name, base, strlen(base)) != 0 ||
            !is_rotated(entry->d_name + strlen(base)) ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        out[n].changed = st.st_mtim;
        if (asprintf(&out[n].path, "%.*s%s", (int)(base - path), path, entry->d_name) >= 0)
            n++;
    }
    return n;
}

static int open_parent(const char *path, DIR **out)
{
    cleanup_free char *parent = strndup(path, (size_t)(strrchr(path, '/') + 1 - path));
    if (parent == NULL)
        return EX_OSERR;
    *out = opendir(parent);
    if (*out != NULL)
        return EX_OK;
    problem_no_input(parent, errno);
    return EX_NOINPUT;
}

int trail_files_beside(const char *path, struct trail_files *out)
{
    DIR *dir;
    *out = (struct trail_files){.paths = calloc(TRAIL_FILES_MAX + 1, sizeof *out->paths)};
    int status = out->paths == NULL ? EX_OSERR : open_parent(path, &dir);
    if (status != EX_OK)
        return status;
    struct found found[TRAIL_FILES_MAX];
    size_t n = look(dir, path, strrchr(path, '/') + 1, found, TRAIL_FILES_MAX);
    closedir(dir);
    qsort(found, n, sizeof *found, compare);
    for (size_t i = 0; i < n; i++)
        out->paths[out->n++] = found[i].path;
    char *last = strdup(path);
    if (last == NULL)
        return EX_OSERR;
    out->paths[out->n++] = last;
    return EX_OK;
}

/* The trail's place that can be read, of several. */
static const char *readable(const struct server_config *config)
{
    for (size_t i = 0; i < config->audit.n; i++)
        if (config->audit.items[i][0] == '/')
            return config->audit.items[i];
    return NULL;
}

int trail_files_find(const struct cli *cli, struct trail_files *out)
{
    int status;
    *out = (struct trail_files){0};
    struct policy *policy = sources_load_system(cli, false, &status);
    if (policy == NULL)
        return status;
    const char *path = readable(&policy->server);
    if (path != NULL) {
        status = trail_files_beside(path, out);
    } else {
        fprintf(stderr, "postern: the audit trail is in no file, but in the %s\n",
                strcmp(policy->server.audit.items[0], "journal") == 0
                    ? "journal: journalctl -t posternd"
                    : "server's standard error");
        status = EX_NOINPUT;
    }
    if (status == EX_OSERR)
        fputs("postern: out of memory\n", stderr);
    policy_free(policy);
    return status;
}
