"""What the server counts is what has happened, to the unit: by its metrics-file, against what a
client did and against the audit trail."""
import collections
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import PATIENCE, POSTERN, SOURCE, PosternTest, main, run, wait_until  # noqa: E402
from prometheus_text import Values  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none
[sandbox "short"]
extends = plain
time = 1s
[sandbox "narrow"]
extends = plain
output = 64K
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "late"]
keys    = keys/alice
sandbox = short
shell   = /bin/bash
[tenant "wordy"]
keys    = keys/alice
sandbox = narrow
shell   = /bin/bash
[tenant "strict"]
keys    = keys/alice
sandbox = plain
command = echo {word}
[tenant "line"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
max-execs = 1
queue   = 60s
[tenant "single"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
max-execs = 1
"""
RULES = os.path.join(SOURCE, "packaging/prometheus/postern.rules.yml")
# All that is wrong begins at minute 10; one that hangs on at minute 20, and a server that is well.
ALERTS = f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'postern_build_info{{instance="a"}}', values: '1x40'}}
      - {{series: 'postern_last_reload_successful{{instance="a"}}', values: '1x9 0x30'}}
      - {{series: 'postern_last_reload_successful{{instance="b"}}', values: '1x40'}}
      - {{series: 'postern_audit_lines_total{{instance="a",result="lost"}}', values: '0x9 5x30'}}
      - {{series: 'postern_audit_lines_total{{instance="b",result="lost"}}', values: '5x40'}}
      - {{series: 'postern_connections{{instance="a"}}', values: '10x9 95x30'}}
      - {{series: 'postern_max_connections{{instance="a"}}', values: '100x40'}}
      - {{series: 'postern_execs_total{{instance="a",tenant="x",verdict="sandbox"}}', values: '0x9 1x30'}}
      - {{series: 'postern_execs_total{{instance="a",tenant="x",verdict="exited"}}', values: '0+10x40'}}
    alert_rule_test:
      - {{alertname: PosternAbsent, eval_time: 20m}}
      - {{alertname: PosternPolicyRefused, eval_time: 9m}}
      - alertname: PosternPolicyRefused
        eval_time: 16m
        exp_alerts:
          - exp_labels: {{instance: a, severity: warning}}
            exp_annotations:
              summary: a refuses its new policy
              description: An older one stays in force. `postern check` on the host says what is wrong.
      - alertname: PosternAuditLinesLost
        eval_time: 12m
        exp_alerts:
          - exp_labels: {{instance: a, result: lost, severity: critical}}
            exp_annotations:
              summary: a can't write its audit trail
              description: Lines are lost. Look at the disk of `audit =`, and at the log.
      - {{alertname: PosternAuditLinesLost, eval_time: 30m}}
      - {{alertname: PosternConnectionsNearlyFull, eval_time: 12m}}
      - alertname: PosternConnectionsNearlyFull
        eval_time: 16m
        exp_alerts:
          - exp_labels: {{instance: a, severity: warning}}
            exp_annotations:
              summary: a has 95% of max-connections
              description: More are refused soon. See `max-connections` in postern.ini(5).
      - {{alertname: PosternSandboxesFail, eval_time: 9m}}
      - alertname: PosternSandboxesFail
        eval_time: 12m
        exp_alerts:
          - exp_labels: {{instance: a, severity: warning}}
            exp_annotations:
              summary: a could not build sandboxes
              description: Commands ended with 125. The log says at which step; see also `postern doctor`.
  - interval: 1m
    input_series: []
    alert_rule_test:
      - alertname: PosternAbsent
        eval_time: 6m
        exp_alerts:
          - exp_labels: {{severity: critical}}
            exp_annotations:
              summary: No server tells of itself
              description: posternd does not run, or its metrics-file is not read.
"""


def key(name, **labels):
    return name, frozenset(labels.items())


class MetricsTest(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY, keys=("alice", "bob"))
        self.addCleanup(self.server.remove)
        self.dir = self.server.path("metrics")
        self.file = os.path.join(self.dir, "postern.prom")
        os.mkdir(self.dir, 0o755)
        self.configure()

    def configure(self, more="", file=True):
        self.server.extra = ((f"metrics-file = {self.file}\nmetrics-interval = 1s\n" if file else "")
                             + more)
        self.server.write_config()

    def start(self):
        self.server.start()
        self.addCleanup(self.server.stop)

    def read(self):
        with open(self.file, encoding="ascii") as f:
            return f.read()

    def postern(self, *words):
        return run([POSTERN, "metrics", "-f", self.server.config, *words], check=False)

    def now(self):
        got = self.postern()
        self.assertEqual((got.code, got.err), (0, b""), got)
        return Values(got.out.decode("ascii"))

    def written(self):
        """Which writing of the file this is, or None."""
        try:
            found = os.stat(self.file)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def next_file(self):
        """What was written after this call: the second writing that is new."""
        for _ in range(2):
            last = self.written()
            wait_until(lambda seen=last: self.written() not in (seen, None), 20, "a writing")
        return Values(self.read())

    def ended(self, count):
        self.server.wait_audit(count, event="end")

    def all_ended(self, count):
        """With their connections."""
        self.ended(count)
        wait_until(lambda: self.now()("postern_connections") == 0, what="the end of the connections")


class Counting(MetricsTest):
    def test_the_difference_is_what_was_done(self):
        self.start()
        server = self.server
        before = self.now()
        for _ in range(3):
            self.assertRan(server.ssh("acme", "true"))
        self.assertRan(server.ssh("acme", "exit 7"), code=7)
        self.assertRan(server.ssh("acme", "cat; echo four >&2", stdin=b"in!"), out=b"in!", err=b"four\n")
        self.assertEqual(server.ssh("acme", "kill -9 $$").code, 255)
        self.assertEqual(server.ssh("late", "sleep 60").code, 124)
        self.assertEqual(server.ssh("wordy", "head -c 100000 /dev/zero").code, 153)
        self.assertEqual(server.ssh("strict", "echo ok").code, 0)
        self.assertEqual(server.ssh("strict", "id").code, 126)
        self.assertEqual(server.ssh("strict", "rm -rf x").code, 126)
        self.assertEqual(server.ssh("acme", "true", key="bob").code, 255)
        self.assertEqual(server.ssh("nobody", "true").code, 255)
        self.ended(11)
        grown = self.now().since(before)
        execs = {("acme", "exited"): 5, ("acme", "signalled"): 1, ("late", "time"): 1,
                 ("wordy", "output"): 1, ("strict", "exited"): 1, ("strict", "denied"): 2}
        for (tenant, verdict), n in execs.items():
            self.assertEqual(grown.pop(key("postern_execs_total", tenant=tenant, verdict=verdict)), n)
        self.assertEqual(grown.pop(key("postern_connections_total")), 13)
        self.assertEqual(grown.pop(key("postern_auth_total", method="publickey", result="accepted")), 11)
        self.assertEqual(grown.pop(key("postern_auth_total", method="publickey", result="failed")), 2)
        self.assertEqual(grown.pop(key("postern_denials_total", reason="rule")), 2)
        self.assertEqual(grown.pop(key("postern_bytes_total", direction="in")), 3)
        self.assertEqual(grown.pop(key("postern_bytes_total", direction="out")), 3 + 65536 + 3)
        self.assertEqual(grown.pop(key("postern_bytes_total", direction="err")), 5)
        self.assertEqual(grown.pop(key("postern_exec_duration_seconds_count")), 9)
        self.assertEqual(grown.pop(key("postern_sandbox_start_seconds_count")), 9)
        self.assertEqual(grown.pop(key("postern_exec_duration_seconds_bucket", le="0.5")) <= 8, True)
        self.assertEqual(grown.pop(key("postern_audit_lines_total", result="written")),
                         11 + 2 + 2 * 11 + 11)
        allowed = (r"postern_(exec_duration|sandbox_start)_seconds_(bucket|sum)"
                   r"|postern_(exec_)?cpu_seconds_total")
        self.assertEqual([k for k in grown if not re.fullmatch(allowed, k[0])], [])

    def test_agrees_with_the_audit_trail(self):
        self.start()
        server = self.server
        before = self.now()
        for command in ("true", "exit 3", "head -c 5000 /dev/zero", "unshare -U true", "nonexistent",
                        "for i in {1..200000}; do :; done"):
            server.ssh("acme", command)
        server.ssh("strict", "denied")
        self.ended(7)
        after = self.now()
        grown = after.since(before)
        ends = server.audit(event="end")
        verdicts = collections.Counter((r["tenant"], r["verdict"]) for r in ends)
        self.assertEqual({k: v for k, v in grown.items() if k[0] == "postern_execs_total"},
                         {key("postern_execs_total", tenant=t, verdict=v): n
                          for (t, v), n in verdicts.items()})
        for direction in ("in", "out", "err"):
            self.assertEqual(grown.get(key("postern_bytes_total", direction=direction), 0),
                             sum(r[f"bytes_{direction}"] for r in ends), direction)
        self.assertEqual(grown.get(key("postern_sandbox_refusals_total", kind="syscall"), 0),
                         sum(r["refused"] for r in ends))
        self.assertGreater(sum(r["refused"] for r in ends), 0)
        # The trail drops what is less than a millisecond.
        cpu = sum(r["user_ms"] + r["system_ms"] for r in ends)
        counted = grown[key("postern_exec_cpu_seconds_total", tenant="acme")] * 1000
        self.assertTrue(cpu <= counted < cpu + 2 * len(ends), (cpu, counted))
        wall = sum(r["wall_ms"] for r in ends)
        self.assertAlmostEqual(grown[key("postern_exec_duration_seconds_sum")] * 1000, wall, places=3)

    def test_gauges(self):
        self.start()
        server = self.server
        idle = self.now()
        self.assertEqual([idle(f"postern_{name}") for name in (
            "connections", "unauthenticated_connections", "execs", "queue_length", "queue_bytes",
            "generation", "generations", "tenants", "stopping", "spawner_ready",
            "last_reload_successful")], [0, 0, 0, 0, 0, 1, 1, 6, 0, 1, 1])
        self.assertEqual(idle("postern_zygotes", state="serving"), 1)
        self.assertEqual(idle("postern_max_connections"), 1000)
        self.assertGreater(idle("postern_resident_memory_bytes"), 1 << 20)
        path, _ = server.mux("line")
        first = server.popen_ssh("line", "echo up; read line", flags=["-S", path])
        self.assertEqual(first.stdout.readline(), b"up\n")
        second = server.popen_ssh("line", "true", flags=["-S", path])
        busy = wait_until(lambda: (lambda v: v("postern_queue_length") == 1 and v)(self.now()))
        self.assertEqual([busy(f"postern_{name}") for name in ("connections", "execs")], [1, 1])
        self.assertEqual([busy(f"postern_tenant_{name}", tenant="line")
                          for name in ("connections", "execs", "queue_length")], [1, 1, 1])
        self.assertGreater(busy("postern_queue_bytes"), 0)
        self.assertEqual(busy("postern_queue_wait_seconds_count"), 0)
        first.communicate(b"end\n", timeout=30 * PATIENCE)
        self.assertEqual(second.wait(30 * PATIENCE), 0)
        after = self.now()
        self.assertEqual(after("postern_queue_wait_seconds_count"), 1)
        self.assertGreater(after("postern_queue_wait_seconds_sum"), 0)
        self.assertEqual(after("postern_queue_length"), 0)

    def test_limits_and_refused_connections(self):
        self.configure(f"max-connections = 2\nlogin-grace = {2 * PATIENCE}s\nsource-exempt = none\n")
        self.start()
        server = self.server
        before = self.now()
        path, client = server.mux("single")
        first = server.popen_ssh("single", "echo up; read line", flags=["-S", path])
        self.assertEqual(first.stdout.readline(), b"up\n")
        self.assertEqual(server.ssh("single", "true", flags=["-S", path]).code, 126)
        other, second = server.mux("acme")
        self.assertEqual(server.ssh("acme", "true").code, 255)
        grown = self.now().since(before)
        self.assertEqual(grown[key("postern_denials_total", reason="max-execs")], 1)
        self.assertEqual(grown[key("postern_refused_connections_total", reason="max-connections")], 1)
        first.communicate(b"\n", timeout=30 * PATIENCE)
        for one in (client, second):
            one.terminate()
            one.wait(30 * PATIENCE)
        wait_until(lambda: self.now()("postern_connections") == 0)
        # One that never logs in, and one that speaks something else, are offences: 3 points each.
        late = subprocess.Popen(["/usr/bin/python3", "-c", f"""
import socket
for i in range(2):
    s = socket.create_connection(("127.0.0.1", {server.port}))
    while s.recv(4096): pass
"""])
        self.assertEqual(late.wait(60 * PATIENCE), 0)
        wait_until(lambda: self.now()("postern_offences_total", offence="grace") == 2)
        self.assertEqual(self.now()("postern_penalties"), 0)

    def test_reloads(self):
        self.start()
        server = self.server
        before = self.now()
        self.assertRan(server.ssh("acme", "true"))
        self.assertRan(server.ssh("strict", "echo x"), out=b"x\n")
        server.write_policy(POLICY.replace('[tenant "strict"]', '[tenant "lax"]'))
        self.assertRegex(server.reload(), r"\Areloaded")
        good = self.now()
        server.write_policy(POLICY + "nonsense = 1\n")
        self.assertRegex(server.reload(), r"\Areload refused")
        bad = self.now()
        server.write_policy(POLICY)
        self.assertRegex(server.reload(), r"\Areloaded")
        last = self.now()
        seen = [[v("postern_reloads_total", result="loaded"), v("postern_reloads_total", result="refused"),
                 v("postern_last_reload_successful"), v("postern_generation")]
                for v in (before, good, bad, last)]
        self.assertEqual(seen, [[0, 0, 1, 1], [1, 0, 1, 2], [1, 1, 0, 2], [2, 1, 1, 3]])
        self.assertTrue(before("postern_start_time_seconds") <= good("postern_policy_loaded_time_seconds")
                        <= last("postern_policy_loaded_time_seconds"))
        self.assertEqual(last("postern_start_time_seconds"), before("postern_start_time_seconds"))
        # Who left the policy has no series any more, and begins anew when it comes back.
        self.assertEqual(good("postern_execs_total", tenant="acme", verdict="exited"), 1)
        self.assertNotIn("strict", good.text)
        self.assertRan(server.ssh("strict", "echo x"), out=b"x\n")
        self.ended(3)
        self.assertEqual(self.now()("postern_execs_total", tenant="strict", verdict="exited"), 1)

    def test_tenants_beyond_the_bound_share_a_series(self):
        self.configure("metrics-tenants = 1\n")
        self.start()
        for tenant in ("acme", "wordy", "single"):
            self.assertRan(self.server.ssh(tenant, "true"))
        self.ended(3)
        now = self.now()
        self.assertEqual([now("postern_execs_total", tenant=tenant, verdict="exited")
                          for tenant in ("acme", "wordy", "(others)")], [1, 0, 2])

    def test_lost_lines_of_the_audit_trail(self):
        full = self.server.path("full")
        os.mkdir(full, 0o755)
        run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full])
        self.addCleanup(lambda: run(["umount", full]))
        self.configure(f"audit = {full}/audit.log\n")
        self.start()
        with open(f"{full}/ballast", "wb") as f:
            f.write(b"x" * 60000)
            f.flush()
            try:
                f.write(b"x" * 60000)
                f.flush()
            except OSError:
                pass
        # What is held until there is room again is not lost; 8 MiB of it are held.
        for _ in range(45):
            self.server.ssh("acme", "true " + "\x01" * 50000)
        now = self.now()
        self.assertGreater(now("postern_audit_lines_total", result="lost"), 0)


