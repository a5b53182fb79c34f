"""Cgroups: where execs run, what limits them, what is counted, and what is said where the host can't.

What needs controllers of cgroup v2 is skipped where they are missing; tests/vm runs it on a Debian
that has them.
"""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from harness import (EXEC_ID, PATIENCE, POSTERN, POSTERND, PosternTest, main, run, status_of,
                     wait_until)

MIB = 1 << 20


def mount_of_v2():
    """Where cgroup v2 is mounted, or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            fields, _, rest = line.partition(" - ")
            if rest.startswith("cgroup2 ") and fields.split()[3] == "/":
                return fields.split()[4]
    return None


def controllers(path):
    with open(f"{path}/cgroup.controllers", encoding="ascii") as f:
        return set(f.read().split())


# Here it is the commands that are looked at; test_ready.py has the rest.
NONE_AHEAD = "ready-sandboxes = 0\n"
MOUNT = mount_of_v2()
WRITABLE = MOUNT is not None and os.access(MOUNT, os.W_OK) and hasattr(os, "pidfd_open")
NEEDED = {"memory", "pids", "cpu", "io"}
COMPLETE = WRITABLE and NEEDED <= controllers(MOUNT)
WHY = f"no cgroup v2 with {', '.join(sorted(NEEDED))} here"


def read(*parts):
    with open(os.path.join(*parts), encoding="ascii") as f:
        return f.read()


def below(path):
    """The names of the cgroups right below one."""
    try:
        return sorted(e.name for e in os.scandir(path) if e.is_dir())
    except FileNotFoundError:
        return []


def cgroup_of(pid):
    """Its path in version 2, as seen from here."""
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


class CgroupTest(PosternTest):
    """A server in a cgroup of its own, right below the mount point."""

    autostart = False
    policy = ""

    @classmethod
    def setUpClass(cls):
        cls.own = f"{MOUNT}/postern-e2e-{os.getpid()}"
        # Registered first, so it runs last.
        cls.addClassCleanup(cls.remove_cgroup)
        super().setUpClass()
        cls.server = cls.new_server(policy=cls.policy, server=f"cgroup = {cls.own}\n{NONE_AHEAD}").start()

    @classmethod
    def remove_cgroup(cls):
        def gone():
            for path in (f"{cls.own}/daemon", cls.own):
                try:
                    os.rmdir(path)
                except FileNotFoundError:
                    pass
                except OSError:
                    return False
            return True
        wait_until(gone, 10, f"an empty {cls.own}: it has {below(cls.own)}")

    def leaf(self, tenant="acme"):
        """The path of the only leaf of a tenant."""
        names = wait_until(lambda: below(f"{self.own}/tenant-{tenant}"), 10, "a leaf")
        self.assertEqual(len(names), 1)
        return f"{self.own}/tenant-{tenant}/{names[0]}"

    def assertOnlyDaemon(self):
        wait_until(lambda: below(self.own) == ["daemon"], 10, f"the end of {below(self.own)}")

    def verdict(self, got, verdict, code, reason):
        _, end = self.server.last_exec()
        self.assertEqual((end["verdict"], end["exit"], got.code), (verdict, code, code), got)
        self.assertRegex(got.err.decode().splitlines()[-1],
                         rf"\Apostern: {verdict}: {reason} {EXEC_ID}\Z")
        return end


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Places(CgroupTest):
    policy = """
