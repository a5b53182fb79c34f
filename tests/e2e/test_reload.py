"""A new policy judges the connections that are there: who is not welcome any more is shown out with
a reason, who is stays, and what runs goes on under the rules by which it began."""
import os
import re
import signal
import time
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import EXEC_ID, PATIENCE, PosternTest, main, wait_until  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""
OTHER = """
[tenant "other"]
user    = other
keys    = keys/bob
sandbox = plain
shell   = /bin/bash
"""
LINE = POLICY + "max-execs = 1\nqueue = 60s\n"
NO_LONGER = 'login "acme" is no longer accepted'
GONE = NO_LONGER + ": no tenant has this login"
NO_KEY = NO_LONGER + ": this login has no such key"


class Login:
    """A paramiko connection that remembers why the server ended it."""

    def __init__(self, server, user="acme", key="alice"):
        self.transport = paramiko.Transport(("127.0.0.1", server.port))
        self.said = []
        log = self.transport._log
        self.transport._log = lambda level, text, *args: (self.said.append(str(text) % args
                                                                            if args else str(text)),
                                                          log(level, text, *args))[1]
        self.transport.start_client(timeout=20 * PATIENCE)
        self.transport.auth_publickey(
            user, paramiko.Ed25519Key.from_private_key_file(server.path(f"user_{key}")))
        self.port = self.transport.sock.getsockname()[1]

    def run(self, command):
        channel = self.transport.open_session(timeout=20 * PATIENCE)
        channel.settimeout(30 * PATIENCE)
        channel.exec_command(command)
        return channel

    def wait_end(self):
        """The text of the disconnect message."""
        self.transport.join(20 * PATIENCE)
        if self.transport.is_alive():
            raise AssertionError("the connection was not ended")
        found = [line for line in self.said if line.startswith("Disconnect (code")]
        return found[0].partition("): ")[2] if found else None


def read(channel):
    """(status, stdout, stderr) at its end."""
    out = channel.makefile("rb").read()
    err = channel.makefile_stderr("rb").read().decode()
    return channel.recv_exit_status(), out, err


class ReloadTest(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY, keys=("alice", "bob"))
        self.addCleanup(self.server.remove)
        self.logins = []

    def start(self, policy=POLICY):
        self.server.write_policy(policy)
        self.server.start()

    def login(self, *args):
        login = Login(self.server, *args)
        self.addCleanup(login.transport.close)
        return login

    def reload(self, policy=None):
        if policy is not None:
            self.server.write_policy(policy)
        self.assertRegex(self.server.reload(), r"\Areloaded: ")

    def stop(self):
        self.server.stop()

    def closed(self, login):
        """The audit's record of the end of a connection."""
        return self.server.wait_audit(event="closed", port=login.port)[-1]

    def assert_gone(self, login, reason):
        self.assertEqual(login.wait_end(), reason)
        self.assertEqual(self.closed(login)["reason"], reason)

    def assert_lost(self, policy, reason):
        """An idle connection and one that runs something both end for this reason."""
        idle, busy = self.login(), self.login()
        running = busy.run("trap '' TERM; trap 'echo caught; exit 7' HUP; echo up;"
                           "while :; do sleep 0.1; done")
        self.assertEqual(running.recv(3), b"up\n")
        self.reload(policy)
        self.assert_gone(idle, reason)
        status, out, err = read(running)
        self.assertEqual((status, out), (143, b"caught\n"), err)
        self.assertRegex(err, rf"postern: ended: {re.escape(reason)} {EXEC_ID}\n\Z")
        self.assert_gone(busy, reason)
        end, = self.server.wait_audit(event="end", connection=self.closed(busy)["connection"])
        self.assertEqual((end["verdict"], end["exit"], end["cause"], end["reason"]),
                         ("ended", 143, "login gone", reason))


