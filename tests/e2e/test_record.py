"""Recordings: what is kept of what commands print, who bounds it, and how it is played."""
import fcntl
import glob
import json
import os
import re
import signal
import stat

import egress_peer
from harness import (EXEC_ID, PATIENCE, POSTERN, PosternTest, is_gone, main, processes, run,
                     wait_until)
from test_hostile_session import HOSTILE, Client, exec_line
from test_terminal import PROMPT, Screen

MIB = 1 << 20
HEAD = TAIL = 64 * 1024
SERVER = "recordings = {dir}/recordings\nrecord-max = 2M\n"
POLICY = """
[sandbox "plain"]
network = none
[defaults]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
pty     = yes
[tenant "all"]
record  = output
[tenant "shown"]
record  = terminal
[tenant "hidden"]
record  = terminal
record-notice = no
[tenant "none"]
"""


class RecordTest(PosternTest):
    server_args = {"policy": POLICY}
    settings = SERVER
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(**cls.server_args)
        cls.server.extra = cls.settings.format(dir=cls.server.dir)
        cls.server.write_config()
        cls.prepare()
        cls.server.start()

    @classmethod
    def prepare(cls):
        """What must be there before the server is."""

    def recordings(self):
        return sorted(glob.glob(self.server.path("recordings/*")))

    def last(self, **match):
        """(path, header, events, end record) of the newest exec."""
        start, end = self.server.last_exec(**match)
        path = self.server.path(f"recordings/{start['exec']}.cast")
        with open(path, encoding="utf-8") as f:
            header, *events = [json.loads(line) for line in f]
        times = [time for time, _, _ in events]
        self.assertEqual(times, sorted(times))
        return path, header, events, end

    def play(self, *args, stdin=b"", code=0):
        done = run([POSTERN, "play", "-f", self.server.config, *args], stdin=stdin, check=False)
        self.assertEqual(done.code, code, done)
        return done


def texts(events, code):
    return "".join(text for _, kind, text in events if kind == code)


def asciinema_cat(path, home):
    """What asciinema makes of it; it wants a terminal, and has one of its own."""
    argv = ["/bin/sh", "-c", 'exec asciinema cat "$1" >"$2"', "sh", path, path + ".out"]
    screen = Screen(argv, home)
    try:
        code, shown = screen.end()
    finally:
        screen.kill()
    with open(path + ".out", "rb") as f:
        out = f.read()
    os.unlink(path + ".out")
    return code, out, shown


