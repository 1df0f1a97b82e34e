"""Understanding the behaviour of contrastive loss: what its plan trains, and how it tells a trend."""

from typing import Any

import pytest

from cl_explore.claims.bench import Comparison
from cl_explore.papers.behaviour_of_contrastive_loss import study


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
