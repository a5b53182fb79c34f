"""The stock OpenSSH client: streams, exit codes, EOF, multiplexing and rekeying."""
import hashlib
import os
import subprocess
import time

from harness import EXEC_ID, PATIENCE, PosternTest, clean_env, main, wait_until

MIB = 1 << 20
BLOB_SIZE = 64 * MIB


def pattern(size):
    """`size` bytes of every value, with no short period."""
    block = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))
    block = bytes(range(256)) + block
    return (block * (size // len(block) + 1))[:size]


POLICY = """
[sandbox "plain"]
read = {blob}:/data/blob

[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/bash
max-execs = 100
"""


class OpenSSH(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        cls.blob = pattern(BLOB_SIZE)
        path = cls.server.write("blob", cls.blob)
        cls.server.write_policy(POLICY.format(blob=path))
        cls.server.start()

    def ssh(self, *command, **how):
        return self.server.ssh("acme", *command, **how)

    def test_streams_stay_apart(self):
        self.assertRan(self.ssh("echo out; echo err >&2; exit 7"), 7, b"out\n", b"err\n")

    def test_words_are_joined_like_sshd_does(self):
        self.assertRan(self.ssh("printf", "'%s|'", "a", "'b  c'"), 0, b"a|b  c|")

    def test_silence(self):
        self.assertRan(self.ssh("true"), 0, b"", b"")

    def test_no_stdin(self):
        self.assertRan(self.ssh("cat; echo end", flags=["-n"], stdin=b"ignored"), 0, b"end\n")

    def test_every_byte_value_round_trips(self):
        data = bytes(range(256)) * 40
        self.assertRan(self.ssh("cat", stdin=data), 0, data)

    def test_every_byte_value_on_stderr(self):
        data = bytes(range(256)) * 4
        self.assertRan(self.ssh("cat >&2", stdin=data), 0, b"", data)

    def test_a_terminal_is_refused_politely(self):
        # A client that insists (-tt) gives up by itself; one that only asks goes on without.
        got = self.ssh("tty; exit 3", flags=["-tt"])
        self.assertEqual((got.code, got.out), (255, b""), got)
        self.assertEqual(got.err, b"PTY allocation request failed on channel 0\r\n")
        self.assertRan(self.ssh("tty; exit 3", flags=["-T"]), 3, b"not a tty\n")

    def test_client_half_close(self):
        self.assertRan(self.ssh("cat; echo after", stdin=b"before\n"), 0, b"before\nafter\n")

    def test_command_closes_stdout_and_goes_on(self):
        self.assertRan(self.ssh("exec >&-; cat >/dev/null; echo late >&2; exit 3", stdin=b"x" * MIB),
                       3, b"", b"late\n")

    def test_command_closes_stdin_under_load(self):
        got = self.ssh("exec <&-; sleep 0.3; echo out; exit 4", stdin=b"x" * (8 * MIB))
        self.assertRan(got, 4, b"out\n")

    def test_command_ends_with_unread_input(self):
        self.assertRan(self.ssh("head -c 10; exit 5", stdin=b"0123456789" * MIB), 5, b"0123456789")

    def test_last_byte_is_never_lost(self):
        for size in (1, 4095, 65536, 65537, 300001):
            got = self.ssh(f"head -c {size} /data/blob; head -c {size} /data/blob >&2; exit 9")
            self.assertEqual(got.code, 9)
            self.assertEqual(got.out, self.blob[:size])
            self.assertEqual(got.err, self.blob[:size])

    def test_a_background_process_dies_with_its_command(self):
        begun = time.monotonic()
        got = self.ssh("sleep 60 & echo started; exit 2")
        self.assertRan(got, 2, b"started\n")
        self.assertLess(time.monotonic() - begun, 10 * PATIENCE)

    def test_64_mib_up(self):
        got = self.ssh("sha256sum", stdin=self.blob, timeout=120)
        self.assertRan(got, 0, hashlib.sha256(self.blob).hexdigest().encode() + b"  -\n")

    def test_64_mib_down(self):
        got = self.ssh("cat /data/blob", timeout=120)
        self.assertEqual((got.code, len(got.out), got.err), (0, BLOB_SIZE, b""))
        self.assertEqual(hashlib.sha256(got.out).digest(), hashlib.sha256(self.blob).digest())

    def test_64_mib_both_ways_at_once(self):
        got = self.ssh("cat", stdin=self.blob, timeout=120)
        self.assertEqual((got.code, len(got.out), got.err), (0, BLOB_SIZE, b""))
        self.assertEqual(hashlib.sha256(got.out).digest(), hashlib.sha256(self.blob).digest())

    def test_rekeying_again_and_again(self):
        data = self.blob[:4 * MIB]
        got = self.ssh("cat", stdin=data, timeout=120,
                       options=["RekeyLimit=128K", "LogLevel=DEBUG1"])
        self.assertEqual((got.code, got.out == data), (0, True), got.err[-2000:])
        self.assertGreater(got.err.count(b"SSH2_MSG_NEWKEYS received"), 8)

    def test_forwardings_are_refused_and_the_command_runs(self):
        got = self.ssh("echo on", flags=["-A", "-X"], options=["ForwardX11Trusted=yes"])
        self.assertEqual((got.code, got.out), (0, b"on\n"), got)

    def test_local_forwarding_is_refused(self):
        got = self.ssh(flags=["-W", "127.0.0.1:22"], options=["LogLevel=INFO"])
        self.assertNotEqual(got.code, 0)
        self.assertIn(b"channel 0: open failed: administratively prohibited", got.err)

    def test_remote_forwarding_is_refused(self):
        got = self.ssh("echo on", flags=["-R", "0:127.0.0.1:9"], options=["LogLevel=INFO"])
        self.assertEqual((got.code, got.out), (0, b"on\n"))
        self.assertIn(b"remote port forwarding failed for listen port 0", got.err)
        got = self.ssh("echo on", flags=["-R", "0:127.0.0.1:9"], options=["ExitOnForwardFailure=yes"])
        self.assertEqual((got.code, got.out), (255, b""))

    def test_subsystem_and_login_shell_are_denied_with_a_reason(self):
        got = self.ssh("sftp", flags=["-s"])
        self.assertEqual((got.code, got.out), (126, b""), got)
        self.assertLine(got.err, rf"postern: denied: .+ {EXEC_ID}")
        got = self.ssh(flags=["-T"])
        self.assertEqual((got.code, got.out), (126, b""), got)
        self.assertLine(got.err, rf"postern: denied: .+ {EXEC_ID}")

    def test_compression_is_not_offered(self):
        got = self.ssh("true", flags=["-C"], options=["LogLevel=DEBUG1"])
        self.assertEqual(got.code, 0)
        self.assertIn(b"compression: none", got.err)
        self.assertNotIn(b"compression: zlib", got.err)


class Multiplexed(PosternTest):
    server_args = {"policy": POLICY.replace("read = {blob}:/data/blob\n", "")}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mux, cls.master = cls.server.mux()

    def ssh(self, *command, **how):
        return self.server.ssh("acme", *command, flags=["-S", self.mux], **how)

    def test_all_exit_codes(self):
        got = [self.ssh(f"exit {n}").code for n in range(256)]
        self.assertEqual(got, list(range(256)))
        wait_until(lambda: [r["exit"] for r in self.server.audit(event="end")
                            if r["verdict"] == "exited"][-256:] == list(range(256)), 10,
                   "their records, in order")

    def test_twenty_at_once(self):
        begun = time.monotonic()
        clients = [self.server.popen_ssh("acme", f"cat; sleep 1; echo {i} >&2; exit {i}",
                                         flags=["-S", self.mux]) for i in range(20)]
        for i, client in enumerate(clients):
            client.stdin.write(b"in %d" % i)
            client.stdin.close()
        for i, client in enumerate(clients):
            out, err = client.stdout.read(), client.stderr.read()
            client.wait(60 * PATIENCE)
            self.assertEqual((client.returncode, out, err), (i, b"in %d" % i, b"%d\n" % i))
        self.assertLess(time.monotonic() - begun, 15 * PATIENCE, "they did not run in parallel")
        self.assertIsNone(self.master.poll(), "all of it went over one connection")

    def test_a_killed_client_ends_only_its_own_exec(self):
        victim = self.server.popen_ssh("acme", "echo up; exec sleep 300", flags=["-S", self.mux])
        self.assertEqual(victim.stdout.readline(), b"up\n")
        victim.kill()
        victim.wait()
        self.assertRan(self.ssh("echo fine"), 0, b"fine\n")
        wait_until(lambda: not self.server.exec_pids(), 15, "the end of its exec")


class ManyConnections(PosternTest):
    server_args = {"policy": POLICY.replace("read = {blob}:/data/blob\n", "")}

    def test_twenty_connections_at_once(self):
        argv = self.server.ssh_argv("acme", "cat; echo $SSH_CONNECTION")
        clients = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, env=clean_env(self.server.dir))
                   for _ in range(20)]
        seen = set()
        for client in clients:
            out, err = client.communicate(b"x\n", timeout=90 * PATIENCE)
            self.assertEqual((client.returncode, err), (0, b""))
            self.assertRegex(out.decode(), rf"\Ax\n127\.0\.0\.1 \d+ 127\.0\.0\.1 {self.server.port}\n\Z")
            seen.add(out)
        self.assertEqual(len(seen), 20)

    def test_a_slow_reader_gets_everything(self):
        client = self.server.popen_ssh("acme", "head -c 3000000 /dev/zero; echo end >&2")
        time.sleep(1)
        out, err = client.communicate(timeout=60 * PATIENCE)
        self.assertEqual((client.returncode, len(out), err), (0, 3000000, b"end\n"))

    def test_a_reader_that_stops(self):
        # `| head -c 5`: the client's stdout is closed, and it throws away what still comes.
        read, write = os.pipe()
        client = subprocess.Popen(self.server.ssh_argv("acme", "yes"), stdin=subprocess.DEVNULL,
                                  stdout=write, stderr=subprocess.PIPE,
                                  env=clean_env(self.server.dir))
        os.close(write)
        self.assertEqual(os.read(read, 5), b"y\ny\ny")
        os.close(read)
        self.assertRan(self.server.ssh("acme", "echo on"), 0, b"on\n")
        client.terminate()
        client.communicate(timeout=30 * PATIENCE)
        wait_until(lambda: not self.server.exec_pids(), 15, "the end of `yes`")


if __name__ == "__main__":
    main()
