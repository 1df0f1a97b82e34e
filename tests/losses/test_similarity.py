"""The primitive and its relatives: log-sum-exps with pairs left out, sums over classes, distances."""

import math

import pytest
import torch
from loops import log_sum, random, softplus

from cl_explore.losses import row_lse
from cl_explore.losses.similarity import (
    as_products,
    class_members,
    class_sums,
    distances,
    row_softplus,
    view_agreement,
)
from cl_explore.losses.tiles import Rule


def test_class_sums() -> None:
    x, labels = torch.randn(9, 3, dtype=torch.float64), torch.tensor([4, 0, 4, 7, 7, 7, 0, 2, 100])
    sums, counts = class_sums(x, labels)
    for i in range(9):
        members = labels == labels[i]
        torch.testing.assert_close(sums[i], x[members].sum(0))
        assert counts[i] == members.sum()


def test_row_lse_of_nothing_is_minus_infinity_without_a_gradient() -> None:
    a = torch.randn(3, 2, requires_grad=True)
    ids = torch.tensor([0, 1, 1])
    lse = row_lse(a, a, 2.0, exclude=["self", "other"], a_ids=ids, b_ids=ids)
    assert lse[0] == -torch.inf
    lse[1:].sum().backward()
    assert a.grad is not None
    assert a.grad[0].abs().sum() == 0
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("exclude", [(), ("self",), ("same",), ("other",), ("self", "other")])
def test_row_lse_against_a_loop(exclude: tuple[Rule, ...]) -> None:
    a, ids = random(6, 4), torch.tensor([0, 1, 0, 2, 2, 0])
    found = row_lse(a, a, 2.0, exclude=exclude, a_ids=ids, b_ids=ids)
    for i in range(6):
        kept = [
            float(2 * a[i] @ a[j])
            for j in range(6)
            if not (("self" in exclude and i == j) or ("same" in exclude and ids[i] == ids[j]))
            and not ("other" in exclude and ids[i] != ids[j])
        ]
        assert float(found[i]) == pytest.approx(log_sum(kept) if kept else -math.inf)


def test_row_lse_leaves_out_itself_also_where_ids_are_unknown() -> None:
    a = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(row_lse(a, a, 10.0, exclude=["self"]).exp(), torch.full((3,), 2.0).double())


def test_half_precision_is_summed_in_float32() -> None:
    a = random(64, 8).bfloat16()
    found = row_lse(a, a, 5.0, exclude=["self"])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, row_lse(a.float(), a.float(), 5.0, exclude=["self"]))


def test_sums_of_softplus() -> None:
    a, b = 3 * random(5, 4), random(5, 4, seed=1)
    for i, found in enumerate(row_softplus(a, b)):
        assert float(found) == pytest.approx(sum(softplus(float(a[i] @ b[j])) for j in range(5) if j != i))


def test_members_of_classes() -> None:
    labels = torch.tensor([4, 0, 4, 7, 7, 7, 0, 2, 100])
    group, counts = class_members(labels)
    assert counts.tolist() == [2, 2, 2, 3, 3, 3, 2, 1, 1]
    assert ((group[:, None] == group) == (labels[:, None] == labels)).all()
    assert ((group >= 0) & (group < len(labels))).all()


def test_agreement_of_views() -> None:
    x, z = random(3, 4, 5), random(3, 4, 5, seed=1)
    for i, (b, v) in enumerate((b, v) for b in range(3) for v in range(4)):
        expected = sum(float(x[b, v] @ z[b, u]) for u in range(4) if u != v) / 3
        assert float(view_agreement(x, z)[i]) == pytest.approx(expected)


@pytest.mark.parametrize("squared", [True, False])
def test_distances(squared: bool) -> None:
    """Coinciding points are at distance 0 with gradient 0, however steep the root is there."""
    x = torch.cat([random(4, 3), random(4, 3)[:1]]).requires_grad_()
    found = distances(x, squared)
    expected = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(found, expected.square() if squared else expected, atol=1e-7, rtol=1e-7)
    pair = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(distances(pair, squared).sum(), pair)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_distances_as_products() -> None:
    a, b = random(4, 3), random(5, 3, seed=1)
    rows, columns = as_products(a, b)
    gap = rows @ columns.T + torch.cdist(a, b).square() / 2
    torch.testing.assert_close(gap, ((a - b.mean(0)).square().sum(1) / 2)[:, None].expand(4, 5))
