"""The one table of the tests of losses: for each argument the wrong values, for each knob its range.

A loss of known arguments is tested by all property files as soon as it is declared; a new argument needs a line in
`VALUES`, where the valid ones are.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gpu_stages.inputs import Inputs, letters
from torch import Tensor

from cl_explore.losses import Choice, Knob, Loss
from cl_explore.losses.arguments import ROLES

Wrong = tuple[dict[str, Any], type[Exception], str]
WRONG: dict[str, list[tuple[Callable[[Tensor], Any], str]]] = {
    # argument: a change to a valid value, and what the message must say; wrong types and shapes are tried on all
    "labels": [(lambda y: y - 9, "labels must be 0 or larger, got -9")],
    "targets": [
        (lambda x: x.where(x > 0, math.nan), "targets must be finite, got .* that are NaN or infinite"),
        (lambda x: x.where(x > 0, -math.inf), "targets must be finite, got .* that are NaN or infinite"),
    ],
    "rehearsal": [(lambda x: -x, "rehearsal must be 0 or larger, got -1")],
    "group": [(lambda x: x - 9, "group must be 0 or larger, got -9")],
    "present": [(lambda x: -x, "present must be 0 or larger, got -1")],
    "relevance": [(lambda x: x - 1, "relevance must be 0 or larger, got -1")],
    "queue_labels": [
        (lambda y: y - 1, "queue_labels must be 0 or larger, got -1"),
        (lambda y: None, "queue and queue_labels must be given together"),
    ],
    "counts": [
        (lambda n: n - 1, "counts must be 1 or larger, got 0"),
        (lambda n: n - 2, "counts must be 0 or larger, got -1"),
    ],
    "concentration": [
        (lambda x: x - 0.5, "concentration must be positive and finite, got 0"),
        (lambda x: x * math.nan, "concentration must be positive and finite, got nan"),
        (lambda x: x / 0, "concentration must be positive and finite, got inf"),
    ],
    "negative_weights": [
        (lambda x: x - 0.5, "negative_weights must be positive and finite, got 0"),
        (lambda x: x * math.nan, "negative_weights must be positive and finite, got nan"),
        (lambda x: x / 0, "negative_weights must be positive and finite, got inf"),
    ],
    "weights": [
        (lambda x: x - 0.25, r"weights must be 0 or larger, got -0\.24"),
        (lambda x: 0 * x, "at least one anchor needs a positive, got none"),
    ],
    "shares": [(lambda x: 1.2 * x, r"shares must be between 0 and 1, got 0\.012 to 1\.188")],
}
LABELLED = {"labels", "queue_labels"}
"""Arguments that hold names of classes."""
EXTREMES = {"steepness": (0.1, 1e3), "tau_pos": (20.0, 1e3), "tau_neg": (20.0, 1e3), "bandwidth": (1e-3, 10.0)}
"""Values of knobs beyond their sliders that are legal and must be computed well."""
MAY_BE_NEGATIVE = {
    *("dcl", "dclw", "dhel", "mv_dhel", "uniformity", "align_uniform", "koleo", "spectral", "simsiam", "simple"),
    *("hard_simple", "cacr", "sepclr", "sogclr", "isogclr", "scgc", "paco", "shamisa"),
    *("nspt no_positive", "cacr_momentum euclidean", "proxy_nca others"),
}
"""Losses that may say less than 0, some with one option only: of all others every anchor is at least 0."""
POINTS = {
    "collapsed": torch.ones(8, 2, 4),
    "antipodal": torch.ones(8, 2, 4) * torch.tensor([1.0, -1.0]).view(1, 2, 1),
    "duplicated samples": torch.eye(4).repeat(2, 1)[:, None].expand(8, 2, 4),
    "zero vectors": torch.zeros(8, 2, 4),
    "tiny": torch.full((8, 2, 4), 1e-30),
    "huge": torch.full((8, 2, 4), 1e30),
}
LABELLINGS = {
    "two classes": torch.arange(8) % 2,
    "one class": torch.zeros(8, dtype=torch.long),
    "only targets": torch.ones(8, dtype=torch.long),
    "all classes different": torch.arange(8),
    "one singleton": torch.tensor([0, 0, 0, 1, 1, 1, 1, 2]),
}


def batch(seed: int, samples: int = 8, views: int = 2, dimensions: int = 5) -> tuple[Tensor, Tensor, torch.Generator]:
    """Random views (B, V, D) in float64, labels of three classes and the generator that drew them."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, views, dimensions, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3, generator


