/* decide(): every kind of tenant and request, the argv and environment to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "certificate_fixture.h"
#include "decide.h"
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char policy_text[] =
    "[tenant \"shell\"]\nkeys = keys/a\nshell = /bin/bash --norc\n"
    "accept-env = LANG LC_* PATH_X\nenv = GREETING=hello world\nenv = PATH=/opt/bin\n"
    "env = LC_FIXED=policy\n"
    "[tenant \"force\"]\nkeys = keys/a\nforce = /usr/bin/deploy 'to prod'\n"
    "[tenant \"git\"]\nkeys = keys/a\ncommand = git-upload-pack {path:/srv/git}\n"
    "command = git-upload-archive {path:/srv/git}\ncommand = ls {oneof:-l|-a} {word}\n"
    "[tenant \"none\"]\nkeys = keys/a\n"
    "[tenant \"kshell\"]\nkeys = keys/forced\nshell = /bin/sh\naccept-env = A B\n"
    "[tenant \"kforce\"]\nkeys = keys/forced\nforce = /usr/bin/deploy\naccept-env = A B\n"
    "[tenant \"kgit\"]\nkeys = keys/forced\ncommand = run {word}\naccept-env = A B\n"
    /* 29 */
    "[tenant \"subs\"]\nkeys = keys/a\nshell = /bin/sh\n"
    "subsystem = sftp: /usr/lib/sftp-server -d '/a b'\nsubsystem = netconf: /bin/netconf\n"
    "[tenant \"subonly\"]\nkeys = keys/a\nsubsystem = sftp: /usr/lib/sftp-server\n"
    "[tenant \"subforce\"]\nkeys = keys/a\nforce = /usr/bin/deploy\n"
    "subsystem = sftp: /usr/lib/sftp-server\n"
    "[tenant \"subtpl\"]\nkeys = keys/a\ncommand = ls {word}\n"
    "subsystem = sftp: /usr/lib/sftp-server\n"
    /* 45 */
    "[tenant \"ksubs\"]\nkeys = keys/forced\nshell = /bin/sh\naccept-env = A B\n"
    "subsystem = sftp: /usr/lib/sftp-server\n"
    "[tenant \"ksubtpl\"]\nkeys = keys/forced\ncommand = walk {word}\naccept-env = A B\n"
    "subsystem = sftp: /usr/lib/sftp-server\n"
    "[tenant \"ksubonly\"]\nkeys = keys/forced\naccept-env = A B\n"
    "subsystem = sftp: /usr/lib/sftp-server\n"
    /* 59 */
    "[tenant \"open\"]\nauth = none\nshell = /bin/sh\nfrom = 192.0.2.0/24\n"
    "[tenant \"certs\"]\nkeys = keys/ca\nshell = /bin/sh\n";

static struct policy *policy;

static int set_up(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A " alice@client\n");
    fixture_add_text("/p/policy.d/keys/forced",
                     "command=\"run it\",environment=\"A=key\" " KEY_B " bob\n");
    fixture_add_text("/p/policy.d/keys/ca", "cert-authority " KEY_C " ca\n");
    fixture_add_text("/p/policy.d/t.ini", policy_text);
    policy = fixture_load();
    if (policy == NULL)
        print_error("%s", fixture_problems);
    return policy == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_free(policy);
    return 0;
}

static struct decide_request request_of(const char *tenant, enum exec_kind kind,
                                        const char *command)
{
    const struct tenant *t = policy_find_tenant(policy, tenant);
    assert_non_null(t);
    return (struct decide_request){.who = {.policy = policy,
                                           .user = t->user,
                                           .method = AUTH_PUBLICKEY,
                                           .blob = t->keys[0].blob,
                                           .blob_len = t->keys[0].blob_len,
                                           .peer_host = "192.0.2.7",
                                           .now = 1000},
                                   .kind = kind,
                                   .command = command,
                                   .command_len = command == NULL ? 0 : strlen(command),
                                   .exec_id = "42.1",
                                   .peer_port = 5555,
                                   .local_host = "192.0.2.1",
                                   .local_port = 2222};
}

