"""Runs that are killed by SIGKILL, at any line and at any time, and started again: they end in the same bits."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("killed.py")
CASES = ["moco", "nnclr", "swav", "paco", "sogclr", "isogclr", "clip", "siglip", "varcon"]
STEPS = 12
WHOLE = ("weights", "history", "snapshots")


class Server:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def order(self, case, store, line=None, after=None, alone=True):
        order = {"case": case, "store": str(store), "line": line, "after": after, "alone": alone}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def live(self, *args, **options):
        self.order(*args, **options)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


@pytest.fixture(scope="module")
def servers():
    both = Server(), Server()
    yield both
    for server in both:
        server.close()


def same(life, other):
    return all(life[name] == other[name] for name in WHOLE)


@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_line_a_run_ends_in_the_same_bits(tmp_path, servers, case):
    server, draw = servers[0], random.Random(case)
    undisturbed = server.live(case, tmp_path / "undisturbed")
    assert undisturbed["steps"] == STEPS
    lines = undisturbed["lines"]
    for store, kills in {
        "thrice": [draw.randint(1, lines // 3) for _ in range(3)],
        "while it is stored": [draw.randint(lines * 9 // 10, lines)],
    }.items():
        lives = [server.live(case, tmp_path / store, line=line) for line in kills]
        assert all(life["died"] for life in lives)
        lives.append(server.live(case, tmp_path / store))
        assert same(lives[-1], undisturbed)
        # a step may be taken twice, by a life that ends before it is kept and by the next one
        assert STEPS <= sum(life["steps"] for life in lives) <= STEPS + len(kills)
        (kept,) = (path for path in (tmp_path / store).iterdir() if not path.name.startswith(".new-"))
        assert kept.suffix == ""


def test_killed_at_any_time_a_run_ends_in_the_same_bits(tmp_path, servers):
    server, draw = servers[0], random.Random(0)
    start = time.perf_counter()
    undisturbed = server.live("moco", tmp_path / "undisturbed")
    seconds = time.perf_counter() - start
    for _ in range(4):
        server.live("moco", tmp_path / "runs", after=draw.uniform(0.1, 0.9) * seconds)
    assert same(server.live("moco", tmp_path / "runs"), undisturbed)


def test_two_processes_that_train_the_same_run_do_not_hurt_each_other(tmp_path, servers):
    first, second = servers
    undisturbed = first.live("moco", tmp_path / "undisturbed")
    # the one that dies begins: had it found what the other kept, it might have had fewer lines to run
    second.order("moco", tmp_path / "runs", line=undisturbed["lines"] // 2, alone=False)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*.part")):
        assert time.monotonic() < until, "nothing was kept"
        time.sleep(0.001)
    first.order("moco", tmp_path / "runs", alone=False)
    assert same(first.answer(), undisturbed)
    assert second.answer()["died"]
    assert same(second.live("moco", tmp_path / "runs"), undisturbed)
