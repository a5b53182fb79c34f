/* Which uid a tenant gets: by the record, by the policy, or as a user of this host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fixture.h"
#include "uid_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD "/state/uids"

/* Loads with this [server] section beyond what all have. */
static struct policy *load(const char *server, const char *tenants)
{
    static char config[512];
    (void)snprintf(config, sizeof config, "[server]\nseccomp-dir = /s\nstate-dir = /state\n%s",
                   server);
    fixture_add_text("/p/postern.ini", config);
    fixture_add_text("/p/policy.d/t.ini", tenants);
    return fixture_load();
}

static struct policy *load_good(const char *server, const char *tenants, const char *problems)
{
    struct policy *p = load(server, tenants);
    assert_problems(problems);
    assert_non_null(p);
    return p;
}

static void expect_refused(const char *server, const char *tenants, const char *problems)
{
    assert_null(load(server, tenants));
    assert_problems(problems);
}

/* What the server would write after accepting this policy; the fixture then has it. */
static void remember(const struct policy *p)
{
    static char text[4096];
    struct uid_record record = {0};
    struct err err;
    unsigned line;
    size_t len;
    if (text[0] != '\0')
        assert_int_equal(uid_record_read(&record, text, strlen(text), &line, &err), 0);
    for (size_t i = 0; i < p->n_claims; i++)
        assert_int_equal(uid_record_add(&record, &p->claims[i], &err), 0);
    char *formatted = uid_record_format(&record, &len);
    assert_non_null(formatted);
    (void)snprintf(text, sizeof text, "%s", formatted);
    free(formatted);
    pool_free(&record.pool);
    fixture_add_text(RECORD, text);
}

static uid_t uid_of(const struct policy *p, const char *name)
{
    const struct tenant *t = policy_find_tenant(p, name);
    assert_non_null(t);
    return t->uid;
}

static void test_a_record_is_kept_to(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text(RECORD, "uids 1\nauto 1002 a\nauto 77 b\nauto 1000 gone\nend\n");
    struct policy *p = load_good("uid-range = 1000-1003\n", "[tenant \"b\"]\n[tenant \"a\"]\n", "");
    assert_int_equal(uid_of(p, "a"), 1002);
    assert_int_equal(uid_of(p, "b"), 77); /* of a range that was another one */
    assert_int_equal(p->n_claims, 0);
    policy_free(p);
    p = load_good("uid-range = 1000-1003\n",
                  "[tenant \"a\"]\n[tenant \"c\"]\n[tenant \"d\"]\n[tenant \"b\"]\n", "");
    assert_int_equal(uid_of(p, "c") + uid_of(p, "d"), 1001 + 1003);
    assert_int_equal(p->n_claims, 2);
    assert_false(p->claims[0].fixed);
    assert_string_equal(p->claims[0].name, "c");
    assert_int_equal(p->claims[0].uid, uid_of(p, "c"));
    policy_free(p);
    expect_refused(
        "uid-range = 1000-1003\n", "[tenant \"c\"]\n[tenant \"d\"]\n[tenant \"e\"]\n",
        "3: error: no uid is left in the range for tenant 'e' (widen 'uid-range' in [server]; 3 "
        "are kept for tenants that are gone in /state/uids)\n");
}

/* Whatever comes, goes, is renamed or put in another order, and however the range grows. */
static void test_stable_through_changes(void **state)
{
    (void)state;
    static const struct {
        const char *server, *tenants;
    } steps[] = {
        {"uid-range = 1000-1007\n", "[tenant \"m\"]\n[tenant \"x\"]\n"},
        {"uid-range = 1000-1007\n", "[tenant \"a\"]\n[tenant \"m\"]\n[tenant \"x\"]\n"},
        {"uid-range = 1000-1007\n", "[tenant \"y\"]\n[tenant \"m\"]\n[tenant \"b\"]\n"},
        {"uid-range = 900-1907\n", "[tenant \"y\"]\n[tenant \"c\"]\n[tenant \"m\"]\n"},
        {"uid-range = 5000-6000\n", "[tenant \"z\"]\n[tenant \"x\"]\n[tenant \"m\"]\n"},
    };
    uid_t m = 0, x = 0, seen[16];
    size_t n_seen = 0;
    fixture_reset();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct policy *p = load_good(steps[i].server, steps[i].tenants, "");
        for (size_t k = 0; k < p->n_claims; k++) {
            for (size_t j = 0; j < n_seen; j++)
                assert_int_not_equal(seen[j], p->claims[k].uid);
            seen[n_seen++] = p->claims[k].uid;
        }
        if (i == 0) {
            m = uid_of(p, "m");
            x = uid_of(p, "x");
        }
        assert_int_equal(uid_of(p, "m"), m);
        if (policy_find_tenant(p, "x") != NULL)
            assert_int_equal(uid_of(p, "x"), x);
        remember(p);
        policy_free(p);
    }
    assert_int_equal(n_seen, 7);
}

