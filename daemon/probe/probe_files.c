/* The file system that is seen. */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool cannot_create_in(const struct property *p, char *why)
{
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/probe-was-here", p->path);
    bool made = mkdir(path, 0700) == 0;
    made = made || probe_opens(path, O_WRONLY | O_CREAT) || symlink("x", path) == 0;
    if (!made)
        return true;
    if (rmdir(path) < 0)
        (void)unlink(path);
    return probe_open(why, "%.200s was made", path);
}

static bool cannot_change(const struct property *p, char *why)
{
    if (probe_opens(p->path, O_WRONLY))
        return probe_open(why, "%s can be written", p->path);
    if (chmod(p->path, 0777) == 0 || chown(p->path, getuid(), getgid()) == 0)
        return probe_open(why, "the mode or owner of %s was changed", p->path);
    if (unlink(p->path) == 0 || rename(p->path, "/tmp/stolen") == 0)
        return probe_open(why, "%s was removed", p->path);
    return true;
}

static bool is_absent(const struct property *p, char *why)
{
    struct stat st;
    return lstat(p->path, &st) < 0 || probe_open(why, "%s exists", p->path);
}

static bool is_empty_directory(const struct property *p, char *why)
{
    DIR *dir = opendir(p->path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            return probe_open(why, "%s/%s exists", p->path, entry->d_name);
    return dir == NULL ? probe_open(why, "%s can't be read", p->path) : closedir(dir) == 0;
}

static bool cannot_open(const struct property *p, char *why)
{
    return !probe_opens(p->path, O_RDWR | O_NOCTTY) || probe_open(why, "%s can be opened", p->path);
}

/* One line, whose third field is our id. */
static bool names_tenant_alone(const struct property *p, char *why)
{
    FILE *file = fopen(p->path, "re");
    char line[512] = "", more[512];
    bool one = file != NULL && fgets(line, sizeof line, file) != NULL &&
               fgets(more, sizeof more, file) == NULL;
    if (file != NULL)
        (void)fclose(file);
    const char *second = strchr(line, ':');
    const char *third = second != NULL ? strchr(second + 1, ':') : NULL;
    unsigned own = strcmp(p->path, "/etc/group") == 0 ? getgid() : getuid();
    if (!one || third == NULL || strtoul(third + 1, NULL, 10) != own)
        return probe_open(why, "%s", line);
    return true;
}

static bool has_expected_devices(const struct property *p, char *why)
{
    (void)p;
    static const char *const known[] = {"null", "zero", "full",  "random", "urandom",
                                        "tty",  "fd",   "stdin", "stdout", "stderr",
                                        "shm",  "pts",  "ptmx"};
    DIR *dir = opendir("/dev");
    if (dir == NULL)
        return probe_open(why, "/dev can't be read");
    bool fine = true;
    for (const struct dirent *entry; fine && (entry = readdir(dir)) != NULL;) {
        bool found = entry->d_name[0] == '.';
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(entry->d_name, known[i]) == 0;
        if (!found)
            fine = probe_open(why, "/dev/%s", entry->d_name);
    }
    closedir(dir);
    return fine;
}

static bool cannot_make_device(const struct property *p, char *why)
{
    mode_t kind = (mode_t)p->nr;
    if (mknod("/tmp/probe-node", kind | 0600, makedev(p->args[0], p->args[1])) == 0)
        return probe_open(why, "it was made");
    return true;
}

/* The tenant's own, of at most p->nr bytes. */
static bool is_private(const struct property *p, char *why)
{
    struct stat st;
    struct statvfs fs;
    if (stat(p->path, &st) < 0 || statvfs(p->path, &fs) < 0)
        return probe_open(why, "%s isn't there", p->path);
    if (st.st_uid != getuid() || (st.st_mode & 07777) != 0700)
        return probe_open(why, "owner %u, mode %04o", st.st_uid, st.st_mode & 07777U);
    if ((fs.f_flag & (ST_NOSUID | ST_NODEV)) != (ST_NOSUID | ST_NODEV))
        return probe_open(why, "flags 0x%lx", fs.f_flag);
    unsigned long long bytes = (unsigned long long)fs.f_blocks * fs.f_frsize;
    if (bytes == 0 || bytes > (unsigned long long)p->nr || fs.f_files == 0 || fs.f_files > 1 << 20)
        return probe_open(why, "%llu bytes, %llu inodes", bytes, (unsigned long long)fs.f_files);
    return true;
}

enum { SHM_SIZE = 64 << 20 };

static bool is_private_and_bounded(const struct property *p, char *why)
{
    struct property sized = *p;
    bool is_tmp = strcmp(p->path, "/tmp") == 0;
    sized.nr = is_tmp ? (long)probe_settings.tmp : SHM_SIZE;
    return is_private(&sized, why);
}

static bool starts_empty(const struct property *p, char *why)
{
    DIR *dir = opendir(p->path);
    if (dir == NULL)
        return probe_open(why, "%s can't be read", p->path);
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = probe_open(why, "%s/%s", p->path, entry->d_name);
    }
    closedir(dir);
    return empty;
}