class Tool(MetricsTest):
    def test_prints_what_the_file_has(self):
        self.start()
        self.assertRan(self.server.ssh("acme", "true"))
        self.all_ended(1)
        written, printed = self.next_file(), self.now()
        self.assertEqual(written.families.keys(), printed.families.keys())
        moving = {"postern_cpu_seconds_total", "postern_resident_memory_bytes"}
        self.assertEqual({k: v for k, v in written.samples.items() if k[0] not in moving},
                         {k: v for k, v in printed.samples.items() if k[0] not in moving})

    def test_json(self):
        self.start()
        self.assertRan(self.server.ssh("acme", "echo x"), out=b"x\n")
        self.all_ended(1)
        plain = self.now()
        got = self.postern("--json")
        self.assertEqual((got.code, got.err), (0, b""), got)
        document = json.loads(got.out)
        self.assertEqual((document["v"], document["kind"]), (1, "metrics"))
        self.assertEqual([(m["name"], m["type"], m["help"]) for m in document["metrics"]],
                         [(f.name, f.type, f.help) for f in plain.families.values()])
        moving = {"postern_cpu_seconds_total", "postern_resident_memory_bytes"}
        self.assertEqual({key(s["name"], **s["labels"]): s["value"] for m in document["metrics"]
                          for s in m["samples"] if s["name"] not in moving},
                         {k: v for k, v in plain.samples.items() if k[0] not in moving})

    def test_many_tenants_come_in_many_parts(self):
        """A connection of each of more tenants than may have series: the answer has no holes."""
        tenants = [f"tenant-{i:04}-{'x' * 20}" for i in range(300)]
        self.server.write_policy(POLICY + "".join(
            f'[tenant "{name}"]\nauth = none\nfrom = 127.0.0.1\nsandbox = plain\ncommand = true\n'
            for name in tenants))
        self.configure("metrics-tenants = 280\n")
        self.start()
        for name in tenants:
            transport = paramiko.Transport(("127.0.0.1", self.server.port))
            transport.start_client(timeout=20 * PATIENCE)
            transport.auth_none(name)
            transport.open_session(timeout=20 * PATIENCE).exec_command("nothing")
            self.server.wait_audit(event="end", tenant=name)
            transport.close()
        now = self.now()
        self.assertGreater(len(now.text), 100000)
        self.assertEqual(sum(now("postern_execs_total", tenant=name, verdict="denied")
                             for name in tenants), 280)
        self.assertEqual(now("postern_execs_total", tenant="(others)", verdict="denied"), 20)

    def test_goes_on_when_the_program_is_executed_anew(self):
        """SIGUSR2: no counter begins anew, and the file is neither removed nor left alone."""
        self.start()
        server = self.server
        for command in ("true", "exit 3"):
            server.ssh("acme", command)
        running = server.popen_ssh("acme", "echo up; read line")
        self.assertEqual(running.stdout.readline(), b"up\n")
        self.ended(2)
        self.next_file()
        before = self.now()
        start = len(server.log())
        server.process.send_signal(signal.SIGUSR2)
        server.wait_log(r"reloaded: generation 2", 30, start)
        self.assertTrue(os.path.exists(self.file))
        after = self.now()
        after.since(before)
        for name, labels in before.samples:
            if re.match("postern_(execs|auth|bytes)_total", name):
                self.assertEqual(after(name, **dict(labels)), before(name, **dict(labels)), name)
        self.assertEqual(after("postern_start_time_seconds"), before("postern_start_time_seconds"))
        self.assertEqual((after("postern_execs"), after("postern_connections")), (1, 1))
        running.communicate(b"\n", timeout=30 * PATIENCE)
        self.ended(3)
        end = self.next_file()
        self.assertEqual(end("postern_execs_total", tenant="acme", verdict="exited"), 3)
        self.assertEqual(end("postern_exec_duration_seconds_count"), 3)
        self.assertEqual(end("postern_sandbox_start_seconds_count"), 3)

    def test_without_a_server(self):
        got = self.postern()
        self.assertEqual((got.code, got.out), (69, b""), got)


