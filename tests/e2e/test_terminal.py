"""Terminals: what a person at `ssh -t` gets, and what a client may ask for (RFC 4254 §6.2, §6.7)."""
import asyncio
import fcntl
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import struct
import termios
import time
import unittest

from asyncssh.packet import String, UInt32

from harness import EXEC_ID, PATIENCE, PosternTest, clean_env, main, run, wait_until
from test_channels import ChannelTest

POLICY = """
[sandbox "plain"]
network   = none
tasks     = 2000
workspace = connection

[sandbox "idle"]
extends   = plain
idle-time = 3s
warn      = 2s

[sandbox "timed"]
extends = plain
time    = 3s
warn    = 2s

[sandbox "small"]
extends = plain
output  = 10K

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
pty     = yes

[tenant "nopty"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash

[tenant "ruled"]
extends = nopty
explain = rule
pty     = no

[tenant "mute"]
extends = nopty
explain = none

[tenant "listed"]
keys    = keys/alice
sandbox = plain
command = tty
command = stty size
pty     = yes

[tenant "forced"]
keys    = keys/alice
sandbox = plain
force   = /bin/sh -c 'tty; echo "$TERM"; read line; echo "got $line"'
pty     = yes

[tenant "words"]
keys    = keys/alice
sandbox = plain
shell   = /usr/bin/env bash
pty     = yes

[tenant "queued"]
extends   = acme
max-execs = 1
queue     = 60s

[tenant "idle"]
extends = acme
sandbox = idle

[tenant "timed"]
extends = acme
sandbox = timed

[tenant "small"]
extends = acme
sandbox = small

[tenant "certs"]
keys    = keys/authority
sandbox = plain
shell   = /bin/bash
pty     = yes
explain = rule

[tenant "keys"]
keys    = keys/restricted
keys    = keys/nopty
keys    = keys/permitted
sandbox = plain
shell   = /bin/bash
pty     = yes
explain = rule
"""

# What the tests' prompt is; nothing else that is shown begins a line with it.
PROMPT = b"=>"
KEYS = ("alice", "authority", "restricted", "nopty", "permitted")
ECHO, SIZE = 53, (24, 80)
TTY_OP_END = b"\0"


class Screen:
    """A client on a terminal of ours: what it shows, and a keyboard."""

    def __init__(self, argv, home, term="xterm", size=SIZE):
        self.shown, self.at = b"", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            env = clean_env(home)
            env["TERM"] = term
            os.execvpe(argv[0], argv, env)

    def _read(self, timeout):
        """False at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def until(self, pattern, timeout=20):
        """Waits for the pattern in what has been shown since the last one."""
        deadline = time.monotonic() + timeout * PATIENCE
        pattern = pattern if isinstance(pattern, bytes) else pattern.encode()
        while True:
            found = re.compile(pattern, re.S).search(self.shown, self.at)
            if found:
                self.at = found.end()
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} was not shown: {self.shown[self.at:]!r}")
            if not self._read(0.1):
                raise AssertionError(f"ended without {pattern!r}: {self.shown[self.at:]!r}")

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def command(self, line):
        """Types a command at the prompt; what it shows up to the next one."""
        self.type(line + "\r")
        self.until(re.escape(line.encode()) + rb"[^\n]*\r\n")
        start = self.at
        end = self.until(rb"(?:^|\n|\r)" + PROMPT)
        return self.shown[start:end.start() + 1].replace(b"\r\n", b"\n").strip(b"\r\n")

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self, timeout=20):
        """Waits for the client's end; (exit code, all that was shown)."""
        deadline = time.monotonic() + timeout * PATIENCE
        while self._read(0.1):
            if time.monotonic() > deadline:
                raise AssertionError(f"does not end: {self.shown[-500:]!r}")
        os.close(self.fd)
        self.fd = -1
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.shown

    def kill(self):
        """Nobody is left behind by a test that failed."""
        if self.fd >= 0:
            os.kill(self.pid, signal.SIGKILL)
            os.close(self.fd)
            os.waitpid(self.pid, 0)
            self.fd = -1


