/*
 * What this field has learnt about arguments, case by case: each line is what a client sent to one
 * server or another, and what became of it there; here it is an argv to the byte, or a denial with
 * its exact reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decide.h"
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE(s) (s), sizeof(s) - 1

static const char policy_text[] =
    "[defaults]\nkeys = keys/a\n"
    "[tenant \"git\"]\n"
    "command = git-upload-pack {path:/srv/git}\n"
    "command = git-receive-pack {path:/srv/git}\n"
    "command = git-upload-archive {path:/srv/git}\n"
    "[tenant \"rsync\"]\n"
    "command = rsync --server --sender -vlogDtpre.iLsfxCIvu . {path:/srv/backup}\n"
    "[tenant \"scp\"]\ncommand = scp -f {path:/srv/out}\n"
    "[tenant \"tar\"]\ncommand = tar -xOf {path:/srv/tars} -- {word}\n"
    "[tenant \"find\"]\ncommand = find {path:/srv/files} -name {word}\n"
    "[tenant \"word\"]\ncommand = show {word}\ncommand = nth {int}\n"
    "command = pick {oneof:a|-b}\ncommand = tag {re:v[0-9.]+}\n"
    "[tenant \"args\"]\ncommand = printf {args}\n"
    "[tenant \"shell\"]\nshell = /bin/bash\n"
    "[tenant \"force\"]\nforce = /usr/bin/deploy 'a b'\n";

static struct policy *policy;

static int set_up(void **state)
{
    (void)state;
    policy = fixture_load_text(policy_text);
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

static struct decide_request request_of(const char *tenant, const char *line, size_t len)
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
                                   .kind = EXEC_COMMAND,
                                   .command = line,
                                   .command_len = len,
                                   .exec_id = "42.1",
                                   .peer_port = 5555,
                                   .local_host = "192.0.2.1",
                                   .local_port = 2222};
}

/* argv with each word in <>, or the reason of the denial. */
static void outcome(const struct decision *d, char *text, size_t cap)
{
    size_t used = 0;
    text[0] = '\0';
    assert_int_equal(d->allowed, d->argv != NULL);
    if (!d->allowed) {
        assert_null(d->envp);
        for (const char *c = d->reason; *c != '\0'; c++)
            assert_true(*c >= 0x20 && *c < 0x7f);
        (void)snprintf(text, cap, "%s", d->reason);
        return;
    }
    for (char **word = d->argv; *word != NULL; word++)
        used += (size_t)snprintf(text + used, cap - used, "<%s>", *word);
    assert_true(used < cap);
}

#define NO_MATCH "the command doesn't match: "
#define NO_SHELL "no shell reads this command: "

