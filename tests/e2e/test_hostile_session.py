"""posternd with a session program that has gone over to its client: whatever that sends, the master
ends the connection and says why, loses nothing by it, and goes on serving everybody else.

Each step of an attack is a line to hostile-session (hostile_session.c); tearDown() checks after every
test that the master is unharmed.
"""
import base64
import hashlib
import os
import re
import signal
import socket
import struct
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from harness import (BUILD, PATIENCE, PosternTest, exe_of, main, open_files, processes, uid_of,
                     wait_until)

HOSTILE = os.path.realpath(os.path.join(BUILD, "tests/e2e/hostile-session"))
MAX_CHANNELS, MAX_AUTH_TRIES, MAX_CONNECTIONS = 4, 3, 3
AUTH_REQUESTS_MAX = 64   # of any kind in one connection
LOG_LINES_PER_SECOND = 50
DENIALS_AT_ONCE, DENIALS_PER_SECOND = 500, 20
USER_MAX, BLOB_MAX, COMMAND_MAX, LINE_MAX, ENV_COUNT_MAX = 256, 8192, 65536, 1024, 64
HASH_MAX, EXCHANGE_MAX, SIGNATURE_MAX, HOST_KEYS_MAX = 64, 65536, 4096, 8
EXCHANGES_EARLY_MAX, EXCHANGES_MAX, EXCHANGES_PER_SECOND = 10, 600, 10
DATAGRAM_MAX = 256 * 1024
COMMAND, SUBSYSTEM = 0, 2
IDLE, OUTPUT = 0, 1  # limits that a session watches
SERVER = f"""
session-path    = {HOSTILE}
max-channels    = {MAX_CHANNELS}
max-auth-tries  = {MAX_AUTH_TRIES}
max-connections = {MAX_CONNECTIONS}
source-exempt   = 127.0.0.1
# Descriptors are counted.
ready-sandboxes = 0
"""
POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 20
[tenant "line"]
extends   = acme
user      = line
max-execs = 1
queue     = 60s
[sandbox "terse"]
output    = 1000
idle-time = 60s
[tenant "terse"]
extends   = acme
user      = terse
sandbox   = terse
[tenant "umbra"]
keys      = keys/bob
sandbox   = plain
shell     = /bin/bash
[tenant "open"]
auth      = none
sandbox   = plain
shell     = /bin/bash
"""
MASTERS_OWN = ("EVT_START", "ANS_AUTH", "ANS_SIGN", "ANS_ENV", "ANS_EXEC", "EVT_NOTE", "EVT_EXIT", "EVT_CLOSE")
FOREIGN = ("EVT_KEYS", "SIGNER_READY", "REQ_SIGN_FOR", "ANS_SIGN_FOR", "EVT_SETUP", "ZYGOTE_READY", "REQ_ACCEPT", "ANS_ACCEPT", "EVT_DIED", "REQ_SPAWN",
           "ANS_SPAWN")


def u32(value):
    return struct.pack(">I", value)


def text(value):
    """A string on the wire."""
    return u32(len(value)) + value + b"\0"


def data(value):
    return u32(len(value)) + value


def hexed(value):
    return value.hex() or "-"


def req_auth(user=b"acme", method=b"publickey", blob=b"", signature=b""):
    return text(user) + text(method) + data(blob) + data(signature)


def req_sign(key=0, algorithm=b"ssh-ed25519", value=b"x", digest_len=32):
    return u32(key) + text(algorithm) + data(value) + bytes([digest_len])


def req_exec(command=b"true", kind=0, truncated=0):
    no_strings = u32(0) + data(b"")
    no_terminal = bytes(1) + u32(0) * 4 + data(b"") + data(b"") + bytes(1)
    return (u32(1) + bytes([kind]) + data(command) + bytes([truncated]) + no_terminal
            + no_strings * 2)


def raw(kind, body=b""):
    return f"raw {kind} {hexed(body)}"


class Client:
    """A TCP client that its session obeys."""

    def __init__(self, server, address="127.0.0.1"):
        self.server = server
        self.socket = socket.create_connection(("127.0.0.1", server.port), 30 * PATIENCE,
                                               source_address=(address, 0))
        self.port = self.socket.getsockname()[1]
        self.stream = self.socket.makefile("rb")
        self.session_id = None
        word, self.id, self.version = (self.read().split(" ", 2) + ["", ""])[:3]
        if word != "connection":
            raise AssertionError(f"not served: {word!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def read(self):
        return self.stream.readline().decode().rstrip("\n")

    def tell(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def ask(self, line):
        self.tell(line)
        return self.read()

    def call(self, line):
        """Sends a message; the master's answer to it."""
        if self.ask(line) != "sent 1":
            raise AssertionError(f"not sent: {line}")
        return self.ask("recv")

    def twist(self, times=1, fds=0, cut=0, pad=0):
        if self.ask(f"next {times} {fds} {cut} {pad}") != "next":
            raise AssertionError("the message can't be twisted like that")

    def made_exchange(self, key=0, **other):
        """What is hashed for a key exchange of this connection."""
        fields = {"version": self.version.encode(), "host_key": self.server.host_key_blob(key),
                  **other}
        return exchange(**fields)

    def sign(self, value=None, algorithm="ssh-ed25519", key=0, digest_len=32):
        """Has the master sign a key exchange; its answer."""
        return self.call(sign_line(self.made_exchange(key) if value is None else value, algorithm,
                                   key, digest_len))

    def exchange(self, key=0):
        """As if a key exchange had taken place: the first gives the session its id."""
        if self.session_id is None:
            value = self.made_exchange(key)
            self.session_id = hashlib.sha256(value).digest()
            if not re.fullmatch(r"ANS_SIGN [0-9a-f]{128}", self.sign(value, key=key)):
                raise AssertionError("no signature")
        return self

    def auth(self, user="acme", key="alice", method="publickey", proof=True):
        if proof:
            self.exchange()
        return self.call(auth_line(self.server, user, key, method,
                                   self.session_id if proof else None))

    def log_in(self):
        if self.auth() != "ANS_AUTH 1":
            raise AssertionError("a listed key was refused")
        return self

    def wait_end(self):
        """The master has ended it: the session can't hold on to the socket."""
        self.socket.settimeout(8 * PATIENCE)
        try:
            while self.stream.readline():
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise AssertionError(f"connection {self.id} was not ended") from None


def public_blob(server, key):
    with open(server.path(f"user_{key}.pub"), encoding="utf-8") as f:
        return base64.b64decode(f.read().split()[1])


def exchange(version, host_key, theirs=b"\x14", ours=b"\x14", parts=3):
    """What a key exchange hashes (RFC 4253 section 8); no two are the same."""
    return (data(b"SSH-2.0-hostile") + data(version) + data(theirs) + data(ours) + data(host_key)
            + b"".join(data(os.urandom(32)) for _ in range(parts)))


