"""What people run over ssh: scp, sftp, rsync, sshfs, git, tar and ansible, unchanged, byte for byte."""
import hashlib
import os
import shutil
import subprocess
import unittest

from harness import PATIENCE, SKIP, PosternTest, clean_env, main, run, wait_until

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
POLICY = """
[sandbox "plain"]
network   = none
workspace = {kept}/%t
workspace-size = infinity

[tenant "acme"]
keys       = keys/alice
sandbox    = plain
shell      = /bin/bash
subsystem  = sftp: {sftp}
accept-env = GIT_PROTOCOL LANG LC_*
max-execs  = 50

[tenant "seated"]
extends = acme
pty     = yes
"""


def needs(program):
    """Skips, with the reason, where a client isn't installed."""
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


def noise(size, seed=0):
    """Bytes that nothing compresses, the same each time."""
    blocks = (hashlib.sha512(b"%d.%d" % (seed, i)).digest() for i in range(size // 64 + 1))
    return b"".join(blocks)[:size]


class Stock(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = cls.server = cls.new_server(log_level="info")
        cls.kept = server.path("kept")
        os.mkdir(cls.kept, 0o755)
        os.chmod(server.dir, 0o755)
        server.write_policy(POLICY.format(kept=cls.kept, sftp=SFTP_SERVER))
        server.start()
        with open(server.path("ssh_config"), encoding="utf-8") as f:
            config = f.read() + f"    IdentityFile {server.path('user_alice')}\n    User acme\n"
        cls.config = server.write("ssh_config.stock", config)
        cls.make_tree(server.path("tree"))

    @classmethod
    def make_tree(cls, top):
        """Files of all sizes, names and modes that a program may stumble over."""
        for name, data, mode in (("empty", b"", 0o644), ("one", b"\0", 0o600),
                                 ("dir/large", noise(5000000), 0o644), ("dir/run", b"#!/bin/sh\n", 0o755),
                                 ("dir/a b'\"$x;*", b"odd name", 0o640),
                                 ("dir/übung/\u00e9", bytes(range(256)) * 1000, 0o444)):
            path = os.path.join(top, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
            os.chmod(path, mode)
        os.symlink("dir/large", os.path.join(top, "link"))

    @staticmethod
    def digest(top, links=True):
        """{name: (mode, SHA-256 or target)} of a tree."""
        found = {}
        for where, _, names in os.walk(top):
            for name in names:
                path = os.path.join(where, name)
                if os.path.islink(path):
                    if links:
                        found[os.path.relpath(path, top)] = os.readlink(path)
                    continue
                with open(path, "rb") as f:
                    found[os.path.relpath(path, top)] = (os.stat(path).st_mode & 0o777,
                                                         hashlib.sha256(f.read()).hexdigest())
        return found

    def local(self, name):
        """A fresh name at the client's."""
        path = self.server.path(f"{self._testMethodName}.{name}")
        self.addCleanup(shutil.rmtree, path, True)
        return path

    def remote(self, name):
        """The same in the workspace: (as the command sees it, as the host does)."""
        name = f"{self._testMethodName}.{name}"
        return name, os.path.join(self.kept, "acme", name)

    def run_ok(self, argv, timeout=120, **how):
        got = run(argv, timeout=timeout, home=self.server.dir, check=False, **how)
        self.assertEqual(got.code, 0, got)
        return got

    def assertSameTree(self, one, other, links=True):
        self.assertEqual(self.digest(one, links), self.digest(other, links))
        self.assertGreater(len(self.digest(one)), 5)


class Copying(Stock):
    def copy_by_scp(self, *flags):
        tree, (there, seen), back = self.server.path("tree"), self.remote("tree"), self.local("back")
        # scp follows links: it has a file where the tree has one.
        self.run_ok(["scp", *flags, "-q", "-r", "-p", "-F", self.config, tree, f"postern:{there}"])
        self.run_ok(["scp", *flags, "-q", "-r", "-p", "-F", self.config, f"postern:{there}", back])
        for copy in (seen, back):
            found = self.digest(copy)
            self.assertEqual(found.pop("link")[1], self.digest(tree)["dir/large"][1])
            wanted = self.digest(tree, links=False)
            self.assertEqual(found, wanted)

    @needs("scp")
    def test_scp_of_old(self):
        self.copy_by_scp("-O")

    @needs("scp")
    def test_scp_by_sftp(self):
        self.copy_by_scp("-s")

    @needs("scp")
    def test_scp_says_what_is_missing(self):
        for flag in ("-O", "-s"):
            got = run(["scp", flag, "-F", self.config, "postern:no/such/file", self.local("x")],
                      home=self.server.dir, check=False)
            self.assertEqual(got.code, 1, got)
            self.assertIn(b"No such file or directory", got.err)

    @needs("sftp")
    def test_sftp_batch(self):
        tree, (there, seen), back = self.server.path("tree"), self.remote("tree"), self.local("back")
        os.mkdir(back)
        batch = (f"mkdir {there}\nput -r -p {tree}/dir {there}/dir\nput -p {tree}/one {there}/two\n"
                 f"rename {there}/two {there}/one\nsymlink dir/large {there}/link\n"
                 f"get -r -p {there}/dir {back}/dir\nget -p {there}/one {back}/one\n"
                 f"-rm {there}/nothing\nls -1 {there}\n")
        got = self.run_ok(["sftp", "-q", "-F", self.config, "-b", "-", "postern"], stdin=batch.encode())
        listing = got.out.decode().splitlines()
        self.assertEqual([line.strip() for line in listing if line.startswith(there)],
                         [f"{there}/dir", f"{there}/link", f"{there}/one"])
        wanted = {k: v for k, v in self.digest(tree).items() if k.startswith("dir/") or k == "one"}
        self.assertEqual(self.digest(back), wanted)
        self.assertEqual(self.digest(seen), {**wanted, "link": "dir/large"})

    @needs("sftp")
    def test_sftp_resumes(self):
        """`reput` of a file that is half there."""
        large = self.server.path("tree/dir/large")
        there, seen = self.remote("large")
        half = self.server.write("half", noise(5000000)[:1700000])
        batch = f"put {half} {there}\nreput {large} {there}\n"
        self.run_ok(["sftp", "-q", "-F", self.config, "-b", "-", "postern"], stdin=batch.encode())
        with open(seen, "rb") as f:
            self.assertTrue(f.read() == noise(5000000))

    @needs("rsync")
    def test_rsync(self):
        tree, (there, seen), back = self.server.path("tree"), self.remote("tree"), self.local("back")
        rsh = f"ssh -F {self.config}"
        self.run_ok(["rsync", "-a", "-e", rsh, f"{tree}/", f"postern:{there}/"])
        self.assertSameTree(tree, seen)
        # What differs is found and alone sent; what is gone is deleted.
        with open(os.path.join(seen, "one"), "wb") as f:
            f.write(b"changed")
        with open(os.path.join(seen, "extra"), "wb") as f:
            f.write(b"more")
        got = self.run_ok(["rsync", "-a", "--checksum", "--delete", "--itemize-changes", "-e", rsh,
                           f"{tree}/", f"postern:{there}/"])
        changes = {line.split(maxsplit=1)[1] for line in got.out.decode().splitlines()}
        self.assertEqual(changes - {"./"}, {"one", "extra"})
        self.run_ok(["rsync", "-a", "-z", "-e", rsh, f"postern:{there}/", f"{back}/"])
        self.assertSameTree(tree, back)

    @needs("tar")
    def test_tar(self):
        """tar | ssh | tar, there and back."""
        tree, (there, seen), back = self.server.path("tree"), self.remote("tree"), self.local("back")
        os.mkdir(back)
        script = self.server.write("pipe.sh", f"""set -e -o pipefail
tar -C {tree} -cf - . | ssh -F {self.config} postern 'mkdir {there} && tar -C {there} -xpf -'
ssh -F {self.config} postern 'tar -C {there} -czf - .' | tar -C {back} -xpzf -
""")
        self.run_ok(["bash", script])
        self.assertSameTree(tree, seen)
        self.assertSameTree(tree, back)

    @needs("sshfs")
    @unittest.skipUnless(os.path.exists("/dev/fuse"), "no /dev/fuse here")
    def test_sshfs(self):
        tree, (there, seen) = self.server.path("tree"), self.remote("tree")
        point = self.local("mount")
        os.mkdir(point)
        log = self.server.path("sshfs.log")
        with open(log, "wb") as f:
            client = subprocess.Popen(["sshfs", "-f", "-F", self.config, "postern:", point],
                                      stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                      env=clean_env(self.server.dir))
        self.server.clients.append(client)
        try:
            wait_until(lambda: os.path.ismount(point) or client.poll() is not None, 20, "the mount")
            if client.poll() is not None:
                with open(log, encoding="utf-8") as f:
                    said = f.read()
                if "fuse" in said:
                    self.skipTest(f"no mounts of FUSE here: {said.strip()}")
                self.fail(f"sshfs: {said}")
            shutil.copytree(tree, os.path.join(point, there), symlinks=True)
            self.assertSameTree(tree, os.path.join(point, there))
            self.assertSameTree(tree, seen)
            os.rename(os.path.join(point, there, "one"), os.path.join(point, there, "two"))
            os.unlink(os.path.join(point, there, "empty"))
            with open(os.path.join(point, there, "dir/large"), "r+b") as f:
                f.seek(1000000)
                f.write(b"in the middle")
            with open(os.path.join(seen, "dir/large"), "rb") as f:
                data = f.read()
            self.assertTrue(data == noise(5000000)[:1000000] + b"in the middle" + noise(5000000)[1000013:])
            self.assertEqual(sorted(os.listdir(seen)), ["dir", "link", "two"])
        finally:
            run(["fusermount3", "-u", point], check=False)
            client.wait(20 * PATIENCE)


@needs("git")
class Git(Stock):
    """Repositories in the tenant's own workspace, over protocol version 2."""

    def git(self, *words, trace=False, check=True, where=None):
        env = {**clean_env(self.server.dir), "GIT_SSH_COMMAND": f"ssh -F {self.config}",
               "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
               "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
        if trace:
            env["GIT_TRACE_PACKET"] = "1"
        got = subprocess.run(["git", "-c", "init.defaultBranch=main", "-c", "protocol.version=2", *words],
                             cwd=where or self.server.dir, env=env, timeout=180 * PATIENCE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and got.returncode != 0:
            raise AssertionError(f"git {words}: {got.stderr!r}")
        return got

    def commit(self, where, name, data):
        with open(os.path.join(where, name), "wb") as f:
            f.write(data)
        self.git("add", name, where=where)
        self.git("commit", "-qm", name, where=where)

    def test_push_clone_fetch(self):
        """A pack of 20 MB that nothing compresses goes there and comes back the same."""
        there, _ = self.remote("a.git")
        url = f"postern:{there}"
        self.assertRan(self.server.ssh("acme", f"git init -q --bare -b main {there}"), 0)
        work, clone, shallow = self.local("work"), self.local("clone"), self.local("shallow")
        self.git("init", "-q", work)
        self.commit(work, "large", noise(20000000, seed=1))
        for n in range(20):
            self.commit(work, f"file{n}", b"%d\n" % n)
        got = self.git("push", "-q", url, "main", "main:other", where=work)
        self.assertEqual(got.stderr, b"")
        got = self.git("clone", "-q", url, clone, trace=True)
        self.assertIn(b"clone< version 2", got.stderr)
        self.git("fsck", "--strict", where=clone)
        head = self.git("rev-parse", "HEAD", where=work).stdout
        self.assertEqual(self.git("rev-parse", "HEAD", where=clone).stdout, head)
        with open(os.path.join(clone, "large"), "rb") as f:
            self.assertTrue(f.read() == noise(20000000, seed=1))
        # What is new, and only that.
        self.commit(work, "new", noise(300000, seed=2))
        self.git("push", "-q", url, "main", where=work)
        self.git("pull", "-q", "--ff-only", where=clone)
        with open(os.path.join(clone, "new"), "rb") as f:
            self.assertTrue(f.read() == noise(300000, seed=2))
        # And with no history, or a little of it.
        self.git("clone", "-q", "--depth", "1", url, shallow)
        count = ["rev-list", "--count", "HEAD"]
        self.assertEqual(self.git(*count, where=shallow).stdout, b"1\n")
        self.git("fetch", "-q", "--deepen", "5", where=shallow)
        self.assertEqual(self.git(*count, where=shallow).stdout, b"6\n")
        self.git("fetch", "-q", "--unshallow", where=shallow)
        self.assertEqual(self.git(*count, where=shallow).stdout, b"22\n")

    def test_refused_push_is_shown(self):
        """The hook's words are on the client's stderr, and nothing has moved."""
        there, seen = self.remote("b.git")
        self.assertRan(self.server.ssh(
            "acme", f"git init -q --bare -b main {there} && printf '#!/bin/sh\\necho not today >&2\\n"
                    f"exit 1\\n' > {there}/hooks/pre-receive && chmod +x {there}/hooks/pre-receive"), 0)
        work = self.local("work")
        self.git("init", "-q", work)
        self.commit(work, "x", b"x")
        got = self.git("push", f"postern:{there}", "main", where=work, check=False)
        self.assertEqual(got.returncode, 1)
        self.assertIn(b"remote: not today", got.stderr)
        self.assertEqual(os.listdir(os.path.join(seen, "refs/heads")), [])

    def test_archive(self):
        there, _ = self.remote("c.git")
        self.assertRan(self.server.ssh("acme", f"git init -q --bare -b main {there}"), 0)
        work = self.local("work")
        self.git("init", "-q", work)
        self.commit(work, "data", noise(100000))
        self.git("push", "-q", f"postern:{there}", "main", where=work)
        got = self.git("archive", f"--remote=postern:{there}", "main", "data")
        self.assertIn(noise(100000), got.stdout)


@needs("ansible")
class Ansible(Stock):
    """It multiplexes connections (ControlPersist) and copies its modules by sftp, scp or a pipe."""

    def ansible(self, *words, user="acme", transfer="smart", pipelining=False, tty=False):
        inventory = self.server.write("inventory", f"postern ansible_user={user} ansible_python_interpreter="
                                                   f"/usr/bin/python3 ansible_ssh_transfer_method={transfer}\n")
        config = self.server.write("ansible.cfg", f"""[defaults]
inventory = {inventory}
host_key_checking = True
local_tmp = {self.server.path('ansible')}
stdout_callback = minimal
[ssh_connection]
ssh_args = -F {self.config} -o ControlMaster=auto -o ControlPersist=10s
control_path_dir = {self.server.path('cp')}
pipelining = {pipelining}
usetty = {tty}
""")
        env = {**clean_env(self.server.dir), "ANSIBLE_CONFIG": config, "ANSIBLE_NOCOLOR": "1"}
        got = subprocess.run(["ansible", "postern", *words], env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * PATIENCE,
                             cwd=self.server.dir, check=False)
        return got

    def test_raw(self):
        """Of these modules it alone insists on a terminal; where there is none, `usetty = False`."""
        for user, tty, out in (("acme", False, b"out\n"), ("seated", True, b"out\r\n")):
            with self.subTest(user):
                got = self.ansible("-m", "raw", "-a", "echo out", user=user, tty=tty)
                self.assertEqual(got.returncode, 0, got)
                self.assertIn(b"postern | CHANGED | rc=0 >>\n" + out, got.stdout)
                got = self.ansible("-m", "raw", "-a", "exit 7", user=user, tty=tty)
                self.assertEqual(got.returncode, 2, got)
                self.assertIn(b"postern | FAILED | rc=7 >>", got.stdout)

    def test_ping(self):
        for transfer in ("sftp", "scp", "piped"):
            with self.subTest(transfer):
                got = self.ansible("-m", "ping", transfer=transfer)
                self.assertEqual(got.returncode, 0, got)
                self.assertIn(b'"ping": "pong"', got.stdout)
        got = self.ansible("-m", "ping", pipelining=True)
        self.assertEqual(got.returncode, 0, got)
        self.assertIn(b'"ping": "pong"', got.stdout)

    def test_copy(self):
        there, seen = self.remote("copied")
        got = self.ansible("-m", "copy", "-a", f"src={self.server.path('tree/dir/large')} dest={there}")
        self.assertEqual(got.returncode, 0, got)
        with open(seen, "rb") as f:
            self.assertTrue(f.read() == noise(5000000))

    def tearDown(self):
        """Its master connection lingers for the next run, and is not wanted after the last one."""
        sockets = self.server.path("cp")
        for name in os.listdir(sockets) if os.path.isdir(sockets) else ():
            run(["ssh", "-F", self.config, "-o", f"ControlPath={sockets}/{name}", "-O", "exit", "postern"],
                check=False)


if __name__ == "__main__":
    if not os.path.exists(SFTP_SERVER):
        print(f"skipped: no {SFTP_SERVER}")
        raise SystemExit(SKIP)
    main()
