"""ColloSSL: distances against golden numbers, who is chosen and when, a wrong sign, and devices as they are read."""

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cl_explore import data, losses
from cl_explore.papers.collossl import method, panel, study, world
from cl_explore.papers.collossl.method import ColloSSL

CASES = json.loads((Path(__file__).parents[1] / "golden" / "collossl.json").read_text())["cases"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("case", [case for case in CASES if "outputs" in case], ids=lambda case: case["name"])
def test_the_discrepancy_of_two_sets_is_the_golden_one(case: dict) -> None:
    x, y = (torch.tensor(case["inputs"][side], dtype=torch.float64) for side in "xy")
    assert tuple(case["params"]["sigmas"]) == method.SCALES
    assert method.mmd(x, y).item() == pytest.approx(case["outputs"]["mmd"], abs=1e-6), "the file is of float32"
    kernel = sum((-(x[:, None] - y).square().sum(2) / (2 * s)).exp() for s in method.SCALES)
    both = [method.mmd(torch.cat([a, a]), torch.cat([a, a])).item() for a in (x, y)]
    assert both == pytest.approx([0, 0], abs=1e-12)
    torch.testing.assert_close(method.mmd(x, y), method.mmd(y, x))
    alone = method.mmd(x[:1], y[:1])
    torch.testing.assert_close(alone, 2 * (len(method.SCALES) - kernel[0, 0]))


def test_the_distance_is_of_lengths_which_do_not_turn_but_grow_with_gain() -> None:
    """A device that is turned is as near as one that is not; one that only measures twice as much is far."""
    moved = normal(40, 3, 20)
    turn = torch.linalg.qr(normal(3, 3, seed=1)).Q
    gyroscope = normal(40, 3, 20, seed=2)
    views = [moved, turn @ moved, 2 * moved, moved.roll(1, 0)]
    measured = method.lengths(torch.cat([torch.stack(views, 1), gyroscope[:, None].expand(-1, 4, -1, -1)], 2))
    turned, louder, later = method.distances(measured).tolist()
    assert turned == later == method.FLOOR, "nor does it ask who was measured when"
    assert louder > 0.5


def built(**options: object) -> ColloSSL:
    torch.manual_seed(0)
    encoder, given = nn.Sequential(nn.Flatten(), nn.Linear(30, 8)), {"n_views": 5, "temperature": 0.2, **options}
    return ColloSSL(encoder, nn.Identity(), "collossl", method.as_views, **given)


def devices(count: int = 16, number: int = 5) -> data.Dataset:
    x = {f"device {d}": (1 + d * (d > 1)) * normal(count, 3, 10, seed=d * (d > 1)).float() for d in range(number)}
    labels = torch.arange(count) % 3
    return data.Dataset("some", x, labels, torch.arange(count), ("a", "b", "c"), kind=dict.fromkeys(x, "series"))


def test_who_is_the_positive_and_who_are_the_negatives() -> None:
    far, drawn = torch.tensor([0.5, 0.1, 3.0, 1.0]), torch.tensor([0.1, 0.2, 0.3, 0.9])
    everyone = [0, 1, 2, 3]
    expected = {
        "closest": (1, everyone),
        "farthest": (2, everyone),
        "random": (3, everyone),
        "hard_negative": (1, [0, 3]),
    }
    for strategy, (positive, negatives) in expected.items():
        found = built(strategy=strategy).choose(far, drawn)
        assert (found[0].tolist(), found[1].tolist()) == ([positive], negatives), strategy


@pytest.mark.parametrize("weighted", [True, False])
def test_a_step_is_the_loss_of_the_chosen_devices(weighted: bool) -> None:
    """At the anchor's time nothing is left to chance; the positive, device 1, is the anchor's own copy."""
    made, batch = built(sampling="sync_all", weighted=weighted), devices().batch(torch.arange(16))
    z = made.embed_views(batch, generator()).z
    step = made.step(batch, generator())
    far = method.distances(method.lengths(method.as_views(batch.x, generator(), 5)))
    assert far.argmin() == 0
    weights = 1 / far if weighted else torch.ones(4)
    expected = losses.collossl(z[:, 0], z[:, 1:2], z[:, 1:], weights, temperature=0.2)
    torch.testing.assert_close(step.loss, expected)
    assert (step.metrics["device"], step.metrics["positive"].item()) == (1, pytest.approx(1, abs=1e-6))
    if weighted:
        assert step.loss > 9, "the positive is its own negative, of weight 10,000"


def test_other_times_are_permutations_of_the_batch() -> None:
    """Embeddings that name device and time."""
    batch = devices().batch(torch.arange(16))

    def met(sampling: str) -> tuple[Tensor, Tensor]:
        far = torch.tensor([4.0, 3, 2, 1])
        made = built(sampling=sampling, shuffles=3, strategy="hard_negative", fixed=far)
        names = torch.arange(16 * 5).view(16, 5, 1)
        device, positives, negatives, weights = made.sides(made.embed_views(batch, generator())._replace(z=names))
        assert device == 4
        torch.testing.assert_close(weights.float(), torch.tensor([1 / 2] * 3 + [1 / 3] * 3))
        return negatives[..., 0], positives[..., 0]

    for sampling in method.SAMPLINGS:
        negatives, positives = met(sampling)
        assert (positives % 5 == 4).all()
        assert (negatives % 5).tolist() == [[3] * 3 + [2] * 3] * 16
        times = [column.tolist() for column in (negatives // 5).T]
        assert all(sorted(column) == list(range(16)) for column in times)
        assert all((column == list(range(16))) == (sampling == "sync_all") for column in times)
        assert ((positives[:, 0] // 5).tolist() == list(range(16))) == (sampling != "unsync_all")


def test_what_cannot_be_is_named() -> None:
    for options, said in (
        ({"strategy": "nearest"}, "strategy must be one of closest, random, farthest, hard_negative, got 'nearest'"),
        ({"sampling": "sync"}, "sampling must be one of unsync_neg, sync_all, unsync_all, got 'sync'"),
        ({"shuffles": 0}, "shuffles must be at least 1, got 0"),
        ({"n_views": 2, "strategy": "hard_negative"}, "n_views must be at least 3, the devices, got 2"),
        ({"fixed": torch.tensor([1.0, 0, 1, 1])}, r"fixed must be 4 positive distances, got \[1"),
    ):
        with pytest.raises(ValueError, match=said):
            built(**options)
    with pytest.raises(ValueError, match="loss must be 'collossl', got <Loss nt_xent"):
        ColloSSL(nn.Flatten(), nn.Identity(), "nt_xent", method.as_views)
    with pytest.raises(ValueError, match=r"v must have shape \(M, F\) with F = 3"):
        method.mmd(normal(4, 3), normal(4, 2))


def test_the_simulators_devices_share_less_and_less_of_the_movement() -> None:
    train, test = world.simulator(0, 60)
    again, other = world.simulator(0, 60)[0], world.simulator(1, 60)[0]
    assert train.fingerprint() == again.fingerprint() != other.fingerprint()
    assert (len(train), len(test)) == (240, 120)
    assert not set(train.factors["person"].tolist()) & set(test.factors["person"].tolist())
    assert train.labels.bincount().tolist() == [40] * 6
    movement = torch.fft.rfft(train.x["device 1"]).abs().flatten(1)
    alike = [
        torch.cosine_similarity(movement, torch.fft.rfft(train.x[f"device {d}"]).abs().flatten(1)).mean().item()
        for d in range(2, 6)
    ]
    assert alike == sorted(alike, reverse=True)
    far = method.distances(method.lengths(method.as_views(train.x, generator(), 5)))
    assert far.argmin() == 0
    assert torch.equal(world.one_device(train).x, train.x["device 1"])
    assert torch.equal(world.one_device(train, "device 3").x, train.x["device 3"])


def test_labelled_windows_are_even_over_classes() -> None:
    train = world.one_device(world.simulator(0, 60)[0])
    rows = study.labelled(train, 40, 3)
    assert len(rows.unique()) == 40
    assert set(train.labels[rows].bincount().tolist()) == {6, 7}
    assert not torch.equal(rows, study.labelled(train, 40, 4))


def write_daphnet(folder: Path, rows: int = 1400, **changed: str) -> Path:
    """Two axes are constant but for the first, which counts the rows, so many thousandths per device."""
    file = folder / "daphnet" / world.FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    axes = [f"{place}_{axis}" for place in world.PLACES for axis in ("horiz_fwd", "vert", "horiz_lateral")]
    with file.open("w", newline="") as out:
        table = csv.DictWriter(out, ["timestamp", *axes, "is_anomaly"])
        table.writeheader()
        for row in range(rows):
            numbers = {axis: str((1 + at // 3) * row if at % 3 == 0 else at) for at, axis in enumerate(axes)}
            table.writerow({"timestamp": str(row), "is_anomaly": "0"} | numbers | (changed if row == 7 else {}))
    return file


def test_a_walker_is_read_in_the_order_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"(?s)S06R02E0.csv.*aeon/datasets.*BSD-3.*pip install --no-deps"):
        world.ankle(0)
    write_daphnet(tmp_path)
    train, test = world.ankle(0)
    count = (1400 - 64) // 12 + 1
    assert len(train) == round(0.7 * count)
    assert len(train) + len(test) == count - 5
    for part in (train, test):
        first = 12 * part.index[:, None] + torch.arange(64)
        for number, place in enumerate(world.PLACES):
            torch.testing.assert_close(part.x[place][:, 0], (1 + number) * first / 1000)
            assert part.x[place][:, 2].eq(torch.tensor(3 * number + 2) / 1000).all()
    assert 12 * int(test.index[0]) >= 12 * int(train.index[-1]) + 64 - 12, "no step is in both"
    file = write_daphnet(tmp_path, leg_vert="much")
    with pytest.raises(ValueError, match=rf"{file.name} must have numbers in columns ankle_horiz_fwd"):
        world.ankle(0)
    write_daphnet(tmp_path, rows=100)
    with pytest.raises(ValueError, match="must have at least 1280 rows of finite numbers, got 100"):
        world.ankle(0)


def test_the_watchs_instruments_are_two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def load(name: str, split: str, held: list[int] = held) -> data.Dataset:
        asked.append((split, tuple(held)))
        recording = torch.arange(6) // 3
        x = (1 + recording[:, None, None]) * normal(6, 6, 100).float() + 5
        return data.Dataset("watch", x, recording, torch.arange(6), ("a", "b"), {"recording": recording}, "series")

    asked: list[tuple[str, tuple[int, ...]]] = []
    monkeypatch.setattr(world.data, "load", load)
    train = world.watch(3)[0]
    assert asked[0][1] == asked[1][1]
    assert len(set(asked[0][1])) == 3
    for part in train.x.values():
        assert part.shape == (6, 3, 100)
        for rows in part.split(3):
            torch.testing.assert_close(rows.mean((0, 2)), torch.zeros(3), atol=1e-5, rtol=0)
            torch.testing.assert_close(rows.std((0, 2)), torch.ones(3))
    world.watch(4)
    assert asked[2][1] != asked[0][1]


def test_a_moment_is_met_by_an_encoder_that_keeps_it() -> None:
    test = world.simulator(0, 24)[1]
    twins = data.Dataset("twins", {"one": test.x["device 1"], "two": test.x["device 1"]}, test.labels, test.index,
                         test.class_names, kind=dict.fromkeys(("one", "two"), "series"))  # fmt: skip
    plain = ColloSSL(nn.Flatten(), nn.Identity(), "collossl", method.as_views)
    assert study.met(plain, twins, twins, k=1, within=0) == {study.MEET: 1}
    shifted = data.Dataset("late", {"one": test.x["device 1"], "two": test.x["device 1"].roll(1, 0)}, test.labels,
                           test.index, test.class_names, kind=dict.fromkeys(("one", "two"), "series"))  # fmt: skip
    assert study.met(plain, shifted, shifted, k=1, within=0) == {study.MEET: 0}
    assert study.met(plain, shifted, shifted, k=1, within=1)[study.MEET] > 0.95
    far = torch.tensor([2.0, 0.1, 3.0, 1.0])
    for strategy, found in (("closest", (0.1, 0.5)), ("farthest", (3.0, 0.2))):
        assert list(study.chosen(built(strategy=strategy), test, test, far=far).values()) == pytest.approx(found)
    assert study.chosen(built(strategy="random"), test, test, far=far) == {}


def test_in_the_panel_a_near_device_makes_blocks_and_the_released_sign_turns_them_round() -> None:
    near, turned, wrong = (panel.learn(*how, 0.1) for how in (
        ("device 2", "cosine"), ("device 2", "minus cosine"), ("device 5", "cosine")))  # fmt: skip
    assert near.alike[0] > near.alike[1] > near.alike[2] + 0.2
    assert turned.alike[0] < turned.alike[2]
    assert near.f1 > max(turned.f1, wrong.f1)
    assert near.far.tolist() == sorted(near.far)
    picture = panel.device_picture({"positive": "device 4"}, near)
    plan, matrix = picture.charts
    assert plan.marks[1].pairs.tolist() == [0, 3]
    assert matrix.marks[0].values.reshape(30, 30)[0, 0] == pytest.approx(near.cosine[0, 0])
    assert ("movement that the positive sees", "20%") in picture.readout
    with pytest.raises(ValueError, match=r"must be between 0\.05 and 1.*got 2"):
        panel.DevicesPanel(temperature=2.0)
