"""How the processes are kept apart: what each links, holds, and may do."""
import os
import re
import socket

from harness import (BUILD, POSTERN, POSTERND, SANITIZED, SESSION, VERSION, KexInit, PosternTest, descendants,
                     main, processes, run, status_of, wait_until)


def needed(path):
    """The shared libraries that a program asks for, and those that these ask for."""
    direct = re.findall(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]",
                        run(["readelf", "-d", path]).out.decode())
    loaded = re.findall(r"^\s*(\S+) =>", run(["ldd", path]).out.decode(), re.M)
    return direct, loaded


class Linkage(PosternTest):
    autostart = False

    def test_only_the_session_links_libssh(self):
        for path in (POSTERND, POSTERN):
            direct, loaded = needed(path)
            self.assertTrue(direct)
            self.assertEqual([lib for lib in direct + loaded if "ssh" in lib], [], path)
        direct, _ = needed(SESSION)
        self.assertIn("libssh.so.4", direct)

    def test_the_session_does_not_link_what_builds_sandboxes(self):
        direct, _ = needed(SESSION)
        self.assertEqual([lib for lib in direct if "inih" in lib or "libcap" in lib], [])

    def test_nothing_was_linked_statically(self):
        """No SSH code came in by another door than a shared library."""
        symbols = run(["strings", "-a", POSTERND]).out
        library = re.search(r"libssh\.so\.4 => (\S+)", run(["ldd", SESSION]).out.decode())[1]
        for word in (b"ssh_packet_socket_callback", b"ssh_packet_userauth_request", b"ssh-userauth"):
            self.assertIn(word, run(["strings", "-a", library]).out)
            self.assertNotIn(word, symbols)

    def test_hardening(self):
        for path in (POSTERND, SESSION, POSTERN):
            header = run(["readelf", "-hlW", path]).out.decode()
            dynamic = run(["readelf", "-dW", path]).out.decode()
            self.assertIn("DYN (Position-Independent Executable file)", header, path)
            self.assertRegex(dynamic, r"FLAGS.*NOW")
            self.assertIn("GNU_RELRO", header)
            self.assertRegex(header, r"GNU_STACK.* RW ")

    def test_the_build_directory_has_these_three(self):
        found = set()
        for top, _, names in os.walk(os.path.join(BUILD, "daemon")):
            if "CMakeFiles" not in top:
                found |= {n for n in names if os.access(os.path.join(top, n), os.X_OK)
                          and "." not in n}
        self.assertEqual(found, {"posternd", "postern-session", "postern"})


class Sessions(PosternTest):
    def connected(self, count=1):
        """Session processes that serve authenticated clients which do nothing."""
        clients = [self.server.popen_ssh("acme", "echo up; cat") for _ in range(count)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        wait_until(lambda: len(self.server.session_pids()) <= count, 10, "earlier sessions to end")
        pids = wait_until(lambda: (lambda p: p if len(p) == count else None)(
            self.server.session_pids()), 10, "sessions")
        self.addCleanup(self.disconnect, clients)
        return pids

    def disconnect(self, clients):
        for client in clients:
            client.communicate(timeout=30)
        wait_until(lambda: not self.server.session_pids(), 10, "the sessions' end")

    def assert_confined(self, pid):
        status = status_of(pid)
        ids = {int(n) for n in status["Uid"].split() + status["Gid"].split()}
        self.assertEqual(ids, {65534})
        self.assertEqual(status["Groups"].strip(), "")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(os.listdir(f"/proc/{pid}/root"), [])
        self.assertEqual(os.listdir(f"/proc/{pid}/cwd"), [])

    def test_an_authenticated_session_is_confined(self):
        pid, = self.connected()
        self.assert_confined(pid)
        limits = open(f"/proc/{pid}/limits", encoding="ascii").read()
        for name in ("Max processes", "Max core file size"):
            self.assertRegex(limits, rf"{name}\s+0\s+0\s")
        # record-max: of a file that it is given, since it can open none
        self.assertRegex(limits, rf"Max file size\s+{64 << 20}\s+{64 << 20}\s")
        # the zygote writes to none, and no session can have more than any policy may say
        with open(f"/proc/{self.server.zygote_pid()}/limits", encoding="ascii") as f:
            self.assertRegex(f.read(), rf"Max file size\s+0\s+{1 << 30}\s")
        for pid in self.server.signer_pids():
            with open(f"/proc/{pid}/limits", encoding="ascii") as f:
                self.assertRegex(f.read(), r"Max file size\s+0\s+0\s")
        if not SANITIZED:  # sanitizers reserve terabytes
            self.assertRegex(limits, r"Max (address space|data size)\s+\d+\s+\d+\s")
        self.assertRegex(limits, r"Max open files\s+\d+\s+\d+\s")

    def test_it_is_confined_before_the_peers_first_byte(self):
        wait_until(lambda: not self.server.session_pids(), 10, "the end of earlier sessions")
        with socket.create_connection(("127.0.0.1", self.server.port)):
            pid, = wait_until(self.server.session_pids, 10, "the session")
            # Nothing was sent yet: the filter comes by itself, or never.
            wait_until(lambda: status_of(pid)["Seccomp"] == "2", 5, "its filter")
            self.assert_confined(pid)
        wait_until(lambda: not self.server.session_pids(), 10, "its end")

    def test_it_holds_no_foreign_descriptors(self):
        first, second = self.connected(2)
        for pid in (first, second):
            kinds = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
            inet = {k for k in kinds if k.startswith("socket:")}
            # Its client's connection, its link to the master, and nothing of other connections.
            self.assertLessEqual(len(inet), 2, kinds)
            for kind in kinds:
                self.assertRegex(kind, r"\A(socket:|pipe:|anon_inode:|/dev/null\Z|/\Z)", kinds)

    def test_sessions_do_not_share_random_state(self):
        offers = [KexInit(self.server.port) for _ in range(8)]
        self.assertEqual(len({offer.cookie for offer in offers}), 8)

    def test_it_cannot_be_inspected_by_its_user(self):
        pid, = self.connected()
        got = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat",
                   f"/proc/{pid}/maps"], check=False)
        self.assertNotEqual(got.code, 0)
        got = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls",
                   f"/proc/{pid}/fd"], check=False)
        self.assertNotEqual(got.code, 0)

    def test_the_version_line(self):
        offer = KexInit(self.server.port)
        self.assertRegex(offer.version, VERSION)


