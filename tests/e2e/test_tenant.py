"""postern tenant and postern key: tenants without a policy language to learn, judged before they are
there, and nothing half done whatever happens."""
import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import subprocess

from harness import PATIENCE, POSTERN, SOURCE, PosternTest, clean_env, main, run

EX_CANTCREAT = 73
TEMPLATES = os.path.join(SOURCE, "policies/templates")
HAND_WRITTEN = """; written by hand
[sandbox "plain"]
network = none

[tenant "old"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""


class TenantTest(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=HAND_WRITTEN)
        for name in ("bob", "carol"):
            cls.server.user_key(name)
            os.unlink(cls.server.path(f"policy.d/keys/{name}"))

    def postern(self, *words, code=0, stdin=b"", server=None, **how):
        server = server or self.server
        got = run([POSTERN, words[0], words[1], "-f", server.config, *words[2:]], stdin=stdin,
                  check=False, **how)
        self.assertEqual(got.code, code, got)
        return got

    def add(self, name, *words, template="shell", key="bob", **how):
        return self.postern("tenant", "add", name, "--template", f"{TEMPLATES}/{template}.ini",
                            "--key", self.server.path(f"user_{key}.pub"), *words, **how)

    def files(self, server=None):
        """{path below policy.d: bytes} of all there is."""
        top, found = (server or self.server).path("policy.d"), {}
        for where, _, names in os.walk(top):
            for name in names:
                with open(os.path.join(where, name), "rb") as f:
                    found[os.path.relpath(os.path.join(where, name), top)] = f.read()
        return found

    def forget(self, *names):
        """What a test has added is gone, whatever became of it."""
        for name in names:
            for path in (f"tenant-{name}.ini", f"tenant-{name}.ini.disabled", f"keys/{name}"):
                try:
                    os.unlink(self.server.path(f"policy.d/{path}"))
                except FileNotFoundError:
                    pass

    def git(self, *words, key, check=True):
        ssh = " ".join(self.server.ssh_argv("x", key=key)[:-1])
        env = {**clean_env(self.server.dir), "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_NOSYSTEM": "1"}
        got = subprocess.run(["git", *words], cwd=self.server.dir, env=env, timeout=60 * PATIENCE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and got.returncode != 0:
            raise AssertionError(f"git {words}: {got.stderr!r}\n{self.server.log_tail()}")
        return got


class Served(TenantTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.start()

    def test_a_first_tenant_logs_in(self):
        self.addCleanup(self.forget, "first")
        got = self.add("first")
        self.assertEqual(got.err, b"")
        self.assertLine(got.out, r"tenant    first, made from the template shell; .*uid \d+")
        self.assertLine(got.out, rf"key       {re.escape(self.server.fingerprint('bob'))} "
                                 r"ssh-ed25519 bob@client")
        self.assertLine(got.out, r"written   .*/policy\.d/tenant-first\.ini")
        self.assertLine(got.out, rf"server    has loaded it \(pid {self.server.process.pid}\)")
        self.assertLine(got.out, r"try       ssh -p \d+ first@localhost")
        self.assertRan(self.server.ssh("first", "echo $POSTERN_TENANT", key="bob"), out=b"first\n")
        for name in ("tenant-first.ini", "keys/first"):
            st = os.stat(self.server.path(f"policy.d/{name}"))
            self.assertEqual((st.st_uid, st.st_mode & 0o7777), (0, 0o644), name)
        self.assertEqual(run([POSTERN, "test", "-f", self.server.config]).code, 0)
        # Limits that the running server can't keep are left out, and it is said why.
        limited = b"\nmemory " in self.files()["tenant-first.ini"]
        self.assertEqual(limited, b"\n; memory " not in self.files()["tenant-first.ini"])
        pattern = (rb"note      there are no limits of memory and CPU, which stand as comments: the "
                   rb"running server \(pid \d+\) has no cgroup of its own \(CGROUPS in postern\(7\)")
        self.assertEqual(bool(re.search(pattern, got.out)), not limited, got)

    def test_git_out_of_the_box(self):
        self.addCleanup(self.forget, "repos")
        got = self.add("repos", "--workspace", self.server.path("srv/git/%t"), template="git")
        self.assertIn(b"try       ssh -p 0 repos@localhost git init --bare /workspace/project.git\n"
                      b"          git clone ssh://repos@localhost:0/workspace/project.git\n", got.out)
        self.assertEqual(os.stat(self.server.path("srv/git")).st_mode & 0o7777, 0o755)
        made = self.server.ssh("repos", "git init --bare /workspace/project.git", key="bob")
        self.assertEqual(made.code, 0, made)
        url = "ssh://repos@postern/workspace/project.git"
        self.git("clone", "-q", url, "work", key="bob")
        self.server.write("work/data", "first\n")
        self.git("-C", "work", "add", "data", key="bob")
        self.git("-C", "work", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x",
                 key="bob")
        self.git("-C", "work", "push", "-q", "origin", "HEAD:main", key="bob")
        self.git("clone", "-q", url, "again", key="bob")
        with open(self.server.path("again/data"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "first\n")
        denied = self.server.ssh("repos", "id", key="bob")
        self.assertEqual(denied.code, 126, denied)

    def test_ci_with_a_source_and_a_network(self):
        self.addCleanup(self.forget, "runner")
        self.add("runner", "--from", "127.0.0.0/8", "--from", "192.0.2.0/24", "--network",
                 "loopback", template="ci")
        text = self.files()["tenant-runner.ini"].decode()
        self.assertIn("keys       = keys/runner\nfrom       = 127.0.0.0/8\n"
                      "from       = 192.0.2.0/24\n", text)
        self.assertIn("network        = loopback\n", text)
        self.assertNotIn("acme", text)
        self.assertRan(self.server.ssh("runner", "echo $RUNNER; grep -c : /proc/net/dev",
                                       key="bob"), out=b"postern\n1\n")

    def test_keys_come_and_go(self):
        self.addCleanup(self.forget, "team")
        self.add("team")
        carol = self.server.path("user_carol.pub")
        self.assertEqual(self.server.ssh("team", "true", key="carol").code, 255)
        got = self.postern("key", "add", "team", carol, "--comment", "carol's laptop", "--from",
                           "127.0.0.0/8", "--from", "::1", "--expiry", "90d")
        self.assertEqual(got.err, b"")
        self.assertLine(got.out, rf"key       {re.escape(self.server.fingerprint('carol'))} "
                                 r"ssh-ed25519 carol's laptop")
        self.assertRan(self.server.ssh("team", "echo $POSTERN_KEY", key="carol"),
                       out=b"carol's laptop\n")
        self.assertRegex(self.files()["keys/team"].decode().splitlines()[1],
                         r'^from="127\.0\.0\.0/8,::1",expiry-time="\d{14}Z" ssh-ed25519 AAAA\S+ '
                         r"carol's laptop$")
        listed = self.postern("key", "list", "team").out
        self.assertLine(listed, rf"team +{re.escape(self.server.fingerprint('carol'))} +ssh-ed25519 +"
                                r"carol's laptop +.*/keys/team:2")
        self.assertLine(listed, r' +from="127\.0\.0\.0/8,::1", until 20.*Z')
        # Who is connected with it loses the connection.
        path, client = self.server.mux("team", key="carol")
        self.assertRan(self.server.ssh("team", "true", flags=["-S", path]))
        self.postern("key", "remove", "team", "carol's laptop")
        self.assertEqual(client.wait(20 * PATIENCE), 255)
        self.assertEqual(self.server.ssh("team", "true", key="carol").code, 255)
        self.assertRan(self.server.ssh("team", "true", key="bob"))

    def test_disabled_and_removed_while_connected(self):
        self.addCleanup(self.forget, "guest")
        home = self.server.path("home/guest")
        self.add("guest", "--workspace", self.server.path("home/%t"))
        self.assertRan(self.server.ssh("guest", "echo mine >file", key="bob"))
        before = self.files()
        for verb in ("disable", "remove"):
            path, client = self.server.mux("guest", key="bob")
            running = self.server.popen_ssh("guest", "echo on; sleep 1000", flags=["-S", path])
            self.assertEqual(running.stdout.readline(), b"on\n")
            got = self.postern("tenant", verb, "guest")
            self.assertEqual(got.err, b"")
            self.assertEqual(client.wait(20 * PATIENCE), 255)
            running.communicate(timeout=20 * PATIENCE)
            self.assertEqual(self.server.ssh("guest", "true", key="bob").code, 255)
            if verb == "remove":
                continue
            self.assertLine(got.out, r"renamed   .*/tenant-guest\.ini to tenant-guest\.ini\.disabled")
            self.assertLine(self.postern("tenant", "list").out,
                            r"guest +- +- +- +disabled +.*/tenant-guest\.ini\.disabled")
            self.assertRan(run([POSTERN, "check", "--strict", "-f", self.server.config], check=False),
                           out=None)
            self.postern("tenant", "disable", "guest", code=65)
            self.postern("tenant", "enable", "guest")
            self.assertEqual(self.files(), before)
            self.assertRan(self.server.ssh("guest", "cat file", key="bob"), out=b"mine\n")
        self.assertLine(got.out, r"removed   .*/tenant-guest\.ini")
        self.assertLine(got.out, r"removed   .*/keys/guest")
        self.assertLine(got.out, rf"kept      {re.escape(home)}: .*")
        self.assertEqual([f for f in self.files() if "guest" in f], [])
        self.assertTrue(os.path.exists(f"{home}/file"))
        # The same name, the same uid: its files are its own again.
        self.add("guest", "--workspace", self.server.path("home/%t"))
        self.assertRan(self.server.ssh("guest", "cat file", key="bob"), out=b"mine\n")


class Signalled(TenantTest):
    """A server without a control socket is told by SIGHUP, and its audit trail answers."""

    def test_by_the_audit_trail(self):
        server = self.new_server(policy=HAND_WRITTEN, server="control = none\n").start()
        other = self.new_server(policy=HAND_WRITTEN).start()
        key = ["--key", self.server.path("user_bob.pub"), "--template", f"{TEMPLATES}/shell.ini"]
        got = self.postern("tenant", "add", "bob", *key, server=server)
        self.assertLine(got.out, rf"server    has loaded it \(pid {server.process.pid}\)")
        self.assertEqual((len(server.audit(event="reload")), len(other.audit(event="reload"))), (1, 0))
        # A socket that is another server's is not asked.
        with open(server.config, "a", encoding="utf-8") as f:
            f.write("audit = stderr\n")
        text = open(server.config, encoding="utf-8").read()
        server.write("postern.ini", text.replace(f"audit = {server.path('audit.log')}\n", "").replace(
            "control = none", f"control = {other.path('control')}"))
        got = self.postern("tenant", "disable", "bob", server=server)
        self.assertLine(got.out, rf"server    was asked to load it \(pid {server.process.pid}\); its "
                                 r"audit trail can't be read: .*")
        server.wait_log("reloaded: generation 3")
        self.assertEqual(len(other.audit(event="reload")), 0)

    def test_one_with_a_relative_name(self):
        """Of the configuration: it means what it meant where the server was started."""
        server = self.new_server(policy=HAND_WRITTEN)
        absolute, server.config = server.config, os.path.relpath(server.config, "/")
        server.start()
        server.config = absolute
        self.postern("tenant", "add", "x", "--key", self.server.path("user_bob.pub"), "--template",
                     f"{TEMPLATES}/shell.ini", server=server)
        self.assertEqual(len(server.audit(event="reload", result="loaded")), 1)

    def test_one_that_refuses(self):
        """It doesn't see what we see: a directory that is mounted here alone."""
        server = self.new_server(policy=HAND_WRITTEN).start()
        os.makedirs(server.path("full/inside"))
        os.mkdir(server.path("there"))
        with open(f"{TEMPLATES}/shell.ini", encoding="utf-8") as f:
            text = f.read()
        template = server.write("seeing.ini", text.replace(
            "network ", f"read = {server.path('there/inside')}:/seen\nnetwork ", 1))
        script = server.write("script", f"mount --bind {server.path('full')} {server.path('there')}\n"
                                        'exec "$@"\n')
        add = ["unshare", "--mount", "sh", script, POSTERN, "tenant", "add", "bob", "-f",
               server.config, "--key", self.server.path("user_bob.pub"), "--template", template]
        got = run(add, check=False)
        self.assertEqual(got.code, 69, got)
        self.assertRegex(got.err.decode(), rf"^postern: the server \(pid {server.process.pid}\) has "
                                           r"refused to load it: .*there/inside.*\n"
                                           r"postern: nothing was changed\n$")
        self.assertEqual(got.out, b"")
        self.assertEqual(set(self.files(server)), {"tenants.ini", "keys/alice"})
        doc = json.loads(run([*add, "--json"], check=False).out)
        self.assertEqual((doc["ok"], doc["changed"], doc["reload"]["state"], doc["reload"]["pid"]),
                         (False, False, "refused", server.process.pid))
        self.assertEqual(set(self.files(server)), {"tenants.ini", "keys/alice"})
        # Keys that were to be added are not there; what was to be taken away is away.
        self.postern("tenant", "add", "bob", "--key", self.server.path("user_bob.pub"), "--template",
                     f"{TEMPLATES}/shell.ini", server=server)
        text = re.sub(r"^(memory|cpu) ", r"; \1 ", text, flags=re.M)
        server.write_policy(text.replace(
            "network ", f"read = {server.path('there/inside')}:/seen\nnetwork ", 1), "acme.ini")
        with open(self.server.path("user_bob.pub"), "rb") as f:
            server.write("policy.d/keys/acme", f.read())
        before = self.files(server)
        os.chmod(server.path("policy.d/keys/bob"), 0o600)
        there = ["unshare", "--mount", "sh", script, POSTERN]
        got = run([*there, "key", "add", "bob", self.server.path("user_carol.pub"), "-f",
                   server.config], check=False)
        self.assertEqual((got.code, self.files(server)), (69, before), got)
        self.assertEqual(os.stat(server.path("policy.d/keys/bob")).st_mode & 0o7777, 0o600)
        got = run([*there, "tenant", "remove", "bob", "-f", server.config], check=False)
        self.assertEqual(got.code, 69, got)
        self.assertIn(b"postern: the files are changed, but it goes on with the policy before\n",
                      got.err)
        self.assertEqual([f for f in self.files(server) if "bob" in f], [])


