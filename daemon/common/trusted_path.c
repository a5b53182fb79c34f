#include "trusted_path.h"
#include "cleanup.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of a path in a message: one that stands in it twice has to fit into struct err. */
enum { SHOWN_MAX = 200 };

struct walk {
    uid_t owner;
    int dir;     /* O_PATH of the directory that was reached and judged, or -1 */
    bool shared; /* it is sticky: untrusted users may add names to it */
    bool is_leaf;
    struct stat st; /* of the leaf: what was reached and is no directory; it is in `dir` */
    unsigned n_links;
    char where[PATH_MAX]; /* what was reached, without links; "" is the root */
    char rest[PATH_MAX];  /* what is still to be walked */
};

static bool is_trusted(const struct walk *w, uid_t uid)
{
    return uid == 0 || uid == geteuid() || uid == w->owner;
}

/* The place to blame, as an administrator's shell would take it. */
static const char *show_place(const struct walk *w, char buf[SHOWN_MAX])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "/._-+,:@%=";
    const char *place = w->where[0] == '\0' ? "/" : w->where;
    char escaped[SHOWN_MAX - 2];
    text_escape_str(escaped, sizeof escaped, place);
    bool quote = strspn(place, plain) != strlen(place);
    (void)snprintf(buf, SHOWN_MAX, quote ? "'%s'" : "%s", escaped);
    return buf;
}

/* "PLACE VERB ", or nothing if that is the path itself: the caller's message names it. */
static const char *subject(const struct walk *w, const char *verb, char buf[SHOWN_MAX + 8])
{
    char place[SHOWN_MAX];
    buf[0] = '\0';
    if (w->n_links > 0 || w->rest[0] != '\0')
        (void)snprintf(buf, SHOWN_MAX + 8, "%s%s ", show_place(w, place), verb);
    return buf;
}

static int fail(const struct walk *w, int num, const char *what, struct err *err)
{
    char who[SHOWN_MAX + 8];
    return err_set(err, num, "%s%s", subject(w, "", who), what);
}

static int refuse(const struct walk *w, const char *what, struct err *err)
{
    char who[SHOWN_MAX + 8];
    return err_set(err, 0, "%s%s", subject(w, " is", who), what);
}

static int refuse_owner(const struct walk *w, uid_t uid, bool is_link, struct err *err)
{
    char who[SHOWN_MAX + 8];
    char place[SHOWN_MAX];
    char name[64] = "";
    char buf[4096];
    struct passwd pwd;
    struct passwd *found = NULL;
    if (getpwuid_r(uid, &pwd, buf, sizeof buf, &found) == 0 && found != NULL) {
        char shown[40];
        (void)snprintf(name, sizeof name, " (%s)",
                       text_escape_str(shown, sizeof shown, found->pw_name));
    }
    err_set(err, 0, "%s%sowned by uid %u%s: chown %sroot %s", subject(w, " is", who),
            is_link ? "a link " : "", uid, name, is_link ? "-h " : "", show_place(w, place));
    err->num = EPERM;
    return -1;
}

static int refuse_mode(const struct walk *w, mode_t mode, struct err *err)
{
    static const struct {
        mode_t bits;
        const char *who;
        const char *letters;
    } kinds[] = {{S_IWGRP | S_IWOTH, "group and others", "go"},
                 {S_IWGRP, "group", "g"},
                 {S_IWOTH, "others", "o"}};
    char who[SHOWN_MAX + 8];
    char place[SHOWN_MAX];
    size_t i = 0;
    while ((mode & kinds[i].bits) != kinds[i].bits)
        i++;
    return err_set(err, 0, "%swritable by %s (mode %03o): chmod %s-w %s", subject(w, " is", who),
                   kinds[i].who, mode & 07777, kinds[i].letters, show_place(w, place));
}

/*
 * Whoever may write a policy file, or exchange it, decides who runs what. An ACL needs no look of
 * its own: where there is one, the group bits are its mask, the most that it grants to anybody but
 * owner and others (acl(5)).
 */
static int judge(const struct walk *w, const struct stat *st, struct err *err)
{
    bool is_sticky_dir = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0;
    if (!is_trusted(w, st->st_uid))
        return refuse_owner(w, st->st_uid, false, err);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_sticky_dir)
        return refuse_mode(w, st->st_mode, err);
    /* A file of root's under a name that somebody else may have given it. */
    if (w->shared && !S_ISDIR(st->st_mode) && st->st_nlink > 1)
        return refuse(w, "a hard link in a directory that others may write: put a copy there", err);
    return 0;
}

/* A link can't be written, only replaced: what its directory allows counts, not its mode. */
static int judge_link(const struct walk *w, const struct stat *st, struct err *err)
{
    if (w->shared && !is_trusted(w, st->st_uid))
        return refuse_owner(w, st->st_uid, true, err);
    return 0;
}

static int go_to_root(struct walk *w, struct err *err)
{
    struct stat st;
    close_fd(&w->dir);
    w->where[0] = '\0';
    w->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->dir < 0 || fstat(w->dir, &st) < 0)
        return fail(w, errno, "can't be opened", err);
    w->shared = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    return judge(w, &st, err);
}

