"""What a balancer is told: agent-check by hand, and a real HAProxy while a server is drained."""
import csv
import io
import shutil
import socket
import subprocess
import unittest

from harness import PATIENCE, POSTERN, POSTERND, PosternTest, clean_env, main, run, wait_until

EX_CONFIG, EX_UNAVAILABLE = 78, 69


class AgentTest(PosternTest):
    autostart = False

    def begin(self, extra="", **how):
        server = self.new_server(server="agent-check = 127.0.0.1:0\n" + extra, **how).start()
        server.agent = int(server.wait_log(r"agent-check answers on \S+ port (\d+)").group(1))
        return server

    def ask(self, server, source="127.0.0.1", send=b""):
        """All that is said until the connection is closed."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind((source, 0))
        sock.settimeout(20 * PATIENCE)
        sock.connect(("127.0.0.1", server.agent))
        sock.sendall(send)
        data = b""
        try:
            while chunk := sock.recv(100):
                data += chunk
        except ConnectionResetError:
            pass
        return data

    def postern(self, server, *words, code=0):
        got = run([POSTERN, *words, "--socket", server.path("control")], check=False)
        self.assertEqual(got.code, code, got)


class ByHand(AgentTest):
    def test_one_line(self):
        server = self.begin()
        self.assertEqual(self.ask(server), b"up ready 100%\n")
        self.assertEqual(self.ask(server, source="127.9.9.9"), b"up ready 100%\n")
        self.postern(server, "drain")
        self.assertEqual(self.ask(server), b"drain\n")
        self.postern(server, "resume")
        self.assertEqual(self.ask(server), b"up ready 100%\n")
        # What it is sent is of no interest (agent-send), and is no attack.
        self.assertEqual(self.ask(server, send=b"hello\n"), b"up ready 100%\n")
        self.ask(server, send=b"x" * 100000)
        self.assertEqual(self.ask(server), b"up ready 100%\n")
        server.stop()

    def test_the_weight_follows_the_load(self):
        server = self.begin("max-connections = 4\n")
        socks = []
        for left in (b"75%", b"50%", b"25%", b"0%"):
            socks.append(socket.create_connection(("127.0.0.1", server.port)))
            wait_until(lambda: self.ask(server) == b"up ready " + left + b"\n", 10, left)
        for sock in socks:
            sock.close()
        wait_until(lambda: self.ask(server) == b"up ready 100%\n", 10, "room")
        server.stop()

    def test_who_may_ask(self):
        server = self.begin("listen = 127.0.0.1:0 proxy\nproxy-from = 192.0.2.1\n")
        self.assertEqual(self.ask(server), b"up ready 100%\n")
        server.stop()

    def test_strangers_are_told_nothing(self):
        """By an address of this host that is no loopback address."""
        own = [line.split()[3].split("/")[0] for line in
               run(["ip", "-o", "-4", "addr", "show", "scope", "global"]).out.decode().splitlines()]
        if not own:
            self.skipTest("this host has no address but loopback")
        for allowed in (False, True):
            extra = f"listen = 127.0.0.1:0 proxy\nproxy-from = {own[0]}\n" if allowed else ""
            server = self.new_server(server=f"agent-check = {own[0]}:0\n" + extra).start()
            port = int(server.wait_log(r"agent-check answers on \S+ port (\d+)").group(1))
            with socket.create_connection((own[0], port)) as sock:
                sock.settimeout(20 * PATIENCE)
                try:
                    got = sock.recv(100)
                except ConnectionResetError:
                    got = b""
            self.assertEqual(got, b"up ready 100%\n" if allowed else b"")
            if not allowed:
                server.wait_log("agent-check answers loopback addresses and proxy-from alone")
            server.stop()

    def test_a_flood_of_questions_hurts_nobody(self):
        server = self.begin()
        socks = []
        for _ in range(300):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", server.agent))
            socks.append(sock)
        self.assertRan(server.ssh("acme", "echo alive"), 0, b"alive\n")
        for sock in socks:
            sock.close()
        self.assertEqual(self.ask(server), b"up ready 100%\n")
        server.stop()

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = self.new_server(server=f"agent-check = 127.0.0.1:{taken.getsockname()[1]}\n")
            got = run([POSTERND, "-d", "-f", server.config], check=False)
            self.assertEqual(got.code, EX_UNAVAILABLE, got)
            self.assertRegex(got.err, rb"postern\.ini:\d+: agent-check 127\.0\.0\.1 port \d+: bind: ")
        server.extra = "agent-check = somewhere\n"
        server.write_config()
        self.assertEqual(run([POSTERN, "check", "-f", server.config], check=False).code, EX_CONFIG)


HAPROXY = """
global
    maxconn 200
    stats socket {stats} mode 600
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend ssh
    bind 127.0.0.1:{front}
    default_backend posterns
