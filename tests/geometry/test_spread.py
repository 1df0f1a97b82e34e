"""Alignment, uniformity and tolerance against closed forms, the authors' numbers and all pairs one by one."""

import json
from itertools import combinations
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.geometry import alignment, spread, tolerance, uniformity

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(file: str) -> dict[str, dict]:
    return {case["name"]: case for case in json.loads((GOLDEN / file).read_text())["cases"]}


BEHAVIOUR = golden("behaviour-of-contrastive-loss.json")
ALIGN_UNIFORM = golden("align-uniform.json")


def leaf(rows: list) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def assert_golden(value: Tensor, case: dict, **leaves: Tensor) -> None:
    assert value.item() == pytest.approx(case["loss"], abs=1e-9)
    assert leaves.keys() == case["grad"].keys()
    value.backward()
    for name, tensor in leaves.items():
        torch.testing.assert_close(
            tensor.grad, torch.tensor(case["grad"][name], dtype=torch.float64), rtol=0, atol=1e-9
        )


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def pairwise_uniformity(x: Tensor, t: float) -> Tensor:
    return torch.stack([(-t * (a - b).square().sum()).exp() for a, b in combinations(x, 2)]).mean().log()


@pytest.mark.parametrize("name", [name for name in BEHAVIOUR if name.startswith("align")])
def test_alignment_golden(name: str) -> None:
    case = BEHAVIOUR[name]
    x, y = leaf(case["inputs"]["x"]), leaf(case["inputs"]["y"])
    assert_golden(alignment(torch.stack((x, y), 1), case["params"]["alpha"]), case, x=x, y=y)


@pytest.mark.parametrize("name", [name for name in BEHAVIOUR if name.startswith("uniform")])
def test_uniformity_golden(name: str) -> None:
    case = BEHAVIOUR[name]
    x = leaf(case["inputs"]["x"])
    assert_golden(uniformity(x, case["params"]["t"]), case, x=x)


@pytest.mark.parametrize("name", ALIGN_UNIFORM)
def test_align_uniform_golden(name: str) -> None:
    case = ALIGN_UNIFORM[name]
    views = {name: leaf(rows) for name, rows in case["inputs"].items()}
    params = case["params"]
    value = torch.zeros((), dtype=torch.float64)
    if "alpha" in params:
        value = value + alignment(torch.stack(list(views.values()), 1), params["alpha"])
    if "t" in params:
        weight = params.get("unif_w", 1.0)
        value = value + weight * torch.stack([uniformity(view, params["t"]) for view in views.values()]).mean()
    assert_golden(value, case, **views)


def test_tolerance_golden() -> None:
    case = BEHAVIOUR["tolerance_indicator_over_all_pairs"]
    x, labels = leaf(case["inputs"]["x"]), torch.tensor(case["inputs"]["labels"])
    assert_golden(tolerance(x, labels, reading="literal"), case, x=x)


def test_tolerance_is_the_mean_over_same_class_pairs() -> None:
    x, labels = random(12, 5), torch.tensor([0, 0, 0, 0, 0, 7, 7, 7, 2, 2, 9, 9])
    u = F.normalize(x, dim=1)
    same = [(u[i] @ u[j]).item() for i, j in combinations(range(12), 2) if labels[i] == labels[j]]
    assert tolerance(x, labels).item() == pytest.approx(sum(same) / len(same), abs=1e-14)
    literal = sum(same) / (12 * 11 / 2)
    assert tolerance(x, labels, reading="literal").item() == pytest.approx(literal, abs=1e-14)


def test_tolerance_ignores_classes_of_one_sample() -> None:
    x = random(5, 3)
    with_singleton = tolerance(x, torch.tensor([0, 0, 1, 1, 2]))
    assert with_singleton.item() == pytest.approx(tolerance(x[:4], torch.tensor([0, 0, 1, 1])).item(), abs=1e-15)


@pytest.mark.parametrize("t", [0.5, 2, 5, 200])
def test_orthonormal_points(t: float) -> None:
    assert uniformity(torch.eye(7, dtype=torch.float64), t).item() == pytest.approx(-2 * t, rel=1e-14)


