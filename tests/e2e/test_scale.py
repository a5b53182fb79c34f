"""Three servers behind a real HAProxy, with the configuration that is shipped for it: who serves whom,
and how each of them is drained, replaced, upgraded or lost without anybody else's harm."""
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest

import harness
from harness import (PATIENCE, POSTERN, POSTERND, PREFIX, SOURCE, PosternTest, Server, clean_env, main,
                     run, wait_until)
from scale_net import BALANCER, CLIENTS, FRONT, SERVERS, Network, Unavailable

CONFIG = os.path.join(SOURCE, "packaging/haproxy/haproxy.cfg")
SHARED_UID = harness.FIRST_UID + (os.getpid() % 256) * 1000000 + 777777

POLICY = """
[sandbox "plain"]
network = none
[sandbox "kept"]
network   = none
workspace = {kept}/%t

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "beta"]
keys    = keys/bob
sandbox = plain
shell   = /bin/bash
[tenant "near"]
keys    = keys/alice
from    = 192.0.2.4
sandbox = plain
shell   = /bin/bash
[tenant "one"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 1
[tenant "files"]
keys    = keys/alice
uid     = {uid}
sandbox = kept
shell   = /bin/bash
"""
# Runs until it is told to end; its output and code are compared.
LONG = 'echo begun; read -r n; for i in $(seq 1 20000); do echo "$n $i"; done; echo "$n" >&2; exit "$n"'
DONE = r"re-executed: posternd \S+ after \S+: (\d+) connections, (\d+) execs"


