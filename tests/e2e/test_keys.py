"""Private host keys: who has them, who signs with them, and what becomes of it all when that process
is lost. And what a client is told whose own signature is wrong."""
import base64
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import unittest

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness import (PATIENCE, POSTERN, POSTERND, SANITIZED, PosternTest, descendants, exe_of, main, processes, run,
                     status_of, wait_until)

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""
HOST_KEYS = ("ed25519", "ecdsa-521", "rsa-3072")
ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp521", "rsa-sha2-512")
WORD = 8  # libcrypto keeps numbers as words of the machine, the lowest first


def text_with(text, secret, size=20):
    """A piece of a base64 file, within one line, that encodes a piece of the secret."""
    lines = text.split(b"\n")[1:-2]
    begin = base64.b64decode(b"".join(lines)).index(secret) * 4 // 3 + 2
    width = len(lines[0])
    if begin % width + size > width:
        begin += width - begin % width
    return lines[begin // width][begin % width:begin % width + size]


def secrets_of(path):
    """What must not be in memory: each secret number of a private key in both byte orders, and where
    it is in the text of its file, by name."""
    with open(path, "rb") as f:
        text = f.read()
    key = serialization.load_ssh_private_key(text, None)
    found, numbers = {}, {}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
        found["seed"] = key.private_bytes(*raw, serialization.NoEncryption())
        # What signatures are really made with (RFC 8032 section 5.1.5).
        found["hashed seed"] = hashlib.sha512(found["seed"]).digest()[8:24]
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = {"scalar": key.private_numbers().private_value}
    elif isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        numbers = {name: getattr(private, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    for name, number in numbers.items():
        size = (number.bit_length() // 8 // WORD) * WORD
        low = number & ((1 << 8 * size) - 1)
        found[name] = low.to_bytes(size, "big")
        found[name + " in words"] = low.to_bytes(size, "little")
    found["text"] = text_with(text, found.get("seed") or found.get("scalar") or found["p"])
    return {f"{os.path.basename(path)}: {name}": value for name, value in found.items()}


def memory_of(pid):
    """All that is mapped and can be read, and what /proc shows besides."""
    chunks = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            begin, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if "r" not in mode or "[vvar" in line or "[vsyscall" in line:
                continue
            try:
                mem.seek(int(begin, 16))
                chunks.append(mem.read(int(end, 16) - int(begin, 16)))
            except OSError:
                pass  # a page that can't be there
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as f:
            chunks.append(f.read())
    return b"\0".join(chunks)


class Secrets(PosternTest):
    server_args = {"policy": POLICY, "host_keys": HOST_KEYS}

    @unittest.skipIf(SANITIZED, "a sanitizer maps terabytes")
    def test_only_the_signer_has_them(self):
        clients = [self.server.popen_ssh("acme", "echo up; cat",
                                         options=[f"HostKeyAlgorithms={algorithm}"])
                   for algorithm in ALGORITHMS]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        begun = len(self.server.log())
        self.assertIn("reloaded", self.server.reload())
        self.server.wait_log("zygote ready", 20, begun)
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        wait_until(lambda: len(self.server.session_pids()) == len(clients), 10, "that one's end")
        signers = self.server.signer_pids()
        self.assertEqual(len(signers), 2)
        secrets = {}
        for path in self.server.host_keys:
            secrets.update(secrets_of(path))
        everybody = {self.server.process.pid: "posternd", **descendants(self.server.process.pid)}
        kinds = set(everybody.values())
        self.assertLessEqual({"posternd", "postern-spawner", "postern-session", "postern-signer"},
                             kinds)
        self.assertTrue(self.server.worker_pids() and self.server.session_pids())
        for pid, comm in everybody.items():
            if pid in signers:
                continue
            memory = memory_of(pid)
            self.assertGreater(len(memory), 100000)
            self.assertEqual([name for name, value in secrets.items() if value in memory], [],
                             f"{comm} ({pid})")
        # This way of looking does find them where they are; a file's text was wiped there too.
        memory = memory_of(signers[-1])
        found = {name for name, value in secrets.items() if value in memory}
        self.assertLessEqual({"host_ed25519: seed", "host_ecdsa-521: scalar in words",
                              "host_rsa-3072: p in words", "host_rsa-3072: d in words"}, found)
        self.assertEqual([name for name in found if name.endswith(": text")], [])
        for client in clients:
            client.communicate(timeout=30 * PATIENCE)

    def test_the_signer_is_confined(self):
        signer = self.server.signer_pids()[-1]
        status = status_of(signer)
        ids = {int(n) for n in status["Uid"].split() + status["Gid"].split()}
        self.assertEqual(ids, {65534})
        self.assertEqual(status["Groups"].strip(), "")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"], status["Threads"]), ("1", "1"))
        self.assertEqual(os.listdir(f"/proc/{signer}/root"), [])
        for kind in ("mnt", "net", "ipc", "uts"):
            self.assertNotEqual(os.readlink(f"/proc/{signer}/ns/{kind}"),
                                os.readlink(f"/proc/{self.server.process.pid}/ns/{kind}"), kind)
        fds = [os.readlink(f"/proc/{signer}/fd/{n}") for n in os.listdir(f"/proc/{signer}/fd")]
        self.assertEqual([fd for fd in fds if not re.match(r"socket:|/dev/null\Z|/.*log\Z", fd)], [])
        self.assertEqual(exe_of(signer), os.path.realpath(POSTERND))
        # Not dumpable: its own user can't look into it either.
        got = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat",
                   f"/proc/{signer}/maps"], check=False)
        self.assertNotEqual(got.code, 0)
        if not SANITIZED:
            self.assertEqual(status["Seccomp"], "2")
            self.assertGreater(int(status["VmLck"].split()[0]), 0)

    def test_by_hand(self):
        for stdin in (b"", b"\0" * 100):
            got = subprocess.run(["bash", "-c", f"exec -a postern-signer {POSTERND} 3<&-"],
                                 input=stdin, capture_output=True, timeout=30 * PATIENCE,
                                 check=False)
            self.assertEqual((got.returncode, got.stdout, got.stderr),
                             (1, b"", b"postern-signer is started by posternd, not by hand.\n"))


class Loss(PosternTest):
    """The signer is killed, or stopped."""

    def setUp(self):
        self.server = self.new_server(policy=POLICY, host_keys=("ed25519", "rsa-2048"))
        self.server.expect_deaths = True
        self.server.start()

    autostart = False

    def assert_serves(self):
        wait_until(lambda: self.server.ssh("acme", "echo on").out == b"on\n", 20, "service")

    def test_killed(self):
        running = self.server.popen_ssh("acme", "echo up; cat; exit 5")
        self.assertEqual(running.stdout.readline(), b"up\n")
        old, = self.server.signer_pids()
        os.kill(old, signal.SIGKILL)
        self.server.wait_log(r"error +no new zygote: postern-signer: it ended unexpectedly; trying "
                             r"again in 250 ms")
        self.assert_serves()
        self.assertNotIn(old, self.server.signer_pids())
        # Who is connected stays so.
        out, _ = running.communicate(b"still", timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"still"))

    def test_killed_again_and_again(self):
        for _ in range(3):
            old, = self.server.signer_pids()
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: self.server.signer_pids() not in ([], [old]), 20, "another signer")
        self.assert_serves()

    def test_a_key_exchange_with_the_next_one(self):
        running = self.server.popen_ssh("acme", "echo up; cat", options=["RekeyLimit=64K"])
        self.assertEqual(running.stdout.readline(), b"up\n")
        os.kill(self.server.signer_pids()[0], signal.SIGKILL)
        self.assert_serves()
        data = os.urandom(1 << 20)
        out, err = running.communicate(data, timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out == data), (0, True), err)

    def test_a_key_exchange_when_nobody_has_the_key_any_more(self):
        """That connection ends, and says why."""
        running = self.server.popen_ssh("acme", "echo up; cat", options=["RekeyLimit=64K"])
        self.assertEqual(running.stdout.readline(), b"up\n")
        os.unlink(self.server.host_keys[0])
        os.unlink(self.server.host_keys[0] + ".pub")
        self.server.make_host_key("ed25519")
        os.kill(self.server.signer_pids()[0], signal.SIGKILL)
        self.server.write_ssh_config()
        self.assert_serves()
        _, err = running.communicate(os.urandom(1 << 20), timeout=30 * PATIENCE)
        self.assertEqual(running.returncode, 255, err)
        self.server.wait_log(r"info +connection \S+ from 127\.0\.0\.1 port \d+ ended: the signer "
                             "is gone")

    def test_stopped(self):
        old, = self.server.signer_pids()
        os.kill(old, signal.SIGSTOP)
        self.addCleanup(self.kill, old)
        waiting = self.server.popen_ssh("acme", "echo never")
        self.server.wait_log(r"error +no new zygote: postern-signer: it does not answer", 40)
        self.server.wait_log(r"info +connection \S+ from 127\.0\.0\.1 port \d+ ended: the signer "
                             "is gone")
        self.assertEqual(waiting.wait(30 * PATIENCE), 255)
        wait_until(lambda: old not in self.server.signer_pids(), 10, "the stopped one to be killed")
        self.assert_serves()

    def kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_stopping_does_not_wait_for_it(self):
        old, = self.server.signer_pids()
        os.kill(old, signal.SIGSTOP)
        self.addCleanup(self.kill, old)
        self.server.stop()


