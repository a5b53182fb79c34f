"""Clients other than OpenSSH: dropbear's dbclient, paramiko and asyncssh."""
import asyncio
import hashlib
import os
import subprocess
import threading
import warnings

warnings.filterwarnings("ignore")
import asyncssh  # noqa: E402
import paramiko  # noqa: E402

from harness import PATIENCE, PosternTest, clean_env, main, run  # noqa: E402

POLICY = """
[sandbox "plain"]
network = none

[tenant "acme"]
keys      = keys/alice
keys      = keys/rsa
keys      = keys/dropbear
sandbox   = plain
shell     = /bin/bash
max-execs = 100
accept-env = LC_*
"""
DATA = bytes(range(256)) * 8192  # 2 MiB


class Clients(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(host_keys=("ed25519", "ecdsa-256", "rsa-2048"))
        cls.server.user_key("rsa", "rsa", 2048)
        made = run(["dropbearkey", "-t", "ed25519", "-f", cls.server.path("user_dropbear")])
        public = [line for line in made.out.splitlines() if line.startswith(b"ssh-ed25519 ")]
        cls.server.write("policy.d/keys/dropbear", public[0] + b"\n")
        cls.server.write_policy(POLICY)
        cls.server.start()


class Dropbear(Clients):
    def dbclient(self, command, stdin=b""):
        # With a keepalive each second: it may sleep through the end of its last channel otherwise.
        return run(["dbclient", "-T", "-y", "-K", "1", "-i", self.server.path("user_dropbear"),
                    "-p", str(self.server.port), "acme@127.0.0.1", command],
                   stdin=stdin, home=self.server.dir, check=False)

    def test_streams_and_exit_status(self):
        got = self.dbclient("echo out; echo err >&2; exit 7")
        self.assertEqual((got.code, got.out), (7, b"out\n"), got)
        self.assertLine(got.err, "err")

    def test_binary_data_both_ways(self):
        got = self.dbclient("cat", DATA)
        self.assertEqual((got.code, got.out == DATA), (0, True), got.err)

    def test_input_ends(self):
        got = self.dbclient("wc -c", b"12345")
        self.assertEqual((got.code, got.out), (0, b"5\n"), got)


class Paramiko(Clients):
    def setUp(self):
        self.client = paramiko.SSHClient()
        self.client.load_host_keys(self.known_hosts())
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self.addCleanup(self.client.close)

    def known_hosts(self):
        name = f"[127.0.0.1]:{self.server.port}"
        text = "".join(f"{name} {open(path + '.pub', encoding='utf-8').read()}"
                       for path in self.server.host_keys)
        return self.server.write("known_hosts.paramiko", text)

    def connect(self, key="alice"):
        self.client.connect("127.0.0.1", self.server.port, "acme",
                            key_filename=self.server.path(f"user_{key}"), allow_agent=False,
                            look_for_keys=False, timeout=20 * PATIENCE,
                            banner_timeout=20 * PATIENCE, auth_timeout=20 * PATIENCE)
        return self.client

    def test_streams_and_exit_status(self):
        for key in ("alice", "rsa"):
            stdin, stdout, stderr = self.connect(key).exec_command(
                "cat; echo err >&2; exit 9", timeout=30 * PATIENCE)
            stdin.write(b"hello")
            stdin.channel.shutdown_write()
            self.assertEqual(stdout.read(), b"hello")
            self.assertEqual(stderr.read(), b"err\n")
            self.assertEqual(stdout.channel.recv_exit_status(), 9)

    def test_many_channels_on_one_connection(self):
        client = self.connect()
        running = [client.exec_command(f"cat; exit {n}", timeout=30 * PATIENCE) for n in range(30)]
        for n, (stdin, _, _) in enumerate(running):
            stdin.write(b"%d" % n)
            stdin.channel.shutdown_write()
        for n, (_, stdout, _) in enumerate(running):
            self.assertEqual((stdout.read(), stdout.channel.recv_exit_status()), (b"%d" % n, n))

    def test_password_is_refused(self):
        with self.assertRaises(paramiko.BadAuthenticationType) as refused:
            self.client.connect("127.0.0.1", self.server.port, "acme", password="secret",
                                allow_agent=False, look_for_keys=False, timeout=20 * PATIENCE)
        self.assertEqual(refused.exception.allowed_types, ["publickey"])

    def test_rekeying_with_data_in_flight(self):
        client = self.connect()
        stdin, stdout, _ = client.exec_command("cat", timeout=30 * PATIENCE)
        writer = threading.Thread(target=lambda: (stdin.write(DATA), stdin.channel.shutdown_write()))
        reader = threading.Thread(target=lambda: got.append(stdout.read()))
        got = []
        writer.start()
        reader.start()
        for _ in range(4):
            client.get_transport().renegotiate_keys()
        writer.join(60 * PATIENCE)
        reader.join(60 * PATIENCE)
        self.assertTrue(got == [DATA])
        self.assertEqual(stdout.channel.recv_exit_status(), 0)

    def test_environment(self):
        _, stdout, _ = self.connect().exec_command("echo $LC_TEST-$OTHER", timeout=30 * PATIENCE,
                                                   environment={"LC_TEST": "yes", "OTHER": "no"})
        self.assertEqual(stdout.read(), b"yes-\n")


class AsyncSSH(Clients):
    def connect(self):
        return asyncssh.connect("127.0.0.1", self.server.port, username="acme", config=None,
                                known_hosts=None, agent_path=None,
                                client_keys=[self.server.path("user_alice")])

    def run_async(self, coroutine):
        return asyncio.run(asyncio.wait_for(coroutine, 60 * PATIENCE))

    def test_streams_and_exit_status(self):
        async def go():
            async with self.connect() as conn:
                done = await conn.run("cat; echo err >&2; exit 9", input="hello")
                return done.stdout, done.stderr, done.exit_status
        self.assertEqual(self.run_async(go()), ("hello", "err\n", 9))

    def test_parallel_execs_and_data(self):
        async def one(conn, n):
            done = await conn.run(f"cat; exit {n}", input=DATA[:200000], encoding=None)
            return done.exit_status, hashlib.sha256(done.stdout).digest()

        async def go():
            async with self.connect() as conn:
                return await asyncio.gather(*(one(conn, n) for n in range(20)))
        digest = hashlib.sha256(DATA[:200000]).digest()
        self.assertEqual(self.run_async(go()), [(n, digest) for n in range(20)])

    def test_keepalives(self):
        async def go():
            async with asyncssh.connect(
                    "127.0.0.1", self.server.port, username="acme", config=None, known_hosts=None,
                    agent_path=None, client_keys=[self.server.path("user_alice")],
                    keepalive_interval=0.2, keepalive_count_max=3) as conn:
                return (await conn.run("sleep 2; echo alive")).stdout
        self.assertEqual(self.run_async(go()), "alive\n")


del Clients  # a base, not a test case

if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)


