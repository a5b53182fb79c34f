"""postern tenant and postern key: tenants without a policy language to learn, judged before they are
there, and nothing half done whatever happens."""
import json
import os
import re
import signal
import subprocess

from harness import PATIENCE, POSTERN, SOURCE, PosternTest, clean_env, main, run, wait_until

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
                # What the next one finds halfway is no obstacle, but for a file of the same name.
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
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, env=clean_env("/"))
        self.assertIn(got.returncode, (0, -signal.SIGKILL, 128 + signal.SIGKILL), got)
        return got.returncode


main()