/* argv in <>, or "denied: reason". */
static const char *outcome(const struct decision *d)
{
    static char text[1024];
    size_t used = 0;
    text[0] = '\0';
    if (!d->allowed) {
        assert_null(d->argv);
        assert_null(d->envp);
        snprintf(text, sizeof text, "denied: %s", d->reason);
        return text;
    }
    assert_string_equal(d->reason, "");
    assert_non_null(d->envp);
    for (char **word = d->argv; *word != NULL; word++)
        used += (size_t)snprintf(text + used, sizeof text - used, "<%s>", *word);
    return text;
}

static const char *env_of(const struct decision *d, const char *name)
{
    const char *found = NULL;
    size_t len = strlen(name);
    for (char **e = d->envp; *e != NULL; e++)
        if (strncmp(*e, name, len) == 0 && (*e)[len] == '=') {
            assert_null(found); /* no name is there twice */
            found = *e + len + 1;
        }
    return found == NULL ? "(unset)" : found;
}

#define NO_LOGIN                                                                                   \
    "denied: no command was given, and there is no interactive login: this tenant has pty = no"

static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *tenant;
        enum exec_kind kind;
        const char *command;
        const char *outcome;
        unsigned line; /* of the rule */
    } cases[] = {
        {"shell", EXEC_COMMAND, "echo $HOME; ls | wc",
         "</bin/bash><--norc><-c><echo $HOME; ls | wc>", 3},
        {"shell", EXEC_COMMAND, "", "</bin/bash><--norc><-c><>", 3},
        {"shell", EXEC_COMMAND, "a\nb \xff", "</bin/bash><--norc><-c><a\nb \xff>", 3},
        {"shell", EXEC_COMMAND, "-c id", "denied: a command line can't begin with '-'", 3},
        {"shell", EXEC_COMMAND, "+x", "denied: a command line can't begin with '+'", 3},
        {"shell", EXEC_SHELL, NULL, NO_LOGIN, 3},
        {"shell", EXEC_SUBSYSTEM, "sftp", "denied: subsystem \"sftp\" is not offered", 3},
        {"shell", EXEC_SUBSYSTEM, "a\n\"\x1b",
         "denied: subsystem \"a\\x0a\\\"\\x1b\" is not offered", 3},
        {"shell", (enum exec_kind)9, "x", "denied: unknown kind of request", 3},
        {"force", EXEC_COMMAND, "rm -rf /", "</usr/bin/deploy><to prod>", 10},
        {"force", EXEC_SHELL, NULL, "</usr/bin/deploy><to prod>", 10},
        {"force", EXEC_SUBSYSTEM, "sftp", "</usr/bin/deploy><to prod>", 10},
        {"git", EXEC_COMMAND, "git-upload-pack 'x.git'", "<git-upload-pack></srv/git/x.git>", 13},
        {"git", EXEC_COMMAND, "git-upload-archive '/srv/git/a/../x.git'",
         "<git-upload-archive></srv/git/x.git>", 14},
        {"git", EXEC_COMMAND, "ls -l x", "<ls><-l><x>", 15},
        {"git", EXEC_COMMAND, "ls -l --color",
         "denied: the command doesn't match: word 3, \"--color\": begins with '-'", 15},
        {"git", EXEC_COMMAND, "git-upload-pack --upload-pack=id",
         "denied: the command doesn't match: word 2, \"--upload-pack=id\": path begins with '-'",
         13},
        {"git", EXEC_COMMAND, "git-upload-pack /etc/passwd",
         "denied: the command doesn't match: word 2, \"/etc/passwd\": path isn't under the "
         "directory",
         13},
        {"git", EXEC_COMMAND, "git-upload-pack x y",
         "denied: the command doesn't match: 3 words, at most 2 match", 13},
        {"git", EXEC_COMMAND, "git-upload-archive",
         "denied: the command doesn't match: ends before {path:/srv/git}", 14},
        {"git", EXEC_COMMAND, "git-receive-pack x",
         "denied: \"git-receive-pack\" is not a command that is allowed here", 11},
        {"git", EXEC_COMMAND, "\x1b[2J",
         "denied: no shell reads this command: unquoted shell character '[' at byte 1", 11},
        {"git", EXEC_COMMAND, "'\x1b]0;x'",
         "denied: \"\\x1b]0;x\" is not a command that is allowed here", 11},
        {"git", EXEC_COMMAND, "git-upload-pack x; id",
         "denied: no shell reads this command: unquoted shell character ';' at byte 17", 11},
        {"git", EXEC_COMMAND, "git-upload-pack 'x",
         "denied: no shell reads this command: unbalanced ' at byte 16", 11},
        {"git", EXEC_COMMAND, "", "denied: the command is empty", 11},
        {"git", EXEC_COMMAND, "   ", "denied: the command is empty", 11},
        {"git", EXEC_COMMAND, "''", "denied: \"\" is not a command that is allowed here", 11},
        {"git", EXEC_SHELL, NULL, "denied: no command was given, and this login has no shell", 11},
        {"none", EXEC_COMMAND, "true", "denied: this login may run no command", 16},
        {"none", EXEC_SHELL, NULL, "denied: this login may run no command", 16},
        /* command= of the key stands in for what the client asks for */
        {"kshell", EXEC_COMMAND, "other", "</bin/sh><-c><run it>", 20},
        {"kshell", EXEC_SHELL, NULL, "</bin/sh><-c><run it>", 20},
        {"kshell", EXEC_SUBSYSTEM, "sftp", "</bin/sh><-c><run it>", 20},
        {"kforce", EXEC_COMMAND, "other", "</usr/bin/deploy>", 24},
        {"kgit", EXEC_COMMAND, "run other", "<run><it>", 28},
        /* subsystems: by their whole name, and never a way to a command */
        {"subs", EXEC_SUBSYSTEM, "sftp", "</usr/lib/sftp-server><-d></a b>", 33},
        {"subs", EXEC_SUBSYSTEM, "netconf", "</bin/netconf>", 34},
        {"subs", EXEC_SUBSYSTEM, "sft", "denied: subsystem \"sft\" is not offered", 32},
        {"subs", EXEC_SUBSYSTEM, "sftp ", "denied: subsystem \"sftp \" is not offered", 32},
        {"subs", EXEC_SUBSYSTEM, "SFTP", "denied: subsystem \"SFTP\" is not offered", 32},
        {"subs", EXEC_SUBSYSTEM, "", "denied: subsystem \"\" is not offered", 32},
        {"subs", EXEC_SUBSYSTEM, "/bin/netconf",
         "denied: subsystem \"/bin/netconf\" is not offered", 32},
        {"subs", EXEC_COMMAND, "sftp", "</bin/sh><-c><sftp>", 32},
        {"subonly", EXEC_SUBSYSTEM, "sftp", "</usr/lib/sftp-server>", 37},
        {"subonly", EXEC_COMMAND, "/usr/lib/sftp-server", "denied: this login may run no command",
         35},
        {"subforce", EXEC_SUBSYSTEM, "sftp", "</usr/bin/deploy>", 40},
        {"subtpl", EXEC_SUBSYSTEM, "sftp", "</usr/lib/sftp-server>", 45},
        {"subtpl", EXEC_COMMAND, "ls x", "<ls><x>", 44},
        {"subtpl", EXEC_COMMAND, "sftp", "denied: \"sftp\" is not a command that is allowed here",
         42},
        /* command= stands in for a subsystem too, and is judged as a command */
        {"ksubs", EXEC_SUBSYSTEM, "sftp", "</bin/sh><-c><run it>", 48},
        {"ksubs", EXEC_SUBSYSTEM, "other", "</bin/sh><-c><run it>", 48},
        {"ksubtpl", EXEC_SUBSYSTEM, "sftp", "denied: \"run\" is not a command that is allowed here",
         51},
        {"ksubonly", EXEC_SUBSYSTEM, "sftp", "denied: this login may run no command", 56},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_request r = request_of(cases[i].tenant, cases[i].kind, cases[i].command);
        struct decision d;
        decide(&r, &d);
        assert_string_equal(outcome(&d), cases[i].outcome);
        assert_string_equal(d.rule.file, "/p/policy.d/t.ini");
        assert_int_equal(d.rule.line, cases[i].line);
        assert_int_equal(d.sandbox, policy_find_tenant(policy, cases[i].tenant)->sandbox);
        decision_free(&d);
        assert_null(d.argv);
    }
}

