"""What this field has learnt about arguments, against the real programs: git, rsync, scp and tar
through the stock clients. What is denied leaves nothing behind and is explained by one line."""
import os
import re
import shlex
import shutil
import socket
import subprocess
import unittest
import warnings

warnings.filterwarnings("ignore")
import paramiko  # noqa: E402

from harness import EXEC_ID, PATIENCE, PosternTest, Result, clean_env, main, run  # noqa: E402

POLICY = """
[sandbox "files"]
network = none
read    = {dir}/git:/srv/git
read    = {dir}/backup:/srv/backup
read    = {dir}/out:/srv/out
read    = {dir}/tars:/srv/tars

[defaults]
sandbox = files
keys    = keys/alice

[tenant "git"]
command    = git-upload-pack {{path:/srv/git}}
accept-env = GIT_PROTOCOL
env        = GIT_CONFIG_COUNT=1
env        = GIT_CONFIG_KEY_0=safe.directory
env        = GIT_CONFIG_VALUE_0=*

[tenant "backup"]
command = rsync --server --sender -vlogDtpre.iLsfxCIvu . {{path:/srv/backup}}

[tenant "files"]
command = scp -f {{path:/srv/out}}

[tenant "tars"]
command = tar -xOf {{path:/srv/tars}} -- {{word}}

[tenant "env"]
shell = /bin/sh
accept-env = CI GIT_PROTOCOL LC_*
"""

# Names that have been taken for options, separators or expansions.
REPOSITORIES = (
    "a.git", "team/b.git", "with blank.git", "it's.git", 'say "x".git', "a;touch pwned.git",
    "$(touch pwned).git", "`touch pwned`.git", "a&&b.git", "a|b.git", "*.git", "#a.git", "~.git",
    "é.git", "-x.git", "--help.git", "--upload-pack=touch pwned.git", "back\\slash.git",
    "new\nline.git", "{a,b}.git", "!!.git", "a>b.git")

NO_MATCH = "the command doesn't match: "
NO_SHELL = "no shell reads this command: "


def not_here(program):
    return f'"{program}" is not a command that is allowed here'


