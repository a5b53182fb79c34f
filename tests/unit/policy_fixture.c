#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"
#include "certificate_fixture.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 2048 };

static struct {
    const char *path;
    const char *data;
    size_t len;
    uid_t owner;
} files[FILES_MAX];
static size_t n_files;

char fixture_problems[16384];

void fixture_add(const char *path, const char *data, size_t len)
{
    size_t i = 0;
    while (i < n_files && strcmp(files[i].path, path) != 0)
        i++;
    if (i == FILES_MAX)
        abort();
    files[i].path = path;
    files[i].data = data;
    files[i].len = len;
    if (i == n_files)
        n_files++;
}

void fixture_add_text(const char *path, const char *text)
{
    fixture_add(path, text, strlen(text));
}

void fixture_forbid(const char *path)
{
    fixture_add(path, NULL, 0);
}

uid_t fixture_owner_of(const char *path)
{
    for (size_t i = 0; i < n_files; i++)
        if (strcmp(files[i].path, path) == 0)
            return files[i].owner;
    abort();
}

void fixture_reset(void)
{
    n_files = 0;
    fixture_add_text("/p/postern.ini", "[server]\nseccomp-dir = /s\n");
    fixture_add_text("/s/groups.ini", "[group \"basic\"]\ncall = read write execve exit_group\n"
                                      "[group \"net\"]\ncall = socket connect old_call\n"
                                      "[group \"admin\"]\ncall = ptrace mount\n");
    fixture_add_text("/s/default.ini", "[seccomp \"default\"]\nallow = @basic\n");
}

static int read_file(void *user, const char *path, size_t max, uid_t owner, char **data,
                     size_t *len, struct err *err)
{
    (void)user;
    for (size_t i = 0; i < n_files; i++) {
        if (strcmp(files[i].path, path) != 0)
            continue;
        files[i].owner = owner;
        if (files[i].data == NULL)
            return err_set(err, EACCES, "can't be opened");
        if (files[i].len > max)
            return err_set(err, 0, "longer than %zu bytes", max);
        *len = files[i].len;
        *data = malloc(files[i].len + 1);
        if (*data == NULL)
            return err_set(err, ENOMEM, "read");
        if (*len > 0)
            memcpy(*data, files[i].data, *len);
        return 0;
    }
    return err_set(err, ENOENT, "can't be opened");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_dir(void *user, const char *path, const char *suffix, uid_t owner,
                    struct str_list *names, struct err *err)
{
    (void)owner;
    (void)user;
    (void)err;
    size_t len = strlen(path);
    *names = (struct str_list){.items = calloc(FILES_MAX, sizeof *names->items)};
    for (size_t i = 0; i < n_files; i++) {
        const char *p = files[i].path;
        size_t n = strlen(p);
        if (strncmp(p, path, len) == 0 && p[len] == '/' && strchr(p + len + 1, '/') == NULL &&
            strcmp(p + n - strlen(suffix), suffix) == 0)
            names->items[names->n++] = strdup(p + len + 1);
    }
    qsort(names->items, names->n, sizeof *names->items, compare);
    return 0;
}

static int find_user(void *user, const char *name, uid_t *uid, gid_t *gid, struct err *err)
{
    static const struct {
        const char *name;
        uid_t uid;
        gid_t gid;
    } users[] = {{"deploy", 1234, 1234},  {"git", 111, 116}, {"_build", 112, 112},
                 {"root", 0, 0},          {"toor", 0, 5},    {"operator", 11, 0},
                 {"nobody", 65534, 65534}};
    (void)user;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        if (strcmp(name, users[i].name) != 0)
            continue;
        *uid = users[i].uid;
        if (gid != NULL)
            *gid = users[i].gid;
        return 0;
    }
    return err_set(err, 0, "there is no user '%s' on this host", name);
}