def options(loss: Loss) -> list[dict[str, Any]]:
    """The defaults, then each other option of each switch."""
    return [{}, *({k.name: option} for k in loss.knobs if isinstance(k, Choice) for option in k.options[1:])]


def ends(loss: Loss) -> Iterator[dict[str, float]]:
    """Each number of a loss but the temperature at both ends of its slider, and at its extremes."""
    for knob in loss.knobs:
        if isinstance(knob, Knob) and knob.name != "temperature":
            yield from ({knob.name: value} for value in (knob.low, knob.high, *EXTREMES.get(knob.name, ())))


def wrong_tensors(loss: Loss, good: Inputs) -> Iterator[Wrong]:
    """Every change of one argument that must be refused, with the error and a pattern of its message."""
    first, sizes = next(iter(good)), {}
    for name, value in good.items():
        must, ids = f"{name} must ", ROLES[name].kind == "ids"
        yield {name: value.tolist()}, TypeError, must + r"be a torch\.Tensor, got list"
        if name in loss.needs:
            yield {name: None}, TypeError, must + r"be a torch\.Tensor, got NoneType"
        other = value.float() if ids else value.long()
        yield {name: other}, TypeError, must + f"be {'integers' if ids else 'floating point'}.*got {other.dtype}"
        yield {name: value > 0}, TypeError, must + f"be {'integers' if ids else 'floating point'}.*got torch.bool"
        for shape in (value[..., None, None], value[..., :0], value.flatten()[0]):
            yield {name: shape}, ValueError, must + f"have shape .*got {re.escape(str(tuple(shape.shape)))}"
        if len(good) > 1:
            pattern = f"{'meta' if name == first else 'cpu'} like {first}, got {'cpu' if name == first else 'meta'}"
            yield {name: value.to("meta")}, ValueError, pattern
        for axis, letter in enumerate(letters(name, value)):
            if letter in sizes:
                longer = torch.cat([value, value.narrow(axis, 0, 1)], axis)
                yield {name: longer}, ValueError, must + f"have shape .*{letter} = {sizes[letter]}"
            sizes[letter] = value.shape[axis]
        for change, message in WRONG.get(name, []):
            yield {name: change(value)}, ValueError, message
    if "z" in good and loss.min_samples > 1:
        yield {"z": good["z"][:1]}, ValueError, "z must hold at least 2 samples to contrast, got 1"
    if "z" in good and loss.min_views > 1:
        yield {"z": good["z"][:, :1]}, ValueError, f"z must hold (exactly|at least) {loss.min_views} views .*got 1"
        yield {"z": good["z"][:, 0]}, ValueError, r"z must have shape \(B, V, D\)"
    if "z" in good and loss.max_views:
        more = torch.cat([good["z"], good["z"][:, :1]], 1)
        yield {"z": more}, ValueError, f"z must hold exactly {loss.max_views} views .*got {loss.max_views + 1}"
    if "labels" in good and "C" in sizes:
        beyond = good["labels"] - good["labels"].max() + sizes["C"]
        yield {"labels": beyond}, ValueError, f"labels must be smaller than {sizes['C']}, the size .*got {sizes['C']}"


def wrong_knobs(loss: Loss, anchors: int) -> Iterator[Wrong]:
    """Every value of one knob that must be refused, with the error and a pattern of its message."""
    for knob in loss.knobs:
        must = f"{knob.name} must "
        if isinstance(knob, Choice):
            yield from (({knob.name: value}, ValueError, must + "be one of") for value in ("often", None, 1))
            continue
        yield from (({knob.name: value}, TypeError, must + "be a number") for value in ("often", None, True, 1j))
        yield {knob.name: torch.tensor(1)}, TypeError, must + "be floating point"
        bad = {math.nan, math.inf, -math.inf, 0.0 if knob.log else knob.minimum - 1, knob.maximum + 0.5}
        for value in bad:
            yield {knob.name: value}, ValueError, must + ".*finite, got"
            yield {knob.name: torch.tensor(float(value))}, ValueError, must + ".*finite, got"
        good = torch.full((anchors,), float(loss.defaults[knob.name]))
        yield {knob.name: good[1:]}, ValueError, must + rf"be one number.*got a tensor of shape \({anchors - 1},\)"
        if knob.per_anchor:
            yield {knob.name: torch.cat([good[1:], 0 * good[:1] - 1])}, ValueError, must + ".*finite, got -1"
        else:
            yield {knob.name: good}, ValueError, must + rf"be one number, got a tensor of shape \({anchors},\)"
