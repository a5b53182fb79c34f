"""A hostile client for the real server: handshakes, packets and channel messages that are almost right.

    fuzz_session.py [--seconds N] [--seed S]

Each connection has a seed of its own, which is printed with whatever goes wrong; --seed runs that one
alone and shows what the server made of it. The session processes must neither crash (under AddressSanitizer, in such a build) nor hang nor
grow, and a client beside them must notice nothing.
"""
import argparse
import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
from harness import PATIENCE, SANITIZED, rss_kib, wait_until  # noqa: E402
from ssh_wire import (CHANNEL_OPEN, CLOSE, DATA, EOF, EXTENDED_DATA, GLOBAL_REQUEST,  # noqa: E402
                      REQUEST, WINDOW_ADJUST, Gone, Wire, paramiko, text, u32)

POLICY = """
[sandbox "plain"]
network = none
output  = 4M
time    = 20s

[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/sh
subsystem = cat: /bin/cat
max-execs = 200
accept-env = LC_*
"""
NUMBERS = (0, 1, 2, 9, 255, 256, 32768, 65535, 1280000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff)
VERBOSE = "--seed" in sys.argv
TIMEOUT = 20 * PATIENCE
TERMINAL = text("xterm") + u32(80) + u32(24) + u32(0) + u32(0)
REQUESTS = (
    ("exec", text("cat; exit 3")), ("exec", text("echo on; echo err >&2")), ("exec", text("true")),
    ("exec", text("head -c 300000 /dev/zero")), ("shell", b""), ("subsystem", text("cat")),
    ("subsystem", text("sftp")), ("env", text("LC_A") + text("x")), ("env", text("LD_A") + text("y")),
    ("pty-req", TERMINAL + text(b"\x03\0\0\0\x7f\0")), ("pty-req", TERMINAL + text(b"\x01\x02")),
    ("window-change", u32(80) + u32(24) + u32(0) + u32(0)), ("signal", text("TERM")),
    ("signal", text("NONE")), ("break", u32(500)), ("x11-req", b"\0" + text("MIT") + text("0") + u32(0)),
    ("auth-agent-req@openssh.com", b""), ("eow@openssh.com", b""), ("xon-xoff", b"\1"),
    ("exit-status", u32(0)), ("exit-signal", text("KILL") + b"\0" + text("") + text("")),
    ("keepalive@openssh.com", b""), ("no-such@example.com", b"x" * 64), ("", b""))
GLOBALS = (("tcpip-forward", text("127.0.0.1") + u32(0)), ("cancel-tcpip-forward", text("") + u32(1)),
           ("keepalive@openssh.com", b""), ("no-more-sessions@openssh.com", b""),
           ("hostkeys-prove-00@openssh.com", text(b"x" * 51)), ("x", b"\xff" * 100))
PLACE = text("127.0.0.1") + u32(22) + text("127.0.0.1") + u32(1)
# libssh answers nothing to one that is cut short.
KINDS = (("session", b""), ("direct-tcpip", PLACE), ("forwarded-tcpip", PLACE), ("", b""), ("s" * 4000, b""),
         ("x11", text("127.0.0.1") + u32(1)), ("auth-agent@openssh.com", b""),
         ("direct-streamlocal@openssh.com", text("/x") + text("") + u32(0)))


def mutate(rng, data):
    """A little damage, or none."""
    data = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        where = rng.randrange(len(data) + 1)
        how = rng.randrange(6)
        if how == 0 and where < len(data):
            data[where] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[where:where + 4] = u32(rng.choice(NUMBERS))
        elif how == 2:
            del data[where:]
        elif how == 3:
            data[where:where] = rng.randbytes(rng.choice((1, 4, 100)))
        elif how == 4:
            del data[where:where + rng.choice((1, 4, 16))]
        elif where < len(data):
            data[where] = rng.choice((0, 1, 0x7f, 0x80, 0xff))
    return bytes(data)


