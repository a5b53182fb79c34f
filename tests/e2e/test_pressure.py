"""The master at awkward moments: overtaken, overloaded, or with a process of its own lost."""
import os
import signal
import socket
import subprocess
import time

import paramiko

from harness import (EXEC_ID, LIVE, PATIENCE, POSTERND, PosternTest, SANITIZED, clean_env, main,
                     processes, rss_kib, run, wait_until)

POLICY = """
[sandbox "plain"]
time = 1h

[tenant "acme"]
keys      = keys/alice
sandbox   = plain
shell     = /bin/sh
max-execs = 200
"""


class Pressure(PosternTest):
    autostart = False

    def spawners(self, server):
        """Those of all generations, oldest first."""
        return sorted(pid for pid, (ppid, state, comm) in processes().items()
                      if ppid == server.process.pid and comm == "postern-spawner" and state != "Z")

    def test_lost_spawner_of_an_old_generation(self):
        """It must not bring its policy back, nor take the service down."""
        server = self.new_server(policy=POLICY).start()
        server.expect_deaths = True
        client = server.popen_ssh("acme", "echo up; exec sleep 300")
        self.assertEqual(client.stdout.readline(), b"up\n")
        old, = self.spawners(server)
        server.write_policy(POLICY + '[tenant "late"]\nuser = late\nkeys = keys/alice\n')
        self.assertRegex(server.reload(), r"\Areloaded: generation 2, 2 tenants\Z")
        os.kill(old, signal.SIGKILL)
        self.assertNotEqual(client.wait(20 * PATIENCE), 0)
        server.wait_log(r"spawner of the old generation 1 is gone")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")
        self.assertEqual(server.last_exec()[0]["generation"], 2)
        self.assertEqual(len(self.spawners(server)), 1)
        self.assertNotIn("reloaded: generation 1", server.log())

    def test_connections_while_starting(self):
        """A client that is there before the sandboxes are waits; nothing falls over."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        sandboxes = "".join(f'[sandbox "s{i}"]\ntime = {i + 1}s\n' for i in range(150))
        server = self.new_server(policy=POLICY + sandboxes, listen=(f"127.0.0.1:{port}",))
        server.start_only()
        sock = wait_until(lambda: self.connect(port), 20, "the port")
        with sock:
            server.wait_ready()
            sock.settimeout(20 * PATIENCE)
            self.assertEqual(sock.recv(4), b"SSH-")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")

    @staticmethod
    def connect(port):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None

    def test_signal_to_the_whole_group(self):
        """What a Ctrl-C does: clients are told, as with a SIGTERM to the master alone."""
        server = self.new_server(policy=POLICY).start(own_group=True)
        client = server.popen_ssh("acme", "echo up; exec sleep 300")
        self.assertEqual(client.stdout.readline(), b"up\n")
        os.killpg(server.process.pid, signal.SIGINT)
        _, err = client.communicate(timeout=30 * PATIENCE)
        self.assertEqual(client.returncode, 143)
        self.assertRegex(err.decode(),
                         rf"\Apostern: ended: the server is shutting down {EXEC_ID}\n\Z")
        self.assertEqual(server.process.wait(20 * PATIENCE), 0)
        server.ended()

    def test_burst_of_large_commands(self):
        """More than the spawner's queue holds: they wait, none is refused."""
        server = self.new_server(policy=POLICY).start()
        path, _ = server.mux()
        spawner, = self.spawners(server)
        # Stopped, it takes nothing until all have been asked for.
        os.kill(spawner, signal.SIGSTOP)
        try:
            line = "true " + "x" * 60000
            clients = [server.popen_ssh("acme", line, flags=["-S", path]) for _ in range(60)]
            server.wait_audit(60, timeout=60, event="start", decision="allow")
            self.assertEqual(server.audit(event="end"), [])
        finally:
            os.kill(spawner, signal.SIGCONT)
        codes = [client.wait(120 * PATIENCE) for client in clients]
        self.assertEqual(codes, [0] * 60)
        self.assertEqual({r["verdict"] for r in server.wait_audit(60, event="end")}, {"exited"})

    def test_refused_reload_moves_nothing(self):
        server = self.new_server(policy=POLICY).start()
        self.assertRan(server.ssh("acme", "true"), 0)
        server.extra = f"audit = {server.path('other.log')}\n"
        server.write_config()
        server.write_policy(POLICY + '[sandbox "bad"]\nread = /no/such/dir\n', "tenants.ini")
        self.assertRegex(server.reload(), r"\Areload refused: .*generation 1 stays\Z")
        self.assertRan(server.ssh("acme", "echo second"), 0, b"second\n")
        self.assertEqual([r["command"] for r in server.wait_audit(2, event="start")],
                         ["true", "echo second"])
        server.write_policy(POLICY)
        self.assertRegex(server.reload(), r"\Areloaded: ")
        self.assertRan(server.ssh("acme", "echo third"), 0, b"third\n")
        self.assertEqual(len(server.audit(event="start")), 2)
        with open(server.path("other.log"), "rb") as f:
            self.assertEqual(f.read().count(b'"event":"start"'), 1)

    def test_limit_of_tasks_is_named(self):
        server = self.new_server(policy=POLICY.replace("time = 1h", "time = 1h\ntasks = 3")).start()
        client = server.popen_ssh("acme", "sleep 300 & echo up; wait")
        self.assertEqual(client.stdout.readline(), b"up\n")
        got = server.ssh("acme", "true")
        self.assertEqual(got.code, 126, got)
        self.assertRegex(got.err.decode(), r"\Apostern: cannot-execute: /bin/sh: the sandbox's limit "
                                           rf"of tasks is reached {EXEC_ID}\n\Z")
        self.assertNotRegex(server.log(), r"error +\S+: sandbox")
        client.kill()
        client.wait()

    def test_reload_storm_while_commands_run(self):
        server = self.new_server(policy=POLICY).start()
        running = server.popen_ssh("acme", "echo up; sleep 3; echo done; exit 5")
        self.assertEqual(running.stdout.readline(), b"up\n")
        for i in range(40):
            server.write_policy(POLICY if i % 3 else POLICY + "bogus = 1\n")
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
            if i % 10 == 0:
                self.assertRan(server.ssh("acme", f"echo {i}"), 0, f"{i}\n".encode())
        out, _ = running.communicate(timeout=30 * PATIENCE)
        self.assertEqual((running.returncode, out), (5, b"done\n"))
        wait_until(lambda: len(self.spawners(server)) == 1, 15, "old spawners to go")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")

    def test_full_disk_under_the_audit(self):
        """Execs go on; the log says so once, and again when there is room."""
        server = self.new_server(policy=POLICY)
        small = server.path("small")
        os.mkdir(small)
        server.extra = f"audit = {small}/audit.log\n"
        server.write_config()
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", small], check=True)
            server.start()
            for i in range(12):
                self.assertRan(server.ssh("acme", f"echo {i}"), 0, f"{i}\n".encode())
            server.wait_log(r"error +the audit trail \S+ can't be written: No space left on device; "
                            "commands go on")
            self.assertEqual(server.log().count("can't be written"), 1)
            subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
            self.assertRan(server.ssh("acme", "echo again"), 0, b"again\n")
            server.wait_log(r"warning +the audit trail \S+ is written again")
        finally:
            server.stop()
            subprocess.run(["umount", small], check=True)

    def test_log_that_nobody_reads(self):
        """A stuck reader of the log loses lines; logins, execs and SIGTERM go on."""
        server = self.new_server(policy=POLICY).start()
        port = server.port
        server.stop()
        server.extra = f"listen = 127.0.0.1:{port}\n"
        server.write_config()
        reader, writer = os.pipe()
        process = subprocess.Popen([POSTERND, "-d", "-l", "trace", "-f", server.config], stderr=writer,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env=clean_env(server.dir))
        LIVE.add(process.pid)
        os.close(writer)
        try:
            wait_until(lambda: self.connect(port), 20, "the port").close()
            # Some 15 lines each: several times what the pipe holds.
            for i in range(150):
                self.assertRan(server.ssh("acme", f"echo {i}"), 0, f"{i}\n".encode())
            process.terminate()
            self.assertEqual(process.wait(20 * PATIENCE), 0)
        finally:
            LIVE.discard(process.pid)
            process.kill()
            process.wait()
            os.close(reader)

    def test_idle_connections_keep_nobody_out(self):
        """With every place taken by silent peers, who logs in takes the oldest one's."""
        server = self.new_server(policy=POLICY, server="max-startups = 10\n").start()
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        try:
            wait_until(lambda: server.ssh("acme", "echo on").out == b"on\n", 15, "a login")
            server.wait_log(r"gives way to a newer one: max-startups is reached")
            self.assertLessEqual(server.log().count("refused: max-startups is reached"), 10)
        finally:
            for sock in idle:
                sock.close()

    def test_endless_refusals_end_the_connection(self):
        server = self.new_server(policy=POLICY + '[tenant "none"]\nuser = none\nkeys = keys/alice\n',
                                 log_level="info").start()
        client = paramiko.Transport(socket.create_connection(("127.0.0.1", server.port)))
        client.start_client(timeout=20 * PATIENCE)
        client.auth_publickey("none", paramiko.Ed25519Key.from_private_key_file(
            server.path("user_alice")))
        refused = 0
        try:
            for _ in range(2000):
                channel = client.open_session(timeout=20 * PATIENCE)
                channel.exec_command("x")
                status = channel.recv_exit_status()
                if status == -1:
                    break
                self.assertEqual(status, 126)
                channel.close()
                refused += 1
        except (paramiko.SSHException, EOFError, OSError):
            pass  # the server is through with us: paramiko says so in one of several ways
        client.close()
        self.assertGreaterEqual(refused, 500)
        self.assertLess(refused, 2000)
        server.wait_log(r"ended: too many of its commands were refused")
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")

    def test_answers_that_nobody_reads(self):
        """A client that asks and never listens is cut off before its session grows."""
        server = self.new_server(policy=POLICY).start()
        client = paramiko.Transport(socket.create_connection(("127.0.0.1", server.port)))
        client.start_client(timeout=20 * PATIENCE)
        client.auth_publickey("acme", paramiko.Ed25519Key.from_private_key_file(
            server.path("user_alice")))
        session, = server.session_pids()
        client.packetizer.read_message = lambda *_: time.sleep(3600)
        ask = paramiko.Message()
        ask.add_byte(bytes([80]))
        ask.add_string("keepalive@openssh.com")
        ask.add_boolean(True)
        largest = 0
        try:
            for i in range(3_000_000):
                client.packetizer.send_message(ask)
                if i % 1000 == 0:
                    largest = max(largest, rss_kib(session))
        except (OSError, EOFError, KeyError, paramiko.SSHException):
            pass  # the connection, or the session itself, is gone
        server.wait_log(r"the client does not read the answers to what it sends", timeout=5)
        self.assertLess(largest, (400 if SANITIZED else 64) * 1024)
        client.sock.close()

    def test_too_few_descriptors(self):
        server = self.new_server(policy=POLICY)
        got = run(["sh", "-c", f"ulimit -n 64; exec {POSTERND} -d -f {server.config}"], check=False)
        self.assertEqual(got.code, 71, got)
        self.assertRegex(got.err.decode(), r"error +the limit of open files is too low .*ulimit -n")


main()
