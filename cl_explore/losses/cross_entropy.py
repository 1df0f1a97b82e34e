"""Cross-entropies of similarities: a positive among negatives, with sum and positive rounded together.

Taken from sums and products that are rounded apart, a loss that cannot be negative would be so on views that agree.
Rounded together they also bear TF32, where a user allows it for speed: products of ten bits, at temperature .02 and on
views that agree, change gradients by 0.2 %, where they were nothing but error.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses import stored, tiles
from cl_explore.losses.arguments import spoiled
from cl_explore.losses.similarity import class_sums, other_samples, row_lse, stored_whole, view_agreement
from cl_explore.losses.tiles import Rules
from cl_explore.losses.unit import unit


def cross_entropy(positive: Tensor, negatives: Tensor) -> Tensor:
    """-log(e^positive / (e^positive + e^negatives)), (N,) of logits (N,): a log-sum-exp of negatives does.

    Never below 0, and with all digits however near to it, since the positive stands in no sum from which it is taken.
    """
    return spoiled(-F.logsigmoid(positive - negatives), positive)


def excess(total: Tensor, part: Tensor) -> Tensor:
    """total - part, (N,), which is at least 0 by its formula and is so, too, where rounding says otherwise."""
    gap = total - part
    return gap - gap.detach().clamp(max=0)


def pair_contrast(query: Tensor, key: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the log-softmax of row i of key among all rows of key, and its similarity to row i of query, both (N,).

    query, key (N, D) with N >= 2, temperature of no dimension or (N,).
    """
    if stored_whole(query, key):
        return stored.contrast(query, key, temperature, torch.arange(len(key), device=key.device))
    positive, scale = (query * key).sum(-1), 1 / temperature
    return cross_entropy(scale * positive, row_lse(query, key, scale, exclude=["self"])), positive


def both_ways(
    query: Tensor, key: Tensor, temperature: Tensor, normalize: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """`pair_contrast` of query and key, that of key and query, and the similarity of the pairs, three (N,).

    On one table, unless each row has a temperature of its own. With `normalize`, of the rows at unit length.
    """
    if temperature.ndim == 0 and stored_whole(query, key):
        own = torch.arange(len(key), device=key.device).repeat(2)
        each, positive = stored.contrast(query, key, temperature, own, both=True, normalize=normalize)
        there, back = each.chunk(2)
        return there, back, positive[: len(key)]
    if normalize:
        query, key = unit(query), unit(key)
    scale = 1 / temperature
    if temperature.ndim == 0 and tiles.bounded(scaled := query * scale, key):
        positive = (query * key).sum(-1)
        sums = tiles.rows_and_columns(scaled, key, Rules.of(["self"], None, None))
        there, back = (cross_entropy(scale * positive, each) for each in sums)
        return there, back, positive
    there, positive = pair_contrast(query, key, temperature)
    return there, pair_contrast(key, query, temperature)[0], positive


def contrast(x: Tensor, ids: Tensor, temperature: Tensor, normalize: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Minus the mean log-softmax of each row's positives among all other rows, their mean similarity and number.

    x (N, D), ids (N,): positives are the other rows of the same id; temperature of no dimension or (N,). Returns three
    (N,): where there is no positive the first is undefined, the others are 0. Of a large table neither similarities nor
    positives are stored. With `normalize`, of the rows at unit length.
    """
    if stored_whole(x, x):
        same = (ids[:, None] == ids).fill_diagonal_(False).to(x.dtype)
        number = same.sum(1)
        share = same.div_(number.clamp(min=1)[:, None])
        return *stored.contrast(x, None, temperature, share, normalize=normalize), number
    x = unit(x) if normalize else x
    sums, counts = class_sums(x, ids)
    positive, scale = (x * (sums - x)).sum(-1) / (counts - 1).clamp(min=1), 1 / temperature
    return excess(row_lse(x, x, scale, exclude=["self"]), scale * positive), positive, counts - 1


def view_contrast(z: Tensor, temperature: Tensor, normalize: bool = False) -> tuple[Tensor, Tensor]:
    """Minus the mean log-softmax of the other views of each point of z (B, V, D), V >= 2, among all other points, and
    their mean similarity, both (N,): `contrast` where each sample is its own class. With `normalize`, of unit vectors.
    """
    x, pairs = z.flatten(0, 1), z.shape[1] == 2
    if pairs and stored_whole(x, x):
        return stored.contrast(x, None, temperature, torch.arange(len(x), device=x.device) ^ 1, normalize=normalize)
    z = unit(z) if normalize else z
    x = z.flatten(0, 1)
    positive, scale = view_agreement(z, z), 1 / temperature
    if pairs:
        return cross_entropy(scale * positive, other_samples(z, scale)), positive
    return row_lse(x, x, scale, exclude=["self"]) - scale * positive, positive
