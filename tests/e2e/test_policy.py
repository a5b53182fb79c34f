"""What the policy allows and denies, as the client sees it and as `postern explain` tells it."""
import os
import re

from harness import EXEC_ID, POSTERN, PosternTest, main, run

POLICY = """
[sandbox "plain"]
network = none
read = REPOS:/srv/repos

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
accept-env = LC_* CI
env     = GREETING=hello world

[tenant "forced"]
keys    = keys/alice
sandbox = plain
force   = printf '[%s]' "a b"
[tenant "forced-env"]
keys    = keys/alice
sandbox = plain
force   = printenv SSH_ORIGINAL_COMMAND

[tenant "reader"]
user    = repos
keys    = keys/alice
sandbox = plain
command = cat {path:/srv/repos}
command = printf {any} {args}
command = head -n {int} {path:/srv/repos}
command = echo {oneof:red|green} {word}
command = tr {re:[a-z]-[a-z]} {re:[A-Z]-[A-Z]}

[tenant "writer"]
extends = reader
keys    =
keys    = keys/bob
command = tee /dev/null

[tenant "nothing"]
keys    = keys/alice
sandbox = plain

[tenant "quiet"]
extends = nothing
user    = quiet
explain = none
[tenant "open"]
extends = nothing
user    = open
explain = rule
"""


