import asyncio

import ipywidgets
import numpy as np
import pytest
import torch
from torch import Generator

from cl_explore import geometry, losses
from cl_explore.losses import Choice, Knob
from cl_explore.widgets import SpherePanel, sphere
from cl_explore.widgets.controls import controls
from cl_explore.widgets.descent import LONGEST_STEP, MEASURES, Points, descend, measure, pull, scatter


def start(dim: int = 2, samples: int = 24) -> Points:
    return scatter(samples, 2, dim, 3, Generator().manual_seed(0))


def of_views(views: int) -> list[str]:
    return [loss.name for loss in SpherePanel(views=views).loss.options.values()]


@pytest.mark.parametrize("name", of_views(2))
@pytest.mark.parametrize("dim", [2, 3])
def test_descent_lowers_every_loss_and_stays_on_the_sphere(name: str, dim: int) -> None:
    loss = losses.get(name)
    first = points = start(dim)
    for _ in range(20):
        points = descend(points, loss, loss.defaults, lr=0.01)
    assert points.step == 20
    torch.testing.assert_close(points.z.norm(dim=2), torch.ones(24, 2))
    assert loss.on_views(points.z, points.labels) < loss.on_views(first.z, first.labels)


def test_a_step_follows_the_gradient_and_is_never_longer_than_the_limit() -> None:
    points, loss = start(), losses.get("nt_xent")
    z = points.z.double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z, temperature=0.5), z)
    value, force = pull(points, loss, {"temperature": 0.5})
    assert value == pytest.approx(loss(z, temperature=0.5).item(), rel=1e-5)
    torch.testing.assert_close(force.double(), -gradient * 48, rtol=1e-3, atol=1e-4)
    moved = descend(points, loss, {"temperature": 0.5}, lr=1e-3).z - points.z
    torch.testing.assert_close(moved, 1e-3 * force, rtol=0.02, atol=1e-5)
    far = descend(points, loss, {"temperature": 0.02}, lr=1.0).z - points.z
    assert far.norm(dim=2).max() <= LONGEST_STEP


def test_alignment_alone_closes_the_views_and_uniformity_alone_spreads_the_samples() -> None:
    after = {}
    for name in ("alignment", "uniformity"):
        points = start()
        for _ in range(100):
            points = descend(points, losses.get(name), losses.get(name).defaults, lr=0.05)
        after[name] = geometry.alignment(points.z).item(), -geometry.uniformity(points.z[:, 0]).item()
    before = geometry.alignment(start().z).item(), -geometry.uniformity(start().z[:, 0]).item()
    assert after["alignment"][0] < 1e-3 < before[0]
    assert after["uniformity"][1] > before[1]


def test_read_out_holds_the_measures_of_the_points_drawn() -> None:
    panel = SpherePanel("varcon", samples=12, classes=3)
    panel.step()
    points, loss = panel.points, losses.get("varcon")
    values = (
        loss(points.z, points.labels).item(),
        geometry.alignment(points.z).item(),
        -geometry.uniformity(points.z[:, 0]).item(),
        geometry.dispersion(points.z.flatten(0, 1), points.labels.repeat_interleave(2)).within.item(),
    )
    assert measure(points, loss, loss.defaults) == pytest.approx(values)
    assert panel.frame["readout"] == [["step", "1"], *([n, f"{v:.3f}"] for n, v in zip(MEASURES, values, strict=True))]
    np.testing.assert_array_equal(panel.frame["points"], points.z.flatten())


def test_buttons_knobs_and_switches_work_from_code() -> None:
    panel = SpherePanel(samples=12)
    origin = panel.points
    panel.buttons["step"].click()
    panel.buttons["step"].click()
    assert panel.points.step == 2
    assert panel.frame["recorded"] == 3
    before = panel.frame["history"].reshape(4, -1)[0, 2]
    panel.knobs["temperature"].value = 0.1  # measures again, moves nothing
    assert panel.points.step == 2
    assert panel.frame["recorded"] == 3
    assert panel.frame["history"].reshape(4, -1)[0, 2] != before
    assert "arrows" not in panel.frame
    panel.arrows.value = True
    assert np.linalg.norm(panel.frame["arrows"].reshape(-1, 2), axis=1).max() == pytest.approx(0.2, rel=1e-5)
    assert len(panel.scene["names"]) == 4
    panel.labels.value = False
    assert panel.scene["names"] == []
    assert not panel.scene["group"].any()
    panel.buttons["reset"].click()
    assert panel.points.step == 0
    torch.testing.assert_close(panel.points.z, origin.z)
    panel.surface.value = 3
    assert panel.points.z.shape == (12, 2, 3)
    assert panel.scene["dim"] == 3


