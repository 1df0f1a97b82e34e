"""Losses of pairs, of two sides, with queues and without negatives against loops of their formulas in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore.losses.assignment import swav
from cl_explore.losses.catalogue import Loss
from cl_explore.losses.hypersphere import koleo
from cl_explore.losses.infonce import cpc
from cl_explore.losses.modalities import clip, mil_nce
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.queued import moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.sigmoid import siglip
from cl_explore.losses.spectral import spectral

SHAPES = {
    "z": (6, 2, 4),
    "prediction": (6, 2, 4),
    "query": (6, 4),
    "key": (6, 4),
    "context": (6, 3),
    "critic": (3, 4),
    "candidates": (6, 3, 4),
    "queue": (5, 4),
    "prototypes": (3, 4),
    "memory": (7, 2, 4),
}
Inputs = dict[str, Tensor]
Loop = Callable[[Inputs], list[float]]


def inputs(seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(shape, generator=generator, dtype=torch.float64) * 0.7 for name, shape in SHAPES.items()}
    return drawn | {"labels": torch.arange(6) % 3}


def given(loss: Loss, x: Inputs) -> Inputs:
    return {name: x[name] for name in loss.arguments}


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def log_sum(terms: list[float]) -> float:
    return math.log(sum(map(math.exp, terms)))


def cosines(a: Tensor, b: Tensor) -> list[list[float]]:
    return [[float(row @ other) for other in unit(b)] for row in unit(a)]


def pairs(x: Inputs) -> list[tuple[list[float], list[float], list[int], list[int]]]:
    """For each point its cosines and distances to all, and who are its positives and its negatives."""
    points = unit(x["z"]).flatten(0, 1)
    label = [int(y) for y in x["labels"] for _ in range(2)]
    n = range(len(points))
    return [
        (
            [float(points[i] @ points[j]) for j in n],
            [float((points[i] - points[j]).norm()) for j in n],
            [j for j in n if label[j] == label[i] and j != i],
            [j for j in n if label[j] != label[i]],
        )
        for i in n
    ]


def loop_n_pair(x: Inputs) -> list[float]:
    q, k = x["query"], x["key"]
    return [
        log_sum([float(q[i] @ k[j]) for j in range(6)]) - float(q[i] @ k[i]) + 0.05 * float(q[i] @ q[i] + k[i] @ k[i])
        for i in range(6)
    ]


def loop_lifted(x: Inputs) -> list[float]:
    far = [sum(math.exp(0.3 - d[n]) for n in negatives) for _, d, _, negatives in pairs(x)]
    return [
        sum(max(math.log(far[i] + far[p]) + d[p], 0) ** 2 for p in positives) / (2 * len(positives))
        for i, (_, d, positives, _) in enumerate(pairs(x))
    ]


def loop_lifted_generalized(x: Inputs) -> list[float]:
    return [
        max(log_sum([d[p] for p in positives]) + log_sum([0.3 - d[n] for n in negatives]), 0)
        for _, d, positives, negatives in pairs(x)
    ]


def loop_multi_similarity(x: Inputs, mined: bool) -> list[float]:
    out = []
    for s, _, positives, negatives in pairs(x):
        near, far = [s[p] for p in positives], [s[n] for n in negatives]
        if mined:
            near, far = [v for v in near if v - 0.2 < max(far)], [v for v in far if v + 0.2 > min(near)]
        pull = math.log(1 + sum(math.exp(-3 * (v - 0.4)) for v in near)) / 3
        out.append(pull + math.log(1 + sum(math.exp(20 * (v - 0.4)) for v in far)) / 20)
    return out


def circle_sums(x: Inputs) -> list[tuple[float, float]]:
    m, gamma = 0.25, 10
    return [
        (
            sum(math.exp(-gamma * max(1 + m - s[p], 0) * (s[p] - 1 + m)) for p in positives),
            sum(math.exp(gamma * max(s[n] + m, 0) * (s[n] - m)) for n in negatives),
        )
        for s, _, positives, negatives in pairs(x)
    ]


def loop_circle_of_the_batch(x: Inputs) -> list[float]:
    near, far = (sum(side) / 2 for side in zip(*circle_sums(x), strict=True))
    return [math.log(1 + near * far)] * 12


def loop_cpc(x: Inputs) -> list[float]:
    logit = [[float(c @ x["critic"] @ k) / 0.3 for k in x["key"]] for c in x["context"]]
    return [log_sum(row) - row[i] for i, row in enumerate(logit)]


def loop_clip(x: Inputs) -> list[float]:
    s = [[v / 0.3 for v in row] for row in cosines(x["query"], x["key"])]
    return [(log_sum(s[i]) + log_sum([row[i] for row in s])) / 2 - s[i][i] for i in range(6)]


def loop_siglip(x: Inputs) -> list[float]:
    s = cosines(x["query"], x["key"])
    return [
        sum(math.log(1 + math.exp(-(1 if i == j else -1) * (s[i][j] / 0.3 - 2))) for j in range(6)) for i in range(6)
    ]


def loop_mil_nce(x: Inputs, direction: str) -> list[float]:
    q, k = unit(x["query"]), unit(x["candidates"])
    s = [[[math.exp(float(a @ c) / 0.3) for c in bag] for bag in k] for a in q]
    out = []
    for i in range(6):
        own = sum(s[i][i])
        among_candidates = sum(sum(s[i][j]) for j in range(6))
        among_queries = sum(sum(s[j][i]) for j in range(6))
        out.append(
            {
                "query": math.log(among_candidates / own),
                "both": math.log(among_candidates / own) / 2 + math.log(among_queries / own) / 2,
                "joint": math.log((among_candidates + among_queries) / own),
            }[direction]
        )
    return out


def loop_moco(x: Inputs) -> list[float]:
    own, others = cosines(x["query"], x["key"]), cosines(x["query"], x["queue"])
    return [log_sum([own[i][i] / 0.3, *(s / 0.3 for s in others[i])]) - own[i][i] / 0.3 for i in range(6)]


def loop_nnclr(x: Inputs) -> list[float]:
    z, p, queue = unit(x["z"]), unit(x["prediction"]), unit(x["queue"])
    out = []
    for b in range(6):
        for v in (0, 1):
            neighbour = max(queue, key=lambda u: float(z[b, v] @ u))
            s = [float(neighbour @ p[j, 1 - v]) / 0.3 for j in range(6)]
            out.append(log_sum(s) - s[b])
    return out


def loop_byol(x: Inputs) -> list[float]:
    z, p = unit(x["z"]), unit(x["prediction"])
    return [float((p[b, v] - z[b, 1 - v]).square().sum()) for b in range(6) for v in (0, 1)]


def loop_barlow_twins(x: Inputs) -> list[float]:
    z, total = x["z"], 0.0
    for i in range(4):
        for j in range(4):
            a, b = z[:, 0, i] - z[:, 0, i].mean(), z[:, 1, j] - z[:, 1, j].mean()
            root = math.sqrt((float(a @ a) / 6 + 1e-5) * (float(b @ b) / 6 + 1e-5))
            c = float(a @ b) / 6 / root
            total += (1 - c) ** 2 if i == j else 0.05 * c**2
    return [total] * 12


def loop_vicreg(x: Inputs) -> list[float]:
    z, shared = x["z"], 0.0
    for v in (0, 1):
        for i in range(4):
            for j in range(4):
                c = float((z[:, v, i] - z[:, v, i].mean()) @ (z[:, v, j] - z[:, v, j].mean())) / 5
                shared += 5 * max(0.8 - math.sqrt(c + 1e-4), 0) / 4 / 2 if i == j else 2 * c**2 / 4
    return [float((z[b, 0] - z[b, 1]).square().sum()) / 4 * 3 + shared for b in range(6) for _ in (0, 1)]


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


def loop_koleo(x: Inputs) -> list[float]:
    z = unit(x["z"])
    return [
        -math.log(min(float((z[b, v] - z[j, v]).norm()) for j in range(6) if j != b) + 1e-3)
        for b in range(6)
        for v in (0, 1)
    ]


def loop_spectral(x: Inputs, mu: float) -> list[float]:
    def inside(row: Tensor) -> Tensor:
        return row * min(1.0, math.sqrt(mu) / float(row.norm()))

    q, k = [inside(row) for row in x["query"]], [inside(row) for row in x["key"]]
    divisor = mu if math.isfinite(mu) else 1
    return [
        (-2 * float(q[i] @ k[i]) + sum(float(q[i] @ k[j]) ** 2 for j in range(6) if j != i) / 5) / divisor
        for i in range(6)
    ]


TAU = {"temperature": 0.3}
REFERENCES: list[tuple[Loss, dict[str, Any], Loop]] = [
    (n_pair, {"l2": 0.05}, loop_n_pair),
    (lifted, {"margin": 0.3}, loop_lifted),
    (lifted, {"margin": 0.3, "form": "generalized"}, loop_lifted_generalized),
    (multi_similarity, {"alpha": 3.0, "beta": 20.0, "base": 0.4}, lambda x: loop_multi_similarity(x, mined=False)),
    (
        multi_similarity,
        {"alpha": 3.0, "beta": 20.0, "base": 0.4, "margin": 0.2, "mining": "hard"},
        lambda x: loop_multi_similarity(x, mined=True),
    ),
    (circle, {"margin": 0.25, "gamma": 10.0}, lambda x: [math.log(1 + near * far) for near, far in circle_sums(x)]),
    (circle, {"margin": 0.25, "gamma": 10.0, "scope": "batch"}, loop_circle_of_the_batch),
    (cpc, TAU, loop_cpc),
    (clip, TAU, loop_clip),
    (siglip, TAU | {"bias": -2.0}, loop_siglip),
    (mil_nce, TAU | {"direction": "query"}, lambda x: loop_mil_nce(x, "query")),
    (mil_nce, TAU | {"direction": "both"}, lambda x: loop_mil_nce(x, "both")),
    (mil_nce, TAU | {"direction": "joint"}, lambda x: loop_mil_nce(x, "joint")),
    (moco, TAU, loop_moco),
    (nnclr, TAU, loop_nnclr),
    (byol, {}, loop_byol),
    (simsiam, {}, lambda x: [v / 2 - 1 for v in loop_byol(x)]),
    (barlow_twins, {"redundancy": 0.05}, loop_barlow_twins),
    (vicreg, {"invariance": 3.0, "variance": 5.0, "covariance": 2.0, "gamma": 0.8}, loop_vicreg),
    (swav, TAU | {"epsilon": 0.2, "iterations": 4}, loop_swav),
    (koleo, {"eps": 1e-3}, loop_koleo),
    (spectral, {"mu": 1.2}, lambda x: loop_spectral(x, 1.2)),
    (spectral, {"radius": "free"}, lambda x: loop_spectral(x, math.inf)),
]
IDS = [f"{loss.name}-{i}" for i, (loss, _, _) in enumerate(REFERENCES)]


@pytest.mark.parametrize(("loss", "knobs", "loop"), REFERENCES, ids=IDS)
def test_per_anchor_values_equal_the_loop(loss: Loss, knobs: dict[str, Any], loop: Loop) -> None:
    x = inputs()
    each = loss(**given(loss, x), **knobs, reduction="none")
    torch.testing.assert_close(each, torch.tensor(loop(x), dtype=torch.float64), atol=1e-12, rtol=1e-10)


# What carries a gradient, where a loss holds some of its tensors constant.
LIVE = {"moco": ["query"], "nnclr": ["prediction"], "byol": ["prediction"], "simsiam": ["prediction"]}


@pytest.mark.parametrize(
    ("loss", "knobs", "loop"),
    [row for row in REFERENCES if row[0] is not swav],
    ids=lambda row: getattr(row, "name", ""),
)
def test_gradient(loss: Loss, knobs: dict[str, Any], loop: Loop) -> None:
    x = given(loss, inputs(seed=3))
    numbers = [name for name in x if x[name].is_floating_point()]
    live = LIVE.get(loss.name, numbers)
    if "weight_grad" in loss.defaults:  # finite differences see through a stop-gradient
        knobs = knobs | {"weight_grad": "live"}
    for name in numbers:
        x[name].requires_grad_()

    def value(*moved: Tensor) -> Tensor:
        return loss(**x | dict(zip(live, moved, strict=True)), **knobs)

    assert torch.autograd.gradcheck(value, [x[name] for name in live], atol=1e-6)
    value(*(x[name] for name in live)).backward()
    assert [name for name in numbers if x[name].grad is not None] == list(live)


def test_gradient_of_swav_takes_the_codes_as_constants() -> None:
    x = inputs(seed=3)
    z, prototypes = x["z"].requires_grad_(), x["prototypes"].requires_grad_()
    code = swav.parts(z, prototypes, x["memory"])["code"]
    assert not code.requires_grad
    actual = torch.autograd.grad(swav(z, prototypes, x["memory"]), (z, prototypes))
    logits = unit(z).flatten(0, 1) @ unit(prototypes).T / 0.1
    swapped = code.view(6, 2, 3).flip(1).flatten(0, 1)
    by_hand = torch.nn.functional.cross_entropy(logits, swapped)
    for left, right in zip(actual, torch.autograd.grad(by_hand, (z, prototypes)), strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("loss", [cpc, clip, siglip, mil_nce, moco, nnclr, swav], ids=lambda loss: loss.name)
@pytest.mark.parametrize("per_anchor", [False, True])
def test_gradient_to_the_temperature(loss: Loss, per_anchor: bool) -> None:
    x = given(loss, inputs(seed=4))
    anchors = 12 if "z" in x else 6
    temperature = torch.linspace(0.2, 0.6, anchors, dtype=torch.float64)
    temperature = (temperature if per_anchor else temperature[0]).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: loss(**x, temperature=t), temperature)
    # Each anchor's temperature moves its own value only.
    if per_anchor:
        value = loss(**x, temperature=temperature, reduction="none")[1]
        (slope,) = torch.autograd.grad(value, temperature)
        assert slope[1] != 0
        assert torch.cat([slope[:1], slope[2:]]).abs().max() == 0


def test_gradient_to_the_bias_of_siglip() -> None:
    x = given(siglip, inputs(seed=4))
    bias = torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: siglip(**x, bias=b, temperature=0.5), bias)
