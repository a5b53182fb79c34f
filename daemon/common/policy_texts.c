#include "policy_texts.h"
#include "cleanup.h"
#include "diag.h"
#include "policy_files.h"
#include "pool.h"
#include "strmap.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    TEXTS_VERSION = 1,
    TEXTS_MAX = 1 << 30,
    NAME_MAX_BYTES = 2 * PATH_MAX,
    FLUSH_BYTES = 1 << 16,
};

/* What was asked; it begins the key of an answer. */
enum asked { ASKED_FILE = 'f', ASKED_DIR = 'd', ASKED_USER = 'u', ASKED_GROUP = 'g' };

/* An answer: key, whether it was a refusal, its errno and text, then what was found. */
struct policy_texts {
    struct policy_host host;
    const struct policy_host *asked;
    int fd; /* where it is kept */
    size_t kept;
    struct wire_writer w; /* what is not there yet */
    struct pool pool;
    struct strmap keys; /* written down already */
};

/* A load from answers. */
struct replay {
    struct policy_host host;
    struct wire_bytes map;
    struct pool pool;
    struct strmap keys; /* where in the map what follows a key begins */
};

static void make_key(char key[NAME_MAX_BYTES], enum asked asked, const char *what,
                     const char *suffix)
{
    /* What is cut short is not found again, and the load refused. */
    (void)snprintf(key, NAME_MAX_BYTES, "%c%s*%s", (char)asked, what, suffix);
}

/* All of a large policy would be much to hold. What fails here, sealing finds. */
static void flush(struct policy_texts *texts)
{
    const unsigned char *at = texts->w.buf;
    size_t left = texts->w.len;
    while (left > 0 && !texts->w.overflow) {
        ssize_t n = write(texts->fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            texts->w.overflow = true;
            return;
        }
        at += n;
        left -= (size_t)n;
    }
    texts->kept += texts->w.len;
    texts->w.len = 0;
}

/* The first answer counts. False: there is one already, or no memory, which sealing finds. */
static bool begin(struct policy_texts *texts, const char *key, int rc, const struct err *err)
{
    size_t seen;
    if (strmap_get(&texts->keys, key, &seen))
        return false;
    if (texts->w.len > FLUSH_BYTES)
        flush(texts);
    const char *own = pool_strdup(&texts->pool, key);
    if (own == NULL || strmap_put(&texts->pool, &texts->keys, own, 0) < 0) {
        texts->w.overflow = true;
        return false;
    }
    wire_put_str(&texts->w, key);
    wire_put_u8(&texts->w, rc < 0);
    wire_put_u32(&texts->w, rc < 0 ? (uint32_t)err->num : 0);
    wire_put_str(&texts->w, rc < 0 ? err->text : "");
    return true;
}

static int record_file(void *user, const char *path, size_t max, uid_t owner, char **data,
                       size_t *len, struct err *err)
{
    struct policy_texts *texts = user;
    char key[NAME_MAX_BYTES];
    struct err local = {0};
    int rc = texts->asked->read_file(texts->asked->user, path, max, owner, data, len, &local);
    make_key(key, ASKED_FILE, path, "");
    if (begin(texts, key, rc, &local)) {
        struct wire_bytes text = {NULL, 0};
        if (rc == 0)
            text = (struct wire_bytes){(unsigned char *)*data, *len};
        wire_put_bytes(&texts->w, text);
    }
    if (rc < 0 && err != NULL)
        *err = local;
    return rc;
}

static int record_dir(void *user, const char *path, const char *suffix, uid_t owner,
                      struct str_list *names, struct err *err)
{
    struct policy_texts *texts = user;
    char key[NAME_MAX_BYTES];
    struct err local = {0};
    int rc = texts->asked->list_dir(texts->asked->user, path, suffix, owner, names, &local);
    make_key(key, ASKED_DIR, path, suffix);
    if (begin(texts, key, rc, &local)) {
        wire_put_u32(&texts->w, rc < 0 ? 0 : (uint32_t)names->n);
        for (size_t i = 0; rc == 0 && i < names->n; i++)
            wire_put_str(&texts->w, names->items[i]);
    }
    if (rc < 0 && err != NULL)
        *err = local;
    return rc;
}