/* Puts `head` before what is still to be walked. */
static int prepend(struct walk *w, const char *head, struct err *err)
{
    size_t head_len = strlen(head);
    size_t rest_len = strlen(w->rest);
    size_t slash = rest_len > 0 ? 1 : 0;
    if (head_len + slash + rest_len >= sizeof w->rest)
        return fail(w, ENAMETOOLONG, "can't be opened", err);
    memmove(w->rest + head_len + slash, w->rest, rest_len + 1);
    memcpy(w->rest, head, head_len);
    if (slash > 0)
        w->rest[head_len] = '/';
    return 0;
}

static void leave_name(struct walk *w)
{
    char *slash = strrchr(w->where, '/');
    if (slash != NULL)
        *slash = '\0';
}

static int enter_name(struct walk *w, const char *name, struct err *err)
{
    size_t len = strlen(w->where);
    int n = snprintf(w->where + len, sizeof w->where - len, "/%s", name);
    if (n > 0 && (size_t)n < sizeof w->where - len)
        return 0;
    w->where[len] = '\0';
    return fail(w, ENAMETOOLONG, "can't be opened", err);
}

static int follow(struct walk *w, int link_fd, const struct stat *st, struct err *err)
{
    char target[PATH_MAX];
    if (judge_link(w, st, err) < 0)
        return -1;
    if (++w->n_links > TRUSTED_LINKS_MAX)
        return fail(w, ELOOP, "can't be opened", err);
    ssize_t n = readlinkat(link_fd, "", target, sizeof target);
    if (n <= 0 || (size_t)n == sizeof target)
        return fail(w, n < 0 ? errno : ENAMETOOLONG, "can't be read", err);
    target[n] = '\0';
    leave_name(w);
    if (prepend(w, target, err) < 0)
        return -1;
    return target[0] == '/' ? go_to_root(w, err) : 0;
}

/* Cuts the next name off what is still to be walked; false if there is none. */
static bool next_name(struct walk *w, char name[PATH_MAX])
{
    const char *begin = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(begin, "/");
    memcpy(name, begin, len);
    name[len] = '\0';
    memmove(w->rest, begin + len, strlen(begin + len) + 1);
    return len > 0;
}

static int step(struct walk *w, const char *name, struct err *err)
{
    bool is_up = strcmp(name, "..") == 0;
    struct stat st;
    if (strcmp(name, ".") == 0)
        return 0;
    if (is_up)
        leave_name(w);
    else if (enter_name(w, name, err) < 0)
        return -1;
    cleanup_fd int fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(w, errno, "can't be opened", err);
    if (S_ISLNK(st.st_mode))
        return follow(w, fd, &st, err);
    if (!S_ISDIR(st.st_mode)) {
        if (w->rest[0] != '\0')
            return fail(w, ENOTDIR, "can't be entered", err);
        w->is_leaf = true;
        w->st = st;
        return 0;
    }
    if (judge(w, &st, err) < 0)
        return -1;
    w->shared = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    close_fd(&w->dir);
    w->dir = steal_fd(&fd);
    return 0;
}

static int walk_path(struct walk *w, const char *path, struct err *err)
{
    char name[PATH_MAX];
    if (path[0] == '\0')
        return err_set(err, ENOENT, "can't be opened");
    if (prepend(w, path, err) < 0)
        return -1;
    if (path[0] != '/') {
        char cwd[PATH_MAX];
        if (getcwd(cwd, sizeof cwd) == NULL)
            return err_set(err, errno, "the current directory can't be examined");
        if (cwd[0] != '/') /* "(unreachable)/…" */
            return err_set(err, ENOENT, "the current directory can't be reached");
        if (prepend(w, cwd, err) < 0)
            return -1;
    }
    int rc = go_to_root(w, err);
    while (rc == 0 && next_name(w, name))
        rc = step(w, name, err);
    return rc;
}

/* What was judged is opened for reading, and judged once more: it may be another by now. */
static int open_leaf(const struct walk *w, int *fd, struct stat *st, struct err *err)
{
    const char *name = strrchr(w->where, '/');
    /* Nothing but a regular file is even opened: a fifo would block, a device might act. */
    if (name == NULL || !w->is_leaf || !S_ISREG(w->st.st_mode))
        return refuse(w, "not a regular file", err);
    cleanup_fd int opened =
        openat(w->dir, name + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened < 0 || fstat(opened, st) < 0)
        return fail(w, errno, "can't be opened", err);
    if (!S_ISREG(st->st_mode))
        return refuse(w, "not a regular file", err);
    if (judge(w, st, err) < 0)
        return -1;
    *fd = steal_fd(&opened);
    return 0;
}

int trusted_path_open_file(const char *path, uid_t owner, int *fd, struct stat *st, struct err *err)
{
    struct walk w = {.owner = owner, .dir = -1};
    int rc = walk_path(&w, path, err);
    if (rc == 0)
        rc = open_leaf(&w, fd, st, err);
    close_fd(&w.dir);
    return rc;
}

int trusted_path_open_dir(const char *path, uid_t owner, int *fd, struct err *err)
{
    struct walk w = {.owner = owner, .dir = -1};
    int rc = walk_path(&w, path, err);
    if (rc == 0 && w.is_leaf)
        rc = refuse(&w, "not a directory", err);
    if (rc == 0 && (*fd = openat(w.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = fail(&w, errno, "can't be opened", err);
    close_fd(&w.dir);
    return rc;
}
