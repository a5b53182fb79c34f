"""network = egress: who can be reached, what is refused, and what is said of it.

All of it runs in a network namespace of its own, with another host at the end of a pair of veth
interfaces that records what comes over the wire (egress_peer.py).
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

import egress_peer
from harness import BUILD, EXEC_ID, PATIENCE, POSTERN, POSTERND, main, run, wait_until
from test_cgroup import WRITABLE, CgroupTest

NEAR, FAR = "192.0.2.1", "192.0.2.2"
NEAR6, FAR6 = "2001:db8::1", "2001:db8::2"
OTHER = "198.51.100.2"  # of the far host, too

POLICY = """
[sandbox "egress"]
time    = 1h
network = egress
connect = 192.0.2.0/24:443
connect = [2001:db8::]/64:443
connect = udp:192.0.2.2:53
connect = tcp:198.51.100.2:8000-8001

[sandbox "wide"]
network = egress
connect = 0.0.0.0/0:*
connect = [::]/0:*

[sandbox "own"]
network = egress
connect = 127.0.0.1:443
connect = [::1]:443
connect = 192.0.2.1:443
connect = [2001:db8::1]:443

[sandbox "nothing"]
network = egress

[tenant "acme"]
keys    = keys/alice
sandbox = egress
shell   = /bin/bash
explain = rule
[tenant "wide"]
keys    = keys/alice
sandbox = wide
shell   = /bin/bash
explain = rule
[tenant "own"]
keys    = keys/alice
sandbox = own
shell   = /bin/bash
[tenant "nothing"]
keys    = keys/alice
sandbox = nothing
shell   = /bin/bash
[tenant "silent"]
keys    = keys/alice
sandbox = egress
shell   = /bin/bash
explain = none
"""
PROBE = os.path.join(BUILD, "tests/confine/inside/postern-probe")
NETWORK_LINE = 4  # of sandbox "egress"

# Sent before each program that runs in a sandbox.
PRELUDE = """
import errno, socket, struct, sys
socket.setdefaulttimeout(20)
def word(call, *args):
    try:
        got = call(*args)
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)
    return got
def tcp(host, port, family=None):
    family = family or (socket.AF_INET6 if ":" in host else socket.AF_INET)
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(20)
        got = word(s.connect, (host, port))
        return s.recv(100).decode().strip() if got is None else got
def udp(host, port, data=b"ping", family=None):
    family = family or (socket.AF_INET6 if ":" in host else socket.AF_INET)
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        got = word(s.sendto, data, (host, port))
        return s.recv(65536) == data if got == len(data) else got
"""


def ip(*args, inside=None):
    enter = ("nsenter", "-t", str(inside), "-n") if inside else ()
    subprocess.run(enter + ("ip",) + args, check=True)


class Network:
    """Ours, from here on that of this process, and the far host."""

    def __init__(self):
        egress_peer.unshare(egress_peer.CLONE_NEWNET | egress_peer.CLONE_NEWNS)
        # The host's resolver, for those who look from here.
        with tempfile.NamedTemporaryFile("w", prefix="resolv.conf.") as f:
            f.write(f"nameserver {FAR}\n")
            f.flush()
            os.chmod(f.name, 0o644)
            subprocess.run(("mount", "--make-rprivate", "/"), check=True)
            subprocess.run(("mount", "--bind", f.name, "/etc/resolv.conf"), check=True)
        ip("link", "set", "lo", "up")
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        self.peer = subprocess.Popen(
            [sys.executable, "-B", egress_peer.__file__, "far"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert self.peer.stdout.readline() == "away\n"
        inside = self.peer.pid
        ip("link", "set", "far", "netns", str(inside))
        for name, v4, v6, where in (("near", NEAR, NEAR6, None), ("far", FAR, FAR6, inside)):
            ip("addr", "add", f"{v4}/24", "dev", name, inside=where)
            ip("addr", "add", f"{v6}/64", "dev", name, "nodad", inside=where)
            ip("link", "set", name, "up", inside=where)
        ip("link", "set", "lo", "up", inside=inside)
        ip("addr", "add", f"{OTHER}/32", "dev", "lo", inside=inside)
        ip("route", "add", "default", "via", FAR)
        ip("route", "add", "default", "via", FAR6)
        self.ask()
        # Services of the host that runs posternd.
        egress_peer.serve()

    def ask(self):
        self.peer.stdin.write("\n")
        self.peer.stdin.flush()
        return self.peer.stdout.readline()

    def wire(self):
        """What has come over the wire, once: (protocol, destination, port, kind)."""
        return {tuple(what) for what in json.loads(self.ask())}

    def close(self):
        self.peer.stdin.close()
        self.peer.wait()


def setUpModule():
    global network
    if WRITABLE:
        network = Network()


def tearDownModule():
    if WRITABLE:
        network.close()


class EgressTest(CgroupTest):
    policy = POLICY

    def tearDown(self):
        self.assertOnlyDaemon()

    def python(self, tenant, program, code=0, timeout=60):
        """The lines that a program prints in the sandbox; what it was told is in self.told."""
        got = self.server.ssh(tenant, "/usr/bin/python3 -", stdin=(PRELUDE + program).encode(),
                              timeout=timeout)
        self.assertEqual(got.code, code, got)
        self.told = got.err.decode().splitlines()
        return got.out.decode().splitlines()

    def assertTold(self, *patterns):
        """Exactly these notes, in this order; each pattern is plain text."""
        ends = [re.escape(f"postern: note: {text} ") + EXEC_ID for text in patterns]
        self.assertEqual(len(self.told), len(ends), self.told)
        for line, pattern in zip(self.told, ends):
            self.assertRegex(line, rf"\A{pattern}\Z")

    def place(self, line=NETWORK_LINE):
        return f"({self.server.path('policy.d/tenants.ini')}:{line})"


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Reach(EgressTest):
    def test_tcp(self):
        out = self.python("acme", f"""
