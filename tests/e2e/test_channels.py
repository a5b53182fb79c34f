"""Channels and requests at the protocol level: replies, refusals, stalls and bounded memory."""
import asyncio
import time
import warnings

warnings.filterwarnings("ignore")
import asyncssh  # noqa: E402
from asyncssh.packet import Boolean, String, UInt32  # noqa: E402

from harness import EXEC_ID, PATIENCE, SANITIZED, PosternTest, main, rss_kib, wait_until  # noqa: E402

MSG_REQUEST_SUCCESS, MSG_REQUEST_FAILURE = 81, 82
OPEN_REFUSED = 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, the only one that libssh can say

POLICY = """
[sandbox "plain"]
network = none
tasks   = 2000

[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 200
accept-env = LC_* CI
"""
# What a session may hold beside its buffers; a sanitized one is far bigger.
SESSION_MIB = 600 if SANITIZED else 48


class Events(asyncssh.SSHClientSession):
    """Writes down what the server says on a channel, in order."""

    def __init__(self):
        self.seen, self.data, self.err = [], b"", b""
        self.closed = asyncio.get_event_loop().create_future()

    def data_received(self, data, datatype):
        if datatype:
            self.err += data
        else:
            self.data += data
        if not self.seen or self.seen[-1] != "data":
            self.seen.append("data")

    def eof_received(self):
        self.seen.append("eof")
        return True

    def exit_status_received(self, status):
        self.seen.append(("exit-status", status))

    def exit_signal_received(self, signal, core_dumped, msg, lang):
        self.seen.append(("exit-signal", signal))

    def connection_lost(self, exc):
        self.seen.append("closed")
        if not self.closed.done():
            self.closed.set_result(None)


class ChannelTest(PosternTest):
    server_args = {"policy": POLICY}

    def connect(self, **how):
        return asyncssh.connect("127.0.0.1", self.server.port, username="acme", config=None,
                                known_hosts=None, agent_path=None,
                                client_keys=[self.server.path("user_alice")], **how)

    def go(self, coroutine, timeout=60):
        return asyncio.run(asyncio.wait_for(coroutine, timeout * PATIENCE))

    @staticmethod
    async def raw_channel(conn, kind=b"session", *args, max_pktsize=32768):
        """A channel of which nothing has been asked yet."""
        chan = asyncssh.channel.SSHClientChannel(conn, asyncio.get_event_loop(), None, "strict",
                                                 1 << 20, max_pktsize)
        session = Events()
        packet = await chan._open(kind, *args)
        packet.check_end()
        chan._session = session
        chan._recv_paused = False
        return chan, session