static const char *get_home(void)
{
    const char *home = getenv("HOME");
    return home != NULL ? home : "/";
}

static bool is_written_by_policy(const char *path)
{
    if (!probe_settings.of_server)
        return strcmp(path, PROBE_WRITE) == 0;
    for (size_t i = 0; i < probe_settings.writes.n; i++) {
        const char *write = probe_settings.writes.paths[i];
        size_t len = strlen(write);
        /* What is mounted below it on the host is there, too. */
        if (strncmp(path, write, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            return true;
    }
    return false;
}

/* HOME is /tmp or the workspace. */
static bool is_writable_place(const char *path)
{
    return strcmp(path, "/tmp") == 0 || strcmp(path, "/dev/shm") == 0 ||
           strcmp(path, get_home()) == 0 || is_written_by_policy(path);
}

/* Walks the mount table: fields 5 and 6 of mountinfo, proc(5). */
static bool has_safe_mounts(const struct property *p, char *why)
{
    (void)p;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    bool fine = file != NULL || probe_open(why, "no mount table");
    while (fine && fgets(line, sizeof line, file) != NULL) {
        char point[1024], flags[256];
        if (sscanf(line, "%*s %*s %*s %*s %1023s %255s", point, flags) != 2)
            fine = probe_open(why, "%s", line);
        bool writable = is_writable_place(point);
        bool devices = strcmp(point, "/dev") == 0;
        if (fine &&
            (strstr(flags, "nosuid") == NULL || (!devices && strstr(flags, "nodev") == NULL) ||
             (!writable && strncmp(flags, "ro,", 3) != 0)))
            fine = probe_open(why, "%s is %s", point, flags);
    }
    if (file != NULL)
        (void)fclose(file);
    return fine;
}

static bool cannot_link_into_tmp(const struct property *p, char *why)
{
    (void)p;
    return link("/usr/bin/env", "/tmp/env") < 0 || probe_open(why, "/usr/bin/env was linked");
}

static bool has_no_way_up(const struct property *p, char *why)
{
    (void)p;
    struct stat root, up;
    if (stat("/", &root) < 0 || stat("/../../..", &up) < 0 || root.st_ino != up.st_ino ||
        root.st_dev != up.st_dev)
        return probe_open(why, "/.. isn't /");
    return true;
}

/* Landlock is asked before the capability is, and its refusal is another. */
static bool is_under_landlock(const struct property *p, char *why)
{
    (void)p;
    if (mknod("/tmp/probe-null", S_IFCHR | 0600, makedev(1, 3)) == 0)
        return probe_open(why, "a device was made");
    return errno == EACCES || probe_open(why, "errno %d", errno);
}

static bool cannot_open_other_root(const struct property *p, char *why)
{
    (void)p;
    static const char *const paths[] = {"/proc/1/root", "/proc/1/cwd"};
    struct stat root, up;
    if (stat("/", &root) < 0 || stat("/proc/self/root/..", &up) < 0 || root.st_ino != up.st_ino ||
        root.st_dev != up.st_dev)
        return probe_open(why, "/proc/self/root/..");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (probe_opens(paths[i], O_RDONLY))
            return probe_open(why, "%s", paths[i]);
    }
    return true;
}

static bool has_bounded_home(const struct property *p, char *why)
{
    struct property home = *p;
    home.path = get_home();
    home.nr = (long)(strcmp(home.path, "/tmp") == 0 ? probe_settings.tmp : probe_settings.home);
    return is_private(&home, why);
}

static bool starts_with_empty_home(const struct property *p, char *why)
{
    struct property home = *p;
    home.path = get_home();
    return starts_empty(&home, why);
}

/* If there is one: its own mount, without devices, from which nothing else can be had. */
static bool has_confined_bind(const struct property *p, char *why)
{
    struct statvfs fs;
    struct stat st;
    char path[4200];
    if (stat(p->path, &st) < 0 || statvfs(p->path, &fs) < 0)
        return errno == ENOENT || errno == EACCES ||
               probe_open(why, "%s: errno %d", p->path, errno);
    if ((fs.f_flag & (ST_NOSUID | ST_NODEV)) != (ST_NOSUID | ST_NODEV))
        return probe_open(why, "flags 0x%lx", fs.f_flag);
    if (!S_ISDIR(st.st_mode))
        return true;
    (void)snprintf(path, sizeof path, "%s/..", p->path);
    if (stat(path, &st) < 0 || (st.st_mode & S_IFMT) != S_IFDIR || st.st_uid != 0)
        return probe_open(why, "what is above it isn't the sandbox's");
    (void)snprintf(path, sizeof path, "%s/probe-was-here", p->path);
    bool device = mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0;
    bool linked = !device && link("/usr/bin/env", path) == 0;
    if (device || linked)
        (void)unlink(path);
    return (!device && !linked) ||
           probe_open(why, device ? "a device was made" : "a program was linked");
}

static bool is_empty_and_fixed(const struct property *p, char *why)
{
    struct stat st;
    if (stat(p->path, &st) < 0)
        return errno == ENOENT || probe_open(why, "errno %d", errno);
    if (S_ISDIR(st.st_mode))
        return starts_empty(p, why) && cannot_create_in(p, why) &&
               (rmdir(p->path) < 0 || probe_open(why, "it was removed"));
    return (st.st_size == 0 || probe_open(why, "%ld bytes", (long)st.st_size)) &&
           cannot_change(p, why);
}

/* By the owner of a file, on a file system that knows them. */
static bool cannot_set_attribute(const struct property *p, char *why)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/probe-attr", get_home());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct fsxattr attr = {.fsx_projid = 0};
    int flags = 0;
    void *arg = p->nr == FS_IOC_FSSETXATTR ? (void *)&attr : (void *)&flags;
    bool refused = fd >= 0 && ioctl(fd, (unsigned long)p->nr, arg) < 0 && errno == EPERM;
    if (fd >= 0)
        close(fd);
    (void)unlink(path);
    return refused || probe_open(why, "fd %d, errno %d", fd, errno);
}

