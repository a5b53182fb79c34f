/* postern learn: which profile, which paths and which network follow from what was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "learn_lesson.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls 10-19 are the group "small", 100-139 "large", 200-203 "odd", which no command has. */
enum { SMALL = 10, LARGE = 100, ODD = 200, NO_GROUP = 300 };

struct world {
    int small[10], large[40], odd[4];
    struct policy_group groups[3];
    struct seccomp_rule ordinary_rules[400], tight_rules[400];
    struct policy_profile profiles[2]; /* ordinary: all but odd; tight: large, and two of small */
    struct policy policy;
    bool needed[SEEN_CALLS_MAX];
    struct learn_profile out;
};

static void allow(struct seccomp_spec *spec, int nr)
{
    spec->rules[spec->n_rules++] =
        (struct seccomp_rule){.nr = nr, .answer = SECCOMP_ANSWER_ALLOW, .file = ""};
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < 10; i++)
        w->small[i] = SMALL + i;
    for (int i = 0; i < 40; i++)
        w->large[i] = LARGE + i;
    for (int i = 0; i < 4; i++)
        w->odd[i] = ODD + i;
    w->groups[0] = (struct policy_group){(char *)"small", w->small, 10};
    w->groups[1] = (struct policy_group){(char *)"large", w->large, 40};
    w->groups[2] = (struct policy_group){(char *)"odd", w->odd, 4};
    w->profiles[0].spec =
        (struct seccomp_spec){.name = (char *)"ordinary", .rules = w->ordinary_rules};
    w->profiles[1].spec = (struct seccomp_spec){.name = (char *)"tight", .rules = w->tight_rules};
    /* In order of their numbers. */
    for (int i = 0; i < 10; i++)
        allow(&w->profiles[0].spec, SMALL + i);
    allow(&w->profiles[1].spec, SMALL);
    allow(&w->profiles[1].spec, SMALL + 1);
    for (int i = 0; i < 40; i++) {
        allow(&w->profiles[0].spec, LARGE + i);
        allow(&w->profiles[1].spec, LARGE + i);
    }
    w->policy = (struct policy){
        .groups = w->groups, .n_groups = 3, .profiles = w->profiles, .n_profiles = 2};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    learn_profile_free(&w->out);
    free(w);
    return 0;
}

static void need(struct world *w, int from, int n)
{
    for (int i = 0; i < n; i++)
        w->needed[from + i] = true;
}

static void choose(struct world *w)
{
    const struct policy_profile *bases[] = {&w->profiles[0], &w->profiles[1]};
    assert_int_equal(
        learn_profile_choose(&w->policy, bases, 2, &w->profiles[0].spec, w->needed, &w->out), 0);
    for (int nr = 0; nr < SEEN_CALLS_MAX; nr++) {
        bool found = w->out.base != NULL && spec_allows(&w->out.base->spec, nr);
        for (size_t i = 0; i < w->out.n_words; i++) {
            const struct learn_word *word = &w->out.words[i];
            found |= word->group == NULL && word->nr == nr;
            for (size_t k = 0; word->group != NULL && k < word->group->n_calls; k++)
                found |= word->group->calls[k] == nr;
        }
        assert_true(found || !w->needed[nr]);
    }
}

static void test_few_calls_are_named(void **state)
{
    struct world *w = *state;
    need(w, LARGE, 2);
    choose(w);
    assert_null(w->out.base);
    assert_int_equal(w->out.n_words, 2);
    assert_null(w->out.words[0].group);
    assert_int_equal(w->out.words[0].nr, LARGE);
    assert_int_equal(w->out.n_allowed, 2);
    assert_int_equal(w->out.n_used, 2);
}

