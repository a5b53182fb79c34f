"""postern's subcommands as people and programs use them: text, JSON, exit codes, completion, and the
trail of a real server judged again."""
import json
import os
import pty
import re
import shutil
import subprocess

from harness import (PATIENCE, POSTERN, SANITIZED, SOURCE, PosternTest, clean_env, main, run,
                     wait_until)

COMPLETIONS = os.path.join(SOURCE, "packaging/completions")
SUBCOMMANDS = ["check", "show", "explain", "test", "replay", "audit", "logs", "play", "doctor", "learn",
               "self-test", "tenant", "key", "status", "ps", "top", "kill", "drain", "resume", "reload",
               "metrics", "version", "help"]
ESC = b"\033["
EVERY_BYTE = bytes(range(1, 256))

POLICY = """
[sandbox "box"]
network = none
[tenant "acme"]
keys      = keys/alice
sandbox   = box
shell     = /bin/sh
max-execs = 1
[tenant "git"]
keys    = keys/bob
command = echo {word}
command = cat {path:/etc}
"""
# git loses `cat`, wins `head`; acme gets another sandbox.
CANDIDATE = """
[sandbox "tight"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = tight
shell   = /bin/sh
[tenant "git"]
keys    = keys/bob
command = echo {word}
command = head {any}
"""


def postern(*argv, stdin=b""):
    return run([POSTERN, *argv], stdin=stdin, check=False)


def document(*argv, stdin=b""):
    """(exit code, the one JSON document that it printed)."""
    got = postern(*argv, "--json", stdin=stdin)
    if got.err:
        raise AssertionError(f"{argv}: {got!r}")
    found = json.loads(got.out.decode("ascii"))
    assert list(found)[:2] == ["v", "kind"] and found["v"] == 1, found
    return got.code, found


def at_terminal(argv, env):
    """What the program writes to a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                          env=clean_env("/nonexistent") | env) as process:
        os.close(slave)
        out = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
    os.close(master)
    return out


class ToolTest(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=POLICY, keys=("alice", "bob"))
        cls.config = cls.server.config

    def other(self, policy, name="other"):
        """A candidate beside the server's policy: a directory with a postern.ini."""
        os.makedirs(self.server.path(f"{name}/policy.d"), exist_ok=True)
        shutil.rmtree(self.server.path(f"{name}/policy.d"))
        shutil.copytree(self.server.path("policy.d/keys"), self.server.path(f"{name}/policy.d/keys"))
        shutil.copy(self.config, self.server.path(f"{name}/postern.ini"))
        self.server.write(f"{name}/policy.d/tenants.ini", policy)
        return self.server.path(name)


class Check(ToolTest):
    def test_documents_and_codes(self):
        code, doc = document("check", "-f", self.config)
        self.assertEqual(code, 0)
        self.assertEqual((doc["kind"], doc["ok"], doc["tenants"], doc["keys"], doc["sandboxes"]),
                         ("check", True, 2, 2, 2))
        bad = self.other(POLICY + '[tenant "x"]\nkesy = 1\nsandbox = bxo\n', "bad")
        code, doc = document("check", bad)
        self.assertEqual((code, doc["ok"]), (78, False))
        lines = POLICY.count("\n")
        self.assertEqual([(d["grade"], d["line"], d["hint"]) for d in doc["diagnostics"]],
                         [("error", lines + 2, "did you mean 'keys'?"),
                          ("error", lines + 3, "did you mean 'box'?")])
        self.assertEqual(postern("check", self.server.path("none")).code, 66)
        self.assertEqual(postern("check", "--srict").code, 64)
        self.assertEqual(postern("chek").code, 64)
        self.assertEqual(postern("show", "-f", self.config, "--tenant", "acmee").code, 65)

    def test_strict(self):
        unwise = self.other(POLICY + '[tenant "date"]\nauth = none\nforce = /bin/date\n', "unwise")
        plain, strict = postern("check", unwise), postern("check", "--strict", unwise)
        self.assertEqual((plain.code, strict.code), (0, 1), (plain, strict))
        self.assertEqual(plain.err, strict.err)
        self.assertRegex(plain.err.decode(), r"tenants\.ini:\d+: warning: .*auth = none")
        code, doc = document("check", "--strict", unwise)
        self.assertEqual((code, doc["ok"]), (1, False))
        self.assertEqual({d["grade"] for d in doc["diagnostics"]}, {"warning"})
        self.assertEqual(doc["warnings"], len(doc["diagnostics"]))
        self.assertEqual(len(plain.err.splitlines()), len(doc["diagnostics"]))


