"""How an identity is stated, and the list of all that are."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.catalogue import catalogue

Sides = tuple[Tensor, Tensor]
Identity = Callable[[Tensor, Tensor, float], Sides]

IDENTITIES: list[Identity] = []
"""Every stated identity, in order of statement."""


def identity(sides: Identity) -> Identity:
    """State that both sides are equal for all z (B, 2, D) of any length, labels (B,) and temperatures.

    The name of the decorated function says what is equal to what, and when: see `sentence`. B is at least 4, the labels
    lie in 0 to 2, and 0 and 1 occur.
    """
    IDENTITIES.append(sides)
    return sides


def sentence(stated: Identity) -> str:
    """The name of an identity as a sentence of Markdown, in which losses of the catalogue are code.

    >>> from cl_explore.losses.identities.of_views import nt_xent_is_softplus_of_dcl
    >>> sentence(nt_xent_is_softplus_of_dcl)
    '`nt_xent` is softplus of `dcl`'
    """
    words, out = stated.__name__.split("_"), []
    while words:
        size = next((n for n in range(4, 0, -1) if "_".join(words[:n]) in catalogue), 0)
        out.append(f"`{'_'.join(words[:size])}`" if size else words[0])
        words = words[size or 1 :]
    return " ".join(out)


def points(z: Tensor) -> Tensor:
    """The unit vectors (N, D) of z (B, V, D), sample by sample."""
    return F.normalize(z, dim=-1).flatten(0, 1)


def partners(z: Tensor) -> Tensor:
    """For each of the points (N, D) of z (B, 2, D) the other view of its sample."""
    return points(z.flip(1))


def strangers(z: Tensor) -> Tensor:
    """For each of the points of z (B, V, D) those of the other samples, (N, N - V, D)."""
    x, sample = points(z), torch.arange(len(z)).repeat_interleave(z.shape[1])
    return torch.stack([x[sample != own] for own in sample])
