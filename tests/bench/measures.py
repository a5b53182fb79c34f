"""The measures, one function each: measure_X(bench). Whatever is compared is measured in turns, a few
rounds of each server at a time, so that what else the machine does hits all of them."""
import os
import shutil
import subprocess
import time

from results import Bound, Target, median, percentile
from servers import BWRAP, CGROUPS, HOME, UID, USER

TRUE = "/usr/bin/true"


def spawn(argv, env=None):
    """(seconds by the clock, seconds of its processor time) of a program that must succeed."""
    begin = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, env or {"PATH": "/usr/bin:/bin", "HOME": HOME}, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{argv}: ended with status {status}")
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime


def ssh(bench, server, command, *options):
    return ["/usr/bin/ssh", "-F", bench.ssh_config, "-p", str(server.port), *options,
            f"{USER}@127.0.0.1", command]


def numbers(argv, label):
    """What a program of ours prints, a number a line."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{label}: {' '.join(argv)}: ended with {done.returncode}")
    return [int(line) for line in done.stdout.split()]


def client(bench, server, mode, *args, key=None):
    """What bench-client prints, as numbers."""
    return numbers([bench.client, mode, str(server.port), USER, key or bench.keys.user,
                    *map(str, args)], server.label)


class Open:
    """bench-client idle or hold, from when everything is open."""

    def __init__(self, bench, server, mode, *args):
        argv = [bench.client, mode, str(server.port), USER, bench.keys.user, *map(str, args)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{argv}: failed")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def in_turns(servers, rounds, measure):
    """{name: [values]}; measure(server) gives a list."""
    values = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            values[server.name] += measure(server)
    return values


def medians(values, scale=1.0):
    return {name: median(list_) * scale for name, list_ in values.items()}


def measure_cold(bench):
    """From connect() to the end of the connection, with `true` in between."""
    variants = (("ssh, its default algorithms", []),
                ("ssh, curve25519", ["-o", "KexAlgorithms=curve25519-sha256"]))
    for label, options in variants:
        before = {s.name: s.cgroup.cpu() for s in bench.servers}
        clients = {s.name: 0.0 for s in bench.servers}

        def one(server, options=options, clients=clients):
            seconds, cpu = spawn(ssh(bench, server, TRUE, *options))
            clients[server.name] += cpu
            return [seconds]
        rounds = bench.rounds(40)
        values = in_turns(bench.servers, rounds, one)
        bench.results.add(f"cold, {label}", "ms", medians(values, 1e3),
                          Target("sshd", 0.2), Target("dropbear", 0.35), Target("go", 0.4))
        bench.results.add(f"cold, {label}: server's processor", "ms",
                          {s.name: (s.cgroup.cpu() - before[s.name]) / rounds * 1e3
                           for s in bench.servers}, Target("sshd", 0.4))
        bench.results.add(f"cold, {label}: client's processor", "ms",
                          {name: cpu / rounds * 1e3 for name, cpu in clients.items()})
    values = in_turns(bench.servers, bench.rounds(10),
                      lambda s: client(bench, s, "cold", 4, TRUE))
    bench.results.add("cold, minimal client", "ms", medians(values, 1e-3),
                      Target("sshd", 0.2), Target("dropbear", 0.35), Target("go", 0.4))


def measure_serial(bench):
    """One exec after the other on an open connection, beside the same without any of it."""
    def one(server):
        return client(bench, server, "serial", 20, TRUE)
    values = {s.name: [] for s in bench.servers}
    values["bare"] = []
    for _ in range(bench.rounds(15)):
        for server in bench.servers:
            values[server.name] += one(server)
        values["bare"] += numbers([bench.starter, "bare", "20", TRUE], "bare")
    bench.results.add("exec, serial, p50", "ms", medians(values, 1e-3), Target("bare", 1.3),
                      Target("sshd-bwrap", 0.25), Target("sshd", 1))
    bench.results.add("exec, serial, p99", "ms",
                      {name: percentile(v, 0.99) / 1e3 for name, v in values.items()},
                      Target("bare", 1.3), Target("sshd-bwrap", 0.25), Target("sshd", 1))


def measure_parallel(bench):
    # dropbear ends a connection when its last channel is closed, so it would be others that it runs.
    servers = [s for s in bench.servers if s.name != "dropbear"]
    for connections, channels in ((1, 8), (1, 64), (8, 1), (8, 8)):
        execs = max(bench.rounds(320), connections * channels)

        def one(server, connections=connections, channels=channels, execs=execs):
            took = client(bench, server, "parallel", connections, channels, execs, TRUE)[0]
            return [execs // connections * connections / took * 1e6]
        values = in_turns(servers, bench.rounds(5), one)
        bench.results.add(f"execs, {channels} at once on each of {connections} connections", "per s",
                          medians(values), Target("sshd", 1.4, least=True),
                          Target("sshd-bwrap", 5, least=True))


def crun_bundle(bench):
    """What `crun spec` writes, without a terminal, and the host's /usr for a root."""
    import json
    path = f"{bench.dir}/bundle"
    os.makedirs(f"{path}/rootfs", exist_ok=True)
    subprocess.run(["crun", "spec"], cwd=path, check=True)
    with open(f"{path}/config.json", encoding="utf-8") as f:
        config = json.load(f)
    config["process"].update(terminal=False, args=[TRUE], cwd="/")
    config["process"]["user"] = {"uid": UID, "gid": UID}
    for name in ("usr", "proc", "dev", "sys"):
        os.makedirs(f"{path}/rootfs/{name}", exist_ok=True)
    for name in ("bin", "lib", "lib64"):
        if not os.path.lexists(f"{path}/rootfs/{name}"):
            os.symlink(f"usr/{name}", f"{path}/rootfs/{name}")
    config["mounts"] = [m for m in config["mounts"] if "cgroup" not in m["destination"]]
    config["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr",
                             "options": ["rbind", "ro"]})
    with open(f"{path}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f)
    return path


def start_ways(bench, cgroup):
    """{name: words before the program} for bench-start."""
    rounds = "10"
    ways = {"postern": ["sandbox", bench.seccomp_dir, "-", rounds],
            "postern, cgroup": ["sandbox", bench.seccomp_dir, cgroup, rounds],
            "bare": ["bare", rounds]}
    if shutil.which("bwrap"):
        ways["bwrap"] = ["bare", "5", "/usr/bin/bwrap", *BWRAP[1:], "--"]
    if shutil.which("firejail"):
        ways["firejail"] = ["bare", "5", "/usr/bin/firejail", "--quiet", "--noprofile"]
    return {name: [bench.starter, *words, TRUE] for name, words in ways.items()}


def measure_start(bench):
    """A sandbox alone, no SSH: from its start to the end of what runs in it."""
    cgroup = f"{CGROUPS}/postern-bench-{os.getpid()}-start"
    os.mkdir(cgroup)
    ways = start_ways(bench, cgroup)
    if shutil.which("crun"):
        # It refuses a host that has both versions of cgroups; only this namespace loses sight of one.
        crun = ["bare", "5", "/usr/bin/crun", "--root", f"{bench.dir}/crun",
                "--cgroup-manager=disabled", "run", "-b", crun_bundle(bench), "bench"]
        ways["crun"] = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c",
                        'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh", bench.starter,
                        *crun]
    values = {name: [] for name in ways}
    for _ in range(bench.rounds(10)):
        for name in list(ways):
            try:
                values[name] += numbers(ways[name], name)
            except SystemExit as problem:
                bench.note(f"sandbox start: {problem}")
                del ways[name]
    os.rmdir(cgroup)
    bench.results.add("sandbox start alone", "ms",
                      {name: median(v) / 1e3 for name, v in values.items() if v},
                      Target("bwrap", 1 / 6))