static const struct property properties[] = {
    PROPERTY("root-read-only", "/ can't be written", cannot_create_in, .path = "/"),
    PROPERTY("usr-read-only", "/usr can't be written", cannot_create_in, .path = "/usr"),
    PROPERTY("bin-read-only", "/usr/bin can't be written", cannot_create_in, .path = "/usr/bin"),
    PROPERTY("etc-read-only", "/etc can't be written", cannot_create_in, .path = "/etc"),
    PROPERTY("run-read-only", "/run can't be written", cannot_create_in, .path = "/run"),
    PROPERTY("dev-read-only", "/dev can't be written", cannot_create_in, .path = "/dev"),
    PROPERTY("var-read-only", "/var can't be written", cannot_create_in, .path = "/var"),
    PROPERTY("bind-read-only", "what policy binds can't be written", cannot_create_in,
             .path = "/opt/confine", .of_tests = true),
    PROPERTY("program-fixed", "programs can't be changed or removed", cannot_change,
             .path = "/usr/bin/env"),
    PROPERTY("passwd-fixed", "passwd can't be changed or removed", cannot_change,
             .path = "/run/passwd"),
    PROPERTY("passwd-tenant", "passwd names the tenant alone", names_tenant_alone,
             .path = "/etc/passwd"),
    PROPERTY("group-tenant", "group names the tenant alone", names_tenant_alone,
             .path = "/etc/group"),
    PROPERTY("no-shadow", "no password hashes", is_absent, .path = "/etc/shadow"),
    PROPERTY("no-gshadow", "no group password hashes", is_absent, .path = "/etc/gshadow"),
    PROPERTY("no-ssh-keys", "no host keys of the ssh server", is_absent, .path = "/etc/ssh"),
    PROPERTY("no-policy", "no policy of the server", is_absent, .path = "/etc/postern"),
    PROPERTY("no-machine-id", "no identity of the machine", is_absent, .path = "/etc/machine-id"),
    PROPERTY("no-home", "no home directories", is_absent, .path = "/home"),
    PROPERTY("no-root-home", "no home of root", is_absent, .path = "/root"),
    PROPERTY("no-boot", "no kernels", is_absent, .path = "/boot"),
    PROPERTY("no-var-lib", "no state of the host's services", is_absent, .path = "/var/lib"),
    PROPERTY("no-var-log", "no logs", is_absent, .path = "/var/log"),
    PROPERTY("no-sysfs", "no /sys, and so no cgroup file system", is_absent, .path = "/sys"),
    PROPERTY("no-ptys", "no terminals of the host", is_empty_directory, .path = "/dev/pts"),
    PROPERTY("no-ptmx", "no new terminals", cannot_open, .path = "/dev/ptmx"),
    PROPERTY("devices", "the devices are the harmless ones", has_expected_devices),
    PROPERTY("no-disk-node", "a disk's node can't be made", cannot_make_device, .nr = S_IFBLK,
             .args = {8, 0}),
    PROPERTY("no-memory-node", "a memory device's node can't be made", cannot_make_device,
             .nr = S_IFCHR, .args = {1, 1}),
    PROPERTY("tmp-private", "/tmp is the tenant's own, of bounded size", is_private_and_bounded,
             .path = "/tmp"),
    PROPERTY("tmp-empty", "/tmp holds nothing of other execs", starts_empty, .path = "/tmp"),
    PROPERTY("shm-private", "/dev/shm is the tenant's own, of bounded size", is_private_and_bounded,
             .path = "/dev/shm"),
    PROPERTY("shm-empty", "/dev/shm holds nothing of other execs", starts_empty,
             .path = "/dev/shm"),
    PROPERTY("home-private", "HOME is the tenant's own, of bounded size", has_bounded_home),
    PROPERTY("home-empty", "HOME holds nothing of others", starts_with_empty_home),
    PROPERTY("write-confined", "a writable bind has no devices, and no way up or in",
             has_confined_bind, .path = PROBE_WRITE, .of_tests = true),
    PROPERTY("beside-read-only", "what lies beside a writable bind can't be written",
             cannot_create_in, .path = "/srv", .of_tests = true),
    PROPERTY("read-beside-write", "nor can another bind", cannot_create_in, .path = PROBE_BESIDE,
             .of_tests = true),
    PROPERTY("hidden-directory", "a hidden directory is empty, and stays there", is_empty_and_fixed,
             .path = PROBE_HIDDEN_DIR, .of_tests = true),
    PROPERTY("hidden-file", "a hidden file is empty, and stays there", is_empty_and_fixed,
             .path = PROBE_HIDDEN_FILE, .of_tests = true),
    PROPERTY("leave-project", "no file leaves the project whose quota bounds it",
             cannot_set_attribute, .nr = FS_IOC_FSSETXATTR),
    PROPERTY("file-flags", "no file flags, by which it could leave it, too", cannot_set_attribute,
             .nr = FS_IOC_SETFLAGS),
    PROPERTY("mounts",
             "every mount is nosuid and nodev, and read-only but for what is private or "
             "policy lets it write",
             has_safe_mounts),
    PROPERTY("hard-links", "host files can't be linked into /tmp", cannot_link_into_tmp),
    PROPERTY("way-up", "/.. leads nowhere", has_no_way_up),
    PROPERTY("other-roots", "no process offers another root", cannot_open_other_root),
    PROPERTY("landlock", "Landlock rules apply", is_under_landlock),
};

