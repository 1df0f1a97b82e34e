"""Wearable biosignals: the loss against golden numbers and what it must be, and who is paired with whom."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding
from cl_explore.nn import MLP
from cl_explore.papers.wearable_biosignals import method, panel, study, world
from cl_explore.views import SeriesViews, VectorViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "wearable-biosignals.json").read_text())["cases"]
SIDES = ("online_view1", "online_view2", "momentum_view1", "momentum_view2")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(seed: int = 0, persons: int = 6) -> Tensor:
    return torch.randn(persons, 2, 4, dtype=torch.float64, generator=generator(seed)).requires_grad_()


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case["name"])
def test_the_loss_and_its_gradients_are_the_golden_ones(case: dict) -> None:
    """KoLeo there has DINOv2's 1e-8 on each coordinate of the difference, which ours leaves out: hence 5e-8."""
    a, b, c, d = (torch.tensor(case["inputs"][side], dtype=torch.float64).requires_grad_() for side in SIDES)
    weight = case["params"]["koleo_weight"]
    parts = method.PersonContrast(**case["params"])(torch.stack([a, b], 1), torch.stack([c, d], 1))
    assert parts["contrast"].item() == pytest.approx(case["contrastive"], abs=1e-9)
    assert parts["koleo"].item() == pytest.approx(case["koleo"], abs=5e-8)
    assert parts["loss"].item() == pytest.approx(case["loss"], abs=1e-9 + weight * 5e-8)
    for side, gradient in zip(SIDES, torch.autograd.grad(parts["loss"], (a, b, c, d), allow_unused=True), strict=True):
        if case["grad"][side] is None:
            assert gradient is None
        else:
            expected = torch.tensor(case["grad"][side], dtype=torch.float64)
            torch.testing.assert_close(gradient, expected, atol=1e-9 + weight * 5e-8, rtol=0)


def test_koleo_is_that_of_dinov2() -> None:
    case = CASES[3]
    x = torch.tensor(case["inputs"]["x"], dtype=torch.float64)
    assert losses.koleo(x, eps=case["params"]["eps"]).item() == pytest.approx(case["loss"], abs=5e-8)


def test_what_the_contrast_is_to_clip_and_moco() -> None:
    z, key = pairs(), pairs(1)
    plain = method.PersonContrast(temperature=0.2, koleo_weight=0.0)
    torch.testing.assert_close(plain(z, z)["loss"], losses.clip(z[:, 0], z[:, 1], temperature=0.2))
    third = [losses.cacr_momentum(z[:, v], key[:, 1 - v], temperature=0.2) for v in (0, 1)]  # MoCo v3's, without head
    torch.testing.assert_close(plain(z, key)["loss"], torch.stack(third).mean() / 0.4)
    one_way = method.PersonContrast(temperature=0.2, koleo_weight=0.0, symmetric=False)(z, key)["loss"]
    torch.testing.assert_close(one_way, losses.info_nce(z[:, 0], key[:, 1], temperature=0.2))
    swapped = plain(z, key.flip(1))["loss"]
    assert abs(float((swapped - plain(z, key)["loss"]).detach())) > 0.01, "never with its own key"
    alike = torch.ones(5, 2, 3)
    assert plain(alike, alike)["loss"].item() == pytest.approx(math.log(5))


def test_koleo_keeps_views_apart_and_neighbours_at_a_distance() -> None:
    circle = torch.arange(7.0, dtype=torch.float64) * 2 * math.pi / 7
    ring = torch.stack([circle.cos(), circle.sin()], 1)[:, None].repeat(1, 2, 1)
    parts = method.PersonContrast(koleo_weight=1.0)(ring, ring)
    assert parts["koleo"].item() == pytest.approx(-math.log(2 * math.sin(math.pi / 7)), abs=1e-7)
    facing = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])[:, None].repeat(1, 2, 1)
    assert method.PersonContrast()(facing, facing)["koleo"].item() == pytest.approx(-math.log(2))


def test_turned_alike_nothing_changes_and_keys_take_no_gradient() -> None:
    z, key = pairs(), pairs(1)
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=generator(2))).Q
    contrast = method.PersonContrast()
    loss = contrast(z, key)["loss"]
    torch.testing.assert_close(contrast(z @ turn, key @ turn)["loss"], loss)
    loss.backward()
    assert key.grad is None


