"""Algorithms and keys: each that both sides know works, and the weak ones are not offered."""
from harness import KexInit, PosternTest, main, run


def known_to_client(kind):
    return set(run(["ssh", "-Q", kind]).out.decode().split())


HOST_KEYS = ("ed25519", "ecdsa-256", "rsa-pem")
NO_KEX = {"ext-info-s", "kex-strict-s-v00@openssh.com"}


class Algorithms(PosternTest):
    server_args = {"host_keys": HOST_KEYS}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.offer = KexInit(cls.server.port)

    def each(self, names, option, kind, at_least):
        both = [n for n in names if n in known_to_client(kind)]
        self.assertTrue(set(at_least) <= set(both), f"offered: {names}")
        for name in both:
            with self.subTest(name):
                extra = ["Ciphers=aes256-ctr"] if option == "MACs" else []
                got = self.server.ssh("acme", "cat", stdin=b"x" * 100000,
                                      options=[f"{option}={name}", *extra])
                self.assertRan(got, 0, b"x" * 100000)

    def test_ciphers(self):
        self.assertEqual(self.offer.cipher_c2s, self.offer.cipher_s2c)
        self.each(self.offer.cipher_c2s, "Ciphers", "cipher",
                  ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com",
                   "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr"])

    def test_macs(self):
        self.assertEqual(self.offer.mac_c2s, self.offer.mac_s2c)
        self.each(self.offer.mac_c2s, "MACs", "mac",
                  ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"])

    def test_key_exchanges(self):
        names = [n for n in self.offer.kex if n not in NO_KEX]
        self.each(names, "KexAlgorithms", "kex", ["curve25519-sha256", "diffie-hellman-group16-sha512"])

    def test_host_key_algorithms(self):
        self.each(self.offer.host_key, "HostKeyAlgorithms", "HostKeyAlgorithms",
                  ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512"])

    def test_nothing_weak_is_offered(self):
        offered = [name for field in KexInit.FIELDS for name in getattr(self.offer, field)]
        self.assertNotIn("", offered, "a stray comma makes an empty name")
        for word in ("cbc", "3des", "arcfour", "sha1", "md5", "group-exchange", "group1-", "zlib",
                     "dss"):
            self.assertEqual([n for n in offered if word in n], [])
        self.assertNotIn("ssh-rsa", self.offer.host_key)
        self.assertEqual(self.offer.compression_c2s, ["none"])
        self.assertEqual(self.offer.compression_s2c, ["none"])

    def test_strict_key_exchange_is_offered(self):
        self.assertIn("kex-strict-s-v00@openssh.com", self.offer.kex)


class HostKeyFiles(PosternTest):
    autostart = False

    def test_each_kind_of_file(self):
        for kind, algorithm in (("ed25519", "ssh-ed25519"), ("ecdsa-256", "ecdsa-sha2-nistp256"),
                                ("ecdsa-384", "ecdsa-sha2-nistp384"),
                                ("ecdsa-521", "ecdsa-sha2-nistp521"),
                                ("rsa-2048", "rsa-sha2-256"), ("rsa-3072", "rsa-sha2-512"),
                                ("rsa-pem", "rsa-sha2-512"),
                                ("rsa-pem-traditional", "rsa-sha2-256")):
            with self.subTest(kind):
                server = self.new_server(host_keys=(kind,)).start()
                got = server.ssh("acme", "echo hello", options=[f"HostKeyAlgorithms={algorithm}"])
                self.assertRan(got, 0, b"hello\n")
                server.stop()


USER_POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
sandbox = plain
shell   = /bin/bash
keys    = keys/alice
keys    = keys/ecdsa256
keys    = keys/ecdsa384
keys    = keys/ecdsa521
keys    = keys/rsa2048
keys    = keys/rsa4096
"""


class UserKeys(PosternTest):
    autostart = False
    kinds = (("alice", "ed25519", None), ("ecdsa256", "ecdsa", 256), ("ecdsa384", "ecdsa", 384),
             ("ecdsa521", "ecdsa", 521), ("rsa2048", "rsa", 2048), ("rsa4096", "rsa", 4096))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        for name, kind, bits in cls.kinds:
            cls.server.user_key(name, kind, bits)
        cls.server.user_key("stranger")
        cls.server.write_policy(USER_POLICY)
        cls.server.start()

    def test_each_kind_logs_in_and_is_named_in_the_audit(self):
        for name, _, _ in self.kinds:
            with self.subTest(name):
                got = self.server.ssh("acme", "echo $POSTERN_KEY", key=name)
                self.assertRan(got, 0, f"{name}@client\n".encode())
                start, _ = self.server.last_exec(key_comment=f"{name}@client")
                self.assertEqual(start["key"], self.server.fingerprint(name))

    def test_rsa_signature_algorithms(self):
        for algorithm in ("rsa-sha2-256", "rsa-sha2-512"):
            got = self.server.ssh("acme", "echo in", key="rsa2048",
                                  options=[f"PubkeyAcceptedAlgorithms={algorithm}"])
            self.assertRan(got, 0, b"in\n")

    def test_rsa_with_sha1_is_refused(self):
        got = self.server.ssh("acme", "echo in", key="rsa2048",
                              options=["PubkeyAcceptedAlgorithms=ssh-rsa"])
        self.assertEqual((got.code, got.out), (255, b""))
        self.assertIn(b"Permission denied", got.err)

    def test_certificates_are_refused(self):
        # Signed by nobody that the policy names, for a key that it does name.
        server = self.server
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.path("ca")])
        run(["ssh-keygen", "-q", "-s", server.path("ca"), "-I", "id", "-n", "acme",
             server.path("user_stranger.pub")])
        got = server.ssh("acme", "echo in", key="stranger")
        self.assertEqual((got.code, got.out), (255, b""))
        self.assertIn(b"Permission denied", got.err)
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")

    def test_a_wrong_key_is_refused(self):
        got = self.server.ssh("acme", "echo in", key="stranger")
        self.assertEqual((got.code, got.out), (255, b""))
        self.assertIn(b"acme@127.0.0.1: Permission denied (publickey).", got.err)


if __name__ == "__main__":
    main()