print(tcp("{FAR}", 443))
print(tcp("{FAR6}", 443))
print(tcp("::ffff:{FAR}", 443))
print(tcp("{OTHER}", 8000))
print(tcp("{OTHER}", 8001))
""")
        self.assertEqual(out, [f"reached {FAR}", f"reached {FAR6}", f"reached {FAR}",
                               f"reached {OTHER}", f"reached {OTHER}"])
        self.assertTold()

    def test_udp(self):
        out = self.python("acme", f"""
print(udp("{FAR}", 53))
print(udp("{FAR}", 443))
print(udp("::ffff:{FAR}", 443))
print(udp("{FAR6}", 443))
print(udp("{FAR}", 443, b"x" * 4000))
print(udp("{FAR6}", 443, b"x" * 4000))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("{FAR}", 443))
s.send(b"hello")
print(s.recv(10))
""")
        self.assertEqual(out, ["True"] * 6 + ["b'hello'"])
        self.assertTold()

    def test_stock_clients(self):
        got = self.server.ssh("acme", f"exec 3<>/dev/tcp/{FAR}/443; cat <&3")
        self.assertRan(got, out=f"reached {FAR}\n".encode())
        got = self.server.ssh("acme", f"exec 3<>/dev/tcp/{FAR}/444; echo on")
        self.assertEqual((got.code, got.out), (0, b"on\n"), got)
        self.assertIn(b"Operation not permitted", got.err)
        self.assertLine(got.err, f"postern: note: connect to {FAR} port 444 \\(tcp\\) was refused "
                                 f"by sandbox \"egress\": .* {EXEC_ID}")

    def test_refused(self):
        out = self.python("acme", f"""
