"""What an exec has used and was allowed: in the audit's record, and as a receipt for its client; and
limits that clients set for themselves."""
import json
import os
import signal

from harness import EXEC_ID, PATIENCE, POSTERN, PosternTest, main, run

POLICY = """
[sandbox "plain"]
network = none
time    = 10m
tasks   = 40
output  = 1M
[sandbox "kept"]
extends   = plain
workspace = {kept}/%t

[tenant "acme"]
keys       = keys/alice
sandbox    = plain
shell      = /bin/bash
receipt    = yes
accept-env = POSTERN_TIME POSTERN_RECEIPT POSTERN_MEMORY
[tenant "asks"]
keys       = keys/alice
sandbox    = plain
shell      = /bin/bash
accept-env = POSTERN_RECEIPT
[tenant "few"]
keys       = keys/alice
sandbox    = plain
command    = echo {{word}}
receipt    = yes
[tenant "shown"]
extends    = acme
user       = shown
pty        = yes
[tenant "quiet"]
keys       = keys/alice
sandbox    = plain
shell      = /bin/bash
[tenant "disk"]
keys       = keys/alice
sandbox    = kept
shell      = /bin/bash
"""

MARK = "postern: receipt: "
MEMBERS = ["v", "exec", "tenant", "verdict", "exit", "cause", "wall_ms", "user_ms", "system_ms",
           "max_rss_kib", "memory_peak", "tasks_peak", "throttled_ms", "read_bytes",
           "written_bytes", "oom_kills", "limit_time_ms", "limit_idle_ms", "limit_memory",
           "limit_tasks", "limit_cpu_percent", "limit_output", "limits_by_client", "bytes_in",
           "bytes_out", "bytes_err"]
# Of the command's cgroup: null where the machine that runs the tests has none.
OF_CGROUP = ["memory_peak", "tasks_peak", "throttled_ms", "oom_kills"]


def asking(**wishes):
    return [f"SetEnv={' '.join(f'POSTERN_{k.upper()}={v}' for k, v in wishes.items())}"]


class AccountTest(PosternTest):
    autostart = False
    extra = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(server=cls.extra)
        kept = cls.server.path("kept")
        os.mkdir(kept, 0o755)
        # mkdtemp(3) makes it private, and what tenants keep is reached through it.
        os.chmod(cls.server.dir, 0o755)
        cls.server.write_policy(POLICY.format(kept=kept))
        cls.server.start()

    def receipt(self, err):
        """The last line, and what is before it."""
        before, mark, text = err.decode().rpartition(MARK)
        self.assertTrue(mark, err)
        self.assertTrue(text.endswith("}\n") and "\n" not in text[:-1], err)
        self.assertTrue(before == "" or before.endswith("\n"), err)
        return json.loads(text), before

    def assertNoReceipt(self, err):
        self.assertNotIn(b"receipt", err)


