from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding
from cl_explore.train import Run, Snapshots

N, S = 30, 4


def _make_run(
    dim: int = 6, snapshots: int = S, labels: torch.Tensor | None = None, path: Path | None = None, count: int = N
) -> Run:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3 if labels is None else labels
    z = torch.randn(snapshots, count, dim, generator=generator) + 2 * nn.functional.one_hot(labels.clamp(min=0), dim)
    method = JointEmbedding(nn.Linear(2, 2), nn.Identity(), "nt_xent", lambda x, generator, n_views: x)
    shots = Snapshots(torch.arange(snapshots) * 10, 3 * z[..., :4], z, labels, 100 + torch.arange(count))
    return Run({}, pd.DataFrame(), shots, method, path)


@pytest.fixture
def dataset() -> Dataset:
    """Holds the samples of the run in another order, and ten more."""
    order = torch.randperm(N + 10, generator=torch.Generator().manual_seed(1))
    index = 95 + order
    images = (index.float() / 200)[:, None, None, None].expand(-1, 1, 4, 6).clone()
    labels = ((index - 100) % 3).long()
    return Dataset("stripes", images, labels, index, ("ant", "bee", "cat"), {"size": index.float() * 2})


@pytest.fixture
def make_run() -> Callable[..., Run]:
    return _make_run
