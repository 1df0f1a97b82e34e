"""Exercises of the lesson temperature."""

import math

import torch
import torch.nn.functional as F

from cl_explore import geometry
from cl_explore.app.exercises import LABELS, SIMILARITIES, Exercise, points

penalty = Exercise(
    lambda similarities, temperature: (similarities / temperature).softmax(0),
    lambda: [(SIMILARITIES, 0.1), (SIMILARITIES, 1.0)],
    {
        "divide the cosines by the temperature: you multiplied": lambda similarities, temperature: (
            similarities * temperature
        ).softmax(0),
        "the weights must sum to one": lambda similarities, temperature: (similarities / temperature).exp(),
    },
)

effective = Exercise(
    lambda weights: torch.special.entr(weights).sum().exp(),
    lambda: [(torch.full((8,), 1 / 8),), ((SIMILARITIES / 0.2).softmax(0),)],
    {
        "that is the entropy: take its exponential": lambda weights: torch.special.entr(weights).sum(),
        "the entropy has a minus sign: -sum w log w": lambda weights: (weights * weights.log()).sum().exp(),
    },
)

nine_to_one = Exercise(
    lambda nearest, second: (nearest - second) / math.log(9),
    lambda: [(0.9, 0.6), (0.5, -0.5)],
    {
        "0.9 to 0.1 is a ratio of nine, not of ten": lambda nearest, second: (nearest - second) / math.log(10),
        "a wider gap allows a warmer temperature: τ grows with it": lambda nearest, second: (
            math.log(9) / (nearest - second)
        ),
    },
)

tolerance = Exercise(
    lambda z, labels: geometry.tolerance(z, labels),
    lambda: [(F.normalize(points(7)[:, 0], dim=1), LABELS)],
    {
        "the mean runs over pairs of one class only, not over all pairs": lambda z, labels: geometry.tolerance(
            z, labels, reading="literal"
        ),
        "leave out the pair of a point with itself": lambda z, labels: (z @ z.T)[labels[:, None] == labels].mean(),
    },
)