print(tcp("{FAR}", 444))
print(tcp("{FAR6}", 444))
print(tcp("::ffff:{FAR}", 22))
print(tcp("{OTHER}", 8002))
print(tcp("203.0.113.1", 443))
print(udp("{OTHER}", 8000))
print(udp("{FAR}", 5353))
print(udp("203.0.113.53", 53))
""")
        self.assertEqual(out, ["EPERM"] * 8)
        other = "connect = 192.0.2.0/24:443 is about other ports"
        self.assertTold(
            f"connect to {FAR} port 444 (tcp) was refused by sandbox \"egress\": {other} "
            + self.place(),
            f"connect to {FAR6} port 444 (tcp) was refused by sandbox \"egress\": "
            f"connect = [2001:db8::]/64:443 is about other ports {self.place()}",
            f"connect to {FAR} port 22 (tcp) was refused by sandbox \"egress\": {other} "
            + self.place(),
            f"connect to {OTHER} port 8002 (tcp) was refused by sandbox \"egress\": "
            f"connect = tcp:198.51.100.2:8000-8001 is about other ports {self.place()}",
            "connect to 203.0.113.1 port 443 (tcp) was refused by sandbox \"egress\": "
            f"no connect rule allows it {self.place()}",
            f"a datagram to {OTHER} port 8000 (udp) was refused by sandbox \"egress\": "
            f"connect = tcp:198.51.100.2:8000-8001 is about tcp alone {self.place()}",
            f"a datagram to {FAR} port 5353 (udp) was refused by sandbox \"egress\": {other} "
            + self.place(),
            "a datagram to 203.0.113.53 port 53 (udp) was refused by sandbox \"egress\": names are "
            f"looked up there, which takes connect = 203.0.113.53:53 {self.place()}")

    def test_record(self):
        self.python("acme", f'print(tcp("{FAR}", 444)); print(udp("{FAR6}", 5353))')
        start, _ = self.server.last_exec()
        records = self.server.audit(event="blocked", exec=start["exec"])
        self.assertEqual(len(records), 2)
        first, second = records
        self.assertEqual({k: first[k] for k in ("what", "protocol", "to", "to_port", "sandbox",
                                                "why", "rule", "tenant")},
                         {"what": "connect", "protocol": "tcp", "to": FAR, "to_port": 444,
                          "sandbox": "egress", "tenant": "acme",
                          "why": "connect = 192.0.2.0/24:443 is about other ports",
                          "rule": self.place()[1:-1]})
        self.assertEqual((second["what"], second["to"], second["to_port"]), ("send", FAR6, 5353))

    def test_told_once_and_not_for_ever(self):
        out = self.python("acme", f"""
for _ in range(100):
    tcp("{FAR}", 444)
for port in range(1000, 1100):
    tcp("{FAR}", port)