backend posterns
    balance leastconn
    option tcp-check
    tcp-check expect string SSH-2.0-
    default-server send-proxy-v2 check inter 100ms check-send-proxy agent-check agent-inter 100ms
    server a 127.0.0.1:{a.port} agent-port {a.agent}
    server b 127.0.0.1:{b.port} agent-port {b.agent}
"""


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
class RealHaproxy(AgentTest):
    def setUp(self):
        super().setUp()
        proxy = "listen = 127.0.0.1:0 proxy\nproxy-from = 127.0.0.0/8\nsource-exempt = none\n"
        self.a = self.begin(proxy)
        # The same host key and the same user's, as servers behind one name have.
        self.b = self.new_server(server="agent-check = 127.0.0.1:0\n" + proxy)
        for name in ("host_ed25519", "host_ed25519.pub", "user_alice", "user_alice.pub",
                     "policy.d/keys/alice"):
            shutil.copy(self.a.path(name), self.b.path(name))
        self.b.start()
        self.b.agent = int(self.b.wait_log(r"agent-check answers on \S+ port (\d+)").group(1))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.front = sock.getsockname()[1]
        self.stats = self.a.path("stats")
        config = self.a.write("haproxy.cfg", HAPROXY.format(
            stats=self.stats, front=self.front, a=self.a, b=self.b))
        self.haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", config],
                                        stdin=subprocess.DEVNULL, env=clean_env(self.a.dir))
        self.addCleanup(self.haproxy.wait)
        self.addCleanup(self.haproxy.terminate)
        wait_until(lambda: self.states() == {"a": "UP", "b": "UP"}, 20, "both servers up")

    def states(self):
        """{server: status} as HAProxy sees them."""
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20 * PATIENCE)
                sock.connect(self.stats)
                sock.sendall(b"show stat\n")
                data = b"".join(iter(lambda: sock.recv(65536), b""))
        except OSError:
            return {}
        rows = csv.DictReader(io.StringIO(data.decode().removeprefix("# ")))
        return {row["svname"]: row["status"].split()[0] for row in rows
                if row["pxname"] == "posterns" and row["svname"] in "ab"}

    def ssh_flags(self):
        return ["-p", str(self.front)]

    def served_by(self):
        """Runs a command through HAProxy; which of the two has done it."""
        before = {s: len(s.audit(event="start")) for s in (self.a, self.b)}
        self.assertRan(self.a.ssh("acme", "echo in", flags=self.ssh_flags()), 0, b"in\n")
        grown = [s for s in before if len(s.audit(event="start")) > before[s]]
        self.assertEqual(len(grown), 1)
        return "a" if grown[0] is self.a else "b"

    def test_drain_takes_a_server_out_while_its_command_runs_on(self):
        # The first goes to either; that one is drained.
        client = self.a.popen_ssh("acme", "read x; echo got $x; exit 9", flags=self.ssh_flags())
        wait_until(lambda: self.a.audit(event="start") or self.b.audit(event="start"), 20, "a start")
        name = "a" if self.a.audit(event="start") else "b"
        drained, other = (self.a, "b") if name == "a" else (self.b, "a")
        self.postern(drained, "drain")
        wait_until(lambda: self.states() == {name: "DRAIN", other: "UP"}, 20, "it is taken out")
        self.assertEqual({self.served_by() for _ in range(6)}, {other})
        out, err = client.communicate(b"data\n", timeout=20 * PATIENCE)
        self.assertEqual((client.returncode, out, err), (9, b"got data\n", b""))
        self.postern(drained, "drain", "--wait")
        self.postern(drained, "resume")
        wait_until(lambda: self.states() == {"a": "UP", "b": "UP"}, 20, "it is back")
        wait_until(lambda: self.served_by() == name, 20, "it serves again")
        for server in (self.a, self.b):
            self.assertNotIn(" error ", server.log())
            server.stop()


if __name__ == "__main__":
    main()
