import numpy as np
import torch

from cl_explore import losses
from cl_explore.papers.mochi.panel import QUEUE, MixPanel, mix_picture, recipe, seen_from, world

STATE = {"hardest": 12, "pairs": 6, "queries": 5, "query_share": 0.5, "temperature": 0.2, "dim": 3}


def test_every_mix_lies_between_the_parents_it_is_joined_to() -> None:
    frame = mix_picture({**STATE, "dim": 2})  # on the circle places are the points themselves
    query, _, queue = world(2)
    made = frame["made"].reshape(-1, 2)[:11]
    for point, first, second in zip(made, frame["first"], frame["second"], strict=False):
        a = queue[int(first)]
        b = query[0] if second < 0 else queue[int(second)]
        if torch.equal(a, b):
            np.testing.assert_allclose(point, a, atol=1e-6)
        else:
            assert (np.linalg.solve(torch.stack([a, b]).T.numpy(), point) > -1e-4).all()
    assert set(frame["first"][:11].astype(int)) <= set(np.flatnonzero(frame["hard"]))
    assert (frame["second"][6:11] == -1).all()
    assert (frame["second"][:6] >= 0).all()


def test_more_mixes_move_none_of_those_there() -> None:
    few, many = mix_picture(STATE), mix_picture({**STATE, "pairs": 20})
    np.testing.assert_array_equal(few["made"][:12], many["made"][:12])
    np.testing.assert_array_equal(few["made"][12:22], many["made"][40:50])  # the query mixes come behind
    np.testing.assert_array_equal(few["made"][:22], mix_picture({**STATE, "queries": 9})["made"][:22])


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
    frame = mix_picture(STATE)
    assert frame["real"].sum() == QUEUE
    assert frame["synthetic"].sum() == 11
    assert frame["hard"].sum() == 12


def test_without_mixes_the_loss_is_that_of_the_real_negatives() -> None:
    panel = MixPanel(pairs=0, queries=0)
    readout = dict(panel.frame["readout"])
    assert readout["hardest synthetic"] == "none"
    assert readout["with the synthetic"] == readout["loss, real negatives only"]
    query, key, queue = world(3)
    assert readout["with the synthetic"] == f"{losses.moco(query, key, queue, temperature=0.2).item():.2f}"
    panel.knobs["queries"].value = 10
    assert float(dict(panel.frame["readout"])["with the synthetic"]) > float(readout["with the synthetic"])


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
