"""A tabletop as numbers: four objects, of which one drifts one of four ways, and instructions that say which.

A hand moves them. An action says where it goes, one of four corners where it reaches one object each, which way it
pushes, two numbers in [-1, 1] each, and whether its gripper holds (1) or not (-1).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset

OBJECTS, WAYS = ("red", "blue", "green", "yellow"), ("left", "right", "up", "down")
TASKS = tuple(f"{thing} {way}" for thing in OBJECTS for way in WAYS)
STEPS, DRIFT, PIXELS, WORD, FILLERS = 6, 0.35, 24, 16, 20
MOVES = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


class Tabletop(NamedTuple):
    """What a seed decides of the world.

    lens: (8, 24), from the places of the objects to a frame. words: (8, 2, 16), two synonyms of each object and each
    way. fillers: (20, 16), words that say nothing.
    """

    lens: Tensor
    words: Tensor
    fillers: Tensor

    def frames(self, state: Tensor, generator: Generator) -> Tensor:
        """Places (..., 8) as they are seen, (..., 24): tanh of a fixed map, with noise of 0.05."""
        seen = (state @ self.lens).tanh()
        return seen + 0.05 * torch.randn(seen.shape, generator=generator)

    def say(self, tasks: Tensor, generator: Generator) -> Tensor:
        """Embeddings (N, 16) of instructions for tasks (N,): a word for the object, one for the way, 0.7 of a filler.

        Synonyms and fillers are drawn anew for each.
        """
        object_word, way_word = torch.randint(2, (2, len(tasks)), generator=generator)
        filler = self.fillers[torch.randint(FILLERS, (len(tasks),), generator=generator)]
        return self.words[tasks // 4, object_word] + self.words[4 + tasks % 4, way_word] + 0.7 * filler

    def windows(self, count: int, generator: Generator) -> Dataset:
        """Films (N, 6, 24) under "video" and what they are called (N, 16) under "instruction"; labels: 16 tasks."""
        tasks = torch.randint(len(TASKS), (count,), generator=generator)
        video = self.frames(states(tasks, generator), generator)
        x = {"video": video.flatten(1), "instruction": self.say(tasks, generator)}
        return Dataset("tabletop", x, tasks, torch.arange(count), TASKS)

    def play(self, count: int, told: int, generator: Generator) -> Dataset:
        """Windows with their "actions" (N, 6 * 5), of which the first `told` have an instruction, the others zeros.

        The factor "told" is 1 for those that have one. A hand is never exact: noise of 0.1 is on what it does.
        """
        tasks = torch.randint(len(TASKS), (count,), generator=generator)
        did = actions(tasks)
        did[..., :4] += 0.1 * torch.randn(did[..., :4].shape, generator=generator)
        state = [torch.randn(count, 2 * len(OBJECTS), generator=generator)]
        for step in range(STEPS - 1):
            state.append(moved(state[-1], did[:, step]))
        video = self.frames(torch.stack(state, dim=1), generator).flatten(1)
        has = (torch.arange(count) < told).long()
        x = {"video": video, "instruction": self.say(tasks, generator) * has[:, None], "actions": did.flatten(1)}
        return Dataset("tabletop", x, tasks, torch.arange(count), TASKS, {"told": has})

    def roll_out(self, tasks: Tensor, act: Callable[[Tensor], Tensor], generator: Generator) -> Tensor:
        """Which of the tasks (N,) are done, (N,) bool, after six actions from places drawn at random.

        act: called with the frames (N, 24) of each moment in turn, gives actions (N, 5).
        A task is done if every coordinate ends within half of the asked way of where it should.
        """
        start = torch.randn(len(tasks), 2 * len(OBJECTS), generator=generator)
        state = start
        for _ in range(STEPS):
            state = moved(state, act(self.frames(state, generator)))
        asked = (STEPS - 1) * DRIFT
        return ((state - start - asked * motion(tasks)).abs() < asked / 2).all(dim=1)


def tabletop(seed: int) -> Tabletop:
    """The tabletop drawn by a seed."""
    generator = Generator().manual_seed(seed)
    lens = torch.randn(2 * len(OBJECTS), PIXELS, generator=generator) / (2 * len(OBJECTS)) ** 0.5
    words = torch.randn(len(OBJECTS) + len(WAYS), 2, WORD, generator=generator)
    return Tabletop(lens, words, torch.randn(FILLERS, WORD, generator=generator))


def states(tasks: Tensor, generator: Generator) -> Tensor:
    """Places (N, 6, 8) of the objects, drawn at random, while that of the task drifts 0.35 a step."""
    start = torch.randn(len(tasks), 1, 2 * len(OBJECTS), generator=generator)
    return start + DRIFT * torch.arange(STEPS)[:, None] * motion(tasks)[:, None]


def motion(tasks: Tensor) -> Tensor:
    """The step (N, 8) that a task (N,) asks of each object, of length 1 for one of them."""
    moved = torch.zeros(len(tasks), len(OBJECTS), 2)
    moved[torch.arange(len(tasks)), tasks // 4] = MOVES[tasks % 4]
    return moved.flatten(1)


def actions(tasks: Tensor) -> Tensor:
    """What the hand did in windows of tasks (N,), (N, 6, 5): it holds and pushes five times, then lets go."""
    going = (torch.arange(STEPS) < STEPS - 1)[:, None].expand(len(tasks), -1, -1)
    corner, way = (kind[:, None].expand(-1, STEPS, -1) for kind in (CORNERS[tasks // 4], MOVES[tasks % 4]))
    return torch.cat([corner, way * going, 2.0 * going - 1], dim=2)


def moved(state: Tensor, action: Tensor) -> Tensor:
    """Places (N, 8) after actions (N, 5): a full push moves what the nearest corner holds by 0.35."""
    reached = (action[:, None, :2] - CORNERS).square().sum(2).argmin(1)
    held = torch.eye(len(OBJECTS))[reached] * (action[:, 4:] > 0)
    return state + DRIFT * (held[:, :, None] * action[:, None, 2:4].clamp(-1, 1)).flatten(1)