static int record_user(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err)
{
    struct policy_texts *texts = user;
    char key[NAME_MAX_BYTES];
    struct err local = {0};
    uid_t found_uid = 0;
    gid_t found_gid = 0;
    int rc = texts->asked->find_user(texts->asked->user, name, &found_uid, &found_gid, &local);
    make_key(key, ASKED_USER, name, "");
    if (begin(texts, key, rc, &local)) {
        wire_put_u32(&texts->w, found_uid);
        wire_put_u32(&texts->w, found_gid);
    }
    if (rc < 0 && err != NULL)
        *err = local;
    if (rc < 0)
        return rc;
    *uid = found_uid;
    if (gid != NULL)
        *gid = found_gid;
    return 0;
}

static int record_group(void *user, const char *name, gid_t *gid, struct err *err)
{
    struct policy_texts *texts = user;
    char key[NAME_MAX_BYTES];
    struct err local = {0};
    gid_t found = 0;
    int rc = texts->asked->find_group(texts->asked->user, name, &found, &local);
    make_key(key, ASKED_GROUP, name, "");
    if (begin(texts, key, rc, &local))
        wire_put_u32(&texts->w, found);
    if (rc < 0 && err != NULL)
        *err = local;
    if (rc == 0)
        *gid = found;
    return rc;
}

/* Whatever else the loader asks of the host has to be written down, too. */
_Static_assert(sizeof(struct policy_host) == 10 * sizeof(void *), "a new question is to be kept");

