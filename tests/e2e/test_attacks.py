"""Commands that take all they can get, or leave what they can: the verdict is right, another tenant's
commands go on meanwhile, and nothing is left. Each is bounded by a limit of its sandbox."""
import os
import socket
import stat
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import (EXEC_ID, PATIENCE, PosternTest, descendants, main, mounts,  # noqa: E402
                     processes, run, wait_until, watched_entries)

POLICY = """
[sandbox "cage"]
network        = none
workspace      = exec
workspace-size = 4M
tmp            = 4M
tasks          = 60
output         = 1M
time           = 1h
[sandbox "short"]
extends = cage
time    = 3s
[sandbox "shared"]
extends        = cage
workspace      = connection
workspace-size = 256M
[sandbox "kept"]
extends        = cage
workspace      = {kept}/%t
workspace-size = infinity

[defaults]
keys  = keys/alice
shell = /bin/bash
[tenant "evil"]
sandbox    = cage
accept-env = A*
[tenant "brief"]
sandbox = short
[tenant "shares"]
sandbox = shared
[tenant "keeps"]
sandbox = kept
[tenant "good"]
sandbox = cage
"""


class AttackTest(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(log_level="info")
        cls.kept = cls.server.path("kept")
        os.mkdir(cls.kept, 0o755)
        os.chmod(cls.server.dir, 0o755)
        cls.server.write_policy(POLICY.format(kept=cls.kept))
        cls.server.start()

    def setUp(self):
        self.entries, self.mounts = watched_entries(), mounts()

    def tearDown(self):
        """Whatever the attack was."""
        self.assertUnhurt()
        wait_until(lambda: not self.server.exec_pids() and not self.server.worker_pids(), 30,
                   "the end of all processes")
        wait_until(lambda: mounts() <= self.mounts and watched_entries() <= self.entries, 10,
                   "mounts and directories to go")
        wait_until(lambda: not self.zombies(), 10, "the dead to be reaped")

    def zombies(self):
        table = processes()
        ours = {self.server.process.pid, *descendants(self.server.process.pid, table)}
        return [pid for pid, (ppid, state, _) in table.items() if state == "Z" and ppid in ours]

    def assertUnhurt(self):
        """Another tenant has its processes, its files and its output."""
        got = self.server.ssh("good", "echo fine > /tmp/f && cat /tmp/f && (head -c 1M /dev/zero "
                                      "> w && stat -c %s w) | cat", timeout=60)
        self.assertRan(got, 0, b"fine\n1048576\n")

    def attack(self, user, line, up="up\n", timeout=120, **how):
        """Starts it; once it has said that it is at it, another tenant is looked at. Its result."""
        client = self.server.popen_ssh(user, line, **how)
        self.assertEqual(client.stdout.readline().decode(), up)
        self.assertUnhurt()
        out, err = client.communicate(timeout=timeout * PATIENCE)
        client.out, client.err = out, err
        return client

    def assertVerdict(self, client, verdict, code, user):
        _, end = self.server.last_exec(tenant=user)
        self.assertEqual((end["verdict"], end["exit"], client.returncode), (verdict, code, code),
                         client.err[-500:])
        if verdict != "exited":
            self.assertRegex(client.err.decode(errors="replace"),
                             rf"(?m)^postern: {verdict}: .* {EXEC_ID}\n\Z")
        return end


class Processes(AttackTest):
    def test_fork_bomb(self):
        client = self.attack("brief", "perl -e '$| = 1; print \"up\\n\"; fork while 1' 2>/dev/null")
        self.assertVerdict(client, "time", 124, "brief")

    def test_fork_bomb_of_a_shell(self):
        client = self.attack("brief", "echo up; b() { b | b & }; b 2>/dev/null; sleep 1000")
        self.assertVerdict(client, "time", 124, "brief")

    def test_fork_bomb_that_the_client_leaves(self):
        client = self.server.popen_ssh("evil", "perl -e '$| = 1; print \"up\\n\"; "
                                               "$SIG{TERM} = $SIG{HUP} = \"IGNORE\"; fork while 1'")
        self.assertEqual(client.stdout.readline(), b"up\n")
        client.kill()
        client.communicate()
        self.assertUnhurt()

    def test_thread_bomb(self):
        client = self.attack("evil", "python3 -c '\n"
                             "import threading, time, sys\n"
                             "print(\"up\", flush=True); n = 0\n"
                             "try:\n"
                             "  while True:\n"
                             "    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n"
                             "    n += 1\n"
                             "except RuntimeError: print(n)'")
        self.assertVerdict(client, "exited", 0, "evil")
        self.assertLess(int(client.out), 60)
        self.assertGreater(int(client.out), 30)

    def test_zombie_storm(self):
        """They count as tasks until somebody waits for them, so there are no more than that."""
        client = self.attack("evil", "perl -e '$| = 1; for (1..3000) { my $p = fork; "
                                     "exit 0 if defined $p && !$p; $n++ if defined $p } "
                                     "print \"up\\n\"; sleep 1; print \"$n\\n\"'")
        self.assertVerdict(client, "exited", 0, "evil")
        self.assertLess(int(client.out), 60)

    def test_orphan_storm(self):
        """Those whose parent has gone are reaped as they die, so that there is room for more."""
        client = self.attack("evil", "perl -e '$| = 1; print \"up\\n\"; for (1..1500) { "
                                     "my $p = fork; if (!$p) { fork; exit 0 } waitpid $p, 0 } "
                                     "print \"done\\n\"'")
        self.assertVerdict(client, "exited", 0, "evil")
        self.assertEqual(client.out, b"done\n")

    def test_ignored_signals(self):
        client = self.attack("brief", "trap '' TERM HUP INT; echo up; while :; do sleep 1000; done")
        self.assertVerdict(client, "time", 124, "brief")

    def test_daemons(self):
        client = self.attack("evil", "echo up; for i in {1..20}; do (setsid sh -c "
                                     "'trap \"\" HUP TERM; sleep 1000 & sleep 1000' &) ; done; exit 4")
        self.assertVerdict(client, "exited", 4, "evil")

    def test_stopped_processes(self):
        client = self.attack("brief", "echo up; for i in {1..10}; do sleep 1000 & kill -STOP $!; "
                                      "done; kill -STOP $$; sleep 1000")
        self.assertVerdict(client, "time", 124, "brief")

    def test_signals_for_everybody(self):
        """Nothing but itself is in reach; its worker is not for it to stop."""
        client = self.attack("evil", "echo up; kill -STOP 1; kill -KILL 1; trap '' TERM; "
                                     "kill -TERM -1; kill -USR1 1; sleep 0.1; exit 6")
        self.assertVerdict(client, "exited", 6, "evil")


class Files(AttackTest):
    FILL = ("cd {0}; echo up; head -c 100M /dev/zero > fill 2>/dev/null || stat -c %s fill; "
            "rm fill; i=0; while true 2>/dev/null > $i; do i=$((i+1)); done 2>/dev/null; echo $i")

    def test_disk_and_inodes(self):
        for place in ("/tmp", "/workspace"):
            with self.subTest(place):
                client = self.attack("evil", self.FILL.format(place))
                self.assertVerdict(client, "exited", 0, "evil")
                size, files = map(int, client.out.split())
                self.assertLessEqual(size, 4 << 20)
                self.assertGreater(size, 3 << 20)
                self.assertLessEqual(files, 1024)
                self.assertGreater(files, 900)

    def test_shared_memory(self):
        client = self.attack("evil", "echo up; head -c 200M /dev/zero > /dev/shm/x 2>/dev/null || "
                                     "stat -c %s /dev/shm/x")
        self.assertVerdict(client, "exited", 0, "evil")
        self.assertLessEqual(int(client.out), 64 << 20)

    def test_descriptors(self):
        client = self.attack("evil", "perl -e '$| = 1; print \"up\\n\"; for (1..50) { fork } "
                                     "while (open my $f, \"<\", \"/dev/null\") { push @a, $f } "
                                     "sleep 1; print scalar(@a) < 1024 ? \"\" : \"too many\"' "
                                     "2>/dev/null; echo end")
        self.assertVerdict(client, "exited", 0, "evil")
        self.assertEqual(client.out.replace(b"up\n", b""), b"end\n")

    def test_pipes(self):
        """Full ones are memory of the kernel's, of which each uid has only so much."""
        client = self.attack("evil", "python3 -c '\n"
                             "import os, fcntl\n"
                             "print(\"up\", flush=True); ends = []; full = 0\n"
                             "try:\n"
                             "  while True:\n"
                             "    ends.append(os.pipe()); os.set_blocking(ends[-1][1], False)\n"
                             "    try: fcntl.fcntl(ends[-1][1], 1031, 1 << 20)\n"
                             "    except OSError: pass\n"
                             "    try:\n"
                             "      while True: full += os.write(ends[-1][1], b\"x\" * 65536)\n"
                             "    except BlockingIOError: pass\n"
                             "except OSError: print(full >> 20)'")
        self.assertVerdict(client, "exited", 0, "evil")
        # 64 M by default, and a page for each pipe after that.
        self.assertLess(int(client.out), 128)

    def test_output_flood(self):
        for stream in ("1", "2"):
            with self.subTest(stream):
                client = self.attack("evil", f"echo up; sleep 0.5; yes >&{stream}")
                end = self.assertVerdict(client, "output", 153, "evil")
                self.assertEqual(end["bytes_out"] + end["bytes_err"], 1 << 20)

    DEEP = ("perl -e 'for (1..10000) { mkdir \"d\" or die $!; chdir \"d\" or die $! } "
            "open my $f, \">\", \"leaf\" or die $!; $| = 1; print \"up\\n\"'")

    def test_deep_tree_of_an_exec(self):
        client = self.attack("evil", self.DEEP.replace("10000", "900"))
        self.assertVerdict(client, "exited", 0, "evil")

    def test_deep_tree_of_a_connection(self):
        mux, master = self.server.mux("shares")
        client = self.attack("shares", self.DEEP, flags=["-S", mux])
        self.assertVerdict(client, "exited", 0, "shares")
        self.assertRan(self.server.ssh("shares", "ls", flags=["-S", mux]), 0, b"d\n")
        master.kill()
        master.wait()
        self.assertRan(self.server.ssh("shares", "ls"), 0, b"")

    def test_deep_tree_that_is_kept(self):
        client = self.attack("keeps", self.DEEP)
        try:
            self.assertVerdict(client, "exited", 0, "keeps")
            self.assertRan(self.server.ssh("keeps", "ls"), 0, b"d\n")
            self.assertIn("reloaded", self.server.reload())
            self.assertRan(self.server.ssh("keeps", "ls"), 0, b"d\n")
        finally:
            run(["rm", "-rf", f"{self.kept}/keeps"], timeout=120)

    def test_planted_links(self):
        """Where a cleanup might walk, or the next exec be made."""
        bait = self.server.path("bait")
        os.makedirs(f"{bait}/dir", exist_ok=True)
        for name in (f"{bait}/file", f"{bait}/dir/file"):
            with open(name, "w", encoding="ascii") as f:
                f.write("bait\n")
        os.chmod(bait, 0o777)
        before = self.tree(bait)
        plant = (f"for n in d .new-shares .new-keeps shares keeps $POSTERN_EXEC '..' tmp; do "
                 f"ln -s {bait} \"$n\"; ln -s {bait}/dir \"x$n\"; ln -s {bait}/file \"y$n\"; "
                 "ln -s / \"z$n\"; done 2>/dev/null; ln -s .. up; chmod 777 . ; echo up")
        for user, how in (("evil", {}), ("keeps", {}), ("shares", {})):
            with self.subTest(user):
                client = self.attack(user, plant + f"; cd /tmp; {plant} >/dev/null", **how)
                self.assertVerdict(client, "exited", 0, user)
                self.assertRan(self.server.ssh(user, "echo on; [ ! -e d/file ]"), 0, b"on\n")
                self.assertEqual(self.tree(bait), before)
        self.assertIn("reloaded", self.server.reload())
        self.assertRan(self.server.ssh("keeps", "echo on > here; cat here"), 0, b"on\n")
        self.assertEqual(self.tree(bait), before)
        self.assertEqual(sorted(os.listdir(self.kept)), ["keeps"])

    def tree(self, top):
        return sorted((path, stat.S_IMODE(os.stat(path).st_mode), sorted(dirs), sorted(files))
                      for path, dirs, files in os.walk(top))

    def test_a_workspace_that_is_shut_from_inside(self):
        for how in ("chmod 0 .", "mkdir -p a/b && chmod 0 a/b a", "rm -rf .[!.]* *; chmod 555 ."):
            with self.subTest(how):
                client = self.attack("keeps", f"{how}; echo up")
                self.assertVerdict(client, "exited", 0, "keeps")
                self.assertRan(self.server.ssh("keeps", "touch again && echo on"), 0, b"on\n")
        run(["rm", "-rf", f"{self.kept}/keeps"])


class Vectors(AttackTest):
    def test_huge_vectors_inside(self):
        client = self.attack("evil", "echo up; perl -e 'exec \"/bin/true\", (\"x\" x 131000) x 400 or exit 9' "
                                     "2>/dev/null; echo $?; "
                                     "perl -e '$ENV{\"A$_\"} = \"x\" x 131000 for 1..400; "
                                     "exec \"/bin/true\" or exit 9' 2>/dev/null; echo $?")
        self.assertVerdict(client, "exited", 0, "evil")
        # More than a quarter of the stack, which the kernel refuses.
        self.assertEqual(client.out, b"9\n9\n")

    def test_huge_command(self):
        got = self.server.ssh("evil", "true " + "x" * 60000)
        self.assertRan(got)
        got = self.server.ssh("evil", "true " + "x" * 70000)
        self.assertEqual(got.code, 126, got)
        self.assertUnhurt()

    def test_huge_environment(self):
        """More than a session takes is refused one by one; what it took is the command's."""
        with paramiko.Transport(socket.create_connection(("127.0.0.1", self.server.port))) as client:
            client.start_client(timeout=20 * PATIENCE)
            client.auth_publickey("evil", paramiko.Ed25519Key.from_private_key_file(
                self.server.path("user_alice")))
            channel = client.open_session(timeout=20 * PATIENCE)
            for i in range(300):
                channel.set_environment_variable(f"A{i}", "x" * 4000)
            channel.exec_command("env | grep -c '^A[0-9]*=x*$'")
            out = channel.makefile().read()
            self.assertEqual(channel.recv_exit_status(), 0)
            self.assertLessEqual(int(out), 64)
            self.assertGreater(int(out), 10)
            self.assertUnhurt()


if __name__ == "__main__":
    main()
