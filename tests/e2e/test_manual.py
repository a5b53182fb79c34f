"""The man pages and the programs agree on every key of every section."""
import glob
import os
import re
import shutil
import tempfile

from harness import POSTERN, POSTERND, SECCOMP_DIR, SESSION, SOURCE, PosternTest, main, run

MAN = os.path.join(SOURCE, "packaging/man")
# A legal value for each key; a key that is documented and not here fails the test.
VALUES = {
    "server": {
        "listen": "127.0.0.1:0 proxy", "proxy-from": "127.0.0.1, 10.0.0.0/24", "host-key": "{dir}/host_ed25519", "user": "nobody",
        "revoked-keys": "{dir}/revoked",
        "control": "{dir}/control", "control-group": "adm", "admin-group": "root",
        "agent-check": "127.0.0.1:0",
        "session-path": SESSION, "seccomp-dir": SECCOMP_DIR, "audit": "stderr", "audit-mode": "required",
        "log-level": "info", "login-grace": "30s", "max-auth-tries": "6", "max-connections": "1000",
        "max-startups": "10:50:20", "max-startups-per-source": "infinity",
        "max-connections-per-source": "100", "ready-sandboxes": "4", "source-prefix-ipv4": "24",
        "source-prefix-ipv6": "56", "source-exempt": "192.0.2.0/24, !192.0.2.9 ::1",
        "max-channels": "256", "uid-range": "1879048192-2147483647",
        "state-dir": "{dir}/state",
        "metrics-file": "{dir}/postern.prom", "metrics-interval": "1m", "metrics-tenants": "0",
        "kex": "curve25519-sha256 ecdh-sha2-nistp256", "ciphers": "aes256-gcm@openssh.com",
        "macs": "hmac-sha2-512-etm@openssh.com", "host-key-algorithms": "ssh-ed25519",
        "user-key-algorithms": "ssh-ed25519, rsa-sha2-512", "rekey-data": "256M",
        "rekey-time": "infinity", "compression": "yes", "banner": "Authorised use only.",
        "policy-owner": "nobody", "recordings": "{dir}/recordings", "record-max": "16M",
        "recordings-max": "1G", "recordings-keep": "30d", "limits": "best-effort", "cgroup": "/sys/fs/cgroup/postern",
    },
    "tenant": {
        "extends": "base", "user": "login", "keys": "keys/alice", "sandbox": "box",
        "shell": "/bin/bash", "force": "", "command": "", "max-execs": "64",
        "accept-env": "LANG LC_*", "env": "A=b", "explain": "rule", "receipt": "yes",
        "record": "output", "record-notice": "no", "uid": "1879048200", "pty": "yes",
        "run-as": "auto",
        "auth": "publickey", "from": "127.0.0.0/8, !127.0.0.9", "max-connections": "20",
        "queue": "30s", "rate": "30/min", "memory-total": "4G", "tasks-total": "512",
        "cpu-total": "200%", "subsystem": "sftp: /usr/lib/openssh/sftp-server -R",
    },
    "sandbox": {
        "extends": "base", "root": "host", "read": "/usr/share:/data", "proc": "build", "tmp": "64M",
        "network": "loopback", "connect": "192.0.2.0/24:443", "tasks": "256", "time": "infinity", "seccomp": "profile",
        "write": "/srv", "hide": "/usr/share/doc", "workspace": "exec", "workspace-size": "64M", "home": "/srv",
        "memory": "2G", "memory-high": "1G", "swap": "0", "cpu": "200%", "cpu-weight": "100",
        "io-weight": "100", "idle-time": "15m", "warn": "1m", "output": "1G", "notes": "4",
    },
    "seccomp": {"extends": "default", "allow": "@basic-io getpid", "deny": "uname", "kill": "ptrace"},
}

# Not all at once: some of these keys exclude each other.
TESTS = """
[test "a key's file"]
user = login
key-file = keys/alice
from = 127.0.0.1
at = 2026-11-22T10:00
command = ls
expect = allowed
tenant = full
sandbox = box
pty = yes
[test "a fingerprint"]
user = login
key = SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
shell = yes
expect = denied
reason = login
[test "a subsystem"]
user = login
subsystem = sftp
expect = denied
"""


def documented():
    """{section: keys} as the pages have them."""
    found = {}
    for page in ("postern.ini.5.scd", "postern-policy.5.scd"):
        with open(os.path.join(MAN, page), encoding="utf-8") as f:
            text = f.read()
        for title, body in re.findall(r"^# (.*)\n((?:(?!# ).*\n)*)", text, re.M):
            section = re.match(r"KEYS OF \[([a-z]+)", title)
            if section:
                found[section.group(1)] = re.findall(r"^\*([a-z0-9-]+)\* = ", body, re.M)
    return found


