"""Contrastive UCB: noise contrast and planning against golden numbers, the lock, and what a bonus is worth."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from cl_explore.papers.contrastive_ucb import method, world
from cl_explore.papers.contrastive_ucb.panel import ExplorePanel

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "contrastive-ucb.json").read_text())


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_contrast_and_its_gradient_are_the_golden_ones(case: dict) -> None:
    phi, psi = (tensor(case["inputs"][name]).requires_grad_() for name in ("phi", "psi"))
    params = case["params"]
    if "y" in params:
        loss = method.contrast((phi * psi).sum(-1), tensor(params["y"])).mean()
    else:
        joint = tensor(params["rho"])[..., None] * tensor(params["P"])
        loss = method.expected_contrast(phi, psi, joint, tensor(params["P_minus"]))
    torch.testing.assert_close(loss.item(), case["loss"], atol=1e-12, rtol=0)
    for leaf, name in zip(torch.autograd.grad(loss, (phi, psi)), ("phi", "psi"), strict=True):
        torch.testing.assert_close(leaf, tensor(case["grad"][name]), atol=1e-12, rtol=0)


def test_contrast_is_binary_cross_entropy_and_log_2_where_the_ratio_is_one() -> None:
    ratio = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    y = (torch.arange(50) % 2).double()
    by_hand = y * (1 + 1 / ratio).log() + (1 - y) * (1 + ratio).log()
    torch.testing.assert_close(method.contrast(ratio, y), by_hand, atol=1e-12, rtol=0)
    assert method.contrast(torch.ones(3), torch.tensor([0, 1, 0])).tolist() == pytest.approx([0.6931472] * 3)


def test_planning_with_the_bonus_is_the_golden_one() -> None:
    case = GOLDEN["planning_case"]
    inputs, params, outputs = case["inputs"], case["params"], case["outputs"]
    model = method.normalise(tensor(inputs["phi"]), tensor(inputs["psi"]), tensor(inputs["P_minus"]))
    torch.testing.assert_close(model.phi, tensor(outputs["phi_hat"]))
    torch.testing.assert_close(model.mu, tensor(outputs["mu_hat"]))
    torch.testing.assert_close(model.transition, tensor(outputs["P_hat"]))
    counts, levels = tensor(inputs["counts"]), params["H"]
    extra = method.bonus(model.phi, counts, params["gamma"], params["lam"], levels)
    torch.testing.assert_close(extra, tensor(outputs["bonus"]))
    q = world.plan(model.transition.expand(levels - 1, -1, -1, -1), tensor(inputs["reward"]), extra)
    torch.testing.assert_close(q, tensor(outputs["Q"]))
    assert q.argmax(-1).tolist() == outputs["policy"]


def test_on_the_simplex_probabilities_are_the_same_whatever_the_scale_of_psi() -> None:
    generator = torch.Generator().manual_seed(1)
    phi = torch.rand(6, 2, 3, dtype=torch.float64, generator=generator)
    psi = torch.rand(6, 3, dtype=torch.float64, generator=generator)
    negatives = torch.full((6,), 1 / 6, dtype=torch.float64)
    plain = method.normalise(phi, psi, negatives)
    scaled = method.normalise(phi / torch.tensor([1.0, 5.0, 0.1]), psi * torch.tensor([1.0, 5.0, 0.1]), negatives)
    first, second = method.on_simplex(plain), method.on_simplex(scaled)
    torch.testing.assert_close(first.phi.sum(-1), torch.ones(6, 2, dtype=torch.float64))
    torch.testing.assert_close(first.phi, second.phi)
    torch.testing.assert_close(torch.einsum("sad,td->sat", first.phi, first.mu), plain.transition)


def test_with_one_hot_features_the_bonus_is_that_of_counts() -> None:
    counts = torch.tensor([[3.0, 0.0], [7.0, 1.0]], dtype=torch.float64)
    one_hot = torch.eye(4, dtype=torch.float64).unflatten(0, (2, 2))
    torch.testing.assert_close(method.bonus(one_hot, counts, 2.0, 0.3, 99), 2 / (0.3 + counts).sqrt())
    assert method.bonus(one_hot, counts, 2.0, 0.3, 1.5).max() == 1.5


def test_the_lock_pays_one_for_its_secret_and_a_tenth_for_the_decoy() -> None:
    lock = world.combination_lock(4, seed=3)
    torch.testing.assert_close(lock.transition.sum(-1), torch.ones(4, 12, 4, dtype=torch.float64))
    torch.testing.assert_close(lock.start.sum().item(), 1.0)
    secret = world.plan(lock.transition, lock.reward).argmax(-1)
    assert world.value(lock, secret) == pytest.approx(1.0)
    assert world.value(lock, (secret + 1) % world.ACTIONS) == pytest.approx(world.DECOY)
    bad = lock.latent == world.BAD
    assert lock.transition[:, bad][..., ~bad].sum() == 0


def test_playing_follows_the_plan_and_the_transitions() -> None:
    lock = world.combination_lock(2, seed=0)
    secret = world.plan(lock.transition, lock.reward).argmax(-1)
    played = world.rollout(lock, secret, 50, 1.0, torch.Generator().manual_seed(0))
    assert (lock.latent[played[..., 0]] != world.BAD).all()
    levels = torch.arange(len(lock.reward))
    assert (played[..., 1] == secret[levels, played[..., 0]]).all()
    random = world.rollout(lock, secret, 400, 0.0, torch.Generator().manual_seed(0))[..., 1]
    share = F.one_hot(random, world.ACTIONS).float().mean((0, 1))
    torch.testing.assert_close(share, torch.full((4,), 0.25), atol=0.05, rtol=0)


def test_without_a_bonus_planning_is_value_iteration_and_the_decoy_holds_the_agent() -> None:
    lock = world.combination_lock(2, seed=0)
    greedy = method.explore(lock, 0, gamma=0.0, rounds=6)
    assert greedy.values.tolist() == pytest.approx([world.DECOY] * 6)
    assert greedy.visits[-1].sum(1).tolist() == [30.0] * 5
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        method.explore(lock, 0, gamma=-1.0)


def test_the_bonus_of_learned_features_finds_the_secret() -> None:
    lock = world.combination_lock(2, seed=0)
    found = method.explore(lock, 0, rounds=30)
    assert found.values.max() == pytest.approx(1.0)
    again = method.explore(lock, 0, rounds=30)
    assert torch.equal(found.values, again.values)


def test_the_panel_shows_the_decoy_without_bonus_and_the_good_states_with_it() -> None:
    panel = ExplorePanel(gamma=0.0)
    readout = dict(panel.picture.readout)
    assert readout["value of this round’s policy"] == "0.10 of 1"
    assert readout["visits of the last level in a good state"] == "0%"
    panel.knobs["gamma"].value = 2.0
    panel.wait()
    assert int(dict(panel.picture.readout)["visits of the last level in a good state"].rstrip("%")) > 10
    with pytest.raises(ValueError, match=r"gamma must be between 0\.0 and 5\.0, got 6"):
        ExplorePanel(gamma=6.0)