static void test_fixed_uids(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text(RECORD, "uids 1\nauto 1002 a\nfixed 500 b\nauto 1000 gone\nend\n");
    /* Its own, found before or not. */
    struct policy *p = load_good("",
                                 "[tenant \"a\"]\nuid = 1002\n[tenant \"b\"]\nuid = 500\n"
                                 "[tenant \"c\"]\nuid = 600\n",
                                 "");
    assert_int_equal(p->n_claims, 1);
    assert_true(p->claims[0].fixed);
    assert_int_equal(p->claims[0].uid, 600);
    assert_int_equal(policy_find_tenant(p, "c")->gid, 600);
    assert_int_equal(policy_find_tenant(p, "c")->project, 600);
    policy_free(p);
    expect_refused("", "[tenant \"c\"]\nuid = 1000\n[tenant \"a\"]\n[tenant \"d\"]\nuid = 1002\n",
                   "2: error: uid 1000 is kept for tenant 'gone', which is gone (once no file is "
                   "left of it, take its line out of /state/uids)\n"
                   "5: error: uid 1002 is kept for tenant 'a' (once no file is left of it, take "
                   "its line out of /state/uids)\n");
    /* A fixed one says nothing of what is to be found. */
    p = load_good("uid-range = 500-501\n", "[tenant \"b\"]\n", "");
    assert_int_equal(uid_of(p, "b"), 501);
    policy_free(p);
}