/* 10 calls: naming k of them costs 9k, the group 8 + 10. */
static void test_group_when_enough_is_used(void **state)
{
    struct world *w = *state;
    need(w, SMALL + 4, 2);
    choose(w);
    assert_int_equal(w->out.n_words, 2);
    learn_profile_free(&w->out);
    need(w, SMALL + 6, 1);
    choose(w);
    assert_null(w->out.base);
    assert_int_equal(w->out.n_words, 1);
    assert_string_equal(w->out.words[0].group->name, "small");
    assert_int_equal(w->out.words[0].n_used, 3);
    assert_int_equal(w->out.n_allowed, 10);
}

static void test_base_when_it_saves_words(void **state)
{
    struct world *w = *state;
    need(w, LARGE, 30);
    need(w, SMALL, 2);
    choose(w);
    assert_ptr_equal(w->out.base, &w->profiles[1]);
    assert_int_equal(w->out.n_words, 0);
    assert_int_equal(w->out.n_allowed, 42);
    learn_profile_free(&w->out);
    need(w, SMALL + 5, 1); /* 43 calls and two words, or 50 and one */
    choose(w);
    assert_ptr_equal(w->out.base, &w->profiles[0]);
    assert_int_equal(w->out.n_words, 0);
    assert_int_equal(w->out.n_allowed, 50);
}

/* What a command has no business with comes one by one, however much of it is used. */
static void test_odd_groups_never_come_whole(void **state)
{
    struct world *w = *state;
    need(w, ODD, 4);
    need(w, NO_GROUP, 1);
    choose(w);
    assert_int_equal(w->out.n_words, 5);
    for (size_t i = 0; i < 5; i++)
        assert_null(w->out.words[i].group);
    assert_int_equal(w->out.words[4].nr, NO_GROUP);
}

static bool gives_usr(void *arg, const char *path)
{
    (void)arg;
    return path_is_within(path, "/usr");
}

/* "w /a", "r /b" for each line, links and so on by a letter more. */
static void expect_units(struct seen *seen, const char *expected)
{
    struct learn_units units;
    char got[2048] = "";
    seen_sort_paths(seen);
    assert_int_equal(learn_units_make(seen, gives_usr, NULL, &units), 0);
    for (size_t i = 0; i < units.n; i++) {
        const struct learn_unit *unit = &units.items[i];
        size_t used = strlen(got);
        (void)snprintf(got + used, sizeof got - used, "%s%s%s %s\n", unit->write ? "w" : "r",
                       unit->impossible ? "!" : "", unit->secret != NULL ? "?" : "", unit->path);
    }
    for (size_t i = 0; i < units.n_looked; i++) {
        size_t used = strlen(got);
        (void)snprintf(got + used, sizeof got - used, "l %s\n", units.looked[i]->path);
    }
    assert_string_equal(got, expected);
    learn_units_free(&units);
    seen_free(seen);
}

static struct seen *with(struct seen *seen, const char *path, unsigned uses)
{
    struct seen *to = seen != NULL ? seen : seen_new();
    assert_non_null(to);
    seen_add_path(to, path, uses, "me");
    return to;
}

static void test_files_are_named_until_they_are_many(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/srv/a/1", USE_READ);
    seen = with(seen, "/srv/a/2", USE_READ);
    seen = with(seen, "/srv/a/3", USE_EXECUTED);
    seen = with(seen, "/usr/bin/cc", USE_EXECUTED);
    expect_units(seen, "r /srv/a/1\nr /srv/a/2\nr /srv/a/3\n");
    seen = with(NULL, "/srv/a/1", USE_READ);
    seen = with(seen, "/srv/a/2", USE_READ);
    seen = with(seen, "/srv/a/3", USE_READ);
    seen = with(seen, "/srv/a/4", USE_LOOKED);
    expect_units(seen, "r /srv/a\n");
}

static void test_directories_of_many_are_never_given(void **state)
{
    (void)state;
    static const char *const files[] = {"/srv/%c", "/etc/%c", "/home/eve/%c", "/var/lib/%c"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct seen *seen = NULL;
        char path[64], expected[256] = "";
        for (char c = 'a'; c < 'f'; c++) {
            int stem = (int)strlen(files[i]) - 2;
            (void)snprintf(path, sizeof path, "%.*s%c", stem, files[i], c);
            seen = with(seen, path, USE_READ);
            size_t used = strlen(expected);
            (void)snprintf(expected + used, sizeof expected - used, "r %s\n", path);
        }
        expect_units(seen, expected);
    }
}

