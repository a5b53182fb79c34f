"""Every message in every state: before keys are exchanged, while they are, before a login and after.
What a state does not allow opens nothing and ends that connection at most."""
import os
import re
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fuzz"))
from harness import PATIENCE, SANITIZED, KexInit, PosternTest, main, rss_kib, wait_until  # noqa: E402
from ssh_wire import Gone, Wire, paramiko, text, u32  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/sh
"""
DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = range(1, 8)
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
AUTH_REQUEST, AUTH_FAILURE, AUTH_SUCCESS = 50, 51, 52
# What would mean that somebody was let in or got something.
SERVED = {AUTH_SUCCESS, 81, 91, 99}
TIMEOUT = 20 * PATIENCE
STRICT = "kex-strict-c-v00@openssh.com"
LISTS = ("ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256-etm@openssh.com",
         "hmac-sha2-256-etm@openssh.com", "none", "none", "", "")
# A body that many messages would take: strings, numbers and nothing.
BODIES = (b"", text("ssh-userauth"), text("acme") + text("ssh-connection") + text("none"),
          text("session") + u32(0) + u32(1 << 20) + u32(32768), u32(0) + text("exec") + b"\1" + text("id"))


DONE = [KEXINIT, KEX_REPLY, NEWKEYS]
# Messages that libssh knows, but not before KEXINIT.
LATER = {SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO, NEWKEYS, KEX_INIT, KEX_REPLY, *range(50, 54), 60, 61, 66,
         *range(80, 83), *range(90, 101)}


def kexinit(kex, follows=False):
    return (bytes([KEXINIT]) + os.urandom(16) + b"".join(map(text, (kex, *LISTS))) + bytes([follows])
            + u32(0))


class Plain:
    """A connection before any key: packets as they are."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.stream = self.sock.makefile("rb")
        self.version = self.stream.readline()
        self.raw(b"SSH-2.0-states\r\n")

    def raw(self, data):
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def send(self, payload):
        padding = 8 - (len(payload) + 5) % 8
        padding += 8 if padding < 4 else 0
        return self.raw(u32(len(payload) + padding + 1) + bytes([padding]) + payload + bytes(padding))

    def kexinit(self, kex, follows=False):
        return self.send(kexinit(kex, follows))

    def key(self):
        return self.send(bytes([KEX_INIT]) + text(os.urandom(32)))

    def heard(self):
        """The messages up to the end of what can be read: NEWKEYS, or the end of the connection."""
        kinds = []
        try:
            while not kinds or kinds[-1] != NEWKEYS:
                head = self.stream.read(5)
                if len(head) < 5:
                    break
                length, padding = struct.unpack(">IB", head)
                payload = self.stream.read(length - 1)[:length - 1 - padding]
                kinds.append(payload[0])
        except ConnectionError:
            pass
        return kinds

    def close(self):
        self.stream.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class StatesTest(PosternTest):
    server_args = {"policy": POLICY, "server": "max-startups = 100\n", "log_level": "info"}

    def assert_unhurt(self):
        self.assertRan(self.server.ssh("acme", "echo in"), 0, b"in\n")
        wait_until(lambda: not self.server.exec_pids(), TIMEOUT, "the end of all commands")

    def new_session(self, make):
        before = set(self.server.session_pids())
        made = make()
        wait_until(lambda: set(self.server.session_pids()) - before, TIMEOUT, "its session")
        pid, = set(self.server.session_pids()) - before
        return made, pid