static void test_history(void **state)
{
    (void)state;
    static const struct {
        const char *tenant;
        const char *line;
        size_t len;
        const char *outcome;
        const char *class; /* of failure, and where it taught */
    } cases[] = {
        /* options in the place of a repository */
        {"git", LINE("git-upload-pack '--upload-pack=touch /tmp/x'"),
         NO_MATCH "word 2, \"--upload-pack=touch /tmp/x\": path begins with '-'",
         "option: git CVE-2017-1000117"},
        {"git", LINE("git-upload-pack --upload-pack=x /srv/git/a"),
         NO_MATCH "word 2, \"--upload-pack=x\": path begins with '-'",
         "option: git CVE-2017-1000117"},
        {"git", LINE("git-upload-pack --exec=id /srv/git/a"),
         NO_MATCH "word 2, \"--exec=id\": path begins with '-'", "option: git"},
        {"git", LINE("git-upload-pack -oProxyCommand=id"),
         NO_MATCH "word 2, \"-oProxyCommand=id\": path begins with '-'",
         "option: git CVE-2017-1000117"},
        {"git", LINE("git-upload-pack '-oProxyCommand=id x'/a"),
         NO_MATCH "word 2, \"-oProxyCommand=id x/a\": path begins with '-'",
         "option: git CVE-2017-1000117"},
        {"git", LINE("git-upload-pack -u"), NO_MATCH "word 2, \"-u\": path begins with '-'",
         "option: git CVE-2018-17456"},
        {"git", LINE("git-upload-pack -x.git"), NO_MATCH "word 2, \"-x.git\": path begins with '-'",
         "option-like name"},
        {"git", LINE("git-upload-pack --help"), NO_MATCH "word 2, \"--help\": path begins with '-'",
         "pager: git CVE-2017-8386"},
        {"git", LINE("git-upload-pack '--help'"),
         NO_MATCH "word 2, \"--help\": path begins with '-'", "pager: git CVE-2017-8386"},
        {"git", LINE("git-receive-pack --help"),
         NO_MATCH "word 2, \"--help\": path begins with '-'", "pager: git CVE-2017-8386"},
        {"git", LINE("git-upload-archive --help"),
         NO_MATCH "word 2, \"--help\": path begins with '-'", "pager: git CVE-2017-8386"},
        {"git", LINE("git-upload-pack --"), NO_MATCH "word 2, \"--\": path begins with '-'",
         "option: end of options"},
        {"git", LINE("git-upload-pack -- /srv/git/a"),
         NO_MATCH "word 2, \"--\": path begins with '-'", "option: end of options"},
        {"git", LINE("git-upload-pack -"), NO_MATCH "word 2, \"-\": path begins with '-'",
         "option: standard input"},
        {"git", LINE("git-upload-pack ./--help"), "<git-upload-pack></srv/git/--help>",
         "option-like name, made a path"},
        {"git", LINE("git-upload-pack /srv/git/-x.git"), "<git-upload-pack></srv/git/-x.git>",
         "option-like name, made a path"},
        {"git", LINE("git-upload-pack ''-x"), NO_MATCH "word 2, \"-x\": path begins with '-'",
         "option: empty quotes in front"},
        {"git", LINE("git-upload-pack \\-x"), NO_MATCH "word 2, \"-x\": path begins with '-'",
         "option: escaped"},
        {"git", LINE("git-upload-pack \"\"--help"),
         NO_MATCH "word 2, \"--help\": path begins with '-'", "option: empty quotes in front"},
        {"git", LINE("git -c core.pager=id log"), "\"git\" is not a command that is allowed here",
         "option: git -c"},
        {"git", LINE("git -c protocol.ext.allow=always upload-pack /srv/git/a"),
         "\"git\" is not a command that is allowed here", "option: git -c"},
        {"git", LINE("git upload-pack /srv/git/a"), "\"git\" is not a command that is allowed here",
         "another spelling of the program"},
        {"git", LINE("/usr/bin/git-upload-pack /srv/git/a"),
         "\"/usr/bin/git-upload-pack\" is not a command that is allowed here",
         "another spelling of the program"},
        {"git", LINE("./git-upload-pack /srv/git/a"),
         "\"./git-upload-pack\" is not a command that is allowed here",
         "another spelling of the program"},
        {"git", LINE("'git-upload-pack' '/srv/git/a'"), "<git-upload-pack></srv/git/a>",
         "quoted as clients do"},
        {"git", LINE("git-upload-pack\t/srv/git/a"), "<git-upload-pack></srv/git/a>", "blanks"},
        {"git", LINE(" git-upload-pack  /srv/git/a "), "<git-upload-pack></srv/git/a>", "blanks"},
        {"git", LINE("GIT-UPLOAD-PACK /srv/git/a"),
         "\"GIT-UPLOAD-PACK\" is not a command that is allowed here", "case"},
        {"git", LINE("git-upload-pack -- --help"), NO_MATCH "word 2, \"--\": path begins with '-'",
         "option: end of options"},
        {"git", LINE("git-upload-pack --strict --timeout=0 /srv/git/a"),
         NO_MATCH "word 2, \"--strict\": path begins with '-'", "option: git"},
        {"git", LINE("-git-upload-pack a"),
         "\"-git-upload-pack\" is not a command that is allowed here", "option-like program"},
        /* paths */
        {"git", LINE("git-upload-pack a.git"), "<git-upload-pack></srv/git/a.git>", "relative"},
        {"git", LINE("git-upload-pack /srv/git/a.git"), "<git-upload-pack></srv/git/a.git>",
         "absolute"},
        {"git", LINE("git-upload-pack ~/a.git"), "<git-upload-pack></srv/git/a.git>", "home"},
        {"git", LINE("git-upload-pack '~/a.git'"), "<git-upload-pack></srv/git/a.git>", "home"},
        {"git", LINE("git-upload-pack ~"), NO_MATCH "word 2, \"~\": path isn't under the directory",
         "home"},
        {"git", LINE("git-upload-pack ~root/a.git"),
         NO_MATCH "word 2, \"~root/a.git\": another user's '~' means nothing here",
         "path: another's home"},
        {"git", LINE("git-upload-pack '~root'"),
         NO_MATCH "word 2, \"~root\": another user's '~' means nothing here",
         "path: another's home"},
        {"git", LINE("git-upload-pack ~+/a"),
         NO_MATCH "word 2, \"~+/a\": another user's '~' means nothing here", "path: a shell's ~+"},
        {"git", LINE("git-upload-pack ~/../a"),
         NO_MATCH "word 2, \"~/../a\": path climbs too high with '..'", "path: out of home"},
        {"git", LINE("git-upload-pack ~/~root/a"), "<git-upload-pack></srv/git/~root/a>",
         "home, then a name"},
        {"git", LINE("git-upload-pack ../etc"),
         NO_MATCH "word 2, \"../etc\": path climbs too high with '..'",
         "path: gitolite CVE-2011-1572"},
        {"git", LINE("git-upload-pack a/../../etc"),
         NO_MATCH "word 2, \"a/../../etc\": path climbs too high with '..'",
         "path: gitolite CVE-2011-1572"},
        {"git", LINE("git-upload-pack /srv/git/../../etc/passwd"),
         NO_MATCH "word 2, \"/srv/git/../../etc/passwd\": path isn't under the directory",
         "path: gitolite CVE-2011-1572"},
        {"git", LINE("git-upload-pack /srv/git/.."),
         NO_MATCH "word 2, \"/srv/git/..\": path isn't under the directory",
         "path: gitolite CVE-2011-1572"},
        {"git", LINE("git-upload-pack /srv/git/a/.."),
         NO_MATCH "word 2, \"/srv/git/a/..\": path isn't under the directory",
         "path: gitolite CVE-2011-1572"},
        {"git", LINE("git-upload-pack /srv/git/a/../b"), "<git-upload-pack></srv/git/b>",
         "path: inside"},
        {"git", LINE("git-upload-pack /srv/git/a.git/"), "<git-upload-pack></srv/git/a.git/>",
         "path: a slash at the end"},
        {"git", LINE("git-upload-pack /srv/git/."),
         NO_MATCH "word 2, \"/srv/git/.\": path isn't under the directory",
         "path: the directory itself"},
        {"git", LINE("git-upload-pack /srv/git/"),
         NO_MATCH "word 2, \"/srv/git/\": path isn't under the directory",
         "path: the directory itself"},
        {"git", LINE("git-upload-pack /srv/git"),
         NO_MATCH "word 2, \"/srv/git\": path isn't under the directory",
         "path: the directory itself"},
        {"git", LINE("git-upload-pack ."), NO_MATCH "word 2, \".\": path isn't under the directory",
         "path: the directory itself"},
        {"git", LINE("git-upload-pack /srv/gitolite/a"),
         NO_MATCH "word 2, \"/srv/gitolite/a\": path isn't under the directory",
         "path: a name that begins alike"},
        {"git", LINE("git-upload-pack /srv/./git//a///b"), "<git-upload-pack></srv/git/a/b>",
         "path: slashes"},
        {"git", LINE("git-upload-pack //srv/git/a"), "<git-upload-pack></srv/git/a>",
         "path: two slashes in front"},
        {"git", LINE("git-upload-pack /../srv/git/a"),
         NO_MATCH "word 2, \"/../srv/git/a\": path climbs too high with '..'",
         "path: above the root"},
        {"git", LINE("git-upload-pack /"), NO_MATCH "word 2, \"/\": path isn't under the directory",
         "path: the root"},
        {"git", LINE("git-upload-pack /etc/passwd"),
         NO_MATCH "word 2, \"/etc/passwd\": path isn't under the directory", "path: elsewhere"},
        {"git", LINE("git-upload-pack '/srv/git/a/..'/..'/../etc'"),
         NO_MATCH "word 2, \"/srv/git/a/../../../etc\": path isn't under the directory",
         "path: in pieces"},
        {"git", LINE("git-upload-pack .../a"), "<git-upload-pack></srv/git/.../a>", "dots"},
        {"git", LINE("git-upload-pack a..b"), "<git-upload-pack></srv/git/a..b>", "dots"},
        {"git", LINE("git-upload-pack ..a"), "<git-upload-pack></srv/git/..a>", "dots"},
        {"git", LINE("git-upload-pack 'a b.git'"), "<git-upload-pack></srv/git/a b.git>",
         "blank in a name"},
        {"git", LINE("git-upload-pack a\\ b.git"), "<git-upload-pack></srv/git/a b.git>",
         "blank in a name"},
        {"git", LINE("git-upload-pack 'a;id.git'"), "<git-upload-pack></srv/git/a;id.git>",
         "separator: quoted"},
        {"git", LINE("git-upload-pack 'it'\\''s.git'"), "<git-upload-pack></srv/git/it's.git>",
         "quote in a name"},
        {"git", LINE("git-upload-pack ''"), NO_MATCH "word 2, \"\": path is empty", "empty word"},
        {"git", LINE("git-upload-pack '' a"), NO_MATCH "word 2, \"\": path is empty", "empty word"},
        {"git", LINE("git-upload-pack"), NO_MATCH "ends before {path:/srv/git}", "no word"},
        {"git", LINE("git-upload-pack a b"), NO_MATCH "3 words, at most 2 match", "two words"},
        {"git", LINE("git-upload-pack /srv/git/a\\\\..\\\\.."),
         "<git-upload-pack></srv/git/a\\..\\..>", "another system's separators"},
        {"git", LINE("git-upload-pack %2e%2e/a"), "<git-upload-pack></srv/git/%2e%2e/a>",
         "encoded dots"},
        {"git", LINE("git-upload-pack /proc/self/cwd/a"),
         NO_MATCH "word 2, \"/proc/self/cwd/a\": path isn't under the directory",
         "path: through /proc"},
        /* what a shell would act on */
        {"git", LINE("git-upload-pack a;id"), NO_SHELL "unquoted shell character ';' at byte 17",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a ; id"), NO_SHELL "unquoted shell character ';' at byte 18",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a&&id"), NO_SHELL "unquoted shell character '&' at byte 17",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a || id"), NO_SHELL "unquoted shell character '|' at byte 18",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a & id"), NO_SHELL "unquoted shell character '&' at byte 18",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a | id"), NO_SHELL "unquoted shell character '|' at byte 18",
         "separator: lshell CVE-2016-6902"},
        {"git", LINE("git-upload-pack a`id`"), NO_SHELL "unquoted shell character '`' at byte 17",
         "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a$(id)"), NO_SHELL "unquoted shell character '$' at byte 17",
         "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a${IFS}id"),
         NO_SHELL "unquoted shell character '$' at byte 17", "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a$HOME"), NO_SHELL "unquoted shell character '$' at byte 17",
         "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a$((1))"), NO_SHELL "unquoted shell character '$' at byte 17",
         "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a\"$(id)\""),
         NO_SHELL "in double quotes, unescaped '$' at byte 18", "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a\"`id`\""),
         NO_SHELL "in double quotes, unescaped '`' at byte 18", "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a\"${HOME}\""),
         NO_SHELL "in double quotes, unescaped '$' at byte 18", "expansion: scp CVE-2020-15778"},
        {"git", LINE("git-upload-pack a*"), NO_SHELL "unquoted shell character '*' at byte 17",
         "glob"},
        {"git", LINE("git-upload-pack a?"), NO_SHELL "unquoted shell character '?' at byte 17",
         "glob"},
        {"git", LINE("git-upload-pack a[ab]"), NO_SHELL "unquoted shell character '[' at byte 17",
         "glob"},
        {"git", LINE("git-upload-pack a'*'"), "<git-upload-pack></srv/git/a*>", "glob"},
        {"git", LINE("git-upload-pack a\\*"), "<git-upload-pack></srv/git/a*>", "glob"},
        {"git", LINE("git-upload-pack a{a,b}"), "<git-upload-pack></srv/git/a{a,b}>",
         "brace, not a POSIX shell's"},
        {"git", LINE("git-upload-pack a{1..9}"), "<git-upload-pack></srv/git/a{1..9}>",
         "brace, not a POSIX shell's"},
        {"git", LINE("git-upload-pack a>/etc/x"),
         NO_SHELL "unquoted shell character '>' at byte 17", "redirection"},
        {"git", LINE("git-upload-pack a <x"), NO_SHELL "unquoted shell character '<' at byte 18",
         "redirection"},
        {"git", LINE("git-upload-pack a 2>x"), NO_SHELL "unquoted shell character '>' at byte 19",
         "redirection"},
        {"git", LINE("git-upload-pack a<(id)"), NO_SHELL "unquoted shell character '<' at byte 17",
         "redirection"},
        {"git", LINE("git-upload-pack a #x"), NO_SHELL "unquoted shell character '#' at byte 18",
         "comment"},
        {"git", LINE("git-upload-pack a#x"), "<git-upload-pack></srv/git/a#x>", "comment"},
        {"git", LINE("git-upload-pack a '#x'"), NO_MATCH "3 words, at most 2 match", "comment"},
        {"git", LINE("git-upload-pack a!!"), "<git-upload-pack></srv/git/a!!>",
         "history, an interactive shell's"},
        {"git", LINE("git-upload-pack a!1"), "<git-upload-pack></srv/git/a!1>",
         "history, an interactive shell's"},
        {"git", LINE("git-upload-pack a^a^b"), "<git-upload-pack></srv/git/a^a^b>",
         "history, an interactive shell's"},
        {"git", LINE("git-upload-pack a(id)"), NO_SHELL "unquoted shell character '(' at byte 17",
         "subshell"},
        {"git", LINE("git-upload-pack a )"), NO_SHELL "unquoted shell character ')' at byte 18",
         "subshell"},
        {"git", LINE("git-upload-pack a\\;id"), "<git-upload-pack></srv/git/a;id>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a';id'"), "<git-upload-pack></srv/git/a;id>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a\";id\""), "<git-upload-pack></srv/git/a;id>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a\\$\\(id\\)"), "<git-upload-pack></srv/git/a$(id)>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a'$(id)'"), "<git-upload-pack></srv/git/a$(id)>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a\"\\$(id)\""), "<git-upload-pack></srv/git/a$(id)>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a'`id`'"), "<git-upload-pack></srv/git/a`id`>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a'a&&b'"), "<git-upload-pack></srv/git/aa&&b>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a'|id'"), "<git-upload-pack></srv/git/a|id>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("git-upload-pack a'>x'"), "<git-upload-pack></srv/git/a>x>",
         "the same, quoted: bytes of a name"},
        {"git", LINE("a=b git-upload-pack a"), "\"a=b\" is not a command that is allowed here",
         "assignment"},
        {"git", LINE("! git-upload-pack a"), "\"!\" is not a command that is allowed here",
         "reserved word"},
        {"git", LINE("{ git-upload-pack a; }"), NO_SHELL "unquoted shell character ';' at byte 19",
         "reserved word"},
        {"git", LINE("exec git-upload-pack a"), "\"exec\" is not a command that is allowed here",
         "builtin"},
        {"git", LINE("\\git-upload-pack a"), "<git-upload-pack></srv/git/a>", "escaped letter"},
        {"git", LINE("git-upload-pack$IFS/srv/git/a"),
         NO_SHELL "unquoted shell character '$' at byte 15", "expansion: IFS"},
        /* bytes */
        {"git", LINE("git-upload-pack a\nid"),
         NO_SHELL "unquoted shell character newline at byte 17",
         "newline: gitlab-shell CVE-2013-4490"},
        {"git", LINE("git-upload-pack 'a\nid'"), "<git-upload-pack></srv/git/a\nid>",
         "newline, quoted: a byte of a name"},
        {"git", LINE("git-upload-pack a\\\nid"), NO_SHELL "escaped newline at byte 18",
         "newline: gitlab-shell CVE-2013-4490"},
        {"git", LINE("git-upload-pack \"a\\\nb\""), NO_SHELL "escaped newline at byte 19",
         "newline: gitlab-shell CVE-2013-4490"},
        {"git", LINE("\ngit-upload-pack a"), NO_SHELL "unquoted shell character newline at byte 0",
         "newline: gitlab-shell CVE-2013-4490"},
        {"git", LINE("git-upload-pack a\n"), NO_SHELL "unquoted shell character newline at byte 17",
         "newline: gitlab-shell CVE-2013-4490"},
        {"git", LINE("git-upload-pack a\r"), "<git-upload-pack></srv/git/a\r>",
         "carriage return: a byte of a name"},
        {"git", LINE("git-upload-pack a\rid"), "<git-upload-pack></srv/git/a\rid>",
         "carriage return: a byte of a name"},
        {"git",
         LINE("git-upload-pack a\0"
              "b"),
         "the command holds a NUL byte", "NUL"},
        {"git", LINE("git-upload-pack 'a\0'"), "the command holds a NUL byte", "NUL"},
        {"git", LINE("git-upload-pack \0"), "the command holds a NUL byte", "NUL"},
        {"git", LINE("git-upload-pack /etc/\x1b[2J"),
         NO_SHELL "unquoted shell character '[' at byte 22", "glob, behind ESC"},
        {"git", LINE("git-upload-pack '/etc/\x1b[2J'"),
         NO_MATCH "word 2, \"/etc/\\x1b[2J\": path isn't under the directory",
         "escape sequence: log injection CVE-2007-4321"},
        {"git",
         LINE("git-upload-pack '/etc/\x9b"
              "2J'"),
         NO_MATCH "word 2, \"/etc/\\x9b2J\": path isn't under the directory",
         "C1 control: log injection"},
        {"git", LINE("git-upload-pack /etc/\xff\xfe"),
         NO_MATCH "word 2, \"/etc/\\xff\\xfe\": path isn't under the directory", "no UTF-8"},
        {"git", LINE("git-upload-pack \xff\xfe"), "<git-upload-pack></srv/git/\xff\xfe>",
         "no UTF-8"},
        {"git", LINE("git-upload-pack \xc0\xae\xc0\xae/etc"),
         "<git-upload-pack></srv/git/\xc0\xae\xc0\xae/etc>", "overlong dots"},
        {"git", LINE("git-upload-pack \xe2\x80\xae"), "<git-upload-pack></srv/git/\xe2\x80\xae>",
         "bidirectional text"},
        {"git", LINE("git-upload-pack a\v\f"), "<git-upload-pack></srv/git/a\v\f>",
         "other blanks are bytes"},
        {"git", LINE("git-upload-pack /etc/%s%n"),
         NO_MATCH "word 2, \"/etc/%s%n\": path isn't under the directory",
         "format: Dropbear CVE-2016-7406"},
        {"git",
         LINE("git-upload-pack \xc2\xa0"
              "a"),
         "<git-upload-pack></srv/git/\xc2\xa0"
         "a>",
         "a blank of Unicode is no blank"},
        /* quotes */
        {"git", LINE("git-upload-pack 'a"), NO_SHELL "unbalanced ' at byte 16",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack \"a"), NO_SHELL "unbalanced \" at byte 16",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack a'"), NO_SHELL "unbalanced ' at byte 17",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack a\""), NO_SHELL "unbalanced \" at byte 17",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack 'a\""), NO_SHELL "unbalanced ' at byte 16",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack \"a'"), NO_SHELL "unbalanced \" at byte 16",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack a\\"), NO_SHELL "backslash with nothing after it at byte 17",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack \"a\\\""), NO_SHELL "unbalanced \" at byte 16",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack 'a''b"), NO_SHELL "unbalanced ' at byte 19",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack \\'a'"), NO_SHELL "unbalanced ' at byte 19",
         "quotes, unbalanced"},
        {"git", LINE("git-upload-pack a'b'c"), "<git-upload-pack></srv/git/abc>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack a\"b\"c"), "<git-upload-pack></srv/git/abc>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack a''b"), "<git-upload-pack></srv/git/ab>", "quotes in a word"},
        {"git", LINE("git-upload-pack \"a'b\""), "<git-upload-pack></srv/git/a'b>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack 'a\"b'"), "<git-upload-pack></srv/git/a\"b>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack \\\"a"), "<git-upload-pack></srv/git/\"a>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack 'a\\b'"), "<git-upload-pack></srv/git/a\\b>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack 'a\\'"), "<git-upload-pack></srv/git/a\\>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack \"a\\b\""), "<git-upload-pack></srv/git/a\\b>",
         "quotes in a word"},
        {"git", LINE("git-upload-pack a\\\\b"), "<git-upload-pack></srv/git/a\\b>",
         "quotes in a word"},
        {"git", LINE("git-up'load'-pack a"), "<git-upload-pack></srv/git/a>",
         "quotes in the program"},
        {"git", LINE("'git-upload-pack a'"),
         "\"git-upload-pack a\" is not a command that is allowed here", "quotes around all"},
        {"git", LINE("$'git-upload-pack' a"), NO_SHELL "unquoted shell character '$' at byte 0",
         "quotes of bash"},
        {"git", LINE("git-upload-pack $'a\\nb'"),
         NO_SHELL "unquoted shell character '$' at byte 16", "quotes of bash"},
        /* rsync */
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . data"),
         "<rsync><--server><--sender><-vlogDtpre.iLsfxCIvu><.></srv/backup/data>", "read"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv/backup/data/"),
         "<rsync><--server><--sender><-vlogDtpre.iLsfxCIvu><.></srv/backup/data/>", "read"},
        {"rsync", LINE("rsync --server -vlogDtpre.iLsfxCIvu . data"),
         NO_MATCH "word 3, \"-vlogDtpre.iLsfxCIvu\": differs", "write"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . data data2"),
         NO_MATCH "7 words, at most 6 match", "two words"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu -e id . data"),
         NO_MATCH "word 5, \"-e\": differs", "option: rssh CVE-2012-2252"},
        {"rsync", LINE("rsync --server --sender -e 'sh -c id' . data"),
         NO_MATCH "word 4, \"-e\": differs", "option: rssh CVE-2012-2252"},
        {"rsync", LINE("rsync --server --sender -vlogDtprze.iLsfxCIvu . data"),
         NO_MATCH "word 4, \"-vlogDtprze.iLsfxCIvu\": differs", "other options"},
        {"rsync", LINE("rsync -e id --server --sender . data"), NO_MATCH "word 2, \"-e\": differs",
         "option: rssh CVE-2019-3463"},
        {"rsync", LINE("rsync --rsh=id --server --sender . data"),
         NO_MATCH "word 2, \"--rsh=id\": differs", "option: rssh CVE-2019-3463"},
        {"rsync", LINE("rsync --server --sender --rsync-path=id . data"),
         NO_MATCH "word 4, \"--rsync-path=id\": differs", "option: rsync"},
        {"rsync", LINE("rsync --server --daemon ."), NO_MATCH "word 3, \"--daemon\": differs",
         "option: rssh CVE-2019-3464"},
        {"rsync", LINE("rsync --daemon --config=/srv/backup/evil ."),
         NO_MATCH "word 2, \"--daemon\": differs", "option: rssh CVE-2019-3464"},
        {"rsync", LINE("rsync --server --daemon --config=/tmp/x ."),
         NO_MATCH "word 3, \"--daemon\": differs", "option: rssh CVE-2019-3464"},
        {"rsync", LINE("rsync --server --sender --files-from=/etc/passwd . data"),
         NO_MATCH "word 4, \"--files-from=/etc/passwd\": differs", "option: rsync"},
        {"rsync", LINE("rsync --server --sender --remove-source-files -vlogDtpre.iLsfxCIvu . data"),
         NO_MATCH "word 4, \"--remove-source-files\": differs", "option: rsync"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . --rsh=id"),
         NO_MATCH "word 6, \"--rsh=id\": path begins with '-'", "option: rsync"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . -e"),
         NO_MATCH "word 6, \"-e\": path begins with '-'", "option: rsync"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . ../../etc"),
         NO_MATCH "word 6, \"../../etc\": path climbs too high with '..'",
         "path: gitolite CVE-2011-1572"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . data/../../../etc"),
         NO_MATCH "word 6, \"data/../../../etc\": path climbs too high with '..'",
         "path: gitolite CVE-2011-1572"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu . '*'"),
         "<rsync><--server><--sender><-vlogDtpre.iLsfxCIvu><.></srv/backup/*>",
         "glob, quoted: a name"},
        {"rsync", LINE("rsync --server --sender -vlogDtpre.iLsfxCIvu  .   data"),
         "<rsync><--server><--sender><-vlogDtpre.iLsfxCIvu><.></srv/backup/data>", "blanks"},
        {"rsync", LINE("rsync host:data /tmp"), NO_MATCH "word 2, \"host:data\": differs",
         "a client instead of a server"},
        /* scp */
        {"scp", LINE("scp -f /srv/out/a"), "<scp><-f></srv/out/a>", "read"},
        {"scp", LINE("scp -f a"), "<scp><-f></srv/out/a>", "read"},
        {"scp", LINE("scp -t /srv/out/a"), NO_MATCH "word 2, \"-t\": differs", "write"},
        {"scp", LINE("scp -t ."), NO_MATCH "word 2, \"-t\": differs", "write"},
        {"scp", LINE("scp -f -S id a"), NO_MATCH "word 3, \"-S\": path begins with '-'",
         "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -S id -f a"), NO_MATCH "word 2, \"-S\": differs",
         "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -f -F/tmp/conf a"),
         NO_MATCH "word 3, \"-F/tmp/conf\": path begins with '-'", "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -f -oProxyCommand=id a"),
         NO_MATCH "word 3, \"-oProxyCommand=id\": path begins with '-'",
         "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -oProxyCommand=id -f a"),
         NO_MATCH "word 2, \"-oProxyCommand=id\": differs", "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -f -- a"), NO_MATCH "word 3, \"--\": path begins with '-'",
         "option: end of options"},
        {"scp", LINE("scp -f -r a"), NO_MATCH "word 3, \"-r\": path begins with '-'",
         "option: scp"},
        {"scp", LINE("scp -v -f a"), NO_MATCH "word 2, \"-v\": differs", "option: scp"},
        {"scp", LINE("scp -f -Sid"), NO_MATCH "word 3, \"-Sid\": path begins with '-'",
         "option: rssh CVE-2019-1000018"},
        {"scp", LINE("scp -f 'a;id'"), "<scp><-f></srv/out/a;id>",
         "separator, quoted: scp CVE-2020-15778"},
        {"scp", LINE("scp -f a;id"), NO_SHELL "unquoted shell character ';' at byte 8",
         "separator: scp CVE-2020-15778"},
        {"scp", LINE("scp -f `id`"), NO_SHELL "unquoted shell character '`' at byte 7",
         "expansion: libssh CVE-2019-14889"},
        {"scp", LINE("scp -f '`id`'"), "<scp><-f></srv/out/`id`>",
         "expansion, quoted: libssh CVE-2019-14889"},
        {"scp", LINE("scp -f ~/a"), "<scp><-f></srv/out/a>", "home"},
        {"scp", LINE("scp -f a*"), NO_SHELL "unquoted shell character '*' at byte 8", "glob"},
        {"scp", LINE("scp -f host:a"), "<scp><-f></srv/out/host:a>",
         "another host's file: a name below the directory"},
        {"scp", LINE("scp"), NO_MATCH "ends before -f", "no word"},
        /* tar and find */
        {"tar", LINE("tar -xOf a.tar -- member"), "<tar><-xOf></srv/tars/a.tar><--><member>",
         "read"},
        {"tar", LINE("tar -xOf a.tar -- -member"), NO_MATCH "word 5, \"-member\": begins with '-'",
         "option: behind the end of options, too"},
        {"tar", LINE("tar -xOf a.tar -- --to-command=id"),
         NO_MATCH "word 5, \"--to-command=id\": begins with '-'", "option: tar --to-command"},
        {"tar", LINE("tar -xOf a.tar --to-command=id"),
         NO_MATCH "word 4, \"--to-command=id\": differs", "option: tar --to-command"},
        {"tar", LINE("tar -xOf --to-command=id -- a"),
         NO_MATCH "word 3, \"--to-command=id\": path begins with '-'", "option: tar --to-command"},
        {"tar", LINE("tar --to-command=id -xOf a.tar -- member"),
         NO_MATCH "word 2, \"--to-command=id\": differs", "option: tar --to-command"},
        {"tar", LINE("tar -xOf a.tar --checkpoint=1 --checkpoint-action=exec=id"),
         NO_MATCH "word 4, \"--checkpoint=1\": differs", "option: tar --checkpoint-action"},
        {"tar", LINE("tar -xOf --checkpoint-action=exec=id -- m"),
         NO_MATCH "word 3, \"--checkpoint-action=exec=id\": path begins with '-'",
         "option: tar --checkpoint-action"},
        {"tar", LINE("tar -xOf --use-compress-program=id -- m"),
         NO_MATCH "word 3, \"--use-compress-program=id\": path begins with '-'", "option: tar -I"},
        {"tar", LINE("tar -xOf -Iid -- m"), NO_MATCH "word 3, \"-Iid\": path begins with '-'",
         "option: tar -I"},
        {"tar", LINE("tar -xOf host:a.tar -- m"), "<tar><-xOf></srv/tars/host:a.tar><--><m>",
         "another host's archive: a name below the directory"},
        {"tar", LINE("tar xOf a.tar -- m"), NO_MATCH "word 2, \"xOf\": differs",
         "options without a dash"},
        {"tar", LINE("tar -xOf a.tar -- 'm\n--to-command=id'"),
         "<tar><-xOf></srv/tars/a.tar><--><m\n--to-command=id>", "option: behind a newline"},
        {"find", LINE("find . -name x"), NO_MATCH "word 2, \".\": path isn't under the directory",
         "path: the directory itself"},
        {"find", LINE("find sub -name x"), "<find></srv/files/sub><-name><x>", "read"},
        {"find", LINE("find sub -name '*.c'"), "<find></srv/files/sub><-name><*.c>",
         "glob, quoted: find's own"},
        {"find", LINE("find sub -name *.c"), NO_SHELL "unquoted shell character '*' at byte 15",
         "glob"},
        {"find", LINE("find sub -name -exec"), NO_MATCH "word 4, \"-exec\": begins with '-'",
         "option: find -exec"},
        {"find", LINE("find sub -name x -exec id ;"),
         NO_SHELL "unquoted shell character ';' at byte 26", "option: find -exec"},
        {"find", LINE("find sub -name x -exec id \\;"), NO_MATCH "7 words, at most 4 match",
         "option: find -exec"},
        {"find", LINE("find sub -name x -exec id {} +"), NO_MATCH "8 words, at most 4 match",
         "option: find -exec"},
        {"find", LINE("find sub -name x -delete"), NO_MATCH "5 words, at most 4 match",
         "option: find -delete"},
        {"find", LINE("find -exec id \\; -name x"),
         NO_MATCH "word 2, \"-exec\": path begins with '-'", "option: find -exec"},
        {"find", LINE("find -files0-from /etc/passwd -name x"),
         NO_MATCH "word 2, \"-files0-from\": path begins with '-'", "option: find"},
        {"find", LINE("find sub -name '!'"), "<find></srv/files/sub><-name><!>",
         "an operator of find as a name"},
        /* each placeholder, and what it must never let through */
        {"word", LINE("show -x"), NO_MATCH "word 2, \"-x\": begins with '-'", "{word}"},
        {"word", LINE("show --"), NO_MATCH "word 2, \"--\": begins with '-'", "{word}"},
        {"word", LINE("show ''"), NO_MATCH "word 2, \"\": is empty", "{word}"},
        {"word", LINE("show"), NO_MATCH "ends before {word}", "{word}"},
        {"word", LINE("show '-'"), NO_MATCH "word 2, \"-\": begins with '-'", "{word}"},
        {"word", LINE("show \\-x"), NO_MATCH "word 2, \"-x\": begins with '-'", "{word}"},
        {"word", LINE("show ''-x"), NO_MATCH "word 2, \"-x\": begins with '-'", "{word}"},
        {"word", LINE("show x"), "<show><x>", "{word}"},
        {"word", LINE("show '-x '"), NO_MATCH "word 2, \"-x \": begins with '-'", "{word}"},
        {"word", LINE("show ' -x'"), "<show>< -x>", "{word}"},
        {"word", LINE("show '\n-x'"), "<show><\n-x>", "{word}"},
        {"word", LINE("show +x"), "<show><+x>", "{word}"},
        {"word", LINE("show @x"), "<show><@x>", "{word}"},
        {"word", LINE("show x -y"), NO_MATCH "3 words, at most 2 match", "{word}"},
        {"word", LINE("show 'x y'"), "<show><x y>", "{word}"},
        {"word", LINE("nth 1"), "<nth><1>", "{int}"},
        {"word", LINE("nth 007"), "<nth><007>", "{int}"},
        {"word", LINE("nth -1"), NO_MATCH "word 2, \"-1\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth +1"), NO_MATCH "word 2, \"+1\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth 1e3"), NO_MATCH "word 2, \"1e3\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth 0x1"), NO_MATCH "word 2, \"0x1\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth '1 '"), NO_MATCH "word 2, \"1 \": isn't a decimal integer", "{int}"},
        {"word", LINE("nth '1\n'"), NO_MATCH "word 2, \"1\\x0a\": isn't a decimal integer",
         "{int}"},
        {"word", LINE("nth ''"), NO_MATCH "word 2, \"\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth 1;id"), NO_SHELL "unquoted shell character ';' at byte 5", "{int}"},
        {"word", LINE("nth 9999999999999999999"),
         NO_MATCH "word 2, \"9999999999999999999\": isn't a decimal integer", "{int}"},
        {"word", LINE("nth \xd9\xa1"), NO_MATCH "word 2, \"\\xd9\\xa1\": isn't a decimal integer",
         "{int}"},
        {"word", LINE("pick a"), "<pick><a>", "{oneof}"},
        {"word", LINE("pick -b"), "<pick><-b>", "{oneof}"},
        {"word", LINE("pick A"), NO_MATCH "word 2, \"A\": is none of the alternatives", "{oneof}"},
        {"word", LINE("pick ab"), NO_MATCH "word 2, \"ab\": is none of the alternatives",
         "{oneof}"},
        {"word", LINE("pick 'a|-b'"), NO_MATCH "word 2, \"a|-b\": is none of the alternatives",
         "{oneof}"},
        {"word", LINE("pick ''"), NO_MATCH "word 2, \"\": is none of the alternatives", "{oneof}"},
        {"word", LINE("pick 'a '"), NO_MATCH "word 2, \"a \": is none of the alternatives",
         "{oneof}"},
        {"word", LINE("pick 'a\n'"), NO_MATCH "word 2, \"a\\x0a\": is none of the alternatives",
         "{oneof}"},
        {"word", LINE("tag v1.2"), "<tag><v1.2>", "{re}"},
        {"word", LINE("tag -v1"), NO_MATCH "word 2, \"-v1\": doesn't match the expression", "{re}"},
        {"word", LINE("tag v1x"), NO_MATCH "word 2, \"v1x\": doesn't match the expression", "{re}"},
        {"word", LINE("tag 'v1\n--help'"),
         NO_MATCH "word 2, \"v1\\x0a--help\": doesn't match the expression", "{re}"},
        {"word", LINE("tag '--help\nv1'"),
         NO_MATCH "word 2, \"--help\\x0av1\": doesn't match the expression", "{re}"},
        {"word", LINE("tag 'v1\n'"), NO_MATCH "word 2, \"v1\\x0a\": doesn't match the expression",
         "{re}"},
        {"word", LINE("tag ''"), NO_MATCH "word 2, \"\": doesn't match the expression", "{re}"},
        {"word", LINE("tag xv1"), NO_MATCH "word 2, \"xv1\": doesn't match the expression", "{re}"},
        {"word", LINE("tag V1"), NO_MATCH "word 2, \"V1\": doesn't match the expression", "{re}"},
        /* a program that can bear anything gets the bytes */
        {"args", LINE("printf -x --help '' 'a b' '$(id)' '\n' \xff"),
         "<printf><-x><--help><><a b><$(id)><\n><\xff>", "{args}"},
        {"args", LINE("printf"), "<printf>", "{args}"},
        {"args", LINE("printf a;b"), NO_SHELL "unquoted shell character ';' at byte 8",
         "separator: lshell CVE-2016-6903"},
        {"args", LINE("/bin/printf a"), "\"/bin/printf\" is not a command that is allowed here",
         "another spelling of the program"},
        /* a shell gets the line as it is, and as one word */
        {"shell", LINE("a;b $(c) 'd"), "</bin/bash><-c><a;b $(c) 'd>", "shell"},
        {"shell", LINE("-c id"), "a command line can't begin with '-'", "option of the shell"},
        {"shell", LINE("--rcfile x"), "a command line can't begin with '-'", "option of the shell"},
        {"shell", LINE("+B"), "a command line can't begin with '+'", "option of the shell"},
        {"shell", LINE(" -c id"), "</bin/bash><-c>< -c id>", "shell"},
        {"shell", LINE("a\nb"), "</bin/bash><-c><a\nb>", "shell"},
        {"shell",
         LINE("a\0"
              "b"),
         "the command holds a NUL byte", "NUL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[1024];
        struct decision d;
        /* Exactly as long as it says: a sanitizer sees a read behind its end. */
        char *copy = malloc(cases[i].len > 0 ? cases[i].len : 1);
        assert_non_null(copy);
        memcpy(copy, cases[i].line, cases[i].len);
        struct decide_request r = request_of(cases[i].tenant, copy, cases[i].len);
        decide(&r, &d);
        outcome(&d, got, sizeof got);
        if (strcmp(got, cases[i].outcome) != 0)
            fail_msg("%s, %s:\n%s\ngot:      %s\nexpected: %s", cases[i].tenant, cases[i].class,
                     cases[i].line, got, cases[i].outcome);
        decision_free(&d);
        free(copy);
    }
}

