"""MCL: groups and batches against golden numbers, stages and their identities, and what a second stage finds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, nn

from cl_explore import evaluate
from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding, Method
from cl_explore.nn import MLP, projection_head
from cl_explore.papers.mcl_feature_suppression import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import VectorViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "mcl-feature-suppression.json").read_text())["cases"]
GOLDEN = {case["name"]: case for case in CASES}  # the losses of the file are in tests/losses/test_negatives.py
QUICK = {"lr": 2e-3, "snapshots": 0, "store": False, "progress": False, "device": "cpu"}


def vectors(samples: int = 60, groups: int = 1) -> Dataset:
    x = torch.randn(samples, 6, generator=Generator().manual_seed(0))
    labels = torch.arange(samples) % groups
    return Dataset("vectors", x, labels, torch.arange(samples), tuple(map(str, range(groups))))


def built(form: type[Method] = method.Grouped, loss: str = "mcl", **options: object) -> Method:
    torch.manual_seed(0)
    encoder, head = MLP([6, 16, 8], batch_norm=False), projection_head(8, 8, 4)
    return form(encoder, head, loss, VectorViews(noise=0.1), **options)


def test_groups_are_the_golden_numbers_in_base_k() -> None:
    case = GOLDEN["pseudo_labels_two_stages_K3"]
    groups = torch.zeros(6, dtype=torch.int64)
    for clusters in case["inputs"]["cluster_labels_per_stage"]:
        groups = method.refine(groups, torch.tensor(clusters), case["params"]["num_clusters"])
    assert groups.tolist() == case["outputs"]["pseudo_label"]


def test_groups_that_cannot_be_told_apart_are_refused() -> None:
    for clusters in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match=r"clusters must be in \[0, 3\), got"):
            method.refine(torch.tensor([0, 1]), torch.tensor(clusters), 3)
    with pytest.raises(ValueError, match="groups must be below"):
        method.refine(torch.tensor([0, 2**61]), torch.tensor([0, 1]), 4)


def test_batches_of_one_group_are_the_golden_ones() -> None:
    case = GOLDEN["sampler_round_robin"]
    groups, size = torch.tensor(case["inputs"]["pseudo_label"]), case["params"]["batch_size"]
    for seed in range(3):
        rows = method.group_batches(groups, size, Generator().manual_seed(seed), incomplete="drop")
        assert groups[rows].view(-1, size).tolist() == case["outputs"]["batch_pseudo_labels"]
        assert len(rows.unique()) == len(rows) == size * case["outputs"]["n_batches"]


def test_what_fills_no_batch_of_its_group_is_joined_or_never_seen() -> None:
    groups = torch.tensor([0] * 9 + [7] * 5 + [3] * 2 + [5])
    drawn = Generator().manual_seed(0)
    seen = [method.group_batches(groups, 4, drawn, incomplete=way) for way in ("join", "drop") for _ in range(20)]
    joined, dropped = seen[:20], seen[20:]
    assert {len(rows) for rows in joined} == {16}
    assert {len(rows) for rows in dropped} == {12}
    assert all(len(rows.unique()) == len(rows) for rows in seen)
    assert set(torch.cat(joined).tolist()) == set(range(17)), "in some epoch each is seen"
    assert set(groups[torch.cat(dropped)].tolist()) == {0, 7}, "small groups are not"
    assert [groups[rows[:12]].view(3, 4).tolist() for rows in joined] == 20 * [[[0] * 4, [7] * 4, [0] * 4]]
    assert len({tuple(rows.tolist()) for rows in seen}) == 40, "drawn anew"
    ends = [groups[rows[12:]] for rows in joined]
    assert all(len(end.unique_consecutive()) == len(end.unique()) for end in ends), "group after group"
    with pytest.raises(ValueError, match="batch_size must be at most the 9 samples of the largest of 4 groups, got 10"):
        method.group_batches(groups, 10, drawn, incomplete="drop")


def test_with_one_group_training_is_that_of_nt_xent() -> None:
    one = built(incomplete="drop"), built(JointEmbedding, "nt_xent", temperature=0.2)
    ours, theirs = (fit(each, vectors(), epochs=3, batch_size=16, **QUICK) for each in one)
    for a, b in zip(ours.method.parameters(), theirs.method.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert ours.history["loss"].to_numpy() == pytest.approx(theirs.history["loss"].to_numpy(), rel=1e-5)


def test_an_epoch_has_the_batches_that_are_full() -> None:
    for incomplete, batches in (("join", 3), ("drop", 2)):
        run = fit(built(incomplete=incomplete), vectors(54, groups=2), epochs=2, batch_size=16, **QUICK)
        assert len(run.history) == 2 * batches
    with pytest.raises(ValueError, match="batch_size must be at most the 6 samples"):
        fit(built(incomplete="drop"), vectors(60, groups=10), epochs=1, batch_size=16, **QUICK)


def test_each_stage_is_trained_on_the_clusters_of_all_before() -> None:
    train, asked = vectors(), []

    def trained(stage: int, seen: Dataset, last: Method | None) -> Method:
        asked.append((stage, seen.labels, last))
        found = built()
        with torch.no_grad():
            found.head.layers[0].weight.mul_(1 + stage)
        return found

    found, groups = method.learn_in_stages(train, trained, stages=3, clusters=3)
    assert [stage for stage, _, _ in asked] == [0, 1, 2]
    assert [last for _, _, last in asked] == [None, *found[:2]]
    clusters = [evaluate.kmeans(evaluate.embed(one, train).z, 3) for one in found[:2]]
    assert torch.equal(groups, 3 * clusters[0] + clusters[1])
    assert asked[0][1].eq(0).all()
    assert torch.equal(asked[1][1], clusters[0])
    assert torch.equal(asked[2][1], groups.unique(return_inverse=True)[1]), "those that occur, from 0 on"
    once, single = method.learn_in_stages(train, trained, stages=1, clusters=3)
    assert len(once) == 1
    assert single.eq(0).all()


def test_encoders_side_by_side() -> None:
    x, encoders = torch.randn(5, 6), [nn.Linear(6, 2), nn.Linear(6, 3)]
    torch.testing.assert_close(method.SideBySide(encoders)(x), torch.cat([one(x) for one in encoders], 1))


def test_a_tag_is_drawn_for_each_sample_and_shared_by_its_views() -> None:
    train, test = world.tagged(0, "digits", 100, 3, 1.5)
    assert (len(train), len(test), train.x["tag"].shape) == (100, 100, (100, 3))
    assert train.x["tag"].abs().eq(1.5).all()
    bits = (train.x["tag"] > 0).long()
    assert torch.equal(train.factors["code"], bits @ torch.tensor([1, 2, 4]))
    assert not torch.equal(train.x["tag"], test.x["tag"])
    again, other = world.tagged(0, "digits", 100, 3, 1.5)[0], world.tagged(1, "digits", 100, 3, 1.5)[0]
    assert again.fingerprint() == train.fingerprint() != other.fingerprint()
    assert torch.equal(train.x["image"], other.x["image"])
    views = study.Bench(0, train, test, 1, "").entry.keywords["augment"](train.x, Generator().manual_seed(0), 2)
    assert torch.equal(views["tag"][:, 0], train.x["tag"])
    assert torch.equal(views["tag"][:, 1], train.x["tag"])
    assert not torch.equal(views["image"][:, 0], views["image"][:, 1])


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32)])
def test_networks_fit_the_pictures(channels: int, size: int) -> None:
    x = {"image": torch.rand(4, channels, size, size), "tag": torch.ones(4, 5)}
    pictures = Dataset("pictures", x, torch.zeros(4, dtype=torch.int64), torch.arange(4), ("one",))
    encoder, head = world.networks(pictures, 48)
    assert encoder(x).shape == (4, 48)
    assert head(encoder(x)).shape == (4, 32)
    other = encoder({"image": x["image"], "tag": -x["tag"]})
    assert not torch.allclose(encoder(x), other), "the tag is seen"


def test_pairs_of_a_group_with_the_same_tag_are_counted() -> None:
    groups, code = torch.tensor([0, 0, 0, 4, 4, 9]), torch.tensor([1, 1, 2, 3, 3, 3])
    assert study.grouping(groups, code) == {"groups": 3, study.ALIKE: pytest.approx(2 / 4)}
    assert study.grouping(code, code)[study.ALIKE] == 1


def test_where_negatives_share_the_tag_the_next_stage_finds_the_digit() -> None:
    train, test = world.tagged(0, "digits", 640, 4, 3.0)
    bench = study.Bench(0, train, test, 8, "")
    bench.mcl("MCL", bench.member("first", 0), stages=2, clusters=16)
    rows: dict[str, dict[str, float]] = {row["method"]: row for row in bench.rows}
    assert rows["MCL"][study.ALIKE] > 0.9
    assert rows["MCL"]["coverage"] == 1.0
    assert rows["MCL, stage 2 alone"]["kNN h"] > rows["first"]["kNN h"] + 0.1
    assert rows["MCL"][study.LINEAR] > rows["first"][study.LINEAR] + 0.05
    assert rows["MCL"][study.BITS] > 0.99


def state(**changes: object) -> dict[str, object]:
    return {"bits": 6, "clusters": 64, "temperature": 0.2, **changes}


def stages(alike: float = 1.0) -> panel.Stages:
    maps, labels = np.zeros((2, 12, 2), np.float32), torch.arange(12) % 10
    return panel.Stages([0.7, 0.72, 0.6, 0.83, 0.88], [0.1, 0.1, 0.1, 0.7, 0.3], 1.0, alike, maps, labels)


def test_the_panel_says_what_a_training_found() -> None:
    picture = panel.suppression_picture(state(), stages())
    read = dict(picture.readout)
    assert read["tags"] == read["groups"] == "64"
    assert read["MCL over the ensemble, probe"] == "+16 points"
    assert read["pairs of a group with the same tag"] == "100%"
    linear, neighbours, first, second = picture.charts
    assert linear.marks[0].height.tolist() == pytest.approx(stages().linear)
    assert neighbours.marks[0].height.tolist() == pytest.approx(stages().neighbours)
    assert first.marks[0].group.tolist() == second.marks[0].group.tolist() == stages().labels.tolist()


def test_with_fewer_groups_than_tags_the_panels_second_stage_keeps_to_the_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "SAMPLES", 400)
    panel.world.cache_clear()
    panel.before.cache_clear()
    few, enough = (panel.learned(4, clusters, 0.2) for clusters in (2, 16))
    panel.world.cache_clear()
    panel.before.cache_clear()
    assert few.alike < 0.2 < 0.8 < enough.alike
    assert few.neighbours[:3] == enough.neighbours[:3], "what K does not touch"
    assert few.neighbours[3] < enough.neighbours[3]


def test_the_panel_trains_anew_for_another_knob_and_refuses_what_it_cannot_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int, float]] = []
    monkeypatch.setattr(
        panel, "learned", lambda bits, clusters, temperature: asked.append((bits, clusters, temperature)) or stages()
    )
    shown = panel.SuppressionPanel()
    shown.knobs["clusters"].value = 8
    shown.wait()
    assert asked == [(6, 64, 0.2), (6, 8, 0.2)]
    assert dict(shown.picture.readout)["groups"] == "8"
    for unfit in ({"bits": 9}, {"clusters": 10}, {"temperature": 2.0}):
        with pytest.raises(ValueError, match=f"{next(iter(unfit))} must be"):
            panel.SuppressionPanel(**unfit)