class Reload(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY).start()

    def test_old_connections_keep_their_key(self):
        """One that was there before exchanges keys with the old one; a new one sees the new one."""
        server = self.server
        path, _ = server.mux()
        old, = server.signer_pids()
        os.unlink(server.host_keys[0])
        os.unlink(server.host_keys[0] + ".pub")
        server.make_host_key("ed25519")
        self.assertIn("reloaded", server.reload())
        wait_until(lambda: len(server.signer_pids()) == 2, 20, "another signer")
        refused = wait_until(lambda: (lambda got: got if got.code == 255 else None)(
            server.ssh("acme", "echo no")), 20, "the new host key")
        self.assertIn(b"Host key verification failed", refused.err)
        server.write_ssh_config()
        self.assertRan(server.ssh("acme", "echo new"), 0, b"new\n")
        data = os.urandom(1 << 20)
        got = server.ssh("acme", "cat", stdin=data, flags=["-S", path], timeout=60)
        self.assertEqual((got.code, got.out == data), (0, True), got.err)
        run(["ssh", "-F", server.path("ssh_config"), "-S", path, "-O", "exit", "postern"])
        wait_until(lambda: old not in server.signer_pids(), 10, "the old signer to go")

    def test_old_connections_exchange_keys_with_it(self):
        server = self.server
        running = server.popen_ssh("acme", "echo up; cat", options=["RekeyLimit=256K"])
        self.assertEqual(running.stdout.readline(), b"up\n")
        self.assertIn("reloaded", server.reload())
        self.assertRan(server.ssh("acme", "echo new"), 0, b"new\n")
        data = os.urandom(2 << 20)
        out, err = running.communicate(data, timeout=60 * PATIENCE)
        self.assertEqual((running.returncode, out == data), (0, True), err)
        wait_until(lambda: len(server.signer_pids()) == 1, 10, "the old signer to go")

    def test_many_leave_no_signers(self):
        for _ in range(10):
            self.assertIn("reloaded", self.server.reload())
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        wait_until(lambda: len(self.server.signer_pids()) == 1, 20, "old signers to go")

    def test_a_broken_key(self):
        """The old one serves on until the new one can be read."""
        server = self.server
        with open(server.host_keys[0], "rb") as f:
            good = f.read()
        server.write(os.path.basename(server.host_keys[0]), "nothing\n", 0o600)
        server.reload()
        server.wait_log(rf"error +no new zygote: postern-signer: host key {server.host_keys[0]}: not "
                        r"a usable private key in OpenSSH or PEM format; make one with `ssh-keygen "
                        r"-t ed25519 -N '' -f \S+`; the old one goes on; trying again in 250 ms")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        before = len(server.log())
        server.write(os.path.basename(server.host_keys[0]), good, 0o600)
        server.wait_log("zygote ready", 30, before)
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")