class Receipts(AccountTest):
    def test_all_members(self):
        got = self.server.ssh("acme", "cat; echo oops >&2; exit 3", stdin=b"x" * 1000)
        receipt, before = self.receipt(got.err)
        self.assertEqual((got.code, before), (3, "oops\n"))
        self.assertEqual(list(receipt), MEMBERS)
        _, end = self.server.last_exec()
        self.assertEqual({name: receipt[name] for name in MEMBERS[1:]},
                         {name: end[name] for name in MEMBERS[1:]})
        self.assertEqual({name: receipt[name] for name in (
            "v", "tenant", "verdict", "exit", "cause", "limit_time_ms", "limit_idle_ms",
            "limit_memory", "limit_tasks", "limit_cpu_percent", "limit_output", "limits_by_client",
            "bytes_in", "bytes_out", "bytes_err")},
            {"v": 1, "tenant": "acme", "verdict": "exited", "exit": 3, "cause": None,
             "limit_time_ms": 600000, "limit_idle_ms": None, "limit_memory": None,
             "limit_tasks": 40, "limit_cpu_percent": None, "limit_output": 1 << 20,
             "limits_by_client": None, "bytes_in": 1000, "bytes_out": 1000, "bytes_err": 5})
        self.assertGreater(receipt["wall_ms"], 0)
        self.assertGreater(receipt["max_rss_kib"], 0)
        for name in OF_CGROUP:
            self.assertIsNone(receipt[name])

    def test_on_a_terminal_only_for_who_asks(self):
        """The session's lines are stderr to the client, also where the command has a terminal."""
        terminal = ["-tt"]
        got = self.server.ssh("shown", "echo done", flags=terminal)
        self.assertEqual((got.code, got.out), (0, b"done\r\n"), got)
        self.assertNoReceipt(got.err)
        got = self.server.ssh("shown", "echo done", flags=terminal, options=asking(receipt="1"))
        receipt = json.loads(got.err.decode().rpartition(MARK)[2])
        self.assertEqual((got.out, receipt["tenant"], receipt["bytes_out"]),
                         (b"done\r\n", "shown", 6))
        self.receipt(self.server.ssh("shown", "echo done").err)

    def test_a_signal(self):
        got = self.server.ssh("acme", "kill -USR1 $$")
        receipt, _ = self.receipt(got.err)
        self.assertEqual((receipt["verdict"], receipt["signal"]), ("signalled", signal.SIGUSR1))
        self.assertNotIn("exit", receipt)

    def test_on_a_line_of_its_own(self):
        got = self.server.ssh("acme", "printf half >&2")
        _, before = self.receipt(got.err)
        self.assertEqual(before, "half\n")

    def test_a_forged_one_is_not_the_last(self):
        got = self.server.ssh("acme", f"echo '{MARK}{{\"v\":1,\"exit\":0}}' >&2; exit 7")
        receipt, before = self.receipt(got.err)
        self.assertEqual((receipt["exit"], before.count(MARK)), (7, 1))

    def test_after_the_verdict(self):
        got = self.server.ssh("acme", "yes", timeout=60)
        self.assertEqual((got.code, len(got.out)), (153, 1 << 20))
        receipt, before = self.receipt(got.err)
        self.assertRegex(before, rf"\Apostern: output: it wrote more than 1M.* {EXEC_ID}\n\Z")
        self.assertEqual((receipt["verdict"], receipt["exit"], receipt["cause"],
                          receipt["bytes_out"]), ("output", 153, "output limit", 1 << 20))

    def test_of_a_denial(self):
        got = self.server.ssh("few", "rm -rf /")
        receipt, before = self.receipt(got.err)
        self.assertRegex(before, r"\Apostern: denied: ")
        self.assertEqual((got.code, receipt["verdict"], receipt["exit"], receipt["wall_ms"],
                          receipt["bytes_out"]), (126, "denied", 126, 0, 0))
        self.assertNotIn("limit_time_ms", receipt)

    def test_not_found(self):
        self.server.write_policy(self.server_policy().replace("echo {word}", "nosuch {word}"))
        self.server.reload()
        got = self.server.ssh("few", "nosuch x")
        receipt, before = self.receipt(got.err)
        self.assertRegex(before, r"\Apostern: not-found: ")
        self.assertEqual((receipt["verdict"], receipt["exit"]), ("not-found", 127))
        self.server.write_policy(POLICY.format(kept=self.server.path("kept")))
        self.server.reload()

    def server_policy(self):
        return POLICY.format(kept=self.server.path("kept"))

    def test_who_wants_one(self):
        self.assertRan(self.server.ssh("quiet", "true"))
        self.assertRan(self.server.ssh("quiet", "true", options=asking(receipt=1)))
        self.assertRan(self.server.ssh("asks", "true"))
        self.assertRan(self.server.ssh("asks", "true", options=asking(receipt=0)))
        self.receipt(self.server.ssh("asks", "true", options=asking(receipt=1)).err)
        self.receipt(self.server.ssh("asks", "true", options=asking(receipt="yes")).err)
        self.assertRan(self.server.ssh("acme", "true", options=asking(receipt="no")))

    def test_the_command_does_not_see_the_wish(self):
        got = self.server.ssh("asks", "env | grep -c ^POSTERN_", options=asking(receipt=1))
        self.assertEqual(got.out, b"3\n", got)

    def test_many_at_once(self):
        path, client = self.server.mux("acme")
        clients = [self.server.popen_ssh("acme", f"head -c {i * 1000} /dev/zero", flags=["-S", path])
                   for i in range(12)]
        for i, one in enumerate(clients):
            out, err = one.communicate(timeout=60 * PATIENCE)
            receipt, before = self.receipt(err)
            self.assertEqual((len(out), receipt["bytes_out"], before), (i * 1000, i * 1000, ""))
        client.kill()
        client.wait()


