#include "uid_file.h"
#include "cleanup.h"
#include "policy_files.h"
#include "trusted_path.h"
#include "uid_record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char fresh_name[] = UID_RECORD_NAME ".new";
static const char lock_name[] = UID_RECORD_NAME ".lock";

/* The parent is the operator's. */
static int open_dir(const char *path, int *dir, struct err *err)
{
    if (mkdir(path, 0755) == 0) {
        /* Not what the umask has left of it: the tools of ordinary users look here. */
        if (chmod(path, 0755) < 0)
            return err_set(err, errno, "%s", path);
    } else if (errno != EEXIST) {
        return err_set(err, errno, "%s can't be made", path);
    }
    return trusted_path_open_dir(path, 0, dir, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

/* A second server may have the same state: nobody waits for it, since it may be stopped. */
static int lock(int dir, int *fd, struct err *err)
{
    cleanup_fd int file =
        openat(dir, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (file < 0)
        return err_set(err, errno, "%s", lock_name);
    if (flock(file, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, 0, "another server is writing it")
                                    : err_set(err, errno, "%s", lock_name);
    *fd = steal_fd(&file);
    return 0;
}

static int read_record(const char *path, struct uid_record *record, bool *is_there, struct err *err)
{
    cleanup_free char *data = NULL;
    size_t len = 0;
    unsigned line;
    int rc = policy_files_host.read_file(NULL, path, UID_RECORD_SIZE_MAX, 0, &data, &len, err);
    *is_there = rc == 0 || err->num != ENOENT;
    if (rc < 0)
        return *is_there ? -1 : 0;
    if (uid_record_read(record, data, len, &line, err) == 0)
        return 0;
    return line > 0 ? err_wrap(err, "line %u", line) : -1;
}

static int add_claims(struct uid_record *record, const struct policy *policy, struct err *err)
{
    for (size_t i = 0; i < policy->n_claims; i++) {
        if (uid_record_add(record, &policy->claims[i], err) == 0)
            continue;
        if (err->num == 0)
            err->num = EAGAIN;
        return -1;
    }
    return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* It is no secret: like passwd(5) it says whose files these are. */
static int write_fresh(int dir, const char *data, size_t len)
{
    cleanup_fd int fd =
        openat(dir, fresh_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, data, len) < 0 || fchmod(fd, 0644) < 0)
        return -1;
    return fsync(fd);
}

static int replace(int dir, const struct uid_record *record, struct err *err)
{
    size_t len = 0;
    cleanup_free char *data = uid_record_format(record, &len);
    if (data == NULL)
        return err_set(err, ENOMEM, "record");
    /* What the next start reads must be there before anybody has a file with such a uid. */
    if (write_fresh(dir, data, len) == 0 && renameat(dir, fresh_name, dir, UID_RECORD_NAME) == 0 &&
        fsync(dir) == 0)
        return 0;
    err_set(err, errno, "it can't be written");
    (void)unlinkat(dir, fresh_name, 0);
    return -1;
}

static int add(const struct policy *policy, const char *path, struct uid_record *record,
               struct err *err)
{
    cleanup_fd int dir = -1, locked = -1;
    bool is_there = false;
    if (open_dir(policy->server.state_dir, &dir, err) < 0)
        return -1;
    if (lock(dir, &locked, err) < 0 || read_record(path, record, &is_there, err) < 0)
        return err_wrap(err, "%s", path);
    size_t before = record->n;
    if (add_claims(record, policy, err) < 0)
        return err_wrap(err, "%s", path);
    if (is_there && record->n == before)
        return 0;
    return replace(dir, record, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

int uid_file_add(const struct policy *policy, struct err *err)
{
    struct uid_record record = {0};
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/" UID_RECORD_NAME, policy->server.state_dir);
    int rc = n < 0 || (size_t)n >= sizeof path ? err_set(err, ENAMETOOLONG, "state-dir")
                                               : add(policy, path, &record, err);
    pool_free(&record.pool);
    if (rc < 0)
        err->code = err->num == EAGAIN ? EX_TEMPFAIL : EX_CANTCREAT;
    return rc;
}