def measure_bulk(bench):
    """`size` bytes each way; sshd+bwrap's are sshd's own."""
    size = 2 << 30 if not bench.smoke else 8 << 20
    servers = [s for s in bench.servers if s.name != "sshd-bwrap"]
    for cipher in ("aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"):
        options = ["-c", cipher, "-o", "Compression=no"]
        for way, command in (("out", f"/usr/bin/head -c {size} /dev/zero"),
                             ("in", "/usr/bin/dd of=/dev/null bs=128k status=none")):
            rate, cpu = {}, {}
            for server in servers:
                before, begin = server.cgroup.cpu(), time.monotonic()
                source = subprocess.Popen(["/usr/bin/head", "-c", str(size), "/dev/zero"],
                                          stdout=subprocess.PIPE) if way == "in" else None
                done = subprocess.run(ssh(bench, server, command, *options), check=False,
                                      stdin=source.stdout if source else subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                if source:
                    source.stdout.close()
                    source.wait()
                if done.returncode != 0:
                    # Not all of them have every cipher.
                    bench.note(f"{server.label}: no {cipher}: {done.stderr.decode().strip()[:120]}")
                    continue
                rate[server.name] = size / 1e6 / (time.monotonic() - begin)
                cpu[server.name] = (server.cgroup.cpu() - before) / (size / 1e9)
            name = f"bulk {way}, {cipher.split('@')[0]}"
            bench.results.add(name, "MB/s", rate, Target("sshd", 1, least=True))
            bench.results.add(f"{name}: server's processor", "s/GB", cpu)


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def executing(path, pids):
    found = []
    for pid in pids:
        try:
            if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(path):
                found.append(pid)
        except OSError:
            pass
    return found


def measure_memory(bench):
    """What one more idle connection takes, and what one more exec does beside its command."""
    count, values = (60 if not bench.smoke else 5), {}
    for server in bench.servers:
        if server.name == "sshd-bwrap":
            continue
        before = pss_kib(server.cgroup.pids())
        with Open(bench, server, "idle", count):
            time.sleep(0.5)
            values[server.name] = (pss_kib(server.cgroup.pids()) - before) / count
    bench.results.add("memory of an idle connection (PSS)", "KiB", values, Target("sshd", 0.25))
    with Open(bench, bench.postern, "idle", 1):
        before = pss_kib(bench.postern.cgroup.pids())
    with Open(bench, bench.postern, "hold", 1, count, "/usr/bin/sleep 60"):
        time.sleep(0.5)
        pids = bench.postern.cgroup.pids()
        commands = executing("/usr/bin/sleep", pids)
        if len(commands) != count:
            raise SystemExit(f"{len(commands)} commands run, not {count}")
        own = pss_kib(set(pids) - set(commands)) - before
    bench.results.add("memory of an exec without its command (PSS)", "KiB",
                      {"postern": own / count}, Bound(200, "KiB"))


def measure_many(bench):
    """How long a client waits when others are there: 10, then many idle ones; then busy ones."""
    many = 2000 if not bench.smoke else 20
    rounds = bench.rounds(40)

    def cold():
        return client(bench, bench.postern, "cold", rounds, TRUE)
    with Open(bench, bench.postern, "idle", 10):
        few = median(cold())
    with Open(bench, bench.postern, "idle", many):
        time.sleep(0.5)
        bench.results.add(f"memory with {many:,} idle connections (PSS of all)", "MiB",
                          {"postern": pss_kib(bench.postern.cgroup.pids()) / 1024})
        crowded = median(cold())
    bench.results.add(f"cold latency with {many:,} idle connections", "ms",
                      {"postern": crowded / 1e3, "with 10": few / 1e3}, Target("with 10", 1.2))
    busy = 200 if not bench.smoke else 5
    with Open(bench, bench.postern, "hold", busy, 1, "/usr/bin/sleep 120"):
        executing_now = median(cold())
    bench.results.add(f"cold latency while {busy} connections execute", "ms",
                      {"postern": executing_now / 1e3, "with 10": few / 1e3}, Target("with 10", 1.2))


def measure_tenants(bench):
    large = bench.start_postern(tenants=10000 if not bench.smoke else 50)
    values = {"postern": [], "10 tenants": []}
    for _ in range(bench.rounds(10)):
        values["postern"] += client(bench, large, "cold", 5, TRUE)
        values["10 tenants"] += client(bench, bench.postern, "cold", 5, TRUE)
    bench.results.add("cold latency with 10,000 tenants", "ms", medians(values, 1e-3),
                      Target("10 tenants", 1.05))
    large.stop()


def measure_refused(bench):
    """Keys that are not listed."""
    rounds, each = bench.rounds(10), 5
    cpu = {}
    servers = [s for s in bench.servers if s.name != "sshd-bwrap"]
    before = {s.name: s.cgroup.cpu() for s in servers}
    values = in_turns(servers, rounds,
                      lambda s: client(bench, s, "refused", each, key=bench.keys.stranger))
    for server in servers:
        cpu[server.name] = (server.cgroup.cpu() - before[server.name]) / rounds / each * 1e3
    bench.results.add("a refused login: server's processor", "ms", cpu, Target("sshd", 0.5))
    bench.results.add("a refused login", "ms", medians(values, 1e-3))


ALL = (measure_cold, measure_serial, measure_parallel, measure_start, measure_bulk, measure_memory,
       measure_many, measure_tenants, measure_refused)
NAMES = [measure.__name__[len("measure_"):] for measure in ALL]
