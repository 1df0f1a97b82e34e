"""Exercises of the lesson beat_hour_person."""

import math

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _across(recordings: int, segments: int) -> float:
    return recordings * (recordings - 1) / 2 * segments**2


across = Exercise(
    _across,
    lambda: [(3, 3), (4, 2), (1, 5)],
    {
        "each pair is counted twice: the order of its ends does not matter": lambda recordings, segments: (
            2 * _across(recordings, segments)
        ),
        "those are all pairs of the person: leave out the ones within a recording": lambda recordings, segments: (
            recordings * segments * (recordings * segments - 1) / 2
        ),
        "those are the pairs of recordings: each has a segment for each segment of the other": (
            lambda recordings, segments: recordings * (recordings - 1) / 2
        ),
    },
)


def _met_again(similarity: Tensor, person: Tensor, recording: Tensor) -> Tensor:
    others = similarity.masked_fill(recording[:, None] == recording, -torch.inf)
    return (person[others.argmax(1)] == person).double().mean()


def _nested() -> list[tuple[Tensor, Tensor, Tensor]]:
    z = torch.nn.functional.normalize(torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    recording = torch.arange(12) // 2
    return [(z @ z.T, recording // 2, recording)]


met_again = Exercise(
    _met_again,
    _nested,
    {
        "the nearest of all is the segment itself": lambda similarity, person, recording: torch.ones(()),
        "leave out the segments of the same recording, not only the segment itself": (
            lambda similarity, person, recording: (
                (person[similarity.clone().fill_diagonal_(-torch.inf).argmax(1)] == person).double().mean()
            )
        ),
        "the largest cosine is the nearest, not the smallest": lambda similarity, person, recording: (
            (person[similarity.masked_fill(recording[:, None] == recording, torch.inf).argmin(1)] == person)
            .double()
            .mean()
        ),
    },
)

least = Exercise(
    math.log,
    lambda: [(3,), (9,)],
    {
        "the positive is not alone in the denominator: all members of the person stand there, at the same cosine": (
            lambda members: 0.0
        ),
        "the segment's own other view is in the denominator too: members, not members - 1": lambda members: math.log(
            max(members - 1, 1)
        ),
        "minus the logarithm of a share of 1 / members is positive": lambda members: -math.log(members),
    },
)
