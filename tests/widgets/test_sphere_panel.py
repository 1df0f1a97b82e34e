import asyncio
import os
import signal

import ipywidgets
import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from static_pages import unpacked
from torch import Generator

from cl_explore import geometry, losses
from cl_explore.losses import Choice, Knob
from cl_explore.widgets import SpherePanel, marks
from cl_explore.widgets import sphere_panel as sphere
from cl_explore.widgets.controls import controls
from cl_explore.widgets.descent import (
    LONGEST_STEP,
    MEASURES,
    SLOW,
    Batches,
    Points,
    class_sizes,
    measure,
    move,
    pull,
    scatter,
)


def start(dim: int = 2, samples: int = 24, **settings: float) -> Points:
    return scatter(samples, 2, dim, 3, Generator().manual_seed(0), **settings)


def descend(points: Points, loss: losses.Loss, knobs: dict, lr: float) -> Points:
    return move(points, pull(points, loss, knobs)[1], lr)


def dots(panel: SpherePanel) -> marks.Points:
    """The points as they are drawn."""
    return next(mark for mark in panel.picture.charts[0].marks if isinstance(mark, marks.Points))


def arrows(panel: SpherePanel) -> list[marks.Arrows]:
    return [mark for mark in panel.picture.charts[0].marks if isinstance(mark, marks.Arrows)]


