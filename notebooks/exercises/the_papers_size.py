"""Exercises of the lesson the_papers_size."""

import torch

from cl_explore.app.exercises import Exercise

GIB = 2**30

table = Exercise(
    lambda samples, bits: (2 * samples) ** 2 * bits / 8 / GIB,
    lambda: [(65_536, 32), (4096, 16)],
    {
        "a sample has two views, so there are twice as many points as samples": lambda samples, bits: (
            samples**2 * bits / 8 / GIB
        ),
        "eight bits are a byte": lambda samples, bits: (2 * samples) ** 2 * bits / GIB,
        "memory grows with the square: the table has a row and a column for each point": lambda samples, bits: (
            2 * samples * bits / 8 / GIB
        ),
    },
)

rate = Exercise(
    lambda lr, batch, warmup, step: lr * batch / 512 * min(1, step / warmup),
    lambda: [(0.4, 2048, 100, 25), (0.4, 2048, 100, 250), (0.4, 128, 100, 100)],
    {
        "the rate follows the batch: a batch of 512 has the rate lr": lambda lr, batch, warmup, step: (
            lr * min(1, step / warmup)
        ),
        "a larger batch takes a larger rate": lambda lr, batch, warmup, step: lr * 512 / batch * min(1, step / warmup),
        "after the warm-up the rate stays at its height": lambda lr, batch, warmup, step: (
            lr * batch / 512 * step / warmup
        ),
        "in the warm-up the rate is still rising": lambda lr, batch, warmup, step: lr * batch / 512,
    },
)

backward = Exercise(
    lambda of_z, sizes, rank: of_z.split(sizes)[rank] * len(sizes),
    lambda: [(torch.arange(14.0).view(7, 2), [4, 3], 1), (torch.arange(14.0).view(7, 2), [2, 2, 3], 0)],
    {
        "the mean divides by the number of processes: multiply by it": lambda of_z, sizes, rank: of_z.split(sizes)[
            rank
        ],
        "shares may differ in size: its rows begin where those of all ranks before it end": lambda of_z, sizes, rank: (
            of_z[rank * sizes[rank] :][: sizes[rank]] * len(sizes)
        ),
        "it is the number of processes that counts, not that of rows": lambda of_z, sizes, rank: (
            of_z.split(sizes)[rank] * sum(sizes) / sizes[rank]
        ),
    },
)
