"""Every loss of the catalogue on the device against float64 on the CPU: values and gradients.

The truth is computed from the same rounded numbers, so that what is tested is the loss and not the rounding of its
input. Errors are in units of what is allowed, that of the CPU's own test: at most 1 is right.
"""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Loss
from gpu_stages.case import Case, waits
from gpu_stages.inputs import Inputs, inputs, options, sharpness, temperatures

EPS = torch.finfo(torch.float32).eps
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TILED = ("nt_xent", "supcon", "supcon_in", "dcl", "dhel", "hard", "clip", "siglip", "uniformity", "info_nce", "sogclr")
COMPILED = ("nt_xent", "supcon")


def cases(small: bool, device: str) -> list[Case]:
    names = list(losses.catalogue)[:: 8 if small else 1]
    tiled, compiled = (TILED[:2], COMPILED[:1]) if small else (TILED, COMPILED)
    few, many = (40, 150) if small else (256, 3000)  # samples of two views: stored, and in tiles
    backend = "aot_eager" if small else "inductor"
    return [
        *(Case(name, 40, partial(against_the_cpu, losses.get(name), device, 24 if small else 512)) for name in names),
        *(Case(f"{name} in tiles", 30, partial(in_tiles, name, device, many)) for name in tiled),
        *(
            Case(
                f"{name} compiled, {2 * samples} points", 60, partial(compiled_is_same, name, device, samples, backend)
            )
            for name, samples in itertools.product(compiled, (few, many))
        ),
    ]


def value_and_gradients(loss: Loss, x: Inputs, device: str, **knobs: Any) -> tuple[Tensor, Inputs]:
    """Both on the CPU."""
    x = {name: t.to(device) for name, t in x.items()}
    x = {name: t.clone().requires_grad_() if t.is_floating_point() else t for name, t in x.items()}
    value = loss(**x, **knobs)
    value.backward()
    return value.detach().cpu(), {name: t.grad.cpu() for name, t in x.items() if t.grad is not None}


def grid(loss: Loss, most: int) -> Iterator[tuple[int, torch.dtype, dict[str, Any]]]:
    """Samples, dtype and knobs: sizes and temperatures, then every switch and number of the loss."""
    yield from itertools.product((3, 24), DTYPES, temperatures(loss, (0.02, 0.5)))
    yield from itertools.product((24,), (torch.float32,), options(loss))
    if loss.fits(2):
        yield from itertools.product((most,), DTYPES[:2], temperatures(loss, (0.02,)))


def error(loss: Loss, x: Inputs, device: str, **knobs: Any) -> float:
    """The largest error of value and gradients, in units of what is allowed; infinite where a number is not finite."""
    value, gradients = value_and_gradients(loss, x, device, **knobs)
    exact = {name: t.double() if t.is_floating_point() else t for name, t in x.items()}
    truth, true_gradients = value_and_gradients(loss, exact, "cpu", **knobs)
    unit = EPS * sharpness(loss, knobs)
    errors = [(value.double() - truth).abs() / (16 * unit * (1 + truth.abs()))]
    for name, true in true_gradients.items():
        info = torch.finfo(x[name].dtype)
        if true.abs().max() > info.max:
            continue  # no number of this dtype is so large
        rounding = info.eps + info.smallest_normal * 2 / true.abs().max().clamp(1e-30)
        allowed = (16 * unit + 2 * rounding) * true.norm() + 4 * unit
        errors.append((gradients[name].double() - true).norm() / allowed)
    return float(torch.stack(errors).nan_to_num(nan=torch.inf).max())


def against_the_cpu(loss: Loss, device: str, most: int) -> dict[str, Any]:
    """The worst error for each dtype; then TF32, autocast, and where the host waits for the device."""
    found: dict[str, float] = {}
    wrong: list[str] = []
    for samples, dtype, knobs in grid(loss, most):
        kind = str(dtype).removeprefix("torch.")
        if loss.name == "barlow_twins" and samples == 3:
            continue  # so few standardised numbers hardly depend on what they were: the gradient is mostly rounding
        off = error(loss, inputs(loss, samples, dtype), device, **knobs)
        found[kind] = max(found.get(kind, 0.0), off)
        if off > 1:
            wrong.append(f"{samples} samples, {kind}, {knobs}: {off:.3g} of what is allowed")
    x = inputs(loss, most if loss.fits(2) else 24, torch.float32)
    (cold,) = temperatures(loss, (0.02,))
    found["float32, TF32 allowed, temperature 0.02"] = with_tf32(loss, x, device, cold)
    on_device = {name: t.to(device) for name, t in x.items()}
    plain = loss(**on_device)
    for dtype in DTYPES[1:]:
        with torch.autocast(device, dtype=dtype):
            inside = loss(**on_device)
        if not torch.allclose(inside, plain, rtol=1e-6, atol=1e-6):
            wrong.append(f"under autocast to {dtype}: {inside.item()} instead of {plain.item()}")
    waiting = waits(partial(value_and_gradients_there, loss, on_device), device)
    return {"wrong": wrong, "error": found, "waits": waiting}


def with_tf32(loss: Loss, x: Inputs, device: str, knobs: dict[str, Any]) -> float:
    """The error where the user lets matrix products round to ten bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return error(loss, x, device, **knobs)
    finally:
        torch.set_float32_matmul_precision(before)


def value_and_gradients_there(loss: Loss, x: Inputs) -> None:
    loss(**{name: t.clone().requires_grad_() if t.is_floating_point() else t for name, t in x.items()}).backward()


def views(samples: int) -> tuple[Tensor, Tensor]:
    z = torch.randn(samples, 2, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return z, torch.arange(samples) % 10


def on_views(function: Any, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient, in float64 on the CPU."""
    z = z.clone().requires_grad_()
    value = function(z, labels)
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach().cpu().double(), gradient.cpu().double()


def distance(found: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Relative errors of value and gradient, and whether they are those of float32."""
    value = float((found[0] - truth[0]).abs() / truth[0].abs())
    gradient = float((found[1] - truth[1]).norm() / truth[1].norm())
    right = value <= 2e-6 and gradient <= 2e-5
    return {"value": value, "gradient": gradient, "wrong": [] if right else [f"off by {value:.2g}, {gradient:.2g}"]}


def in_tiles(name: str, device: str, samples: int) -> dict[str, Any]:
    """A table too large to be stored, cold and warm: the worse of both, and where the host waits."""
    z, labels = views(samples)
    there, classes = z.float().to(device), labels.to(device)
    found = []
    for heat in (0.01, 0.1):
        knobs = {"t": 2.0} if name == "uniformity" else {"temperature": heat}
        function = partial(losses.get(name).on_views, **knobs)
        found.append(distance(on_views(function, there, classes), on_views(function, z, labels)))

    def step() -> None:
        function(there.clone().requires_grad_(), classes).backward()

    return {**max(found, key=lambda each: each["gradient"]), "waits": waits(step, device)}


def compiled_is_same(name: str, device: str, samples: int, backend: str) -> dict[str, Any]:
    z, labels = (each.to(device) for each in views(samples))
    function = losses.get(name).on_views
    plain = on_views(function, z.float(), labels)
    return distance(on_views(torch.compile(function, backend=backend, dynamic=False), z.float(), labels), plain)
