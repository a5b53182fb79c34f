"""Many channels: each has its own bytes, its own end and a bounded share of memory.

The number of short execs is POSTERN_EXECS, 1,000 if that isn't set; `tests/run --long` runs 10,000.
"""
import asyncio
import hashlib
import os
import subprocess
import warnings

warnings.filterwarnings("ignore")
import asyncssh  # noqa: E402

from harness import PATIENCE, SANITIZED, PosternTest, clean_env, main, wait_until  # noqa: E402

EXECS = int(os.environ.get("POSTERN_EXECS", "1000"))
AT_ONCE = 100
MIB = 1 << 20

POLICY = """
[sandbox "plain"]
network = none
tasks   = 2000

[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 200
"""


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


class ManyTest(PosternTest):
    # The log of ten thousand execs is for nobody to read.
    server_args = {"policy": POLICY, "log_level": "info"}

    def connect(self, **how):
        return asyncssh.connect("127.0.0.1", self.server.port, username="acme", config=None,
                                known_hosts=None, agent_path=None,
                                client_keys=[self.server.path("user_alice")], **how)

    def go(self, coroutine, timeout=60):
        return asyncio.run(asyncio.wait_for(coroutine, timeout * PATIENCE))

    def assertAudited(self, since, count):
        """Each exec has its record, all of them over one connection."""
        ends = wait_until(lambda: (lambda r: len(r) >= count and r)(
            self.server.audit(event="end")[since:]), 30, "the audit of every exec")
        self.assertEqual((len(ends), len({r["connection"] for r in ends})), (count, 1))
        self.assertEqual({r["verdict"] for r in ends} - {"exited", "signalled"}, set())


