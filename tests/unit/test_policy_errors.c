/* What is wrong with a policy: every error with file, line and hint, all in one run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diag.h"
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATER      "' is understood but not carried out by this version\n"
#define NO_INCLUDE " (nothing is included: every *.ini file in policy.d is read)\n"
#define QUOTES     " (write it without the quotes)\n"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problems;
    } cases[] = {
        /* sections and keys */
        /* What follows from an error is none of its own. */
        {"[tenant \"a\"]\nsandbox = s # x\nmemory-total = 1G # x\n[seccomp \"p\"]\nallow = "
         "raed @basic\n[sandbox \"s\"]\nseccomp = p\n",
         "2: error: 's # x' is not a name: 1 to 32 letters, digits, '.', '_' or '-', beginning "
         "with a letter or digit (a comment after a value begins with ';')\n"
         "3: error: '1G # x' is not a size such as 512K, 64M or 2G, nor 'infinity' (a comment "
         "after a value begins with ';')\n"
         "5: error: there is no system call 'raed' (did you mean 'read'?)\n"},
        {"[tenant \"a\"]\nfrom = ::1 x, 1.2.3.4/40\naccept-env = LANG, LC_* 1\n",
         "2: error: 'x' is not an IP address or network (names are not looked up)\n"
         "2: error: prefix: '40' is out of range (0 to 32)\n"
         "3: error: 'LANG,' is not a variable's name: blanks separate names\n"
         "3: error: '1' is not a variable's name, nor the beginning of one and '*'\n"},
        {"[tenant \"a\"]\nkeys = keys/a, keys/b\nkeys = ~/k\nkeys = ssh-ed25519 AAAA\n",
         "2: error: keys: '/p/policy.d/keys/a, keys/b': can't be opened: No such file or directory "
         "(repeat 'keys =' for each file)\n"
         "3: error: keys: '/p/policy.d/~/k': can't be opened: No such file or directory ('~' "
         "stands for itself: write the whole path)\n"
         "4: error: keys: '/p/policy.d/ssh-ed25519 AAAA': can't be opened: No such file or "
         "directory (name a file that holds the key)\n"},
        {"[tennant \"a\"]\n", "1: error: unknown section [tennant] (did you mean 'tenant'?)\n"},
        {"[zzz]\n", "1: error: unknown section [zzz]\n"},
        {"[tenant]\n", "1: error: [tenant] needs a name: [tenant \"name\"]\n"},
        {"[server]\n", "1: error: [server] can't stand in this file (it belongs in postern.ini)\n"},
        {"[group \"a\"]\n",
         "1: error: [group] can't stand in this file (it belongs in seccomp-dir)\n"},
        {"[tenant \"a\"]\n[tenant \"a\"]\n",
         "2: error: tenant 'a' is defined twice (first at /p/policy.d/t.ini:1)\n"},
        {"[sandbox \"a\"]\nmemroy = 1G\n",
         "2: error: unknown key 'memroy' in [sandbox] (did you mean 'memory'?)\n"},
        {"[tenant \"a b\"]\n", "1: error: 'a b' is not a name: 1 to 32 letters, digits, '.', '_' "
                               "or '-', beginning with a letter or digit\n"},
        {"[include \"x\"]\n", "1: error: unknown section [include]" NO_INCLUDE},
        {"[tenant \"a\"]\ninclude = x\n", "2: error: unknown key 'include' in [tenant]" NO_INCLUDE},
        {"include = x\n", "1: error: key before the first section" NO_INCLUDE},
        {"include x\n", "1: error: neither a section, a key nor a comment" NO_INCLUDE},
        {"[tenant \"a\"]\r\nzz = 1\r\nuser = u\r\n",
         "1: error: line ends are CRLF; convert with: sed -i 's/\\r$//' /p/policy.d/t.ini\n"
         "2: error: unknown key 'zz' in [tenant]\n"},
        {"[tenant \"a\"]\nmemory = 2G\ndeny = ptrace\nlimits = best-effort\n",
         "2: error: unknown key 'memory' in [tenant] (it is a key of [sandbox])\n"
         "3: error: unknown key 'deny' in [tenant] (it is a key of [seccomp])\n"
         "4: error: unknown key 'limits' in [tenant] (it is a key of [server])\n"},
        {"[sandbox \"a\"]\nkeys = x\n",
         "2: error: unknown key 'keys' in [sandbox] (it is a key of [tenant])\n"},
        {"[defaults]\ntime = 1h\n",
         "2: error: unknown key 'time' in [defaults] (it is a key of [sandbox])\n"},
        {"[tenant \"a\"]\nKeys = x\n",
         "2: error: unknown key 'Keys' in [tenant] (did you mean 'keys'?)\n"},
        {"[tenant \"a\"]\nuser = x\nuser = y\n",
         "3: error: 'user' is set twice (first at line 2)\n"},
        {"[tenant \"a\"]\nuser =\n", "2: error: 'user' needs a value\n"},
        {"[tenant \"a\"]\nkeys = keys/a\nkeys =\n",
         "3: error: an empty 'keys' resets what is inherited, so it comes before line 2\n"},
        /* references */
        {"[tenant \"a\"]\nsandbox = defualt\n",
         "2: error: sandbox: there is no sandbox 'defualt' (did you mean 'default'?)\n"},
        {"[tenant \"a\"]\nextends = b\n",
         "2: error: extends: there is no tenant 'b' (define it: [tenant \"b\"])\n"},
        {"[sandbox \"a\"]\nseccomp = x\n",
         "2: error: seccomp: there is no seccomp profile 'x' (define it: "
         "[seccomp \"x\"])\n"},
        {"[tenant \"a\"]\nextends = a\n", "2: error: tenant 'a' extends itself, by way of 'a'\n"},
        {"[tenant \"a\"]\nextends = b\n[tenant \"b\"]\nextends = c\n[tenant \"c\"]\nextends = b\n",
         "4: error: tenant 'b' extends itself, by way of 'c'\n"},
        {"[tenant \"a\"]\nextends = b\nextends = b\n[tenant \"b\"]\n",
         "3: error: 'extends' is set twice (first at line 2)\n"},
        /* keys of tenants */
        {"[tenant \"a\"]\nkeys = keys/x\n",
         "2: error: keys: '/p/policy.d/keys/x': can't be opened: No such file or directory (put "
         "the tenant's public keys there, one on each line)\n"},
        {"[tenant \"a\"]\nkeys = \"keys/a\"\n",
         "2: error: '\\\"keys/a\\\"' is not the name of a file" QUOTES},
        {"[tenant \"a\"]\nkeys = keys/bad\n",
         "/p/policy.d/keys/bad:1: error: the key is not valid base64\n"
         "/p/policy.d/keys/bad:2: error: 'nonsense' is neither a known option nor a known key "
         "type (a line is: [options] type key [comment])\n"},
        {"[tenant \"a\"]\nkeys = keys/a\nkeys = keys/a\n",
         "/p/policy.d/keys/a:1: error: tenant 'a' has this key twice: two of its 'keys =' name "
         "this "
         "file (an empty 'keys =' first resets inherited ones)\n"},
        {"[tenant \"a\"]\nkeys = keys/a\n[tenant \"b\"]\nuser = a\nkeys = keys/a\n",
         "/p/policy.d/keys/a:1: error: tenants 'a' and 'b' have this key and one login, 'a' (first "
         "at /p/policy.d/keys/a:1) (an empty 'keys =' first resets inherited ones)\n"},
        {"[tenant \"a\"]\nkeys = keys/env\n",
         "/p/policy.d/keys/env:1: error: environment= sets 'CI', which accept-env of tenant 'a' "
         "doesn't allow\n"},
        /* rules */
        {"[tenant \"a\"]\nshell = /bin/sh\nforce = x\n",
         "1: error: tenant 'a' has both 'shell' and 'force': it must be one of shell, force and "
         "command (an empty value takes an inherited one back)\n"},
        {"[tenant \"a\"]\nforce = x\ncommand = x\n",
         "1: error: tenant 'a' has both 'force' and 'command': it must be one of shell, force and "
         "command (an empty value takes an inherited one back)\n"},
        {"[tenant \"a\"]\nshell = a | b\n",
         "2: error: unquoted shell character '|' at byte 2 (quote it: no shell reads this line)\n"},
        {"[tenant \"a\"]\nforce = a # b\n", "2: error: unquoted shell character '#' at byte 2 (a "
                                            "comment after a value begins with ';')\n"},
        {"[tenant \"a\"]\nforce = a \"b\n", "2: error: unbalanced \" at byte 2\n"},
        {"[tenant \"a\"]\ncommand = a *\n",
         "2: error: unquoted shell character '*' at byte 2 (quote it: no shell reads this line)\n"},
        {"[tenant \"a\"]\nforce = ''\n", "2: error: the program's name is empty\n"},
        {"[tenant \"a\"]\ncommand = a {wrod}\n", "2: error: unknown placeholder {wrod}\n"},
        {"[tenant \"a\"]\npty = maybe\n", "2: error: 'maybe' is neither 'yes' nor 'no'\n"},
        {"[tenant \"a\"]\nexplain = all\n", "2: error: 'all' is not one of: none, reason, rule\n"},
        {"[tenant \"a\"]\nexplain = raeson\n",
         "2: error: 'raeson' is not one of: none, reason, rule (did you mean 'reason'?)\n"},
        {"[tenant \"a\"]\nexplain = 'rule'\n",
         "2: error: ''rule'' is not one of: none, reason, rule" QUOTES},
        {"[tenant \"a\"]\nsandbox = \"default\"\n",
         "2: error: sandbox: there is no sandbox '\\\"default\\\"'" QUOTES},
        {"[tenant \"a\"]\nmax-execs = 0\n", "2: error: '0' is out of range (1 to 100000)\n"},
        {"[tenant \"a\"]\nmax-execs = many\n",
         "2: error: 'many' is not a whole number, nor 'infinity'\n"},
        {"[tenant \"a\"]\nuser = ../x\n",
         "2: error: '../x' is not a name: 1 to 32 letters, digits, '.', '_' or '-', beginning with "
         "a letter or digit\n"},
        {"[tenant \"a\"]\nuid = 0\n", "2: error: '0' is out of range (1 to 4294967293)\n"},
        {"[tenant \"a\"]\nuid = 65534\n", "2: error: uid 65534 belongs to nobody\n"},
        {"[tenant \"a\"]\nuid = 7\n[tenant \"b\"]\nuid = 7\n",
         "4: error: tenant 'a' has this uid already (/p/policy.d/t.ini:2)\n"},
        /* environment */
        {"[tenant \"a\"]\naccept-env = LANG *\n",
         "2: error: '*' would let the client set any variable\n"},
        {"[tenant \"a\"]\naccept-env = LD_PRELOAD\n",
         "2: error: 'LD_PRELOAD' names what no client may set\n"},
        {"[tenant \"a\"]\naccept-env = GIT_*\n",
         "2: error: 'GIT_*' names what no client may set\n"},
        {"[tenant \"a\"]\naccept-env = A-B\n",
         "2: error: 'A-B' is not a variable's name, nor the beginning of one and '*'\n"},
        {"[tenant \"a\"]\naccept-env = LANG, LC_*\n",
         "2: error: 'LANG,' is not a variable's name: blanks separate names\n"},
        {"[tenant \"a\"]\naccept-env = A*B\n",
         "2: error: 'A*B' is not a variable's name, nor the beginning of one and '*'\n"},
        {"[tenant \"a\"]\nenv = X\n", "2: error: 'env' needs NAME=VALUE\n"},
        {"[tenant \"a\"]\nenv = X=1\nenv = X=2\n", "3: error: 'X' is set twice\n"},
        {"[tenant \"a\"]\nenv = POSTERN_KEY=x\n",
         "2: error: 'POSTERN_KEY' is set by Postern itself\n"},
        /* sandboxes */
        {"[sandbox \"a\"]\nroot = srv\n",
         "2: error: neither 'host' nor a directory's path: 'srv' is not an absolute path\n"},
        {"[sandbox \"a\"]\nroot = /srv/\n", "2: error: '/srv/' ends in a slash: leave it out\n"},
        {"[sandbox \"a\"]\nnetwork = internet\n",
         "2: error: 'internet' is not one of: none, loopback, host, egress\n"},
        {"[sandbox \"a\"]\nnetwork = all\n",
         "2: error: 'all' is not one of: none, loopback, host, egress\n"},
        {"[sandbox \"a\"]\nread = opt\n", "2: error: 'opt' is not an absolute path\n"},
        {"[sandbox \"a\"]\nread = /opt/../x\n",
         "2: error: '/opt/../x' has an empty, '.' or '..' component\n"},
        {"[sandbox \"a\"]\nread = /opt:/tmp/x\n",
         "2: error: '/tmp/x' inside the sandbox is made by Postern itself\n"},
        {"[sandbox \"a\"]\nread = /a:/x\nread = /b:/x\n",
         "3: error: something else is at '/x' already\n"},
        {"[sandbox \"a\"]\ntmp = 64\n",
         "2: error: '64' is out of range (4096 to 1125899906842624 bytes)\n"},
        {"[sandbox \"a\"]\ntmp = infinity\n",
         "2: error: 'infinity' is not a size such as 512K, 64M or 2G\n"},
        {"[sandbox \"a\"]\ntime = 5\n",
         "2: error: '5' is not a time such as 30s, 15m, 1h or 2d, nor 'infinity'\n"},
        {"[sandbox \"a\"]\ntasks = 0\n", "2: error: '0' is out of range (1 to 4194304)\n"},
        /* seccomp */
        {"[seccomp \"a\"]\nextends = default\nallow = raed\n",
         "3: error: there is no system call 'raed' (did you mean 'read'?)\n"},
        {"[seccomp \"a\"]\nextends = default\nallow = @baisc\n",
         "3: error: @group: there is no group 'baisc' (did you mean 'basic'?)\n"},
        {"[seccomp \"a\"]\nallow = read execve\n",
         "1: error: seccomp 'a' doesn't allow exit_group: no command could run\n"},
        {"[seccomp \"a\"]\nextends = default\ndeny = execve\n",
         "1: error: seccomp 'a' doesn't allow execve: no command could run\n"},
        {"[seccomp \"a\"]\nextends = default\nallow = read\ndeny = read\n",
         "4: error: 'read' has another answer already (line 3)\n"},
        {"[seccomp \"default\"]\nallow = @basic\n",
         "/s/default.ini:1: error: seccomp 'default' is defined twice (first at "
         "/p/policy.d/t.ini:1)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *policy = fixture_load_text(cases[i].text);
        assert_problems(cases[i].problems);
        assert_null(policy);
    }
}