def sign_line(value=b"x", algorithm="ssh-ed25519", key=0, digest_len=32):
    return f"sign {key} {algorithm} {digest_len} {hexed(value)}"


def request_to_sign(session_id, user, blob, algorithm=b"ssh-ed25519", service=b"ssh-connection",
                    method=b"publickey", has_signature=1):
    """What a client signs (RFC 4252 section 7)."""
    return (data(session_id) + b"\x32" + data(user) + data(service) + data(method)
            + bytes([has_signature]) + data(algorithm) + data(blob))


def ssh_sign(server, key, request, algorithm=None):
    """An SSH signature (RFC 4253 section 6.6) with a user's private key."""
    with open(server.path(f"user_{key}"), "rb") as f:
        private = serialization.load_ssh_private_key(f.read(), None)
    if isinstance(private, rsa.RSAPrivateKey):
        algorithm = algorithm or b"rsa-sha2-512"
        digest = {b"rsa-sha2-512": hashes.SHA512, b"rsa-sha2-256": hashes.SHA256,
                  b"ssh-rsa": hashes.SHA1}[algorithm]
        return data(algorithm) + data(private.sign(request, padding.PKCS1v15(), digest()))
    return data(algorithm or b"ssh-ed25519") + data(private.sign(request))


def auth_line(server, user="acme", key="alice", method="publickey", session_id=None):
    """A claim of a key; a query if no session id is known."""
    blob, signature = public_blob(server, key), b""
    if session_id is not None:
        signature = ssh_sign(server, key, request_to_sign(session_id, user.encode(), blob))
    return f"auth {method} {user} {hexed(signature)} {hexed(blob)}"


def exec_line(channel, command=b"sleep 300", kind=COMMAND, names=0, values=0):
    return f"exec {channel} {kind} {hexed(command)} {names} {values}"


def stand_ins():
    return {pid: ppid for pid, (ppid, state, _) in processes().items()
            if state not in "ZX" and exe_of(pid) == HOSTILE}


class HostileTest(PosternTest):
    server_args = {"policy": POLICY, "server": SERVER, "keys": ("alice", "bob", "mallory")}

    def setUp(self):
        self.clients = []
        self.wait_idle()
        self.assert_serves()
        self.wait_idle()
        self.fds = self.open_fds()
        self.begun = len(self.server.log())

    def tearDown(self):
        for client in self.clients:
            client.__exit__()
        self.assertIsNone(self.server.process.poll())
        self.wait_idle()
        self.assert_serves()
        self.wait_idle()
        wait_until(lambda: self.open_fds() == self.fds, 5,
                   f"{self.open_fds()} descriptors to be {self.fds} again")

    def open_fds(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def session_pids(self):
        zygotes = self.zygote_pids()
        return [pid for pid in stand_ins() if pid not in zygotes]

    def zygote_pids(self):
        return [pid for pid, ppid in stand_ins().items() if ppid == self.server.process.pid]

    def connections(self):
        """Those that the master has not forgotten: it holds a pidfd of each one's session."""
        return sum("pidfd" in path for path in open_files(self.server.process.pid))

    def wait_idle(self):
        wait_until(lambda: not self.session_pids() and not self.server.exec_pids()
                   and not self.server.worker_pids() and not self.connections(), 15,
                   "sessions and execs to end")

    def client(self, address="127.0.0.1"):
        client = Client(self.server, address)
        self.clients.append(client)
        return client

    def assert_serves(self):
        """All the way: a login, an exec, its output and its end."""
        with Client(self.server) as client:
            client.log_in()
            self.assertRegex(client.call(exec_line(1, b"echo served")), r"\AANS_EXEC 1 1 \S+\Z")
            self.assertEqual(client.ask("output"), f"output {b'served'.hex()}0a")
            self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 0")

    def lines(self, client):
        """What the log says of a connection or its execs, beyond debugging."""
        return [line for line in self.server.log()[self.begun:].splitlines()
                if re.search(rf"\b{re.escape(client.id)}\b", line)
                and not re.search(r"\bdebug\b", line.split(client.id)[0])]

    def assert_ended(self, client, why):
        """Its socket is closed, and one line says why."""
        client.wait_end()
        found = [line for line in self.lines(client) if " ended: " in line]
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], rf"info +connection {re.escape(client.id)} from 127\.0\.0\.1 "
                                   rf"port {client.port} ended: {re.escape(why)}\Z")

    def assert_violation(self, client, why):
        self.assert_ended(client, "protocol violation by its session")
        found = [line for line in self.lines(client) if re.search(r"\berror\b", line)]
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], rf"error +connection {re.escape(client.id)}: its session broke "
                                   rf"the protocol: {re.escape(why)}\Z")

    def assert_refused(self, cases, log_in):
        """cases: (steps or twist, line to send, what the log says)."""
        for twist, line, why in cases:
            with self.subTest(line=line[:60], **twist), Client(self.server) as client:
                if log_in:
                    client.log_in()
                client.twist(**twist)
                client.tell(line)
                self.assert_violation(client, why)
            self.wait_idle()