class Lost(ReloadTest):
    def test_tenant_gone(self):
        self.start(POLICY + OTHER)
        self.assert_lost(OTHER + '[sandbox "plain"]\nnetwork = none\n', GONE)
        self.assertRan(self.server.ssh("other", "echo on", key="bob"), 0, b"on\n")
        self.stop()

    def test_key_gone(self):
        self.start(POLICY + "keys = keys/bob\n")
        stays = self.login("acme", "bob")
        self.assert_lost(POLICY.replace("keys/alice", "keys/bob"), NO_KEY)
        self.assertEqual(read(stays.run("echo on")), (0, b"on\n", ""))
        stays.transport.close()
        self.stop()

    def test_key_out_of_its_file(self):
        self.start()
        self.server.write("policy.d/keys/alice", "# nobody\n")
        self.assert_lost(None, NO_KEY)
        self.stop()

    def test_key_has_expired(self):
        self.start()
        self.server.user_key("alice", options='expiry-time="20200101"')
        self.assert_lost(None, NO_LONGER + ": the key's expiry-time was 2020-01-01T00:00:00Z")
        self.stop()

    def test_not_from_there(self):
        self.start()
        self.assert_lost(POLICY + "from = 192.0.2.0/24\n",
                         NO_LONGER + ": the tenant's from does not list 127.0.0.1")
        self.stop()

    def test_key_not_from_there(self):
        self.start()
        self.server.user_key("alice", options='from="192.0.2.1"')
        self.assert_lost(None, NO_LONGER + ": the key's from= does not list 127.0.0.1")
        self.stop()

    def test_no_more_than_the_policy_explains(self):
        self.start()
        self.assert_lost(POLICY + "from = 192.0.2.0/24\nexplain = none\n", NO_LONGER)
        self.stop()

    def test_with_stock_ssh(self):
        """The exit status arrives, although the connection ends right behind it."""
        self.start()
        client = self.server.popen_ssh("acme", "echo up; exec sleep 300")
        self.assertEqual(client.stdout.readline(), b"up\n")
        mux, master = self.server.mux()
        self.reload(POLICY.replace('"acme"', '"someone"'))
        out, err = client.communicate(timeout=30 * PATIENCE)
        self.assertEqual((client.returncode, out), (143, b""))
        self.assertRegex(err.decode(), rf"\Apostern: ended: {GONE} {EXEC_ID}\n\Z")
        self.assertEqual(master.wait(20 * PATIENCE), 255)
        self.assertLine(master.stderr.read(),
                        rf"Received disconnect from 127\.0\.0\.1 port \d+:\d+: {GONE}")
        self.assertEqual(self.server.ssh("acme", "true", flags=["-S", mux]).code, 255)
        self.stop()

    def test_nothing_starts_in_between(self):
        self.start()
        login = self.login()
        running = login.run("echo up; trap '' TERM HUP; sleep 300; sleep 300")
        self.assertEqual(running.recv(3), b"up\n")
        self.reload(POLICY.replace('"acme"', '"someone"'))
        # The command has three seconds left, the login has none.
        status, out, err = read(login.run("echo no"))
        self.assertEqual((status, out), (126, b""), err)
        self.assertRegex(err, rf"\Apostern: denied: {GONE} {EXEC_ID}\n\Z")
        # Not even if the login comes back meanwhile.
        self.reload(POLICY)
        try:
            self.assertIn(read(login.run("echo no"))[0], (126, -1))
        except (paramiko.SSHException, EOFError):
            pass  # the three seconds were over, and the connection with them
        self.assertEqual(read(running)[0], 143)
        self.assert_gone(login, GONE)
        self.assertEqual(read(self.login().run("echo on")), (0, b"on\n", ""))
        self.stop()

    def test_a_client_that_does_not_hang_up(self):
        """Exit statuses first, then the end, in a bounded time."""
        self.start()
        login = self.login()
        running = [login.run(f"echo {n}; exec sleep 300") for n in range(5)]
        for n, one in enumerate(running):
            self.assertEqual(one.recv(2), b"%d\n" % n)
        begun = time.monotonic()
        self.reload(POLICY.replace('"acme"', '"someone"'))
        for one in running:
            self.assertEqual(read(one)[0], 143)
        self.assert_gone(login, GONE)
        self.assertLess(time.monotonic() - begun, 15 * PATIENCE)
        self.stop()

    def test_what_waits_is_denied(self):
        self.start(LINE)
        login = self.login()
        running, waiting = login.run("echo up; exec sleep 300"), login.run("echo no")
        self.assertEqual(running.recv(3), b"up\n")
        self.assertIn(b"postern: queued: place 1", waiting.recv_stderr(1000))
        self.reload(LINE.replace('"acme"', '"someone"'))
        status, out, err = read(waiting)
        self.assertEqual((status, out), (126, b""))
        self.assertRegex(err, rf"postern: denied: {GONE} {EXEC_ID}\n\Z")
        self.assertEqual(read(running)[0], 143)
        self.assert_gone(login, GONE)
        self.stop()


