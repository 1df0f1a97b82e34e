"""The tensors a loss may be given: their names, kinds and shapes, and one clear error for each kind of wrong one.

Checks come before any work. Values (label range, positive temperatures) are only looked at where that needs no device
synchronisation: on the CPU.
"""

from collections.abc import Callable
from functools import lru_cache
from inspect import Signature
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cl_explore.losses.unit import unit


class Role(NamedTuple):
    """What an argument of this name is: a letter of a shape stands for the same size in every argument of a call."""

    kind: Literal["embeddings", "numbers", "ids"]  # embeddings are brought to unit length, numbers stay as they are
    shapes: tuple[str, ...]  # the alternatives, such as "B V D"


ROLES: dict[str, Role] = {
    # the views of a batch, and what is known of its samples
    "z": Role("embeddings", ("B V D",)),
    "labels": Role("ids", ("B",)),
    "index": Role("ids", ("B",)),
    "targets": Role("numbers", ("B", "B T")),
    "logits": Role("numbers", ("B C",)),
    "log_mean": Role("numbers", ("B",)),
    "salient": Role("numbers", ("B V S",)),
    "rehearsal": Role("ids", ("B",)),
    "shares": Role("numbers", ("N N",)),
    "weights": Role("numbers", ("B B",)),
    # what another network makes of the same samples
    "prediction": Role("embeddings", ("B V D",)),
    "teacher": Role("embeddings", ("B V D", "B D")),
    "positives": Role("embeddings", ("B V D", "B D")),
    # two sides
    "query": Role("embeddings", ("N D",)),
    "key": Role("embeddings", ("N D",)),
    "negatives": Role("embeddings", ("M D", "N M D")),
    "negative_weights": Role("numbers", ("M",)),
    "synthetic": Role("embeddings", ("N S D",)),
    "candidates": Role("embeddings", ("N P D",)),
    "present": Role("ids", ("N",)),
    "group": Role("ids", ("N",)),
    "passages": Role("embeddings", ("N K D",)),
    "relevance": Role("ids", ("N K",)),
    "context": Role("embeddings", ("N E",)),
    "critic": Role("numbers", ("E D",)),
    # what is kept from earlier batches
    "queue": Role("embeddings", ("K D",)),
    "queue_labels": Role("ids", ("K",)),
    "memory": Role("embeddings", ("K V D",)),
    # classes and clusters
    "prototypes": Role("embeddings", ("C D",)),
    "concentration": Role("numbers", ("C",)),
    "counts": Role("ids", ("C",)),
}
"""The notation of the house: every tensor argument of every loss has its line here."""


def values_are_at_hand(*tensors: Tensor) -> bool:
    """Whether looking at the values of `tensors` costs no device synchronisation and no graph break."""
    return not torch.compiler.is_compiling() and all(tensor.device.type == "cpu" for tensor in tensors)


def require_anchor(counts: Tensor, need: str, name: str = "labels") -> None:
    """Raise `ValueError` when no anchor counts: `counts` (N,) is 0 for those that do not, `need` what they lack.

    name: the argument that leaves them without.
    """
    if values_are_at_hand(counts) and not counts.any():
        raise ValueError(f"{name} leave nothing to compare: at least one anchor needs {need}, got none in this batch")


def require_unit_length(name: str, normalize: bool) -> None:
    """Raise `ValueError` if the loss called `name`, one of angles, is to read embeddings as long as they come."""
    if not normalize:
        raise ValueError(f"normalize must be True for {name}: its margin is one of angles, which raw vectors hide")


def require_known(labels: Tensor, classes: int, what: str) -> None:
    """Raise `ValueError` when a label names none of the `classes` rows of the argument called `what`."""
    if values_are_at_hand(labels) and labels.max() >= classes:
        raise ValueError(f"labels must be smaller than {classes}, the size of {what}, got {int(labels.max())}")


def spoiled(each: Tensor, by: Tensor) -> Tensor:
    """`each`, made NaN where `by` is not finite, which a comparison or an exponential would hide. No device waits."""
    return each + 0 * by.detach()