class Protocol(HostileTest):
    def test_too_early(self):
        early = "message {} is not allowed in this state".format
        before = len(self.server.audit(event="start"))
        self.assert_refused([({}, exec_line(1), early("REQ_EXEC")),
                             ({}, "env 1 LANG C", early("REQ_ENV")),
                             ({}, "done 1", early("EVT_DONE")),
                             ({}, "gone 1", early("EVT_GONE"))], log_in=False)
        self.assertEqual(len(self.server.audit(event="start")), before)

    def test_too_late(self):
        self.assert_refused([({}, auth_line(self.server, session_id=i),
                              "message REQ_AUTH is not allowed in this state")
                             for i in (None, b"i" * 32)], log_in=True)

    def test_messages_of_others(self):
        cases = [({}, raw(name), f"message {name} does not belong here")
                 for name in MASTERS_OWN + FOREIGN]
        self.assert_refused(cases, log_in=False)
        self.assert_refused(cases[:len(MASTERS_OWN)], log_in=True)

    def test_unknown_types(self):
        self.assert_refused([({}, raw(n), f"unknown message type {n}")
                             for n in (0, 1000, 2**31, 2**32 - 1)]
                            + [({"cut": 2}, raw("EVT_LOG"), "unknown message type 0")],
                            log_in=False)

    def test_malformed(self):
        bad = "message {} is malformed".format
        blob = b"b" * (BLOB_MAX + 1)
        self.assert_refused([
            ({"cut": 1}, "log 3 aa", bad("EVT_LOG")),
            ({"pad": 1}, "log 3 aa", bad("EVT_LOG")),
            ({"cut": 1}, auth_line(self.server), bad("REQ_AUTH")),
            ({"pad": 1}, auth_line(self.server), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH"), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH", req_auth(user=b"u" * (USER_MAX + 1))), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH", req_auth(user=b"ac\0me")), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH", req_auth(method=b"m" * 65)), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH", req_auth(blob=blob)), bad("REQ_AUTH")),
            ({}, raw("REQ_AUTH", req_auth(signature=b"s" * (SIGNATURE_MAX + 1))), bad("REQ_AUTH")),
            ({"cut": 1}, sign_line(), bad("REQ_SIGN")),
            ({"pad": 1}, sign_line(), bad("REQ_SIGN")),
            ({}, raw("REQ_SIGN", req_sign(key=HOST_KEYS_MAX)), bad("REQ_SIGN")),
            ({}, raw("REQ_SIGN", req_sign(algorithm=b"a" * 65)), bad("REQ_SIGN")),
            ({}, raw("REQ_SIGN", req_sign(value=b"x" * (EXCHANGE_MAX + 1))), bad("REQ_SIGN")),
            ({}, raw("REQ_SIGN", req_sign(digest_len=HASH_MAX + 1)), bad("REQ_SIGN")),
            ({}, raw("REQ_AUTH", u32(2**32 - 1) + b"acme"), bad("REQ_AUTH")),
            ({}, raw("EVT_LOG", b"\3" + text(b"x" * (LINE_MAX + 1))), bad("EVT_LOG")),
            ({"pad": DATAGRAM_MAX}, "log 3 aa", "message or its descriptors truncated"),
        ], log_in=False)
        self.assert_refused([
            ({"cut": 1}, exec_line(1), bad("REQ_EXEC")),
            ({"pad": 1}, exec_line(1), bad("REQ_EXEC")),
            ({}, raw("REQ_EXEC", req_exec(kind=3)), bad("REQ_EXEC")),
            ({}, raw("REQ_EXEC", req_exec(truncated=2)), bad("REQ_EXEC")),
            ({}, raw("REQ_EXEC", req_exec(b"c" * (COMMAND_MAX + 1))), bad("REQ_EXEC")),
            ({"cut": 1}, "done 1", bad("EVT_DONE")),
            ({"pad": 1}, "gone 1", bad("EVT_GONE")),
            ({"pad": 1}, "env 1 LANG C", bad("REQ_ENV")),
        ], log_in=True)

    def test_well_formed_by_hand(self):
        """What the tests above spoil is right without the spoiling."""
        client = self.client()
        self.assertEqual(client.call(raw("REQ_AUTH", req_auth(user=b"u" * USER_MAX))), "ANS_AUTH 0")
        self.assertRegex(client.call(raw("REQ_SIGN", req_sign(value=client.made_exchange()))),
                         r"\AANS_SIGN [0-9a-f]{128}\Z")
        client = self.client().log_in()
        self.assertRegex(client.call(raw("REQ_EXEC", req_exec(b"true"))), r"ANS_EXEC 1 1 \S+")

    def test_surplus_descriptors(self):
        cases = [({"fds": n}, "log 3 aa", f"message EVT_LOG with {n} descriptors")
                 for n in (1, 3, 16)]
        cases += [({"fds": n}, "log 3 aa", "message or its descriptors truncated")
                  for n in (17, 253)]
        cases += [({"fds": 2}, auth_line(self.server), "message REQ_AUTH with 2 descriptors")]
        self.assert_refused(cases, log_in=False)

    def test_empty_datagrams(self):
        for n in (0, 3, 253):
            client = self.client()
            client.twist(fds=n)
            # The session stays, and so would the socket, if the master kept a copy of it.
            client.tell("empty")
            client.wait_end()
            self.server.wait_log(rf"connection {client.id} closed", start=self.begun)

    def test_channels_that_do_not_exist(self):
        client = self.client().log_in()
        for line in ("gone 7", "done 7", "gone 4294967295", "done 0"):
            client.twist(times=100)
            self.assertEqual(client.ask(line), "sent 100")
        self.assertRegex(client.call(exec_line(7, b"echo on")), r"ANS_EXEC 7 1 \S+")
        self.assertEqual(client.ask("output"), f"output {b'on'.hex()}0a")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 7 0 0")
        self.assertEqual(self.lines(client), [])


