"""TACO: its terms against golden numbers, where gradients go, and a ring on which actions are all that predicts."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cl_explore import losses
from cl_explore.papers.taco.method import TACO
from cl_explore.papers.taco.panel import ControlPanel
from cl_explore.papers.taco.world import parts, ring, shuffled_actions, without_actions
from cl_explore.train import fit
from cl_explore.views import VectorViews

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "taco.json").read_text())
CASES = [case for case in GOLDEN["cases"] if "weights" in case["inputs"]]
NAMES = {
    "W": "critic", "proj_sa": "join", "proj_s": "head", "reward": "reward", "encoder": "encoder.0",
    "act_tok.action_tokenizer": "actions.each", "act_tok.action_seq_tokenizer": "actions.together",
}  # fmt: skip


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def ours(name: str) -> str:
    """What the authors call a weight, in our names."""
    return next(name.replace(theirs, own, 1) for theirs, own in NAMES.items() if name.startswith(theirs)).replace(
        "encoder.0.0", "encoder.0"
    )


def of_case(case: dict[str, Any], **options: Any) -> TACO:
    given, size = case["inputs"], case["params"]["feature_dim"]
    head = nn.Sequential(nn.Linear(4, size), nn.LayerNorm(size), nn.Tanh())
    terms = [term for term in ("taco", "curl", "reward") if term == "taco" or case["params"][term]]
    method = TACO(
        nn.Sequential(nn.Linear(4, 4)), head, VectorViews(), features=size, actions=len(given["action_seq"][0][0]),
        steps=case["params"]["multistep"], latent=case["params"]["latent_a_dim"],
        hidden=case["params"]["hidden_dim"], terms=terms, **options,
    ).double()  # fmt: skip
    method.load_state_dict({ours(name): tensor(values) for name, values in given["weights"].items()})
    return method


def seen(case: dict[str, Any]) -> list[torch.Tensor]:
    given = case["inputs"]
    observations = [tensor(given[name]) for name in ("obs_anchor", "obs_pos", "obs_next")]
    return [*observations, tensor(given["action_seq"]).flatten(1), tensor(given["reward"])[:, 0]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_terms_and_gradients_are_the_golden_ones(case: dict[str, Any]) -> None:
    method = of_case(case)
    step = method.compare(*seen(case))
    assert step.loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for term, value in step.metrics.items():
        assert value.item() == pytest.approx(case["outputs"][term], abs=1e-9)
    step.loss.backward()
    weights = dict(method.named_parameters())
    for name, expected in case["grad"].items():
        torch.testing.assert_close(weights[ours(name)].grad, tensor(expected), atol=1e-9, rtol=0)


def test_the_contrast_is_cpc_of_the_catalogue() -> None:
    (case,) = (case for case in GOLDEN["cases"] if "weights" not in case["inputs"])
    anchor, critic, key = (tensor(case["inputs"][name]).requires_grad_() for name in ("z_anchor", "W", "z_pos"))
    loss = losses.cpc(anchor, key.detach(), critic)
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for leaf, name in zip(torch.autograd.grad(loss, (anchor, critic)), ("z_anchor", "W"), strict=True):
        torch.testing.assert_close(leaf, tensor(case["grad"][name]), atol=1e-9, rtol=0)


def test_no_gradient_goes_through_the_states_to_be_found_unless_asked() -> None:
    case = CASES[0]
    grads = []
    for stop in (True, False):
        later = seen(case)[2].requires_grad_()
        method = of_case(case, stop=stop)
        method.compare(*seen(case)[:2], later, *seen(case)[3:]).loss.backward()
        grads.append(later.grad)
    assert grads[0] is None
    assert grads[1].abs().sum() > 0


def test_actions_move_the_ring_and_nothing_else_tells_where_it_goes() -> None:
    world = ring(4000, 0, steps=3)
    after = (world.labels + world.x["actions"].view(-1, 3, 4).argmax(2).sum(1)) % 4
    assert torch.equal(world.factors["reward"] == 1, after == 0)
    joint = torch.stack([(after[world.labels == place]).bincount(minlength=4) for place in range(4)]).double()
    assert joint.div(joint.sum(1, keepdim=True)).sub(0.25).abs().max() < 0.05  # where it was does not tell
    first, second = parts(3, 50, 20), ring(70, 3)
    assert torch.equal(torch.cat([part.x["now"] for part in first]), second.x["now"])
    assert without_actions(second).x["actions"].abs().sum() == 0
    mixed = shuffled_actions(second).x["actions"]
    assert torch.equal(mixed.sum(0), second.x["actions"].sum(0))
    assert not torch.equal(mixed, second.x["actions"])


def method_of(world: Any, **options: Any) -> TACO:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(16, 8), nn.LayerNorm(8), nn.Tanh())
    return TACO(nn.Linear(32, 16), head, VectorViews(noise=0.1, dropout=0), features=8, actions=4, steps=1,
                hidden=16, **{"start": "identity", **options})  # fmt: skip


def test_it_trains_and_z_is_its_representation() -> None:
    world = ring(256, 0)
    method = method_of(world)
    assert method.actions.each[-1].out_features == 6  # floor(1.25 * 4) + 1
    run = fit(method, world, epochs=1, batch_size=64, progress=False, store=False)
    assert {"taco", "curl", "reward"} <= set(run.history)
    torch.testing.assert_close(method(world.x), method(world.x["now"]))
    assert math.isfinite(run.history["loss"].iloc[-1])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"terms": []}, "terms must name one of taco, curl, reward at least, got none"),
        ({"terms": ["tacos"]}, "tacos"),
        ({"start": "zeros"}, "start"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        method_of(None, **options)


def test_a_reward_that_is_missing_is_named() -> None:
    method = method_of(None)
    x = torch.zeros(4, 32)
    with pytest.raises(ValueError, match='"reward" needs a factor'):
        method.compare(x, x, x, torch.zeros(4, 4), None)


def test_the_panel_parts_positions_only_where_it_is_told_the_actions() -> None:
    panel = ControlPanel(scale=1.0)
    given = dict(panel.picture.readout)
    panel.knobs["actions"].value = "left out"
    panel.wait()
    left_out = dict(panel.picture.readout)
    loss, floor = (float(part) for part in given["loss"].split(" of "))
    assert loss < floor - 0.8
    assert abs(float(left_out["loss"].split(" of ")[0]) - floor) < 0.15
    panel.knobs["step"].value = 0
    assert dict(panel.picture.readout)["loss"] != left_out["loss"]
    with pytest.raises(ValueError, match="step must be one of"):
        ControlPanel(step=7)
