"""Decoupled contrastive learning: the plan over batch sizes, and the coupling that it measures."""

import pytest
import torch
from torch import nn

from cl_explore import data
from cl_explore.methods import JointEmbedding
from cl_explore.papers.decoupled_contrastive_learning import study
from cl_explore.views import ImageViews


class Constant(nn.Module):
    """Maps every image to the same vector."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.place.expand(len(x), 3)


@pytest.mark.parametrize("batch", [4, 16])
def test_where_all_embeddings_are_equal_the_coupling_is_that_of_chance(batch: int) -> None:
    method = JointEmbedding(Constant(), nn.Identity(), "nt_xent", ImageViews.weak())
    q = study.coupling(method, data.load("digits").subset(torch.arange(64)), batch, seed=0)
    assert q == pytest.approx(1 - 1 / (2 * batch - 1), abs=1e-6)


def test_the_coupling_leaves_the_method_as_it_was() -> None:
    train = data.load("digits").subset(torch.arange(64))
    method = study.plan()["DCL, batch 8"].build(train, 0)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    study.coupling(method, train, 8, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_every_batch_size_takes_about_as_many_steps_but_the_smallest() -> None:
    samples = len(data.load("digits"))
    steps = {batch: epochs * (samples // batch) for batch, _, epochs, _ in study.SETTINGS}
    assert {batch: count for batch, count in steps.items() if batch != 256} == {8: 358, 16: 356, 4: 359}
    assert steps[256] == 200  # fewer, as an epoch of five steps leaves 157 samples out


def test_a_linear_rule_of_learning_rates_replaces_those_of_the_plan() -> None:
    plan = study.plan(scale=3, linear_lr=0.03)
    assert plan["DCL, batch 8"].settings["lr"] == pytest.approx(0.03 * 8 / 256)
    assert plan["DCL, batch 8"].settings["epochs"] == 6
    assert plan["NT-Xent, batch 256"].settings["lr"] == pytest.approx(0.03)