class TerminalTest(PosternTest):
    server_args = {"policy": POLICY, "keys": KEYS}
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(**cls.server_args)
        cls.server.user_key("restricted", options="restrict")
        cls.server.user_key("nopty", options="no-pty")
        cls.server.user_key("permitted", options="restrict,pty")
        cls.server.user_key("authority", options="cert-authority")
        cls.server.start()

    def screen(self, user, *command, flags=("-tt",), key="alice", options=(), **how):
        argv = self.server.ssh_argv(user, *command, flags=flags, key=key, options=options)
        screen = Screen(argv, self.server.dir, **how)
        self.addCleanup(screen.kill)
        return screen

    def shell(self, user="acme", **how):
        """A login with a prompt of ours."""
        screen = self.screen(user, **how)
        screen.until(rb"\$ ")
        screen.type("bind 'set enable-bracketed-paste off'; PS1='=>'\r")
        screen.until(rb"[\r\n]" + PROMPT)
        return screen

    def shows(self, user, command, **how):
        code, shown = self.screen(user, command, **how).end()
        return code, shown.replace(b"\r\n", b"\n")


class Commands(TerminalTest):
    """ssh -tt host command"""

    def test_a_terminal_of_its_own(self):
        code, shown = self.shows("acme", "tty; test -t 0 -a -t 1 -a -t 2 && echo $SSH_TTY $TERM; "
                                         "stat -c '%F %U %a' $(tty); ls -1 /dev/pts; exit 7")
        self.assertEqual((code, shown), (7, b"/dev/pts/0\n/dev/pts/0 xterm\ncharacter special file "
                                            b"acme 600\n0\nptmx\n"))
        start, _ = self.server.last_exec(tenant="acme")
        self.assertEqual((start["terminal"], start["term"]), (True, "xterm"))

    def test_without_asking_there_is_none(self):
        result = self.server.ssh("acme", "tty; printenv SSH_TTY TERM; exit 1")
        self.assertEqual((result.code, result.out), (1, b"not a tty\n"), result)
        start, _ = self.server.last_exec(tenant="acme")
        self.assertEqual((start["terminal"], start["term"]), (False, None))

    def test_dev_tty_and_the_foreground(self):
        code, shown = self.shows("acme", "echo there >/dev/tty; ps -o tty=,stat=,comm= -p $$; :")
        self.assertEqual(code, 0)
        self.assertRegex(shown, rb"^there\npts/0 +Ss\+ +bash\n$")

    def test_the_size_comes_and_changes(self):
        screen = self.screen("acme", "trap 'stty size; exit 5' WINCH; stty size; "
                                     "while :; do sleep 0.1; done", size=(33, 99))
        screen.until(rb"33 99\r\n")
        screen.resize(50, 132)
        screen.until(rb"50 132\r\n")
        self.assertEqual(screen.end()[0], 5)

    def test_stderr_joins_stdout_in_order(self):
        code, shown = self.shows("acme", "for i in 1 2 3; do echo out$i; echo err$i >&2; done")
        self.assertEqual((code, shown), (0, b"out1\nerr1\nout2\nerr2\nout3\nerr3\n"))

    def test_modes_of_the_client(self):
        master, slave = pty.openpty()
        modes = termios.tcgetattr(slave)
        modes[0] &= ~termios.IXON
        modes[6][termios.VERASE], modes[6][termios.VINTR] = b"\x08", b"\x01"
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        argv = self.server.ssh_argv("acme", "stty -a", flags=["-tt"])
        pid = os.fork()
        if pid == 0:
            self.login_tty(slave)
            os.execvpe(argv[0], argv, clean_env(self.server.dir))
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:
            pass
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        for part in (rb"intr = \^A;", rb"erase = \^H;", rb" -ixon ", rb"quit = \^\\;", rb" brkint "):
            self.assertRegex(shown, part)

    @staticmethod
    def login_tty(slave):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)

    def test_output_right_up_to_the_exit(self):
        for _ in range(20):
            code, shown = self.shows("acme", "stty -onlcr; seq 20000; printf end; exit 9")
            self.assertEqual(code, 9)
            self.assertEqual(shown, b"".join(b"%d\n" % n for n in range(1, 20001)) + b"end")

    def test_a_background_child_does_not_hold_it(self):
        code, shown = self.shows("acme", "sleep 300 & echo started; exit 4")
        self.assertEqual((code, shown), (4, b"started\n"))

    def test_a_signal_ends_it(self):
        code, shown = self.shows("acme", "kill -KILL $$")
        self.assertEqual((code, shown), (255, b""))
        self.assertEqual(self.server.last_exec(tenant="acme")[1]["signal"], 9)

    def test_what_it_closes_and_opens_again(self):
        code, shown = self.shows("acme", "exec </dev/null >/dev/null 2>&1; sleep 0.5; "
                                         "echo again >/dev/tty; sleep 0.5; exit 5")
        self.assertEqual((code, shown), (5, b"again\n"))

    def test_templates_and_force(self):
        self.assertEqual(self.shows("listed", "tty"), (0, b"/dev/pts/0\n"))
        self.assertEqual(self.shows("listed", "stty size", size=(30, 100)), (0, b"30 100\n"))
        screen = self.screen("forced", "whatever")
        screen.until(rb"/dev/pts/0\r\nxterm\r\n")
        screen.type("words\r")
        code, shown = screen.end()
        self.assertEqual(code, 0)
        self.assertIn(b"got words\r\n", shown)

    def test_lines_of_ours_begin_at_the_left(self):
        code, shown = self.shows("small", "printf begun; head -c 100000 /dev/zero | tr '\\0' x")
        self.assertEqual(code, 153)
        self.assertRegex(shown, rb"x\npostern: output: it wrote more than 10K[^\r\n]*\n$")
        _, raw = self.screen("small", "seq 100000").end()
        self.assertRegex(raw, rb"\r\npostern: output: [^\r\n]*\r\n$")

    def test_the_client_goes(self):
        screen = self.screen("acme", "trap 'echo HUP >/workspace/hup' HUP; echo ready; "
                                     "while :; do sleep 0.1; done")
        screen.until(b"ready")
        self.assertTrue(self.server.exec_pids())
        screen.kill()
        wait_until(lambda: not self.server.exec_pids(), 20, "the end of it")

    def test_odd_names_for_a_terminal(self):
        for term, seen in (("tmux-256color", b"tmux-256color"), ("vt100+x.y_z", b"vt100+x.y_z"),
                           ("../../etc", b"dumb"), (".hidden", b"dumb"), ("a b", b"dumb"),
                           ("a/b", b"dumb"), ("x" * 63, b"x" * 63), ("x" * 64, b"dumb"),
                           ("x" * 5000, b"dumb"), ("\x1b[2J", b"dumb"), ("$(id)", b"dumb")):
            with self.subTest(term):
                code, shown = self.shows("acme", "echo \"[$TERM]\"", term=term)
                self.assertEqual((code, shown), (0, b"[" + seen + b"]\n"))


