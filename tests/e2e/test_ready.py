"""Sandboxes that are built ahead: the next command of a tenant finds one, as fresh as any other, and
whatever becomes of one that waits, commands run all the same."""
import os
import signal
import unittest

import test_cgroup
from harness import PATIENCE, PosternTest, main, processes, wait_until

POLICY = """
[sandbox "plain"]
network = none
[sandbox "hidden"]
network = none
hide    = /usr/share/doc
[sandbox "shared"]
network        = none
workspace      = connection
workspace-size = 8M
[sandbox "own"]
network        = none
workspace      = exec
workspace-size = 8M
[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
pty       = yes
max-execs = 20
[tenant "hidden"]
keys    = keys/alice
sandbox = hidden
shell   = /bin/bash
[tenant "shared"]
keys    = keys/alice
sandbox = shared
shell   = /bin/bash
[tenant "own"]
keys    = keys/alice
sandbox = own
shell   = /bin/bash
[tenant "few"]
keys        = keys/alice
sandbox     = plain
shell       = /bin/bash
tasks-total = 99
[tenant "many"]
keys       = keys/alice
sandbox    = plain
shell      = /bin/bash
accept-env = POSTERN_MEMORY
"""
NAMESPACES = "readlink /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/ipc; ls -A /tmp /dev/shm"