/* Terminals: who gets one, what it is called, and the plain login that goes with it. */
static void test_terminals(void **state)
{
    static const struct {
        bool pty, restricted, asked;
        const char *term;
        enum exec_kind kind;
        const char *outcome;
        const char *in_env; /* TERM, or NULL: neither it nor SSH_TTY is set */
    } cases[] = {
        {true, false, true, "xterm", EXEC_COMMAND, "</bin/sh><-c><a>", "TERM=xterm"},
        {true, false, false, "xterm", EXEC_COMMAND, "</bin/sh><-c><a>", NULL},
        {false, false, true, "xterm", EXEC_COMMAND, "</bin/sh><-c><a>", NULL},
        {true, true, true, "xterm", EXEC_COMMAND, "</bin/sh><-c><a>", NULL},
        {true, false, true, NULL, EXEC_SHELL, "</bin/sh>", "TERM=dumb"},
        {true, false, true, "", EXEC_SHELL, "</bin/sh>", "TERM=dumb"},
        {true, false, true, "a/b", EXEC_SHELL, "</bin/sh>", "TERM=dumb"},
        {true, false, true, "-x", EXEC_SHELL, "</bin/sh>", "TERM=dumb"},
        {true, false, true, "tmux-256color+x._", EXEC_SHELL, "</bin/sh>", "TERM=tmux-256color+x._"},
        {true, false, false, NULL, EXEC_SHELL, "</bin/sh>", NULL},
        {true, true, true, "xterm", EXEC_SHELL,
         "denied: no command was given, and there is no interactive login: this key has restrict "
         "or no-pty",
         NULL},
        {false, false, true, "xterm", EXEC_SHELL,
         "denied: no command was given, and there is no interactive login: this tenant has pty = "
         "no",
         NULL},
    };
    (void)state;
    struct tenant *t = (struct tenant *)policy_find_tenant(policy, "subs");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_request r = request_of("subs", cases[i].kind, "a");
        struct decision d;
        t->pty = cases[i].pty;
        t->keys[0].restricted = cases[i].restricted;
        r.terminal = cases[i].asked;
        r.term = cases[i].term;
        decide(&r, &d);
        assert_string_equal(outcome(&d), cases[i].outcome);
        assert_int_equal(d.terminal, cases[i].pty && !cases[i].restricted && cases[i].asked);
        assert_int_equal(d.login_shell, d.allowed && cases[i].kind == EXEC_SHELL);
        const char *term = NULL, *tty = NULL;
        for (char **e = d.envp; e != NULL && *e != NULL; e++) {
            term = strncmp(*e, "TERM=", 5) == 0 ? *e : term;
            tty = strncmp(*e, "SSH_TTY=", 8) == 0 ? *e : tty;
        }
        if (cases[i].in_env != NULL) {
            assert_string_equal(term, cases[i].in_env);
            assert_string_equal(tty, "SSH_TTY=/dev/pts/0");
        } else {
            assert_null(term);
            assert_null(tty);
        }
        decision_free(&d);
    }
    t->pty = false;
    t->keys[0].restricted = false;
}

