"""Refused system calls: what the client is told, line by line, and what the audit trail keeps."""
import os
import re
import unittest

from harness import EXEC_ID, PosternTest, main

POLICY = """
[seccomp "own"]
extends = default
deny    = getcpu
kill    = chroot

[sandbox "plain"]
network = none
[sandbox "own"]
extends = plain
seccomp = own
[sandbox "few"]
extends = plain
notes   = 2

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
[tenant "open"]
extends = acme
user    = open
explain = rule
[tenant "few"]
extends = acme
user    = few
sandbox = few
[tenant "quiet"]
extends = acme
user    = quiet
explain = none
[tenant "own"]
extends = open
user    = own
sandbox = own
[tenant "own-told"]
extends = own
user    = own-told
explain = reason
[tenant "own-quiet"]
extends = own
user    = own-quiet
explain = none
"""
PYTHON = "/usr/bin/python3"


def calls(*lines):
    """A program that makes these calls of x86-64, by number and arguments."""
    return "perl -e '" + " ".join(f"syscall({', '.join(map(str, line))});" for line in lines) + "'"


UNSHARE, CHROOT, SOCKET, PTRACE, IOCTL = 272, 161, 41, 101, 16


class Denials(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy=POLICY)
        cls.server.start()

    def notes(self, user, command, code=0):
        """The notes of a command, without their exec id, and its records in the audit trail."""
        got = self.server.ssh(user, command)
        self.assertEqual((got.code, got.out), (code, b""), got)
        start, end = self.server.last_exec(user=user)
        notes = []
        for line in got.err.decode().splitlines():
            self.assertTrue(line.startswith("postern: "), line)
            self.assertRegex(line, EXEC_ID + r"\Z")
            self.assertTrue(line.endswith(f" [{start['exec']}]"), line)
            notes.append(line[len("postern: "):line.rindex(" [")])
        return notes, self.server.audit(event="refused", exec=start["exec"]), end

    def test_arguments_are_named(self):
        by = 'was refused by seccomp profile "default"'
        for call, told in (
                ((PTRACE, 16, 99), "ptrace(PTRACE_ATTACH)"),
                ((UNSHARE, 0x10020000), "unshare(CLONE_NEWNS|CLONE_NEWUSER)"),
                ((165, 0, 0, 0, 4129, 0), "mount(MS_RDONLY|MS_REMOUNT|MS_BIND)"),
                ((250, 1, 0), "keyctl(KEYCTL_JOIN_SESSION_KEYRING)"),
                ((321, 5, 0, 0), "bpf(BPF_PROG_LOAD)"),
                ((298, 0, 0, 0, 0, 0), "perf_event_open")):
            self.assertEqual(self.notes("acme", calls(call))[0],
                             [f"note: system call {told} {by}"])

    def test_what_is_always_refused_says_why(self):
        by = 'was refused by seccomp profile "default" (always: '
        for call, told in (
                ((IOCTL, 0, 0x5412, 0), "ioctl(TIOCSTI) {}it types for others)"),
                ((IOCTL, 0, 0x541c, 0), "ioctl(TIOCLINUX) {}it types for others)"),
                ((SOCKET, 40, 1, 0), "socket(AF_VSOCK, SOCK_STREAM, 0) {}only unix, inet, inet6 and "
                                     "netlink sockets stay in the sandbox)"),
                ((SOCKET, 16, 3, 9), "socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) {}of netlink, only "
                                     "NETLINK_ROUTE stays in the sandbox)"),
                ((157, 35, 0), "prctl(PR_SET_MM) {}a process would show what it isn't)"),
                ((135, 0x40000), "personality(ADDR_NO_RANDOMIZE) {}it weakens the layout of memory)")):
            notes, records, _ = self.notes("open", calls(call))
            self.assertEqual(notes, [f"note: system call {told.format(by)}"])
            self.assertEqual((records[0]["file"], records[0]["line"]), (None, None))
            self.assertEqual(records[0]["why"], told[told.index("{}") + 2:-1])

    def test_the_audit_trail_has_fields(self):
        _, records, end = self.notes("own", calls((309, 0), (SOCKET, 40, 0x80001, 0)))
        self.assertEqual(len(records), 2)
        for record in records:
            self.assertEqual((record["v"], record["tenant"], record["user"], record["profile"],
                              record["abi"]), (1, "own", "own", "own", "native"))
        getcpu, socket = records
        self.assertEqual((getcpu["syscall"], getcpu["nr"], getcpu["args"], getcpu["line"], getcpu["why"]),
                         ("getcpu", 309, [], 4, None))
        self.assertRegex(getcpu["file"], r"/policy\.d/tenants\.ini\Z")
        self.assertEqual((socket["syscall"], socket["nr"], socket["args"]),
                         ("socket", 41, ["AF_VSOCK", "SOCK_STREAM|SOCK_CLOEXEC", "0"]))
        self.assertEqual((end["verdict"], end["refused"]), ("exited", 2))

    def test_how_much_is_explained(self):
        call = calls((PTRACE, 0), (309, 0))
        told = 'note: system call {} was refused by seccomp profile "own"'
        notes, records, _ = self.notes("own", call)
        self.assertRegex(notes[0], re.escape(told.format("ptrace(PTRACE_TRACEME)")) + r" \(\S+:2\)\Z")
        self.assertRegex(notes[1], re.escape(told.format("getcpu")) + r" \(\S+tenants\.ini:4\)\Z")
        quietly, same, _ = self.notes("own-told", call)
        self.assertEqual(quietly, [told.format("ptrace(PTRACE_TRACEME)"), told.format("getcpu")])
        nothing, also, _ = self.notes("own-quiet", call)
        self.assertEqual(nothing, ["note: a system call was refused"])
        keys = ("syscall", "args", "profile", "file", "line", "why")
        self.assertEqual([[r[k] for k in keys] for r in records], [[r[k] for k in keys] for r in same])
        self.assertEqual([[r[k] for k in keys] for r in records], [[r[k] for k in keys] for r in also])

    def test_the_first_eight_are_told_and_the_others_counted(self):
        many = calls(*((SOCKET, family, 1, 0) for family in range(20, 34)), *[(PTRACE, 0)] * 5)
        notes, records, end = self.notes("acme", many)
        self.assertEqual(len(notes), 9)
        self.assertEqual([n.split("(")[1].split(",")[0] for n in notes[:3]],
                         ["AF_ATMSVC", "AF_RDS", "AF_SNA"])
        self.assertEqual(notes[8], "note: 7 more kinds of system calls were refused")
        self.assertEqual((len(records), end["refused"]), (8, 15))
        one_more = calls(*((SOCKET, family, 1, 0) for family in range(20, 29)))
        self.assertEqual(self.notes("acme", one_more)[0][8],
                         "note: 1 more kind of system call was refused")
        flood = "perl -e 'for my $f (46..1000) { syscall(41, $f, 1, 0); }'"
        notes, records, end = self.notes("acme", flood)
        self.assertEqual((len(notes), notes[8]),
                         (9, "note: 120 or more kinds of system calls were refused"))
        self.assertEqual(len(self.notes("quiet", flood)[0]), 1)
        notes, records, end = self.notes("few", many)
        self.assertEqual((len(notes), len(records), end["refused"]), (3, 2, 15))
        self.assertEqual(notes[2], "note: 13 more kinds of system calls were refused")
        self.assertEqual(self.notes("few", flood)[0][2],
                         "note: 126 or more kinds of system calls were refused")

    def test_what_is_fatal_is_named(self):
        forbidden = 'seccomp: system call chroot is forbidden by seccomp profile "own"'
        lines, records, end = self.notes("own", calls((CHROOT, 0)) + "; echo on", 159)
        self.assertRegex(lines[-1], re.escape(forbidden) + r" \(\S+/policy\.d/tenants\.ini:5\)\Z")
        self.assertEqual((end["verdict"], end["syscall"], end["nr"], end["args"], end["line"]),
                         ("seccomp", "chroot", CHROOT, [], 5))
        self.assertRegex(end["file"], r"/policy\.d/tenants\.ini\Z")
        self.assertEqual(records, [])
        self.assertEqual(self.notes("own-told", calls((CHROOT, 0)), 159)[0], [forbidden])
        self.assertEqual(self.notes("own-quiet", calls((CHROOT, 0)), 159)[0],
                         ["seccomp: a system call is forbidden"])

    def test_a_command_may_die_of_the_same_signal(self):
        got = self.server.ssh("acme", "kill -SYS $$")
        self.assertEqual(got.code, 255, got)
        self.assertNotIn(b"postern:", got.err)
        _, end = self.server.last_exec(user="acme")
        self.assertEqual((end["verdict"], end["signal"]), ("signalled", 31))
        self.assertNotIn("syscall", end)

    @unittest.skipUnless(os.path.exists(PYTHON) and os.uname().machine == "x86_64",
                         "it takes machine code of x86")
    def test_foreign_calls_are_named(self):
        code = ("import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=7); "
                "m.write(bytes.fromhex(\"b814000000cd80c3\")); "
                "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()")
        told = '32-bit system call getpid {} by seccomp profile "default" (always: its process was ' \
               "killed, only native calls are allowed)"
        lines, _, end = self.notes("acme", f"exec {PYTHON} -c '{code}'", 159)
        self.assertEqual(lines[-1:], ["seccomp: " + told.format("is forbidden")])
        self.assertEqual((end["syscall"], end["nr"], end["abi"]), ("getpid", 20, "32-bit"))
        # A part of the command dies alone.
        got = self.server.ssh("acme", f"{PYTHON} -c '{code}' 2>&-; echo $?")
        self.assertEqual((got.code, got.out), (0, b"137\n"), got)
        self.assertIn(b"postern: note: " + told.format("was refused").encode(), got.err)
        lines, _, end = self.notes("acme", calls((0x40000000 + 39,)).replace("perl", "exec perl"), 159)
        self.assertIn("seccomp: x32 system call getpid is forbidden", lines[-1])


if __name__ == "__main__":
    os.environ.pop("SSH_AUTH_SOCK", None)
    main()
