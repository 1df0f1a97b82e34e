"""A ring of positions that actions shift, seen through a random network among things that no action moves."""

import math
from typing import Any

import torch
from torch import Tensor

from cl_explore.data import Dataset
from cl_explore.takes import Amount, Count, Seed, takes

OBSERVED, WIDTH, THINGS = 32, 64, 4


@takes
def ring(
    count: Count, seed: Seed, *, positions: Count = 4, steps: Count = 1, scale: Amount = 2.0, persistent: bool = False
) -> Dataset:
    """Transitions on a ring: position c, K actions drawn evenly, and c plus their sum, modulo `positions`.

    An observation is a random tanh network of 64 units, the same for all, of the position on the circle and of four
    things that no action moves, with noise of .05; seed 0 to 2**32 - 1 draws the network and the transitions.

    steps: K, actions between the two observations.
    scale: of the four things, normal numbers drawn anew for each observation.
    persistent: the four things are the same before and after, so that they tell which transition this is.
    Returns: x has "now" and "later" (N, 32), and "actions" (N, K * positions), each 1 at its shift; labels are the
        position before, and the factor "reward" is 1 where the position after is 0
    """
    draw = torch.Generator().manual_seed(seed)
    first = torch.randn(2 + THINGS, WIDTH, generator=draw) / math.sqrt(2 + THINGS)
    last = torch.randn(WIDTH, OBSERVED, generator=draw) / math.sqrt(WIDTH)
    before = torch.randint(positions, (count,), generator=draw)
    moves = torch.randint(positions, (count, steps), generator=draw)
    after = (before + moves.sum(1)) % positions
    things = scale * torch.randn(2, count, THINGS, generator=draw)
    if persistent:
        things[1] = things[0]

    def seen(position: Tensor, moved: Tensor) -> Tensor:
        angle = 2 * math.pi * position / positions
        state = torch.cat((torch.stack((angle.cos(), angle.sin()), 1), moved), 1)
        return (state @ first).tanh() @ last + 0.05 * torch.randn(count, OBSERVED, generator=draw)

    x = {
        "now": seen(before, things[0]),
        "later": seen(after, things[1]),
        "actions": torch.nn.functional.one_hot(moves, positions).flatten(1).float(),
    }
    names = tuple(f"position {place}" for place in range(positions))
    factors = {"reward": (after == 0).float()}
    return Dataset("ring", x, before, torch.arange(count), names, factors)


@takes
def parts(seed: Seed, train: Count = 4000, test: Count = 1500, **options: Any) -> tuple[Dataset, Dataset]:
    """Transitions to train on, and others seen through the same network; options as of `ring`."""
    world = ring(train + test, seed, **options)
    rows = torch.arange(len(world))
    return world.subset(rows < train), world.subset(rows >= train)


def without_actions(world: Dataset) -> Dataset:
    """The same transitions, whose actions say nothing."""
    return _acted(world, torch.zeros_like(world.x["actions"]))


def shuffled_actions(world: Dataset, seed: Seed = 0) -> Dataset:
    """The same transitions, each with the actions of another."""
    order = torch.randperm(len(world), generator=torch.Generator().manual_seed(seed))
    return _acted(world, world.x["actions"][order])


def _acted(world: Dataset, actions: Tensor) -> Dataset:
    x = {**world.x, "actions": actions}
    return Dataset(world.name, x, world.labels, world.index, world.class_names, world.factors)