/* The keys that were added to tenants since the first version of the language. */
static void test_tenant_key_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* of [tenant "a"] */
        const char *problems;
    } cases[] = {
        {"auth = none\nkeys = keys/a\n",
         "2: error: tenant 'a' has 'keys' (/p/policy.d/t.ini:3), but auth = none lets everybody in "
         "without one (an empty 'keys =' takes inherited ones back)\n"},
        {"auth = password\n", "2: error: 'password' is not one of: publickey, none\n"},
        {"auth = none\n[tenant \"b\"]\nuser = a\nauth = none\n",
         "3: error: tenant 'b' has login 'a', but auth = none gives that to tenant 'a' alone "
         "(/p/policy.d/t.ini:2) (give one of them another 'user')\n"},
        {"auth = none\n[tenant \"b\"]\nuser = a\n[tenant \"0\"]\nuser = a\n",
         "3: error: tenant 'b' has login 'a', but auth = none gives that to tenant 'a' alone "
         "(/p/policy.d/t.ini:2) (give one of them another 'user')\n"
         "5: error: tenant '0' has login 'a', but auth = none gives that to tenant 'a' alone "
         "(/p/policy.d/t.ini:2) (give one of them another 'user')\n"},
        {"command = ls {path:/srv/%t}\n",
         "2: error: {path:}: '/srv/%t': %t is the tenant's name in 'workspace' alone\n"},
        {"force = /bin/x {word}\n", "2: error: '{word}' stands for nothing here: placeholders "
                                    "belong in 'command'\n"},
        {"shell = {oneof:/bin/sh}\n", "2: error: '{oneof:/bin/sh}' stands for nothing here: "
                                      "placeholders belong in 'command'\n"},
        {"subsystem = s: /bin/x {path:/srv}\n", "2: error: '{path:/srv}' stands for nothing here: "
                                                "placeholders belong in 'command'\n"},
        {"from = ,\n", "2: error: ',' names no address\n"},
        {"from = ::1\nfrom = , ,\n", "3: error: ', ,' names no address\n"},
        {"from = example.org\n",
         "2: error: 'example.org' is not an IP address or network (names are not looked up)\n"},
        {"from = 10.0.0.1/8\n",
         "2: error: '10.0.0.1/8' has bits beyond its prefix (its network is 10.0.0.0/8)\n"},
        {"from = 10.0.0.0/8\nfrom =\n",
         "3: error: an empty 'from' resets what is inherited, so it comes before line 2\n"},
        {"max-connections = 0\n", "2: error: '0' is out of range (1 to 100000)\n"},
        {"max-connections = all\n", "2: error: 'all' is not a whole number, nor 'infinity'\n"},
        {"queue = 30\n", "2: error: '30' is not a time such as 30s, 15m, 1h or 2d, nor 'no'\n"},
        {"queue = infinity\n",
         "2: error: 'infinity' is not a time such as 30s, 15m, 1h or 2d, nor 'no'\n"},
        {"queue = 2d\n", "2: error: 'queue' is at most 24h\n"},
        {"rate = 30\n",
         "2: error: '30' is not a rate such as 5/s, 30/min, 100/h or 1000/day, nor 'infinity'\n"},
        {"rate = 0/s\n", "2: error: '0/s' is out of range (1 to 1000000)\n"},
        {"subsystem = sftp\n", "2: error: 'sftp' is not NAME: COMMAND LINE, such as sftp: "
                               "/usr/lib/openssh/sftp-server\n"},
        {"subsystem = a b: /x\n", "2: error: 'a b: /x' is not NAME: COMMAND LINE, such as sftp: "
                                  "/usr/lib/openssh/sftp-server\n"},
        {"subsystem = sftp:\n", "2: error: the program's name is empty\n"},
        {"subsystem = sftp: a | b\n",
         "2: error: unquoted shell character '|' at byte 2 (quote it: no shell reads this line)\n"},
        {"subsystem = x: /a\nsubsystem = y: /b\nsubsystem = x: /c\n",
         "4: error: subsystem 'x' is given twice (first at line 2)\n"},
        {"memory-total = 8\ntasks-total = x\ncpu-total = 2\n",
         "2: error: '8' is out of range (1048576 to 1125899906842624 bytes)\n"
         "3: error: 'x' is not a whole number, nor 'infinity'\n"
         "4: error: '2' is not a share of CPU such as 50% or 200%, nor 'infinity'\n"},
        {"[defaults]\nuser = x\nextends = b\nuid = 5\n[defaults]\n",
         "3: error: 'user' can't stand in [defaults]: every [tenant] has its own\n"
         "4: error: 'extends' can't stand in [defaults]: every [tenant] has its own\n"
         "5: error: 'uid' can't stand in [defaults]: every [tenant] has its own\n"
         "6: error: [defaults] is defined twice (first at /p/policy.d/t.ini:2)\n"},
        {"[defaults \"x\"]\n", "2: error: [defaults] has no name\n"},
        {"shell = /bin/sh\n[defaults]\nforce = /bin/true\n",
         "1: error: tenant 'a' has both 'shell' and 'force': it must be one of shell, force and "
         "command (an empty value takes an inherited one back)\n"},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, "[tenant \"a\"]\n%s", cases[i].text);
        struct policy *policy = fixture_load_text(text);
        assert_problems(cases[i].problems);
        assert_null(policy);
    }
}

