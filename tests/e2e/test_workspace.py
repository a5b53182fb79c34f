"""Workspaces: one for each exec, one for a connection, or a directory that is kept."""
import os
import re
import stat

from harness import PATIENCE, PosternTest, main, open_files, wait_until

POLICY = """
[sandbox "fresh"]
workspace      = exec
workspace-size = 8M

[sandbox "shared"]
workspace      = connection
workspace-size = 8M

[sandbox "kept"]
workspace = {dir}/kept/%t

[tenant "fresh"]
keys    = keys/alice
sandbox = fresh
shell   = /bin/bash

[tenant "shared"]
keys    = keys/alice
sandbox = shared
shell   = /bin/bash
{more}
[tenant "kept"]
keys    = keys/alice
sandbox = kept
shell   = /bin/bash

[tenant "other"]
extends = kept
"""


class Workspaces(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        os.makedirs(cls.server.path("kept"), mode=0o755)
        cls.set_policy()
        cls.server.start()

    @classmethod
    def set_policy(cls, more="", old="", new=""):
        text = POLICY.format(dir=cls.server.dir, more=more)
        cls.server.write_policy(text.replace(old, new) if old else text)

    def through(self, mux, line, user="shared", **how):
        return self.server.ssh(user, line, flags=["-S", mux], **how)

    def test_every_exec_has_its_own(self):
        for _ in range(2):
            got = self.server.ssh("fresh", "pwd; echo $HOME; ls -A; echo x > left; stat -c %a .")
            self.assertRan(got, out=b"/workspace\n/workspace\n700\n")

    def test_its_size_is_kept_to(self):
        got = self.server.ssh("fresh", "head -c 9000000 /dev/zero > big; stat -c %s big")
        self.assertRan(got, out=b"8388608\n",
                       err=b"head: error writing 'standard output': No space left on device\n")
        got = self.server.ssh("fresh", "seq 5000 | xargs touch 2>&1 | tail -1; ls | wc -l")
        self.assertRan(got, out=b"touch: cannot touch '5000': No space left on device\n1023\n")

    def test_a_program_in_it_can_be_run(self):
        got = self.server.ssh("fresh", "printf '#!/bin/sh\\necho ran\\n' > p; chmod +x p; ./p")
        self.assertRan(got, out=b"ran\n")

    def test_execs_of_a_connection_share_one(self):
        mux, _ = self.server.mux("shared")
        other, _ = self.server.mux("shared")
        self.assertRan(self.through(mux, "pwd; ls -A; echo one > file"), out=b"/workspace\n")
        self.assertRan(self.through(mux, "cat file; mkdir d; echo two > d/file"), out=b"one\n")
        self.assertRan(self.through(other, "ls -A; echo theirs > file"), out=b"")
        self.assertRan(self.through(mux, "cat file d/file"), out=b"one\ntwo\n")
        self.assertRan(self.server.ssh("shared", "ls -A"), out=b"")

    def test_execs_that_begin_at_once_share_one(self):
        """None may get a second one while the first is being made."""
        for _ in range(5):
            mux, _ = self.server.mux("shared")
            clients = [self.server.popen_ssh("shared", f"echo {n} > {n}; cat", flags=["-S", mux])
                       for n in range(6)]
            wait_until(lambda: self.through(mux, "cat [0-9] 2>/dev/null").out == b"0\n1\n2\n3\n4\n5\n",
                       30, "the files of all")
            for client in clients:
                client.communicate(timeout=30 * PATIENCE)

    def test_one_is_made_though_the_first_exec_was_short(self):
        for _ in range(10):
            mux, _ = self.server.mux("shared")
            self.assertRan(self.through(mux, "echo x > file"))
            self.assertRan(self.through(mux, "cat file"), out=b"x\n")

    def test_the_size_is_that_of_all_execs_together(self):
        mux, _ = self.server.mux("shared")
        self.assertRan(self.through(mux, "head -c 6000000 /dev/zero > a"))
        got = self.through(mux, "head -c 6000000 /dev/zero > b")
        self.assertRan(got, code=1,
                       err=b"head: error writing 'standard output': No space left on device\n")
        self.assertRan(self.through(mux, "rm a; head -c 6000000 /dev/zero > b; ls"), out=b"b\n")

    def test_it_survives_a_reload(self):
        mux, _ = self.server.mux("shared")
        self.assertRan(self.through(mux, "echo one > file"))
        running = self.server.popen_ssh("shared", "read -r line; cat file", flags=["-S", mux])
        self.assertRegex(self.server.reload(), "reloaded")
        self.assertRan(self.through(mux, "cat file; echo two > file"), out=b"one\n")
        out, _ = running.communicate(b"go\n", timeout=30 * PATIENCE)
        self.assertEqual(out, b"two\n")
        self.set_policy(old="8M", new="16M")
        self.addCleanup(self.server.reload)
        self.addCleanup(self.set_policy)
        self.assertRegex(self.server.reload(), "reloaded")
        self.assertRan(self.through(mux, "cat file"), out=b"two\n")

    def test_another_uid_gets_another_one(self):
        mux, _ = self.server.mux("shared")
        self.assertRan(self.through(mux, "echo one > file"))
        self.set_policy(more="uid = 1879047000\n")
        self.addCleanup(self.server.reload)
        self.addCleanup(self.set_policy)
        self.assertRegex(self.server.reload(), "reloaded")
        self.assertRan(self.through(mux, "id -u; ls -A; echo two > file"), out=b"1879047000\n")
        self.assertRan(self.through(mux, "cat file"), out=b"two\n")

    def test_the_master_keeps_none_of_it(self):
        """When the connection has ended nobody has a descriptor of it any more."""
        def namespaces():
            found = open_files(self.server.process.pid)
            return [link for link in found if link.startswith("mnt:")]
        before = namespaces()
        mux, client = self.server.mux("shared")
        nasty = ("mkdir -p a/b/c; ln -s /etc a/link; chmod 0 a/b; mkfifo pipe; touch x; chmod 0 x; "
                 "ln -s loop loop; chmod 0 .")
        self.assertRan(self.through(mux, nasty))
        self.assertEqual(len(namespaces()), len(before) + 1)
        self.assertRan(self.through(mux, "ls"), out=b"a\nloop\npipe\nx\n")
        self.assertEqual(len(namespaces()), len(before) + 1)
        client.terminate()
        wait_until(lambda: namespaces() == before, 20, "the end of the workspace")

    def test_a_kept_one_is_the_tenants(self):
        self.assertFalse(os.path.exists(self.server.path("kept/kept")))
        self.assertRan(self.server.ssh("kept", "pwd; ls -A; echo one > file"), out=b"/workspace\n")
        self.assertRan(self.server.ssh("kept", "cat file"), out=b"one\n")
        directory = os.stat(self.server.path("kept/kept"))
        self.assertEqual(stat.S_IMODE(directory.st_mode), 0o700)
        uid = int(self.server.ssh("kept", "id -u").out)
        file = os.stat(self.server.path("kept/kept/file"))
        self.assertEqual({directory.st_uid, directory.st_gid, file.st_uid, file.st_gid}, {uid})
        self.assertRan(self.server.ssh("other", "ls -A; touch mine"), out=b"")
        self.assertEqual(os.listdir(self.server.path("kept/other")), ["mine"])
        self.assertRan(self.server.ssh("kept", "cat file"), out=b"one\n")

    def test_what_is_there_of_others_is_not_touched(self):
        path = self.server.path("kept/other")
        if os.path.isdir(path):
            os.rename(path, path + ".aside")
        os.symlink("/etc", path)
        before = os.stat("/etc")
        got = self.server.ssh("other", "echo ran")
        self.assertEqual((got.code, got.out), (125, b""), got)
        self.assertRegex(got.err, rb"\Apostern: sandbox: ")
        self.server.wait_log("workspace: other: Too many levels of symbolic links")
        os.unlink(path)
        self.assertEqual(os.stat("/etc").st_uid, before.st_uid)
        os.mkdir(path)
        os.chown(path, 12345, 12345)
        self.assertEqual(self.server.ssh("other", "echo ran").code, 125)
        self.server.wait_log("workspace: other belongs to uid 12345, not to the tenant")
        self.assertEqual(os.stat(path).st_uid, 12345)
        os.rmdir(path)


class BadWorkspaces(PosternTest):
    autostart = False

    def test_they_are_refused_at_start(self):
        for line, text in (
                ("workspace = /no-such-place/%t", "/no-such-place: No such file or directory"),
                ("workspace = {dir}/theirs/%t", "belongs to uid 12345; it must be root's"),
                ("workspace = {dir}/kept/%t\nworkspace-size = 1M", "mount it with the option "
                                                                   "prjquota")):
            server = self.new_server()
            os.makedirs(server.path("kept"), mode=0o755)
            os.makedirs(server.path("theirs"), mode=0o755)
            os.chown(server.path("theirs"), 12345, 12345)
            server.write_policy(f"[sandbox \"bad\"]\n{line.format(dir=server.dir)}\n"
                                "[tenant \"a\"]\nkeys = keys/alice\nsandbox = bad\n"
                                "shell = /bin/sh\n")
            server.start_only()
            self.assertNotEqual(server.process.wait(30 * PATIENCE), 0)
            place = re.escape(server.path("policy.d/tenants.ini") + f":{2 + line.count(chr(10))}: ")
            self.assertRegex(server.log(), place + ".*" + re.escape(text))
            server.process = None
            server.log_file.close()


if __name__ == "__main__":
    main()