class Files(PosternTest):
    """Host keys that can't be used: the start ends, and says why and what to do."""
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY)
        self.key = self.server.host_keys[0]

    def assert_refused(self, why):
        got = run([POSTERND, "-d", "-f", self.server.config], check=False)
        self.assertEqual(got.code, 69, got)
        self.assertLine(got.err, rf".* error +postern-signer: host key {re.escape(self.key)}: {why}")

    def keygen(self, *args, public=True):
        os.unlink(self.key)
        run(["ssh-keygen", "-q", *args, "-f", self.key])
        if not public:
            os.unlink(self.key + ".pub")

    def test_encrypted(self):
        how = (rf"it is encrypted; take the passphrase off with `ssh-keygen -p -N '' -f "
               rf"{re.escape(self.key)}`")
        os.unlink(self.key + ".pub")
        self.keygen("-t", "ed25519", "-N", "secret")
        self.assert_refused(how)
        os.unlink(self.key + ".pub")
        self.keygen("-t", "ecdsa", "-N", "secret", "-m", "PEM")
        self.assert_refused(how)

    def test_not_a_key(self):
        how = (r"not a usable private key in OpenSSH or PEM format; make one with `ssh-keygen -t "
               rf"ed25519 -N '' -f {re.escape(self.key)}`")
        with open(self.key, "rb") as f:
            good = f.read()
        for text in (b"", b"hello\n", good[:len(good) // 2], good.replace(b"END", b"BND"),
                     good.replace(b"b3Blb", b"b3Clb"), good.replace(b"\n-----END", b"A\n-----END")):
            with self.subTest(text[:20]):
                self.server.write(os.path.basename(self.key), text, 0o600)
                self.assert_refused(how)

    def test_binary_and_long(self):
        self.server.write(os.path.basename(self.key), b"\0" * 10, 0o600)
        self.assert_refused("holds binary data, not an OpenSSH or PEM key")
        self.server.write(os.path.basename(self.key), b"x" * 70000, 0o600)
        self.assert_refused("longer than 65536 bytes, not a key file")

    def test_weak_and_strange(self):
        run(["openssl", "genrsa", "-out", self.key, "1024"])
        os.chmod(self.key, 0o600)
        self.assert_refused(r"RSA key of 1024 bits \(2048 to 16384 are accepted\)")
        strange = (r"keys of its type can't be used; use ed25519, ecdsa \(nistp256, nistp384 or "
                   r"nistp521\) or rsa")
        for args in (["ecparam", "-name", "secp256k1", "-genkey", "-noout"],
                     ["genpkey", "-algorithm", "X25519"]):
            run(["openssl", *args, "-out", self.key])
            os.chmod(self.key, 0o600)
            self.assert_refused(strange)

    def test_parts_of_two_keys(self):
        """The public point of another key, in all places where the file has it."""
        other = self.server.make_host_key("ecdsa-256")
        os.rename(other, self.server.path("other"))
        os.unlink(other + ".pub")
        mine = self.server.make_host_key("ecdsa-256")

        def content(path):
            with open(path, encoding="ascii") as f:
                return base64.b64decode("".join(f.read().split("\n")[1:-2]))

        def point(path):
            raw = content(path)
            at = raw.index(b"\0\0\0\x08nistp256") + 12
            return raw[at + 4:at + 4 + struct.unpack(">I", raw[at:at + 4])[0]]
        mixed = content(mine).replace(point(mine), point(self.server.path("other")))
        text = base64.encodebytes(mixed).decode()
        self.server.write(os.path.basename(self.key), "-----BEGIN OPENSSH PRIVATE KEY-----\n"
                          f"{text}-----END OPENSSH PRIVATE KEY-----\n", 0o600)
        self.assert_refused("its private part and its public part do not belong together")

    def test_two_of_a_type(self):
        second = self.server.make_host_key("ed25519-256")
        self.server.host_keys.append(second)
        self.server.write_config()
        self.key, first = second, self.key
        self.assert_refused(rf"{re.escape(first)} is of the same type; keep one of them")


class Liar(paramiko.PKey):
    """A key whose owner signs something else than what he is asked to sign."""

    def __init__(self, key, spoil):
        self.key, self.spoil = key, spoil
        self.public_blob = key.public_blob

    def __getattr__(self, name):
        return getattr(self.key, name)

    def asbytes(self):
        return self.key.asbytes()

    def get_name(self):
        return self.key.get_name()

    def sign_ssh_data(self, blob, algorithm=None):
        return self.key.sign_ssh_data(self.spoil + blob, algorithm)


class Wrong(PosternTest):
    """A client's wrong signature is answered like every other failure, and counted."""
    server_args = {"policy": POLICY + """
[tenant "big"]
keys    = keys/rsa
sandbox = plain
shell   = /bin/bash
[tenant "certified"]
keys    = keys/ca
sandbox = plain
shell   = /bin/bash
[tenant "curve"]
keys    = keys/ecdsa
sandbox = plain
shell   = /bin/bash
""", "server": "max-auth-tries = 3\n"}
    KINDS = (("acme", "alice", paramiko.Ed25519Key, "ED25519"), ("big", "rsa", paramiko.RSAKey, "RSA"),
             ("curve", "ecdsa", paramiko.ECDSAKey, "ECDSA"))

    @classmethod
    def new_server(cls, **how):
        server = super().new_server(**how)
        server.user_key("rsa", "rsa", 2048)
        server.user_key("ecdsa", "ecdsa", 384)
        server.user_key("ca", options="cert-authority")
        return server

    def transport(self):
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.server.port),
                                                                30 * PATIENCE))
        transport.auth_timeout = 20 * PATIENCE
        transport.start_client(timeout=30 * PATIENCE)
        self.addCleanup(transport.close)
        return transport

    def test_each_kind(self):
        for user, name, kind, word in self.KINDS:
            with self.subTest(name):
                key = kind.from_private_key_file(self.server.path(f"user_{name}"))
                before = len(self.server.log())
                transport = self.transport()
                with self.assertRaises(paramiko.AuthenticationException) as refused:
                    transport.auth_publickey(user, Liar(key, b"lie"))
                self.assertEqual(str(refused.exception), "Authentication failed.")
                self.server.wait_log(
                    rf"info +Failed publickey for {user} from 127\.0\.0\.1 port \d+ ssh2: {word} "
                    rf"{re.escape(self.server.fingerprint(name))}: the signature is wrong "
                    rf"\(\S*policy\.d/keys/{name}:1\)\n", start=before)
                # Nothing is broken by it: the right one is accepted on the same connection.
                transport.auth_publickey(user, key)
                self.assertTrue(transport.is_authenticated())

    def test_certificates(self):
        """Genuine ones, whose keys are not held."""
        server = self.server
        for name, kind, word in (("alice", paramiko.Ed25519Key, "ED25519"),
                                 ("rsa", paramiko.RSAKey, "RSA"),
                                 ("ecdsa", paramiko.ECDSAKey, "ECDSA")):
            with self.subTest(name):
                run(["ssh-keygen", "-q", "-s", server.path("user_ca"), "-I", "id", "-n", "certified",
                     server.path(f"user_{name}.pub")])
                key = kind.from_private_key_file(server.path(f"user_{name}"))
                key.load_certificate(server.path(f"user_{name}-cert.pub"))
                before = len(server.log())
                transport = self.transport()
                with self.assertRaises(paramiko.AuthenticationException):
                    transport.auth_publickey("certified", Liar(key, b"lie"))
                server.wait_log(rf"info +Failed publickey for certified from 127\.0\.0\.1 port \d+ "
                                rf"ssh2: {word}-CERT .*: the signature is wrong ", start=before)
                transport.auth_publickey("certified", key)
                self.assertTrue(transport.is_authenticated())

    def test_they_count(self):
        key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        transport = self.transport()
        for _ in range(2):
            with self.assertRaises(paramiko.AuthenticationException):
                transport.auth_publickey("acme", Liar(key, b"lie"))
        with self.assertRaises(paramiko.SSHException):
            transport.auth_publickey("acme", Liar(key, b"lie"))
        wait_until(lambda: not transport.is_active(), 10, "the end of the connection")
        with self.assertRaises((paramiko.SSHException, EOFError, OSError)):
            transport.auth_publickey("acme", key)