static void test_sandbox_key_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* of [sandbox "a"] */
        const char *problems;
    } cases[] = {
        {"write = srv\nhide = /\nworkspace = tmp\nworkspace-size = big\nmemory = 2GB\n"
         "memory-high = 1K\nswap = some\ncpu = 0%\ncpu-weight = 0\nio-weight = 10001\n",
         "2: error: 'srv' is not an absolute path\n"
         "3: error: '/' can't be hidden\n"
         "4: error: 'tmp' is not one of: none, exec, connection, an absolute path\n"
         "5: error: 'big' is not a size such as 512K, 64M or 2G, nor 'infinity'\n"
         "6: error: '2GB' is not a size such as 512K, 64M or 2G, nor 'infinity'\n"
         "7: error: '1K' is out of range (1048576 to 1125899906842624 bytes)\n"
         "8: error: 'some' is not a size such as 512K, 64M or 2G, nor 'infinity'\n"
         "9: error: '0%' is out of range (1% to 100000%)\n"
         "10: error: '0' is out of range (1 to 10000)\n"
         "11: error: '10001' is out of range (1 to 10000)\n"},
        {"workspace = /\n", "2: error: '/' can't be a workspace\n"},
        {"home = here\n", "2: error: 'here' is not an absolute path\n"},
        {"home = /tmp/x\n", "2: error: '/tmp/x' inside the sandbox is made by Postern itself: a "
                            "home is a directory of "
                            "'root', 'read' or 'write', /tmp or /workspace\n"},
        {"home = /srv/a:b\n",
         "2: error: '/srv/a:b' is longer than 255 bytes, or holds ':' or '\\'\n"},
        {"root = /srv/%t\nread = /srv/%t\nwrite = /srv:/%t\nhide = /srv/a%tb\n",
         "2: error: '/srv/%t': %t is the tenant's name in 'workspace' alone\n"
         "3: error: '/srv/%t': %t is the tenant's name in 'workspace' alone\n"
         "4: error: '/%t': %t is the tenant's name in 'workspace' alone\n"
         "5: error: '/srv/a%tb': %t is the tenant's name in 'workspace' alone\n"},
        {"workspace = /srv/%u\n",
         "2: error: '/srv/%u': only %t, the tenant's name, can follow a '%'\n"},
        {"read = /a\nwrite = /b:/a\n", "3: error: something else is at '/a' already\n"},
        {"idle-time = 5\noutput = lots\n",
         "2: error: '5' is not a time such as 30s, 15m, 1h or 2d, nor 'infinity'\n"
         "3: error: 'lots' is not a size such as 512K, 64M or 2G, nor 'infinity'\n"},
        {"memory = \"2G\"\n",
         "2: error: '\\\"2G\\\"' is not a size such as 512K, 64M or 2G, nor 'infinity'" QUOTES},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(text, sizeof text, "[sandbox \"a\"]\n%s", cases[i].text);
        struct policy *policy = fixture_load_text(text);
        assert_problems(cases[i].problems);
        assert_null(policy);
    }
}

