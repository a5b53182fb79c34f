/* A policy that is read again from what it was read from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup.h"
#include "policy_files.h"
#include "policy_fixture.h"
#include "policy_texts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/postern-texts-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static void drop(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

static const char policy_text[] =
    "[sandbox \"one\"]\nnetwork = none\n"
    "[sandbox \"two\"]\nnetwork = none\n"
    "[tenant \"acme\"]\nkeys = a.pub\nsandbox = two\nshell = /bin/sh\n"
    "[tenant \"root-like\"]\nkeys = a.pub\nsandbox = one\n"
    "shell = /bin/sh\nuser = r\n";

static int set_up(void **state)
{
    (void)state;
    char text[1024], path[256];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/policy.d", dir);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(text, sizeof text,
                   "[server]\nseccomp-dir = %s/policies/seccomp\nstate-dir = %s/state\n"
                   "user = daemon\n",
                   SOURCE_DIR, dir);
    put("postern.ini", text);
    put("policy.d/t.ini", policy_text);
    put("policy.d/a.pub", KEY_A "\n");
    return 0;
}

static int tear_down(void **state)
{
    char path[256];
    (void)state;
    drop("postern.ini");
    drop("policy.d/t.ini");
    drop("policy.d/a.pub");
    (void)snprintf(path, sizeof path, "%s/policy.d", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
    return 0;
}

/* Loads what is there, and keeps it in *fd. */
static struct policy *load(int *fd)
{
    struct policy_texts *texts = policy_texts_new(&policy_files_host);
    struct diags diags = {0};
    struct err err = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "%s/postern.ini", dir);
    struct policy_source source = {.host = policy_texts_host(texts), .config_path = path};
    struct policy *policy = policy_load(&source, &diags);
    for (size_t i = 0; i < diags.n; i++)
        print_error("%s\n", diags.items[i].text);
    diags_free(&diags);
    assert_int_equal(policy_texts_seal(texts, fd, &err), 0);
    policy_texts_free(texts);
    return policy;
}

static struct policy *load_again(int fd, struct diags *diags)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/postern.ini", dir);
    return policy_texts_load(fd, path, diags);
}

static void test_as_it_was(void **state)
{
    (void)state;
    int fd = -1;
    struct diags diags;
    struct policy *before = load(&fd);
    assert_non_null(before);
    /* Whatever becomes of the files. */
    put("postern.ini", "[server]\nnonsense = 1\n");
    put("policy.d/t.ini", "[tenant");
    drop("policy.d/a.pub");
    struct policy *after = load_again(fd, &diags);
    assert_non_null(after);
    assert_int_equal(diags.n, 0);
    diags_free(&diags);
    assert_int_equal(after->n_tenants, before->n_tenants);
    assert_int_equal(after->n_sandboxes, before->n_sandboxes);
    for (size_t i = 0; i < after->n_tenants; i++) {
        assert_string_equal(after->tenants[i].name, before->tenants[i].name);
        assert_int_equal(after->tenants[i].uid, before->tenants[i].uid);
        assert_int_equal(after->tenants[i].sandbox, before->tenants[i].sandbox);
        assert_int_equal(after->tenants[i].n_keys, 1);
        assert_string_equal(after->tenants[i].keys[0].fingerprint,
                            before->tenants[i].keys[0].fingerprint);
    }
    assert_string_equal(after->server.user, "daemon");
    policy_free(before);
    policy_free(after);
    close(fd);
}

static void test_nobody_can_change_it(void **state)
{
    (void)state;
    int fd = -1;
    policy_free(load(&fd));
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
}

/* Each file that is cut short somewhere is refused, or is no worse than the whole. */
static void test_cut_short(void **state)
{
    (void)state;
    int fd = -1;
    policy_free(load(&fd));
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    size_t len = (size_t)st.st_size;
    const char *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(data, MAP_FAILED);
    for (size_t cut = 0; cut < len; cut += cut < 200 ? 1 : 997) {
        struct diags diags;
        int part = memfd_create("part", MFD_CLOEXEC);
        assert_int_equal(write(part, data, cut), (ssize_t)cut);
        assert_null(load_again(part, &diags));
        assert_true(diags.n > 0);
        diags_free(&diags);
        close(part);
    }
    munmap((void *)(uintptr_t)data, len);
    close(fd);
}

static void test_refused_then_is_refused_now(void **state)
{
    (void)state;
    char text[sizeof policy_text], *at;
    int fd = -1;
    struct diags diags;
    memcpy(text, policy_text, sizeof text);
    while ((at = strstr(text, "a.pub")) != NULL)
        *at = 'b';
    put("policy.d/t.ini", text);
    assert_null(load(&fd));
    /* Nor is it looked for again. */
    put("policy.d/t.ini", policy_text);
    put("policy.d/b.pub", KEY_A "\n");
    assert_null(load_again(fd, &diags));
    assert_true(diags.n > 0);
    assert_non_null(strstr(diags.items[0].text, "b.pub': can't be opened: No such file"));
    diags_free(&diags);
    drop("policy.d/b.pub");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_can_change_it),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_refused_then_is_refused_now),
        cmocka_unit_test(test_as_it_was),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