class Node(Server):
    """One of the three: address, state, trail and program of its own, all else is shared."""

    def __init__(self, name, shared, network):
        self.name, self.address = name, SERVERS[name]
        super().__init__(keys=(), host_keys=(), listen=(f"{self.address}:2222 proxy",),
                         server=f"proxy-from = {BALANCER}\nagent-check = {self.address}:2223\n")
        shutil.rmtree(self.path("policy.d"))
        os.symlink(shared.path("policy.d"), self.path("policy.d"))
        self.host_keys = shared.host_keys
        self.write_config()
        self.launcher = network.servers[name].launcher()
        self.program = self.path("bin/posternd")
        os.mkdir(self.path("bin"), mode=0o755)
        self.install()

    def install(self):
        """A new file in the old one's place, as a package does."""
        shutil.copy(POSTERND, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def assert_nothing_left(self):
        """Without collecting the dead: other threads wait for clients of theirs."""
        wait_until(lambda: not self.leftovers(), 5, f"nothing left of {self.name}")

    def start_again(self):
        begin = len(self.log())
        self.start_only()
        self.wait_log(r"ready: generation \d+", 30, begin)

    def postern(self, *words):
        return run([POSTERN, *words, "--socket", self.path("control")], check=False, timeout=120)

    def n_started(self, **match):
        return len(self.audit(event="start", **match))


class Long:
    """A client whose command runs until end()."""

    def __init__(self, shared, number):
        self.number = number
        self.client = shared.popen_ssh("acme", LONG, flags=["-b", CLIENTS[number % len(CLIENTS)]])
        line = self.client.stdout.readline()
        if line != b"begun\n":
            raise AssertionError((line, self.client.communicate()))

    def end(self):
        out, err = self.client.communicate(b"%d\n" % self.number, timeout=60 * PATIENCE)
        return self.client.returncode, out, err

    def expected(self):
        n = self.number
        return n, b"".join(b"%d %d\n" % (n, i) for i in range(1, 20001)), b"%d\n" % n


class Load:
    """Clients that come again and again, each from its address; whatever is not as it should be is
    kept."""

    def __init__(self, shared, n_clients=4):
        self.shared, self.over = shared, threading.Event()
        self.problems, self.n_done = [], [0] * n_clients
        self.threads = [threading.Thread(target=self.go_on, args=(i,), daemon=True)
                        for i in range(n_clients)]
        for thread in self.threads:
            thread.start()

    def once(self, who, number):
        data, code = os.urandom(20000).hex().encode(), number % 120
        got = self.shared.ssh("acme", f"cat; echo {who}-{number} >&2; sleep 0.{number % 5}; exit {code}",
                              stdin=data, timeout=120, flags=["-b", CLIENTS[who]])
        if (got.code, got.out, got.err) != (code, data, f"{who}-{number}\n".encode()):
            self.problems.append((who, number, code, got))

    def go_on(self, who):
        while not self.over.is_set():
            try:
                self.once(who, self.n_done[who])
            except (OSError, subprocess.SubprocessError) as problem:
                self.problems.append((who, problem))
            self.n_done[who] += 1

    def wait_for(self, n):
        """Each client has been served so many times more."""
        goals = [done + n for done in self.n_done]
        wait_until(lambda: self.problems or all(d >= g for d, g in zip(self.n_done, goals)), 120,
                   "the load")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(120 * PATIENCE)


def setUpModule():
    global network
    if not shutil.which("haproxy"):
        raise unittest.SkipTest("haproxy is not installed")
    try:
        network = Network()
    except Unavailable as problem:
        raise unittest.SkipTest(f"no networks can be made here: {problem}") from None
    unittest.addModuleCleanup(network.close)


class ScaleTest(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Never started: a place for what is shared, and for the clients.
        cls.shared = cls.new_server(keys=("alice", "bob"))
        os.mkdir(cls.shared.path("kept"), mode=0o755)
        cls.write_shared(POLICY)
        cls.nodes = {}
        for name in SERVERS:
            node = Node(name, cls.shared, network)
            cls.nodes[name] = node
            cls.servers.append(node)
            node.start()
        cls.shared.port = 22
        cls.shared.write_ssh_config()
        with open(cls.shared.path("ssh_config"), encoding="utf-8") as f:
            cls.shared.write("ssh_config", f.read().replace("127.0.0.1", FRONT))
        cls.start_haproxy()

    @classmethod
    def write_shared(cls, text):
        cls.shared.write_policy(text.format(kept=cls.shared.path("kept"), uid=SHARED_UID))

    @classmethod
    def start_haproxy(cls):
        run(["haproxy", "-c", "-q", "-f", CONFIG])
        with open(CONFIG, encoding="utf-8") as f:
            text = f.read()
        cls.stats = cls.shared.path("haproxy.sock")
        assert text.count("/run/haproxy/admin.sock") == 1
        config = cls.shared.write("haproxy.cfg", text.replace("/run/haproxy/admin.sock", cls.stats))
        with open(cls.shared.path("haproxy.log"), "wb") as log:
            haproxy = subprocess.Popen([*network.balancer.launcher(), "haproxy", "-db", "-f", config],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=clean_env(cls.shared.dir))
        cls.addClassCleanup(haproxy.wait)
        cls.addClassCleanup(haproxy.terminate)
        cls.wait_states("three servers", a="UP", b="UP", c="UP")

    @classmethod
    def rows(cls):
        """{server: what HAProxy knows of it}"""
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20 * PATIENCE)
                sock.connect(cls.stats)
                sock.sendall(b"show stat\n")
                data = b"".join(iter(lambda: sock.recv(65536), b""))
        except OSError:
            return {}
        return {row["svname"]: row for row in csv.DictReader(io.StringIO(data.decode()[2:]))
                if row["pxname"] == "posterns" and row["svname"] in SERVERS}

    @classmethod
    def wait_states(cls, what, **states):
        wait_until(lambda: all(cls.rows().get(name, {"status": ""})["status"].split(" ")[0] == state
                               for name, state in states.items()), 30, what)

    def wait_empty(self, *names):
        """Nobody is connected to them any more."""
        wait_until(lambda: all(self.rows()[name]["scur"] == "0" for name in names or SERVERS), 60,
                   "the end of connections")

    def setUp(self):
        super().setUp()
        self.wait_states("three servers", a="UP", b="UP", c="UP")
        self.wait_empty()

    def drain(self, name):
        """The balancer sends nobody there any more; who is there already is still served."""
        node = self.nodes[name]
        self.assertRan(node.postern("drain", "--notice", "1h"), out=None)
        self.wait_states("a drained server", **{name: "DRAIN"})
        return node

    def starts(self):
        return {name: node.n_started() for name, node in self.nodes.items()}

    def grown(self, before):
        """Who has served how many commands since then."""
        return {name: n - before[name] for name, n in self.starts().items()}

    def serve(self, n):
        """So many commands, one after the other, none of which fails."""
        for i in range(n):
            got = self.shared.ssh("acme", f"echo in; exit {i}")
            self.assertRan(got, i, b"in\n")

    def serve_by_all(self):
        before = self.starts()
        self.serve(6)
        self.assertEqual([name for name, n in self.grown(before).items() if n == 0], [])

    def assertAll(self, longs):
        for long in longs:
            self.assertEqual(long.end(), long.expected())


class Spread(ScaleTest):
    def test_evenly_and_known_by_their_addresses(self):
        before = self.starts()
        longs = [Long(self.shared, i) for i in range(9)]
        self.assertEqual(self.grown(before), {"a": 3, "b": 3, "c": 3})
        for record in ("auth", "start"):
            clients = [r["client"] for node in self.nodes.values()
                       for r in node.audit(event=record)[-3:]]
            self.assertEqual(sorted(clients), sorted(CLIENTS), record)
        self.assertAll(longs)

    def test_policy_judges_the_client_not_the_balancer(self):
        got = self.shared.ssh("near", "echo $SSH_CONNECTION", flags=["-b", "192.0.2.4"])
        self.assertEqual(got.code, 0, got)
        self.assertRegex(got.out.decode(), rf"\A192\.0\.2\.4 \d+ {FRONT} 22\n\Z")
        self.assertEqual(self.shared.ssh("near", "echo in", flags=["-b", "192.0.2.5"]).code, 255)

    def test_one_host_key(self):
        """Clients that check it strictly (as all of these do) meet the same one everywhere."""
        self.serve_by_all()
        other = self.shared.path("other")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other])
        with open(other + ".pub", encoding="utf-8") as f:
            self.shared.write("other_hosts", f"postern {f.read()}")
        for _ in SERVERS:
            got = self.shared.ssh("acme", "echo in", options=[
                f"UserKnownHostsFile={self.shared.path('other_hosts')}"])
            self.assertEqual((got.code, got.out), (255, b""), got)

    def test_what_is_each_servers_own(self):
        """max-execs is, and is the same tenant's three times; uids agree."""
        clients = []
        for _ in SERVERS:
            clients.append(self.shared.popen_ssh("one", "echo begun; read x"))
            self.assertEqual(clients[-1].stdout.readline(), b"begun\n")
        got = self.shared.ssh("one", "echo fourth")
        self.assertEqual((got.code, got.out), (126, b""), got)
        for client in clients:
            client.communicate(b"\n", timeout=20 * PATIENCE)
        for tenant in ("acme", "beta", "files"):
            shown = {run([POSTERN, "show", "-f", node.config, "--tenant", tenant, "--json"]).out
                     for node in self.nodes.values()}
            uids = {setting["value"] for text in shown for section in json.loads(text)["sections"]
                    for setting in section["settings"] if setting["key"] == "uid"}
            self.assertEqual(len(uids), 1, tenant)
        # So a directory that is kept can be everybody's.
        for i in range(3):
            self.assertRan(self.shared.ssh("files", f"echo {i} >>log; cat log"), 0,
                           "".join(f"{j}\n" for j in range(i + 1)).encode())


