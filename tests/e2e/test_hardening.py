"""What [server] says of algorithms, session keys, compression and the banner, as clients see it."""
import json
import shutil
import unittest

from harness import PATIENCE, POSTERND, VERSION, KexInit, PosternTest, main, run, wait_until

OLD_SSH = "kex = curve25519-sha256 ecdh-sha2-nistp256\nmacs = hmac-sha2-256, hmac-sha2-512\n"


class Audit(PosternTest):
    """The judgement of ssh-audit over what the server is like as it comes."""
    server_args = {"host_keys": ("ed25519", "rsa-3072")}
    # Not an algorithm but a word for strict key exchange: older versions of the tool don't know it.
    MARKERS = {"kex-strict-s-v00@openssh.com", "ext-info-s"}

    @unittest.skipUnless(shutil.which("ssh-audit"), "ssh-audit is not installed")
    def test_no_failure_and_no_warning(self):
        got = run(["ssh-audit", "-l", "warn", "-n", "-p", str(self.server.port), "127.0.0.1"],
                  check=False)
        said = [line for line in got.out.decode().splitlines()
                if ("[fail]" in line or "[warn]" in line or line.startswith("(rec) "))
                and not self.MARKERS & set(line.split())]
        self.assertEqual(said, [])
        # It has looked at something.
        offer = json.loads(run(["ssh-audit", "-j", "-p", str(self.server.port), "127.0.0.1"],
                               check=False).out)
        self.assertRegex(offer["banner"]["raw"].encode() + b"\r\n", VERSION)
        self.assertEqual([c for c in offer["compression"]], ["none"])
        self.assertIn("curve25519-sha256", [k["algorithm"] for k in offer["kex"]])

    @unittest.skipUnless(shutil.which("ssh-audit"), "ssh-audit is not installed")
    def test_the_tool_would_complain(self):
        server = self.new_server(server=OLD_SSH).start()
        got = run(["ssh-audit", "-l", "warn", "-n", "-p", str(server.port), "127.0.0.1"],
                  check=False)
        self.assertRegex(got.out.decode(), r"ecdh-sha2-nistp256 .*\[fail\]")
        self.assertRegex(got.out.decode(), r"hmac-sha2-256 .*\[warn\]")
        server.stop()


