"""Every verdict: the client's exit code, its line on stderr and the audit record."""
import os
import time

from harness import EXEC_ID, PATIENCE, PosternTest, main, wait_until

POLICY = """
[seccomp "trap"]
extends = default
kill    = unshare

[seccomp "mute"]
extends = default
deny    = uname

[sandbox "plain"]
network = none
read    = {files}:/srv/files
[sandbox "short"]
extends = plain
time    = 1s
[sandbox "trap"]
extends = plain
seccomp = trap
[sandbox "mute"]
extends = plain
seccomp = mute
[sandbox "tight"]
extends = plain
tasks   = 8
[sandbox "tiny"]
extends = plain
tmp     = 1M

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "short"]
extends = acme
user    = short
sandbox = short
[tenant "strict"]
extends = acme
user    = strict
sandbox = trap
[tenant "mute"]
extends = acme
user    = mute
sandbox = mute
explain = rule
[tenant "tight"]
extends = acme
user    = tight
sandbox = tight
[tenant "tiny"]
extends = acme
user    = tiny
sandbox = tiny
[tenant "busy"]
extends = acme
user    = busy
max-execs = 2

[tenant "direct"]
keys    = keys/alice
sandbox = plain
command = {{re:.+}} {{args}}
[tenant "missing"]
keys    = keys/alice
sandbox = plain
force   = /usr/bin/no-such-program
"""

# Python is not part of a minimal system, perl is.
PTRACE = "perl -e 'print syscall(101, 0, 0, 0, 0), \" \", $!+0, \"\\n\"'"


