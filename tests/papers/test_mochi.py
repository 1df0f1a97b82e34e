from itertools import product

import numpy as np
import pytest
import torch

from cl_explore import losses
from cl_explore.papers.mochi.panel import QUEUE, MixPanel, mix_picture, mixed, recipe, seen_from, world
from cl_explore.widgets.marks import Bars, Edges

STATE = {"hardest": 12, "pairs": 6, "queries": 5, "query_share": 0.5, "temperature": 0.2, "dim": 3}


def test_every_mix_lies_between_the_parents_it_is_joined_to() -> None:
    at = mixed({**STATE, "dim": 2})  # on the circle places are the points themselves
    query, _, queue = world(2)
    for point, first, second in zip(at.made.numpy(), at.first, at.second, strict=True):
        a = queue[int(first)]
        b = query[0] if second < 0 else queue[int(second)]
        if torch.equal(a, b):
            np.testing.assert_allclose(point, a, atol=1e-6)
        else:
            assert (np.linalg.solve(torch.stack([a, b]).T.numpy(), point) > -1e-4).all()
    assert set(at.first.tolist()) <= set(at.hard.nonzero()[:, 0].tolist())
    assert (at.second[6:] == -1).all()
    assert (at.second[:6] >= 0).all()


def test_lines_join_each_mix_to_its_two_parents() -> None:
    at, picture = mixed(STATE), mix_picture(STATE)
    pairs, queries = (mark for mark in picture.charts[0].marks if isinstance(mark, Edges))
    assert (len(pairs.pairs), len(queries.pairs)) == (2 * 2 * 6, 2 * 2 * 5)
    ends = queries.pairs.reshape(2, 5, 2).astype(int)  # first parents, second parents
    np.testing.assert_array_equal(ends[0, :, 0], at.first[6:])
    np.testing.assert_allclose(np.stack([queries.x, queries.y], 1)[ends[1, :, 0]], at.query.expand(5, 2))
    np.testing.assert_allclose(np.stack([queries.x, queries.y], 1)[ends[1, :, 1]], at.made[6:], atol=1e-6)


def test_more_mixes_move_none_of_those_there() -> None:
    few, many = mixed(STATE).made, mixed({**STATE, "pairs": 20}).made
    np.testing.assert_array_equal(few[:6], many[:6])
    np.testing.assert_array_equal(few[6:], many[20:])  # the query mixes come behind
    np.testing.assert_array_equal(few, mixed({**STATE, "queries": 9}).made[:11])


def test_without_a_share_of_the_query_its_mixes_are_copies_and_with_it_they_are_harder() -> None:
    query, _, queue = world(3)
    hardness = {}
    for share in (0.0, 0.9):
        made = losses.mix_hard_negatives(query, queue, recipe(12, 0, 8, share))[0]
        hardness[share] = made @ query[0]
    parents = (queue @ query[0]).topk(12).values[recipe(12, 0, 8, 0.0).query_ranks[0]]
    torch.testing.assert_close(hardness[0.0], parents)
    assert (hardness[0.9] >= parents).all()


def test_histograms_count_every_negative_and_every_mix() -> None:
    real, synthetic = (mark for mark in mix_picture(STATE).charts[1].marks if isinstance(mark, Bars))
    assert real.height.sum() == QUEUE
    assert synthetic.height.sum() == 11
    assert mixed(STATE).hard.sum() == 12


def test_without_mixes_the_loss_is_that_of_the_real_negatives() -> None:
    panel = MixPanel(pairs=0, queries=0)
    readout = dict(panel.picture.readout)
    assert readout["hardest synthetic"] == "none"
    assert readout["with the synthetic"] == readout["loss, real negatives only"]
    query, key, queue = world(3)
    assert readout["with the synthetic"] == f"{losses.moco(query, key, queue, temperature=0.2).item():.2f}"
    panel.knobs["queries"].value = 10
    assert float(dict(panel.picture.readout)["with the synthetic"]) > float(readout["with the synthetic"])


def test_the_disc_has_the_query_in_its_middle_and_the_opposite_point_on_its_rim() -> None:
    query = torch.tensor([[0.0, 1.0, 0.0]])
    points = torch.tensor([[0.0, 1.0, 0.0], [0.6, -0.8, 0.0], [0.0, 0.0, 1.0]])
    places = seen_from(query, points)
    torch.testing.assert_close(places, torch.tensor([[0.0, 0.0], [0.9**0.5, 0.0], [0.0, 0.5**0.5]]))


def test_no_negative_is_nearer_than_25_degrees() -> None:
    for dim in (2, 3):
        query, key, queue = world(dim)
        assert queue.shape == (QUEUE, dim)
        assert (queue @ query[0]).max() < np.cos(np.deg2rad(25)) < (key @ query[0]).item()


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="hardest must be between 2 and 80, got 81"):
        MixPanel(81)
    with pytest.raises(ValueError, match="queries must be between 0 and 48, got -1"):
        MixPanel(queries=-1)
    with pytest.raises(ValueError, match="dim must be 2 or 3, got 4"):
        MixPanel(dim=4)


def test_knobs_reach_every_corner_of_their_range() -> None:
    panel = MixPanel()
    knobs = ("hardest", "pairs", "queries")
    for ends in product(*((panel.knobs[name].min, panel.knobs[name].max) for name in knobs)):
        for name, value in zip(knobs, ends, strict=True):
            panel.knobs[name].value = value
        assert all("nan" not in value for _, value in panel.picture.readout)