class Handshake:
    """Before authentication: plain bytes."""

    LISTS = ("curve25519-sha256,kex-strict-c-v00@openssh.com", "ssh-ed25519", "aes128-ctr", "aes128-ctr",
             "hmac-sha2-256-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "none", "none", "", "")

    def __init__(self, rng, port, source):
        self.rng = rng
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0))
        self.sock.settimeout(TIMEOUT)

    def packet(self, payload):
        """Well-formed, or with lengths that lie."""
        rng = self.rng
        padding = 8 - (len(payload) + 5) % 8
        padding += 8 if padding < 4 else 0
        length = len(payload) + padding + 1
        if rng.random() < 0.1:
            length = rng.choice(NUMBERS)
        if rng.random() < 0.1:
            padding = rng.randrange(256)
        return u32(length) + bytes([padding]) + payload + bytes(padding)

    def kexinit(self):
        lists = list(self.LISTS)
        if self.rng.random() < 0.3:
            lists[self.rng.randrange(10)] = self.rng.choice(("", ",", "a," * 3000, "none", "\0", "x" * 300,
                                                             "curve25519-sha256," * 200))
        return (b"\x14" + self.rng.randbytes(16) + b"".join(map(text, lists))
                + bytes([self.rng.random() < 0.2]) + u32(0))

    def version(self):
        return self.rng.choice((b"SSH-2.0-fuzz\r\n",) * 6 + (
            b"SSH-2.0-" + b"x" * 400 + b"\r\n", b"SSH-1.99-x\n", b"SSH-1.5-x\r\n", b"GET / HTTP/1.0\r\n\r\n",
            b"x\n" * 2000 + b"SSH-2.0-late\r\n", b"SSH-2.0-\x1b[2J\0\xff\r\n", b"\0" * 5000, b"SSH-2.0-no-end"))

    def message(self):
        rng = self.rng
        return mutate(rng, rng.choice((
            self.kexinit, lambda: b"\x1e" + text(rng.randbytes(32)), lambda: b"\x1e" + text(bytes(32)),
            lambda: b"\x1e" + text(rng.randbytes(rng.choice((0, 31, 33, 5000)))), lambda: b"\x15",
            lambda: b"\x05" + text("ssh-userauth"), lambda: b"\x06" + text("ssh-userauth"),
            lambda: b"\x34", lambda: b"\x32" + text("acme") + text("ssh-connection") + text("none"),
            lambda: b"\x5a" + text("session") + u32(0) * 3, lambda: b"\x02" + text(b"x" * 200),
            lambda: b"\x04\1" + text("debug") + text(""), lambda: b"\x07" + u32(70000),
            lambda: b"\x01" + u32(11) + text("bye") + text(""), lambda: b"\x03" + u32(0),
            lambda: bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(200))))())

    def run(self):
        """Until it is closed by either side; a server that waits for more is let alone."""
        rng = self.rng
        try:
            self.sock.sendall(self.version())
            if rng.random() < 0.8:
                self.sock.sendall(self.packet(mutate(rng, self.kexinit()) if rng.random() < 0.5
                                              else self.kexinit()))
            for _ in range(rng.randrange(8)):
                self.sock.sendall(self.packet(self.message()))
            if rng.random() < 0.5:
                self.sock.shutdown(socket.SHUT_WR)
                while self.sock.recv(65536):
                    pass
        except (ConnectionError, BrokenPipeError):
            pass
        finally:
            self.sock.close()


