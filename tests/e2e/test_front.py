"""Before anybody has logged in: who is refused, who gives way, who is penalised, and who is told.

Clients choose addresses of 127.0.0.0/8 to come from; by default those are exempt from all of it.
"""
import re
import resource
import socket
import threading
import time

from harness import PATIENCE, VERSION, PosternTest, main, wait_until


def connect(port, source, wait=10):
    sock = socket.socket()
    sock.settimeout(wait * PATIENCE)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def read_all(sock):
    data = b""
    try:
        while True:
            piece = sock.recv(4096)
            if not piece:
                return data
            data += piece
    except ConnectionResetError:
        return data
    finally:
        sock.close()


class Front(PosternTest):
    autostart = False
    settings = ""

    def begin(self, settings):
        self.server = self.new_server(server=settings).start()
        self.open = []
        self.addCleanup(lambda: [s.close() for s in self.open])
        return self.server

    def silent(self, source, count=1):
        socks = [connect(self.server.port, source) for _ in range(count)]
        self.open += socks
        return socks

    def ssh_from(self, source, command="echo in", **how):
        return self.server.ssh("acme", command, flags=["-b", source], **how)

    def assert_served(self, source):
        """The version string comes."""
        sock = self.silent(source)[0]
        self.assertRegex(sock.recv(64), VERSION)
        return sock

    def assert_refused(self, source, why):
        self.assertEqual(read_all(connect(self.server.port, source)), f"postern: {why}\r\n".encode())


