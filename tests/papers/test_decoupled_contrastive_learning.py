"""Decoupled contrastive learning: the plan over batch sizes, the coupling that it measures, and its panel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cl_explore import data
from cl_explore.methods import JointEmbedding
from cl_explore.papers.decoupled_contrastive_learning import study
from cl_explore.papers.decoupled_contrastive_learning.panel import BATCHES, CouplingPanel, coupling, trainings
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


def test_q_is_what_a_softmax_over_the_batch_leaves_for_the_negatives() -> None:
    z = F.normalize(torch.randn(12, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=2)
    found = coupling(z, 4, 0.2)
    for sample in range(12):
        batch = z[sample // 4 * 4 :][:4].flatten(0, 1)
        place = 2 * (sample % 4)
        others = torch.cat([batch[:place], batch[place + 1 :]])
        chances = (others @ batch[place] / 0.2).softmax(0)
        assert found[sample] == pytest.approx(1 - chances[place].item())  # where its other view is, in its place


def test_dcl_brings_views_nearer_in_small_batches_and_is_no_different_in_large_ones() -> None:
    small, large = trainings(8, 0.1, 0.15), trainings(256, 0.1, 0.15)
    for made in (small, large):
        assert made["NT-Xent"].apart[0] == made["DCL"].apart[0]  # equal weights
    assert small["DCL"].apart[-1] < small["NT-Xent"].apart[-1] - 0.05
    assert abs(large["DCL"].apart[-1] - large["NT-Xent"].apart[-1]) < 0.02
    kept = small["NT-Xent"].by_batch[-1]
    assert (kept[1:] > kept[:-1]).all()
    assert kept[BATCHES.index(8)] < 0.2 < 0.6 < kept[BATCHES.index(256)]


def test_where_views_hardly_agree_little_is_taken_from_the_gradient_of_large_batches() -> None:
    made = trainings(256, 0.1, 1.5)["NT-Xent"]
    assert made.by_batch[0, -1] > 0.95


def test_the_panel_says_what_ntxent_keeps_and_refuses_batches_that_were_not_measured() -> None:
    panel = CouplingPanel(batch=4)
    kept = trainings(4, 0.1, 0.15)["NT-Xent"].by_batch[-1, 1]
    assert dict(panel.picture.readout)["NT-Xent keeps of its gradient"] == f"{kept:.1%}"
    panel.knobs["step"].value = 0
    assert dict(panel.picture.readout)["views apart, NT-Xent"] == dict(panel.picture.readout)["DCL"]
    with pytest.raises(ValueError, match=r"batch must be one of 2, 4, .* got 6"):
        CouplingPanel(batch=6)
    with pytest.raises(ValueError, match="temperature must be between"):
        CouplingPanel(temperature=9.0)