static void test_listed_and_changed_directories(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/srv/d", USE_LISTED | IS_DIR);
    seen = with(seen, "/srv/d/x", USE_READ);
    seen = with(seen, "/srv/d/out", USE_ENTRIES | IS_DIR);
    seen = with(seen, "/srv/d/out/made", USE_WRITTEN);
    seen = with(seen, "/srv/log", USE_WRITTEN);
    expect_units(seen, "r /srv/d\nw /srv/d/out\nw /srv/log\n");
    seen = with(NULL, "/srv/e", USE_ENTRIES | IS_DIR);
    seen = with(seen, "/srv/e/sub", USE_LISTED | IS_DIR);
    expect_units(seen, "w /srv/e\n");
}

static void test_many_written_files(void **state)
{
    (void)state;
    struct seen *seen = NULL;
    char path[64];
    for (char c = 'a'; c < 'e'; c++) {
        (void)snprintf(path, sizeof path, "/srv/t/%c", c);
        seen = with(seen, path, USE_WRITTEN);
    }
    expect_units(with(seen, "/srv/t/r", USE_READ), "w /srv/t\n");
}

/* A directory that was only looked at is there anyway when something in it is given. */
static void test_looked_at(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/srv", USE_LOOKED | IS_DIR);
    seen = with(seen, "/srv/a", USE_ENTERED | IS_DIR);
    seen = with(seen, "/srv/a/f", USE_READ);
    seen = with(seen, "/opt", USE_LOOKED | IS_DIR);
    seen = with(seen, "/opt/here", USE_ENTERED | IS_DIR);
    seen = with(seen, "/mnt", USE_LOOKED | IS_DIR);
    expect_units(seen, "r /opt/here\nr /srv/a/f\nl /mnt\n");
}

static void test_sockets_need_their_directory(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/srv/db/socket", USE_READ | IS_ODD);
    expect_units(seen, "r /srv/db\n");
}

static void test_links_and_neighbours(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/opt/tool", USE_LINK);
    seen = with(seen, "/opt/tool-1.2/bin/x", USE_EXECUTED);
    seen = with(seen, "/opt/tool.d/y", USE_READ);
    expect_units(seen, "r /opt/tool\nr /opt/tool-1.2/bin/x\nr /opt/tool.d/y\n");
}

static void test_secrets_and_what_cannot_be_given(void **state)
{
    (void)state;
    struct seen *seen = with(NULL, "/home/eve/.ssh/id_ed25519", USE_READ);
    seen = with(seen, "/srv/app/.env", USE_READ);
    seen = with(seen, "/srv/a:b", USE_READ);
    seen = with(seen, "/srv/line\nbreak", USE_READ);
    seen = with(seen, "/srv/x ; y", USE_READ);
    seen = with(seen, "/tmp/x", USE_READ);
    seen = with(seen, "/var", USE_ENTRIES | IS_DIR);
    expect_units(seen, "r? /home/eve/.ssh/id_ed25519\nr! /srv/a:b\nr? /srv/app/.env\n"
                       "r! /srv/line\nbreak\nr! /srv/x ; y\nr! /tmp/x\nw! /var\n");
    assert_true(path_looks_secret("/srv/.git-credentials"));
    assert_true(path_looks_secret("/etc/postern/postern.ini"));
    assert_false(path_looks_secret("/srv/key/board.c"));
}

