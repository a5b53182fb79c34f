"""Why a login fails is nothing that a client can tell: not by the answer and not by the clock."""
import itertools
import random
import socket
import time

import paramiko

from harness import PATIENCE, PosternTest, main, wait_until

POLICY = """
[sandbox "plain"]
network = none
[defaults]
sandbox = plain
shell   = /bin/bash
[tenant "acme"]
keys    = keys/alice
[tenant "away"]
keys    = keys/alice
from    = 192.0.2.0/24
[tenant "left"]
keys    = keys/bob
"""
# Who tries, with which key, and what the log alone knows.
CASES = {
    "no such login": ("gone", "alice", "invalid user gone"),
    "no such key": ("acme", "mallory", "acme"),
    "a refused address": ("away", "alice", "the tenant's from does not list 127.0.0.1"),
    "a revoked key": ("left", "bob", "the key is revoked"),
}
ATTEMPTS, ROUNDS = 6, 50  # on each connection, and connections of each case
# How far from 1/2 the chance may be that an attempt of the one case takes longer than one of the
# other. With equal times and this many samples its standard deviation is 0.024.
MOST = 0.16


def chance_of_longer(one, other):
    """That a sample of the one is longer than one of the other (Mann and Whitney's U, as a share)."""
    ranks = {}
    merged = sorted(one + other)
    for value, group in itertools.groupby(enumerate(merged, 1), key=lambda pair: pair[1]):
        places = [place for place, _ in group]
        ranks[value] = sum(places) / len(places)
    u = sum(ranks[value] for value in one) - len(one) * (len(one) + 1) / 2
    return u / (len(one) * len(other))


class Alike(PosternTest):
    autostart = False

    def setUp(self):
        self.server = self.new_server(policy=POLICY, keys=("alice", "bob"))
        self.server.user_key("mallory")
        with open(self.server.path("user_bob.pub"), "rb") as f:
            self.server.write("revoked", f.read())
        self.server.extra = f"max-auth-tries = 100\nrevoked-keys = {self.server.path('revoked')}\n"
        self.server.write_config()
        self.server.start()
        self.keys = {name: paramiko.Ed25519Key.from_private_key_file(
            self.server.path(f"user_{name}")) for name in ("alice", "bob", "mallory")}

    def connect(self):
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.server.port),
                                                                30 * PATIENCE))
        transport.auth_timeout = 30 * PATIENCE
        transport.start_client(timeout=30 * PATIENCE)
        self.addCleanup(transport.close)
        return transport

    def attempt(self, transport, case):
        """The seconds that a refusal takes, and all that the client learns from it."""
        user, key, _ = CASES[case]
        begun = time.perf_counter()
        try:
            transport.auth_publickey(user, self.keys[key])
        except paramiko.AuthenticationException as refused:
            return time.perf_counter() - begun, (type(refused), str(refused))
        raise AssertionError(f"{case}: accepted")

    def test_answers_and_times(self):
        times = {case: [] for case in CASES}
        answers = {case: set() for case in CASES}
        for _ in range(ROUNDS):
            transports = {case: self.connect() for case in random.sample(list(CASES), len(CASES))}
            for case in CASES:
                self.attempt(transports[case], case)
            for _ in range(ATTEMPTS):
                # In turn, so that whatever else the machine does meets all of them alike.
                for case in random.sample(list(CASES), len(CASES)):
                    seconds, answer = self.attempt(transports[case], case)
                    times[case].append(seconds)
                    answers[case].add(answer)
            for transport in transports.values():
                transport.close()
        self.assertEqual(len(set.union(*answers.values())), 1, answers)
        # Each was refused for its own reason all the same.
        for user, _, why in CASES.values():
            wait_until(lambda: any(user in line and why in line
                                   for line in self.server.log().splitlines()), 10, why)
        for one, other in itertools.combinations(CASES, 2):
            chance = chance_of_longer(times[one], times[other])
            self.assertLess(abs(chance - 0.5), MOST, f"{one} takes longer than {other} in "
                                                     f"{chance:.0%} of all pairs")

    def test_chance_of_longer(self):
        self.assertEqual(chance_of_longer([1, 2, 3], [1, 2, 3]), 0.5)
        self.assertEqual(chance_of_longer([4, 5], [1, 2, 3]), 1)
        self.assertEqual(chance_of_longer([1], [1, 2]), 0.25)


if __name__ == "__main__":
    main()
