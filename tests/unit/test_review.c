/* The review of a policy: what it warns of, and the near misses that it must be silent about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base64.h"
#include "policy_fixture.h"
#include "review.h"
#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOW = 1750000000 }; /* 2025-06-15 */

static char rsa_2048[1024];
static char rsa_3071[1024];
static char rsa_3072[1024];

/* An ssh-rsa line of a key file whose modulus has so many bits. */
static void make_rsa(char *line, size_t cap, size_t bits, unsigned seed)
{
    unsigned char blob[1024] = "\0\0\0\7ssh-rsa\0\0\0\3\1\0\1\0\0";
    size_t len = 22;
    size_t bytes = (bits + 7) / 8;
    bool pad = bits % 8 == 0;
    blob[len - 2] = (unsigned char)((bytes + pad) >> 8);
    blob[len - 1] = (unsigned char)(bytes + pad);
    len += pad;
    memset(blob + len, (int)(0x10 + seed), bytes);
    blob[len] = (unsigned char)(bits % 8 == 0 ? 0x80 : 1U << (bits % 8 - 1));
    blob[len + bytes - 1] |= 1;
    len += bytes;
    char text[1000];
    base64_encode_unpadded(blob, len, text, sizeof text);
    snprintf(line, cap, "ssh-rsa %s%s", text, len % 3 == 0 ? "" : len % 3 == 1 ? "==" : "=");
}

/* The warnings, without the directory of the policy, one per line. */
static const char *review(const char *text)
{
    static char got[65536];
    static char keys_rsa[3 * 1024 + 64];
    struct diags diags = {0};
    size_t used = 0;
    fixture_reset();
    fixture_add_text("/p/policy.d/keys/a", KEY_A " a\n");
    fixture_add_text("/p/policy.d/keys/b", KEY_B " b\n");
    fixture_add_text("/p/policy.d/keys/c", KEY_C " c\n");
    fixture_add_text("/p/policy.d/keys/ab", KEY_A " a\n" KEY_B " b\n");
    fixture_add_text("/p/policy.d/keys/ca", "cert-authority,principals=\"x\" " KEY_C " ca\n");
    fixture_add_text("/p/policy.d/keys/dated", "expiry-time=\"20240101Z\" " KEY_A " old\n"
                                               "expiry-time=\"20300101Z\" " KEY_B " good\n");
    snprintf(keys_rsa, sizeof keys_rsa, "%s\n# other\n%s\n%s\n", rsa_2048, rsa_3071, rsa_3072);
    fixture_add_text("/p/policy.d/keys/rsa", keys_rsa);
    fixture_add_text("/p/policy.d/t", text);
    fixture_add_text("/p/policy.d/t.ini", text);
    struct policy *policy = fixture_load();
    if (policy == NULL)
        fail_msg("%s\n%s", text, fixture_problems);
    assert_int_equal(policy_review(policy, NOW, &diags), 0);
    got[0] = '\0';
    for (size_t i = 0; i < diags.n; i++) {
        char line[600];
        assert_int_equal(diags.items[i].grade, DIAG_WARNING);
        assert_true(diags.items[i].hint[0] != '\0' || strstr(diags.items[i].text, "login") != NULL);
        diag_format(&diags.items[i], line, sizeof line);
        if (strncmp(line, "/p/policy.d/", 12) != 0)
            fail_msg("%s", line);
        used += (size_t)snprintf(got + used, sizeof got - used, "%s\n", line + 12);
    }
    assert_false(diags.truncated);
    diags_free(&diags);
    policy_free(policy);
    return got;
}

struct policy_case {
    const char *text;
    const char *warnings;
};

static void check(const struct policy_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = review(cases[i].text);
        if (strcmp(got, cases[i].warnings) != 0)
            fail_msg("policy:\n%s\ngot:\n%s\nexpected:\n%s", cases[i].text, got, cases[i].warnings);
    }
}

#define TENANT(name, key) "[tenant \"" name "\"]\nkeys = keys/" key "\n"
#define RUNS              "force = true\n"
#define GOOD              TENANT("a", "a") RUNS