static void test_a_bad_record(void **state)
{
    (void)state;
    static const struct {
        const char *record, *problem;
    } cases[] = {
        {"", "/state/uids: error: it is cut off: its last line is not 'end'"},
        {"uids 1\nauto 1000 a\n", "/state/uids: error: it is cut off: its last line is not 'end'"},
        {"uids 1\nauto 1000 a\nend", "/state/uids:3: error: this line is cut off or too long"},
        {"uids 2\nend\n", "/state/uids:1: error: it does not begin with 'uids 1'"},
        {"uids 1\nend\nauto 7 a\n", "/state/uids:3: error: there is more after 'end'"},
        {"# a\nuids 1\nauto 7\nend\n",
         "/state/uids:3: error: not 'auto UID NAME', 'fixed UID NAME' or 'end'"},
        {"uids 1\nauto 7 a b\nend\n",
         "/state/uids:2: error: not 'auto UID NAME', 'fixed UID NAME' or 'end'"},
        {"uids 1\nauto 0 a\nend\n", "/state/uids:2: error: '0' is out of range (1 to 4294967293)"},
        {"uids 1\nauto 7 a\nauto 7 b\nend\n",
         "/state/uids:3: error: uid 7 is that of tenant 'a', not of 'b'"},
        {"uids 1\nauto 7 a\nfixed 7 a\nend\n", "/state/uids:3: error: this uid stands here twice"},
        {"uids 1\nauto 7 a\nauto 8 a\nend\n", "/state/uids:3: error: tenant 'a' has uid 7, not 8"},
        {"uids 1\nauto 7 ../a\nend\n",
         "/state/uids:2: error: '../a' is not a name: 1 to 32 letters, digits, '.', '_' or '-', "
         "beginning with a letter or digit"},
        {"uids 1\nsome 7 a\nend\n", "/state/uids:2: error: 'some' is not one of: auto, fixed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset();
        fixture_add_text(RECORD, cases[i].record);
        assert_null(load("", "[tenant \"a\"]\n"));
        char *end = strstr(fixture_problems, " (restore it from a backup; without it tenants may "
                                             "get the uids of others' files)\n");
        if (end == NULL)
            fail_msg("%s", fixture_problems);
        *end = '\0';
        assert_string_equal(fixture_problems, cases[i].problem);
    }
    fixture_reset();
    fixture_add(RECORD, "uids 1\nauto 7 a\0\nend\n", 22);
    assert_null(load("", "[tenant \"a\"]\n"));
}

static void test_a_record_out_of_sight(void **state)
{
    (void)state;
    fixture_reset();
    fixture_forbid(RECORD);
    struct policy *p =
        load_good("", "[tenant \"a\"]\n",
                  "/state/uids: warning: can't be opened: Permission denied: uids are those that "
                  "the tenants would get on another host (be root to see them)\n");
    policy_free(p);
}

static void test_users_of_the_host(void **state)
{
    (void)state;
    static const char tenants[] = "[tenant \"a\"]\n[tenant \"b\"]\n";
    fixture_reset();
    fixture_add_text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                    "#old:x:1003:1003::/:\nnot a user\n:x:\nx:y:zzz:1:\n"
                                    "alice:x:1001:1001::/home/alice:/bin/bash\n"
                                    "bob:x:1005:1005::/home/bob:/bin/bash");
    fixture_add_text("/etc/subuid", "carol:1002:2\ndave:90000:65536\nzero:1000:0\n");
    struct policy *p = load_good(
        "uid-range = 1000-1005\n", tenants,
        "/p/postern.ini:4: warning: 2 of the users of this host lie in uid-range (the first is "
        "that of 'alice', 1001): no tenant will get one of them (let uid-range be of numbers that "
        "nothing else uses)\n"
        "/p/postern.ini:4: warning: 1 of the ranges of /etc/subuid lies in uid-range (the first is "
        "that of 'carol', 1002): no tenant will get one of them (let uid-range be of numbers that "
        "nothing else uses)\n");
    assert_int_equal(uid_of(p, "a") + uid_of(p, "b"), 1000 + 1004);
    policy_free(p);
    /* By the record one of them was here first. */
    fixture_add_text(RECORD, "uids 1\nauto 1005 a\nend\n");
    p = load_good(
        "", tenants,
        "1: warning: tenant 'a' has uid 1005, which is that of user 'bob' by now: each "
        "can reach the other's files (give that account another number: tenants' are kept)\n");
    assert_int_equal(uid_of(p, "a"), 1005);
    policy_free(p);
}

/* A tenant's group has the number of its uid: what a group of the host may read, it could. */
static void test_groups_of_the_host(void **state)
{
    (void)state;
    static char many[4096] = "staff:x:1001:alice";
    size_t len = strlen(many);
    while (len < sizeof many - 8) {
        memcpy(many + len, ",member", 8);
        len += 7;
    }
    fixture_reset();
    fixture_add_text("/etc/passwd", "alice:x:1000:1000::/home/alice:/bin/bash\n");
    fixture_add_text("/etc/group", "alice:x:1000:\nshadow:x:42:\nshort:x\n");
    struct policy *p =
        load_good("", "[tenant \"a\"]\nuid = 42\n[tenant \"b\"]\nuid = 1000\n",
                  "2: warning: uid 42 is that of group 'shadow', too: each can reach the other's "
                  "files (leave 'uid' out; 'run-as' is for users of this host)\n"
                  "4: warning: uid 1000 is that of user 'alice', too: each can reach the other's "
                  "files (leave 'uid' out; 'run-as' is for users of this host)\n");
    assert_int_equal(policy_find_tenant(p, "a")->gid, 42);
    policy_free(p);
    fixture_add_text("/etc/group", many);
    p = load_good("uid-range = 1001-1002\n", "[tenant \"a\"]\n",
                  "/p/postern.ini:4: warning: 1 of the groups of this host lies in uid-range (the "
                  "first is that of 'staff', 1001): no tenant will get one of them (let uid-range "
                  "be of numbers that nothing else uses)\n");
    assert_int_equal(uid_of(p, "a"), 1002);
    policy_free(p);
    fixture_add_text(RECORD, "uids 1\nauto 1001 a\nend\n");
    p = load_good("", "[tenant \"a\"]\n",
                  "1: warning: tenant 'a' has uid 1001, which is that of group 'staff' by now: "
                  "each can reach the other's files (give that account another number: tenants' "
                  "are kept)\n");
    policy_free(p);
    fixture_add_text("/etc/subuid", "carol:5000:2\n");
    p = load_good("", "[tenant \"c\"]\nuid = 5001\n",
                  "2: warning: uid 5001 is one of those of 'carol' in /etc/subuid, too: each can "
                  "reach the other's files (leave 'uid' out; 'run-as' is for users of this "
                  "host)\n");
    policy_free(p);
}