class Requests(ChannelTest):
    def test_order_of_the_end(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                self.assertTrue(await chan._make_request(b"exec", String("echo hi; exit 3")))
                await session.closed
                return session
        session = self.go(go())
        self.assertEqual(session.data, b"hi\n")
        self.assertEqual(session.seen, ["data", "eof", ("exit-status", 3), "closed"])

    def test_env_replies(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                replies = [await chan._make_request(b"env", String(name), String(value))
                           for name, value in (("LC_ALL", "C"), ("CI", "1"), ("CIX", "1"),
                                               ("LD_PRELOAD", "/x"), ("PATH", "/x"), ("lc_all", "C"),
                                               ("LC_", "ok"), ("LC_A=B", "x"), ("LC_A\n", "x"),
                                               ("", "x"), ("LC_X", "v" * 4097))]
                await chan._make_request(b"exec", String("echo $LC_ALL $CI $CIX $LC_X."))
                await session.closed
                return replies, session.data
        replies, data = self.go(go())
        self.assertEqual(replies, [True, True] + [False] * 4 + [True] + [False] * 4)
        self.assertEqual(data, b"C 1 .\n")

    def test_env_is_counted(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                replies = [await chan._make_request(b"env", String(f"LC_{n}"), String("x" * 4000))
                           for n in range(200)]
                await chan._make_request(b"exec", String("env | grep -c ^LC_"))
                await session.closed
                return sum(replies), session.data
        accepted, data = self.go(go())
        self.assertLessEqual(accepted, 64)
        self.assertEqual(data, b"%d\n" % accepted)

    def test_requests_after_exec(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                first = await chan._make_request(b"exec", String("sleep 0.5; echo first $LC_A."))
                late = [await chan._make_request(b"exec", String("echo second")),
                        await chan._make_request(b"shell"),
                        await chan._make_request(b"subsystem", String("sftp")),
                        await chan._make_request(b"env", String("LC_A"), String("late"))]
                await session.closed
                return first, late, session
        first, late, session = self.go(go())
        self.assertTrue(first)
        self.assertEqual(late, [False] * 4)
        self.assertEqual(session.data, b"first .\n")
        self.assertIn(("exit-status", 0), session.seen)

    def test_unknown_channel_requests_get_a_failure(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                replies = [await chan._make_request(name, *args) for name, args in (
                    (b"no-such-request@example.com", ()),
                    (b"x11-req", (Boolean(False), String("MIT"), String("00"), UInt32(0))),
                    (b"auth-agent-req@openssh.com", ()),
                    (b"pty-req", (String("xterm"), UInt32(80), UInt32(24), UInt32(0), UInt32(0),
                                  String(b"\0"))))]
                # Without a reply wanted there must be none: the next reply is the exec's.
                chan._send_request(b"window-change", UInt32(1), UInt32(1), UInt32(0), UInt32(0))
                chan._send_request(b"no-such-request@example.com")
                running = await chan._make_request(b"exec", String("echo on"))
                await session.closed
                return replies, running, session.data
        self.assertEqual(self.go(go()), ([False] * 4, True, b"on\n"))

    def test_unknown_global_requests_get_a_failure(self):
        async def go():
            async with self.connect() as conn:
                kinds = [(await conn._make_global_request(name, *args))[0] for name, args in (
                    (b"keepalive@openssh.com", ()), (b"no-such-request@example.com", ()),
                    (b"tcpip-forward", (String("127.0.0.1"), UInt32(0))),
                    (b"streamlocal-forward@openssh.com", (String("/tmp/x"),)),
                    (b"no-more-sessions@openssh.com", ()))]
                return kinds, (await conn.run("echo on")).stdout
        kinds, out = self.go(go())
        # To a keepalive either answer is an answer.
        self.assertIn(kinds[0], (MSG_REQUEST_SUCCESS, MSG_REQUEST_FAILURE))
        self.assertEqual((kinds[1:], out), ([MSG_REQUEST_FAILURE] * 4, "on\n"))

    def test_other_channel_types_are_refused(self):
        address = (String("127.0.0.1"), UInt32(self.server.port), String("127.0.0.1"), UInt32(1))
        kinds = ((b"direct-tcpip", address),
                 (b"forwarded-tcpip", address),
                 (b"direct-streamlocal@openssh.com", (String("/run/x"), String(""), UInt32(0))),
                 (b"x11", (String("127.0.0.1"), UInt32(1))),
                 (b"auth-agent@openssh.com", ()),
                 (b"tun@openssh.com", (UInt32(1), UInt32(0))),
                 (b"no-such-type@example.com", ()))

        async def go():
            async with self.connect() as conn:
                codes = []
                for kind, args in kinds:
                    try:
                        await self.raw_channel(conn, kind, *args)
                        codes.append(None)
                    except asyncssh.ChannelOpenError as refused:
                        codes.append(refused.code)
                return codes, (await conn.run("echo on")).stdout
        self.assertEqual(self.go(go()), ([OPEN_REFUSED] * len(kinds), "on\n"))

    def test_close_without_exec(self):
        async def go():
            async with self.connect() as conn:
                for _ in range(50):
                    chan, session = await self.raw_channel(conn)
                    chan.close()
                    await session.closed
                return (await conn.run("echo on")).stdout
        self.assertEqual(self.go(go()), "on\n")

    def test_close_while_running_ends_the_exec(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                await chan._make_request(b"exec", String("trap '' HUP TERM; sleep 300"))
                await asyncio.to_thread(wait_until, self.server.exec_pids, 10, "the exec")
                chan.close()
                await session.closed
                await asyncio.to_thread(wait_until, lambda: not self.server.exec_pids(), 20,
                                        "its end")
                return (await conn.run("echo on")).stdout
        self.assertEqual(self.go(go()), "on\n")

    def test_eof_before_exec(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                chan.write_eof()
                await chan._make_request(b"exec", String("cat; echo end"))
                await session.closed
                return session.data
        self.assertEqual(self.go(go()), b"end\n")

    def test_data_before_exec_reaches_the_command(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                chan._send_state = "open"
                chan.write(b"early\n")
                await chan._make_request(b"exec", String("cat"))
                chan.write_eof()
                await session.closed
                return session.data
        self.assertEqual(self.go(go()), b"early\n")

    def test_more_channels_than_allowed(self):
        server = self.new_server(policy=POLICY, server="max-channels = 5\n").start()

        async def go():
            async with asyncssh.connect("127.0.0.1", server.port, username="acme", config=None,
                                        known_hosts=None, agent_path=None,
                                        client_keys=[server.path("user_alice")]) as conn:
                channels = [await self.raw_channel(conn) for _ in range(5)]
                with self.assertRaises(asyncssh.ChannelOpenError) as refused:
                    await self.raw_channel(conn)
                channels[0][0].close()
                await channels[0][1].closed
                return refused.exception.code, (await conn.run("echo on")).stdout
        self.assertEqual(self.go(go()), (OPEN_REFUSED, "on\n"))


class ExitSignals(ChannelTest):
    def test_names(self):
        async def one(conn, name):
            chan, session = await self.raw_channel(conn)
            await chan._make_request(b"exec", String(f"exec sh -c 'kill -{name} $$'"))
            await session.closed
            return session.seen

        async def go():
            async with self.connect() as conn:
                return {name: await one(conn, name) for name in names}
        # RFC 4254 section 6.10 has these; the rest are in the form name@domain.
        rfc = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM",
               "USR1", "USR2"]
        others = ["BUS", "XCPU", "VTALRM"]
        names = rfc + others
        seen = self.go(go())
        for name in rfc:
            self.assertEqual(seen[name], ["eof", ("exit-signal", name), "closed"])
        for name in others:
            self.assertEqual(len(seen[name]), 3, seen[name])
            self.assertRegex(seen[name][1][1], rf"\A(SIG)?{name}@[a-z.]+\Z")

    def test_openssh_shows_255(self):
        self.assertRan(self.server.ssh("acme", "kill -SEGV $$"), 255, b"", None)


class Stalls(ChannelTest):
    """A hundred channels on one connection, one of which is stuck."""

    def session_mib(self):
        pids = self.server.session_pids()
        self.assertEqual(len(pids), 1)
        return rss_kib(pids[0]) / 1024

    async def others(self, conn, count=99):
        """Runs `count` execs side by side; the longest time that one of them took."""
        async def one(n):
            begun = time.monotonic()
            done = await conn.run(f"cat; exit {n}", input=b"%d" % n * 5000, encoding=None)
            self.assertEqual((done.exit_status, done.stdout), (n, b"%d" % n * 5000))
            return time.monotonic() - begun
        return max(await asyncio.gather(*(one(n) for n in range(count))))

    async def measure(self, stall):
        async with self.connect() as conn:
            free = await self.others(conn)
            stuck = await stall(conn)
            stalled = await self.others(conn)
            mib = await asyncio.to_thread(self.session_mib)
            stuck.close()
            return free, stalled, mib

    def judge(self, free, stalled, mib):
        self.assertLess(stalled, max(3 * free, free + 5 * PATIENCE),
                        f"{free:.2f} s without, {stalled:.2f} s with a stalled channel")
        self.assertLess(mib, SESSION_MIB)

    def test_the_peer_reads_nothing(self):
        async def stall(conn):
            process = await conn.create_process("cat /dev/zero", encoding=None, window=1 << 16)
            process.channel.pause_reading()
            await asyncio.sleep(1)
            return process
        self.judge(*self.go(self.measure(stall), 120))

    def test_the_command_reads_nothing(self):
        async def stall(conn):
            process = await conn.create_process("sleep 300", encoding=None)
            for _ in range(512):
                process.stdin.write(b"x" * 65536)  # 32 MiB, of which a window's worth is sent
            await asyncio.sleep(1)
            return process
        self.judge(*self.go(self.measure(stall), 120))

    def test_every_channel_stalls_and_memory_stays_bounded(self):
        async def go():
            async with self.connect() as conn:
                stuck = []
                for n in range(98):
                    process = await conn.create_process(
                        "sleep 300" if n % 2 else "cat /dev/zero", encoding=None, window=1 << 17)
                    process.channel.pause_reading()
                    if n % 2:
                        process.stdin.write(b"x" * (1 << 20))
                    stuck.append(process)
                await asyncio.sleep(2)
                mib = await asyncio.to_thread(self.session_mib)
                slowest = await self.others(conn, 2)
                return mib, slowest
        mib, slowest = self.go(go(), 120)
        self.assertLess(mib, 2 * SESSION_MIB)
        self.assertLess(slowest, 10 * PATIENCE)

    def test_a_stalled_channel_recovers(self):
        async def go():
            async with self.connect() as conn:
                process = await conn.create_process("head -c 5000000 /dev/zero; exit 6",
                                                    encoding=None, window=1 << 16)
                process.channel.pause_reading()
                await asyncio.sleep(0.5)
                process.channel.resume_reading()
                out = await process.stdout.read()
                await process.wait_closed()
                return len(out), process.exit_status
        self.assertEqual(self.go(go()), (5000000, 6))

    def test_a_command_that_reads_late(self):
        async def go():
            async with self.connect() as conn:
                done = await conn.run("sleep 1; sha256sum", input=b"z" * 8000000, encoding=None)
                return done.stdout
        import hashlib
        self.assertEqual(self.go(go()),
                         hashlib.sha256(b"z" * 8000000).hexdigest().encode() + b"  -\n")


class SmallPackets(ChannelTest):
    """A client that announces a maximum packet size of 10 must hurt nobody but itself."""

    server_args = {"policy": POLICY, "log_level": "trace"}

    def test_it_ends_and_others_do_not_notice(self):
        self.server.expect_deaths = True  # the watchdog ends the session, if it got that far

        async def hostile():
            try:
                async with self.connect() as conn:
                    try:
                        done = await conn.run("echo " + "x" * 1000, max_pktsize=10, encoding=None)
                        return b"ended" if done.exit_status is None else done.stdout
                    except asyncssh.ChannelOpenError:
                        return b"refused"
            except (asyncssh.Error, OSError):
                return b"ended"

        async def go():
            attack = asyncio.create_task(hostile())
            slowest = 0
            for _ in range(10):
                begun = time.monotonic()
                # From another address: the source of an ended session may be penalised.
                async with asyncssh.connect(
                        "127.0.0.1", self.server.port, username="acme", config=None,
                        known_hosts=None, agent_path=None, local_addr=("127.0.0.9", 0),
                        client_keys=[self.server.path("user_alice")]) as conn:
                    self.assertEqual((await conn.run("echo on")).stdout, "on\n")
                slowest = max(slowest, time.monotonic() - begun)
                await asyncio.sleep(0.3)
            return slowest, await attack
        slowest, fate = self.go(go())
        self.assertIn(fate, (b"refused", b"ended"))
        self.assertLess(slowest, 5 * PATIENCE)
        wait_until(lambda: not self.server.session_pids(), 15, "the end of the session")
        self.assertIsNone(self.server.process.poll())


class Denials(ChannelTest):
    server_args = {"policy": POLICY.replace("shell     = /bin/bash", "command   = echo {word}")}

    def test_a_denied_exec_is_accepted_explained_and_closed(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                accepted = await chan._make_request(b"exec", String("rm -rf /"))
                await session.closed
                return accepted, session
        accepted, session = self.go(go())
        self.assertTrue(accepted)
        self.assertEqual(session.data, b"")
        self.assertRegex(session.err.decode(), rf"\Apostern: denied: .+ {EXEC_ID}\r?\n\Z")
        self.assertEqual([e for e in session.seen if e != "data"],
                         ["eof", ("exit-status", 126), "closed"])


if __name__ == "__main__":
    main()
