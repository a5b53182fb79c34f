"""Who may log in: options of keys, addresses, tenants without keys, certificates."""
import base64
import os
import re
import time

import paramiko

from harness import EXEC_ID, PATIENCE, PosternTest, main, run

POLICY = """
[sandbox "plain"]
network = none

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""

HOUR = 3600


def when(seconds):
    """A time as expiry-time= and ssh-keygen -V take it, in UTC."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


class Login(PosternTest):
    autostart = False

    def last_auth(self, server, **match):
        return server.wait_audit(event="auth", **match)[-1]

    def refused(self, got, server=None):
        """The client sees what anybody sees whose key is not listed."""
        self.assertEqual((got.code, got.out), (255, b""), got)
        self.assertRegex(got.err, rb"\A\w+@127\.0\.0\.1: Permission denied \(publickey\)\.\r?\n\Z")
        return (server or self.server).wait_audit(event="auth", result="failed")[-1]


class KeyOptions(Login):
    def started(self, options, policy=POLICY, log_level="info"):
        server = self.new_server(keys=(), policy=policy, log_level=log_level)
        server.user_key("alice", options=options)
        server.user_key("mallory")
        return server.start()

    def test_from_lets_in(self):
        server = self.started('from="192.0.2.0/24,127.0.0.0/8"')
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")

    def test_from_keeps_out(self):
        server = self.started('from="127.0.0.0/8,!127.0.0.1"')
        record = self.refused(server.ssh("acme", "true"), server)
        self.assertEqual(record["reason"], "the key's from= refuses 127.0.0.1 by !127.0.0.1")
        self.assertRegex(record["rule"], r"/keys/alice:1\Z")
        self.assertEqual((record["tenant"], record["key"], record["key_comment"]),
                         ("acme", server.fingerprint("alice"), "alice@client"))
        server.wait_log(r"info +Failed publickey for acme from 127\.0\.0\.1 port \d+ ssh2: ED25519 "
                        + re.escape(server.fingerprint("alice"))
                        + r": the key's from= refuses 127\.0\.0\.1 by !127\.0\.0\.1 "
                        r"\(\S+/keys/alice:1\)\n")

    def test_the_answer_is_that_of_a_key_nobody_has(self):
        """Also to a client that asks first whether a key would do."""
        server = self.started('from="192.0.2.1"', log_level="debug")
        seen = []
        for key in ("alice", "mallory"):
            got = server.ssh("acme", "true", key=key, options=["LogLevel=DEBUG1"])
            steps = [re.sub(rb"user_\w+|SHA256:\S+", b"KEY", line).strip()
                     for line in got.err.splitlines()
                     if re.search(rb"Offering|Server accepts|can continue|denied", line)]
            seen.append((got.code, steps))
        self.assertEqual(seen[0], seen[1])
        self.assertNotIn(b"accepts", b"".join(seen[0][1]))

    def test_expiry(self):
        server = self.started(f'expiry-time="{when(HOUR)}"')
        self.assertRan(server.ssh("acme", "echo in"), 0, b"in\n")
        server.user_key("alice", options='expiry-time="20010909014640Z"')
        self.assertRegex(server.reload(), "reloaded")
        record = self.refused(server.ssh("acme", "true"), server)
        self.assertEqual(record["reason"], "the key's expiry-time was 2001-09-09T01:46:40Z")

    def test_unknown_login_and_unknown_key_are_told_apart_in_the_log(self):
        server = self.started("")
        self.refused(server.ssh("acme", "true", key="mallory"), server)
        record = self.last_auth(server, user="acme")
        self.assertEqual((record["reason"], record["rule"], record["tenant"]),
                         ("this login has no such key", None, None))
        self.refused(server.ssh("nobody", "true", key="mallory"), server)
        self.assertEqual(self.last_auth(server, user="nobody")["reason"],
                         "no tenant has this login")
        shown = "ED25519 " + re.escape(server.fingerprint("mallory"))
        server.wait_log(rf"info +Failed publickey for acme from 127\.0\.0\.1 port \d+ ssh2: {shown}\n")
        server.wait_log(r"info +Failed publickey for invalid user nobody from 127\.0\.0\.1 port \d+ "
                        rf"ssh2: {shown}\n")

    def test_accepted_in_the_words_of_sshd(self):
        server = self.started("")
        self.assertRan(server.ssh("acme", "true"))
        server.wait_log(r"info +Accepted publickey for acme from 127\.0\.0\.1 port \d+ ssh2: ED25519 "
                        + re.escape(server.fingerprint("alice")) + r"\n")
        record = self.last_auth(server)
        self.assertEqual((record["result"], record["reason"]), ("accepted", None))
        self.assertNotIn("authority", record)


