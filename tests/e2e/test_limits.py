"""What a tenant may have at once: connections, commands, starts per time, waiting ones; and what one
command may do: be idle, write. Each limit says which it is, to the client and in the audit."""
import os
import re
import socket
import time
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import EXEC_ID, PATIENCE, PosternTest, main, wait_until  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none
[sandbox "short"]
time = 6s
[sandbox "restless"]
idle-time = 3s
[sandbox "terse"]
output = 1000
[sandbox "meg"]
output = 1M

[tenant "acme"]
keys    = keys/alice
keys    = keys/bob
sandbox = plain
shell   = /bin/bash
[tenant "two"]
extends = acme
user    = two
max-connections = 2
[tenant "silent"]
extends = acme
user    = silent
max-connections = 1
explain = none
[tenant "any"]
extends = acme
user    = any
max-execs = infinity
max-connections = infinity
[tenant "line"]
extends = acme
user    = line
max-execs = 1
queue   = 60s
[tenant "mute"]
extends = line
user    = mute
explain = none
[tenant "brief"]
extends = line
user    = brief
queue   = 1s
[tenant "timed"]
extends = line
user    = timed
sandbox = short
[tenant "rated"]
extends = acme
user    = rated
rate    = 3/h
[tenant "paced"]
extends = acme
user    = paced
rate    = 2/s
queue   = 60s
[tenant "restless"]
extends = acme
user    = restless
sandbox = restless
[tenant "terse"]
extends = acme
user    = terse
sandbox = terse
[tenant "meg"]
extends = acme
user    = meg
sandbox = meg
"""
RUNS_ONE = 'tenant "{}" already runs 1 command, its max-execs'


class Login:
    """One paramiko connection."""

    def __init__(self, server, user, key="alice"):
        self.transport = paramiko.Transport(("127.0.0.1", server.port))
        self.transport.start_client(timeout=20 * PATIENCE)
        self.transport.auth_publickey(
            user, paramiko.Ed25519Key.from_private_key_file(server.path(f"user_{key}")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.transport.close()

    def run(self, command):
        return Exec(self.transport, command)


class Exec:
    """One command on a connection of its own channel."""

    def __init__(self, transport, command):
        self.channel = transport.open_session(timeout=20 * PATIENCE)
        self.channel.settimeout(30 * PATIENCE)
        self.channel.exec_command(command)
        self.err = b""

    def line(self):
        """The next line on its stderr."""
        while b"\n" not in self.err:
            got = self.channel.recv_stderr(4096)
            if not got:
                raise AssertionError(f"no line: {self.err!r}")
            self.err += got
        line, _, self.err = self.err.partition(b"\n")
        return line.decode()

    def wait_line(self, pattern):
        """Lines up to one that matches whole."""
        while True:
            line = self.line()
            if re.fullmatch(pattern, line):
                return line

    def out(self, size):
        got = b""
        while len(got) < size:
            more = self.channel.recv(size - len(got))
            if not more:
                break
            got += more
        return got

    def finish(self, data=b""):
        """Sends what is left and reads to the end: (status, stdout, the rest of stderr)."""
        if data:
            self.channel.sendall(data)
        self.channel.shutdown_write()
        out, err = b"", self.err
        while True:
            got = self.channel.recv(65536)
            if not got:
                break
            out += got
        while True:
            got = self.channel.recv_stderr(65536)
            if not got:
                break
            err += got
        return self.channel.recv_exit_status(), out, err.decode()


def queued(place, tenant="line", seconds=r"\d+[sm]"):
    return (rf"postern: queued: place {place}, at most {seconds}; "
            rf"{re.escape(RUNS_ONE.format(tenant))} {EXEC_ID}")


class LimitTest(PosternTest):
    server_args = {"policy": POLICY, "keys": ("alice", "bob")}

    def setUp(self):
        self.logins = []

    def tearDown(self):
        for login in self.logins:
            login.transport.close()
        wait_until(lambda: not self.server.exec_pids() and not self.server.session_pids(), 20,
                   "everything to end")

    def login(self, user, key="alice"):
        login = Login(self.server, user, key)
        self.logins.append(login)
        return login

    def assert_denied(self, got, reason, limit, **match):
        """(status, out, err) is a refusal for this limit; the audit says so too."""
        status, out, err = got
        self.assertEqual((status, out), (126, b""), got)
        line = err.splitlines()[-1]
        self.assertRegex(line, rf"\Apostern: denied: {reason} {EXEC_ID}\Z")
        exec_id = line[line.rindex("[") + 1:-1]
        start, = self.server.wait_audit(event="start", exec=exec_id)
        end, = self.server.wait_audit(event="end", exec=exec_id)
        self.assertEqual((start["decision"], start["limit"], end["verdict"], end["exit"]),
                         ("deny", limit, "denied", 126))
        self.assertRegex(start["reason"], rf"\A{reason}\Z")
        return start


class MaxConnections(LimitTest):
    def refused(self, user="two", told='tenant "two" already has 2 connections, its max-connections'):
        got = self.server.ssh(user, "echo in")
        self.assertEqual((got.code, got.out), (255, b""), got)
        self.assertLine(got.err, rf"Received disconnect from 127\.0\.0\.1 port \d+:\d+: {told}")

    def test_one_too_many(self):
        first, second = self.login("two"), self.login("two", "bob")
        self.refused()
        closed = self.server.wait_audit(event="closed", limit="max-connections", tenant="two")[-1]
        self.assertEqual((closed["user"], closed["reason"]),
                         ("two", 'tenant "two" already has 2 connections, its max-connections'))
        # A client that asks before it has read the news is told the same.
        for start in self.server.audit(event="start", connection=closed["connection"]):
            self.assertEqual((start["decision"], start["limit"]), ("deny", "max-connections"))
        self.assertEqual(self.server.audit(event="auth", connection=closed["connection"])[-1]
                         ["result"], "accepted")
        self.server.wait_log(rf"info +connection {closed['connection']} from \S+ port \d+ is closed: "
                             r'tenant "two" already has 2 connections, its max-connections')
        # Those who were there first stay, and a place that is given back is free.
        self.assertEqual(first.run("echo in").finish()[:2], (0, b"in\n"))
        second.transport.close()
        wait_until(lambda: self.server.ssh("two", "echo in").code == 0, 10, "a free place")
        self.assertEqual(first.run("echo still").finish()[:2], (0, b"still\n"))

    def test_half_open_ones_do_not_count(self):
        with socket.create_connection(("127.0.0.1", self.server.port)) as silent, \
                paramiko.Transport(("127.0.0.1", self.server.port)) as failed:
            self.assertEqual(silent.recv(4), b"SSH-")
            failed.start_client(timeout=20 * PATIENCE)
            with self.assertRaises(paramiko.AuthenticationException):
                failed.auth_password("two", "x")
            first = self.login("two")
            self.assertRan(self.server.ssh("two", "echo in"), 0, b"in\n")
            self.assertEqual(first.run("echo in").finish()[:2], (0, b"in\n"))

    def test_other_tenants_are_not_concerned(self):
        self.login("two")
        self.login("two")
        self.assertRan(self.server.ssh("acme", "echo in"), 0, b"in\n")

    def test_no_more_than_the_policy_explains(self):
        self.login("silent")
        self.refused("silent", "too many connections")

    def test_infinity(self):
        login = self.login("any")
        execs = [login.run("cat") for _ in range(70)]  # the default is 64
        for n, one in enumerate(execs):
            self.assertEqual(one.finish(b"%d" % n)[:2], (0, b"%d" % n))


class Queue(LimitTest):
    def test_place_by_place(self):
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        begun = time.monotonic()
        second = login.run("echo 2; cat")
        self.assertRegex(second.line(), rf"\A{queued(1, seconds='(1m|60s|59s)')}\Z")
        third = login.run("echo 3")
        self.assertRegex(third.line(), rf"\A{queued(2)}\Z")
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(second.out(2), b"2\n")
        third.wait_line(queued(1))
        waited = (time.monotonic() - begun) * 1000
        self.assertEqual(second.finish(b"in")[:2], (0, b"in"))
        self.assertEqual(third.finish(), (0, b"3\n", ""))
        starts = self.server.wait_audit(3, event="start", tenant="line", user="line")[-3:]
        self.assertEqual([s["command"] for s in starts], ["echo 1; cat", "echo 2; cat", "echo 3"])
        self.assertEqual([(s["decision"], s["limit"]) for s in starts], [("allow", None)] * 3)
        self.assertEqual(starts[0]["queued_ms"], 0)
        self.assertGreater(starts[2]["queued_ms"], 0)
        self.assertLessEqual(starts[1]["queued_ms"], waited)

    def test_fair_between_keys(self):
        alice, bob = self.login("line"), self.login("line", "bob")
        first = alice.run("echo up; cat")
        self.assertEqual(first.out(3), b"up\n")
        before = len(self.server.audit(event="start", user="line"))
        waiting = [alice.run(f"echo a{n}") for n in range(3)]
        for n, one in enumerate(waiting):
            self.assertRegex(one.line(), rf"\A{queued(n + 1)}\Z")
        late = [bob.run(f"echo b{n}") for n in range(2)]
        # One of each in turn, not behind all that the other key has asked for.
        self.assertRegex(late[0].line(), rf"\A{queued(2)}\Z")
        self.assertRegex(late[1].line(), rf"\A{queued(4)}\Z")
        waiting[1].wait_line(queued(3))
        waiting[2].wait_line(queued(5))
        self.assertEqual(first.finish()[0], 0)
        for one in waiting + late:
            self.assertEqual(one.finish()[0], 0)
        order = [s["command"] for s in self.server.audit(event="start", user="line")[before:]]
        self.assertEqual(order, ["echo a0", "echo b0", "echo a1", "echo b1", "echo a2"])

    def test_time_is_over(self):
        login = self.login("brief")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        second = login.run("echo 2")
        self.assertRegex(second.line(), rf"\A{queued(1, 'brief', '1s')}\Z")
        start = self.assert_denied(second.finish(),
                                   "waited 1s for its turn; " + RUNS_ONE.format("brief"), "queue")
        self.assertGreaterEqual(start["queued_ms"], 1000)
        self.assertEqual(first.finish(b"on")[:2], (0, b"on"))
        self.assertEqual(login.run("echo 3").finish()[:2], (0, b"3\n"))

    def test_data_sent_while_waiting(self):
        login, data = self.login("line"), os.urandom(1 << 20)
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        second = login.run("cat; echo err >&2; exit 3")
        self.assertRegex(second.line(), rf"\A{queued(1)}\Z")
        second.channel.sendall(data)
        second.channel.shutdown_write()
        time.sleep(0.2)
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(second.out(len(data)), data)
        self.assertEqual(second.finish(), (3, b"", "err\n"))

    def test_with_stock_ssh(self):
        first = self.server.popen_ssh("line", "echo up; cat")
        self.assertEqual(first.stdout.readline(), b"up\n")
        second = self.server.popen_ssh("line", "cat; exit 4")
        self.assertRegex(second.stderr.readline().decode().rstrip("\n"), rf"\A{queued(1)}\Z")
        first.communicate(timeout=20 * PATIENCE)
        out, err = second.communicate(b"data", timeout=20 * PATIENCE)
        self.assertEqual((second.returncode, out, err), (4, b"data", b""))

    def test_the_clock_starts_with_the_command(self):
        login = self.login("timed")  # six seconds each
        first = login.run("echo 1; sleep 4")
        self.assertEqual(first.out(2), b"1\n")
        second = login.run("sleep 3; echo 2")
        second.wait_line(queued(1, "timed"))
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(second.finish()[:2], (0, b"2\n"))

    def test_the_client_closes_the_channel(self):
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        second, third = login.run("echo 2"), login.run("echo 3")
        second.wait_line(queued(1))
        third.wait_line(queued(2))
        second.channel.close()
        third.wait_line(queued(1))
        start, = self.server.wait_audit(event="start", command="echo 2", limit="queue",
                                        connection=self.connection(login))
        self.assertRegex(start["reason"], r"\Athe client went away after it had waited \d+s\Z")
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(third.finish()[:2], (0, b"3\n"))

    def test_the_client_goes_away(self):
        login, other = self.login("line"), self.login("line")
        first = other.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        waiting = [login.run(f"echo {n}") for n in range(5)]
        waiting[4].wait_line(queued(5))
        third = other.run("echo 3")
        third.wait_line(queued(r"\d"))
        connection = self.connection(login)
        login.transport.close()
        third.wait_line(queued(1))
        self.server.wait_audit(5, event="start", decision="deny", limit="queue",
                               connection=connection)
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(third.finish()[:2], (0, b"3\n"))

    def connection(self, login):
        port = login.transport.sock.getsockname()[1]
        return self.server.wait_audit(event="auth", port=port)[-1]["connection"]

    def test_no_more_than_may_wait(self):
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        waiting = [login.run("true") for _ in range(64)]
        waiting[63].wait_line(queued(64))
        self.assert_denied(login.run("true").finish(),
                           "as many commands of this connection wait already as may", "queue")
        other = self.login("line").run("echo other")
        other.wait_line(queued(65))
        self.assertEqual(first.finish()[0], 0)
        for one in waiting:
            self.assertEqual(one.finish()[0], 0)
        self.assertEqual(other.finish()[:2], (0, b"other\n"))

    def test_a_reload_changes_no_place(self):
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        waiting = [login.run("true") for _ in range(3)]
        for place, one in enumerate(waiting, 1):
            one.wait_line(queued(place))
        for _ in range(3):
            self.assertIn("reloaded", self.server.reload())
        self.assertEqual(first.finish()[0], 0)
        for place, one in enumerate(waiting, 1):
            code, _, err = one.finish()
            self.assertEqual(code, 0)
            told = [int(line.split("place ")[1].split(",")[0]) for line in err.splitlines()]
            self.assertEqual(told, sorted(set(told) & set(range(1, place)), reverse=True))

    def test_not_more_than_a_line_a_second(self):
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        waiting = [login.run("true") for _ in range(30)]
        begun = time.monotonic()
        last = login.run("true")
        last.wait_line(queued(31))
        self.assertEqual(first.finish()[0], 0)
        for one in waiting:
            self.assertEqual(one.finish()[0], 0)
        _, _, err = last.finish()
        lines = err.splitlines()
        self.assertLessEqual(len(lines), time.monotonic() - begun)
        for line in lines:
            self.assertRegex(line, rf"\A{queued(r'[0-9]+')}\Z")

    def test_rules_come_first(self):
        """What would be denied anyway does not wait for it."""
        login = self.login("line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        self.assert_denied(login.run("-c true").finish(), "a command line can't begin with '-'", None)
        self.assertEqual(first.finish()[0], 0)

    def test_no_more_than_the_policy_explains(self):
        login = self.login("mute")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        second = login.run("echo 2")
        second.wait_line(rf"postern: queued: place 1, at most \S+ {EXEC_ID}")
        self.assertEqual(first.finish()[0], 0)
        self.assertEqual(second.finish()[:2], (0, b"2\n"))

    def test_stopping_the_server(self):
        server = self.new_server(policy=POLICY, keys=("alice", "bob")).start()
        login = Login(server, "line")
        first = login.run("echo 1; cat")
        self.assertEqual(first.out(2), b"1\n")
        second = login.run("echo 2")
        second.wait_line(queued(1))
        server.process.terminate()
        status, out, err = second.finish()
        self.assertEqual((status, out), (126, b""), err)
        self.assertRegex(err, rf"\Apostern: denied: the server is shutting down {EXEC_ID}\n\Z")
        self.assertEqual(first.finish()[0], 143)
        login.transport.close()
        self.assertEqual(server.process.wait(20 * PATIENCE), 0)
        server.ended()
        start, = server.audit(event="start", command="echo 2")
        self.assertEqual((start["decision"], start["limit"]), ("deny", "stopping"))
        closed, = server.audit(event="closed")
        self.assertEqual((closed["user"], closed["execs"]), ("line", 2))


class Rate(LimitTest):
    def test_over_all_connections_and_reloads(self):
        for key in ("alice", "bob", "alice"):
            self.assertRan(self.server.ssh("rated", "echo on", key=key), 0, b"on\n")
        reason = (r'tenant "rated" may start 3 commands per hour, its rate; '
                  r"the next in (\d+)m")
        login = self.login("rated")
        start = self.assert_denied(login.run("echo on").finish(), reason, "rate")
        minutes = int(re.search(r"in (\d+)m", start["reason"])[1])
        self.assertLessEqual(minutes, 20)
        self.assertRegex(self.server.reload(), "reloaded")
        self.assert_denied(login.run("echo on").finish(), reason, "rate")
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")

    def test_with_a_queue(self):
        login = self.login("paced")
        begun = time.monotonic()
        execs = [login.run(f"echo {n}") for n in range(5)]
        # Of those before it some may have had their turn since.
        told = execs[4].line()
        self.assertRegex(told, r"\Apostern: queued: place [1-3], at most \S+; "
                               rf'tenant "paced" may start 2 commands per second, its rate {EXEC_ID}\Z')
        for n, one in enumerate(execs):
            self.assertEqual(one.finish()[:2], (0, b"%d\n" % n))
        # Two at once, then one every half second.
        self.assertGreaterEqual(time.monotonic() - begun, 1.4)


class Idle(LimitTest):
    def test_nothing_moves(self):
        login = self.login("restless")
        begun = time.monotonic()
        one = login.run("echo begun; sleep 300")
        self.assertEqual(one.out(6), b"begun\n")
        while not one.channel.exit_status_ready():
            time.sleep(0.05)
            self.assertLess(time.monotonic() - begun, 30 * PATIENCE)
        took = time.monotonic() - begun
        status, out, err = one.finish()
        self.assertEqual((status, out), (124, b""), err)
        self.assertRegex(err, rf"\Apostern: idle: no input or output for 3s {EXEC_ID}\n\Z")
        self.assertGreaterEqual(took, 3)
        _, end = self.server.last_exec(user="restless")
        self.assertEqual((end["verdict"], end["exit"], end["cause"]), ("idle", 124, "idle limit"))

    def test_output_is_life(self):
        login = self.login("restless")
        for redirect in ("", " >&2"):
            one = login.run(f"for i in 1 2 3 4 5 6 7 8 9 10; do echo $i{redirect}; sleep 0.5; done")
            self.assertEqual(one.finish()[0], 0)

    def test_input_is_life(self):
        one = self.login("restless").run("cat >/dev/null; echo end")
        for _ in range(10):
            one.channel.sendall(b"x")
            time.sleep(0.5)
        self.assertEqual(one.finish()[:2], (0, b"end\n"))

    def test_a_command_that_does_not_want_to_end(self):
        got = self.server.ssh("restless", "trap '' TERM HUP; sleep 300; sleep 300; sleep 300")
        self.assertEqual(got.code, 124, got)
        self.assertLine(got.err, rf"postern: idle: no input or output for 3s {EXEC_ID}")

    def test_no_limit(self):
        self.assertRan(self.server.ssh("acme", "sleep 5; echo on"), 0, b"on\n")


class Output(LimitTest):
    def over(self, user, command, size, out=None, limit="1000 bytes"):
        got = self.server.ssh(user, command)
        self.assertEqual((got.code, len(got.out)), (153, size), got.err)
        if out is not None:
            self.assertEqual(got.out, out)
        lines = got.err.decode().splitlines()
        self.assertRegex(lines[-1], r"\Apostern: output: it wrote more than "
                                    rf"{limit}, the limit of its output {EXEC_ID}\Z")
        _, end = self.server.last_exec(user=user)
        self.assertEqual((end["verdict"], end["exit"], end["cause"]), ("output", 153, "output limit"))
        self.assertEqual(end["bytes_out"] + end["bytes_err"], 1000 if user == "terse" else 1 << 20)
        return got

    def test_exactly_as_much_as_may_be(self):
        self.assertRan(self.server.ssh("terse", "head -c 1000 /dev/zero"), 0, b"\0" * 1000)
        self.assertRan(self.server.ssh("meg", f"head -c {1 << 20} /dev/zero; exit 3"), 3,
                       b"\0" * (1 << 20))

    def test_one_byte_more(self):
        """Also where the command has ended before anybody looks."""
        for _ in range(20):
            self.over("terse", "head -c 1001 /dev/zero; exit 3", 1000)

    def test_the_end_is_seen_before_the_last_byte(self):
        """A client that reads slowly: the command has ended well before it is over its limit."""
        channel = self.login("meg").transport.open_session(window_size=32768,
                                                           timeout=20 * PATIENCE)
        channel.settimeout(30 * PATIENCE)
        before = len(self.server.log())
        channel.exec_command(f"head -c {(1 << 20) + 1} /dev/zero; exit 3")
        size = 0
        while size < (1 << 20) - 40000:
            size += len(channel.recv(1000))
        self.server.wait_log(r"debug +\S+: exited 3", start=before)
        time.sleep(0.3)
        size += len(channel.makefile("rb").read())
        line = channel.makefile_stderr("rb").read().decode()
        self.assertEqual((size, channel.recv_exit_status()), (1 << 20, 153), line)
        self.assertRegex(line, rf"\Apostern: output: .* 1M, the limit of its output {EXEC_ID}\n\Z")

    def test_without_end(self):
        self.over("terse", "yes", 1000, b"y\n" * 500)
        self.over("meg", "yes abcdefg", 1 << 20, b"abcdefg\n" * (1 << 17), limit="1M")

    def test_both_streams_count(self):
        got = self.over("terse", "head -c 400 /dev/zero >&2; sleep 0.5; head -c 900 /dev/zero", 600)
        self.assertEqual(got.err[:400], b"\0" * 400)

    def test_a_command_that_ignores_everything(self):
        self.over("terse", "trap '' PIPE TERM HUP; while :; do echo x 2>/dev/null; done", 1000,
                  b"x\n" * 500)

    def test_input_does_not_count(self):
        got = self.server.ssh("terse", "wc -c", stdin=b"z" * 100000)
        self.assertRan(got, 0, b"100000\n")

    def test_others_on_the_connection_go_on(self):
        login = self.login("terse")
        other = login.run("echo up; cat")
        self.assertEqual(other.out(3), b"up\n")
        loud = login.run("yes")
        self.assertEqual(loud.finish()[0], 153)
        self.assertEqual(other.finish(b"on")[:2], (0, b"on"))


if __name__ == "__main__":
    main()
