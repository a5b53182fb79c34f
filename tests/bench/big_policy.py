"""Writes a policy as large as they get: many tenants of a few kinds in several files, each with a key
file of its own. The same arguments write the same bytes."""
import base64
import hashlib
import os
import struct

KEYS_PER_TENANT = 5
TENANTS_PER_FILE = 1000
SANDBOXES = 20

PRELUDE = """
[sandbox "base"]
network = none
tmp     = 64M
time    = 1h

[tenant "ci-base"]
shell      = /bin/bash
max-execs  = 8
accept-env = LANG LC_* CI CI_*

[tenant "git-base"]
command    = git-upload-pack {path:/srv/git}
command    = git-upload-archive {path:/srv/git}
command    = report {word} {int}
accept-env = GIT_PROTOCOL
"""

# What a tenant of each kind says besides its name and keys; $I is its number, $S its sandbox's.
KINDS = (
    "extends = ci-base\nenv = TEAM=team$I\n",
    "extends = ci-base\nmax-execs = 16\n",
    "extends = ci-base\naccept-env = BUILD_*\n",
    "extends = git-base\nuser = git\n",
    "extends = git-base\nuser = git\ncommand = git-receive-pack {path:/srv/git/team$I}\n",
    "extends = git-base\n",
    "".join(f"command = tool{n} {{word}} --mode {{oneof:fast|slow}} {{path:/srv/data}}\n"
            for n in range(12)) + "command = report {word} {int}\n",
    "command = tail -n {int} {path:/var/log/app$I}\n"
    "command = grep -e {re:[a-z ]+} -- {path:/var/log/app$I}\n"
    "command = release {re:v[0-9]+([.][0-9]+){1,3}}\ncommand = report {word} {int}\n",
    "force = /bin/echo deploy --team $I\nexplain = none\n",
    "shell = /bin/sh\nenv = TEAM=team$I\nenv = STAGE=prod\n",
)


def text(*parts):
    """Strings as SSH packs them."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def noise(seed, size):
    out = b""
    for n in range((size + 63) // 64):
        out += hashlib.sha512(f"{seed} {n}".encode()).digest()
    return out[:size]


def key_line(i, k):
    seed = f"key {i} {k}"
    if k == 0 and i % 2 == 0:
        modulus = b"\0" + bytes([0x80 | noise(seed, 1)[0]]) + noise(seed, 382) + b"\1"
        kind, blob = "ssh-rsa", text(b"ssh-rsa", b"\1\0\1", modulus)
    elif k == 1:
        kind = "ecdsa-sha2-nistp256"
        blob = text(kind.encode(), b"nistp256", b"\4" + noise(seed, 64))
    else:
        kind, blob = "ssh-ed25519", text(b"ssh-ed25519", noise(seed, 32))
    options = {2: "restrict ", 3: 'from="10.0.0.0/8,!10.9.0.0/16,2001:db8::/32" '}.get(k, "")
    return f"{options}{kind} {base64.b64encode(blob).decode()} user{k}@team{i}.example.org\n"


def write(path, content):
    with open(path, "w", encoding="ascii") as f:
        f.write(content)
    os.chmod(path, 0o644)


def write_policy(policy_dir, tenants):
    """policy_dir/*.ini and policy_dir/team-keys/*; replaces what an earlier call has written."""
    keys = os.path.join(policy_dir, "team-keys")
    os.makedirs(keys, mode=0o755, exist_ok=True)
    for name in os.listdir(policy_dir):
        if name.startswith("team") and name.endswith(".ini"):
            os.unlink(os.path.join(policy_dir, name))
    boxes = "".join(f'\n[sandbox "box{n}"]\nextends = base\ntime = {n + 1}h\n'
                    for n in range(SANDBOXES))
    write(os.path.join(policy_dir, "common.ini"), PRELUDE + boxes)
    for first in range(0, tenants, TENANTS_PER_FILE):
        sections = []
        for i in range(first, min(first + TENANTS_PER_FILE, tenants)):
            rules = KINDS[i % len(KINDS)].replace("$I", str(i))
            sections.append(f'[tenant "team{i:05}"]\nkeys = team-keys/{i:05}\n'
                            f"sandbox = box{i % SANDBOXES}\n{rules}")
            path = os.path.join(keys, f"{i:05}")
            if not os.path.exists(path):
                write(path, "".join(key_line(i, k) for k in range(KEYS_PER_TENANT)))
        write(os.path.join(policy_dir, f"team{first:05}.ini"), "\n".join(sections))
