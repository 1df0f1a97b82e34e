"""Time, memory and rate of large losses on the device, against the ceiling of its matrix products and the textbook.

A step is one forward and one backward pass, in 128 dimensions. `two products` is what two matrix products of the table
take, in float32 as the losses compute them, tile after tile; the rate counts the operations of these two.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from losses import DIMENSIONS, SEED, TEXTBOOK, implementation

from gpu_stages.case import Case, memory, seconds

NAMES = ("nt_xent", "supcon", "clip", "siglip", "varcon")
SIZES = (131_072, 4096, 16_384, 65_536)  # points, of CLIP and SigLIP those of one side; the two that are goals first
COMPILED = 4096  # points up to which the textbook is compiled too: it takes longer than all other measurements
STORED = 32_768  # points up to which the textbook's tables may fit
CLASSES = 100
SIDE = 4096  # of the tile that the products are measured on
DTYPES = (torch.float32, torch.bfloat16)


def cases(small: bool, device: str) -> list[Case]:
    sizes, side = ((64, 600), 64) if small else (SIZES, SIDE)
    return [
        Case("ceiling", 30, partial(ceiling, device, 256 if small else 8192)),
        *(
            Case(
                f"{name}, {points:,}, {_kind(dtype)}",
                60 if points <= COMPILED else 30,
                partial(measure, name, points, dtype, device, side),
            )
            for dtype in DTYPES
            for points in sizes
            for name in NAMES
        ),
        Case("tile", 60, partial(tile, device, side)),
    ]


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def ceiling(device: str, side: int) -> dict[str, Any]:
    """TFLOP/s of square matrix products on random numbers: float32, the same with TF32 allowed, and bfloat16."""
    found = {}
    for kind, dtype, precision in [
        ("float32", torch.float32, "highest"),
        ("float32, TF32", torch.float32, "high"),
        ("bfloat16", torch.bfloat16, "highest"),
    ]:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        torch.set_float32_matmul_precision(precision)
        found[kind] = 2 * side**3 / seconds(partial(torch.mm, a, b), device) / 1e12
    torch.set_float32_matmul_precision("highest")
    return {"TFLOP/s": found}


def two_products(rows: int, columns: int, device: str, side: int, dtype: torch.dtype = torch.float32) -> float:
    """Seconds of two products with a table (rows, columns): into it and out of it, a tile of at most `side` a time."""
    high, wide = min(rows, side), min(columns, side)
    a, b = (torch.randn(each, DIMENSIONS, device=device, dtype=dtype) for each in (high, wide))
    table, out = a.new_empty(high, wide), torch.empty_like(a)

    def products() -> None:
        torch.mm(a, b.T, out=table)
        torch.mm(table, b, out=out)

    return seconds(products, device) * (rows * columns) / (high * wide)


def measure(name: str, points: int, dtype: torch.dtype, device: str, side: int) -> dict[str, Any]:
    """This library's step, and that of the textbook, plain and compiled, where its table fits."""
    columns = CLASSES if name == "varcon" else points
    samples = points if name in ("clip", "siglip") else points // 2
    generator = torch.Generator().manual_seed(SEED)
    z = torch.randn(samples, 2, DIMENSIONS, generator=generator).to(device, dtype).requires_grad_()
    labels = torch.arange(samples, device=device) % (CLASSES if name == "varcon" else 10)

    def step(function: Callable[..., Any]) -> dict[str, Any]:
        def run() -> None:
            z.grad = None
            function(z, labels).backward()

        taken = seconds(run, device)
        z.grad = None
        return {"step": taken, "extra MiB": memory(run, device)}

    found: dict[str, Any] = step(implementation(name, "cl_explore"))
    products = two_products(points, columns, device, side)
    work = 4 * points * columns * DIMENSIONS / 1e12
    found |= {"two products": products, "ratio": found["step"] / products, "TFLOP/s": work / found["step"]}
    others = {"textbook": TEXTBOOK[name]} if points <= STORED else {}
    if points <= COMPILED:
        others["compiled textbook"] = torch.compile(TEXTBOOK[name], dynamic=False)
    for by, function in others.items():
        try:
            found[by] = step(function)
        except RuntimeError as error:  # such as want of memory
            found[by] = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
    return found


def tile(device: str, side: int) -> dict[str, Any]:
    """Whether one tile of exponentials with its sums is faster compiled: seconds of both, and of its product alone."""

    def sums(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        table = torch.mm(a, b.T).exp2_()
        return table.sum(0), table.sum(1)

    found = {}
    for dtype in DTYPES:
        a, b = (torch.randn(side, DIMENSIONS, device=device, dtype=dtype) / DIMENSIONS for _ in range(2))
        found[_kind(dtype)] = {
            "product": seconds(lambda a=a, b=b: torch.mm(a, b.T), device),
            "plain": seconds(partial(sums, a, b), device),
            "compiled": seconds(partial(torch.compile(sums, dynamic=False), a, b), device),
        }
    return found