class Authentication(HostileTest):
    def failures(self, client):
        return [line for line in self.server.log()[self.begun:].splitlines()
                if re.search(rf"info +Failed \S+ for (invalid user )?\S* ?from 127\.0\.0\.1 port "
                             rf"{client.port} ssh2", line)]

    def flood(self, key, proof):
        client = self.client().exchange()
        client.twist(times=1000)
        client.tell(auth_line(self.server, key=key, session_id=client.session_id if proof else None))
        self.assert_ended(client, "too many authentication requests")
        return client

    def test_flood_with_unlisted_key(self):
        client = self.flood("mallory", proof=True)
        self.assertEqual(len(self.failures(client)), AUTH_REQUESTS_MAX)
        records = self.server.audit(event="auth", connection=client.id)
        self.assertEqual([r["result"] for r in records], ["failed"] * AUTH_REQUESTS_MAX)
        self.assertEqual({r["key"] for r in records}, {self.server.fingerprint("mallory")})

    def test_flood_with_queries(self):
        client = self.flood("alice", proof=False)
        self.assertEqual(self.failures(client), [])
        self.assertEqual(self.server.audit(event="auth", connection=client.id), [])

    def test_queries_are_answered_up_to_the_bound(self):
        client = self.client()
        for _ in range(AUTH_REQUESTS_MAX):
            self.assertEqual(client.auth(proof=False), "ANS_AUTH 1")
        client.tell(auth_line(self.server))
        self.assert_ended(client, "too many authentication requests")
        self.assertEqual(self.server.audit(event="auth", connection=client.id), [])

    def test_query_is_no_login(self):
        client = self.client()
        self.assertEqual(client.auth(proof=False), "ANS_AUTH 1")
        client.tell(exec_line(1))
        self.assert_violation(client, "message REQ_EXEC is not allowed in this state")

    def try_after(self, failures, method="publickey"):
        client = self.client()
        for _ in range(failures):
            self.assertEqual(client.auth(key="mallory", method=method), "ANS_AUTH 0")
        return client, client.auth()

    def test_failures_count(self):
        for n, last in ((MAX_AUTH_TRIES - 1, 1), (MAX_AUTH_TRIES, 0), (MAX_AUTH_TRIES + 1, 0)):
            with self.subTest(failures=n):
                client, answer = self.try_after(n)
                self.assertEqual(answer, f"ANS_AUTH {last}")
                self.assertEqual(len(self.failures(client)), n + (1 - last))
                client.__exit__()

    def test_only_the_first_none_is_free(self):
        for n, last in ((MAX_AUTH_TRIES, 1), (MAX_AUTH_TRIES + 1, 0)):
            with self.subTest(nones=n):
                client, answer = self.try_after(n, "none")
                self.assertEqual(answer, f"ANS_AUTH {last}")
                client.__exit__()

    def test_changed_user_is_never_accepted(self):
        # (who asks first, with which key; who then, with which)
        for first, then in ((("nobody", "mallory"), ("acme", "alice")),
                            (("umbra", "mallory"), ("acme", "alice")),
                            (("acme", "mallory"), ("umbra", "bob")),
                            (("Acme", "alice"), ("acme", "alice"))):
            with self.subTest(first=first, then=then), Client(self.server) as client:
                self.assertEqual(client.auth(*first), "ANS_AUTH 0")
                self.assertEqual(client.auth(*then), "ANS_AUTH 0")
                self.assertEqual(client.auth(*then, proof=False), "ANS_AUTH 0")
                self.assertEqual(self.server.audit(connection=client.id, result="accepted"), [])
            self.wait_idle()

    def test_a_key_beside_the_method_none_is_nobodys(self):
        client = self.client()
        self.assertEqual(client.auth(user="open", key="alice", method="none"), "ANS_AUTH 1")
        accepted = self.server.wait_audit(event="auth", connection=client.id)[-1]
        self.assertEqual((accepted["tenant"], accepted["key_comment"]), ("open", None))
        self.assertRegex(client.call(exec_line(1, b"echo $POSTERN_KEY")), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.ask("output"), "output 0a")
        start = self.server.wait_audit(event="start", connection=client.id)[-1]
        self.assertEqual((start["tenant"], start["key"]), ("open", None))

    def test_key_of_another_tenant_or_method(self):
        for how in ({"user": "acme", "key": "bob"}, {"user": "umbra", "key": "alice"},
                    {"method": "password"}, {"method": "hostbased"}, {"method": "none"},
                    {"method": "publickey2"}):
            with self.subTest(**how), Client(self.server) as client:
                self.assertEqual(client.auth(**how), "ANS_AUTH 0")
            self.wait_idle()


