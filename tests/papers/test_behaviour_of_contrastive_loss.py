"""Understanding the behaviour of contrastive loss: what its plan trains, how it tells a trend, and its panel."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cl_explore import losses
from cl_explore.claims.bench import Comparison
from cl_explore.papers.behaviour_of_contrastive_loss import study
from cl_explore.papers.behaviour_of_contrastive_loss.panel import TEMPERATURES, DilemmaPanel, penalties, trainings
from cl_explore.widgets.marks import Bars


def test_the_plan_holds_every_temperature_and_a_tenth_of_the_negatives_for_the_hard_ones() -> None:
    plan = study.plan(epochs=3)
    trained = {name: entry for name, entry in plan.items() if entry.settings}
    assert [entry.options["temperature"] for name, entry in trained.items() if name.startswith("NT-Xent")] == list(
        study.TEMPERATURES
    )
    assert {name: entry.options["alpha"] for name, entry in trained.items() if "hard" in name} == {
        "hard-truncated τ=1": 0.1,
        "hard-simple": 0.1,
    }
    assert all(entry.settings["epochs"] == 3 for entry in trained.values())


@pytest.mark.parametrize(
    ("uniformity", "tolerance", "fall", "rise"),
    [
        ([5.0, 4.0, 2.0, 1.0, 0.5], [0.1, 0.2, 0.4, 0.5, 0.7], 0.5, 0.1),
        ([5.0, 4.0, 4.5, 1.0, 0.5], [0.1, 0.2, 0.4, 0.3, 0.7], -0.5, -0.1),
    ],
)
def test_the_trend_is_the_least_change_between_neighbouring_temperatures(
    uniformity: list[float], tolerance: list[float], fall: float, rise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [{"method": "raw input", "−uniformity": 9.0, "tolerance": 9.0}]
    for spread, alike in zip(uniformity, tolerance, strict=True):
        rows.append({"method": "", "loss": "NT-Xent", "−uniformity": spread, "tolerance": alike})
    monkeypatch.setattr(study, "compare", lambda *given, seed: Comparison(rows, {}, {}))
    trend = study.run(0)[-1]
    assert trend["method"] == study.TREND
    assert (trend[study.FALL], trend[study.RISE]) == pytest.approx((fall, rise))


@pytest.mark.parametrize(("alpha", "kept"), [(0.1, 2), (0.5, 9), (1.0, 18)])
def test_penalties_are_what_the_gradient_of_the_loss_gives_each_negative(alpha: float, kept: int) -> None:
    z = F.normalize(torch.randn(10, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=2)
    shares = penalties(z, 0.3, alpha)
    torch.testing.assert_close(shares.sum(1), torch.ones(20, dtype=torch.float64))
    assert ((shares > 0).sum(1) == kept).all()
    assert (shares.view(10, 2, 10, 2).diagonal(dim1=0, dim2=2) == 0).all()  # nothing for the own sample
    free = z.clone().requires_grad_()
    loss = losses.hard_truncated(free, temperature=0.3, alpha=alpha, reduction="none")[0]
    (gradient,) = torch.autograd.grad(loss, free)
    x, anchor = z.flatten(0, 1)[2:], z[0, 0]
    along = anchor - (x @ anchor)[:, None] * x  # where a point on the sphere goes for the anchor
    push = (gradient.flatten(0, 1)[2:] * along).sum(1) / along.square().sum(1)
    torch.testing.assert_close(push / push.sum(), shares[0, 2:])


def test_all_negatives_are_ntxent_and_the_nearest_tenth_spreads_when_warm_as_all_do_when_cold() -> None:
    every = trainings(1.0, 0.15)
    torch.testing.assert_close(every.near.z, every.whole.z, atol=1e-3, rtol=0)
    assert (np.diff(every.whole.uniformity) < 0).all()
    assert (np.diff(every.whole.tolerance) > 0).all()
    tenth, warm = trainings(0.1, 0.15), TEMPERATURES.index(1.0)
    assert tenth.near.uniformity[warm] == pytest.approx(every.whole.uniformity[0], abs=0.1)
    assert every.whole.uniformity[warm] < every.whole.uniformity[0] - 0.3
    assert tenth.near.tolerance[warm] < every.whole.tolerance[warm] - 0.2
    assert tenth.simple.uniformity[0] == pytest.approx(tenth.near.uniformity[-1], abs=0.05)


def test_a_click_on_a_sample_shows_its_negatives() -> None:
    panel = DilemmaPanel()

    def bars() -> Bars:
        return next(mark for mark in panel.picture.charts[1].marks if isinstance(mark, Bars))

    before = bars()
    panel.take("anchor", 41)
    assert panel.knobs["anchor"].value == 41
    assert bars().colour != before.colour  # that of another class
    assert len(bars().height) == 190
    assert bars().height.sum() == pytest.approx(1, abs=1e-5)


def test_a_share_or_temperature_at_which_nothing_was_trained_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha must be one of 0.02, .* got 0.3"):
        DilemmaPanel(alpha=0.3)
    with pytest.raises(ValueError, match=r"temperature must be one of 0.07, .* got 0.1"):
        DilemmaPanel(temperature=0.1)
    with pytest.raises(ValueError, match=r"noise must be between 0.15 and 1.5, got 3"):
        DilemmaPanel(noise=3.0)