class Show(ToolTest):
    def test_what_is_shown_is_the_same_policy(self):
        for options in ([], ["--origin"], ["--non-default"]):
            with self.subTest(options=options):
                shown = postern("show", "-f", self.config, *options)
                self.assertEqual((shown.code, shown.err), (0, b""))
                server, tenants = re.fullmatch(rb"(\[server\].*?)(\[tenant .*)", shown.out,
                                               re.S).groups()
                again = self.other("", "again")
                self.server.write("again/postern.ini", server)
                self.server.write("again/policy.d/tenants.ini", tenants)
                self.assertEqual(postern("check", "--strict", again).code,
                                 postern("check", "--strict", "-f", self.config).code)
                for view in (["show"], ["show", "--json"]):
                    new = postern(*view, "-f", os.path.join(again, "postern.ini")).out
                    old = postern(*view, "-f", self.config).out
                    if view == ["show"]:
                        self.assertEqual(new, old)
                    else:
                        self.assertEqual(self.values(new), self.values(old))

    @staticmethod
    def values(text):
        return {(s["type"], s["name"]): [(v["key"], v["value"]) for v in s["settings"]]
                for s in json.loads(text)["sections"]}

    def test_one_tenant(self):
        code, doc = document("show", "-f", self.config, "--tenant", "acme", "--non-default")
        self.assertEqual(code, 0)
        self.assertEqual([(s["type"], s["name"]) for s in doc["sections"]],
                         [("tenant", "acme"), ("sandbox", "box")])
        tenant = doc["sections"][0]
        self.assertEqual([(v["key"], v["value"], v["line"]) for v in tenant["settings"]],
                         [("keys", "keys/alice", 5), ("sandbox", "box", 6),
                          ("shell", "/bin/sh", 7), ("max-execs", "1", 8)])
        self.assertEqual([(k["fingerprint"], k["comment"]) for k in tenant["keys"]],
                         [(self.server.fingerprint("alice"), "alice@client")])
        text = postern("show", "-f", self.config, "--tenant", "acme").out.decode()
        self.assertIn(f"; key {self.server.fingerprint('alice')} ssh-ed25519 alice@client ", text)

    def test_names(self):
        self.assertEqual(postern("show", "-f", self.config, "--names", "tenants").out,
                         b"acme\ngit\n")
        self.assertEqual(document("show", "-f", self.config, "--names", "sandboxes"),
                         (0, {"v": 1, "kind": "show", "names": ["box", "default"]}))