class Policy(ScaleTest):
    def test_a_key_that_is_revoked(self):
        bob = [self.shared.popen_ssh("beta", "echo begun; exec sleep 1000", key="bob")
               for _ in SERVERS]
        for client in bob:
            self.assertEqual(client.stdout.readline(), b"begun\n")
        self.shared.write("policy.d/keys/bob", "# nobody\n")
        for node in self.nodes.values():
            self.assertRan(node.postern("reload"), out=None)
        for client in bob:
            client.communicate(timeout=20 * PATIENCE)
            self.assertNotEqual(client.returncode, 0)
        for node in self.nodes.values():
            self.assertEqual([r["verdict"] for r in node.wait_audit(event="end", tenant="beta")],
                             ["ended"])
        before = {name: len(n.audit(event="auth", result="failed")) for name, n in self.nodes.items()}

        def refused_by_all():
            got = self.shared.ssh("beta", "echo in", key="bob")
            self.assertEqual((got.code, got.out), (255, b""), got)
            return all(len(node.audit(event="auth", result="failed")) > before[name]
                       for name, node in self.nodes.items())
        wait_until(refused_by_all, 30, "three refusals")
        self.serve(3)


class Draining(ScaleTest):
    def test_what_runs_goes_on_elsewhere_nothing_fails(self):
        longs = [Long(self.shared, i) for i in range(6)]
        load = Load(self.shared)
        node = self.drain("b")
        # Connections that it had before it was taken out are those of the long commands alone.
        wait_until(lambda: self.rows()["b"]["scur"] == "2", 60, "the last of the others")
        self.assertRan(node.postern("drain"), 0, b"draining: 2 commands are still there, 0 queued\n")
        before = self.starts()
        load.wait_for(5)
        load.stop()
        self.assertEqual(load.problems, [])
        grown = self.grown(before)
        self.assertEqual(grown["b"], 0)
        self.assertGreater(min(grown["a"], grown["c"]), 0)
        self.assertAll(longs)
        self.assertRan(node.postern("drain", "--wait"), 0, b"drained: no command runs\n")
        self.assertRan(node.postern("resume"), 0, None)
        self.wait_states("it is back", b="UP")
        self.serve_by_all()