def recipe(n):
    """The n-th short command: (line, input, output, errors, code or signal). Several write right up
    to their exit, more than a pipe or a packet holds."""
    code, kind = n % 256, n % 8
    size = (1, 4096, 32768, 65536, 65537, 131072, 200001)[n // 8 % 7]
    mark = b"%d" % n
    if kind == 0:
        return f"exit {code}", b"", b"", b"", code
    if kind == 1:
        return f"echo {n}; echo e{n} >&2; exit {code}", b"", b"%d\n" % n, b"e%d\n" % n, code
    if kind == 2:
        text = (mark + b",") * (size // (len(mark) + 1) + 1)
        return f"yes {n}, | tr -d '\\n' | head -c {size}; exit {code}", b"", text[:size], b"", code
    if kind == 3:
        text = (mark + b",") * (size // (len(mark) + 1) + 1)
        return (f"yes {n}, | tr -d '\\n' | head -c {size} >&2; exit {code}", b"", b"", text[:size],
                code)
    if kind == 4:
        return f"cat; exit {code}", mark * 3000, mark * 3000, b"", code
    if kind == 5:
        return f"echo {n}; kill -KILL $$", b"", mark + b"\n", b"", "KILL"
    if kind == 6:
        return f"exec >&-; echo {n} >&2; exit {code}", b"", b"", mark + b"\n", code
    digest = hashlib.sha256(mark * 500).hexdigest().encode()
    return f"sha256sum; exit {code}", mark * 500, digest + b"  -\n", b"", code


class Execs(ManyTest):
    async def one(self, conn, n):
        line, given, out, err, end = recipe(n)
        done = await conn.run(line, input=given, encoding=None)
        got = done.exit_signal[0] if done.exit_signal else done.exit_status
        # Not assertEqual(): what differs may be 200 KB.
        if (done.stdout, done.stderr, got) != (out, err, end):
            self.fail(f"exec {n}, {line!r}: {len(done.stdout)} of {len(out)} bytes, "
                      f"errors {done.stderr[:200]!r}, {got} instead of {end}")

    async def run_all(self, at_once, count):
        numbers = iter(range(count))

        async def runner(conn):
            for n in numbers:
                await self.one(conn, n)
        async with self.connect() as conn:
            await asyncio.gather(*(runner(conn) for _ in range(at_once)))

    def test_one_after_the_other(self):
        before = len(self.server.audit(event="end"))
        self.go(self.run_all(1, 1000), 180)
        self.assertAudited(before, 1000)

    def test_a_hundred_at_once(self):
        """The last byte of each arrives, and the code is its own."""
        before = len(self.server.audit(event="end"))
        self.go(self.run_all(AT_ONCE, EXECS), 120 + EXECS / 10)
        self.assertAudited(before, EXECS)

    def test_a_hundred_that_wait_for_each_other(self):
        """All of them run at the same time: the first to end is told to when the last has begun."""
        async def go():
            async with self.connect() as conn:
                running = [await conn.create_process("echo up; read x; echo $x; exit 3")
                           for _ in range(AT_ONCE)]
                for process in running:
                    self.assertEqual(await process.stdout.readline(), "up\n")
                for n, process in enumerate(running):
                    process.stdin.write(f"{n}\n")
                ends = [await process.wait() for process in running]
                return [(end.stdout, end.exit_status) for end in ends]
        self.assertEqual(self.go(go(), 120), [(f"{n}\n", 3) for n in range(AT_ONCE)])

    def test_openssh_multiplexed(self):
        """A hundred clients on one connection of OpenSSH's."""
        mux, master = self.server.mux()
        for batch in range(0, 100, 20):
            clients = []
            for n in range(batch, batch + 20):
                line, given, out, err, end = recipe(n)
                client = self.server.popen_ssh("acme", line, flags=["-S", mux])
                clients.append((client, given, (out, err, 255 if end == "KILL" else end)))
            for client, given, wanted in clients:
                out, err = client.communicate(given, timeout=60 * PATIENCE)
                self.assertTrue((out, err, client.returncode) == wanted, (client.args[-1], err))
        self.assertIsNone(master.poll())


class Ends(ManyTest):
    """EOF and half-close, by OpenSSH's client in a pipe line, as people use it."""

    def pipe_line(self, before, command, after, timeout=60):
        """before | ssh command | after: (output, exit codes of the three)."""
        env = clean_env(self.server.dir)
        first = subprocess.Popen(["sh", "-c", before], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, env=env)
        ssh = subprocess.Popen(self.server.ssh_argv("acme", command), stdin=first.stdout,
                               stdout=subprocess.PIPE, env=env)
        first.stdout.close()
        last = subprocess.Popen(["sh", "-c", after], stdin=ssh.stdout, stdout=subprocess.PIPE,
                                env=env)
        ssh.stdout.close()
        self.server.clients += [first, ssh, last]
        out, _ = last.communicate(timeout=timeout * PATIENCE)
        codes = [p.wait(timeout * PATIENCE) for p in (first, ssh, last)]
        return out, codes

    def test_sort(self):
        out, codes = self.pipe_line("seq 100000 -1 1", "sort -n", "sha256sum")
        wanted = hashlib.sha256(b"".join(b"%d\n" % n for n in range(1, 100001))).hexdigest()
        self.assertEqual((out, codes), (wanted.encode() + b"  -\n", [0, 0, 0]))

    def test_sha256sum(self):
        out, codes = self.pipe_line("head -c 30000000 /dev/zero", "sha256sum", "cat")
        wanted = hashlib.sha256(bytes(30000000)).hexdigest()
        self.assertEqual((out, codes), (wanted.encode() + b"  -\n", [0, 0, 0]))

    def test_head_while_the_client_still_sends(self):
        """The client learns the end at once, and its own input breaks."""
        out, codes = self.pipe_line("yes 0123456789", "head -c 10; exit 4", "cat")
        self.assertEqual((out, codes[1:]), (b"0123456789", [4, 0]))
        self.assertIn(codes[0], (1, -13, 141), "the writer had a broken pipe")

    def test_stdout_closed_and_alive(self):
        """Its input and errors go on; the channel ends when it does."""
        async def go():
            async with self.connect() as conn:
                process = await conn.create_process("exec >&-; while read x; do echo \"<$x>\" >&2; "
                                                    "done; exit 5")
                for n in range(5):
                    process.stdin.write(f"{n}\n")
                    self.assertEqual(await process.stderr.readline(), f"<{n}>\n")
                process.stdin.write_eof()
                done = await process.wait()
                return done.stdout, done.exit_status
        self.assertEqual(self.go(go()), ("", 5))

    def test_a_background_child_holds_the_pipe(self):
        """It ends with its command, and what both of them wrote until then has arrived."""
        async def go():
            async with self.connect() as conn:
                done = await conn.run("(echo child; exec sleep 1000) & sleep 0.2; echo parent; "
                                      "head -c 300000 /dev/zero; exit 6", encoding=None)
                return done.stdout, done.exit_status
        self.assertEqual(self.go(go()), (b"child\nparent\n" + bytes(300000), 6))
        wait_until(lambda: not self.server.exec_pids(), 10, "the child's end")


class Rekeying(ManyTest):
    def test_data_within_a_key_exchange_is_refused(self):
        """RFC 4253 section 7.1: after its KEXINIT a client sends no data until the exchange is over.
        asyncssh 2.10 does. It loses its connection, and nobody else anything."""
        async def go():
            async with self.connect() as good, self.connect(rekey_bytes=100000) as bad:
                running = await good.create_process("cat; exit 4", encoding=None)
                lost = await bad.run("cat", input=bytes(2 * MIB), encoding=None)
                done = await running.communicate(b"unhurt")
                return lost.exit_status, done[0], running.exit_status
        self.assertEqual(self.go(go()), (None, b"unhurt", 4))
        self.server.wait_log(r"info +\S+: protocol error: Packet filter: rejected packet \(type 94\)")


class Memory(ManyTest):
    """What a stalled channel costs: the numbers are in README and posternd(8)."""

    STALLED = 30  # less than what is held for all of them together

    async def measure(self, stall, each):
        """PSS of the session in KiB for each channel that `stall` stalls."""
        async with self.connect() as conn:
            await conn.run("true")
            pid = self.server.only_session()
            before = pss_kib(pid)
            held = [await stall(conn) for _ in range(self.STALLED)]
            now, steady = 0, 0
            while steady < 4:
                await asyncio.sleep(0.5)
                last, now = now, pss_kib(pid)
                steady = steady + 1 if now <= last * 1.01 else 0
            self.assertEqual((await conn.run("echo on")).stdout, "on\n")
            for process in held:
                process.close()
            cost = (now - before) / self.STALLED
            print(f"{each}: {cost:.0f} KiB", flush=True)
            return cost

    async def reads_nothing(self, conn):
        process = await conn.create_process("cat /dev/zero", encoding=None, window=1 << 16)
        process.channel.pause_reading()
        return process

    async def takes_nothing(self, conn):
        # A window's worth waits in libssh, is taken when the command reads a little, and the next one
        # waits behind it.
        process = await conn.create_process("sleep 1; head -c 70000 >/dev/null; exec sleep 1000",
                                            encoding=None)
        process.stdin.write(bytes(4 * MIB))
        return process

    def test_a_client_that_reads_nothing(self):
        cost = self.go(self.measure(self.reads_nothing, "a client that reads nothing"), 120)
        self.assertLess(cost, 400 if SANITIZED else 256)

    def test_a_command_that_reads_nothing(self):
        cost = self.go(self.measure(self.takes_nothing, "a command that reads nothing"), 120)
        self.assertLess(cost, (10 if SANITIZED else 1) * 2.6 * 1024)  # it keeps what was freed


if __name__ == "__main__":
    main()
