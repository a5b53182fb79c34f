/* What is in force, and where each value came from; and that the built-in defaults are the text
 * that is shown for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diag.h"
#include "policy_fixture.h"
#include "schema.h"

#include <stdio.h>
#include <string.h>

static const struct shown_section *find(const struct policy *p, const char *type, const char *name)
{
    for (size_t i = 0; i < p->n_shown; i++)
        if (strcmp(p->shown[i].type, type) == 0 && strcmp(p->shown[i].name, name) == 0)
            return &p->shown[i];
    fail_msg("no [%s \"%s\"]", type, name);
    return NULL;
}

/* "key=value@origin" of each setting, ^ before inherited ones; origins without directories. */
static const char *dump(const struct shown_section *s, bool all)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < s->n_settings; i++) {
        const struct setting *x = &s->settings[i];
        if (x->origin.file == NULL && !all)
            continue;
        const char *slash = x->origin.file == NULL ? NULL : strrchr(x->origin.file, '/');
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%s@%s:%u\n",
                                 x->inherited ? "^" : "", x->key, x->value,
                                 slash == NULL ? "" : slash + 1, x->origin.line);
    }
    return text;
}

static struct policy *load_shown(const char *text)
{
    struct policy *plain = fixture_load_good(text);
    assert_int_equal(plain->n_shown, 0);
    policy_free(plain);
    struct policy *p = fixture_load_shown();
    assert_non_null(p);
    return p;
}

static void test_merging(void **state)
{
    (void)state;
    struct policy *p = load_shown(
        "[defaults]\nexplain = rule\naccept-env = LANG\nenv = A=1\nenv = B=2\nforce = /bin/true\n"
        "[tenant \"base\"]\nuser = git\nuid = 77\nkeys = keys/a\nforce =\ncommand = x\n"
        "command = y\nsubsystem = s: /s\nsubsystem = t: /t\n"
        "[tenant \"child\"]\nextends = base\nkeys =\nkeys = keys/b\ncommand = z\nenv = A=3\n"
        "subsystem = s: /other\nexplain = none\naccept-env =\n"
        "[sandbox \"s\"]\nread = /a\nread = /b:/c\ntime = 5m\n"
        "[sandbox \"t\"]\nextends = s\nread =\nread = /d\n");
    assert_string_equal(dump(find(p, "tenant", "base"), false), "user=git@t.ini:8\n"
                                                                "uid=77@t.ini:9\n"
                                                                "keys=keys/a@t.ini:10\n"
                                                                "command=x@t.ini:12\n"
                                                                "command=y@t.ini:13\n"
                                                                "subsystem=s: /s@t.ini:14\n"
                                                                "subsystem=t: /t@t.ini:15\n"
                                                                "^accept-env=LANG@t.ini:3\n"
                                                                "^env=A=1@t.ini:4\n"
                                                                "^env=B=2@t.ini:5\n"
                                                                "^explain=rule@t.ini:2\n");
    assert_string_equal(dump(find(p, "tenant", "child"), false), "^user=git@t.ini:8\n"
                                                                 "keys=keys/b@t.ini:19\n"
                                                                 "^command=x@t.ini:12\n"
                                                                 "^command=y@t.ini:13\n"
                                                                 "command=z@t.ini:20\n"
                                                                 "^subsystem=t: /t@t.ini:15\n"
                                                                 "subsystem=s: /other@t.ini:22\n"
                                                                 "^env=B=2@t.ini:5\n"
                                                                 "env=A=3@t.ini:21\n"
                                                                 "explain=none@t.ini:23\n");
    assert_string_equal(dump(find(p, "sandbox", "s"), false),
                        "read=/a@t.ini:26\nread=/b:/c@t.ini:27\ntime=5m@t.ini:28\n");
    assert_string_equal(dump(find(p, "sandbox", "t"), false),
                        "read=/d@t.ini:32\n^time=5m@t.ini:28\n");
    assert_int_equal(find(p, "tenant", "child")->origin.line, 16);
    assert_string_equal(dump(find(p, "server", ""), false), "seccomp-dir=/s@postern.ini:2\n");
    policy_free(p);
}

