"""The control socket: who may do what, every verb, and clients that mean no good."""
import fcntl
import grp
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import termios

from harness import (DEMO_POLICY, PATIENCE, POSTERN, POSTERND, SOURCE, PosternTest, clean_env, main, processes,
                     run, wait_until)

EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 64, 66, 69, 73, 75, 77, 78
STRANGER, WATCHER, OPERATOR = 61001, 61002, 61003  # uids that nobody has
ESCAPED = rb"[\x20-\x7e\n]*"


def message_types():
    """{name: number} as messages.h has them."""
    with open(os.path.join(SOURCE, "daemon/ipc/messages.h"), encoding="utf-8") as f:
        rows = re.findall(r"^    X\(([A-Z_]+), [a-z_]+, LINK_", f.read(), re.M)
    return {name: i + 1 for i, name in enumerate(rows)}


TYPES = message_types()


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value + b"\0"


def ps_request(which=0):
    return struct.pack(">IB", TYPES["REQ_CTL_PS"], which) + text("") + text("")


STATUS_REQUEST = struct.pack(">IB", TYPES["REQ_CTL_STATUS"], 0)


class RawClient:
    """A client that says what it likes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.settimeout(20 * PATIENCE)

    def send(self, data):
        self.socket.send(data)

    def recv(self):
        """(name, payload); None at the end."""
        data = self.socket.recv(1 << 20)
        if not data:
            return None
        number, = struct.unpack(">I", data[:4])
        return next(name for name, n in TYPES.items() if n == number), data[4:]

    def answer(self):
        """The items up to the end, and its code and text."""
        items = []
        while True:
            name, payload = self.recv()
            if name == "CTL_ITEM":
                size, = struct.unpack(">I", payload[:4])
                items.append(json.loads(payload[4:4 + size].decode("ascii")))
            elif name == "CTL_END":
                size, = struct.unpack(">I", payload[1:5])
                return items, payload[0], payload[5:5 + size].decode("ascii")

    def ended(self):
        """The server lets it go."""
        try:
            while self.recv():
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self.socket.close()


class ControlTest(PosternTest):
    def postern(self, *words, server=None, uid=None, groups=(), env=None):
        """Runs postern; as another user and its groups."""
        argv = [POSTERN, *words, "--socket", (server or self.server).path("control")]
        if uid is not None:
            argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                    f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
                    "--inh-caps=-all", *argv]
        return run(argv, check=False, timeout=60)

    def document(self, *words, code=0, **how):
        got = self.postern(*words, "--json", **how)
        self.assertEqual(got.code, code, got)
        document = json.loads(got.out.decode("ascii"))
        self.assertEqual((document["v"], document["kind"]), (1, words[0]))
        return document

    def raw(self, welcomed=True):
        client = RawClient(self.server.path("control"))
        self.addCleanup(client.close)
        if welcomed:
            self.assertEqual(client.recv()[0], "CTL_WELCOME")
        return client

    def running(self, count, server=None, timeout=30, **match):
        """Waits until so many commands are listed with these members."""
        def listed():
            execs = [e for e in self.document("ps", server=server)["execs"]
                     if all(e[k] == v for k, v in match.items())]
            return execs if len(execs) == count else None
        return wait_until(listed, timeout, f"{count} commands with {match}")

    def all_gone(self):
        for client in self.server.clients:
            client.kill()
        wait_until(lambda: self.document("ps", "--connections")["connections"] == [] and
                   self.document("ps")["execs"] == [], 40, "the end of everything")


class Looking(ControlTest):
    server_args = {"policy": DEMO_POLICY + "max-execs = 100\n"}

    def tearDown(self):
        self.all_gone()

    def test_status_tells_what_is_so(self):
        client = self.server.popen_ssh("acme", "sleep 100")
        self.running(1, state="running")
        status = self.document("status")
        self.assertEqual((status["pid"], status["state"]), (self.server.process.pid, "serving"))
        self.assertEqual(status["listen"], [f"127.0.0.1:{self.server.port}"])
        self.assertEqual((status["tenants"], status["keys"]), (1, 1))
        self.assertEqual((status["connections"], status["authenticated"], status["startups"]),
                         (1, 1, 0))
        self.assertEqual((status["execs"], status["running"], status["queued"]), (1, 1, 0))
        self.assertEqual(status["config"], self.server.config)
        got = self.postern("status")
        self.assertRan(got)
        self.assertLine(got.out, rf"posternd +\S+, process {self.server.process.pid}, up \S+: serving")
        self.assertLine(got.out, r"policy +generation \d+, loaded \S+Z: 1 tenant, 1 key")
        self.assertLine(got.out, rf"listening +127\.0\.0\.1:{self.server.port}")
        self.assertLine(got.out, r"connections +1 of at most 1000: 1 logged in, 0 not yet")
        self.assertLine(got.out, r"commands +1 run of at most \d+, 0 queued")

    def test_ps_lists_what_runs(self):
        client = self.server.popen_ssh("acme", "sleep 100")
        one, = self.running(1, state="running")
        start = self.server.wait_audit(event="start", command="sleep 100")[-1]
        for name in ("exec", "connection", "tenant", "user", "key", "key_comment", "client", "port",
                     "kind", "command", "sandbox", "generation", "terminal"):
            self.assertEqual(one[name], start[name], name)
        self.assertEqual(one["key"], self.server.fingerprint("alice"))
        self.assertEqual(one["pid"], self.server.worker_pids()[0])
        self.assertIsInstance(one["cpu_ms"], int)
        self.assertGreater(one["memory"], 0)
        got = self.postern("ps")
        self.assertRan(got)
        self.assertLine(got.out, r"EXEC +TENANT +KEY +CLIENT +STATE +AGE +CPU +MEMORY +COMMAND")
        short = one["key"][7:15]
        self.assertLine(got.out, re.escape(one["exec"]) + rf" +acme +{re.escape(short)} alice@client"
                        r" +127\.0\.0\.1 +running +\S+s +\S+ +\S+ +sleep 100")

    def test_filters(self):
        client = self.server.popen_ssh("acme", "sleep 100")
        one, = self.running(1, state="running")
        key = one["key"]
        for words, count in ((("--tenant", "acme"), 1), (("--tenant", "acm"), 0),
                             (("--key", key), 1), (("--key", key[7:15]), 1),
                             (("--key", "SHA256:" + "A" * 43), 0),
                             (("--tenant", "acme", "--key", key), 1)):
            self.assertEqual(len(self.document("ps", *words)["execs"]), count, words)
            if count == 1:
                found = self.document("ps", "--connections", *words)["connections"]
                self.assertEqual([c["connection"] for c in found], [one["connection"]])
        for words in (("--key", "short"), ("--tenant", "x" * 65), ("--connections", "--penalties"),
                      ("--penalties", "--tenant", "acme"), ("word",)):
            self.assertEqual(self.postern("ps", *words).code, EX_USAGE, words)

    def test_connections(self):
        silent = socket.create_connection(("127.0.0.1", self.server.port))
        self.addCleanup(silent.close)
        client = self.server.popen_ssh("acme", "sleep 100")
        self.running(1, state="running")
        found = {c["state"]: c for c in self.document("ps", "--connections")["connections"]}
        self.assertEqual(set(found), {"startup", "open"})
        self.assertEqual((found["open"]["tenant"], found["open"]["open"]), ("acme", 1))
        self.assertEqual(found["open"]["key"], self.server.fingerprint("alice"))
        self.assertEqual(found["startup"]["port"], silent.getsockname()[1])
        self.assertIsNone(found["startup"]["tenant"])
        silent.close()

    def test_hostile_commands_are_shown_as_text(self):
        command = "sleep 100 # \x1b[2J\x1b]0;title\x07\nexec 12 \u202e\t\x9b \"q\" \\"
        client = self.server.popen_ssh("acme", command)
        one, = self.running(1, state="running")
        self.assertEqual(one["command"].encode("latin-1"), command.encode())
        for words in (("ps",), ("ps", "--wide"), ("ps", "--json"), ("ps", "--connections")):
            got = self.postern(*words)
            self.assertRegex(got.out, rb"\A" + ESCAPED + rb"\Z")
        self.assertEqual(len(self.postern("ps").out.splitlines()), 2)
        self.assertIn(rb"# \x1b[2J\x1b]0;title\x07\nexec 12 \xe2\x80\xae\t\xc2\x9b", self.postern("ps").out)

    def test_long_commands_are_cut(self):
        client = self.server.popen_ssh("acme", "sleep 100 # " + "x" * 5000)
        one, = self.running(1, state="running")
        self.assertEqual((len(one["command"]), one["command_cut"]), (512, True))
        self.assertTrue(self.postern("ps").out.rstrip().endswith(b"xxx..."))
        # A terminal's width is kept.
        got = run(["script", "-qec", f"stty cols 120; {POSTERN} ps --socket "
                   f"{self.server.path('control')}", "/dev/null"], check=False)
        lines = re.sub(rb"\x1b\[[0-9;]*m", b"", got.out).replace(b"\r", b"").splitlines()
        self.assertEqual((len(lines), max(map(len, lines))), (2, 120), got)

    def test_many_commands_and_a_slow_reader(self):
        path, _ = self.server.mux()
        for _ in range(70):
            self.server.popen_ssh("acme", "sleep 100 # " + "\x01" * 480, flags=["-S", path])
        self.running(70, timeout=90)
        slow = self.raw()
        for _ in range(3):
            slow.send(ps_request())
            items, code, _ = slow.answer()
            self.assertEqual((len(items), code), (70, 0))
            self.assertEqual(len({i["exec"] for i in items}), 70)
        # More than goes into its socket at once: one that never reads holds up nobody.
        stalled = self.raw()
        stalled.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stalled.send(ps_request())
        self.assertEqual(len(self.document("ps")["execs"]), 70)
        self.assertRan(self.server.ssh("acme", "echo alive"), 0, b"alive\n")
        items, code, _ = stalled.answer()
        self.assertEqual((len({i["exec"] for i in items}), code), (70, 0))


class Top(ControlTest):
    """What is drawn, and what is left of it on the terminal."""

    def tearDown(self):
        self.all_gone()

    def start(self):
        """One command that waits, and one that is busy."""
        self.server.popen_ssh("acme", "sleep 100 # \x1b[31m")
        self.server.popen_ssh("acme", "while :; do :; done")
        return self.running(2, state="running")

    def test_once(self):
        self.start()

        def busy():
            execs = self.document("top", "--once")["execs"]
            return execs if (execs[0]["cpu_permille"] or 0) > 100 else None
        first, second = wait_until(busy, 20, "CPU time")
        self.assertEqual(first["command"], "while :; do :; done")
        self.assertLess(second["cpu_permille"], first["cpu_permille"])
        got = self.postern("top", "--once")
        self.assertRan(got)
        lines = got.out.decode().splitlines()
        self.assertRegex(lines[0], rf"^posternd \S+, process {self.server.process.pid}, up \S+: serving;")
        self.assertEqual(lines[1], "2 connections, 0 not logged in; 2 commands run, 0 queued; "
                         "0 sources not served")
        self.assertRegex(lines[3], r"^EXEC +TENANT .* CPU +MEMORY +COMMAND$")
        self.assertRegex(lines[4], r" \d+\.\d% +\S+ +while :; do :; done$")
        self.assertRegex(lines[5], r" +sleep 100 # \\x1b\[31m$")
        self.assertEqual(len(lines), 6)

    def live(self):
        """(process, what it draws up to and with the second time, the terminal, its modes before)"""
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 110, 0, 0))
        before = termios.tcgetattr(slave)
        process = subprocess.Popen([POSTERN, "top", "--socket", self.server.path("control")],
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   env={**clean_env(self.server.dir), "TERM": "xterm"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        drawn = b""
        while drawn.count(b"\x1b[H") < 3:
            drawn += os.read(master, 65536)
        return process, drawn, master, slave, before

    def ended(self, process, drawn, master, slave, before, code=0):
        process.wait(20 * PATIENCE)
        drawn += os.read(master, 65536)
        self.assertEqual(process.returncode, code, drawn)
        self.assertEqual(termios.tcgetattr(slave), before)
        self.assertIn(b"\x1b[?1049h\x1b[?25l", drawn)
        self.assertIn(b"\x1b[?25h\x1b[?1049l", drawn)
        return drawn

    def test_live(self):
        self.start()
        process, drawn, master, slave, before = self.live()
        self.assertFalse(termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO))
        os.write(master, b"xyzq")
        self.ended(process, drawn, master, slave, before)
        plain = re.sub(rb"\x1b\[(\d+(;\d+)*m|0m|H|J|\?1049h|\?25l)", b"", drawn)
        self.assertNotIn(b"\x1b", plain)
        screen = plain.split(b"posternd ")[1].replace(b"\r", b"").splitlines()
        self.assertLessEqual(len(screen), 7)
        self.assertLessEqual(max(map(len, screen)), 110)
        self.assertTrue(any(line.endswith(b"while :; do :; done") for line in screen), screen)

    def test_signals_give_the_terminal_back(self):
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process, drawn, master, slave, before = self.live()
            process.send_signal(signo)
            self.ended(process, drawn, master, slave, before)

    def test_stopped_and_continued(self):
        process, drawn, master, slave, before = self.live()
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: processes()[process.pid][1] == "T", 20, "stop")
        self.assertEqual(termios.tcgetattr(slave), before)
        process.send_signal(signal.SIGCONT)
        while drawn.count(b"\x1b[?1049h") < 2:
            drawn += os.read(master, 65536)
        os.write(master, b"q")
        self.ended(process, drawn, master, slave, before)

    def test_a_server_that_goes_away(self):
        server = self.new_server().start()
        here, self.server = self.server, server
        try:
            process, drawn, master, slave, before = self.live()
        finally:
            self.server = here
        server.stop()
        drawn = self.ended(process, drawn, master, slave, before, EX_UNAVAILABLE)
        self.assertRegex(drawn.split(b"\x1b[?1049l")[-1], rb"postern: \S+: the server has ended the "
                         rb"connection")

    def test_wrong_words(self):
        for words in ((), ("--json",), ("word",)):
            self.assertEqual(self.postern("top", *words).code, EX_USAGE, words)


class Reloading(ControlTest):
    def test_reload_tells_what_became_of_it(self):
        before = self.document("status")["generation"]
        got = self.postern("reload")
        self.assertRan(got, 0, b"reloaded: generation %d, 1 tenant\n" % (before + 1))
        path = self.server.write_policy('[tenant "beta"]\nkees = keys/alice\nshell = \x1b[0m\n',
                                        "wrong.ini")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        got = self.postern("reload")
        self.assertEqual((got.code, got.out), (1, b""), got)
        self.assertLine(got.err, re.escape(path) + r":2: error: unknown key 'kees' in \[tenant\] "
                        r"\(did you mean 'keys'\?\)")
        self.assertRegex(got.err, rb"\A" + ESCAPED + rb"\Z")
        self.assertLine(got.err, rf"postern: the policy has \d errors; generation {before + 1} stays")
        document = self.document("reload", code=1)
        self.assertEqual((document["ok"], document["reload"]), (False, "refused"))
        self.assertIn(("error", path, 2), [(d["grade"], d["file"], d["line"])
                                           for d in document["diagnostics"]])
        status = self.document("status")
        self.assertEqual((status["reload"], status["generation"]), ("refused", before + 1))
        os.unlink(path)
        document = self.document("reload")
        self.assertEqual((document["ok"], document["generation"]), (True, before + 2))
        self.assertEqual(document["diagnostics"], [])

    def test_a_single_error_is_told_once(self):
        path = self.server.write_policy('[tenant "beta"]\nkeys = keys/alice\nshell = /bin/sh\nkees = x\n',
                                        "wrong.ini")
        self.addCleanup(os.unlink, path)
        got = self.postern("reload")
        self.assertEqual((got.code, got.err.count(b"kees")), (1, 1), got)
        self.assertLine(got.err, r"postern: the policy has 1 error; generation \d+ stays")

    def test_many_reloads_at_once(self):
        clients = [self.raw() for _ in range(8)]
        for client in clients:
            client.send(struct.pack(">IB", TYPES["REQ_CTL_RELOAD"], 0))
        for client in clients:
            items, code, _ = client.answer()
            self.assertEqual((items[-1]["reload"], code), ("loaded", 0))

    def test_who_goes_away_in_the_middle(self):
        for _ in range(5):
            client = self.raw()
            client.send(struct.pack(">IB", TYPES["REQ_CTL_RELOAD"], 0))
            client.close()
        self.assertEqual(self.document("reload")["ok"], True)


TWO_TENANTS = """
[sandbox "plain"]
network = none

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash

