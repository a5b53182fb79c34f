#include "etc.h"

#include "cleanup.h"
#include "layout.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Directories that programs in /usr can't do without and that hold nothing of the host's. */
static const char *const bound[] = {"etc/alternatives", "etc/ssl/certs", "etc/fonts"};

static const char *const copied[] = {
    "debian_version", "ld.so.cache", "locale.alias",    "mime.types",
    "protocols",      "services",    "ssl/openssl.cnf", "timezone",
};

static const struct {
    const char *path;
    const char *text;
} synthetic[] = {
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                          "networks: files\nprotocols: files\nservices: files\n"},
    {"etc/hostname", "postern\n"},
    {"etc/shells", "/bin/sh\n/bin/bash\n"},
};

/* Who the sandbox is, and who else there is, is not for the system's directory to say. */
static const char *const own[] = {
    "etc/passwd",  "etc/passwd-",  "etc/group", "etc/group-",      "etc/shadow",   "etc/shadow-",
    "etc/gshadow", "etc/gshadow-", "etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab",
};

static const char hosts[] = "127.0.0.1 localhost postern\n::1 localhost ip6-localhost\n";

bool etc_is_own(const char *path)
{
    size_t i = 0;
    while (i < array_len(own) && strcmp(path, own[i]) != 0)
        i++;
    return i < array_len(own);
}

static int open_bind(struct etc *etc, const char *path, struct err *err)
{
    if (etc->n_binds == ETC_BINDS_MAX)
        return err_set(err, 0, "/%s: too many directories for /etc", path);
    char source[sizeof etc->binds->path + 1];
    int n = snprintf(source, sizeof source, "/%s", path);
    if (n < 0 || (size_t)n >= sizeof source)
        return err_set(err, ENAMETOOLONG, "/%s", path);
    int tree = -1;
    bool is_dir = false;
    if (tree_clone(source, TREE_READ, true, &tree, &is_dir, err) < 0)
        return -1;
    if (tree < 0 || !is_dir) {
        close_fd(&tree);
        return 0;
    }
    memcpy(etc->binds[etc->n_binds].path, source + 1, (size_t)n);
    etc->binds[etc->n_binds++].tree = tree;
    return 0;
}

/* Debian's Java runtimes are links from /usr into /etc/java-N-openjdk. */
static int open_java(struct etc *etc, struct err *err)
{
    DIR *dir = opendir("/etc");
    if (dir == NULL)
        return err_set(err, errno, "/etc");
    int rc = 0;
    for (const struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        char path[NAME_MAX + 8];
        int n = snprintf(path, sizeof path, "etc/%s", entry->d_name);
        if (strncmp(entry->d_name, "java-", 5) == 0 && n > 0)
            rc = open_bind(etc, path, err);
    }
    closedir(dir);
    return rc;
}

int etc_open(struct etc *etc, struct err *err)
{
    *etc = (struct etc){0};
    for (size_t i = 0; i < array_len(bound); i++) {
        if (open_bind(etc, bound[i], err) < 0)
            return -1;
    }
    return open_java(etc, err);
}

void etc_close(struct etc *etc)
{
    for (size_t i = 0; i < etc->n_binds; i++)
        close_fd(&etc->binds[i].tree);
    etc->n_binds = 0;
}

/* The zone by its name where it has one, since programs read that from the link. */
static int build_localtime(int root, struct err *err)
{
    char target[PATH_MAX];
    ssize_t n = readlink("/etc/localtime", target, sizeof target - 1);
    if (n > 0) {
        target[n] = '\0';
        const char *zone = strstr(target, "/usr/share/zoneinfo/");
        if (zone != NULL && strstr(zone, "/../") == NULL)
            return tree_link(root, "etc/localtime", zone, err);
    }
    return tree_copy(root, "etc/localtime", "/etc/localtime", err);
}

/* Names are looked up outside only by those who may go outside. */
static int build_names(int root, const struct sandbox_spec *spec, struct err *err)
{
    if (SPEC_SHARES_NETWORK(spec)) {
        if (tree_copy(root, "etc/resolv.conf", "/etc/resolv.conf", err) < 0)
            return -1;
        return tree_copy(root, "etc/hosts", "/etc/hosts", err);
    }
    if (tree_file(root, "etc/resolv.conf", "", 0, 0644, err) < 0)
        return -1;
    return tree_file(root, "etc/hosts", hosts, sizeof hosts - 1, 0644, err);
}

static int copy_files(int root, struct err *err)
{
    for (size_t i = 0; i < array_len(copied); i++) {
        char source[64];
        int n = snprintf(source, sizeof source, "/etc/%s", copied[i]);
        if (n < 0 || (size_t)n >= sizeof source)
            return err_set(err, ENAMETOOLONG, "/etc/%s", copied[i]);
        if (tree_copy(root, source + 1, source, err) < 0)
            return -1;
    }
    return 0;
}

int etc_complete(int root, const struct sandbox_spec *spec, struct err *err)
{
    for (size_t i = 0; i < array_len(synthetic); i++) {
        const char *path = synthetic[i].path, *text = synthetic[i].text;
        cleanup_fd int there = -1;
        struct err why;
        if (tree_open(root, path, &there, &why) < 0 && why.num == ENOENT &&
            tree_file(root, path, text, strlen(text), 0644, err) < 0)
            return -1;
    }
    if (tree_link(root, "etc/passwd", PASSWD_LINK, err) < 0 ||
        tree_link(root, "etc/group", GROUP_LINK, err) < 0 ||
        tree_link(root, "etc/mtab", "../proc/self/mounts", err) < 0)
        return -1;
    return build_names(root, spec, err);
}

int etc_build(const struct etc *etc, int root, const struct sandbox_spec *spec, struct err *err)
{
    if (tree_link(root, "etc/os-release", "../usr/lib/os-release", err) < 0 ||
        copy_files(root, err) < 0 || build_localtime(root, err) < 0 ||
        etc_complete(root, spec, err) < 0)
        return -1;
    for (size_t i = 0; i < etc->n_binds; i++) {
        if (tree_attach(root, etc->binds[i].path, etc->binds[i].tree, true, err) < 0)
            return -1;
    }
    return 0;
}