static void test_built_in(void **state)
{
    (void)state;
    struct policy *p = load_shown("[tenant \"a\"]\nuid = 5000\n[tenant \"b\"]\nextends = a\n"
                                  "[sandbox \"kept\"]\nworkspace = /srv/%t\n");
    char expected[1024];
    static const char rest[] = "auth=publickey@:0\n"
                               "sandbox=default@:0\n"
                               "pty=no@:0\n"
                               "max-connections=100@:0\n"
                               "max-execs=64@:0\n"
                               "queue=no@:0\n"
                               "rate=infinity@:0\n"
                               "memory-total=infinity@:0\n"
                               "tasks-total=infinity@:0\n"
                               "cpu-total=infinity@:0\n"
                               "explain=reason@:0\n"
                               "receipt=no@:0\n"
                               "record=none@:0\n"
                               "record-notice=yes@:0\n";
    (void)snprintf(expected, sizeof expected, "user=a@:0\nuid=5000@t.ini:2\nrun-as=auto@:0\n%s",
                   rest);
    assert_string_equal(dump(find(p, "tenant", "a"), true), expected);
    (void)snprintf(expected, sizeof expected, "user=b@:0\nuid=%u@:0\nrun-as=auto@:0\n%s",
                   policy_find_tenant(p, "b")->uid, rest);
    assert_string_equal(dump(find(p, "tenant", "b"), true), expected);
    const struct shown_section *s = find(p, "sandbox", "kept");
    assert_non_null(strstr(dump(s, true), "\nworkspace-size=infinity@:0\n"));
    s = find(p, "sandbox", "default");
    assert_null(s->origin.file);
    assert_string_equal(dump(s, true), "root=host@:0\n"
                                       "workspace=none@:0\n"
                                       "workspace-size=1G@:0\n"
                                       "home=default@:0\n"
                                       "tmp=64M@:0\n"
                                       "proc=full@:0\n"
                                       "network=none@:0\n"
                                       "memory=infinity@:0\n"
                                       "memory-high=infinity@:0\n"
                                       "swap=0@:0\n"
                                       "tasks=256@:0\n"
                                       "cpu=infinity@:0\n"
                                       "cpu-weight=default@:0\n"
                                       "io-weight=default@:0\n"
                                       "time=1h@:0\n"
                                       "idle-time=infinity@:0\n"
                                       "warn=no@:0\n"
                                       "output=infinity@:0\n"
                                       "seccomp=default@:0\n"
                                       "notes=8@:0\n");
    policy_free(p);
}

