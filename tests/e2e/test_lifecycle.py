"""posternd itself: options, checks, listening, reloading and ending."""
import os
import re
import signal
import socket
import subprocess
import time

from harness import (LIVE, PATIENCE, POSTERN, POSTERND, SANITIZED, PosternTest, clean_env,
                     descendants, main, processes, run, wait_until)

GOOD = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""
SECOND = """
[tenant "other"]
extends = acme
user    = other
"""


class Lifecycle(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=GOOD)
        self.addCleanup(self.server.remove)

    def posternd(self, *args, timeout=20):
        return run([POSTERND, *args], timeout=timeout, check=False)

    def refused(self, code, pattern, *args):
        """Ends with this sysexits code and one line on stderr."""
        got = self.posternd(*(args or ("-d", "-f", self.server.config)))
        self.assertEqual((got.code, got.out), (code, b""), got)
        self.assertLine(got.err, rf".*{pattern}.*")
        return got


class Options(Lifecycle):
    def test_bad_options(self):
        for args in (["-x"], ["-f"], ["extra"], ["-l", "loud"], ["--no-such-option"], ["-dt", "-l"]):
            with self.subTest(args):
                got = self.posternd(*args)
                self.assertEqual((got.code, got.out), (64, b""), got)
                self.assertRegex(got.err.decode(), r"\A(posternd: .+\n|usage: .+\n){1,2}\Z")

    def test_check_says_nothing_bad_of_a_good_policy(self):
        got = self.posternd("-t", "-f", self.server.config)
        self.assertEqual(got.code, 0, got)
        self.assertFalse(os.path.exists(self.server.path("audit.log")))

    def test_log_level(self):
        self.server.log_level = "error"
        self.server.write_config()
        self.server.start(["-d", "-l", "info"])
        self.assertIn(" info ", self.server.log())
        self.server.stop()

    def test_version(self):
        got = run([POSTERN, "version"])
        self.assertRegex(got.out.decode(), r"\A(postern )?\d+\.\d+\.\d+")

    def test_needs_root(self):
        os.chmod(self.server.dir, 0o755)
        got = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", POSTERND, "-d", "-f",
                   self.server.config], check=False)
        if got.code == 126 or b"Permission denied" in got.err and b"setpriv" in got.err:
            self.skipTest("the build directory is closed to other users")
        self.assertEqual((got.code, got.out), (77, b""), got)
        self.assertLine(got.err, r".*root.*")


class BadSetups(Lifecycle):
    def test_policy_errors_are_all_told(self):
        self.server.write_policy("""[tenant "acme"]
keys    = keys/alice
sandbox = no-such
sell    = /bin/bash

[sandbox "plain"]
network = maybe
""")
        file = re.escape(self.server.path("policy.d/tenants.ini"))
        for args in (["-d"], ["-t"]):
            got = self.refused(78, rf"{file}:3: error: .*no-such.*", *args, "-f", self.server.config)
            self.assertLine(got.err, rf".*{file}:4: error: .*'sell'.*\(did you mean 'shell'\?\)")
            self.assertLine(got.err, rf".*{file}:7: error: .*maybe.*")
        got = run([POSTERN, "check", "-f", self.server.config], check=False)
        self.assertNotEqual(got.code, 0)
        for line in (3, 4, 7):
            self.assertLine(got.out + got.err, rf"{file}:{line}: error: .*")

    def test_missing_configuration(self):
        self.refused(78, "no-such-file", "-d", "-f", self.server.path("no-such-file"))

    def test_open_configuration(self):
        for name in ("postern.ini", "policy.d/tenants.ini", "policy.d/keys/alice"):
            with self.subTest(name):
                path = self.server.path(name)
                os.chmod(path, 0o666)
                self.refused(78, re.escape(path))
                os.chmod(path, 0o644)
        os.chown(self.server.path("policy.d/tenants.ini"), 65534, 0)
        self.refused(78, "tenants.ini")

    def test_missing_host_key(self):
        os.unlink(self.server.host_keys[0])
        for args in (["-d"], ["-t"]):
            self.refused(66, re.escape(self.server.host_keys[0]), *args, "-f", self.server.config)

    def test_open_host_key(self):
        for mode in (0o644, 0o640, 0o602):
            os.chmod(self.server.host_keys[0], mode)
            for args in (["-d"], ["-t"]):
                self.refused(77, re.escape(self.server.host_keys[0]), *args, "-f",
                             self.server.config)

    def test_host_key_of_someone_else(self):
        os.chown(self.server.host_keys[0], 65534, 0)
        self.refused(77, re.escape(self.server.host_keys[0]))

    def test_unusable_host_key(self):
        self.server.write("host_ed25519", "not a key\n", 0o600)
        got = self.posternd("-d", "-f", self.server.config)
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.err, rf".*{re.escape(self.server.host_keys[0])}.*")

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.server.listen = [f"127.0.0.1:{port}"]
            self.server.write_config()
            self.refused(69, rf"127\.0\.0\.1.*{port}.*[Aa]ddress already in use")

    def test_no_such_user(self):
        self.server.extra = "user = no-such-user\n"
        self.server.write_config()
        got = self.posternd("-d", "-f", self.server.config)
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.err, r".*no-such-user.*")

    def test_no_such_session_program(self):
        self.server.extra = "session-path = /no/such/postern-session\n"
        self.server.write_config()
        got = self.posternd("-d", "-f", self.server.config)
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.err, r".*/no/such/postern-session.*")

    def test_a_sandbox_that_cannot_be_built(self):
        self.server.write_policy(GOOD.replace("network = none", "read = /no/such/dir:/data"))
        got = self.posternd("-d", "-f", self.server.config)
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.err, r".*/no/such/dir.*")


