"""Where the audit trail goes: what happens when it can't be written, when its file is rotated, and
the journal. All mounts are made in a mount namespace of this process's own."""
import ctypes
import json
import os
import re
import resource
import socket
import struct
import threading

from harness import EXEC_ID, PATIENCE, PosternTest, main, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
JOURNAL = "/run/systemd/journal/socket"

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "curt"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
explain = none
"""


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount_tmpfs(path, options=""):
    os.makedirs(path, exist_ok=True)
    check(LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", 0, options.encode()))


def setUpModule():
    check(LIBC.unshare(CLONE_NEWNS))
    check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    mount_tmpfs("/run")


class Trail(PosternTest):
    autostart = False

    def serve(self, server="", place=True):
        """A server whose trail is on a small file system of its own."""
        box = self.new_server(policy=POLICY, server=server, log_level="info")
        box.disk = box.path("disk")
        if place:
            mount_tmpfs(box.disk, "size=64k")
            self.addCleanup(lambda: LIBC.umount2(box.disk.encode(), 2))
            self.addCleanup(box.stop)
            os.symlink("disk/audit.log", box.path("audit.log"))
            box.extra += f"audit = {box.disk}/audit.log\n"
            box.write_config()
        return box.start()

    def fill(self, server):
        """Nothing of the file system is left but the rest of the trail's last page."""
        self.filler = os.path.join(server.disk, "filler")
        with open(self.filler, "wb", buffering=0) as f, self.assertRaises(OSError):
            while True:
                f.write(b"x" * 4096)

    def until_full(self, server):
        """Runs commands until the trail has taken all that it can; the last result."""
        def full():
            got = server.ssh("acme", "true")
            return "can't be written" in server.log() and got
        return wait_until(full, 30, "a full disk")


class Required(Trail):
    def test_a_full_disk(self):
        server = self.serve("audit-mode = required\n")
        running = server.popen_ssh("acme", "cat; exit 7")
        started = server.wait_audit(event="start")[0]["exec"]
        self.fill(server)
        self.until_full(server)
        got = server.ssh("acme", "true")
        for _ in range(3):
            self.assertEqual((got.code, got.out), (126, b""), got)
            self.assertLine(got.err, r"postern: denied: the audit trail can't be written, and "
                            rf"nothing runs without it; try again later {EXEC_ID}")
            got = server.ssh("acme", "true")
        got = server.ssh("curt", "true")
        self.assertEqual(got.code, 126)
        self.assertLine(got.err, rf"postern: denied: not allowed by policy {EXEC_ID}")
        self.assertEqual(len(re.findall("error .*can't be written", server.log())), 1)
        # What runs goes on.
        out, _ = running.communicate(b"still here", timeout=20 * PATIENCE)
        self.assertEqual((running.returncode, out), (7, b"still here"))
        self.assertEqual(server.audit(event="end", exec=started), [])
        os.unlink(self.filler)
        end = server.wait_audit(event="end", exec=started)[0]
        self.assertEqual((end["verdict"], end["exit"]), ("exited", 7))
        server.wait_log(r"warning +the audit trail \S+/audit.log is written again\n")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        limited = server.audit(event="start", limit="audit")
        self.assertGreaterEqual(len(limited), 4)
        self.assertEqual({r["decision"] for r in limited}, {"deny"})
        # The first was refused when its record could not be written any more.
        for record in server.audit(event="end", verdict="denied"):
            self.assertEqual(record["exit"], 126)
        self.assertEqual(server.audit(event="lost"), [])

    def test_a_file_that_may_not_grow(self):
        server = self.serve("audit-mode = required\n")
        self.assertRan(server.ssh("acme", "true"))
        size = os.stat(server.path("audit.log")).st_size
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size + 100, limit[1]))
        got = server.ssh("acme", "true")
        self.assertEqual(got.code, 126)
        self.assertLine(got.err, r"postern: denied: the audit trail can't be written, .*")
        server.wait_log("error +the audit trail .* can't be written: File too large; commands are "
                        "denied until it can\n")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limit)
        self.assertRan(server.ssh("acme", "true"))

    def test_a_file_that_is_gone_for_good(self):
        server = self.serve("audit-mode = required\n")
        self.assertRan(server.ssh("acme", "true"))
        server.wait_audit(event="closed")
        os.unlink(server.disk + "/audit.log")
        os.mkdir(server.disk + "/audit.log")
        self.assertEqual(server.ssh("acme", "true").code, 126)
        os.rmdir(server.disk + "/audit.log")
        self.assertRan(server.ssh("acme", "true"))
        server.assert_audit_complete = lambda: None