def test_the_controls_are_those_of_the_chosen_loss() -> None:
    panel = SpherePanel(samples=12)
    for loss in panel.loss.options.values():
        panel.loss.value = loss
        assert list(panel.knobs) == [knob.name for knob in loss.knobs]
        assert {name: control.value for name, control in panel.knobs.items()} == pytest.approx(loss.defaults)
        assert loss.title in panel.scene["title"]
        assert "status" not in panel.frame


def test_each_knob_becomes_the_control_that_fits_it() -> None:
    made = controls(losses.get("varcon"))
    for knob in losses.get("varcon").knobs:
        control = made[knob.name]
        if isinstance(knob, Choice):
            assert isinstance(control, ipywidgets.Dropdown)
            assert control.options == knob.options
        elif isinstance(knob, Knob):
            assert isinstance(control, ipywidgets.FloatLogSlider if knob.log else ipywidgets.FloatSlider)
            ends = np.array([control.min, control.max])
            np.testing.assert_allclose(10**ends if knob.log else ends, [knob.low, knob.high])
        assert control.tooltip == knob.help


def test_a_setting_that_the_loss_refuses_is_said_and_moves_nothing() -> None:
    panel = SpherePanel("varcon", samples=12, classes=3)
    panel.knobs["epsilon"].value = 0.09
    panel.knobs["temperature"].value = 0.05
    assert "epsilon" in panel.frame["status"]
    panel.step()
    assert panel.points.step == 0
    panel.knobs["temperature"].value = 0.2
    assert "status" not in panel.frame


async def until(happened, seconds: float = 5.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if happened():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not happen")


def answer(panel: SpherePanel) -> None:
    """What the page sends once it has drawn the newest frame."""
    panel.canvas._handle_custom_msg({"drawn": panel.frame["moving"]}, [])


def test_animation_runs_while_frames_are_seen_and_pauses_at_once() -> None:
    async def scene() -> None:
        panel = SpherePanel(samples=8)
        panel.buttons["start"].click()
        panel.start()  # a second start is the same animation
        for goal in (5, 10, 15):
            await until(lambda goal=goal: panel.points.step >= goal)
            answer(panel)
        panel.buttons["pause"].click()
        step = panel.points.step
        await asyncio.sleep(0.1)
        assert panel.points.step == step
        assert panel.frame["moving"] == 0
        panel.start()  # and again from where it stood
        await until(lambda: panel.points.step > step)
        panel.close()
        step = panel.points.step
        await asyncio.sleep(0.1)
        assert panel.points.step == step

    asyncio.run(scene())


def test_animation_ends_by_itself_when_no_page_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphere, "PATIENCE", 5)

    async def scene() -> None:
        panel = SpherePanel(samples=8)
        panel.start()
        await until(lambda: panel.points.step > 0)
        await until(lambda: panel.frame["moving"] == 0)
        assert panel.points.step == sphere.AHEAD

    asyncio.run(scene())


def test_animation_stops_at_an_error_and_says_it() -> None:
    async def scene() -> None:
        panel = SpherePanel("varcon", samples=12, classes=3)
        panel.start()
        await until(lambda: panel.points.step > 0)
        panel.knobs["epsilon"].value = 0.09
        panel.knobs["temperature"].value = 0.05
        await until(lambda: panel.frame["moving"] == 0)
        assert "epsilon" in panel.frame["status"]

    asyncio.run(scene())


def test_a_loss_that_is_not_finite_is_refused() -> None:
    points = start()
    with pytest.raises(ValueError, match=r"nt_xent.*not finite at step 0"):
        pull(Points(points.z * float("nan"), points.labels), losses.get("nt_xent"), {"temperature": 0.5})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "nt_xnt"}, "unknown loss 'nt_xnt'.*nt_xent"),
        ({"dim": 4}, r"dim must be 2 \(circle\) or 3 \(sphere\), got 4"),
        ({"classes": 1}, "classes must be at least 2"),
        ({"samples": 3, "classes": 4}, r"at most samples \(3\), got 4"),
        ({"views": 1}, "views must be at least 2, got 1"),
        ({"lr": 0.0}, "lr must be between 0.001 and 1, got 0.0"),
        ({"loss": "dcl", "views": 3}, "loss dcl cannot be computed from 3 views"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpherePanel(**arguments)
