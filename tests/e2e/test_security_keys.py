"""Keys of security keys (sk-…): a device of software signs as PROTOCOL.u2f of OpenSSH says."""
import base64
import hashlib
import os
import re
import socket
import struct
import threading

import paramiko
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from harness import PATIENCE, PosternTest, main

TOUCHED, VERIFIED = 1, 4
ED25519, ECDSA = b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com"


def data(value):
    return struct.pack(">I", len(value)) + value


def number(value):
    return data(value.to_bytes(value.bit_length() // 8 + 1, "big"))


class Device(paramiko.PKey):
    """One key of it, with all that its signatures can be made to say."""

    def __init__(self, kind, application=b"ssh:"):
        self.public_blob = None  # of a certificate
        self.kind, self.application = kind, application
        self.flags, self.counter = TOUCHED, 1
        self.said = {}       # in place of what was signed
        self.name = kind     # of the signature's algorithm
        if kind == ED25519:
            self.private = ed25519.Ed25519PrivateKey.generate()
            point = self.private.public_key().public_bytes(serialization.Encoding.Raw,
                                                           serialization.PublicFormat.Raw)
            self.blob = data(kind) + data(point)
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            point = self.private.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            self.blob = data(kind) + data(b"nistp256") + data(point)
        self.blob += data(application)

    def get_name(self):
        return self.kind.decode()

    def asbytes(self):
        return self.blob

    def can_sign(self):
        return True

    def line(self, options=""):
        return f"{options} {self.get_name()} {base64.b64encode(self.blob).decode()} token\n".lstrip()

    def sign(self, request):
        signed = (hashlib.sha256(self.application).digest() + struct.pack(">BI", self.flags, self.counter)
                  + hashlib.sha256(request).digest())
        if self.kind == ED25519:
            raw = self.private.sign(signed)
        else:
            pair = utils.decode_dss_signature(self.private.sign(signed, ec.ECDSA(hashes.SHA256())))
            raw = number(pair[0]) + number(pair[1])
        return (data(self.name) + data(raw) + struct.pack(">BI", self.said.get("flags", self.flags),
                                                          self.said.get("counter", self.counter)))

    def sign_ssh_data(self, request, algorithm=None):
        return paramiko.Message(self.sign(request))


class Agent:
    """What stock ssh asks for signatures (draft-miller-ssh-agent)."""

    def __init__(self, path, device):
        self.device, self.listener = device, socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with conn, conn.makefile("rb") as stream:
                while len(head := stream.read(4)) == 4:
                    request = stream.read(struct.unpack(">I", head)[0])
                    conn.sendall(data(self.answer(request)))

    def answer(self, request):
        if request[0] == 11:  # request identities
            return b"\x0c" + struct.pack(">I", 1) + data(self.device.blob) + data(b"token")
        if request[0] != 13:  # sign
            return b"\x05"
        at = 5 + struct.unpack(">I", request[1:5])[0]
        length, = struct.unpack(">I", request[at:at + 4])
        return b"\x0e" + data(self.device.sign(request[at + 4:at + 4 + length]))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class SecurityKeys(PosternTest):
    autostart = False

    def setUp(self):
        self.devices = {kind: Device(kind) for kind in (ED25519, ECDSA)}

    def begin(self, options="", server=""):
        tenants = "".join(f"""
[tenant "{word}"]
keys    = keys/{word}
sandbox = plain
shell   = /bin/bash
""" for word in ("ed", "ec"))
        self.server = self.new_server(policy='[sandbox "plain"]\nnetwork = none\n' + tenants,
                                      server="max-auth-tries = 100\n" + server)
        for word, kind in (("ed", ED25519), ("ec", ECDSA)):
            self.server.write(f"policy.d/keys/{word}", self.devices[kind].line(options))
        return self.server.start()

    def each(self):
        return ("ed", self.devices[ED25519]), ("ec", self.devices[ECDSA])

    def transport(self):
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.server.port),
                                                                30 * PATIENCE))
        transport.auth_timeout = 20 * PATIENCE
        transport.start_client(timeout=30 * PATIENCE)
        self.addCleanup(transport.close)
        return transport

    def assert_in(self, user, device):
        transport = self.transport()
        transport.auth_publickey(user, device)
        self.assertTrue(transport.is_authenticated())

    def assert_refused(self, user, device, why):
        before = len(self.server.log())
        with self.assertRaises(paramiko.AuthenticationException):
            self.transport().auth_publickey(user, device)
        word = "ED25519-SK" if device.kind == ED25519 else "ECDSA-SK"
        self.server.wait_log(rf"info +Failed publickey for {user} from 127\.0\.0\.1 port \d+ ssh2: "
                             rf"{word} SHA256:\S+: {re.escape(why)} \(\S*keys/{user}:1\)\n", start=before)

    def test_touched(self):
        self.begin()
        for user, device in self.each():
            for flags in (TOUCHED, TOUCHED | VERIFIED, TOUCHED | 0x80):
                device.flags = flags
                device.counter += 2 ** 20
                self.assert_in(user, device)
        self.server.wait_log(r"Accepted publickey for ed from 127\.0\.0\.1 port \d+ ssh2: ED25519-SK SHA256:")
        self.server.wait_log(r"Accepted publickey for ec from 127\.0\.0\.1 port \d+ ssh2: ECDSA-SK SHA256:")

    def test_not_touched(self):
        self.begin()
        for user, device in self.each():
            for flags in (0, VERIFIED):
                device.flags = flags
                self.assert_refused(user, device, "its security key was not touched, and the key has no "
                                                  "no-touch-required")

    def test_no_touch_required(self):
        self.begin("no-touch-required")
        for user, device in self.each():
            device.flags = 0
            self.assert_in(user, device)

    def test_verify_required(self):
        self.begin("verify-required,restrict")
        for user, device in self.each():
            self.assert_refused(user, device, "its security key did not verify its user, as "
                                              "verify-required wants")
            device.flags = TOUCHED | VERIFIED
            self.assert_in(user, device)
            device.flags = VERIFIED
            self.assert_refused(user, device, "its security key was not touched, and the key has no "
                                              "no-touch-required")

    def test_wrong_signatures(self):
        """What the device says of a touch is signed; so is what it is asked for."""
        self.begin()
        for user, device in self.each():
            device.flags = 0
            device.said = {"flags": TOUCHED}
            self.assert_refused(user, device, "the signature is wrong")
            device.flags, device.said = TOUCHED, {"counter": 5}
            self.assert_refused(user, device, "the signature is wrong")
            device.said, device.application = {}, b"https://example.org"
            self.assert_refused(user, device, "the signature is wrong")
            device.application, right = b"ssh:", device.private
            device.private = Device(device.kind).private
            self.assert_refused(user, device, "the signature is wrong")
            device.private, right_sign = right, device.sign
            device.sign = lambda request, sign=right_sign: sign(request + b"\0")
            self.assert_refused(user, device, "the signature is wrong")
            device.sign = right_sign
            self.assert_in(user, device)

    def ssh(self, user, device):
        path = self.server.path(f"agent-{user}")
        agent = Agent(path, device)
        try:
            return self.server.ssh(user, "echo in", flags=["-o", f"IdentityAgent={path}",
                                                           "-o", "IdentitiesOnly=no"])
        finally:
            agent.close()
            os.unlink(path)

    def test_openssh(self):
        self.begin()
        for user, device in self.each():
            self.assertRan(self.ssh(user, device), 0, b"in\n")
            device.flags = 0
            got = self.ssh(user, device)
            self.assertEqual((got.code, got.out), (255, b""))
            self.assertIn(b"Permission denied (publickey).", got.err)

    def test_not_among_the_algorithms(self):
        self.begin(server="user-key-algorithms = ssh-ed25519\n")
        for user, device in self.each():
            got = self.ssh(user, device)
            self.assertEqual((got.code, got.out), (255, b""))

    def test_lines(self):
        server = self.begin()
        with open(server.path("user_alice.pub"), encoding="utf-8") as f:
            server.write("policy.d/keys/ed", "verify-required " + f.read())
        self.assertIn("verify-required is only for a security key (take it out, or use a key of a type "
                      "sk-...)", server.reload())
        server.write("policy.d/keys/ed", self.devices[ED25519].line()[:60] + "\n")
        self.assertIn("keys/ed:1", server.reload())


if __name__ == "__main__":
    main()