class RollingUpgrade(ScaleTest):
    def test_drained_and_replaced(self):
        """One after the other: drain, wait, stop, install, start. The last as the manual says it, which
        takes so long as the notice is; with the others, the balancer is looked at instead."""
        load = Load(self.shared)
        load.wait_for(2)
        for name, node in self.nodes.items():
            old, notice = node.process.pid, ("--notice", f"{10 * PATIENCE}s")
            if name != "c":
                self.drain(name)
                self.wait_empty(name)
                notice = ()
            self.assertRan(node.postern("drain", *notice, "--wait", "5m", "--then-stop"), 0,
                           b"drained: no command runs; the server stops\n")
            node.process.wait(60 * PATIENCE)
            node.ended()
            node.install()
            node.start_again()
            self.assertNotEqual(node.process.pid, old)
            before = node.n_started()
            self.wait_states("it is back", **{name: "UP"})
            wait_until(lambda: node.n_started() > before or load.problems, 60, "commands there")
        load.wait_for(2)
        load.stop()
        self.assertEqual(load.problems, [])

    def test_executed_anew_in_place(self):
        """The other way: SIGUSR2, and nobody has to go anywhere."""
        longs = [Long(self.shared, i) for i in range(6)]
        load = Load(self.shared)
        load.wait_for(1)
        for name, node in self.nodes.items():
            node.install()
            begin = len(node.log())
            node.process.send_signal(signal.SIGUSR2)
            found = node.wait_log(DONE, 60, begin)
            self.assertGreaterEqual(int(found.group(2)), 2)
            node.wait_log("reloaded: generation", 60, begin + found.end())
            load.wait_for(2)
            self.assertEqual(self.rows()[name]["status"].split(" ")[0], "UP")
        load.stop()
        self.assertEqual(load.problems, [])
        self.assertAll(longs)


class Loss(ScaleTest):
    def test_one_is_silent_for_a_while(self):
        """Its wire is cut: others serve, and what it has goes on when it is back."""
        longs = [Long(self.shared, i) for i in range(6)]
        try:
            network.set_wire("b", "down")
            before = self.starts()
            self.serve(4)
            self.wait_states("it is taken out", b="DOWN")
            self.serve(3)
            self.assertEqual(self.grown(before)["b"], 0)
        finally:
            network.set_wire("b", "up")
        self.wait_states("it is back", b="UP")
        self.assertAll(longs)
        self.wait_empty()
        self.serve_by_all()

    def test_one_is_killed(self):
        """Its own commands are lost, and nobody else notices."""
        longs = [Long(self.shared, i) for i in range(6)]
        node = self.nodes["b"]
        own = [r["client"] for r in node.audit(event="start")[-2:]]
        harness.LIVE.discard(node.process.pid)
        node.process.kill()
        node.process.wait()
        process, node.process = node.process, None
        self.assertEqual(process.returncode, -signal.SIGKILL)
        # Before the balancer knows, and afterwards.
        self.serve(6)
        self.wait_states("it is taken out", b="DOWN")
        self.serve(3)
        for long in longs:
            if CLIENTS[long.number] in own:
                self.assertEqual(long.end()[0], 255)
            else:
                self.assertEqual(long.end(), long.expected())
        node.assert_nothing_left()
        os.rename(node.path("audit.log"), node.path("audit.before"))
        node.start_again()
        self.wait_states("it is back", b="UP")
        self.serve_by_all()


if __name__ == "__main__":
    main()