class Revoked(PosternTest):
    """Keys of revoked-keys, at login and at a reload."""
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY + """
[tenant "certified"]
keys    = keys/ca
sandbox = plain
shell   = /bin/bash
""")
        self.server.user_key("ca", options="cert-authority")
        self.server.extra = f"revoked-keys = {self.server.path('revoked')}\n"
        self.server.write_config()
        self.revoke()

    def revoke(self, *lines):
        self.server.write("revoked", "# revoked\n" + "".join(line + "\n" for line in lines))

    def public(self, name):
        with open(self.server.path(f"user_{name}.pub"), encoding="ascii") as f:
            return f.read().strip()

    def assert_refused(self, user, why, line=2):
        before = len(self.server.log())
        got = self.server.ssh(user, "echo in")
        self.assertEqual((got.code, got.out), (255, b""))
        self.assertIn(b"Permission denied (publickey).", got.err)
        self.server.wait_log(rf"info +Failed publickey for {user} from 127\.0\.0\.1 port \d+ ssh2: "
                             rf"ED25519.*: {why} \({re.escape(self.server.path('revoked'))}"
                             rf"{f':{line}' if line else ''}\)\n",
                             start=before)

    def test_at_login(self):
        server = self.server.start()
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")
        for line in (self.public("alice"), server.fingerprint("alice") + " by name"):
            self.revoke(line)
            self.assertIn("reloaded", server.reload())
            self.assert_refused("acme", "the key is revoked")
            self.revoke()
            self.assertIn("reloaded", server.reload())
            self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")

    def test_certificates(self):
        server = self.server.start()
        run(["ssh-keygen", "-q", "-s", server.path("user_ca"), "-I", "id", "-n", "certified",
             server.path("user_alice.pub")])
        self.assertRan(server.ssh("certified", "echo in"), 0, b"in\n")
        for name, why in (("alice", "the key is revoked"),
                          ("ca", "the authority of the certificate is revoked")):
            self.revoke(self.public(name))
            self.assertIn("reloaded", server.reload())
            self.assert_refused("certified", why)

    def test_list_of_ssh_keygen(self):
        """Its file is replaced as the administrator would do it; the line is the file's."""
        server = self.server.start()
        def sign(serial):
            run(["ssh-keygen", "-q", "-s", server.path("user_ca"), "-I", "id", "-n", "certified",
                 "-z", str(serial), server.path("user_alice.pub")])
        def revoke(spec):
            server.write("spec", spec)
            run(["ssh-keygen", "-q", "-k", "-f", server.path("revoked"), "-s",
                 server.path("user_ca.pub"), server.path("spec")])
            self.assertIn("reloaded", server.reload())
        sign(4711)
        revoke("serial: 4000-4710\nserial: 4712\n")
        self.assertRan(server.ssh("certified", "echo in"), 0, b"in\n")
        revoke("serial: 4000-4711\n")
        self.assert_refused("certified", "the certificate is revoked", None)
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")
        revoke("id: id\n")
        self.assert_refused("certified", "the certificate is revoked", None)
        revoke(f"sha1: {self.public('alice')}\n")
        self.assert_refused("acme", "the key is revoked", None)
        with open(server.path("revoked"), "r+b") as f:
            f.truncate(60)
        self.assertIn("the list is damaged", server.reload())
        self.assert_refused("acme", "the key is revoked", None)

    def test_connections_end(self):
        server = self.server.start()
        client = server.popen_ssh("acme", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.revoke(self.public("alice"))
        self.assertIn("reloaded", server.reload())
        client.communicate(timeout=30 * PATIENCE)
        closed, = server.wait_audit(event="closed")
        self.assertEqual(closed["reason"],
                         'login "acme" is no longer accepted: the key is revoked')

    def test_a_broken_list_changes_nothing(self):
        server = self.server.start()
        self.revoke("hello")
        self.assertEqual(server.reload(), f"reload refused: {server.path('revoked')}:2: error: unknown "
                                          "key type 'hello'; generation 1 stays")
        os.unlink(server.path("revoked"))
        self.assertRegex(server.reload(), "reload refused: .* error: revoked-keys: .*; generation 1 "
                                          "stays")
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")

    def test_explain(self):
        self.revoke(self.public("alice"))
        got = run([POSTERN, "explain", "-f", self.server.config, "--user", "acme", "--key",
                   self.server.path("user_alice.pub"), "--", "true"], check=False)
        self.assertEqual(got.code, 1, got)
        self.assertIn(b"the key is revoked", got.out)


if __name__ == "__main__":
    main()
