"""Whatever dies, and however: no process, mount or directory is left, and the rest goes on."""
import os
import signal
import socket
import time

from harness import (PATIENCE, PosternTest, descendants, main, mounts, processes, wait_until,
                     watched_entries)

POLICY = """
[sandbox "plain"]
network = none
tasks = 1000
[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 50
"""
# Ignores what can be ignored, and leaves children that have left its session.
STUBBORN = ("trap '' HUP TERM INT; (setsid sleep 300 & setsid sh -c \"trap '' HUP TERM; sleep 300\" &);"
            " echo up; while :; do sleep 300; done")


class CleanupTest(PosternTest):
    server_args = {"policy": POLICY, "server": "source-exempt = 127.0.0.1\n"}

    def setUp(self):
        self.entries, self.mounts = watched_entries(), mounts()

    def stubborn(self, address="127.0.0.1"):
        client = self.server.popen_ssh("acme", STUBBORN, options=[f"BindAddress={address}"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        wait_until(lambda: len(self.server.exec_pids()) >= 3, 10, "all processes")
        return client

    def assert_gone(self, sessions=0):
        wait_until(lambda: not self.server.exec_pids() and not self.server.worker_pids(), 20,
                   "the end of the sandbox")
        wait_until(lambda: len(self.server.session_pids()) == sessions, 20, "the sessions' end")
        wait_until(lambda: mounts() <= self.mounts and watched_entries() <= self.entries, 5,
                   "mounts and directories to go")
        wait_until(lambda: not self.zombies(), 5, "the dead to be reaped")

    def zombies(self):
        table = processes()
        ours = {self.server.process.pid, *descendants(self.server.process.pid, table)}
        return [pid for pid, (ppid, state, _) in table.items() if state == "Z" and ppid in ours]

    def assert_serves(self, address="127.0.0.1"):
        self.assertRan(self.server.ssh("acme", "echo on", options=[f"BindAddress={address}"]),
                       0, b"on\n")


class Execs(CleanupTest):
    def test_exec_that_ends_leaves_nothing(self):
        self.assertRan(self.server.ssh(
            "acme", "(setsid sleep 300 & setsid nohup sleep 300 >/dev/null 2>&1 &); mkdir /tmp/a;"
                    "exit 3"), 3)
        self.assert_gone()

    def test_client_vanishes(self):
        client = self.stubborn()
        client.kill()
        client.wait()
        self.assert_gone()
        _, end = self.server.last_exec()
        self.assertNotEqual(end["verdict"], "exited")
        self.assert_serves()

    def test_client_hangs_up_politely(self):
        client = self.stubborn()
        client.terminate()
        client.wait()
        self.assert_gone()
        self.assert_serves()

    def test_many_vanish_at_once(self):
        clients = [self.stubborn() for _ in range(5)]
        for client in clients:
            client.kill()
        for client in clients:
            client.wait()
        self.assert_gone()
        self.assert_serves()

    def test_worker_is_killed(self):
        client = self.stubborn()
        worker, = self.server.worker_pids()
        os.kill(worker, signal.SIGKILL)
        _, err = client.communicate(timeout=20 * PATIENCE)
        self.assertEqual(client.returncode, 125)
        self.assertRegex(err.decode(), r"\Apostern: sandbox: .+ \[\S+\]\n\Z")
        self.assert_gone()
        _, end = self.server.last_exec()
        self.assertEqual((end["verdict"], end["exit"]), ("sandbox", 125))
        self.assert_serves()

    def test_client_stops_and_its_output_is_not_read(self):
        client = self.server.popen_ssh("acme", "yes")
        wait_until(self.server.exec_pids, 10)
        client.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        self.assert_serves()
        client.kill()
        client.wait()
        self.assert_gone()


class Deaths(CleanupTest):
    """Processes of ours that are killed; the source of such a connection is penalised for a while."""

    def setUp(self):
        super().setUp()
        self.server.expect_deaths = True

    def test_session_is_killed(self):
        client = self.stubborn("127.0.0.2")
        session = self.server.only_session()
        os.kill(session, signal.SIGKILL)
        client.communicate(timeout=20 * PATIENCE)
        self.assertEqual(client.returncode, 255)
        self.assert_gone()
        self.assert_serves("127.0.0.2")

    def test_session_crashes(self):
        client = self.stubborn("127.0.0.6")
        session = self.server.only_session()
        before = self.server.zygote_pid()
        begun = len(self.server.log())
        os.kill(session, signal.SIGSEGV)
        client.communicate(timeout=20 * PATIENCE)
        self.assertEqual(client.returncode, 255)
        self.server.wait_log(r"error +session of connection \S+ from 127\.0\.0\.6 port \d+ died: "
                             r"killed \(signal 11\)", start=begun)
        self.server.wait_log(r"warning +127\.0\.0\.6 is not served for 10 s", start=begun)
        got = self.server.ssh("acme", "echo on", options=["BindAddress=127.0.0.6"])
        self.assertEqual((got.code, got.out), (255, b""))
        self.assert_gone()
        # Nobody gets a second guess at a layout: sessions now come from a fresh zygote.
        self.server.wait_new_zygote(before)
        self.assert_serves("127.0.0.3")

    def spare(self):
        return wait_until(lambda: (lambda p: p[0] if len(p) == 1 else None)(
            self.server.spare_pids()), 10, "a session that is forked beforehand")

    def test_a_spare_session_becomes_the_next_one(self):
        spare = self.spare()
        client = self.server.popen_ssh("acme", "echo up; cat", options=["BindAddress=127.0.0.7"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.assertIn(spare, self.server.session_pids())
        self.assertNotEqual(self.spare(), spare)
        client.communicate(timeout=20 * PATIENCE)
        self.assert_gone()

    def test_a_spare_session_is_killed(self):
        for signo in (signal.SIGKILL, signal.SIGSEGV):
            zygote, spare, begun = self.server.zygote_pid(), self.spare(), len(self.server.log())
            os.kill(spare, signo)
            wait_until(lambda: spare not in self.server.spare_pids(), 10, "its end")
            # It had no peer who could have had a hand in it.
            self.assert_serves("127.0.0.8")
            self.assertEqual(self.server.zygote_pid(), zygote)
            self.assertNotIn(" died", self.server.log()[begun:])
            self.assertNotEqual(self.spare(), spare)
        self.assert_gone()

    def test_a_stopped_spare_session_holds_nobody_up(self):
        stopped, begun = self.spare(), len(self.server.log())
        os.kill(stopped, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", self.server.port)):
            wait_until(lambda: len(self.server.spare_pids()) == 2, 10, "the next one")
            self.assert_serves("127.0.0.9")
            os.kill(stopped, signal.SIGCONT)
            wait_until(lambda: stopped in self.server.session_pids(), 10, "the session")
        self.assert_gone()
        self.assertNotIn(" died", self.server.log()[begun:])

    def test_a_spare_session_ends_with_its_zygote(self):
        spare, zygote = self.spare(), self.server.zygote_pid()
        os.kill(zygote, signal.SIGKILL)
        wait_until(lambda: spare not in descendants(os.getpid()), 10, "its end")
        wait_until(lambda: self.server.sessions_and_zygotes()[1] not in ([], [zygote]), 10,
                   "a new zygote")
        self.assert_serves("127.0.0.10")

    def test_zygote_is_killed(self):
        client = self.server.popen_ssh("acme", "echo up; cat", options=["BindAddress=127.0.0.4"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        before = self.server.zygote_pid()
        os.kill(before, signal.SIGKILL)
        self.server.wait_new_zygote(before)
        self.assert_serves("127.0.0.5")
        client.kill()
        client.wait()

    def test_spawner_is_killed(self):
        spawner = self.spawner_pid()
        os.kill(spawner, signal.SIGKILL)
        wait_until(lambda: self.spawner_pid() not in (None, spawner), 15, "a new spawner")
        wait_until(lambda: self.server.ssh("acme", "echo on").out == b"on\n", 15, "service")
        self.assert_gone()

    def spawner_pid(self):
        ours = [pid for pid, (ppid, _, comm) in processes().items()
                if ppid == self.server.process.pid and comm == "postern-spawner"]
        return ours[0] if len(ours) == 1 else None


class Shutdown(PosternTest):
    autostart = False

    def test_sigterm_ends_running_execs(self):
        server = self.new_server(policy=POLICY).start()
        clients = [server.popen_ssh("acme", STUBBORN) for _ in range(3)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            _, err = client.communicate(timeout=30 * PATIENCE)
            self.assertEqual(client.returncode, 143)
            self.assertRegex(err.decode(), r"\Apostern: ended: the server is shutting down \[\S+\]\n\Z")
        self.assertEqual(server.process.wait(20 * PATIENCE), 0)
        server.ended()
        self.assertEqual({r["verdict"] for r in server.audit(event="end")}, {"ended"})

    def test_sigterm_with_clients_that_do_nothing(self):
        server = self.new_server(policy=POLICY).start()
        _, master = server.mux()
        wait_until(lambda: len(server.session_pids()) == 1, 10)
        begun = time.monotonic()
        server.stop()
        self.assertLess(time.monotonic() - begun, 15 * PATIENCE)
        self.assertIsNotNone(master.poll())

    def test_master_is_killed(self):
        server = self.new_server(policy=POLICY).start()
        client = server.popen_ssh("acme", STUBBORN)
        self.assertEqual(client.stdout.readline(), b"up\n")
        server.process.kill()
        server.process.wait()
        server.process = None
        server.log_file.close()
        client.communicate(timeout=20 * PATIENCE)
        server.assert_nothing_left()


if __name__ == "__main__":
    main()