class Changes(TenantTest):
    """Files alone: what may be changed, what is left alone, and what is said of it."""

    def refused(self, code, pattern, *words, **how):
        before = self.files()
        got = self.postern(*words, code=code, **how)
        self.assertRegex((got.err + got.out).decode(), pattern)
        self.assertEqual(self.files(), before)

    def policy(self, text):
        self.server.write_policy(text, "more.ini")
        self.addCleanup(os.unlink, self.server.path("policy.d/more.ini"))

    def test_hand_written_files_are_left_alone(self):
        for verb, word in (("disable", "comment out it at"), ("remove", "remove it at")):
            self.refused(65, r"tenant 'old' is in a file that 'postern tenant add' didn't write: "
                             rf"{word} .*/tenants\.ini:5", "tenant", verb, "old")
        self.addCleanup(self.forget, "mine")
        self.add("mine")
        with open(self.server.path("policy.d/tenant-mine.ini"), "a", encoding="utf-8") as f:
            f.write('[tenant "second"]\nextends = mine\n')
        self.refused(65, r"the file of tenant 'mine' holds others, such as 'second', too: remove it at "
                         r".*tenant-mine\.ini:\d+", "tenant", "remove", "mine")

    def test_what_others_need_stays(self):
        self.addCleanup(self.forget, "base")
        self.add("base")
        self.policy('[tenant "child"]\nextends = base\n')
        for verb in ("disable", "remove"):
            self.refused(78, r"more\.ini:2: error: .*'base'", "tenant", verb, "base")
        self.server.write_policy('[tenant "child"]\nkeys = keys/base\nsandbox = plain\nshell = /bin/sh\n', "more.ini")
        self.refused(65, r"keys/base holds the keys of 'child' as well as of 'base'", "key", "remove",
                     "base", "bob@client")
        self.refused(65, r"keys/base holds the keys of 'child' as well as of 'base'", "key", "add",
                     "base", self.server.path("user_carol.pub"))
        self.postern("tenant", "remove", "base")
        self.assertEqual([f for f in self.files() if "base" in f], ["keys/base"])

    def test_wrong_names(self):
        for words in (("disable", "nobody"), ("enable", "nobody"), ("remove", "nobody")):
            self.refused(65, r"there is no tenant 'nobody'", "tenant", *words)
        self.refused(65, r"there is no tenant 'odl': did you mean 'old'\?", "tenant", "remove", "odl")
        self.refused(65, r"tenant 'old' is not disabled", "tenant", "enable", "old")
        self.refused(64, r"error", "tenant", "remove", "../old")
        self.refused(64, r"takes the name of one tenant", "tenant", "remove")
        self.refused(65, r"there is no tenant 'nobody'", "key", "list", "nobody")
        self.refused(65, r"there is no tenant 'nobody'", "key", "add", "nobody",
                     self.server.path("user_bob.pub"))

    def test_keys_of_a_disabled_one(self):
        self.addCleanup(self.forget, "off")
        self.add("off")
        self.postern("tenant", "disable", "off")
        self.refused(65, r"tenant 'off' is disabled; 'postern tenant enable off' takes it back", "key",
                     "add", "off", self.server.path("user_carol.pub"))
        # The name may hold anything.
        self.refused(65, r"there is no tenant '../../x'", "key", "add", "../../x",
                     self.server.path("user_carol.pub"))

    def test_wrong_keys(self):
        pub = self.server.path("user_alice.pub")
        self.refused(65, r"tenant 'old' has SHA256:\S+ already: .*/keys/alice:1", "key", "add", "old",
                     pub)
        self.refused(65, r"private key", "key", "add", "old", self.server.path("user_bob"))
        self.refused(64, r"takes a tenant and files", "key", "add", "old")
        bob = self.server.path("user_bob.pub")
        self.refused(64, r"--expiry is a day", "key", "add", "old", bob, "--expiry", "soon")
        self.refused(64, r"control character", "key", "add", "old", bob, "--comment", "a\nb")
        self.refused(78, r"keys/alice:2: error: .*from", "key", "add", "old", bob, "--from", "here")
        self.refused(78, r"keys/alice:2: error: .*", "key", "add", "old", "-", "--from", "10.0.0.0/8",
                     stdin=b'from="::1" ' + self.public("bob"))
        self.refused(65, r"tenant 'old' has no key 'alcie@client': did you mean 'alice@client'\?; "
                         r"'postern key list old' lists", "key", "remove", "old", "alcie@client")

    def public(self, name):
        with open(self.server.path(f"user_{name}.pub"), "rb") as f:
            return f.read()

    def test_other_lines_stay(self):
        path = self.server.path("policy.d/keys/alice")
        with open(path, "rb") as f:
            alice = f.read()
        self.addCleanup(self.server.write, "policy.d/keys/alice", alice)
        text = (b"# a comment\n\n" + alice + b"  # and\n" + b"restrict " + self.public("bob").rstrip()
                + b"  \n\n# no newline at the end")
        self.server.write("policy.d/keys/alice", text, mode=0o600)
        os.chown(path, 0, 12)
        self.postern("key", "add", "old", self.server.path("user_carol.pub"))
        self.assertEqual(self.files()["keys/alice"], text + b"\n" + self.public("carol"))
        self.postern("key", "remove", "old", self.server.fingerprint("bob"))
        self.assertEqual(self.files()["keys/alice"],
                         b"# a comment\n\n" + alice + b"  # and\n\n# no newline at the end\n"
                         + self.public("carol"))
        st = os.stat(path)
        self.assertEqual((st.st_mode & 0o7777, st.st_gid), (0o600, 12))

    def test_a_comment_of_two_keys(self):
        path = "policy.d/keys/alice"
        alice = self.files()["keys/alice"]
        self.addCleanup(self.server.write, path, alice)
        self.server.write(path, alice + self.public("bob").replace(b"bob@", b"alice@"))
        self.refused(65, r"'alice@client' is the comment of several keys; name one by its "
                         r"fingerprint:\n  SHA256:\S+ \(.*:1\)\n  SHA256:\S+ \(.*:2\)\n", "key",
                     "remove", "old", "alice@client")
        doc = json.loads(self.postern("key", "remove", "old", self.server.fingerprint("bob"), "--json",
                                      "--dry-run").out)
        self.assertEqual((doc["kind"], doc["changed"], doc["keys"]),
                         ("key remove", False, [self.server.fingerprint("bob")]))

    def test_which_file(self):
        self.policy('[tenant "heir"]\nextends = old\n[tenant "two"]\nkeys = keys/x\nkeys = keys/y\n'
                    'shell = /bin/sh\n[tenant "named"]\nkeys = keys/x1\nkeys = keys/named\n'
                    'shell = /bin/sh\n[tenant "none"]\nshell = /bin/sh\n')
        for name in ("x", "y", "x1", "named"):
            self.server.write(f"policy.d/keys/{name}", "# none\n")
            self.addCleanup(os.unlink, self.server.path(f"policy.d/keys/{name}"))
        bob = self.server.path("user_bob.pub")
        self.refused(65, r"tenant 'heir' has no key file of its own, its keys are inherited", "key",
                     "add", "heir", bob)
        self.refused(65, r"tenant 'none' has no key file of its own: ", "key", "add", "none", bob)
        self.refused(65, r"tenant 'two' has 2 key files", "key", "add", "two", bob)
        self.postern("key", "add", "named", bob)
        self.assertEqual(self.files()["keys/named"], b"# none\n" + self.public("bob"))

    def test_the_page_has_every_verb_and_option(self):
        with open(os.path.join(SOURCE, "packaging/man/postern.1.scd"), encoding="utf-8") as f:
            page = f.read()
        for name in ("tenant", "key"):
            usage = run([POSTERN, name, "--help"]).out.decode()
            verbs = re.findall(rf"^  postern {name} ([a-z]+)", usage, re.M)
            self.assertGreater(len(verbs), 2)
            for verb in verbs:
                self.assertRegex(page, rf"\*{name}\* .*\*{verb}\*")
                usage = run([POSTERN, name, verb, "--help"]).out.decode()
                self.assertTrue(usage.startswith(f"usage: postern {name} {verb}"), usage)
                for option in re.findall(r"--[a-z-]+", usage):
                    self.assertIn(f"*{option}*", page, verb)

    def test_lists(self):
        doc = json.loads(self.postern("tenant", "list", "--json").out)
        self.assertEqual(doc["tenants"], [
            {"name": "old", "login": "old", "keys": "1", "sandbox": "plain", "state": "enabled",
             "file": self.server.path("policy.d/tenants.ini"), "line": 5}])
        self.assertLine(self.postern("tenant", "list").out,
                        r"old +old +1 +plain +enabled +.*/tenants\.ini:5")
        doc = json.loads(self.postern("key", "list", "--json").out)
        self.assertEqual([(t["name"], [k["fingerprint"] for k in t["keys"]]) for t in doc["tenants"]],
                         [("old", [self.server.fingerprint("alice")])])


