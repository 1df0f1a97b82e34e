from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import softmax

from cl_explore.papers.cacr.panel import (
    NEGATIVES,
    AttractionPanel,
    attraction_picture,
    effective,
    of_anchor,
    scatter,
    weighed,
)
from cl_explore.widgets.marks import Edges, Points


@pytest.mark.parametrize("tau", [0.0, 0.7, 4.0])
def test_weights_are_softmaxes_of_the_squared_distances(tau: float) -> None:
    z = scatter(5, 60.0)
    measured = of_anchor(z, tau_pos=tau, tau_neg=tau)
    points = torch.cat([z[0, 1:], z[1:, 0]])
    cost = (points - z[0, 0]).square().sum(1)
    torch.testing.assert_close(measured["cost"], cost, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(measured["weight"][:4], softmax(tau * cost[:4].numpy()), rtol=1e-4)
    np.testing.assert_allclose(measured["weight"][4:], softmax(-tau * cost[4:].numpy()), rtol=1e-4)


def test_the_anchor_stands_on_top_and_other_samples_have_equal_views() -> None:
    z = scatter(4, 40.0)
    assert z.shape == (NEGATIVES + 1, 4, 2)
    torch.testing.assert_close(z[0, 0], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(z[1:], z[1:, :1].expand(-1, 4, -1))
    angle = torch.rad2deg(z[0, 1:, 1].clamp(-1, 1).acos())
    assert angle.max().item() == pytest.approx(40, abs=1e-3)


def test_weights_that_carry_gradient_pull_far_negatives_and_held_ones_never_do() -> None:
    z = scatter(5, 60.0)
    live = of_anchor(z, tau_pos=1.0, tau_neg=2.0, weight_grad="live")
    cost, weight, pull = (live[name][4:] for name in ("cost", "weight", "pull"))
    # the sign of d loss / d cost = -w (1 - tau (cost - mean)): far ones, by more than 1 / tau, are pulled
    far = cost - (weight * cost).sum() > 1 / 2
    sure = cost < 3.99  # opposite the anchor no direction leads to it
    torch.testing.assert_close((pull > 0)[sure], far[sure])
    held = of_anchor(z, tau_pos=1.0, tau_neg=2.0, weight_grad="detach")["pull"]
    assert (held[:4] > 0).all()
    assert (held[4:] <= 1e-6).all()


def test_effective_number_counts_equal_weights_and_one_that_holds_all() -> None:
    assert effective(torch.full((4,), 0.25)) == pytest.approx(4)
    assert effective(torch.tensor([1.0, 0.0])) == pytest.approx(1)


def test_knobs_change_what_is_drawn_and_read_out() -> None:
    panel = AttractionPanel(0.0, 0.0)
    assert dict(panel.picture.readout)["effective negatives"] == "20.0 of 20"
    assert dict(panel.picture.readout)["effective positives"] == "4.0 of 4"
    panel.knobs["tau_neg"].value = 10.0
    assert float(dict(panel.picture.readout)["effective negatives"].split()[0]) < 5
    panel.knobs["views"].value = 2
    at = weighed(panel.state())
    assert at.positives == 1
    assert at.weight[0] == pytest.approx(1)  # one positive: nothing to weigh
    panel.knobs["weight_grad"].value = "detach"
    assert dict(panel.picture.readout)["negatives pulled, not pushed"] == "0 of 20"


def test_lines_are_as_thick_as_weights_and_every_point_is_drawn() -> None:
    state = AttractionPanel(2.0, 2.0).state()
    at, picture = weighed(state), attraction_picture(state)
    edges = [mark for mark in picture.charts[0].marks if isinstance(mark, Edges)]
    np.testing.assert_allclose(np.concatenate([edge.width for edge in edges]), (18 * at.weight).clamp(min=0.4))
    for chart in picture.charts[1:]:
        assert len(next(mark for mark in chart.marks if isinstance(mark, Points)).x) == 4 + NEGATIVES


def test_temperatures_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tau_pos must be between 0.0 and 5.0, got 6"):
        AttractionPanel(tau_pos=6)
    with pytest.raises(ValueError, match=r"tau_neg must be between 0.0 and 10.0, got -1"):
        AttractionPanel(tau_neg=-1)


def test_knobs_reach_every_corner_of_their_range() -> None:
    panel = AttractionPanel()
    knobs = ("tau_pos", "tau_neg", "spread", "views")
    for ends in product(*((panel.knobs[name].min, panel.knobs[name].max) for name in knobs)):
        for name, value in zip(knobs, ends, strict=True):
            panel.knobs[name].value = value
        assert all("nan" not in value for _, value in panel.picture.readout)
