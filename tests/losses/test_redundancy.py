"""Barlow Twins, VICReg and SHAMISA's loss against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
from loops import Inputs, one, random
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, views
from torch import Tensor

from cl_explore.losses import barlow_twins, shamisa, vicreg


def barlow_twins_call(x: Inputs, case: Case) -> Tensor:
    return barlow_twins(views(x, "z0", "z1"), redundancy=case["params"]["lambd"])


def vicreg_call(x: Inputs, case: Case) -> Tensor:
    p, z = case["params"], views(x, "z0", "z1")
    return vicreg(z, invariance=p["sim"], variance=p["std"], covariance=p["cov"], gamma=p["gamma"])


def spread_call(x: Inputs, case: Case) -> Tensor:
    """One of its last two terms alone: its graphs are tested with the paper."""
    term = "covariance" if case["name"].startswith("decorrelation") else "variance"
    statistics = "parts" if case["params"]["two_halves"] else "whole"
    alone = dict.fromkeys(("invariance", "variance", "covariance"), 0.0) | {term: 1.0}
    return shamisa(x["Z"], **alone, statistics=statistics)


GOLDEN = [
    Golden("barlow-twins", barlow_twins_call),
    Golden("vicreg", vicreg_call),
    Golden("shamisa", spread_call, lambda case: "two_halves" in case["params"]),
]
test_golden = golden(GOLDEN)


def test_correlation_of_barlow_twins() -> None:
    for start in ("B6", "B8", "z1 ="):
        case = cases("barlow-twins", start)[0]
        close(barlow_twins.parts(views(leaves(case), "z0", "z1"))["correlation"], case["outputs"]["c"], case["name"])


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


def loop_shamisa(x: Inputs, weighted: bool = True, whole: bool = False) -> list[float]:
    z, w = x["z"], x["weights"] if weighted else torch.eye(6)
    samples, views, _ = z.shape
    places = [(b, v) for b in range(samples) for v in range(views)]

    def graph(i: int, j: int) -> float:
        a, b = places[i][0], places[j][0]
        return 0.0 if i == j else float(w[a, b] + w[b, a]) / 2

    points, shared = [z[place] for place in places], 0.0
    parts = [torch.stack(points)] if whole else list(z.unbind(1)) if views > 1 else list(z[:, 0].split(samples // 2))
    for part in parts:
        cov = torch.cov(part.T)
        shared += 5 * sum(max(1 - math.sqrt(float(c) + 1e-4), 0) for c in cov.diagonal()) / 4 / len(parts)
        shared += 2 * sum(float(cov[c, e]) ** 2 for c in range(4) for e in range(4) if c != e) / 4
    n = len(points)
    pulls = [sum(graph(i, j) * float((points[i] - points[j]).square().sum()) / 4 for j in range(n)) for i in range(n)]
    squares = [n * sum(graph(i, j) ** 2 for j in range(n)) for i in range(n)]
    return [3 * (pull - 0.1 * square) + shared for pull, square in zip(pulls, squares, strict=True)]


SHAMISA = {"invariance": 3.0, "variance": 5.0, "covariance": 2.0, "regulariser": 0.1}
REFERENCES = [
    Reference(barlow_twins, {"redundancy": 0.05}, loop_barlow_twins),
    Reference(vicreg, {"invariance": 3.0, "variance": 5.0, "covariance": 2.0, "gamma": 0.8}, loop_vicreg),
    Reference(shamisa, SHAMISA, loop_shamisa, fed=("weights",)),
    Reference(shamisa, SHAMISA, lambda x: loop_shamisa(x, weighted=False)),
    Reference(shamisa, SHAMISA, loop_shamisa, views=1, fed=("weights",)),
    Reference(shamisa, SHAMISA | {"statistics": "whole"}, lambda x: loop_shamisa(x, whole=True), fed=("weights",)),
]
test_loop = loops(REFERENCES)


def test_barlow_twins_of_opposite_and_of_rescaled_views() -> None:
    z = random(64, 3)
    opposite = barlow_twins.parts(torch.stack([z, -z], 1))
    assert float(opposite["on_diagonal"][0]) == pytest.approx(4 * 3, rel=1e-4)
    both = torch.stack([z, z + 0.3 * random(64, 3, seed=1)], 1)
    moved = both * torch.tensor([2.0, 30.0, 0.5], dtype=torch.float64) + torch.tensor([5.0, -1.0, 0.0])
    torch.testing.assert_close(barlow_twins(moved), barlow_twins(both), atol=1e-4, rtol=0)
    white = torch.linalg.qr(z - z.mean(0)).Q * 8
    assert float(barlow_twins(torch.stack([white, white], 1))) == pytest.approx(0, abs=1e-8)


def test_vicreg_leaves_alone_what_is_spread_and_uncorrelated() -> None:
    z = random(64, 3)
    white = torch.linalg.qr(z - z.mean(0)).Q * math.sqrt(63)
    parts = vicreg.parts(torch.stack([white, white + 1.0], 1))
    assert float(parts["variance"].max()) == 0
    assert float(parts["covariance"].max()) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(parts["invariance"], torch.ones(128, dtype=torch.float64))


def test_value_of_a_collapsed_batch() -> None:
    assert float(barlow_twins(one(8, 2, 4))) == pytest.approx(4)
    assert float(vicreg(one(8, 2, 4))) == pytest.approx(25 * 0.99)
    weights = 1 - torch.eye(8, dtype=torch.float64)
    assert float(shamisa(one(8, 4), weights)) == pytest.approx(11.98 * 0.99 - 88.37 * 0.034 * 8 * 7)


def test_the_graph_is_its_laplacian() -> None:
    """Times N: twice the trace of z'Lz by D; related points are drawn to their mean; half of both directions counts."""
    z, weights = random(6, 3), random(6, 6, seed=1).square()
    alone = {"invariance": 1.0, "variance": 0.0, "covariance": 0.0, "regulariser": 0.0, "statistics": "whole"}
    both = (weights + weights.T) / 2
    laplacian = torch.diag(both.sum(1)) - both
    torch.testing.assert_close(6 * 3 / 2 * shamisa(z, weights, **alone), torch.trace(z.T @ laplacian @ z))
    related = (torch.arange(6) < 4).double()
    block = related[:, None] * related
    found = shamisa(z, block, **alone) * 6 * 3 / 2
    torch.testing.assert_close(found, 4 * (z[:4] - z[:4].mean(0)).square().sum())
    turn = torch.linalg.qr(random(3, 3, seed=2)).Q
    torch.testing.assert_close(shamisa(z @ turn, weights, **alone), shamisa(z, weights, **alone))


def test_disjoint_pairs_are_views_of_vicreg() -> None:
    z = random(5, 2, 3)
    listed, pairs = z.transpose(0, 1).flatten(0, 1), torch.eye(5, dtype=torch.float64).repeat(2, 2)
    knobs = {"invariance": 3.0, "variance": 5.0, "covariance": 2.0}
    torch.testing.assert_close(shamisa(listed, pairs, regulariser=0, **knobs), vicreg(z, **knobs))


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_a_view_that_has_no_two_halves_is_refused(samples: int) -> None:
    z, weights = random(samples, 3), torch.ones(samples, samples, dtype=torch.float64)
    with pytest.raises(ValueError, match=f"z must hold an even number of samples, at least 4, .* got {samples}"):
        shamisa(z, weights)
    assert shamisa(z, weights, statistics="whole").isfinite()