GIT_POLICY = """
[sandbox "git"]
read    = {repos}:/srv/git
seccomp = strict

[tenant "git-read"]
user    = git
keys    = keys/alice
sandbox = git
command = git-upload-pack {{path:/srv/git}}
env     = GIT_CONFIG_COUNT=1
env     = GIT_CONFIG_KEY_0=safe.directory
env     = GIT_CONFIG_VALUE_0=*
accept-env = GIT_PROTOCOL
"""


class Git(PosternTest):
    """Forced commands as git hosting uses them, under the strict profile."""
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        os.mkdir(cls.server.path("repos"))
        cls.git("init", "-q", "--bare", "repos/a.git")
        cls.git("init", "-q", "work")
        cls.server.write("work/data", DATA)
        cls.git("-C", "work", "add", "data")
        cls.git("-C", "work", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "data")
        cls.git("-C", "work", "push", "-q", "../repos/a.git", "HEAD:refs/heads/master")
        cls.server.write_policy(GIT_POLICY.format(repos=cls.server.path("repos")))
        cls.server.start()

    @classmethod
    def git(cls, *words, check=True):
        ssh = " ".join(cls.server.ssh_argv("x")[:-1]) if cls.server.process else ""
        env = {**clean_env(cls.server.dir), "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_NOSYSTEM": "1"}
        got = subprocess.run(["git", *words], cwd=cls.server.dir, env=env, timeout=60 * PATIENCE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and got.returncode != 0:
            raise AssertionError(f"git {words}: {got.stderr!r}")
        return got

    def test_clone(self):
        self.git("clone", "-q", "ssh://git@postern/srv/git/a.git", "clone")
        with open(self.server.path("clone/data"), "rb") as f:
            self.assertEqual(f.read(), DATA)
        start, end = self.server.last_exec()
        self.assertEqual((start["command"], end["verdict"], end["exit"]),
                         ("git-upload-pack '/srv/git/a.git'", "exited", 0))

    def test_push_is_denied_with_a_reason(self):
        got = self.git("-C", "work", "push", "ssh://git@postern/srv/git/a.git", "HEAD", check=False)
        self.assertNotEqual(got.returncode, 0)
        self.assertIn(b"postern: denied: ", got.stderr)
        self.assertEqual(self.server.last_exec()[1]["verdict"], "denied")

    def test_no_way_out_of_the_directory(self):
        for path in ("../../etc", "--upload-pack=id", "-oProxyCommand=id", "/etc", "a.git/../../x"):
            got = self.server.ssh("git", f"git-upload-pack '{path}'")
            self.assertEqual((got.code, got.out), (126, b""), got)


main()
