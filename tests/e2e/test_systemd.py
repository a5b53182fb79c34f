"""What posternd says to systemd, and the sockets that it takes from it; both played by the test."""
import os
import re
import select
import signal
import socket
import unittest

from harness import PATIENCE, PosternTest, main, wait_until

EX_CONFIG = 78


class Systemd:
    """The end of NOTIFY_SOCKET that systemd has."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.heard = []

    def listen(self, pattern, timeout=20):
        """Reads until a whole message matches; returns the match. All are kept in `heard`."""
        while True:
            ready, _, _ = select.select([self.socket], [], [], timeout * PATIENCE)
            if not ready:
                raise AssertionError(f"not heard: {pattern!r} in {self.heard}")
            self.heard.append(self.socket.recv(4096).decode("ascii"))
            found = re.fullmatch(pattern, self.heard[-1])
            if found:
                return found

    def drain(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.heard.append(self.socket.recv(4096).decode("ascii"))


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as f:
        return f.read().decode("ascii").split("\0")


class Notify(PosternTest):
    autostart = False

    def start(self, address=None, **env):
        server = self.new_server()
        address = address or server.path("notify")
        systemd = Systemd(address)
        self.addCleanup(systemd.socket.close)
        server.env = {"NOTIFY_SOCKET": address, **env}
        server.start()
        return server, systemd

    def test_from_start_to_end(self):
        server, systemd = self.start()
        systemd.listen("READY=1")
        systemd.listen("STATUS=0 connections, 0 commands; policy 1: 1 tenant")
        self.assertEqual(len(systemd.heard), 2, systemd.heard)
        client = server.popen_ssh("acme", "read x")
        systemd.listen("STATUS=1 connection, 1 command; policy 1: 1 tenant")
        client.communicate(b"\n", timeout=20 * PATIENCE)
        systemd.listen("STATUS=0 connections, 0 commands; policy 1: 1 tenant")
        server.process.terminate()
        systemd.listen("STOPPING=1")
        systemd.listen("STATUS=stopping: 0 connections, 0 commands")
        self.assertNotIn("WATCHDOG=1", systemd.heard)
        self.assertEqual(systemd.heard.count("READY=1"), 1)
        server.process.wait(20 * PATIENCE)
        server.ended()

    def test_reloads(self):
        server, systemd = self.start()
        systemd.listen("STATUS=.*")
        server.process.send_signal(signal.SIGHUP)
        systemd.listen(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        systemd.listen("READY=1")
        systemd.listen("STATUS=0 connections, 0 commands; policy 2: 1 tenant")
        server.write_policy("[tenant", "broken.ini")
        server.process.send_signal(signal.SIGHUP)
        systemd.listen(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        systemd.listen("READY=1")
        systemd.listen("STATUS=0 connections, 0 commands; policy 2: 1 tenant; the last reload was "
                       "refused, see the log")
        os.unlink(server.path("policy.d/broken.ini"))
        server.process.send_signal(signal.SIGHUP)
        systemd.listen("READY=1")
        systemd.listen("STATUS=0 connections, 0 commands; policy 3: 1 tenant")

    def test_a_master_that_executes_itself_anew(self):
        """It is the same process to systemd, and goes on telling."""
        server, systemd = self.start(WATCHDOG_USEC="2000000")
        systemd.listen("STATUS=.*")
        before = len(systemd.heard)
        server.process.send_signal(signal.SIGUSR2)
        systemd.listen(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        self.assertIn("READY=1", systemd.heard[before:])
        systemd.listen("READY=1")
        systemd.listen("STATUS=0 connections, 0 commands; policy 2: 1 tenant")
        systemd.listen("WATCHDOG=1")
        self.assertIn("re-executed: ", server.log())

    def test_watchdog(self):
        """At an abstract address. A master that is stopped gives no sign of life."""
        server, systemd = self.start(f"@postern-e2e-{os.getpid()}", WATCHDOG_USEC="200000")
        for _ in range(3):
            systemd.listen("WATCHDOG=1")
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.state(server) == "T", 10, "the stop")
        systemd.drain()
        self.assertEqual(select.select([systemd.socket], [], [], 0.5)[0], [])
        server.process.send_signal(signal.SIGCONT)
        systemd.listen("WATCHDOG=1")

    @staticmethod
    def state(server):
        with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def test_who_has_the_variables(self):
        """The master keeps them for itself; nobody that it starts gets them."""
        server, systemd = self.start(WATCHDOG_USEC="30000000")
        systemd.listen("READY=1")
        self.assertIn("WATCHDOG_USEC=30000000", environment(server.process.pid))
        client = server.popen_ssh("acme", "env; echo end; read x")
        got = b""
        while not got.endswith(b"end\n"):
            line = client.stdout.readline()
            self.assertNotEqual(line, b"", got)
            got += line
        sessions, zygotes = server.sessions_and_zygotes()
        for pid in sessions + zygotes + server.signer_pids():
            self.assertNotRegex("\n".join(environment(pid)), "NOTIFY|WATCHDOG")
        got += client.communicate(b"\n", timeout=20 * PATIENCE)[0]
        self.assertNotRegex(got, b"NOTIFY|WATCHDOG")

    def test_nobody_listens(self):
        """Neither a socket that is gone nor a wrong name keeps it from serving."""
        for address in ("/nonexistent/notify", "nonsense"):
            server = self.new_server()
            server.env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
            server.start()
            self.assertRan(server.ssh("acme", "exit 3"), 3)
            self.assertEqual("NOTIFY_SOCKET is no path of a socket: nonsense" in server.log(),
                             address == "nonsense")


class Activation(PosternTest):
    autostart = False

    def listener(self, family=socket.AF_INET, host="127.0.0.1", **options):
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, options.get("v6only", 1))
        sock.bind((host, 0))
        sock.listen()
        return sock

    def server_with(self, sockets, listen, pid="$$"):
        server = self.new_server(listen=listen)
        server.pass_fds = [sock.fileno() for sock in sockets]
        moves = "".join(f"exec {i + 3}<&{fd}\n" for i, fd in enumerate(range(100, 100 + len(sockets))))
        away = "".join(f"exec {100 + i}<&{sock.fileno()} {sock.fileno()}<&-\n"
                       for i, sock in enumerate(sockets))
        close = "".join(f"exec {100 + i}<&-\n" for i in range(len(sockets)))
        script = f"{away}{moves}{close}export LISTEN_PID={pid}\nexec \"$@\""
        server.launcher = ["bash", "-c", script, "bash"]
        server.env = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": "postern.socket"}
        return server

    def refused(self, sockets, listen=()):
        server = self.server_with(sockets, listen).start_only()
        self.assertEqual(server.process.wait(20 * PATIENCE), EX_CONFIG, server.log())
        server.process = None
        return server.log()

    def test_instead_of_the_defaults(self):
        four, six = self.listener(), self.listener(socket.AF_INET6, "::1")
        server = self.server_with([four, six], ()).start()
        self.assertEqual(server.ports, [four.getsockname()[1], six.getsockname()[1]])
        self.assertIn(f"listening on [::1]:{six.getsockname()[1]}\n", server.log())
        self.assertRan(server.ssh("acme", "exit 3"), 3)
        self.assertRan(server.ssh("acme", "exit 4", options=[
            "HostName=::1", f"Port={six.getsockname()[1]}"]), 4)
        self.assertNotIn("LISTEN_FDS=2", environment(server.zygote_pid()))
        self.assertEqual(server.reload(), "reloaded: generation 2, 1 tenants")
        self.assertNotIn("the listen addresses have changed", server.log())
        before = len(server.log())
        server.process.send_signal(signal.SIGUSR2)
        server.wait_log(r"re-executed: (?s:.*)reloaded: generation 3, 1 tenants", 20, before)
        self.assertRan(server.ssh("acme", "exit 5"), 5)
        self.assertNotIn("the listen addresses have changed", server.log())
        server.listen = ["127.0.0.1:0"]
        server.write_config()
        server.reload()
        self.assertIn("the listen addresses have changed", server.log())

    def test_for_an_address_of_the_configuration(self):
        """The others are opened as ever."""
        four = self.listener()
        port = four.getsockname()[1]
        server = self.server_with([four], [f"127.0.0.1:{port}", "127.0.0.2:0"]).start()
        self.assertEqual(server.ports[0], port)
        self.assertEqual(len(server.ports), 2)
        self.assertRan(server.ssh("acme", "exit 3"), 3)
        self.assertRan(server.ssh("acme", "exit 4", options=[
            "HostName=127.0.0.2", f"Port={server.ports[1]}"]), 4)
        self.assertEqual(server.reload(), "reloaded: generation 2, 1 tenants")
        self.assertNotIn("the listen addresses have changed", server.log())

    def test_for_somebody_else(self):
        """What is passed to another process is none of ours."""
        four = self.listener()
        server = self.server_with([four], ["127.0.0.1:0"], pid="1").start()
        self.assertNotEqual(server.port, four.getsockname()[1])
        self.assertRan(server.ssh("acme", "exit 3"), 3)

    def test_what_is_refused(self):
        four = self.listener()
        port = four.getsockname()[1]
        self.assertIn(f"systemd passes a socket for 127.0.0.1 port {port}, which no 'listen =' in "
                      "[server] names", self.refused([four], ["127.0.0.1:0"]))
        both = self.listener(socket.AF_INET6, "::", v6only=0)
        self.assertIn("socket 2 of systemd's: it takes IPv4 on an IPv6 address: the unit needs "
                      "BindIPv6Only=ipv6-only", self.refused([four, both]))
        client = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(client.close)
        self.assertIn("socket 1 of systemd's: it does not listen: the unit needs Accept=no",
                      self.refused([client]))
        unix = socket.socket(socket.AF_UNIX)
        self.addCleanup(unix.close)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        for sock in (unix, datagrams):
            self.assertIn("socket 1 of systemd's: it is not of TCP", self.refused([sock]))


class Journal(PosternTest):
    """Where standard error is the journal's, it gets levels and no time stamps."""
    autostart = False

    def test_levels(self):
        server = self.new_server()
        with open(server.path("log"), "ab") as f:
            stat = os.fstat(f.fileno())
        server.env = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        server.start()
        server.write_policy("[tenant", "broken.ini")
        server.reload()
        self.assertRegex(server.log(), r"(?m)^<6>ready: generation 1, 1 tenants$")
        self.assertRegex(server.log(), r"(?m)^<3>reload refused: .*; generation 1 stays$")
        self.assertNotRegex(server.log(), r"(?m)^[^<]")

    def test_another_stream(self):
        server = self.new_server()
        server.env = {"JOURNAL_STREAM": "1:1"}
        server.start()
        self.assertRegex(server.log(), r"(?m)^\d\d:\d\d:\d\d\.\d{3} info    ready: ")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    main()