struct property_list probe_files(void)
{
    return (struct property_list){properties, sizeof properties / sizeof *properties, "files"};
}

static bool cannot_write_place(const struct property *p, char *why)
{
    struct stat st;
    if (stat(p->path, &st) < 0)
        return true;
    return S_ISDIR(st.st_mode) ? cannot_create_in(p, why) : cannot_change(p, why);
}

static void add_places(struct property_list *list, struct property *items,
                       const struct probe_places *places, const struct property *like)
{
    static char texts[3 * PLACES_MAX][PLACE_TEXT_MAX];
    for (size_t i = 0; i < places->n; i++) {
        struct property *property = &items[list->n];
        char *text = texts[list->n++];
        *property = *like;
        property->path = places->paths[i];
        (void)snprintf(text, PLACE_TEXT_MAX, "%.100s %s", property->path, like->text);
        property->text = text;
    }
}

struct property_list probe_places(void)
{
    static struct property items[3 * PLACES_MAX];
    static const struct property read = PROPERTY("read", "can't be written", cannot_write_place),
                                 write = PROPERTY("write", "has no devices, and no way up or in",
                                                  has_confined_bind),
                                 hide = PROPERTY("hide", "is empty, and stays there",
                                                 is_empty_and_fixed);
    struct property_list list = {items, 0, "files"};
    add_places(&list, items, &probe_settings.reads, &read);
    add_places(&list, items, &probe_settings.writes, &write);
    add_places(&list, items, &probe_settings.hides, &hide);
    return list;
}
