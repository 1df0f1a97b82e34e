"""HULC: groundings, the balanced KL and logistic mixtures against golden numbers, the tabletop, the panel."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore.losses import clip
from cl_explore.papers.hulc import method, study, world
from cl_explore.papers.hulc.panel import GroundingPanel

CASES = json.loads((Path(__file__).parents[1] / "golden" / "hulc.json").read_text(encoding="utf-8"))["cases"]


def golden(case: dict, leaf: dict[str, Tensor]) -> Tensor:
    """The loss of a golden case."""
    params = case["params"]
    if params["loss"] == "clip":
        mask = None if params["mask"] is None else torch.tensor(params["mask"]).bool()
        vision, language = leaf["vis"], leaf["lang"]
        if "W1" in leaf:
            vision = F.linear(F.linear(vision, leaf["W1"], leaf["b1"]).relu(), leaf["W2"], leaf["b2"])
            language = F.linear(F.linear(language, leaf["V1"], leaf["c1"]).relu(), leaf["V2"], leaf["c2"])
        return method.contrast(vision, language, leaf["log_scale"], mask)
    if params["loss"] == "mia":
        return method.matching(
            leaf["vis"], leaf["lang"],
            lambda x: F.linear(F.linear(x, leaf["D1"], leaf["e1"]).relu(), leaf["D2"], leaf["e2"]),
        )  # fmt: skip
    if params["loss"] == "kl":
        plan = lambda state: method.categoricals(state, params["classes"])  # noqa: E731
        return method.balanced_kl(plan, leaf["prior_logits"], leaf["post_logits"], params["alpha"], params["beta"])
    actions = torch.tensor(params["actions"], dtype=torch.float64)
    return method.logistic_mixture(leaf["logit_probs"], leaf["log_scales"], leaf["means"], actions)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_losses_and_their_gradients_are_the_golden_ones(case: dict) -> None:
    leaf = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in case["inputs"].items()
    }
    loss = golden(case, leaf)
    torch.testing.assert_close(loss.item(), case["loss"], atol=1e-9, rtol=1e-9)
    loss.backward()
    for name, expected in case["grad"].items():
        got = leaf[name].grad
        wanted = torch.zeros_like(leaf[name]) if expected is None else torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(torch.zeros_like(wanted) if got is None else got, wanted, atol=1e-9, rtol=1e-9)


def pair(seed: int, n: int = 6, d: int = 4) -> tuple[Tensor, Tensor]:
    made = torch.randn(2, n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made[0], made[1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), log_scale=st.floats(0, 4), count=st.integers(2, 6))
def test_contrast_is_clip_of_the_windows_that_take_part(seed: int, log_scale: float, count: int) -> None:
    vision, language = pair(seed)
    mask, scale = torch.arange(6) < count, torch.tensor(log_scale, dtype=torch.float64)
    expected = clip(vision[:count], language[:count], temperature=math.exp(-log_scale))
    torch.testing.assert_close(method.contrast(vision, language, scale, mask), expected)
    rotation = torch.linalg.qr(vision[:4]).Q
    torch.testing.assert_close(method.contrast(vision @ rotation, language @ rotation, scale, mask), expected)
    ones = torch.ones_like(vision)
    assert method.contrast(ones, ones, scale, mask).item() == pytest.approx(math.log(count))


def test_windows_of_one_task_can_be_spared_as_negatives() -> None:
    vision, language = pair(0)
    scale = torch.tensor(1.0, dtype=torch.float64)
    assert method.contrast(vision, language, scale, same=torch.zeros(6).long()) == 0
    torch.testing.assert_close(
        method.contrast(vision, language, scale, same=torch.arange(6)), method.contrast(vision, language, scale)
    )
    assert method.contrast(vision, language, scale, same=torch.arange(6) // 2) < method.contrast(
        vision, language, scale
    )


def test_matching_one_window_costs_at_least_log_2_and_none_nothing() -> None:
    vision, language = pair(1)
    for bias in (-2.0, 0.0, 1.0):
        one = method.matching(vision[:1], language[:1], lambda x, bias=bias: x[:, :1] * 0 + bias)
        assert one >= math.log(2) - 1e-12
    none = torch.zeros(6).bool()
    assert method.matching(vision, language, lambda x: x[:, :1], none) == 0
    assert method.regression(vision, language, none) == 0


def test_regression_masks_once() -> None:
    vision, language = pair(2)
    mask = torch.tensor([0, 1, 1, 0, 0, 1])
    cosine = (F.normalize(vision, dim=1) * F.normalize(language, dim=1)).sum(1)
    torch.testing.assert_close(method.regression(vision, language, mask), (1 - cosine)[[1, 2, 5]].mean())


@pytest.mark.parametrize("plan", [method.gaussian, lambda state: method.categoricals(state, 3)])
def test_alpha_moves_gradient_from_the_posterior_to_the_prior_and_no_value(plan: object) -> None:
    prior, posterior = (x.requires_grad_() for x in pair(3, 5, 6))
    grads = {}
    for alpha in (0.0, 0.5, 1.0):
        loss = method.balanced_kl(plan, prior, posterior, alpha, 1.0)
        grads[alpha] = loss.item(), *torch.autograd.grad(loss, (prior, posterior))
    assert grads[0.0][0] == pytest.approx(grads[1.0][0]) == pytest.approx(grads[0.5][0])
    assert grads[1.0][2].count_nonzero() == 0
    assert grads[0.0][1].count_nonzero() == 0
    torch.testing.assert_close(grads[0.5][1], grads[1.0][1] / 2)
    assert method.balanced_kl(plan, prior, prior).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_shares_of_the_kl_are_those_of_its_numeric_gradient(alpha: float) -> None:
    prior, posterior = (x.requires_grad_() for x in pair(6, 3, 6))

    def kl(prior: Tensor, posterior: Tensor) -> Tensor:  # written out: categoricals summed, samples averaged
        q, p = (state.unflatten(1, (2, 3)).log_softmax(-1) for state in (posterior, prior))
        return (q.exp() * (q - p)).sum((1, 2)).mean()

    plan = lambda state: method.categoricals(state, 3)  # noqa: E731
    got = torch.autograd.grad(method.balanced_kl(plan, prior, posterior, alpha, 2.0), (prior, posterior))
    for place, (share, found) in enumerate(zip((alpha, 1 - alpha), got, strict=True)):
        for entry in ((0, 0), (1, 4), (2, 5)):
            sides = []
            for shift in (1e-6, -1e-6):
                states = [prior.detach().clone(), posterior.detach().clone()]
                states[place][entry] += shift
                sides.append(kl(*states))
            slope = 2.0 * share * (sides[0] - sides[1]) / 2e-6
            torch.testing.assert_close(found[entry], slope, atol=1e-7, rtol=1e-6)


def test_a_plan_is_one_hot_and_its_gradient_that_of_softmax() -> None:
    state = pair(4, 5, 6)[0].requires_grad_()
    plan = method.categoricals(state, 3).rsample()
    torch.testing.assert_close(plan.sort(-1).values, torch.tensor([0.0, 0.0, 1.0]).double().expand(5, 2, 3))
    weight = torch.arange(30).view(5, 2, 3).double()
    soft = (state.unflatten(1, (2, 3)).softmax(-1) * weight).sum()
    torch.testing.assert_close(
        torch.autograd.grad((plan * weight).sum(), state), torch.autograd.grad(soft, state), atol=1e-9, rtol=1e-9
    )


def test_bins_of_a_logistic_mixture_are_all_there_is() -> None:
    logits, scales, means = torch.randn(3, 1, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    bins = torch.linspace(-1, 1, 10, dtype=torch.float64)
    p = [(-method.logistic_mixture(logits, scales, means, bin.view(1, 1))).exp() for bin in bins]
    assert torch.stack(p).sum().item() == pytest.approx(1)


def test_actions_are_drawn_as_often_as_their_likelihood_says() -> None:
    generator = torch.Generator().manual_seed(6)
    logits, scales, means = torch.randn(3, 2, 3, dtype=torch.float64, generator=generator)
    many = [part.expand(40_000, 2, 3) for part in (logits, scales - 2, means)]
    drawn = method.draw_action(*many, generator)
    near = ((drawn.clamp(-1, 1) + 1) * 4.5).round()
    for number in range(2):
        one = [part[:1, number : number + 1] for part in many]
        for place, bin in enumerate(torch.linspace(-1, 1, 10, dtype=torch.float64)):
            expected = (-method.logistic_mixture(*one, bin.view(1, 1))).exp()
            assert (near[:, number] == place).double().mean().item() == pytest.approx(expected.item(), abs=0.015)


def test_only_the_named_object_moves_and_instructions_say_which() -> None:
    tasks = torch.arange(16)
    made = world.states(tasks, torch.Generator().manual_seed(0))
    torch.testing.assert_close(made[:, -1] - made[:, 0], 5 * world.DRIFT * world.motion(tasks))
    assert (world.motion(tasks).count_nonzero(1) == 1).all()
    table = world.tabletop(0)
    first, again = (table.say(tasks, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert first.shape == (16, 16)
    assert not torch.equal(first, again)
    assert table.windows(7, torch.Generator().manual_seed(0)).x["video"].shape == (7, 6 * 24)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: method.balanced_kl(method.gaussian, torch.ones(2, 2), torch.ones(2, 2), 1.5), "alpha must be between"),
        (lambda: method.Grounded(*study.networks(None), "clip", study.VIEWS, grounding="cosine"), "grounding"),
    ],
)
def test_errors_name_the_argument(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("grounding", method.GROUNDINGS)
def test_a_few_steps_lower_every_grounding_loss(grounding: str) -> None:
    table, generator = world.tabletop(0), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = method.Grounded(*study.networks(None), "clip", study.VIEWS, grounding=grounding)
    batch = table.windows(32, generator).batch(torch.arange(32))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(model.step(batch, generator).loss)
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert model.scores(batch.x["video"], batch.x["instruction"][:5]).shape == (32, 5)


def test_the_panel_grounds_more_with_steps_and_negatives() -> None:
    panel = GroundingPanel()

    def shown() -> int:
        return int(dict(panel.picture.readout)["retrieval"].rstrip("%"))

    many = shown()
    panel.knobs["stage"].value = 0
    assert shown() < 20 < many
    panel.knobs["stage"].value = 6
    panel.knobs["batch"].value = 4
    panel.wait()
    assert shown() < many
    with pytest.raises(ValueError, match="stage must be between 0 and 6, got 9"):
        GroundingPanel(stage=9)
