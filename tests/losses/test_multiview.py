"""MV-InfoNCE and MV-DHEL against the authors' numbers, loops and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, anchors, e, each_anchor, one
from proofs import Case, Golden, Reference, golden, loops, views
from torch import Tensor

from cl_explore.losses import dhel, info_nce, mv_dhel, mv_infonce, nt_xent


def first_view(each: Tensor) -> Tensor:
    return each.view(-1, 2)[:, 0].mean()


def multi_view(x: Inputs, case: Case) -> Tensor:
    """Pairwise (PWE), averaged (AVG) and poly-view (PVC) contrast are compositions of NT-Xent and InfoNCE."""
    z, tau, name = views(x, "x"), case["params"]["tau"], case["name"]
    samples, count, _ = z.shape
    pairs = [(v, u) for v in range(count) for u in range(count) if v != u]
    if name.startswith("dhel_noaugs"):
        parts = dhel.parts(z, temperature=tau)
        return first_view(parts["energy"] - parts["alignment"])
    if name.startswith("dhel"):
        return dhel(z, temperature=tau)
    if name.startswith("mv_infonce"):
        return mv_infonce(z, temperature=tau)
    if name.startswith("mv_dhel"):
        return mv_dhel(z, temperature=tau)
    if name.startswith("ntxent_pwe"):
        return torch.stack([nt_xent(z[:, pair], temperature=tau) for pair in pairs]).mean()
    if name.startswith("ntxent_avg"):
        z = F.normalize(z, dim=-1)
        others = (z.sum(1, keepdim=True) - z) / (count - 1)
        each = [
            nt_xent(torch.stack([z[:, v], others[:, v]], 1), temperature=tau, normalize=False) for v in range(count)
        ]
        return torch.stack(each).mean()
    apart = [[j for j in range(samples) if j != i] for i in range(samples)]
    negatives = z[torch.tensor(apart)].flatten(1, 2)
    each = [info_nce(z[:, v], z[:, u], negatives, temperature=tau) for v, u in pairs]
    return torch.stack(each).mean()


# The kernel losses (KCL) of the file are not in the catalogue.
GOLDEN = [Golden("mv-infonce-dhel", multi_view, lambda case: "kcl" not in case["name"])]
test_golden = golden(GOLDEN)


def loop_mv_infonce(x: Inputs, cross_view: bool) -> list[float]:
    z = x["z"]

    def value(b: int, _: int) -> float:
        count = range(z.shape[1])
        top = sum(e(z[b, v], z[b, u]) for v in count for u in count if u != v)
        bottom = sum(
            e(z[b, v], z[j, u]) for v in count for j, u in anchors(z) if (u != v if cross_view else (j, u) != (b, v))
        )
        return math.log(bottom / top)

    return each_anchor(z, value)


def loop_mv_dhel(x: Inputs) -> list[float]:
    z = x["z"]

    def value(b: int, _: int) -> float:
        count = range(z.shape[1])
        top = sum(e(z[b, v], z[b, u]) for v in count for u in count if v < u)
        energies = [sum(e(z[b, v], z[j, v]) for j in range(len(z)) if j != b) for v in count]
        return sum(map(math.log, energies)) - math.log(top)

    return each_anchor(z, value)


T = {"temperature": 0.2}
REFERENCES = [
    Reference(mv_dhel, T, loop_mv_dhel, views=4),
    Reference(mv_infonce, T, lambda x: loop_mv_infonce(x, False), views=3),
    Reference(mv_infonce, T | {"denominator": "cross_view"}, lambda x: loop_mv_infonce(x, True), views=3),
]
test_loop = loops(REFERENCES)


def test_value_of_a_collapsed_batch() -> None:
    z = one(8, 4, 5)
    assert float(mv_dhel(z, temperature=0.5)) == pytest.approx(4 * math.log(7) + 3 / 0.5 - math.log(6))
    assert float(mv_infonce(z)) == pytest.approx(math.log(31 / 3))
    assert float(mv_infonce(z, denominator="cross_view")) == pytest.approx(math.log(8))


def test_bounds() -> None:
    b, tau = 16, 0.3
    far = -1 / (b - 1)
    assert mv_dhel.bounds(b, views=3, temperature=tau)[1] == pytest.approx(
        3 * math.log(b - 1) + 3 * far / tau - 1 / tau - math.log(3)
    )
