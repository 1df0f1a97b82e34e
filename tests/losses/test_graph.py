"""SCGC's contrast against the authors' numbers, a loop and closed forms."""

import math

import pytest
import torch
from loops import Inputs, dot, one, points, random
from proofs import Case, Golden, Reference, golden, loops, tensor
from torch import Tensor

from cl_explore.losses import scgc


def contrast(x: Inputs, case: Case) -> Tensor:
    return scgc(x["z"], tensor(case["inputs"]["pos_weight"]), inv_temperature=case["params"]["tau"])


test_golden = golden([Golden("scgc", contrast, lambda case: case["name"].startswith("order"))])


def loop_scgc(x: Inputs, drop: bool = False, weighted: bool = True) -> list[float]:
    z, views = points(x), x["z"].shape[1]
    out = []
    for i in range(len(z)):
        over = under = 0.0
        for j in range(len(z)):
            a, b = i // views, j // views
            gamma = float(x["weights"][a, b]) if weighted else float(a == b)
            if i != j or not drop:
                e = math.exp(3 * dot(z[i], z[j])) if i != j else 1.0
                over, under = over + gamma * e, under + e
        out.append(-math.log(over / under + 1e-8) if over > 0 else 0.0)
    return out


KNOBS = {"inv_temperature": 3.0}
REFERENCES = [
    Reference(scgc, KNOBS, loop_scgc, fed=("weights",)),
    Reference(scgc, KNOBS, loop_scgc, views=1, fed=("weights",)),
    Reference(scgc, KNOBS | {"self_pairs": "drop"}, lambda x: loop_scgc(x, drop=True), fed=("weights",)),
    Reference(scgc, KNOBS | {"self_pairs": "drop"}, lambda x: loop_scgc(x, drop=True, weighted=False)),
]
test_loop = loops(REFERENCES)


def test_weights_of_one_for_all_pairs_teach_nothing() -> None:
    z = random(6, 4).requires_grad_()
    value = scgc(z, torch.ones(6, 6, dtype=torch.float64))
    assert value.item() == pytest.approx(-math.log(1 + 1e-8), abs=1e-15)
    (gradient,) = torch.autograd.grad(value, z)
    assert gradient.abs().max() < 1e-12


def test_collapsed_it_depends_on_the_weight_of_a_node_for_itself() -> None:
    """Six nodes, rows that sum to 1."""
    own = torch.tensor([0.0, 0.1, 0.25, 0.5, 0.9, 1.0], dtype=torch.float64)
    weights = torch.diag(own) + ((1 - own) / 5)[:, None] * (1 - torch.eye(6, dtype=torch.float64))
    tau = 1.7
    expected = -(((1 - own) * math.exp(tau) + own) / (5 * math.exp(tau) + 1) + 1e-8).log()
    found = scgc(one(6, 3), weights, inv_temperature=tau, reduction="none")
    torch.testing.assert_close(found, expected)
    dropped = scgc(one(6, 3), weights, inv_temperature=tau, self_pairs="drop", reduction="none")
    torch.testing.assert_close(dropped[:5], -((1 - own[:5]) / 5 + 1e-8).log())
    assert dropped[5] == 0, "only itself is its positive"


def test_the_gradient_does_not_change_lengths() -> None:
    z = random(6, 4).requires_grad_()
    weights = random(6, 6, seed=1).abs()
    (gradient,) = torch.autograd.grad(scgc(z, weights), z)
    assert (gradient * z).sum(1).abs().max() < 1e-12
    torch.testing.assert_close(scgc(z * torch.arange(1.0, 7.0)[:, None], weights), scgc(z, weights))


def test_its_least_value_is_minus_the_logarithm_of_the_sum_of_weights() -> None:
    """Two groups, opposite each other and each in one place, with weights that sum to 3 within a group."""
    group = torch.arange(8) // 4
    z = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)[group]
    value = scgc(z, 3.0 * (group[:, None] == group), inv_temperature=10, self_pairs="drop")
    assert value.item() == pytest.approx(-math.log(3), abs=1e-6)


def test_without_a_positive_for_any_node_it_says_so() -> None:
    with pytest.raises(ValueError, match="at least one anchor needs a positive, got none"):
        scgc(random(4, 3), self_pairs="drop")
    with pytest.raises(ValueError, match=r"weights must have shape \(B, B\) with B = 4"):
        scgc(random(4, 3), torch.ones(5, 4, dtype=torch.float64))
