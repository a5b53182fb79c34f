"""postern learn: what it prints is a policy that passes the check, and in that very sandbox the real
server runs the same command with the same result and without a note."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import (PATIENCE, POSTERN, PosternTest, clean_env, descendants, main, run, status_of,
                     wait_until)
from test_cgroup import MOUNT, WRITABLE

UID = 1700000000 + os.getpid()  # nobody else's
HOST_FILE = f"/tmp/postern-learn-e2e.{os.getpid()}"

TENANT = """
[tenant "acme"]
keys    = keys/alice
uid     = {uid}
sandbox = learned
force   = {force}
"""

SCRIPT = """
import os, socket, sys, threading
top = os.path.join(os.path.dirname(sys.argv[0]), "data")
texts = [open(os.path.join(top, name)).read() for name in sorted(os.listdir(top))]
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(1)
def serve():
    client = server.accept()[0]
    client.sendall("".join(texts).encode())
    client.close()
threading.Thread(target=serve).start()
with socket.create_connection(server.getsockname()) as client:
    print(client.makefile().read())
"""

# Everything that a tracer can stumble over; prints what it has survived.
UNRULY = """
import ctypes, os, signal, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def told(*what):
    print(*what, flush=True)
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(7)
while True:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.kill(pid, signal.SIGCONT)
told("stopped and went on", os.WEXITSTATUS(status))
CLONE_UNTRACED, SYS_clone = 0x00800000, 56
pid = libc.syscall(SYS_clone, CLONE_UNTRACED | signal.SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    libc.syscall(257, -100, sys.argv[1].encode() + b"/unseen", 0)
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        pass
os.kill(pid, signal.SIGKILL)
told("untraced", os.WIFSIGNALED(os.waitpid(pid, 0)[1]))
pid = os.fork()
if pid == 0:
    os.abort()
told("aborted", os.WTERMSIG(os.waitpid(pid, 0)[1]))
signal.signal(signal.SIGUSR1, lambda *a: told("signal", a[0]))
os.kill(os.getpid(), signal.SIGUSR1)
subprocess.run(["true"], check=True, close_fds=False)
subprocess.Popen(["sh", "-c", "trap '' TERM HUP; sleep 1000"])
libc.syscall(257, -100, ctypes.c_void_p(1), 0)
told("bad pointer", ctypes.get_errno())
threading.Thread(target=os.execv, args=("/bin/echo", ["echo", "by a thread"])).start()
time.sleep(1000)
"""


def mine(path, uid=UID):
    for directory, names, files in os.walk(path):
        os.chown(directory, uid, uid)
        for name in names + files:
            os.chown(os.path.join(directory, name), uid, uid, follow_symlinks=False)
    return path


class Learn(PosternTest):
    autostart = False

    def setUp(self):
        super().setUp()
        # Every sandbox has a /tmp of its own, so what it is to see can't be there.
        self.dir = tempfile.mkdtemp(prefix="learn-e2e-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def learn(self, server, *argv, options=(), stdin=b""):
        """(the result, whose stdout is the command's; the policy)."""
        output = os.path.join(server.dir, "learned.out")
        got = run([POSTERN, "learn", "-f", server.config, "--user", str(UID), "--name", "learned",
                   "--output", output, *options, "--", *argv], stdin=stdin, check=False)
        with open(output, encoding="utf-8") as f:
            return got, f.read()

    def round_trip(self, force, *argv, code=0, between=lambda: None, policy_has=()):
        """Learns argv, then has the server run `force`, which is the same."""
        server = self.new_server()
        learned, text = self.learn(server, *argv)
        self.assertEqual(learned.code, 0, learned)
        if code == 0:
            self.assertEqual(learned.err, b"", learned)
        else:
            self.assertIn(f"the command exited with {code}".encode(), learned.err, learned)
        for line in policy_has:
            self.assertIn(line + "\n", text)
        between()
        server.write_policy(text + TENANT.format(uid=UID, force=force))
        got = run([POSTERN, "check", "-f", server.config], check=False)
        self.assertEqual(got.code, 0, (got, text))
        if "network = egress" in text:
            self.in_a_cgroup(server)
        server.start()
        again = server.ssh("acme", "anything")
        self.assertEqual((again.code, again.out, again.err), (code, learned.out, b""), text)
        return text

    def in_a_cgroup(self, server):
        """Which network = egress takes: a lookup of the host's own name may lead to it."""
        if not WRITABLE:
            self.skipTest("no cgroup v2 that could be written here")
        own = f"{MOUNT}/postern-learn-{os.getpid()}"
        server.extra += f"cgroup = {own}\n"
        server.write_config()
        self.addCleanup(os.rmdir, own)
        self.addCleanup(lambda: (server.stop(), os.rmdir(f"{own}/daemon")))

    def test_a_shell_pipeline(self):
        for i in range(6):
            self.write(f"data/{i}", f"line {i}\n")
        line = f"cat {self.path('data')}/* | sort -r | head -3; exit 3"
        text = self.round_trip(f"sh -c '{line}'", "sh", "-c", line, code=3,
                               policy_has=[f"read  = {self.path('data')}", "workspace = exec"])
        self.assertRegex(text, r"(?m)^network = none ")
        self.assertNotRegex(text, r"(?m)^write")

    def test_tar(self):
        for i in range(9):
            self.write(f"in/deep/{i}", "x" * 5000)
        mine(self.path("in"))
        out = self.path("out")
        os.makedirs(out)
        mine(out)
        argv = ("sh", "-c", f"tar -C {self.path('in')} -cf - . | tar -C {out} -xf - && ls {out}/deep")
        text = self.round_trip(f"sh -c '{argv[2]}'", *argv,
                               between=lambda: shutil.rmtree(os.path.join(out, "deep")),
                               policy_has=[f"write = {out}"])
        self.assertRegex(text, rf"(?m)^read  = {self.path('in')}$")
        self.assertEqual(len(os.listdir(os.path.join(out, "deep"))), 9)

    def test_make_and_a_compiler(self):
        if not shutil.which("make") or not shutil.which("gcc"):
            self.skipTest("no make or gcc")
        top = self.path("project")
        self.write("project/Makefile", "CC = gcc\nall: hello\nhello: hello.o util.o\n"
                   "\t$(CC) -o $@ $^\n\t./hello\n")
        self.write("project/hello.c", '#include "util.h"\nint main(void) { return util() - 5; }\n')
        self.write("project/util.c", '#include "util.h"\nint util(void) { return 5; }\n')
        self.write("project/util.h", "int util(void);\n")
        mine(top)

        def clean():
            for name in ("hello", "hello.o", "util.o"):
                os.unlink(os.path.join(top, name))
        self.round_trip(f"make -C {top}", "make", "-C", top, between=clean,
                        policy_has=[f"write = {top}"])
        self.assertTrue(os.path.exists(os.path.join(top, "hello")))

    def test_git(self):
        if not shutil.which("git"):
            self.skipTest("no git")
        bare = self.path("repo.git")
        work = self.path("work")
        script = ("set -e; git init -q -b main w; cd w; for i in 1 2 3 4; do echo $i >f$i; done; "
                  "git add .; git -c user.name=a -c user.email=a@b commit -qm m; cd ..; "
                  f"git clone -q --bare w {bare}; mv w {work}")
        run(["sh", "-c", f"cd {self.dir}; {script}"], home=self.dir)
        mine(bare)
        text = self.round_trip(f"sh -c 'git clone -q {bare} x && ls x'", "sh", "-c",
                               f"git clone -q {bare} x && ls x")
        self.assertRegex(text, rf"(?m)^read  = {bare}$")
        self.assertNotRegex(text, r"(?m)^write")

    def test_python_with_data_and_the_loopback(self):
        self.write("script/run.py", SCRIPT)
        for i in range(5):
            self.write(f"script/data/{i}", f"data {i}\n")
        argv = ("/usr/bin/python3", self.path("script/run.py"))
        text = self.round_trip(" ".join(argv), *argv,
                               policy_has=[f"read  = {self.path('script')}"])
        self.assertRegex(text, r"(?m)^network = loopback ")
        self.assertRegex(text, r"(?m)^; connect = 127\.0\.0\.1:\d+ +; tcp 1x by python3, its own$")

    def test_contacts(self):
        server = self.new_server()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(5)
            port = listener.getsockname()[1]
            dead = socket.socket()
            dead.bind(("127.0.0.1", 0))
            vain = dead.getsockname()[1]
            script = ("import socket\n"
                      f"socket.create_connection(('127.0.0.1', {port}))\n"
                      "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                      "u.connect(('192.0.2.1', 443))\n"
                      f"assert socket.socket().connect_ex(('127.0.0.1', {vain}))\n")
            got, text = self.learn(server, "/usr/bin/python3", "-c", script)
            dead.close()
            # Nobody comes in by rules, the command itself neither.
            _, both = self.learn(server, "/usr/bin/python3", "-c", script.split("u =")[0] +
                                 "s = socket.create_server(('127.0.0.1', 0))\n"
                                 "socket.create_connection(s.getsockname())\n")
        self.assertRegex(both, r"(?m)^network = host ")
        self.assertRegex(both, rf"(?m)^; connect = 127\.0\.0\.1:{port} +; tcp 1x by python3, a serv")
        self.assertEqual(got.code, 0, got)
        self.assertRegex(text, rf"(?m)^connect = tcp:127\.0\.0\.1:{port} +; 1x by python3, a service of")
        self.assertRegex(text, rf"connect = 127\.0\.0\.1:{vain} +; tcp 1x by python3, each time in v")
        self.assertRegex(text, r"connect = 192\.0\.2\.1:443 +; udp 1x by python3, nothing was sent")
        self.assertRegex(text, r"(?m)^network = egress ")

    def test_failed_calls_need_nothing(self):
        self.write("real/file", "x")
        self.write("closed/file", "x", mode=0o600)
        line = (f"cat {self.path('real/no')} {self.path('closed/file')}; "
                f"cat {self.path('real/file')}; cat {HOST_FILE}; touch /usr/mine")
        with open(HOST_FILE, "w", encoding="utf-8") as f:
            f.write("x")
        self.addCleanup(os.unlink, HOST_FILE)
        _, text = self.learn(self.new_server(), "sh", "-c", line)
        self.assertEqual([line for line in text.splitlines() if line.startswith(("read", "write"))],
                         [f"read  = {self.path('real/file')}"])
        self.assertIn(f"; {self.path('closed/file')} could not be read: Permission denied (cat)\n",
                      text)
        self.assertIn(f"; {HOST_FILE} is on the host and in no sandbox (cat)\n", text)
        self.assertRegex(text, "; /usr/mine could not be written: (Permission|Read-only)")

    def test_links_are_shown_as_links(self):
        self.write("v1/bin/tool", "#!/bin/sh\necho tool\n", mode=0o755)
        os.symlink("v1", self.path("current"))
        text = self.round_trip(self.path("current/bin/tool"), self.path("current/bin/tool"))
        self.assertIn(f"read  = {self.path('current')}\n", text)
        self.assertIn(f"read  = {self.path('v1/bin/tool')}\n", text)

    def test_secrets_are_flagged(self):
        key = self.write("home/.ssh/id_ed25519", "secret")
        _, text = self.learn(self.new_server(), "cat", key)
        self.assertIn(f"; CAUTION: this looks like a secret: {key}\nread  = {key}\n", text)

    def test_a_sandbox_to_begin_from(self):
        shown, more = self.write("shown/a", "a\n"), self.write("more/b", "b\n")
        server = self.new_server(policy=f'[sandbox "box"]\nread = {self.path("shown")}\n'
                                        "seccomp = strict\n")
        got, text = self.learn(server, "cat", shown, more, options=("--from-sandbox", "box"))
        self.assertEqual((got.code, got.out), (0, b"a\nb\n"), got)
        self.assertIn('[sandbox "learned"]\nextends = box\n', text)
        self.assertEqual([line for line in text.splitlines() if line.startswith("read")],
                         [f"read  = {more}"])
        got = run([POSTERN, "learn", "-f", server.config, "--from-sandbox", "none", "--", "true"],
                  check=False)
        self.assertEqual(got.code, 65, got)

    def test_where_output_goes(self):
        server = self.new_server()
        base = [POSTERN, "learn", "-f", server.config]
        got = run([*base, "--", "sh", "-c", "echo out; echo err >&2; cat"], stdin=b"in\n")
        self.assertEqual(got.err, b"out\nerr\nin\n")
        self.assertTrue(got.out.startswith(b"; Learned from one run of: sh -c "), got)
        self.assertIn(b'[sandbox "sh"]', got.out)
        got = run([*base, "--json", "--", "false"])
        document = json.loads(got.out)
        self.assertEqual((document["v"], document["kind"], document["exit"]["code"]), (1, "learn", 1))
        self.assertIn('[sandbox "false"]', document["policy"])
        self.assertIn("execve", [call["name"] for call in document["calls"] if call["needed"]])
        self.assertIn(b"the command exited with 1", got.err)
        # Of what is no file, nothing has to be taken out first.
        got = run([*base, "--output", "/dev/stdout", "--", "sh", "-c", "echo out >&2"])
        self.assertIn(b'[sandbox "sh"]', got.out)
        self.assertEqual(run([*base, "--output", "/dev/null", "--", "true"]).out, b"")

    def test_where_and_with_what_it_runs(self):
        server = self.new_server()
        os.mkdir(self.path("here"))
        got, text = self.learn(server, "sh", "-c", "pwd; echo $HOME $A $PATH; id -u",
                               options=("--cwd", self.path("here"), "--env", "A=b c"))
        self.assertEqual(got.out.decode(), f"{self.path('here')}\n/workspace b c "
                                           f"/usr/local/bin:/usr/bin:/bin\n{UID}\n")
        self.assertIn(f"in {self.path('here')} and exited", text)

    def test_what_is_refused(self):
        server = self.new_server()
        base = [POSTERN, "learn", "-f", server.config]
        for argv, code, why in (
                ([], 64, b"needs a command"),
                (["--cwd", "/tmp", "--", "true"], 64, b"every sandbox has for itself"),
                (["--cwd", "rel", "--", "true"], 64, b"absolute path"),
                (["--user", "root", "--", "true"], 64, b"as root"),
                (["--user", "0", "--", "true"], 67, b"no user"),
                (["--user", "no-such-user", "--", "true"], 67, b"no user"),
                (["--name", "a b", "--", "true"], 64, b"--name"),
                (["--env", "1=2", "--", "true"], 64, b"--env"),
                (["--", "/no/such/program"], 69, b"could not be executed"),
                (["--cwd", "/usr", "--", "no-such-program"], 69, b"was never run"),
                (["--output", "/no/such/dir/x", "--", "true"], 73, b"/no/such/dir/x")):
            got = run(base + argv, check=False)
            self.assertEqual((got.code, got.out), (code, b""), (argv, got))
            self.assertIn(why, got.err, argv)

    def test_an_unruly_command(self):
        script = self.write("unruly.py", UNRULY)
        self.write("unseen", "x")
        got, text = self.learn(self.new_server(), "/usr/bin/python3", script, self.dir)
        self.assertEqual(got.code, 0, got)
        self.assertEqual(got.out.decode().splitlines(),
                         ["stopped and went on 7", "untraced True", "aborted 6", "signal 10",
                          "bad pointer 14", "by a thread"])
        self.assertNotIn(self.path("unseen"), text)
        self.assertNothingRuns()

    def assertNothingRuns(self):
        def gone():
            left = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    status = status_of(pid)
                    if status["Uid"].startswith(f"{UID}\t") and status["State"][0] not in "ZX":
                        left.append(pid)
                except OSError:
                    pass
            return not left
        wait_until(gone, what="the end of all that it started")

    def interrupt(self, learn):
        """Two signals that wait at once would be one."""
        learn.send_signal(signal.SIGINT)
        wait_until(lambda: not int(status_of(learn.pid)["ShdPnd"], 16) & 1 << signal.SIGINT - 1,
                   what="the signal to be taken")

    def test_a_worker_that_has_not_heard_all(self):
        """What it says of the end counts, whatever it was told meanwhile and did not read."""
        argv = [POSTERN, "learn", "-f", self.new_server().config, "--user", str(UID), "--", "sh",
                "-c", "trap '' INT; echo begun; sleep 1000; sleep 1000"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=clean_env("/nonexistent")) as learn:
            self.assertEqual(learn.stderr.readline(), b"begun\n")
            worker, = [pid for pid in descendants(learn.pid)
                       if status_of(pid)["NSpid"].split()[1:] == ["1"]]
            os.kill(worker, signal.SIGSTOP)
            for _ in range(2):
                self.interrupt(learn)
            time.sleep(0.5)  # for some words of it: the more, the likelier one is left over
            for pid in descendants(worker):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not descendants(worker), what="the end of the command")
            os.kill(worker, signal.SIGCONT)
            _, err = learn.communicate(timeout=30 * PATIENCE)
        self.assertEqual(learn.returncode, 0, err)
        self.assertIn(b"was killed by SIGKILL", err)
        self.assertNothingRuns()

    def test_interruption(self):
        server = self.new_server()
        argv = [POSTERN, "learn", "-f", server.config, "--user", str(UID), "--"]
        for script, end in (("echo begun; exec sleep 1000", b"SIGINT"),
                            ("trap '' INT; echo begun; sleep 1000 & sleep 1000; sleep 1000",
                             b"SIGKILL")):
            with subprocess.Popen([*argv, "sh", "-c", script], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=clean_env("/nonexistent")) as learn:
                self.assertEqual(learn.stderr.readline(), b"begun\n")
                self.interrupt(learn)
                if end == b"SIGKILL":
                    self.interrupt(learn)
                out, err = learn.communicate(timeout=30 * PATIENCE)
                self.assertEqual(learn.returncode, 0, err)
            self.assertIn(b"was killed by " + end, err)
            self.assertIn(b"INTERRUPTED", out)
            self.assertIn(b"[sandbox ", out)
            self.assertNothingRuns()

    def test_the_tracer_takes_all_with_it(self):
        server = self.new_server()
        argv = [POSTERN, "learn", "-f", server.config, "--user", str(UID), "--", "sh", "-c",
                "sleep 1000 & echo begun; sleep 1000"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=clean_env("/nonexistent")) as learn:
            self.assertEqual(learn.stderr.readline(), b"begun\n")
            learn.kill()
            learn.wait(30 * PATIENCE)
        self.assertNothingRuns()

    def test_many_threads_and_processes(self):
        script = ("import threading, os\n"
                  "for i in range(20):\n"
                  "    t = [threading.Thread(target=os.getcwd) for _ in range(20)]\n"
                  "    [x.start() for x in t]; [x.join() for x in t]\n"
                  "    if os.fork() == 0: os._exit(0)\n"
                  "    os.wait()\n"
                  "b = threading.Barrier(31)\n"
                  "t = [threading.Thread(target=b.wait) for _ in range(30)]\n"
                  "[x.start() for x in t]; b.wait(); [x.join() for x in t]\n")
        got = run([POSTERN, "learn", "-f", self.new_server().config, "--json", "--",
                   "/usr/bin/python3", "-c", script])
        document = json.loads(got.out)
        self.assertEqual(document["exit"]["code"], 0)
        self.assertTrue(document["complete"])
        self.assertEqual(document["seen"]["processes"], 21)
        self.assertGreaterEqual(document["seen"]["tasks"], 30)
        count = {call["name"]: call["count"] for call in document["calls"]}
        self.assertGreaterEqual(count["getcwd"], 400)

    def test_without_root(self):
        got = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", POSTERN, "learn",
                              "--", "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             stdin=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual((got.returncode, got.stdout), (77, b""))
        self.assertIn(b"needs root", got.stderr)


if __name__ == "__main__":
    main()
