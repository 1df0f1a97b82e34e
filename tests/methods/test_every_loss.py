"""Every loss of the catalogue, and every module with state, is trained by one of the four skeletons."""

import pytest
import torch
from every_loss import CASES, MODULES, batch, build

from cl_explore import losses

PROTOTYPES_ONLY = {"deviation"}
"""Losses that hold what the encoder makes, and train nothing but prototypes."""


@pytest.mark.parametrize("name", [*losses.catalogue, *MODULES])
def test_some_skeleton_takes_it(name):
    assert any(case.startswith(f"{name} by ") for case in CASES)


@pytest.mark.parametrize("case", CASES)
def test_three_steps(case):
    method = build(case)
    weights = {name: weight.clone() for name, weight in method.encoder.named_parameters()}
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    for seed in range(3):
        loss, metrics = method.step(batch(case, 9, seed), torch.Generator())
        assert loss.isfinite()
        assert all(value.ndim == 0 and not value.requires_grad and value.isfinite() for value in metrics.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step()
    moved = [name for name, weight in method.encoder.named_parameters() if not torch.equal(weight, weights[name])]
    assert moved == ([] if case.partition(" by ")[0] in PROTOTYPES_ONLY else list(weights))