static void test_hostile_lengths(void **state)
{
    (void)state;
    static char line[COMMAND_MAX + 1];
    static const char *const tenants[] = {"shell", "force", "git"};
    memset(line, 'a', sizeof line);
    for (size_t i = 0; i < 3; i++) {
        struct decision d;
        struct decide_request r = request_of(tenants[i], EXEC_COMMAND, "a");
        r.command_truncated = true;
        decide(&r, &d);
        assert_string_equal(outcome(&d), "denied: the command is longer than 65536 bytes");
        decision_free(&d);

        r = request_of(tenants[i], EXEC_COMMAND, "a");
        r.command = line;
        r.command_len = sizeof line;
        decide(&r, &d);
        assert_string_equal(outcome(&d), "denied: the command is longer than 65536 bytes");
        decision_free(&d);

        r.command_len = COMMAND_MAX;
        decide(&r, &d);
        assert_true(d.allowed == (i < 2));
        decision_free(&d);

        r.command = "a\0b";
        r.command_len = 3;
        decide(&r, &d);
        assert_string_equal(outcome(&d), "denied: the command holds a NUL byte");
        decision_free(&d);

        r.n_env = ENV_COUNT_MAX + 1;
        r.command_len = 1;
        decide(&r, &d);
        assert_string_equal(outcome(&d), "denied: more than 64 environment variables");
        decision_free(&d);
    }
    /* The command is no C string: nothing behind its length counts. */
    struct decision d;
    struct decide_request r = request_of("shell", EXEC_COMMAND, "ls; rm");
    r.command_len = 2;
    decide(&r, &d);
    assert_string_equal(outcome(&d), "</bin/bash><--norc><-c><ls>");
    decision_free(&d);
}

