"""postern audit and postern logs: what they find, add up and follow, in trails of all kinds."""
import gzip
import json
import lzma
import os
import re
import signal
import subprocess
import tempfile
import threading
import unittest

from harness import POSTERN, PATIENCE, SANITIZED, PosternTest, main, open_files, run, wait_until

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
command = true
"""


def end(i, tenant="acme", verdict="exited", **more):
    record = {"v": 1, "time": f"2026-01-{i % 28 + 1:02}T10:00:00.000Z", "event": "end",
              "exec": f"run-1.{i}", "connection": "run-1", "tenant": tenant, "user": tenant,
              "key": "SHA256:abc", "key_comment": "k@h", "client": "192.0.2.7", "port": 22,
              "verdict": verdict, "reason": None, "exit": 0, "refused": 0, "cause": None,
              "wall_ms": 2000, "user_ms": 900, "system_ms": 100, "max_rss_kib": 1024,
              "memory_peak": None, "bytes_in": 1, "bytes_out": 20, "bytes_err": 3}
    record.update(more)
    return json.dumps(record, separators=(",", ":")) + "\n"


def start(i, command, **more):
    record = {"v": 1, "time": f"2026-01-{i % 28 + 1:02}T09:00:00.000Z", "event": "start",
              "exec": f"run-1.{i}", "connection": "run-1", "tenant": "acme", "user": "acme",
              "key": "SHA256:abc", "key_comment": "k@h", "client": "192.0.2.7", "port": 22,
              "generation": 1, "kind": "exec", "command": command, "decision": "allow",
              "reason": None, "limit": None, "rule": "f:1", "sandbox": "s"}
    record.update(more)
    return json.dumps(record, separators=(",", ":")) + "\n"


class Files(unittest.TestCase):
    """Trails that are made up."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="postern-e2e-")
        self.addCleanup(lambda: run(["rm", "-r", self.dir]))
        self.trail = os.path.join(self.dir, "audit.log")

    def write(self, text, name="audit.log"):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def audit(self, *words, code=0, stdin=b""):
        got = run([POSTERN, "audit", *words], stdin=stdin, check=False)
        self.assertEqual(got.code, code, got)
        return got

    def execs(self, *words):
        """The exec ids that `postern audit` finds."""
        out = self.audit("--json", *words, self.trail).out
        return [json.loads(line)["exec"] for line in out.splitlines()]

    def test_filters(self):
        self.write(end(0) + end(1, tenant="b") + end(2, verdict="denied", client="2001:db8::1")
                   + end(3, verdict="memory", key_comment="caf\u00e9".encode().decode("latin-1")))
        for words, wanted in ((["--tenant", "b"], [1]), (["--user", "b"], [1]),
                              (["--verdict", "memory"], [3]), (["--denied"], [2]),
                              (["--exec", "run-1.3"], [3]), (["--exec", "run-1"], []),
                              (["--key", "SHA256:abc"], [0, 1, 2, 3]), (["--key", "caf\u00e9"], [3]),
                              (["--from", "192.0.2.0/24"], [0, 1, 3]),
                              (["--from", "2001:db8::/32"], [2]), (["--event", "auth"], []),
                              (["--since", "2026-01-02", "--until", "2026-01-03"], [1]),
                              (["--since", "2026-01-03T10:00:01"], [3]), (["--until", "1s"], [0, 1, 2, 3]),
                              (["--since", "36500d"], [0, 1, 2, 3]), (["--since", "1h"], []),
                              (["--tenant", "acme", "--event", "end", "--verdict", "exited"], [0])):
            with self.subTest(words):
                self.assertEqual(self.execs(*words), [f"run-1.{i}" for i in wanted])
        self.assertEqual(self.audit("--tenant", "nobody", self.trail).err,
                         b"postern: no record is like that\n")

    def test_text_is_printable(self):
        self.write(start(1, "a\x1b[2J\n\u00e9\"") + end(1) + '{"event":"x\\u001b","time":"\\n"}\n'
                   + '{"v":1,"time":"t","event":"end","tenant":"\x7f\u202e"}\n')
        out = self.audit(self.trail).out
        self.assertRegex(out, rb"\A[ -~\n]*\Z")
        self.assertEqual(out.decode().splitlines()[:2], [
            "2026-01-02T09:00:00.000Z run-1.1 of acme from 192.0.2.7: allow in sandbox s (f:1): "
            'exec a\\x1b[2J\\x0a\\xe9\\"',
            "2026-01-02T10:00:00.000Z run-1.1 of acme: exited 0; 2000 ms, CPU 900 + 100 ms, in 1, "
            "out 20, err 3"])
        raw = self.audit("--json", self.trail).out
        self.assertRegex(raw, rb"\A[ -~\n]*\Z")
        self.assertEqual(len(raw.splitlines()), 4)

    def test_sums(self):
        self.write("".join(start(i, "make" if i % 2 else "test") + end(i) for i in range(10))
                   + end(10, tenant="b", memory_peak=5 << 20, user_ms=3600000)
                   + end(11, verdict="denied", wall_ms=0, user_ms=0, system_ms=0, bytes_in=0,
                         bytes_out=0, bytes_err=0, max_rss_kib=0))
        doc = json.loads(self.audit("--sum", "tenant", "--json", self.trail).out)
        self.assertEqual((doc["v"], doc["kind"], doc["by"], doc["malformed"]),
                         (1, "audit", "tenant", 0))
        b, acme = doc["groups"]
        self.assertEqual(acme, {"name": "acme", "execs": 10, "refused": 1, "cpu_ms": 10000,
                                "wall_ms": 20000, "memory_peak": 1 << 20, "bytes_in": 10,
                                "bytes_out": 200, "bytes_err": 30})
        self.assertEqual((b["name"], b["cpu_ms"], b["memory_peak"]), ("b", 3600100, 5 << 20))
        self.assertEqual((doc["total"]["execs"], doc["total"]["memory_peak"]), (11, 5 << 20))
        for by, names in (("command", ["(its start isn't here)", "make", "test"]),
                          ("verdict", ["exited", "denied"]), ("user", ["b", "acme"]),
                          ("key", ["SHA256:abc k@h"]),
                          ("day", [f"2026-01-{i:02}" for i in range(1, 13)])):
            doc = json.loads(self.audit("--sum", by, "--json", self.trail).out)
            self.assertEqual([g["name"] for g in doc["groups"]], names, by)
        doc = json.loads(self.audit("--sum", "command", "--since", "2026-01-09", "--json",
                                    self.trail).out)
        self.assertEqual({g["name"]: g["execs"] for g in doc["groups"]},
                         {"(its start isn't here)": 1, "test": 1, "make": 1})
        out = self.audit("--sum", "tenant", self.trail).out.decode()
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["TENANT", "EXECS", "REFUSED", "CPU", "HOURS", "WALL", "HOURS", "MEMORY",
                           "MIB", "IN", "OUT"],
                          ["b", "1", "0", "1.000", "0.001", "5.0", "1", "23"],
                          ["acme", "10", "1", "0.003", "0.006", "1.0", "10", "230"],
                          ["total", "11", "1", "1.003", "0.006", "5.0", "11", "253"]])

    def test_torn_lines_are_counted(self):
        self.write(end(0)[:100] + "\n" + end(1) + "garbage\n[]\n\n{}\n" + end(2)[:-5])
        got = self.audit(self.trail)
        self.assertEqual(len(got.out.splitlines()), 1)
        self.assertEqual(got.err, b"postern: passed over 6 lines that are no record\n")

    def test_compressed_files(self):
        gz = self.write(gzip.compress(end(1).encode()), "one.gz")
        xz = self.write(lzma.compress(end(2).encode()), "two")
        out = self.audit("--json", xz, gz).out.splitlines()
        self.assertEqual([json.loads(line)["exec"] for line in out], ["run-1.2", "run-1.1"])
        got = self.audit("-", code=65, stdin=gzip.compress(end(1).encode()))
        self.assertEqual(got.err, b"postern: standard input is compressed: put zcat before it\n")
        self.assertEqual(len(self.audit("-", stdin=end(1).encode()).out.splitlines()), 1)
        broken = self.write(gzip.compress((end(1) * 1000).encode())[:-20], "broken.gz")
        self.assertIn(b"could not be unpacked to its end", self.audit(broken, code=65).err)

    def test_wrong_use(self):
        self.write(end(0))
        for words, error in ((["--event", "strat"], b"there is no event 'strat': did you mean 'start'?"),
                             (["--sum", "x"], b"--sum is tenant, key, verdict, user, command or day"),
                             (["--since", "soon"], b"--since is a time such as"),
                             (["--from", "1.2.3"], b"--from: ")):
            self.assertIn(error, self.audit(*words, self.trail, code=64).err)
        self.assertIn(b"No such file", self.audit(self.trail + ".gone", code=66).err)

    @unittest.skipIf(SANITIZED, "the sanitizer needs more")
    def test_a_long_trail_needs_little_memory(self):
        with open(self.trail, "w", encoding="ascii") as f:
            for i in range(60000):
                f.write(start(i, f"echo {i}") + end(i))
        got = run(["sh", "-c", f"ulimit -v 200000; exec {POSTERN} audit --sum command --json "
                   f"{self.trail}"])
        doc = json.loads(got.out)
        self.assertEqual(doc["total"]["execs"], 60000)
        self.assertEqual(len(doc["groups"]), 10001)
        self.assertIn("(others)", {g["name"] for g in doc["groups"]})


