"""G-SimCLR: batches against golden numbers, what a sampler promises and cannot, and clusters that no label made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Dataset, load
from cl_explore.data.groups import in_groups
from cl_explore.methods import JointEmbedding
from cl_explore.nn import MLP, projection_head
from cl_explore.papers.g_simclr import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import HardViews

CASES = {case["name"]: case for case in json.loads(
    (Path(__file__).parents[1] / "golden" / "g-simclr.json").read_text())["cases"]}  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs_alike(rows: Tensor, groups: Tensor, batch_size: int) -> list[int]:
    """How many pairs of one group each batch holds."""
    own = groups[rows].view(-1, batch_size)
    return (own[:, :, None] == own[:, None]).triu(1).sum((1, 2)).tolist()


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("rank")])
def test_batches_without_a_draw_are_the_golden_ones(name: str) -> None:
    case = CASES[name]
    groups, size = torch.tensor(case["inputs"]["pseudo_labels"]), case["params"]["batch_size"]
    rows = method.rank_batches(groups, size)
    whole = [batch for batch in case["outputs"]["batches"] if len(batch) == size]
    assert rows.view(-1, size).tolist() == whole
    assert pairs_alike(rows, groups, size) == case["outputs"]["same_cluster_pairs_per_batch"][: len(whole)]


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ntxent")])
def test_the_loss_of_a_batch_of_distinct_clusters_is_the_golden_nt_xent(name: str) -> None:
    case = CASES[name]
    z = torch.tensor([case["inputs"]["z1"], case["inputs"]["z2"]], dtype=torch.float64).transpose(0, 1).requires_grad_()
    tau = case["params"]["temperature"]
    for loss in (losses.nt_xent(z, temperature=tau), losses.g_simclr(z, torch.arange(len(z)), temperature=tau)):
        assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
        (gradient,) = torch.autograd.grad(loss, z)
        for view, key in enumerate(("z1", "z2")):
            expected = torch.tensor(case["grad"][key], dtype=torch.float64)
            torch.testing.assert_close(gradient[:, view], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("on_exhausted", ["straddle", "drop", "resample"])
@pytest.mark.parametrize(("clusters", "size"), [(8, 8), (12, 8), (10, 4)])
def test_of_balanced_clusters_no_batch_holds_two_of_one_and_all_are_met_once(
    clusters: int, size: int, on_exhausted: method.Exhausted
) -> None:
    groups = (torch.arange(clusters * 6) % clusters)[torch.randperm(clusters * 6, generator=generator())]
    for drawn in (None, generator(1)):
        rows = method.rank_batches(groups, size, drawn, on_exhausted=on_exhausted)
        assert len(rows.unique()) == len(rows) == clusters * 6 // size * size
        assert sum(pairs_alike(rows, groups, size)) == 0


def test_what_becomes_of_clusters_of_unequal_size() -> None:
    groups = torch.arange(4).repeat_interleave(torch.tensor([2, 3, 7, 20]))
    straddle, drop, resample = (
        method.rank_batches(groups, 4, generator(), on_exhausted=way) for way in ("straddle", "drop", "resample")
    )
    assert len(straddle.unique()) == len(straddle) == 32
    assert sum(pairs_alike(straddle, groups, 4)) > 0, "more of one cluster than there are batches for"
    assert len(drop.unique()) == len(drop) == 8
    assert sum(pairs_alike(drop, groups, 4)) == sum(pairs_alike(resample, groups, 4)) == 0
    assert len(resample) == 32
    assert groups[resample].bincount().tolist() == [8] * 4
    assert resample.bincount(minlength=32)[:2].tolist() == [4, 4]
    fixed = method.rank_batches(groups, 4)
    assert pairs_alike(fixed, groups, 4) == [0, 0, 1, 2, 3, 6, 6, 6], "the tail, where the largest cluster is left"
    for wrong, size, message in (
        ("drop", 9, "batch_size must be at most 8, the rows that 4 groups of 2 to 20 give .*'drop', got 9"),
        ("straddle", 33, "batch_size must be at most 32, .* got 33"),
        ("stop", 4, "on_exhausted must be 'straddle', 'drop' or 'resample', got 'stop'"),
    ):
        with pytest.raises(ValueError, match=message):
            method.rank_batches(groups, size, on_exhausted=wrong)


def test_one_cluster_gives_random_batches() -> None:
    """Every pair of samples is as likely to meet in a batch as any other."""
    drawn, met = generator(), torch.zeros(12, 12)
    for _ in range(3000):
        rows = method.rank_batches(torch.zeros(12, dtype=torch.int64), 3, drawn).view(-1, 3)
        met[rows[:, :, None], rows[:, None]] += 1
    torch.testing.assert_close(met[~torch.eye(12, dtype=torch.bool)] / 3000, torch.full((132,), 2 / 11), atol=0.03,
                               rtol=0)  # fmt: skip


def test_false_negatives_are_counted_pair_by_pair() -> None:
    labels = torch.tensor([0, 0, 1, 1, 0, 1, 2, 3, 5, 5, 5, 5])
    assert method.false_negatives(labels, 4).tolist() == pytest.approx([2 / 6, 0, 1])
    groups = torch.tensor([0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 1])
    assert method.false_negatives(labels, 4, groups).tolist() == pytest.approx([1 / 5, 0, 1])
    oracle = torch.arange(10).repeat_interleave(24)
    for size, least, most in ((8, 0, 0), (10, 0, 0), (16, 0.05, 0.07)):
        rows = method.rank_batches(oracle, size, generator())
        assert least <= method.false_negatives(oracle[rows], size).mean() <= most, "sixteen of ten classes"


def built(form: type = method.GSimCLR, loss: str = "nt_xent", **options: object) -> JointEmbedding:
    torch.manual_seed(0)
    encoder, head = MLP([64, 32], batch_norm=False), projection_head(32, 32, 16)
    return form(encoder, head, loss, HardViews(erased=0), **options)


def digits(count: int = 96, clusters: int = 8) -> Dataset:
    whole = load("digits", "train").subset(torch.arange(count))
    return in_groups(whole, torch.arange(count) % clusters)


class Watched(method.GSimCLR):
    """Remembers whom it met."""

    def step(self, batch, generator):
        self.met.append(batch.index.tolist())
        return super().step(batch, generator)


@pytest.mark.parametrize("reshuffle", [True, False])
def test_training_meets_batches_of_distinct_clusters_drawn_anew_or_not(reshuffle: bool) -> None:
    seen, watched = digits(), built(Watched, reshuffle=reshuffle)
    watched.met = []
    fit(watched, seen, epochs=2, batch_size=8, snapshots=0, store=False, progress=False)
    place = {int(index): int(label) for index, label in zip(seen.index, seen.labels, strict=True)}
    assert all(len({place[index] for index in batch}) == 8 for batch in watched.met)
    first, second = watched.met[:12], watched.met[12:]
    assert (first == second) is not reshuffle
    for epoch in (first, second):
        assert sorted(index for batch in epoch for index in batch) == sorted(seen.index.tolist())
    assert f"reshuffle={reshuffle}, on_exhausted='straddle'" in repr(watched)


def test_random_batches_may_be_masked_instead() -> None:
    seen, masked = digits(clusters=3), built(JointEmbedding, "g_simclr", temperature=0.1)
    batch = seen.batch(torch.arange(16))
    step = masked.step(batch, generator(1))
    z = masked.embed_views(batch, generator(1)).z
    torch.testing.assert_close(step.loss, losses.g_simclr(z, seen.labels[:16], temperature=0.1))
    assert step.metrics["masked"] > 0


def test_pseudo_labels_are_found_without_labels() -> None:
    seen = load("digits", "train").subset(torch.arange(200))
    plain = JointEmbedding(nn.Flatten(), nn.Identity(), "nt_xent", HardViews())
    found = method.pseudo_labels(plain, seen, 10)
    assert found.unique().tolist() == list(range(10))
    blind = Dataset("blind", seen.x, torch.full_like(seen.labels, -1), seen.index, ("unknown",))
    assert torch.equal(method.pseudo_labels(plain, blind, 10), found)
    assert torch.equal(method.pseudo_labels(plain, seen, 10, seed=0), found)
    apart = method.false_negatives(seen.labels[method.rank_batches(found, 10, generator())], 10).mean()
    rate = method.false_negatives(seen.labels[torch.randperm(200, generator=generator())], 10).mean()
    assert apart < 0.7 * rate


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_an_auto_encoder_restores_samples_of_their_shape_and_learns(shape: tuple[int, ...]) -> None:
    x = torch.rand(64, *shape, generator=generator())
    seen = Dataset("some", x, torch.zeros(64, dtype=torch.int64), torch.arange(64), ("one",))
    made = world.pretrained(0, seen, 4)
    assert made.decoder(made(x)).shape == x.shape
    h = made(x)
    width = {1: 16, 3: 128}[shape[0]]
    assert made.project(h).shape == (64, width)
    if shape[0] == 3:
        torch.testing.assert_close(made.project(h), h.view(64, 128, 16).mean(2))
    torch.manual_seed(0)
    fresh = world.autoencoder(seen).eval()
    error = [nn.functional.mse_loss(each.decoder(each(x)), x) for each in (made, fresh)]
    assert error[0] < error[1]
    encoder, head = world.networks(seen)
    assert head(encoder(x)).shape == (64, {1: 32, 3: 50}[shape[0]])


def test_rows_of_a_method_say_what_its_batches_hold() -> None:
    train, test = world.shuffled(0, "digits", 160)
    bench = study.Bench(0, train, test, 1)
    for name, groups, loss, form in (
        ("random", None, "nt_xent", method.GSimCLR),
        ("classes", train.labels, "nt_xent", method.GSimCLR),
        ("masked", train.labels, "g_simclr", JointEmbedding),
    ):
        bench.arm(name, 8, groups, loss, form)
    random, classes, masked = (row[study.FALSE] for row in bench.rows)
    assert classes < 0.5 * random
    assert random == pytest.approx(0.1, abs=0.03)
    assert masked == 0
    assert all(0 < row[study.LINEAR] <= 1 for row in bench.rows)
    other = world.shuffled(1, "digits", 160)[0]
    assert sorted(other.index.tolist()) == sorted(train.index.tolist())
    assert other.index.tolist() != train.index.tolist()


def state(**changes: object) -> dict[str, object]:
    return {"k": 8, "batch_size": 8, "source": panel.SOURCES[0], "place": 90, **changes}


def test_the_panel_frames_a_batch_and_shows_the_tail() -> None:
    shown, along = panel.false_negatives_picture(state(), panel.clusters(8)).charts
    labels = panel.digits().labels[panel.epoch(panel.SOURCES[0], panel.clusters(8), 8)[135]]
    framed = (shown.marks[0].pixels.reshape(8, 10, 10, 3)[:, 0, 0] == panel.FRAME).all(1)
    assert framed.tolist() == [(labels == label).sum() > 1 for label in labels]
    assert any(framed)
    guided, random, classes = (line.y for line in along.marks[:3])
    assert guided[:14].max() < random.mean() < guided[-3:].min()
    assert classes[:-1].max() == 0
    single = panel.epoch(panel.SOURCES[1], panel.clusters(8), 8)
    np.testing.assert_allclose(np.mean(panel.course(single)[1]), float(panel.rates(single).mean()), atol=0.2)


def test_the_panel_of_a_few_large_batches_and_of_wrong_places() -> None:
    made = panel.FalseNegativesPanel(k=64, batch_size=64, place=100)
    assert "Batch 18 of 18" in made.picture.charts[0].title
    assert len(made.canvas.data) + len(made.canvas.spec) < 40_000
    assert len(made.picture.charts[1].marks[0].y) == 18
    with pytest.raises(ValueError, match="k must be between 2 and 64, got 65"):
        panel.FalseNegativesPanel(k=65)
