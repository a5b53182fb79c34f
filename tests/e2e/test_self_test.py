"""postern self-test: what a program finds in a tenant's own sandbox, and what of it the policy wants."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from harness import BUILD, PATIENCE, POSTERN, PosternTest, main, mounts, run

PROBE = os.path.join(BUILD, "tests/confine/inside/postern-probe")

POLICY = """
[sandbox "tight"]
workspace = exec
[sandbox "wide"]
read      = {dir}/shown
write     = {dir}/written
hide      = {dir}/shown/hidden
read      = /var/lib/dpkg
network   = host
workspace = connection
tasks     = infinity
seccomp   = wide
[sandbox "kept"]
workspace = {dir}/kept/%t
network   = loopback
seccomp   = strict
[seccomp "wide"]
extends   = default
allow     = perf_event_open mount
kill      = bpf swapon
[tenant "tight"]
sandbox   = tight
[tenant "wide"]
sandbox   = wide
[tenant "kept"]
sandbox   = kept
"""


def has_bait(pid):
    with open("/proc/sysvipc/shm", encoding="ascii") as f:
        lines = [line.split() for line in f]
    return any(line[0] == str(0x706f7374) and line[4] == str(pid) for line in lines)


class SelfTest(PosternTest):
    autostart = False

    def setUp(self):
        super().setUp()
        self.dir = tempfile.mkdtemp(prefix="self-test-e2e-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        for name in ("shown", "shown/hidden", "written", "kept"):
            os.mkdir(os.path.join(self.dir, name))
        os.chmod(os.path.join(self.dir, "written"), 0o777)
        with open(os.path.join(self.dir, "shown/hidden/file"), "w", encoding="utf-8") as f:
            f.write("secret")
        self.server = self.new_server(policy=POLICY.format(dir=self.dir))

    def self_test(self, *args, probe=PROBE):
        return run([POSTERN, "self-test", "-f", self.server.config, "--probe", probe, *args],
                   check=False)

    def document(self, tenant, code=0, probe=PROBE):
        got = self.self_test("--tenant", tenant, "--json", probe=probe)
        self.assertEqual((got.code, got.err), (code, b""), got)
        found = json.loads(got.out)
        self.assertEqual((found["v"], found["kind"], found["tenant"], found["ok"]),
                         (1, "self-test", tenant, code == 0))
        return found

    @staticmethod
    def by_result(found, result):
        return {p["name"]: p for p in found["properties"] if p["result"] == result}

    def test_a_tight_sandbox(self):
        before = mounts()
        found = self.document("tight")
        self.assertEqual((found["open"], found["policy"], found["untried"]), (0, 0, 0), found)
        self.assertGreaterEqual(found["refused"], 200)
        self.assertEqual({p["group"] for p in found["properties"]},
                         {"files", "processes", "network", "kernel interfaces", "limits"})
        self.assertEqual(mounts(), before)

    def test_what_the_policy_opens(self):
        found = self.document("wide")
        opened = self.by_result(found, "policy")
        policy = self.server.path("policy.d/tenants.ini")
        for name, line in (("interfaces", f"network = host ({policy}:9)"),
                           ("no-var-lib", f"read = /var/lib/dpkg ({policy}:8)"),
                           ("limit-tasks", f"tasks = infinity ({policy}:11)"),
                           ("perf", f"seccomp = wide ({policy}:19)")):
            self.assertEqual(opened[name]["policy"], line)
        self.assertEqual(sorted(self.by_result(found, "killed")), ["bpf", "swap"])
        refused = self.by_result(found, "refused")
        self.assertLessEqual({"mount", "read", "write", "hide", "home-empty"}, set(refused))
        # Nothing of the test is left in what the policy lets it write.
        self.assertEqual(os.listdir(os.path.join(self.dir, "written")), [])

    def test_a_kept_workspace_and_a_narrow_profile(self):
        self.document("kept")
        with open(os.path.join(self.dir, "kept/kept/file"), "w", encoding="utf-8") as f:
            f.write("of an earlier command")
        opened = self.by_result(self.document("kept"), "policy")
        self.assertLessEqual({"home-empty", "home-private", "reach-host"}, set(opened))
        self.assertTrue(opened["home-empty"]["policy"].startswith(f"workspace = {self.dir}/kept/%t"))
        self.assertEqual(os.listdir(os.path.join(self.dir, "kept/kept")), ["file"])

    def test_as_text(self):
        got = self.self_test("--tenant", "wide")
        text = got.out.decode()
        self.assertEqual(got.code, 0, got)
        self.assertRegex(text, r'\Atenant wide, uid \d+, sandbox "wide" \(.*tenants.ini:4\)\nfiles\n')
        self.assertRegex(text, r"(?m)^  usr-read-only +/usr can't be written +refused$")
        self.assertRegex(text, r"(?m)^  perf +no performance counters +open \(by policy: seccomp = ")
        self.assertRegex(text, r"(?m)^  bpf +no system call bpf +refused, and the command is ended")
        self.assertRegex(text, rf"(?m)^  read +{self.dir}/shown can't be written +refused$")
        self.assertRegex(text, r"(?m)^note: (this host has no cgroup v2|limits that a cgroup keeps)")
        self.assertRegex(text, r"\d+ refused, \d+ open by policy, 0 not tried, 0 OPEN\n\Z")

    def probe(self, script):
        path = os.path.join(self.dir, "probe")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + script)
        return path

    def test_what_is_open_is_told(self):
        probe = self.probe(r"printf 'try x\nOPEN\tfiles\tx\t-1\tno \033[1mx\tit was \302\233there\n'")
        found = self.document("tight", code=1, probe=probe)
        self.assertEqual(self.by_result(found, "open")["x"]["found"], "it was ??there")
        got = self.self_test("--tenant", "tight", probe=probe)
        self.assertEqual(got.code, 1)
        self.assertIn(b"  x  no ?[1mx  OPEN: it was ??there\n", got.out)
        self.assertIn(b"1 OPEN\n", got.out)

    def test_a_probe_that_is_none(self):
        for script, why in (("echo hello", b"doesn't say what it should"),
                            ("kill -9 $$", b"was killed by signal 9"),
                            ("while :; do printf 'ok\\tfiles\\tx\\t-1\\tx\\t\\n'; done",
                             b"what runs in the sandbox")):
            got = self.self_test("--tenant", "tight", probe=self.probe(script))
            self.assertEqual((got.code, got.out), (71, b""), (script, got))
            self.assertIn(why, got.err)

    def test_what_is_refused(self):
        for args, code, why in (([], 64, b"needs --tenant"),
                                (["--tenant", "no"], 65, b"there is no tenant 'no'"),
                                (["--tenant", "tight", "word"], 64, b"takes no arguments")):
            got = self.self_test(*args)
            self.assertEqual((got.code, got.out), (code, b""), got)
            self.assertIn(why, got.err)
        got = self.self_test("--tenant", "tight", probe="/no/such/file")
        self.assertEqual(got.code, 71, got)
        self.assertIn(b"/no/such/file", got.err)
        got = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", POSTERN, "self-test",
                              "--tenant", "tight"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             stdin=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual((got.returncode, got.stdout), (77, b""))
        self.assertIn(b"needs root", got.stderr)

    def told_to_end(self, signo, **more):
        """While what it has put on the host is there; None: it was too quick for us."""
        process = subprocess.Popen([POSTERN, "self-test", "-f", self.server.config, "--probe", PROBE,
                                    "--tenant", "tight"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **more)
        while not has_bait(process.pid) and process.poll() is None:
            pass
        process.send_signal(signo)
        code = process.wait(60 * PATIENCE)
        self.assertFalse(has_bait(process.pid))
        return None if code == 0 else code

    def test_told_to_end(self):
        for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            codes = (self.told_to_end(signo) for _ in range(200))
            self.assertEqual(next(code for code in codes if code is not None), -signo)
        ignored = self.told_to_end(signal.SIGHUP,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertIsNone(ignored)

    def test_the_installed_program(self):
        """It is looked for beside the program of the sessions."""
        directory = os.path.join(self.dir, "libexec")
        os.mkdir(directory)
        shutil.copy(PROBE, directory)
        with open(self.server.config, encoding="utf-8") as f:
            text = f.read()
        session = os.path.join(directory, "postern-session")
        lines = [f"session-path = {session}" if line.startswith("session-path") else line
                 for line in text.splitlines()]
        shutil.copy("/bin/true", session)
        self.server.write("postern.ini", "\n".join(lines) + "\n")
        got = run([POSTERN, "self-test", "-f", self.server.config, "--tenant", "tight"], check=False)
        self.assertEqual((got.code, got.err), (0, b""), got)


if __name__ == "__main__":
    main()