class Processes(PosternTest):
    def setUp(self):
        wait_until(lambda: not self.server.session_pids() and not self.server.worker_pids(), 10,
                   "the end of what was before")

    def test_the_picture(self):
        """One master; one spawner, one zygote, one signer; a session per connection; a worker per exec."""
        clients = [self.server.popen_ssh("acme", "echo up; cat") for _ in range(2)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), b"up\n")
        master = self.server.process.pid
        table = processes()
        tree = descendants(master, table)
        zygote = self.server.zygote_pid()
        signer, = self.server.signer_pids()
        spawner, = [p for p in tree if table[p][0] == master and p not in (zygote, signer)]
        self.assertEqual(table[signer][0], master)
        self.assertEqual(len(self.server.session_pids()), 2)
        self.assertEqual({table[p][0] for p in self.server.session_pids()}, {zygote})
        workers = self.server.worker_pids()
        self.assertEqual(len(workers), 2)
        self.assertEqual({table[p][0] for p in workers}, {spawner})
        for pid in (master, spawner, signer):
            self.assertEqual(status_of(pid)["Threads"], "1")
        for client in clients:
            client.communicate(timeout=30)

    def test_the_spawner_has_no_network(self):
        master = self.server.process.pid
        others = [self.server.zygote_pid(), *self.server.signer_pids()]
        table = processes()
        spawner, = [p for p in descendants(master, table)
                    if table[p][0] == master and p not in others]
        self.assertNotEqual(os.readlink(f"/proc/{spawner}/ns/net"),
                            os.readlink(f"/proc/{master}/ns/net"))
        inet = set(re.findall(r"^\s*\d+: .*", open(f"/proc/{spawner}/net/tcp").read(), re.M))
        self.assertEqual(inet, set())

    def test_a_worker_is_confined(self):
        client = self.server.popen_ssh("acme", "echo up; cat")
        self.assertEqual(client.stdout.readline(), b"up\n")
        worker, = self.server.worker_pids()
        status = status_of(worker)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertNotIn("0", status["Uid"].split())
        for kind in ("mnt", "pid", "ipc", "uts", "cgroup", "net"):
            self.assertNotEqual(os.readlink(f"/proc/{worker}/ns/{kind}"),
                                os.readlink(f"/proc/{self.server.process.pid}/ns/{kind}"), kind)
        client.communicate(timeout=30)

    def test_an_exec_has_three_descriptors_and_a_clean_state(self):
        got = self.server.ssh("acme", "ls /proc/self/fd | wc -l; umask; nice; cat /proc/self/oom_score_adj;"
                                      "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -c")
        lines = got.out.decode().splitlines()
        self.assertEqual(lines[0], "4", lines)  # 0, 1, 2 and ls's own
        self.assertRegex(lines[1], r"\A0[07][27][27]\Z")
        self.assertEqual(lines[2:4], ["0", "0"])
        self.assertEqual([line.split()[1] for line in lines[4:6]], ["0" * 16] * 2)
        self.assertEqual(lines[6], "0")

    def test_an_exec_is_confined(self):
        got = self.server.ssh("acme", "cat /proc/self/status")
        status = dict(line.split(":\t", 1) for line in got.out.decode().splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertEqual(status["Groups"].strip(), "")


if __name__ == "__main__":
    main()