class Terminals(RecordTest):
    def session(self, user):
        screen = Screen(self.server.ssh_argv(user, flags=("-tt",)), self.server.dir, size=(33, 99))
        self.addCleanup(screen.kill)
        screen.until(rb"\$ ")
        screen.type("bind 'set enable-bracketed-paste off'; PS1='=>'\r")
        screen.until(rb"[\r\n]" + PROMPT)
        return screen

    def test_a_session_with_a_resize(self):
        screen = self.session("shown")
        screen.command("printf 'gr\\303\\274n \\377\\033[31mred\\033[0m\\n'")
        screen.resize(50, 132)
        self.assertEqual(screen.command("stty size"), b"50 132")
        self.assertEqual(screen.command("echo $POSTERN_RECORD"), b"terminal")
        screen.type("exit\r")
        code, shown = screen.end()
        self.assertEqual(code, 0)
        path, header, events, end = self.last(tenant="shown")
        self.assertEqual((header["version"], header["width"], header["height"]), (2, 99, 33))
        self.assertEqual((header["command"], header["env"]),
                         ("/bin/bash", {"SHELL": "/bin/bash", "TERM": "xterm"}))
        ours = header["postern"]
        self.assertEqual((ours["v"], ours["exec"], ours["tenant"], ours["user"], ours["key_comment"],
                          ours["kind"], ours["terminal"]),
                         (1, end["exec"], "shown", "shown", "alice@client", "shell", True))
        self.assertEqual(header["title"], f"shown {end['exec']}")
        self.assertEqual(texts(events, "r"), "132x50")
        notice = f"postern: note: this terminal is recorded [{end['exec']}]\r\n".encode()
        self.assertEqual(shown.count(notice), 1)
        expected = shown.replace(notice, b"").decode("utf-8", "replace")
        self.assertEqual(texts(events, "o"), expected)
        self.assertIn("gr\u00fcn \ufffd\x1b[31mred\x1b[0m\r\n", expected)
        code, out, told = asciinema_cat(path, self.server.dir)
        self.assertEqual((code, out), (0, expected.encode()), told)
        played = self.play(end["exec"], "--output")
        self.assertEqual((played.out, played.err), (expected.encode(), b""))
        self.assertEqual(end["recording"], "whole")
        self.assertEqual(self.server.audit(event="start", exec=end["exec"])[0]["record"], "terminal")

    def test_input_is_not_recorded(self):
        screen = Screen(self.server.ssh_argv("shown", "stty -echo; echo ready; read secret; "
                                                      "echo ${#secret}", flags=("-tt",)),
                        self.server.dir)
        self.addCleanup(screen.kill)
        screen.until(rb"ready\r\n")
        screen.type("xyzzy-secret\r")
        self.assertEqual(screen.end()[0], 0)
        path, _, events, end = self.last(tenant="shown")
        self.assertEqual((texts(events, "o"), end["bytes_in"]), ("ready\r\n12\r\n", 13))
        with open(path, "rb") as f:
            self.assertNotIn(b"xyzzy", f.read())
        self.assertNotIn("i", {code for _, code, _ in events})

    def test_without_notice(self):
        screen = Screen(self.server.ssh_argv("hidden", "echo hello", flags=("-tt",)),
                        self.server.dir)
        self.assertEqual(screen.end(), (0, b"hello\r\n"))
        self.assertEqual(texts(self.last(tenant="hidden")[2], "o"), "hello\r\n")

    def test_no_terminal_no_recording(self):
        self.assertRan(self.server.ssh("shown", "echo $POSTERN_RECORD"), out=b"\n")
        start, end = self.server.last_exec(tenant="shown")
        self.assertEqual((start["record"], end["recording"]), (None, None))
        self.assertFalse(os.path.exists(self.server.path(f"recordings/{end['exec']}.cast")))

    def test_no_recording_at_all(self):
        screen = Screen(self.server.ssh_argv("none", "echo hello", flags=("-tt",)), self.server.dir)
        self.assertEqual(screen.end(), (0, b"hello\r\n"))
        start, end = self.server.last_exec(tenant="none")
        self.assertEqual((start["record"], end["recording"]), (None, None))

    def test_record_max(self):
        screen = Screen(self.server.ssh_argv("shown", "head -c 4000000 /dev/zero | tr '\\0' X; "
                                                      "echo; echo end", flags=("-tt",)),
                        self.server.dir)
        code, shown = screen.end(60)
        self.assertEqual((code, shown.count(b"X")), (0, 4000000))
        path, _, events, end = self.last(tenant="shown")
        self.assertLessEqual(os.stat(path).st_size, 2 * MIB)
        kept = texts(events, "o")
        self.assertEqual(kept, "X" * len(kept))
        self.assertGreater(len(kept), 1.5 * MIB)
        lost = 4000000 + len("\r\nend\r\n") - len(kept)
        self.assertEqual(texts(events, "m"),
                         f"postern: {lost} bytes were not recorded: record-max")
        self.assertEqual(end["recording"], "full")