struct policy_texts *policy_texts_new(const struct policy_host *host)
{
    struct policy_texts *texts = calloc(1, sizeof *texts);
    if (texts == NULL)
        return NULL;
    texts->fd = memfd_create("postern-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (texts->fd < 0)
        texts->w.overflow = true;
    texts->asked = host;
    texts->host = *host;
    texts->host.user = texts;
    texts->host.read_file = record_file;
    texts->host.list_dir = record_dir;
    texts->host.find_user = record_user;
    texts->host.find_group = record_group;
    texts->w.grows = true;
    wire_put_u32(&texts->w, TEXTS_VERSION);
    return texts;
}

void policy_texts_free(struct policy_texts *texts)
{
    if (texts == NULL)
        return;
    pool_free(&texts->pool);
    free(texts->w.buf);
    close_fd(&texts->fd);
    free(texts);
}

const struct policy_host *policy_texts_host(struct policy_texts *texts)
{
    return &texts->host;
}

int policy_texts_seal(struct policy_texts *texts, int *out, struct err *err)
{
    flush(texts);
    if (texts->w.overflow || texts->kept > TEXTS_MAX)
        return err_set(err, ENOMEM, "what the policy was read from");
    if (fcntl(texts->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return err_set(err, errno, "seal what the policy was read from");
    *out = steal_fd(&texts->fd);
    return 0;
}

/* Reads an answer's beginning. False, and err says so, if there is none, or was a refusal. */
static bool find(struct replay *replay, const char *key, struct wire_reader *r, struct err *err)
{
    size_t at;
    if (!strmap_get(&replay->keys, key, &at))
        return err_set(err, ENOENT, "not kept"), false;
    *r = (struct wire_reader){.buf = replay->map.data, .len = replay->map.len, .pos = at};
    bool refused = wire_get_u8(r) != 0;
    uint32_t num = wire_get_u32(r);
    const char *text = wire_get_str(r, ERR_TEXT_MAX);
    if (!refused)
        return true;
    err_set(err, 0, "%s", text);
    if (err != NULL)
        err->num = (int)num;
    return false;
}

static int replay_file(void *user, const char *path, size_t max, uid_t owner, char **data,
                       size_t *len, struct err *err)
{
    char key[NAME_MAX_BYTES];
    struct wire_reader r;
    (void)owner;
    make_key(key, ASKED_FILE, path, "");
    if (!find(user, key, &r, err))
        return -1;
    struct wire_bytes text = wire_get_bytes(&r, TEXTS_MAX);
    if (r.bad || text.len > max)
        return err_set(err, 0, "longer than %zu bytes", max);
    *data = malloc(text.len + 1);
    if (*data == NULL)
        return err_set(err, ENOMEM, "can't be read");
    if (text.len > 0)
        memcpy(*data, text.data, text.len);
    *len = text.len;
    return 0;
}

static int replay_dir(void *user, const char *path, const char *suffix, uid_t owner,
                      struct str_list *names, struct err *err)
{
    char key[NAME_MAX_BYTES];
    struct wire_reader r;
    (void)owner;
    *names = (struct str_list){0};
    make_key(key, ASKED_DIR, path, suffix);
    if (!find(user, key, &r, err))
        return -1;
    uint32_t n = wire_get_u32(&r);
    if (n > r.len - r.pos)
        return err_set(err, 0, "the names that were kept are malformed");
    names->items = calloc(n > 0 ? n : 1, sizeof *names->items);
    while (names->items != NULL && names->n < n) {
        char *name = strdup(wire_get_str(&r, NAME_MAX));
        if (name == NULL)
            break;
        names->items[names->n++] = name;
    }
    if (names->items != NULL && names->n == n && !r.bad)
        return 0;
    while (names->n > 0)
        free(names->items[--names->n]);
    free(names->items);
    *names = (struct str_list){0};
    return err_set(err, ENOMEM, "can't be read");
}

static int replay_user(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err)
{
    char key[NAME_MAX_BYTES];
    struct wire_reader r;
    make_key(key, ASKED_USER, name, "");
    if (!find(user, key, &r, err))
        return -1;
    *uid = wire_get_u32(&r);
    gid_t found = wire_get_u32(&r);
    if (gid != NULL)
        *gid = found;
    return r.bad ? err_set(err, 0, "user '%s' was kept malformed", name) : 0;
}

static int replay_group(void *user, const char *name, gid_t *gid, struct err *err)
{
    char key[NAME_MAX_BYTES];
    struct wire_reader r;
    make_key(key, ASKED_GROUP, name, "");
    if (!find(user, key, &r, err))
        return -1;
    *gid = wire_get_u32(&r);
    return r.bad ? err_set(err, 0, "group '%s' was kept malformed", name) : 0;
}

/* What follows the common part of an answer, by what was asked. */
static void skip_answer(struct wire_reader *r, const char *key)
{
    (void)wire_get_u8(r);
    (void)wire_get_u32(r);
    (void)wire_get_str(r, ERR_TEXT_MAX);
    switch ((enum asked)key[0]) {
    case ASKED_FILE:
        (void)wire_get_bytes(r, TEXTS_MAX);
        return;
    case ASKED_DIR:
        for (uint32_t n = wire_get_u32(r); n > 0 && !r->bad; n--)
            (void)wire_get_str(r, NAME_MAX);
        return;
    case ASKED_USER:
        (void)wire_get_u32(r);
        (void)wire_get_u32(r);
        return;
    case ASKED_GROUP:
        (void)wire_get_u32(r);
        return;
    }
    r->bad = true;
}

static int index_answers(struct replay *replay, struct err *err)
{
    struct wire_reader r = {.buf = replay->map.data, .len = replay->map.len};
    size_t seen;
    if (wire_get_u32(&r) != TEXTS_VERSION)
        return err_set(err, 0, "it was kept by another version");
    while (!r.bad && r.pos < r.len) {
        const char *key = wire_get_str(&r, NAME_MAX_BYTES);
        if (r.bad || strmap_get(&replay->keys, key, &seen))
            return err_set(err, 0, "what was kept of it is malformed");
        if (strmap_put(&replay->pool, &replay->keys, key, r.pos) < 0)
            return err_set(err, ENOMEM, "policy");
        skip_answer(&r, key);
    }
    return wire_end(&r) ? 0 : err_set(err, 0, "what was kept of it is malformed");
}

static int map_answers(struct replay *replay, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "what was kept of it");
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > TEXTS_MAX)
        return err_set(err, 0, "what was kept of it is no policy");
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_set(err, errno, "what was kept of it");
    replay->map = (struct wire_bytes){data, (size_t)st.st_size};
    return index_answers(replay, err);
}

struct policy *policy_texts_load(int fd, const char *config_path, struct diags *diags)
{
    struct err err = {0};
    struct policy *policy = NULL;
    struct replay replay = {.host = policy_files_host};
    replay.host.user = &replay;
    replay.host.read_file = replay_file;
    replay.host.list_dir = replay_dir;
    replay.host.find_user = replay_user;
    replay.host.find_group = replay_group;
    if (map_answers(&replay, fd, &err) == 0) {
        struct policy_source source = {.host = &replay.host, .config_path = config_path};
        policy = policy_load(&source, diags);
    } else {
        *diags = (struct diags){0};
        diag_add(diags, config_path, 0, NULL, "%s", err.text);
    }
    pool_free(&replay.pool);
    if (replay.map.data != NULL)
        munmap((void *)(uintptr_t)replay.map.data, replay.map.len);
    return policy;
}
