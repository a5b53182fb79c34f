"""Signals that a client sends (RFC 4254 §6.9) and how they end a command (§6.10)."""
import asyncio

import asyncssh
from asyncssh.packet import String

from harness import EXEC_ID, main, wait_until
from test_channels import ChannelTest

# Each trap says its name; the child is in the same group and gets the signal, too.
NAMES = ("ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2")
TRAPS = "; ".join(f"trap 'echo {name}' {name}" for name in NAMES)
TALK = TRAPS + "; echo ready; while :; do read -t 0.05 line && exit $line; done"


class SignalTest(ChannelTest):
    async def start(self, conn, command):
        chan, session = await self.raw_channel(conn)
        self.assertTrue(await chan._make_request(b"exec", String(command)))
        return chan, session

    @staticmethod
    async def until(session, text):
        await asyncio.to_thread(wait_until, lambda: text in session.data, 20, repr(text))

    def signal(self, chan, name):
        chan._send_request(b"signal", String(name))


class Signals(SignalTest):
    def test_every_name_reaches_the_command(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.start(conn, TALK)
                await self.until(session, b"ready\n")
                for name in NAMES:
                    self.signal(chan, name)
                    await self.until(session, name.encode() + b"\n")
                chan._send_state = "open"
                chan.write(b"7\n")
                await session.closed
                return session
        session = self.go(go())
        self.assertEqual(session.data.split(), [b"ready"] + [n.encode() for n in NAMES])
        self.assertIn(("exit-status", 7), session.seen)

    def test_the_whole_group_gets_it(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.start(
                    conn, "sh -c 'trap \"echo child; exit\" USR1; echo ready; "
                          "while :; do sleep 0.05; done' & trap 'echo parent' USR1; wait; wait; exit 3")
                await self.until(session, b"ready\n")
                self.signal(chan, "USR1")
                await session.closed
                return session
        session = self.go(go())
        self.assertEqual(sorted(session.data.split()), [b"child", b"parent", b"ready"])
        self.assertIn(("exit-status", 3), session.seen)

    def test_how_it_died_comes_back(self):
        async def go(name):
            async with self.connect() as conn:
                chan, session = await self.start(conn, "echo ready; exec sleep 300")
                await self.until(session, b"ready\n")
                self.signal(chan, name)
                await session.closed
                return session.seen
        for name in ("KILL", "TERM", "HUP", "SEGV", "USR1"):
            with self.subTest(name):
                self.assertEqual(self.go(go(name))[-3:], ["eof", ("exit-signal", name), "closed"])

    def test_one_right_behind_the_command(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                chan._send_request(b"exec", String("sleep 300"))
                self.signal(chan, "TERM")
                await session.closed
                return session.seen
        self.assertEqual(self.go(go())[-2:], [("exit-signal", "TERM"), "closed"])

    def test_what_is_no_signal_or_too_early_is_ignored(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.raw_channel(conn)
                self.signal(chan, "KILL")
                self.assertTrue(await chan._make_request(
                    b"exec", String("trap 'echo USR1; exit 4' USR1; echo ready; "
                                    "while :; do sleep 0.05; done")))
                await self.until(session, b"ready\n")
                for name in ("", "STOP", "SIGKILL", "9", "kill", "KILL@postern", "RTMIN", "x" * 9999,
                             "US\0R1", "CONT", "TSTP"):
                    self.signal(chan, name)
                # Malformed, and with more behind it.
                chan._send_request(b"signal")
                chan._send_request(b"signal", b"\xff\xff\xff\xffKILL")
                self.signal(chan, "USR1")
                await session.closed
                return session
        session = self.go(go())
        self.assertEqual(session.data, b"ready\nUSR1\n")
        self.assertIn(("exit-status", 4), session.seen)

    def test_after_the_end_nothing_happens(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.start(conn, "exit 0")
                await asyncio.to_thread(wait_until, lambda: ("exit-status", 0) in session.seen, 20,
                                        "the end")
                self.signal(chan, "TERM")
                await session.closed
                return (await conn.run("echo on")).stdout
        self.assertEqual(self.go(go()), "on\n")

    def test_a_flood_hurts_nobody(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.start(
                    conn, "trap : USR1; echo ready; while :; do read -t 0.05 l && exit 0; done")
                await self.until(session, b"ready\n")
                for _ in range(20000):
                    self.signal(chan, "USR1")
                other = await conn.run("echo other")
                chan._send_state = "open"
                # A read of bash's that is interrupted by a trap may lose what it has got.
                while not session.closed.done():
                    chan.write(b"end\n")
                    await asyncio.sleep(0.1)
                return session.seen, other.stdout
        seen, other = self.go(go())
        self.assertIn(("exit-status", 0), seen)
        self.assertEqual(other, "other\n")
        passed = self.server.log().count("signal 10 from the client")
        self.assertTrue(0 < passed < 2000, passed)

    def test_a_stopped_group_dies_by_kill(self):
        async def go():
            async with self.connect() as conn:
                chan, session = await self.start(conn, "echo ready; kill -STOP $$")
                await self.until(session, b"ready\n")
                self.signal(chan, "KILL")
                await session.closed
                return session.seen
        self.assertEqual(self.go(go())[-2:], [("exit-signal", "KILL"), "closed"])


class Queued(SignalTest):
    """Of a command that waits for its turn."""
    server_args = {"policy": """
[tenant "acme"]
keys      = keys/alice
shell     = /bin/bash
max-execs = 1
queue     = 60s
"""}

    async def queue(self, conn):
        """One that runs and one that waits: (channel, session) of both."""
        first = await self.start(conn, "echo ready; read line; exit $line")
        await self.until(first[1], b"ready\n")
        second = await self.start(conn, "echo second; exit 7")
        await asyncio.to_thread(wait_until, lambda: b"queued: place 1" in second[1].err, 20)
        return first, second

    def test_one_that_ends_it_ends_the_wait(self):
        async def go(name):
            async with self.connect() as conn:
                (chan, session), (waiting, told) = await self.queue(conn)
                self.signal(waiting, name)
                await told.closed
                chan.write(b"3\n")
                await session.closed
                return session.seen, told
        for number, name in ((15, "TERM"), (2, "INT"), (1, "HUP"), (3, "QUIT"), (9, "KILL")):
            with self.subTest(name):
                seen, told = self.go(go(name))
                self.assertEqual(seen[-2:], [("exit-status", 3), "closed"])
                self.assertEqual(told.seen[-3:], ["eof", ("exit-signal", name), "closed"])
                self.assertRegex(told.err.decode(), r"\Apostern: queued: .*\npostern: signalled: its "
                                 rf"client sent {name} after it had waited \S+ {EXEC_ID}\n\Z")
                start = self.server.wait_audit(event="start", decision="deny", limit="queue")[-1]
                end = self.server.wait_audit(event="end", exec=start["exec"])[-1]
                self.assertEqual((end["verdict"], end["signal"], end["reason"]),
                                 ("signalled", number, start["reason"]))

    def test_another_one_does_not(self):
        async def go():
            async with self.connect() as conn:
                (chan, _), (waiting, session) = await self.queue(conn)
                for name in ("USR1", "ALRM", "PIPE", "STOP"):
                    self.signal(waiting, name)
                chan.write(b"0\n")
                await session.closed
                return session
        session = self.go(go())
        self.assertIn(b"second\n", session.data)
        self.assertEqual(session.seen[-2:], [("exit-status", 7), "closed"])


if __name__ == "__main__":
    main()
