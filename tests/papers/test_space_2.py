"""SPACE-2: trees against golden scores, spaces and halves of a batch, drawn dialogs, and what the panel draws."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from cl_explore import losses
from cl_explore.data import Batch, Dataset
from cl_explore.papers.space_2 import panel, world
from cl_explore.papers.space_2.method import VIEWS, SemiSupervised, SubSpaces, TreeContrast, elements, tree_scores
from cl_explore.views import VectorViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "space-2.json").read_text())["cases"]
TREES = [case for case in CASES if "frame1" in case["inputs"]]
HOTEL = {"hotel": {"inform": {"area": [{"value": "north"}]}, "request": {"phone": []}, "bye": {}}, "taxi": {}}
VIEWED = VectorViews(noise=0.0, dropout=0.3)


@pytest.mark.parametrize("case", TREES, ids=lambda case: case["name"])
def test_scores_of_two_trees_are_those_of_the_authors(case: dict) -> None:
    frames = [[case["inputs"][name]] for name in ("frame1", "frame2")]
    assert tuple(case["params"]["order"]) == VIEWS
    for sides in (frames, frames[::-1]):
        found = tree_scores(*sides)
        torch.testing.assert_close(found.each[0, 0].tolist(), case["scores"], atol=1e-9, rtol=0)
        assert found.combined.item() == pytest.approx(case["combined"], abs=1e-9)


def test_scores_of_many_trees_are_those_of_each_two_and_1_with_itself() -> None:
    frames = [case["inputs"]["frame1"] for case in TREES] + [{}]
    among, apart = tree_scores(frames), tree_scores(frames, frames)
    off = ~torch.eye(len(frames), dtype=torch.bool)
    for found, each in zip(among, apart, strict=True):
        torch.testing.assert_close(found[off], each[off])
        assert found.diagonal().eq(1).all()
        torch.testing.assert_close(found, found.transpose(0, 1))
    assert apart.combined[-1].eq(0).all(), "an empty tree is like none, not even itself, but in training"
    same = torch.tensor([[a == b for b in frames] for a in frames])
    shown = torch.tensor([bool(frame) for frame in frames])
    assert torch.equal(apart.combined.eq(1), same & shown)


def test_a_branch_counts_in_the_views_that_it_reaches() -> None:
    assert elements(HOTEL, "D") == {("hotel",), ("taxi",)}
    assert elements(HOTEL, "DI") == {("hotel", "inform"), ("hotel", "request"), ("hotel", "bye")}
    assert elements(HOTEL, "S") == {("area",), ("phone",)}
    assert elements(HOTEL, "DISV") == {("hotel", "inform", "area", "north")}


def test_names_are_cleaned_values_are_texts_and_placeholders_are_none() -> None:
    untidy = {" Hotel": {"INFORM ": {"Area": [{"value": " North"}, {"value": "north"}]}}}
    assert elements(untidy, "DISV") == {("hotel", "inform", "area", "north")}
    assert elements({"taxi": {"book": {"people": [{"value": 3}]}}}, "V") == {("3",)}
    nameless = {"DEFAULT_DOMAIN": {"Default_Intent": {"area": [{"value": "north"}]}}}
    assert {view for view in VIEWS if elements(nameless, view)} == {"S", "V", "SV"}


def test_cosines_of_the_head_are_the_mean_of_those_in_its_spaces() -> None:
    torch.manual_seed(0)
    z = SubSpaces(5, 4, 3)(torch.randn(6, 5))
    spaces = z.unflatten(1, (3, 4))
    torch.testing.assert_close(spaces.norm(dim=2), torch.ones(6, 3))
    cosine = nn.functional.normalize(z, dim=1) @ nn.functional.normalize(z, dim=1).T
    torch.testing.assert_close(cosine, torch.einsum("nsd,msd->nms", spaces, spaces).mean(2))


@pytest.fixture(scope="module")
def drawn() -> world.Dialogs:
    return world.dialogs(0, 24)


def contrast(form: type[TreeContrast], drawn: world.Dialogs, spaces: int) -> TreeContrast:
    torch.manual_seed(0)
    scores = tree_scores(drawn.frames).each[..., :spaces].float()
    return form(*world.networks(drawn.data, spaces=spaces, size=8), "soft_supcon", VIEWED, scores=scores)


def test_each_space_has_its_own_scores(drawn: world.Dialogs) -> None:
    method = contrast(TreeContrast, drawn, 3)
    rows = torch.tensor([5, 2, 11, 7, 20])
    batch = drawn.data.batch(rows)
    z = method.embed_views(batch, torch.Generator().manual_seed(1)).z
    step = method.step(batch, torch.Generator().manual_seed(1))
    own = [losses.soft_supcon(z[..., 8 * v : 8 * v + 8], method.scores[rows][:, rows, v]) for v in range(3)]
    torch.testing.assert_close(step.loss, torch.stack(own).mean())
    assert {"positive", "entropy"} <= step.metrics.keys()


def test_scores_must_fit_the_head(drawn: world.Dialogs) -> None:
    parts = *world.networks(drawn.data, spaces=10, size=8), "soft_supcon", VIEWED
    with pytest.raises(ValueError, match=r"scores must have shape \(N, N, S\), got \(24, 24\)"):
        TreeContrast(*parts, scores=torch.eye(24))
    with pytest.raises(ValueError, match="scores must be of 10 spaces as the head has, got 3"):
        TreeContrast(*parts, scores=torch.ones(24, 24, 3))
    with pytest.raises(ValueError, match="TreeContrast is for losses that take weights, not nt_xent"):
        TreeContrast(*parts[:2], "nt_xent", VIEWED, scores=torch.ones(24, 24, 10))


def test_labelled_and_unlabelled_halves_are_no_negatives_of_each_other(drawn: world.Dialogs) -> None:
    known = torch.arange(24) < 8
    labels = drawn.data.labels.where(known, -1)
    data = Dataset("half", drawn.data.x, labels, drawn.data.index, drawn.data.class_names)
    frames = [frame if keep else {} for frame, keep in zip(drawn.frames, known, strict=True)]
    method = contrast(SemiSupervised, world.Dialogs(data, frames), 2)
    order = method.draw_order(data, 8, torch.Generator().manual_seed(0))
    assert known[order].view(-1, 8).sum(1).tolist() == [4, 4, 4, 4]
    assert order[~known[order]].unique().tolist() == list(range(8, 24))
    assert order[known[order]].bincount()[:8].tolist() == 8 * [2], "the smaller part comes again"
    batch = data.batch(order[:8])
    z = method.embed_views(batch, torch.Generator().manual_seed(1)).z.unflatten(2, (2, 8))
    kinds = batch.labels >= 0
    rows = batch.index[kinds]
    own = [losses.soft_supcon(z[kinds, :, v], method.scores[rows][:, rows, v]) for v in range(2)]
    alone = [losses.nt_xent(z[~kinds, :, v], temperature=0.07) for v in range(2)]
    step = method.step(batch, torch.Generator().manual_seed(1))
    torch.testing.assert_close(step.loss, torch.stack(own).mean() + torch.stack(alone).mean())
    with pytest.raises(ValueError, match="batch_size must be even, half of it labelled, got 7"):
        method.draw_order(data, 7, torch.Generator())
    with pytest.raises(ValueError, match="dataset must hold labelled and unlabelled samples, got 24 and 0"):
        method.draw_order(drawn.data, 8, torch.Generator())


def test_a_dialog_tells_its_tree_in_words(drawn: world.Dialogs) -> None:
    again, others = world.dialogs(0, 24), world.dialogs(0, 24, part=1)
    assert torch.equal(again.data.x, drawn.data.x)
    assert not torch.equal(others.data.x, drawn.data.x)
    for x, label, frame in zip(drawn.data.x, drawn.data.labels, drawn.frames, strict=True):
        told = {name for view in "DISV" for (name,) in elements(frame, view)}
        words = x[: -world.FILLERS].view(-1, world.SYNONYMS).sum(1)
        assert {world.LABELS[place] for place in words.nonzero()[:, 0]} == told
        assert x[-world.FILLERS :].sum() == world.FILLED
        assert elements(frame, "DI") == {tuple(drawn.data.class_names[label].split())}
        assert 1 <= len(elements(frame, "S")) <= 3


def test_an_unlabelled_batch_is_contrasted_by_its_views_alone(drawn: world.Dialogs) -> None:
    empty = world.Dialogs(drawn.data, [{}] * 24)
    method = contrast(TreeContrast, empty, 1)
    batch = Batch(drawn.data.x, drawn.data.labels, drawn.data.index)
    z = method.embed_views(batch, torch.Generator().manual_seed(1)).z
    torch.testing.assert_close(method.step(batch, torch.Generator().manual_seed(1)).loss,
                               losses.nt_xent(z, temperature=0.07))  # fmt: skip


def test_the_panel_draws_degrees_and_the_shares_they_make() -> None:
    shown = panel.TreePanel()
    parts, shares, table = shown.picture.charts
    assert parts.marks[0].height.tolist() == [1, 1, 0, 1, 1, 0, 0, 0, 0, 0]
    assert parts.marks[1].y == pytest.approx(0.4)
    degrees = table.marks[0].values.reshape(6, 11)[::-1, -1]
    torch.testing.assert_close(shares.marks[0].height.tolist(), (degrees / degrees.sum()).tolist())
    assert degrees[0] == 1
    shown.knobs["part"].value = "DISV"
    assert shown.picture.charts[1].marks[0].height.tolist() == [1, 0, 0, 0, 0, 0]
    for level in panel.LABELS:
        shown.knobs[f"{level}_b"].value = shown.knobs[f"{level}_a"].value
    assert shown.picture.charts[0].marks[0].height.tolist() == 10 * [1]
    assert dict(shown.picture.readout)["share of B"] == "50%"
    shown.knobs["slot_b"].value = panel.NONE
    assert shown.picture.charts[0].marks[0].height.tolist() == [1, 1, 0, 0, 1, 0, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"temperature must be between 0\.03 and 1\.0, got 2"):
        panel.TreePanel(temperature=2.0)