def test_antipodal_pair() -> None:
    z = torch.tensor([[[1.0, 2.0], [-1.0, -2.0]]], dtype=torch.float64)
    assert uniformity(z[0], t=3).item() == pytest.approx(-12, abs=1e-14)
    assert alignment(z).item() == pytest.approx(4, abs=1e-14)
    assert alignment(z, alpha=1).item() == pytest.approx(2, abs=1e-14)
    assert tolerance(z[0], torch.tensor([3, 3])).item() == pytest.approx(-1, abs=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_collapsed(dtype: torch.dtype) -> None:
    x = random(1, 6, dtype=dtype).expand(9, 6).clone().requires_grad_()
    labels = torch.arange(9) % 2
    assert uniformity(x).item() == pytest.approx(0, abs=1e-6)
    assert tolerance(x, labels).item() == pytest.approx(1, abs=1e-6)
    assert alignment(x.view(3, 3, 6)).item() == 0
    (uniformity(x) + tolerance(x, labels) + alignment(x.view(3, 3, 6))).backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e-6


def test_alignment_runs_over_all_pairs_of_views() -> None:
    z = random(4, 3, 5)
    u = F.normalize(z, dim=2)
    distances = torch.stack([(u[:, v] - u[:, w]).norm(dim=1) for v, w in combinations(range(3), 2)])
    assert alignment(z, alpha=1.5).item() == pytest.approx(distances.pow(1.5).mean().item(), abs=1e-14)


def test_not_normalized() -> None:
    x = random(10, 4) + 50  # far from the origin, where squared norms cancel
    assert uniformity(x, 0.3, normalize=False).item() == pytest.approx(pairwise_uniformity(x, 0.3).item(), abs=1e-12)
    z = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    assert alignment(z, normalize=False).item() == 25
    assert tolerance(torch.tensor([[2.0, 0], [3, 1]]), torch.tensor([0, 0]), normalize=False).item() == 6


@pytest.mark.parametrize("tile", [4, 5, 9, 16, 17, 1024])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    monkeypatch.setattr(spread, "TILE", tile)
    x = random(17, 3).requires_grad_()
    value = uniformity(x)
    reference = pairwise_uniformity(F.normalize(x, dim=1), 2)
    assert value.item() == pytest.approx(reference.item(), abs=1e-13)
    grad, reference_grad = (torch.autograd.grad(v, x)[0] for v in (value, reference))
    torch.testing.assert_close(grad, reference_grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("tile", [4, 1024])
def test_gradcheck(monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    monkeypatch.setattr(spread, "TILE", tile)
    x, labels = random(9, 3).requires_grad_(), torch.arange(9) % 3
    assert torch.autograd.gradcheck(lambda x: uniformity(x, 1.5), x)
    assert torch.autograd.gradcheck(lambda x: uniformity(x, 1.5, normalize=False), x)
    assert torch.autograd.gradcheck(lambda x: tolerance(x, labels), x)
    assert torch.autograd.gradcheck(lambda x: alignment(x.view(3, 3, 3), 1.3), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision(dtype: torch.dtype) -> None:
    x, labels = random(60, 16, dtype=dtype), torch.arange(60) % 4
    exact = x.double()
    with torch.autocast("cpu", torch.bfloat16):  # measured in float32 all the same
        values = uniformity(x), tolerance(x, labels), alignment(x.view(30, 2, 16))
    for value, reference in zip(
        values, (uniformity(exact), tolerance(exact, labels), alignment(exact.view(30, 2, 16))), strict=True
    ):
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(reference.item(), abs=2e-6)


def test_sharp_kernel_does_not_underflow() -> None:
    x = torch.eye(6).requires_grad_()
    value = uniformity(x, t=500)  # exp(-1000) is 0 in both float32 and float64
    value.backward()
    assert value.item() == pytest.approx(-1000, rel=1e-6)
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_nan_comes_through() -> None:
    x = random(6, 3)
    x[2, 1] = torch.nan
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert all(v.isnan() for v in (uniformity(x), tolerance(x, labels), alignment(x.view(3, 2, 3))))