class Programs(TerminalTest):
    """Programs that make terminals of their own, inside."""

    def test_script_has_one_below(self):
        code, shown = self.shows("acme", "script -qc 'tty; stty size' /dev/null </dev/null")
        self.assertEqual(code, 0)
        self.assertRegex(shown, rb"^/dev/pts/1\r*\n")

    def test_script_without_a_terminal(self):
        result = self.server.ssh("acme", "script -qec 'tty; exit 3' /dev/null </dev/null")
        self.assertEqual((result.code, result.out), (3, b"/dev/pts/0\r\n"), result)

    def test_none_where_there_is_no_pty(self):
        result = self.server.ssh("nopty", "ls -A /dev/pts; exec 3<>/dev/ptmx")
        self.assertEqual(result.out, b"", result)
        self.assertNotEqual(result.code, 0)

    def test_they_are_bounded(self):
        result = self.server.ssh("acme", "perl -e 'my $n = 0; my @f; while "
                                         "(open(my $f, \"+<\", \"/dev/ptmx\")) { push @f, $f; $n++ } "
                                         "print \"$n $!\\n\"'")
        self.assertRan(result, 0, b"32 No space left on device\n")

    def test_two_at_once_share_none(self):
        one = self.screen("acme", "echo one; tty; read x; ls /dev/pts | wc -w")
        one.until(rb"one\r\n/dev/pts/0\r\n")
        two = self.screen("acme", "echo two; tty; read x; ls /dev/pts | wc -w")
        two.until(rb"two\r\n/dev/pts/0\r\n")
        for screen in (one, two):
            screen.type("\r")
            self.assertTrue(screen.end()[1].endswith(b"\r\n2\r\n"))

    def test_typing_for_others_is_refused(self):
        result = self.shows("acme", "perl -e 'my $c = \"x\"; ioctl(STDIN, 0x5412, $c) or print \"$!\\n\"' 2>&1")
        self.assertIn(b"Operation not permitted", result[1])