static void test_server_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problems;
    } cases[] = {
        {"[server]\nlisten = localhost:22\n",
         "'localhost' is not a literal IPv4 address, such as 0.0.0.0"},
        {"[server]\nlisten = [localhost]:22\n",
         "'localhost' is not a literal IPv6 address, such as ::"},
        {"[server]\nlisten = ::1:22\n",
         "'::1:22' is not ADDRESS:PORT, such as 0.0.0.0:22 or [::]:22"},
        {"[server]\nlisten =\n", "'listen' needs a value"},
        {"[server]\nlisten = 127.0.0.1:22\nlisten = 127.0.0.1:22\n",
         "this address is listed twice (first at line 2)"},
        {"[server]\nhost-key = key\n", "'key' is not an absolute path"},
        {"[server]\nhost-key = /1\nhost-key = /2\nhost-key = /3\nhost-key = /4\nhost-key = /5\n"
         "host-key = /6\nhost-key = /7\nhost-key = /8\nhost-key = /9\n",
         "postern.ini:10: error: more than 8 host keys"},
        {"[server]\nuser = a/b\n", "'a/b' is not a name: 1 to 32 letters, digits, '.', '_' or '-', "
                                   "beginning with a letter or digit"},
        {"[server]\naudit = log\n",
         "'audit' is a path, 'journal' or 'stderr': 'log' is not an absolute path"},
        {"[server]\naudit = journal\naudit = journal\n", "this place is listed twice"},
        {"[server]\naudit-mode = perhaps\n", "'perhaps' is not one of: required, best-effort"},
        {"[server]\nlog-level = loud\n",
         "'loud' is not one of: error, warning, info, debug, trace"},
        {"[server]\nlogin-grace = infinity\n", "this can't be 'infinity'"},
        {"[server]\nlogin-grace = 2h\n", "'login-grace' is at most 1h"},
        {"[server]\nlisten = 127.0.0.1:22 tls\n",
         "postern.ini:2: error: 'listen' is ADDRESS:PORT, with 'proxy' behind it or nothing\n"},
        {"[server]\nlisten = 127.0.0.1:22 proxy\n",
         "postern.ini:2: error: 'listen' with 'proxy' needs 'proxy-from': whose word counts (name "
         "the balancers, e.g. proxy-from = 10.0.0.5)\n"},
        {"[server]\nproxy-from = 10.0.0.5\n",
         "postern.ini:2: error: 'proxy-from' is of no use: no 'listen' has 'proxy' behind it\n"},
        {"[server]\nproxy-from = !10.0.0.5\n",
         "postern.ini:2: error: it names nobody: write the addresses of the balancers\n"},
        {"[server]\nmax-startups = 10:20\n",
         "'max-startups' is a number, or START:PERCENT:FULL such as 50:30:100"},
        {"[server]\nmax-startups = 10:101:20\n", "START:PERCENT:FULL: "},
        {"[server]\nmax-startups = 30:50:20\n", "START:PERCENT:FULL: START is at most FULL"},
        {"[server]\nmax-startups = :1:2\n", "START:PERCENT:FULL: "},
        {"[server]\nsource-exempt = !127.0.0.1\n",
         "it names nobody; to exempt nobody write 'none'"},
        {"[server]\nsource-exempt = localhost\n", "'localhost' is not an IP address or network"},
        {"[server]\nsource-prefix-ipv4 = 33\n", "'33' is out of range (8 to 32)"},
        {"[server]\nkex = ssh-rsa\n", "'ssh-rsa' is not offered: it signs with SHA-1"},
        {"[server]\nrekey-data = 1M\n", "postern.ini:2: error: '1M' is "},
        {"[server]\nbanner = /nowhere\n", "banner '/nowhere': "},
        {"[server]\nmax-channels = -1\n", "'-1' is not a whole number"},
        {"[server]\nuid-range = 5\n", "'5' is not a range FIRST-LAST"},
        {"[server]\npolicy-owner = nobody2\n",
         "/p/postern.ini:2: error: there is no user 'nobody2' on this host\n"},
        {"[server]\npolicy-owner = a b\n", "/p/postern.ini:2: error: 'a b' is not a name: 1 to 32"},
        {"[server]\nport = 22\n", "unknown key 'port' in [server]"},
        {"[server]\n[server]\n", "[server] is defined twice (first at /p/postern.ini:1)"},
        {"[server \"x\"]\n", "[server] has no name"},
        {"[tenant \"x\"]\n", "[tenant] can't stand in this file (it belongs in policy.d)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset();
        fixture_add_text("/p/postern.ini", cases[i].text);
        assert_null(fixture_load());
        if (strstr(fixture_problems, cases[i].problems) == NULL)
            fail_msg("%s", fixture_problems);
    }
}