print("on")
""")
        self.assertEqual(out, ["on"])
        self.assertEqual(len(self.told), 9, self.told)
        self.assertIn("port 444 (tcp)", self.told[0])
        self.assertIn("port 1006 (tcp)", self.told[7])
        self.assertRegex(self.told[8], "more of the network was refused, which is not told one by "
                                       f"one {EXEC_ID}")
        start, _ = self.server.last_exec()
        self.assertEqual(len(self.server.audit(event="blocked", exec=start["exec"])), 8)
        # It is of each exec alone.
        self.python("acme", f'tcp("{FAR}", 444)')
        self.assertEqual(len(self.told), 1, self.told)

    def test_silent(self):
        self.python("silent", f'tcp("{FAR}", 444); tcp("{FAR}", 22)')
        self.assertTold("the network was refused")

    def test_nothing(self):
        self.assertEqual(self.python("nothing", f'print(tcp("{FAR}", 443), tcp("{NEAR}", 443), '
                                                f'tcp("127.0.0.1", 443), udp("{FAR6}", 443))'),
                         ["EPERM EPERM EPERM EPERM"])

    def test_names(self):
        """The resolver's address has to be listed, then names work as on the host."""
        server = self.new_server(policy=POLICY + f"""
[sandbox "names"]
network = egress
connect = udp:{FAR}:53
connect = {FAR}:443
[tenant "names"]
keys    = keys/alice
sandbox = names
shell   = /bin/bash
""", server=f"cgroup = {self.own}-names\n")
        self.addCleanup(os.rmdir, f"{self.own}-names")
        self.addCleanup(lambda: (server.stop(), os.rmdir(f"{self.own}-names/daemon")))
        server.start()
        got = server.ssh("names", "cat /etc/resolv.conf; getent ahostsv4 far.example")
        self.assertEqual(got.code, 0, got)
        lines = got.out.decode().splitlines()
        self.assertEqual(lines[0], f"nameserver {FAR}")
        self.assertIn(FAR, lines[1])
        self.assertEqual(got.err, b"")


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Host(EgressTest):
    """Its own services, and ports."""

    def test_wide_rules_do_not_reach_it(self):
        out = self.python("wide", f"""
print(tcp("{FAR}", 22), tcp("{FAR6}", 8002), udp("{FAR}", 5353))
print(tcp("127.0.0.1", 443), tcp("::1", 443), tcp("::ffff:127.0.0.1", 443), udp("127.0.0.1", 443))
print(tcp("0.0.0.0", 443), tcp("::", 443), tcp("::ffff:0.0.0.0", 443), udp("0.0.0.0", 443))
print(tcp("{NEAR}", 443), tcp("{NEAR6}", 443), udp("{NEAR}", 443), udp("{NEAR6}", 443))
print(tcp("169.254.169.254", 80))
""")
        self.assertEqual(out, [f"reached {FAR} reached {FAR6} True", "EPERM EPERM EPERM EPERM",
                               "EPERM EPERM EPERM EPERM", "EPERM EPERM EPERM EPERM", "EPERM"])

    def test_explained(self):
        where = self.place(11)
        self.python("wide", f'tcp("127.0.0.1", 443); tcp("0.0.0.0", 443); tcp("{NEAR}", 443)\n'
                            'tcp("169.254.169.254", 80); tcp("::1", 443)')
        self.assertTold(
            "connect to 127.0.0.1 port 443 (tcp) was refused by sandbox \"wide\": connect = "
            "0.0.0.0/0:* does not reach into 127.0.0.0/8 (loopback), which takes a rule of its own "
            + where,
            "connect to 0.0.0.0 port 443 (tcp) was refused by sandbox \"wide\": it means this "
            f"host, which is 127.0.0.1 in a connect rule {where}",
            f"connect to {NEAR} port 443 (tcp) was refused by sandbox \"wide\": it is an address "
            "of this host itself, which connect = 0.0.0.0/0:* does not allow but a rule for this "
            f"one address would {where}",
            "connect to 169.254.169.254 port 80 (tcp) was refused by sandbox \"wide\": connect = "
            "0.0.0.0/0:* does not reach into 169.254.0.0/16 (link-local), which takes a rule of "
            f"its own {where}",
            "connect to ::1 port 443 (tcp) was refused by sandbox \"wide\": connect = [::]/0:* "
            f"does not reach into ::/96 (loopback), which takes a rule of its own {where}")

    def test_can_be_listed(self):
        out = self.python("own", f"""
print(tcp("127.0.0.1", 443), tcp("::1", 443), tcp("{NEAR}", 443), tcp("{NEAR6}", 443))
print(udp("127.0.0.1", 443), udp("::1", 443), udp("{NEAR}", 443), udp("{NEAR6}", 443))
print(tcp("127.0.0.2", 443), tcp("127.0.0.1", 444), tcp("{FAR}", 443), udp("0.0.0.0", 443))
""")
        self.assertEqual(out, [f"reached 127.0.0.1 reached ::1 reached {NEAR} reached {NEAR6}",
                               "True True True True", "EPERM EPERM EPERM EPERM"])

    def test_new_address(self):
        """The kernel's floor knows an address that came after the command had begun."""
        client = self.server.popen_ssh("wide", "read; exec /usr/bin/python3 -c \"import socket; "
                                       "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                                       "s.sendto(b'x', ('192.0.2.77', 443))\"")
        wait_until(lambda: self.server.exec_pids(), 10, "the command")
        self.addCleanup(ip, "addr", "del", "192.0.2.77/32", "dev", "near")
        ip("addr", "add", "192.0.2.77/32", "dev", "near")
        _, err = client.communicate(b"\n", timeout=60 * PATIENCE)
        self.assertIn(b"Operation not permitted", err)
        self.assertLine(err, "postern: note: a datagram to 192.0.2.77 port 443 \\(udp\\) was "
                             "refused by sandbox \"wide\": it is an address of this host itself,"
                             f".* {EXEC_ID}")

    def test_ports(self):
        out = self.python("wide", """
for family, any in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind)
        print(word(s.bind, (any, 8080)), word(s.bind, (any, 0)))
""")
        self.assertEqual(out, ["EPERM None"] * 4)
        self.assertIn('bind to port 8080 (tcp) was refused by sandbox "wide": ports are this '
                      "host's, and with network = egress nobody comes in", self.told[0])

    def test_nobody_comes_in(self):
        """Neither over a rule that would let the answers out, nor from this host."""
        client = self.server.popen_ssh("wide", """exec /usr/bin/python3 -c "
import socket
s = socket.socket()
s.listen(8)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('0.0.0.0', 0))
print(s.getsockname()[1], u.getsockname()[1], flush=True)
s.settimeout(20)
u.settimeout(20)
print(u.recv(100))
s.accept()
" """)
        tcp_port, udp_port = map(int, client.stdout.readline().split())
        for host in (NEAR, "127.0.0.1"):
            with socket.socket() as s:
                s.settimeout(1)
                self.assertRaises(socket.timeout, s.connect, (host, tcp_port))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"from here", (NEAR, udp_port))
            s.sendto(b"from here", ("127.0.0.1", udp_port))
        far = "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); " \
              f"s.sendto(b'from afar', ('{NEAR}', {udp_port})); t = socket.socket(); " \
              f"t.settimeout(1); print(t.connect_ex(('{NEAR}', {tcp_port})))"
        got = run(["nsenter", "-t", str(network.peer.pid), "-n", sys.executable, "-c", far])
        self.assertEqual(got.out.strip(), b"11", got)
        # What a rule lets out it lets in: of datagrams, only those that aren't from here.
        self.assertEqual(client.stdout.readline(), b"b'from afar'\n")
        client.kill()
        client.communicate()


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Attacks(EgressTest):
    """Other ways out, looked for on the wire."""

    PROGRAM = f"""
import ctypes, os
MSG_FASTOPEN = 0x20000000
def sock(family=socket.AF_INET, kind=socket.SOCK_DGRAM, protocol=0):
    return socket.socket(family, kind, protocol)
def fast_open(host, family):
    s = sock(family, socket.SOCK_STREAM)
    s.settimeout(2)
    return s.sendto(b"x" * 100, MSG_FASTOPEN, (host, 444))
def fast_open_connect(host, family):
    s = sock(family, socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, 30, 1)
    s.settimeout(2)
    s.connect((host, 444))
    return s.send(b"x")
def unspecified():
    s = sock()
    to = struct.pack("=HH4s8x", socket.AF_UNSPEC, socket.htons(444), socket.inet_aton("{FAR}"))
    if ctypes.CDLL(None, use_errno=True).sendto(s.fileno(), b"x", 1, 0, to, len(to)) < 0:
        raise OSError(ctypes.get_errno(), "sendto")
def connected_then_elsewhere(host, family):
    s = sock(family)
    s.connect((host, 443))
    return s.sendto(b"x", (host, 444))
def connected(host, family):
    s = sock(family)
    s.connect((host, 444))
    return s.send(b"x")
def corked():
    s = sock()
    s.setsockopt(socket.IPPROTO_UDP, 1, 1)
    s.connect(("{FAR}", 444))
    s.send(b"x")
    s.setsockopt(socket.IPPROTO_UDP, 1, 0)
    return s.send(b"x")
def many(host, family):
    s = sock(family)
    return s.sendmsg([b"x"], [], 0, (host, 444))
def source_route():
    s = sock()
    s.setsockopt(socket.IPPROTO_IP, 4, bytes([131, 7, 4]) + socket.inet_aton("{OTHER}") + b"\\0")
    return s.sendto(b"x", ("{FAR}", 443))
def record_route():
    s = sock()
    s.setsockopt(socket.IPPROTO_IP, 4, bytes([7, 7, 4, 0, 0, 0, 0, 0]))
    return s.sendto(b"x", ("{FAR}", 443))
def routing_header():
    s = sock(socket.AF_INET6)
    hop = socket.inet_pton(socket.AF_INET6, "{FAR6}")
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, bytes([0, 2, 4, 0, 0, 0, 0, 0]) + hop)
    return s.sendto(b"x", ("{FAR6}", 443))
def transparent():
    sock().setsockopt(socket.IPPROTO_IP, 19, 1)
def free_bind():
    s = sock()
    s.setsockopt(socket.IPPROTO_IP, 15, 1)
    s.bind(("192.0.2.99", 0))
    return s.sendto(b"x", ("{FAR}", 444))
def to_device():
    s = sock()
    s.setsockopt(socket.SOL_SOCKET, 25, b"near")
    return s.sendto(b"x", ("{FAR}", 444))
def broadcast():
    s = sock()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return s.sendto(b"x", ("255.255.255.255", 443))
def subnet_broadcast():
    s = sock()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return s.sendto(b"x", ("192.0.2.255", 444))
def multicast(host, family):
    return sock(family).sendto(b"x", (host, 443))
def link_local():
    return sock(socket.AF_INET6).sendto(b"x", ("fe80::1", 443, 0, socket.if_nametoindex("near")))
def passed_on():
    ours, theirs = socket.socketpair()
    s = sock()
    if os.fork() == 0:
        socket.send_fds(theirs, [b"x"], [s.fileno()])
        os._exit(0)
    os.wait()
    fd = socket.recv_fds(ours, 1, 1)[1][0]
    return socket.socket(fileno=fd).sendto(b"x", ("{FAR}", 444))
V4, V6 = socket.AF_INET, socket.AF_INET6
attempts = [
    ("tcp", tcp, "{FAR}", 444), ("udp", udp, "{FAR}", 444), ("mapped", tcp, "::ffff:{FAR}", 444),
    ("mapped-udp", udp, "::ffff:{FAR}", 444),
    ("fast-open", fast_open, "{FAR}", V4), ("fast-open6", fast_open, "{FAR6}", V6),
    ("fast-open-mapped", fast_open, "::ffff:{FAR}", V6),
    ("fast-open-connect", fast_open_connect, "{FAR}", V4), ("unspecified", unspecified),
    ("elsewhere", connected_then_elsewhere, "{FAR}", V4),
    ("elsewhere6", connected_then_elsewhere, "{FAR6}", V6),
    ("connected", connected, "{FAR}", V4), ("connected6", connected, "{FAR6}", V6),
    ("connected-mapped", connected, "::ffff:{FAR}", V6), ("corked", corked),
    ("many", many, "{FAR}", V4), ("many6", many, "{FAR6}", V6),
    ("source-route", source_route), ("record-route", record_route),
    ("routing-header", routing_header), ("transparent", transparent),
    ("free-bind", free_bind), ("to-device", to_device), ("broadcast", broadcast),
    ("subnet-broadcast", subnet_broadcast),
    ("multicast", multicast, "224.0.0.251", V4), ("multicast6", multicast, "ff02::fb", V6),
    ("link-local", link_local), ("passed-on", passed_on),
    ("raw", sock, V4, socket.SOCK_RAW, 1), ("raw6", sock, V6, socket.SOCK_RAW, 58),
    ("ping", sock, V4, socket.SOCK_DGRAM, 1), ("ping6", sock, V6, socket.SOCK_DGRAM, 58),
    ("packet", sock, socket.AF_PACKET, socket.SOCK_RAW, 0),
    ("udplite", sock, V4, socket.SOCK_DGRAM, 136), ("sctp", sock, V4, socket.SOCK_STREAM, 132),
    ("mptcp", sock, V4, socket.SOCK_STREAM, 262), ("dccp", sock, V4, 6, 33),
    ("sock-diag", sock, socket.AF_NETLINK, socket.SOCK_RAW, 4),
]
for name, call, *args in attempts:
    print(name, word(call, *args), flush=True)
print("done", udp("{FAR}", 443, b"the last"))
"""
    # What may come back besides EPERM: none of it has sent anything.
    OTHERWISE = {"mptcp": ("EPROTONOSUPPORT", "EPERM"), "packet": ("EPERM",),
                 "dccp": ("EPERM", "ESOCKTNOSUPPORT", "EPROTONOSUPPORT"),
                 "routing-header": ("EPERM", "EINVAL"),
                 # Before us, the host asks who may ping at all.
                 "ping": ("EPERM", "EACCES"), "ping6": ("EPERM", "EACCES")}

    def test_all(self):
        # Answers to pings are the kernel's, to whoever asks; everything else is looked at.
        before = network.wire()
        got = self.python("acme", self.PROGRAM, timeout=120)
        results = dict(line.split(maxsplit=1) for line in got)
        self.assertEqual(results.pop("done"), "True")
        wrong = {name: how for name, how in results.items()
                 if how not in self.OTHERWISE.get(name, ("EPERM",))}
        self.assertEqual(wrong, {})
        self.assertGreaterEqual(len(results), 39)
        sent = {what for what in network.wire() - before if what[0] not in (1, 2, 58, 0)}
        allowed = {(17, FAR, 443, "plain"), (6, FAR, 443, "plain")}
        self.assertLessEqual(sent, allowed)

    def test_programs_are_out_of_reach(self):
        out = self.python("acme", """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def bpf(cmd):
    attr = ctypes.create_string_buffer(128)
    if libc.syscall(321, cmd, attr, 128) < 0:
        raise OSError(ctypes.get_errno(), "bpf")
print([word(bpf, cmd) for cmd in (0, 5, 9, 11, 12, 13, 16)])
print(os.path.exists("/sys/fs/bpf"), os.path.exists("/sys/fs/cgroup"))
print(sorted(os.listdir("/proc/self/fd"))[:4])
""")
        self.assertEqual(out[0], str(["EPERM"] * 7))
        self.assertEqual(out[1], "False False")
        self.assertEqual(out[2], str(["0", "1", "2", "3"]))

    def test_abstract_sockets(self):
        """Of the host's namespace they are, but out of reach; ours are ours."""
        name = f"\0postern-e2e-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as s, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as d:
            s.bind(name)
            s.listen()
            d.bind(name + "-datagram")
            out = self.python("acme", f"""
def unix(kind, name):
    s = socket.socket(socket.AF_UNIX, kind)
    s.connect(name)
def pair(name):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return a.sendto(b"x", name)
name = "\\0{name[1:]}"
print(word(unix, socket.SOCK_STREAM, name), word(unix, socket.SOCK_DGRAM, name + "-datagram"),
      word(pair, name + "-datagram"))
a, b = socket.socketpair()
a.send(b"pairs work")
print(b.recv(20))
""")
        self.assertEqual(out, ["EPERM EPERM EPERM", "b'pairs work'"])

    def test_left_behind(self):
        """A connection that the command leaves open is kept to the rules until it ends."""
        self.python("acme", f"""
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
s.connect(("{FAR}", 443))
print(s.recv(100))
""")
        self.assertOnlyDaemon()


