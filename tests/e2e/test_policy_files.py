"""Policy files: who may have written them, and how posternd loads many of them while others work."""
import os
import shutil
import signal
import sys
import tempfile
import time

from harness import (PATIENCE, POSTERN, POSTERND, PREFIX, SANITIZED, SOURCE, PosternTest, main, processes,
                     rss_kib, run, wait_until)

sys.path.insert(0, os.path.join(SOURCE, "tests/bench"))
import big_policy  # noqa: E402 pylint: disable=wrong-import-position,import-error

SOMEBODY = 12345  # no user has it
OWNER_HINT = " (or name the owner with 'policy-owner' in [server])"
POLICY = """
[sandbox "plain"]
network = none
[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""


class Files(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY)
        self.addCleanup(self.server.remove)
        os.chmod(self.server.dir, 0o755)

    def path(self, name):
        return self.server.path(name)

    def assertRefused(self, *lines):
        """Both tools say exactly that, and end with EX_CONFIG; lines begin with the file's name."""
        wanted = [f"{self.path('') if not line.startswith('/') else ''}{line}" for line in lines]
        summary = f"posternd: the policy has {len(lines)} error{'s' if len(lines) != 1 else ''}"
        got = run([POSTERND, "-t", "-f", self.server.config], check=False)
        self.assertEqual((got.code, got.out), (78, b""), got)
        self.assertEqual(got.err.decode().splitlines(), wanted + [summary])
        got = run([POSTERN, "check", "-f", self.server.config], check=False)
        self.assertEqual(got.code, 78, got)
        told = (got.out + got.err).decode().splitlines()
        self.assertEqual([line for line in told if ": error: " in line], wanted)

    def assertAccepted(self):
        got = run([POSTERND, "-t", "-f", self.server.config], check=False)
        self.assertRan(got, 0, b"OK: 1 tenant\n")
        self.assertEqual(run([POSTERN, "check", "-f", self.server.config], check=False).code, 0)