static void test_all_errors_at_once(void **state)
{
    (void)state;
    fixture_reset();
    fixture_add_text("/p/postern.ini", "[server]\nseccomp-dir = /s\nlogin-grace = x\n");
    fixture_add_text("/p/policy.d/a.ini", "[tenant \"a\"]\nzz = 1\n sandbox = no\n");
    fixture_add_text("/p/policy.d/b.ini", "[tenant \"a\"]\nkeys = none\n");
    fixture_add_text("/p/policy.d/skipped.txt", "nonsense");
    assert_null(fixture_load());
    assert_string_equal(
        fixture_problems,
        "/p/policy.d/a.ini:2: error: unknown key 'zz' in [tenant]\n"
        "/p/policy.d/a.ini:3: error: line is indented (begin it in the first column)\n"
        "/p/policy.d/a.ini:3: error: sandbox: there is no sandbox 'no' (define it: [sandbox "
        "\"no\"])\n"
        "/p/policy.d/b.ini:1: error: tenant 'a' is defined twice (first at /p/policy.d/a.ini:1)\n"
        "/p/postern.ini:3: error: 'x' is not a time such as 30s, 15m, 1h or 2d\n");
}

static void test_missing_files(void **state)
{
    (void)state;
    struct diags diags;
    fixture_reset();
    assert_null(policy_load(
        &(struct policy_source){.host = &fixture_host, .config_path = "/none/postern.ini"},
        &diags));
    assert_true(diags.n > 0);
    assert_string_equal(diags.items[0].text, "can't be opened: No such file or directory");
    diags_free(&diags);
    fixture_add_text("/p/postern.ini", "[server]\nseccomp-dir = /nowhere\n");
    assert_null(fixture_load());
    assert_string_equal(fixture_problems,
                        "/p/postern.ini:2: error: seccomp-dir = /nowhere: no seccomp "
                        "profiles are there (it holds what the package installs "
                        "as default.ini)\n");
}