def recorded(panel: SpherePanel) -> np.ndarray:
    """The course of the loss."""
    return panel.picture.charts[1].marks[0].y


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
        geometry.tolerance(points.z[:, 0], points.labels).item(),
        geometry.dispersion(points.z.flatten(0, 1), points.labels.repeat_interleave(2)).within.item(),
        geometry.effective_rank(points.z.flatten(0, 1)).item(),
    )
    assert measure(points, values[0]) == pytest.approx(values)
    numbers = ((name, f"{value:.3f}") for name, value in zip(MEASURES, values, strict=True))
    assert panel.picture.readout == [("step", "1"), *numbers]
    z, reach = points.z.flatten(0, 1), np.tile([1, 0.9], 12)  # the second view stands inside
    np.testing.assert_allclose(dots(panel).x, reach * z[:, 0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(dots(panel).y, reach * z[:, 1].numpy(), rtol=1e-6)


def test_buttons_knobs_and_switches_work_from_code() -> None:
    panel = SpherePanel(samples=12)
    origin = panel.points
    panel.buttons["step"].click()
    panel.buttons["step"].click()
    assert panel.points.step == 2
    assert len(recorded(panel)) == 3
    before = recorded(panel)[2]
    panel.knobs["temperature"].value = 0.1  # measures again, moves nothing
    assert panel.points.step == 2
    assert len(recorded(panel)) == 3
    assert recorded(panel)[2] != before
    assert not arrows(panel)
    panel.arrows.value = True
    (force,) = arrows(panel)
    assert np.hypot(force.dx, force.dy).max() == pytest.approx(0.2, rel=1e-5)
    assert len(dots(panel).name) == 4
    panel.labels.value = False
    assert dots(panel).name == ""
    assert not dots(panel).group.any()
    panel.buttons["reset"].click()
    assert panel.points.step == 0
    torch.testing.assert_close(panel.points.z, origin.z)
    panel.surface.value = 3
    assert panel.points.z.shape == (12, 2, 3)
    assert panel.picture.charts[0].turns
    assert len(dots(panel).z) == 24


def test_the_controls_are_those_of_the_chosen_loss() -> None:
    panel = SpherePanel(samples=12)
    for loss in panel.loss.options.values():
        panel.loss.value = loss
        assert list(panel.knobs) == [knob.name for knob in loss.knobs]
        assert {name: control.value for name, control in panel.knobs.items()} == pytest.approx(loss.defaults)
        assert loss.title in panel.picture.title
        assert not panel.picture.status


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
    assert "epsilon" in panel.picture.status
    panel.step()
    assert panel.points.step == 0
    panel.knobs["temperature"].value = 0.2
    assert not panel.picture.status


@pytest.mark.parametrize("imbalance", [1.0, 10.0, 100.0])
def test_classes_fall_exponentially_and_none_is_empty(imbalance: float) -> None:
    sizes = class_sizes(500, 4, imbalance)
    assert sum(sizes) == 500
    assert sizes == sorted(sizes, reverse=True)
    steps = np.array(sizes[:-1]) / sizes[1:]
    np.testing.assert_allclose(steps, imbalance ** (1 / 3), rtol=0.25)
    assert min(class_sizes(8, 4, 100)) == 1


def test_copies_stand_where_their_original_stands_and_stay_there() -> None:
    points, loss = start(samples=60, duplicates=0.4), losses.get("nt_xent")
    copies = points.origin != torch.arange(60)
    assert copies.sum() == 24
    assert not copies[points.origin].any()  # a copy of an original, not of a copy
    torch.testing.assert_close(points.labels, points.labels[points.origin])
    for _ in range(300):
        points = descend(points, loss, {"temperature": 0.1}, lr=0.05)
    assert torch.equal(points.z, points.z[points.origin])
    several, free = start(samples=60, duplicates=0.4), start(samples=60)
    assert pull(several, loss, {"temperature": 0.1})[0] > pull(free, loss, {"temperature": 0.1})[0]


def test_a_batch_pulls_at_its_samples_only_as_if_there_were_no_others() -> None:
    points, loss = start(), losses.get("supcon")
    rows = torch.tensor([0, 3, 9, 10, 17, 22])
    value, force = pull(points, loss, {"temperature": 0.2}, rows)
    part = Points(points.z[rows], points.labels[rows], torch.arange(6))
    assert value == pytest.approx(loss(part.z, part.labels, temperature=0.2).item(), rel=1e-5)
    torch.testing.assert_close(force[rows], pull(part, loss, {"temperature": 0.2})[1])
    assert force.count_nonzero() == force[rows].count_nonzero()


def test_batches_shrink_while_steps_are_slow_and_visit_every_sample() -> None:
    batches = Batches(1000, Generator().manual_seed(0))
    assert len(batches.draw()) == 250
    batches.took(SLOW / 10)
    batches.took(SLOW / 10)
    assert batches.draw() is None
    for _ in range(2):
        batches.took(2 * SLOW)
    assert batches.draw() is None  # a slow step or two may be chance
    batches.took(2 * SLOW)
    batches.took(SLOW / 10)  # having been too large it does not grow again
    assert batches.draw().unique().numel() == 500
    assert torch.equal(torch.cat([batches.draw(), batches.draw()]).sort().values, torch.arange(1000))
    for _ in range(20):
        batches.took(2 * SLOW)
    assert batches.size == 64
    small = Batches(24, Generator())
    for _ in range(9):
        small.took(9.0)
    assert small.draw() is None


def test_many_points_move_in_batches_and_the_read_out_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "took", lambda *_: None)
    panel = SpherePanel("nt_xent", samples=1000)
    panel.step()
    assert panel.picture.readout[-1] == ("batch", "250 of 1000 samples")
    assert ((panel.points.z - panel._start.z).abs() > 1e-6).flatten(1).any(1).sum() == 250


def test_sliders_of_imbalance_duplicates_and_samples_lay_the_points_anew() -> None:
    panel = SpherePanel(samples=48)
    panel.imbalance.value = 10
    assert panel.points.labels.bincount().tolist() == class_sizes(48, 4, 10)
    assert dots(panel).name[0] == f"class 0: {class_sizes(48, 4, 10)[0]}"
    panel.duplicates.value = 0.5
    copies = dots(panel).fields["copies"] + 1  # a copied sample and those that copy it
    assert copies.sum() == 96
    assert copies.max() > 1
    ring = panel.picture.charts[0].marks[-1]
    assert ring.hollow
    np.testing.assert_array_equal(ring.x, dots(panel).x[copies > 1])
    panel.samples.value = 192
    assert panel.points.z.shape == (192, 2, 2)
    assert panel.points.step == 0


async def until(happened, seconds: float = 5.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if happened():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("did not happen")


def answer(panel: SpherePanel) -> None:
    """What the page sends once it has drawn the newest frame."""
    panel.canvas._handle_custom_msg({"drawn": panel.canvas.tick}, [])


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
        assert panel.canvas.tick == 0
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
        await until(lambda: panel.canvas.tick == 0)
        assert panel.points.step == sphere.AHEAD

    asyncio.run(scene())


def test_animation_stops_at_an_error_and_says_it() -> None:
    async def scene() -> None:
        panel = SpherePanel("varcon", samples=12, classes=3)
        panel.start()
        await until(lambda: panel.points.step > 0)
        panel.knobs["epsilon"].value = 0.09
        panel.knobs["temperature"].value = 0.05
        await until(lambda: panel.canvas.tick == 0)
        assert "epsilon" in panel.picture.status

    asyncio.run(scene())


def test_controls_of_a_loss_that_is_left_are_freed() -> None:
    panel = SpherePanel(samples=12)
    before = len(_instances)
    for name in ("uniformity", "nt_xent"):
        panel.loss.value = losses.get(name)
    assert len(_instances) == before
    panel.close()


def test_static_page_descends_for_several_values_of_the_first_knob() -> None:
    panel = SpherePanel("varcon", samples=12, classes=3)
    for _ in range(5):
        panel.step()
    frames, (knob, step) = unpacked(panel.static().data)
    assert knob["label"] == "temperature"
    # five over 0.02 to 2, the nearest replaced by the present 0.1; varcon refuses 0.02 beside its epsilon
    assert knob["stops"] == ["0.1", "0.2", "0.632", "2"]
    frame = frames[knob["stops"].index("0.1") * len(step["stops"]) + step["stops"].index("5")]
    shown = next(mark for mark in frame["rows"][0][0][0]["marks"] if mark["look"]["kind"] == "points")
    np.testing.assert_allclose(shown["x"], dots(panel).x, atol=1e-4)
    assert frame["readout"] == [list(pair) for pair in panel.picture.readout]


def test_a_loss_that_is_not_finite_is_refused() -> None:
    points = start()
    with pytest.raises(ValueError, match=r"nt_xent.*not finite at step 0"):
        pull(points._replace(z=points.z * float("nan")), losses.get("nt_xent"), {"temperature": 0.5})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "nt_xnt"}, "unknown loss 'nt_xnt'.*nt_xent"),
        ({"dim": 4}, r"dim must be 2 \(circle\) or 3 \(sphere\), got 4"),
        ({"classes": 1}, "classes must be at least 2"),
        ({"samples": 6, "classes": 4}, r"at most half the samples \(6\), got 4"),
        ({"samples": 1001}, r"samples must be 4 to 1000 \(2000 points\), got 1001"),
        ({"imbalance": 0.5}, "imbalance must be between 1 and 100, got 0.5"),
        ({"duplicates": 1.0}, "duplicates must be between 0 and 0.9, got 1.0"),
        ({"views": 1}, "views must be at least 2, got 1"),
        ({"lr": 0.0}, "lr must be between 0.001 and 1, got 0.0"),
        ({"loss": "dcl", "views": 3}, "loss dcl cannot be computed from 3 views"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpherePanel(**arguments)


def test_an_interrupt_of_an_idle_kernel_pauses_the_animation() -> None:
    async def scene() -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between two cells
        try:
            panel = SpherePanel(samples=12)
            panel.start()
            await until(lambda: panel.points.step > 0)
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: panel._moving is None)
            await until(lambda: signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
            panel.close()
        finally:
            signal.signal(signal.SIGINT, before)

    asyncio.run(scene())