static void test_named_users(void **state)
{
    (void)state;
    fixture_reset();
    struct policy *p = load_good("uid-range = 1000-1005\n",
                                 "[tenant \"r\"]\nrun-as = git\n[tenant \"w\"]\nextends = r\n"
                                 "[tenant \"b\"]\nrun-as = _build\n"
                                 "[tenant \"own\"]\nextends = r\nrun-as = auto\n",
                                 "");
    const struct tenant *r = policy_find_tenant(p, "r"), *w = policy_find_tenant(p, "w");
    assert_string_equal(r->run_as, "git");
    assert_string_equal(w->run_as, "git");
    assert_int_equal(r->uid, 111);
    assert_int_equal(r->gid, 116);
    assert_int_equal(w->uid, 111);
    assert_int_equal(uid_of(p, "b"), 112);
    /* What they use is counted apart. */
    assert_in_range(r->project, 1000, 1005);
    assert_in_range(w->project, 1000, 1005);
    assert_int_not_equal(r->project, w->project);
    assert_in_range(uid_of(p, "own"), 1000, 1005);
    assert_null(policy_find_tenant(p, "own")->run_as);
    assert_int_equal(p->n_claims, 4);
    policy_free(p);
}

static void test_wrong_users(void **state)
{
    (void)state;
    static const struct {
        const char *tenants, *problems;
    } cases[] = {
        {"[tenant \"a\"]\nrun-as = nosuch\n", "2: error: there is no user 'nosuch' on this host\n"},
        {"[tenant \"a\"]\nrun-as = root\n",
         "2: error: root is root (make a user for it, with a group of its own)\n"},
        {"[tenant \"a\"]\nrun-as = toor\n",
         "2: error: toor is root (make a user for it, with a group of its own)\n"},
        {"[tenant \"a\"]\nrun-as = operator\n",
         "2: error: operator is in root's group (make a user for it, with a group of its own)\n"},
        {"[tenant \"a\"]\nrun-as = nobody\n",
         "2: error: nobody stands for nobody: the files of many may be its (make a user for it, "
         "with a group of its own)\n"},
        {"[tenant \"a\"]\nrun-as = deploy\n",
         "2: error: this user is that of 'user' in [server] (a tenant needs a uid of its own)\n"},
        {"[tenant \"a\"]\nrun-as = git\nuid = 7\n",
         "3: error: tenant 'a' has both 'uid' and 'run-as = git' (/p/policy.d/t.ini:2) ('run-as = "
         "auto' takes an inherited one back)\n"},
        {"[tenant \"a\"]\nrun-as = git\n[tenant \"b\"]\nuid = 111\n",
         "2: error: tenant 'b' has uid 111, which is that of git (/p/policy.d/t.ini:4)\n"},
        {"[tenant \"a\"]\nrun-as = _build\n",
         "2: error: uid 112 is kept for tenant 'old', which is gone (once no file is left of it, "
         "take its line out of /state/uids)\n"},
        {"[defaults]\nrun-as = git\n",
         "2: error: 'run-as' can't stand in [defaults]: every [tenant] has its own\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset();
        fixture_add_text(RECORD, "uids 1\nauto 112 old\nend\n");
        expect_refused("user = deploy\n", cases[i].tenants, cases[i].problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_kept_to),
        cmocka_unit_test(test_stable_through_changes),
        cmocka_unit_test(test_fixed_uids),
        cmocka_unit_test(test_a_bad_record),
        cmocka_unit_test(test_a_record_out_of_sight),
        cmocka_unit_test(test_users_of_the_host),
        cmocka_unit_test(test_groups_of_the_host),
        cmocka_unit_test(test_named_users),
        cmocka_unit_test(test_wrong_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