class Pipes(RecordTest):
    def test_small(self):
        result = self.server.ssh("all", "echo out; echo err >&2; printf '\\342\\202'; sleep 0.1; "
                                        "printf '\\254\\0\\n'; echo $POSTERN_RECORD")
        self.assertRan(result, out="out\n\u20ac\0\noutput\n".encode(), err=b"err\n")
        path, header, events, end = self.last(tenant="all")
        self.assertEqual((texts(events, "o"), texts(events, "e")),
                         ("out\n\u20ac\0\noutput\n", "err\n"))
        self.assertFalse(header["postern"]["terminal"])
        played = self.play(path, "--output")
        self.assertEqual((played.out, played.err), (result.out, result.err))
        self.assertEqual(end["recording"], "whole")
        info = os.stat(path)
        self.assertEqual((stat.S_IMODE(info.st_mode), info.st_uid), (0o600, 0))
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)

    def test_head_and_tail(self):
        result = self.server.ssh("all", "echo begin >&2; seq 1 1500000; echo end >&2", timeout=60)
        self.assertEqual(result.code, 0)
        self.assertGreater(len(result.out), 10 * MIB)
        _, _, events, end = self.last(tenant="all")
        out = result.out.decode()
        self.assertEqual(texts(events, "o"), out[:HEAD] + out[-TAIL:])
        self.assertEqual(texts(events, "e"), "begin\nend\n")
        self.assertEqual(texts(events, "m"), f"postern: {len(out) - HEAD - TAIL} bytes of stdout "
                                             "are left out here")
        played = self.play(end["exec"], "--output")
        self.assertEqual(played.out.decode(), out[:HEAD] + out[-TAIL:])
        self.assertEqual((end["recording"], end["bytes_out"]), ("whole", len(out)))

    def test_two_at_once(self):
        mux, _ = self.server.mux(user="all")
        clients = [self.server.popen_ssh("all", f"for i in 1 2 3 4 5; do echo {name}$i; "
                                                "sleep 0.05; done", flags=["-S", mux])
                   for name in ("left", "right")]
        outs = {client.communicate(timeout=60)[0].decode() for client in clients}
        self.assertEqual(len(outs), 2)
        connection = self.server.audit(event="start", tenant="all")[-1]["connection"]
        ends = self.server.wait_audit(event="end", connection=connection, count=2)
        kept = set()
        for end in ends:
            with open(self.server.path(f"recordings/{end['exec']}.cast"), encoding="utf-8") as f:
                kept.add(texts([json.loads(line) for line in f.readlines()[1:]], "o"))
        self.assertEqual(kept, outs)

    def test_subsystems_and_clients_that_go(self):
        client = self.server.popen_ssh("all", "echo first; sleep 300")
        self.assertEqual(client.stdout.readline(), b"first\n")
        client.kill()
        client.communicate()
        _, _, events, end = self.last(tenant="all")
        self.assertEqual(texts(events, "o"), "first\n")
        self.assertEqual(end["recording"], "whole")

    def test_what_a_session_says_last_is_heard(self):
        """Even by a master that has something to tell it, and finds it gone."""
        others = set(self.server.session_pids()) | set(self.server.exec_pids())
        client = self.server.popen_ssh("all", "echo first; exec sleep 300")
        self.assertEqual(client.stdout.readline(), b"first\n")
        session, = set(self.server.session_pids()) - others
        command, = wait_until(lambda: [pid for pid, (_, _, comm) in processes().items()
                                       if comm == "sleep" and pid not in others
                                       and pid in self.server.exec_pids()], what="the command")
        worker = processes()[command][0]
        master = self.server.process.pid
        os.kill(master, signal.SIGSTOP)
        try:
            os.kill(command, signal.SIGKILL)
            wait_until(lambda: is_gone(worker), what="the end of the sandbox")
            client.kill()
            client.communicate()
            wait_until(lambda: is_gone(session), 20, "the end of the session")
        finally:
            os.kill(master, signal.SIGCONT)
        _, _, events, end = self.last(tenant="all")
        self.assertEqual((texts(events, "o"), end["recording"], end["bytes_out"]),
                         ("first\n", "whole", 6))

    def test_a_master_that_is_executed_anew(self):
        """What is being recorded goes on, and what comes then is recorded, too."""
        client = self.server.popen_ssh("all", "echo before; read x; echo after")
        self.assertEqual(client.stdout.readline(), b"before\n")
        start = self.server.wait_audit(event="start", tenant="all")[-1]
        self.server.process.send_signal(signal.SIGUSR2)
        self.server.wait_log("re-executed: ")
        self.server.ssh("all", "echo new")
        self.assertEqual(texts(self.last(tenant="all")[2], "o"), "new\n")
        out, _ = client.communicate(b"\n", timeout=60)
        self.assertEqual(out, b"after\n")
        end, = self.server.wait_audit(event="end", exec=start["exec"])
        self.assertEqual(end["recording"], "whole")
        self.assertEqual(self.play(start["exec"], "--output").out, b"before\nafter\n")

    def test_a_session_that_dies(self):
        """What it had not yet written of a line is taken away."""
        self.server.expect_deaths = True
        client = self.server.popen_ssh("all", "echo first; sleep 300")
        self.assertEqual(client.stdout.readline(), b"first\n")
        start = self.server.wait_audit(event="start", tenant="all")[-1]
        path = self.server.path(f"recordings/{start['exec']}.cast")
        wait_until(lambda: open(path, encoding="utf-8").read().count("\n") == 2)
        with open(path, "ab") as f:
            f.write(b'[1.0, "o", "torn')
        for pid in self.server.session_pids():
            os.kill(pid, 9)
        client.communicate()
        _, _, events, end = self.last(tenant="all")
        self.assertEqual((texts(events, "o"), end["recording"]), ("first\n", "incomplete"))
        self.server.wait_log(f"{end['exec']}: its recording is incomplete")


