"""Deviation learning against the authors' numbers, a loop and closed forms: it moves prototypes only."""

import json
from pathlib import Path

import pytest
import torch
from loops import Inputs, inputs, random
from proofs import Reference, loops, tensor
from torch import Tensor

from cl_explore.losses import deviation

CASES = json.loads((Path(__file__).parents[1] / "golden" / "st-ssdl.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden(case: dict) -> None:  # type: ignore[type-arg]
    """Queries are linear in what the encoder made; their gradients are 0, as they are here by being none."""
    x = {name: tensor(case["inputs"][name]) for name in ("H_current", "H_anchor", "Wq", "prototypes")}
    z = torch.stack([x["H_current"] @ x["Wq"], x["H_anchor"] @ x["Wq"]], 2).flatten(0, 1).requires_grad_()
    w, p = x["prototypes"].requires_grad_(), case["params"]
    knobs = {"margin": p["margin"], "contrast_weight": p["lambda_con"], "deviation_weight": p["lambda_dev"]}
    parts = {name: part.mean() for name, part in deviation.parts(z, w, **knobs).items()}
    for name, key in (("loss", "loss"), ("contrast", "loss_con"), ("gap", "loss_dev")):
        assert parts[name].item() == pytest.approx(case[key], abs=1e-9), name
    (found,) = torch.autograd.grad(parts["loss"], w)
    torch.testing.assert_close(found, tensor(case["grad"]["prototypes"]), atol=1e-9, rtol=0)
    assert not tensor(case["grad"]["Wq"]).any()
    squared = deviation(z, w, margin=p["margin"], contrast_weight=1, deviation_weight=0, distance="l2_squared")
    assert squared.item() == pytest.approx(case["paper_form"]["loss_con_squared_distance"], abs=1e-9)
    found, none = torch.autograd.grad(squared, [w, z], allow_unused=True)
    torch.testing.assert_close(found, tensor(case["paper_form"]["grad_prototypes_of_loss_con"]), atol=1e-9, rtol=0)
    assert none is None


def loop(x: Inputs, squared: bool = False) -> list[Tensor]:
    each = []
    for now, usual in x["z"]:
        order = [sorted(x["prototypes"], key=lambda w: -float(w @ q)) for q in (now, usual)]
        near = [now - w for w in order[0][:2]]
        nearest, second = (d.square().sum() if squared else (d + 1e-6).norm() for d in near)
        gap = ((now - usual).abs().sum() - (order[0][0] - order[1][0]).abs().sum()).abs()
        each.append(0.01 * max(nearest - second + 0.5, torch.zeros(())) + gap)
    return each


REFERENCES = [
    Reference(deviation, {}, loop),
    Reference(deviation, {"distance": "l2_squared"}, lambda x: loop(x, squared=True)),
]
test_loop = loops(REFERENCES)


def test_what_is_as_usual_asks_for_nothing_but_the_margin() -> None:
    z, w = random(6, 1, 4).expand(6, 2, 4), random(5, 4, seed=1).requires_grad_()
    parts = deviation.parts(z, w)
    assert not parts["gap"].any()
    (gradient,) = torch.autograd.grad(parts["gap"].sum(), w)
    assert not gradient.any()


def test_two_that_share_their_prototype_pay_their_distance_and_move_nothing() -> None:
    w = torch.eye(3, dtype=torch.float64).requires_grad_()
    z = torch.tensor([[[3.0, 1.0, 0.5], [2.0, -1.0, 1.0]]], dtype=torch.float64)
    gap = deviation.parts(z, w)["gap"]
    assert gap.item() == 3.5
    assert not torch.autograd.grad(gap.sum(), w)[0].any()


@pytest.mark.parametrize(("second", "expected"), [(3.0, 0.0), (1.75, 0.0), (1.25, 0.25), (1.0, 0.5)])
def test_the_margin_between_the_nearest_and_the_second(second: float, expected: float) -> None:
    """Both as far away: the whole margin; the second farther by more than it: nothing."""
    z = torch.tensor([[[0.1, 0.0], [0.1, 0.0]]], dtype=torch.float64)
    w = torch.tensor([[1.1, 0.0], [0.1, second]], dtype=torch.float64)
    assert deviation.parts(z, w)["contrast"].item() == pytest.approx(expected, abs=1e-5)


def test_a_rotation_of_all_leaves_the_margin_and_no_other_distance() -> None:
    z, w = random(6, 2, 4), random(5, 4, seed=1)
    turn = torch.linalg.qr(random(4, 4, seed=2)).Q
    before, after = deviation.parts(z, w), deviation.parts(z @ turn, w @ turn)
    torch.testing.assert_close(after["contrast"], before["contrast"], atol=1e-5, rtol=0)
    assert not torch.allclose(after["gap"], before["gap"])


def test_of_two_prototypes_the_second_is_always_the_other() -> None:
    x = inputs()
    w = x["prototypes"][:2]
    away = (x["z"][:, :1] - w + 1e-6).norm(dim=2)
    own = (x["z"][:, 0] @ w.T).argmax(1)
    margin = (away.gather(1, own[:, None])[:, 0] - away.gather(1, 1 - own[:, None])[:, 0] + 0.5).clamp(min=0)
    torch.testing.assert_close(deviation.parts(x["z"], w)["contrast"], margin)


def test_one_prototype_has_no_second() -> None:
    with pytest.raises(ValueError, match="prototypes must have at least 2 rows, a nearest and a second, got 1"):
        deviation(random(4, 2, 3), random(1, 3))