class Audit(AccountTest):
    def test_bytes_of_a_disk(self):
        # Past the page cache, whose bytes are nobody's before they are written.
        got = self.server.ssh("disk", "dd if=/dev/zero of=f bs=64K count=32 conv=fsync 2>&1 && "
                                      "dd if=f of=/dev/null iflag=direct bs=64K 2>&1", timeout=60)
        _, end = self.server.last_exec()
        if b"Invalid argument" in got.out:
            self.skipTest("no direct reads on this file system")
        self.assertEqual(got.code, 0, got)
        self.assertGreaterEqual(end["written_bytes"], 2 << 20)
        self.assertGreaterEqual(end["read_bytes"], 2 << 20)

    def test_without_a_session_nothing_is_known_of_bytes(self):
        self.server.expect_deaths = True
        client = self.server.popen_ssh("quiet", "echo up; exec sleep 300",
                                       options=["BindAddress=127.0.0.2"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        session = self.server.only_session()
        os.kill(session, signal.SIGKILL)
        client.communicate(timeout=30 * PATIENCE)
        _, end = self.server.last_exec()
        self.assertEqual((end["cause"], end["bytes_in"], end["bytes_out"], end["bytes_err"]),
                         ("client gone", None, None, None))
        self.assertIsNotNone(end["user_ms"])


    def test_what_is_ended_early_is_measured_too(self):
        """However near the worker's last word is to the signals that it did not read any more."""
        clients = [self.server.popen_ssh("quiet", "echo up; exec sleep 300") for _ in range(20)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        before = len(self.server.audit(event="end"))
        for client in clients:
            client.kill()
            client.communicate()
        ends = self.server.wait_audit(before + 20, timeout=30, event="end")[before:]
        self.assertEqual([end for end in ends if end["user_ms"] is None], [])
        self.assertEqual({end["verdict"] for end in ends}, {"signalled"})


class Wishes(AccountTest):
    def test_time(self):
        got = self.server.ssh("acme", "sleep 300", options=asking(time="1s"), timeout=60)
        receipt, before = self.receipt(got.err)
        self.assertEqual(got.code, 124)
        self.assertRegex(before, r"\Apostern: time: the client's own time limit of 1s "
                                 rf"\(POSTERN_TIME\) is over {EXEC_ID}\n\Z")
        self.assertEqual((receipt["limit_time_ms"], receipt["limits_by_client"], receipt["cause"]),
                         (1000, "time", "time limit"))

    def test_never_looser(self):
        got = self.server.ssh("acme", "true", options=asking(time="2h"))
        receipt, _ = self.receipt(got.err)
        self.assertEqual((receipt["limit_time_ms"], receipt["limits_by_client"]), (600000, None))

    def test_what_is_not_listed_counts_for_nothing(self):
        got = self.server.ssh("asks", "sleep 2; echo done", options=asking(time="1s"))
        self.assertRan(got, 0, b"done\n")

    def test_malformed(self):
        for name, value, reason in (
                ("time", "30", "POSTERN_TIME: '30' is not a time such as 30s, 15m, 1h or 2d, nor "
                               "'infinity'"),
                ("memory", "lots", "POSTERN_MEMORY: 'lots' is not a size such as 512K, 64M or 2G, "
                                   "nor 'infinity'"),
                ("receipt", "maybe", "POSTERN_RECEIPT: 'maybe' is neither 'yes' nor 'no'")):
            with self.subTest(name):
                got = self.server.ssh("acme", "echo ran", options=asking(**{name: value}))
                self.assertEqual((got.code, got.out), (126, b""), got)
                self.assertRegex(got.err.decode().splitlines()[0],
                                 rf"\Apostern: denied: {reason} {EXEC_ID}\Z")

    def test_memory_that_cannot_be_kept(self):
        """The policy asks for nothing that this host lacks, but the client does."""
        got = self.server.ssh("acme", "echo ran", options=asking(memory="64M"))
        self.assertEqual((got.code, got.out), (126, b""), got)
        self.assertLine(got.err, r"postern: denied: POSTERN_MEMORY can't be kept: this server gives "
                                 rf"commands no cgroup with a limit of memory {EXEC_ID}")
        start, end = self.server.last_exec()
        self.assertEqual((start["decision"], end["verdict"]), ("deny", "denied"))

    def test_explain(self):
        def explain(*options):
            return run([POSTERN, "explain", "-f", self.server.config, "--user", "acme", "--key",
                        self.server.path("user_alice.pub"), *options, "--", "make"], check=False)
        got = explain("--env", "POSTERN_TIME=30s", "--env", "POSTERN_MEMORY=1536K", "--env",
                      "POSTERN_RECEIPT=1")
        self.assertEqual(got.code, 0, got)
        self.assertLine(got.out, r"limit     time = 30s, by the client's POSTERN_TIME")
        self.assertLine(got.out, r"limit     memory = 1536K, by the client's POSTERN_MEMORY")
        self.assertLine(got.out, r"receipt   yes, by the client's POSTERN_RECEIPT")
        self.assertNotIn(b"limit     ", explain().out)
        self.assertLine(explain().out, r"receipt   yes, by the policy, but not on a terminal")
        bad = explain("--env", "POSTERN_TIME=never")
        self.assertEqual(bad.code, 1, bad)
        self.assertIn(b"POSTERN_TIME: 'never' is not a time", bad.out)
        got = run([POSTERN, "explain", "--json", "-f", self.server.config, "--user", "acme", "--key",
                   self.server.path("user_alice.pub"), "--env", "POSTERN_TIME=30s", "--", "make"])
        doc = json.loads(got.out)
        self.assertEqual((doc["limits_by_client"], doc["receipt"]),
                         ({"time_ms": 30000, "memory": None}, True))


class BestEffort(AccountTest):
    extra = "limits = best-effort\n"

    def test_memory(self):
        got = self.server.ssh("acme", "ulimit -d; awk '/^MemTotal/ {print $2}' /proc/meminfo",
                              options=asking(memory="64M", receipt="no"))
        self.assertRan(got, 0, b"65536\n65536\n", None)
        self.assertLine(got.err, r"postern: note: POSTERN_MEMORY is kept for the private memory of "
                                 r"each process alone: this server gives commands no cgroup with a "
                                 rf"limit of memory {EXEC_ID}")
        _, end = self.server.last_exec()
        self.assertEqual((end["limit_memory"], end["limits_by_client"]), (64 << 20, "memory"))


if __name__ == "__main__":
    main()