/* What is too long for a table: the exact limits, and far beyond. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { HUGE = 100 * 1024 };
    static const char program[] = "printf ";
    char *line = malloc(HUGE);
    assert_non_null(line);
    memset(line, 'a', HUGE);
    memcpy(line, program, sizeof program - 1);
    static const struct {
        size_t len;
        const char *reason; /* NULL: allowed */
    } cases[] = {
        {COMMAND_MAX, NULL},
        {COMMAND_MAX + 1, "the command is longer than 65536 bytes"},
        {HUGE, "the command is longer than 65536 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decision d;
        struct decide_request r = request_of("args", line, cases[i].len);
        decide(&r, &d);
        assert_string_equal(d.reason, cases[i].reason == NULL ? "" : cases[i].reason);
        if (d.allowed)
            assert_int_equal(strlen(d.argv[1]), cases[i].len - (sizeof program - 1));
        decision_free(&d);

        /* Who cut the line says so: the rest may have been its end. */
        r.command_len = 8;
        r.command_truncated = true;
        decide(&r, &d);
        assert_false(d.allowed);
        assert_string_equal(d.reason, "the command is longer than 65536 bytes");
        decision_free(&d);
    }
    /* A million quotes, words and slashes within what is allowed. */
    static const char *const fill[] = {"'", "\"", "\\", " a", "/", "../", "''", "a/../", "-"};
    for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
        size_t n = strlen(fill[i]);
        memcpy(line, "git-upload-pack ", 16);
        for (size_t at = 16; at < COMMAND_MAX; at++)
            line[at] = fill[i][(at - 16) % n];
        struct decision d;
        struct decide_request r = request_of("git", line, COMMAND_MAX);
        decide(&r, &d);
        assert_false(d.allowed);
        assert_true(d.reason[0] != '\0' && strlen(d.reason) < 200);
        decision_free(&d);
    }
    free(line);
}

/* Forced: the line is a value of one variable, whatever its bytes, and nothing else. */
static void test_forced(void **state)
{
    (void)state;
    static const char *const lines[] = {"id; rm -rf /", "'a b; c'\n",  "a\nLD_PRELOAD=/tmp/x.so",
                                        "-c id",        "\xff\x1b[2J", "",
                                        "() { :; }; id"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char got[256];
        char expected[256];
        struct decision d;
        struct decide_request r = request_of("force", lines[i], strlen(lines[i]));
        decide(&r, &d);
        outcome(&d, got, sizeof got);
        assert_string_equal(got, "</usr/bin/deploy><a b>");
        snprintf(expected, sizeof expected, "SSH_ORIGINAL_COMMAND=%s", lines[i]);
        size_t found = 0;
        for (char **e = d.envp; *e != NULL; e++)
            if (strncmp(*e, "SSH_ORIGINAL_COMMAND=", 21) == 0) {
                assert_string_equal(*e, expected);
                found++;
            } else {
                assert_true(strncmp(*e, "LD_", 3) != 0);
            }
        assert_int_equal(found, 1);
        decision_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_forced),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