class Stays(ReloadTest):
    def test_a_tightened_rule_holds_for_the_next_command(self):
        self.start()
        login = self.login()
        running = login.run("echo up; cat; exit 5")
        self.assertEqual(running.recv(3), b"up\n")
        self.reload(POLICY.replace("shell   = /bin/bash", "command = echo {int}"))
        self.assertEqual(read(login.run("id"))[:2], (126, b""))
        self.assertEqual(read(login.run("echo 7")), (0, b"7\n", ""))
        running.sendall(b"after")
        running.shutdown_write()
        self.assertEqual(read(running), (5, b"after", ""))
        generations = {s["command"]: s["generation"] for s in self.server.audit(event="start")}
        self.assertEqual(generations, {"echo up; cat; exit 5": 1, "id": 2, "echo 7": 2})
        login.transport.close()
        self.stop()

    def test_the_key_moves_to_another_tenant(self):
        self.start()
        login = self.login()
        running = login.run("echo $POSTERN_TENANT; cat")
        self.assertEqual(running.recv(5), b"acme\n")
        self.reload(POLICY.replace('"acme"', '"heir"') + "user = acme\nmax-execs = 1\n"
                    "max-connections = 1\n")
        # What runs still counts for the old one; the connection counts for the new one.
        heirs = login.run("echo $POSTERN_TENANT; cat")
        self.assertEqual(heirs.recv(5), b"heir\n")
        status, _, err = read(login.run("true"))
        self.assertEqual(status, 126)
        self.assertRegex(err, r'tenant "heir" already runs 1 command, its max-execs')
        got = self.server.ssh("acme", "true")
        self.assertEqual(got.code, 255)
        self.assertLine(got.err, r'.*tenant "heir" already has 1 connection, its max-connections')
        running.shutdown_write()
        self.assertEqual(read(running)[0], 0)
        heirs.shutdown_write()
        self.assertEqual(read(heirs)[0], 0)
        tenants = [s["tenant"] for s in self.server.audit(event="start")][:3]
        self.assertEqual(tenants, ["acme", "heir", "heir"])
        login.transport.close()
        self.assertEqual(self.closed(login)["tenant"], "heir")
        wait_until(lambda: self.server.ssh("acme", "true").code == 0, 10, "a free place")
        self.stop()

    def test_fewer_connections(self):
        """Nobody is thrown out; nobody else comes in until there is room."""
        self.start()
        logins = [self.login() for _ in range(3)]
        self.reload(POLICY + "max-connections = 2\n")
        for login in logins:
            self.assertEqual(read(login.run("echo on")), (0, b"on\n", ""))
        self.assertEqual(self.server.ssh("acme", "true").code, 255)
        logins[0].transport.close()
        self.closed(logins[0])
        self.assertEqual(self.server.ssh("acme", "true").code, 255)
        logins[1].transport.close()
        wait_until(lambda: self.server.ssh("acme", "true").code == 0, 10, "a free place")
        logins[2].transport.close()
        self.stop()

    def test_fewer_commands(self):
        self.start()
        login = self.login()
        running = [login.run(f"echo {n}; cat") for n in range(3)]
        for n, one in enumerate(running):
            self.assertEqual(one.recv(2), b"%d\n" % n)
        self.reload(POLICY + "max-execs = 2\n")
        status, _, err = read(login.run("true"))
        self.assertEqual(status, 126)
        self.assertIn('tenant "acme" already runs 3 commands, its max-execs is 2', err)
        for one in running:
            one.shutdown_write()
            self.assertEqual(read(one)[0], 0)
        self.assertEqual(read(login.run("echo on")), (0, b"on\n", ""))
        login.transport.close()
        self.stop()

    def test_a_key_that_expires_while_it_is_connected(self):
        soon = time.gmtime(time.time() + 5 * PATIENCE)
        self.server.user_key("alice", options=time.strftime('expiry-time="%Y%m%d%H%M%SZ"', soon))
        self.start()
        login = self.login()
        running = login.run("echo up; cat")
        self.assertEqual(running.recv(3), b"up\n")

        def denied():
            status, _, err = read(login.run("true"))
            return err if status == 126 else None
        err = wait_until(denied, 20, "the key to expire")
        self.assertRegex(err, f"postern: denied: {NO_LONGER}: the key's expiry-time was ")
        running.sendall(b"on")
        running.shutdown_write()
        self.assertEqual(read(running)[:2], (0, b"on"))
        login.transport.close()
        self.stop()