class Arguments(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(log_level="info")
        for name in ("git", "backup", "out", "tars", "work", "client"):
            os.makedirs(cls.server.path(name), mode=0o755)
        cls.prepare()
        cls.server.write_policy(POLICY.format(dir=cls.server.dir))
        cls.server.start()
        cls.remote_shell = shlex.join(["ssh", "-F", cls.server.path("ssh_config"), "-i",
                                       cls.server.path("user_alice")])

    @classmethod
    def prepare(cls):
        """Makes the files that the tenants may read."""

    def setUp(self):
        self.before = self.all_files()

    def tearDown(self):
        self.assertEqual(self.all_files(), self.before, "files appeared, changed or went")

    def all_files(self):
        """{path: (size, time)} of all that a program could have changed."""
        found = {}
        for top in ("git", "backup", "out", "tars"):
            for folder, _, names in os.walk(os.fsencode(self.server.path(top))):
                for name in names:
                    path = os.path.join(folder, name)
                    info = os.lstat(path)
                    found[path] = (info.st_size, info.st_mtime_ns)
        found["strays"] = sorted(name for top in ("/tmp", "/", self.server.dir)
                                 for name in os.listdir(top) if "pwned" in name)
        return found

    def client(self, *argv, stdin=b"", **env):
        """A program of the client's side, in a directory of its own."""
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=60 * PATIENCE,
                              env={**clean_env(self.server.dir), **env},
                              cwd=self.server.path("client"), check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    def target(self, name):
        """An empty place for what a client fetches."""
        path = self.server.path("client/" + name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
        return path

    def was_denied(self, got, reason, code=None):
        """The client was told in one exact line, and the audit says the same."""
        start, end = self.server.last_exec()
        self.assertEqual((start["decision"], end["verdict"], end["exit"]), ("deny", "denied", 126))
        self.assertEqual(start["reason"], reason)
        self.assertLine(got.err, rf"postern: denied: {re.escape(reason)} {EXEC_ID}", got)
        self.assertIn(f"[{start['exec']}]", got.err.decode("utf-8", "backslashreplace"))
        self.assertEqual(got.err.count(b"postern:"), 1, got)
        if code is None:
            self.assertNotEqual(got.code, 0, got)
        else:
            self.assertEqual((got.code, got.out), (code, b""), got)

    def denied(self, user, line, reason):
        """A line that no honest client sends."""
        self.was_denied(self.server.ssh(user, line), reason, 126)


def no_option(place, word, why="path begins with '-'"):
    return f'{NO_MATCH}word {place}, "{word}": {why}'


class Git(Arguments):
    @classmethod
    def prepare(cls):
        seed = cls.server.path("work/seed")
        git = ["git", "-c", "init.defaultBranch=main", "-c", "user.name=x", "-c", "user.email=x@y"]
        run([*git, "init", "-q", seed])
        cls.server.write("work/seed/file", "content\n")
        run([*git, "-C", seed, "add", "file"])
        run([*git, "-C", seed, "commit", "-q", "-m", "one"])
        for name in REPOSITORIES:
            path = os.path.join(cls.server.path("git"), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            run([*git, "clone", "-q", "--bare", seed, path])

    def git(self, *argv, variant="ssh"):
        return self.client("git", *argv, GIT_SSH_COMMAND=self.remote_shell, GIT_SSH_VARIANT=variant,
                           GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0")

    def clones(self, url, *options):
        into = self.target("clone")
        got = self.git("clone", "-q", *options, url, into)
        self.assertEqual((got.code, got.out), (0, b""), got)
        with open(os.path.join(into, "file"), "rb") as f:
            self.assertEqual(f.read(), b"content\n")
        start, end = self.server.last_exec()
        self.assertEqual((start["decision"], end["verdict"], end["exit"]), ("allow", "exited", 0))

    def test_every_way_to_name_a_repository(self):
        for url in ("ssh://git@postern/srv/git/a.git", "git@postern:/srv/git/a.git",
                    "git@postern:a.git", "git@postern:./a.git", "git@postern:~/a.git",
                    "ssh://git@postern/~/a.git", "git@postern:team/../a.git",
                    "git@postern:/srv//git/./a.git", "git@postern:a.git/",
                    "ssh://git@postern/srv/git/team/b.git"):
            with self.subTest(url):
                self.clones(url)

    def test_every_name_of_a_repository(self):
        for name in REPOSITORIES:
            with self.subTest(name):
                self.clones("git@postern:/srv/git/" + name)
                # What begins with a dash is a path as soon as it is one.
                self.clones("git@postern:./" + name)

    def test_another_spelling_of_the_program_is_the_same(self):
        self.clones("git@postern:a.git", "--upload-pack='git-upload-pack'")
        self.clones("git@postern:a.git", "--upload-pack=git-upload\\-pack")

    def test_hostile_upload_pack(self):
        for program, reason in (
                ("touch /tmp/pwned; git-upload-pack",
                 NO_SHELL + "unquoted shell character ';' at byte 16"),
                ("touch /tmp/pwned&git-upload-pack",
                 NO_SHELL + "unquoted shell character '&' at byte 16"),
                ("$(touch /tmp/pwned)git-upload-pack",
                 NO_SHELL + "unquoted shell character '$' at byte 0"),
                ("`touch /tmp/pwned`", NO_SHELL + "unquoted shell character '`' at byte 0"),
                ("git-upload-pack\ntouch /tmp/pwned",
                 NO_SHELL + "unquoted shell character newline at byte 15"),
                ("touch /tmp/pwned", not_here("touch")),
                ("sh -c 'touch /tmp/pwned'", not_here("sh")),
                ("git-upload-pack --help", no_option(2, "--help")),
                ("git-upload-pack --strict", no_option(2, "--strict")),
                ("git-upload-pack --upload-pack=id", no_option(2, "--upload-pack=id")),
                ("git-upload-pack x", NO_MATCH + "3 words, at most 2 match"),
                ("git -c core.pager=id upload-pack", not_here("git")),
                ("/usr/bin/git-upload-pack", not_here("/usr/bin/git-upload-pack")),
                ("git-receive-pack", not_here("git-receive-pack"))):
            with self.subTest(program):
                into = self.target("clone")
                got = self.git("clone", "-q", "--upload-pack=" + program,
                               "git@postern:/srv/git/a.git", into)
                self.was_denied(got, reason)
                self.assertFalse(os.path.exists(into))

    def test_hostile_paths(self):
        for path, reason in (
                ("/srv/git/../../etc", "path isn't under the directory"),
                ("/srv/git/a.git/../..", "path isn't under the directory"),
                ("../etc", "path climbs too high with '..'"),
                ("a.git/../../../etc", "path climbs too high with '..'"),
                ("/srv/git", "path isn't under the directory"),
                ("/srv/gitx/a.git", "path isn't under the directory"),
                ("/proc/self/cwd", "path isn't under the directory"),
                ("~root/a.git", "another user's '~' means nothing here"),
                ("~/../a.git", "path climbs too high with '..'")):
            with self.subTest(path):
                into = self.target("clone")
                got = self.git("clone", "-q", "git@postern:" + path, into)
                self.was_denied(got, no_option(2, path, reason))

    def test_a_client_that_speaks_ext(self):
        """git's transport that runs a command gets no further than ssh does."""
        allowed = ("-c", "protocol.ext.allow=always", "clone", "-q")
        there = f"ext::{self.remote_shell} git@postern "
        got = self.git(*allowed, there + "%S /srv/git/a.git", self.target("clone"))
        self.assertEqual(got.code, 0, got)
        for line, reason in (("sh% -c% id", not_here("sh")),
                             ("%S --upload-pack=id", no_option(2, "--upload-pack=id")),
                             ("%S /srv/git/a.git% ;% id",
                              NO_SHELL + "unquoted shell character ';' at byte 31")):
            with self.subTest(line):
                got = self.git(*allowed, there + line, self.target("clone"))
                self.was_denied(got, reason)

    def test_pushing_and_archives_are_other_programs(self):
        got = self.git("-C", self.server.path("work/seed"), "push", "-q", "git@postern:a.git",
                       "HEAD:refs/heads/pwned")
        self.was_denied(got, not_here("git-receive-pack"))
        got = self.git("archive", "--remote=git@postern:a.git", "HEAD")
        self.was_denied(got, not_here("git-upload-archive"))

    def test_lines_that_no_git_sends(self):
        for line, reason in (
                ("git-upload-pack -x.git", no_option(2, "-x.git")),
                ("git-upload-pack --help", no_option(2, "--help")),
                ("git-upload-pack -- a.git", no_option(2, "--")),
                ("git-upload-pack '-oProxyCommand=touch /tmp/pwned'",
                 no_option(2, "-oProxyCommand=touch /tmp/pwned")),
                ("git-upload-pack 'a.git", NO_SHELL + "unbalanced ' at byte 16"),
                ("git-upload-pack a.git\\",
                 NO_SHELL + "backslash with nothing after it at byte 21"),
                ("git-upload-pack 'a\x1b]0;x\x07'/../../..",
                 no_option(2, "a\\x1b]0;x\\x07/../../..", "path climbs too high with '..'")),
                ("git-upload-pack a.git > /tmp/pwned",
                 NO_SHELL + "unquoted shell character '>' at byte 22"),
                ("GIT_TRACE=/tmp/pwned git-upload-pack a.git", not_here("GIT_TRACE=/tmp/pwned")),
                ("exec git-upload-pack a.git", not_here("exec"))):
            with self.subTest(line):
                self.denied("git", line, reason)

    def test_protocol_versions_come_through_the_environment(self):
        for version in ("0", "1", "2"):
            with self.subTest(version):
                into = self.target("clone")
                got = self.client("git", "-c", f"protocol.version={version}", "clone", "-q",
                                  "git@postern:a.git", into, GIT_TRACE_PACKET="1",
                                  GIT_SSH_COMMAND=self.remote_shell + " -o SendEnv=GIT_PROTOCOL")
                self.assertEqual(got.code, 0, got)
                spoken = b"version " + version.encode()
                self.assertEqual(spoken in got.err, version != "0", got)


@unittest.skipUnless(shutil.which("rsync"), "rsync is not installed")
class Rsync(Arguments):
    @classmethod
    def prepare(cls):
        cls.server.write("backup/data/one", "1\n")
        cls.server.write("backup/data/sub dir/it's", "2\n")
        cls.server.write("backup/-e", "3\n")
        cls.server.write("backup/a;touch pwned", "4\n")
        cls.server.write("local", "local\n")

    def rsync(self, *argv):
        return self.client("rsync", "-e", self.remote_shell, *argv)

    def fetches(self, source, expected, *options):
        into = self.target("fetched")
        got = self.rsync("-av", *options, "backup@postern:" + source, into + "/")
        self.assertEqual(got.code, 0, got)
        found = {}
        for folder, _, names in os.walk(into):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    found[os.path.relpath(os.path.join(folder, name), into)] = f.read()
        self.assertEqual(found, expected)

    def test_reading(self):
        self.fetches("/srv/backup/data/one", {"one": b"1\n"})
        self.fetches("data/one", {"one": b"1\n"})
        self.fetches("~/data/one", {"one": b"1\n"})
        self.fetches("data", {"data/one": b"1\n", "data/sub dir/it's": b"2\n"})
        # A slash at the end is what tells a directory from what is in it.
        self.fetches("data/", {"one": b"1\n", "sub dir/it's": b"2\n"})
        self.fetches("data/.", {"one": b"1\n", "sub dir/it's": b"2\n"})
        self.fetches("data/sub dir/it's", {"it's": b"2\n"})
        self.fetches("./-e", {"-e": b"3\n"})
        self.fetches("/srv/backup/-e", {"-e": b"3\n"})
        self.fetches("a;touch pwned", {"a;touch pwned": b"4\n"})

    def test_writing(self):
        got = self.rsync("-av", self.server.path("local"), "backup@postern:data/")
        self.was_denied(got, no_option(3, "-vlogDtpre.iLsfxCIvu", "differs"))
        got = self.rsync("-av", "--remove-source-files", "backup@postern:data/",
                         self.target("fetched"))
        self.was_denied(got, no_option(5, "--remove-source-files", "differs"))
        got = self.rsync("-av", "--delete", self.server.path("work/"), "backup@postern:data/")
        self.was_denied(got, no_option(3, "-vlogDtpre.iLsfxCIvu", "differs"))

    def test_options_of_the_other_side(self):
        into = self.target("fetched")
        for options, reason in (
                (["--rsync-path=touch /tmp/pwned; rsync"],
                 NO_SHELL + "unquoted shell character ';' at byte 16"),
                (["--rsync-path=sh -c id"], not_here("sh")),
                (["--rsync-path=rsync -e id"], no_option(2, "-e", "differs")),
                (["--rsync-path=rsync --daemon --config=/tmp/pwned"],
                 no_option(2, "--daemon", "differs")),
                (["-M--rsh=id"], no_option(5, "--rsh=id", "differs")),
                (["-M--log-file=/tmp/pwned"], no_option(5, "--log-file=/tmp/pwned", "differs")),
                (["-M--files-from=/etc/passwd"],
                 no_option(5, "--files-from=/etc/passwd", "differs")),
                (["-z"], no_option(4, "-vlogDtprze.iLsfxCIvu", "differs")),
                (["-s"], no_option(4, "-svlogDtpre.iLsfxCIvu", "differs"))):
            with self.subTest(options):
                got = self.rsync("-av", *options, "backup@postern:data/", into)
                self.was_denied(got, reason)
                self.assertFalse(os.path.exists(into))
        # A module of a daemon, which would read the configuration that it is told of.
        self.was_denied(self.rsync("-av", "backup@postern::module/x", into),
                        no_option(3, "--daemon", "differs"))

    def test_paths(self):
        into = self.target("fetched")
        for path, reason in (("/etc/passwd", "path isn't under the directory"),
                             ("../../etc/passwd", "path climbs too high with '..'"),
                             ("data/../../x", "path climbs too high with '..'"),
                             ("~root/x", "another user's '~' means nothing here")):
            with self.subTest(path):
                self.was_denied(self.rsync("-av", "backup@postern:" + path, into),
                                no_option(6, path, reason))
        got = self.rsync("-av", "backup@postern:*", into)
        self.was_denied(got, NO_SHELL + "unquoted shell character '*' at byte 47")
        got = self.rsync("-av", "backup@postern:data/one", ":data/sub dir", into)
        self.was_denied(got, NO_MATCH + "7 words, at most 6 match")

    def test_lines_that_no_rsync_sends(self):
        for line, reason in (
                ("rsync --server --sender -e 'touch /tmp/pwned' . data",
                 no_option(4, "-e", "differs")),
                ("rsync --server --sender -vlogDtpre.iLsfxCIvu . -e", no_option(6, "-e")),
                ("rsync --server --sender -vlogDtpre.iLsfxCIvu . --rsh=id",
                 no_option(6, "--rsh=id")),
                ("rsync --server --sender -vlogDtpre.iLsfxCIvu", NO_MATCH + "ends before .")):
            with self.subTest(line):
                self.denied("backup", line, reason)


class Scp(Arguments):
    @classmethod
    def prepare(cls):
        cls.server.write("out/file", "data\n")
        cls.server.write("out/a;b $(id)", "odd\n")
        cls.server.write("local", "local\n")

    def scp(self, *argv):
        return self.client("scp", "-O", "-F", self.server.path("ssh_config"), "-i",
                           self.server.path("user_alice"), *argv)

    def test_reading(self):
        for source in ("file", "/srv/out/file", "~/file", "./x/../file"):
            into = self.target("file")
            self.assertRan(self.scp("files@postern:" + source, into), 0)
            with open(into, "rb") as f:
                self.assertEqual(f.read(), b"data\n")
        into = self.target("odd")
        self.assertRan(self.scp(r"files@postern:a\;b\ \$\(id\)", into), 0)
        with open(into, "rb") as f:
            self.assertEqual(f.read(), b"odd\n")

    def test_what_else_the_client_can_ask_for(self):
        into = self.target("file")
        for argv, reason in (
                (["-r", "files@postern:file", into], no_option(2, "-r", "differs")),
                (["-p", "files@postern:file", into], no_option(2, "-p", "differs")),
                ([self.server.path("local"), "files@postern:x"], no_option(2, "-t", "differs")),
                ([self.server.path("local"), "files@postern:/srv/out/"],
                 no_option(2, "-t", "differs")),
                (["files@postern:*", into], NO_SHELL + "unquoted shell character '*' at byte 7"),
                (["files@postern:`touch /tmp/pwned`", into],
                 NO_SHELL + "unquoted shell character '`' at byte 7"),
                (["files@postern:x;touch /tmp/pwned", into],
                 NO_SHELL + "unquoted shell character ';' at byte 8"),
                (["files@postern:/etc/passwd", into],
                 no_option(3, "/etc/passwd", "path isn't under the directory")),
                (["files@postern:../../etc/passwd", into],
                 no_option(3, "../../etc/passwd", "path climbs too high with '..'")),
                (["files@postern:-S", into], no_option(3, "--"))):
            with self.subTest(argv):
                self.was_denied(self.scp(*argv), reason)
                self.assertFalse(os.path.exists(into))

    def test_lines_that_no_scp_sends(self):
        for line, reason in (
                ("scp -S '/bin/sh -c id' -f file", no_option(2, "-S", "differs")),
                ("scp -f -S id file", no_option(3, "-S")),
                ("scp -f -Sid", no_option(3, "-Sid")),
                ("scp -f -F/srv/out/file", no_option(3, "-F/srv/out/file")),
                ("scp -f '-oProxyCommand=touch /tmp/pwned'",
                 no_option(3, "-oProxyCommand=touch /tmp/pwned")),
                ("scp -t /srv/out/x", no_option(2, "-t", "differs")),
                ("scp -f", NO_MATCH + "ends before {path:/srv/out}"),
                ("scp file elsewhere:x", no_option(2, "file", "differs")),
                ("scp", NO_MATCH + "ends before -f")):
            with self.subTest(line):
                self.denied("files", line, reason)


class Tar(Arguments):
    @classmethod
    def prepare(cls):
        cls.server.write("work/member", "inside\n")
        cls.server.write("work/--to-command=touch pwned", "odd\n")
        run(["tar", "-C", cls.server.path("work"), "-cf", cls.server.path("tars/a.tar"), "--",
             "member", "./--to-command=touch pwned"])

    def test_reading(self):
        self.assertRan(self.server.ssh("tars", "tar -xOf a.tar -- member"), 0, b"inside\n")
        self.assertRan(
            self.server.ssh("tars", "tar -xOf /srv/tars/a.tar -- './--to-command=touch pwned'"), 0,
            b"odd\n")

    def test_another_host_is_a_name(self):
        got = self.server.ssh("tars", "tar -xOf localhost:a.tar -- member")
        self.assertEqual((got.code, got.out), (2, b""), got)
        self.assertIn(rb"/srv/tars/localhost\:a.tar: Cannot open: No such file", got.err)

    def test_options(self):
        for line, reason in (
                ("tar -xOf a.tar -- '--to-command=touch /tmp/pwned'",
                 no_option(5, "--to-command=touch /tmp/pwned", "begins with '-'")),
                ("tar -xOf a.tar '--to-command=touch /tmp/pwned' member",
                 no_option(4, "--to-command=touch /tmp/pwned", "differs")),
                ("tar -xOf '--to-command=touch /tmp/pwned' -- member",
                 no_option(3, "--to-command=touch /tmp/pwned")),
                ("tar -xOf --checkpoint-action=exec=id -- member",
                 no_option(3, "--checkpoint-action=exec=id")),
                ("tar --checkpoint=1 --checkpoint-action=exec=id -xOf a.tar -- member",
                 no_option(2, "--checkpoint=1", "differs")),
                ("tar -I id -xOf a.tar -- member", no_option(2, "-I", "differs")),
                ("tar xOf a.tar -- member", no_option(2, "xOf", "differs")),
                ("tar -cf /srv/tars/new.tar -- member", no_option(2, "-cf", "differs")),
                ("tar -xOf a.tar -- member -C / -x", NO_MATCH + "8 words, at most 5 match"),
                ("tar -xOf ../git/a.tar -- member",
                 no_option(3, "../git/a.tar", "path climbs too high with '..'"))):
            with self.subTest(line):
                self.denied("tars", line, reason)


class RawRequests(Arguments):
    """Requests whose strings no client's command line can hold."""

    def ask(self, user, command, variables=()):
        """What a command says when these variables were asked for first."""
        with socket.create_connection(("127.0.0.1", self.server.port), 20 * PATIENCE) as sock:
            transport = paramiko.Transport(sock)
            transport.connect(username=user, pkey=paramiko.Ed25519Key.from_private_key_file(
                self.server.path("user_alice")))
            chan = transport.open_session(timeout=20 * PATIENCE)
            chan.settimeout(30 * PATIENCE)
            for name, value in variables:
                request = paramiko.Message()
                request.add_byte(bytes([98]))  # SSH_MSG_CHANNEL_REQUEST
                request.add_int(chan.remote_chanid)
                request.add_string("env")
                request.add_boolean(False)
                request.add_string(name)
                request.add_string(value)
                transport._send_user_message(request)
            chan.exec_command(command)
            out = b"".join(iter(lambda: chan.recv(65536), b""))
            err = b"".join(iter(lambda: chan.recv_stderr(65536), b""))
            code = chan.recv_exit_status()
            transport.close()
        return Result(code, out, err)

    def test_bytes_of_a_command(self):
        for line, reason in (
                (b"tar -xOf a.tar -- \xff\xfe\n",
                 NO_SHELL + "unquoted shell character newline at byte 20"),
                (b"tar -xOf \xff\x1b[2J' -- m",
                 NO_SHELL + "unquoted shell character '[' at byte 11"),
                (b"\xff\x1b]0;x", NO_SHELL + "unquoted shell character ';' at byte 4"),
                (b"'\xff\x1b]0;x'", not_here("\\xff\\x1b]0;x")),
                (b"", "the command is empty"),
                (b" \t ", "the command is empty"),
                (b"tar " + b"x" * 70000, "the command is longer than 65536 bytes"),
                (b"tar " + b"'" * 100001, "the command is longer than 65536 bytes"),
                (b"tar " + b"x " * 300, NO_SHELL + "too many words at byte 514")):
            with self.subTest(line[:60]):
                self.was_denied(self.ask("tars", line), reason, 126)

    def test_nothing_behind_a_nul_counts(self):
        for line in (b"tar -xOf a.tar -- x\0; touch /tmp/pwned", b"touch /tmp/pwned\0",
                     b"\0touch /tmp/pwned"):
            with self.subTest(line):
                got = self.ask("tars", line)
                start, _ = self.server.last_exec()
                self.assertNotEqual(got.code, 0, got)
                self.assertNotIn("\\x00", start["command"] or "")

    def environment(self, *variables):
        got = self.ask("env", b"env -0", variables)
        self.assertEqual((got.code, got.err), (0, b""), got)
        return dict(item.split(b"=", 1) for item in got.out.split(b"\0") if item)

    def test_variables(self):
        plain = self.environment()
        for name in (
                b"LD_PRELOAD", b"ld_preload", b"BASH_ENV", b"ENV", b"IFS", b"PATH", b"HOME",
                b"GIT_DIR", b"GIT_SSH_COMMAND", b"PYTHONPATH", b"PERL5OPT", b"POSTERN_TENANT",
                b"SSH_CLIENT", b"ci", b"CI2", b"CI=X", b"CI\n", b"", b"*", b"LC_*", b"LC_A=B",
                b"-S", b"--split-string=id", b"\xff", b"A" * 100000, b"LD_PRELOAD\0", b"\0CI",
                b"LC_\x1b[2J"):
            with self.subTest(name[:40]):
                self.assertEqual(self.changed(plain, (name, b"/tmp/pwned")), {})

    def changed(self, plain, *variables):
        """What these variables changed, but for what differs each time anyway."""
        with_them = self.environment(*variables)
        own = (b"POSTERN_EXEC", b"SSH_CLIENT", b"SSH_CONNECTION", b"_")
        self.assertEqual({k for k in plain if k not in with_them}, set())
        return {k: v for k, v in with_them.items() if k not in own and plain.get(k) != v}

    def test_values(self):
        plain = self.environment()
        for value, accepted in (
                (b"1", True), (b"$(touch /tmp/pwned)", True), (b"; touch /tmp/pwned", True),
                (b"a=b", True), (b"\xff\xfe", True), (b"x" * 4096, True), (b"x" * 4097, False),
                (b"x" * 30000, False), (b"a\nb", False), (b"\x1b[2J", False),
                (b"() { :; }; touch /tmp/pwned", False)):
            with self.subTest(value[:40]):
                self.assertEqual(self.changed(plain, (b"CI", value)),
                                 {b"CI": value} if accepted else {})
        self.assertEqual(self.changed(plain, (b"CI", b"1"), (b"LD_PRELOAD", b"/x"), (b"CI", b"2")),
                         {b"CI": b"1"})


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
