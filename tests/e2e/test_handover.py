"""SIGUSR2: the master executes the program that is installed by now, and nothing of what runs, waits
or has just begun is lost by it."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

import harness  # noqa: E402
import test_cgroup  # noqa: E402
from harness import (BUILD, PATIENCE, POSTERN, POSTERND, PosternTest, SANITIZED, main, processes,  # noqa: E402
                     rss_kib, run, wait_until)

POLICY = """
[sandbox "plain"]
network = none
[sandbox "short"]
network = none
time    = 6s
[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
pty       = yes
max-execs = 200
[tenant "one"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 1
queue     = 600s
[tenant "brief"]
keys      = keys/alice
sandbox   = short
shell     = /bin/bash
[tenant "rated"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
rate      = 2/day
"""
# Says again what it is told, on both streams and in bulk, and exits with a number.
PARROT = 'while read -r w; do for i in $(seq 1 300); do echo "$w $i"; done; echo "$w" >&2; done; exit %d'
HOSTILE = os.path.realpath(os.path.join(BUILD, "tests/e2e/hostile-session"))
DONE = r"re-executed: posternd \S+ after \S+: (\d+) connections, (\d+) execs and (\d+) that wait"


def said(words):
    """What PARROT prints of them."""
    out = b"".join(b"%s %d\n" % (w, i) for w in words for i in range(1, 301))
    return out, b"".join(w + b"\n" for w in words)


def zombies(pid):
    return [p for p, (parent, state, _) in processes().items() if parent == pid and state == "Z"]


def count_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_leader_of(pid, directory):
    """Whether the process leads a session, with the directory in its environment; other tests have
    some that may end just now."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return directory.encode() in f.read() and os.getsid(pid) == pid
    except (FileNotFoundError, ProcessLookupError):
        return False


class Reader(threading.Thread):
    """All that a stream holds, read as it comes."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.data = stream, b""
        self.start()

    def run(self):
        for chunk in iter(lambda: os.read(self.stream.fileno(), 65536), b""):
            self.data += chunk


class Talk:
    """A client whose command is PARROT."""

    def __init__(self, server, number, user="acme", **how):
        self.number, self.words = number, []
        self.client = server.popen_ssh(user, PARROT % number, **how)
        self.out, self.err = Reader(self.client.stdout), Reader(self.client.stderr)

    def say(self, word):
        self.words.append(word)
        self.client.stdin.write(word + b"\n")
        self.client.stdin.flush()

    def heard(self):
        return self.err.data.count(b"\n") >= len(self.words)

    def end(self):
        self.client.stdin.close()
        self.client.wait(60 * PATIENCE)
        self.out.join(60 * PATIENCE)
        self.err.join(60 * PATIENCE)
        return self.client.returncode, self.out.data, self.err.data


class Load(threading.Thread):
    """Connects again and again; what fails is kept."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.problems, self.n, self.over = server, [], 0, False
        self.start()

    def once(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30 * PATIENCE) as s:
            s.settimeout(30 * PATIENCE)
            line = s.makefile("rb").readline()
        if not line.startswith(b"SSH-2.0-"):
            self.problems.append(line)
        if self.n % 4 == 0:
            result = self.server.ssh("acme", "echo $((6*7)); exit 5", timeout=60)
            if (result.code, result.out, result.err) != (5, b"42\n", b""):
                self.problems.append(result)

    def run(self):
        while not self.over:
            try:
                self.once()
            except OSError as problem:
                self.problems.append(problem)
            self.n += 1
            time.sleep(0.02)

    def stop(self):
        self.over = True
        self.join(90 * PATIENCE)


class HandoverTest(PosternTest):
    autostart = False

    def start(self, policy=POLICY, **how):
        """A server whose program is a file of its own, so that it can be replaced."""
        self.server = self.new_server(policy=policy, **how)
        os.makedirs(self.server.path("bin"), mode=0o755)
        self.server.program = self.server.path("bin/posternd")
        shutil.copy(POSTERND, self.server.program)
        self.server.start()
        self.pid = self.server.process.pid
        return self.server

    def install(self, program):
        """Puts another file in its place, as a package does."""
        fresh = self.server.program + ".new"
        shutil.copy(program, fresh)
        os.rename(fresh, self.server.program)

    def n_done(self):
        return len(re.findall(DONE, self.server.log()))

    def signal(self, signo=signal.SIGUSR2):
        self.server.process.send_signal(signo)

    def wait_done(self, n, reload=r"(reloaded: generation|reload refused)"):
        """The new program serves, and its first reload has been answered."""
        wait_until(lambda: self.n_done() >= n, 60, "re-executed")
        start = [m.end() for m in re.finditer(DONE, self.server.log())][n - 1]
        self.server.wait_log(reload, 60, start)
        self.assertIsNone(self.server.process.poll())

    def handover(self, **how):
        n = self.n_done() + 1
        self.signal()
        self.wait_done(n, **how)
        return re.findall(DONE, self.server.log())[-1]

    def refused(self, pattern):
        start, told = len(self.server.log()), len(self.server.audit(event="handover"))
        self.signal()
        found = self.server.wait_log(r"not re-executed: (.*); this process goes on as before", 90,
                                     start)
        self.assertRegex(found.group(1), pattern)
        self.assertEqual([r["result"] for r in self.server.audit(event="handover")[told:]],
                         ["refused"])

    def assertServes(self, user="acme"):
        self.assertRan(self.server.ssh(user, "echo here"), out=b"here\n")


class Draining(HandoverTest):
    def test_a_notice_goes_on(self):
        server = self.start()

        def drain(*words):
            return run([POSTERN, "drain", *words, "--socket", server.path("control")], check=False)
        self.assertRan(drain("--notice", "1h", "--then-stop"), out=None)
        self.handover()
        self.assertServes()
        self.assertRan(drain("--notice", "5s", "--then-stop"), out=None)
        self.handover()
        server.process.wait(30 * PATIENCE)
        server.ended()

    def test_a_server_that_drains_goes_on_with_it(self):
        server = self.start(server="agent-check = 127.0.0.1:0\n")
        port = int(server.wait_log(r"agent-check answers on \S+ port (\d+)").group(1))

        def told():
            with socket.create_connection(("127.0.0.1", port)) as sock:
                return sock.makefile("rb").read()

        def postern(*words):
            return run([POSTERN, *words, "--socket", server.path("control")], check=False)
        talk = server.popen_ssh("acme", "read x; echo $x")
        server.wait_audit(event="start")
        self.assertRan(postern("drain", "--then-stop"), out=None)
        self.handover()
        self.assertEqual(told(), b"drain\n")
        status = json.loads(postern("status", "--json").out)
        self.assertEqual((status["state"], status["then_stop"]), ("draining", True))
        self.assertEqual(server.ssh("acme", "echo new").code, 126)
        out, err = talk.communicate(b"old\n", timeout=20 * PATIENCE)
        self.assertEqual((talk.returncode, out), (0, b"old\n"), err)
        server.process.wait(20 * PATIENCE)
        server.ended()


class NothingIsLost(HandoverTest):
    def test_many(self):
        """Fifty commands and a steady load of connections across ten of them."""
        server = self.start()
        muxes = [server.mux()[0] for _ in range(4)]
        n = 50 if not SANITIZED else 20
        talks = [Talk(server, i, flags=["-S", muxes[i % 5]] if i % 5 < 4 else [])
                 for i in range(n)]
        for talk in talks:
            talk.say(b"first")
        wait_until(lambda: all(t.heard() for t in talks), 120, "the first words")
        self.handover()
        fds, rss = count_fds(self.pid), rss_kib(self.pid)
        load = Load(server)
        for i in range(9):
            for talk in talks:
                talk.say(b"round-%d" % i)
            self.handover()
        wait_until(lambda: all(t.heard() for t in talks), 120, "the last words")
        wait_until(lambda: load.n > 20 or load.problems, 120, "the load")
        load.stop()
        self.assertEqual(load.problems, [])
        self.assertEqual(server.process.pid, self.pid)
        wait_until(lambda: len(server.session_pids()) == 4 + n // 5, 30, "sessions of the load")
        wait_until(lambda: count_fds(self.pid) <= fds, 30, "descriptors as before")
        wait_until(lambda: not zombies(self.pid), 10, "what has ended to be reaped")
        if not SANITIZED:
            self.assertLess(rss_kib(self.pid), rss + 4096)
        for talk in talks:
            out, err = said(talk.words)
            self.assertEqual(talk.end(), (talk.number, out, err))
        self.assertEqual(self.n_done(), 10)
        done = server.audit(event="handover")
        self.assertEqual([r["result"] for r in done], ["done"] * 10)
        self.assertEqual(done[0]["execs"], n)
        self.check_records(n)

    def check_records(self, n):
        """Of each command one beginning and one end, with what it was."""
        starts = self.server.audit(event="start")
        talks = {r["exec"] for r in starts if "while read" in r["command"]}
        ends = wait_until(lambda: (lambda found: len(found) >= n and found)(
            [r for r in self.server.audit(event="end") if r["exec"] in talks]), 30, "their records")
        self.assertEqual(sorted(r["exit"] for r in ends), list(range(n)))
        longest = max(r["wall_ms"] for r in ends)
        for record in ends:
            self.assertEqual((record["verdict"], record["cause"]), ("exited", None))
            self.assertEqual(record["bytes_in"], len(b"first\n") + 9 * len(b"round-0\n"))
            # It began before the first of them and has ended after the last.
            self.assertGreater(record["wall_ms"], longest / 2)
        ids = [r["exec"] for r in starts]
        self.assertEqual(len(ids), len(set(ids)))


class WhatIsKept(HandoverTest):
    def test_queue(self):
        """Places are kept, and whose turn it is starts."""
        server = self.start()
        first = Talk(server, 3, user="one")
        first.say(b"a")
        wait_until(first.heard, 30, "the first word")
        others = []
        for i in range(3):
            others.append(server.popen_ssh("one", f"echo $SECONDS {i}; exit 1{i}"))
            server.wait_log(r"waits, place %d" % (i + 1), 30)
        self.assertEqual(self.handover(), ("4", "1", "3"))
        # The place that it takes counts still: one more waits behind the others.
        others.append(server.popen_ssh("one", "exit 13"))
        server.wait_log(r"waits, place 4", 30)
        self.handover()
        self.assertEqual([c.poll() for c in others], [None] * 4)
        self.assertEqual(first.end()[0], 3)
        for i, client in enumerate(others):
            out, err = client.communicate(timeout=60 * PATIENCE)
            self.assertEqual((client.returncode, out), (10 + i, b"0 %d\n" % i if i < 3 else b""))
            self.assertIn(b"queued: place %d" % (i + 1), err)
        order = [r["exec"] for r in server.audit(event="start", user="one")]
        waited = re.findall(r"(\S+): waits, place", server.log())
        self.assertEqual(order[1:], waited)

    def test_rate(self):
        """What a rate has allowed before stays used up."""
        server = self.start()
        self.assertServes("rated")
        self.handover()
        self.assertServes("rated")
        self.handover()
        result = server.ssh("rated", "true")
        self.assertEqual(result.code, 126, result)
        self.assertIn(b"2 commands a day", result.err.replace(b"per day", b"a day"))

    def test_terminal(self):
        server = self.start()
        client = server.popen_ssh("acme", flags=["-tt"])
        out = Reader(client.stdout)
        client.stdin.write(b"stty size; echo be''gun\n")
        client.stdin.flush()
        wait_until(lambda: b"begun" in out.data, 30, "the shell")
        self.handover()
        client.stdin.write(b"echo af''ter; sleep 100\n")
        client.stdin.flush()
        wait_until(lambda: b"after" in out.data, 30, "its answer")
        self.handover()
        client.stdin.write(b"\x03")
        client.stdin.flush()
        client.stdin.write(b"echo interr''upted; exit 9\n")
        client.stdin.flush()
        self.assertEqual(client.wait(30 * PATIENCE), 9)
        self.assertIn(b"interrupted", out.data)

    def test_login_under_way(self):
        """Between the key exchange and the login, and between the connection and anything."""
        server = self.start()
        silent = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(silent.close)
        silent.makefile("rb").readline()
        transport = paramiko.Transport(("127.0.0.1", server.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=20 * PATIENCE)
        self.handover()
        transport.auth_publickey("acme", paramiko.Ed25519Key.from_private_key_file(
            server.path("user_alice")))
        # A new exchange has to be signed by the signer of then. (Without a channel: paramiko can't
        # answer the end of one meanwhile.)
        transport.renegotiate_keys()
        self.handover()
        transport.renegotiate_keys()
        channel = transport.open_session(timeout=20 * PATIENCE)
        channel.exec_command("exit 5")
        self.assertEqual(channel.recv_exit_status(), 5)
        # The other one is served still, and is not ready to be logged in yet.
        silent.settimeout(30 * PATIENCE)
        silent.sendall(b"SSH-2.0-none\r\n" + b"\0" * 64)
        self.assertNotEqual(silent.recv(1), b"")

    def test_login_grace_goes_on(self):
        """The time to log in is not given again."""
        server = self.start(server="login-grace = 4s\nsource-exempt = 127.0.0.1\n")
        sock = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(sock.close)
        self.handover()
        server.wait_log(r"not authenticated within login-grace", 30)
        self.assertEqual(len(re.findall("not authenticated within", server.log())), 1)

    def test_proxy_header(self):
        """A balancer that has said half of whose connection it is."""
        server = self.start(listen=("127.0.0.1:0 proxy",),
                            server="proxy-from = 127.0.0.1\n")
        sock = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(sock.close)
        sock.sendall(b"PROXY TCP4 192.0.2.7 ")
        later = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(later.close)
        time.sleep(0.2)  # so that it is likely to have been read; both ways have to work
        self.handover()
        sock.sendall(b"198.51.100.1 4711 22\r\nSSH-2.0-x\r\n")
        sock.settimeout(30 * PATIENCE)
        self.assertTrue(sock.makefile("rb").readline().startswith(b"SSH-2.0-"))
        server.wait_log(r"connection \S+ from 192\.0\.2\.7 port 4711", 30)
        later.sendall(b"PROXY UNKNOWN\r\n")
        later.settimeout(30 * PATIENCE)
        self.assertTrue(later.makefile("rb").readline().startswith(b"SSH-2.0-"))

    def test_retired_generation(self):
        """Who began by an older policy goes on by it, and the spawner that it needs stays."""
        server = self.start()
        old = Talk(server, 7)
        old.say(b"a")
        wait_until(old.heard, 30, "the first word")
        server.write_policy(POLICY.replace("[tenant", '[sandbox "another"]\n[tenant', 1))
        self.assertIn("generation 2", server.reload())
        self.handover()
        self.handover()
        old.say(b"b")
        wait_until(old.heard, 30, "the second word")
        self.assertEqual(old.end(), (7, *said([b"a", b"b"])))
        server.wait_log("generation 1 is gone", 30)
        self.assertServes()

    def test_time_limit(self):
        """It is over when it would have been."""
        server = self.start()
        result = {}
        thread = threading.Thread(target=lambda: result.update(
            r=server.ssh("brief", "echo begun; exec sleep 100", timeout=60)))
        thread.start()
        server.wait_log("worker started", 30)
        self.handover()
        thread.join(60 * PATIENCE)
        self.assertEqual((result["r"].code, result["r"].out), (124, b"begun\n"))
        end = server.wait_audit(event="end", user="brief")[-1]
        self.assertEqual(end["verdict"], "time")
        self.assertGreaterEqual(end["wall_ms"], 6000)

    def postern(self, *words):
        return harness.run([harness.POSTERN, *words, "--socket", self.server.path("control")],
                           check=False)

    def test_control_socket(self):
        """It is the same one, and what was said by it holds: the server drains still, knows what
        runs and since when, and ends it."""
        server = self.start()
        inode = os.stat(server.path("control")).st_ino
        talk = Talk(server, 1)
        talk.say(b"a")
        wait_until(talk.heard, 30, "the first word")
        before = json.loads(self.postern("ps", "--json").out)["execs"]
        self.assertIn("while read", before[0]["command"])
        self.assertEqual(self.postern("drain").code, 0)
        self.handover()
        self.assertEqual(os.stat(server.path("control")).st_ino, inode)
        after = json.loads(self.postern("ps", "--json").out)["execs"]
        same = ("exec", "tenant", "key", "command", "started")
        self.assertEqual([{k: e.get(k) for k in same} for e in after],
                         [{k: e.get(k) for k in same} for e in before])
        self.assertEqual(json.loads(self.postern("status", "--json").out)["state"], "draining")
        self.assertEqual(server.ssh("acme", "true").code, 126)
        self.assertEqual(self.postern("resume").code, 0)
        self.assertServes()
        self.assertEqual(self.postern("kill", before[0]["exec"]).code, 0)
        self.assertEqual(talk.end()[0], 143)

    def test_client_goes_away(self):
        server = self.start()
        client = server.popen_ssh("acme", "exec sleep 1000")
        wait_until(server.exec_pids, 30, "the command")
        self.handover()
        client.kill()
        client.wait()
        wait_until(lambda: not server.exec_pids(), 30, "the end of the command")
        end = server.wait_audit(event="end")[-1]
        self.assertEqual((end["verdict"], end["cause"]), ("signalled", "client gone"))

    def test_signal_from_the_client(self):
        """The way to the worker is there."""
        server = self.start()
        transport = paramiko.Transport(("127.0.0.1", server.port))
        self.addCleanup(transport.close)
        transport.connect(username="acme", pkey=paramiko.Ed25519Key.from_private_key_file(
            server.path("user_alice")))
        channel = transport.open_session()
        channel.exec_command("trap 'echo got; exit 8' USR1; echo up; while :; do read -t 1 <> <(:); done")
        self.assertEqual(channel.recv(3), b"up\n")
        self.handover()
        message = paramiko.Message()
        message.add_byte(bytes([98]))
        message.add_int(channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string("USR1")
        transport._send_user_message(message)
        self.assertEqual(channel.makefile("rb").read(), b"got\n")
        self.assertEqual(channel.recv_exit_status(), 8)

    def test_detached(self):
        """As a service that has left its terminal; the same listener, for the same port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.server = server = self.new_server(policy=POLICY, listen=(f"127.0.0.1:{port}",))
        with open(server.path("log"), "ab") as log:
            subprocess.run([POSTERND, "-f", "postern.ini"], cwd=server.dir, check=True,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           env=harness.clean_env(server.dir), timeout=60 * PATIENCE)
        pid = next(p for p, (_, _, comm) in processes().items()
                   if comm == "posternd" and is_leader_of(p, server.dir))
        harness.LIVE.add(pid)
        try:
            server.port = port
            server.write_ssh_config()
            talk = Talk(server, 6)
            talk.say(b"a")
            wait_until(talk.heard, 30, "the first word")
            for i in range(2):
                os.kill(pid, signal.SIGUSR2)
                server.wait_audit(i + 1, 60, event="handover", result="done")
                server.wait_audit(i + 1, 60, event="reload")
                self.assertServes()
            self.assertEqual(talk.end(), (6, *said([b"a"])))
        finally:
            harness.LIVE.discard(pid)
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: harness.is_gone(pid), 30, "its end")
            harness.reap_orphans(set())


CGROUP_POLICY = """
[sandbox "egress"]
network = egress
[sandbox "shared"]
network        = none
workspace      = connection
workspace-size = 8M
[tenant "acme"]
keys    = keys/alice
sandbox = egress
shell   = /bin/bash
explain = rule
[tenant "shared"]
keys    = keys/alice
sandbox = shared
shell   = /bin/bash
"""


@unittest.skipUnless(test_cgroup.WRITABLE, "no cgroup v2 that could be written here")
class InCgroups(HandoverTest):
    def setUp(self):
        self.own = f"{test_cgroup.MOUNT}/postern-e2e-{os.getpid()}"
        self.addCleanup(self.remove_cgroup)
        self.start(policy=CGROUP_POLICY, server=f"cgroup = {self.own}\n{test_cgroup.NONE_AHEAD}")
        self.addCleanup(self.server.stop)

    def remove_cgroup(self):
        def gone():
            for path in (f"{self.own}/daemon", self.own):
                try:
                    os.rmdir(path)
                except FileNotFoundError:
                    pass
                except OSError:
                    return False
            return True
        wait_until(gone, 10, f"an empty {self.own}")

    def only_daemon(self):
        wait_until(lambda: test_cgroup.below(self.own) == ["daemon"], 30, "nothing but the daemon")

    def test_cgroup_and_refusals(self):
        """A command keeps its cgroup, which is removed at its end; and what the kernel refuses it
        is told still, by the ring of the spawner of then."""
        connect = 'read -r w; exec 3<>/dev/tcp/192.0.2.7/%d; read -r w; exit 6'
        client = self.server.popen_ssh("acme", connect % 4711)
        wait_until(lambda: test_cgroup.below(f"{self.own}/tenant-acme"), 30, "its cgroup")
        self.handover()
        self.handover()
        self.assertEqual(len(test_cgroup.below(f"{self.own}/tenant-acme")), 1)
        client.stdin.write(b"go\n")
        client.stdin.flush()
        record = self.server.wait_audit(1, 30, event="blocked")[0]
        self.assertEqual((record["to"], record["to_port"]), ("192.0.2.7", 4711))
        # It is one refusal, not one more by each program.
        self.handover()
        out, err = client.communicate(b"on\n", timeout=60 * PATIENCE)
        self.assertEqual((client.returncode, out), (6, b""), err)
        self.assertEqual(err.count(b"postern: note: "), 1, err)
        self.assertEqual(len(self.server.audit(event="blocked")), 1)
        self.only_daemon()

    def test_workspace_of_a_connection(self):
        """Its files are there for commands of the next generation."""
        mux, _ = self.server.mux("shared")
        how = {"flags": ["-S", mux]}
        self.assertRan(self.server.ssh("shared", "echo one > file", **how))
        self.handover()
        self.assertRan(self.server.ssh("shared", "cat file; echo two > file", **how), out=b"one\n")
        self.handover()
        self.assertRan(self.server.ssh("shared", "cat file", **how), out=b"two\n")


class WhatIsRefused(HandoverTest):
    def test_broken_policy(self):
        """What is on the disk just now does not matter: the policy in force stays."""
        server = self.start()
        talk = Talk(server, 2)
        talk.say(b"a")
        wait_until(talk.heard, 30, "the first word")
        server.write_policy("[tenant")
        shutil.rmtree(server.path("policy.d/keys"))
        self.handover(reload="reload refused: .*; generation 1 stays")
        self.handover(reload="reload refused: .*; generation 1 stays")
        self.assertServes()
        talk.say(b"b")
        self.assertEqual(talk.end(), (2, *said([b"a", b"b"])))

    def test_programs_that_cannot(self):
        """Each is told of with its reason, and nothing is lost."""
        server = self.start()
        talk = Talk(server, 2)
        talk.say(b"a")
        wait_until(talk.heard, 30, "the first word")
        self.install("/bin/false")
        self.refused(r"posternd can't take over: it ended without a word")
        # An older one, which knows nothing of this, says that it does not know the option.
        server.write("bin/other", "#!/bin/sh\necho \"posternd: unknown option '-'\" >&2\nexit 64\n",
                     0o755)
        self.install(server.path("bin/other"))
        self.refused(r"posternd can't take over: posternd: unknown option '-'")
        server.write("bin/other", "no program", 0o755)
        self.install(server.path("bin/other"))
        self.refused(r"posternd can't take over: it can't be executed: Exec format error")
        os.unlink(server.program)
        self.refused(r"bin/posternd: No such file or directory")
        self.assertServes()
        self.assertEqual(server.process.pid, self.pid)
        shutil.copy(POSTERND, server.program)
        self.handover()
        talk.say(b"b")
        self.assertEqual(talk.end(), (2, *said([b"a", b"b"])))

    def test_another_version(self):
        """One whose sessions would speak another language says so."""
        server = self.start()
        with open(POSTERND, "rb") as f:
            program = f.read()
        self.assertGreater(program.count(b"REQ_TERMINAL\0"), 0)
        server.write("bin/other", program.replace(b"REQ_TERMINAL\0", b"REQ_TERMINUS\0"), 0o755)
        self.install(server.path("bin/other"))
        self.refused(r"the sessions of posternd \S+ don't understand posternd \S+")
        self.assertServes()

    def test_no_program_by_hand(self):
        """The private way in is no way in for anybody else."""
        server = self.start()
        for argv, env in ((["--handover-check", "0"], {}), (["--handover-check", "77"], {}),
                          (["--handover-check", "x", "-d"], {}), (["-d"], {"POSTERN_HANDOVER": "2"})):
            run = subprocess.run([POSTERND, *argv, "-f", server.path("none.ini")], check=False,
                                 stdin=subprocess.DEVNULL, capture_output=True,
                                 env={**harness.clean_env("/"), **env}, timeout=60 * PATIENCE)
            self.assertNotEqual((run.returncode, run.stdout), (0, b"ready\n"))
        self.assertServes()

    def test_hostile_session(self):
        """A session is judged afterwards as before: its wrong message ends it."""
        server = self.start(server=f"session-path = {HOSTILE}\nsource-exempt = 127.0.0.1\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30 * PATIENCE) as sock:
            stream = sock.makefile("rwb")
            self.assertRegex(stream.readline(), b"^connection ")
            stream.write(b"ping\n")
            stream.flush()
            self.assertEqual(stream.readline(), b"pong\n")
            self.handover()
            stream.write(b"ping\n")
            stream.flush()
            self.assertEqual(stream.readline(), b"pong\n")
            # ANS_AUTH is the master's to send.
            stream.write(b"raw 3 01\n")
            stream.flush()
            server.wait_log(r"its session broke the protocol: message \S+ does not belong here", 30)


class Moments(HandoverTest):
    def begin_again(self, **how):
        """A start that is not waited for; where its log begins."""
        self.server.stop()
        begin = len(self.server.log())
        self.server.start_only(**how)
        self.pid = self.server.process.pid
        return begin

    def find_port(self):
        self.server.port = int(re.findall(r"listening on \S+:(\d+)", self.server.log())[-1])
        self.server.write_ssh_config()

    def test_twice_at_once(self):
        server = self.start()
        talk = Talk(server, 1)
        for _ in range(5):
            self.signal()
        self.wait_done(1)
        talk.say(b"a")
        self.assertEqual(talk.end(), (1, *said([b"a"])))
        self.handover()
        self.assertServes()

    def test_early(self):
        """Before it serves, it waits until it does."""
        server = self.start()
        self.begin_again()
        wait_until(lambda: int(harness.status_of(self.pid)["SigBlk"], 16) & 1 << signal.SIGUSR2 - 1,
                   10, "the mask")
        done = self.n_done()
        self.signal()
        wait_until(lambda: self.n_done() == done + 1, 60, "re-executed")
        self.find_port()
        self.assertServes()

    def test_then_stop(self):
        """SIGTERM right behind it: it stops, by which program ever, and cleanly."""
        for _ in range(3):
            server = self.start()
            talk = Talk(server, 1)
            talk.say(b"a")
            wait_until(talk.heard, 30, "the first word")
            self.signal()
            self.signal(signal.SIGTERM)
            server.process.wait(60 * PATIENCE)
            talk.end()
            server.ended()

    def test_stop_in_between(self):
        """At any moment of it."""
        for pause in (0.01, 0.03, 0.06, 0.1, 0.15):
            server = self.start()
            self.signal()
            time.sleep(pause)
            self.signal(signal.SIGTERM)
            server.process.wait(60 * PATIENCE)
            server.ended()

    def test_killed_while_a_program_hangs(self):
        """What the program that is tried has been given is not a reason to live for anybody."""
        server = self.start()
        server.expect_deaths = True
        talk = Talk(server, 1)
        talk.say(b"a")
        wait_until(talk.heard, 30, "the first word")
        server.write("bin/other", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        self.install(server.path("bin/other"))
        self.signal()
        trial = wait_until(lambda: [pid for pid, comm in harness.descendants(self.pid).items()
                                    if comm == "sleep"], 30, "the trial")
        process, server.process = server.process, None
        harness.LIVE.discard(self.pid)
        process.kill()
        process.wait()
        server.log_file.close()
        try:
            server.assert_nothing_left()
        finally:
            for pid in trial:
                if harness.processes().get(pid, (0, "X", ""))[2] == "sleep":
                    os.kill(pid, signal.SIGKILL)
        talk.end()

    def test_with_reloads(self):
        """A reload before it, and one while it is under way."""
        server = self.start()
        self.signal(signal.SIGHUP)
        self.signal()
        self.wait_done(1)
        self.signal()
        self.signal(signal.SIGHUP)
        self.wait_done(2)
        self.assertServes()
        server.write_policy(POLICY + "\n[tenant \"new\"]\nextends = acme\n")
        self.assertIn(", 5 tenants", server.reload())
        self.assertServes("new")

    def test_to_the_whole_group(self):
        """As systemctl kill does: what is not the master does not mind."""
        server = self.start()
        ready = self.begin_again(own_group=True)
        server.wait_log("ready: generation", 30, ready)
        self.find_port()
        talk = Talk(server, 1)
        talk.say(b"a")
        wait_until(talk.heard, 30, "the first word")
        done = self.n_done()
        os.killpg(self.pid, signal.SIGUSR2)
        self.wait_done(done + 1)
        self.assertEqual(talk.end(), (1, *said([b"a"])))


if __name__ == "__main__":
    main()