class Policy(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(keys=("alice", "bob", "carol"), log_level="info")
        cls.server.write("repos/readme", "line 1\nline 2\nline 3\n")
        cls.server.write("repos/sub dir/x", "deep\n")
        cls.server.write("outside", "secret\n")
        cls.server.write_policy(POLICY.replace("REPOS", cls.server.path("repos")))
        cls.server.start()

    def ssh(self, user, *command, **how):
        return self.server.ssh(user, *command, **how)

    def denied(self, user, command, reason, **how):
        """Exit code 126, nothing on stdout, one line; and the audit says the same."""
        got = self.ssh(user, command, **how)
        self.assertEqual((got.code, got.out), (126, b""), got)
        self.assertLine(got.err, rf"postern: denied: {reason} {EXEC_ID}")
        self.assertEqual(got.err.count(b"\n"), 1)
        start, end = self.server.last_exec()
        self.assertEqual((start["decision"], end["verdict"], end["exit"]), ("deny", "denied", 126))
        self.assertIn(f"[{start['exec']}]", got.err.decode())
        return got


class Shell(Policy):
    def test_environment_is_built_from_nothing(self):
        got = self.ssh("acme", "env", options=["SetEnv=LC_X=1 CI=yes BASH_ENV=/tmp/x FOO=bar"])
        env = dict(line.split("=", 1) for line in got.out.decode().splitlines())
        start, _ = self.server.last_exec()
        self.assertEqual(env.pop("POSTERN_EXEC"), start["exec"])
        self.assertRegex(env.pop("SSH_CLIENT"), rf"\A127\.0\.0\.1 \d+ {self.server.port}\Z")
        self.assertRegex(env.pop("SSH_CONNECTION"),
                         rf"\A127\.0\.0\.1 \d+ 127\.0\.0\.1 {self.server.port}\Z")
        self.assertIn("/usr/bin", env.pop("PATH").split(":"))
        for name in ("_", "SHLVL", "PWD", "OLDPWD"):  # bash adds these itself
            env.pop(name, None)
        self.assertEqual(env, {
            "LC_X": "1", "CI": "yes", "GREETING": "hello world", "HOME": "/tmp", "USER": "acme",
            "LOGNAME": "acme", "SHELL": "/bin/bash", "POSTERN_TENANT": "acme",
            "POSTERN_KEY": "alice@client"})

    def test_the_line_reaches_the_shell_as_sent(self):
        self.assertEqual(self.ssh("acme", "echo \"$((6*7))\" '$x' `echo b`; echo \\\\").out,
                         b"42 $x b\n\\\n")
        self.assertEqual(self.ssh("acme", "echo one\necho two").out, b"one\ntwo\n")

    def test_place(self):
        got = self.ssh("acme", "pwd; hostname; id -un; id -gn; id -G; umask; ulimit -c")
        start = int(self.ssh("acme", "id -u").out)
        self.assertEqual(got.out.decode().split("\n")[:4], ["/tmp", "postern", "acme", "acme"])
        self.assertEqual(got.out.decode().split("\n")[4], str(start))
        self.assertGreaterEqual(start, 1879048192)

    def test_tenants_have_different_uids(self):
        self.assertNotEqual(self.ssh("acme", "id -u").out,
                            self.ssh("repos", "printf '%s' x; id -u").out)

    def test_nothing_stays_in_tmp(self):
        self.assertRan(self.ssh("acme", "echo x >/tmp/file; ls /tmp"), 0, b"file\n")
        self.assertRan(self.ssh("acme", "ls -A /tmp"), 0, b"")


class Force(Policy):
    def test_the_client_has_no_say(self):
        for command in ("id", "'; id'", "$(id)"):
            self.assertRan(self.ssh("forced", command), 0, b"[a b]")

    def test_original_command(self):
        self.assertRan(self.ssh("forced-env", "git push; 'x y'"), 0, b"git push; 'x y'\n")


class Templates(Policy):
    def test_matches(self):
        for command, out in (
                ("cat /srv/repos/readme", b"line 1\nline 2\nline 3\n"),
                ("head -n 1 /srv/repos/readme", b"line 1\n"),
                ("cat \"/srv/repos/sub dir/x\"", b"deep\n"),
                ("cat /srv/repos/sub\\ dir/x", b"deep\n"),
                ("cat /srv/repos/./sub\\ dir/../readme", b"line 1\nline 2\nline 3\n"),
                ("printf '%s|' 'a;b' '$(id)' '`id`' 'c\nd' '*'", b"a;b|$(id)|`id`|c\nd|*|"),
                ("echo red x", b"red x\n")):
            with self.subTest(command):
                self.assertRan(self.ssh("repos", command), 0, out)

    def test_relative_paths_are_under_the_directory(self):
        self.assertRan(self.ssh("repos", "cat readme"), 0, b"line 1\nline 2\nline 3\n")

    def test_regular_expressions_are_anchored(self):
        self.assertRan(self.ssh("repos", "tr a-c A-C", stdin=b"abcd"), 0, b"ABCd")
        self.denied("repos", "tr a-cx A-C", ".+")
        self.denied("repos", "tr xa-c A-C", ".+")

    def test_denials(self):
        for command in ("cat /etc/passwd", "cat /srv/repos/../../etc/passwd", "cat ../outside",
                        "cat /srv/reposx", "cat", "cat readme readme", "cat -n", "head -n x readme",
                        "head -n 1x readme", "echo blue x", "echo red -n", "id", "/bin/cat readme",
                        "echo red", "echo red x y", "tee /dev/null"):
            with self.subTest(command):
                self.denied("repos", command, ".+")

    def test_unquoted_metacharacters_say_so(self):
        for command, character in (("cat readme; id", ";"), ("cat readme | id", r"\|"),
                                   ("cat $HOME", r"\$"), ("cat `id`", "`"), ("cat readme > x", ">"),
                                   ("cat readme & id", "&"), ("cat *", r"\*"), ("cat (x)", r"\(")):
            with self.subTest(command):
                self.denied("repos", command, rf".*{character}.*")

    def test_open_quotes_are_denied(self):
        for command in ("cat 'readme", 'cat "readme', "cat readme\\"):
            with self.subTest(command):
                self.denied("repos", command, ".+")

    def test_the_key_decides_between_tenants_of_one_login(self):
        self.assertRan(self.ssh("repos", "tee /dev/null", key="bob", stdin=b"x"), 0, b"x")
        self.assertRan(self.ssh("repos", "cat readme", key="bob"), 0, None)
        start, _ = self.server.last_exec()
        self.assertEqual((start["tenant"], start["key"]),
                         ("writer", self.server.fingerprint("bob")))
        self.denied("repos", "tee /dev/null", ".+", key="alice")
        self.assertEqual(self.server.last_exec()[0]["tenant"], "reader")

    def test_a_tenant_without_commands_denies_all(self):
        self.denied("nothing", "true", ".+")

    def test_how_much_is_explained(self):
        hidden = self.ssh("quiet", "true")
        self.assertEqual(hidden.code, 126)
        told = self.ssh("nothing", "true")
        rule = self.ssh("open", "true")
        self.assertEqual({r.code for r in (hidden, told, rule)}, {126})
        place = rb"tenants\.ini:\d+"
        self.assertNotRegex(hidden.err, place)
        self.assertNotRegex(told.err, place)
        self.assertRegex(rule.err, place)
        self.assertLess(len(hidden.err), len(told.err))
        for start in self.server.audit(event="start", command="true"):
            self.assertRegex(start["rule"], r"tenants\.ini:\d+\Z")
            self.assertTrue(start["reason"])


class Logins(Policy):
    def refused(self, user, key):
        got = self.ssh(user, "true", key=key, options=["LogLevel=DEBUG1"])
        self.assertEqual((got.code, got.out), (255, b""))
        lines = [line.replace(user.encode(), b"USER") for line in got.err.splitlines()
                 if b"Permission denied" in line or b"Authentications that can continue" in line
                 or b"Offering" in line]
        return lines

    def test_unknown_users_and_wrong_keys_look_alike(self):
        known = self.refused("acme", "carol")
        self.assertTrue(known)
        for user in ("nobody-here", "root", "..", "%n", "x" * 200, "acme ", "Acme", "plain"):
            with self.subTest(user):
                self.assertEqual(self.refused(user, "carol"), known)
        # A key that someone else may use makes no difference.
        self.assertEqual([line for line in self.refused("nobody-here", "alice")
                          if b"Offering" not in line],
                         [line for line in known if b"Offering" not in line])

    def test_unknown_users_take_the_same_path(self):
        """The server's own account of both logins is the same, step by step."""
        server = self.new_server(keys=("alice", "carol"), log_level="debug").start()

        def account(user):
            start = len(server.log())
            server.ssh(user, "true", key="carol")
            server.wait_log(r"Connection closed by .* \[preauth\]\n", start=start)
            # The operator's log tells them apart, as sshd's does; nothing else does.
            text = re.sub("(invalid|authenticating) user ", "", server.log()[start:])
            text = text.replace(user, "USER")
            steps = [re.sub(r"^\S+ +|\S+-\d+\b|port \d+", "", line) for line in text.splitlines()]
            return [step for step in steps if "auth" in step or "publickey" in step]
        known = account("acme")
        self.assertGreaterEqual(len(known), 3)
        self.assertEqual(account("nobody-here"), known)

    def test_each_result_is_in_the_audit(self):
        self.ssh("acme", "true", key="carol")
        failed = self.server.wait_audit(event="auth", user="acme", result="failed")[-1]
        self.assertEqual((failed["method"], failed["tenant"]), ("publickey", None))
        # Whoever asks "why can't I log in?" has a fingerprint to compare.
        shown = self.server.fingerprint("carol")
        self.assertEqual(failed["key"], shown)
        self.server.wait_log(r"info +Failed publickey for acme from 127\.0\.0\.1 port \d+ ssh2: "
                             r"ED25519 " + re.escape(shown))
        self.ssh("acme", "true")
        accepted = self.server.wait_audit(event="auth", user="acme", result="accepted")[-1]
        self.assertEqual((accepted["tenant"], accepted["key_comment"]), ("acme", "alice@client"))


class Explain(Policy):
    """`postern explain` gives the decision that the server takes."""

    def explain(self, user, command, key="alice"):
        return run([POSTERN, "explain", "-f", self.server.config, "--user", user, "--key",
                    self.server.fingerprint(key), "--", command], check=False)

    def test_same_decision(self):
        for user, command in (("acme", "id"), ("repos", "cat readme"), ("repos", "cat /etc/passwd"),
                              ("repos", "cat readme; id"), ("nothing", "true"), ("forced", "x"),
                              ("repos", "cat ../outside"), ("repos", "echo red -n")):
            with self.subTest((user, command)):
                allowed = self.ssh(user, command).code != 126
                self.assertEqual(self.explain(user, command).code, 0 if allowed else 1)

    def test_an_unknown_login_is_denied(self):
        self.assertEqual(self.explain("nobody-here", "id").code, 1)
        self.assertEqual(self.explain("acme", "id", key="carol").code, 1)


class KeyOptions(PosternTest):
    autostart = False

    def test_command_option_tightens(self):
        server = self.new_server(keys=())
        server.user_key("alice", options='command="printenv SSH_ORIGINAL_COMMAND",restrict')
        server.start()
        self.assertRan(server.ssh("acme", "anything at all"), 0, b"anything at all\n")

    def test_environment_option(self):
        server = self.new_server(keys=())
        server.user_key("alice", options='environment="CI=from-key"')
        server.write_policy("""
[sandbox "plain"]
network = none
[tenant "acme"]
keys = keys/alice
sandbox = plain
shell = /bin/bash
accept-env = CI
""")
        server.start()
        self.assertRan(server.ssh("acme", "echo $CI"), 0, b"from-key\n")

    def test_an_option_that_is_not_understood_is_an_error(self):
        server = self.new_server(keys=())
        server.user_key("alice", options='tunnel="1"')
        got = run([POSTERN, "check", "-f", server.config], check=False)
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.out + got.err, r".*/keys/alice:1: error: .*tunnel.*")


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