class Logins(TerminalTest):
    """ssh -tt host"""

    def test_a_login_shell(self):
        screen = self.shell()
        self.assertEqual(screen.command("echo $0 $HOME $SHELL $USER $LOGNAME"),
                         b"-bash /workspace /bin/bash acme acme")
        self.assertEqual(screen.command("shopt -q login_shell && echo ${-//[^im]/}"), b"im")
        screen.type("exit 3\r")
        self.assertEqual(screen.end()[0], 3)
        start, end = self.server.last_exec(tenant="acme")
        self.assertEqual((start["kind"], start["terminal"], end["exit"]), ("shell", True, 3))

    def test_its_profile_is_read(self):
        path, client = self.server.mux()
        try:
            self.assertRan(self.server.ssh("acme", "echo 'echo profile was read' >~/.bash_profile",
                                           flags=["-S", path]))
            screen = self.screen("acme", flags=["-tt", "-S", path])
            # The one that shares the connection may write before ours has made its terminal raw.
            screen.until(rb"profile was read\r+\n")
            screen.until(rb"\$ ")
            screen.type("exit\r")
            screen.end()
        finally:
            client.kill()

    def test_a_shell_of_several_words(self):
        screen = self.shell("words")
        self.assertEqual(screen.command("echo $0"), b"bash")
        screen.type("exit\r")
        screen.end()

    def test_without_a_terminal_it_reads_commands(self):
        result = self.server.ssh("acme", flags=["-T"], stdin=b"echo one\ntty\nexit 6\n")
        self.assertEqual((result.code, result.out), (6, b"one\nnot a tty\n"), result)

    def test_keys_that_interrupt_and_stop(self):
        screen = self.shell()
        screen.type("sleep 1000\r")
        screen.until(rb"sleep 1000\r\n")
        wait_until(lambda: b"sleep" in self.foreground(), 10, "sleep in the foreground")
        screen.type("\x03")
        screen.until(rb"\^C.*" + PROMPT)
        self.assertEqual(screen.command("echo $?"), b"130")
        screen.type("sleep 2000\r")
        wait_until(lambda: b"sleep" in self.foreground(), 10, "sleep in the foreground")
        screen.type("\x1a")
        screen.until(rb"Stopped.*" + PROMPT)
        self.assertRegex(screen.command("jobs"), rb"Stopped +sleep 2000")
        screen.type("fg\r")
        wait_until(lambda: b"sleep" in self.foreground(), 10, "sleep in the foreground")
        screen.type("\x1c")
        screen.until(rb"Quit.*" + PROMPT)
        self.assertRegex(screen.command("sleep 3000 & bg 2>&1; kill %1; wait"), rb"Terminated|\[1\]")
        screen.type("\x04")
        self.assertIn(b"logout", screen.end()[1])

    def foreground(self):
        """The names of the processes in the foreground of their terminals."""
        found = []
        for pid in self.server.exec_pids():
            try:
                with open(f"/proc/{pid}/stat", "rb") as f:
                    stat = f.read()
            except OSError:
                continue
            name = stat[stat.index(b"(") + 1:stat.rindex(b")")]
            rest = stat[stat.rindex(b")") + 2:].split()
            if rest[2] == rest[5]:  # pgrp and tpgid
                found.append(name)
        return found

    def test_resize_reaches_the_prompt(self):
        screen = self.shell(size=(24, 80))
        self.assertEqual(screen.command("stty size"), b"24 80")
        screen.resize(40, 120)
        wait_until(lambda: screen.command("stty size") == b"40 120", 10, "the new size")
        screen.type("exit\r")
        screen.end()

    def test_a_large_paste_arrives(self):
        screen = self.shell()
        screen.type("stty raw -echo; echo ready; head -c 300000 | sha256sum; stty sane\r")
        screen.until(rb"[\r\n]ready")
        data = b"".join(b"%06d\n" % n for n in range(43000))[:300000]
        os.set_blocking(screen.fd, False)
        sent = 0
        while sent < len(data):
            try:
                sent += os.write(screen.fd, data[sent:sent + 4096])
            except BlockingIOError:
                select.select([], [screen.fd], [], 1)
        os.set_blocking(screen.fd, True)
        screen.until(hashlib.sha256(data).hexdigest())
        screen.type("exit\r")
        screen.end()

    def test_the_time_is_nearly_over(self):
        screen = self.screen("timed")
        screen.until(rb"\r\npostern: warning: the time limit of 3s is over in 2s: it ends then "
                     + EXEC_ID.encode() + rb"\r\n")
        code, shown = screen.end()
        self.assertEqual(code, 124)
        self.assertRegex(shown, rb"\r\npostern: time: the time limit of 3s is over [^\r\n]*\r\n")

    def test_nothing_has_been_typed_for_long(self):
        screen = self.shell("idle")
        warning = (rb"\r\npostern: warning: no input or output for 1s; without any it ends in 2s "
                   + EXEC_ID.encode() + rb"\r\n")
        screen.until(warning)
        screen.type("\r")
        screen.until(PROMPT)
        screen.until(warning)
        code, shown = screen.end()
        self.assertEqual(code, 124)
        self.assertRegex(shown, rb"\r\npostern: idle: no input or output for 3s [^\r\n]*\r\n")
        self.assertEqual(shown.count(b"warning"), 2)


