"""What a user's type checker knows of the library: `make lint` reads this file, nothing runs it."""

from pathlib import Path
from typing import assert_type

import torch
from torch import Tensor, nn

import cl_explore
from cl_explore import data, evaluate, geometry, losses, methods, train, views


def use() -> None:
    z, labels = torch.randn(4, 2, 3), torch.arange(4)
    assert_type(losses.nt_xent(z, temperature=0.1), Tensor)
    assert_type(cl_explore.losses.nt_xent(z), Tensor)
    assert_type(losses.supcon(z, labels, reduction="none"), Tensor)
    assert_type(losses.supcon.on_views(z, labels), Tensor)
    assert_type(losses.supcon.parts(z, labels), dict[str, Tensor])
    assert_type(losses.get("nt_xent"), losses.Loss)
    assert_type(losses.SogCLR(8).log_mean, Tensor)
    assert_type(losses.Queue(8, 3).rows, Tensor)

    assert_type(geometry.uniformity(z[:, 0]), Tensor)
    assert_type(geometry.summary(z[:, 0], labels), dict[str, float])

    dataset = data.load("digits")
    assert_type(dataset, data.Dataset)
    assert_type(data.from_folder(Path("pictures"), size=32), data.Dataset)
    assert_type(data.from_texts(["a red ball"], lambda text: [len(word) for word in text.split()]), data.Dataset)
    method = methods.JointEmbedding(
        nn.Linear(8, 8), nn.Identity(), loss="nt_xent", augment=views.ImageViews.weak(), temperature=0.5
    )
    run = train.fit(method, dataset, epochs=1)
    assert_type(run, train.Run)
    seen = evaluate.embed(method, dataset)
    assert_type(seen, evaluate.Embedding)
    assert_type(evaluate.knn_accuracy(seen.z, labels, seen.z, labels), float)