@unittest.skipUnless(WRITABLE and os.path.exists(PROBE), "no cgroup v2, or no postern-probe, here")
class SelfTest(EgressTest):
    """postern self-test, in a cgroup of its own; also where a rule kills what runs there."""
    policy = POLICY + """
[seccomp "kills"]
extends = default
kill    = bpf swapon
[sandbox "kills"]
extends = egress
seccomp = kills
[tenant "kills"]
keys    = keys/alice
sandbox = kills
shell   = /bin/bash
"""

    def test_self_test(self):
        for tenant in ("acme", "kills"):
            got = run([POSTERN, "self-test", "-f", self.server.config, "--probe", PROBE,
                       "--tenant", tenant, "--json"], check=False)
            self.assertEqual((got.code, got.err), (0, b""), got)
            found = json.loads(got.out)
            opened = [p["name"] for p in found["properties"] if p["result"] == "policy"]
            self.assertEqual(opened, ["interfaces"], tenant)
        self.assertOnlyDaemon()


@unittest.skipUnless(WRITABLE, "no cgroup v2 that could be written here")
class Required(EgressTest):
    """Where it can't be kept, the policy is refused."""
    def test_without_a_cgroup(self):
        """Not even best-effort makes do without."""
        for extra in ("", "limits = best-effort\n"):
            with self.subTest(extra):
                server = self.new_server(policy=POLICY, server=f"cgroup = /tmp\n{extra}")
                got = run([POSTERND, "-f", server.config, "-d"], check=False)
                self.assertEqual(got.code, 78, got)
                place = server.path("policy.d/tenants.ini")
                self.assertRegex(got.err.decode(),
                                 f"{place}:{NETWORK_LINE}: error: network = egress of sandbox "
                                 "'egress' needs a cgroup for each command: .*")

    def test_reload_brings_it(self):
        """The first egress sandbox of a server that began without."""
        own = f"{self.own}-late"
        plain = POLICY.replace("network = egress", "network = none")
        plain = re.sub(r"(?m)^connect.*\n", "", plain)
        server = self.new_server(policy=plain, server=f"cgroup = {own}\n").start()
        self.addCleanup(os.rmdir, own)
        self.addCleanup(lambda: (server.stop(), os.rmdir(f"{own}/daemon")))
        command = f"exec 3<>/dev/tcp/{FAR}/443; cat <&3"
        self.assertIn(b"unreachable", server.ssh("acme", command).err)
        server.write_policy(POLICY)
        server.reload()
        self.assertRan(server.ssh("acme", command), out=f"reached {FAR}\n".encode())
        got = server.ssh("acme", f"exec 3<>/dev/tcp/{FAR}/444")
        self.assertIn(b"postern: note: connect to", got.err)


if __name__ == "__main__":
    main()