static void test_chain_is_bounded(void **state)
{
    (void)state;
    static char text[4096];
    size_t used = 0;
    for (int i = 0; i < 18; i++)
        used += (size_t)sprintf(text + used, "[tenant \"t%d\"]\nextends = t%d\n", i, i + 1);
    sprintf(text + used, "[tenant \"t18\"]\n");
    assert_null(fixture_load_text(text));
    assert_problems("2: error: tenant 't0' extends a chain of more than 16 sections\n"
                    "4: error: tenant 't1' extends a chain of more than 16 sections\n");
}

/* Children take their parents' lists over, so these can't be of any length. */
static void test_lists_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *problem;
    } cases[] = {
        {"command = c {int}\n", "more than 256 command templates"},
        {"accept-env = LANG\n", "more than 256 names"},
        {"keys = /none\n", "more than 256 key files"},
        {"from = ::1\n", "more than 256 addresses"},
        {"from = 10.0.0.0/8,\n", "more than 256 addresses"},
    };
    static char text[16384];
    char problem[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t used = (size_t)sprintf(text, "[defaults]\n%s[tenant \"a\"]\n", cases[i].line);
        for (int n = 0; n < 256; n++)
            used += (size_t)sprintf(text + used, "%s", cases[i].line);
        assert_null(fixture_load_text(text));
        (void)snprintf(problem, sizeof problem, "t.ini:259: error: %s\n", cases[i].problem);
        if (strstr(fixture_problems, problem) == NULL)
            fail_msg("%s: %s", cases[i].line, fixture_problems);
    }
}