class Refused(TenantTest):
    """Wrong types first: each is refused with its place, and nothing is left behind."""

    def refused(self, code, pattern, *words, **how):
        before = self.files()
        got = self.postern("tenant", "add", *words, code=code, **how)
        self.assertRegex((got.err + got.out).decode(), pattern)
        self.assertEqual(self.files(), before)
        return got

    def key(self, name="bob"):
        return ["--key", self.server.path(f"user_{name}.pub"),
                "--template", f"{TEMPLATES}/shell.ini"]

    def test_command_line(self):
        self.refused(64, r"takes the name of one tenant", *self.key())
        self.refused(64, r"takes the name of one tenant", "a", "b", *self.key())
        self.refused(64, r"--key FILE is missing", "bob")
        self.refused(64, r"unknown option '--kye': did you mean '--key'\?", "bob", "--kye", "x")
        for name in ("../x", "-x", "a b", "x" * 33, "", "x\n[tenant]", "a/b", "%n", ".x"):
            self.refused(64, r"postern tenant add: error: |takes the name|unknown option", name,
                         *self.key())
        self.refused(64, r"would not be read", "a.dpkg-new", *self.key())
        self.refused(64, r"control character", "bob", *self.key(), "--from", "10.0.0.0/8\nuser = x")
        self.refused(64, r"control character", "bob", *self.key(), "--network", "none\n")
        for words, said in ((["addd"], b"did you mean 'add'?"), (["\x1b"], b"unknown verb '\\x1b'"),
                            ([], b"usage: postern tenant")):
            got = run([POSTERN, "tenant", *words], check=False)
            self.assertEqual((got.code, said in got.err), (64, True), got)

    def test_keys(self):
        server = self.server
        self.refused(66, r"/nowhere: No such file", "bob", "--key", "/nowhere")
        self.refused(66, r"Is a directory", "bob", "--key", server.dir)
        self.refused(65, r"private key, which stays with its owner alone; the public half is "
                         r".*user_bob\.pub", "bob", "--key", server.path("user_bob"))
        with open(server.path("user_bob"), "rb") as f:
            got = self.refused(65, r"standard input: this is a private key", "bob", "--key", "-",
                               stdin=f.read())
        self.assertNotIn(b"BEGIN", got.err + got.out)
        self.refused(65, r"there is no key in it", "bob", "--key", "-", stdin=b"# nothing\n\n")
        self.refused(65, r"standard input:1: error: ", "bob", "--key", "-", stdin=b"hello world\n")
        self.refused(65, r"standard input:1: error: .*port-forwarding", "bob", "--key", "-",
                     stdin=b"port-forwarding " + self.public("bob"))

    def public(self, name):
        with open(self.server.path(f"user_{name}.pub"), "rb") as f:
            return f.read()

    def test_what_is_there_stays(self):
        server = self.server
        self.refused(73, r"there is a tenant 'old' already: .*/tenants\.ini:5; 'postern key add old "
                         r"FILE' gives it another key", "old", *self.key())
        self.addCleanup(self.forget, "mine")
        server.write("policy.d/keys/mine", "# mine\n")
        self.refused(73, r"keys/mine is there already, and no tenant 'mine'", "mine", *self.key())
        os.unlink(server.path("policy.d/keys/mine"))
        server.write("policy.d/tenant-mine.ini.disabled", "")
        self.refused(73, r"tenant 'mine' is disabled: .*'postern tenant enable mine'", "mine",
                     *self.key())

    def test_a_broken_policy_elsewhere(self):
        broken = self.server.write("policy.d/broken.ini", '[tenant "x"]\nkyes = keys/x\n')
        self.addCleanup(os.unlink, broken)
        got = self.refused(78, r"/policy\.d/broken\.ini:2: error: unknown key 'kyes'", "bob",
                           *self.key())
        self.assertLine(got.err, "postern: nothing was changed")

    def test_what_the_host_says_counts(self):
        # Only making the sandbox shows it: what is there belongs to somebody else.
        kept = self.server.path("home")
        os.mkdir(kept, 0o777)
        os.chmod(kept, 0o777)
        got = self.refused(78, r"tenant-bob\.ini:\d+: error: sandbox 'bob'.*workspace", "bob",
                           *self.key(), "--workspace", f"{kept}/%t")
        self.assertLine(got.err, "postern: nothing was changed")
        self.refused(78, r"tenant-bob\.ini:\d+: error: 'some' is not one of: none", "bob", *self.key(), "--network",
                     "some")
        self.refused(78, r"tenant-bob\.ini:\d+: error: .here. is not an IP address", "bob", *self.key(), "--from", "here")
        # What was made for it is gone, too.
        self.refused(78, r"error", "bob", *self.key(), "--workspace", self.server.path("a/b/c"),
                     "--network", "some")
        self.assertFalse(os.path.exists(self.server.path("a")))

    def test_no_configuration(self):
        got = run([POSTERN, "tenant", "add", "bob", "-f", self.server.path("none.ini"), *self.key()],
                  check=False)
        self.assertEqual(got.code, 66, got)
        self.assertIn(b"none.ini: No such file or directory\npostern: the configuration of the server "
                      b"comes first; -f names one elsewhere\n", got.err)

    def test_not_root(self):
        copy = self.server.path("bob.pub")
        os.chmod(self.server.dir, 0o755)
        self.server.write("bob.pub", self.public("bob"))
        got = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", POSTERN, "tenant", "add",
             "bob", "-f", self.server.config, "--key", copy, "--template",
             f"{TEMPLATES}/shell.ini"], capture_output=True, check=False, cwd="/",
            env=clean_env("/nonexistent"))
        self.assertEqual(got.returncode, 77, got)
        self.assertRegex(got.stderr.decode(), r"policy\.d can't be changed: Permission denied: that "
                                              r"takes root, sudo postern")

    def test_templates(self):
        self.refused(66, r"nowhere\.ini: No such file", "bob", "--key",
                     self.server.path("user_bob.pub"), "--template", "./nowhere.ini")
        odd = self.server.write("odd.ini", "; odd: nothing\n[sandbox \"acme\"]\n")
        self.refused(65, r"template 'odd': the template has no 'keys'", "bob", "--key",
                     self.server.path("user_bob.pub"), "--template", odd)
        got = run([POSTERN, "tenant", "templates", TEMPLATES, "--json"])
        names = [one["name"] for one in json.loads(got.out)["templates"]]
        self.assertEqual(names, ["ci", "git", "shell"])
        got = run([POSTERN, "tenant", "templates", TEMPLATES])
        self.assertLine(got.out, r"git    repositories to make, clone and push to, and no shell")