Form = tuple[type, tuple[int, ...], torch.dtype | None, torch.layout | None, torch.device | None]


def _form(given: Any) -> Form:
    """All of a tensor but its values, by which most of what may be wrong with it is known."""
    if not isinstance(given, Tensor):
        return type(given), (), None, None, None
    return Tensor, given.shape, given.dtype, given.layout, given.device


def _bind(name: str, size: tuple[int, ...], sizes: dict[str, int], shapes: tuple[str, ...]) -> dict[str, int]:
    """The sizes of the letters in the shape of argument `name`, those in `sizes` being taken already."""
    for shape in shapes:
        letters, found = shape.split(), dict(sizes)
        if len(letters) == len(size):
            fits = [
                found.setdefault(letter, length) == length > 0 for letter, length in zip(letters, size, strict=True)
            ]
            if all(fits):
                return found
    needed = []
    for shape in shapes:
        letters = shape.split()
        found = dict(reversed(list(zip(letters, size, strict=False)))) | sizes
        bound = [letter for letter in dict.fromkeys(letters) if letter in sizes or letters.count(letter) > 1]
        known = [f"{letter} = {found[letter]}" for letter in bound if letter in found]
        needed.append(f"({', '.join(letters)})" + (f" with {' and '.join(known)}" if known else ""))
    raise ValueError(f"{name} must have shape {' or '.join(needed)}, no size 0; got {tuple(size)}")


def _check(name: str, form: Form, kind: str) -> None:
    """Raise `TypeError` unless it is a tensor of its kind."""
    found, _, dtype, layout, _ = form
    if dtype is None or layout != torch.strided:
        raise TypeError(f"{name} must be a torch.Tensor, got {found.__name__ if dtype is None else 'a sparse one'}")
    if kind == "ids":
        if dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
            raise TypeError(f"{name} must be integers (int64), got {dtype}")
    elif not dtype.is_floating_point:
        raise TypeError(f"{name} must be floating point, got {dtype}")


def require(**given: tuple[Tensor, str]) -> None:
    """Check tensors outside a loss: each with its shape, such as "N D", and "ids N" if it holds whole numbers.

    Raises `TypeError` or `ValueError` that names the argument; a letter stands for the same size in all shapes.
    """
    sizes: dict[str, int] = {}
    leading, _ = next(iter(given.values()))
    for name, (tensor, shape) in given.items():
        kind = "ids" if shape.startswith("ids ") else "numbers"
        _check(name, _form(tensor), kind)
        sizes = _bind(name, tensor.shape, sizes, (shape.removeprefix("ids "),))
        if tensor.device != leading.device:
            raise ValueError(f"{name} must be on {leading.device} like {next(iter(given))}, got {tensor.device}")
        if kind == "ids" and values_are_at_hand(tensor) and tensor.long().min() < 0:
            raise ValueError(f"{name} must be 0 or larger, got {int(tensor.min())}")


