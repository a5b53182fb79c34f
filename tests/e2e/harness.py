"""A posternd for one test class, with everything a client needs to talk to it.

The server runs on a free loopback port out of a private directory. Stopping it asserts that it ends
cleanly and leaves no process, mount or directory behind; a sanitizer report or a session that died
by a signal is a failure, unless the test says that it expects one.
"""
import base64
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ.get("POSTERN_BUILD", "/tmp/build")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POSTERND = os.path.join(BUILD, "daemon/master/posternd")
SESSION = os.path.join(BUILD, "daemon/session/postern-session")
POSTERN = os.path.join(BUILD, "daemon/cli/postern")
SECCOMP_DIR = os.path.join(SOURCE, "policies/seccomp")
SANITIZED = os.environ.get("POSTERN_SANITIZED", "") == "1"
# For a sanitized build on a busy machine, or an emulated one: every bound in the tests is multiplied
# by this.
PATIENCE = int(os.environ.get("POSTERN_PATIENCE", 4 if SANITIZED else 1))
SKIP = 77  # exit status that ctest takes for "skipped"

VERSION = re.compile(rb"\ASSH-2\.0-Postern [0-9a-f]{32}\r\n\Z")  # no two connections have the same
EXEC_ID = r"\[[0-9A-Za-z._:/-]+\]"
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehaviorSanitizer")
DIED = re.compile(r"(session|spawner|zygote)\b.*\b(signal|died)", re.I)
WATCHED_DIRS = ("/tmp", "/run", "/var/tmp", "/dev/shm")
FIRST_UID = 1879048192  # of tenants, by default
PREFIX = "postern-e2e-"
# What these tests and other programs of this tree, which may run meanwhile, name their directories.
NOT_OF_A_SERVER = (PREFIX, "postern-bench-", "postern-deb.", "postern-lines-", "postern-package.",
                   "postern-uids.", "postern-unit-", "postern-vm.")
OURS = ("posternd", "postern-session", "postern-zygote", "postern-signer", "postern-spawner")
LIVE = set()  # pids of the posternds of this process that are running on purpose

DEMO_POLICY = """
[sandbox "plain"]
network = none

[tenant "acme"]
keys    = keys/alice
sandbox = plain
shell   = /bin/bash
"""


def become_subreaper():
    """Orphans of posternd become our children, so that none can escape the leftover check."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER)")


def have_own_mounts():
    """What others mount from now on is not seen here, and what posternd does is: among its
    namespaces and this process's mounts are shared, as systemd has them on every host."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec, ms_private, ms_shared = 0x20000, 0x4000, 1 << 18, 1 << 20
    if (libc.unshare(clone_newns) != 0
            or libc.mount(b"none", b"/", None, ms_rec | ms_private, None) != 0
            or libc.mount(b"none", b"/", None, ms_rec | ms_shared, None) != 0):
        raise OSError(ctypes.get_errno(), "a mount namespace for the test")


def processes():
    """{pid: (ppid, state, comm)} of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                text = f.read().decode("latin-1")
        except OSError:
            continue
        comm = text[text.index("(") + 1:text.rindex(")")]
        rest = text[text.rindex(")") + 2:].split()
        found[int(name)] = (int(rest[1]), rest[0], comm)
    return found


def descendants(root, table=None):
    """{pid: comm} of the living (not zombie) processes below `root`, by one look at the system."""
    table = table or processes()
    found, todo = {}, [root]
    while todo:
        parent = todo.pop()
        for pid, (ppid, state, comm) in table.items():
            if ppid == parent and pid not in found:
                found[pid] = (state, comm)
                todo.append(pid)
    return {pid: comm for pid, (state, comm) in found.items() if state not in "ZX"}


def reap_orphans(keep):
    """Collects dead children that were given to us; `keep` are waited for by someone else."""
    for pid, (ppid, state, _) in processes().items():
        if ppid == os.getpid() and state == "Z" and pid not in keep | LIVE:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def status_of(pid):
    """/proc/PID/status as a dict."""
    with open(f"/proc/{pid}/status", encoding="latin-1") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def is_gone(pid):
    """Whether it has ended, waited for or not."""
    return processes().get(pid, (0, "X", ""))[1] in "ZX"


def open_files(pid):
    """What the process holds open, as links of /proc; some of it may be closed meanwhile."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def rss_kib(pid):
    return int(status_of(pid)["VmRSS"].split()[0])


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return {line.split()[4] for line in f}


