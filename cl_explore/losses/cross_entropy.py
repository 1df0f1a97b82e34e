"""Cross-entropies of similarities: a positive among negatives, with sum and positive rounded together.

Taken from sums and products that are rounded apart, a loss that cannot be negative would be so on views that agree.
Rounded together they also bear TF32, where a user allows it for speed: products of ten bits, at temperature .02 and on
views that agree, change gradients by 0.2 %, where they were nothing but error.
"""

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import stored, tiles
from cl_explore.losses.arguments import spoiled
from cl_explore.losses.similarity import class_sums, other_samples, row_lse, stored_whole, view_agreement
from cl_explore.losses.tiles import Rules
from cl_explore.losses.unit import transformed, unit


def cross_entropy(positive: Tensor, negatives: Tensor) -> Tensor:
    """-log(e^positive / (e^positive + e^negatives)), (N,) of logits (N,): a log-sum-exp of negatives does.

    Never below 0, and with all digits however near to it, since the positive stands in no sum from which it is taken.
    """
    return spoiled(-F.logsigmoid(positive - negatives), positive)


def excess(total: Tensor, part: Tensor) -> Tensor:
    """total - part, (N,), which is at least 0 by its formula and is so, too, where rounding says otherwise."""
    gap = total - part
    return gap - gap.detach().clamp(max=0)


Place = Literal["own", "view", "both ways"]


def _places(rows: int, place: Place, device: torch.device) -> Tensor:
    own = torch.arange(rows, device=device)
    return torch.cat([own, own]) if place == "both ways" else own ^ 1 if place == "view" else own


@lru_cache(64)
def kept_places(rows: int, place: Place) -> Tensor:
    with torch.inference_mode(False):  # what is made inside cannot be saved for a backward pass outside
        return _places(rows, place, torch.device("cpu"))


def places(x: Tensor, place: Place) -> Tensor:
    """The column of the positive of each point of x (..., D): its own number, (N,) or twice for both ways, (2N,), or
    that of the other view of its sample. Made once on a CPU, where that takes a while beside a small table.
    """
    rows = x.shape[:-1].numel()
    if x.device.type != "cpu" or transformed():
        return _places(rows, place, x.device)
    return kept_places(rows, place)


def pair_contrast(query: Tensor, key: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the log-softmax of row i of key among all rows of key, and its similarity to row i of query, both (N,).

    query, key (N, D) with N >= 2, temperature of no dimension or (N,).
    """
    if stored_whole(query, key):
        return stored.contrast(query, key, temperature, places(key, "own"))
    positive, scale = (query * key).sum(-1), 1 / temperature
    return cross_entropy(scale * positive, row_lse(query, key, scale, exclude=["self"])), positive


def both_ways(query: Tensor, key: Tensor, temperature: Tensor, normalize: bool = False) -> tuple[Tensor, Tensor]:
    """`pair_contrast` of query and key above that of key and query, (2, N), and the similarity of the pairs, (N,).

    On one table, unless each row has a temperature of its own. With `normalize`, of the rows at unit length.
    """
    if temperature.ndim == 0 and stored_whole(query, key):
        return stored.contrast(query, key, temperature, places(key, "both ways"), both=True, normalize=normalize)
    if normalize:
        query, key = unit(query), unit(key)
    scale = 1 / temperature
    if temperature.ndim == 0 and tiles.bounded(scaled := query * scale, key):
        positive = (query * key).sum(-1)
        sums = tiles.rows_and_columns(scaled, key, Rules.of(["self"], None, None))
        return torch.stack([cross_entropy(scale * positive, each) for each in sums]), positive
    there, positive = pair_contrast(query, key, temperature)
    return torch.stack([there, pair_contrast(key, query, temperature)[0]]), positive


def contrast(z: Tensor, ids: Tensor, temperature: Tensor, normalize: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Minus the mean log-softmax of each point's positives among all other points, their mean similarity and number.

    z (..., D) of N points, ids (N,): positives are the other points of the same id; temperature of no dimension or
    (N,). Returns three (N,), which are 0 where there is no positive. Of a large table neither similarities nor
    positives are stored. With `normalize`, of the points at unit length.
    """
    if stored_whole(z, z):
        same = (ids[:, None] == ids).fill_diagonal_(False).to(z.dtype)
        number = same.sum(1)
        share = same.div_(number.clamp(min=1)[:, None])
        return *stored.contrast(z, None, temperature, share, normalize=normalize), number
    x = z.flatten(0, -2)
    x = unit(x) if normalize else x
    sums, counts = class_sums(x, ids)
    number, scale = counts - 1, 1 / temperature
    positive = (x * (sums - x)).sum(-1) / number.clamp(min=1)
    each = excess(row_lse(x, x, scale, exclude=["self"]), scale * positive)
    return each * number.clamp(max=1), positive, number


def view_contrast(z: Tensor, temperature: Tensor, normalize: bool = False) -> tuple[Tensor, Tensor]:
    """Minus the mean log-softmax of the other views of each point of z (B, V, D), V >= 2, among all other points, and
    their mean similarity, both (N,): `contrast` where each sample is its own class. With `normalize`, of unit vectors.
    """
    pairs = z.shape[1] == 2
    if pairs and stored_whole(z, z):
        return stored.contrast(z, None, temperature, places(z, "view"), normalize=normalize)
    z = unit(z) if normalize else z
    x = z.flatten(0, 1)
    positive, scale = view_agreement(z, z), 1 / temperature
    if pairs:
        return cross_entropy(scale * positive, other_samples(z, scale)), positive
    return row_lse(x, x, scale, exclude=["self"]) - scale * positive, positive