class BeforeKeys(StatesTest):
    def test_the_exchange_itself(self):
        with Plain(self.server.port) as peer:
            peer.kexinit("curve25519-sha256," + STRICT)
            peer.key()
            self.assertEqual(peer.heard(), DONE)

    def test_every_message_first(self):
        """Messages of the transport may come before KEXINIT, and unknown ones are said to be; none
        that has its place later may."""
        for kind in set(range(1, 256)) - {KEXINIT}:
            body = text("x") + text("") if kind in (IGNORE, UNIMPLEMENTED, DEBUG) else BODIES[kind % 5]
            with self.subTest(kind=kind), Plain(self.server.port) as peer:
                peer.send(bytes([kind]) + body)
                peer.kexinit("curve25519-sha256")
                peer.key()
                heard = peer.heard()
                if kind in LATER or kind == DISCONNECT:
                    # Even KEXINIT may be lost where the end comes with bytes that nobody has read.
                    self.assertLessEqual(set(heard), {KEXINIT, DISCONNECT, UNIMPLEMENTED})
                elif kind in (IGNORE, UNIMPLEMENTED, DEBUG):
                    self.assertEqual(heard, DONE)
                else:
                    self.assertEqual(heard, [KEXINIT, UNIMPLEMENTED, KEX_REPLY, NEWKEYS])
        self.assert_unhurt()

    def cut_off(self, *sent):
        """What is sent ends the connection, with the client's NEWKEYS at the latest."""
        with Plain(self.server.port) as peer:
            for payload in sent:
                peer.send(payload)
            peer.key()
            heard = peer.heard()
            self.assertFalse(SERVED & set(heard), heard)
            if NEWKEYS in heard:
                peer.send(bytes([NEWKEYS]))
                self.assertFalse(peer.heard())
            return NEWKEYS in heard

    def test_every_message_within_a_strict_exchange(self):
        """Not one, be it ever so harmless, may stand between KEXINIT and NEWKEYS."""
        line = "protocol error: Received unexpected packets in strict KEX mode."
        told, start = 0, self.server.log().count(line)
        for kind in set(range(1, 256)) - {KEX_INIT}:
            with self.subTest(kind=kind):
                told += self.cut_off(kexinit("curve25519-sha256," + STRICT),
                                     bytes([kind]) + text("x") + text(""))
        self.assertGreater(told, 100)
        wait_until(lambda: self.server.log().count(line) == start + told, TIMEOUT, "the log's lines")
        self.assert_unhurt()

    def test_a_message_before_a_strict_kexinit(self):
        self.assertTrue(self.cut_off(bytes([IGNORE]) + text("x"), kexinit("curve25519-sha256," + STRICT)))

    def test_a_guess(self):
        """A wrong one is passed over, a right one is the key, and nobody waits for another."""
        best = KexInit(self.server.port).kex[0]
        names = ("curve25519-sha256", "curve25519-sha256@libssh.org")
        if best not in names:
            self.skipTest(f"{best} comes first here: its keys are not made of {names[0]}'s")
        other = names[best == names[0]]
        for strict in ("", "," + STRICT):
            with self.subTest(strict=strict), Plain(self.server.port) as peer:
                peer.kexinit(best + strict, follows=True)
                peer.key()
                self.assertEqual(peer.heard(), DONE)
            with self.subTest(strict=strict), Plain(self.server.port) as peer:
                peer.kexinit(other + "," + best + strict, follows=True)
                peer.send(bytes([KEX_INIT]) + text(b"a guess that is no key"))
                peer.key()
                self.assertEqual(peer.heard(), DONE)

    def test_floods_cost_no_memory(self):
        """Messages that nobody counts: it goes on and keeps none of them, or it hangs up."""
        floods = {"ignore": bytes([IGNORE]) + text(bytes(30000)),
                  "debug": bytes([DEBUG]) + b"\0" + text(bytes(30000)) + text(""),
                  "ext-info": bytes([EXT_INFO]) + u32(1) + text("x") + text(bytes(30000)),
                  "ping": bytes([192]) + text(bytes(30000)),
                  "kexinit": bytes([KEXINIT]) + bytes(16) + text("a," * 14000) + u32(0) * 9 + b"\0" + u32(0)}
        for name, payload in floods.items():
            with self.subTest(name=name):
                peer, pid = self.new_session(lambda: Plain(self.server.port))
                with peer:
                    sizes = []
                    for n in range(1000):
                        if not peer.send(payload):
                            break
                        if n % 100 == 50 and os.path.exists(f"/proc/{pid}/status"):
                            try:
                                sizes.append(rss_kib(pid))
                            except (OSError, TypeError, AttributeError, KeyError):
                                break  # it has just gone
                    if len(sizes) > 1:
                        self.assertLess(sizes[-1] - sizes[0], (64 if SANITIZED else 2) * 1024, sizes)
        self.assert_unhurt()


class Keyed:
    """A connection with keys, whose login is the caller's."""

    def __init__(self, port):
        self.transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port), TIMEOUT))
        self.transport.banner_timeout = TIMEOUT
        self.kinds = []
        read = self.transport.packetizer.read_message

        def read_message():
            kind, message = read()
            self.kinds.append(kind)
            return kind, message
        self.transport.packetizer.read_message = read_message
        self.transport.start_client(timeout=TIMEOUT)

    def exchange(self, *payloads):
        """All that comes until the connection has ended; it is ended behind the payloads."""
        try:
            for payload in payloads:
                Wire.send(self, payload)
            Wire.send(self, bytes([DISCONNECT]) + u32(11) + text("") + text(""))
        except Gone:
            pass
        self.transport.join(TIMEOUT)
        assert not self.transport.is_alive(), "the server does not hang up"
        self.transport.close()
        return set(self.kinds)


