"""Authentication in the log, in the words of sshd: what people read and what fail2ban makes of it."""
import re
import shutil
import subprocess
import unittest
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import PATIENCE, SOURCE, PosternTest, main, run  # noqa: E402

FROM = r"127\.0\.0\.1 port \d+"
# What would have a log watcher ban 192.0.2.66, were it to be taken for more than a name.
HOSTILE = [
    "x from 192.0.2.66 port 22 ssh2",
    " from 192.0.2.66",
    "invalid user from 192.0.2.66 port 22",
    "x\nFailed publickey for root from 192.0.2.66 port 22 ssh2: RSA SHA256:x",
    "x\rNov 23 03:00:00 host sshd[1]: Invalid user root from 192.0.2.66 port 22",
    "x: y from 192.0.2.66 port 22 ssh2: ED25519 SHA256:x",
    "x from 192.0.2.66 port 22 ssh2: " + "z" * 200,
    "x\tfrom\t192.0.2.66 port 22",
    "x\u00a0from\u00a0192.0.2.66\u2028port 22",
    "x\x1b[2K from 192.0.2.66 port 22 [preauth]",
    "\\x20from 192.0.2.66 port 22 ssh2",
    "acme from 192.0.2.66 port 22 ssh2",
]


class Attempts(PosternTest):
    server_args = {"log_level": "info", "server": "max-auth-tries = 3\nsource-exempt = 127.0.0.0/8\n"}

    def setUp(self):
        self.start = len(self.server.log())
        self.key = paramiko.Ed25519Key.from_private_key_file(self.server.user_key("mallory"))

    def attempt(self, user, *methods):
        """One connection of this name, which fails by each of the methods and hangs up."""
        with paramiko.Transport(("127.0.0.1", self.server.port)) as transport:
            transport.start_client(timeout=20 * PATIENCE)
            for method in methods:
                with self.assertRaises((paramiko.SSHException, EOFError)):
                    if method == "none":
                        transport.auth_none(user)
                    elif method == "password":
                        transport.auth_password(user, "secret", fallback=False)
                    else:
                        transport.auth_publickey(user, self.key)

    def logged(self, pattern):
        self.server.wait_log(rf"(?m)^\S+ \w+ +{pattern}$", start=self.start)


class Words(Attempts):
    def test_a_known_login(self):
        self.attempt("acme", "none", "publickey")
        self.logged(rf"Failed publickey for acme from {FROM} ssh2: ED25519 SHA256:\S{{43}}")
        self.logged(rf"Connection closed by authenticating user acme {FROM} \[preauth\]")
        self.assertNotIn("Failed none", self.server.log()[self.start:])

    def test_an_unknown_login(self):
        self.attempt("nobody", "none", "publickey", "password")
        self.logged(rf"Failed none for invalid user nobody from {FROM} ssh2")
        self.logged(rf"Failed publickey for invalid user nobody from {FROM} ssh2: "
                    r"ED25519 SHA256:\S{43}")
        self.logged(rf"Failed password for invalid user nobody from {FROM} ssh2")
        self.logged(rf"Connection closed by invalid user nobody {FROM} \[preauth\]")

    def test_accepted(self):
        self.assertRan(self.server.ssh("acme", "true"))
        self.logged(rf"Accepted publickey for acme from {FROM} ssh2: ED25519 SHA256:\S{{43}}")
        self.assertNotIn("preauth", self.server.log()[self.start:])

    def test_too_many(self):
        for user, invalid, who in (("acme", "", "authenticating user acme"),
                                   ("nobody", "invalid user ", "invalid user nobody")):
            self.start = len(self.server.log())
            self.attempt(user, "publickey", "publickey", "publickey")
            self.logged(rf"maximum authentication attempts exceeded for {invalid}{user} from {FROM} "
                        r"ssh2 \[preauth\]")
            self.logged(rf"Disconnecting {who} {FROM}: Too many authentication failures "
                        r"\[preauth\]")
            self.assertNotRegex(self.server.log()[self.start:],
                                rf"Connection closed by \w+ user {user} ")

    def test_names_are_one_word(self):
        for user in HOSTILE:
            with self.subTest(user):
                self.start = len(self.server.log())
                self.attempt(user, "none", "publickey")
                self.logged(rf"Failed none for invalid user [!-~]+ from {FROM} ssh2")
                self.logged(rf"Failed publickey for invalid user [!-~]+ from {FROM} ssh2: .*")
                self.logged(rf"Connection closed by invalid user [!-~]+ {FROM} \[preauth\]")
        self.start = len(self.server.log())
        self.attempt("a b\\c", "none")
        self.logged(rf"Failed none for invalid user a\\x20b\\\\c from {FROM} ssh2")