class Ready(PosternTest):
    autostart = False

    def start(self, server=""):
        self.server = self.new_server(policy=POLICY, server=server).start()
        return self.server

    def wait_ready(self, n=1):
        wait_until(lambda: len(self.server.ready_pids()) == n, 20, f"{n} that are ready")
        return self.server.ready_pids()

    def assert_serves(self, user="acme", **how):
        self.assertRan(self.server.ssh(user, "cat; echo $0 $HOME; exit 0", stdin=b"in ", **how),
                       out=b"in /bin/bash " + (b"/tmp\n" if user == "acme" else b"/workspace\n"))

    def test_the_next_command_finds_it(self):
        server = self.start()
        mux, _ = server.mux()
        before = set()
        for i in range(5):
            taken = self.wait_ready() if i > 0 else []
            client = server.popen_ssh("acme", f"read x; {NAMESPACES}; touch /tmp/left /dev/shm/left; "
                                      f"echo $x >&2; exit {i}", flags=["-S", mux])
            wait_until(server.worker_pids, 20, "its worker")
            if taken:
                self.assertEqual(server.worker_pids(), taken)
            out, err = client.communicate(b"word\n", timeout=30 * PATIENCE)
            self.assertEqual((client.returncode, err), (i, b"word\n"))
            wait_until(lambda: not server.worker_pids(), 20, "its end")
            names = out.split()
            self.assertEqual(names[3:], [b"/dev/shm:", b"/tmp:"])
            # Both were there at once; what has ended may lend its numbers to others.
            self.assertEqual(set(names[:3]) & before, set())
            before = set(names[:3])
        self.wait_ready()
        server.stop()

    def test_how_many(self):
        """One of each kind, as many as the policy says."""
        server = self.start("ready-sandboxes = 2\n")
        for user in ("acme", "own", "acme"):
            self.assert_serves(user)
        self.assertEqual(len(self.wait_ready(2)), 2)
        clients = [server.popen_ssh("acme", "read x; exit 3") for _ in range(5)]
        wait_until(lambda: len(server.worker_pids()) == 5, 30, "five that run")
        for client in clients:
            client.communicate(b"x\n", timeout=30 * PATIENCE)
            self.assertEqual(client.returncode, 3)
        self.assertLessEqual(len(server.ready_pids()), 2)

    def test_many_kinds(self):
        """A client may ask for as many as it likes: half of what there is stays with others."""
        server = self.start("ready-sandboxes = 3\nlimits = best-effort\n")
        for i in range(4):
            got = server.ssh("many", "true", options=[f"SetEnv=POSTERN_MEMORY={100 + i}M"])
            self.assertEqual(got.code, 0, got)
            self.wait_ready(min(i + 1, 2))
        self.assert_serves()
        self.wait_ready(3)

    def test_who_comes_seldom(self):
        """What nobody came for in time is not built again before commands come more often."""
        server = self.start()
        self.assert_serves()
        self.wait_ready()
        wait_until(lambda: not server.ready_pids(), 30, "the end of its time")
        client = server.popen_ssh("acme", "read x; exit 3")
        wait_until(server.worker_pids, 20, "its command")
        client.communicate(b"x\n", timeout=30 * PATIENCE)
        self.assertEqual(client.returncode, 3)
        self.assertEqual(server.ready_pids(), [])
        self.assert_serves()
        self.wait_ready()
        self.assert_serves()
        self.wait_ready()

    def test_a_small_total(self):
        """In the tenant's cgroup each that waits is one task that its commands can't have."""
        server = self.start()
        self.assertRan(server.ssh("few", "true"))
        self.assertEqual(server.ready_pids(), [])

    def test_none(self):
        server = self.start("ready-sandboxes = 0\n")
        self.assert_serves()
        self.assertEqual(server.ready_pids(), [])

    def test_what_is_never_built_ahead(self):
        server = self.start()
        self.assertRan(server.ssh("hidden", "true"))
        self.assertRan(server.ssh("shared", "true"))
        self.assertEqual(server.ssh("acme", "exit 4", flags=["-tt"]).code, 4)
        self.assertEqual(server.ready_pids(), [])

    def test_one_that_dies(self):
        """Nobody notices: another one is built."""
        server = self.start()
        self.assert_serves()
        for _ in range(3):
            pid, = self.wait_ready()
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in server.ready_pids(), 20, "its end")
            self.assert_serves()

    def test_a_spawner_that_dies(self):
        server = self.start()
        server.expect_deaths = True
        self.assert_serves()
        self.wait_ready()
        spawner, = server.spawner_pids()
        os.kill(spawner, signal.SIGKILL)
        wait_until(lambda: not server.ready_pids(), 20, "their end")
        wait_until(lambda: server.spawner_pids() not in ([], [spawner]), 20, "another spawner")
        self.assert_serves()
        self.wait_ready()

    def test_a_spawner_that_stops(self):
        """What waits needs it no more; and whoever asks for more than that waits for another one."""
        server = self.start()
        server.expect_deaths = True
        self.assert_serves()
        self.wait_ready()
        spawner, = server.spawner_pids()
        self.stop_process(spawner)
        client = server.popen_ssh("acme", "read x; exit 7")
        wait_until(server.worker_pids, 20, "its command")
        server.wait_log("spawner of generation 1 is gone: it does not answer", 30)
        self.assert_serves()
        client.communicate(b"x\n", timeout=30 * PATIENCE)
        self.assertEqual(client.returncode, 7)
        wait_until(lambda: spawner not in server.spawner_pids(), 20, "its end")
        self.wait_ready()
        server.stop()

    def stop_process(self, pid):
        """Until the test is over, or it is killed."""
        def go_on():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(go_on)

    def test_one_that_is_stopped(self):
        server = self.start()
        self.assert_serves()
        pid, = self.wait_ready()
        self.stop_process(pid)
        self.assertIn("generation 2", server.reload())
        wait_until(lambda: not server.ready_pids(), 20, "its end")
        self.assert_serves()
        server.stop()

    def dropped_before_it_is_built(self, server):
        """A reload while the spawner has been asked for one and has not answered."""
        first = server.popen_ssh("acme", "read x; exit 8")
        self.wait_ready()
        spawner, = server.spawner_pids()
        self.stop_process(spawner)
        second = server.popen_ssh("acme", "read x; exit 9")
        wait_until(lambda: len(server.worker_pids()) == 2, 20, "both commands")
        self.assertIn("generation 2", server.reload())
        os.kill(spawner, signal.SIGCONT)
        for client, code in ((first, 8), (second, 9)):
            client.communicate(b"x\n", timeout=30 * PATIENCE)
            self.assertEqual(client.returncode, code)
        wait_until(lambda: spawner not in server.spawner_pids(), 20, "the end of the old spawner")
        server.wait_log("generation 1 is gone", 20)
        self.assertEqual(server.ready_pids(), [])
        self.assert_serves()
        server.stop()
        self.assertNotRegex(server.log(), r"(?m)^\S+ +error ")

    def test_dropped_before_it_is_built(self):
        self.dropped_before_it_is_built(self.start())

    @unittest.skipUnless(test_cgroup.WRITABLE, "no cgroup v2 that could be written here")
    def test_dropped_before_it_is_built_with_cgroups(self):
        self.dropped_before_it_is_built(self.start(f"cgroup = {self.own_cgroup()}\n"))

    def own_cgroup(self):
        own = f"{test_cgroup.MOUNT}/postern-ready-{os.getpid()}"
        self.addCleanup(lambda: [os.rmdir(path) for path in (f"{own}/daemon", own)
                                 if os.path.exists(path)])
        return own

    def test_handover(self):
        """The next program knows of none that waits."""
        server = self.start()
        client = server.popen_ssh("acme", "read x; exit 6")
        old = self.wait_ready()
        os.kill(server.process.pid, signal.SIGUSR2)
        server.wait_log("re-executed: posternd", 30)
        # What begins before that is of a policy for whose commands none is built any more.
        server.wait_log("reloaded: generation 2", 30)
        wait_until(lambda: not server.ready_pids(), 20, "their end")
        client.communicate(b"x\n", timeout=30 * PATIENCE)
        self.assertEqual(client.returncode, 6)
        client = server.popen_ssh("acme", "read x; exit 5")
        self.assertNotEqual(self.wait_ready(), old)
        client.communicate(b"x\n", timeout=30 * PATIENCE)
        self.assertEqual(client.returncode, 5)
        server.stop()

    def test_a_server_that_dies(self):
        server = self.start()
        self.assert_serves()
        pid, = self.wait_ready()
        spawner, = server.spawner_pids()
        server.expect_deaths = True
        server.process.kill()
        server.process.wait()
        server.process = None
        server.log_file.close()
        for gone in (pid, spawner):
            wait_until(lambda: processes().get(gone, (0, "Z"))[1] == "Z", 20, "nothing to be left")
        server.assert_nothing_left()

    def test_the_longest_command(self):
        """With all that a client may send along."""
        server = self.start()
        self.assert_serves()
        self.wait_ready()
        command = "set -- " + "x " * 32755 + "; echo $#; exit 3"
        for _ in range(2):
            self.assertRan(server.ssh("acme", command), 3, b"32755\n")

    def test_reload(self):
        """What waits is of the policy that was."""
        server = self.start()
        self.assert_serves("own")
        old = self.wait_ready()
        server.write_policy(POLICY.replace("workspace-size = 8M", "workspace-size = 9M"))
        self.assertIn("generation 2", server.reload())
        wait_until(lambda: not server.ready_pids(), 20, "their end")
        server.wait_log("generation 1 is gone", 20)
        self.assertRan(server.ssh("own", "df -k --output=size /workspace | tail -1"),
                       out=b"     9216\n")
        self.assertNotEqual(self.wait_ready(), old)

    def test_it_counts_for_no_limit(self):
        """It waits as root."""
        server = self.start()
        self.assert_serves()
        pid, = self.wait_ready()
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            self.assertIn("Uid:\t0\t0\t0\t0\n", f.read())
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            self.assertNotIn(b"bash", f.read())

    @unittest.skipUnless(test_cgroup.WRITABLE, "no cgroup v2 that could be written here")
    def test_cgroup(self):
        own = self.own_cgroup()
        server = self.start(f"cgroup = {own}\n")
        self.addCleanup(server.stop)
        self.assert_serves()
        pid, = self.wait_ready()
        wait_until(lambda: len(test_cgroup.below(f"{own}/tenant-acme")) == 1, 20, "one cgroup")
        name, = test_cgroup.below(f"{own}/tenant-acme")
        self.assertRegex(name, r"^[a-z0-9]+-ready-\d+$")
        with open(f"{own}/tenant-acme/{name}/cgroup.procs", encoding="ascii") as f:
            self.assertEqual(f.read(), f"{pid}\n")
        client = server.popen_ssh("acme", "read x; cat /proc/self/cgroup")
        wait_until(lambda: server.worker_pids() == [pid], 20, "its command")
        out, _ = client.communicate(b"x\n", timeout=20 * PATIENCE)
        self.assertIn(b"0::/\n", out)
        wait_until(lambda: name not in test_cgroup.below(f"{own}/tenant-acme"), 20, "its end")
        server.stop()
        self.assertEqual(test_cgroup.below(own), ["daemon"])


if __name__ == "__main__":
    main()