class Explain(ToolTest):
    def test_allowed(self):
        got = postern("explain", "-f", self.config, "--json", "--user", "git", "--key",
                      self.server.path("user_bob.pub"), "--", "cat", "/etc/../etc/hosts")
        doc = json.loads(got.out)
        self.assertEqual((got.code, doc["allowed"], doc["reason"]), (0, True, None))
        self.assertEqual(doc["argv"], ["cat", "/etc/hosts"])
        self.assertEqual(doc["tenant"]["name"], "git")
        self.assertEqual(doc["sandbox"]["name"], "default")
        self.assertIn({"key": "network", "value": "none"}, doc["sandbox"]["settings"])
        self.assertEqual([s["passed"] for s in doc["login"]["steps"]], [True, True])
        self.assertEqual([(t["rule"], t["why"]) for t in doc["tried"]][-1],
                         ("cat {path:/etc}", "matched"))
        self.assertEqual(doc["rule"]["line"], doc["tried"][-1]["line"])
        self.assertEqual(doc["rule"]["file"], self.server.path("policy.d/tenants.ini"))

    def test_denied(self):
        got = postern("explain", "-f", self.config, "--json", "--user", "git", "--key",
                      self.server.fingerprint("bob"), "--", "cat", "/etc/../root")
        doc = json.loads(got.out)
        self.assertEqual((got.code, doc["allowed"], doc["argv"], doc["sandbox"]),
                         (1, False, None, None))
        self.assertIn("path isn't under the directory", doc["reason"])
        got = postern("explain", "-f", self.config, "--json", "--user", "git", "--key",
                      self.server.fingerprint("alice"), "id")
        doc = json.loads(got.out)
        self.assertEqual((got.code, doc["allowed"], doc["tenant"]), (1, False, None))
        self.assertEqual([s["passed"] for s in doc["login"]["steps"]], [True, False])

    def test_certificates(self):
        authority = self.server.user_key("authority", options="cert-authority")
        key = self.server.user_key("carol")
        run(["ssh-keygen", "-q", "-s", authority, "-I", "carol of accounts", "-n", "cert", "-V",
             "20260101:20270101", key + ".pub"])
        config = os.path.join(self.other(POLICY + '[tenant "cert"]\nkeys = keys/authority\n'
                                         "shell = /bin/sh\n", "cert"), "postern.ini")
        os.remove(self.server.path("cert/policy.d/keys/carol"))
        for when, code in (("2026-06-01", 0), ("2028-01-01", 1)):
            got = postern("explain", "-f", config, "--user", "cert", "--key", key + "-cert.pub",
                          "--at", when, "id")
            self.assertEqual(got.code, code, got)
        self.assertIn(b"POSTERN_KEY=carol of accounts", postern(
            "explain", "-f", config, "--user", "cert", "--key", key + "-cert.pub", "--at",
            "2026-06-01", "id").out)
        self.assertEqual(postern("explain", "-f", config, "--user", "cert", "--key", key + ".pub",
                                 "id").code, 1)


class Test(ToolTest):
    def test_documents(self):
        tests = ('[test "good"]\nuser = git\nkey-file = keys/bob\ncommand = echo x\n'
                 'expect = allowed\ntenant = git\n'
                 '[test "bad"]\nuser = git\nkey-file = keys/bob\ncommand = echo -n\n'
                 'expect = allowed\n')
        code, doc = document("test", self.other(POLICY + tests, "tests"))
        self.assertEqual((code, doc["passed"], doc["failed"]), (1, 1, 1))
        good, bad = doc["tests"]
        self.assertEqual((good["name"], good["passed"], good["complaint"]), ("good", True, None))
        self.assertEqual((bad["name"], bad["passed"], bad["allowed"]), ("bad", False, False))
        self.assertTrue(bad["complaint"].startswith("expected allowed, got denied: "), bad)
        self.assertEqual(document("test", "-f", self.config),
                         (0, {"v": 1, "kind": "test", "tests": [], "passed": 0, "failed": 0}))