class Unserved(TenantTest):
    """No server runs: files alone."""

    def test_no_server(self):
        self.addCleanup(self.forget, "bob")
        got = self.add("bob")
        self.assertLine(got.out, r"server    none is running with this configuration: .*")
        self.assertEqual(run([POSTERN, "check", "--strict", "-f", self.server.config]).code, 0)

    def test_the_keys_of_somebody_else(self):
        self.addCleanup(self.forget, "bob")
        with open(self.server.path("user_bob.pub"), "rb") as f:
            self.server.write("policy.d/keys/bob", f.read())
        self.server.write_policy('[tenant "x"]\nkeys = keys/bob\nshell = /bin/sh\n', "x.ini")
        self.addCleanup(os.unlink, self.server.path("policy.d/x.ini"))
        got = self.add("bob", code=73)
        self.assertIn(b"keys/bob is there already", got.err)

    def test_dry_run(self):
        before = self.files()
        got = self.add("bob", "--dry-run")
        self.assertIn(b'\n[tenant "bob"]\n', got.out)
        self.assertLine(got.out, "dry run   the policy would be right; nothing was changed")
        doc = json.loads(self.add("bob", "--dry-run", "--json").out)
        self.assertEqual((doc["ok"], doc["changed"], doc["tenant"]), (True, False, "bob"))
        self.assertEqual(self.files(), before)

    def test_json(self):
        self.addCleanup(self.forget, "bob")
        doc = json.loads(self.add("bob", "--json", "--no-reload").out)
        self.assertEqual(doc["kind"], "tenant add")
        self.assertEqual(doc["keys"], [self.server.fingerprint("bob")])
        self.assertEqual([f["change"] for f in doc["files"]], ["written", "written"])
        self.assertEqual(doc["reload"]["state"], "not asked")
        self.assertEqual(doc["try"], ["ssh -p 0 bob@localhost"])

    def test_keys_of_many_kinds(self):
        self.addCleanup(self.forget, "bob")
        with open(self.server.path("user_carol.pub"), "rb") as f:
            carol = f.read()
        windows = b'restrict,from="10.0.0.0/8" ' + carol.replace(b"\n", b"\r\n") + b"\r\n# end\r\n"
        self.add("bob", "--key", "-", stdin=windows)
        with open(self.server.path("user_bob.pub"), "rb") as f:
            self.assertEqual(self.files()["keys/bob"],
                             f.read() + b'restrict,from="10.0.0.0/8" ' + carol)

    def test_a_key_of_two_tenants_is_told(self):
        self.addCleanup(self.forget, "bob")
        got = self.add("bob", key="alice")
        self.assertRegex(got.err.decode(), r"warning: one key lets in as 2 tenants: ")

    def test_racing(self):
        self.addCleanup(self.forget, "race", *(f"r{i}" for i in range(4)))
        def start(name):
            return subprocess.Popen(
                [POSTERN, "tenant", "add", name, "-f", self.server.config, "--template",
                 f"{TEMPLATES}/shell.ini", "--key", self.server.path("user_bob.pub")],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env("/"))
        same = [start("race") for _ in range(4)]
        codes = sorted(p.communicate() and p.returncode for p in same)
        self.assertEqual(codes, [0, 73, 73, 73])
        others = [start(f"r{i}") for i in range(4)]
        self.assertEqual([p.communicate() and p.returncode for p in others], [0] * 4)
        self.assertEqual(run([POSTERN, "check", "-f", self.server.config]).code, 0)

    def test_one_at_a_time(self):
        self.addCleanup(self.forget, "bob")
        lock = os.open(self.server.path("policy.d"), os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [POSTERN, "tenant", "add", "bob", "-f", self.server.config, "--template",
             f"{TEMPLATES}/shell.ini", "--key", self.server.path("user_bob.pub")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_env("/"))
        self.assertEqual(process.stderr.readline(),
                         b"postern: waiting for another postern that changes the policy\n")
        # What the other one does meanwhile is seen.
        self.server.write_policy('[tenant "bob"]\nshell = /bin/sh\n', "x.ini")
        self.addCleanup(os.unlink, self.server.path("policy.d/x.ini"))
        fcntl.flock(lock, fcntl.LOCK_UN)
        self.assertIn(b"there is a tenant 'bob' already", process.communicate()[1])
        self.assertEqual(process.returncode, 73)

    def test_killed_at_each_step(self):
        """Whatever the moment, the policy can be loaded, and the same command works after it."""
        for call, at_least in (("mkdir", 1), ("unlinkat", 2), ("fchmod", 2), ("fsync", 4),
                               ("renameat2", 2), ("kill", 0)):
            kills = 0
            while self.add_killed(call, kills + 1) != 0:
                kills += 1
                check = run([POSTERN, "check", "--other-host", "-f", self.server.config],
                            check=False)
                self.assertEqual(check.code, 0, (call, kills, check))
                left = sorted(f for f in self.files() if "bob" in f)
                self.assertIn(left, ([], [".tenant-bob.ini.postern", "keys/bob"], ["keys/bob"],
                                     ["keys/.bob.postern"], ["keys/bob", "tenant-bob.ini"]),
                              (call, kills))
                # What is left halfway is no obstacle to the same command.
                if "tenant-bob.ini" not in left:
                    self.add("bob")
                self.forget("bob")
            self.assertGreaterEqual(kills, at_least, call)
            self.assertNotIn(".bob.postern", " ".join(self.files()))
            self.forget("bob")

    def add_killed(self, call, when):
        """Adds a tenant and kills it as it makes the call for the `when`th time; the exit status."""
        got = subprocess.run(
            ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}",
             POSTERN, "tenant", "add", "bob", "-f", self.server.config, "--template",
             f"{TEMPLATES}/shell.ini", "--key", self.server.path("user_bob.pub")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            # Leaks can't be looked for in a process that is traced.
            env={**clean_env("/"), "ASAN_OPTIONS": "detect_leaks=0"})
        self.assertIn(got.returncode, (0, -signal.SIGKILL, 128 + signal.SIGKILL), got)
        return got.returncode