/* What a wrong name should have been is looked for among all there are: not for ever. */
static void test_guesses_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *line;
        const char *hint;
    } cases[] = {
        {"[tenant \"a\"]\n", "useer = u\n", "did you mean 'user'?"},
        {"[seccomp \"a\"]\n", "allow = reed\n", "did you mean 'read'?"},
    };
    static char text[8192];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t used = (size_t)sprintf(text, "%s", cases[i].head);
        for (int n = 0; n < 101; n++)
            used += (size_t)sprintf(text + used, "%s", cases[i].line);
        fixture_reset();
        fixture_add_text("/p/policy.d/t.ini", text);
        struct diags diags;
        assert_null(policy_load(
            &(struct policy_source){.host = &fixture_host, .config_path = "/p/postern.ini"},
            &diags));
        assert_in_range(diags.n, 101, 103);
        for (size_t n = 0; n < diags.n; n++)
            if (diags.items[n].line > 1)
                assert_string_equal(diags.items[n].hint,
                                    diags.items[n].line < 102 ? cases[i].hint : "");
        diags_free(&diags);
    }
}

static void test_diag_format(void **state)
{
    (void)state;
    char file[] = "f";
    char buf[64];
    struct diag diag = {.file = file, .line = 3, .text = "t"};
    diag_format(&diag, buf, sizeof buf);
    assert_string_equal(buf, "f:3: error: t");
    strcpy(diag.hint, "h");
    diag.line = 0;
    diag_format(&diag, buf, sizeof buf);
    assert_string_equal(buf, "f: error: t (h)");
    diag_format(&diag, buf, 6);
    assert_string_equal(buf, "f: er");
}

