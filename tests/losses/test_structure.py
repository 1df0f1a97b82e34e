"""SepCLR and attribute alignment against the authors' numbers, loops and closed forms."""

import math
from collections.abc import Callable

import pytest
import torch
from loops import Inputs, anchors, each_anchor, one, random, unit
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, views
from torch import Tensor

from cl_explore.losses import attribute_alignment, sepclr


def sepclr_call(x: Inputs, case: Case) -> Tensor:
    p, name = case["params"], case["name"]
    if name.startswith("sup_align"):
        return attribute_alignment(x["x"][:, None], x["y"], bandwidth=p["tau"])
    if name.startswith("joint"):
        z, salient = x["c"][:, None].expand(-1, 2, -1), x["s"][:, None].expand(-1, 2, -1)
        flags = torch.ones(len(z), dtype=torch.long)
        return sepclr.parts(z, salient, flags, temperature=p["tau"], normalize=False)["joint_entropy"].mean()
    if name.startswith("uniform"):
        z = x["x"][:, None].expand(-1, 2, -1)
        flags = torch.ones(len(z), dtype=torch.long)
        return sepclr.parts(z, z, flags, temperature=p["tau"], normalize=False)["common_uniformity"].mean()
    return sepclr(
        views(x, "c"),
        views(x, "s"),
        torch.tensor(case["inputs"]["is_target"]),
        temperature=p["tau"],
        salient_weight=p["salient_weight"],
        informationless_weight=p["informationless_weight"],
        joint_weight=p["jem_weight"],
    )


GOLDEN = [Golden("sepclr", sepclr_call)]
test_golden = golden(GOLDEN)


@pytest.mark.parametrize(
    "case", [case for case in cases("sepclr") if case["name"] in ("mixed_batch", "no_jem")], ids=lambda c: c["name"]
)
def test_sepclr_terms(case: Case) -> None:
    x, found = leaves(case), case["components"]
    flags = torch.tensor(case["inputs"]["is_target"])
    parts = sepclr.parts(views(x, "c"), views(x, "s"), flags, temperature=case["params"]["tau"])
    names = {
        "common_align": "common_alignment",
        "common_uniform": "common_uniformity",
        "salient_align": "salient_alignment",
        "salient_uniform": "salient_uniformity",
        "informationless": "informationless",
        "jem": "joint_entropy",
    }
    assert found.keys() == names.keys()
    for theirs, ours in names.items():
        close(parts[ours].mean(), found[theirs])


def kernel(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().sum()) / 1.6


def loop_sepclr(x: Inputs) -> list[float]:
    """temperature 0.8, weights 2, 30, 5; the numbers of single samples scaled so that their mean is the term."""
    z, salient, y = x["z"], x["salient"], x["labels"]
    samples, views, _ = z.shape
    shown = [[salient[b, v] * float(y[b] > 0) for v in range(views)] for b in range(samples)]
    targets = [b for b in range(samples) if y[b] > 0]
    background = [b for b in range(samples) if y[b] == 0]
    rows = range(samples)

    def uniformity(of: Callable[[int], Tensor]) -> float:
        pairs = [math.exp(-kernel(of(i), of(j))) for i in rows for j in rows if i < j]
        return math.log(sum(pairs) / len(pairs))

    def value(b: int, v: int) -> float:
        c = unit(z)
        rest = [u for u in range(views) if u != v]
        total = sum(kernel(c[b, v], c[b, u]) for u in rest) / len(rest) + 2 * uniformity(lambda i: c[i, v])
        total += 4 * uniformity(lambda i: shown[i][v])
        if b in targets:
            pull = sum(kernel(shown[b][v], shown[b][u]) for u in rest) / len(rest)
            total += 2 * pull * samples / len(targets)
        else:
            total += 30 * kernel(salient[b, v], torch.zeros(3)) * samples / len(background)
        joint = [math.exp(-kernel(c[b, v], c[j, v]) - kernel(shown[b][v], shown[j][v])) for j in rows]
        return total + 5 * math.log(sum(joint) / samples)

    return each_anchor(z, value)


def loop_attribute(x: Inputs) -> list[float]:
    z, y = x["z"], x["targets"]

    def value(b: int, v: int) -> float:
        pairs = [
            math.exp(-((float(y[b]) - float(y[j])) ** 2) / 4) * float((z[b, v] - z[j, u]).square().sum())
            for j, u in anchors(z)
            if (j, u) != (b, v)
        ]
        return sum(pairs) / len(pairs)

    return each_anchor(z, value)


SEPCLR = {"temperature": 0.8, "salient_weight": 2.0, "informationless_weight": 30.0, "joint_weight": 5.0}
REFERENCES = [
    Reference(sepclr, SEPCLR, loop_sepclr),
    Reference(sepclr, SEPCLR, loop_sepclr, views=3),
    Reference(attribute_alignment, {"bandwidth": 2.0}, loop_attribute),
]
test_loop = loops(REFERENCES)


def test_attributes_of_several_dimensions() -> None:
    z, y = random(6, 1, 4), torch.arange(6) % 3
    targets = torch.stack([y, y.flip(0)], 1).double()
    each = attribute_alignment(z, targets, bandwidth=2.0, reduction="none")
    for i in range(6):
        gaps = [(targets[i] - targets[j]).square().sum() for j in range(6) if j != i]
        distances = [(z[i] - z[j]).square().sum() for j in range(6) if j != i]
        expected = sum((-gap / 4).exp() * d for gap, d in zip(gaps, distances, strict=True)) / 5
        torch.testing.assert_close(each[i], expected)
    torch.testing.assert_close(attribute_alignment(z, targets[:, :1]), attribute_alignment(z, targets[:, 0]))


def test_near_raw_codes_far_from_the_origin_keep_their_distances() -> None:
    """Codes 0.1 apart at 1000: squared lengths would have swallowed the distance."""
    z = torch.nn.functional.normalize(torch.randn(32, 2, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    salient = (1000 + 0.1 * z).float()
    labels = torch.ones(32, dtype=torch.long)
    found = sepclr.parts(z, salient, labels)["salient_uniformity"].mean()
    exact = sepclr.parts(z.double(), salient.double(), labels)["salient_uniformity"].mean()
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-4)


def test_value_of_a_collapsed_batch() -> None:
    z, y = one(8, 2, 5), torch.arange(8) % 3
    assert float(sepclr(z, 0 * z, y)) == pytest.approx(0, abs=1e-12)
    assert float(attribute_alignment(z, y.double())) == pytest.approx(0, abs=1e-12)
