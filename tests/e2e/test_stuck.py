"""A process of the server's own that does not answer any more: it is replaced, what it was asked for
is answered, and what it had already started goes on."""
import os
import signal
import socket
import time

from harness import EXEC_ID, PATIENCE, PosternTest, main, processes, run, wait_until

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""


def is_stopped(pid):
    return processes().get(pid, (0, "gone", ""))[1] == "T"


class Stuck(PosternTest):
    autostart = False

    def setUp(self):
        # A sandbox that was built ahead would need no spawner.
        self.server = self.new_server(policy=POLICY, server="ready-sandboxes = 0\n").start()
        self.server.expect_deaths = True

    def spawners(self):
        """Children of posternd that aren't zygotes."""
        return sorted(pid for pid, (ppid, state, comm) in processes().items()
                      if ppid == self.server.process.pid and comm == "postern-spawner"
                      and state != "Z")

    def stop_process(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.kill, pid)
        wait_until(lambda: is_stopped(pid), 10, "the process to stop")

    @staticmethod
    def kill(pid):
        if is_stopped(pid):
            os.kill(pid, signal.SIGKILL)

    def running(self):
        client = self.server.popen_ssh("acme", "echo up; cat; exit 5")
        self.assertEqual(client.stdout.readline(), b"up\n")
        return client

    def test_spawner(self):
        running = self.running()
        old, = self.spawners()
        self.stop_process(old)
        waiting = [self.server.popen_ssh("acme", "echo on") for _ in range(3)]
        for client in waiting:
            out, err = client.communicate(timeout=60 * PATIENCE)
            self.assertEqual((client.returncode, out), (125, b""), err)
            self.assertRegex(err.decode(), r"\Apostern: sandbox: the sandbox could not be built; "
                                           rf"the server's log says why {EXEC_ID}\n\Z")
        self.server.wait_log("spawner of generation 1 is gone: it does not answer; starting another")
        self.server.wait_log(r"error +\S+: the spawner did not answer")
        # What it has started is not lost with it.
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        self.assertTrue(is_stopped(old))
        out, _ = running.communicate(b"still", timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"still"))
        wait_until(lambda: len(self.spawners()) == 1 and old not in self.spawners(), 10,
                   "the stopped spawner to be killed")
        self.assertEqual(len(self.server.audit(event="end", verdict="sandbox")), 3)
        self.server.stop()

    def test_spawner_that_comes_back(self):
        """What it was asked for has been answered: it must not run after all."""
        running = self.running()
        old, = self.spawners()
        self.stop_process(old)
        self.assertEqual(self.server.ssh("acme", "sleep 300", timeout=60).code, 125)
        os.kill(old, signal.SIGCONT)
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        wait_until(lambda: len(self.server.worker_pids()) == 1, 10, "the late sandbox to go")
        out, _ = running.communicate(b"still", timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"still"))
        wait_until(lambda: old not in self.spawners(), 10, "the old spawner to go")
        self.server.stop()

    def test_zygote(self):
        running = self.running()
        old = self.server.zygote_pid()
        self.stop_process(old)
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.settimeout(60 * PATIENCE)
            self.assertEqual(client.recv(1), b"")
        self.server.wait_log(r"info +connection \S+ from 127\.0\.0\.1 port \d+ ended: "
                             "no session process could be forked")
        self.server.wait_log("no new zygote: postern-session: it does not answer; trying again")
        wait_until(lambda: processes().get(old, (0, "Z"))[1] == "Z", 10,
                   "the stopped zygote to be killed")
        wait_until(lambda: self.server.ssh("acme", "echo on").out == b"on\n", 20, "another zygote")
        out, _ = running.communicate(b"still", timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"still"))
        self.server.stop()

    def rekeying(self):
        """A client that exchanges keys anew every few kilobytes, and has done so."""
        client = self.server.popen_ssh("acme", "cat", flags=["-o", "RekeyLimit=16K"])
        self.assert_echoes(client)
        return client

    def assert_echoes(self, client, size=200000):
        client.stdin.write(b"x" * size + b"\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), b"x" * size + b"\n")

    def wait_quiet(self):
        """No exchange of keys is under way any more: each is told of in the log, and nothing is sent
        that could begin another one."""
        def quiet():
            before = len(self.server.log())
            time.sleep(0.5 * PATIENCE)
            return len(self.server.log()) == before
        wait_until(quiet, 30, "the end of the exchanges")

    def wait_new_signer(self, old):
        wait_until(lambda: old not in self.server.signer_pids() and self.server.signer_pids(), 30,
                   "another signer")
        wait_until(lambda: self.server.ssh("acme", "echo on").out == b"on\n", 20, "a login")

    def test_signer(self):
        """Who waits for it is sent away; who doesn't isn't, and finds another one later."""
        client, running = self.rekeying(), self.running()
        self.wait_quiet()
        old, = self.server.signer_pids()
        self.stop_process(old)
        self.assertEqual(self.server.ssh("acme", "true", timeout=60 * PATIENCE).code, 255)
        self.server.wait_log(r"info +connection \S+ from 127\.0\.0\.1 port \d+ ended: the signer is gone")
        self.server.wait_log("no new zygote: postern-signer: it does not answer; trying again")
        self.wait_new_signer(old)
        self.assert_echoes(client)
        out, _ = running.communicate(b"still", timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"still"))
        self.server.stop()

    def test_signer_that_dies(self):
        client = self.rekeying()
        self.wait_quiet()
        old, = self.server.signer_pids()
        os.kill(old, signal.SIGKILL)
        self.wait_new_signer(old)
        self.assert_echoes(client)
        self.server.stop()

    def test_signer_with_other_keys(self):
        """It can't stand in for one that had those that the client knows."""
        client = self.rekeying()
        self.wait_quiet()
        old, = self.server.signer_pids()
        path = self.server.host_keys[0]
        for name in (path, path + ".pub"):
            os.unlink(name)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
        self.server.write_ssh_config()
        os.kill(old, signal.SIGKILL)
        self.wait_new_signer(old)
        try:
            client.communicate(b"x" * 200000, timeout=30 * PATIENCE)
        except BrokenPipeError:
            pass  # it was over before all of it was written
        self.assertEqual(client.wait(30 * PATIENCE), 255)
        self.server.wait_log("ended: the signer is gone")
        self.server.stop()

    def test_stopping_does_not_wait_for_them(self):
        """No connection and no command has noticed yet."""
        for pid in self.spawners() + self.server.signer_pids() + [self.server.zygote_pid()]:
            self.stop_process(pid)
        self.server.stop()

    def test_stopping_gives_up_on_a_command(self):
        """It can't be ended in time; nobody is said to have closed the connection."""
        for pid in self.spawners():
            self.stop_process(pid)
        client = self.server.popen_ssh("acme", "echo on")
        self.server.wait_audit(event="start")
        self.server.process.terminate()
        client.communicate(timeout=30 * PATIENCE)
        self.server.process.wait(30 * PATIENCE)
        self.server.ended()
        closed, = self.server.audit(event="closed")
        self.assertEqual(closed["reason"], "the server is shutting down")
        end, = self.server.audit(event="end")
        self.assertEqual((end["verdict"], end["cause"]), ("ended", "server shutdown"))


if __name__ == "__main__":
    main()
