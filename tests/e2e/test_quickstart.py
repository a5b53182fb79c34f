"""packaging/quickstart --once, as a new user runs it."""
import os
import re
import subprocess

from harness import (BUILD, PATIENCE, SOURCE, PosternTest, clean_env, main, run, watched_entries)

QUICKSTART = os.path.join(SOURCE, "packaging/quickstart")


class Quickstart(PosternTest):
    autostart = False

    def test_once(self):
        before = watched_entries()
        done = subprocess.run([QUICKSTART, "--once", "--build", BUILD], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=clean_env("/root"), timeout=120 * PATIENCE, check=False)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 0, text)
        self.assertNotIn("\x1b", text, "colours go to terminals only")
        blocks = re.findall(r"^\$ (ssh .*?)\n(.*?)^→ (exit \d+[^\n]*)$", text, re.M | re.S)
        codes = [int(re.match(r"exit (\d+)", code).group(1)) for _, _, code in blocks]
        self.assertEqual(codes, [0, 0, 126, 1, 7, 255, 0], text)
        allowed, listed, denied, explained, seven, _, streamed = (out for _, out, _ in blocks)
        self.assertRegex(allowed, r"(?s)Linux postern .*uid=\d+\(acme\).*PID")
        self.assertEqual(listed, 'Readable by the tenant "readonly", and all that is.\n')
        self.assertRegex(denied, r"postern: denied: .+ \[\S+\]")
        self.assertRegex(explained, r"postern: note: system call unshare\(CLONE_NEWUSER\) was refused by")
        self.assertEqual(seven.strip(), "")
        asked = re.search(r"^\$ postern explain .*\n((?:.*\n)*?)→ exit 1$", text, re.M)
        self.assertRegex(asked.group(1), r"(?m)^decision  denied: .+ path isn't under the directory")
        here, there = re.findall(r"\b[0-9a-f]{64}\b", text)[-2:]
        self.assertEqual(here, there)
        self.assertIn(there, streamed)
        records = re.findall(r"^\{\"v\":1,.*\}$", text, re.M)
        self.assertEqual(sum('"event":"end"' in r for r in records), 7, records)
        self.assertEqual(sum('"event":"start"' in r for r in records), 7, records)
        self.assertTrue(any('"event":"auth"' in r for r in records))
        self.assertEqual(watched_entries(), before, "it cleans up after itself")

    def test_needs_root(self):
        got = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash",
                   "-s", "--", "--once"], stdin=open(QUICKSTART, "rb").read(), check=False)
        self.assertEqual((got.code, got.out), (77, b""), got)
        self.assertIn(b"root", got.err)

    def test_bad_option(self):
        got = run([QUICKSTART, "--twice"], check=False)
        self.assertEqual(got.code, 64)
        self.assertIn(b"usage", got.err)


if __name__ == "__main__":
    main()