[sandbox "plain"]
network = none
time    = 1h
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "memory.max"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[sandbox "shared"]
extends   = plain
workspace = connection
[tenant "shares"]
keys    = keys/alice
sandbox = shared
shell   = /bin/bash
"""

    def tearDown(self):
        self.assertOnlyDaemon()

    def test_daemon_is_in_its_leaf(self):
        own = cgroup_of(self.server.process.pid)
        self.assertTrue(own.endswith(f"postern-e2e-{os.getpid()}/daemon"), own)
        inside = read(self.own, "daemon/cgroup.procs").split()
        self.assertIn(str(self.server.process.pid), inside)
        self.assertIn(str(self.server.zygote_pid()), inside)
        self.assertEqual(read(self.own, "cgroup.procs"), "")

    def test_exec_is_in_its_leaf(self):
        client = self.server.popen_ssh("acme", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        leaf = self.leaf()
        # The shell may only just be starting the other command.
        pids = wait_until(lambda: (lambda found: found == set(self.server.exec_pids()) and found)(
            {int(pid) for pid in read(leaf, "cgroup.procs").split()}), 10, "all in the leaf")
        self.assertGreaterEqual(len(pids), 2)
        start = self.server.audit(event="start")[-1]
        self.assertEqual(os.path.basename(leaf), start["exec"])
        client.communicate(b"", timeout=30)

    def test_sandbox_is_the_root_of_what_it_sees(self):
        got = self.server.ssh("acme", "grep ^0:: /proc/self/cgroup; ls /sys/fs/cgroup; true")
        self.assertRan(got, 0, b"0::/\n", None)

    def test_two_execs_of_a_tenant(self):
        clients = [self.server.popen_ssh("acme", "echo up; cat") for _ in range(2)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        self.assertEqual(len(below(f"{self.own}/tenant-acme")), 2)
        clients[0].communicate(b"", timeout=30)
        wait_until(lambda: len(below(f"{self.own}/tenant-acme")) == 1, 10, "one leaf less")
        clients[1].communicate(b"", timeout=30)

    def test_a_tenant_named_like_a_file_of_the_kernels(self):
        client = self.server.popen_ssh("memory.max", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.assertEqual(below(self.own), ["daemon", "tenant-memory.max"])
        client.communicate(b"", timeout=30)

    def test_a_shared_workspace_keeps_its_tenants_node(self):
        """Else what is in it would not count for memory-total between two execs."""
        mux, client = self.server.mux("shares")
        for _ in range(3):
            self.assertRan(self.server.ssh("shares", "echo x > f", flags=["-S", mux]), 0, b"")
        wait_until(lambda: len(below(f"{self.own}/tenant-shares")) == 1, 10, "the leaves' end")
        node = os.stat(f"{self.own}/tenant-shares").st_ino
        name, = below(f"{self.own}/tenant-shares")
        self.assertRegex(name, r"\A\w+-\d+\.1-workspace\Z")
        self.assertRan(self.server.ssh("shares", "cat f", flags=["-S", mux]), 0, b"x\n")
        self.assertEqual(os.stat(f"{self.own}/tenant-shares").st_ino, node)
        client.kill()
        client.wait()

    def test_what_is_left_running_goes_with_the_leaf(self):
        got = self.server.ssh("acme", "for i in 1 2 3; do (setsid sleep 1000 & ) ; done; echo $?",
                              timeout=30)
        self.assertEqual(got.out, b"0\n", got)
        wait_until(lambda: not self.server.exec_pids(), 10, "the end of all")

    def test_a_stopped_sandbox_goes_too(self):
        client = self.server.popen_ssh("acme", "echo up; kill -STOP $$; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        client.kill()
        client.communicate(timeout=30)
        self.assertOnlyDaemon()

    def test_times_are_counted_for_what_was_killed(self):
        got = self.server.ssh(
            "acme", "(setsid bash -c 'while :; do :; done' &); sleep 1; exit 3", timeout=60)
        self.assertEqual(got.code, 3, got)
        _, end = self.server.last_exec()
        self.assertGreaterEqual(end["user_ms"] + end["system_ms"], 100)
        for name in ("memory_peak", "tasks_peak", "throttled_ms", "read_bytes", "written_bytes"):
            self.assertIn(name, end)

    def test_many_in_a_row_leave_nothing(self):
        for i in range(8):
            self.assertRan(self.server.ssh("acme", f"exit {i}"), i)

    def test_a_killed_worker_leaves_nothing(self):
        client = self.server.popen_ssh("acme", "echo up; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        for pid in self.server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        client.communicate(timeout=30)
        self.assertEqual(client.returncode, 125)

    def test_a_second_server_is_refused(self):
        second = self.new_server(policy=self.policy, server=f"cgroup = {self.own}\n{NONE_AHEAD}")
        second.start_only()
        code = second.process.wait(30 * PATIENCE)
        self.assertEqual(code, 78, second.log())
        self.assertIn("another posternd uses it", second.log())
        second.log_file.close()
        second.process = None


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Crash(CgroupTest):
    """What a run that was killed has left is removed by the next one."""

    policy = Places.policy

    def test_leaves_of_a_crashed_run_are_removed(self):
        client = self.server.popen_ssh("acme", "echo up; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        leaf = self.leaf()
        process = self.server.process
        process.kill()
        process.wait()
        client.kill()
        client.communicate(timeout=30)
        os.makedirs(f"{self.own}/tenant-acme/left-1.1", exist_ok=True)
        sleeper = subprocess.Popen(["sleep", "1000"])
        try:
            with open(f"{self.own}/tenant-acme/left-1.1/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(sleeper.pid))
            self.server.process = None
            second = self.new_server(policy=self.policy, server=f"cgroup = {self.own}\n{NONE_AHEAD}").start()
            self.assertEqual(sleeper.wait(30), -signal.SIGKILL)
            self.assertEqual(below(self.own), ["daemon"])
            self.assertFalse(os.path.exists(leaf))
            self.assertRan(second.ssh("acme", "exit 4"), 4)
        finally:
            sleeper.kill()
            sleeper.wait()


class CantKeep(PosternTest):
    """A host that can't keep a limit: refused with the place of the setting, or best effort."""

    autostart = False
    POLICY = """[sandbox "ci"]
memory = 64M
memory-high = 32M
cpu    = 50%
tasks  = 20
[tenant "acme"]
keys    = keys/alice
sandbox = ci
shell   = /bin/bash
memory-total = 1G
tasks-total = 12
"""
    # No controllers anywhere: what is named is not in cgroup v2.
    WHY = "/tmp is not in a cgroup v2 file system"

    def config(self, **how):
        extra = "cgroup = /tmp\n" + how.pop("server", "")
        return self.new_server(policy=self.POLICY, server=extra, **how)

    def assertRefused(self, text, grade="error"):
        places = re.findall(rf"tenants\.ini:(\d+): {grade}: (\S+) of (\S+ '\S+')", text)
        self.assertEqual(sorted(places),
                         [("10", "memory-total", "tenant 'acme'"), ("2", "memory", "sandbox 'ci'"),
                          ("3", "memory-high", "sandbox 'ci'"), ("4", "cpu", "sandbox 'ci'")],
                         text)
        self.assertIn(self.WHY, text)

    def test_check_refuses(self):
        server = self.config()
        got = run([POSTERN, "check", server.dir], check=False)
        self.assertEqual(got.code, 78, got)
        self.assertRefused(got.err.decode())
        self.assertIn("or set limits = best-effort", got.err.decode())

    def test_posternd_t_refuses(self):
        server = self.config()
        got = run([POSTERND, "-t", "-f", server.config], check=False)
        self.assertEqual(got.code, 78, got)
        self.assertRefused(got.err.decode())

    def test_start_refuses(self):
        server = self.config()
        server.start_only()
        self.assertEqual(server.process.wait(30 * PATIENCE), 78, server.log())
        server.process = None
        server.log_file.close()
        self.assertIn(f"cgroup = /tmp: {self.WHY}", server.log())

    def test_check_tells_how_far_best_effort_goes(self):
        server = self.config(server="limits = best-effort\n")
        got = run([POSTERN, "check", server.dir], check=False)
        self.assertEqual(got.code, 0, got)
        self.assertRefused(got.err.decode(), "warning")
        self.assertIn("memory of sandbox 'ci' is kept for the private memory of each process alone",
                      got.err.decode())
        self.assertIn("cpu of sandbox 'ci' is not kept", got.err.decode())

    def test_best_effort(self):
        server = self.config(server="limits = best-effort\n").start()
        self.assertRefused(server.log(), "warning")
        fill = "perl -e 'vec($x, ({} << 20) - 1, 8) = 1; print length $x'"
        self.assertRan(server.ssh("acme", fill.format(16)), 0, b"16777216")
        got = server.ssh("acme", fill.format(100))
        self.assertEqual((got.code != 0, got.out), (True, b""), got)
        self.assertRan(server.ssh("acme", "ulimit -d; ulimit -u"), 0, b"65536\n12\n")
        _, end = server.last_exec()
        self.assertEqual((end["memory_peak"], end["tasks_peak"], end["throttled_ms"],
                          end["oom_kills"]), (None,) * 4)
        self.assertIsNotNone(end["user_ms"])
        # rusage has them.
        self.assertIsNotNone(end["read_bytes"])
        self.assertIsNotNone(end["written_bytes"])

    def test_a_reload_that_asks_for_too_much_is_refused(self):
        server = self.config(server="limits = best-effort\n").start()
        server.extra = "cgroup = /tmp\nlimits = required\n"
        server.write_config()
        before = len(server.log())
        self.assertIn("reload refused", server.reload())
        self.assertRefused(server.log()[before:])
        self.assertRan(server.ssh("acme", "exit 5"), 5)


