"""The shipped git example, as it stands but for the place of the repositories: clone and push."""
import json
import os
import subprocess

from harness import PATIENCE, POSTERN, SOURCE, PosternTest, clean_env, main, run

EXAMPLE = os.path.join(SOURCE, "policies/examples/git.ini")


class GitExample(PosternTest):
    autostart = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.new_server(keys=("git-read", "git-write"))
        repos = cls.server.path("repos")
        with open(EXAMPLE, encoding="utf-8") as f:
            text = f.read()
        for key in ("read    = ", "write   = "):
            assert text.count(f"{key}/srv/git\n") == 1
            text = text.replace(f"{key}/srv/git\n", f"{key}{repos}:/srv/git\n")
        cls.server.write_policy(text)
        os.mkdir(repos)
        cls.git("init", "-q", "--bare", "repos/a.git")
        cls.git("init", "-q", "work")
        cls.commit("first")
        shown = run([POSTERN, "show", "-f", cls.server.config, "--tenant", "git-write", "--json"])
        uid = cls.uid_in(json.loads(shown.out))
        run(["chown", "-R", f"{uid}:{uid}", repos])
        cls.server.start()

    @staticmethod
    def uid_in(shown):
        for section in shown["sections"]:
            for setting in section["settings"]:
                if setting["key"] == "uid":
                    return int(setting["value"])
        raise AssertionError(shown)

    @classmethod
    def commit(cls, text):
        cls.server.write("work/data", text)
        cls.git("-C", "work", "add", "data")
        cls.git("-C", "work", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", text)

    @classmethod
    def git(cls, *words, key=None, check=True):
        ssh = " ".join(cls.server.ssh_argv("x", key=key)[:-1]) if key else "false"
        env = {**clean_env(cls.server.dir), "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_NOSYSTEM": "1"}
        got = subprocess.run(["git", *words], cwd=cls.server.dir, env=env, timeout=60 * PATIENCE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and got.returncode != 0:
            raise AssertionError(f"git {words}: {got.stderr!r}\n{cls.server.log_tail()}")
        return got

    def test_push_and_clone(self):
        url = "ssh://git@postern/srv/git/a.git"
        refused = self.git("-C", "work", "push", "-q", url, "HEAD:main", key="git-read", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(b'"git-receive-pack" is not a command that is allowed here', refused.stderr)
        for round_ in ("second", "third"):
            self.commit(round_)
            self.git("-C", "work", "push", "-q", url, "HEAD:main", key="git-write")
            self.git("clone", "-q", "-b", "main", url, round_, key="git-read")
            with open(self.server.path(f"{round_}/data"), encoding="utf-8") as f:
                self.assertEqual(f.read(), round_)
        self.assertEqual(self.server.last_exec()[0]["tenant"], "git-read")
        self.git("archive", "--remote", url, "-o", "a.tar", "main", key="git-read")
        self.assertGreater(os.path.getsize(self.server.path("a.tar")), 0)


main()