class File(MetricsTest):
    def test_is_written_as_a_whole_and_readable_for_all(self):
        self.start()
        seen = set()
        def look():
            if self.written():
                seen.add(self.written()[0])
                Values(self.read())
            return len(seen) >= 3
        wait_until(look, 20, "three writings")
        found = os.stat(self.file)
        self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid), (0o644, 0))
        wait_until(lambda: os.listdir(self.dir) == ["postern.prom"], 5, "nothing but it")

    def test_is_gone_after_the_stop(self):
        self.start()
        self.next_file()
        self.server.stop()
        self.assertEqual(os.listdir(self.dir), [])

    def test_follows_the_policy(self):
        self.start()
        self.next_file()
        old, self.file = self.file, os.path.join(self.dir, "other.prom")
        self.configure()
        self.server.reload()
        self.next_file()
        self.assertFalse(os.path.exists(old))
        self.configure(file=False)
        self.server.reload()
        wait_until(lambda: os.listdir(self.dir) == [], 5, "no file")
        self.configure()
        self.server.reload()
        self.next_file()

    def test_failure_is_told_once_and_recovered_from(self):
        self.start()
        self.next_file()
        start = len(self.server.log())

        def removed():
            shutil.rmtree(self.dir, ignore_errors=True)  # a file may come or go meanwhile
            return not os.path.exists(self.dir)
        wait_until(removed, what="the directory to be gone")
        self.server.wait_log(r"metrics-file = \S+ can't be written: No such file", start=start)
        # Long enough for some more attempts.
        for _ in range(3):
            self.assertRan(self.server.ssh("late", "sleep 0.9"))
        self.assertEqual(self.server.log()[start:].count("can't be written"), 1)
        os.mkdir(self.dir, 0o755)
        self.server.wait_log("metrics-file = .* is written again", start=start)
        self.next_file()

    def test_full_disk_leaves_the_last_whole_file(self):
        run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", self.dir])
        self.addCleanup(lambda: run(["umount", self.dir]))
        self.start()
        self.next_file()
        start = len(self.server.log())
        ballast = os.path.join(self.dir, "ballast")
        run(["sh", "-c", f"cat /dev/zero >{ballast}"], check=False)
        self.server.wait_log(r"can't be written: No space left", start=start)
        Values(self.read())
        os.unlink(ballast)
        self.server.wait_log("is written again", start=start)
        self.next_file()
        wait_until(lambda: os.listdir(self.dir) == ["postern.prom"], 5, "nothing but it")

    def test_a_disk_that_hangs_holds_up_nobody(self):
        image = self.server.path("disk")
        run(["truncate", "-s", "8M", image])
        run(["mkfs.ext4", "-q", image])
        got = run(["mount", "-o", "loop", image, self.dir], check=False)
        if got.code != 0:
            self.skipTest(f"no loop devices: {got.err.decode()}")
        self.addCleanup(lambda: run(["umount", self.dir]))
        self.start()
        self.next_file()
        start = len(self.server.log())
        run(["fsfreeze", "-f", self.dir])
        try:
            self.server.wait_log("can't be written: the last writing has not ended yet", start=start)
            self.assertRan(self.server.ssh("acme", "echo alive"), out=b"alive\n")
            self.assertRegex(self.server.reload(), r"\Areloaded")
        finally:
            run(["fsfreeze", "-u", self.dir])
        self.server.wait_log("is written again", start=start)
        self.next_file()

    def check(self, directory, name="postern.prom"):
        self.file = os.path.join(directory, name)
        self.configure()
        return run([POSTERN, "check", "-f", self.server.config], check=False)

    def test_only_where_nobody_else_writes(self):
        got = self.check(self.server.path("missing"))
        self.assertNotEqual(got.code, 0, got)
        self.assertIn(b"make it, mode 755", got.out + got.err)
        os.chmod(self.dir, 0o777)
        got = self.check(self.dir)
        self.assertNotEqual(got.code, 0, got)
        self.assertIn(b"writable by group and others", got.out + got.err)
        os.chmod(self.dir, 0o755)
        os.chown(self.dir, 65534, 65534)
        got = self.check(self.dir)
        self.assertNotEqual(got.code, 0, got)
        self.assertIn(b"owned by uid 65534", got.out + got.err)
        os.chown(self.dir, 0, 0)
        for name in ("postern.txt", ".prom", ".hidden.prom", "prom"):
            got = self.check(self.dir, name)
            self.assertNotEqual(got.code, 0, got)
            self.assertIn(b"end in '.prom'", got.out + got.err)
        got = self.check(self.dir)
        self.assertEqual(got.code, 0, got)
        for interval in ("0s", "500", "2h", "infinity"):
            self.server.extra = f"metrics-file = {self.file}\nmetrics-interval = {interval}\n"
            self.server.write_config()
            got = run([POSTERN, "check", "-f", self.server.config], check=False)
            self.assertNotEqual(got.code, 0, (interval, got))

    def test_what_lies_there_is_not_followed(self):
        """A link under either name is replaced, not written through."""
        target = self.server.write("target", "mine")
        os.symlink(target, self.file)
        os.symlink(target, os.path.join(self.dir, ".postern.prom.new"))
        self.start()
        wait_until(lambda: os.path.exists(self.file) and not os.path.islink(self.file), 10, "a file")
        self.next_file()
        with open(target, encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine")


class Documents(MetricsTest):
    def test_the_manual_lists_all_of_them(self):
        """Names, types and labels of postern(7) are those that are served."""
        with open(os.path.join(SOURCE, "packaging/man/postern.7.scd"), encoding="utf-8") as f:
            page = f.read().replace("\\_", "_")
        listed = re.findall(r"^\*(postern_\w+)\*(?:\{(.*)\})?, (\w+)\n\t(\S.*)\n", page, re.M)
        with open(os.path.join(SOURCE, "tests/unit/metrics.prom"), encoding="ascii") as f:
            golden = Values(f.read())
        self.assertEqual([(name, kind, re.findall(r"_(\w+)_", labels), about)
                          for name, labels, kind, about in listed],
                         [(f.name, f.type, f.label_names(), f.help) for f in golden.families.values()])
        self.start()
        served = self.now()
        self.assertEqual([(f.name, f.type, f.help) for f in served.families.values()],
                         [(f.name, f.type, f.help) for f in golden.families.values()])

    def names(self):
        """All names of samples, with the labels that each can have."""
        with open(os.path.join(SOURCE, "tests/unit/metrics.prom"), encoding="ascii") as f:
            golden = Values(f.read())
        names = {}
        for family in golden.families.values():
            for sample, labels in family.samples:
                names.setdefault(sample, set()).update(label for label, _ in labels)
        return names

    def assert_known(self, expr, where):
        """An expression of PromQL has no name and no label of ours that isn't served."""
        names = self.names()
        bare = re.sub(r'"[^"]*"', "", expr)
        used = set(re.findall(r"\b(?:postern|process|node)_\w+", bare))
        self.assertTrue(used, where)
        self.assertEqual(used - set(names) - {"node_textfile_mtime_seconds"}, set(), where)
        for name, matchers in re.findall(r"\b(postern_\w+)\{([^}]*)\}", bare):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            self.assertEqual(labels - names[name] - {"instance"}, set(), where)
        grouped = {label.strip() for labels in re.findall(r"\b(?:by|without) \(([^)]*)\)", bare)
                   for label in labels.split(",")}
        known = set().union(*(names[name] for name in used if name in names))
        self.assertEqual(grouped - known - {"instance"}, set(), where)

    @staticmethod
    def dashboard():
        with open(os.path.join(SOURCE, "packaging/grafana/postern.json"), encoding="ascii") as f:
            return json.load(f)

    @classmethod
    def expressions(cls):
        """(title, expression) of all panels."""
        return [(panel["title"], target["expr"]) for panel in cls.dashboard()["panels"]
                for target in panel.get("targets", [])]

    def test_dashboard(self):
        board = self.dashboard()
        self.assertEqual((board["uid"], board["title"]), ("postern", "Postern"))
        variables = {v["name"]: v for v in board["templating"]["list"]}
        self.assertEqual(list(variables), ["datasource", "instance", "tenant"])
        self.assertEqual(variables["datasource"]["type"], "datasource")
        for name in ("instance", "tenant"):
            self.assert_known(variables[name]["definition"], name)
        ids, places = set(), set()
        for panel in board["panels"]:
            ids.add(panel["id"])
            at = panel["gridPos"]
            self.assertTrue(at["x"] + at["w"] <= 24, panel["title"])
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(places & cells, panel["title"])
            places |= cells
            for target in panel.get("targets", []):
                self.assertEqual(target["datasource"]["uid"], "${datasource}", panel["title"])
        self.assertEqual(len(ids), len(board["panels"]))
        shown = " ".join(expr for _, expr in self.expressions())
        for title, expr in self.expressions():
            self.assert_known(expr, title)
        # It is for looking at all of it, but for what others say with it.
        families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in self.names()}
        missing = {name for name in families if not re.search(rf"\b{name}(_bucket)?\b", shown)}
        self.assertEqual(missing, {"postern_start_time_seconds", "postern_draining", "postern_stopping",
                                   "postern_policy_loaded_time_seconds",
                                   "postern_queue_bytes", "postern_tenant_connections"})

    def test_rules(self):
        with open(RULES, encoding="ascii") as f:
            exprs = re.findall(r"expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)", f.read())
        self.assertGreater(len(exprs), 10)
        for folded, plain in exprs:
            self.assert_known(folded or plain, folded or plain)

    def promtool(self, *args, stdin=b""):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("no promtool (of the Debian package prometheus)")
        return run([promtool, *args], stdin=stdin, check=False)

    def test_promtool_takes_the_rules_and_the_expressions_of_the_dashboard(self):
        got = self.promtool("check", "rules", RULES)
        self.assertEqual(got.code, 0, got)
        lines = "groups:\n- name: dashboard\n  rules:\n"
        for number, (_, expr) in enumerate(self.expressions()):
            expr = expr.replace("$__rate_interval", "1m").replace("$instance", ".*")
            lines += f"  - record: panel:{number}\n    expr: {json.dumps(expr)}\n"
        got = self.promtool("check", "rules", self.server.write("dashboard.yml", lines))
        self.assertEqual(got.code, 0, got)

    def test_promtool_says_that_alerts_fire_when_they_should(self):
        got = self.promtool("test", "rules", self.server.write("alerts.yml", ALERTS))
        self.assertEqual(got.code, 0, got)

    def test_promtool(self):
        """What Prometheus itself says of the format and the names."""
        self.promtool("--version")
        self.start()
        self.server.ssh("acme", "true")
        for text in (self.now().text, open(os.path.join(SOURCE, "tests/unit/metrics.prom"),
                                           encoding="ascii").read()):
            got = self.promtool("check", "metrics", stdin=text.encode())
            self.assertEqual((got.code, got.out, got.err), (0, b"", b""))


if __name__ == "__main__":
    main()
