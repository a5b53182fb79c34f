#include "recordings_dir.h"
#include "cleanup.h"
#include "trusted_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool recordings_dir_wanted(const struct policy *policy)
{
    for (size_t i = 0; i < policy->n_tenants; i++)
        if (policy->tenants[i].record != RECORD_NONE)
            return true;
    return false;
}

int recordings_dir_open(const char *path, int *out, struct err *err)
{
    cleanup_fd int fd = -1;
    struct stat st;
    if (trusted_path_open_dir(path, 0, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "can't be examined");
    /* What people have seen on their terminals is nobody else's business. */
    if ((st.st_mode & 077) != 0)
        return err_set(err, 0, "others may look into it (mode %03o): chmod 700 %.200s",
                       st.st_mode & 07777, path);
    *out = steal_fd(&fd);
    return 0;
}

int recordings_dir_make(const char *path, int *fd, struct err *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(err, errno, "can't be made");
    return recordings_dir_open(path, fd, err);
}

bool recordings_dir_name(const char *exec_id, char name[RECORDING_NAME_MAX])
{
    static const char letters[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.";
    size_t len = strlen(exec_id);
    if (len == 0 || len + sizeof RECORDING_SUFFIX > RECORDING_NAME_MAX || exec_id[0] == '.' ||
        exec_id[0] == '-' || strspn(exec_id, letters) != len)
        return false;
    (void)snprintf(name, RECORDING_NAME_MAX, "%s" RECORDING_SUFFIX, exec_id);
    return true;
}
