"""Behind a balancer: the PROXY protocol by hand, byte for byte, and a real HAProxy."""
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import unittest

from harness import PATIENCE, VERSION, PosternTest, clean_env, main, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

POLICY = """
[sandbox "plain"]
network = none

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash

[tenant "far"]
keys    = keys/alice
from    = 192.0.2.0/24 127.0.40.0/24
sandbox = plain
shell   = /bin/bash
"""


def v1(source, port=4000):
    return f"PROXY TCP4 {source} 198.51.100.2 {port} 22\r\n".encode()


def v2(source, command=0x21, tlvs=b""):
    address = ipaddress.ip_address(source)
    v4 = address.version == 4
    local = ipaddress.ip_address("198.51.100.2" if v4 else "2001:db8::2")
    body = address.packed + local.packed + struct.pack(">HH", 4000, 22) + tlvs
    return SIGNATURE + struct.pack(">BBH", command, 0x11 if v4 else 0x21, len(body)) + body


class Balancer(PosternTest):
    autostart = False

    def begin(self, settings="", listen=("127.0.0.1:0 proxy",)):
        self.server = self.new_server(policy=POLICY, listen=listen, server=
                                      "proxy-from = 127.0.0.1\n" + settings).start()
        return self.server

    def connect(self, source="127.0.0.1", port=None):
        sock = socket.socket()
        sock.settimeout(10 * PATIENCE)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", port or self.server.port))
        self.addCleanup(sock.close)
        return sock

    def answer(self, data, **how):
        """What comes first, or "" where the connection ends."""
        sock = self.connect(**how)
        sock.sendall(data)
        try:
            return sock.recv(256)
        except ConnectionResetError:
            return b""


class Headers(Balancer):
    def test_both_versions_say_who_it_is(self):
        server = self.begin()
        for header, source in ((v1("192.0.2.1"), "192.0.2.1"), (v2("192.0.2.2"), "192.0.2.2"),
                               (v2("2001:db8::7"), "2001:db8::7"),
                               (v2("192.0.2.3", tlvs=b"\x04\0\x02ab"), "192.0.2.3"),
                               (b"PROXY TCP6 2001:db8::8 2001:db8::2 4000 22\r\n", "2001:db8::8")):
            with self.subTest(source):
                self.assertRegex(self.answer(header), VERSION)
                server.wait_log(rf"connection \S+ from {source} port 4000 on \S+ port 22\n")
        server.stop()

    def test_the_bytes_behind_it_are_the_sessions(self):
        """Header and first bytes of SSH in one segment, and each byte in one of its own."""
        server = self.begin("max-startups-per-source = infinity\n")
        for header in (v1("192.0.2.1"), v2("192.0.2.1"), SIGNATURE + b"\x20\0\0\0"):
            sock = self.connect()
            sock.sendall(header + b"SSH-2.0-probe\r\n")
            stream = sock.makefile("rb")
            self.assertRegex(stream.readline(), VERSION)
            # KEXINIT follows: the version string has been read.
            self.assertEqual(stream.read(6)[5], 20)
            sock = self.connect()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header + b"SSH-2.0-probe\r\n":
                sock.sendall(bytes([byte]))
            stream = sock.makefile("rb")
            self.assertRegex(stream.readline(), VERSION)
            self.assertEqual(stream.read(6)[5], 20)
        server.stop()

    def test_wrong_ones_end_the_connection(self):
        server = self.begin()
        for data in (b"SSH-2.0-OpenSSH_9.2\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"GET / HTTP/1.0\r\n\r\n",
                     SIGNATURE + b"\x21\x11\xff\xff", b"PROXY UNKNOWN " + b"x" * 200,
                     v2("192.0.2.1").replace(b"\x21\x11", b"\x21\x12", 1), os.urandom(600)):
            with self.subTest(data[:16]):
                self.assertEqual(self.answer(data), b"")
        server.wait_log(r"warning connection from 127\.0\.0\.1 refused: its PROXY header is refused: ")
        self.assertRegex(self.answer(v1("192.0.2.1")), VERSION)
        self.assertEqual(server.audit(event="auth"), [])
        server.stop()

    def test_slow_ones_end_with_the_grace(self):
        server = self.begin("login-grace = 1s\n")
        sock = self.connect()
        sock.sendall(b"PROXY TCP4 192.")
        self.assertEqual(sock.recv(16), b"")
        server.wait_log(r"its PROXY header is refused: it did not come within login-grace")
        server.stop()

    def test_many_that_say_nothing(self):
        server = self.begin("max-startups = 10\n")
        held = [self.connect() for _ in range(60)]
        wait_until(lambda: VERSION.fullmatch(self.answer(v1("192.0.2.1"))), 20, "a place")
        # Those who have given way may be dying still.
        wait_until(lambda: len(server.session_pids()) <= 10, 10, "no more sessions than may be")
        del held
        server.stop()

    def test_from_others_nothing_is_believed(self):
        server = self.begin()
        sock = self.connect("127.0.0.2")
        self.assertEqual(sock.recv(64), b"postern: this port is for a balancer\r\n")
        server.wait_log(r"connection from 127\.0\.0\.2 refused: it is not in proxy-from")
        server.stop()

    def test_other_ports_take_none(self):
        server = self.begin(listen=("127.0.0.1:0 proxy", "127.0.0.1:0"))
        self.assertEqual(len(server.ports), 2)
        self.assertRan(server.ssh("acme", "echo in", flags=["-p", str(server.ports[1])]), 0, b"in\n")
        self.answer(v1("192.0.2.1"), port=server.ports[1])
        server.wait_log(r"protocol error: its first line is no SSH version")
        self.assertNotIn("192.0.2.1 port", server.log())
        server.stop()