class NotInTime(PosternTest):
    server_args = {"log_level": "info", "server": f"login-grace = {2 * PATIENCE}s\n"}

    def test_timeout(self):
        with paramiko.Transport(("127.0.0.1", self.server.port)) as transport:
            transport.start_client(timeout=20 * PATIENCE)
            self.server.wait_log(rf"info +Timeout before authentication for {FROM}\n")


@unittest.skipUnless(shutil.which("fail2ban-regex"), "fail2ban is not installed")
class Fail2ban(Attempts):
    """The filter that fail2ban has for sshd reads our lines, and nobody chooses who is banned."""

    def addresses(self, mode):
        """Whom the filter would ban for what was logged, and how many lines it made out."""
        return self.addresses_by(f"sshd[{mode}]", "sshd")

    def addresses_by(self, rules, program):
        lines = [re.sub(r"^\S+ \w+ +", f"Nov 23 03:00:00 host {program}[1]: ", line)
                 for line in self.server.log()[self.start:].splitlines()]
        path = self.server.write("sshd.log", "\n".join(lines) + "\n")
        found = subprocess.run(["fail2ban-regex", "-o", "ip", path, rules],
                               stdout=subprocess.PIPE, check=False, timeout=60 * PATIENCE)
        return found.stdout.decode().split()

    def test_the_filter_for_sshd(self):
        self.attempt("nobody", "none", "publickey")
        self.attempt("acme", "publickey", "publickey", "publickey")
        self.logged(r"Disconnecting .*")
        found = self.addresses("publickey=any")
        self.assertEqual(set(found), {"127.0.0.1"})
        self.assertGreaterEqual(len(found), 6)

    def test_our_own_filter(self):
        """That of the package: once for each refusal and each connection that was cut off."""
        for name in ("common.conf", "postern.conf"):
            source = (f"{SOURCE}/packaging/fail2ban/filter.d/postern.conf" if name[0] == "p"
                      else f"/etc/fail2ban/filter.d/{name}")
            with open(source, encoding="utf-8") as f:
                self.server.write(f"filter.d/{name}", f.read())
        rules = self.server.path("filter.d/postern.conf")
        for user in ("nobody", *HOSTILE):
            self.attempt(user, "none", "publickey")
            self.logged(r"Connection closed by invalid user .*")
        self.attempt("acme", "publickey", "publickey", "publickey")
        self.logged(r"Disconnecting .*")
        self.assertRan(self.server.ssh("acme", "true"))
        found = self.addresses_by(rules, "posternd")
        self.assertEqual(set(found), {"127.0.0.1"})
        self.assertEqual(len(found), 2 * (1 + len(HOSTILE)) + 3 + 1)
        self.assertEqual(self.addresses_by(rules, "sshd"), [])

    def test_nobody_else_is_banned(self):
        for user in HOSTILE:
            self.attempt(user, "none", "publickey", "publickey", "publickey")
        self.server.wait_log(rf"(Disconnecting(?s:.*)){{{len(HOSTILE)}}}", start=self.start)
        for mode in ("publickey=any", "mode=aggressive,publickey=any"):
            found = self.addresses(mode)
            self.assertEqual(set(found), {"127.0.0.1"})
            self.assertGreaterEqual(len(found), 4 * len(HOSTILE))

    def test_a_certificate_names_nobody(self):
        """Its id is its authority's to choose, who may be anybody."""
        path = self.server.path("user_mallory")
        run(["ssh-keygen", "-q", "-s", path, "-I", " from 192.0.2.66 port 22 ssh2: x", "-n", "acme",
             path + ".pub"])
        got = self.server.ssh("acme", "true", key="mallory",
                              options=[f"CertificateFile={path}-cert.pub"])
        self.assertEqual(got.code, 255)
        self.logged(rf"Failed publickey for acme from {FROM} ssh2: ED25519-CERT .*")
        self.assertEqual(set(self.addresses("mode=aggressive,publickey=any")), {"127.0.0.1"})

    def test_a_line_that_is_not_ours_would_fool_it(self):
        """What all of this is for: a name as it comes."""
        line = "Nov 23 03:00:00 host sshd[1]: Invalid user x from 192.0.2.66 port 22\n"
        path = self.server.write("sshd.log", line)
        found = run(["fail2ban-regex", "-o", "ip", path, "sshd"])
        self.assertEqual(found.out.split(), [b"192.0.2.66"])


if __name__ == "__main__":
    main()