class Waiting(ReloadTest):
    """The rules that count are those when it starts."""

    def begin(self):
        self.start(LINE)
        login = self.login()
        running = login.run("echo up; cat")
        self.assertEqual(running.recv(3), b"up\n")
        waiting = [login.run(f"echo {n}") for n in range(3)]
        for n, one in enumerate(waiting):
            self.assertIn(b"postern: queued: place %d," % (n + 1), one.recv_stderr(1000))
        return login, running, waiting

    def end(self, login, running):
        running.shutdown_write()
        self.assertEqual(read(running)[0], 0)
        login.transport.close()
        self.stop()

    def test_more_may_run(self):
        login, running, waiting = self.begin()
        self.reload(LINE.replace("max-execs = 1", "max-execs = 2"))
        for n, one in enumerate(waiting):
            self.assertEqual(read(one)[:2], (0, b"%d\n" % n))
        self.assertEqual([s["generation"] for s in self.server.audit(event="start")], [1, 2, 2, 2])
        self.end(login, running)

    def test_a_rule_that_is_gone(self):
        login, running, waiting = self.begin()
        self.reload(LINE.replace("shell   = /bin/bash", "command = echo {oneof:0|2}"))
        status, _, err = read(waiting[1])
        self.assertEqual(status, 126)
        self.assertRegex(err, r"postern: denied: the command doesn't match: ")
        running.shutdown_write()
        self.assertEqual(read(waiting[0])[:2], (0, b"0\n"))
        self.assertEqual(read(waiting[2])[:2], (0, b"2\n"))
        self.end(login, running)

    def test_no_queue_any_more(self):
        login, running, waiting = self.begin()
        self.reload(LINE.replace("queue = 60s", ""))
        for one in waiting:
            status, _, err = read(one)
            self.assertEqual(status, 126)
            self.assertRegex(err, r'denied: tenant "acme" already runs 1 command, its max-execs \[')
        starts = self.server.audit(event="start", decision="deny")
        self.assertEqual([s["limit"] for s in starts], ["max-execs"] * 3)
        self.end(login, running)

    def test_a_shorter_wait(self):
        login, running, waiting = self.begin()
        self.reload(LINE.replace("queue = 60s", "queue = 1s"))
        for one in waiting:
            status, _, err = read(one)
            self.assertEqual(status, 126)
            self.assertRegex(err, "denied: waited 1s for its turn; ")
        self.end(login, running)