static void test_tenants(void **state)
{
    (void)state;
    static const struct policy_case cases[] = {
        {GOOD, ""},
        {"[tenant \"a\"]\nauth = none\nforce = true\n",
         "t.ini:1: warning: auth = none lets in as tenant 'a' whoever knows the login 'a' ('keys "
         "=' "
         "asks for proof, 'from =' limits the addresses)\n"},
        {"[tenant \"a\"]\nauth = none\nuser = all\nforce = true\nfrom = 192.0.2.0/24\n",
         "t.ini:1: warning: auth = none lets in as tenant 'a' whoever knows the login 'all' and "
         "comes from an address in 'from' ('keys =' asks for proof)\n"},
        {"\n[tenant \"a\"]\nforce = true\n",
         "t.ini:2: warning: nobody can log in as tenant 'a': it has no key (name a file with 'keys "
         "=')\n"},
        {TENANT("a", "ca") RUNS, ""},
        {TENANT("a", "a"), "t.ini:1: warning: tenant 'a' may run nothing: every command will be "
                           "denied (give it one of 'shell', 'force', 'command' and 'subsystem')\n"},
        {TENANT("a", "a") "shell = /bin/sh\n", ""},
        {TENANT("a", "a") "command = ls\n", ""},
        {TENANT("a", "a") "subsystem = sftp: /usr/lib/openssh/sftp-server\n", ""},
        /* What others begin with needs neither. */
        {"[tenant \"base\"]\nexplain = rule\n[tenant \"a\"]\nextends = base\nkeys = keys/a\n"
         "force = true\n",
         ""},
        {"[tenant \"base\"]\nforce = true\n[tenant \"a\"]\nextends = base\n",
         "t.ini:3: warning: nobody can log in as tenant 'a': it has no key (name a file with 'keys "
         "=')\n"},
        {GOOD "[tenant \"b\"]\n",
         "t.ini:4: warning: nobody can log in as tenant 'b': it has no key (name a file with 'keys "
         "=')\n"
         "t.ini:4: warning: tenant 'b' may run nothing: every command will be denied (give it one "
         "of 'shell', 'force', 'command' and 'subsystem')\n"},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void test_users(void **state)
{
    (void)state;
#define AS(name, user) TENANT(name, name) "run-as = " user "\n" RUNS
#define APART          " (users of their own, or 'run-as = auto', keep them apart)\n"
    static const struct policy_case cases[] = {
        {AS("a", "git") AS("b", "_build") TENANT("c", "c") RUNS, ""},
        {AS("a", "git") AS("b", "git"),
         "t.ini:5: warning: tenants 'a', 'b' run as git: each can reach what another one keeps, "
         "and they share the user's limit of processes" APART},
        {AS("a", "git") AS("b", "git") AS("c", "git"),
         "t.ini:5: warning: tenants 'a', 'b' and 1 more run as git: each can reach what another "
         "one keeps, and they share the user's limit of processes" APART},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void test_keys(void **state)
{
    (void)state;
#define SHARED " (a key for each can be withdrawn from one of them alone)\n"
#define RSA(bits)                                                                                  \
    "warning: RSA key of " bits " bits: less than 3072 won't do for long (ssh-keygen -t ed25519 "  \
    "makes a better one)\n"
    static const struct policy_case cases[] = {
        {TENANT("a", "a") RUNS TENANT("b", "b") RUNS, ""},
        {TENANT("a", "a") RUNS TENANT("b", "a") RUNS,
         "keys/a:1: warning: one key lets in as 2 tenants: 'a' and 'b'" SHARED},
        {TENANT("a", "a") RUNS TENANT("b", "ab") RUNS,
         "keys/a:1: warning: one key lets in as 2 tenants: 'a' and 'b'" SHARED},
        {TENANT("a", "ab") RUNS TENANT("b", "ab") RUNS TENANT("c", "a") RUNS,
         "keys/a:1: warning: one key lets in as 3 tenants: 'c', 'a' and 'b'" SHARED
         "keys/ab:2: warning: one key lets in as 2 tenants: 'a' and 'b'" SHARED},
        {TENANT("d", "a") RUNS TENANT("b", "a") RUNS TENANT("c", "a") RUNS TENANT("a", "a")
             RUNS TENANT("e", "a") RUNS,
         "keys/a:1: warning: one key lets in as 5 tenants: 'a', 'b', 'c' and 2 more" SHARED},
        /* An authority is there to be shared; a key that is one elsewhere isn't. */
        {TENANT("a", "ca") RUNS TENANT("b", "ca") RUNS, ""},
        {TENANT("a", "ca") RUNS TENANT("b", "c") RUNS, ""},
        {TENANT("a", "rsa") RUNS, "keys/rsa:1: " RSA("2048") "keys/rsa:3: " RSA("3071")},
        {TENANT("a", "dated") RUNS,
         "keys/dated:1: warning: this key has expired on 2024-01-01: nobody can log in with it "
         "(remove the line, or renew its expiry-time)\n"},
        /* Once for all who share the line. */
        {"[tenant \"base\"]\nkeys = keys/rsa\nforce = true\n[tenant \"a\"]\nextends = base\n",
         "keys/rsa:1: " RSA("2048") "keys/rsa:1: warning: one key lets in as 2 tenants: 'a' and "
                                    "'base'" SHARED "keys/rsa:3: " RSA(
                                        "3071") "keys/rsa:3: warning: one key lets in as 2 "
                                                "tenants: 'a' and 'base'" SHARED
                                                "keys/rsa:4: warning: one key lets in as 2 "
                                                "tenants: 'a' and 'base'" SHARED},
    };
    check(cases, sizeof cases / sizeof *cases);
}

/* Each is the one rule of a tenant. NULL: no warning; else what the warning begins with. */
static void test_programs(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        const char *warning;
    } cases[] = {
        /* git */
        {"git-upload-pack {path:/srv/git}", NULL},
        {"git-upload-pack {word}", NULL},
        {"git-upload-pack {args}", "{args} is too free for 'git-upload-pack': --upload-pack=CMD"},
        {"git-shell -c {any}", NULL},
        {"git {oneof:log|show} {word}", NULL},
        {"git log -- {args}", NULL},
        {"git log {args}", "{args} is too free for 'git': -c core.pager=CMD"},
        {"git --no-pager {word}", "{word} is too free for 'git'"},
        {"git {word}", "{word} is too free for 'git'"},
        {"/usr/bin/git {args}", "{args} is too free for '/usr/bin/git'"},
        {"gitk {args}", NULL},
        /* files */
        {"rsync --server --sender -vlogDtpre.iLsfxCIvu . {path:/srv}", NULL},
        {"rsync --server {args}", "{args} is too free for 'rsync': -e CMD, --rsh"},
        {"rsync --server {re:-[a-zA-Z.]+} . {path:/srv}", "{re:-[a-zA-Z.]+} is too free for 'rsy"},
        {"rsync --server {re:[a-z]+} . {path:/srv}", NULL},
        {"tar -xf {path:/srv}", NULL},
        {"tar -xf {word}", NULL},
        {"tar {word}", "{word} is too free for 'tar': --to-command=CMD"},
        {"tar -xf {path:/srv} {args}", "{args} is too free for 'tar'"},
        {"tar -xf {path:/srv} -- {args}", NULL},
        {"star {args}", NULL},
        {"find {path:/srv} -name {word}", NULL},
        {"find {path:/srv} {args}", "{args} is too free for 'find': -exec"},
        {"find -- {args}", "{args} is too free for 'find'"},
        {"zip -r - {path:/srv}", NULL},
        {"zip -r - {any}", "{any} is too free for 'zip'"},
        {"scp -f {path:/srv}", NULL},
        {"scp {args}", "{args} is too free for 'scp': -S CMD"},
        {"sort {args}", "{args} is too free for 'sort'"},
        /* the network */
        {"ssh backup uptime", NULL},
        {"ssh {oneof:a|b} uptime", NULL},
        {"ssh {any}", "{any} is too free for 'ssh': -oProxyCommand=CMD"},
        {"ssh backup {word}", "{word} is too free for 'ssh'"},
        {"ssh-keygen -l -f {path:/srv}", NULL},
        {"ssh-keygen {args}", "{args} is too free for 'ssh-keygen': -D"},
        {"curl {args}", "{args} is too free for 'curl'"},
        {"curl {word}", NULL},
        {"wget {any}", "{any} is too free for 'wget'"},
        /* what runs the program in its words */
        {"env {word}", "{word} is too free for 'env': it runs the program"},
        {"env A=b {any}", "{any} is too free for 'env'"},
        {"env {args}", "{args} is too free for 'env'"},
        {"env A=b cat {args}", NULL},
        {"env A=b cat {word}", NULL},
        {"nice -n 5 {word}", "{word} is too free for 'nice'"},
        {"nice -n 5 cat {args}", NULL},
        {"nice -n 5 tar {args}", "{args} is too free for 'tar'"},
        {"nice timeout 5 env A=b sh -c {word}", "{word} is too free for 'sh'"},
        {"timeout {int} cat {args}", NULL},
        {"timeout {word} cat", NULL},
        {"timeout 5 {word}", "{word} is too free for 'timeout'"},
        {"timeout {args}", "{args} is too free for 'timeout'"},
        {"timeout {int} tar {args}", "{args} is too free for 'tar'"},
        {"xargs {args}", "{args} is too free for 'xargs'"},
        {"sudo {any}", "{any} is too free for 'sudo'"},
        {"sudo {oneof:reboot|halt}", NULL},
        {"busybox {word}", "{word} is too free for 'busybox'"},
        {"busybox find {args}", "{args} is too free for 'find'"},
        {"watch ls {word}", "{word} is too free for 'watch'"},
        /* shells, interpreters and editors */
        {"sh -c {word}", "{word} is too free for 'sh': a word is a script"},
        {"bash {args}", "{args} is too free for 'bash'"},
        {"dash /usr/lib/report {args}", NULL},
        {"sh {path:/srv/scripts}", NULL},
        {"sh {oneof:/a|/b} {word}", NULL},
        {"python3 {word}", "{word} is too free for 'python3': a word names the code"},
        {"python3.11 -c {any}", "{any} is too free for 'python3.11'"},
        {"python3 -m http.server {int}", NULL},
        {"python3 /srv/tool.py {args}", NULL},
        {"perl -e {word}", "{word} is too free for 'perl'"},
        {"awk {word} {path:/srv}", "{word} is too free for 'awk': its program"},
        {"awk '{print}' {path:/srv}", NULL},
        {"sed -n {word} {path:/srv}", "{word} is too free for 'sed'"},
        {"sed s/a/b/ {args}", "{args} is too free for 'sed'"},
        {"sed s/a/b/ {word}", NULL},
        {"make {word}", "{word} is too free for 'make': VAR=VALUE"},
        {"make {oneof:all|test}", NULL},
        {"make {path:/srv}", NULL},
        {"vi {word}", "{word} is too free for 'vi': +CMD"},
        {"vim {path:/srv}", NULL},
        {"less {any}", "{any} is too free for 'less'"},
        {"man {word}", NULL},
        {"man {args}", "{args} is too free for 'man': -P"},
        {"gdb {word}", "{word} is too free for 'gdb'"},
        {"docker {word}", "{word} is too free for 'docker'"},
        {"docker ps {args}", "{args} is too free for 'docker'"},
        {"gcc-12 {args}", "{args} is too free for 'gcc-12'"},
        /* several programs in one */
        {"{oneof:cat|tar} {args}", "{args} is too free for 'tar'"},
        {"{oneof:cat|head} {args}", NULL},
        {"{path:/srv/bin} {args}", NULL},
        /* programs that nothing is known of */
        {"echo {args}", NULL},
        {"echo {any} {args}", NULL},
        {"echo {word} {any}", NULL},
        {"echo {any} x", "word 2, {any}, may be an option: it lets words through that begin"},
        {"echo {any} {word}", "word 2, {any}, may be an option"},
        {"echo -- {any} x", NULL},
        {"echo {re:.*}", "word 2, {re:.*}, may be an option"},
        {"echo {re:[^/]+}", "word 2, {re:[^/]+}, may be an option"},
        {"echo {re:-?[0-9]+}", "word 2, {re:-?[0-9]+}, may be an option"},
        {"echo {re:[a-z-]+}", "word 2, {re:[a-z-]+}, may be an option"},
        {"echo {re:(-[a-z]+ *)*}", "word 2, {re:(-[a-z]+ *)*}, may be an option"},
        {"echo {re:[a-z]+|-x}", "word 2, {re:[a-z]+|-x}, may be an option"},
        {"echo {re:-x|[a-z]+}", "word 2, {re:-x|[a-z]+}, may be an option"},
        {"echo -- {re:.*}", NULL},
        {"echo {re:[a-z][a-z-]*}", NULL},
        {"echo {re:[^-].*}", NULL},
        {"echo {re:-[lah]+}", NULL},
        {"echo {re:v[0-9]+}", NULL},
        {"echo {int} {word} {path:/} {oneof:-a|-b}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        static const char head[] = "t.ini:3: warning: ";
        snprintf(text, sizeof text, TENANT("a", "a") "command = %s\n", cases[i].rule);
        const char *got = review(text);
        if (cases[i].warning == NULL ? got[0] != '\0'
                                     : strncmp(got, head, strlen(head)) != 0 ||
                                           strncmp(got + strlen(head), cases[i].warning,
                                                   strlen(cases[i].warning)) != 0 ||
                                           strchr(got, '\n')[1] != '\0')
            fail_msg("%s\ngot: %s\nexpected: %s", cases[i].rule, got,
                     cases[i].warning == NULL ? "nothing" : cases[i].warning);
    }
}

/* Two rules, and whether the first leaves the second nothing. */
static void test_covered(void **state)
{
    (void)state;
    static const struct {
        const char *wide;
        const char *narrow;
        bool covered;
    } cases[] = {
        {"a", "a", true},
        {"a", "'a'", true},
        {"a", "b", false},
        {"a", "a b", false},
        {"a b", "a", false},
        {"a {word}", "a b", true},
        {"a {word}", "a -b", false},
        {"a {word}", "a ''", false},
        {"a {word}", "a {int}", true},
        {"a {word}", "a {path:/srv}", true},
        {"a {word}", "a {word}", true},
        {"a {word}", "a {any}", false},
        {"a {word}", "a {args}", false},
        {"a {word}", "a {oneof:x|y}", true},
        {"a {word}", "a {oneof:x|-y}", false},
        {"a {word}", "a {re:[a-z]+}", false}, /* not certain enough to say so */
        {"a {any}", "a {re:.*}", true},
        {"a {any}", "a {any}", true},
        {"a {any}", "a ''", true},
        {"a {any}", "a {args}", false},
        {"a {any}", "a b c", false},
        {"a {int}", "a 12", true},
        {"a {int}", "a x", false},
        {"a {int}", "a {int}", true},
        {"a {int}", "a {word}", false},
        {"a {int}", "a {oneof:1|22}", true},
        {"a {int}", "a {oneof:1|x}", false},
        {"a {oneof:x|y}", "a y", true},
        {"a {oneof:x|y}", "a z", false},
        {"a {oneof:x|y|z}", "a {oneof:z|x}", true},
        {"a {oneof:x|y}", "a {oneof:x|z}", false},
        {"a x", "a {oneof:x}", true},
        {"a x", "a {oneof:x|y}", false},
        {"a x", "a {word}", false},
        {"a {path:/srv}", "a {path:/srv/git}", true},
        {"a {path:/srv/git}", "a {path:/srv}", false},
        {"a {path:/srv/git}", "a {path:/srv/gitx}", false},
        {"a {path:/}", "a {path:/srv}", true},
        {"a {path:/srv}", "a {path:/srv}", true},
        {"a {path:/srv}", "a /srv/x", true},
        {"a {path:/srv}", "a x", true},
        {"a {path:/srv}", "a /etc/x", false},
        {"a {path:/srv}", "a {int}", true},
        {"a {path:/srv}", "a {word}", false},
        {"a {re:[a-z]+}", "a bc", true},
        {"a {re:[a-z]+}", "a b1", false},
        {"a {re:[a-z]+}", "a {oneof:b|c}", true},
        {"a {re:[a-z]+}", "a {re:[a-z]+}", true},
        {"a {re:[a-z]+}", "a {re:[a-y]+}", false},
        {"a {args}", "a", true},
        {"a {args}", "a b {word}", true},
        {"a {args}", "a {args}", true},
        {"a {args}", "b {args}", false},
        {"a {word} {args}", "a x", true},
        {"a {word} {args}", "a x {args}", true},
        {"a {word} {args}", "a {args}", false},
        {"a {word} {args}", "a", false},
        {"a x {args}", "a {word} {args}", false},
        {"{oneof:a|b} {word}", "a x", true},
        {"{oneof:a|b} {word}", "c x", false},
    };
    static const struct origin here = {"t", 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pool pool = {0};
        struct command_template wide;
        struct command_template narrow;
        struct err err;
        assert_int_equal(template_parse(&pool, cases[i].wide, &here, &wide, &err), 0);
        assert_int_equal(template_parse(&pool, cases[i].narrow, &here, &narrow, &err), 0);
        if (template_covers(&wide, &narrow) != cases[i].covered)
            fail_msg("%s / %s", cases[i].wide, cases[i].narrow);
        pool_free(&pool);
    }
}

static void test_shadowed(void **state)
{
    (void)state;
#define REMOVE " takes the same (remove one of them)\n"
#define FIRST  " takes all that it could (put the narrower rule first, or remove it)\n"
    static const struct policy_case cases[] = {
        {TENANT("a", "a") "command = ls {word}\ncommand = ls x\ncommand = ls\n",
         "t.ini:4: warning: 'ls x' is never used: 'ls {word}' at /p/policy.d/t.ini:3" FIRST},
        {TENANT("a", "a") "command = ls x\ncommand = ls {word}\ncommand = ls\n", ""},
        {TENANT("a", "a") "command = ls x\ncommand = ls 'x'\n",
         "t.ini:4: warning: 'ls 'x'' is never used: 'ls x' at /p/policy.d/t.ini:3" REMOVE},
        /* Two tenants have a rule each; a child has its parent's rules first. */
        {TENANT("a", "a") "command = ls {word}\n" TENANT("b", "b") "command = ls x\n", ""},
        {"[tenant \"base\"]\ncommand = ls {word}\ncommand = ls y\n" TENANT(
             "a", "a") "extends = base\ncommand = ls x\n" TENANT("b", "b") "extends = base\n",
         "t.ini:3: warning: 'ls y' is never used: 'ls {word}' at /p/policy.d/t.ini:2" FIRST
         "t.ini:7: warning: 'ls x' is never used: 'ls {word}' at /p/policy.d/t.ini:2" FIRST},
        {"[tenant \"base\"]\ncommand = ls {word}\n" TENANT(
             "a", "a") "extends = base\ncommand =\ncommand = ls x\n",
         ""},
    };
    check(cases, sizeof cases / sizeof *cases);
}

#define BOX(lines) GOOD "sandbox = s\n[sandbox \"s\"]\n" lines
#define AT         "t.ini:5: warning: sandbox 's': "

/* What the loader says of a single line, wherever it is inherited. */
static void test_lines(void **state)
{
    (void)state;
    policy_free(fixture_load_good("[defaults]\nshell = /bin/bash -c\nenv = A=\"a b\"\nenv = B='x'\n"
                                  "env = C=it's \"fine\"\nenv = D=\"\nenv = E='a #b'\nenv = "
                                  "F=a#b\nenv = G=a #b\nenv = H=$X\nenv = I=a${X}\nenv = J=5$ $1 "
                                  "$\n[tenant \"a\"]\n[tenant \"b\"]\n"
                                  "[tenant \"c\"]\nshell = /bin/bash --norc\nenv = A=a b\n"));
    assert_problems("2: warning: shell: Postern adds '-c' and the command line itself (leave it "
                    "out)\n"
                    "3: warning: env: the quotes become part of the value of A (write it without "
                    "the quotes)\n"
                    "4: warning: env: the quotes become part of the value of B (write it without "
                    "the quotes)\n"
                    "7: warning: env: the quotes become part of the value of E (write it without "
                    "the quotes)\n"
                    "9: warning: env: '#' begins no comment here: it is part of the value (write "
                    "';' for one)\n"
                    "10: warning: env: nothing is expanded: '$' stands for itself in H (write the "
                    "value out)\n"
                    "11: warning: env: nothing is expanded: '$' stands for itself in I (write the "
                    "value out)\n");
}

static void test_sandboxes(void **state)
{
    (void)state;
    static const struct policy_case cases[] = {
        {BOX(""), ""},
        {BOX("workspace-size = 2G\n"),
         "t.ini:6: warning: workspace-size limits nothing: the sandbox has no workspace "
         "(workspace = exec, or connection, gives it one)\n"},
        {BOX("workspace-size = 2G\nworkspace = exec\n"), ""},
        {BOX("workspace-size = 1G\n"), ""},
        {TENANT("a", "a") RUNS "sandbox = s\n" TENANT("b", "b") RUNS
         "sandbox = t\n[sandbox \"base\"]\nworkspace-size = 2G\n[sandbox \"s\"]\nextends = base\n"
         "[sandbox \"t\"]\nextends = base\nworkspace = none\n",
         "t.ini:10: warning: workspace-size limits nothing: the sandbox has no workspace "
         "(workspace = exec, or connection, gives it one)\n"},
        {BOX("time = infinity\n"), AT "time = infinity lets a command run for ever (time = 1h)\n"},
        {BOX("time = 2d\nidle-time = infinity\n"), ""},
        {BOX("tasks = infinity\n"),
         AT "tasks = infinity lets a command take all processes of the host (tasks = 256)\n"},
        {BOX("network = host\n"),
         AT "network = host lets commands reach whatever this host reaches, and its own services "
            "(network = egress, loopback or none)\n"},
        {BOX("network = egress\n"),
         AT "network = egress without connect reaches nothing (connect = "
            "192.0.2.0/24:443)\n"},
        {BOX("network = egress\nconnect = 192.0.2.7:443\n"), ""},
        {BOX("network = loopback\n"), ""},
        /* What is not used is not looked at any further; what others begin with is used. */
        {GOOD "[sandbox \"s\"]\ntime = infinity\n",
         "t.ini:4: warning: sandbox 's': no tenant uses it (name it with 'sandbox =', or remove "
         "it)\n"},
        {GOOD "sandbox = s\n[sandbox \"base\"]\ntime = infinity\n[sandbox \"s\"]\nextends = base\n"
              "time = 1h\n",
         ""},
        {GOOD "sandbox = s\n[sandbox \"base\"]\ntime = infinity\n[sandbox \"s\"]\nextends = "
              "base\n",
         "t.ini:7: warning: sandbox 's': time = infinity lets a command run for ever (time = "
         "1h)\n"},
        {TENANT("a", "a") RUNS "sandbox = s\nmax-execs = 50\n[sandbox \"s\"]\ntasks = 100\n", ""},
        {TENANT("a", "a") RUNS "sandbox = s\nmax-execs = 51\n[sandbox \"s\"]\ntasks = 100\n",
         "t.ini:1: warning: tenant 'a' may run 51 commands at once, but sandbox 's' has tasks = "
         "100 "
         "for all of them (each command takes two processes at least: lower max-execs, or raise "
         "tasks)\n"},
        {TENANT("a", "a") RUNS "sandbox = s\nmax-execs = infinity\n[sandbox \"s\"]\ntasks = 9\n",
         ""},
        {TENANT("a", "a") RUNS "sandbox = s\n" TENANT("b", "b") RUNS
         "sandbox = s\n[sandbox \"s\"]\ntasks = 10\n",
         "t.ini:1: warning: tenant 'a' (and 1 more tenants) may run 64 commands at once, but "
         "sandbox 's' has tasks = 10 for all of them (each command takes two processes at least: "
         "lower max-execs, or raise tasks)\n"},
    };
    check(cases, sizeof cases / sizeof *cases);
}

/* The members that matter, set by hand: a version that can't carry some of them out refuses them
 * when it loads. */
static void test_paths(void **state)
{
    (void)state;
#define SIDE " (directories side by side are easier to judge)"
#define SAME " (let 'read' and 'write' name different files of the host)"
#define BACK " (take back one of the two)"
#define NAME " (name what they need)"
#define PROC " ('proc' chooses what commands see of their own)"
#define KEEP " (keep workspaces where nothing else is brought in from)"
    static const struct {
        const char *read[2]; /* source and place */
        const char *write[2];
        const char *hide;
        const char *workspace;
        const char *warning;
    } cases[] = {
        {{"/a", "/a"}, {"/b", "/b"}, NULL, NULL, NULL},
        {{"/a", "/a"}, {"/ab", "/ab"}, NULL, NULL, NULL},
        {{"/a", "/a"},
         {"/a/b", "/a/b"},
         NULL,
         NULL,
         "/a/b can be written, inside /a, which can't" SIDE},
        {{"/a", "/a"},
         {"/b", "/a/b"},
         NULL,
         NULL,
         "/a/b can be written, inside /a, which can't" SIDE},
        /* The other way round it only gets tighter, unless the same files are elsewhere, too. */
        {{"/a/b", "/a/b"}, {"/a", "/a"}, NULL, NULL, NULL},
        {{"/b", "/a/b"}, {"/a", "/a"}, NULL, NULL, NULL},
        {{"/a/b", "/x"},
         {"/a", "/a"},
         NULL,
         NULL,
         "files that can't be written at /x can be at /a: they are the same" SAME},
        {{"/a", "/x"},
         {"/a/b", "/y"},
         NULL,
         NULL,
         "files that can't be written at /x can be at /y: they are the same" SAME},
        {{"/a", "/x"},
         {"/a", "/y"},
         NULL,
         NULL,
         "files that can't be written at /x can be at /y: they are the same" SAME},
        {{"/", "/host"},
         {NULL, NULL},
         NULL,
         NULL,
         "read = / lets commands read all files of this host that everybody may read" NAME},
        {{NULL, NULL},
         {"/", "/host"},
         NULL,
         NULL,
         "write = / lets commands change all files of this host that the tenant or everybody may "
         "write" NAME},
        {{"/proc", "/srv/p"},
         {NULL, NULL},
         NULL,
         NULL,
         "read = /proc shows commands what /proc tells of this host and its other users" PROC},
        {{NULL, NULL},
         {"/proc/1", "/srv/p"},
         NULL,
         NULL,
         "write = /proc/1 shows commands what /proc tells of this host and its other users" PROC},
        {{"/processes", "/srv/p"}, {NULL, NULL}, NULL, NULL, NULL},
        {{"/run", "/srv/r"},
         {NULL, NULL},
         NULL,
         NULL,
         "read = /run lets commands talk to services of this host by their sockets" NAME},
        {{"/run/app", "/srv/r"}, {NULL, NULL}, NULL, NULL, NULL},
        {{"/a", "/x"}, {"/ab", "/y"}, NULL, NULL, NULL},
        {{"/a", "/a"}, {NULL, NULL}, "/a", NULL, "hide = /a covers what read = brings to /a" BACK},
        {{"/a", "/a/b"},
         {NULL, NULL},
         "/a",
         NULL,
         "hide = /a covers what read = brings to /a/b" BACK},
        {{NULL, NULL},
         {"/a", "/w/x"},
         "/w",
         NULL,
         "hide = /w covers what write = brings to /w/x" BACK},
        {{"/a", "/a"}, {NULL, NULL}, "/a/secret", NULL, NULL},
        {{"/a", "/ab"}, {NULL, NULL}, "/a", NULL, NULL},
        {{"/a", "/a"}, {NULL, NULL}, NULL, "/srv/%t", NULL},
        {{"/srv", "/srv"},
         {NULL, NULL},
         NULL,
         "/srv/%t",
         "workspace = /srv/%t: what tenants keep there, all commands can read at /srv" KEEP},
        {{"/srv", "/host"},
         {NULL, NULL},
         NULL,
         "/srv/%t",
         "workspace = /srv/%t: what tenants keep there, all commands can read at /host" KEEP},
        {{NULL, NULL},
         {"/srv/a/x", "/x"},
         NULL,
         "/srv/%t",
         "workspace = /srv/%t: what tenants keep there, all commands can write at /x" KEEP},
        {{"/srv/tools", "/t"}, {NULL, NULL}, NULL, "/srv/ci-%t", NULL},
        {{"/srv/ci-b", "/t"},
         {NULL, NULL},
         NULL,
         "/srv/ci-%t",
         "workspace = /srv/ci-%t: what tenants keep there, all commands can read at /t" KEEP},
        {{"/srv", "/t"},
         {NULL, NULL},
         NULL,
         "/srv/ci-%t/x",
         "workspace = /srv/ci-%t/x: what tenants keep there, all commands can read at /t" KEEP},
        {{"/srv/ci", "/t"},
         {NULL, NULL},
         NULL,
         "/srv/ci",
         "workspace = /srv/ci: what tenants keep there, all commands can read at /t" KEEP},
        {{"/srv/c", "/t"}, {NULL, NULL}, NULL, "/srv/ci", NULL},
    };
    review(BOX(""));
    struct policy *policy = fixture_load();
    assert_non_null(policy);
    struct sandbox_spec *spec = &policy->sandboxes[policy->tenants[0].sandbox];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diags diags = {0};
        struct sandbox_bind read = {(char *)cases[i].read[0], (char *)cases[i].read[1]};
        struct sandbox_bind write = {(char *)cases[i].write[0], (char *)cases[i].write[1]};
        char *hide = (char *)cases[i].hide;
        char expected[300] = "";
        char got[600] = "";
        spec->reads = &read;
        spec->n_reads = read.source != NULL;
        spec->writes = &write;
        spec->n_writes = write.source != NULL;
        spec->hides = &hide;
        spec->n_hides = hide != NULL;
        spec->workspace = cases[i].workspace != NULL ? WORKSPACE_KEPT : WORKSPACE_NONE;
        spec->workspace_path = (char *)cases[i].workspace;
        assert_int_equal(policy_review(policy, NOW, &diags), 0);
        if (cases[i].warning != NULL)
            snprintf(expected, sizeof expected, "/p/policy.d/" AT "%s", cases[i].warning);
        if (diags.n > 0)
            diag_format(&diags.items[0], got, sizeof got);
        assert_string_equal(got, expected);
        assert_int_equal(diags.n, cases[i].warning != NULL);
        diags_free(&diags);
    }
    policy_free(policy);
}

static void test_shared_workspace(void **state)
{
    (void)state;
    review(TENANT("a", "a") RUNS TENANT("b", "b") RUNS);
    struct policy *policy = fixture_load();
    assert_non_null(policy);
    struct sandbox_spec *spec = &policy->sandboxes[0];
    spec->workspace = WORKSPACE_KEPT;
    static const char *const expected[] = {
        "sandbox 'default': workspace = /srv/ci is one directory for 2 tenants", NULL};
    static const char *const paths[] = {"/srv/ci", "/srv/%t"};
    for (size_t i = 0; i < 2; i++) {
        struct diags diags = {0};
        spec->workspace_path = (char *)paths[i];
        assert_int_equal(policy_review(policy, NOW, &diags), 0);
        assert_int_equal(diags.n, expected[i] != NULL);
        if (diags.n > 0)
            assert_string_equal(diags.items[0].text, expected[i]);
        diags_free(&diags);
    }
    policy_free(policy);
}

static void test_tests(void **state)
{
    (void)state;
#define TEST(user) GOOD "[test \"x\"]\nuser = " user "\ncommand = x\nexpect = denied\n"
    static const struct policy_case cases[] = {
        {TEST("a"), ""},
        {TEST("b"), "t.ini:4: warning: no tenant has the login 'b': whatever this test asks for is "
                    "denied\n"},
        {TENANT("a", "a") RUNS "user = builder\n[test \"x\"]\nuser = bulider\ncommand = x\nexpect "
                               "= denied\n",
         "t.ini:5: warning: no tenant has the login 'bulider': whatever this test asks for is "
         "denied (did you mean 'builder'?)\n"},
    };
    check(cases, sizeof cases / sizeof *cases);
}

/* What a tenant wrote is escaped, and what is long is cut. */
static void test_hostile_text(void **state)
{
    (void)state;
    char text[4096] = TENANT("a", "a") "command = env '\xc3\xa9' {args}\ncommand = tar ";
    char *end = text + strlen(text);
    memset(end, 'x', 2000);
    strcpy(end + 2000, " {any} {any}\ncommand = env '\xc3\xa9' {args}\n");
    const char *got = review(text);
    for (const char *c = got; *c != '\0'; c++)
        assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
    assert_non_null(strstr(got, "t.ini:4: warning: {any} is too free for 'tar'"));
    assert_non_null(strstr(got, "t.ini:5: warning: 'env '\\xc3\\xa9' {args}' is never used"));
}

/* Many tenants are reviewed about as fast as they are loaded, and warnings have a limit. */
static void test_many(void **state)
{
    (void)state;
    enum { TENANTS = 4000 };
    size_t cap = TENANTS * 200 + 1000;
    char *text = malloc(cap);
    size_t used = (size_t)snprintf(
        text, cap, "[tenant \"base\"]\ncommand = ls {word}\ncommand = cat {path:/srv}\n");
    for (int i = 0; i < TENANTS; i++)
        used +=
            (size_t)snprintf(text + used, cap - used,
                             "[tenant \"t%d\"]\nextends = base\ncommand = ls x%d {args}\n", i, i);
    fixture_reset();
    fixture_add_text("/p/policy.d/t.ini", text);
    struct policy *policy = fixture_load();
    assert_non_null(policy);
    struct diags diags = {0};
    clock_t begun = clock();
    assert_int_equal(policy_review(policy, NOW, &diags), 0);
    /* Milliseconds; something quadratic would take many seconds. */
    assert_true(clock() - begun < 5 * CLOCKS_PER_SEC);
    assert_true(diags.n > 0 && diags.n <= DIAGS_MAX && diags.more_warnings);
    assert_false(diags.truncated);
    diags_free(&diags);
    policy_free(policy);
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    make_rsa(rsa_2048, sizeof rsa_2048, 2048, 1);
    make_rsa(rsa_3071, sizeof rsa_3071, 3071, 2);
    make_rsa(rsa_3072, sizeof rsa_3072, 3072, 3);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenants), cmocka_unit_test(test_users),
        cmocka_unit_test(test_keys),    cmocka_unit_test(test_programs),
        cmocka_unit_test(test_covered), cmocka_unit_test(test_shadowed),
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_sandboxes),
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_shared_workspace),
        cmocka_unit_test(test_tests),   cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