static void test_caps_are_honest(void **state)
{
    (void)state;
    struct seen *seen = seen_new();
    char path[32];
    assert_non_null(seen);
    for (int i = 0; i <= SEEN_PATHS_MAX; i++) {
        (void)snprintf(path, sizeof path, "/srv/%d", i);
        assert_false(seen->paths_capped);
        seen_add_path(seen, path, USE_READ, "me");
    }
    assert_true(seen->paths_capped);
    assert_int_equal(seen->n_paths, SEEN_PATHS_MAX);
    assert_non_null(seen_find_path(seen, "/srv/7"));
    assert_null(seen_find_path(seen, path));
    for (int i = 0; i <= SEEN_REFUSALS_MAX; i++) {
        (void)snprintf(path, sizeof path, "/srv/%d", i);
        seen_add_refusal(seen, path, REFUSED_READ, 1, "me");
    }
    assert_true(seen->refusals_capped);
    for (int i = 0; i <= SEEN_PEERS_MAX; i++) {
        const struct seen_peer peer = {.port = (uint16_t)i};
        assert_int_equal(seen_peer_of(seen, &peer, "me") == NULL, i == SEEN_PEERS_MAX);
    }
    assert_true(seen->peers_capped);
    seen_free(seen);
}

static struct seen_peer *meet(struct seen *seen, const char *address, uint16_t port, bool udp,
                              bool listening)
{
    struct seen_peer peer = {.port = port, .udp = udp, .listening = listening};
    peer.v6 = strchr(address, ':') != NULL;
    assert_int_equal(inet_pton(peer.v6 ? AF_INET6 : AF_INET, address, peer.address), 1);
    struct seen_peer *made = seen_peer_of(seen, &peer, "me");
    assert_non_null(made);
    made->count++;
    return made;
}

static void expect_contact(struct seen *seen, const struct seen_peer *peer, enum learn_contact want)
{
    assert_int_equal(lesson_contact(seen, peer), want);
}

static void test_contacts(void **state)
{
    (void)state;
    struct seen *seen = seen_new();
    assert_non_null(seen);
    expect_contact(seen, meet(seen, "127.0.0.1", 80, false, true), CONTACT_SERVED);
    expect_contact(seen, meet(seen, "127.0.0.1", 80, false, false), CONTACT_OWN);
    expect_contact(seen, meet(seen, "::1", 80, false, false), CONTACT_OWN);
    expect_contact(seen, meet(seen, "127.0.0.1", 80, true, false), CONTACT_UNUSED);
    expect_contact(seen, meet(seen, "127.8.9.1", 81, false, false), CONTACT_HOST);
    expect_contact(seen, meet(seen, "::ffff:127.0.0.1", 81, false, false), CONTACT_HOST);
    expect_contact(seen, meet(seen, "192.0.2.1", 80, false, false), CONTACT_OUTSIDE);
    struct seen_peer *refused = meet(seen, "192.0.2.2", 80, false, false);
    refused->failed = 1;
    expect_contact(seen, refused, CONTACT_IN_VAIN);
    struct seen_peer *sent = meet(seen, "2001:db8::1", 53, true, false);
    expect_contact(seen, sent, CONTACT_UNUSED);
    sent->sent = 1;
    expect_contact(seen, sent, CONTACT_OUTSIDE);
    char text[PEER_TEXT_MAX];
    assert_string_equal(peer_format(sent, text), "[2001:db8::1]:53");
    assert_string_equal(peer_format(refused, text), "192.0.2.2:80");
    seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_few_calls_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_group_when_enough_is_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_base_when_it_saves_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_groups_never_come_whole, set_up, tear_down),
        cmocka_unit_test(test_files_are_named_until_they_are_many),
        cmocka_unit_test(test_directories_of_many_are_never_given),
        cmocka_unit_test(test_listed_and_changed_directories),
        cmocka_unit_test(test_many_written_files),
        cmocka_unit_test(test_looked_at),
        cmocka_unit_test(test_sockets_need_their_directory),
        cmocka_unit_test(test_links_and_neighbours),
        cmocka_unit_test(test_secrets_and_what_cannot_be_given),
        cmocka_unit_test(test_caps_are_honest),
        cmocka_unit_test(test_contacts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