class Outcomes(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server()
        cls.server.write("files/data", "not a program\n")
        cls.server.write("files/script", "#!/bin/sh\necho script $1\n", 0o755)
        cls.server.write("files/lost", "#!/no/such/interpreter\n", 0o755)
        os.mkdir(cls.server.path("files/shut"), 0o700)
        cls.server.write("files/garbage", b"\x7fELF garbage", 0o755)
        cls.server.write_policy(POLICY.format(files=cls.server.path("files")))
        cls.server.start()

    def verdict(self, got, verdict, code, reason, out=b""):
        """`got` ended with `code`; its last stderr line and the audit record carry the verdict."""
        self.assertEqual((got.code, got.out), (code, out), got)
        start, end = self.server.last_exec()
        self.assertEqual((end["verdict"], end["exit"]), (verdict, code))
        line = got.err.decode().splitlines()[-1]
        self.assertRegex(line, rf"\Apostern: {verdict}: {reason} {EXEC_ID}\Z")
        self.assertTrue(line.endswith(f"[{start['exec']}]"), line)
        return start, end

    def ssh(self, user, *command, **how):
        return self.server.ssh(user, *command, **how)

    def test_exited(self):
        self.assertRan(self.ssh("acme", "exit 7"), 7, b"", b"")
        start, end = self.server.last_exec()
        self.assertEqual((start["decision"], end["verdict"], end["exit"]), ("allow", "exited", 7))

    def test_signalled(self):
        self.assertRan(self.ssh("acme", "kill -SEGV $$"), 255, b"", None)
        _, end = self.server.last_exec()
        self.assertEqual((end["verdict"], end["signal"]), ("signalled", 11))

    def test_time_is_over(self):
        begun = time.monotonic()
        got = self.ssh("short", "echo begun; trap '' TERM HUP INT; sleep 60; sleep 60")
        took = time.monotonic() - begun
        self.verdict(got, "time", 124, "the time limit of 1s is over", b"begun\n")
        self.assertGreaterEqual(took, 1)
        self.assertLess(took, 20 * PATIENCE)
        wait_until(lambda: not self.server.exec_pids(), 5, "the end of the exec")

    def test_too_many_execs(self):
        running = [self.server.popen_ssh("busy", "echo up; cat") for _ in range(2)]
        for client in running:
            self.assertEqual(client.stdout.readline(), b"up\n")
        got = self.ssh("busy", "true")
        self.verdict(got, "denied", 126, 
                     'tenant "busy" already runs 2 commands, its max-execs')
        for client in running:
            out, _ = client.communicate(b"done", timeout=30)
            self.assertEqual((client.returncode, out), (0, b"done"))
        wait_until(lambda: self.ssh("busy", "exit 3").code == 3, 5, "a free place")

    def test_not_found(self):
        self.verdict(self.ssh("direct", "no-such-program"), "not-found", 127,
                     "no-such-program: no such command in the sandbox")
        self.verdict(self.ssh("direct", "/no/such/program x"), "not-found", 127,
                     "/no/such/program: no such command in the sandbox")
        self.verdict(self.ssh("missing", "x"), "not-found", 127,
                     "/usr/bin/no-such-program: no such command in the sandbox")

    def test_cannot_execute(self):
        self.verdict(self.ssh("direct", "/srv/files/data"), "cannot-execute", 126,
                     "/srv/files/data: Permission denied: its owner and mode don't let the command's "
                     "user execute it")
        self.verdict(self.ssh("direct", "/tmp"), "cannot-execute", 126,
                     "/tmp: Permission denied: it is a directory")
        self.verdict(self.ssh("direct", "/srv/files/shut/x"), "cannot-execute", 126,
                     "/srv/files/shut/x: Permission denied: a directory above it can't be entered by "
                     "the command's user")
        self.verdict(self.ssh("direct", "/dev/null"), "cannot-execute", 126,
                     "/dev/null: Permission denied: it is no regular file")
        self.verdict(self.ssh("direct", "/srv/files/garbage"), "cannot-execute", 126,
                     "/srv/files/garbage: Exec format error")

    def test_a_script_runs(self):
        self.assertRan(self.ssh("direct", "/srv/files/script a"), 0, b"script a\n")
        self.verdict(self.ssh("direct", "/srv/files/lost"), "not-found", 127, "/srv/files/lost: it is "
                     "there, but the interpreter or loader that it names is not")

    def test_not_found_inside_a_shell_is_the_shells_own(self):
        got = self.ssh("acme", "no-such-program")
        self.assertEqual(got.code, 127)
        self.assertNotIn(b"postern:", got.err)

    def test_seccomp_kills(self):
        start, end = self.verdict(self.ssh("strict", "unshare --user true"), "seccomp", 159,
                                  r'system call unshare\(CLONE_NEWUSER\) is forbidden by seccomp '
                                  'profile "trap"')
        self.assertEqual(end["exit"], 159)

    def test_seccomp_refuses_and_says_so(self):
        got = self.ssh("acme", f"{PTRACE}; exit 4")
        self.assertEqual((got.code, got.out), (4, b"-1 1\n"), got)
        start, end = self.server.last_exec()
        self.assertLine(got.err, r"postern: note: system call ptrace\(PTRACE_TRACEME\) was refused by seccomp"
                                 r' profile "default" ' + EXEC_ID)
        self.assertIn(f"[{start['exec']}]", got.err.decode())
        self.assertEqual((end["verdict"], end["exit"]), ("exited", 4))

    def test_seccomp_notes_are_bounded(self):
        got = self.ssh("acme", f"for i in {{1..20}}; do {PTRACE}; done")
        self.assertEqual(got.out, b"-1 1\n" * 20)
        self.assertEqual(got.err.count(b"postern: note: system call ptrace"), 1, got)

    def test_seccomp_note_names_the_policys_own_rule(self):
        got = self.ssh("mute", "uname -s; echo on")
        self.assertIn(b"on\n", got.out)
        self.assertLine(got.err, r"postern: note: system call uname was refused by seccomp "
                                 rf'profile "mute" \(\S*tenants\.ini:8\) {EXEC_ID}')

    def test_namespaces_are_refused(self):
        got = self.ssh("acme", "unshare --user true; echo $?")
        self.assertEqual(got.out, b"1\n", got)
        self.assertLine(got.err, r"postern: note: system call unshare\(CLONE_NEWUSER\) was refused .*")

    def test_ordinary_programs_cause_no_notes(self):
        got = self.ssh("acme", "ps; id; ls -l /; uname -a; date; sort </etc/passwd; grep x /etc/group;"
                               "find /etc >/dev/null; tar cf - /etc/passwd | tar tf -; df /tmp; "
                               "perl -e 'print 1'; sleep 0.1; mktemp; kill -0 $$; timeout 1 true; "
                               "nice true; dd if=/dev/zero of=/tmp/x bs=1k count=1; sync /tmp/x")
        self.assertNotIn(b"postern:", got.err)

    def test_too_many_tasks(self):
        got = self.ssh("tight", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo end")
        self.assertIn(b"Resource temporarily unavailable", got.err)
        self.assertRan(self.ssh("acme", "echo on"), 0, b"on\n")

    def test_tmp_is_bounded(self):
        got = self.ssh("tiny", "head -c 2000000 /dev/zero >/tmp/x; stat -c %s /tmp/x")
        self.assertIn(b"No space left on device", got.err)
        self.assertEqual(got.out, b"1048576\n")

    def test_a_line_on_stderr_comes_after_all_output(self):
        got = self.ssh("short", "head -c 200000 /dev/zero; echo err >&2; exec sleep 60")
        self.verdict(got, "time", 124, ".+", b"\0" * 200000)
        self.assertEqual(got.err.splitlines()[0], b"err")

    def test_hostile_program_names_are_escaped(self):
        got = self.ssh("direct", "'no\x1b[31m\nsuch'")
        self.verdict(got, "not-found", 127, r"no\\x1b\[31m\\nsuch: no such command in the sandbox")


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