[tenant "beta"]
keys      = keys/alice
keys      = keys/bob
sandbox   = plain
shell     = /bin/bash
max-execs = 1
queue     = 1h
explain   = none
"""
STUBBORN = "trap '' TERM HUP; echo up; while :; do sleep 1; done"


class Killing(ControlTest):
    server_args = {"policy": TWO_TENANTS, "keys": ("alice", "bob")}

    def tearDown(self):
        self.all_gone()

    def ended(self, client, reason=""):
        """The client hears of the operator: 143 and the line."""
        out, err = client.communicate(timeout=20 * PATIENCE)
        self.assertEqual((client.returncode, out), (143, b""), err)
        self.assertLine(err, r"postern: ended: by the operator" + reason + r" \[\S+\]")

    def start(self, tenant="acme", command="sleep 100", **how):
        client = self.server.popen_ssh(tenant, command, **how)
        one = wait_until(lambda: [e for e in self.document("ps", "--tenant", tenant)["execs"]
                                  if e["state"] == "running"], 20, "a command")
        return client, one[0]

    def test_by_id(self):
        client, one = self.start()
        other, _ = self.start("beta")
        got = self.postern("kill", one["exec"], "--reason", "maintenance")
        self.assertRan(got, 0, b"ended 1 command\n")
        self.ended(client, ": maintenance")
        self.assertIsNone(other.poll())
        end = self.server.wait_audit(event="end", exec=one["exec"])[-1]
        self.assertEqual((end["verdict"], end["reason"]), ("ended", "by the operator: maintenance"))
        self.assertEqual(end["cause"], "operator")
        act = self.server.wait_audit(event="operator", exec=one["exec"])[-1]
        self.assertEqual((act["verb"], act["uid"], act["reason"], act["ended"]),
                         ("kill", 0, "maintenance", 1))
        self.assertEqual((act["tenant"], act["connection"]), (None, None))
        # It is gone: nothing is meant by that any more.
        got = self.postern("kill", one["exec"])
        self.assertEqual((got.code, got.out), (1, b""), got)
        self.assertLine(got.err, rf"postern: {re.escape(one['exec'])}: nothing that runs or waits is "
                        "meant by that")

    def test_by_tenant_key_and_connection(self):
        for words in (lambda one: ("--tenant", one["tenant"]), lambda one: ("--key", one["key"]),
                      lambda one: ("--key", one["key"][7:17])):
            client, one = self.start("acme")
            other, _ = self.start("beta", key="bob")
            document = self.document("kill", *words(one))
            self.assertEqual((document["ended"], document["queued"]), (1, 0))
            self.ended(client)
            self.assertIsNone(other.poll())
            self.all_gone()

    def test_a_connection_ends_with_its_commands(self):
        path, master = self.server.mux()
        clients = [self.server.popen_ssh("acme", "sleep 100", flags=["-S", path]) for _ in range(3)]
        execs = self.running(3, state="running")
        bystander, _ = self.start("beta", key="bob")
        got = self.postern("kill", "--connection", execs[0]["connection"], "--reason", "enough")
        self.assertRan(got, 0, b"ended 3 commands; closed 1 connection\n")
        for client in clients:
            self.ended(client, ": enough")
        master.wait(20 * PATIENCE)
        closed = self.server.wait_audit(event="closed", connection=execs[0]["connection"])[-1]
        self.assertEqual(closed["reason"], "by the operator: enough")
        self.assertIsNone(bystander.poll())

    def test_a_connection_that_has_not_logged_in(self):
        silent = socket.create_connection(("127.0.0.1", self.server.port))
        self.addCleanup(silent.close)
        one, = wait_until(lambda: [c for c in self.document("ps", "--connections")["connections"]
                                   if c["state"] == "startup"], 20, "a startup")
        got = self.postern("kill", "--connection", one["connection"])
        self.assertRan(got, 0, b"ended 0 commands; closed 1 connection\n")
        silent.settimeout(20 * PATIENCE)
        while silent.recv(4096):
            pass

    def test_one_that_ignores_signals(self):
        client = self.server.popen_ssh("acme", STUBBORN)
        self.assertEqual(client.stdout.readline(), b"up\n")
        one, = self.running(1, state="running")
        self.assertRan(self.postern("kill", one["exec"]), 0, b"ended 1 command\n")
        again = self.document("kill", one["exec"])
        self.assertEqual((again["ended"], again["ending"]), (0, 1))
        self.assertEqual(self.document("ps")["execs"][0]["state"], "ending")
        self.ended(client)

    def test_what_waits(self):
        first, _ = self.start("beta", key="bob")
        waiting = self.server.popen_ssh("beta", "echo never", key="alice")
        queued, = self.running(1, state="queued")
        self.assertEqual((queued["place"], queued["pid"], queued["cpu_ms"]), (1, None, None))
        self.assertEqual(self.document("status")["queued"], 1)
        got = self.postern("kill", "--key", self.server.fingerprint("alice"), "--reason", "no")
        self.assertRan(got, 0, b"ended 0 commands; refused 1 that waited\n")
        out, err = waiting.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiting.returncode, out), (143, b""), err)
        self.assertLine(err, r"postern: ended: by the operator: no \[\S+\]")
        self.assertIsNone(first.poll())
        start, end = self.server.last_exec(exec=queued["exec"])
        self.assertEqual((start["decision"], start["limit"], end["verdict"]),
                         ("deny", "operator", "ended"))

    def test_hostile_reasons(self):
        client, one = self.start()
        reason = "\x1b[2Jred\n[forged] \u202e"
        self.assertRan(self.postern("kill", one["exec"], "--reason", reason), 0)
        out, err = client.communicate(timeout=20 * PATIENCE)
        self.assertEqual((client.returncode, out), (143, b""), err)
        self.assertRegex(err, rb"\A" + ESCAPED + rb"\Z")
        self.assertLine(err, r"postern: ended: by the operator: \\x1b\[2Jred\\n\[forged\] "
                        r"\\xe2\\x80\\xae \[\S+\]")

    def test_many(self):
        path, _ = self.server.mux()
        clients = [self.server.popen_ssh("acme", "sleep 100", flags=["-S", path]) for _ in range(30)]
        self.running(30, state="running")
        self.assertRan(self.postern("kill", "--tenant", "acme"), 0, b"ended 30 commands\n")
        for client in clients:
            self.ended(client)

    def test_wrong_words(self):
        for words in ((), ("--tenant", "a", "--key", "47DEQpj8"), ("id", "--tenant", "a"),
                      ("--key", "short"), ("--tenant", ""), ("",), ("x" * 65,),
                      ("id", "--reason", "x" * 201)):
            self.assertEqual(self.postern("kill", *words).code, EX_USAGE, words)
        self.assertEqual(self.postern("kill", "--tenant", "nobody").code, 1)
        client = self.raw()
        client.send(struct.pack(">I", TYPES["REQ_CTL_KILL"]) + text("") * 5)
        self.assertEqual(client.answer()[1], EX_USAGE)


class Draining(ControlTest):
    server_args = {"policy": TWO_TENANTS, "keys": ("alice", "bob")}

    def tearDown(self):
        self.postern("resume")
        self.all_gone()

    def test_what_runs_goes_on_and_new_commands_are_refused(self):
        path, _ = self.server.mux()
        old = self.server.popen_ssh("acme", "read x; echo got $x; exit 7", flags=["-S", path])
        self.running(1, state="running")
        got = self.postern("drain")
        self.assertRan(got, 0, b"draining: 1 command is still there, 0 queued\n")
        status = self.document("status")
        self.assertEqual((status["state"], status["then_stop"]), ("draining", False))
        self.assertLine(self.postern("status").out, r"draining +since \S+Z: new commands are refused")
        # On an open connection and on a new one; whatever the policy explains.
        for tenant, how in (("acme", {"flags": ["-S", path]}), ("acme", {}), ("beta", {})):
            got = self.server.ssh(tenant, "echo new", **how)
            self.assertEqual((got.code, got.out), (126, b""), got)
            self.assertLine(got.err, r"postern: denied: the server is draining and takes no new "
                            r"commands; connect again later \[\S+\]")
        denied = self.server.audit(event="start", decision="deny")[-1]
        self.assertEqual(denied["limit"], "draining")
        out, err = old.communicate(b"data\n", timeout=20 * PATIENCE)
        self.assertEqual((old.returncode, out, err), (7, b"got data\n", b""))
        self.assertRan(self.postern("resume"), 0, b"the server takes commands again\n")
        self.assertEqual(self.document("status")["state"], "serving")
        self.assertRan(self.server.ssh("acme", "echo new"), 0, b"new\n")
        self.assertRan(self.postern("resume"), 0, b"the server was not draining\n")
        verbs = [a["verb"] for a in self.server.audit(event="operator")]
        self.assertEqual(verbs[-3:], ["drain", "resume", "resume"])

    def test_what_waits_had_been_accepted(self):
        first = self.server.popen_ssh("beta", "read x", key="bob")
        self.running(1, state="running")
        second = self.server.popen_ssh("beta", "echo ran", key="alice")
        self.running(1, state="queued")
        self.assertRan(self.postern("drain"), 0, b"draining: 1 command is still there, 1 queued\n")
        self.assertEqual(self.document("reload")["ok"], True)
        first.communicate(b"\n", timeout=20 * PATIENCE)
        out, err = second.communicate(timeout=20 * PATIENCE)
        self.assertEqual((second.returncode, out), (0, b"ran\n"), err)

    def test_waiting_for_the_end(self):
        client = self.server.popen_ssh("acme", "read x")
        self.running(1, state="running")
        waiter = subprocess.Popen([POSTERN, "drain", "--wait", "--socket", self.server.path("control")],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.document("status")["state"] == "draining", 20, "draining")
        # Those that ask meanwhile get their answers.
        got = self.postern("drain", "--wait", "1s")
        self.assertEqual((got.code, got.out), (1, b""), got)
        self.assertLine(got.err, "postern: 1 command is still there; the server goes on draining")
        self.assertIsNone(waiter.poll())
        client.communicate(b"\n", timeout=20 * PATIENCE)
        out, err = waiter.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiter.returncode, out, err), (0, b"drained: no command runs\n", b""))
        self.assertRan(self.postern("drain", "--wait", "infinity"), 0, b"drained: no command runs\n")

    def test_resume_ends_the_wait(self):
        client = self.server.popen_ssh("acme", "read x")
        self.running(1, state="running")
        waiter = subprocess.Popen([POSTERN, "drain", "--wait", "--then-stop", "--socket",
                                   self.server.path("control")],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.document("status")["then_stop"], 20, "draining")
        self.postern("resume")
        out, err = waiter.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiter.returncode, out), (1, b""))
        self.assertLine(err, "postern: it was told to take commands again")
        client.communicate(b"\n", timeout=20 * PATIENCE)
        self.assertEqual(self.document("status")["state"], "serving")

    def test_then_stop(self):
        server = self.new_server(policy=TWO_TENANTS, keys=("alice", "bob")).start()
        client = server.popen_ssh("acme", "read x; echo last; exit 3")
        self.running(1, server=server, state="running")
        waiter = subprocess.Popen([POSTERN, "drain", "--wait", "--then-stop", "--socket",
                                   server.path("control")],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.document("status", server=server)["then_stop"], 20, "draining")
        out, _ = client.communicate(b"\n", timeout=20 * PATIENCE)
        self.assertEqual((client.returncode, out), (3, b"last\n"))
        out, err = waiter.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiter.returncode, out, err),
                         (0, b"drained: no command runs; the server stops\n", b""))
        server.process.wait(20 * PATIENCE)
        server.ended()

    def test_notice(self):
        """Until it is over, commands are taken; whoever waits, waits for that as well."""
        waiter = subprocess.Popen([POSTERN, "drain", "--notice", "1h", "--wait", "--socket",
                                   self.server.path("control")],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.document("status")["state"] == "draining", 20, "draining")
        self.assertRan(self.server.ssh("acme", "echo still"), 0, b"still\n")
        status = self.document("status")
        self.assertGreater(status["refuses_from"], status["draining"])
        self.assertLine(self.postern("status").out, r"draining +since \S+Z: new commands are "
                        r"refused from \S+Z on")
        self.all_gone()
        self.assertIsNone(waiter.poll())
        # Another one may be shorter, and the last one counts.
        self.assertRan(self.postern("drain", "--notice", "30m"), 0,
                       b"draining: commands are still taken, balancers are told\n")
        self.assertRan(self.server.ssh("acme", "echo still"), 0, b"still\n")
        self.all_gone()
        self.assertRan(self.postern("drain", "--notice", "1s", "--wait"), 0,
                       b"drained: no command runs\n")
        out, err = waiter.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiter.returncode, out, err), (0, b"drained: no command runs\n", b""))
        self.assertEqual(self.server.ssh("acme", "echo new").code, 126)
        # Who is refused already is not taken again by a notice.
        self.assertRan(self.postern("drain", "--notice", "1h"), 0, b"drained: no command runs\n")
        self.assertEqual(self.server.ssh("acme", "echo new").code, 126)
        for value in ("61m", "infinity", "soon", "-1s"):
            got = self.postern("drain", "--notice", value)
            self.assertEqual((got.code, got.out), (EX_USAGE, b""), got)

    def test_resume_within_the_notice(self):
        waiter = subprocess.Popen([POSTERN, "drain", "--notice", "1h", "--wait", "--then-stop",
                                   "--socket", self.server.path("control")],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.document("status")["then_stop"], 20, "draining")
        self.postern("resume")
        out, err = waiter.communicate(timeout=20 * PATIENCE)
        self.assertEqual((waiter.returncode, out), (1, b""))
        self.assertLine(err, "postern: it was told to take commands again")
        self.assertEqual(self.document("status")["state"], "serving")
        self.assertIsNone(self.document("status")["refuses_from"])

    def test_wrong_words(self):
        for words in (("5m",), ("--wait", "soon"), ("--wait", "1m", "2m")):
            self.assertEqual(self.postern("drain", *words).code, EX_USAGE, words)
        self.assertEqual(self.postern("resume", "now").code, EX_USAGE)


class Hostile(ControlTest):
    """Whatever a client sends, it is let go and nobody else is hurt."""

    def tearDown(self):
        self.assertEqual(self.document("status")["state"], "serving")
        self.assertRan(self.server.ssh("acme", "echo alive"), 0, b"alive\n")

    def test_what_is_no_request(self):
        for data in (b"\0", b"\0\0\0\1", struct.pack(">I", 1 << 31), b"x" * 100000,
                     STATUS_REQUEST + b"x", STATUS_REQUEST[:-1], struct.pack(">IB", TYPES["CTL_END"], 0),
                     struct.pack(">IB", TYPES["REQ_EXEC"], 0), ps_request(3), ps_request()[:-1],
                     struct.pack(">IB", TYPES["REQ_CTL_PS"], 0) + text("x" * 65) + text(""),
                     struct.pack(">IB", TYPES["REQ_CTL_PS"], 0) + text(b"a\0b") + text("")):
            client = self.raw()
            client.send(data)
            self.assertTrue(client.ended(), data[:20])

    def test_descriptors_are_not_taken(self):
        client = self.raw()
        before = len(os.listdir(f"/proc/{self.server.process.pid}/fd"))
        with open("/dev/null", "rb") as null:
            socket.send_fds(client.socket, [STATUS_REQUEST], [null.fileno()] * 5)
        self.assertTrue(client.ended())
        client.close()
        wait_until(lambda: len(os.listdir(f"/proc/{self.server.process.pid}/fd")) < before, 10,
                   "closed descriptors")

    def test_one_request_at_a_time(self):
        client = self.raw()
        for _ in range(200):
            try:
                client.send(ps_request())
            except (BrokenPipeError, ConnectionResetError):
                break
        # All of them are answered in turn, or it is let go: nothing piles up.
        client.close()

    def test_one_that_hangs_up_and_keeps_what_it_did_not_read(self):
        """Nothing makes room for what is left of its answers: the server must not wait for that."""
        client = self.raw()
        descriptors = f"/proc/{self.server.process.pid}/fd"
        before = len(os.listdir(descriptors))
        client.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            while True:
                client.send(STATUS_REQUEST)
        client.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: len(os.listdir(descriptors)) < before, 10, "the end of the client")

    def test_a_flood_of_clients(self):
        mob = [RawClient(self.server.path("control")) for _ in range(200)]
        kinds = [client.recv() for client in mob]
        served = [kind for kind in kinds if kind[0] == "CTL_WELCOME"]
        refused = [kind for kind in kinds if kind[0] == "CTL_END"]
        self.assertEqual((len(served), len(refused)), (24, 176))
        self.assertEqual({payload[0] for _, payload in refused}, {EX_TEMPFAIL})
        got = self.postern("status")
        self.assertEqual(got.code, EX_TEMPFAIL, got)
        self.assertLine(got.err, "postern: too many clients at the control socket; try again later")
        for client in mob:
            client.close()
        wait_until(lambda: self.postern("status").code == 0, 10, "room for a client")


class Peers(ControlTest):
    server_args = {"server": "control-group = adm\nadmin-group = operator\n"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.server.dir, 0o755)
        cls.adm, cls.operator = (grp.getgrnam(name).gr_gid for name in ("adm", "operator"))

    def test_two_groups(self):
        st = os.stat(self.server.path("control"))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid), (0o666, 0))
        for verb, watcher in (("status", 0), ("ps", 0), ("top --once", 0), ("reload", EX_NOPERM), ("drain", EX_NOPERM),
                              ("resume", EX_NOPERM)):
            verb = verb.split()
            self.assertEqual(self.postern(*verb).code, 0)
            self.assertEqual(self.postern(*verb, uid=OPERATOR, groups=[7, self.operator]).code, 0)
            got = self.postern(*verb, uid=WATCHER, groups=[self.adm])
            self.assertEqual(got.code, watcher, got)
            if watcher:
                self.assertLine(got.err, rf"postern: this is for root and members of group operator, "
                                rf"not uid {WATCHER}; after joining it log in again")
            got = self.postern(*verb, uid=STRANGER, groups=[7])
            self.assertEqual((got.code, got.out), (EX_NOPERM, b""), got)
            self.assertEqual(got.err.decode(), "postern: the control socket is for root and members of "
                             f"group operator or adm, not uid {STRANGER}; after joining it log in "
                             "again\n")

    def test_looking_is_not_killing(self):
        client = self.server.popen_ssh("acme", "sleep 100")
        self.running(1, state="running")
        for uid, groups in ((WATCHER, [self.adm]), (STRANGER, [])):
            got = self.postern("kill", "--tenant", "acme", uid=uid, groups=groups)
            self.assertEqual((got.code, got.out), (EX_NOPERM, b""), got)
        self.assertIsNone(client.poll())
        got = self.postern("kill", "--tenant", "acme", uid=OPERATOR, groups=[self.operator])
        self.assertRan(got, 0, b"ended 1 command\n")
        self.assertEqual(client.wait(20 * PATIENCE), 143)
        self.assertEqual(self.server.wait_audit(event="operator", verb="kill")[-1]["uid"], OPERATOR)

    def test_strangers_keep_nobody_out(self):
        argv = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups",
                "/usr/bin/python3", "-c", """