class WithoutKeys(Login):
    """auth = none: whoever knows the login is in, by the method "none" alone."""

    POLICY = POLICY + """
[tenant "open"]
auth    = none
sandbox = plain
command = printenv {word}
from    = 127.0.0.0/8

[tenant "far"]
auth    = none
sandbox = plain
shell   = /bin/bash
from    = 192.0.2.0/24
"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=cls.POLICY, log_level="info").start()

    def test_in_without_a_key(self):
        got = self.server.ssh("open", "printenv POSTERN_TENANT", key=None,
                              options=["PubkeyAuthentication=no"])
        self.assertRan(got, 0, b"open\n")
        self.server.wait_log(r"info +Accepted none for open from 127\.0\.0\.1 port \d+ ssh2\n")
        record = self.last_auth(self.server, user="open", result="accepted")
        self.assertEqual((record["method"], record["tenant"], record["key"]), ("none", "open", None))
        start, _ = self.server.last_exec(tenant="open")
        self.assertEqual((start["key"], start["key_comment"]), (None, ""))

    def test_a_key_at_hand_does_no_harm(self):
        self.assertRan(self.server.ssh("open", "printenv POSTERN_TENANT"), 0, b"open\n")
        # The variable is there, and empty.
        self.assertRan(self.server.ssh("open", "printenv POSTERN_KEY"), 0, b"\n")

    def test_rules_hold_for_them(self):
        got = self.server.ssh("open", "id", key=None)
        self.assertEqual(got.code, 126)
        self.assertLine(got.err, rf"postern: denied: .*not a command that is allowed here {EXEC_ID}")

    def test_from(self):
        record = self.refused(self.server.ssh("far", "true", key=None))
        self.assertEqual(record["reason"], "the tenant's from does not list 127.0.0.1")
        self.server.wait_log(r"info +Failed none for far from 127\.0\.0\.1 port \d+ ssh2: "
                             r"the tenant's from does not list 127\.0\.0\.1 \(\S+tenants\.ini:\d+\)")

    def test_others_need_their_key(self):
        got = self.server.ssh("acme", "true", key=None)
        self.assertEqual(got.code, 255)
        self.assertIn(b"Permission denied (publickey)", got.err)
        self.assertRan(self.server.ssh("acme", "echo in"), 0, b"in\n")

    def test_the_methods_that_are_offered_stay_the_same(self):
        for user in ("acme", "far", "nobody"):
            got = self.server.ssh(user, "true", key=None, options=["LogLevel=DEBUG1"])
            self.assertIn(b"Authentications that can continue: publickey\r\n",
                          got.err.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"))


class Certificates(Login):
    """As ssh-keygen -s makes them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(keys=("alice", "ca", "other"), policy="", log_level="info")
        cls.server.write_policy(POLICY.replace("keys/alice", "keys/authorities"))
        cls.trust()
        cls.server.start()

    @classmethod
    def public(cls, name):
        with open(cls.server.path(f"user_{name}.pub"), encoding="utf-8") as f:
            return f.read()

    @classmethod
    def trust(cls, *lines):
        """The tenant's key file, each line with the authority's key behind it."""
        lines = lines or ("cert-authority",)
        cls.server.write("policy.d/keys/authorities",
                         "".join(f"{options} {cls.public('ca')}" for options in lines))

    def trusting(self, *lines):
        """For one test."""
        self.trust(*lines)
        self.assertRegex(self.server.reload(), "reloaded")

        def again():
            self.trust()
            self.assertRegex(self.server.reload(), "reloaded")
        self.addCleanup(again)

    def sign(self, *how, ca="ca", key="alice", name="acme", valid="-1h:+1h", key_id="alice@laptop",
             serial=5):
        run(["ssh-keygen", "-q", "-s", self.server.path(f"user_{ca}"), "-I", key_id,
             "-z", str(serial), "-V", valid] + (["-n", name] if name else [])
            + list(how) + [self.server.path(f"user_{key}.pub")])

    def ssh(self, *command, user="acme", key="alice", **how):
        options = [f"CertificateFile={self.server.path(f'user_{key}-cert.pub')}"]
        return self.server.ssh(user, *command, key=key, options=options + how.pop("options", []), **how)

    def refused_for(self, reason, **how):
        record = self.refused(self.ssh("true", **how))
        failed = [r for r in self.server.audit(event="auth", connection=record["connection"])
                  if "authority" in r]
        self.assertEqual([r["reason"] for r in failed], [reason])
        return failed[0]

    def offered_by_force(self, reason):
        """OpenSSH's client keeps such a certificate back; paramiko sends whatever it is given."""
        key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        key.load_certificate(self.server.path("user_alice-cert.pub"))
        transport = paramiko.Transport(("127.0.0.1", self.server.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=20 * PATIENCE)
        with self.assertRaises(paramiko.AuthenticationException):
            transport.auth_publickey("acme", key)
        record = self.server.wait_audit(event="auth", port=transport.sock.getsockname()[1])[-1]
        self.assertEqual((record["result"], record["reason"]), ("failed", reason))
        self.assertEqual(record["authority"], self.server.fingerprint("ca"))
        # With a sound one the same client is let in.
        self.sign()
        key.load_certificate(self.server.path("user_alice-cert.pub"))
        again = paramiko.Transport(("127.0.0.1", self.server.port))
        self.addCleanup(again.close)
        again.start_client(timeout=20 * PATIENCE)
        again.auth_publickey("acme", key)
        self.assertTrue(again.is_authenticated())

    def test_accepted(self):
        self.sign()
        got = self.ssh("printenv POSTERN_KEY")
        self.assertRan(got, 0, b"alice@laptop\n")
        key, ca = (re.escape(self.server.fingerprint(name)) for name in ("alice", "ca"))
        self.server.wait_log(
            r"info +Accepted publickey for acme from 127\.0\.0\.1 port \d+ ssh2: "
            rf"ED25519-CERT {key} ID alice@laptop \(serial 5\) CA ED25519 {ca}\n")
        record = self.last_auth(self.server, result="accepted")
        self.assertEqual(
            (record["key"], record["key_comment"], record["key_id"], record["serial"],
             record["authority"]),
            (self.server.fingerprint("alice"), "alice@laptop", "alice@laptop", 5,
             self.server.fingerprint("ca")))
        start, _ = self.server.last_exec()
        self.assertEqual((start["key"], start["key_comment"]),
                         (self.server.fingerprint("alice"), "alice@laptop"))

    def test_every_type_of_key_and_authority(self):
        lines = []
        for kind, bits in (("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048)):
            name = f"{kind}{bits}"
            for who in ("key", "ca"):
                self.server.user_key(f"{who}_{name}", kind=kind, bits=bits)
            lines.append(f"cert-authority {self.public('ca_' + name)}")
        self.server.write("policy.d/keys/authorities", "".join(lines))
        self.addCleanup(self.server.reload)
        self.addCleanup(self.trust)
        self.assertRegex(self.server.reload(), "reloaded")
        for name in ("ecdsa256", "ecdsa384", "ecdsa521", "rsa2048"):
            with self.subTest(name):
                self.sign(ca=f"ca_{name}", key=f"key_{name}", key_id=name)
                self.assertRan(self.ssh("printenv POSTERN_KEY", key=f"key_{name}"), 0,
                               name.encode() + b"\n")
        for how in (["-t", "rsa-sha2-256"], ["-t", "rsa-sha2-512"]):
            self.sign(*how, ca="ca_rsa2048")
            self.assertRan(self.ssh("echo in"), 0, b"in\n")
        self.sign("-t", "ssh-rsa", ca="ca_rsa2048")  # SHA-1
        self.refused_for("the signature of the certificate is wrong")
        # The key's own signature with either hash.
        self.sign(ca="ca_ecdsa256", key="key_rsa2048")
        for algorithm in ("rsa-sha2-256", "rsa-sha2-512"):
            got = self.ssh("echo in", key="key_rsa2048", options=[
                f"PubkeyAcceptedAlgorithms={algorithm}-cert-v01@openssh.com,{algorithm}"])
            self.assertRan(got, 0, b"in\n")

    def test_time(self):
        self.sign(valid="-2h:-1h")
        record = self.refused(self.ssh("true"))
        self.assertTrue(any(re.match(r"the certificate was valid until 20\S+Z\Z", r["reason"])
                            for r in self.server.audit(connection=record["connection"],
                                                       event="auth")))
        self.sign(valid="+1h:+2h")
        record = self.refused(self.ssh("true"))
        self.assertTrue(any(re.match(r"the certificate is not valid before 20\S+Z\Z", r["reason"])
                            for r in self.server.audit(connection=record["connection"],
                                                       event="auth")))
        self.sign(valid="always:forever")
        self.assertRan(self.ssh("echo in"), 0, b"in\n")

    def test_principals(self):
        self.sign(name="other,ACME")
        self.refused_for("none of the certificate's principals may log in")
        self.sign(name=None)
        self.refused_for("the certificate names no principals")
        self.sign(name="x,acme")
        self.assertRan(self.ssh("echo in"), 0, b"in\n")
        self.trusting('cert-authority,principals="ci"')
        self.refused_for("none of the certificate's principals may log in")
        self.sign(name="ci")
        self.assertRan(self.ssh("echo in"), 0, b"in\n")

    def test_host_certificate(self):
        self.sign("-h")
        self.offered_by_force("the certificate is not a user's but a host's")

    def test_other_authority(self):
        self.sign(ca="other")
        record = self.refused_for("this login has no such certificate authority")
        self.assertEqual(record["authority"], self.server.fingerprint("other"))
        # Nor does an authority log in with its own key.
        self.refused(self.server.ssh("acme", "true", key="ca"))

    def test_force_command(self):
        self.sign("-O", "force-command=printenv SSH_ORIGINAL_COMMAND")
        self.assertRan(self.ssh("rm -rf /"), 0, b"rm -rf /\n")
        self.trusting('cert-authority,command="echo line"')
        self.refused_for("the certificate's force-command is not the command= of its authority")
        self.sign()
        self.assertRan(self.ssh("id"), 0, b"line\n")
        self.sign("-O", "force-command=echo line")
        self.assertRan(self.ssh("id"), 0, b"line\n")

    def test_source_address(self):
        self.sign("-O", "source-address=192.0.2.0/24,127.0.0.0/8")
        self.assertRan(self.ssh("echo in"), 0, b"in\n")
        self.sign("-O", "source-address=192.0.2.0/24")
        self.refused_for("the certificate's source-address does not list 127.0.0.1")

    def test_unknown_critical_option(self):
        self.sign("-O", "critical:gate@example.org=x")
        self.refused_for("the certificate has an unknown critical option, 'gate@example.org'")
        self.sign("-O", "extension:note@example.org=x")
        self.assertRan(self.ssh("echo in"), 0, b"in\n")

    def test_removing_the_authority_revokes(self):
        self.sign()
        self.assertRan(self.ssh("echo in"), 0, b"in\n")
        self.server.write("policy.d/keys/authorities", "# nobody\n")
        self.addCleanup(self.server.reload)
        self.addCleanup(self.trust)
        self.assertRegex(self.server.reload(), "reloaded")
        self.refused_for("this login has no such certificate authority")

    def test_a_forged_certificate(self):
        """Another principal than was signed for."""
        self.sign(name="axme")
        path = self.server.path("user_alice-cert.pub")
        with open(path, encoding="utf-8") as f:
            kind, text, comment = f.read().split(" ", 2)
        blob = base64.b64decode(text)
        self.assertEqual(blob.count(b"axme"), 1)
        with open(path, "w", encoding="utf-8") as f:
            f.write(" ".join((kind, base64.b64encode(blob.replace(b"axme", b"acme")).decode(),
                              comment)))
        self.offered_by_force("the signature of the certificate is wrong")

    def test_the_key_itself_is_not_listed(self):
        self.sign()
        self.refused(self.server.ssh("acme", "true", options=[
            "CertificateFile=none", f"IdentityFile={self.server.path('user_alice')}",
            "PubkeyAcceptedAlgorithms=ssh-ed25519"]))


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
