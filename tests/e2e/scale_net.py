"""Clients, a balancer and three servers, each in a network namespace of its own.

    clients 192.0.2.1-9 ── 192.0.2.254 balancer 10.0.0.5 ┬─ 10.0.0.11 a
    (the test itself)                                     ├─ 10.0.0.12 b
                                                          └─ 10.0.0.13 c

Nobody forwards anything: clients reach servers through the balancer alone. All of it is gone when the
test is.
"""
import ctypes
import os
import subprocess

from harness import wait_until

CLONE_NEWNET = 0x40000000
FRONT, BALANCER = "192.0.2.254", "10.0.0.5"
SERVERS = {"a": "10.0.0.11", "b": "10.0.0.12", "c": "10.0.0.13"}
CLIENTS = [f"192.0.2.{i}" for i in range(1, 10)]


class Unavailable(Exception):
    """This kernel has no such networks."""


def ip(*args, inside=None):
    enter = ("nsenter", "-t", str(inside), "-n") if inside else ()
    done = subprocess.run((*enter, "ip", *args), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(args)}: {done.stderr.strip()}")


class Namespace:
    """A network namespace, for as long as the test lives."""

    def __init__(self):
        self.holder = subprocess.Popen(("unshare", "--net", "cat"), stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL)
        self.pid = self.holder.pid
        own = os.readlink("/proc/self/ns/net")

        def entered():
            if self.holder.poll() is not None:
                raise Unavailable("unshare --net failed")
            return os.readlink(f"/proc/{self.pid}/ns/net") != own
        wait_until(entered, 20, "a network namespace")
        ip("link", "set", "lo", "up", inside=self.pid)

    def launcher(self):
        """What to put before a program that is to run there; its process is the program's."""
        return ["nsenter", "-t", str(self.pid), "-n"]

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()


class Network:
    def __init__(self):
        """The caller is in the clients' namespace from here on."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise Unavailable(f"unshare: {os.strerror(ctypes.get_errno())}")
        self.spaces = []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def space(self):
        self.spaces.append(Namespace())
        return self.spaces[-1]

    def build(self):
        ip("link", "set", "lo", "up")
        try:
            ip("link", "add", "name", "probe", "type", "veth")
        except AssertionError as problem:
            raise Unavailable(str(problem)) from None
        self.balancer = self.space()
        inside = self.balancer.pid
        ip("link", "add", "name", "out", "type", "veth", "peer", "name", "front", "netns", str(inside))
        for address in CLIENTS:
            ip("addr", "add", f"{address}/24", "dev", "out")
        ip("link", "set", "out", "up")
        ip("addr", "add", f"{FRONT}/24", "dev", "front", inside=inside)
        ip("link", "set", "front", "up", inside=inside)
        self.servers = {}
        for name, address in SERVERS.items():
            self.servers[name] = self.space()
            self.connect_server(name, address)

    def connect_server(self, name, address):
        """One wire for each, so that no bridge is needed; addresses are as if it were one net."""
        there, here = self.servers[name].pid, self.balancer.pid
        ip("link", "add", "name", name, "netns", str(here), "type", "veth",
           "peer", "name", "eth0", "netns", str(there))
        ip("addr", "add", BALANCER, "peer", address, "dev", name, inside=here)
        ip("addr", "add", address, "peer", BALANCER, "dev", "eth0", inside=there)
        ip("link", "set", "dev", name, "up", inside=here)
        ip("link", "set", "eth0", "up", inside=there)

    def set_wire(self, name, state):
        """Between the balancer and a server: "down" or "up"."""
        ip("link", "set", "dev", "eth0", state, inside=self.servers[name].pid)

    def close(self):
        for space in self.spaces:
            space.close()
