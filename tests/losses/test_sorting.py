"""GroCo and the soft sort against the authors' numbers, dense layers, loops and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, anchors, cosine, each_anchor, one, random
from proofs import Case, Golden, Reference, cases, close, golden, loops, tensor, views
from torch import Tensor

from cl_explore.losses import groco, soft_sort


def groco_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    if "n" in p:
        return (soft_sort(x["x"], p["steepness"])[1] * x["W"]).sum()
    z = views(x, "x")
    return groco(
        z,
        hardest=p["topk_neg"],
        steepness=p["steepness"],
        positives="all" if p["n_pos_augs"] == z.shape[1] else "first_two",
        key_grad="detach" if p["stop_grad"] else "live",
    )


GOLDEN = [Golden("groco", groco_call)]
test_golden = golden(GOLDEN)


@pytest.mark.parametrize("case", [case for case in cases("groco") if "sorter" in case["name"]], ids=lambda c: c["name"])
def test_soft_sort(case: Case) -> None:
    numbers, permutation = soft_sort(tensor(case["inputs"]["x"]), case["params"]["steepness"])
    close(numbers, case["extra"]["sorted"])
    close(permutation, case["extra"]["P"])


def dense_sort(x: Tensor, steepness: float) -> Tensor:
    """The soft permutation as a product of one dense matrix for each layer."""
    n = len(x)
    permutation = torch.eye(n, dtype=x.dtype)
    for layer in range(n):
        matrix = torch.eye(n, dtype=x.dtype)
        for a in range(layer % 2, n - 1, 2):
            keep = 0.5 + torch.atan(steepness * (x[a + 1] - x[a])) / math.pi
            matrix[a : a + 2, a : a + 2] = torch.stack([keep, 1 - keep, 1 - keep, keep]).view(2, 2)
        x, permutation = x @ matrix, permutation @ matrix
    return permutation


def loop_groco(x: Inputs, hardest: int, steepness: float, first_two: bool = False) -> list[float]:
    z = x["z"]

    def value(b: int, v: int) -> float:
        near = sorted(cosine(z[b, v], z[j, v]) for j in range(len(z)) if j != b)[-hardest:]
        given = range(2 if first_two else z.shape[1])
        far = sorted(cosine(z[b, v], z[b, u]) for u in given if u != v)
        chance = dense_sort(tensor(near + far), steepness)[:, len(near) :].sum(1)
        target = tensor([0.0] * len(near) + [1.0] * len(far))
        return float(F.binary_cross_entropy(chance, target))

    return each_anchor(z, value)


REFERENCES = [
    Reference(groco, {"hardest": 3, "steepness": 5.0}, lambda x: loop_groco(x, 3, 5)),
    Reference(groco, {"hardest": 10, "steepness": 2.0}, lambda x: loop_groco(x, 10, 2), views=4),
    Reference(groco, {"hardest": 4, "positives": "first_two"}, lambda x: loop_groco(x, 4, 1, True), views=4),
]
test_loop = loops(REFERENCES)


def test_soft_sort_is_a_product_of_dense_layers() -> None:
    x = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numbers, permutation = soft_sort(x, 3.0)
    for row, found, mixed in zip(x.flatten(0, 1), permutation.flatten(0, 1), numbers.flatten(0, 1), strict=True):
        torch.testing.assert_close(found, dense_sort(row, 3.0))
        torch.testing.assert_close(row @ found, mixed)
    assert torch.autograd.gradcheck(lambda x: soft_sort(x, 3.0), x.requires_grad_())


def test_anatomy() -> None:
    z = random(6, 2, 4)
    order = groco.parts(z, hardest=3, steepness=1e9)
    for i, (b, v) in enumerate(anchors(z)):
        above = sum(cosine(z[b, v], z[j, v]) > cosine(z[b, v], z[b, 1 - v]) for j in range(6) if j != b)
        assert float(order["misordered"][i]) == min(above, 3)
        assert float(order["misplaced"][i]) == pytest.approx(float(above > 0), abs=1e-6)


@pytest.mark.parametrize("steepness", [1.0, 5.0, 50.0])
def test_how_much_of_groco_is_the_network(steepness: float) -> None:
    """Ten negatives and a positive, all equal: 0.202 at any steepness. Even negatives at -1 and a positive at 1 are
    no less than 0.147 when it is 1: the value says little about the order."""
    equal = torch.ones(11, 2, 3, dtype=torch.float64)
    assert float(groco(equal, steepness=steepness)) == pytest.approx(0.202, abs=5e-4)
    opposed = torch.cat([equal[:1], -equal[1:]])
    best = float(groco(opposed, steepness=steepness, reduction="none")[0])
    assert best < 0.2
    if steepness == 1:
        assert best == pytest.approx(0.147, abs=5e-4)


def test_a_steeper_sort_attends_to_the_nearest_negatives() -> None:
    """Share of the negatives' gradient that falls on the 4 nearest of 10, by steepness."""
    x = torch.cat([torch.linspace(-0.6, 0.5, 10, dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)])
    shares = []
    for steepness in (1.0, 10.0, 50.0):
        leaf = x.clone().requires_grad_()
        chance = soft_sort(leaf, steepness)[1][:, 10]
        (-chance[10].log() - (1 - chance[:10]).log().sum()).backward()
        assert leaf.grad is not None
        pull = leaf.grad[:10].abs()
        shares.append(float(pull[-4:].sum() / pull.sum()))
        assert float(leaf.grad.sum()) == pytest.approx(0, abs=1e-12), "sorting does not mind a shift of all numbers"
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] + 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steepness", [1e-6, 1.0, 1e6, 1e12, 1e30])
def test_sorting_at_any_steepness(dtype: torch.dtype, steepness: float) -> None:
    x = torch.tensor([[0.3, -0.2, 0.3, 0.9, -1.0]], dtype=dtype, requires_grad=True)
    numbers, permutation = soft_sort(x, steepness)
    torch.testing.assert_close(permutation.sum(1), torch.ones_like(x), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad((numbers * torch.arange(5)).sum(), x)
    assert gradient.isfinite().all()
    z = torch.stack([torch.eye(4, dtype=dtype), -torch.eye(4, dtype=dtype)], 1).requires_grad_()
    value = groco(z, hardest=3, steepness=steepness)
    value.backward()
    assert value.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_tiny_probabilities_keep_their_gradient() -> None:
    """A positive opposite to its anchor: the chance to rank right is about 1e-8, its logarithm and slope exact."""
    z = torch.stack([torch.eye(3), -torch.eye(3)], 1).double()
    single = groco(z.float(), hardest=1, steepness=1e7)
    torch.testing.assert_close(single.double(), groco(z, hardest=1, steepness=1e7), rtol=1e-5, atol=0)
    assert float(single) == pytest.approx(math.log(math.pi * 1e7), rel=1e-4)


def test_landmarks() -> None:
    assert float(groco(one(8, 2, 5), hardest=1)) == pytest.approx(math.log(2))
    far = -1 / 15
    assert groco.bounds(16, hardest=1, steepness=2.0)[1] == pytest.approx(
        -math.log(0.5 + math.atan(2 * (1 - far)) / math.pi)
    )


@pytest.mark.parametrize(
    ("x", "steepness", "error", "message"),
    [
        (torch.tensor([1.0]), 1.0, ValueError, r"x must hold at least 2 numbers .*got shape \(1,\)"),
        (torch.tensor(1.0), 1.0, ValueError, "x must hold at least 2 numbers"),
        (torch.tensor([1, 2]), 1.0, TypeError, "x must be floating point, got torch.int64"),
        (torch.ones(3), 0.0, ValueError, "steepness must be positive and finite, got 0"),
        (torch.ones(3), math.nan, ValueError, "steepness must be positive and finite, got nan"),
    ],
)
def test_what_cannot_be_sorted(x: Tensor, steepness: float, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        soft_sort(x, steepness)