class Sources(Front):
    def test_those_that_have_not_logged_in(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = 3\n")
        socks = [self.assert_served("127.0.5.1") for _ in range(3)]
        self.assert_refused("127.0.5.1", "too many connections from your address that did not log "
                            "in; try again later")
        server.wait_log(r"connection from 127\.0\.5\.1 refused: max-startups-per-source is reached "
                        r"\(1 refused since the last such line\)")
        self.assert_served("127.0.5.2")
        self.assertRan(self.ssh_from("127.0.5.3"), 0, b"in\n")
        # A place is free again as soon as one has gone.
        socks[0].close()
        wait_until(lambda: connect(server.port, "127.0.5.1").recv(8) == b"SSH-2.0-", 10, "a place")
        server.stop()

    def test_those_that_have(self):
        server = self.begin("source-exempt = none\nmax-connections-per-source = 1\n")
        client = server.popen_ssh("acme", "echo on; cat", flags=["-b", "127.0.6.1"])
        self.assertEqual(client.stdout.readline(), b"on\n")
        self.assert_refused("127.0.6.1", "too many connections from your address")
        self.assertRan(self.ssh_from("127.0.6.2"), 0, b"in\n")
        client.stdin.close()
        client.wait()
        wait_until(lambda: self.ssh_from("127.0.6.1").code == 0, 10, "its place")
        server.stop()

    def test_networks_count_as_one(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = 2\n"
                            "source-prefix-ipv4 = 24\n")
        self.assert_served("127.0.7.1")
        self.assert_served("127.0.7.2")
        self.assert_refused("127.0.7.3", "too many connections from your address that did not log "
                            "in; try again later")
        self.assert_served("127.0.8.3")
        server.stop()

    def test_who_is_exempt(self):
        server = self.begin("source-exempt = 127.0.9.0/24 !127.0.9.9\n"
                            "max-startups-per-source = 1\n")
        for _ in range(5):
            self.assert_served("127.0.9.1")
        self.assert_served("127.0.9.9")
        self.assert_refused("127.0.9.9", "too many connections from your address that did not log "
                            "in; try again later")
        server.stop()


class Penalties(Front):
    def garbage(self, source):
        sock = connect(self.server.port, source)
        try:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
        except OSError:
            pass
        return read_all(sock)

    def test_what_is_not_ssh(self):
        server = self.begin("source-exempt = none\n")
        # A peer that is gone before it is answered is not known to have been wrong.
        for _ in range(40):
            self.garbage("127.0.10.1")
            if "is not served" in server.log():
                break
        server.wait_log(r"warning .*127\.0\.10\.1 is not served for 10 s: it does not speak SSH")
        self.assert_refused("127.0.10.1", "your address has to wait; try again later")
        server.wait_log(r"connection from 127\.0\.10\.1 refused: its source is penalised")
        self.assertRan(self.ssh_from("127.0.10.2"), 0, b"in\n")
        # It ends.
        wait_until(lambda: self.ssh_from("127.0.10.1").code == 0, 60, "the end of the penalty")
        server.stop()

    def test_failed_logins(self):
        server = self.begin("source-exempt = none\nmax-auth-tries = 2\n")
        server.user_key("stranger")
        # The limit is one refused key beyond "none": each connection comes to it.
        for name in ("s1", "s2", "s3"):
            server.user_key(name)
        flags = [f for n in ("s1", "s2", "s3") for f in ("-i", server.path(f"user_{n}"))]
        for _ in range(3):
            got = server.ssh("acme", "true", key=None, flags=["-b", "127.0.11.1", *flags])
            self.assertEqual(got.code, 255)
        server.wait_log(r"127\.0\.11\.1 is not served for 10 s: too many failed logins on one "
                        "connection")
        self.assert_refused("127.0.11.1", "your address has to wait; try again later")
        server.stop()

    def test_grace(self):
        server = self.begin("source-exempt = none\nlogin-grace = 1s\n")
        self.silent("127.0.12.1", 4)
        server.wait_log(r"127\.0\.12\.1 is not served for 10 s: connections that did not log in")
        server.stop()

    def test_looking_and_going_is_no_offence(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = infinity\n")
        for _ in range(40):
            connect(server.port, "127.0.13.1").close()
        for _ in range(20):
            self.assert_served("127.0.13.1").close()
            wait_until(lambda: not server.session_pids(), 10, "the session's end")
        self.assertRan(self.ssh_from("127.0.13.1"), 0, b"in\n")
        self.assertNotIn("is not served", server.log())
        server.stop()

    def test_exempt_by_default(self):
        server = self.begin("")
        for _ in range(6):
            self.garbage("127.0.14.1")
        self.assert_served("127.0.14.1")
        self.assertNotIn("is not served", server.log())
        server.stop()


class Floods(Front):
    def test_random_early_drop(self):
        server = self.begin("source-exempt = none\nmax-startups-per-source = infinity\n"
                            "max-startups = 5:100:50\n")
        # Within two seconds of each other nobody gives way.
        begun = time.monotonic()
        served = sum(read_start(s) for s in self.silent("127.0.15.1", 10))
        if time.monotonic() - begun < 1.5:
            self.assertEqual(served, 5)
            self.assertIn("refused: dropped at random, as max-startups is near", server.log())
        server.stop()

    def test_a_flood_keeps_out_strangers_alone(self):
        """Whoever comes from where somebody has logged in takes the place of one that doesn't."""
        server = self.begin("source-exempt = none\nmax-startups = 20\nlog-level = info\n")
        self.assertRan(self.ssh_from("127.0.18.1"), 0, b"in\n")
        flooding, held = threading.Event(), []
        flooding.set()

        def flood():
            n = 0
            while flooding.is_set():
                held.append(connect(server.port, f"127.{50 + n // 40000}.{n // 200 % 200}.{1 + n % 200}"))
                n += 1
                if len(held) > 100:
                    held.pop(0).close()
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            server.wait_log("refused: max-startups is reached")
            got = [self.ssh_from("127.0.18.1").out for _ in range(10)]
        finally:
            flooding.clear()
            thread.join()
            self.open += held
        self.assertEqual(got, [b"in\n"] * 10)
        server.wait_log("ended: gives way to one from where somebody has logged in: max-startups is reached")
        server.stop()

    def test_silent_connections_hurt_nobody(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        server = self.begin("source-exempt = none\nmax-startups = 20:30:40\nlog-level = info\n")
        client = server.popen_ssh("acme", "cat", flags=["-b", "127.0.16.1"])

        def echoes():
            client.stdin.write(b"x" * 1000 + b"\n")
            client.stdin.flush()
            return client.stdout.readline() == b"x" * 1000 + b"\n"
        self.assertTrue(echoes())
        for i in range(5000):
            self.silent(f"127.{20 + i // 1000}.{i // 200 % 250}.{1 + i % 200}")
            if i % 500 == 0:
                self.assertTrue(echoes())
        self.assertTrue(echoes())
        # Those who have given way may be dying still.
        wait_until(lambda: len(server.session_pids()) <= 42, 10, "no more sessions than may be")
        # Somebody new gets in while they are all there, and so does the next.
        for i in range(3):
            wait_until(lambda: self.ssh_from(f"127.0.17.{1 + i}").out == b"in\n", 20, "a login")
        self.assertTrue(echoes())
        refusals = re.findall(r"refused: (?:dropped at random|max-startups)", server.log())
        self.assertGreater(len(refusals), 0)
        self.assertLess(len(refusals), 300 * PATIENCE)
        client.stdin.close()
        self.assertEqual(client.wait(20 * PATIENCE), 0)
        server.stop()


def read_start(sock):
    try:
        return sock.recv(8) == b"SSH-2.0-"
    except OSError:
        return False


if __name__ == "__main__":
    main()
