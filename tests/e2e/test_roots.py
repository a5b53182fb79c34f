"""What a sandbox's system is: the host's or a directory's, with real root file systems and builds."""
import os
import re
import shutil
import stat
import subprocess
import unittest

from harness import BUILD, PATIENCE, POSTERN, PosternTest, main, run

# Made once and kept, since it takes a download.
MINBASE = "/tmp/e2e-minbase-bookworm"
MIRROR = os.environ.get("POSTERN_TEST_MIRROR", "http://deb.debian.org/debian")

TENANT = """
[tenant "a"]
keys    = keys/alice
sandbox = a
shell   = /bin/sh
"""


def minbase():
    """A root file system as Debian makes it, or None where it can't be had."""
    if os.path.isdir(MINBASE):
        return MINBASE
    if not shutil.which("mmdebstrap"):
        return None
    fresh = f"{MINBASE}.{os.getpid()}"
    made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", fresh, MIRROR],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=600, check=False)
    try:
        if made.returncode == 0:
            os.rename(fresh, MINBASE)
    except OSError:
        pass  # somebody else was faster
    shutil.rmtree(fresh, ignore_errors=True)
    return MINBASE if os.path.isdir(MINBASE) else None


def rust_toolchain():
    """The directory of one that root has, wherever that is."""
    rustc = shutil.which("rustc")
    if rustc is None:
        return None
    got = subprocess.run([rustc, "--print", "sysroot"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, timeout=60, check=False)
    path = got.stdout.decode().strip()
    return path if got.returncode == 0 and os.path.exists(path + "/bin/cargo") else None


def contents(top):
    """Every name below `top` with what could be changed about it."""
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            found[path] = (st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns)
    return found


class DebianRoot(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = minbase()
        if root is None:
            raise unittest.SkipTest("no Debian can be downloaded (mmdebstrap)")
        if os.stat(root).st_uid != 0:
            raise unittest.SkipTest(f"{root} is not root's")
        cls.before = contents(root)
        cls.server = cls.new_server(policy=f"""
[sandbox "a"]
root      = {root}
read      = {BUILD}/tests/confine/inside:/opt/confine
workspace = exec
workspace-size = 32M
hide      = /usr/share/doc
{TENANT}""")
        cls.server.start()

    def ssh(self, line, **how):
        return self.server.ssh("a", line, **how)

    def test_it_is_a_debian(self):
        got = self.ssh("cat /etc/debian_version; dpkg-query -W -f '${Status}\\n' dpkg; id -un; "
                       "hostname; getent passwd; pwd; ls -A /usr/share/doc; perl -e 'print 1+1'")
        lines = got.out.decode().splitlines()
        self.assertRan(got)
        self.assertRegex(lines[0], r"\A12\.\d+\Z")
        self.assertEqual(lines[1:4], ["install ok installed", "a", "postern"])
        self.assertRegex(lines[4], r"\Aa:x:\d+:\d+::/workspace:/bin/sh\Z")
        self.assertEqual(lines[5:], ["/workspace", "2"])

    def test_nothing_of_it_can_be_changed(self):
        got = self.ssh("for d in / /usr /usr/bin /etc /var /var/lib /var/cache /opt /home /srv /mnt; "
                       "do touch $d/x 2>/dev/null && echo $d; done; "
                       "for f in /etc/* /var/lib/dpkg/status; do "
                       "[ -f $f ] && [ -w $f ] && echo $f; done; cat /etc/shadow 2>&1")
        self.assertEqual(got.out, b"cat: /etc/shadow: No such file or directory\n", got)
        got = self.ssh("cd /tmp && touch x && cd /var/tmp && ls && cd /run && cd /dev/shm && touch x")
        self.assertRan(got, out=b"x\n")

    def test_the_probe_finds_no_more_than_its_files(self):
        got = self.ssh("exec /opt/confine/postern-probe", timeout=60)
        lines = got.out.decode().splitlines()
        self.assertGreater(len([line for line in lines if line.startswith("ok ")]), 120, got)
        opened = {line.split()[1].rstrip(":") for line in lines if line.startswith("OPEN ")}
        # HOME, PATH and LANG are all that the probe knows of.
        self.assertLessEqual(opened, {"environment", "no-home", "no-root-home", "no-boot",
                                      "no-var-lib", "no-var-log", "no-machine-id"})

    def test_z_the_directory_is_as_it_was(self):
        self.assertEqual(contents(minbase()), self.before)


class BadRoots(PosternTest):
    autostart = False

    def test_they_are_refused(self):
        for name, owner, mode, text in (
                ("missing", None, None, "No such file or directory"),
                ("empty", 0, 0o755, "there is no /usr in it; it must hold a root file system"),
                ("theirs", 12345, 0o755, "belongs to uid 12345; it must be root's (chown root)"),
                ("open", 0, 0o777, "may be written by group or others (mode 777; chmod go-w)")):
            server = self.new_server()
            path = server.path(name)
            if owner is not None:
                os.mkdir(path)
                os.chown(path, owner, owner)
                os.chmod(path, mode)
            server.write_policy(f"[sandbox \"a\"]\nroot = {path}\n{TENANT}")
            server.start_only()
            self.assertNotEqual(server.process.wait(30 * PATIENCE), 0)
            place = re.escape(server.path("policy.d/tenants.ini") + ":2: ")
            self.assertRegex(server.log(), place + ".*" + re.escape(text))
            server.process = None
            server.log_file.close()


class Places(PosternTest):
    """write = and hide =, and what a reload says of those that have gone."""

    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(policy="")
        for name, owner in (("out", cls.uid()), ("in", 0), ("in/sub", 0)):
            os.mkdir(cls.server.path(name))
            os.chown(cls.server.path(name), owner, owner)
            os.chmod(cls.server.path(name), 0o755)
        cls.server.write("in/sub/secret", "secret\n")
        cls.server.write("in/file", "file\n")
        cls.policy = f"""
[sandbox "a"]
write = {cls.server.path("out")}:/srv/out
read  = {cls.server.path("in")}:/srv/in
hide  = /srv/in/sub
hide  = /usr/games
home  = /srv/out
{TENANT}uid = {cls.uid()}
"""
        cls.server.write_policy(cls.policy)
        cls.server.start()

    @staticmethod
    def uid():
        return 1879040000

    def test_it_writes_there_and_nowhere_else(self):
        got = self.server.ssh("a", "cd /srv/out && echo x > f && mkdir d && mv f d && chmod u+s d/f; "
                                   "touch /srv/in/x; touch /srv/x; cat /srv/in/file")
        self.assertRan(got, out=b"file\n", err=None)
        self.assertEqual(got.err.count(b"Read-only file system"), 2, got)
        st = os.stat(self.server.path("out/d/f"))
        self.assertEqual((st.st_uid, st.st_size, stat.S_IMODE(st.st_mode)), (self.uid(), 2, 0o4644))
        self.assertEqual(os.listdir(self.server.path("in")).sort(), ["file", "sub"].sort())

    def test_it_begins_at_home(self):
        got = self.server.ssh("a", "pwd; echo $HOME; grep :/srv/out: /etc/passwd >/dev/null && echo ~")
        self.assertRan(got, out=b"/srv/out\n/srv/out\n/srv/out\n")

    def test_hidden_is_empty(self):
        got = self.server.ssh("a", "ls -A /srv/in/sub; ls -A /usr/games; ls /srv/in")
        self.assertRan(got, out=b"file\nsub\n")

    def test_what_is_missing_refuses_a_reload(self):
        for line in ("write = /no-such-place:/srv/x", "hide = /usr/no-such-place",
                     "read = /no-such-place:/srv/x", "home = /srv/none", "home = /srv/in/file"):
            old = "home  = /srv/out" if line.startswith("home") else "hide  = /usr/games"
            self.server.write_policy(self.policy.replace(old, line))
            said = self.server.reload()
            place = self.policy.split("\n").index(old) + 1
            self.assertRegex(said, rf"\Areload refused: \S*tenants\.ini:{place}: error: sandbox 'a': "
                                   + re.escape(line.partition(":")[0]) + ": .*; generation 1 stays")
        self.server.write_policy(self.policy)
        self.assertRan(self.server.ssh("a", "true"))

    def test_check_says_so_too(self):
        self.server.write_policy(self.policy.replace("[tenant", "write = /no-such-place:/srv/x\n[tenant"))
        got = run([POSTERN, "check", "-f", self.server.config], check=False)
        self.assertIn(b"write = /no-such-place", got.out + got.err)
        self.server.write_policy(self.policy)


class Builds(PosternTest):
    """What people build, in a workspace, under the profile that they get by default."""

    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rust = rust_toolchain()
        cls.server = cls.new_server(policy=f"""
[sandbox "a"]
workspace = exec
tmp       = 512M
tasks     = 1024
{f"read = {cls.rust}:/opt/rust" if cls.rust else ""}
{TENANT}""")
        cls.server.start()

    def build(self, program, line, out=None, timeout=180):
        if not os.access(os.path.join("/usr/bin", program), os.X_OK) and not program.startswith("/"):
            self.skipTest(f"no {program} here")
        got = self.server.ssh("a", "set -e\n" + line, timeout=timeout)
        self.assertEqual((got.code, got.err), (0, b""), got)
        if out is not None:
            self.assertEqual(got.out, out, got)
        return got

    def test_what_builds_look_at(self):
        got = self.build("nproc", "nproc; free -b | grep -c Mem; grep -c MemTotal /proc/meminfo; "
                                  "grep -c ^processor /proc/cpuinfo; head -c 4 /proc/stat; echo; "
                                  "wc -w < /proc/loadavg; wc -w < /proc/uptime; "
                                  "cat /proc/self/comm; df . | tail -1 | cut -d' ' -f1; "
                                  "getconf _NPROCESSORS_ONLN")
        cpus = str(os.cpu_count())
        self.assertEqual(got.out.decode().split(), [str(len(os.sched_getaffinity(0))), "1", "1",
                                                    cpus, "cpu", "5", "2", "cat", "postern", cpus])

    def test_a_c_program(self):
        self.build("gcc", """
mkdir src && cd src
printf '#include <stdio.h>\\n#include "part.h"\\nint main(void) { puts(part()); }\\n' > main.c
printf '#include "part.h"\\nconst char *part(void) { return "hello"; }\\n' > part.c
printf 'const char *part(void);\\n' > part.h
printf 'hello: main.o part.o\\n\\t$(CC) -flto -g -o $@ $^\\nmain.o part.o: part.h\\n' > Makefile
git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm all
cd .. && git clone -q src copy && cd copy
make -s -j"$(nproc)" && ./hello && git status --short --ignored | wc -l && git log --oneline | wc -l
""", b"hello\n3\n1\n")

    def test_cplusplus(self):
        self.build("g++", """
printf '#include <iostream>\\n#include <thread>\\nint main() { std::thread t([]{ std::cout << 42 << '"'\\\\\\\\n'"'; }); t.join(); }\\n' > a.cc
g++ -O2 -pthread -pipe a.cc -o a && ./a
""", b"42\n")

    def test_cmake_and_ninja(self):
        self.build("cmake", """
printf 'cmake_minimum_required(VERSION 3.20)\\nproject(x C)\\nadd_executable(x x.c)\\nenable_testing()\\nadd_test(NAME x COMMAND x)\\n' > CMakeLists.txt
echo 'int main(void) { return 0; }' > x.c
cmake -B b -G Ninja . > log && cmake --build b >> log && cd b && ctest -Q && echo done
""", b"done\n")

    def test_python(self):
        self.build("python3.11", """
python3.11 -m venv --without-pip v && . v/bin/activate
python -c '
import asyncio, concurrent.futures as f, multiprocessing as m, os, subprocess, sys, tempfile, threading
assert sys.prefix == "/workspace/v"
with m.Pool(2) as pool: assert pool.map(len, ["a", "bb"]) == [1, 2]
with f.ProcessPoolExecutor(2) as ex: assert list(ex.map(abs, [-1])) == [1]
q = m.Queue(); q.put(1); assert q.get() == 1
from multiprocessing import shared_memory
s = shared_memory.SharedMemory(create=True, size=4096); s.close(); s.unlink()
async def ends():
    return await (await asyncio.create_subprocess_exec("sh", "-c", "exit 4")).wait()
assert asyncio.run(ends()) == 4
with tempfile.TemporaryDirectory() as d: open(d + "/f", "w").close()
assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
assert os.cpu_count() > 0
print("done")'
""", b"done\n")

    def test_node(self):
        self.build("node", """
cat > a.js <<'E'
const { Worker } = require('worker_threads'), fs = require('fs'), os = require('os');
const { execFileSync, spawn } = require('child_process');
fs.mkdirSync('d'); fs.writeFileSync('d/f', 'x'.repeat(1e6));
new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true })
  .on('message', m => { console.log(m, execFileSync('echo', ['hi']).toString().trim(),
                                    os.cpus().length > 0, os.totalmem() > 0); });
E
node a.js
""", b"42 hi true true\n")

    def test_go(self):
        self.build("go", """
mkdir m && cd m && printf 'module m\\n\\ngo 1.19\\n' > go.mod
printf 'package main\\n\\nimport ("fmt"; "sync")\\n\\nfunc main() { var w sync.WaitGroup; w.Add(2); for i := 0; i < 2; i++ { go w.Done() }; w.Wait(); fmt.Println("hello") }\\n' > main.go
GOFLAGS=-mod=mod GOTELEMETRY=off go build -o hello . && ./hello && go vet .
""", b"hello\n")

    def test_java(self):
        self.build("javac", """
echo 'public class A { public static void main(String[] a) { new Thread(() -> System.out.println("hello")).start(); } }' > A.java
javac A.java && java -Xmx64m A && java A.java
""", b"hello\nhello\n")

    def test_rust(self):
        if self.rust is None:
            self.skipTest("no Rust here")
        self.build("/opt/rust/bin/cargo", """
PATH=$PATH:/opt/rust/bin
mkdir h && cd h && cargo init -q --name hello --vcs none . && cargo build -q --offline && target/debug/hello
""", b"Hello, world!\n")

    def test_perl(self):
        self.build("perl", """
perl -Mthreads -MThread::Queue -MFile::Temp -MIPC::Open3 -e '
my $q = Thread::Queue->new(1 .. 3); my @t = map { threads->create(sub { $q->dequeue }) } 1 .. 3;
my $sum = 0; $sum += $_->join for @t; print "$sum\\n"'
""", b"6\n")

    def test_archives(self):
        self.build("tar", """
mkdir -p a/b && seq 1000 > a/b/f && ln a/b/f a/h && ln -s b/f a/l && mkfifo a/p && chmod 750 a
tar -cJf a.tar.xz a && rm -r a && tar -xpf a.tar.xz && [ "$(stat -c %h a/h)" = 2 ]
cp -a a c && rm a/p && gzip < a/h | zcat | tail -1 && install -D -m 755 a/h x/y/z
dd if=/dev/zero of=sparse bs=1 count=0 seek=10M status=none && flock sparse true && sync -f sparse
truncate -s 1M sparse && fallocate -l 2M sparse && stat -c %s sparse
""", b"1000\n2097152\n")

    def test_debian_tools(self):
        self.build("dpkg-deb", """
mkdir -p p/DEBIAN p/usr/share/x && echo y > p/usr/share/x/y
printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b>\\nDescription: x\\n' > p/DEBIAN/control
dpkg-deb --root-owner-group -b p x.deb > /dev/null && dpkg-deb -f x.deb Package
""", b"x\n")

    def test_temporary_files_and_locks(self):
        self.build("mktemp", "f=$(mktemp) && d=$(mktemp -d) && [ -d $d ] && rm -r $f $d && "
                             "f=$(mktemp -p /var/tmp) && rm $f && f=$(mktemp -p /dev/shm) && rm $f && "
                             "ulimit -n && echo done", b"1024\ndone\n")


if __name__ == "__main__":
    main()