class Play(RecordTest):
    def test_the_list(self):
        self.server.ssh("all", "echo '\u00fc\x1b[31m'; sleep 0.3; echo")
        _, _, _, one = self.last(tenant="all")
        listed = json.loads(self.play("--list", "--json").out)["recordings"]
        found = [item for item in listed if item["exec"] == one["exec"]]
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["tenant"], found[0]["terminal"], found[0]["running"],
                          found[0]["client"]), ("all", False, False, "127.0.0.1"))
        self.assertGreaterEqual(found[0]["seconds"], 0.29)
        table = self.play("--list", "--tenant", "all").out.decode("ascii")
        self.assertRegex(table, rf"(?m)^{one['exec']}  20\S+Z  all +\d+\.\d s +1K ")
        self.assertEqual(json.loads(self.play("--list", "--tenant", "shown", "--json").out)
                         ["recordings"], [])

    def test_one_that_runs_is_listed_and_played(self):
        client = self.server.popen_ssh("all", "echo now; sleep 300")
        client.stdout.readline()
        start = self.server.wait_audit(event="start", tenant="all")[-1]
        wait_until(lambda: self.play(start["exec"], "--output").out == b"now\n")
        table = self.play("--list").out.decode("ascii")
        self.assertRegex(table, rf"(?m)^{start['exec']}  \S+  all +running ")
        client.kill()
        client.communicate()
        self.server.wait_audit(event="end", exec=start["exec"])

    def test_output_on_a_terminal_is_escaped(self):
        self.server.ssh("all", "printf '\\033]0;title\\007\\302\\233'; printf 'e\\033' >&2")
        _, _, _, end = self.last(tenant="all")
        argv = [POSTERN, "play", "-f", self.server.config, "--output", end["exec"]]
        for flags, shown in (([], b"\\x1b]0;title\\x07\\x9be\\x1b"),
                             (["--raw"], b"\x1b]0;title\x07\xc2\x9be\x1b")):
            screen = Screen(argv + flags, self.server.dir)
            self.assertEqual(screen.end(), (0, shown))
        self.assertEqual(self.play("--output", end["exec"]).out, b"\x1b]0;title\x07\xc2\x9b")
        self.assertEqual(self.play("--output", "--escape", end["exec"]).out,
                         b"\\x1b]0;title\\x07\\x9b")

    def test_timing(self):
        path = self.server.write("slow.cast", '{"version": 2, "width": 80, "height": 24}\n'
                                              '[1000000.0, "o", "x"]\n[2000000, "o", "y"]\n')
        self.assertEqual(self.play(path, "--idle-limit", "0.01", "--speed", "2").out, b"xy")
        doc = json.loads(self.play(path, "--json").out)
        self.assertEqual((doc["kind"], doc["torn"], doc["header"]["width"]), ("play", False, 80))
        self.assertEqual(doc["events"][1], {"time": 2000000.0, "code": "o", "text": "y"})

    def test_from_standard_input(self):
        text = b'{"version":2,"width":80,"height":24}\n[0.1,"o","hi"]\n'
        self.assertEqual(self.play("-", "--output", stdin=text).out, b"hi")
        torn = self.play("-", "--output", stdin=text + b'[0.2,"o","th', code=65)
        self.assertEqual(torn.out, b"hi")
        self.assertIn(b"some of it can't be read", torn.err)

    def test_wrong_words(self):
        for args, code, told in (
                ((), 64, "which recording"), (("a", "b"), 64, "which recording"),
                (("--list", "x"), 64, "takes no recording"), (("--speed", "0", "x"), 64, "0.01"),
                (("--speed", "2x", "x"), 64, "0.01"), (("--idle-limit", "-1", "x"), 64, "seconds"),
                (("--tenant", "x", "y"), 64, "belongs to --list"),
                (("--raw", "--escape", "x"), 64, "contradict"),
                (("..",), 64, "neither an exec id"), ((".x",), 64, "neither an exec id"),
                (("a b",), 64, "neither an exec id"), (("x" * 99,), 64, "neither an exec id"),
                (("nosuch-1.1",), 66, "no recording of this exec"),
                (("./nosuch.cast",), 66, "No such file"), (("/",), 66, "Is a directory"),
                (("/dev/null",), 66, "Invalid argument"),
                ((self.server.config,), 65, "this is no recording")):
            self.assertIn(told.encode(), self.play(*args, code=code).err, args)

    def test_a_link_leads_nowhere_else(self):
        """The directory is root's alone: links in it are root's own, and names can't leave it."""
        done = self.play("../recordings/x", code=66)
        self.assertIn(b"No such file", done.err)


