"""The same of every client library: streams, exit code, input, several channels on one connection, and
a refusal that the connection survives. Those that only speak for themselves (OpenSSH, dbclient, PuTTY,
curl) are asked what they can be asked. The README has the table.

A client that isn't there is skipped, with the reason.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import unittest
import warnings

warnings.filterwarnings("ignore")

from harness import BUILD, PATIENCE, PosternTest, clean_env, main, run, wait_until  # noqa: E402

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
POLICY = """
[sandbox "plain"]
network        = none
workspace      = {kept}/%t
workspace-size = infinity

[tenant "acme"]
keys      = keys/alice
keys      = keys/ecdsa
sandbox   = plain
shell     = /bin/bash
subsystem = sftp: {sftp}
"""
INPUT_SUM = hashlib.sha256(b"x" * (1 << 20)).hexdigest()
WANTED = f"""exec out err 7
stdin {INPUT_SUM} 0
channels n4=4 n3=3 n2=2 n1=1 n0=0
refused, alive
"""
DATA = bytes(range(256)) * 8192  # 2 MiB


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class InteropTest(PosternTest):
    autostart = False
    settings = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = cls.server = cls.new_server(host_keys=("ed25519", "ecdsa-256", "rsa-2048"),
                                             log_level="info", server=cls.settings)
        server.user_key("ecdsa", "ecdsa", 256)
        cls.kept = server.path("kept")
        os.mkdir(cls.kept, 0o755)
        os.chmod(server.dir, 0o755)
        server.write_policy(POLICY.format(kept=cls.kept, sftp=SFTP_SERVER))
        server.start()
        cls.key = server.path("user_alice")

    def call(self, argv, stdin=b"", timeout=60, check=True, **env):
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout * PATIENCE, cwd=self.server.dir, check=False,
                              env={**clean_env(self.server.dir), **env})
        if check:
            self.assertEqual(done.returncode, 0, done)
        return done


# What postern.ini(5) gives to older clients.
OLDER = """kex  = curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256
macs = hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha2-256
"""


class LibraryTest(InteropTest):
    def assertSpeaks(self, *argv, key=None, **env):
        before = len(self.server.audit(event="end"))
        done = self.call([*argv, str(self.server.port), "acme", key or self.key], **env)
        self.assertEqual(done.stdout.decode(), WANTED, done)
        # One connection, and what the server remembers is the same.
        ends = wait_until(lambda: (lambda r: len(r) >= 8 and r)(self.server.audit(event="end")[before:]),
                          10, "the audit")
        self.assertEqual(len({r["connection"] for r in ends}), 1)
        self.assertEqual(sorted((r["verdict"], r["exit"]) for r in ends),
                         sorted(("exited", n) for n in (7, 0, 4, 3, 2, 1, 0, 0)))


class Libraries(LibraryTest):
    def test_libssh(self):
        self.assertSpeaks(os.path.join(BUILD, "tests/e2e/client_libssh"))

    @unittest.skipUnless(os.path.isdir("/usr/share/gocode/src/golang.org/x/crypto/ssh"),
                         "golang-golang-x-crypto-dev is not installed")
    @needs("go")
    def test_go(self):
        program = self.server.path("client_go")
        self.call(["go", "build", "-o", program, os.path.join(CLIENTS, "client.go")], timeout=300,
                  GOPATH="/usr/share/gocode", GO111MODULE="off", CGO_ENABLED="0",
                  GOCACHE=os.environ.get("GOCACHE", self.server.path("go")))
        self.assertSpeaks(program)

    @needs("node")
    def test_node(self):
        """ssh2 of npm; Debian has no package of it."""
        where = self.server.path("node")
        modules = os.environ.get("NODE_PATH", "/usr/share/nodejs")
        if not os.path.isdir(os.path.join(modules, "ssh2")):
            if not shutil.which("npm"):
                self.skipTest("neither ssh2 nor npm is installed")
            os.mkdir(where)
            try:
                # With the settings of whoever runs the test: a proxy, a mirror.
                got = self.call(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                                 "--omit=optional", "--fetch-retries=0", "--prefix", where, "ssh2@1"],
                                timeout=60, check=False, **os.environ)
            except subprocess.TimeoutExpired:
                self.skipTest("the npm registry does not answer")
            if got.returncode != 0:
                self.skipTest(f"no ssh2 from npm: {got.stderr.decode(errors='replace')[-200:]}")
            modules = os.path.join(where, "node_modules")
        self.assertSpeaks("node", os.path.join(CLIENTS, "client.js"), NODE_PATH=modules)

    @unittest.skipUnless(glob.glob("/usr/lib/erlang/lib/ssh-*"), "erlang-ssh is not installed")
    @needs("escript")
    def test_erlang(self):
        where = self.server.path("erlang")
        os.mkdir(where)
        shutil.copy(self.key, os.path.join(where, "id_ed25519"))
        self.assertSpeaks("escript", os.path.join(CLIENTS, "client.escript"), key=where)

    def test_paramiko(self):
        self.assertSpeaks(sys.executable, "-W", "ignore", os.path.join(CLIENTS, "client_paramiko.py"))

    def test_asyncssh(self):
        self.assertSpeaks(sys.executable, "-W", "ignore", os.path.join(CLIENTS, "client_asyncssh.py"))


class OlderLibraries(LibraryTest):
    settings = OLDER

    @unittest.skipUnless(glob.glob("/usr/lib/*/perl5/5.*/Net/SSH2.pm"), "libnet-ssh2-perl is not installed")
    def test_libssh2_of_perl(self):
        self.assertSpeaks("perl", os.path.join(CLIENTS, "client.pl"))

    @unittest.skipUnless(os.path.exists("/usr/share/java/jsch.jar"), "libjsch-java is not installed")
    @needs("javac")
    def test_jsch(self):
        """JSch 0.1 knows neither ed25519 nor RSA with SHA-2; ECDSA it does, in PEM."""
        key = self.server.path("user_ecdsa.pem")
        shutil.copy(self.server.path("user_ecdsa"), key)
        run(["ssh-keygen", "-q", "-p", "-N", "", "-m", "PEM", "-f", key])
        self.assertSpeaks("java", "-cp", "/usr/share/java/jsch.jar", os.path.join(CLIENTS, "Client.java"),
                          key=key)

    @needs("curl")
    def test_refused_without_these_settings(self):
        """Either side may see it first. Nothing else is hurt."""
        server = self.new_server(log_level="info").start()
        got = self.call(["curl", "-s", "-S", "-k", "-u", "acme:", "--key", self.key,
                         f"sftp://127.0.0.1:{server.port}/"], check=False)
        self.assertEqual(got.returncode, 2, got)
        self.assertIn(b"Unable to exchange encryption keys", got.stderr)
        self.assertRan(server.ssh("acme", "echo on"), 0, b"on\n")


@needs("plink")
class Putty(InteropTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ppk = cls.server.path("user_alice.ppk")
        run(["puttygen", cls.key, "-O", "private", "-o", cls.ppk])
        line = run(["ssh-keygen", "-l", "-f", cls.server.path("host_ed25519.pub")]).out.decode()
        cls.common = ["-batch", "-hostkey", line.split()[1], "-i", cls.ppk, "-P", str(cls.server.port)]

    def plink(self, *words, stdin=b"", flags=(), check=False):
        return self.call(["plink", "-ssh", *self.common, *flags, "acme@127.0.0.1", *words], stdin=stdin,
                         check=check)

    def test_streams_code_and_input(self):
        got = self.plink("echo out; echo err >&2; exit 7")
        self.assertEqual((got.returncode, got.stdout, got.stderr), (7, b"out\n", b"err\n"))
        got = self.plink("cat", stdin=DATA)
        self.assertEqual((got.returncode, got.stdout == DATA, got.stderr), (0, True, b""))

    def test_refused_and_alive(self):
        """An agent, X11 and a forwarded port are refused; the command runs."""
        got = self.plink("echo alive", flags=["-A", "-X", "-R", "0:127.0.0.1:22"])
        self.assertEqual((got.returncode, got.stdout), (0, b"alive\n"), got)

    def test_several_channels(self):
        """Connection sharing: others ask the first one's process."""
        first = subprocess.Popen(["plink", "-ssh", "-share", "-N", *self.common, "acme@127.0.0.1"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=clean_env(self.server.dir))
        self.server.clients.append(first)
        try:
            wait_until(lambda: self.call(["plink", "-ssh", "-shareexists", *self.common, "acme@127.0.0.1"],
                                         check=False).returncode == 0, 20, "the shared connection")
            before = len(self.server.audit(event="end"))
            for n in range(5):
                got = self.plink(f"cat; exit {n}", stdin=b"n%d" % n, flags=["-share"])
                self.assertEqual((got.returncode, got.stdout), (n, b"n%d" % n), got)
            ends = self.server.wait_audit(before + 5, event="end")[before:]
            self.assertEqual(len({r["connection"] for r in ends}), 1)
        finally:
            first.kill()
            first.communicate()

    def test_psftp(self):
        source, back = self.server.write("data", DATA), self.server.path("psftp.back")
        batch = self.server.write("batch", f"put {source} psftp\nmv psftp moved\nget moved {back}\nrm moved\n")
        self.call(["psftp", *self.common, "-b", batch, "acme@127.0.0.1"])
        with open(back, "rb") as f:
            self.assertTrue(f.read() == DATA)

    def test_pscp(self):
        source, back = self.server.write("data", DATA), self.server.path("pscp.back")
        for how in ("-scp", "-sftp"):
            self.call(["pscp", how, *self.common, source, "acme@127.0.0.1:pscp"])
            self.call(["pscp", how, *self.common, "acme@127.0.0.1:pscp", back])
            with open(back, "rb") as f:
                self.assertTrue(f.read() == DATA)
            os.unlink(back)


@needs("curl")
class Curl(InteropTest):
    """libssh2 as most people have it."""

    settings = OLDER

    def test_sftp_and_scp(self):
        if b"sftp" not in self.call(["curl", "-V"]).stdout:
            self.skipTest("this curl has no libssh2")
        source, back = self.server.write("data", DATA), self.server.path("curl.back")
        for scheme in ("sftp", "scp"):
            with self.subTest(scheme):
                common = ["curl", "-s", "-S", "-k", "-u", "acme:", "--key", self.key, "--pubkey",
                          self.key + ".pub"]
                url = f"{scheme}://127.0.0.1:{self.server.port}/workspace/curl"
                self.call([*common, "-T", source, url])
                self.call([*common, "-o", back, url])
                with open(back, "rb") as f:
                    self.assertTrue(f.read() == DATA)
                os.unlink(back)


if __name__ == "__main__":
    main()
