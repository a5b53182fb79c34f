#include "quota.h"

#include "cleanup.h"
#include "spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* <sys/quota.h> and <linux/quota.h> don't get along. */
static int control(int fd, unsigned command, uint32_t id, void *arg)
{
    return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, arg);
}

int quota_check(int dir, struct err *err)
{
    struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
    if (control(dir, Q_XGETQSTATV, 0, &state) == 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0)
        return 0;
    return err_set(err, 0,
                   "its file system does not enforce project quotas, so workspace-size can't be "
                   "kept: mount it with the option prjquota, or leave workspace-size out");
}

static int join_project(int fd, uint32_t id)
{
    struct fsxattr attr;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
        return -1;
    if (attr.fsx_projid == id && (attr.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0)
        return 0;
    attr.fsx_projid = id;
    attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    return ioctl(fd, FS_IOC_FSSETXATTR, &attr);
}

static bool is_in_project(int fd, uint32_t id)
{
    struct fsxattr attr;
    return ioctl(fd, FS_IOC_FSGETXATTR, &attr) == 0 && attr.fsx_projid == id;
}

/* One that can't be read is not known to be. */
static bool is_empty(int dir)
{
    enum { DOTS = 2 };
    cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    int n = 0;
    if (entries == NULL)
        return false;
    (void)steal_fd(&fd);
    while (n <= DOTS && readdir(entries) != NULL)
        n++;
    closedir(entries);
    return n == DOTS;
}

/* What was made before belongs to no project, and neither will what is made in directories there.
 */
static int check_older(int fd, uint32_t id, struct err *err)
{
    if (is_in_project(fd, id) || is_empty(fd))
        return 0;
    return err_set(err, 0,
                   "it holds files that workspace-size would not count: empty it, or count them "
                   "(chattr -R -p %u +P)",
                   id);
}

int quota_set(int dir, uint32_t id, uint64_t bytes, uint64_t files, struct err *err)
{
    bool limited = bytes != SPEC_INFINITY;
    cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "quota");
    if (!limited && !is_in_project(fd, id))
        return 0;
    if (limited && check_older(fd, id, err) < 0)
        return -1;
    struct if_dqblk quota = {
        .dqb_bhardlimit = limited ? (bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE : 0,
        .dqb_ihardlimit = limited ? files : 0,
        .dqb_valid = QIF_LIMITS,
    };
    /* The limit first: nothing may be written without it. */
    if (control(fd, Q_SETQUOTA, id, &quota) < 0 || join_project(fd, id) < 0)
        return err_set(err, errno, "project quota %u", id);
    return 0;
}