import socket, sys
mob = []
for i in range(300):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    mob.append(s)
print("ready", flush=True)
sys.stdin.read()
""", self.server.path("control")]
        mob = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(mob.stdout.readline(), b"ready\n")
        self.assertEqual(self.postern("status").code, 0)
        mob.stdin.close()
        mob.stdout.close()
        mob.wait()

    def test_members_leave_room_for_root(self):
        argv = ["setpriv", f"--reuid={WATCHER}", f"--regid={WATCHER}", f"--groups={self.adm}",
                "/usr/bin/python3", "-c", """
import socket, sys
mob = []
for i in range(24):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.recv(1000)
    mob.append(s)
print("ready", flush=True)
sys.stdin.read()
""", self.server.path("control")]
        mob = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(mob.stdout.readline(), b"ready\n")
        self.assertEqual(self.postern("status", uid=WATCHER, groups=[self.adm]).code, EX_TEMPFAIL)
        self.assertEqual(self.postern("status").code, 0)
        mob.stdin.close()
        mob.stdout.close()
        mob.wait()


class Place(ControlTest):
    """The socket's file, and how it is found."""
    autostart = False

    def start(self, **how):
        self.server = self.new_server(**how)
        return self.server.start()

    def test_root_alone_by_default(self):
        server = self.start()
        os.chmod(server.dir, 0o755)
        self.assertEqual(stat.S_IMODE(os.stat(server.path("control")).st_mode), 0o600)
        got = self.postern("status", uid=STRANGER)
        self.assertEqual((got.code, got.out), (EX_NOPERM, b""), got)
        self.assertLine(got.err, r"postern: \S+: permission denied: it is for root; control-group = "
                        r"or admin-group = in \[server\] of postern\.ini lets a group in")

    def test_one_group_owns_it_and_a_reload_changes_that(self):
        server = self.start(server="control-group = adm\n")
        os.chmod(server.dir, 0o755)
        adm, operator = (grp.getgrnam(name).gr_gid for name in ("adm", "operator"))
        st = os.stat(server.path("control"))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_gid), (0o660, adm))
        self.assertEqual(self.postern("status", uid=WATCHER, groups=[adm]).code, 0)
        server.extra = "admin-group = operator\n"
        server.write_config()
        self.assertEqual(self.postern("reload").code, 0)
        st = os.stat(server.path("control"))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_gid), (0o660, operator))
        self.assertEqual(self.postern("status", uid=WATCHER, groups=[adm]).code, EX_NOPERM)
        self.assertEqual(self.postern("reload", uid=WATCHER, groups=[operator]).code, 0)

    def test_its_directory_is_made_and_removed(self):
        server = self.new_server(server="")
        server.extra = f"control = {server.path('run')}/control\n"
        server.write_config()
        server.start()
        self.assertEqual(stat.S_IMODE(os.stat(server.path("run")).st_mode), 0o755)
        self.assertEqual(run([POSTERN, "status", "-f", server.config]).code, 0)
        server.stop()
        self.assertFalse(os.path.exists(server.path("run")))

    def test_none(self):
        server = self.start(server="control = none\n")
        self.assertFalse(os.path.exists(server.path("control")))
        got = run([POSTERN, "status", "-f", server.config], check=False)
        self.assertEqual(got.code, EX_CONFIG, got)
        self.assertIn(b"the server has no control socket (control = none)", got.err)

    def test_found_by_the_configuration_whatever_the_policy_is_like(self):
        server = self.start()
        server.write_policy("nonsense\n", "wrong.ini")
        self.assertEqual(run([POSTERN, "status", "-f", server.config]).code, 0)
        self.assertEqual(run([POSTERN, "status", "-f", server.dir]).code, 0)
        got = run([POSTERN, "status", "-f", server.path("missing")], check=False)
        self.assertEqual(got.code, EX_NOINPUT, got)

    def test_nobody_there(self):
        server = self.new_server()
        got = run([POSTERN, "status", "-f", server.config], check=False)
        self.assertEqual((got.code, got.out), (EX_UNAVAILABLE, b""), got)
        self.assertLine(got.err, r"postern: no server answers at \S+/control: No such file or "
                        r"directory; does posternd run\?")

    def test_what_a_dead_server_left_is_replaced(self):
        server = self.start()
        server.process.kill()
        server.process.wait()
        server.process = None
        self.assertTrue(os.path.exists(server.path("control")))
        got = run([POSTERN, "status", "-f", server.config], check=False)
        self.assertEqual(got.code, EX_UNAVAILABLE, got)
        os.unlink(server.path("log"))
        server.start()
        self.assertEqual(self.document("status")["pid"], server.process.pid)
        server.stop()
        self.assertFalse(os.path.exists(server.path("control")))

    def test_that_of_a_living_one_is_left_alone(self):
        server = self.start()
        other = self.new_server(server=f"control = {server.path('control')}\n")
        got = run([POSTERND, "-d", "-f", other.config], check=False)
        self.assertEqual(got.code, EX_UNAVAILABLE, got)
        self.assertRegex(got.err.decode(), rf"control = {server.path('control')}: a posternd that runs "
                         rf"\(process {server.process.pid}\) has this socket; stop it, or name another one")
        self.assertEqual(self.document("status")["pid"], server.process.pid)

    def test_nothing_else_is_removed_for_it(self):
        server = self.new_server()
        server.write("control", "precious")
        got = run([POSTERND, "-d", "-f", server.config], check=False)
        self.assertEqual(got.code, EX_CANTCREAT, got)
        self.assertIn(b"something else than a socket", got.err)
        got = run([POSTERN, "check", "-f", server.config], check=False)
        self.assertNotEqual(got.code, 0, got)
        with open(server.path("control"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "precious")

    def test_a_directory_that_others_could_write_in(self):
        server = self.new_server()
        os.mkdir(server.path("open"))
        os.chmod(server.path("open"), 0o777)
        server.extra = f"control = {server.path('open')}/control\n"
        server.write_config()
        for argv in ([POSTERND, "-d", "-f", server.config], [POSTERN, "check", "-f", server.config]):
            got = run(argv, check=False)
            self.assertNotEqual(got.code, 0, got)
            self.assertRegex(got.err, rb"control = \S+.*writable by")

    def test_groups_and_paths_that_are_none(self):
        server = self.new_server()
        for line, problem in (("control-group = nosuchgroup", rb"there is no group 'nosuchgroup'"),
                              ("admin-group = no/group", rb"no/group"),
                              ("control = relative", rb"'control' is a path or 'none'"),
                              (f"control = /{'x' * 107}", rb"at most 107 bytes")):
            server.extra = line + "\n"
            server.write_config()
            got = run([POSTERN, "check", "-f", server.config], check=False)
            self.assertEqual(got.code, EX_CONFIG, got)
            self.assertRegex(got.err, rb"error: .*" + problem)


if __name__ == "__main__":
    main()