class Audit(ReloadTest):
    def reloads(self):
        return [{k: r[k] for k in ("generation", "result", "tenants", "keys", "errors")}
                for r in self.server.audit(event="reload")]

    def test_reloads(self):
        self.start()
        self.reload(POLICY + OTHER + "keys = keys/alice\n")
        self.assertEqual(self.reloads()[-1], {"generation": 2, "result": "loaded", "tenants": 2,
                                              "keys": 3, "errors": 0})
        self.server.write_policy(POLICY + "sell = x\nmax-execs = none\n")
        self.assertRegex(self.server.reload(),
                         r"\Areload refused: the policy has 2 errors; generation 2 stays\Z")
        self.assertEqual(self.reloads()[-1], {"generation": 3, "result": "refused", "tenants": None,
                                              "keys": None, "errors": 2})
        self.assertEqual(self.server.audit(event="reload")[-1]["reason"], "the policy has 2 errors")
        os.unlink(self.server.host_keys[0])
        self.server.write_policy(POLICY)
        self.assertRegex(self.server.reload(), r"\Areload refused: .*; generation 2 stays\Z")
        last = self.server.audit(event="reload")[-1]
        self.assertEqual((last["result"], last["errors"]), ("refused", 1))
        self.assertRegex(last["reason"], r"postern\.ini:\d+: error: host key .*host_ed25519")
        self.stop()

    def test_every_error_is_told_at_once(self):
        """What is wrong with the text, with this host, and with what [server] names."""
        self.start()
        os.chmod(self.server.host_keys[0], 0o644)
        self.server.write_policy(POLICY.replace(
            "network = none", "hide = /usr/no-such\nread = /no-such") + "sell = x\n")
        before = len(self.server.log())
        self.assertRegex(self.server.reload(),
                         r"\Areload refused: the policy has 4 errors; generation 1 stays\Z")
        told = re.findall(r" error   \S*/(\S+:\d+: error: .{20})", self.server.log()[before:])
        self.assertEqual([(line.split(": ")[0], line.split(": ")[2][:9]) for line in told],
                         [("tenants.ini:3", "sandbox '"), ("tenants.ini:4", "sandbox '"),
                          ("tenants.ini:9", "unknown k"), ("postern.ini:3", "host key ")])
        self.assertEqual(self.reloads()[-1]["errors"], 4)
        os.chmod(self.server.host_keys[0], 0o600)
        self.stop()

    def test_a_refusal_gives_its_number_back_and_a_new_file(self):
        self.start()
        trail = self.server.path("audit.log")
        self.server.write_policy(POLICY + "sell = x\n")
        for _ in range(2):
            os.replace(trail, trail + ".1")
            self.assertRegex(self.server.reload(), r"; generation 1 stays\Z")
            self.assertEqual([(r["generation"], r["result"]) for r in self.reloads()], [(2, "refused")])
        self.reload(POLICY)
        self.assertEqual([(r["generation"], r["result"]) for r in self.reloads()],
                         [(2, "refused"), (2, "loaded")])
        # One that can't be made again stays the old one.
        self.server.write_policy(POLICY + "sell = x\n")
        os.replace(trail, trail + ".1")
        os.mkdir(trail)
        self.assertRegex(self.server.reload(), r"; generation 2 stays\Z")
        self.server.wait_log(r"audit file \S+audit.log: Is a directory; the old one is written on")
        os.rmdir(trail)
        os.replace(trail + ".1", trail)
        self.assertEqual(self.reloads()[-1]["result"], "refused")
        self.reload(POLICY)
        self.stop()

    def test_ends_of_connections(self):
        self.start()
        begun = time.monotonic()
        login = self.login()
        for _ in range(2):
            self.assertEqual(read(login.run("true"))[0], 0)
        time.sleep(0.3)
        login.transport.close()
        record = self.closed(login)
        lasted = (time.monotonic() - begun) * 1000
        self.assertEqual((record["user"], record["tenant"], record["execs"], record["reason"],
                          record["limit"]), ("acme", "acme", 2, "the client closed it", None))
        self.assertGreaterEqual(record["duration_ms"], 300)
        self.assertLessEqual(record["duration_ms"], lasted)
        # Who never logged in has no end either: anybody could fill the trail.
        transport = paramiko.Transport(("127.0.0.1", self.server.port))
        transport.start_client(timeout=20 * PATIENCE)
        transport.close()
        self.server.wait_log(r"connection \S+-2 closed")
        self.assertEqual(len(self.server.audit(event="closed")), 1)
        self.stop()

    def test_a_session_that_dies(self):
        self.start()
        self.server.expect_deaths = True
        login = self.login()
        os.kill(self.server.session_pids()[0], signal.SIGSEGV)
        self.assertEqual(self.closed(login)["reason"], "its session died by signal 11")
        self.stop()


if __name__ == "__main__":
    main()
