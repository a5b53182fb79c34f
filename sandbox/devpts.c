#include "devpts.h"

#include "cleanup.h"
#include "ttymodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <termios.h>
#include <unistd.h>

/* Terminals of one exec; the kernel has some three thousand for all that it doesn't reserve. */
#define TERMINALS_MAX "32"

static int mount_devpts(const struct sandbox_job *job, int *devpts, struct err *err)
{
    char uid[16], gid[16];
    (void)snprintf(uid, sizeof uid, "%u", job->uid);
    (void)snprintf(gid, sizeof gid, "%u", job->gid);
    const struct {
        const char *key, *value;
    } options[] = {{"source", "devpts"}, {"uid", uid},         {"gid", gid},
                   {"mode", "0600"},     {"ptmxmode", "0666"}, {"max", TERMINALS_MAX}};
    cleanup_fd int fs = fsopen("devpts", FSOPEN_CLOEXEC);
    if (fs < 0)
        return err_set(err, errno, "devpts");
    for (size_t i = 0; i < array_len(options); i++)
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i].key, options[i].value, 0) < 0)
            return err_set(err, errno, "devpts: %s=%s", options[i].key, options[i].value);
    if (fsconfig(fs, FSCONFIG_SET_FLAG, "newinstance", NULL, 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(err, errno, "devpts");
    *devpts = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    return *devpts >= 0 ? 0 : err_set(err, errno, "devpts");
}

static int set_up(int outside, const struct terminal_spec *spec, struct err *err)
{
    const struct winsize size = {.ws_row = spec->rows,
                                 .ws_col = spec->columns,
                                 .ws_xpixel = spec->x_pixels,
                                 .ws_ypixel = spec->y_pixels};
    struct termios modes;
    if (tcgetattr(outside, &modes) < 0)
        return err_set(err, errno, "terminal: modes");
    ttymodes_default(&modes);
    ttymodes_apply(spec->modes, spec->modes_len, &modes);
    if (tcsetattr(outside, TCSANOW, &modes) < 0 || ioctl(outside, TIOCSWINSZ, &size) < 0)
        return err_set(err, errno, "terminal: modes and size");
    return 0;
}

/* The first of its devpts: the worker opens /dev/pts/0. */
static int make_terminal(int devpts, const struct terminal_spec *spec, int *outside,
                         struct err *err)
{
    cleanup_fd int fd = openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    const int unlocked = 0;
    unsigned number = 0;
    if (fd < 0 || ioctl(fd, TIOCGPTN, &number) < 0 || ioctl(fd, TIOCSPTLCK, &unlocked) < 0)
        return err_set(err, errno, "terminal");
    if (number != 0)
        return err_set(err, 0, "terminal: number %u is not the first", number);
    if (set_up(fd, spec, err) < 0)
        return -1;
    *outside = steal_fd(&fd);
    return 0;
}

int devpts_make(const struct sandbox_job *job, int *devpts, int *outside, struct err *err)
{
    *devpts = *outside = -1;
    if (!job->ptys)
        return 0;
    cleanup_fd int made = -1;
    if (mount_devpts(job, &made, err) < 0 ||
        (job->terminal != NULL && make_terminal(made, job->terminal, outside, err) < 0))
        return -1;
    *devpts = steal_fd(&made);
    return 0;
}

int devpts_attach(int devpts)
{
    return move_mount(devpts, "", AT_FDCWD, "/dev/pts", MOVE_MOUNT_F_EMPTY_PATH);
}

int devpts_open(void)
{
    int fd = open("/dev/pts/0", O_RDWR | O_NOCTTY);
    if (fd < 0)
        return -1;
    /* Where those are free, as they should be, it is one of them. */
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (i != fd && dup2(fd, i) < 0)
            return -1;
    return fd > STDERR_FILENO ? close(fd) : 0;
}