class Output(ToolTest):
    def test_color_is_for_terminals(self):
        denied = [POSTERN, "explain", "-f", self.config, "--user", "nobody", "id"]
        self.assertNotIn(ESC, run(denied, check=False).out)
        self.assertIn(ESC + b"31mdenied", at_terminal(denied, {"TERM": "xterm"}))
        self.assertIn(ESC + b"31mdenied", at_terminal(denied, {"TERM": "xterm", "NO_COLOR": ""}))
        self.assertNotIn(ESC, at_terminal(denied, {"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertNotIn(ESC, at_terminal(denied, {"TERM": "dumb"}))
        self.assertNotIn(ESC, at_terminal(denied, {}))
        never = denied[:2] + ["--color", "never"] + denied[2:]
        always = denied[:2] + ["--color=always"] + denied[2:]
        self.assertNotIn(ESC, at_terminal(never, {"TERM": "xterm"}))
        colored = run(always, check=False).out
        self.assertIn(ESC, colored)
        self.assertNotIn(ESC, run(always[:2] + ["--json"] + always[2:], check=False).out)
        self.assertEqual(re.sub(rb"\033\[[0-9;]*m| at \S+", b"", colored),
                         re.sub(rb" at \S+", b"", run(denied, check=False).out))

    def test_nobody_listens(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        with subprocess.Popen([POSTERN, "show", "-f", self.config], stdout=write_end,
                              stderr=subprocess.PIPE, env=clean_env("/nonexistent")) as process:
            os.close(write_end)
            error = process.stderr.read()
        self.assertEqual((process.returncode, error),
                         (74, b"postern: the output can't be written: Broken pipe\n"))

    def test_a_full_disk(self):
        for argv in (["show", "-f", self.config], ["show", "-f", self.config, "--json"], ["help"]):
            with open("/dev/full", "wb") as full, self.subTest(argv=argv):
                done = subprocess.run([POSTERN, *argv], stdout=full, stderr=subprocess.PIPE,
                                      env=clean_env("/nonexistent"), check=False)
                self.assertEqual((done.returncode, done.stderr), (
                    74, b"postern: the output can't be written: No space left on device\n"))

    def test_the_page_has_every_option(self):
        with open(os.path.join(SOURCE, "packaging/man/postern.1.scd"), encoding="utf-8") as f:
            page = f.read()
        for name in SUBCOMMANDS:
            self.assertIn(f"*postern* *{name}*", page)
            usage = postern(name, "--help").out.decode()
            self.assertTrue(usage.startswith(f"usage: postern {name}"), usage)
            for option in re.findall(r"--[a-z-]+", usage):
                self.assertIn(f"*{option}*", page, name)

    def test_the_page_has_every_member(self):
        with open(os.path.join(SOURCE, "packaging/man/postern.1.scd"), encoding="utf-8") as f:
            page = re.search(r"^# JSON\n(.*?)^# ", f.read(), re.M | re.S).group(1)
        members = dict(re.findall(r"^\*([a-z]+)\*\n((?:\t.*\n|\n)*)", page, re.M))
        common = {"v", "kind", "file", "line"}

        def names(value):
            if isinstance(value, list):
                return set().union(*map(names, value)) if value else set()
            if isinstance(value, dict):
                return set(value) | names(list(value.values()))
            return set()

        trail = self.server.write("trail.log", json.dumps({
            "v": 1, "time": "2026-11-22T18:57:17Z", "event": "start", "exec": "c.1",
            "tenant": "git", "user": "git", "key": None, "client": "::1", "kind": "exec",
            "command": "id", "decision": "allow", "sandbox": "box"}, separators=(",", ":")))
        key = self.server.path("user_alice.pub")
        config = os.path.join(self.other(
            POLICY + '[test "t"]\nuser = x\ncommand = x\nexpect = denied\n'
            '[tenant "date"]\nauth = none\nforce = /bin/date\n', "members"), "postern.ini")
        for argv in (["check"], ["show"], ["test"], ["doctor"],
                     ["replay", "--against", config, trail],
                     ["explain", "--user", "acme", "--key", key, "id"]):
            got = postern(argv[0], "--json", *(["-f", config] if argv[0] != "replay" else []),
                          *argv[1:])
            doc = json.loads(got.out)
            told = members[argv[0]]
            if argv[0] == "replay":
                # by kind
                self.assertEqual(doc["judged"], 1)
                doc["flips"] = doc["skipped"] = 0
            for name in names(doc) - common:
                self.assertIn(f"*{name}*", told, argv)


class Completion(ToolTest):
    def bash(self, *words):
        """What bash offers for the last of the words."""
        script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_postern "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; '
                  '[ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"')
        got = run(["bash", "--norc", "-c", script, os.path.join(COMPLETIONS, "postern.bash"),
                   POSTERN, *words])
        self.assertEqual(got.err, b"")
        return got.out.decode().split()

    def zsh(self, *words):
        """The same of zsh, with its completion system played by two functions."""
        script = ('compadd() { if [[ $1 = -a ]]; then print -l -- ${(P)2}; else print -l -- "$@"; '
                  'fi }; _files() { print FILES }; words=("$@"); CURRENT=$#; source "$0"')
        got = run(["zsh", "-f", "-c", script, os.path.join(COMPLETIONS, "_postern"), POSTERN,
                   *words])
        self.assertEqual(got.err, b"")
        return got.out.decode().split()

    def test_bash(self):
        run(["bash", "-n", os.path.join(COMPLETIONS, "postern.bash")])
        self.assertEqual(self.bash(""), SUBCOMMANDS)
        self.assertEqual(self.bash("sh"), ["show"])
        self.assertEqual(self.bash("check", "--st"), ["--strict"])
        self.assertEqual(self.bash("explain", "--us"), ["--user"])
        self.assertEqual(self.bash("show", "-f", self.config, "--tenant", ""), ["acme", "git"])
        self.assertEqual(self.bash("show", "-f", self.config, "--tenant", "g"), ["git"])
        self.assertEqual(self.bash("show", "--config", self.config, "--sandbox", "b"), ["box"])
        self.assertEqual(self.bash("explain", "-f", self.config, "--user", "a"), ["acme"])
        self.assertEqual(self.bash("check", "--color", "a"), ["auto", "always"])
        self.assertEqual(self.bash("check", self.server.path("poli")),
                         [self.server.path("policy.d")])
        self.assertEqual(self.bash("show", "-f", self.server.path("none"), "--tenant", ""), [])
        self.assertEqual(self.bash("help", "rep"), ["replay"])
        self.assertEqual(self.bash("tenant", "a"), ["add"])
        self.assertEqual(self.bash("tenant", "add", "x", "--temp"), ["--template"])
        self.assertEqual(self.bash("tenant", "add", "x", "--network", "l"), ["loopback"])
        where = ["-f", self.config]
        self.assertEqual(self.bash("key", "rem"), ["remove"])
        self.assertEqual(self.bash("tenant", "disable", *where, ""), ["acme", "git"])
        fingerprint = self.server.fingerprint("alice")
        self.assertEqual(self.bash("key", "remove", "acme", *where, "SHA"), [fingerprint])
        # As readline takes a fingerprint apart.
        begin, end = fingerprint.split(":")
        self.assertEqual(self.bash("key", "remove", "acme", *where, begin, ":"), [end])
        self.assertEqual(self.bash("key", "remove", "acme", *where, begin, ":", end[:4]), [end])
        self.assertEqual(self.bash("key", "list", *where, "a"), ["acme"])
        aside = self.server.write("policy.d/tenant-off.ini.disabled", "")
        self.assertEqual(self.bash("tenant", "enable", *where, ""), ["off"])
        os.unlink(aside)

    def test_bash_by_its_own_completion(self):
        """The file as bash-completion finds it: by the name of the command."""
        if not os.path.exists("/usr/share/bash-completion/bash_completion"):
            self.skipTest("bash-completion is not installed")
        os.makedirs(self.server.path("data/bash-completion/completions"), exist_ok=True)
        shutil.copy(os.path.join(COMPLETIONS, "postern.bash"),
                    self.server.path("data/bash-completion/completions/postern"))
        script = ("source /usr/share/bash-completion/bash_completion; _completion_loader postern; "
                  "complete -p postern")
        got = run(["env", f"XDG_DATA_HOME={self.server.path('data')}", "bash", "--norc", "-c",
                   script], check=False)
        self.assertEqual(got.out, b"complete -F _postern postern\n", got)

    def test_zsh(self):
        if shutil.which("zsh") is None:
            self.skipTest("zsh is not installed")
        run(["zsh", "-n", os.path.join(COMPLETIONS, "_postern")])
        self.assertEqual(self.zsh("sh"), SUBCOMMANDS)
        self.assertIn("--strict", self.zsh("check", "--s"))
        self.assertEqual(self.zsh("show", "-f", self.config, "--tenant", ""), ["acme", "git"])
        self.assertEqual(self.zsh("explain", "--config", self.config, "--user", ""), ["acme", "git"])
        self.assertEqual(self.zsh("check", "--color", ""), ["auto", "always", "never"])
        self.assertEqual(self.zsh("check", ""), ["FILES"])
        self.assertEqual(self.zsh("help", ""), SUBCOMMANDS)
        self.assertIn("add", self.zsh("tenant", "a"))
        self.assertIn("--template", self.zsh("tenant", "add", "x", "--temp"))
        where = ["-f", self.config]
        self.assertEqual(self.zsh("tenant", "remove", *where, ""), ["acme", "git"])
        self.assertEqual(self.zsh("key", "remove", "acme", *where, ""),
                         [self.server.fingerprint("alice")])


class Replay(ToolTest):
    """One server writes the trail; candidates are judged by it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.start()
        cls.play()
        cls.trail = cls.server.path("audit.log")

    @classmethod
    def play(cls):
        def ask(user, command, code, key):
            got = cls.server.ssh(user, command, key=key)
            assert got.code == code, (command, got)
        ask("git", "cat /etc/hosts", 0, "bob")
        ask("git", "cat /etc/hosts", 0, "bob")
        ask("git", "echo same", 0, "bob")
        ask("git", "head /etc/hosts", 126, "bob")
        ask("git", b"rm " + EVERY_BYTE, 126, "bob")
        ask("acme", "true", 0, "alice")
        ask("acme", "true" + " " * 70000, 126, "alice")
        path, _ = cls.server.mux()
        busy = cls.server.popen_ssh("acme", "echo on; cat", flags=["-S", path])
        assert busy.stdout.readline() == b"on\n"
        got = cls.server.ssh("acme", "false", flags=["-S", path])
        assert got.code == 126 and b"max-execs" in got.err, got
        busy.communicate(b"", timeout=20 * PATIENCE)
        wait_until(lambda: len(cls.server.audit(event="end")) == 9, 10, "all to end")

    def test_the_policy_itself(self):
        code, doc = document("replay", "--against", self.config, self.trail)
        self.assertEqual((code, doc["judged"], doc["groups"], doc["malformed"]), (0, 7, [], 0))
        self.assertEqual(doc["flips"],
                         {"allow_deny": 0, "deny_allow": 0, "tenant": 0, "sandbox": 0})
        self.assertEqual({k: n for k, n in doc["skipped"].items() if n > 0},
                         {"command_cut": 1, "limit": 1})

    def test_a_candidate(self):
        new = self.other(CANDIDATE, "new")
        code, doc = document("replay", "--against", new, self.trail)
        self.assertEqual((code, doc["judged"]), (1, 7))
        self.assertEqual(doc["flips"],
                         {"allow_deny": 2, "deny_allow": 1, "tenant": 0, "sandbox": 2})
        found = [(g["flip"], g["count"], g["user"], g["command"], g["before"], g["after"])
                 for g in doc["groups"]]
        self.assertEqual(found[:2], [
            ("allow_deny", 2, "git", "cat /etc/hosts", None, None),
            ("deny_allow", 1, "git", "head /etc/hosts", None, "default"),
        ])
        self.assertEqual(sorted(found[2:]), [
            ("sandbox", 1, "acme", "echo on; cat", "box", "tight"),
            ("sandbox", 1, "acme", "true", "box", "tight"),
        ])
        first = doc["groups"][0]
        starts = self.server.audit(event="start", command="cat /etc/hosts")
        self.assertEqual(first["exec"], starts[0]["exec"])
        self.assertEqual(first["first"][:19], starts[0]["time"][:19])
        self.assertEqual(first["last"][:19], starts[1]["time"][:19])
        self.assertIn("is not a command that is allowed here", first["reason"])
        text = postern("replay", "--against", new, self.trail)
        self.assertEqual(text.code, 1)
        self.assertRegex(text.out.decode(), r"(?m)^2 +git +git +\S+Z +\S+Z +\S+ +\"cat /etc/hosts\"$")
        self.assertIn(b"\n7 judged, 5 differ (allow -> deny: 2, deny -> allow: 1, another sandbox: 2)"
                      b"\n1 skipped: the command is longer than the trail shows\n"
                      b"1 skipped: refused for a limit, not by a rule\n", text.out)

    def test_commands_are_judged_to_the_byte(self):
        start, = [r for r in self.server.audit(event="start") if r["command"].startswith("rm ")]
        self.assertEqual(start["command"], "rm " + "".join(map(chr, EVERY_BYTE)))
        new = self.other('[tenant "git"]\nkeys = keys/bob\nshell = /bin/sh\n', "bytes")
        _, doc = document("replay", "--against", new, self.trail)
        group, = [g for g in doc["groups"] if g["command"].startswith("rm ")]
        self.assertEqual((group["flip"], group["command"]), ("deny_allow", start["command"]))

    def test_keys_and_tenants(self):
        new = self.other('[tenant "git2"]\nuser = git\nkeys = keys/bob\ncommand = echo {word}\n'
                         'command = cat {path:/etc}\n', "keys")
        code, doc = document("replay", "--against", new, self.trail)
        self.assertEqual(code, 1)
        self.assertEqual(doc["flips"],
                         {"allow_deny": 2, "deny_allow": 0, "tenant": 3, "sandbox": 0})
        reasons = {g["reason"] for g in doc["groups"] if g["flip"] == "allow_deny"}
        self.assertEqual(reasons, {"no tenant has this login"})
        moved = {(g["before"], g["after"]) for g in doc["groups"] if g["flip"] == "tenant"}
        self.assertEqual(moved, {("git", "git2")})

    def test_pieces_and_packed_trails(self):
        with open(self.trail, "rb") as f:
            lines = f.read()
        half = len(lines) // 2
        torn = lines[:half] + b"\n" + lines[half:] + b"x\n\n" + b'{"v":1,"event":"start"' * 50000
        code, doc = document("replay", "--against", self.config, "-", stdin=torn)
        self.assertEqual(code, 0)
        self.assertIn(doc["malformed"], (4, 5))
        self.assertIn(doc["judged"], (6, 7))
        run(["gzip", "-k", "-f", self.trail])
        plain = postern("replay", "--against", self.config, self.trail)
        got = postern("replay", "--against", self.config, self.trail + ".gz")
        self.assertEqual((got.code, got.out, got.err), (plain.code, plain.out, b""))
        os.remove(self.trail + ".gz")
        got = postern("replay", "--against", self.config, self.trail, self.server.path("none"))
        self.assertEqual((got.code, got.out), (66, b""))

    def test_memory_is_bounded(self):
        record = self.server.audit(event="start", command="echo same")[0]
        path = self.server.path("long.log")
        with open(path, "w", encoding="ascii") as f:
            for i in range(30000):
                record["command"] = f"cat {i} {'x' * 2000}"
                record["decision"] = "allow"
                f.write(json.dumps(record, separators=(",", ":")) + "\n")
        process = subprocess.Popen([POSTERN, "replay", "--json", "--against", self.config, path],
                                   stdout=subprocess.PIPE, env=clean_env("/nonexistent"))
        doc = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        os.remove(path)
        self.assertEqual(process.returncode, 1)
        self.assertEqual((doc["judged"], doc["flips"]["allow_deny"]), (30000, 30000))
        self.assertEqual((len(doc["groups"]), doc["more"]), (10000, 20000))
        if not SANITIZED:
            self.assertLess(usage.ru_maxrss, 200 * 1024)


if __name__ == "__main__":
    main()
