"""Subsystems: what the policy offers by name runs as a command of its own; what it does not offer is
refused so that the user reads why."""
import os
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import EXEC_ID, PATIENCE, SKIP, PosternTest, main, run  # noqa: E402

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
POLICY = f"""
[sandbox "plain"]
network = none
read    = {{files}}:/srv/files
[tenant "acme"]
keys      = keys/alice
sandbox   = plain
command   = echo {{{{word}}}}
subsystem = sftp: {SFTP_SERVER} -R
subsystem = shout: /usr/bin/tr a-z A-Z
subsystem = fail: /bin/sh -c "echo no >&2; exit 9"
[tenant "none"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "forced"]
keys      = keys/alice
sandbox   = plain
force     = /usr/bin/printenv SSH_ORIGINAL_COMMAND
[tenant "unasked"]
keys      = keys/alice
sandbox   = plain
subsystem = sftp: {SFTP_SERVER}
"""
DATA = bytes(range(256)) * 4096  # 1 MiB


class Subsystem(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        cls.server.write("files/data", DATA)
        cls.server.write_policy(POLICY.format(files=cls.server.path("files")))
        cls.server.start()

    def sftp(self, user, *commands):
        argv = ["sftp", "-F", self.server.path("ssh_config"), "-i", self.server.path("user_alice"),
                "-b", "-", f"{user}@postern"]
        return run(argv, stdin="".join(line + "\n" for line in commands).encode(),
                   home=self.server.dir, check=False)

    def connect(self, user):
        transport = paramiko.Transport(("127.0.0.1", self.server.port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=20 * PATIENCE)
        transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(
            self.server.path("user_alice")))
        return transport


class Offered(Subsystem):
    def test_sftp(self):
        target = self.server.path("fetched")
        got = self.sftp("acme", "ls /srv/files", f"get /srv/files/data {target}")
        self.assertEqual(got.code, 0, got)
        self.assertIn(b"/srv/files/data", got.out)
        with open(target, "rb") as f:
            self.assertEqual(f.read(), DATA)
        start, end = self.server.last_exec()
        self.assertEqual((start["kind"], start["command"], start["decision"]),
                         ("subsystem", "sftp", "allow"))
        self.assertRegex(start["rule"], r"/policy\.d/tenants\.ini:9\Z")
        self.assertEqual((end["verdict"], end["exit"]), ("exited", 0))

    def test_sftp_is_read_only(self):
        got = self.sftp("acme", f"put {self.server.path('files/data')} /tmp/data")
        self.assertNotEqual(got.code, 0)
        self.assertIn(b"Permission denied", got.err)

    def test_sftp_with_paramiko(self):
        with paramiko.SFTPClient.from_transport(self.connect("acme")) as sftp:
            self.assertEqual(sftp.listdir("/srv/files"), ["data"])
            with sftp.open("/srv/files/data") as f:
                self.assertEqual(f.read(), DATA)
            with self.assertRaises(PermissionError):
                sftp.mkdir("/tmp/x")

    def test_nothing_that_writes(self):
        """What the sandbox may read alone no operation changes, whether or not the server is told -R."""
        place, file = "/srv/files", "/srv/files/data"
        for name, mode in {"files": 0o777, "files/data": 0o666}.items():  # the mount alone is in the way
            os.chmod(self.server.path(name), mode)
        before = os.stat(self.server.path("files/data"))
        for user in ("acme", "unasked"):
            with paramiko.SFTPClient.from_transport(self.connect(user)) as sftp:
                for name, attempt in {
                        "create": lambda: sftp.open(f"{place}/new", "x").close(),
                        "create empty": lambda: sftp.open(f"{place}/new", "w").close(),
                        "append": lambda: sftp.open(file, "a").close(),
                        "update": lambda: sftp.open(file, "r+").close(),
                        "truncate": lambda: sftp.truncate(file, 0),
                        "truncate to its size": lambda: sftp.truncate(file, len(DATA)),
                        "chmod": lambda: sftp.chmod(file, 0o777),
                        "chown": lambda: sftp.chown(file, 0, 0),
                        "utime": lambda: sftp.utime(file, (1, 1)),
                        "rename": lambda: sftp.rename(file, f"{place}/moved"),
                        "posix-rename": lambda: sftp.posix_rename(file, f"{place}/moved"),
                        "link": lambda: sftp._request(paramiko.sftp.CMD_EXTENDED, "hardlink@openssh.com",
                                                      file, f"{place}/hard"),
                        "symlink": lambda: sftp.symlink(file, f"{place}/soft"),
                        "remove": lambda: sftp.remove(file),
                        "mkdir": lambda: sftp.mkdir(f"{place}/dir"),
                        "rmdir": lambda: sftp.rmdir(place)}.items():
                    with self.subTest(user=user, name=name), self.assertRaises(OSError):
                        attempt()
        self.assertEqual(os.listdir(self.server.path("files")), ["data"])
        after = os.stat(self.server.path("files/data"))
        for name in ("st_ino", "st_mode", "st_uid", "st_size", "st_nlink", "st_mtime_ns", "st_ctime_ns"):
            self.assertEqual(getattr(before, name), getattr(after, name), name)

    def test_any_name(self):
        got = self.server.ssh("acme", "shout", flags=["-s"], stdin=b"quiet\n")
        self.assertRan(got, 0, b"QUIET\n")
        got = self.server.ssh("acme", "fail", flags=["-s"])
        self.assertRan(got, 9, b"", b"no\n")

    def test_a_name_is_no_command(self):
        """Nor is a command a name."""
        got = self.server.ssh("acme", "shout")
        self.assertEqual(got.code, 126)
        got = self.server.ssh("acme", "echo x", flags=["-s"])
        self.assertEqual(got.code, 126)
        self.assertLine(got.err, rf'postern: denied: subsystem "echo x" is not offered {EXEC_ID}')

    def test_several_at_once(self):
        transport = self.connect("acme")
        channels = []
        for n in range(8):
            channel = transport.open_session(timeout=20 * PATIENCE)
            channel.settimeout(20 * PATIENCE)
            channel.invoke_subsystem("shout")
            channel.sendall(b"n%d" % n)
            channel.shutdown_write()
            channels.append(channel)
        for n, channel in enumerate(channels):
            self.assertEqual(channel.makefile("rb").read(), b"N%d" % n)
            self.assertEqual(channel.recv_exit_status(), 0)

    def test_force_replaces_it(self):
        self.assertRan(self.server.ssh("forced", "sftp", flags=["-s"]), 0, b"sftp\n")


class NotOffered(Subsystem):
    """The request is answered with success and the channel says why: a client that is answered with
    failure closes the channel, or the connection, without showing what it was told."""

    REASON = rf'postern: denied: subsystem "sftp" is not offered {EXEC_ID}'

    def test_sftp(self):
        got = self.sftp("none", "ls")
        self.assertNotEqual(got.code, 0)
        self.assertLine(got.err, self.REASON)
        start, end = self.server.last_exec(user="none")
        self.assertEqual((start["kind"], start["command"], start["decision"], start["limit"]),
                         ("subsystem", "sftp", "deny", None))
        self.assertEqual(start["reason"], 'subsystem "sftp" is not offered')
        self.assertEqual((end["verdict"], end["exit"]), ("denied", 126))

    def test_ssh(self):
        got = self.server.ssh("none", "sftp", flags=["-s"])
        self.assertEqual((got.code, got.out), (126, b""), got)
        self.assertLine(got.err, self.REASON)

    def test_paramiko(self):
        channel = self.connect("none").open_session(timeout=20 * PATIENCE)
        channel.settimeout(20 * PATIENCE)
        channel.invoke_subsystem("sftp")
        self.assertEqual(channel.makefile("rb").read(), b"")
        line = channel.makefile_stderr("rb").read().decode().rstrip("\n")
        self.assertRegex(line, rf"\A{self.REASON}\Z")
        self.assertEqual(channel.recv_exit_status(), 126)

    def test_no_reply_where_none_is_wanted(self):
        """RFC 4254 §6.5 with want-reply false: the next message is not an answer to it."""
        transport = self.connect("none")
        channel = transport.open_session(timeout=20 * PATIENCE)
        channel.settimeout(20 * PATIENCE)
        answers = []
        channel._request_success = lambda _: answers.append("success")
        channel._request_failed = lambda _: answers.append("failure")
        message = paramiko.Message()
        message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
        message.add_int(channel.remote_chanid)
        message.add_string("subsystem")
        message.add_boolean(False)
        message.add_string("sftp")
        transport._send_user_message(message)
        line = channel.makefile_stderr("rb").read().decode().rstrip("\n")
        self.assertRegex(line, rf"\A{self.REASON}\Z")
        self.assertEqual((channel.recv_exit_status(), answers), (126, []))

    def test_hostile_names(self):
        for name in ("sf\x1b[2Jtp", "a" * 300, "", "x y", "sftp\n"):
            with self.subTest(name):
                channel = self.connect("none").open_session(timeout=20 * PATIENCE)
                channel.settimeout(20 * PATIENCE)
                channel.invoke_subsystem(name)
                line = channel.makefile_stderr("rb").read()
                self.assertRegex(line, rb'\Apostern: denied: subsystem "[ -~]*" is not offered '
                                       rb"\[[ -~]+\]\n\Z")
                self.assertEqual(channel.recv_exit_status(), 126)


if __name__ == "__main__":
    if not os.path.exists(SFTP_SERVER):
        print(f"skipped: no {SFTP_SERVER}")
        raise SystemExit(SKIP)
    main()
