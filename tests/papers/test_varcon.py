from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cl_explore import losses
from cl_explore.papers.varcon.panel import EPSILONS, PROBES, SHOTS, VarConPanel, descents, target_curve, to_polygon
from cl_explore.widgets.marks import Band, Bars, Points


@pytest.mark.parametrize(("classes", "temperature", "epsilon"), [(3, 0.1, 0.09), (10, 0.3, 0.05), (100, 0.1, 0.0)])
def test_target_curve_is_the_softened_one_hot(classes: int, temperature: float, epsilon: float) -> None:
    target, _ = target_curve(classes, temperature, epsilon)
    tau2 = temperature - epsilon + 2 * epsilon * PROBES.numpy()
    np.testing.assert_allclose(target, 1 / (1 + (classes - 1) * np.exp(-1 / tau2)), rtol=1e-5)


@pytest.mark.parametrize(("epsilon", "rest"), [(0.0, 0.978), (0.02, 0.920), (0.08, 0.765)])
def test_a_detached_target_lets_anchors_rest_half_way_between_it_and_certainty(epsilon: float, rest: float) -> None:
    target, found = target_curve(1000, 0.1, epsilon, "detach")  # the three values are those of the closed form
    assert found == pytest.approx(rest, abs=1e-3)
    assert found == pytest.approx((1 + np.interp(found, PROBES, target)) / 2, abs=2e-3)


def test_an_anchor_of_few_classes_at_a_low_temperature_has_no_rest() -> None:
    assert np.isnan(target_curve(3, 0.1, 0.0)[1])
    assert dict(VarConPanel(0.1, 0.0, 3).picture.readout)["confidence at rest"] == "above 0.998"


def test_free_points_come_to_rest_where_the_curve_says_and_spread_with_epsilon() -> None:
    made = descents(6, 0.2, "live")
    np.testing.assert_array_equal(made.z, descents(6, 0.2, "live").z)
    assert made.z.shape == (len(EPSILONS), len(SHOTS), 48, 16)
    torch.testing.assert_close(made.z.norm(dim=-1), torch.ones(made.z.shape[:3]))
    assert (np.diff(made.within[2:, -1]) > 0).all()
    for place in (3, 6):
        knobs = {"temperature": 0.2, "epsilon": float(EPSILONS[place])}
        _, rest = target_curve(6, **knobs)
        confidence = losses.varcon.parts(made.z[place, -1], made.labels, **knobs)["confidence"]
        torch.testing.assert_close(confidence, torch.full_like(confidence, rest), atol=0.02, rtol=0)


def test_classes_as_far_apart_as_can_be_lie_on_the_corners_of_a_polygon() -> None:
    simplex = F.normalize(torch.eye(5) - 0.2, dim=1)
    labels = torch.arange(5).repeat_interleave(2)
    points, means = to_polygon(simplex[labels], labels)
    angle = 2 * np.pi * np.arange(5) / 5
    np.testing.assert_allclose(means, np.stack([np.sin(angle), np.cos(angle)], axis=1), atol=1e-6)
    np.testing.assert_allclose(points, means[labels], atol=1e-6)


def of_kind(panel: VarConPanel, chart: int, kind: type) -> list[Any]:
    return [mark for mark in panel.picture.charts[chart].marks if isinstance(mark, kind)]


def test_picture_shows_the_batch_of_the_chosen_epsilon_and_step() -> None:
    panel = VarConPanel(classes=4)
    panel.knobs["epsilon"].value = 0.03
    panel.knobs["step"].value = 10
    made = descents(4, 0.2, "live")
    parts = losses.varcon.parts(made.z[2, 2], made.labels, temperature=0.2, epsilon=0.03)
    batch = of_kind(panel, 0, Points)[-1]
    np.testing.assert_allclose(batch.x, parts["confidence"], rtol=1e-5)
    np.testing.assert_allclose(batch.y, parts["target"], rtol=1e-5)
    (bars,), (band,) = of_kind(panel, 1, Bars), of_kind(panel, 1, Band)
    assert bars.height.sum() == 32
    assert band.x == pytest.approx([0.17, 0.23], abs=2e-3)
    assert of_kind(panel, 3, Points)[-1].y[0] == pytest.approx(made.within[2, 2])
    assert dict(panel.picture.readout)["loss"] == f"{parts['loss'].mean():.3f}"


def test_more_classes_are_descended_anew() -> None:
    panel = VarConPanel(classes=3)
    panel.knobs["classes"].value = 5
    panel.wait()
    batch = of_kind(panel, 2, Points)[0]
    assert len(batch.group) == 40
    assert len(batch.colour) == 5


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature must be between 0\.1 and 1\.0, got 0\.05"):
        VarConPanel(0.05)
    with pytest.raises(ValueError, match=r"epsilon must be one of 0, 0\.015, .* 0\.09, got 0\.1"):
        VarConPanel(epsilon=0.1)
    with pytest.raises(ValueError, match="classes must be between 3 and 10, got 11"):
        VarConPanel(classes=11)
