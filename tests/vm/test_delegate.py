"""posternd as a service of systemd: with a cgroup that is delegated to it, and without.

For a machine that runs systemd with cgroup v2 (see run beside this file).
"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import (EXEC_ID, LIVE, POSTERND, PosternTest, main, run,  # noqa: E402
                     wait_until)

SLICE = "/sys/fs/cgroup/system.slice"
POLICY = """[sandbox "ci"]
memory = 64M
tasks  = 30
cpu    = 50%
[tenant "acme"]
keys    = keys/alice
sandbox = ci
shell   = /bin/bash
"""
FILL = "perl -e 'vec($x, (200 << 20) - 1, 8) = 1; print \"full\\n\"'"


def unit_property(unit, name):
    return run(["systemctl", "show", "-P", name, unit]).out.decode().strip()


class ServiceTest(PosternTest):
    autostart = False

    def start_unit(self, server, *properties, foreground=True):
        """Starts posternd as a transient service; its log is the server's."""
        self.unit = f"postern-{self._testMethodName.replace('_', '-')}.service"
        argv = ["systemd-run", "--quiet", "--wait", f"--unit={self.unit}",
                f"--property=StandardOutput=append:{server.path('log')}",
                f"--property=StandardError=append:{server.path('log')}"]
        argv += [f"--property={p}" for p in properties]
        argv += [POSTERND, "-f", server.config] + (["-d"] if foreground else [])
        server.entries_before, server.mounts_before = set(), set()
        server.log_file = open(server.path("log"), "ab")
        server.process = subprocess.Popen(argv)
        self.addCleanup(self.stop_unit, server)
        return server

    def stop_unit(self, server):
        if server.process is None:
            return
        process, server.process = server.process, None
        run(["systemctl", "stop", self.unit], check=False)
        process.wait(120)
        LIVE.discard(process.pid)
        server.log_file.close()
        wait_until(lambda: not os.path.exists(f"{SLICE}/{self.unit}"), 10, "the end of the unit")
        run(["systemctl", "reset-failed", self.unit], check=False)

    def stopped(self, server):
        """Stops it and returns its exit status."""
        process = server.process
        self.stop_unit(server)
        return process.returncode


class Delegate(ServiceTest):
    def test_delegated(self):
        server = self.start_unit(self.new_server(policy=POLICY), "Delegate=yes")
        server.wait_ready()
        own = f"{SLICE}/{self.unit}"
        self.assertIn(f"cgroup {own}, controllers: memory, pids, cpu and io", server.log())
        got = server.ssh("acme", FILL, timeout=60)
        self.assertEqual(got.code, 137, got)
        self.assertLine(got.err, "postern: memory: the command used more than memory = 64M "
                        + EXEC_ID)
        _, end = server.last_exec()
        for name in ("memory_peak", "throttled_ms", "read_bytes", "written_bytes"):
            self.assertIsNotNone(end[name], name)
        wait_until(lambda: sorted(e.name for e in os.scandir(own) if e.is_dir()) == ["daemon"], 10,
                   "the end of the leaf")
        self.assertEqual(unit_property(self.unit, "ActiveState"), "active")
        self.assertRan(server.ssh("acme", "exit 3", timeout=60), 3)
        self.assertEqual(self.stopped(server), 0)
        server.assert_audit_complete()

    def test_stop_ends_what_runs(self):
        server = self.start_unit(self.new_server(policy=POLICY), "Delegate=yes")
        server.wait_ready()
        client = server.popen_ssh("acme", "trap '' TERM HUP; echo up; sleep 1000; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.assertEqual(self.stopped(server), 0)
        client.communicate(timeout=60)

    def test_not_delegated(self):
        server = self.start_unit(self.new_server(policy=POLICY))
        self.assertEqual(server.process.wait(120), 78, server.log())
        server.process = None
        self.assertRegex(
            server.log(),
            r"tenants\.ini:2: error: memory of sandbox 'ci' needs the memory controller of cgroup "
            r"v2: posternd's cgroup is not delegated to it \(a unit with Delegate=yes, or \[server\] "
            r"cgroup =, gives it one; or set limits = best-effort in "
            r"\[server\]\)")
        self.assertRegex(server.log(), r"tenants\.ini:4: error: cpu of sandbox 'ci'")
        run(["systemctl", "reset-failed", self.unit], check=False)

    def test_not_delegated_and_nothing_asked_for(self):
        server = self.start_unit(self.new_server())
        server.wait_ready()
        self.assertIn("commands run without cgroups of their own: posternd's cgroup is not "
                      "delegated to it", server.log())
        self.assertRan(server.ssh("acme", "exit 3", timeout=60), 3)
        own = f"{SLICE}/{self.unit}"
        self.assertEqual([e.name for e in os.scandir(own) if e.is_dir()], [])

    def test_best_effort(self):
        server = self.start_unit(self.new_server(policy=POLICY, server="limits = best-effort\n"))
        server.wait_ready()
        self.assertIn("warning: cpu of sandbox 'ci' is not kept", server.log())
        self.assertRan(server.ssh("acme", "ulimit -d; ulimit -u", timeout=60), 0, b"65536\n30\n")

    def test_detached(self):
        """The parent that waits for the start is in the same cgroup as the daemon."""
        server = self.new_server(policy=POLICY)
        self.start_unit(server, "Delegate=yes", "Type=forking", foreground=False)
        own = f"{SLICE}/{self.unit}"
        wait_until(lambda: unit_property(self.unit, "ActiveState") == "active", 20, "the start")
        with open(f"{own}/cgroup.procs", encoding="ascii") as f:
            self.assertEqual(f.read(), "")
        with open(f"{own}/daemon/cgroup.procs", encoding="ascii") as f:
            self.assertGreaterEqual(len(f.read().split()), 3)
        with open(f"{own}/cgroup.subtree_control", encoding="ascii") as f:
            self.assertLessEqual({"memory", "pids", "cpu"}, set(f.read().split()))
        self.assertEqual(self.stopped(server), 0)

    def test_by_hand(self):
        """In a cgroup with others nothing is touched."""
        server = self.new_server().start()
        self.assertIn("commands run without cgroups of their own: ", server.log())
        self.assertRan(server.ssh("acme", "exit 3", timeout=60), 3)
        got = run([POSTERND, "-t", "-f", server.config])
        self.assertEqual(got.code, 0, got)


if __name__ == "__main__":
    if not os.path.isdir("/run/systemd/system"):
        print("skipped: systemd does not run here")
        sys.exit(77)
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