class Consequences(Balancer):
    """What the header says is what counts."""

    def test_limits_and_penalties_are_of_the_client(self):
        server = self.begin("max-startups-per-source = 2\nsource-exempt = none\n")
        held = []
        for _ in range(2):
            held.append(self.connect())
            held[-1].sendall(v1("192.0.2.1"))
            self.assertRegex(held[-1].recv(64), VERSION)
        self.assertEqual(self.answer(v1("192.0.2.1")), b"postern: too many connections from your "
                         b"address that did not log in; try again later\r\n")
        self.assertRegex(self.answer(v1("192.0.2.2")), VERSION)
        server.wait_log(r"connection from 192\.0\.2\.1 refused: max-startups-per-source")
        server.stop()

    def test_checks_of_health_are_no_offence(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = 1\n")
        for _ in range(30):
            self.connect().close()
        local = [self.answer(SIGNATURE + b"\x20\0\0\0") for _ in range(10)]
        self.assertTrue(all(VERSION.fullmatch(line) for line in local), local)
        for _ in range(30):
            sock = self.connect()
            sock.sendall(b"PROXY UNKNOWN\r\n")
            self.assertRegex(sock.recv(64), VERSION)
            sock.close()
        for word in ("refused", "is not served", "warning connection"):
            self.assertNotIn(word, server.log())
        server.stop()


HAPROXY = """
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend one
    bind 127.0.0.1:{front1}
    default_backend v1
frontend two
    bind 127.0.0.1:{front2}
    default_backend v2
backend v1
    option tcp-check
    tcp-check expect string SSH-2.0-
    server a 127.0.0.1:{port} send-proxy check inter 100ms check-send-proxy
backend v2
    server a 127.0.0.1:{port} send-proxy-v2 check inter 100ms
"""


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in socks]
    for sock in socks:
        sock.close()
    return ports


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
class RealHaproxy(Balancer):
    def setUp(self):
        super().setUp()
        server = self.begin("source-exempt = none\n")
        self.fronts = free_ports(2)
        config = server.write("haproxy.cfg", HAPROXY.format(
            front1=self.fronts[0], front2=self.fronts[1], port=server.port))
        self.haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", config],
                                        stdin=subprocess.DEVNULL, env=clean_env(server.dir))
        self.addCleanup(self.haproxy.wait)
        self.addCleanup(self.haproxy.terminate)

        def up():
            try:
                socket.create_connection(("127.0.0.1", self.fronts[1]), timeout=1).close()
                return True
            except OSError:
                return False
        wait_until(up, 10, "haproxy")

    def test_logins_through_it(self):
        server = self.server
        for port, source in ((self.fronts[0], "127.0.40.1"), (self.fronts[1], "127.0.40.2")):
            with self.subTest(port):
                flags = ["-b", source, "-p", str(port)]
                got = server.ssh("acme", "echo $SSH_CONNECTION", flags=flags)
                self.assertEqual(got.code, 0, got)
                self.assertRegex(got.out.decode(), rf"\A{source} \d+ 127\.0\.0\.1 {port}\n\Z")
                start, _ = server.last_exec(tenant="acme")
                self.assertEqual(start["client"], source)
                # Policy judges by it, too.
                self.assertRan(server.ssh("far", "echo in", flags=flags), 0, b"in\n")
                got = server.ssh("far", "echo in", flags=["-b", "127.0.41.1", "-p", str(port)])
                self.assertEqual((got.code, got.out), (255, b""))
        data = os.urandom(1 << 20)
        got = server.ssh("acme", "cat", stdin=data, flags=["-p", str(self.fronts[1])])
        self.assertRan(got, 0, data)
        server.stop()

    def test_its_checks_find_it_healthy_and_are_not_held_against_it(self):
        server = self.server
        before = len(server.log())
        wait_until(lambda: server.log()[before:].count(" closed") >= 20, 20, "20 checks")
        for port in self.fronts:
            self.assertRan(server.ssh("acme", "echo in", flags=["-p", str(port)]), 0, b"in\n")
        for word in (" warning ", " error ", "is not served"):
            self.assertNotIn(word, server.log())
        server.stop()


if __name__ == "__main__":
    main()