class Bounds(RecordTest):
    settings = SERVER + "recordings-max = 2M\nrecordings-keep = 1d\n"

    @classmethod
    def prepare(cls):
        directory = cls.server.path("recordings")
        os.makedirs(directory, mode=0o700)
        for name, size, age, group in (("old-1.1", 10, 90000, 7), ("much-1.1", 1600000, 3000, 7),
                                       ("much-1.2", 400000, 2000, 7), ("few-1.1", 200000, 4000, 8),
                                       ("locked-1.1", 10, 90000, 9)):
            path = os.path.join(directory, name + ".cast")
            with open(path, "wb") as f:
                f.write(b"\n" * size)
            os.chown(path, 0, group)
            now = os.stat(path).st_mtime
            os.utime(path, (now - age, now - age))
        cls.locked = open(os.path.join(directory, "locked-1.1.cast"), "rb")
        cls.addClassCleanup(cls.locked.close)
        fcntl.flock(cls.locked, fcntl.LOCK_SH)
        for name in ("other.txt", ".hidden.cast"):
            with open(os.path.join(directory, name), "wb") as f:
                f.write(b"x" * 5000000)

    def names(self):
        return [os.path.basename(path) for path in self.recordings()]

    def test_what_goes_and_what_stays(self):
        """Too old goes; of too much the oldest of whoever has the most; nothing else is touched."""
        wait_until(lambda: self.names() == ["few-1.1.cast", "locked-1.1.cast", "much-1.2.cast",
                                            "other.txt"], what="old recordings to go")
        self.assertTrue(os.path.exists(self.server.path("recordings/.hidden.cast")))
        # What is recorded now counts, too.
        self.server.ssh("all", "head -c 100000 /dev/zero")
        _, _, _, first = self.last(tenant="all")
        for _ in range(2):
            self.server.ssh("all", "head -c 100000 /dev/zero")
        wait_until(lambda: f"{first['exec']}.cast" not in self.names(), what="room to be made")
        self.assertIn("much-1.2.cast", self.names())
        self.assertEqual(len(self.names()), 6)