class BestEffort(Trail):
    def test_a_full_disk(self):
        server = self.serve()
        self.fill(server)
        self.until_full(server)
        for i in range(20):
            self.assertRan(server.ssh("acme", f"echo {i}"), 0, b"%d\n" % i)
        server.wait_log(r"error +the audit trail \S+ can't be written: No space left on device; "
                        r"commands go on, what they do is held in memory for a while\n")
        os.unlink(self.filler)
        server.wait_log(r"warning +the audit trail \S+ is written again\n")
        self.assertEqual([r["command"] for r in server.audit(event="start")][-20:],
                         [f"echo {i}" for i in range(20)])
        self.assertEqual(server.audit(event="lost"), [])

    def test_what_is_lost_is_counted(self):
        server = self.serve()
        self.fill(server)
        self.until_full(server)
        before = len(server.audit())
        # Each is six times as long in the trail.
        long = "true " + "\x01" * 50000
        for _ in range(45):
            self.assertRan(server.ssh("acme", long))
        os.unlink(self.filler)
        LIBC.mount(b"tmpfs", server.disk.encode(), b"tmpfs", 32, b"size=64m")  # MS_REMOUNT
        lost = server.wait_audit(event="lost")
        self.assertEqual(len(lost), 1)
        self.assertGreater(lost[0]["lines"], 10)
        self.assertRegex(lost[0]["since"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        server.wait_log(r"warning +the audit trail \S+ is written again, with a gap\n")
        starts = server.audit(event="start")
        self.assertLess(len(starts), before + 45)
        # What is told and what is counted is all there was.
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        server.assert_audit_complete = lambda: None

    def test_at_the_end_what_is_held_is_counted(self):
        server = self.serve()
        self.fill(server)
        self.until_full(server)
        server.assert_audit_complete = lambda: None
        server.stop()
        self.assertRegex(server.log(), r"error +\d+ records of the audit trail \S+ are lost\n")


class Rotation(Trail):
    def records(self, server):
        """Those of all files, in order; each file is whole lines."""
        found = []
        for name in sorted(os.listdir(server.disk), reverse=True):
            with open(os.path.join(server.disk, name), "rb") as f:
                data = f.read()
            self.assertRegex(data, rb"\A(\{[ -~]*\}\n)*\Z", name)
            found += [json.loads(line) for line in data.splitlines()]
        return found

    def test_while_commands_run(self):
        server = self.serve()
        check(LIBC.mount(b"tmpfs", server.disk.encode(), b"tmpfs", 32, b"size=16m"))
        path, _ = server.mux()
        over = threading.Event()
        turns = []

        def rotate():
            while not over.is_set():
                name = f"audit.log.{999 - len(turns):03}"
                try:
                    os.rename(server.disk + "/audit.log", f"{server.disk}/{name}")
                    turns.append(name)
                except FileNotFoundError:
                    pass  # until the next line makes it

        thread = threading.Thread(target=rotate)
        thread.start()
        try:
            for i in range(60):
                self.assertEqual(server.ssh("acme", f"exit {i}", flags=["-S", path]).code, i)
        finally:
            over.set()
            thread.join()
        wait_until(lambda: len([r for r in self.records(server) if r["event"] == "end"]) == 60,
                   what="60 ends")
        records = self.records(server)
        self.assertGreater(len(turns), 20)
        starts = [r["exec"] for r in records if r["event"] == "start"]
        ends = [r["exec"] for r in records if r["event"] == "end"]
        self.assertEqual((len(starts), len(set(starts))), (60, 60))
        self.assertEqual(sorted(starts), sorted(ends))
        self.assertEqual([r["exit"] for r in records if r["event"] == "end"], list(range(60)))
        server.assert_audit_complete = lambda: None

    def test_a_removed_file_is_made_anew(self):
        server = self.serve()
        self.assertRan(server.ssh("acme", "true"))
        server.wait_audit(event="closed")
        os.unlink(server.disk + "/audit.log")
        self.assertRan(server.ssh("acme", "exit 0"))
        self.assertTrue(server.wait_audit(event="end"))
        self.assertEqual(os.stat(server.disk + "/audit.log").st_mode & 0o777, 0o600)
        self.assertNotIn("can't", server.log())

    def test_half_a_line_of_a_crash_is_ended(self):
        server = self.new_server(policy=POLICY, log_level="info")
        server.write("audit.log", '{"v":1,"time":"2026', 0o600)
        server.start()
        self.assertRan(server.ssh("acme", "true"))
        lines = wait_until(lambda: (lambda x: len(x) > 3 and x)(
            open(server.path("audit.log"), "rb").read().split(b"\n")))
        self.assertEqual(lines[0], b'{"v":1,"time":"2026')
        self.assertEqual(json.loads(lines[1])["event"], "auth")
        server.assert_audit_complete = lambda: None
        server.audit = lambda **_: []


class FakeJournald:
    """Takes entries as systemd-journald does, by the protocol's description."""

    def __init__(self):
        self.entries = []
        self.memfds = 0
        os.makedirs(os.path.dirname(JOURNAL), exist_ok=True)
        self.open()

    def open(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(JOURNAL)
        self.sock.setblocking(False)

    def close(self):
        # In this order: a record that comes between must not find a name without a socket.
        os.unlink(JOURNAL)
        self.sock.close()

    def read(self):
        """Takes what has come."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 4)
            except BlockingIOError:
                return self.entries
            if fds:
                self.memfds += 1
                with open(fds[0], "rb") as f:
                    f.seek(0)
                    data = f.read()
            self.entries.append(self.parse(data))

    @staticmethod
    def parse(data):
        fields = {}
        while data:
            line, data = data.split(b"\n", 1)
            name, equals, value = line.partition(b"=")
            if not equals:
                size, = struct.unpack("<Q", data[:8])
                value, end, data = data[8:8 + size], data[8 + size:9 + size], data[9 + size:]
                assert end == b"\n" and len(value) == size, (name, size)
            assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
            assert name not in fields, name
            fields[name.decode()] = value
        return fields

    def wait(self, **match):
        wanted = {k: v if isinstance(v, bytes) else v.encode() for k, v in match.items()}
        return wait_until(lambda: [e for e in self.read()
                                   if all(e.get(k) == v for k, v in wanted.items())], 20, match)


class Journal(Trail):
    def setUp(self):
        self.journald = FakeJournald()
        self.addCleanup(lambda: os.path.exists(JOURNAL) and self.journald.close())

    def serve_both(self, more=""):
        server = self.new_server(policy=POLICY, log_level="info",
                                 server=f"audit = journal\n{more}")
        server.extra += f"audit = {server.path('audit.log')}\n"
        server.write_config()
        self.addCleanup(server.stop)
        return server.start()

    def test_fields(self):
        server = self.serve_both()
        command = "printf 'a\\nb'\n#MESSAGE=forged\nexit 3 # \xe9"
        self.assertEqual(server.ssh("acme", command.encode("latin-1")).code, 3)
        start = self.journald.wait(POSTERN_EVENT="start")[0]
        end = self.journald.wait(POSTERN_EVENT="end")[0]
        auth = self.journald.wait(POSTERN_EVENT="auth", POSTERN_RESULT="accepted")[0]
        record, last = server.last_exec()
        self.assertEqual(start["POSTERN_COMMAND"], command.encode("latin-1"))
        self.assertEqual(start["MESSAGE_ID"], b"8fe89d973c64498099e9d439aa4df56f")
        self.assertEqual((end["MESSAGE_ID"], end["PRIORITY"], end["SYSLOG_IDENTIFIER"]),
                         (b"8c3bf6d3ff7c4f55a3055ee10a141106", b"6", b"posternd"))
        self.assertEqual((end["POSTERN_TENANT"], end["POSTERN_VERDICT"], end["POSTERN_EXIT"]),
                         (b"acme", b"exited", b"3"))
        self.assertEqual(end["POSTERN_EXEC"].decode(), last["exec"])
        self.assertNotIn("POSTERN_REASON", end)
        self.assertRegex(end["MESSAGE"], rb"\A\S+ of acme: exited 3; \d+ ms, CPU .*, in 0, "
                         rb"out 3, err 0\Z")
        self.assertRegex(auth["MESSAGE"], rb"\Alogin accepted: acme from 127\.0\.0\.1 port \d+ by "
                         rb"publickey SHA256:\S{43} \(alice@client\), tenant acme")
        # Each member is a field, and nothing else is.
        for one, fields in ((record, start), (last, end)):
            named = {"POSTERN_" + name.upper() for name, value in one.items() if value is not None}
            self.assertEqual(named, {name for name in fields if name.startswith("POSTERN_")})
            self.assertNotIn(b"\n", fields["MESSAGE"])

    def test_journald_starts_anew(self):
        server = self.serve_both("audit-mode = required\n")
        self.assertRan(server.ssh("acme", "true"))
        self.journald.wait(POSTERN_EVENT="end")
        self.journald.close()
        self.assertEqual(server.ssh("acme", "true").code, 126)
        server.wait_log("error +the audit trail journal can't be written: No such file or directory")
        self.journald.open()
        self.journald.wait(POSTERN_EVENT="end", POSTERN_VERDICT="denied")
        self.assertRan(server.ssh("acme", "true"))

    def test_journald_that_does_not_read(self):
        """Nobody waits for it; what it doesn't take it gets later."""
        server = self.serve_both()
        path, _ = server.mux()
        for i in range(150):
            self.assertEqual(server.ssh("acme", f"exit {i}", flags=["-S", path]).code, i)
        ends = wait_until(lambda: (lambda e: len(e) == 150 and e)(
            [e for e in self.journald.read() if e["POSTERN_EVENT"] == b"end"]), 20, "150 ends")
        self.assertEqual([int(e["POSTERN_EXIT"]) for e in ends], list(range(150)))

    def test_no_journald(self):
        self.journald.close()
        server = self.new_server(policy=POLICY, server="audit = journal\n")
        server.start_only()
        self.assertEqual(server.process.wait(20 * PATIENCE), 73)
        server.process = None
        server.log_file.close()
        self.assertIn("error: audit = journal: /run/systemd/journal/socket: No such file or "
                      "directory (does systemd-journald run?)", server.log())


if __name__ == "__main__":
    main()
