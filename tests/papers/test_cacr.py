import numpy as np
import pytest
import torch
from scipy.special import softmax

from cl_explore.papers.cacr.panel import NEGATIVES, AttractionPanel, effective, of_anchor, scatter


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
    assert dict(panel.frame["readout"])["effective negatives"] == "20.0 of 20"
    assert dict(panel.frame["readout"])["effective positives"] == "4.0 of 4"
    panel.knobs["tau_neg"].value = 10.0
    assert float(dict(panel.frame["readout"])["effective negatives"].split()[0]) < 5
    panel.knobs["views"].value = 2
    assert panel.frame["positives"] == 1
    assert panel.frame["weight"][0] == pytest.approx(1)  # one positive: nothing to weigh
    panel.knobs["weight_grad"].value = "detach"
    assert dict(panel.frame["readout"])["negatives pulled, not pushed"] == "0 of 20"