class Trust(Files):
    def test_a_parent_that_others_may_write(self):
        os.chmod(self.server.dir, 0o777)
        top = self.server.dir
        why = f"{top} is writable by group and others (mode 777): chmod go-w {top}"
        # Where all else is, and who may own it, would stand there.
        self.assertRefused(f"postern.ini: error: {why}")
        os.chmod(top, 0o1777)
        self.assertAccepted()
        os.chmod(top, 0o755)
        self.assertAccepted()

    def test_the_policy_directory(self):
        path = self.path("policy.d")
        os.chmod(path, 0o775)
        self.assertRefused(f"policy.d: error: writable by group (mode 775): chmod g-w {path}")
        os.chmod(path, 0o755)
        os.chown(path, SOMEBODY, 0)
        self.assertRefused(
            f"policy.d: error: owned by uid 12345: chown root {path}{OWNER_HINT}")

    def test_a_policy_file(self):
        path = self.path("policy.d/tenants.ini")
        os.chmod(path, 0o646)
        self.assertRefused(
            f"policy.d/tenants.ini: error: writable by others (mode 646): chmod o-w {path}")
        os.chmod(path, 0o644)
        os.chown(path, SOMEBODY, 0)
        self.assertRefused(
            f"policy.d/tenants.ini: error: owned by uid 12345: chown root {path}{OWNER_HINT}")

    def test_the_configuration(self):
        """Nobody can be named there who may own it."""
        os.chown(self.server.config, SOMEBODY, 0)
        got = run([POSTERND, "-t", "-f", self.server.config], check=False)
        self.assertEqual(got.code, 78, got)
        self.assertEqual(got.err.decode().splitlines()[0],
                         f"{self.server.config}: error: owned by uid 12345: "
                         f"chown root {self.server.config}")

    def test_key_files(self):
        keys, alice = self.path("policy.d/keys"), self.path("policy.d/keys/alice")
        at = f"policy.d/tenants.ini:5: error: keys: '{alice}'"
        os.chmod(alice, 0o664)
        self.assertRefused(f"{at}: writable by group (mode 664): chmod g-w {alice}")
        os.chmod(alice, 0o644)
        os.chown(keys, SOMEBODY, 0)
        self.assertRefused(
            f"{at}: {keys} is owned by uid 12345: chown root {keys}{OWNER_HINT}")

    def test_links(self):
        # Where a link leads to is judged as if it had been named.
        os.mkdir(self.path("shared"), 0o755)
        os.rename(self.path("policy.d/tenants.ini"), self.path("shared/tenants.ini"))
        os.symlink("../shared/tenants.ini", self.path("policy.d/tenants.ini"))
        self.server.write("policy.d/none", "")
        os.rename(self.path("policy.d/keys"), self.path("shared/keys"))
        os.symlink(self.path("shared/keys"), self.path("policy.d/keys"))
        self.assertAccepted()
        shared = self.path("shared")
        os.chmod(shared, 0o775)
        self.assertRefused(f"policy.d/tenants.ini: error: {shared} is writable by group (mode 775): "
                           f"chmod g-w {shared}")

    def test_a_link_in_a_place_that_all_may_write(self):
        os.mkdir(self.path("drop"))
        os.chmod(self.path("drop"), 0o1777)
        os.rename(self.path("policy.d/keys"), self.path("drop/keys"))
        link = self.path("drop/link")
        os.symlink("keys", link)
        os.symlink("../drop/link", self.path("policy.d/keys"))
        self.assertAccepted()
        os.chown(link, SOMEBODY, 0, follow_symlinks=False)
        self.assertRefused(f"policy.d/tenants.ini:5: error: keys: '{self.path('policy.d/keys/alice')}': "
                           f"{link} is a link owned by uid 12345: chown -h root {link}{OWNER_HINT}")

    def test_a_named_owner(self):
        for name in ("policy.d", "policy.d/tenants.ini", "policy.d/keys", "policy.d/keys/alice"):
            os.chown(self.path(name), 1, 1)
        path = self.path("policy.d")
        self.assertRefused(
            f"policy.d: error: owned by uid 1 (daemon): chown root {path}{OWNER_HINT}")
        self.server.extra = "policy-owner = daemon\n"
        self.server.write_config()
        self.assertAccepted()
        os.chmod(path, 0o775)
        self.assertRefused(f"policy.d: error: writable by group (mode 775): chmod g-w {path}")

    def test_what_is_no_file(self):
        os.mkfifo(self.path("policy.d/fifo.ini"), 0o600)
        os.mkdir(self.path("policy.d/dir.ini"))
        os.symlink("/dev/zero", self.path("policy.d/zero.ini"))
        os.symlink("nowhere", self.path("policy.d/gone.ini"))
        gone = self.path("policy.d/nowhere")
        self.assertRefused("policy.d/dir.ini: error: not a regular file",
                           "policy.d/fifo.ini: error: not a regular file",
                           f"policy.d/gone.ini: error: {gone} can't be opened: "
                           "No such file or directory",
                           "policy.d/zero.ini: error: /dev/zero is not a regular file")

    def test_relative_names_are_judged_from_the_root(self):
        os.chmod(self.server.dir, 0o775)
        top = self.server.dir
        got = run(["sh", "-c", 'cd "$1/policy.d" && exec "$2" -t -f ../postern.ini', "sh", top,
                   POSTERND], check=False)
        self.assertEqual(got.code, 78, got)
        self.assertIn(f"../postern.ini: error: {top} is writable by group (mode 775): "
                      f"chmod g-w {top}\n", got.err.decode())


    def test_host_keys(self):
        os.mkdir(self.path("private"), 0o755)
        os.rename(self.server.host_keys[0], self.path("private/key"))
        self.server.extra = f"host-key = {self.path('private/key')}\n"
        self.server.write_config()
        self.assertAccepted()
        key, private = self.path("private/key"), self.path("private")
        with open(self.server.config, encoding="utf-8") as f:
            line = f.read().split("host-key")[0].count("\n") + 1
        for mode, owner, why in (
                (0o775, 0, f"{private} is writable by group (mode 775): chmod g-w {private}"),
                (0o755, SOMEBODY, f"owned by uid 12345: chown root {key}")):
            os.chmod(private, mode)
            os.chown(key, owner, 0)
            got = run([POSTERND, "-t", "-f", self.server.config], check=False)
            self.assertEqual((got.code, got.out), (77, b""), got)
            self.assertEqual(got.err.decode(), f"{self.server.config}:{line}: error: host key {key}: {why}\n"
                                               "posternd: the configuration has 1 error\n")


class Reload(Files):
    def test_an_untrusted_policy_changes_nothing(self):
        server = self.server.start()
        self.assertRan(server.ssh("acme", "echo $POSTERN_TENANT"), 0, b"acme\n")
        path = self.path("policy.d")
        server.write_policy(POLICY.replace("/bin/bash", "/bin/false"))
        os.chmod(path, 0o777)
        self.assertEqual(server.reload(),
                         f"reload refused: {path}: error: writable by group and others (mode 777): "
                         f"chmod go-w {path}; generation 1 stays")
        self.assertRan(server.ssh("acme", "echo still"), 0, b"still\n")
        os.chmod(path, 0o755)
        self.assertEqual(server.reload(), "reloaded: generation 2, 1 tenants")
        self.assertEqual(server.ssh("acme", "echo never").code, 1)
        server.stop()


