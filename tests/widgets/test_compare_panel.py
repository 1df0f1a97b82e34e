from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.widgets import LossComparePanel
from cl_explore.widgets.comparison import roles
from cl_explore.widgets.descent import Points, pull, scatter
from cl_explore.widgets.forces import AXIS, TURN, forces, law
from cl_explore.widgets.marks import Arrows, Line
from cl_explore.widgets.marks import Points as Dots

FITTING = [loss for loss in losses.catalogue.values() if loss.fits(2)]


def start(dim: int = 2) -> Points:
    return scatter(8, 2, dim, 2, Generator().manual_seed(0))


def softmax_forces(z: Tensor, temperature: float) -> np.ndarray:
    """NT-Xent's forces between points z (N, D), by hand: positives attract by 1 - P, negatives repel by P."""
    n = len(z)
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    positive = torch.zeros(n, n, dtype=z.dtype)
    positive[torch.arange(n), torch.arange(n) ^ 1] = 1
    one_sided = (positive - logits.softmax(1)) / temperature
    return (one_sided + one_sided.T).numpy()


def test_pair_forces_are_the_derivatives_by_hand() -> None:
    points = start()
    found = forces(points, losses.get("nt_xent"), {"temperature": 0.3})
    by_hand = softmax_forces(points.z.double().flatten(0, 1), 0.3)
    np.testing.assert_allclose(found.pairs, by_hand, atol=1e-4)
    assert found.value == pytest.approx(losses.nt_xent(points.z, temperature=0.3).item(), abs=1e-4)


@pytest.mark.parametrize("loss", FITTING, ids=lambda loss: loss.name)
def test_pair_forces_of_every_loss_add_up_to_its_force(loss: losses.Loss) -> None:
    points = start(3)
    found = forces(points, loss, loss.defaults)
    z = points.z.double()
    force = pull(points._replace(z=z), loss, loss.defaults)[1]
    along = force - (force * z).sum(2, keepdim=True) * z
    scale = float(along.abs().max()) + 1e-9
    torch.testing.assert_close(found.force / scale, along / scale, rtol=0, atol=2e-3)
    if found.pairs is None:
        assert loss.name in ("barlow_twins", "vicreg", "shamisa")  # they look at dimensions
        return
    total = (torch.tensor(found.pairs) @ z.flatten(0, 1)).view_as(z)
    torch.testing.assert_close((total - (total * z).sum(2, keepdim=True) * z) / scale, along / scale, rtol=0, atol=2e-3)


def test_law_is_the_force_between_probe_and_anchor_with_all_else_in_place() -> None:
    points, tau, anchor = start(), 0.3, 5
    found = law(points, losses.get("nt_xent"), {"temperature": tau}, anchor)
    z = torch.nn.functional.pad(points.z.double().flatten(0, 1), (0, 2))
    similar = (z @ z[anchor])[0::2].masked_fill(points.labels == points.labels[2], 2)  # to the first views
    far = 2 * int(similar.argmin())
    for place in (2, 6, 11):
        probe = z.clone()
        probe[4] = AXIS[place] * z[anchor]
        probe[4, 2] += np.sqrt(1 - AXIS[place] ** 2)
        assert found[0, place] == pytest.approx(softmax_forces(probe, tau)[anchor, 4], abs=1e-6)
        probe = z.clone()
        probe[far : far + 2] = AXIS[place] * z[anchor]
        probe[far : far + 2, 2:] += np.sqrt(1 - AXIS[place] ** 2) * torch.tensor([[np.cos(TURN), np.sin(TURN)], [1, 0]])
        by_hand = softmax_forces(probe, tau)[anchor]
        assert min(abs(found[1, place] - by_hand[far]), abs(found[1, place] - by_hand[far + 1])) < 1e-6
    assert (found[0] > 0).all()  # the positive attracts
    assert (found[1] < 0).all()
    assert (np.diff(found[1]) > 0).all()  # and the nearer the negative, the more it repels; AXIS falls


def test_law_of_known_losses() -> None:
    points = start()
    flat = law(points, losses.get("simple"), {"weight": 1.0}, 0)
    assert np.ptp(flat, axis=1).max() < 1e-6  # no similarity matters more than another
    by_uniformity = law(points, losses.get("uniformity"), losses.uniformity.defaults, 0)
    np.testing.assert_allclose(by_uniformity[0], 0, atol=1e-9)  # different views do not feel each other
    # exp(-t D²) = exp(2 t (s - 1)), over a sum that hardly changes
    assert by_uniformity[1, 1] / by_uniformity[1, 5] == pytest.approx(np.exp(4 * (AXIS[1] - AXIS[5])), rel=0.25)
    hinge = law(points, losses.get("contrastive_margin"), {"margin": 0.5}, 0)
    far = np.sqrt(2 - 2 * AXIS) > 0.5
    np.testing.assert_allclose(hinge[1, far], 0, atol=1e-12)
    assert (hinge[1, ~far] < 0).all()