def known():
    """{section: keys} as the tables of config/ have them, but for keys of later versions."""
    found = {}
    for path in glob.glob(os.path.join(SOURCE, "config/*.c")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for table, body in re.findall(r"schema_key (\w+)_keys\[\] = \{(.*?)\};", text, re.S):
            found[{"profile": "seccomp"}.get(table, table)] = re.findall(
                r'KEY\("([a-z0-9-]+)", KEY_(?!LATER)', body)
    return found


class Manual(PosternTest):
    autostart = False

    def test_each_event_of_the_audit_is_documented(self):
        """By its MESSAGE_ID, in the manual and for journalctl -x; which reads it without a word."""
        with open(os.path.join(SOURCE, "daemon/common/audit_event.h"), encoding="utf-8") as f:
            events = re.findall(r'X\([A-Z]+, "([a-z]+)", "([0-9a-f]{32})", (\d),', f.read())
        with open(os.path.join(MAN, "postern.7.scd"), encoding="utf-8") as f:
            manual = f.read()
        with open(os.path.join(SOURCE, "packaging/postern.catalog"), encoding="utf-8") as f:
            catalog = f.read()
        self.assertGreater(len(events), 8)
        self.assertEqual(re.findall(r"^([a-z]+) +([0-9a-f]{32}) +(\d)$", manual, re.M), events)
        for name, _, _ in events:
            self.assertRegex(manual, rf"(?m)^\*{name}\*$")
        self.assertEqual(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M), [e[1] for e in events])
        if shutil.which("journalctl"):
            with tempfile.TemporaryDirectory() as root:
                os.makedirs(root + "/usr/lib/systemd/catalog")
                os.makedirs(root + "/var/lib/systemd/catalog")
                shutil.copy(os.path.join(SOURCE, "packaging/postern.catalog"),
                            root + "/usr/lib/systemd/catalog")
                got = run(["journalctl", "--root", root, "--update-catalog"])
                self.assertEqual((got.code, got.out, got.err), (0, b"", b""))
                found = run(["journalctl", "--root", root, "--list-catalog"]).out.decode()
                self.assertEqual(len(found.splitlines()), len(events))

    def test_each_key_is_documented_once(self):
        pages, tables = documented(), known()
        self.assertEqual(set(tables) - {"group", "test"}, set(VALUES))
        for section in set(tables) - {"group"}:
            self.assertEqual(sorted(pages[section]), sorted(tables[section]), section)
        for section in VALUES:
            self.assertEqual(sorted(tables[section]), sorted(VALUES[section]), section)
        self.assertEqual(sorted(set(re.findall(r"^([a-z-]+) = ", TESTS, re.M))),
                         sorted(tables["test"]))

    def test_each_key_is_accepted(self):
        server = self.new_server()
        server.write("revoked", "")
        text = "[server]\n" + self.lines("server").format(dir=server.dir)
        server.write("postern.ini", text)
        server.write_policy('[sandbox "base"]\n[tenant "base"]\n'
                            f'[tenant "full"]\n{self.lines("tenant")}'
                            f'[sandbox "box"]\n{self.lines("sandbox")}'
                            f'[seccomp "profile"]\n{self.lines("seccomp")}' + TESTS)
        got = run([POSTERN, "check", "-f", server.config], check=False)
        self.assertEqual((got.code, b"error" in got.out + got.err), (0, False), got)
        got = run([POSTERND, "-t", "-f", server.config], check=False)
        self.assertEqual(got.code, 0, got)

    @staticmethod
    def lines(section):
        return "".join(f"{key} = {value}\n" for key, value in VALUES[section].items())

    def test_the_example_of_the_policy_page_is_legal(self):
        with open(os.path.join(MAN, "postern-policy.5.scd"), encoding="utf-8") as f:
            example = re.search(r"^```\n(.*?)^```$", f.read(), re.M | re.S).group(1)
        # Its limits are more than every host can keep.
        server = self.new_server(policy=example, keys=("acme", "mirror"),
                                 server="limits = best-effort\n")
        got = run([POSTERN, "check", "--other-host", "-f", server.config], check=False)
        self.assertEqual(got.code, 0, got)

    def test_long_names_of_help_and_version(self):
        for program in (POSTERND, POSTERN):
            for short, long in (("-h", "--help"), ("-V", "--version")):
                got, same = run([program, short], check=False), run([program, long], check=False)
                self.assertEqual((got.code, got.out != b""), (0, True), got)
                self.assertEqual((same.code, same.out, same.err), (0, got.out, got.err), same)

    def test_options_are_documented(self):
        for program, page in ((POSTERND, "posternd.8.scd"), (POSTERN, "postern.1.scd")):
            usage = run([program, "-h"], check=False)
            with open(os.path.join(MAN, page), encoding="utf-8") as f:
                text = f.read()
            for option in re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", (usage.out + usage.err).decode()):
                for one in [option] if option.startswith("--") else [f"-{c}" for c in option[1:]]:
                    self.assertIn(f"*{one}*", text, f"{page} of {option}")


if __name__ == "__main__":
    main()