/* A warning refuses nothing, and never takes the place of an error. */
static void test_warnings(void **state)
{
    (void)state;
    char buf[64];
    struct diags diags = {0};
    diag_warn(&diags, "f", 2, "h", "w%d", 1);
    assert_false(diags_any(&diags));
    assert_false(diags.more_warnings);
    diag_format(&diags.items[0], buf, sizeof buf);
    assert_string_equal(buf, "f:2: warning: w1 (h)");
    for (int i = 0; i < DIAGS_MAX; i++)
        diag_warn(&diags, "f", 3, NULL, "w");
    assert_true(diags.more_warnings);
    assert_false(diags.truncated);
    assert_false(diags_any(&diags));
    diag_add(&diags, "f", 1, NULL, "e");
    assert_true(diags_any(&diags));
    diags_sort(&diags);
    assert_int_equal(diags.items[0].grade, DIAG_ERROR);
    assert_int_equal(diags.items[1].grade, DIAG_WARNING);
    diags_free(&diags);
}

static void test_origin_format(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(origin_format(&(struct origin){"f", 3}, buf, sizeof buf), "f:3");
    assert_string_equal(origin_format(&(struct origin){"f", 0}, buf, sizeof buf), "f");
    assert_string_equal(origin_format(&(struct origin){NULL, 0}, buf, sizeof buf), "built-in");
}

static void test_too_many_errors(void **state)
{
    (void)state;
    static char text[40000];
    size_t used = (size_t)sprintf(text, "[tenant \"a\"]\n");
    for (int i = 0; i < 1100; i++)
        used += (size_t)sprintf(text + used, "x%d = 1\n", i);
    fixture_reset();
    fixture_add_text("/p/policy.d/t.ini", text);
    struct diags diags;
    assert_null(policy_load(
        &(struct policy_source){.host = &fixture_host, .config_path = "/p/postern.ini"}, &diags));
    assert_int_equal(diags.n, DIAGS_MAX);
    assert_true(diags.truncated);
    diags_free(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_tenant_key_errors),
        cmocka_unit_test(test_sandbox_key_errors),
        cmocka_unit_test(test_server_errors),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_chain_is_bounded),
        cmocka_unit_test(test_lists_are_bounded),
        cmocka_unit_test(test_guesses_are_bounded),
        cmocka_unit_test(test_diag_format),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_origin_format),
        cmocka_unit_test(test_too_many_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