def test_roles_are_those_of_the_anchor() -> None:
    points = start()
    found = roles(points, 5)
    assert found[5] == 3
    assert found[4] == 0
    for point, role in enumerate(found):
        if point not in (4, 5):
            assert (role == 1) == (points.labels[point // 2] == points.labels[2])


def drawn(panel: LossComparePanel, chart: int, kind: type) -> list[Any]:
    return [mark for mark in panel.picture.charts[chart].marks if isinstance(mark, kind)]


def test_panel_shows_what_each_loss_makes_of_the_same_points() -> None:
    panel = LossComparePanel(("dcl", "supcon"), samples=8)
    panel.anchor.value = 5
    role, z = roles(panel.points, 5), panel.points.z.double().flatten(0, 1).numpy()
    for place, (name, text) in enumerate(panel.picture.readout):
        loss = panel.losses[place].value
        knobs = {knob: control.value for knob, control in panel.knobs[place].items()}
        found = forces(panel.points, loss, knobs)
        assert name == loss.title
        strength = found.force.flatten(0, 1)[5].norm()
        assert text == f"{found.value:.3f}, force on the anchor {strength:.2f}".replace("-", "−")
        by_law, near = law(panel.points, loss, knobs, 5), int("labels" in loss.needs)
        for kind in (0, 1):  # charts: scene, values, positives of both losses, negatives of both
            chart = 2 + 2 * kind + place
            (course,), (dots,) = drawn(panel, chart, Line), drawn(panel, chart, Dots)
            np.testing.assert_allclose(course.y, by_law[kind], rtol=1e-6)
            mine = ((role <= near) if kind == 0 else (role > near)) & (role != 3)
            np.testing.assert_allclose(dots.y, found.pairs[5][mine], rtol=1e-5)
            np.testing.assert_allclose(dots.x, (z @ z[5])[mine], rtol=1e-5)
        bounds = loss.bounds(8, 2, 3, **knobs)
        assert panel.cases[place].collapse == pytest.approx((found.value - bounds[1]) / (bounds[0] - bounds[1]))
        np.testing.assert_allclose(
            drawn(panel, 1, Dots)[place].x, np.clip(panel.cases[place].collapse, 0, 1), rtol=1e-6
        )


def test_arrows_go_the_way_of_the_force_and_grow_with_it() -> None:
    panel = LossComparePanel(("nt_xent", "dcl"), samples=8)
    arcs = drawn(panel, 0, Line)[-2:]
    for case, arc in zip(panel.cases, arcs, strict=True):
        force, at = case.forces.force.flatten(0, 1)[0].numpy(), panel.points.z.flatten(0, 1)[0].numpy()
        turn = np.unwrap(np.arctan2(arc.y, arc.x))
        assert np.sign(turn[-1] - turn[0]) == np.sign(at[0] * force[1] - at[1] * force[0])
    strength = [float(case.forces.force.flatten(0, 1)[0].norm()) for case in panel.cases]
    length = [abs(np.ptp(np.unwrap(np.arctan2(arc.y, arc.x)))) for arc in arcs]
    assert (length[0] < length[1]) == (strength[0] < strength[1])


def test_a_knob_that_losses_share_is_turned_for_all_unless_told_otherwise() -> None:
    panel = LossComparePanel(("nt_xent", "dcl", "alignment"), samples=8)
    first, second, third = panel.knobs
    assert second["temperature"].value == first["temperature"].value  # one start for a fair comparison
    second["temperature"].value = 0.2
    assert first["temperature"].value == pytest.approx(0.2)
    value = forces(panel.points, losses.get("nt_xent"), {"temperature": 0.2}).value
    assert panel.cases[0].forces.value == pytest.approx(value)
    assert "temperature" not in third
    panel.together.value = False
    first["temperature"].value = 0.9
    assert second["temperature"].value == pytest.approx(0.2)
    both = [forces(panel.points, losses.get(n), {"temperature": t}).value for n, t in (("nt_xent", 0.9), ("dcl", 0.2))]
    assert [case.forces.value for case in panel.cases][:2] == pytest.approx(both)


def test_menus_and_sliders_draw_anew_and_a_refused_setting_is_said() -> None:
    panel = LossComparePanel(("nt_xent", "dcl"), samples=8)
    panel.losses[1].value = losses.get("varcon")
    assert panel.cases[1].loss is losses.varcon
    panel.knobs[1]["epsilon"].value = 0.09
    panel.knobs[1]["temperature"].value = 0.05
    assert "epsilon" in panel.picture.status
    panel.knobs[1]["temperature"].value = 0.5
    assert panel.picture.status == ""
    panel.losses[1].value = losses.get("vicreg")
    assert panel.cases[1].forces.pairs is None
    points = panel.points
    panel.noise.value = 1.0
    assert not torch.equal(points.z, panel.points.z)
    panel.surface.value = 3
    assert panel.picture.charts[0].turns
    assert len(drawn(panel, 0, Arrows)) == 2


@pytest.mark.parametrize("place", range(0, len(FITTING), 4))
def test_every_loss_of_the_catalogue_can_be_compared(place: int) -> None:
    compared = (FITTING + FITTING[:3])[place : place + 4]
    panel = LossComparePanel(compared, samples=6, classes=2)
    assert [case.loss for case in panel.cases] == compared
    assert all(np.isfinite(case.law).all() and np.isfinite(case.pairs(0)).all() for case in panel.cases)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compare": ("nt_xent",)}, "compare must name 2 to 4 losses, got 1"),
        ({"compare": ("nt_xent",) * 5}, "got 5"),
        ({"compare": ("nt_xent", "dlc")}, "unknown loss 'dlc'"),
        ({"compare": ("nt_xent", "byol")}, "loss byol cannot be computed from 2 views"),
        ({"dim": 4}, r"dim must be 2 \(circle\) or 3 \(sphere\), got 4"),
        ({"samples": 2}, "samples must be 4 to 100, got 2"),
        ({"classes": 13}, r"at most half the samples \(24\), got 13"),
        ({"noise": 0.0}, "noise must be between 0.05 and 2, got 0.0"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossComparePanel(**arguments)