class Claims(HostileTest):
    """Of a listed key, by a session that has everything but a signature of its owner's."""
    server_args = {"policy": POLICY + """
[tenant "big"]
keys    = keys/rsa
sandbox = plain
shell   = /bin/bash
""", "server": SERVER, "keys": ("alice", "bob", "mallory")}

    @classmethod
    def setUpClass(cls):
        new_server = cls.new_server

        def with_rsa(**how):
            server = new_server(**how)
            server.user_key("rsa", "rsa", 2048)
            return server
        cls.new_server = with_rsa
        super().setUpClass()

    def claim(self, client, user, key, signature):
        return client.call(f"auth publickey {user} {hexed(signature)} "
                           f"{hexed(public_blob(self.server, key))}")

    def assert_wrong(self, what, signature, user="acme", key="alice", kind="ED25519"):
        """It is refused, counted and written down; the session can do no more than before."""
        with self.subTest(what), Client(self.server) as client:
            client.exchange()
            if callable(signature):
                signature = signature(client.session_id)
            self.assertEqual(self.claim(client, user, key, signature), "ANS_AUTH 0")
            self.server.wait_log(
                rf"info +Failed publickey for {user} from 127\.0\.0\.1 port {client.port} ssh2: "
                rf"{kind} {re.escape(self.server.fingerprint(key))}: the signature is wrong "
                rf"\(\S*policy\.d/keys/{key}:1\)\n", start=self.begun)
            record, = self.server.audit(event="auth", connection=client.id)
            self.assertEqual((record["result"], record["reason"]),
                             ("failed", "the signature is wrong"))
            client.tell(exec_line(1))
            self.assert_violation(client, "message REQ_EXEC is not allowed in this state")
            self.assertEqual(self.server.audit(event="start", connection=client.id), [])
        self.wait_idle()

    def test_with_a_wrong_signature(self):
        server = self.server
        alice = public_blob(server, "alice")
        with Client(server) as client:
            other = client.exchange().session_id
        self.wait_idle()

        def signed(key="alice", user=b"acme", blob=alice, algorithm=None, **how):
            return lambda session_id: ssh_sign(server, key, request_to_sign(session_id, user, blob,
                                                                            **how), algorithm)

        def spoilt(change):
            return lambda session_id: change(signed()(session_id))
        for what, signature in (
                ("of another session", lambda _: signed()(other)),
                ("of an empty session id", lambda _: signed()(b"")),
                ("by another key", signed("mallory")),
                ("of another user", signed(user=b"umbra")),
                ("of another key", signed(blob=public_blob(server, "bob"))),
                ("for another service", signed(service=b"ssh-userauth")),
                ("for another method", signed(method=b"hostbased")),
                ("of a query", signed(has_signature=0)),
                ("of another algorithm", signed(algorithm=b"ecdsa-sha2-nistp256")),
                ("of no algorithm", signed(algorithm=b"none")),
                ("over another algorithm", lambda i: ssh_sign(server, "alice", request_to_sign(
                    i, b"acme", alice, b"ssh-ed25519-cert-v01@openssh.com"))),
                ("with a flipped bit", spoilt(lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
                ("cut", spoilt(lambda s: s[:-1])),
                ("lengthened", spoilt(lambda s: s + b"\0")),
                ("of one byte", b"x"),
                ("of many bytes", b"x" * SIGNATURE_MAX)):
            self.assert_wrong(what, signature)

    def test_with_another_digest(self):
        big = public_blob(self.server, "rsa")

        def signed(inside, outside, named=None):
            def sign(session_id):
                signature = ssh_sign(self.server, "rsa",
                                     request_to_sign(session_id, b"big", big, inside), outside)
                return signature if named is None else signature.replace(outside, named)
            return sign
        for what, how in (("inside", (b"rsa-sha2-256", b"rsa-sha2-512")),
                          ("outside", (b"rsa-sha2-512", b"rsa-sha2-256")),
                          ("in name", (b"rsa-sha2-512", b"rsa-sha2-512", b"rsa-sha2-256")),
                          ("SHA-1", (b"ssh-rsa", b"ssh-rsa"))):
            self.assert_wrong(what, signed(*how), "big", "rsa", "RSA")
        for name in (b"rsa-sha2-256", b"rsa-sha2-512"):
            with Client(self.server) as client:
                client.exchange()
                self.assertEqual(self.claim(client, "big", "rsa",
                                            signed(name, name)(client.session_id)), "ANS_AUTH 1")
            self.wait_idle()

    def test_before_any_key_exchange(self):
        client = self.client()
        client.tell(auth_line(self.server, session_id=b"s" * 32))
        self.assert_ended(client, "its session claimed a key before any key exchange")
        self.assertEqual(self.server.audit(event="auth", connection=client.id), [])

    def test_in_a_later_key_exchange(self):
        """The first gives the session its id, once and for all."""
        client = self.client().exchange()
        first, later = client.session_id, client.made_exchange()
        self.assertRegex(client.sign(later, digest_len=64), "ANS_SIGN ")
        client.session_id = hashlib.sha512(later).digest()
        self.assertEqual(client.auth(), "ANS_AUTH 0")
        client.session_id = first
        self.assertEqual(client.auth(), "ANS_AUTH 1")

    def test_failures_count(self):
        client = self.client().exchange()
        for _ in range(MAX_AUTH_TRIES):
            self.assertEqual(self.claim(client, "acme", "alice", b"x"), "ANS_AUTH 0")
        self.assertEqual(client.auth(), "ANS_AUTH 0")
        self.server.wait_log("too many failures before", start=self.begun)


class HostKeys(HostileTest):
    """What a session can get signed by them."""
    server_args = {"policy": POLICY, "server": SERVER, "keys": ("alice", "bob", "mallory"),
                   "host_keys": ("ecdsa-384", "ed25519", "rsa-2048")}
    ALGORITHMS = (("ecdsa-sha2-nistp384",), ("ssh-ed25519",), ("rsa-sha2-256", "rsa-sha2-512"))

    def client(self, address="127.0.0.1"):
        client = super().client(address)
        client.sign_again = lambda: client.sign(key=1)
        return client

    def assert_serves(self):
        with Client(self.server) as client:
            client.exchange(key=1).log_in()
            self.assertRegex(client.call(exec_line(1, b"true")), r"\AANS_EXEC 1 1 \S+\Z")

    def verify(self, key, algorithm, signature, value):
        with open(self.server.host_keys[key] + ".pub", "rb") as f:
            public = serialization.load_ssh_public_key(f.read())
        if algorithm == "ssh-ed25519":
            public.verify(signature, value)
        elif algorithm.startswith("ecdsa"):
            public.verify(signature, value, ec.ECDSA(hashes.SHA384()))
        else:
            digest = hashes.SHA512() if algorithm.endswith("512") else hashes.SHA256()
            public.verify(signature, value, padding.PKCS1v15(), digest)

    def test_exchange_hashes(self):
        for key, names in enumerate(self.ALGORITHMS):
            for algorithm in names:
                for digest in (hashlib.sha256, hashlib.sha384, hashlib.sha512):
                    with self.subTest(algorithm, digest=digest), Client(self.server) as client:
                        value = client.made_exchange(key)
                        value_hash = digest(value).digest()
                        word, signature = client.sign(value, algorithm, key,
                                                      len(value_hash)).split()
                        self.assertEqual(word, "ANS_SIGN")
                        self.verify(key, algorithm, bytes.fromhex(signature), value_hash)
                    self.wait_idle()

    def assert_not_signed(self, lines, why):
        for line in lines:
            with self.subTest(line), Client(self.server) as client:
                client.tell(line)
                self.assert_ended(client, why)
            self.wait_idle()

    NOT_ITS_OWN = "its session asked for a signature of what is no key exchange of its own"

    def test_something_else(self):
        for what, spoil in (
                ("nothing", lambda client: b""),
                ("a hash", lambda client: b"h" * 32),
                ("less", lambda client: client.made_exchange(1)[:-1]),
                ("more", lambda client: client.made_exchange(1) + b"\0"),
                ("a part too few", lambda client: client.made_exchange(1, parts=2)),
                ("no offer", lambda client: client.made_exchange(1, ours=b"\x15"))):
            with self.subTest(what), Client(self.server) as client:
                client.tell(sign_line(spoil(client), key=1))
                self.assert_ended(client, self.NOT_ITS_OWN)
            self.wait_idle()

    def test_of_another_digest(self):
        for digest_len in (0, 20, 31, 33, 47, 63):
            with self.subTest(digest_len), Client(self.server) as client:
                client.tell(sign_line(client.made_exchange(1), key=1, digest_len=digest_len))
                self.assert_ended(client, self.NOT_ITS_OWN)
            self.wait_idle()

    def test_of_another_connection_or_server(self):
        """So what a user has signed for either is of no use here."""
        with Client(self.server) as other:
            foreign = other.made_exchange(1)
        with open(self.server.path("user_mallory.pub"), encoding="utf-8") as f:
            key_of_another = base64.b64decode(f.read().split()[1])
        for what, spoil in (
                ("connection", lambda client: foreign),
                ("server", lambda client: client.made_exchange(1, host_key=key_of_another)),
                ("of our keys", lambda client: client.made_exchange(0)),
                ("version", lambda client: client.made_exchange(1, version=b"SSH-2.0-Postern"))):
            with self.subTest(what), Client(self.server) as client:
                client.tell(sign_line(spoil(client), key=1))
                self.assert_ended(client, self.NOT_ITS_OWN)
            self.wait_idle()

    def test_a_key_that_there_is_not(self):
        self.assert_not_signed((sign_line(key=n) for n in (3, 7)),
                               "its session asked for a signature by a host key that there is not")

    def test_another_algorithm(self):
        cases = ((1, "rsa-sha2-512"), (1, "ssh-ed25519-cert-v01@openssh.com"), (1, "none"),
                 (2, "ssh-rsa"), (2, "ssh-ed25519"), (0, "ecdsa-sha2-nistp256"), (0, "SHA384"))
        self.assert_not_signed((sign_line(b"x", name, key) for key, name in cases),
                               "its session asked for a signature by an algorithm that the host key "
                               "does not have")

    def test_two_at_once(self):
        client = self.client()
        signer, = self.server.signer_pids()
        os.kill(signer, signal.SIGSTOP)
        try:
            client.twist(times=2)
            client.tell(sign_line(client.made_exchange(1), key=1))
            self.assert_ended(client, "its session asked for a signature out of turn")
        finally:
            os.kill(signer, signal.SIGCONT)

    def test_many_before_authentication(self):
        client = self.client()
        for _ in range(EXCHANGES_EARLY_MAX):
            self.assertRegex(client.sign_again(), r"\AANS_SIGN ")
        client.tell(sign_line(client.made_exchange(1), key=1))
        self.assert_ended(client, "too many key exchanges before authentication")

    def test_many_after_authentication(self):
        client, begun, n = self.client(), time.monotonic(), 1
        # From the first one on there is time for more.
        client.exchange(key=1).log_in()
        try:
            while n < EXCHANGES_MAX * 10 and client.sign_again().startswith("ANS_SIGN "):
                n += 1
        except (AssertionError, ConnectionError):
            pass  # it was ended in the middle of a step
        self.assert_ended(client, "too many key exchanges")
        self.assertGreaterEqual(n, EXCHANGES_MAX)
        self.assertLessEqual(n, EXCHANGES_MAX + 1
                             + EXCHANGES_PER_SECOND * (time.monotonic() - begun))


class Execs(HostileTest):
    OUT_OF_TURN = "its session asked for an exec out of turn"

    def test_two_on_one_channel(self):
        client = self.client().log_in()
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        client.tell(exec_line(1, b"echo second"))
        self.assert_ended(client, self.OUT_OF_TURN)
        self.assert_execs(client, ["sleep 300"])

    def assert_execs(self, client, commands):
        """All of these have started and ended, as for a client that went away."""
        started = self.server.wait_audit(len(commands), event="start", connection=client.id)
        ended = self.server.wait_audit(len(commands), event="end", connection=client.id)
        self.assertEqual([r["command"] for r in started], commands)
        self.assertEqual({r["cause"] for r in ended}, {"client gone"})
        self.assertEqual(sorted(r["exec"] for r in ended), sorted(r["exec"] for r in started))

    def test_more_than_channels(self):
        client = self.client().log_in()
        for channel in range(MAX_CHANNELS):
            self.assertRegex(client.call(exec_line(channel)), rf"ANS_EXEC {channel} 1 \S+")
        client.tell(exec_line(MAX_CHANNELS))
        self.assert_ended(client, self.OUT_OF_TURN)
        self.assert_execs(client, ["sleep 300"] * MAX_CHANNELS)

    def test_lists_of_different_length(self):
        for names, values in ((1, 0), (0, 1), (2, 3), (ENV_COUNT_MAX + 1, ENV_COUNT_MAX + 1)):
            with self.subTest(names=names, values=values), Client(self.server) as client:
                client.log_in()
                client.tell(exec_line(1, names=names, values=values))
                self.assert_ended(client, self.OUT_OF_TURN)
                self.assertEqual(self.server.audit(event="start", connection=client.id), [])
            self.wait_idle()

    def test_done_while_it_runs(self):
        client = self.client().log_in()
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        wait_until(self.server.exec_pids, 10, "the command")
        self.assertEqual(client.ask("done 1"), "sent 1")
        wait_until(lambda: not self.server.exec_pids(), 10, "the end of the command")
        end, = self.server.wait_audit(event="end", connection=client.id)
        self.assertEqual((end["cause"], end["bytes_out"]), ("client gone", 2**64 - 1))
        # The connection goes on, and so may the channel number.
        self.assertRegex(client.call(exec_line(1, b"echo on")), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.ask("output"), f"output {b'on'.hex()}0a")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 0")

    def test_gone_while_it_runs(self):
        client = self.client().log_in()
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        wait_until(self.server.exec_pids, 10, "the command")
        client.twist(times=20)
        self.assertEqual(client.ask("gone 1"), "sent 20")
        self.assertRegex(client.ask("recv"), r"EVT_EXIT 1 \d \d+")
        # It is not done: the channel is still taken.
        client.tell(exec_line(1))
        self.assert_ended(client, self.OUT_OF_TURN)
        self.assert_execs(client, ["sleep 300"])

    def test_started_and_done_in_a_loop(self):
        """Execs that are still dying count: max-execs holds whatever the session says."""
        client = self.client().log_in()
        allowed = 0
        for _ in range(40):
            answer = client.call(exec_line(1, b"trap '' TERM HUP; while :; do sleep 1; done"))
            allowed += answer.startswith("ANS_EXEC 1 1 ")
            self.assertEqual(client.ask("done 1"), "sent 1")
            # One whose end was just reported may still be on its way out.
            wait_until(lambda: len(self.server.worker_pids()) <= 20, 5, "no more than max-execs")
        self.assertGreaterEqual(allowed, 20)
        client.__exit__()
        wait_until(lambda: not self.server.worker_pids(), 20, "the stubborn to end")
        self.assertEqual(len(self.server.wait_audit(40, event="end", connection=client.id)), 40)


class Stubborn(HostileTest):
    def test_link_closed_but_alive(self):
        """More of them than max-connections, one generation after the other."""
        for _ in range(2):
            clients = [self.client() for _ in range(MAX_CONNECTIONS)]
            for client in clients:
                self.assertEqual(client.ask("hangup"), "hung up")
            for client in clients:
                client.wait_end()
        self.assertNotIn("max-connections", self.server.log()[self.begun:])

    def test_link_closed_with_an_exec(self):
        client = self.client().log_in()
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        wait_until(self.server.exec_pids, 10, "the command")
        self.assertEqual(client.ask("hangup"), "hung up")
        client.wait_end()
        end, = self.server.wait_audit(event="end", connection=client.id)
        self.assertEqual(end["cause"], "client gone")

    def test_link_never_read(self):
        client = self.client().log_in()
        client.twist(times=200000)
        begun = time.monotonic()
        client.tell("env 1 LANG C")
        self.assert_serves()
        self.assertLess(time.monotonic() - begun, 5 * PATIENCE)
        self.assert_ended(client, "its session does not take messages any more")

    def test_denied_without_end(self):
        client = self.client().log_in()
        client.twist(times=20000)
        begun = time.monotonic()
        client.tell(exec_line(1, b"x", SUBSYSTEM))
        self.assert_serves()
        self.assert_ended(client, "too many of its commands were refused")
        most = DENIALS_AT_ONCE + 1 + int((time.monotonic() - begun) * DENIALS_PER_SECOND)
        denied = self.server.audit(event="start", connection=client.id, decision="deny")
        self.assertGreater(len(denied), DENIALS_AT_ONCE)
        self.assertLessEqual(len(denied), most)
        self.assertEqual(len(self.server.audit(event="end", connection=client.id)), len(denied))

    def test_sigterm_does_not_spare_it(self):
        server = self.new_server(**self.server_args).start()
        with Client(server) as deaf, Client(server) as gone:
            self.assertEqual(gone.ask("hangup"), "hung up")
            server.stop()
            deaf.wait_end()
            gone.wait_end()

    def test_stopping_does_not_wait_for_a_closed_link(self):
        server = self.new_server(**self.server_args).start()
        with Client(server) as gone:
            self.assertEqual(gone.ask("hangup"), "hung up")
            server.stop()
        self.assertNotIn("did not end in time", server.log())

    def test_login_grace(self):
        server = self.new_server(policy=POLICY, keys=("alice", "bob"),
                                 server=SERVER + "login-grace = 1s\n").start()
        with Client(server) as silent, Client(server) as busy:
            busy.twist(times=30)
            busy.tell("log 3 aa")
            for client in (silent, busy):
                client.wait_end()
                server.wait_log(rf"info +connection {client.id} from 127\.0\.0\.1 port "
                                rf"{client.port} ended: not authenticated within login-grace")
        server.stop()


class Limits(HostileTest):
    def log_in_as(self, user):
        client = self.client()
        self.assertEqual(client.auth(user), "ANS_AUTH 1")
        return client

    def test_invented_limits(self):
        for user, limit in (("acme", IDLE), ("acme", OUTPUT), ("terse", IDLE)):
            with self.subTest(user=user, limit=limit):
                client = self.log_in_as(user)
                self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
                client.tell(f"over 1 {limit}")
                self.assert_ended(client, "its session invented a limit")
                end, = self.server.wait_audit(event="end", connection=client.id)
                self.assertEqual(end["cause"], "client gone")

    def test_limits_of_nothing(self):
        client = self.log_in_as("terse")
        client.twist(times=100)
        self.assertEqual(client.ask(f"over 7 {OUTPUT}"), "sent 100")
        self.assertRegex(client.call(exec_line(7, b"echo on")), r"ANS_EXEC 7 1 \S+")
        self.assertEqual(client.ask("output"), f"output {b'on'.hex()}0a")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 7 0 0")

    def test_its_own_output(self):
        """It may end a command of its own; that is all it gains."""
        client = self.log_in_as("terse")
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        client.twist(times=100)
        self.assertEqual(client.ask(f"over 1 {OUTPUT}"), "sent 100")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 153")
        self.assertEqual(client.ask("done 1"), "sent 1")
        end, = self.server.wait_audit(event="end", connection=client.id)
        self.assertEqual((end["verdict"], end["cause"]), ("output", "output limit"))

    def test_after_the_end(self):
        """Each is answered once more how it ended; an outcome of its own is not undone."""
        client = self.log_in_as("terse")
        self.assertRegex(client.call(exec_line(1, b"exit 3")), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 3")
        client.twist(times=5)
        self.assertEqual(client.ask(f"over 1 {OUTPUT}"), "sent 5")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 153")
        self.assertEqual(client.ask("done 1"), "sent 1")
        end, = self.server.wait_audit(event="end", connection=client.id)
        self.assertEqual((end["verdict"], end["exit"]), ("output", 153))

    def test_waiting_twice_on_one_channel(self):
        client = self.log_in_as("line")
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.call(exec_line(2, b"true")), "EVT_NOTE")
        client.tell(exec_line(2, b"true"))
        self.assert_ended(client, Execs.OUT_OF_TURN)
        self.assertEqual(len(self.server.wait_audit(2, event="end", connection=client.id)), 2)

    def test_more_waiting_than_channels(self):
        client = self.log_in_as("line")
        self.assertRegex(client.call(exec_line(0)), r"ANS_EXEC 0 1 \S+")
        for channel in range(1, MAX_CHANNELS):
            self.assertEqual(client.call(exec_line(channel)), "EVT_NOTE")
        client.tell(exec_line(MAX_CHANNELS))
        self.assert_ended(client, Execs.OUT_OF_TURN)

    def test_gone_while_waiting(self):
        client = self.log_in_as("line")
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        for _ in range(20):
            self.assertEqual(client.call(exec_line(2, b"true")), "EVT_NOTE")
            self.assertRegex(client.call("gone 2"), r"ANS_EXEC 2 0 \S+")
        client.twist(times=20)
        self.assertEqual(client.ask("done 2"), "sent 20")
        self.assertEqual(client.call(exec_line(2, b"true")), "EVT_NOTE")
        self.assertEqual(client.ask("gone 1"), "sent 1")


class Greed(HostileTest):
    """What one of them has waiting takes the places of nobody else."""
    POLICY = """
[sandbox "plain"]
network = none
[tenant "one"]
keys      = keys/alice
keys      = keys/bob
sandbox   = plain
shell     = /bin/bash
max-execs = 1
max-connections = infinity
queue     = 10m
[tenant "two"]
extends   = one
user      = two
[tenant "three"]
extends   = one
user      = three
"""
    server_args = {"policy": POLICY, "keys": ("alice", "bob"),
                   "server": f"session-path = {HOSTILE}\nmax-channels = 64\nmax-connections = 64\n"}

    def assert_serves(self):
        """Not by an exec: it would wait."""
        with Client(self.server) as client:
            self.assertEqual(client.auth("one"), "ANS_AUTH 1")

    def log_in_as(self, user, key="alice"):
        client = self.client()
        self.assertEqual(client.auth(user, key), "ANS_AUTH 1")
        return client

    def fill(self, user, size):
        """One runs, and more than may wait are asked for."""
        self.assertRegex(self.log_in_as(user).call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        for _ in range(5):
            self.assertEqual(self.log_in_as(user).ask(f"bulk 0 54 {size}"), "sent 54")
        self.server.wait_audit(event="start", tenant=user, decision="deny", limit="queue")

    def test_of_keys(self):
        self.fill("one", 1)
        reasons = {r["reason"] for r in self.server.audit(event="start", tenant="one", limit="queue")}
        self.assertEqual(reasons, {"as many commands of this key wait already as may"})
        bob = self.log_in_as("one", "bob")
        self.assertEqual(bob.call(exec_line(1)), "EVT_NOTE")
        self.assertEqual(bob.ask("bulk 2 54 1"), "sent 54")
        # Whoever waits already stays, even with more than would be let in now.
        denied = len(self.server.audit(event="start", tenant="one", decision="deny"))
        self.assertIn("reloaded", self.server.reload())
        self.assert_serves()
        self.assertEqual(len(self.server.audit(event="start", tenant="one", decision="deny")), denied)

    def test_of_memory(self):
        for user in ("two", "three"):
            self.fill(user, COMMAND_MAX)
        reasons = {r["reason"] for r in self.server.audit(event="start", limit="queue")
                   if r["tenant"] in ("two", "three")}
        self.assertEqual(reasons, {"the server can't keep more commands of the tenant waiting"})
        client = self.log_in_as("one")
        self.assertRegex(client.call(exec_line(1)), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.ask(f"bulk 2 1 {COMMAND_MAX}"), "sent 1")
        self.assertEqual(client.ask("recv"), "EVT_NOTE")


class Revoked(HostileTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(**self.server_args).start()
        super().setUp()

    def test_goes_on_regardless(self):
        client = self.client()
        self.assertEqual(client.auth("line"), "ANS_AUTH 1")
        stubborn = b"trap '' TERM HUP; while :; do sleep 1; done"
        self.assertRegex(client.call(exec_line(1, stubborn)), r"ANS_EXEC 1 1 \S+")
        self.assertEqual(client.call(exec_line(2, b"true")), "EVT_NOTE")
        self.server.write_policy(POLICY.replace('[tenant "line"]', '[tenant "other"]')
                                 .replace("user      = line", "user = other"))
        self.assertIn("reloaded", self.server.reload())
        self.assertRegex(client.ask("recv"), r"ANS_EXEC 2 0 \S+")
        for channel in (2, 3):
            self.assertRegex(client.call(exec_line(channel, b"true")), rf"ANS_EXEC {channel} 0 \S+")
        self.assertEqual(client.call("env 3 LANG C"), "ANS_ENV 3 0")
        client.twist(times=20)
        self.assertEqual(client.ask("gone 1"), "sent 20")
        client.twist(times=20)
        self.assertEqual(client.ask("gone 2"), "sent 20")
        self.assertEqual(client.ask("recv"), "EVT_EXIT 1 0 143")
        client.twist(times=2)
        self.assertEqual(client.ask("done 1"), "sent 2")
        self.assertEqual(client.ask("recv"), "EVT_CLOSE")
        self.assertRegex(client.call(exec_line(1, b"true")), r"ANS_EXEC 1 0 \S+")
        client.wait_end()
        self.server.wait_log(rf"info +connection {re.escape(client.id)} from .* ended: its session "
                             "does not close it")
        ends = self.server.wait_audit(5, event="end", connection=client.id)
        self.assertEqual([r["verdict"] for r in ends], ["denied"] * 3 + ["ended", "denied"])
        closed, = self.server.wait_audit(event="closed", connection=client.id)
        self.assertEqual(closed["reason"], 'login "line" is no longer accepted: '
                                           "no tenant has this login")


class Logging(HostileTest):
    def logged(self, client):
        return [line for line in self.lines(client) if f"{client.id}: " in line]

    def test_flood(self):
        client = self.client()
        times, begun = 5000, time.monotonic()
        client.twist(times=times)
        self.assertEqual(client.ask(f"log 2 {b'flood'.hex()}"), f"sent {times}")
        time.sleep(1.1)
        self.assertEqual(client.ask(f"log 2 {b'last'.hex()}"), "sent 1")
        self.server.wait_log(rf"{client.id}: last", start=self.begun)
        seconds = int(time.monotonic() - begun) + 1
        lines = self.logged(client)
        shown = sum(line.endswith(": flood") for line in lines)
        dropped = sum(int(n) for line in lines
                      for n in re.findall(r"warning +\S+: (\d+) log lines dropped\Z", line))
        self.assertGreaterEqual(shown, LOG_LINES_PER_SECOND)
        self.assertLessEqual(shown, LOG_LINES_PER_SECOND * seconds)
        self.assertEqual(shown + dropped, times)

    def test_hostile_bytes(self):
        client = self.client()
        hostile = b"\x1b[2Jone\r\nerror   two \xff\x7f"
        self.assertEqual(client.ask(f"log 2 {hostile.hex()}"), "sent 1")
        self.server.wait_log(r"two \\xff\\x7f", start=self.begun)
        line, = self.logged(client)
        self.assertTrue(line.endswith(rf"{client.id}: \x1b[2Jone\r\nerror   two \xff\x7f"), line)

    def test_level_is_not_above_info(self):
        client = self.client()
        for level in (0, 1, 2):
            self.assertEqual(client.ask(f"log {level} {b'shout'.hex()}"), "sent 1")
        for level in (4, 5, 255):
            self.assertEqual(client.ask(f"log {level} {b'whisper'.hex()}"), "sent 1")
        self.assertEqual(client.ask(f"log 2 {b'last'.hex()}"), "sent 1")
        self.server.wait_log(rf"{client.id}: last", start=self.begun)
        lines = self.logged(client)
        self.assertEqual(len(lines), 4, lines)
        for line in lines:
            self.assertRegex(line, r"\binfo +\S+: (shout|last)\Z")


class Deaths(HostileTest):
    def setUp(self):
        super().setUp()
        self.server.expect_deaths = True

    def wait_new_zygote(self, old):
        wait_until(lambda: len(self.zygote_pids()) == 1 and self.zygote_pids() != old, 10,
                   "a fresh zygote")

    def test_crash(self):
        zygotes = self.zygote_pids()
        client = self.client("127.0.0.7")
        other = self.client()
        client.tell(f"crash {int(signal.SIGSEGV)}")
        client.wait_end()
        self.server.wait_log(rf"error +session of connection {client.id} from 127\.0\.0\.7 port "
                             rf"{client.port} died: killed \(signal 11\)", start=self.begun)
        self.server.wait_log(r"warning +127\.0\.0\.7 is not served for 10 s", start=self.begun)
        self.wait_new_zygote(zygotes)
        with self.assertRaises((AssertionError, ConnectionResetError)):
            Client(self.server, "127.0.0.7")
        self.server.wait_log(r"warning +connection from 127\.0\.0\.7 refused: its source is "
                             r"penalised", start=self.begun)
        # Who is connected stays so, and others are served.
        self.assertEqual(other.auth(), "ANS_AUTH 1")

    def test_zygote_breaks_the_protocol(self):
        for signo, why in ((signal.SIGUSR1, r"unknown message type \d+"),
                           (signal.SIGURG, "message ZYGOTE_READY is not allowed in this state")):
            with self.subTest(why=why), Client(self.server) as client:
                begun = len(self.server.log())
                zygotes = self.zygote_pids()
                os.kill(zygotes[0], signo)
                self.server.wait_log(rf"error +no new zygote: postern-session: {why}; trying again in 250 ms",
                                     start=begun)
                self.wait_new_zygote(zygotes)
                self.assertEqual(client.auth(), "ANS_AUTH 1")
            self.assert_serves()
            self.wait_idle()

    def test_zygote_forges_a_death(self):
        zygotes = self.zygote_pids()
        client = self.client()
        os.kill(zygotes[0], signal.SIGUSR2)
        self.server.wait_log(r"error +the session of a closed connection died by signal 11",
                             start=self.begun)
        self.wait_new_zygote(zygotes)
        self.assertEqual(client.auth(), "ANS_AUTH 1")

    def test_forged_messages_of_the_zygote(self):
        """Each connection comes with some; see accept_connection() of the stand-in."""
        zygotes = self.zygote_pids()
        for _ in range(10):
            self.assert_serves()
        self.assertEqual(self.zygote_pids(), zygotes)
        self.assertNotRegex(self.server.log()[self.begun:], r"\b(error|warning)\b")


if __name__ == "__main__":
    main()