def watched_entries():
    found = set()
    for top in WATCHED_DIRS:
        try:
            found |= {os.path.join(top, name) for name in os.listdir(top)
                      if "postern" in name and not name.startswith(NOT_OF_A_SERVER)}
        except OSError:
            pass
    return found


def wait_until(condition, timeout=10, what="condition"):
    """The first true value of condition(), which is polled."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.02)


class Result:
    """How a client ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"<exit {self.code} out={self.out[:400]!r} err={self.err[:1200]!r}>"


class Server:
    """One posternd, its directory and its clients' configuration."""

    def __init__(self, policy=DEMO_POLICY, server="", keys=("alice",), host_keys=("ed25519",),
                 listen=("127.0.0.1:0",), log_level="debug"):
        self.dir = tempfile.mkdtemp(prefix=PREFIX)
        self.config = self.path("postern.ini")
        self.listen = list(listen)
        self.log_level = log_level
        self.extra = server
        self.host_keys = [self.make_host_key(kind) for kind in host_keys]
        os.makedirs(self.path("policy.d/keys"), mode=0o755)
        for name in keys:
            self.user_key(name)
        self.write_policy(policy)
        self.write_config()
        self.program = POSTERND
        self.process = None
        self.clients = []
        self.ports = []
        self.expect_deaths = False
        self.launcher = []  # what executes posternd, if not the test
        self.env = {}
        self.pass_fds = ()

    def path(self, name):
        return os.path.join(self.dir, name)

    def host_key_blob(self, number=0):
        with open(self.host_keys[number] + ".pub", encoding="utf-8") as f:
            return base64.b64decode(f.read().split()[1])

    def write(self, name, text, mode=0o644):
        """At once: a server that reads it meanwhile must not find half of it."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        new = f"{path}.new~"
        with open(new, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(new, mode)
        os.rename(new, path)
        return path

    def write_policy(self, text, name="tenants.ini"):
        return self.write(f"policy.d/{name}", text)

    def write_config(self):
        """[server]; a test that overrides a key in `server` replaces the default line."""
        first = FIRST_UID + (os.getpid() % 256) * 1000000
        lines = {
            "user": "nobody", "session-path": SESSION, "seccomp-dir": SECCOMP_DIR,
            "audit": self.path("audit.log"), "log-level": self.log_level,
            "control": self.path("control"),
            "uid-range": f"{first}-{first + 999999}", "state-dir": self.path("state"),
        }
        overridden = {line.split("=")[0].strip() for line in self.extra.splitlines() if "=" in line}
        text = "[server]\n"
        if "listen" not in overridden:
            text += "".join(f"listen = {addr}\n" for addr in self.listen)
        if "host-key" not in overridden:
            text += "".join(f"host-key = {path}\n" for path in self.host_keys)
        text += "".join(f"{k} = {v}\n" for k, v in lines.items() if k not in overridden)
        return self.write("postern.ini", text + self.extra)

    # Keys

    def make_host_key(self, kind):
        """kind: a key type for ssh-keygen, `rsa-pem` or `rsa-pem-traditional` for openssl."""
        path = self.path(f"host_{kind}")
        if kind.startswith("rsa-pem"):
            traditional = ["-traditional"] if kind.endswith("traditional") else []
            run(["openssl", "genrsa", *traditional, "-out", path, "2048"])
            os.chmod(path, 0o600)
            public = run(["ssh-keygen", "-y", "-f", path]).out
            self.write(f"host_{kind}.pub", public)
        else:
            name, _, bits = kind.partition("-")
            run(["ssh-keygen", "-q", "-t", name, "-N", "", "-C", "host", "-f", path]
                + (["-b", bits] if bits else []))
        return path

    def user_key(self, name, kind="ed25519", bits=None, comment=None, options=""):
        """Makes a key pair and policy.d/keys/NAME that accepts it; returns the private key's path."""
        path = self.path(f"user_{name}")
        if not os.path.exists(path):
            run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment or f"{name}@client",
                 "-f", path] + (["-b", str(bits)] if bits else []))
        with open(path + ".pub", encoding="utf-8") as f:
            public = f.read()
        self.write(f"policy.d/keys/{name}", (options + " " if options else "") + public)
        return path

    def fingerprint(self, name):
        line = run(["ssh-keygen", "-l", "-f", self.path(f"user_{name}.pub")]).out.decode()
        return line.split()[1]

    # Life

    def start_only(self, args=("-d",), own_group=False):
        """Starts it and doesn't wait for it to serve."""
        self.entries_before = watched_entries()
        self.mounts_before = mounts()
        self.log_file = open(self.path("log"), "ab")
        self.process = subprocess.Popen([*self.launcher, self.program, *args, "-f", self.config],
                                        stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, cwd="/",
                                        env={**clean_env(self.dir), **self.env},
                                        start_new_session=own_group, pass_fds=self.pass_fds)
        LIVE.add(self.process.pid)
        return self

    def start(self, args=("-d",), own_group=False):
        self.start_only(args, own_group)
        try:
            self.wait_ready()
        except BaseException:
            LIVE.discard(self.process.pid)
            process, self.process = self.process, None
            process.kill()
            process.wait()
            raise
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"posternd ended with {self.process.returncode}:\n{self.log()}")
            return re.search(r"ready: generation \d+, \d+ tenants", self.log())
        wait_until(ready, 20, "ready line")
        self.ports = [int(p) for p in re.findall(r"listening on \S+:(\d+)", self.log())]
        self.port = self.ports[0]
        self.write_ssh_config()

    def write_ssh_config(self):
        known = "".join(f"postern {open(path + '.pub', encoding='utf-8').read()}"
                        for path in self.host_keys)
        self.write("known_hosts", known)
        self.write("ssh_config", f"""
Host *
    HostName 127.0.0.1
    Port {self.port}
    HostKeyAlias postern
    UserKnownHostsFile {self.path('known_hosts')}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    LogLevel ERROR
    ConnectTimeout 20
""")

    def reload(self):
        """SIGHUP; the log line that answers it."""
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        found = wait_until(lambda: re.search(r"(reloaded: generation .*|reload refused: .*)\n",
                                             self.log()[before:]), 20, "reload")
        return found.group(1)

    def stop(self):
        """SIGTERM, and every promise about what is left afterwards."""
        if self.process is None:
            return
        for client in self.clients:
            if client.poll() is None:
                client.kill()
                client.wait()
        process, self.process = self.process, None
        LIVE.discard(process.pid)
        clean = process.poll() is None
        process.terminate()
        try:
            process.wait(20 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("posternd did not end on SIGTERM\n" + self.log_tail()) from None
        finally:
            self.log_file.close()
        if not clean or process.returncode != 0:
            raise AssertionError(f"posternd ended with {process.returncode}\n{self.log_tail()}")
        self.assert_nothing_left()
        self.assert_log_clean()
        self.assert_audit_complete()

    def ended(self):
        """It has ended by itself, as it should: every promise about what is left."""
        process, self.process = self.process, None
        LIVE.discard(process.pid)
        self.log_file.close()
        if process.returncode != 0:
            raise AssertionError(f"posternd ended with {process.returncode}\n{self.log_tail()}")
        self.assert_nothing_left()
        self.assert_log_clean()
        self.assert_audit_complete()

    def assert_nothing_left(self):
        def gone():
            reap_orphans({c.pid for c in self.clients})
            return not self.leftovers()
        try:
            wait_until(gone, 5)
        except AssertionError:
            raise AssertionError(f"left behind: {self.leftovers()}\n{self.log_tail()}") from None

    def leftovers(self):
        table = processes()
        others = set().union(*({pid} | set(descendants(pid, table)) for pid in LIVE))
        left = [f"process {pid} ({comm})" for pid, comm in descendants(os.getpid(), table).items()
                if pid not in others
                and (comm in OURS or uid_of(pid) >= FIRST_UID)]
        left += [f"mount {m}" for m in mounts() - self.mounts_before if PREFIX not in m]
        left += [f"entry {e}" for e in watched_entries() - self.entries_before]
        return left

    def assert_audit_complete(self):
        starts = [r["exec"] for r in self.audit(event="start")]
        ends = [r["exec"] for r in self.audit(event="end")]
        if sorted(starts) != sorted(ends) or len(set(starts)) != len(starts):
            raise AssertionError(f"audit: {len(starts)} starts, {len(ends)} ends, not paired: "
                                 f"{set(starts) ^ set(ends)}")
        if os.path.exists(self.path("audit.log")):
            with open(self.path("audit.log"), "rb") as f:
                if not re.fullmatch(rb"(\{.*\}\n)*", f.read()):
                    raise AssertionError("the audit file ends in an incomplete line")

    def assert_log_clean(self):
        log = self.log()
        if SANITIZER.search(log):
            raise AssertionError("sanitizer report:\n" + log)
        if not self.expect_deaths:
            bad = [line for line in log.splitlines() if DIED.search(line)]
            if bad:
                raise AssertionError("a process died:\n" + "\n".join(bad) + "\n" + self.log_tail())

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    # Looking

    def log(self):
        try:
            with open(self.path("log"), encoding="utf-8", errors="backslashreplace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=60):
        return "--- log of posternd ---\n" + "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, pattern, timeout=10, start=0):
        return wait_until(lambda: re.search(pattern, self.log()[start:]), timeout, repr(pattern))

    def audit(self, **match):
        """The audit records with these fields; every line must be one JSON object in ASCII."""
        try:
            with open(self.path("audit.log"), "rb") as f:
                data = f.read()
        except FileNotFoundError:
            return []
        lines = data.split(b"\n")
        lines.pop()  # empty, or a record that is being written; assert_audit_complete() judges
        records = []
        for line in lines:
            record = json.loads(line.decode("ascii"))
            if all(record.get(k) == v for k, v in match.items()):
                records.append(record)
        return records

    def wait_audit(self, count=1, timeout=10, **match):
        return wait_until(lambda: (lambda r: len(r) >= count and r)(self.audit(**match)), timeout,
                          f"audit {match}")

    def last_exec(self, **match):
        """(start, end) of the newest exec."""
        start = self.wait_audit(event="start", **match)[-1]
        end = self.wait_audit(event="end", exec=start["exec"])[-1]
        return start, end

    def sessions_and_zygotes(self):
        """The processes that run postern-session: those with a connection, and the zygotes."""
        table = processes()
        ours = {pid for pid in descendants(self.process.pid, table)
                if exe_of(pid) == os.path.realpath(SESSION)}
        forked = {pid for pid in ours if table[pid][0] in ours}
        sessions = {pid for pid in forked if table[pid][2] == "postern-session"}
        return sorted(sessions), sorted(ours - forked)

    def session_pids(self):
        """The processes that serve a connection: children of the zygote."""
        return self.sessions_and_zygotes()[0]

    def only_session(self):
        """The process of the one connection that there is; others may be ending."""
        return wait_until(lambda: (lambda pids: len(pids) == 1 and pids)(self.session_pids()), 10,
                          "one session")[0]

    def spare_pids(self):
        """Sessions that were forked beforehand and have no connection yet."""
        return sorted(pid for pid, comm in descendants(self.zygote_pid()).items()
                      if comm == "postern-zygote")

    def signer_pids(self):
        """The processes that hold the host keys: one per generation that somebody still needs."""
        return sorted(pid for pid, comm in descendants(self.process.pid).items()
                      if comm == "postern-signer")

    def zygote_pid(self):
        zygotes = self.sessions_and_zygotes()[1]
        if len(zygotes) != 1:
            raise AssertionError(f"zygotes: {zygotes}")
        return zygotes[0]

    def wait_new_zygote(self, old):
        """Until there is another one, alone: for a while there may be both, or none."""
        wait_until(lambda: (lambda pids: len(pids) == 1 and old not in pids)(
            self.sessions_and_zygotes()[1]), 20, "another zygote")

    def exec_pids(self):
        """Processes of sandboxes: those below posternd with a tenant's uid."""
        return sorted(pid for pid in descendants(self.process.pid) if uid_of(pid) >= FIRST_UID)

    def spawner_pids(self):
        return sorted(pid for pid, comm in descendants(self.process.pid).items()
                      if comm == "postern-spawner")

    def first_pids(self, is_wanted):
        """pid 1 of each sandbox: the first process of a pid namespace other than posternd's."""
        own = os.stat(f"/proc/{self.process.pid}/ns/pid").st_ino
        found = []
        for pid in descendants(self.process.pid):
            try:
                status = status_of(pid)
                if (os.stat(f"/proc/{pid}/ns/pid").st_ino != own
                        and status["NSpid"].split()[-1] == "1"
                        and is_wanted(int(status["Uid"].split()[0]))):
                    found.append(pid)
            except OSError:
                pass
        return sorted(found)

    def worker_pids(self):
        """Of each sandbox that has a command."""
        return self.first_pids(lambda uid: uid >= FIRST_UID)

    def ready_pids(self):
        """Of each sandbox that is being built or waits for a command."""
        return self.first_pids(lambda uid: uid == 0)

    # Clients

    def ssh_argv(self, user, *command, key="alice", options=(), flags=()):
        argv = ["ssh", "-F", self.path("ssh_config")]
        if key:
            argv += ["-i", self.path(f"user_{key}")]
        for option in options:
            argv += ["-o", option]
        return argv + list(flags) + [f"{user}@postern", *command]

    def ssh(self, user, *command, stdin=b"", timeout=30, **how):
        return run(self.ssh_argv(user, *command, **how), stdin=stdin, timeout=timeout,
                   home=self.dir, check=False)

    def popen_ssh(self, user, *command, **how):
        client = subprocess.Popen(self.ssh_argv(user, *command, **how), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=clean_env(self.dir))
        self.clients.append(client)
        return client

    def mux(self, user="acme", key="alice"):
        """A ControlMaster; use `flags=["-S", path]` with ssh() to go through it."""
        path = self.path(f"mux{len(self.clients)}")
        client = self.popen_ssh(user, key=key, flags=["-M", "-N", "-S", path])
        wait_until(lambda: os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode), 20,
                   "control socket")
        return path, client


def exe_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def uid_of(pid):
    try:
        return os.stat(f"/proc/{pid}").st_uid if os.path.exists(f"/proc/{pid}") else -1
    except OSError:
        return -1


def clean_env(home):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


def run(argv, stdin=b"", timeout=60, home="/nonexistent", check=True):
    """Runs a program to its end. stdin None: inherits /dev/null."""
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout * PATIENCE, env=clean_env(home), check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv}: exit {done.returncode}: {done.stderr!r}")
    return Result(done.returncode, done.stdout, done.stderr)