class BeforeLogin(StatesTest):
    REQUEST = bytes([SERVICE_REQUEST]) + text("ssh-userauth")
    OPEN = b"\x5a" + BODIES[3]
    EXEC = b"\x62" + BODIES[4]

    def test_every_message(self):
        """Neither before nor behind the service's request, nor as the answer to a refused login."""
        none = bytes([AUTH_REQUEST]) + BODIES[2]
        for name, before in {"keys": (), "service": (self.REQUEST,), "refused": (self.REQUEST, none)}.items():
            for kind in range(1, 256):
                if kind in (KEXINIT, DISCONNECT):
                    continue
                with self.subTest(state=name, kind=kind):
                    payload = bytes([kind]) + BODIES[kind % 5]
                    heard = Keyed(self.server.port).exchange(*before, payload, self.OPEN, self.EXEC)
                    self.assertFalse(SERVED & heard, heard)
        self.assert_unhurt()

    def test_the_service_itself(self):
        peer = Keyed(self.server.port)
        Wire.send(peer, self.REQUEST)
        wait_until(lambda: SERVICE_ACCEPT in peer.kinds, TIMEOUT, "the answer")
        peer.exchange()

    def test_messages_of_a_server(self):
        """A client that says that it is in, is not."""
        for kind in (SERVICE_ACCEPT, AUTH_SUCCESS, 60, 81, 91, 99):
            with self.subTest(kind=kind):
                heard = Keyed(self.server.port).exchange(self.REQUEST, bytes([kind]), self.OPEN, self.EXEC)
                self.assertFalse(SERVED & heard, heard)
        self.assert_unhurt()


    def test_every_kind_of_attempt_counts(self):
        """Whatever method it names, and in whatever order: six refusals, and it is over."""
        who = text("acme") + text("ssh-connection")
        blob = text(text("ssh-ed25519") + text(os.urandom(32)))
        kinds = (text("password") + b"\0" + text("secret"), text("keyboard-interactive") + text("") * 2,
                 text("publickey") + b"\0" + text("ssh-ed25519") + blob,
                 text("publickey") + b"\1" + text("ssh-ed25519") + blob + text(text("ssh-ed25519") + text(bytes(64))),
                 text("hostbased") + text("ssh-ed25519") + blob + text("h") + text("u") + text(""),
                 text("publickey,publickey,password"), text("none"))
        for shift in range(len(kinds)):
            order = [kinds[(shift + n) % len(kinds)] for n in range(40)]
            with self.subTest(first=order[0][:24]):
                peer = Keyed(self.server.port)
                port = peer.transport.sock.getsockname()[1]
                heard = peer.exchange(self.REQUEST, *(bytes([AUTH_REQUEST]) + who + kind for kind in order))
                self.assertFalse(SERVED & heard, heard)
                self.server.wait_log(rf"maximum authentication attempts exceeded for acme from \S+ port {port} ")
                # What was sent behind them may be answered, but by nobody who judges it.
                judged = re.findall(rf" Failed (\S+) for acme from \S+ port {port} ", self.server.log())
                # Only a "none" that comes first is free: it asks which methods there are.
                self.assertEqual(len(judged), 7 if judged[0] == "none" else 6, judged)
        self.assert_unhurt()


class Working(StatesTest):
    def test_data_past_the_window(self):
        """A client that sends what nobody has made room for is cut off, or it is not kept."""
        key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        wire, pid = self.new_session(lambda: Wire(self.server.port, "127.0.0.1", "acme", key, TIMEOUT))
        try:
            wire.open()
            channel = wire.opened()
            wire.request(channel, "exec", text("sleep 1000"))
            wire.wait_for(99)
            before = rss_kib(pid)
            for _ in range(64 * 32):
                wire.send(b"\x5e" + u32(channel) + text(bytes(32000)))
            self.assertTrue(wire.is_alive())
            self.assertLess(rss_kib(pid) - before, (64 if SANITIZED else 8) * 1024)
        except Gone:
            pass
        finally:
            wire.close()
        wait_until(lambda: not self.server.exec_pids(), TIMEOUT, "the end of its command")
        self.assert_unhurt()

    def test_every_message(self):
        """While a command runs: it ends this connection at most, another one notices nothing."""
        key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        beside = self.server.popen_ssh("acme", "echo on; cat")
        self.assertEqual(beside.stdout.readline(), b"on\n")
        for kind in set(range(1, 256)) - {KEXINIT}:
            with self.subTest(kind=kind):
                wire = Wire(self.server.port, "127.0.0.1", "acme", key, TIMEOUT)
                try:
                    wire.open()
                    wire.request(wire.opened(), "exec", text("cat"))
                    wire.send(bytes([kind]) + BODIES[kind % 5])
                    wire.is_alive()
                except Gone:
                    pass
                finally:
                    wire.close()
        self.assertEqual(beside.communicate(b"still", timeout=TIMEOUT)[0], b"still")
        wait_until(lambda: not self.server.exec_pids(), TIMEOUT, "the end of all commands")


if __name__ == "__main__":
    main()