static int find_group(void *user, const char *name, gid_t *gid, struct err *err)
{
    (void)user;
    *gid = strcmp(name, "adm") == 0 ? 4 : 1000;
    return strcmp(name, "adm") == 0 || strcmp(name, "watch") == 0
               ? 0
               : err_set(err, 0, "there is no group '%s' on this host", name);
}

static int call_number(const char *name)
{
    static const struct {
        const char *name;
        int nr;
    } calls[] = {{"read", 0},    {"write", 1},    {"socket", 41},      {"connect", 42},
                 {"execve", 59}, {"mount", 165},  {"exit_group", 231}, {"ptrace", 101},
                 {"bpf", 321},   {"old_call", -2}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].nr;
    return -1;
}

static int sha256(const void *data, size_t len, unsigned char out[32])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static int sha1(const void *data, size_t len, unsigned char out[20])
{
    return EVP_Digest(data, len, out, NULL, EVP_sha1(), NULL) == 1 ? 0 : -1;
}

static int random_bytes(void *buf, size_t len)
{
    memset(buf, 7, len);
    return 0;
}

const struct policy_host fixture_host = {
    .read_file = read_file,
    .list_dir = list_dir,
    .find_user = find_user,
    .find_group = find_group,
    .syscall_number = call_number,
    .sha256 = sha256,
    .sha1 = sha1,
    .random_bytes = random_bytes,
    .verify = fixture_verify,
};

static struct policy *load(const struct policy_source *how)
{
    struct diags diags;
    struct policy_source source = *how;
    source.host = &fixture_host;
    source.config_path = "/p/postern.ini";
    struct policy *policy = policy_load(&source, &diags);
    size_t used = 0;
    fixture_problems[0] = '\0';
    for (size_t i = 0; i < diags.n && used + 600 < sizeof fixture_problems; i++) {
        diag_format(&diags.items[i], fixture_problems + used, 600);
        used = strlen(fixture_problems);
        memcpy(fixture_problems + used, "\n", 2);
        used++;
    }
    diags_free(&diags);
    return policy;
}

struct policy *fixture_load(void)
{
    return load(&(struct policy_source){0});
}

struct policy *fixture_load_shown(void)
{
    return load(&(struct policy_source){.keep_settings = true});
}

bool fixture_judge(void (*judge)(void *, const struct policy *, struct diags *), void *user)
{
    struct policy *policy = load(&(struct policy_source){.judge = judge, .judge_user = user});
    bool accepted = policy != NULL;
    policy_free(policy);
    return accepted;
}

struct policy *fixture_load_text(const char *text)
{
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A " a\n");
    fixture_add_text("/p/policy.d/keys/b", KEY_B " b\n" KEY_C " c\n");
    fixture_add_text("/p/policy.d/keys/env", "environment=\"CI=1\" " KEY_A "\n");
    fixture_add_text("/p/policy.d/keys/bad", "ssh-ed25519 !\nnonsense " KEY_A "\n");
    fixture_add_text("/p/policy.d/keys/private",
                     "# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n");
    fixture_add_text("/p/policy.d/keys/none-in-it", "\n  \n# a comment\n");
    fixture_add_text("/p/policy.d/t.ini", text);
    return fixture_load();
}

void assert_problems(const char *expected)
{
    char full[sizeof fixture_problems];
    size_t used = 0;
    full[0] = '\0';
    for (const char *at = expected; *at != '\0'; at += *at == '\n') {
        size_t len = strcspn(at, "\n");
        bool is_short = *at >= '0' && *at <= '9';
        int n = snprintf(full + used, sizeof full - used, "%s%.*s\n",
                         is_short ? "/p/policy.d/t.ini:" : "", (int)len, at);
        if (n < 0 || (size_t)n >= sizeof full - used)
            abort();
        used += (size_t)n;
        at += len;
    }
    assert_string_equal(fixture_problems, full);
}

struct policy *fixture_load_good(const char *text)
{
    struct policy *policy = fixture_load_text(text);
    if (policy == NULL)
        fail_msg("%s", fixture_problems);
    return policy;
}