class KexInit:
    """What a server says before any key exchange: its version line and its name lists."""

    FIELDS = ("kex", "host_key", "cipher_c2s", "cipher_s2c", "mac_c2s", "mac_s2c",
              "compression_c2s", "compression_s2c", "language_c2s", "language_s2c")

    def __init__(self, port, host="127.0.0.1"):
        with socket.create_connection((host, port), timeout=10 * PATIENCE) as sock:
            stream = sock.makefile("rb")
            self.version = stream.readline()
            sock.sendall(b"SSH-2.0-probe\r\n")
            length, padding = struct.unpack(">IB", stream.read(5))
            payload = stream.read(length - 1)[:length - 1 - padding]
        assert payload[0] == 20, payload[:1]
        self.cookie = payload[1:17]
        at = 17
        for name in self.FIELDS:
            size, = struct.unpack(">I", payload[at:at + 4])
            raw = payload[at + 4:at + 4 + size].decode("ascii")
            setattr(self, name, raw.split(",") if raw else [])
            at += 4 + size


class PosternTest(unittest.TestCase):
    """Starts one server for the class; `server_args` go to Server()."""

    server_args = {}
    autostart = True
    longMessage = True
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.servers = []
        cls.addClassCleanup(cls.stop_servers)
        if cls.autostart:
            cls.server = cls.new_server(**cls.server_args).start()

    @classmethod
    def new_server(cls, **how):
        server = Server(**how)
        cls.servers.append(server)
        return server

    @classmethod
    def stop_servers(cls):
        problems = []
        for server in cls.servers:
            try:
                server.stop()
            except AssertionError as problem:
                problems.append(str(problem))
            finally:
                server.remove()
        if problems:
            raise AssertionError("\n".join(problems))

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for server in self.servers:
                if server.log():
                    print(f"{self.id()}:\n{server.log_tail()}", file=sys.stderr)

    def assertLine(self, text, pattern, msg=None):
        """One whole line of `text` (bytes) matches."""
        lines = text.decode("utf-8", "backslashreplace").splitlines()
        if not any(re.fullmatch(pattern, line) for line in lines):
            self.fail(self._formatMessage(msg, f"no line matches {pattern!r} in {lines}"))

    def assertRan(self, result, code=0, out=None, err=b""):
        self.assertEqual(result.code, code, result)
        if out is not None:
            self.assertEqual(result.out, out, result)
        if err is not None:
            self.assertEqual(result.err, err, result)


def main():
    """Entry point of every test file."""
    if os.geteuid() != 0:
        print("skipped: these tests need root")
        sys.exit(SKIP)
    for path in (POSTERND, SESSION, POSTERN):
        if not os.path.exists(path):
            print(f"missing: {path} (set POSTERN_BUILD to a build directory)", file=sys.stderr)
            sys.exit(1)
    os.umask(0o022)
    become_subreaper()
    have_own_mounts()
    unittest.main(module="__main__", verbosity=2, warnings="ignore")