class Settings(RecordTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        PosternTest.setUpClass.__func__(cls)
        cls.server = cls.new_server(**cls.server_args)

    def check(self, settings, told, code):
        self.server.extra = settings.format(dir=self.server.dir)
        self.server.write_config()
        done = run([POSTERN, "check", self.server.config], check=False)
        self.assertEqual(done.code, code, done)
        self.assertRegex((done.out + done.err).decode(), told)

    def test_the_directory(self):
        self.check("recordings = {dir}/none/recordings\n",
                   r"postern.ini:\d+: error: recordings = \S+/none/recordings: .*No such file", 78)
        os.makedirs(self.server.path("open"), mode=0o755, exist_ok=True)
        self.check("recordings = {dir}/open\n", r"others may look into it \(mode 755\): "
                                                r"chmod 700 \S+/open", 78)
        os.makedirs(self.server.path("foreign"), mode=0o700, exist_ok=True)
        os.chown(self.server.path("foreign"), 65534, 65534)
        self.check("recordings = {dir}/foreign\n", r"owned by uid 65534 \(nobody\): chown root", 78)
        self.check("recordings = relative\n", "absolute", 78)
        self.check("recordings = {dir}/fresh\nrecord-max = 1M\n", r"'1M' is out of range", 78)
        self.check("recordings = {dir}/fresh\nrecord-max = 4M\nrecordings-max = 3M\n",
                   "'record-max', of one recording, is more than 'recordings-max', of all", 78)
        self.check("recordings = {dir}/fresh\n", "^", 0)

    def test_a_server_that_can_not_record_does_not_start(self):
        os.makedirs(self.server.path("open"), mode=0o755, exist_ok=True)
        self.server.extra = f"recordings = {self.server.path('open')}\n"
        self.server.write_config()
        self.server.start_only()
        process, self.server.process = self.server.process, None
        self.assertIn(process.wait(20 * PATIENCE), (73, 78), self.server.log())
        self.assertIn("chmod 700", self.server.log())
        self.server.log_file.close()

    def test_reload(self):
        """Connections that are there are recorded when the policy wants it, and not any more."""
        server = self.new_server(policy=POLICY)
        server.extra = SERVER.format(dir=server.dir)
        server.write_config()
        server.write_policy(POLICY.replace("record  = output", "").replace("record  = terminal", "")
                            .replace("record-notice = no", ""))
        server.start()
        self.assertFalse(os.path.exists(server.path("recordings")))
        mux, _ = server.mux(user="all")
        server.ssh("all", "echo 1", flags=["-S", mux])
        server.write_policy(POLICY)
        self.assertRegex(server.reload(), "reloaded")
        server.ssh("all", "echo 2", flags=["-S", mux])
        self.server = server
        self.assertEqual(texts(self.last(tenant="all")[2], "o"), "2\n")
        self.assertEqual(len(self.recordings()), 1)


class FullDisk(RecordTest):
    """The directory is a file system of its own, in a mount namespace of this process's."""

    @classmethod
    def prepare(cls):
        egress_peer.unshare(egress_peer.CLONE_NEWNS)
        directory = cls.server.path("recordings")
        os.makedirs(directory, mode=0o700)
        run(["mount", "--make-rprivate", "/"])
        run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=0700", "none", directory])
        cls.addClassCleanup(run, ["umount", "-l", directory])

    def fill(self, leave):
        path = self.server.path("recordings/filler")
        free = os.statvfs(os.path.dirname(path)).f_bavail * 4096
        with open(path, "ab") as f:
            f.write(b"x" * (free - leave))
        self.addCleanup(os.unlink, path)

    def test_full_midway(self):
        self.fill(64 * 1024)
        result = self.server.ssh("all", "for i in 1 2 3 4; do seq 1 20000; sleep 0.1; done; exit 3",
                                 timeout=60)
        self.assertEqual((result.code, len(result.out)), (3, 4 * 108894))
        _, _, events, end = self.last(tenant="all")
        self.assertEqual((end["verdict"], end["recording"]), ("exited", "incomplete"))
        kept = texts(events, "o")
        self.assertGreater(len(kept), 10000)
        self.assertTrue(result.out.decode().startswith(kept))

    def test_full_from_the_start(self):
        self.fill(0)
        result = self.server.ssh("all", "echo not run")
        self.assertEqual((result.code, result.out), (126, b""))
        self.assertLine(result.err, rf"postern: denied: it can't be recorded: No space left on "
                                    rf"device {EXEC_ID}")
        start, end = self.server.last_exec(tenant="all")
        self.assertEqual((start["decision"], start["limit"], end["verdict"], end["recording"]),
                         ("deny", "record", "denied", None))
        self.assertFalse(os.path.exists(self.server.path(f"recordings/{end['exec']}.cast")))
        self.assertRan(self.server.ssh("shown", "echo run"), out=b"run\n")

    def test_room_again(self):
        """What had to wait meanwhile is there in the end."""
        self.fill(8192)
        client = self.server.popen_ssh("all", "seq 1 3000; read x; echo end")
        for _ in range(3000):
            client.stdout.readline()
        os.truncate(self.server.path("recordings/filler"), 0)
        out, _ = client.communicate(b"\n", timeout=60)
        self.assertEqual(out, b"end\n")
        _, _, events, end = self.last(tenant="all")
        self.assertEqual(texts(events, "o"), "".join(f"{i}\n" for i in range(1, 3001)) + "end\n")
        self.assertEqual(end["recording"], "whole")


class Hostile(RecordTest):
    settings = SERVER + f"session-path = {HOSTILE}\n"

    def test_a_session_writes_junk_up_to_the_bound(self):
        self.server.expect_deaths = True
        with Client(self.server) as client:
            self.assertEqual(client.auth("all"), "ANS_AUTH 1")
            answer = client.call(exec_line(1, b"sleep 300"))
            self.assertRegex(answer, "^ANS_EXEC 1 1 ")
            exec_id = answer.split()[3]
            path = self.server.path(f"recordings/{exec_id}.cast")
            with open(path, "rb") as f:
                header = f.read()
            self.assertEqual(json.loads(header)["postern"]["exec"], exec_id)
            room = 2 * MIB - len(header)
            self.assertEqual(client.ask(f"record {5 * MIB}"), f"recorded {room} EFBIG")
            self.assertEqual(client.ask("record 1"), "recorded 0 EFBIG")
            self.assertEqual(os.stat(path).st_size, 2 * MIB)
            with open(path, "rb") as f:
                self.assertTrue(f.read().startswith(header))
            self.assertEqual(client.ask("done 1"), "sent 1")
            end = self.server.wait_audit(event="end", exec=exec_id)[0]
            self.assertEqual(end["recording"], "incomplete")
        self.play(exec_id, "--output", code=65)


if __name__ == "__main__":
    main()