@pytest.mark.parametrize(
    ("z", "key", "message"),
    [
        (torch.ones(4, 3, 2), torch.ones(4, 3, 2), "z must hold 2 segments of each person, got 3"),
        (torch.ones(4, 2, 2), torch.ones(4, 2), "key must have shape"),
        (torch.ones(4, 2, 2), torch.ones(3, 2, 2), "key must have shape"),
        (torch.ones(1, 2, 2), torch.ones(1, 2, 2), "key must have at least 2 rows"),
    ],
)
def test_wrong_tensors_are_named(z: Tensor, key: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method.PersonContrast()(z, key)


def segments(*counts: int) -> Dataset:
    person = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    x = torch.randn(len(person), 1, 16, generator=generator())
    shuffled = torch.randperm(len(person), generator=generator(1))
    factors = {"person": person[shuffled]}
    return Dataset("some", x, torch.zeros_like(person), torch.arange(len(person)), ("any",), factors, kind="series")


def built(**options: object) -> method.PersonPairs:
    torch.manual_seed(0)
    return method.PersonPairs(
        MLP([16, 8]), nn.Linear(8, 4), method.PersonContrast(), SeriesViews(jitter=0.1), **options
    )


@pytest.mark.parametrize(("across", "least", "most"), [(1.0, 0, 0), (0.0, 15, 15), (0.5, 1, 14)])
def test_a_person_is_in_a_batch_once_with_two_segments_or_one(across: float, least: int, most: int) -> None:
    seen, made = segments(6, 7, 9, 6, 6), built(across=across)
    rows = made.draw_order(seen, 10, generator()).view(-1, 5, 2)
    person = seen.factors["person"][rows]
    assert len(rows) == 3, "as many rounds as the one with the fewest segments has pairs"
    assert torch.equal(person[..., 0], person[..., 1])
    assert all(sorted(batch) == list(range(5)) for batch in person[..., 0].tolist())
    assert least <= int((rows[..., 0] == rows[..., 1]).sum()) <= most
    assert len(rows[..., 0].unique()) == 15, "no segment comes twice but as its own second"
    assert across < 1 or len(rows.unique()) == 30
    assert made.draw_order(seen, 4, generator()).shape == (3 * 2 * 4,)


@pytest.mark.parametrize(
    ("counts", "batch_size", "message"),
    [
        ((3, 1, 4), 4, "dataset must hold at least 2 segments of every person, got one with 1"),
        ((3, 2, 4), 3, "batch_size must be even and at most 6, a pair of each of 3 persons, got 3"),
        ((3, 2, 4), 8, "batch_size must be even and at most 6, .* got 8"),
    ],
)
def test_batches_that_cannot_be_are_refused(counts: tuple[int, ...], batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built().draw_order(segments(*counts), batch_size, generator())


def test_a_step_compares_first_segments_with_keys_of_second_ones_and_the_copy_lags() -> None:
    seen, made = segments(2, 2, 2, 2), built(decay=0.5)
    batch = seen.batch(made.draw_order(seen, 8, generator()))
    step = made.step(batch, generator(1))
    z = made.embed_views(batch, generator(1)).z.view(4, 2, 4)  # at first the copy makes the same of them
    torch.testing.assert_close(step.loss, made.loss(z, z)["loss"])
    step.loss.backward()
    before = made.copy.copy[1].weight.clone()
    with torch.no_grad():
        made.head.weight += 1
    made.after_step()
    torch.testing.assert_close(made.copy.copy[1].weight, before + 0.5)
    assert all(part.grad is None for part in made.copy.parameters())
    assert set(step.metrics) == {"contrast", "koleo"}


def test_each_augmentation_does_what_it_says_as_often_as_it_says() -> None:
    x = torch.randn(400, 2, 40, generator=generator()).cumsum(2)
    none = dict.fromkeys(("time_warp", "magnitude_warp", "permute", "noise", "cut_out"), 0.0)

    def made(**only: float) -> Tensor:
        return world.SignalViews(**{**none, **only})(x, generator(1), 1)[:, 0]

    torch.testing.assert_close(made(), x)
    torch.testing.assert_close(world.SignalViews(strength=0)(x, generator(), 1)[:, 0], x)
    for name in none:
        changed = (made(**{name: 0.4}) != x).flatten(1).any(1).float().mean()
        assert changed == pytest.approx(0.2 if name == "permute" else 0.4, abs=0.08), "one of two orders is theirs"
    hidden = (made(cut_out=1.0) == 0).all(1)
    assert (hidden.sum(1) == 10).all()
    assert (hidden.int().diff(dim=1).abs().sum(1) <= 2).all(), "one stretch"
    warped = made(time_warp=1.0)
    torch.testing.assert_close(warped[:, :, [0, -1]], x[:, :, [0, -1]])
    line = torch.arange(40.0).expand(5, 2, 40)
    assert (world.SignalViews(**{**none, "time_warp": 1.0})(line, generator(), 1).diff(dim=3) > 0).all(), "never back"
    ratio = made(magnitude_warp=1.0) / x
    torch.testing.assert_close(ratio[:, 0], ratio[:, 1], rtol=1e-3, atol=1e-3)
    mixed = made(permute=1.0)
    assert ((mixed == x) | (mixed == x.flip(1))).all()
    with pytest.raises(ValueError, match=r"x must have shape \(B, C, T\), got \(4, 3\)"):
        world.SignalViews()(torch.ones(4, 3), generator())


def test_worlds_have_other_people_to_be_tested_with() -> None:
    for name, least, most in (("pulses", 0.5, 1.0), ("still", 0.0, 0.2)):
        train, test = world.world(name, 3, persons=10)
        assert train.factors["person"].bincount().tolist() == [6] * 10
        assert test.factors["person"].bincount().tolist() == [6] * 96
        assert not set(train.factors["notch"].tolist()) & set(test.factors["notch"].tolist())
        segments = test.x.view(96, 6, 96)
        own = (segments - segments.mean(1, keepdim=True)).square().mean()
        assert least < own < most, "of a variance of 1"
    with pytest.raises(ValueError, match="'clock'"):
        world.world("clock", 0)


def test_of_a_watch_no_person_is_in_both_parts_and_each_seed_draws_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, split: str, held: list[int]) -> Dataset:
        asked.append((name, split, tuple(held)))
        who = torch.tensor([one for one in range(1, 11) if (one in held) == (split == "test")]).repeat(7)
        labels = torch.arange(7).repeat_interleave(5)
        x = 3 + 2 * torch.randn(35, 6, 20, generator=generator())
        names = tuple(map(str, range(7)))
        return Dataset("watch", x, labels, torch.arange(35), names, {"subject": who}, kind="series")

    monkeypatch.setattr(world.data, "load", load)
    train, test = world.world("watch", 0)
    world.world("watch", 1)
    assert asked[0][2] == asked[1][2] != asked[2][2]
    assert len(asked[0][2]) == 5
    assert train.factors["person"].bincount().tolist() == test.factors["person"].bincount().tolist() == [7] * 5
    torch.testing.assert_close(train.x.mean((0, 2)), torch.zeros(6), atol=1e-5, rtol=0)
    raw = JointEmbedding(nn.Flatten(), nn.Identity(), "nt_xent", SeriesViews())
    found = study.of_a_watch(raw, train, test)
    assert set(found) == {study.PERSON, study.EXERCISE}
    assert all(0 <= share <= 1 for share in found.values())


def test_probes_find_what_is_told() -> None:
    """Of a vector that holds the traits and the rate."""
    train, test = (
        Dataset(part.name, torch.stack([part.factors[name] for name in (*study.NAMES, "rate")], 1), part.labels,
                part.index, part.class_names, part.factors)
        for part in world.world("pulses", 0, persons=40)
    )  # fmt: skip
    found = study.of_pulses(JointEmbedding(nn.Identity(), nn.Identity(), "nt_xent", VectorViews()), train, test)
    assert found[study.TRAITS] > 0.99
    assert found[study.RATE] > 0.99
    assert 2.5 < found[study.RANK] < 4


def course(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Trainings that the panel asks for, none of which is made."""
    asked: list[tuple[float, float]] = []

    def learn(across: float, koleo: float) -> panel.Course:
        asked.append((across, koleo))
        told = [{study.SPREAD: 3.0 - across, study.TRAITS: 0.1, study.RATE: 0.2, study.RANK: 9.0}] * 4
        places = torch.randn(4, 36, 2, generator=generator()).numpy()
        return panel.Course(places, np.linspace(54, 90, 36, dtype=np.float32), np.full((4, 32), 1 / 32), told)

    monkeypatch.setattr(panel, "learn", learn)
    return asked


def test_the_panel_shows_people_and_trains_anew_only_for_other_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = course(monkeypatch)
    shown = panel.PersonPanel()
    who, fast, spectrum = shown.picture.charts
    assert len(shown.picture.alt) <= 200
    assert who.marks[-1].group.tolist() == np.arange(6).repeat(6).tolist()
    assert np.bincount(fast.marks[0].group).sum() == 36
    shown.knobs["epoch"].value = 5
    assert spectrum.marks[1].name == "after 30 epochs"
    assert shown.picture.charts[2].marks[1].name == "after 5 epochs"
    assert asked == [(1.0, 0.1)]
    shown.knobs["across"].value = 0.0
    shown.wait()
    assert asked == [(1.0, 0.1), (0.0, 0.1)]
    assert dict(shown.picture.readout)["variance within people / between"] == "3.0"
    assert len(shown.canvas.data) + len(shown.canvas.spec) < 40_000
    with pytest.raises(ValueError, match="across must be between 0 and 1, got 2"):
        panel.PersonPanel(across=2.0)


def test_six_people_at_the_ends_of_traits_are_shown() -> None:
    test = world.world("pulses", 0, persons=4)[1]
    rows = panel.extremes(test).view(6, 6)
    assert (test.factors["person"][rows] == test.factors["person"][rows[:, :1]]).all()
    assert len(rows[:, 0].unique()) == 6
    assert test.factors["notch"][rows[0, 0]] == test.factors["notch"].min()