/* Writes every default that is shown into the policy: nothing may change, nor be refused. */
static void test_fallbacks_are_the_defaults(void **state)
{
    (void)state;
    static const struct schema *const schemas[] = {&server_schema, &tenant_schema, &sandbox_schema};
    static char texts[3][2048];
    for (size_t i = 0; i < 3; i++) {
        size_t used = (size_t)snprintf(
            texts[i], sizeof texts[i],
            schemas[i]->naming == SECTION_NAMED ? "[%s \"x\"]\n" : "[%s]\n", schemas[i]->type);
        for (size_t k = 0; k < schemas[i]->n_keys; k++) {
            const struct schema_key *key = &schemas[i]->keys[k];
            for (const char *at = key->fallback; at != NULL && *at != '\0'; at += *at == '\n') {
                int len = (int)strcspn(at, "\n");
                used += (size_t)snprintf(texts[i] + used, sizeof texts[i] - used, "%s = %.*s\n",
                                         key->name, len,
                                         strcmp(key->name, "seccomp-dir") == 0 ? "/s" : at);
                at += (int)strcspn(at, "\n");
            }
        }
    }
    struct policy *p = fixture_load_good("[tenant \"x\"]\n[sandbox \"x\"]\n");
    fixture_add_text("/p/postern.ini", texts[0]);
    fixture_add_text("/p/policy.d/t.ini", texts[1]);
    fixture_add_text("/p/policy.d/u.ini", texts[2]);
    struct policy *q = fixture_load();
    assert_string_equal(fixture_problems, "");

    const struct server_config *s = &p->server;
    const struct server_config *r = &q->server;
    assert_int_equal(s->n_listen, r->n_listen);
    for (size_t i = 0; i < s->n_listen; i++) {
        assert_string_equal(s->listen[i].host, r->listen[i].host);
        assert_int_equal(s->listen[i].port, r->listen[i].port);
    }
    assert_int_equal(s->host_keys.n, r->host_keys.n);
    for (size_t i = 0; i < s->host_keys.n; i++)
        assert_string_equal(s->host_keys.items[i], r->host_keys.items[i]);
    assert_true(s->host_keys_defaulted && !r->host_keys_defaulted);
    assert_string_equal(s->user, r->user);
    assert_string_equal(s->session_path, r->session_path);
    assert_int_equal(s->audit.n, r->audit.n);
    for (size_t i = 0; i < s->audit.n; i++)
        assert_string_equal(s->audit.items[i], r->audit.items[i]);
    assert_int_equal(s->audit_mode, r->audit_mode);
    assert_string_equal(s->log_level, r->log_level);
    assert_int_equal(s->login_grace_ms, r->login_grace_ms);
    assert_int_equal(s->max_auth_tries, r->max_auth_tries);
    assert_int_equal(s->max_connections, r->max_connections);
    assert_int_equal(s->max_startups, r->max_startups);
    assert_int_equal(s->max_channels, r->max_channels);
    assert_int_equal(s->uid_first, r->uid_first);
    assert_int_equal(s->uid_last, r->uid_last);
    assert_string_equal(s->state_dir, r->state_dir);
    assert_int_equal(s->policy_owner, r->policy_owner);
    assert_int_equal(s->limits, r->limits);

    const struct tenant *t = &p->tenants[0];
    const struct tenant *u = &q->tenants[0];
    assert_int_equal(t->auth, u->auth);
    assert_string_equal(p->sandboxes[t->sandbox].name, q->sandboxes[u->sandbox].name);
    assert_int_equal(t->pty, u->pty);
    assert_int_equal(t->max_connections, u->max_connections);
    assert_int_equal(t->max_execs, u->max_execs);
    assert_int_equal(t->queue_ms, u->queue_ms);
    assert_int_equal(t->rate, u->rate);
    assert_int_equal(t->rate_ms, u->rate_ms);
    assert_memory_equal(&t->total, &u->total, sizeof t->total);
    assert_int_equal(t->explain, u->explain);
    assert_int_equal(t->receipt, u->receipt);
    assert_int_equal(t->record, u->record);
    assert_int_equal(t->record_notice, u->record_notice);

    struct sandbox_spec a = p->sandboxes[0];
    struct sandbox_spec b = q->sandboxes[0];
    assert_string_equal(a.name, "x");
    assert_string_equal(b.name, "x");
    assert_null(b.root);
    assert_int_equal(a.workspace, b.workspace);
    assert_null(b.workspace_path);
    assert_int_equal(a.workspace_size, b.workspace_size);
    assert_int_equal(a.tmp_size, b.tmp_size);
    assert_int_equal(a.network, b.network);
    assert_memory_equal(&a.cgroup, &b.cgroup, sizeof a.cgroup);
    assert_int_equal(a.tasks, b.tasks);
    assert_int_equal(a.time_ms, b.time_ms);
    assert_int_equal(a.idle_ms, b.idle_ms);
    assert_int_equal(a.warn_ms, b.warn_ms);
    assert_int_equal(a.output, b.output);
    assert_string_equal(a.seccomp.name, b.seccomp.name);
    policy_free(p);
    policy_free(q);
}

static const char *read_page(const char *name)
{
    static char text[65536];
    char path[512];
    (void)snprintf(path, sizeof path, "%s/packaging/man/%s", SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* Every key has its entry in the manual, in the section's part of it. */
static void test_every_key_is_in_the_manual(void **state)
{
    (void)state;
    static const struct {
        const struct schema *schema;
        const char *page;
    } parts[] = {
        {&server_schema, "postern.ini.5.scd"},     {&tenant_schema, "postern-policy.5.scd"},
        {&sandbox_schema, "postern-policy.5.scd"}, {&profile_schema, "postern-policy.5.scd"},
        {&test_schema, "postern-policy.5.scd"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char heading[64];
        (void)snprintf(heading, sizeof heading, "\n# KEYS OF [%s]\n", parts[i].schema->type);
        const char *part = strstr(read_page(parts[i].page), heading);
        assert_non_null(part);
        const char *end = strstr(part + 2, "\n# ");
        for (size_t k = 0; k < parts[i].schema->n_keys; k++) {
            const struct schema_key *key = &parts[i].schema->keys[k];
            char entry[64];
            (void)snprintf(entry, sizeof entry, "\n*%s* = ", key->name);
            const char *found = strstr(part, entry);
            if (key->kind != KEY_LATER && (found == NULL || found > end))
                fail_msg("%s of [%s] is not in %s", key->name, parts[i].schema->type,
                         parts[i].page);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_fallbacks_are_the_defaults),
        cmocka_unit_test(test_every_key_is_in_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
