"""The servers that are measured, each on a port of its own and in a cgroup that counts its processor time.

All of them take the same host key (ed25519) and the same user key, run what the client asks for as an
ordinary user, and log to a file. Their configuration is here and nowhere else.
"""
import os
import shutil
import signal
import socket
import subprocess
import time

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
USER, UID = "bench", 54321
HOME = f"/home/{USER}"
CGROUPS = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"

# What Postern's default sandbox has, in bwrap's words, but for Landlock and the system call filter:
# bwrap has none of its own.
BWRAP = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
         "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin",
         "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
         "--ro-bind", "/etc/alternatives", "/etc/alternatives",
         "--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache",
         "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp"]

SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {authorized}
PidFile none
UsePAM no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 3000
MaxSessions 1000
ForceCommand {force}
"""

POLICY = """
[sandbox "bench"]
network = none
tasks   = 4096

[tenant "bench"]
keys      = keys/bench
sandbox   = bench
command   = /usr/bin/true
command   = /usr/bin/sleep {int}
command   = /usr/bin/head -c {int} /dev/zero
command   = /usr/bin/dd of=/dev/null bs=128k status=none
max-execs = 1000
max-connections = infinity
"""

SERVER = """
max-connections = 3000
max-startups = 3000
limits = best-effort
"""


class Cgroup:
    """A directory of cgroup v2 for the processes that are started while we are in it."""

    def __init__(self, name):
        self.path = os.path.join(CGROUPS, f"postern-bench-{os.getpid()}-{name}")
        os.mkdir(self.path)

    def enter(self):
        with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as f:
            f.write("0")

    @staticmethod
    def leave():
        with open(f"{CGROUPS}/cgroup.procs", "w", encoding="ascii") as f:
            f.write("0")

    def cpu(self):
        """Seconds that were used in it so far."""
        with open(f"{self.path}/cpu.stat", encoding="ascii") as f:
            return int(f.readline().split()[1]) / 1e6

    def pids(self):
        found = []
        for directory, _, _ in os.walk(self.path):
            with open(f"{directory}/cgroup.procs", encoding="ascii") as f:
                found += [int(line) for line in f]
        return found

    def remove(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                for directory, _, _ in os.walk(self.path, topdown=False):
                    os.rmdir(directory)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, process):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Keys:
    """What all servers and clients share."""

    def __init__(self, directory):
        self.host = self.make(f"{directory}/host_key")
        self.user = self.make(f"{directory}/user_key")
        self.stranger = self.make(f"{directory}/stranger_key")
        self.authorized = f"{HOME}/.ssh/authorized_keys"
        os.mkdir(f"{HOME}/.ssh", mode=0o755)
        shutil.copy(self.user + ".pub", self.authorized)
        for path in (HOME, f"{HOME}/.ssh", self.authorized):
            os.chown(path, UID, UID)

    @staticmethod
    def make(path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", path],
                       check=True)
        return path


class Peer:
    """A server that one command line starts. `argv(directory, keys, port)` gives that."""
    name = label = None
    needs = ()
    package = None

    def __init__(self, directory, keys):
        self.dir, self.keys, self.port = directory, keys, free_port()
        self.cgroup = Cgroup(self.name)
        self.process = None

    @classmethod
    def missing(cls):
        """The program that it lacks here, or None."""
        return next((name for name in cls.needs if shutil.which(name) is None), None)

    def argv(self):
        raise NotImplementedError

    def start(self):
        self.cgroup.enter()
        try:
            with open(f"{self.dir}/{self.name}.log", "wb") as log:
                self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log)
        finally:
            Cgroup.leave()
        await_port(self.port, self.process)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        for pid in self.cgroup.pids():
            os.kill(pid, signal.SIGKILL)
        self.cgroup.remove()


class Sshd(Peer):
    name, label = "sshd", "sshd"
    needs = ("/usr/sbin/sshd",)
    package = "openssh-server"
    # The user's shell, which sshd starts for it, becomes the command.
    force = "exec $SSH_ORIGINAL_COMMAND"

    def argv(self):
        path = f"{self.dir}/{self.name}_config"
        with open(path, "w", encoding="ascii") as f:
            f.write(SSHD_CONFIG.format(port=self.port, host_key=self.keys.host, force=self.force,
                                       authorized=self.keys.authorized))
        return ["/usr/sbin/sshd", "-D", "-e", "-f", path]


class SshdBwrap(Sshd):
    name, label = "sshd-bwrap", "sshd+bwrap"
    needs = ("/usr/sbin/sshd", "bwrap")
    package = "bubblewrap"
    force = "exec " + " ".join(BWRAP) + " -- $SSH_ORIGINAL_COMMAND"


class Dropbear(Peer):
    name, label = "dropbear", "dropbear"
    needs = ("dropbear", "dropbearconvert")
    package = "dropbear-bin"

    def argv(self):
        path = f"{self.dir}/dropbear_key"
        subprocess.run(["dropbearconvert", "openssh", "dropbear", self.keys.host, path], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return ["dropbear", "-F", "-E", "-s", "-j", "-k", "-r", path, "-p", f"127.0.0.1:{self.port}"]


class Go(Peer):
    """goserver/main.go, which is about as little as a server can be."""
    name, label = "go", "Go x/crypto"
    needs = ("go",)
    package = "golang-go golang-golang-x-crypto-dev"

    def argv(self):
        program = f"{self.dir}/goserver"
        env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOCACHE=f"{self.dir}/go",
                   GOFLAGS="", HOME=self.dir)
        # Debian's own, not another one that may come first.
        go = "/usr/bin/go" if os.path.exists("/usr/bin/go") else "go"
        subprocess.run([go, "build", "-o", program, f"{HERE}/goserver/main.go"], check=True, env=env)
        return [program, f"127.0.0.1:{self.port}", self.keys.host, self.keys.authorized, str(UID)]


class Postern:
    """Out of the build; `tenants` more than the one that is used, each with keys and a policy."""
    name, label = "postern", "Postern"
    needs, package = (), None

    def __init__(self, directory, keys, tenants=0):
        del directory
        self.keys, self.tenants = keys, tenants
        self.cgroup = Cgroup(f"postern{tenants or ''}")
        self.server = harness.Server(policy=POLICY, server=SERVER, keys=(), log_level="info")
        shutil.copy(keys.user + ".pub", self.server.path("policy.d/keys/bench"))
        for suffix in ("", ".pub"):
            shutil.copy(keys.host + suffix, self.server.host_keys[0] + suffix)
        if tenants:
            import big_policy
            big_policy.write_policy(self.server.path("policy.d"), tenants)
        self.port = None

    @classmethod
    def missing(cls):
        return None

    def start(self):
        self.cgroup.enter()
        try:
            self.server.start()
        finally:
            Cgroup.leave()
        self.port = self.server.port

    def stop(self):
        if self.server.process is not None:
            self.server.process.terminate()
            self.server.process.wait(60)
        self.server.remove()
        self.cgroup.remove()


PEERS = (Sshd, SshdBwrap, Dropbear, Go)