/* What can't be passed on is denied, not cut: a short word may become a long path. */
static void test_long_vectors(void **state)
{
    (void)state;
    static char value[ENV_VALUE_MAX + 1];
    static char line[COMMAND_MAX + 1];
    const char *names[12];
    const char *values[12];
    memset(value, 'v', ENV_VALUE_MAX);
    memset(line, 'a', COMMAND_MAX);
    for (size_t i = 0; i < 12; i++) {
        static char n[12][8];
        (void)snprintf(n[i], sizeof n[i], "LC_%zu", i);
        names[i] = n[i];
        values[i] = value;
    }
    struct decide_request r = request_of("shell", EXEC_COMMAND, line);
    struct decision d;
    r.env_names = names;
    r.env_values = values;
    r.n_env = 12;
    decide(&r, &d);
    assert_true(d.allowed);
    decision_free(&d);

    struct policy_key *key = &policy_find_tenant(policy, "shell")->keys[0];
    key->force = (char *)"true";
    decide(&r, &d);
    key->force = NULL;
    assert_string_equal(outcome(&d),
                        "denied: the command and its environment are too long together");
    decision_free(&d);
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"LANG",       "LC_FIXED", "PATH", "LD_PRELOAD",
                                        "SSH_CLIENT", "OTHER",    "LC_X"};
    static const char *const values[] = {"C", "client", "/evil", "/evil.so", "x", "y", "a\nb"};
    struct decide_request r = request_of("shell", EXEC_COMMAND, "x");
    struct decision d;
    r.env_names = names;
    r.env_values = values;
    r.n_env = 7;
    decide(&r, &d);
    static const char *const expected[] = {"PATH=/opt/bin",
                                           "HOME=/tmp",
                                           "USER=shell",
                                           "LOGNAME=shell",
                                           "SHELL=/bin/bash",
                                           "GREETING=hello world",
                                           "LC_FIXED=policy",
                                           "POSTERN_TENANT=shell",
                                           "POSTERN_KEY=alice@client",
                                           "POSTERN_EXEC=42.1",
                                           "SSH_CLIENT=192.0.2.7 5555 2222",
                                           "SSH_CONNECTION=192.0.2.7 5555 192.0.2.1 2222",
                                           "LANG=C"};
    size_t n = 0;
    for (; d.envp[n] != NULL; n++)
        assert_string_equal(d.envp[n], expected[n]);
    assert_int_equal(n, sizeof expected / sizeof *expected);
    decision_free(&d);
}