class Refusals(TerminalTest):
    """Where there is no terminal."""

    def test_a_plain_login_says_why(self):
        for user, why in (("nopty", "this tenant has pty = no"),
                          ("ruled", r"this tenant has pty = no \(.*/tenants\.ini:\d+\)"),
                          ("mute", None)):
            with self.subTest(user):
                result = self.server.ssh(user)
                reason = ("not allowed by policy" if why is None else
                          f"no command was given, and there is no interactive login: {why}")
                self.assertEqual(result.code, 126, result)
                self.assertLine(result.err, f"postern: denied: {reason} {EXEC_ID}")
        result = self.server.ssh("listed")
        self.assertEqual(result.code, 126, result)
        self.assertLine(result.err, "postern: denied: no command was given, and this login has no "
                                    "shell " + EXEC_ID)

    def test_at_a_terminal_too(self):
        code, shown = self.screen("ruled", flags=()).end()
        self.assertEqual(code, 126)
        self.assertIn(b"PTY allocation request failed on channel 0", shown)
        self.assertRegex(shown, rb"postern: denied: no command was given, and there is no "
                                rb"interactive login: this tenant has pty = no \(.*tenants.ini:\d+\)")

    def test_ssh_tt_gives_up_by_itself(self):
        code, shown = self.screen("nopty", "echo on").end()
        self.assertEqual(code, 255)
        self.assertIn(b"PTY allocation request failed on channel 0", shown)

    def test_keys(self):
        for key, why in (("restricted", "this key has restrict or no-pty"),
                         ("nopty", "this key has restrict or no-pty")):
            with self.subTest(key):
                result = self.server.ssh("keys", key=key)
                self.assertEqual(result.code, 126, result)
                self.assertLine(result.err, f"postern: denied: no command was given, and there is no "
                                            rf"interactive login: {why} \(.*keys/{key}:1\) {EXEC_ID}")
        self.assertEqual(self.shows("keys", "tty", key="permitted"), (0, b"/dev/pts/0\n"))

    def test_certificates(self):
        for name, options, may in (("plain", [], True), ("none", ["-O", "no-pty"], False),
                                   ("clear", ["-O", "clear"], False)):
            path = self.server.user_key(name)
            run(["ssh-keygen", "-q", "-s", self.server.path("user_authority"), "-I", name,
                 "-n", "certs", *options, path + ".pub"])
            with self.subTest(name):
                argv = [f"CertificateFile={path}-cert.pub"]
                if may:
                    self.assertEqual(self.shows("certs", "tty", key=name, options=argv),
                                     (0, b"/dev/pts/0\n"))
                    continue
                result = self.server.ssh("certs", key=name, options=argv)
                self.assertEqual(result.code, 126, result)
                self.assertLine(result.err, "postern: denied: no command was given, and there is no "
                                            "interactive login: this certificate has no permit-pty "
                                            rf"\(.*\) {EXEC_ID}")


