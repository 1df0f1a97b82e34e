"""Exercises of the lesson start_here."""

import math

import torch.nn.functional as F

from cl_explore.app.exercises import Exercise, points

negatives = Exercise(
    lambda: 254,
    mistakes={
        "the other 127 samples are there twice: each has two views": lambda: 127,
        "its own second view is the positive, not a negative": lambda: 255,
        "neither the anchor itself nor its own second view is a negative": lambda: 256,
    },
)

collapsed = Exercise(
    lambda samples: math.log(2 * samples - 1),
    lambda: [(64,), (500,)],
    {
        "an anchor is never compared with itself: count the others": lambda samples: math.log(2 * samples),
        "each sample is there twice: count points, not samples": lambda samples: math.log(samples),
        "the positive is in the denominator too": lambda samples: math.log(2 * samples - 2),
    },
)

cosine = Exercise(
    lambda x, y: F.normalize(x, dim=1) @ F.normalize(y, dim=1).T,
    lambda: [(points()[:, 0], points(4)[:, 1] * 3)],
    {
        "these are inner products: divide by the lengths of the vectors": lambda x, y: x @ y.T,
        "only x is of unit length": lambda x, y: F.normalize(x, dim=1) @ y.T,
    },
)
