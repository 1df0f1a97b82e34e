"""The tests that every file of a loss repeats: against numbers of the authors' code and loops of the formula."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from loops import Inputs, as_they_come, inputs
from torch import Tensor

from cl_explore.losses import Loss

OF_ANGLES = {"arcface", "cosface"}
GOLDEN = Path(__file__).parents[1] / "golden"
Case = dict[str, Any]


class Golden(NamedTuple):
    """How the library is called for the cases of a golden file, and which of them are about this loss."""

    file: str
    call: Callable[[Inputs, Case], Tensor]
    wanted: Callable[[Case], bool] = lambda case: True
    tolerance: float = 1e-9


class Reference(NamedTuple):
    """A loss, its knobs and the loop that says what each anchor's value is, with optional arguments to be given too."""

    loss: Loss
    knobs: dict[str, Any]
    loop: Callable[[Inputs], Sequence[float]]
    views: int = 2
    fed: tuple[str, ...] = ()


def cases(file: str, start: str = "") -> list[Case]:
    """The cases of a golden file whose names begin so."""
    found = json.loads((GOLDEN / f"{file}.json").read_text())["cases"]
    return [case for case in found if case["name"].startswith(start)]


def tensor(numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def labels_of(case: Case) -> Tensor:
    return torch.tensor(case["inputs"].get("labels", case["params"].get("labels")))


def views(x: Inputs, *names: str) -> Tensor:
    """The inputs of these names, or whose names begin so and end with the number of a view, as z (B, V, D)."""
    return torch.stack([leaf for name, leaf in x.items() if name in names or name.rstrip("0123456789") in names], dim=1)


def leaves(case: Case) -> Inputs:
    """The arrays of a case as leaves; a stack (V, B, D) whose gradients are listed view by view is one leaf a view."""
    found: Inputs = {}
    for name, numbers in case["inputs"].items():
        if f"{name}0" in case["grad"]:
            found |= {f"{name}{v}": tensor(view).requires_grad_() for v, view in enumerate(numbers)}
        elif name not in ("centroids", "density", "assignment", "mask_ids"):  # ragged
            found[name] = tensor(numbers).requires_grad_()
    return found


def close(value: Tensor, expected: Any, where: str = "", tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(
        value.detach(), tensor(expected), atol=tolerance, rtol=tolerance, msg=lambda message: f"{where}: {message}"
    )


def check(value: Tensor, x: Inputs, expected: Case, where: str = "", tolerance: float = 1e-9) -> None:
    """The value, and the gradient by every input that has one in the file."""
    close(value, expected["loss"], where, tolerance)
    names = list(expected["grad"])
    found = torch.autograd.grad(value, [x[name] for name in names], allow_unused=True)
    for name, gradient in zip(names, found, strict=True):
        if expected["grad"][name] is None:
            assert gradient is None, f"{where}: {name} must carry no gradient"
        elif x[name].numel():
            assert gradient is not None, f"{where}: {name} carries no gradient"
            close(gradient, expected["grad"][name], f"{where}, gradient by {name}", tolerance)


def golden(rows: Sequence[Golden]) -> Callable[[Golden], None]:
    """A test for each of the files: values and gradients of all its cases."""

    @pytest.mark.parametrize("row", rows, ids=[row.file for row in rows])
    def test_golden(row: Golden) -> None:
        chosen = [case for case in cases(row.file) if row.wanted(case)]
        assert chosen
        for case in chosen:
            x = leaves(case)
            check(row.call(x, case), x, case, case["name"], row.tolerance)

    return test_golden


def loops(rows: Sequence[Reference]) -> Callable[[str], None]:
    """A test for each of the losses: the value of every anchor under all its rows, raw embeddings or unit vectors."""

    @pytest.mark.parametrize("normalize", [True, False])
    @pytest.mark.parametrize("name", dict.fromkeys(row.loss.name for row in rows))
    def test_loop(name: str, normalize: bool) -> None:
        for loss, knobs, loop, views, fed in rows:
            # A raw loss runs as it is; a row that names the length runs once.
            if loss.name == name and not ((loss.raw and normalize) or ("normalize" in knobs and normalize is loss.raw)):
                x = inputs(views=views)
                given = {name: x[name] for name in (*loss.needs, *fed)}
                if name in OF_ANGLES and not normalize:
                    with pytest.raises(ValueError, match=f"normalize must be True for {name}"):
                        loss(**given, normalize=False)
                    continue
                each = loss(**given, **{"normalize": normalize} | knobs, reduction="none")
                with nullcontext() if normalize or loss.raw else as_they_come():
                    expected = tensor(list(loop(x)))
                torch.testing.assert_close(
                    each, expected, atol=1e-11, rtol=1e-9, msg=lambda text, at=knobs: f"{at}: {text}"
                )

    return test_loop
