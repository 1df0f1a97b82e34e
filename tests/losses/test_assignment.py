"""SwAV and its codes against the authors' numbers, their matrix algorithm and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, inputs, log_sum, one, random, unit
from proofs import Case, Golden, Reference, cases, close, golden, loops, tensor, views
from torch import Tensor

from cl_explore.losses import SwAV, sinkhorn, swav


def swav_call(x: Inputs, case: Case) -> Tensor:
    """The file starts from scores: embeddings whose prototypes are the axes."""
    p, scores = case["params"], views(x, "scores0", "scores1")
    memory = tensor([p["queue0"], p["queue1"]]).transpose(0, 1) if "queue0" in p else None
    knobs = {name: p[name] for name in ("temperature", "epsilon", "iterations")}
    return swav(scores, torch.eye(scores.shape[2], dtype=scores.dtype), memory, normalize=False, **knobs)


GOLDEN = [Golden("swav", swav_call)]
test_golden = golden(GOLDEN)


def test_codes() -> None:
    for start in ("B6 K3", "B5 K4"):
        case = cases("swav", start)[0]
        for view in ("0", "1"):
            scores, p = tensor(case["inputs"][f"scores{view}"]), case["params"]
            close(sinkhorn(scores, p["epsilon"], p["iterations"]), case["outputs"][f"codes{view}"], case["name"])
    case = cases("vlp-baselines", "sinkhorn")[0]
    close(
        sinkhorn(tensor(case["inputs"]["scores"]), case["params"]["epsilon"], case["params"]["iters"]), case["output"]
    )


def loop_swav(x: Inputs) -> list[float]:
    """The assignment as the authors write it: a matrix of exponentials whose rows and columns are divided in turn."""
    z, w, memory = unit(x["z"]), unit(x["prototypes"]), unit(x["memory"])
    codes = []
    for v in (0, 1):
        q = torch.exp(torch.cat([memory[:, v], z[:, v]]) @ w.T / 0.2)
        for _ in range(4):
            q = q / q.sum(0, keepdim=True) / 3
            q = q / q.sum(1, keepdim=True) / len(q)
        codes.append((q * len(q))[-6:])
    out = []
    for b in range(6):
        for v in (0, 1):
            s = [float(z[b, v] @ c) / 0.3 for c in w]
            out.append(-sum(float(codes[1 - v][b, c]) * (s[c] - log_sum(s)) for c in range(3)))
    return out


REFERENCES = [Reference(swav, {"temperature": 0.3, "epsilon": 0.2, "iterations": 4}, loop_swav, fed=("memory",))]
test_loop = loops(REFERENCES)


def test_gradient_takes_the_codes_as_constants() -> None:
    x = inputs(seed=3)
    z, prototypes = x["z"].requires_grad_(), x["prototypes"].requires_grad_()
    code = swav.parts(z, prototypes, x["memory"])["code"]
    assert not code.requires_grad
    actual = torch.autograd.grad(swav(z, prototypes, x["memory"]), (z, prototypes))
    logits = unit(z).flatten(0, 1) @ unit(prototypes).T / 0.1
    swapped = code.view(6, 2, 3).flip(1).flatten(0, 1)
    by_hand = F.cross_entropy(logits, swapped)
    for left, right in zip(actual, torch.autograd.grad(by_hand, (z, prototypes)), strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)


def test_cross_entropy_of_swav_is_at_least_the_entropy_of_its_codes() -> None:
    parts = swav.parts(random(9, 2, 4), random(3, 4, seed=1), epsilon=0.5)
    code = parts["code"].view(9, 2, 3).flip(1).flatten(0, 1)
    torch.testing.assert_close(code.sum(1), torch.ones(18, dtype=torch.float64))
    assert (parts["loss"] >= -(code * code.log()).sum(1) - 1e-12).all()


def test_more_views_are_averaged() -> None:
    z, w = random(5, 3, 4), random(3, 4, seed=2)
    pairs = [swav(z[:, [a, b]], w) for a, b in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(swav(z, w), torch.stack(pairs).mean())


def test_value_of_a_collapsed_batch() -> None:
    assert float(swav(one(8, 2, 4), torch.eye(4, dtype=torch.float64))) == pytest.approx(math.log(4))


def test_memory_of_swav_changes_the_balance_only() -> None:
    z, w = random(4, 2, 4), torch.eye(4, dtype=torch.float64)
    full_of_first = w[:1, None].expand(50, 2, 4)
    alone, beside = (swav.parts(z, w, memory)["code"] for memory in (None, full_of_first))
    assert alone.shape == beside.shape == (8, 4)
    assert (beside[:, 0] < alone[:, 0]).all(), "a crowded prototype is given to fewer points"


def test_sinkhorn_balances() -> None:
    scores = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = sinkhorn(scores, epsilon=0.3, iterations=300)
    torch.testing.assert_close(codes.sum(1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(codes.sum(0), torch.full((4,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(sinkhorn(scores, epsilon=1e9, iterations=3), torch.full_like(scores, 1 / 4))
    hard = sinkhorn(scores.float(), epsilon=1e-3, iterations=3)
    assert hard.isfinite().all(), "exponentials of 1000 must stay in the logarithm"
    assert torch.equal(sinkhorn(scores[:, :1], epsilon=0.1, iterations=1), torch.ones(12, 1, dtype=torch.float64))


def test_swav_brings_its_prototypes_back_to_the_sphere() -> None:
    criterion = SwAV(5, 4, temperature=0.2, epsilon=0.1, iterations=2, generator=torch.Generator().manual_seed(0))
    z, memory = random(6, 2, 4).float(), random(8, 2, 4, seed=1).float()
    start = criterion.prototypes.detach().clone()
    with torch.no_grad():
        criterion.prototypes.mul_(3)
    value = criterion(z, memory)
    torch.testing.assert_close(criterion.prototypes.detach(), start)
    torch.testing.assert_close(value, swav(z, start, memory, temperature=0.2, epsilon=0.1, iterations=2))


def test_wrong_settings() -> None:
    for size, dim, name in ((0, 4, "prototypes"), (4, 0, "dim")):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            SwAV(size, dim)
