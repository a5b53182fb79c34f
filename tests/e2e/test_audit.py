"""The audit trail and the trace log: every field, every escape, the right order."""
import datetime
import os
import re
import stat
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import PATIENCE, PosternTest, main  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "few"]
keys    = keys/alice
sandbox = plain
command = echo {word}
"""


class Audit(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=POLICY, keys=())
        cls.server.user_key("alice", comment="alice \"the\tfirst\" \\ é@host")
        cls.server.start()

    def test_the_file_is_private(self):
        self.server.ssh("acme", "true")
        mode = os.stat(self.server.path("audit.log")).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_all_fields_of_an_exec(self):
        data = b"y" * 100000
        got = self.server.ssh("acme", "cat; head -c 1234 /dev/zero; head -c 99 /dev/zero >&2;"
                              "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; exit 3", stdin=data)
        self.assertEqual((got.code, len(got.out), len(got.err)), (3, 101234, 99))
        start, end = self.server.last_exec()
        auth = self.server.audit(event="auth", connection=start["connection"])[-1]
        self.assertEqual({r["v"] for r in (auth, start, end)}, {1})
        for record in (auth, start, end):
            moment = datetime.datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
            age = datetime.datetime.utcnow() - moment
            self.assertLess(abs(age.total_seconds()), 120)
        self.assertEqual((auth["user"], auth["method"], auth["result"], auth["client"]),
                         ("acme", "publickey", "accepted", "127.0.0.1"))
        for record in (auth, start, end):
            self.assertEqual((record["tenant"], record["key"]),
                             ("acme", self.server.fingerprint("alice")))
        self.assertEqual((start["client"], start["kind"], start["decision"], start["reason"]),
                         ("127.0.0.1", "exec", "allow", None))
        self.assertTrue(start["command"].startswith("cat; head -c 1234"))
        self.assertRegex(start["rule"], r"/policy\.d/tenants\.ini:7\Z")
        self.assertEqual((end["verdict"], end["exit"]), ("exited", 3))
        self.assertNotIn("signal", end)
        self.assertEqual((end["bytes_in"], end["bytes_out"], end["bytes_err"]),
                         (100000, 101234, 99))
        self.assertGreater(end["wall_ms"], 0)
        self.assertLess(end["wall_ms"], 60000)
        self.assertGreater(end["user_ms"] + end["system_ms"], 0)
        self.assertGreater(end["max_rss_kib"], 500)
        self.assertLess(end["max_rss_kib"], 1 << 20)

    def test_a_denied_exec(self):
        self.assertEqual(self.server.ssh("few", "rm -rf /").code, 126)
        start, end = self.server.last_exec(tenant="few")
        self.assertEqual((start["decision"], start["command"]), ("deny", "rm -rf /"))
        self.assertTrue(start["reason"])
        self.assertRegex(start["rule"], r"/policy\.d/tenants\.ini:\d+\Z")
        self.assertEqual((end["verdict"], end["exit"], end["bytes_in"]), ("denied", 126, 0))

    def test_hostile_commands_stay_one_line(self):
        lines = ['echo one\necho two', 'echo "\x1b[31m\x07\x9b1m"', "echo '{\"v\":1}'\\",
                 "echo \u00e9\u4e2d", "echo \x7f\t\r", "%n%s%x", '","verdict":"exited"}']
        for line in lines:
            with self.subTest(line):
                self.server.ssh("acme", line)
                start, _ = self.server.last_exec()
                self.assertEqual(start["command"].encode("latin-1"), line.encode())
        raw = b"echo \xff\xfe\x80\xc3("
        self.server.ssh("acme", raw)
        self.assertEqual(self.server.last_exec()[0]["command"].encode("latin-1"), raw)
        with open(self.server.path("audit.log"), "rb") as f:
            data = f.read()
        self.assertRegex(data, rb"\A(?:\{[ -~]*\}\n)+\Z")

    def test_nothing_of_a_long_command_is_hidden(self):
        line = " " * 50000 + "echo " + "x" * 10000
        self.assertEqual(self.server.ssh("acme", line).code, 0)
        start, _ = self.server.last_exec()
        self.assertEqual(start["command"], line)
        self.assertNotIn("command_cut", start)

    def test_the_longest_command(self):
        self.assertEqual(self.server.ssh("acme", "true " + "x" * 70000).code, 126)
        start, _ = self.server.last_exec()
        self.assertEqual(start["decision"], "deny")
        self.assertEqual(len(start["command"]), 65536)
        self.assertIn("command_cut", start)

    def test_hostile_user_names_are_escaped_in_the_log(self):
        user = "a\nAccepted publickey for root\x1b[2J"
        key = paramiko.Ed25519Key.from_private_key_file(self.server.path("user_alice"))
        with paramiko.Transport(("127.0.0.1", self.server.port)) as transport:
            transport.start_client(timeout=20 * PATIENCE)
            with self.assertRaises(paramiko.AuthenticationException):
                transport.auth_publickey(user, key)
        self.server.wait_log(r"a\\nAccepted\\x20publickey\\x20for\\x20root\\x1b\[2J")
        for line in self.server.log().splitlines():
            self.assertRegex(line, r"\A\d\d:\d\d:\d\d\.\d{3} (error|warning|info|debug|trace) +")
            self.assertRegex(line, r"\A[ -~]*\Z")
        self.assertTrue(self.server.wait_audit(event="auth", result="failed", user=user))

    def test_the_key_comment_is_escaped(self):
        got = self.server.ssh("acme", "printf %s \"$POSTERN_KEY\"")
        start, _ = self.server.last_exec()
        self.assertEqual(start["key_comment"].encode("latin-1"), got.out)


class AuditToStderr(PosternTest):
    server_args = {"policy": POLICY, "server": "audit = stderr\n"}

    def test_records_are_there(self):
        self.server.ssh("acme", "exit 3")
        self.server.wait_log(r'\{"v":1,.*"event":"end",.*"verdict":"exited".*"exit":3.*\}')


class Trace(PosternTest):
    server_args = {"policy": POLICY, "log_level": "trace"}

    def trace(self, *words, start):
        """The words follow one another in the log written since `start`."""
        log = self.server.log()[start:]
        at = 0
        for word in words:
            found = re.search(word, log[at:], re.I)
            self.assertTrue(found, f"{word!r} not found after:\n{log[:at]}\n---\n{log[at:]}")
            at += found.end()

    def test_order_of_an_exec(self):
        start = len(self.server.log())
        self.server.ssh("acme", "cat; exit 7", options=["SetEnv=NOPE=1"], stdin=b"data")
        self.server.wait_log(r"trace +\S+ ch 0 <- close", start=start)
        self.trace(r"<- open session", r"-> open confirmed", r"<- request env.*NOPE",
                   r"<- request exec.*cat; exit 7", r"-> success", r"<- eof", r"-> eof",
                   r"-> exit-status 7", r"-> close", r"<- close", start=start)

    def test_a_signal_and_a_refusal(self):
        start = len(self.server.log())
        self.server.ssh("acme", "true", flags=["-tt"])
        self.server.ssh("acme", "kill -TERM $$")
        self.server.wait_log(r"exit-signal(?s:.*)<- close", start=start)
        self.trace(r"open.*session", r"pty-req", r"failure", r"open.*session", r"exec.*kill -TERM",
                   r"success", r"eof", r"exit-signal.*TERM", r"close", start=start)

    def test_other_channels_and_requests(self):
        start = len(self.server.log())
        self.server.ssh("acme", flags=["-W", "127.0.0.1:9"])
        self.server.ssh("acme", "true", flags=["-R", "0:127.0.0.1:9"])
        self.server.wait_log(r"tcpip-forward(?s:.*)<- close", start=start)
        self.trace(r"<- open direct-tcpip", r"-> .*refused", r"<- .*tcpip-forward", r"-> .*failure",
                   start=start)


if __name__ == "__main__":
    main()