class Loading(PosternTest):
    """Loads that take a while."""

    TENANTS = 600 if SANITIZED else 3000
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy = tempfile.mkdtemp(prefix=PREFIX)
        cls.addClassCleanup(shutil.rmtree, cls.policy)
        big_policy.write_policy(cls.policy, cls.TENANTS)

    def setUp(self):
        self.server = self.new_server()
        self.addCleanup(self.server.remove)
        run(["cp", "-rl", f"{self.policy}/.", self.server.path("policy.d")])
        self.server.start()
        self.addCleanup(self.server.stop)

    def threads(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/task"))

    def begin_load(self):
        self.idle = self.threads()
        self.server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20 * PATIENCE
        while self.threads() == self.idle:
            self.assertLess(time.monotonic(), deadline, "no thread began to load")

    def is_loading(self):
        return self.threads() > self.idle

    def wait_generation(self, number):
        self.server.wait_log(rf"reloaded: generation {number}, ", 60)

    def test_execs_and_logins_go_on(self):
        server = self.server
        path, _ = server.mux()
        during = {"exec": 0, "login": 0}
        for generation in range(2, 12):
            self.begin_load()
            for kind, how in (("exec", {"flags": ["-S", path]}), ("login", {})):
                got = server.ssh("acme", "echo here", **how)
                self.assertRan(got, 0, b"here\n")
                during[kind] += self.is_loading()
            self.wait_generation(generation)
            if all(during.values()):
                return
        self.fail(f"while a policy was being loaded there ended: {during}")

    def test_more_reloads_during_one_are_one(self):
        server = self.server
        self.begin_load()
        server.write_policy("""
[sandbox "plain"]
network = none
[tenant "acme"]
keys = keys/alice
sandbox = plain
force = /bin/echo new
""")
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
            self.assertTrue(self.is_loading())
            time.sleep(0.005)
        self.wait_generation(3)
        self.assertRan(server.ssh("acme", "true"), 0, b"new\n")
        wait_until(lambda: not self.is_loading(), what="the end of the loads")
        # If there had been a third load, this one would not be the fourth generation.
        self.assertRegex(server.reload(), r"\Areloaded: generation 4, ")

    def test_an_end_during_a_load(self):
        self.begin_load()
        self.server.stop()
        self.assertNotIn("reloaded", self.server.log())

    def test_an_end_with_execs_during_a_load(self):
        client = self.server.popen_ssh("acme", "echo up; exec sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.begin_load()
        self.server.process.send_signal(signal.SIGHUP)
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.wait(60), 143)
        wait_until(lambda: self.server.process.poll() is not None, 30, "the end")
        self.server.ended()
        for pipe in (client.stdin, client.stdout, client.stderr):
            pipe.close()

    def test_a_bad_policy(self):
        server = self.server
        good = server.write_policy(POLICY)
        server.write_policy(POLICY + "colour = blue\n")
        self.begin_load()
        self.assertRan(server.ssh("acme", "echo old"), 0, b"old\n")
        server.wait_log(f"reload refused: {good}:8: error: unknown key 'colour' .*; generation 1 stays",
                        60)
        server.write_policy(POLICY)
        self.assertRegex(server.reload(), r"\Areloaded: generation 2, ")

    def test_a_bad_policy_and_then_a_good_one(self):
        server = self.server
        server.write_policy(POLICY + "colour = blue\n")
        self.begin_load()
        # By now it may have been read; what comes of the second load is what counts.
        time.sleep(0.02)
        server.write_policy(POLICY)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log(r"reloaded: generation \d+, ", 60)

    def test_a_spawner_that_is_lost_meanwhile(self):
        server = self.server
        spawner = [pid for pid, (ppid, _, comm) in processes().items()
                   if ppid == server.process.pid and comm.startswith("postern-spawn")]
        server.expect_deaths = True
        self.begin_load()
        os.kill(spawner[0], signal.SIGKILL)
        # Until its sockets are closed it may still be sent something.
        server.wait_log("spawner of generation 1 is gone")
        self.assertRan(server.ssh("acme", "echo here"), 0, b"here\n")
        self.wait_generation(2)
        self.assertRan(server.ssh("acme", "echo there"), 0, b"there\n")

    def test_memory_does_not_climb(self):
        if SANITIZED:
            self.skipTest("a sanitizer keeps what is freed")
        for _ in range(4):
            self.assertRegex(self.server.reload(), r"\Areloaded: ")
        before = rss_kib(self.server.process.pid)
        for _ in range(10):
            self.assertRegex(self.server.reload(), r"\Areloaded: ")
        self.assertLess(rss_kib(self.server.process.pid), before * 1.1 + 1024)


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