class Channels:
    """After authentication: any message, in any state."""

    def __init__(self, rng, port, source, key):
        self.rng = rng
        self.wire = Wire(port, source, "acme", key, TIMEOUT)
        self.opened = [0, 1]  # ids that the server gave, or will
        self.answers = True   # what it was sent is no reason to wait, or to say nothing

    def channel(self):
        """Mostly one that is there, or was."""
        return self.rng.choice(self.opened[-6:] if self.rng.random() < 0.9 else NUMBERS)

    def number(self):
        return self.rng.choice(NUMBERS)

    def open(self):
        rng = self.rng
        # 10 and less make libssh spin until the watchdog ends the session: test_channels.py.
        packet = rng.choice((32768, 32768, 64, 1 << 20, 0xffffffff))
        kind, rest = rng.choice(KINDS) if rng.random() < 0.2 else KINDS[0]
        self.wire.open(kind, rng.choice((1 << 20, *NUMBERS)), packet, rng.choice((0, 1, 0xffffffff)), rest)
        if self.answers and rng.random() < 0.8:
            got = self.wire.opened()
            if got is not None:
                self.opened.append(got)

    def request(self):
        name, body = self.rng.choice(REQUESTS)
        self.wire.request(self.channel(), name, mutate(self.rng, body), self.rng.random() < 0.7)

    def malformed_request(self):
        name, body = self.rng.choice(REQUESTS)
        payload = u32(self.channel()) + text(name) + b"\1" + body
        self.wire.send(bytes([REQUEST]) + mutate(self.rng, payload))

    def data(self):
        size = self.rng.choice((0, 1, 100, 32768, 200000))
        length = self.number() if self.rng.random() < 0.1 else size
        self.wire.send(bytes([DATA]) + u32(self.channel()) + u32(length) + bytes(size))

    def flood(self):
        """Past any window."""
        channel = self.channel()
        for _ in range(self.rng.choice((3, 50))):
            self.wire.send(bytes([DATA]) + u32(channel) + text(bytes(200000)))

    def extended_data(self):
        self.wire.send(bytes([EXTENDED_DATA]) + u32(self.channel()) + u32(self.number())
                       + text(bytes(self.rng.choice((0, 10, 40000)))))

    def adjust(self):
        for _ in range(self.rng.choice((1, 3, 200))):
            self.wire.send(bytes([WINDOW_ADJUST]) + u32(self.channel()) + u32(self.number()))

    def end(self):
        for _ in range(self.rng.choice((1, 1, 2, 5))):
            self.wire.send(bytes([self.rng.choice((EOF, CLOSE))]) + u32(self.channel()))

    def answer(self):
        """That nobody has asked for."""
        kind = self.rng.choice((81, 82, 91, 92, 99, 100))
        self.wire.send(bytes([kind]) + mutate(self.rng, u32(self.channel()) + u32(0) * 3))

    def ask_globally(self):
        name, body = self.rng.choice(GLOBALS)
        self.wire.send(bytes([GLOBAL_REQUEST]) + mutate(self.rng, text(name) + b"\1" + body))

    def authenticate_again(self):
        self.wire.send(self.rng.choice((
            b"\x32" + text("root") + text("ssh-connection") + text("none"), b"\x34",
            b"\x05" + text("ssh-userauth"), b"\x05" + text("x"), b"\x3d" + u32(1) + text("x"),
            b"\x32" + text("acme") + text("ssh-connection") + text("publickey") + b"\0"
            + text("ssh-ed25519") + text(text("ssh-ed25519") + text(bytes(32))))))

    def transport(self):
        self.answers = False  # there may be a key exchange to finish
        self.wire.send(mutate(self.rng, self.rng.choice((
            b"\x02" + text(b"x" * 3000), b"\x03" + u32(1), b"\x04\1" + text("x") + text(""),
            b"\x07" + u32(1) + text("server-sig-algs") + text("x"), b"\x15", b"\x1e" + text(bytes(32)),
            b"\x14" + bytes(16) + u32(0) * 10 + b"\0" + u32(0), b"\xc0" + text("ping")))))

    def anything(self):
        self.answers = False
        self.wire.send(bytes([self.rng.randrange(256)]) + self.rng.randbytes(self.rng.randrange(60)))

    def unciphered(self):
        self.answers = False  # it may wait for the rest of a packet
        self.wire.send_raw(self.rng.randbytes(self.rng.choice((4, 64, 4096))))

    def open_mutated(self):
        self.wire.send(bytes([CHANNEL_OPEN]) + mutate(self.rng, text("session") + u32(7) + u32(1 << 20)
                                                      + u32(32768)))

    # Those that end the connection come seldom, so that the others meet states worth meeting.
    STEPS = ((open, 20), (request, 20), (malformed_request, 6), (data, 12), (flood, 1), (extended_data, 4),
             (adjust, 5), (end, 8), (answer, 3), (ask_globally, 4), (authenticate_again, 1),
             (transport, 1), (anything, 1), (unciphered, 0.3), (open_mutated, 0.5))

    def run(self):
        steps, weights = zip(*self.STEPS)
        try:
            for step in self.rng.choices(steps, weights, k=self.rng.choice((5, 20, 60))):
                if VERBOSE:
                    print(step.__name__, self.wire.heard.qsize(), flush=True)
                step(self)
            if self.answers and self.rng.random() < 0.7:
                self.wire.is_alive()
        except Gone:
            pass
        finally:
            self.wire.close()


