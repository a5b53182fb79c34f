"""The seccomp profile for clients of the network: what it is for runs without a refusal, and what
listens, steers others or reaches further is refused."""
import functools
import http.server
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import PosternTest, clean_env, main

POLICY = """
[sandbox "net"]
network = host
seccomp = network
[tenant "acme"]
keys    = keys/alice
sandbox = net
shell   = /bin/bash
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(directory, context=None):
    handler = functools.partial(Quiet, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class NetworkProfile(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=POLICY)
        cls.server.start()
        cls.site = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.site)
        with open(os.path.join(cls.site, "page"), "w", encoding="ascii") as page:
            page.write("a page\n")
        cls.web = serve(cls.site)
        cls.addClassCleanup(cls.web.server_close)
        cls.addClassCleanup(cls.web.shutdown)

    def runs(self, command, out):
        got = self.server.ssh("acme", command)
        self.assertEqual((got.code, got.out), (0, out), got)
        self.assertNotIn(b"postern:", got.err)

    def url(self, server, scheme="http"):
        return f"{scheme}://127.0.0.1:{server.server_address[1]}"

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self):
        self.runs(f"curl -s {self.url(self.web)}/page", b"a page\n")
        port = self.web.server_address[1]
        self.runs(f"curl -s http://localhost:{port}/page", b"a page\n")

    @unittest.skipUnless(shutil.which("wget"), "wget is not installed")
    def test_wget(self):
        self.runs(f"wget -q -O - {self.url(self.web)}/page", b"a page\n")

    @unittest.skipUnless(shutil.which("openssl") and shutil.which("git"), "it takes openssl and git")
    def test_git_over_https(self):
        secret = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, secret)
        key, certificate = os.path.join(secret, "key"), os.path.join(secret, "certificate")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        repository = os.path.join(self.site, "r.git")
        for command in (["init", "-q", "--bare", repository],
                        ["-C", repository, "-c", "user.name=a", "-c", "user.email=a@b", "commit-tree",
                         "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "m"]):
            done = subprocess.run(["git", *command], check=True, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, env=clean_env(secret))
        subprocess.run(["git", "-C", repository, "update-ref", "refs/heads/main", done.stdout.strip()],
                       check=True, env=clean_env(secret))
        subprocess.run(["git", "-C", repository, "update-server-info"], check=True, env=clean_env(secret))
        web = serve(self.site, context)
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        self.runs(f"git -c http.sslVerify=false clone -q {self.url(web, 'https')}/r.git /tmp/r && "
                  "git -C /tmp/r log --format=%s origin/main", b"m\n")

    @unittest.skipUnless(shutil.which("ssh-keygen"), "ssh is not installed")
    def test_ssh(self):
        got = self.server.ssh("acme", "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o "
                              f"UserKnownHostsFile=/dev/null -p {self.server.port} acme@127.0.0.1 true")
        self.assertEqual(got.code, 255, got)
        self.assertIn(b"Permission denied (publickey)", got.err)
        self.assertNotIn(b"postern:", got.err)

    def test_names(self):
        got = self.server.ssh("acme", "getent ahosts localhost; getent hosts no-such.invalid; :")
        self.assertEqual(got.code, 0, got)
        self.assertIn(b"STREAM localhost", got.out)
        self.assertNotIn(b"postern:", got.err)

    def test_nothing_listens(self):
        for call, told in (
                ("50, 0, 1", "listen"), ("43, 0, 0, 0", "accept"), ("288, 0, 0, 0, 0", "accept4"),
                ("101, 0", "ptrace(PTRACE_TRACEME)"), ("319, $x=\"x\", 1", "memfd_create(MFD_CLOEXEC)"),
                ("29, 0, 1, 0", "shmget(0)")):
            got = self.server.ssh("acme", f"perl -e 'exit(syscall({call}) == -1 && $! == 1 ? 0 : 1)'")
            self.assertEqual(got.code, 0, (told, got))
            self.assertIn(f'postern: note: system call {told} was refused by seccomp profile "network" '
                          .encode(), got.err)


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
