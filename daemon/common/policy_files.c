#include "policy_files.h"
#include "cleanup.h"
#include "signature.h"
#include "syscalls.h"
#include "trusted_path.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* All of the file, into max + 1 bytes: it may have grown since it was checked. */
static int read_all(int fd, char *data, size_t max, size_t *len, struct err *err)
{
    *len = 0;
    for (;;) {
        ssize_t n = read(fd, data + *len, max + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "can't be read");
        if (n == 0)
            return 0;
        *len += (size_t)n;
        if (*len > max)
            return err_set(err, 0, "changed while it was read");
    }
}

static int read_file(void *user, const char *path, size_t max, uid_t owner, char **data,
                     size_t *len, struct err *err)
{
    (void)user;
    cleanup_fd int fd = -1;
    struct stat st;
    if (trusted_path_open_file(path, owner, &fd, &st, err) < 0)
        return -1;
    if ((uint64_t)st.st_size > max)
        return err_set(err, 0, "longer than %zu bytes", max);
    size_t size = (size_t)st.st_size;
    cleanup_free char *buf = malloc(size + 1);
    if (buf == NULL)
        return err_set(err, ENOMEM, "can't be read");
    if (read_all(fd, buf, size, len, err) < 0)
        return -1;
    *data = steal_ptr(buf);
    return 0;
}

static bool is_wanted(const char *name, const char *suffix)
{
    size_t len = strlen(name);
    size_t n = strlen(suffix);
    if (name[0] == '.' || name[0] == '#' || strstr(name, ".dpkg-") != NULL)
        return false;
    /* Other backups ("x.ini~", "x.ini.bak") don't end as they should. */
    return len > n && strcmp(name + len - n, suffix) == 0;
}

static int add_name(struct str_list *names, const char *name)
{
    char **items = realloc(names->items, (names->n + 1) * sizeof *items);
    if (items == NULL)
        return -1;
    names->items = items;
    items[names->n] = strdup(name);
    if (items[names->n] == NULL)
        return -1;
    names->n++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, const char *suffix, struct str_list *names, struct err *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL && errno != 0)
            return err_set(err, errno, "can't be read");
        if (entry == NULL)
            return 0;
        if (is_wanted(entry->d_name, suffix) && add_name(names, entry->d_name) < 0)
            return err_set(err, ENOMEM, "can't be read");
    }
}

static void free_names(struct str_list *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct str_list){0};
}

static int list_dir(void *user, const char *path, const char *suffix, uid_t owner,
                    struct str_list *names, struct err *err)
{
    (void)user;
    *names = (struct str_list){0};
    struct stat st;
    int fd = -1;
    /* A link to nowhere, or into it, is no directory that merely isn't there. */
    if (trusted_path_open_dir(path, owner, &fd, err) < 0)
        return err->num == ENOENT && lstat(path, &st) < 0 ? 0 : -1;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close_fd(&fd);
        return err_set(err, errno, "can't be read");
    }
    int rc = read_names(dir, suffix, names, err);
    closedir(dir);
    if (rc < 0)
        free_names(names);
    else if (names->n > 1)
        qsort(names->items, names->n, sizeof *names->items, compare_names);
    return rc;
}

static int find_user(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err)
{
    (void)user;
    char buf[16384];
    struct passwd pwd;
    struct passwd *found = NULL;
    int num = getpwnam_r(name, &pwd, buf, sizeof buf, &found);
    if (num != 0)
        return err_set(err, num, "user '%s' can't be looked up", name);
    if (found == NULL)
        return err_set(err, 0, "there is no user '%s' on this host", name);
    *uid = found->pw_uid;
    if (gid != NULL)
        *gid = found->pw_gid;
    return 0;
}

static int find_group(void *user, const char *name, gid_t *gid, struct err *err)
{
    (void)user;
    char buf[16384];
    struct group group;
    struct group *found = NULL;
    int num = getgrnam_r(name, &group, buf, sizeof buf, &found);
    /* A group whose members do not fit is there all the same. */
    if (num == ERANGE)
        return err_set(err, 0, "group '%s' has too many members to be looked up", name);
    if (num != 0)
        return err_set(err, num, "group '%s' can't be looked up", name);
    if (found == NULL)
        return err_set(err, 0, "there is no group '%s' on this host", name);
    *gid = found->gr_gid;
    return 0;
}

/* EVP_sha256() would be looked up anew for each of a hundred thousand digests. */
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_algorithm;

static void fetch_sha256(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int sha256(const void *data, size_t len, unsigned char out[32])
{
    if (pthread_once(&sha256_once, fetch_sha256) != 0 || sha256_algorithm == NULL)
        return -1;
    return EVP_Digest(data, len, out, NULL, sha256_algorithm, NULL) == 1 ? 0 : -1;
}

/* No more than an old way to name a key, in lists of revoked ones. */
static int sha1(const void *data, size_t len, unsigned char out[20])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) == 1 ? 0 : -1;
}

static int random_bytes(void *buf, size_t len)
{
    return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

const struct policy_host policy_files_host = {
    .read_file = read_file,
    .list_dir = list_dir,
    .find_user = find_user,
    .find_group = find_group,
    .syscall_number = syscall_number,
    .sha256 = sha256,
    .sha1 = sha1,
    .random_bytes = random_bytes,
    .verify = signature_verify,
};