class Running(PosternTest):
    """Those of a server."""

    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY).start()

    def tool(self, *words, code=0):
        got = run([POSTERN, *words, "--config", self.server.config], check=False)
        self.assertEqual(got.code, code, got)
        return got

    def test_the_trail_of_the_configuration_and_its_rotated_files(self):
        trail = self.server.path("audit.log")
        self.server.ssh("acme", "echo one")
        self.server.wait_audit(event="closed")
        with open(trail, "rb") as f:
            self.server.write("audit.log.2.gz", gzip.compress(f.read()))
        os.utime(self.server.path("audit.log.2.gz"), (1, 1))
        self.server.write("audit.log.backup", b"no trail")
        os.rename(trail, trail + ".1")
        self.server.ssh("few", "id")
        self.server.wait_audit(event="closed")
        lines = [json.loads(line) for line in
                 self.tool("audit", "--json", "--event", "start").out.splitlines()]
        self.assertEqual([r["command"] for r in lines], ["echo one", "echo one", "id"])
        lines = self.tool("logs", "-n", "1").out.decode().splitlines()
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], r"Z connection \S+ of few from 127\.0\.0\.1 port \d+ over: ")
        lines = self.tool("logs", "--lines", "6").out.decode().splitlines()
        self.assertEqual(len(lines), 6)
        times = [line.split()[0] for line in lines]
        self.assertEqual(times, sorted(times))
        last = json.loads(self.tool("audit", "--json", "--denied", "--event", "start").out)
        lines = self.tool("logs", "--exec", last["exec"]).out.decode().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"\S+ of few from 127\.0\.0\.1: deny: .*: exec id\Z")
        self.assertRegex(lines[1], r"\S+ of few: denied 126: ")
        raw = self.tool("logs", "--json", "--tenant", "few").out.splitlines()
        self.assertEqual({json.loads(line)["tenant"] for line in raw}, {"few"})
        self.assertEqual(self.tool("logs", "-n", "0").out, b"")
        self.assertIn(b"-n is a number up to 10000", self.tool("logs", "-n", "x", code=64).err)
        self.server.assert_audit_complete = lambda: None

    def test_follow_across_rotation(self):
        trail = self.server.path("audit.log")
        self.server.ssh("acme", "true")
        tool = subprocess.Popen([POSTERN, "logs", "-f", "-n", "0", "--json", "--config",
                                 self.server.config], stdout=subprocess.PIPE)
        got = []
        reader = threading.Thread(target=lambda: got.extend(iter(tool.stdout.readline, b"")))
        reader.start()
        try:
            wait_until(lambda: trail in open_files(tool.pid), what="the file")
            # What comes before it has read to the end is none of "from now on".
            wait_until(lambda: re.search(r"nanosleep", open(f"/proc/{tool.pid}/wchan").read()),
                       what="its first look")
            for i in range(12):
                self.assertEqual(self.server.ssh("acme", f"exit {i}").code, i)
                if i % 3 == 2:
                    os.rename(trail, f"{trail}.{99 - i}")

            def ends():
                return [json.loads(line)["exit"] for line in list(got) if b'"end"' in line]
            wait_until(lambda: len(ends()) >= 12, what="12 ends")
            self.assertEqual(ends(), list(range(12)))
        finally:
            tool.send_signal(signal.SIGINT)
            tool.wait(10 * PATIENCE)
            reader.join()
            tool.stdout.close()
        self.assertEqual(tool.returncode, -signal.SIGINT)
        self.server.assert_audit_complete = lambda: None


class Elsewhere(PosternTest):
    autostart = False

    def test_no_file(self):
        for place, hint in (("journal", b"journalctl -t posternd"), ("stderr", b"standard error")):
            server = self.new_server(server=f"audit = {place}\n")
            got = run([POSTERN, "logs", "--config", server.config], check=False)
            self.assertEqual(got.code, 66)
            self.assertIn(hint, got.err)


if __name__ == "__main__":
    main()