class Lists(PosternTest):
    autostart = False

    def test_what_is_listed_is_offered_in_that_order(self):
        server = self.new_server(host_keys=("ed25519", "rsa-3072"), server="""\
kex = ecdh-sha2-nistp384, diffie-hellman-group16-sha512
ciphers = aes128-ctr aes256-gcm@openssh.com
macs = hmac-sha2-512-etm@openssh.com,hmac-sha2-256
host-key-algorithms = rsa-sha2-256
""").start()
        offer = KexInit(server.port)
        self.assertEqual([n for n in offer.kex if n not in Audit.MARKERS],
                         ["ecdh-sha2-nistp384", "diffie-hellman-group16-sha512"])
        self.assertIn("kex-strict-s-v00@openssh.com", offer.kex)
        self.assertEqual(offer.cipher_c2s, ["aes128-ctr", "aes256-gcm@openssh.com"])
        self.assertEqual(offer.mac_s2c, ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256"])
        self.assertEqual(offer.host_key, ["rsa-sha2-256"])
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")
        # A reload changes it for those who come next.
        server.extra = "kex = curve25519-sha256\n"
        server.write_config()
        server.reload()

        def renewed():
            return [n for n in KexInit(server.port).kex
                    if n not in Audit.MARKERS] == ["curve25519-sha256"]
        wait_until(renewed, 10, "the new offer")
        server.stop()

    def test_host_keys_that_nobody_is_offered(self):
        server = self.new_server(server="host-key-algorithms = rsa-sha2-512\n").start_only()
        self.assertEqual(server.process.wait(20 * PATIENCE), 69)
        self.assertIn("host-key-algorithms has none for the host keys that there are",
                      server.log())
        server.process = None

    def test_signatures_of_users(self):
        server = self.new_server(server="user-key-algorithms = rsa-sha2-512\n")
        server.user_key("rsa", "rsa", 2048)
        server.write_policy("""
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
keys    = keys/rsa
sandbox = plain
shell   = /bin/bash
""")
        server.start()
        self.assertRan(server.ssh("acme", "echo in", key="rsa"), 0, b"in\n")
        got = server.ssh("acme", "echo in", key="rsa",
                         options=["PubkeyAcceptedAlgorithms=rsa-sha2-256"])
        self.assertEqual((got.code, got.out), (255, b""))
        got = server.ssh("acme", "echo in")
        self.assertEqual((got.code, got.out), (255, b""))
        self.assertIn(b"Permission denied", got.err)
        server.stop()


class Rekeying(PosternTest):
    server_args = {"server": "rekey-data = 64M\nrekey-time = 1s\n"}

    def rekeys(self, command, **kwargs):
        got = self.server.ssh("acme", command, options=["LogLevel=DEBUG1"], **kwargs)
        self.assertEqual(got.code, 0, got)
        return got, got.err.count(b"SSH2_MSG_KEXINIT received")

    def test_by_bytes_sent(self):
        got, times = self.rekeys("head -c 300M /dev/zero")
        self.assertEqual(len(got.out), 300 << 20)
        self.assertEqual(got.out.count(b"\0"), 300 << 20)
        self.assertGreaterEqual(times, 4)

    def test_by_bytes_received(self):
        got, times = self.rekeys("sha256sum; wc -c < /dev/null", stdin=b"x" * (200 << 20))
        self.assertGreaterEqual(times, 3)
        self.assertIn(b"\n0\n", got.out)

    def test_by_time(self):
        # As long as it takes: lines come until the keys have changed a second time.
        got, times = self.rekeys("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done")
        self.assertEqual(got.out, b"1\n2\n3\n4\n5\n6\n7\n8\n")
        self.assertGreaterEqual(times, 2)


class Compression(PosternTest):
    autostart = False

    def test_off_unless_allowed(self):
        server = self.new_server().start()
        got = server.ssh("acme", "echo in", options=["Compression=yes", "LogLevel=DEBUG1"])
        self.assertRegex(got.err, rb"server->client cipher: .* compression: none")
        self.assertEqual((got.code, got.out), (0, b"in\n"))
        server.stop()

    def test_allowed_after_authentication_alone(self):
        server = self.new_server(server="compression = yes\n").start()
        offer = KexInit(server.port)
        self.assertEqual(offer.compression_c2s, ["none", "zlib@openssh.com"])
        self.assertEqual(offer.compression_s2c, ["none", "zlib@openssh.com"])
        data = bytes(range(256)) * 8192
        got = server.ssh("acme", "cat", stdin=data,
                         options=["Compression=yes", "LogLevel=DEBUG1"])
        self.assertRegex(got.err, rb"server->client cipher: .* compression: zlib@openssh.com")
        self.assertEqual((got.code, got.out), (0, data))
        self.assertRan(server.ssh("acme", "cat", stdin=data), 0, data)
        server.stop()


class Banner(PosternTest):
    autostart = False

    def banner_seen(self, server, key="alice"):
        return server.ssh("acme", "echo in", key=key, options=["LogLevel=INFO"])

    def test_text(self):
        server = self.new_server(server="banner = Grüezi. \\x1b[2J is just text.\n").start()
        got = self.banner_seen(server)
        self.assertEqual((got.code, got.out), (0, b"in\n"))
        self.assertIn("Grüezi. \\x1b[2J is just text.".encode(), got.err)
        # Who can't log in sees it as well, once, and before the refusal.
        server.user_key("stranger")
        got = self.banner_seen(server, "stranger")
        self.assertEqual((got.code, got.err.count(b"is just text.")), (255, 1))
        self.assertLess(got.err.index(b"just text"), got.err.index(b"Permission denied"))
        server.stop()

    def test_file_and_the_bytes_on_the_wire(self):
        server = self.new_server()
        path = server.write("motd", "first\n\tsecond\n")
        server.extra = f"banner = {path}\n"
        server.write_config()
        server.start()
        script = server.write("wire.py", WIRE)
        got = run(["/usr/bin/python3", script, str(server.port), server.path("user_alice")])
        self.assertEqual(got.out, b"'first\\r\\n\\tsecond\\r\\n'\n")
        server.stop()

    def test_what_is_refused(self):
        for data, why in ((b"", "it is empty"), (b"a\x1b[2J\n", "line 1 has a control character"),
                          (b"a\n\xff\n", "line 2 is not UTF-8"),
                          (b"x" * 4095, "it is longer than 4096 bytes"),
                          (b"\xc2\x9b31m", "line 1 has a control character")):
            with self.subTest(why):
                server = self.new_server()
                path = server.write("motd", data)
                server.extra = f"banner = {path}\n"
                server.write_config()
                got = run([POSTERND, "-t", "-f", server.config], check=False)
                self.assertNotEqual(got.code, 0)
                self.assertIn(why, (got.out + got.err).decode())
                server.remove()


WIRE = """\
import sys
import paramiko
transport = paramiko.Transport(("127.0.0.1", int(sys.argv[1])))
transport.start_client()
transport.auth_publickey("acme", paramiko.Ed25519Key.from_private_key_file(sys.argv[2]))
print(repr(transport.get_banner().decode()))
transport.close()
"""


if __name__ == "__main__":
    main()