class Listening(Lifecycle):
    def test_several_addresses(self):
        self.server.listen = ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"]
        self.server.write_config()
        self.server.start()
        log = self.server.log()
        self.assertRegex(log, r"listening on 127\.0\.0\.1:\d+\n")
        self.assertRegex(log, r"listening on \[::1\]:\d+\n")
        self.assertRegex(log, r"listening on 127\.0\.0\.2:\d+\n")
        self.assertRegex(log, r"ready: generation 1, 1 tenants?\n")
        for host, port in zip(("127.0.0.1", "::1", "127.0.0.2"), self.server.ports):
            got = self.server.ssh("acme", "echo $SSH_CONNECTION",
                                  options=[f"HostName={host}", f"Port={port}"])
            self.assertEqual((got.code, got.out.decode().split()[2:]), (0, [host, str(port)]), got)
        self.assertEqual(self.server.audit(event="start")[1]["client"], "::1")
        self.server.stop()

    def test_detached(self):
        """Without -d the parent returns once connections are served; SIGTERM ends the service."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.server.listen = [f"127.0.0.1:{port}"]
        self.server.write_config()
        before = set(children())
        starter = subprocess.Popen([POSTERND, "-f", self.server.config], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=clean_env(self.server.dir))
        code = starter.wait(30 * PATIENCE)
        daemon, = [pid for pid in children() if pid not in before and pid != starter.pid]
        LIVE.add(daemon)
        try:
            self.serves_detached(daemon, port)
            self.assertEqual(code, 0)
            if not SANITIZED:  # whose sessions keep standard error for their reports
                said = b"" if os.path.exists("/dev/log") else (
                    b"posternd: warning: there is no syslog at /dev/log, so the log is lost; "
                    b"-d logs to standard error\n")
                self.assertEqual(starter.communicate(timeout=5 * PATIENCE), (b"", said))
        finally:
            starter.stdout.close()
            starter.stderr.close()
            LIVE.discard(daemon)
            os.kill(daemon, signal.SIGTERM)
            status = wait_until(lambda: (lambda r: r if r[0] else None)(
                os.waitpid(daemon, os.WNOHANG)), 20, "its end")
        self.assertEqual(os.waitstatus_to_exitcode(status[1]), 0)
        wait_until(lambda: not [pid for pid in children() if pid not in before], 5)

    def serves_detached(self, daemon, port):
        self.server.port = port
        self.server.write_ssh_config()
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        self.assertNotEqual(os.getsid(daemon), os.getsid(0))
        self.assertEqual(os.readlink(f"/proc/{daemon}/cwd"), "/")
        # Nobody holds on to the terminal that it was started from.
        for pid in (daemon,) if SANITIZED else (daemon, *descendants(daemon)):
            try:
                held = {os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)}
            except FileNotFoundError:
                self.assertNotEqual(pid, daemon)  # a session that has ended meanwhile
                continue
            self.assertEqual(held, {"/dev/null"}, pid)

    def test_detached_start_that_fails_says_so(self):
        os.unlink(self.server.host_keys[0])
        self.refused(66, re.escape(self.server.host_keys[0]), "-f", self.server.config)

    def test_idle_connections_end_by_themselves(self):
        self.server.extra = f"login-grace = {2 * PATIENCE}s\n"
        self.server.write_config()
        self.server.start()
        for greeting in (b"", b"SSH-2.0-x\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 5000):
            with socket.create_connection(("127.0.0.1", self.server.port)) as sock:
                begun = time.monotonic()
                sock.settimeout(15 * PATIENCE)
                try:
                    if greeting:
                        sock.sendall(greeting)
                    while sock.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
                self.assertLess(time.monotonic() - begun, 10 * PATIENCE)
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        wait_until(lambda: not self.server.session_pids(), 10, "the sessions' end")
        self.server.stop()

    def test_half_open_connections_are_bounded(self):
        self.server.extra = "max-startups = 5\nlogin-grace = 3s\n"
        self.server.write_config()
        self.server.start()
        idle = [socket.create_connection(("127.0.0.1", self.server.port)) for _ in range(30)]
        time.sleep(0.5)
        self.assertLessEqual(len(self.server.session_pids()), 5)
        wait_until(lambda: self.server.ssh("acme", "echo on").out == b"on\n", 30, "service again")
        for sock in idle:
            sock.close()
        self.server.stop()

    def test_attempts_are_bounded(self):
        self.server.extra = "max-auth-tries = 2\n"
        self.server.write_config()
        for name in ("k1", "k2", "k3"):
            self.server.user_key(name)
        self.server.start()
        files = [flag for name in ("k1", "k2", "k3", "alice")
                 for flag in ("-i", self.server.path(f"user_{name}"))]
        got = self.server.ssh("acme", "echo in", key=None, flags=files)
        self.assertEqual((got.code, got.out), (255, b""), got)
        self.assertRan(self.server.ssh("acme", "echo in"), 0, b"in\n")
        self.server.stop()


class Reloading(Lifecycle):
    def test_good_bad_good(self):
        server = self.server.start()
        self.assertEqual(server.ssh("other", "true").code, 255)
        server.write_policy(GOOD + SECOND)
        self.assertRegex(server.reload(), r"\Areloaded: generation 2, 2 tenants\Z")
        self.assertRan(server.ssh("other", "echo new"), 0, b"new\n")

        server.write_policy(GOOD + SECOND + "nonsense\n")
        before = len(server.log())
        self.assertRegex(server.reload(), r"\Areload refused: .+; generation 2 stays\Z")
        self.assertRegex(server.log()[before:], r"tenants\.ini:\d+: error: ")
        self.assertRan(server.ssh("other", "echo still"), 0, b"still\n")

        server.write_policy(GOOD)
        self.assertRegex(server.reload(), r"\Areloaded: generation \d+, 1 tenants?\Z")
        self.assertEqual(server.ssh("other", "true").code, 255)
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        server.stop()

    def test_a_sandbox_that_cannot_be_built_refuses_the_reload(self):
        server = self.server.start()
        server.write_policy(GOOD.replace("network = none", "read = /no/such/dir:/data"))
        self.assertRegex(server.reload(), r"\Areload refused: .*/no/such/dir.*; generation 1 stays\Z")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        server.stop()

    def test_running_execs_live_on(self):
        server = self.server.start()
        client = server.popen_ssh("acme", "echo up; cat; exit 5")
        self.assertEqual(client.stdout.readline(), b"up\n")
        server.write_policy(GOOD + SECOND)
        server.reload()
        out, _ = client.communicate(b"after", timeout=20 * PATIENCE)
        self.assertEqual((client.returncode, out), (5, b"after"))
        server.stop()

    def test_a_connection_is_judged_by_the_newest_policy(self):
        server = self.server.start()
        mux, _ = server.mux()
        self.assertRan(server.ssh("acme", "echo on", flags=["-S", mux]), 0, b"on\n")
        server.write_policy(GOOD.replace("shell   = /bin/bash", "command = echo {word}"))
        server.reload()
        self.assertEqual(server.ssh("acme", "id", flags=["-S", mux]).code, 126)
        server.stop()

    def test_many_reloads_leave_no_spawners(self):
        server = self.server.start()
        wait_until(lambda: len(descendants(server.process.pid)) <= 4, 10)
        count = len(descendants(server.process.pid))
        for _ in range(10):
            self.assertRegex(server.reload(), r"\Areloaded: ")
        wait_until(lambda: len(descendants(server.process.pid)) <= count, 10, "old spawners to go")
        fds = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        for _ in range(10):
            server.reload()
        wait_until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= fds, 10,
                   "descriptors to be closed")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        server.stop()

    def test_two_hangups_at_once(self):
        server = self.server.start()
        for _ in range(5):
            server.process.send_signal(signal.SIGHUP)
        server.wait_log(r"reloaded: generation \d+")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        server.stop()


def children():
    return [pid for pid, (ppid, state, comm) in processes().items()
            if ppid == os.getpid() and comm.startswith("postern")]


if __name__ == "__main__":
    main()