class Fuzzer:
    def __init__(self, log_level):
        self.server = harness.Server(policy=POLICY, log_level=log_level)
        self.server.start()
        self.key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        self.stopping = threading.Event()
        self.bystander_problem, self.bystander_execs = None, 0

    def bystander(self):
        """A client that works all along, on a connection of its own."""
        path, _ = self.server.mux()
        while not self.stopping.is_set():
            text_in = b"%d" % self.bystander_execs * 1000
            got = self.server.ssh("acme", "cat; exit 3", stdin=text_in, flags=["-S", path], timeout=60)
            if (got.code, got.out) != (3, text_in):
                self.bystander_problem = got
                return
            self.bystander_execs += 1

    def source(self, rng):
        """Each connection from another address, so that none pays for the one before."""
        return f"127.{rng.randrange(1, 250)}.{rng.randrange(250)}.{rng.randrange(1, 250)}"

    def one(self, seed):
        rng = random.Random(seed)
        source = self.source(rng)
        if rng.random() < 0.4:
            Handshake(rng, self.server.port, source).run()
        else:
            Channels(rng, self.server.port, source, self.key).run()
        self.check(seed)

    def check(self, seed):
        log = self.server.log()
        if harness.SANITIZER.search(log) or harness.DIED.search(log) or self.server.process.poll():
            raise AssertionError(f"seed {seed}: a process died\n{self.server.log_tail()}")
        if self.bystander_problem:
            raise AssertionError(f"seed {seed}: another client was hurt: {self.bystander_problem}")

    def connect(self):
        return Wire(self.server.port, self.source(random), "acme", self.key, TIMEOUT)

    def session_of(self, before):
        return (set(self.server.session_pids()) - before).pop()

    def churn(self):
        """10,000 channels, one after the other: opened, used in some way, closed. It doesn't grow."""
        before = set(self.server.session_pids())
        wire = self.connect()
        pid = self.session_of(before)
        sizes = []
        for n in range(10000):
            wire.open(mine=n)
            channel = wire.opened()
            assert channel is not None, f"channel {n} was refused"
            if n % 3 == 0:
                wire.request(channel, "env", text("LC_A") + text("x" * 1000))
            if n % 3 == 1:
                wire.send(bytes([DATA]) + u32(channel) + text(b"never read"))
            wire.send(bytes([CLOSE]) + u32(channel))
            wire.wait_for(CLOSE)
            wire.request(channel, "exec", text("true"), False)  # on a dead channel
            if n % 2000 == 1999:
                sizes.append(rss_kib(pid))
        wire.close()
        # AddressSanitizer keeps what was freed for a while.
        if sizes[-1] - sizes[0] > (200 if SANITIZED else 2) * 1024:
            raise AssertionError(f"10,000 channels: the session grows: {sizes} KiB")

    def hoard(self):
        """10,000 channels at once: as many as are allowed, and refusals."""
        before = set(self.server.session_pids())
        wire = self.connect()
        pid = self.session_of(before)
        given = 0
        for n in range(10000):
            wire.open(mine=n)
            given += wire.opened() is not None
        if given != 256 or not wire.is_alive():
            raise AssertionError(f"{given} of 10,000 channels were opened")
        if rss_kib(pid) > (600 if SANITIZED else 24) * 1024:
            raise AssertionError(f"a session with 256 channels has {rss_kib(pid)} KiB")
        wire.close()

    def finish(self):
        """Whatever was done, only the bystander's session is left."""
        wait_until(lambda: len(self.server.session_pids()) <= 1, 40, "the fuzzer's sessions to end")
        wait_until(lambda: len(self.server.exec_pids()) <= 3, 40, "its commands to end")
        self.stopping.set()


def run(fuzzer, args):
    if args.seed is not None:
        print(f"seed {args.seed}")
        try:
            fuzzer.one(args.seed)
        finally:
            print(fuzzer.server.log_tail(200))
        return
    base = random.randrange(1 << 32)
    print(f"seeds from {base}", flush=True)
    helper = threading.Thread(target=fuzzer.bystander)
    helper.start()
    try:
        master = fuzzer.server.process.pid
        until = time.monotonic() + args.seconds
        count, size = 0, 0
        while time.monotonic() < until:
            seed = base + count
            try:
                fuzzer.one(seed)
            except Exception as problem:
                raise AssertionError(f"seed {seed}: {problem!r}\n{fuzzer.server.log_tail()}") from problem
            count += 1
            if count == 50:
                size = rss_kib(master)
        fuzzer.churn()
        fuzzer.hoard()
        if size and rss_kib(master) > size + (100 if SANITIZED else 4) * 1024:
            raise AssertionError(f"the master has grown from {size} to {rss_kib(master)} KiB")
        fuzzer.check(base)
        fuzzer.finish()
    finally:
        fuzzer.stopping.set()
        helper.join()
    if fuzzer.bystander_execs == 0:
        raise AssertionError("the client beside it never got anything done")
    print(f"{count} connections; beside them {fuzzer.bystander_execs} commands of another client")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: this needs root")
        sys.exit(harness.SKIP)
    os.umask(0o022)
    harness.become_subreaper()
    fuzzer = Fuzzer("info" if args.seed is None else "trace")
    try:
        run(fuzzer, args)
        fuzzer.server.stop()
    finally:
        if fuzzer.server.process is not None:
            harness.LIVE.discard(fuzzer.server.process.pid)
            fuzzer.server.process.kill()
            fuzzer.server.process.wait()
        fuzzer.server.remove()


if __name__ == "__main__":
    main()