def misuse(
    name: str, signature: Signature, arguments: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TypeError:
    """What is wrong with the call of a loss that gives too much, too little, something unknown or something twice."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        hint = advice(name, arguments, len(args))
        return TypeError(f"{name}(): {error}; it is called as {name}{signature}{hint}")
    raise AssertionError("the call is right")


def advice(name: str, arguments: tuple[str, ...], given: int) -> str:
    """How a loss is called by those who gave it `given` tensors by position in another library's form."""
    rest = "".join(f", {one}" for one in arguments[1:] if one in ("labels", "index"))
    if name == "triplet" and given == 3:
        return (
            "; it forms all triplets of a batch by its labels: "
            "triplet(torch.cat([anchor, positive, negative]), torch.cat([i, i, i + len(i)])) with i = torch.arange(B)"
        )
    if arguments[0] == "z" and given > 1:
        return f"; the views z1 (B, D) and z2 (B, D) are given as one: {name}(torch.stack([z1, z2], 1){rest})"
    if arguments[:2] == ("query", "key") and given == 1:
        return f"; the two sides are given one by one, of views z (B, 2, D): {name}(z[:, 0], z[:, 1])"
    return ""


class Limits(NamedTuple):
    """How many samples and views `z` (B, V, D) of a loss holds."""

    min_samples: int
    min_views: int
    max_views: int | None


def _views(size: tuple[int, ...], limits: Limits) -> tuple[int, ...]:
    """The size of z (B, V, D), where (B, D) is read as one view; `ValueError` unless samples and views suffice."""
    least, most = limits.min_views, limits.max_views
    if len(size) == 2 and least == 1:
        size = (size[0], 1, size[1])
    if len(size) == 2 and size[0] % 2 == 0:
        line = f"z.view(2, {size[0] // 2}, {size[1]}).transpose(0, 1)"
        raise ValueError(f"z must have shape (B, V, D), got {tuple(size)}; first views, then second ones: {line}")
    if len(size) == 3:
        samples, views, _ = size
        if samples < limits.min_samples:
            raise ValueError(
                f"z must hold at least {limits.min_samples} samples to contrast, got {samples} (shape {tuple(size)})"
            )
        if views < least or (most is not None and views > most):
            needed = f"exactly {least}" if least == most else f"at least {least}"
            raise ValueError(f"z must hold {needed} views of each sample (axis 1), got {views}")
    return size


def _examine(names: tuple[str, ...], forms: tuple[Form, ...], limits: Limits) -> torch.dtype:
    """The dtype in which embeddings of these names and forms are compared; an error if one of them is wrong."""
    sizes: dict[str, int] = {}
    widest = torch.float32
    leading = forms[0][-1]
    for name, form in zip(names, forms, strict=True):
        role, (_, shape, dtype, _, device) = ROLES[name], form
        _check(name, form, role.kind)
        if device != leading:
            raise ValueError(f"{name} must be on {leading} like {names[0]}, got {device}")
        sizes = _bind(name, _views(shape, limits) if name == "z" else shape, sizes, role.shapes)
        if role.kind == "embeddings" and dtype == torch.float64:
            widest = torch.float64
    return widest


_examined = lru_cache(1024)(_examine)
"""A training loop calls a loss on tensors of one form: they are examined once."""


def prepare(given: dict[str, Tensor], *, normalize: bool, limits: Limits) -> dict[str, Tensor]:
    """Check the tensor arguments of a loss and bring them to the form its formula reads.

    `given` maps argument names (see `ROLES`) to tensors. Embeddings come back in float32 or better and, with
    `normalize`, of unit length; `z` as (B, V, D); ids as int64. Raises `TypeError` for a wrong type or dtype and
    `ValueError` for a wrong shape, device or range.
    """
    examine = _examine if torch.compiler.is_compiling() else _examined
    widest = examine(tuple(given), tuple(map(_form, given.values())), limits)
    prepared: dict[str, Tensor] = {}
    for name, tensor in given.items():
        kind = ROLES[name].kind
        if kind == "ids":
            prepared[name] = ids = tensor.long()  # first of all: unsigned types have no minimum
            if values_are_at_hand(ids) and ids.min().item() < 0:
                raise ValueError(f"{name} must be 0 or larger, got {int(ids.min())}")
        elif kind == "embeddings":
            x = tensor if tensor.dtype == widest else tensor.to(widest)
            x = x[:, None] if name == "z" and x.ndim == 2 else x
            prepared[name] = unit(x) if normalize else x
        else:
            if name == "targets" and values_are_at_hand(tensor) and not tensor.isfinite().all():
                bad = int((~tensor.isfinite()).sum())
                raise ValueError(f"targets must be finite, got {bad} of {tensor.numel()} that are NaN or infinite")
            prepared[name] = tensor if tensor.dtype == torch.float64 else tensor.to(widest)
    return prepared


def without_autocast(device: str, function: Callable[..., Any], **arguments: Any) -> Any:
    """The function's result where autocast, if on, does not reach it."""
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return function(**arguments)
    return function(**arguments)
