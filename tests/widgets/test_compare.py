import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from cl_explore import losses
from cl_explore.widgets import LossComparePanel
from cl_explore.widgets.compare import roles
from cl_explore.widgets.descent import Points, pull, scatter
from cl_explore.widgets.forces import AXIS, TURN, forces, law

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
        assert loss.name in ("barlow_twins", "vicreg")  # they look at dimensions
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


def test_panel_shows_what_each_loss_makes_of_the_same_points() -> None:
    panel = LossComparePanel(("dcl", "supcon"), samples=8)
    panel.anchor.value = 5
    for place, (name, _) in enumerate(panel.frame["readout"]):
        loss = panel.losses[place].value
        knobs = {knob: control.value for knob, control in panel.knobs[place].items()}
        found = forces(panel.points, loss, knobs)
        assert name == loss.title
        assert panel.frame["cases"][place]["value"] == f"{found.value:.3f}".replace("-", "−")
        case, force = panel.frame["cases"][place], found.force.flatten(0, 1)[5]
        np.testing.assert_allclose(panel.frame["pairs"].reshape(2, -1)[place] * case["scale"], found.pairs[5])
        np.testing.assert_allclose(panel.frame["arrows"].reshape(2, -1)[place] * case["force"], force)
        by_law = law(panel.points, loss, knobs, 5)
        np.testing.assert_allclose(panel.frame["laws"].reshape(2, 2, -1)[place] * case["scale"], by_law)
        assert max(np.abs(panel.frame["pairs"]).max(), np.abs(panel.frame["laws"]).max()) <= 1
        bounds = loss.bounds(8, 2, 3, **knobs)
        assert panel.frame["cases"][place]["collapse"] == pytest.approx(
            (found.value - bounds[1]) / (bounds[0] - bounds[1])
        )
    assert panel.scene["anchor"] == 5
    assert panel.scene["similarities"][5] == pytest.approx(1)


def test_a_knob_that_losses_share_is_turned_for_all_unless_told_otherwise() -> None:
    panel = LossComparePanel(("nt_xent", "dcl", "alignment"), samples=8)
    first, second, third = panel.knobs
    assert second["temperature"].value == first["temperature"].value  # one start for a fair comparison
    second["temperature"].value = 0.2
    assert first["temperature"].value == pytest.approx(0.2)
    value = forces(panel.points, losses.get("nt_xent"), {"temperature": 0.2}).value
    assert panel.frame["cases"][0]["value"] == f"{value:.3f}"
    assert "temperature" not in third
    panel.together.value = False
    first["temperature"].value = 0.9
    assert second["temperature"].value == pytest.approx(0.2)
    both = [forces(panel.points, losses.get(n), {"temperature": t}).value for n, t in (("nt_xent", 0.9), ("dcl", 0.2))]
    assert [case["value"] for case in panel.frame["cases"]][:2] == [f"{value:.3f}" for value in both]


def test_menus_and_sliders_draw_anew_and_a_refused_setting_is_said() -> None:
    panel = LossComparePanel(("nt_xent", "dcl"), samples=8)
    panel.losses[1].value = losses.get("varcon")
    assert panel.frame["cases"][1]["title"] == losses.varcon.title
    panel.knobs[1]["epsilon"].value = 0.09
    panel.knobs[1]["temperature"].value = 0.05
    assert "epsilon" in panel.frame["status"]
    panel.knobs[1]["temperature"].value = 0.5
    assert "status" not in panel.frame
    panel.losses[1].value = losses.get("vicreg")
    assert not panel.frame["cases"][1]["paired"]
    points = panel.points
    panel.noise.value = 1.0
    assert not torch.equal(points.z, panel.points.z)
    panel.surface.value = 3
    assert panel.scene["dim"] == 3
    assert panel.frame["arrows"].shape == (6,)


@pytest.mark.parametrize("place", range(0, len(FITTING), 4))
def test_every_loss_of_the_catalogue_can_be_compared(place: int) -> None:
    compared = (FITTING + FITTING[:3])[place : place + 4]
    panel = LossComparePanel(compared, samples=6, classes=2)
    assert [case["title"] for case in panel.frame["cases"]] == [loss.title for loss in compared]
    assert np.isfinite(panel.frame["laws"]).all()
    assert np.isfinite(panel.frame["pairs"]).all()


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
