"""What postern doctor says of this very machine, as root and as somebody else."""
import grp
import json
import os
import pwd
import re
import socket
import subprocess

from harness import POSTERN, PosternTest, clean_env, main, run, wait_until

GRADES = {"ok", "unknown", "warning", "problem"}
POLICY = """
[sandbox "box"]
workspace      = {dir}/kept/%t
{more}
[tenant "acme"]
keys    = keys/alice
sandbox = box
shell   = /bin/sh
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Doctor(PosternTest):
    autostart = False

    def setUp(self):
        self.port = free_port()
        self.server = self.new_server(listen=(f"127.0.0.1:{self.port}",))
        self.addCleanup(self.stop_servers)
        os.mkdir(self.server.path("kept"), 0o755)
        self.server.write_policy(POLICY.format(dir=self.server.dir, more=""))

    def doctor(self, *args, **how):
        got = run([POSTERN, "doctor", "-f", self.server.config, *args], check=False, **how)
        self.assertEqual(got.err, b"", got)
        return got

    def findings(self):
        """{(area, check): [finding]}; the document is as it is promised."""
        got = self.doctor("--json")
        doc = json.loads(got.out)
        self.assertEqual((doc["v"], doc["kind"], doc["root"]), (1, "doctor", True))
        found = {}
        for one in doc["findings"]:
            self.assertEqual(set(one), {"area", "check", "grade", "text", "meaning", "remedy"})
            self.assertIn(one["grade"], GRADES)
            found.setdefault((one["area"], one["check"]), []).append(one)
        grades = [one["grade"] for one in doc["findings"]]
        self.assertEqual([doc["problems"], doc["warnings"], doc["unknown"]],
                         [grades.count(g) for g in ("problem", "warning", "unknown")])
        self.assertEqual((doc["ok"], got.code), (True, 0) if doc["problems"] == 0 else (False, 1))
        return found

    def one(self, area, check):
        found = self.findings()[area, check]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_what_is_sound_here(self):
        found = self.findings()
        for check in ("release", "landlock", "seccomp", "cgroup-bpf", "namespaces"):
            self.assertEqual(found["kernel", check][0]["grade"], "ok", found)
        self.assertIn(os.uname().release, found["kernel", "release"][0]["text"])
        self.assertEqual(found["libraries", "libssh"][0]["grade"], "ok")
        version = run(["dpkg-query", "-W", "-f=${Version}", "libssh-4"]).out.decode()
        self.assertEqual(found["libraries", "libssh"][0]["text"], f"libssh {version}")
        self.assertRegex(found["server", "host-key"][0]["text"], "host_ed25519: ssh-ed25519$")
        self.assertEqual(found["server", "listen"][0]["text"], f"127.0.0.1:{self.port} is free")
        self.assertIn("not there yet", found["server", "uids"][0]["text"])
        self.assertFalse(os.path.exists(self.server.path("state")))
        with open("/proc/sys/kernel/dmesg_restrict", encoding="ascii") as f:
            self.assertEqual(found["settings", "kernel/dmesg_restrict"][0]["text"],
                             f"kernel.dmesg_restrict = {f.read().strip()}")

    def test_text(self):
        got = self.doctor()
        self.assertNotIn(b"\033", got.out)
        text = got.out.decode()
        self.assertRegex(text, r"(?m)^kernel\n  ok       Linux ")
        self.assertRegex(text, r"\d+ ok, \d+ unknown, \d+ warnings?, \d+ problems?\n\Z")
        self.assertIn(b"\033[1mkernel\033[0m\n", self.doctor("--color", "always").out)
        self.assertEqual(run([POSTERN, "doctor", "word"], check=False).code, 64)

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", self.port)):
            listen = self.one("server", "listen")
            # Another posternd may run on this machine: then it may be its.
            self.assertIn("taken" if listen["grade"] == "ok" else "Address already in use",
                          listen["text"])
        self.server.start()
        wait_until(lambda: "a posternd runs" in self.one("server", "listen")["text"], 10, "the port")
        files = self.one("limits", "open-files")
        self.assertRegex(files["text"], r"\Aposternd has \d+ files at most")
        uids = self.one("server", "uids")
        self.assertIn("keeps 1 uids", uids["text"])

    def test_host_keys(self):
        key = self.server.path("host_ed25519")
        os.chmod(key, 0o640)
        found = self.one("server", "host-key")
        self.assertEqual((found["grade"], found["remedy"]),
                         ("problem", f"chown root {key} && chmod 600 {key}"))
        os.chmod(key, 0o600)
        run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", key])
        self.assertIn("has a passphrase", self.one("server", "host-key")["text"])
        for text, problem in (("nonsense\n", "is no private key"),
                              ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
                               "-----END OPENSSH PRIVATE KEY-----\n", "is damaged"),
                              ("-----BEGIN OPENSSH PRIVATE KEY-----\n!\n"
                               "-----END OPENSSH PRIVATE KEY-----\n", "is damaged")):
            self.server.write("host_ed25519", text, 0o600)
            self.assertIn(problem, self.one("server", "host-key")["text"])
        os.unlink(key)
        self.assertIn("No such file", self.one("server", "host-key")["text"])

    def test_the_policy_counts(self):
        self.server.write_policy(POLICY.format(dir=self.server.dir, more="workspace-size = 1G\n"))
        found = self.findings()["file systems", "workspace-size"][0]
        # The directory of tests hardly has quotas.
        self.assertEqual(found["grade"], "problem", found)
        self.server.write_policy(POLICY.format(dir=self.server.dir, more="memory = 1G\ncpu = 100%\n"))
        found = self.findings()
        if found["cgroups", "controllers"][0]["grade"] == "ok":
            self.assertNotIn(("policy", "limits"), found)
            return
        text = "\n".join(one["text"] for one in found["policy", "limits"])
        self.assertRegex(text, r"tenants\.ini:4: memory of sandbox 'box' needs the memory controller")
        self.assertRegex(text, r"tenants\.ini:5: cpu of sandbox 'box' needs the cpu controller")
        self.server.extra = "limits = best-effort\n"
        self.server.write_config()
        for one in self.findings()["policy", "limits"]:
            self.assertEqual(one["grade"], "warning")
        self.assertIn("private memory of each process", self.doctor().out.decode())

    def test_a_policy_that_is_wrong_or_missing(self):
        self.server.write_policy("[tenant]\n[sandbox \"x\"]\nmemroy = 1\n")
        found = self.findings()
        self.assertEqual([one["text"] for one in found["server", "policy"]],
                         [f"the policy of {self.server.config} has 2 errors"])
        self.assertNotIn(("server", "listen"), found)
        os.unlink(self.server.config)
        self.assertIn("No such file", self.one("server", "policy")["text"])

    def test_as_somebody_else(self):
        """It says what it can't see, and guesses at nothing."""
        os.chmod(self.server.dir, 0o755)
        as_nobody = ["setpriv", "--reuid", str(pwd.getpwnam("nobody").pw_uid), "--regid",
                     str(grp.getgrnam("nogroup").gr_gid), "--clear-groups"]
        # The build may be where nobody else can go.
        program = f"/tmp/postern-doctor.{os.getpid()}"
        run(["install", "-m", "755", POSTERN, program])
        self.addCleanup(os.unlink, program)

        def ask(*args):
            got = subprocess.run([*as_nobody, program, "doctor", "-f", self.server.config, *args],
                                 capture_output=True, env=clean_env("/"), check=False)
            self.assertIn(got.returncode, (0, 1), got)
            self.assertEqual(got.stderr, b"")
            return got
        doc = json.loads(ask("--json").stdout)
        self.assertFalse(doc["root"])
        grades = {(one["area"], one["check"]): one["grade"] for one in doc["findings"]}
        self.assertEqual(grades["kernel", "cgroup-bpf"], "unknown")
        self.assertEqual(grades["kernel", "landlock"], "ok")
        keys = [one for one in doc["findings"] if one["check"] == "host-key"]
        self.assertRegex(keys[0]["text"], "is for root alone to read, as it should be$")
        os.chmod(self.server.config, 0o600)
        text = ask().stdout.decode()
        self.assertRegex(text, r"unknown  \S+ is for root alone to read\n +what depends on the policy "
                               r"is left out\n +-> sudo postern doctor\n")
        self.assertIsNone(re.search("listen|host key", text))


if __name__ == "__main__":
    main()
