"""The short table of an embedding's geometry, for tables and panels."""

import torch

from cl_explore.geometry.dispersion import dispersion
from cl_explore.geometry.spectrum import effective_rank, participation_ratio
from cl_explore.geometry.spread import tolerance, uniformity
from cl_explore.given import Array


@torch.no_grad()
def summary(x: Array, labels: Array | None = None) -> dict[str, float]:
    """The main measures as plain numbers by name; those of classes only with labels.

    x: (N, D), tensor or array; uniformity, tolerance and dispersion are measured on the unit sphere, effective rank
        and participation ratio on x as it comes
    labels: (N,) integers from 0 on
    Raises: what the measures raise
    """
    measures = {"uniformity": uniformity(x)}
    if labels is not None:
        spread = dispersion(x, labels)
        measures |= {
            "tolerance": tolerance(x, labels),
            "within": spread.within,
            "between": spread.between,
            "ratio": spread.ratio,
        }
    measures |= {"effective_rank": effective_rank(x), "participation_ratio": participation_ratio(x)}
    return {name: value.item() for name, value in measures.items()}
