"""Whose uid a tenant's commands have, and that it stays theirs."""
import os
import pwd
import re
import stat
import subprocess

from harness import FIRST_UID, PATIENCE, POSTERN, PosternTest, main, run

EX_CONFIG = 78


def tenant(name, more=""):
    return f'[tenant "{name}"]\nkeys = keys/alice\nshell = /bin/sh\nuser = {name}\n{more}'


class Users(PosternTest):
    autostart = False

    def uid(self, name):
        got = self.server.ssh(name, "id -u")
        self.assertEqual(got.code, 0, got)
        return int(got.out)

    def record(self):
        with open(self.server.path("state/uids"), encoding="ascii") as f:
            lines = f.read().splitlines()
        self.assertEqual((lines[1], lines[-1]), ("uids 1", "end"))
        return lines[2:-1]

    def setUp(self):
        self.server = self.new_server(policy=tenant("acme") + tenant("other"))
        self.addCleanup(self.stop_servers)

    def start_again(self):
        os.unlink(self.server.path("log"))  # that it was ready says nothing any more
        self.server.start()

    def refused_at_start(self, code, text):
        self.server.start_only()
        self.assertEqual(self.server.process.wait(30 * PATIENCE), code, self.server.log())
        self.assertIn(text, self.server.log())
        self.server.process = None
        self.server.log_file.close()

    def test_they_last(self):
        got = run([POSTERN, "check", "-f", self.server.config])
        self.assertNotIn(b"uid", got.out + got.err)
        self.assertFalse(os.path.exists(self.server.path("state")))  # it only looks
        self.server.start()
        acme, other = self.uid("acme"), self.uid("other")
        self.assertTrue(acme >= FIRST_UID and other >= FIRST_UID and acme != other)
        self.assertEqual(self.record(), [f"auto {acme} acme", f"auto {other} other"])
        for name, mode in (("state", 0o755), ("state/uids", 0o644)):
            there = os.stat(self.server.path(name))
            self.assertEqual((there.st_uid, stat.S_IMODE(there.st_mode)), (0, mode))

        # The other one goes, and others come, of which one asks for what it had.
        self.server.write_policy(tenant("a") + tenant("zed") + tenant("acme"))
        self.assertIn("reloaded", self.server.reload())
        self.assertEqual(self.uid("acme"), acme)
        self.assertEqual(len({acme, other, self.uid("a"), self.uid("zed")}), 4)
        self.server.write_policy(tenant("thief", f"uid = {other}\n"))
        self.assertIn("reload refused", self.server.reload())
        self.assertIn(f"uid {other} is kept for tenant 'other', which is gone", self.server.log())

        # Another run, another range.
        self.server.write_policy(tenant("other") + tenant("acme"))
        self.server.stop()
        self.server.extra = f"uid-range = {FIRST_UID + 300000000}-{FIRST_UID + 300000001}\n"
        self.server.write_config()
        self.start_again()
        self.assertEqual((self.uid("acme"), self.uid("other")), (acme, other))
        got = run([POSTERN, "explain", "-f", self.server.config, "--user", "acme", "--key",
                   self.server.path("user_alice.pub"), "true"])
        self.assertIn(f"uid {acme}".encode(), got.out)

        # Once it is released it may be another's.
        lines = [line for line in self.record() if not line.endswith(" other")]
        self.server.write("state/uids", "uids 1\n" + "\n".join(lines) + "\nend\n")
        self.server.write_policy(tenant("acme") + tenant("thief", f"uid = {other}\n"))
        self.assertIn("reloaded", self.server.reload())
        self.assertEqual(self.uid("thief"), other)
        self.assertIn(f"fixed {other} thief", self.record())

    def test_a_record_that_is_wrong_keeps_it_from_starting(self):
        self.server.start()
        acme = self.uid("acme")
        self.server.stop()
        path = self.server.path("state/uids")
        with open(path, encoding="ascii") as f:
            good = f.read()
        self.server.write("state/uids", good[:-4])
        self.refused_at_start(EX_CONFIG, f"{path}: error: it is cut off: its last line is not 'end' "
                                         "(restore it from a backup")
        got = run([POSTERN, "check", "-f", self.server.config], check=False)
        self.assertEqual(got.code, EX_CONFIG, got)
        self.server.write("state/uids", good)
        os.chown(path, 12345, 0)
        self.refused_at_start(EX_CONFIG, f"{path}: error: owned by uid 12345: chown root")
        os.chown(path, 0, 0)
        os.chmod(self.server.path("state"), 0o777)
        self.refused_at_start(EX_CONFIG, "writable by group and others (mode 777): chmod go-w")
        os.chmod(self.server.path("state"), 0o755)
        self.start_again()
        self.assertEqual(self.uid("acme"), acme)

    def test_a_full_disk(self):
        state = self.server.path("state")
        os.mkdir(state, 0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", state], check=True)
        self.addCleanup(subprocess.run, ["umount", state], check=True)
        self.server.start()
        before = self.record()
        with open(os.path.join(state, "filler"), "wb", buffering=0) as f:
            with self.assertRaises(OSError):
                while True:
                    f.write(b"x" * 512)
        self.server.write_policy(tenant("acme") + tenant("more"))
        self.assertRegex(self.server.reload(), r"reload refused: .*/state/uids: it can't be written: "
                                               r"No space left on device; generation 1 stays")
        self.assertEqual(self.record(), before)
        self.assertEqual(self.server.ssh("more", "true").code, 255)
        self.uid("other")
        # What needs no new uid needs no room.
        self.server.write_policy(tenant("acme"))
        self.assertIn("reloaded", self.server.reload())
        os.unlink(os.path.join(state, "filler"))
        self.server.write_policy(tenant("acme") + tenant("more"))
        self.assertIn("reloaded", self.server.reload())
        self.assertIn(f"auto {self.uid('more')} more", self.record())
        self.server.stop()

    def test_a_user_of_the_host(self):
        user = pwd.getpwnam("games")
        self.assertNotEqual(user.pw_uid, user.pw_gid)
        os.mkdir(self.server.path("kept"), 0o755)
        box = f'[sandbox "box"]\nworkspace = {self.server.path("kept")}/%t\n'
        self.server.write_policy(box + tenant("acme", "sandbox = box\nrun-as = games\n")
                                 + tenant("other", "sandbox = box\nrun-as = games\n"))
        self.server.start()
        self.assertRan(self.server.ssh("acme", "id -u; id -g; id -G; echo kept > file"),
                       out=f"{user.pw_uid}\n{user.pw_gid}\n{user.pw_gid}\n".encode())
        for name in ("kept/acme", "kept/acme/file"):
            there = os.stat(self.server.path(name))
            self.assertEqual((there.st_uid, there.st_gid), (user.pw_uid, user.pw_gid), name)
        self.assertRan(self.server.ssh("other", "id -u; ls -A"), out=f"{user.pw_uid}\n".encode())
        # Each has a number that its files are counted by.
        self.assertEqual([re.sub(r"\d+", "N", line) for line in self.record()],
                         ["auto N acme", "auto N other"])
        got = run([POSTERN, "check", "--strict", "-f", self.server.config], check=False)
        self.assertEqual(got.code, 1, got)
        self.assertIn(b"tenants 'acme', 'other' run as games: each can reach what another one keeps",
                      got.err)
        self.server.write_policy(tenant("acme", "run-as = root\n"))
        self.assertIn("reload refused", self.server.reload())
        self.assertIn("error: root is root", self.server.log())


if __name__ == "__main__":
    main()
