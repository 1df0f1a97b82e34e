"""Log-sum-exps computed in tiles against the stored table: every rule, every route, values and gradients."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import similarity, tiles
from cl_explore.losses.cross_entropy import both_ways
from cl_explore.losses.similarity import row_lse, row_softplus
from cl_explore.losses.tiles import Rule

RULES: list[tuple[Rule, ...]] = [(), ("self",), ("same",), ("other",), ("self", "other"), ("self", "same")]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles so small that a few dozen rows need many of them, of which the last are not full and few are kept."""
    monkeypatch.setattr(tiles, "_side", lambda a, b: 8)
    monkeypatch.setattr(tiles, "KEPT", 500)
    monkeypatch.setattr(similarity, "_dense_limit", lambda device: 0)


def rows(count: int, seed: int, dtype: torch.dtype = torch.float64, dimensions: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, dimensions, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(x, dim=1).to(dtype).requires_grad_()


def gradients(value: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Of a sum that weighs every finite entry differently, some of them negatively."""
    weight = torch.linspace(-1, 2, value.numel(), dtype=value.dtype)
    return list(torch.autograd.grad((value * weight)[value.isfinite()].sum(), inputs))


def assert_same_as_the_table(function: Callable[[], Tensor], inputs: list[Tensor], case: object = None) -> None:
    value = function()
    found = gradients(value, inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "_dense_limit", lambda device: 10**9)
        expected = function()
    torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-12, msg=lambda message: f"{case}: {message}")
    for got, wanted in zip(found, gradients(expected, inputs), strict=True):
        # At temperature 1e-3 the gradient to the scale is a difference of large sums.
        tolerance = 1e-12 * max(1, float(wanted.abs().max()))
        torch.testing.assert_close(
            got, wanted, atol=tolerance, rtol=1e-12, msg=lambda message: f"{case}, gradient: {message}"
        )


@pytest.mark.parametrize("exclude", RULES)
def test_of_one_set_of_rows(exclude: Collection[Rule]) -> None:
    z = rows(45, 0)
    for temperature, group in itertools.product((1e-3, 0.1, 2.0), (torch.arange(45) // 3, torch.arange(45) * 7 % 4)):
        scale = torch.tensor(1 / temperature, dtype=torch.float64, requires_grad=True)
        assert_same_as_the_table(
            lambda scale=scale, group=group: row_lse(z, z, scale, exclude=exclude, a_ids=group, b_ids=group),
            [z, scale],
            (temperature, group),
        )


@pytest.mark.parametrize("exclude", RULES)
def test_of_two_sets_of_rows(exclude: Collection[Rule]) -> None:
    for counts, temperature, per_row in itertools.product(((45, 37), (19, 70)), (1e-3, 0.1, 2.0), (False, True)):
        a, b = rows(counts[0], 1), rows(counts[1], 2)
        ids = {"a_ids": torch.arange(len(a)) // 3, "b_ids": torch.arange(len(b)) // 2}
        scale = torch.linspace(1, 1.5, len(a), dtype=torch.float64) if per_row else torch.ones((), dtype=torch.float64)
        scale = (scale / temperature).requires_grad_()
        assert_same_as_the_table(
            lambda a=a, b=b, scale=scale, ids=ids: row_lse(a, b, scale, exclude=exclude, **ids),
            [a, b, scale],
            (counts, temperature, per_row),
        )


def test_one_set_of_rows_without_symmetry_or_bound() -> None:
    z, group = rows(45, 3), torch.arange(45) % 4
    three = torch.tensor(3.0, dtype=torch.float64)
    for case, scale, other in [
        ("scale of its own", torch.linspace(1, 5, 45, dtype=torch.float64), group),
        ("negative scale", -three, group),
        ("zero scale", 0 * three, group),
        ("other ids", three, group.roll(1)),
        ("long rows", 1e4 * three, group),
    ]:
        scale.requires_grad_()
        assert_same_as_the_table(
            lambda scale=scale, other=other: row_lse(z, z, scale, exclude=["same"], a_ids=group, b_ids=other),
            [z, scale],
            case,
        )


def test_rows_and_columns() -> None:
    a, b = rows(45, 4), rows(45, 5)
    for temperature, per_row in itertools.product((1e-3, 0.1), (False, True)):
        tau = torch.full((45,) if per_row else (), temperature, dtype=torch.float64, requires_grad=True)
        assert_same_as_the_table(
            lambda tau=tau: torch.cat([one.flatten() for one in both_ways(a, b, tau)]),
            [a, b, tau],
            (temperature, per_row),
        )


def test_softplus() -> None:
    a, b = rows(45, 6), rows(37, 7)
    assert_same_as_the_table(lambda: row_softplus(30 * a, b), [a, b])


def test_what_is_kept_is_what_was_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where not one tile fits, as much as tiles are where all fit."""
    a, none = rows(20, 16).detach(), tiles.Rules.of((), None, None)  # tiles of 8, 8 and 4 rows
    for most, expected in ((63, 48), (15, 0), (500, 4 * 64 + 4 * 32 + 16)):
        monkeypatch.setattr(tiles, "KEPT", most)
        assert tiles._kept(a, a, none, triangle=False) == expected
    assert tiles._kept(a, a, none, triangle=True) == 3 * 64 + 2 * 32 + 16
    assert tiles._kept(a.to("meta"), a, none, triangle=False) == 4 * 64


@pytest.mark.parametrize("temperature", [1e-3, 0.5])
def test_rows_without_a_pair(temperature: float) -> None:
    z, ids = rows(45, 8), torch.arange(45).clamp(max=30)
    lse = row_lse(z, z, 1 / temperature, exclude=["self", "other"], a_ids=ids, b_ids=ids)
    assert (lse[:30] == -torch.inf).all()
    (gradient,) = torch.autograd.grad(lse[30:].sum(), z)
    assert gradient.isfinite().all()
    assert (gradient[:30] == 0).all()


def test_float32_does_not_overflow_where_all_points_coincide() -> None:
    z = torch.eye(4)[:1].expand(45, 4)
    torch.testing.assert_close(row_lse(z, z, 1e3, exclude=["self"]), torch.full((45,), 1e3) + torch.tensor(44.0).log())


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_gradcheck(temperature: float) -> None:
    a, b = rows(19, 9), rows(21, 10)
    scale = torch.tensor(1 / temperature, dtype=torch.float64, requires_grad=True)
    ids = torch.arange(19) % 4
    masked: dict[str, Any] = {"exclude": ["same"], "a_ids": ids, "b_ids": ids}
    assert torch.autograd.gradcheck(lambda a, scale: row_lse(a, a, scale, **masked), (a, scale), atol=1e-6)
    assert torch.autograd.gradcheck(lambda a, b, s: row_lse(a, b, s, exclude=["self"]), (a, b, scale), atol=1e-6)
    tau = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(both_ways, (a, b[:19], tau), atol=1e-6)
    assert torch.autograd.gradcheck(row_softplus, (a, b), atol=1e-6)


def test_differentiating_twice_is_refused() -> None:
    a, b = rows(19, 11), rows(21, 11)
    for value in (row_lse(a, a, 2.0), row_lse(a, b, 2.0), row_softplus(a, b)):
        with pytest.raises(RuntimeError, match="once only"):
            torch.autograd.grad(value.sum(), a, create_graph=True)


def test_half_precision_is_summed_in_float32() -> None:
    z = rows(45, 12, torch.bfloat16)
    lse = row_lse(z, z, 5.0, exclude=["self"])
    assert lse.dtype == torch.float32
    torch.testing.assert_close(lse, row_lse(z.float(), z.float(), 5.0, exclude=["self"]))
    lse.sum().backward()
    assert z.grad is not None
    assert z.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("temperature", [0.01, 0.1])
@pytest.mark.parametrize("name", ["nt_xent", "supcon", "clip", "uniformity"])
def test_float32_is_near_float64(name: str, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # tiles of their real size
    z = rows(3000, 13, dimensions=32).detach().view(1500, 2, 32)
    knob = {"t": 2.0} if name == "uniformity" else {"temperature": temperature}
    results = []
    for dtype in (torch.float32, torch.float64):
        if dtype == torch.float64:
            monkeypatch.setattr(similarity, "_dense_limit", lambda device: 10**9)
        x = z.to(dtype).requires_grad_()
        each = losses.get(name).on_views(x, torch.arange(1500) % 10, **knob)
        results.append((each.detach().double(), torch.autograd.grad(each, x)[0].double()))
    (value, gradient), (true_value, true_gradient) = results
    torch.testing.assert_close(value, true_value, atol=0, rtol=1e-6)
    assert (gradient - true_gradient).norm() < 1e-5 * true_gradient.norm()


class Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns, in forward and in backward."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.untyped_storage().nbytes() // result.element_size())
        return result


@pytest.mark.parametrize("samples", [16, 300])
@pytest.mark.parametrize("name", ["nt_xent", "supcon_in", "clip", "siglip", "sogclr", "varcon"])
def test_compiled_losses_are_the_same(name: str, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored (16 samples) and in tiles (300)."""
    monkeypatch.undo()
    z = torch.randn(samples, 2, 8, generator=torch.Generator().manual_seed(14), requires_grad=True)
    labels = torch.arange(samples) % 5

    def function(z: Tensor) -> Tensor:
        return losses.get(name).on_views(z, labels)

    torch.compiler.reset()
    value, expected = torch.compile(function, backend="aot_eager")(z), function(z)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, z), torch.autograd.grad(expected, z))


def test_transforms_of_torch_func_pass_the_stored_table_and_are_refused_by_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    z = rows(45, 15).detach()

    def function(z: Tensor) -> Tensor:
        return row_lse(z, z, 3.0, exclude=["self"]).sum()

    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.grad(function)(z)
    monkeypatch.setattr(similarity, "_dense_limit", lambda device: 10**9)
    gradient = torch.func.grad(function)(z)
    torch.testing.assert_close(gradient, torch.autograd.functional.jacobian(function, z))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_resident_memory_grows_by_vectors_not_by_rows_of_a_table() -> None:
    """From 2,048 to 16,384 points, the slope of the peak of a step: some vectors of 128 numbers for each point."""
    script = """
import sys
from pathlib import Path
import torch
from cl_explore import losses
def peak():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
for points in (512, int(sys.argv[1])):
    z = torch.randn(points // 2, 2, 128, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    losses.nt_xent(z).backward()
print(peak() - before)
"""
    sizes = [2048, 4096, 8192, 16384]  # each in a process of its own: memory once freed is taken again, not grown
    steps = [subprocess.Popen([sys.executable, "-c", script, str(n)], stdout=subprocess.PIPE) for n in sizes]
    slope, _ = np.polyfit(sizes, [int(step.communicate()[0]) for step in steps], 1)
    assert 128 * 4 < slope < 8 * 128 * 4  # the gradient alone is one vector; the table at 16,384 would be 128


@pytest.mark.parametrize(
    "name",
    ["nt_xent", "supcon", "supcon_in", "dcl", "dhel", "hard", "clip", "siglip", "uniformity", "info_nce", "sogclr"],
)
def test_memory_is_linear(name: str) -> None:
    """The largest buffer of a step, in which a table would show as N^2, grows no faster than N."""
    sizes = []
    for samples in (64, 128, 256):
        z = torch.randn(samples, 2, 4, requires_grad=True)
        labels = torch.arange(samples) % 7
        with Largest() as largest:
            losses.get(name).on_views(z, labels).backward()
        sizes.append(largest.elements)
    assert sizes[0] <= 64 * 2 * 5
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