class PolicyOwner(TenantTest):
    """Another user may own the policy; root who changes it doesn't lend that user its rights."""

    def setUp(self):
        # A server of its own: owners and links are changed.
        self.server = self.new_server(policy=HAND_WRITTEN, server="policy-owner = games\n")
        for name in ("bob", "carol"):
            self.server.user_key(name)
            os.unlink(self.server.path(f"policy.d/keys/{name}"))
        owner = pwd.getpwnam("games")
        os.chmod(self.server.dir, 0o755)
        self.top = self.server.path("policy.d")
        for where, _, names in os.walk(self.top):
            for name in (".", *names):
                os.chown(os.path.join(where, name), owner.pw_uid, owner.pw_gid)
        self.root_dir = self.server.path("root")
        os.mkdir(self.root_dir, mode=0o755)
        shutil.copy(self.server.path("user_carol.pub"), f"{self.root_dir}/authorized_keys")
        self.before = self.looks()

    def looks(self):
        found = {}
        for name in os.listdir(self.root_dir):
            with open(f"{self.root_dir}/{name}", "rb") as f:
                found[name] = f.read()
        return found

    def test_what_is_the_owners_is_changed(self):
        self.postern("key", "add", "old", self.server.path("user_bob.pub"))
        self.add("fresh", key="carol")
        self.assertIn("keys/fresh", self.files())

    def test_a_key_file_of_roots_is_not(self):
        self.server.write_policy(HAND_WRITTEN + '\n[tenant "sly"]\nextends = old\nkeys =\n'
                                 f"keys = {self.root_dir}/authorized_keys\n")
        for words in (("add", "sly", self.server.path("user_bob.pub")),
                      ("remove", "sly", self.server.fingerprint("carol"))):
            got = self.postern("key", *words, code=EX_CANTCREAT)
            self.assertIn(b"is neither in ", got.err)
            self.assertEqual(self.looks(), self.before)

    def test_a_planted_link_is_not(self):
        shutil.copy(f"{self.top}/keys/alice", self.root_dir)
        self.before = self.looks()
        shutil.rmtree(f"{self.top}/keys")
        os.symlink(self.root_dir, f"{self.top}/keys")
        self.postern("key", "add", "old", self.server.path("user_bob.pub"), code=EX_CANTCREAT)
        self.add("fresh", code=EX_CANTCREAT)
        self.assertEqual(self.looks(), self.before)
        self.assertEqual([name for name in os.listdir(self.top) if "fresh" in name], [])

    def test_a_directory_of_roots_below_is_part_of_the_policy(self):
        os.chown(f"{self.top}/keys", 0, 0)
        self.add("fresh")
        self.assertIn("keys/fresh", self.files())


main()