class Requests(ChannelTest):
    """Exact requests and replies, and values that no good client sends."""

    server_args = {"policy": POLICY, "keys": KEYS}

    def connect_as(self, user):
        import asyncssh
        return asyncssh.connect("127.0.0.1", self.server.port, username=user, config=None,
                                known_hosts=None, agent_path=None,
                                client_keys=[self.server.path("user_alice")])

    @staticmethod
    def pty(term="xterm", columns=80, rows=24, width=0, height=0, modes=TTY_OP_END):
        return (b"pty-req", String(term), UInt32(columns), UInt32(rows), UInt32(width),
                UInt32(height), String(modes))

    @staticmethod
    async def until(session, text):
        await asyncio.to_thread(wait_until, lambda: text in session.data, 20, repr(text))

    @staticmethod
    def type(chan, text):
        chan._send_state = "open"
        chan.write(text)

    async def command(self, conn, command, *requests):
        chan, session = await self.raw_channel(conn)
        replies = [await chan._make_request(*request) for request in requests]
        replies.append(await chan._make_request(b"exec", String(command)))
        return chan, session, replies

    def test_replies_and_their_moments(self):
        async def go():
            async with self.connect() as conn:
                chan, session, replies = await self.command(
                    conn, "tty; read line; echo \"$line\"", self.pty(), self.pty())
                await self.until(session, b"/dev/pts/0\r\n")
                replies.append(await chan._make_request(*self.pty()))
                replies.append(await chan._make_request(b"break", UInt32(0)))
                await session.closed
                return replies, session.seen
        replies, seen = self.go(go())
        # The break interrupts: bash is ended by it.
        self.assertEqual(replies, [True, False, True, False, True])
        self.assertIn(("exit-signal", "INT"), seen)

    def test_break(self):
        async def go(setup):
            async with self.connect() as conn:
                chan, session, replies = await self.command(
                    conn, "trap 'echo INT; exit 3' INT; " + setup + "; echo ready; head -c 1 | od -An -tx1",
                    self.pty())
                await self.until(session, b"ready\r\n")
                replies.append(await chan._make_request(b"break", UInt32(500)))
                if b"ign" in setup.encode():
                    self.type(chan, b"x\n")
                await session.closed
                return replies, session.data
        replies, data = self.go(go("stty brkint"))
        self.assertEqual((replies, data.replace(b"^C", b"")), ([True] * 3, b"ready\r\nINT\r\n"))
        replies, data = self.go(go("stty -echo -icanon -brkint -ignbrk"))
        self.assertEqual((replies, data), ([True] * 3, b"ready\r\n 00\r\n"))
        replies, data = self.go(go("stty -echo ignbrk"))
        self.assertEqual((replies, data), ([True] * 3, b"ready\r\n 78\r\n"))

    def test_break_without_a_terminal_fails(self):
        async def go():
            async with self.connect() as conn:
                chan, session, replies = await self.command(conn, "read line; exit 8")
                replies.append(await chan._make_request(b"break", UInt32(0)))
                # Malformed, and under a name that only begins like it.
                replies.append(await chan._make_request(b"break"))
                replies.append(await chan._make_request(b"breakfast", UInt32(0)))
                self.type(chan, b"\n")
                await session.closed
                return replies, session.seen
        replies, seen = self.go(go())
        self.assertEqual(replies, [True, False, False, False])
        self.assertIn(("exit-status", 8), seen)

    def test_a_tenant_without_one_runs_without(self):
        async def go():
            async with self.connect_as("ruled") as conn:
                _, session, replies = await self.command(conn, "tty; printenv TERM; exit 2", self.pty())
                await session.closed
                return replies, session.data, session.err, session.seen
        replies, data, err, seen = self.go(go())
        self.assertEqual((replies, data), ([False, True], b"not a tty\n"))
        self.assertLine(err, r"postern: note: no terminal: this tenant has pty = no "
                             rf"\(.*/tenants\.ini:\d+\); ssh -T asks for none {EXEC_ID}")
        self.assertIn(("exit-status", 2), seen)

    def test_sizes(self):
        async def go():
            async with self.connect() as conn:
                out = []
                for columns, rows in ((0, 0), (1, 1), (4096, 4096), (4097, 70000),
                                      (0xffffffff, 0x80000000)):
                    _, session, replies = await self.command(
                        conn, "stty size", self.pty(columns=columns, rows=rows, width=0xffffffff))
                    await session.closed
                    out.append((replies, session.data))
                return out
        sizes = (b"0 0", b"1 1", b"4096 4096", b"4096 4096", b"4096 4096")
        self.assertEqual(self.go(go()), [([True, True], size + b"\r\n") for size in sizes])

    def test_changes_of_size(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)

                def change(columns, rows):
                    chan._send_request(b"window-change", UInt32(columns), UInt32(rows), UInt32(0),
                                       UInt32(0))
                change(7, 7)  # before there is a terminal: nothing
                replies = [await chan._make_request(*self.pty(columns=80, rows=24))]
                change(81, 25)  # before the command: that is what it gets
                replies.append(await chan._make_request(
                    b"exec", String("stty size; trap 'stty size' WINCH; echo ready; "
                                    "while ! read -t 0.05 l; do :; done; stty size")))
                await self.until(session, b"25 81\r\nready\r\n")
                change(100, 0)  # 0 is not said
                await self.until(session, b"25 100\r\n")
                change(0xffffffff, 30)
                await self.until(session, b"30 4096\r\n")
                for n in range(5000):
                    change(10 + n % 50, 20)
                change(99, 9)
                # Malformed ones are nothing.
                chan._send_request(b"window-change", UInt32(1))
                chan._send_request(b"window-change")
                # A read of bash's that is interrupted by a trap may lose what it has got.
                while not session.closed.done():
                    self.type(chan, b"\r")
                    await asyncio.sleep(0.1)
                return replies, session.data
        replies, data = self.go(go())
        self.assertEqual(replies, [True, True])
        self.assertTrue(data.rstrip().endswith(b"\n9 99"), data[-200:])

    def test_hostile_modes(self):
        for modes in (b"", TTY_OP_END, b"\xff" * 1000, b"\x01", b"\x01\0\0", b"\x35\0\0\0",
                      bytes(range(256)) * 100, b"\x81\0\0\0\0" + b"\x35\0\0\0\0",
                      b"\x81\xff\xff\xff\xff\x35\0\0\0\0", b"\x35\0\0\0\0" * 200,
                      b"\x35\0\0\0\0\xa0\x35\0\0\0\1"):
            async def go(value):
                async with self.connect() as conn:
                    _, session, replies = await self.command(
                        conn, "stty -a | grep -o -- '-\\?echo ' ", self.pty(modes=value))
                    await session.closed
                    return replies, session.data
            with self.subTest(modes[:20]):
                replies, data = self.go(go(modes))
                self.assertEqual(replies, [True, True])
                off = b"\x35\0\0\0\0" in modes and len(modes) <= 1024
                self.assertEqual(data, b"-echo \r\n" if off else b"echo \r\n")

    def test_malformed_requests_leave_the_connection_alone(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                for payload in ((), (String("xterm"),), (UInt32(0xffffffff),),
                                (String("xterm"), UInt32(80), UInt32(24), UInt32(0), UInt32(0),
                                 UInt32(0x7fffffff))):
                    chan._send_request(b"pty-req", *payload)
                chan2, session2, replies = await self.command(conn, "tty", self.pty())
                await session2.closed
                return replies, session2.data
        self.assertEqual(self.go(go()), ([True, True], b"/dev/pts/0\r\n"))

    def test_end_of_file_is_typed(self):
        async def go(before):
            async with self.connect() as conn:
                chan, session, _ = await self.command(conn, "stty -echo; echo ready; cat; echo end",
                                                      self.pty())
                await self.until(session, b"ready\r\n")
                chan._send_state = "open"
                if before:
                    chan.write(before)
                chan.write_eof()
                await session.closed
                return session.data, session.seen
        for before, shown in ((b"", b"end\r\n"), (b"line\n", b"line\r\nend\r\n"),
                              (b"part", b"partend\r\n")):
            with self.subTest(before):
                data, seen = self.go(go(before))
                self.assertEqual(data, b"ready\r\n" + shown)
                self.assertIn(("exit-status", 0), seen)

    def test_a_stalled_client_costs_little(self):
        async def go():
            async with self.connect() as conn:
                chan, session, _ = await self.command(conn, "yes", self.pty())
                await self.until(session, b"y\r\n")
                chan.pause_reading()
                other = await conn.run("echo other")
                chan.close()
                return other.stdout
        self.assertEqual(self.go(go()), "other\n")
        wait_until(lambda: not self.server.exec_pids(), 20, "the end of yes")

    def test_a_terminal_for_a_command_that_is_refused(self):
        async def go():
            async with self.connect_as("listed") as conn:
                _, session, replies = await self.command(conn, "id", self.pty())
                await session.closed
                return replies, session.err, session.seen
        replies, err, seen = self.go(go())
        self.assertEqual(replies, [True, True])
        self.assertRegex(err, rb"^postern: denied: \"id\" is not a command [^\r\n]*\r\n$")
        self.assertIn(("exit-status", 126), seen)

    def test_one_that_waits_for_its_turn(self):
        async def go():
            async with self.connect_as("queued") as conn:
                first, session1, _ = await self.command(conn, "read line")
                _, session2, replies = await self.command(
                    conn, "echo $TERM; stty size; stty -a | grep -o -- '-echo '",
                    self.pty(term="vt220", columns=77, rows=11, modes=b"\x35\0\0\0\0"))
                await asyncio.to_thread(wait_until, lambda: b"queued" in session2.err, 20, "its place")
                self.type(first, b"\n")
                await session2.closed
                return replies, session2.data, session2.err
        replies, data, err = self.go(go())
        self.assertEqual((replies, data), ([True, True], b"vt220\r\n11 77\r\n-echo \r\n"))
        self.assertRegex(err, rb"^postern: queued: place 1, [^\r\n]*\r\n")

    def test_one_that_is_taken_back(self):
        async def go():
            async with self.connect_as("words") as conn:
                chan, session = await self.raw_channel(conn)
                replies = [await chan._make_request(*self.pty())]
                self.server.write_policy(POLICY.replace("pty     = yes", "pty     = no"))
                await asyncio.to_thread(self.server.reload)
                try:
                    replies.append(await chan._make_request(b"exec", String("tty; echo $?")))
                    await session.closed
                finally:
                    self.server.write_policy(POLICY)
                    await asyncio.to_thread(self.server.reload)
                return replies, session.data, session.err
        replies, data, err = self.go(go())
        self.assertEqual((replies, data), ([True, True], b"not a tty\n1\n"))
        self.assertRegex(err, rb"^postern: note: no terminal any more; [^\r\n]*\r\n$")

    def test_many_terminals_of_one_connection(self):
        async def go():
            async with self.connect() as conn:
                async def one(n):
                    _, session, _ = await self.command(conn, f"tty; echo {n}", self.pty())
                    await session.closed
                    return session.data
                return await asyncio.gather(*(one(n) for n in range(40)))
        self.assertEqual(self.go(go()), [b"/dev/pts/0\r\n%d\r\n" % n for n in range(40)])


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class FullScreen(TerminalTest):
    """less, vi and top, seen through a tmux on our side."""

    def tmux(self, *args):
        return run(["tmux", "-f", "/dev/null", "-S", self.server.path(self.id()), *args],
                   home=self.server.dir, check=False).out

    def wait_shown(self, pattern, timeout=20):
        seen = [""]

        def shown():
            seen[0] = self.tmux("capture-pane", "-p", "-t", "t").decode("utf-8", "replace")
            return re.search(pattern, seen[0], re.M)
        try:
            wait_until(shown, timeout, "the screen")
        except AssertionError:
            raise AssertionError(f"{pattern!r} was not shown:\n{seen[0]}") from None

    def keys(self, *keys):
        self.tmux("send-keys", "-t", "t", *keys)

    def setUp(self):
        argv = self.server.ssh_argv("acme", flags=["-tt"])
        self.tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", *argv)
        self.addCleanup(self.tmux, "kill-server")
        self.tmux("set-option", "-g", "remain-on-exit", "on")
        self.wait_shown(r"\$")
        self.keys("PS1='=>'; clear", "Enter")
        self.wait_shown(r"\A=>")

    def leave(self, code=0):
        self.keys(f"exit {code}", "Enter")
        # tmux 3.3 doesn't always know the status of what it has seen end.
        wait_until(lambda: self.tmux("display-message", "-p", "-t", "t", "#{pane_dead}").strip()
                   == b"1", 20, "the end of the client")
        self.assertEqual(self.server.last_exec(tenant="acme")[1]["exit"], code)

    def test_less(self):
        self.keys("seq 1000 | less", "Enter")
        self.wait_shown(r"\A1\n(.*\n)*23\n:")
        self.keys("Space")
        self.wait_shown(r"\A24\n(.*\n)*46\n:")
        self.keys("G")
        self.wait_shown(r"1000\n\(END\)")
        self.keys("g", "/^777$", "Enter")
        self.wait_shown(r"\A777\n")
        self.keys("q")
        self.wait_shown(r"^=>$")
        self.leave(3)

    def test_vi(self):
        self.keys("vi /workspace/file", "Enter")
        self.wait_shown(r"^~")
        self.keys("i", "first line", "Enter", "second", "Escape")
        self.wait_shown(r"\Afirst line\nsecond\n~")
        self.tmux("resize-window", "-t", "t", "-x", "60", "-y", "15")
        self.wait_shown(r"\Afirst line\nsecond\n(~\n){11,13}")
        self.keys("1G", "dd", ":wq", "Enter")
        self.wait_shown(r"^=>$")
        self.keys("clear; stty size; cat /workspace/file", "Enter")
        self.wait_shown(r"^15 60\nsecond\n=>$")
        self.leave()

    def test_top(self):
        self.keys("top", "Enter")
        self.wait_shown(r"\Atop - .*load average(.*\n)+.*PID .*COMMAND")
        self.wait_shown(r"acme .*bash")
        self.keys("q")
        self.wait_shown(r"^=>$")
        self.leave()

    def test_tmux_inside(self):
        self.keys("tmux -f /dev/null", "Enter")
        self.wait_shown(r"^\[0\] ")
        self.keys("tty; echo in-$TERM", "Enter")
        self.wait_shown(r"/dev/pts/1\nin-screen|/dev/pts/1\nin-tmux")
        self.keys("exit", "Enter")
        self.wait_shown(r"\[exited\]\n=>$")
        self.leave()


if __name__ == "__main__":
    main()
