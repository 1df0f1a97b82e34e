"""The smallest encoder that learns, for panels that train while the reader waits."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from cl_explore import data
from cl_explore.data import Dataset
from cl_explore.losses import Knob
from cl_explore.views import VectorViews

DIM = 16
NOISE = Knob("noise", 0.15, 1.5, log=True, help="how much two views of a sample differ")


def gaussians(classes: int, per_class: int) -> tuple[Dataset, Dataset]:
    """Vectors of Gaussian classes: those to train on, and as many unseen ones."""
    train, test = (
        data.load("gaussians", split, classes=classes, **{f"{split}_per_class": per_class})
        for split in ("train", "test")
    )
    return train, test


def linear_encoders(
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer],
    *,
    noise: float,
    shots: Sequence[int],
    batch: int | None = None,
) -> Tensor:
    """A linear encoder that is trained on vectors, as it stands after each number of steps of `shots`, seeded.

    x: (n, F).
    loss: takes embeddings of two views (B, 2, 16).
    optimizer: takes the weights.
    noise: of the views; a tenth of the features is left out besides.
    batch: samples of a step, drawn anew each time; all of them without it.
    Returns: (S, F, 16), so that x @ each of them are embeddings.
    """
    generator, augment = Generator().manual_seed(0), VectorViews(noise=noise)
    encoder = (torch.randn(x.shape[1], DIM, generator=generator) / x.shape[1] ** 0.5).requires_grad_()
    steps, kept = optimizer([encoder]), []
    for step in range(shots[-1] + 1):
        if step:
            rows = x if batch is None else x[torch.randperm(len(x), generator=generator)[:batch]]
            steps.zero_grad()
            loss(augment(rows, generator) @ encoder).backward()
            steps.step()
        if step in shots:
            kept.append(encoder.detach().clone())
    return torch.stack(kept)
