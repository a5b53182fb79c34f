#include "exec_why.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum report_why look_at(const char *path, const struct stat *st, int err_num)
{
    struct statvfs fs;
    if (S_ISDIR(st->st_mode))
        return WHY_DIRECTORY;
    if (!S_ISREG(st->st_mode))
        return WHY_NOT_REGULAR;
    if (err_num == ENOENT)
        return WHY_INTERPRETER;
    if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOEXEC) != 0)
        return WHY_NOEXEC;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? WHY_MODE : WHY_NONE;
}

enum report_why exec_why(const char *const *paths, size_t n, int err_num)
{
    if (err_num != ENOENT && err_num != EACCES)
        return WHY_NONE;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (stat(paths[i], &st) == 0)
            return look_at(paths[i], &st, err_num);
        if (errno == EACCES)
            return WHY_SEARCH;
    }
    return WHY_NONE;
}
