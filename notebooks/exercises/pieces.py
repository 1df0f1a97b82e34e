"""Exercises of the lesson pieces."""

import torch
from torch import Tensor

from cl_explore.app.exercises import Exercise


def _cut(x: Tensor, grid: int) -> Tensor:
    rows, columns = x.shape[0] // grid, x.shape[1] // grid
    return x.view(grid, rows, grid, columns).transpose(1, 2).flatten(0, 1)


cut = Exercise(
    _cut,
    lambda: [(torch.arange(24.0).view(4, 6), 2), (torch.arange(36.0).view(6, 6), 3)],
    {
        "that cuts the list of all pixels, not the picture: a patch has pixels of several rows": lambda x, grid: (
            x.reshape(grid * grid, x.shape[0] // grid, x.shape[1] // grid)
        ),
        "the patches come row by row of the picture, not column by column": lambda x, grid: (
            x.view(grid, x.shape[0] // grid, grid, x.shape[1] // grid).permute(2, 0, 1, 3).flatten(0, 1)
        ),
    },
)


def _scores() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    query, key = (torch.randn(40, 4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return [(query, key + query)]


def _right(query: Tensor, patches: Tensor) -> Tensor:
    chosen = (query @ patches.mT).argmax(2)
    return (chosen == torch.arange(query.shape[1])).double().mean()


right = Exercise(
    _right,
    _scores,
    {
        "you ask each patch for its hole: it is each hole that chooses a patch": lambda query, patches: (
            ((query @ patches.mT).argmax(1) == torch.arange(query.shape[1])).double().mean()
        ),
        "the candidates are those of the same picture, not those of all": lambda query, patches: (
            ((query.flatten(0, 1) @ patches.flatten(0, 1).T).argmax(1) == torch.arange(query.shape[0] * query.shape[1]))
            .double()
            .mean()
        ),
        "a picture need not be right in all of its holes to count: count holes": lambda query, patches: (
            ((query @ patches.mT).argmax(2) == torch.arange(query.shape[1])).all(1).double().mean()
        ),
    },
)


def _best(looks: Tensor) -> Tensor:
    return torch.tensor(len(looks.unique()) / len(looks), dtype=torch.float64)


best = Exercise(
    _best,
    lambda: [(torch.tensor([0, 0, 1, 2]),), (torch.tensor([0, 0, 0, 5]),), (torch.tensor([1, 2, 3, 4]),)],
    {
        "a hole whose patch looks like another one can be right by luck, too": lambda looks: (
            (looks[:, None] == looks).sum(1).eq(1).double().mean()
        ),
        "that is chance where all patches look the same": lambda looks: torch.tensor(1 / len(looks)).double(),
    },
)
