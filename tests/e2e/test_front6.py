"""Sources that come by IPv6, before anybody has logged in: a network of 64 bits is one.

The test has a network namespace of its own, in which it gives itself the addresses of everybody.
"""
import ctypes
import socket
import subprocess

from harness import PATIENCE, VERSION, PosternTest, main, wait_until

CLONE_NEWNET = 0x40000000
SERVER = "fd00:5::1"
# Two networks of 64 bits in one of 48, and one in another.
A, A2, A3, B, C = "fd00:a:0:1::1", "fd00:a:0:1::2", "fd00:a:0:1:ffff:ffff:ffff:ffff", "fd00:a:0:2::1", "fd00:c::1"
TOO_MANY = b"postern: too many connections from your address that did not log in; try again later\r\n"


def setUpModule():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    for address in (SERVER, A, A2, A3, B, C):
        subprocess.run(("ip", "-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad"), check=True)


class Front6(PosternTest):
    autostart = False

    def begin(self, settings):
        self.server = self.new_server(server=settings, listen=(f"[{SERVER}]:0",)).start()
        self.addCleanup(self.server.stop)
        return self.server

    def connect(self, source):
        sock = socket.socket(socket.AF_INET6)
        self.addCleanup(sock.close)
        sock.settimeout(20 * PATIENCE)
        sock.bind((source, 0))
        sock.connect((SERVER, self.server.port))
        return sock

    def first(self, source):
        """What is read first; the connection stays."""
        try:
            return self.connect(source).recv(256)
        except ConnectionResetError:
            return b"reset"

    def assert_served(self, source):
        self.assertRegex(self.first(source), VERSION)

    def assert_refused(self, source, said=TOO_MANY):
        self.assertEqual(self.first(source), said)

    def ssh_from(self, source):
        return self.server.ssh("acme", "echo in", flags=["-o", f"HostName={SERVER}", "-b", source])

    def test_networks_of_64_bits(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = 2\n")
        self.assert_served(A)
        self.assert_served(A2)
        self.assert_refused(A3)
        server.wait_log(r"connection from fd00:a:0:1:ffff:ffff:ffff:ffff refused: max-startups-per-source "
                        r"is reached \(1 refused since the last such line\)")
        self.assert_served(B)
        self.assert_served(C)
        self.assertRan(self.ssh_from(C), 0, b"in\n")

    def test_networks_of_another_size(self):
        self.begin("source-exempt = none\nmax-startups-per-source = 2\nsource-prefix-ipv6 = 48\n")
        self.assert_served(A)
        self.assert_served(B)
        self.assert_refused(A2)
        self.assert_served(C)

    def test_single_addresses(self):
        self.begin("source-exempt = none\nmax-startups-per-source = 1\nsource-prefix-ipv6 = 128\n")
        for source in (A, A2, A3):
            self.assert_served(source)
        self.assert_refused(A)

    def test_exempt(self):
        """They share a network with one that isn't, and count for it, too."""
        self.begin("source-exempt = fd00:a:0:1::/64 !fd00:a:0:1::2\nmax-startups-per-source = 2\n")
        self.assert_served(A2)
        for source in (A, A3, A, A3):
            self.assert_served(source)
        self.assert_refused(A2)
        self.assert_served(A3)

    def test_penalties(self):
        """Who of a network misbehaves has all of it wait, and nobody else."""
        server = self.begin(f"source-exempt = none\nlogin-grace = {2 * PATIENCE}s\n")
        for source in (A, A2, A, A2):
            self.assert_served(source)
        server.wait_log(r"warning +fd00:a:0:1::/64 is not served for 10 s: connections that did not log in")
        self.assert_refused(A3, b"postern: your address has to wait; try again later\r\n")
        self.assertRan(self.ssh_from(B), 0, b"in\n")
        wait_until(lambda: self.ssh_from(A3).code == 0, 60, "the end of the penalty")


if __name__ == "__main__":
    main()