static void test_original_command(void **state)
{
    (void)state;
    static const struct {
        const char *tenant;
        enum exec_kind kind;
        const char *command;
        const char *original;
    } cases[] = {
        {"shell", EXEC_COMMAND, "a b", "(unset)"},
        {"git", EXEC_COMMAND, "ls -l x", "(unset)"},
        {"force", EXEC_COMMAND, "a 'b; c'\n", "a 'b; c'\n"},
        {"force", EXEC_COMMAND, "", ""},
        {"force", EXEC_SHELL, NULL, "(unset)"},
        {"kshell", EXEC_COMMAND, "a b", "a b"},
        {"kshell", EXEC_SHELL, NULL, "(unset)"},
        {"kgit", EXEC_COMMAND, "a b", "a b"},
        {"subs", EXEC_SUBSYSTEM, "sftp", "(unset)"},
        {"subforce", EXEC_SUBSYSTEM, "sftp", "sftp"},
        {"ksubs", EXEC_SUBSYSTEM, "sftp", "sftp"},
        {"kforce", EXEC_COMMAND, "a b", "run it"},
        {"kforce", EXEC_SHELL, NULL, "run it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decide_request r = request_of(cases[i].tenant, cases[i].kind, cases[i].command);
        struct decision d;
        decide(&r, &d);
        assert_true(d.allowed);
        assert_string_equal(env_of(&d, "SSH_ORIGINAL_COMMAND"), cases[i].original);
        decision_free(&d);
    }
}

static void test_environment_of_key(void **state)
{
    (void)state;
    static const char *const names[] = {"A", "B"};
    static const char *const values[] = {"client", "client"};
    struct decide_request r = request_of("kshell", EXEC_COMMAND, "x");
    struct decision d;
    r.env_names = names;
    r.env_values = values;
    r.n_env = 2;
    decide(&r, &d);
    assert_string_equal(env_of(&d, "A"), "key");
    assert_string_equal(env_of(&d, "B"), "client");
    assert_string_equal(env_of(&d, "POSTERN_KEY"), "bob");
    decision_free(&d);
}

static void test_trace(void **state)
{
    (void)state;
    struct decide_request r = request_of("git", EXEC_COMMAND, "git-upload-archive ../x");
    struct decision d;
    decide(&r, &d);
    assert_int_equal(d.n_tried, 3);
    assert_string_equal(d.tried[0].rule, "git-upload-pack {path:/srv/git}");
    assert_string_equal(d.tried[0].why, "word 1, \"git-upload-archive\": differs");
    assert_int_equal(d.tried[1].origin.line, 14);
    assert_string_equal(d.tried[1].why, "word 2, \"../x\": path climbs too high with '..'");
    assert_string_equal(d.tried[2].why, "word 1, \"git-upload-archive\": differs");
    decision_free(&d);

    r = request_of("git", EXEC_COMMAND, "git-upload-archive x");
    decide(&r, &d);
    assert_int_equal(d.n_tried, 2);
    assert_string_equal(d.tried[1].why, "matched");
    decision_free(&d);

    r = request_of("shell", EXEC_COMMAND, "x");
    decide(&r, &d);
    assert_int_equal(d.n_tried, 1);
    assert_string_equal(d.tried[0].rule, "/bin/bash --norc");
    decision_free(&d);

    r = request_of("subs", EXEC_SUBSYSTEM, "netconf");
    decide(&r, &d);
    assert_int_equal(d.n_tried, 2);
    assert_string_equal(d.tried[0].rule, "/usr/lib/sftp-server -d '/a b'");
    assert_int_equal(d.tried[0].origin.line, 33);
    assert_string_equal(d.tried[0].why, "another subsystem");
    assert_string_equal(d.tried[1].why, "matched");
    decision_free(&d);

    r = request_of("ksubtpl", EXEC_SUBSYSTEM, "sftp");
    decide(&r, &d);
    assert_int_equal(d.n_tried, 2);
    assert_string_equal(d.tried[0].rule, "run it");
    assert_string_equal(d.tried[0].origin.file, "/p/policy.d/keys/forced");
    assert_string_equal(d.tried[0].why, "matched: the key's command stands in for what was asked");
    assert_string_equal(d.tried[1].rule, "walk {word}");
    decision_free(&d);
}

/* auth = none: there is a tenant and no key. */
static void test_without_key(void **state)
{
    (void)state;
    struct decide_request r = request_of("shell", EXEC_COMMAND, "x");
    struct decision d;
    r.who.user = "open";
    r.who.method = AUTH_NONE;
    decide(&r, &d);
    assert_string_equal(outcome(&d), "</bin/sh><-c><x>");
    assert_null(d.login.key);
    assert_string_equal(env_of(&d, "POSTERN_KEY"), "");
    assert_string_equal(env_of(&d, "POSTERN_TENANT"), "open");
    decision_free(&d);

    r.who.method = AUTH_PUBLICKEY;
    decide(&r, &d);
    assert_string_equal(outcome(&d), "denied: this login has no such key");
    decision_free(&d);
}

/* Who may no longer log in may not run anything either, and learns why by the rule's place. */
static void test_login_refused(void **state)
{
    (void)state;
    struct decide_request r = request_of("shell", EXEC_COMMAND, "x");
    struct decision d;
    r.who.user = "open";
    r.who.method = AUTH_NONE;
    r.who.peer_host = "198.51.100.1";
    decide(&r, &d);
    assert_string_equal(outcome(&d), "denied: the tenant's from does not list 198.51.100.1");
    assert_int_equal(d.rule.line, 63);
    assert_int_equal(d.n_tried, 0);
    assert_false(d.login.accepted);
    decision_free(&d);

    r.who.user = "gone";
    decide(&r, &d);
    assert_string_equal(outcome(&d), "denied: no tenant has this login");
    assert_null(d.rule.file);
    decision_free(&d);
}

static void test_certificate(void **state)
{
    (void)state;
    static unsigned char blob[CERTIFICATE_MAX + 1024];
    const struct policy_key *ca = &policy_find_tenant(policy, "certs")->keys[0];
    struct certificate_recipe recipe = {.authority = ca->blob,
                                        .authority_len = ca->blob_len,
                                        .key_id = "carol",
                                        .principals = "certs",
                                        .kind = CERTIFICATE_USER,
                                        .before = UINT64_MAX};
    struct decide_request r = request_of("certs", EXEC_COMMAND, "asked");
    struct decision d;
    r.who.blob = blob;
    r.who.blob_len = fixture_certificate(&recipe, blob);
    decide(&r, &d);
    assert_string_equal(outcome(&d), "</bin/sh><-c><asked>");
    assert_string_equal(env_of(&d, "POSTERN_KEY"), "carol");
    decision_free(&d);

    recipe.force = "forced 'by it'";
    r.who.blob_len = fixture_certificate(&recipe, blob);
    decide(&r, &d);
    assert_string_equal(outcome(&d), "</bin/sh><-c><forced 'by it'>");
    assert_string_equal(env_of(&d, "SSH_ORIGINAL_COMMAND"), "asked");
    assert_string_equal(d.tried[0].rule, "(the certificate's force-command)");
    decision_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),           cmocka_unit_test(test_terminals),
        cmocka_unit_test(test_hostile_lengths),    cmocka_unit_test(test_long_vectors),
        cmocka_unit_test(test_environment),        cmocka_unit_test(test_original_command),
        cmocka_unit_test(test_environment_of_key), cmocka_unit_test(test_trace),
        cmocka_unit_test(test_without_key),        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