@unittest.skipUnless(COMPLETE, WHY)
class Limits(CgroupTest):
    policy = """
[sandbox "ci"]
network     = none
memory      = 64M
memory-high = infinity
tmp         = 256M
tasks       = 20
cpu         = 20%
cpu-weight  = 50
[sandbox "wide"]
network     = none
tasks       = 500
memory      = 200M
memory-high = 190M
swap        = 16M
io-weight   = 50
[tenant "acme"]
keys    = keys/alice
sandbox = ci
shell   = /bin/bash
[tenant "self"]
keys       = keys/alice
sandbox    = ci
shell      = /bin/bash
accept-env = POSTERN_MEMORY POSTERN_RECEIPT
[tenant "crowd"]
keys         = keys/alice
sandbox      = wide
shell        = /bin/bash
memory-total = 96M
tasks-total  = 24
cpu-total    = 150%
[sandbox "shared"]
extends     = wide
workspace   = connection
memory-high = infinity
tmp         = 256M
[tenant "shares"]
keys         = keys/alice
sandbox      = shared
shell        = /bin/bash
memory-total = 96M
"""

    def tearDown(self):
        self.assertOnlyDaemon()

    FILL = "perl -e '$| = 1; vec($x, ({} << 20) - 1, 8) = 1; print \"full\\n\"; sleep {}'"

    def test_files(self):
        client = self.server.popen_ssh("acme", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        leaf = self.leaf()
        self.assertEqual({name: read(leaf, name).strip() for name in
                          ("memory.max", "memory.high", "memory.swap.max", "memory.oom.group",
                           "pids.max", "cpu.max", "cpu.weight")},
                         {"memory.max": str(64 * MIB), "memory.high": "max", "memory.swap.max": "0",
                          "memory.oom.group": "1", "pids.max": "21", "cpu.max": "20000 100000",
                          "cpu.weight": "50"})
        client.communicate(b"", timeout=60)
        client = self.server.popen_ssh("crowd", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        node = f"{self.own}/tenant-crowd"
        self.assertEqual([read(node, name).strip() for name in ("memory.max", "pids.max", "cpu.max")],
                         [str(96 * MIB), "24", "150000 100000"])
        leaf = self.leaf("crowd")
        self.assertEqual([read(leaf, name).strip() for name in
                          ("memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max",
                           "cpu.weight", "io.weight")],
                         [str(200 * MIB), str(190 * MIB), str(16 * MIB), "501", "max 100000",
                          "100", "default 50"])
        client.communicate(b"", timeout=60)

    def test_memory(self):
        got = self.server.ssh("acme", self.FILL.format(200, 0), timeout=120)
        end = self.verdict(got, "memory", 137, "the command used more than memory = 64M")
        self.assertGreater(end["memory_peak"], 32 * MIB)
        self.assertLessEqual(end["memory_peak"], 64 * MIB)
        self.assertIsNotNone(end["user_ms"])
        self.assertNotRegex(self.server.log(), "without a report")

    def test_memory_bomb(self):
        """Many processes, a full /tmp and others' forks meanwhile; another tenant works on."""
        client = self.server.popen_ssh(
            "acme", "echo up; cat /dev/zero > /tmp/x & for i in 1 2 3 4 5 6; do "
                    "perl -e '$x .= \"y\" x 65536 while 1' & done; wait; echo survived")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.assertRan(self.server.ssh("crowd", self.FILL.format(30, 0), timeout=120), 0, b"full\n")
        out, err = client.communicate(timeout=240)
        self.assertEqual((client.returncode, out), (137, b""), err)
        self.assertLine(err, "postern: memory: the command used more than memory = 64M " + EXEC_ID)
        end = self.server.wait_audit(event="end", tenant="acme", verdict="memory")[-1]
        self.assertGreaterEqual(end["oom_kills"], 1)
        self.assertLessEqual(end["memory_peak"], 64 * MIB)
        wait_until(lambda: not self.server.exec_pids(), 10, "the end of all")

    def test_memory_of_a_child_ends_all(self):
        got = self.server.ssh("acme", self.FILL.format(200, 0) + " & wait; echo survived",
                              timeout=120)
        self.verdict(got, "memory", 137, "the command used more than memory = 64M")
        self.assertNotIn(b"survived", got.out)

    def test_tmp_counts_as_memory(self):
        got = self.server.ssh("acme", "head -c 200000000 /dev/zero >/tmp/x; echo survived",
                              timeout=120)
        self.verdict(got, "memory", 137, "the command used more than memory = 64M")

    def test_less_is_no_trouble(self):
        self.assertRan(self.server.ssh("acme", self.FILL.format(16, 0), timeout=120), 0, b"full\n")

    def test_memory_total(self):
        first = self.server.popen_ssh("crowd", self.FILL.format(60, 1000))
        self.assertEqual(first.stdout.readline(), b"full\n")
        got = self.server.ssh("crowd", self.FILL.format(80, 0), timeout=120)
        # Either of the two may be the victim.
        if got.code == 137:
            line, first_code = got.err, None
        else:
            out, line = first.communicate(timeout=60)
            first_code = first.returncode
        self.assertIn(first_code, (None, 137))
        self.assertLine(line, "postern: memory: the tenant's commands together used more than "
                              f"memory-total = 96M {EXEC_ID}")
        first.kill()
        first.communicate(timeout=60)

    def test_a_shared_workspace_counts_for_the_total(self):
        mux, client = self.server.mux("shares")
        got = self.server.ssh("shares", "head -c 60M /dev/zero > f", timeout=120, flags=["-S", mux])
        self.assertRan(got)
        got = self.server.ssh("shares", "head -c 60M /dev/zero > /tmp/f; echo survived", timeout=120,
                              flags=["-S", mux])
        self.verdict(got, "memory", 137, "the tenant's commands together used more than "
                                         "memory-total = 96M")
        client.kill()
        client.wait()

    def test_fork_bomb(self):
        begun = time.monotonic()
        got = self.server.ssh("acme", "for i in {1..60}; do sleep 300 & done 2>/dev/null; "
                                      "jobs -p | wc -l; kill $(jobs -p)", timeout=240)
        self.assertLess(time.monotonic() - begun, 200 * PATIENCE)
        self.assertLine(got.err,
                        rf"postern: note: it could not start more than 20 tasks \(tasks = 20\) "
                        rf"{EXEC_ID}")
        _, end = self.server.last_exec()
        if end["tasks_peak"] is not None:
            self.assertEqual(end["tasks_peak"], 20)

    def test_tasks_are_of_each_exec(self):
        clients = [self.server.popen_ssh("acme", "for i in {1..14}; do sleep 300 & done; echo up; "
                                                 "read x; kill $(jobs -p)") for _ in range(2)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        for client in clients:
            _, err = client.communicate(b"\n", timeout=120)
            self.assertNotIn(b"Resource temporarily", err)

    def test_tasks_total(self):
        first = self.server.popen_ssh("crowd", "for i in {1..16}; do sleep 300 & done; echo up; "
                                               "read x; kill $(jobs -p)")
        self.assertEqual(first.stdout.readline(), b"up\n")
        got = self.server.ssh("crowd", "for i in {1..16}; do sleep 300 & done 2>/dev/null; "
                                       "kill $(jobs -p)", timeout=240)
        self.assertRegex(got.err.decode(), "postern: note: it could not start more than .*"
                                           r"tasks-total = 24")
        first.communicate(b"\n", timeout=120)

    def test_cpu_is_throttled(self):
        got = self.server.ssh("acme", "timeout 3 bash -c 'while :; do :; done'; true", timeout=120)
        self.assertEqual(got.code, 0, got)
        _, end = self.server.last_exec()
        self.assertGreater(end["throttled_ms"], 500)
        self.assertLess(end["user_ms"] + end["system_ms"], end["wall_ms"] * 0.6)

    def test_reload_changes_the_totals_of_what_runs(self):
        client = self.server.popen_ssh("crowd", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        node = f"{self.own}/tenant-crowd"
        self.server.write_policy(self.policy.replace("memory-total = 96M", "memory-total = 150M")
                                 .replace("tasks-total  = 24\n", ""))
        self.assertIn("reloaded", self.server.reload())
        self.assertEqual([read(node, name).strip() for name in ("memory.max", "pids.max")],
                         [str(150 * MIB), "max"])
        client.communicate(b"", timeout=60)
        self.server.write_policy(self.policy)
        self.assertIn("reloaded", self.server.reload())

    def test_a_reload_that_takes_memory_away(self):
        """What is over the new total ends; nobody else waits for that."""
        client = self.server.popen_ssh("crowd", self.FILL.format(80, 1000))
        self.assertEqual(client.stdout.readline(), b"full\n")
        node = f"{self.own}/tenant-crowd"
        self.server.write_policy(self.policy.replace("memory-total = 96M", "memory-total = 40M"))
        self.assertIn("reloaded", self.server.reload())
        self.assertRan(self.server.ssh("acme", "echo on", timeout=60), 0, b"on\n")
        _, err = client.communicate(timeout=120)
        self.assertEqual(client.returncode, 137)
        self.assertLine(err, "postern: memory: the tenant's commands together used more than "
                             f"memory-total = 40M {EXEC_ID}")
        self.assertRan(self.server.ssh("crowd", "echo on", timeout=60), 0, b"on\n")
        self.server.write_policy(self.policy)
        self.assertIn("reloaded", self.server.reload())
        self.assertFalse(os.path.exists(node) and read(node, "memory.max") != f"{96 * MIB}\n")

    def test_the_limit_of_tasks_is_told_when_it_is_reached(self):
        client = self.server.popen_ssh("acme", "for i in {1..40}; do sleep 300 & done 2>/dev/null; "
                                               "read x; kill $(jobs -p)")
        line = client.stderr.readline()
        self.assertRegex(line.decode(), r"\Apostern: note: it could not start more than 20 tasks "
                                        rf"\(tasks = 20\) {EXEC_ID}\n\Z")
        _, err = client.communicate(b"\n", timeout=240)
        self.assertNotIn(b"could not start", err)

    def test_the_clients_own_limit_of_memory(self):
        wish = ["SetEnv=POSTERN_MEMORY=32M POSTERN_RECEIPT=1"]
        got = self.server.ssh("self", self.FILL.format(48, 0), timeout=120, options=wish)
        self.assertEqual(got.code, 137, got)
        lines = got.err.decode().splitlines()
        self.assertRegex(lines[-2], r"\Apostern: memory: the command used more than the client's "
                                    rf"own limit of 32M \(POSTERN_MEMORY\) {EXEC_ID}\Z")
        receipt = json.loads(lines[-1].removeprefix("postern: receipt: "))
        self.assertEqual((receipt["verdict"], receipt["limit_memory"], receipt["limits_by_client"]),
                         ("memory", 32 * MIB, "memory"))
        self.assertGreaterEqual(receipt["oom_kills"], 1)
        self.assertLessEqual(receipt["memory_peak"], 32 * MIB)
        for name in ("user_ms", "system_ms", "throttled_ms", "read_bytes", "written_bytes"):
            self.assertIsNotNone(receipt[name], name)
        got = self.server.ssh("self", "awk '/^MemTotal/ {print $2}' /proc/meminfo; "
                                      "grep -c ^processor /proc/cpuinfo", timeout=120, options=wish)
        self.assertEqual(got.out, b"32768\n1\n")
        # More than the policy's is the policy's.
        wish = ["SetEnv=POSTERN_MEMORY=1G"]
        got = self.server.ssh("self", self.FILL.format(200, 0), timeout=120, options=wish)
        self.verdict(got, "memory", 137, "the command used more than memory = 64M")

    def test_accounting(self):
        got = self.server.ssh("acme", self.FILL.format(24, 0) + "; sleep 0 & sleep 0 & wait",
                              timeout=120)
        self.assertEqual(got.code, 0, got)
        _, end = self.server.last_exec()
        self.assertGreater(end["memory_peak"], 24 * MIB)
        self.assertLess(end["memory_peak"], 65 * MIB)
        self.assertGreater(end["user_ms"] + end["system_ms"], 0)
        self.assertIsNotNone(end["throttled_ms"])
        self.assertIsNotNone(end["read_bytes"])
        self.assertIsNotNone(end["written_bytes"])


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
