#include "hostkey_file.h"
#include "cleanup.h"
#include "trusted_path.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sysexits.h>

static int refuse(struct err *err, int code)
{
    err->code = code;
    return -1;
}

static int refuse_open(const char *path, mode_t mode, struct err *err)
{
    err_set(err, 0, "host key %s is open to others (mode %04o); close it: chmod 600 %s", path,
            mode & 07777, path);
    return refuse(err, EX_NOPERM);
}

int hostkey_file_open(const char *path, int *out, struct err *err)
{
    cleanup_fd int fd = -1;
    struct stat st;
    /* So that it is closed at once to those who may write and to those who may read. */
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        return refuse_open(path, st.st_mode, err);
    if (trusted_path_open_file(path, 0, &fd, &st, err) < 0) {
        bool missing = err->num == ENOENT;
        bool untrusted = err->num == 0 || err->num == EPERM;
        if (missing)
            err_set(
                err, 0,
                "host key %s does not exist; make it with: ssh-keygen -q -t ed25519 -N '' -f %s",
                path, path);
        else
            err_wrap(err, "host key %s", path);
        return refuse(err, untrusted ? EX_NOPERM : EX_NOINPUT);
    }
    if ((st.st_mode & 077) != 0)
        return refuse_open(path, st.st_mode, err);
    *out = steal_fd(&fd);
    return 0;
}

int hostkey_file_none(struct err *err)
{
    err_set(err, 0,
            "no host key: name one with 'host-key =' in [server], or make one with: "
            "ssh-keygen -q -t ed25519 -N '' -f /etc/postern/host_ed25519_key");
    return refuse(err, EX_NOINPUT);
}
