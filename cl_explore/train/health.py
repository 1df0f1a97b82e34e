"""Signs that a run has gone wrong: numbers that are not finite, and embeddings that have collapsed."""

import warnings
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from cl_explore import geometry
from cl_explore.given import require_float32
from cl_explore.methods import Method

SPREAD, RANK = 0.05, 1.5
"""Below either of these, embeddings count as collapsed."""
PATIENCE = 100
"""Steps before anyone looks: an untrained network may put everything in nearly one place."""
LEFT_OUT = 20
"""Steps in a row that a scaler of gradients may leave out: from its first scale, 2 ** 16, it halves to below 1."""


class CollapseWarning(UserWarning):
    """The embeddings of a run lie in one point or on one line."""


class CollapseWatch:
    """Warns once when embeddings collapse: at a run's snapshots, which are on the CPU anyway."""

    def __init__(self, classes: int, total: int) -> None:
        """classes: of the data, as two that are told apart perfectly lie on one line; total: steps of the run."""
        self._least_rank = RANK if classes > 2 else 1.0
        self._first = max(PATIENCE, total // 2)
        self._warned = False

    def look(self, z: Tensor, step: int) -> None:
        """z (n, D), not normalised. Spread is the standard deviation of the unit vectors, 1 over the whole sphere."""
        if self._warned or step < self._first or len(z) < 2 or not z.isfinite().all():
            return
        x = F.normalize(z, dim=1)
        spread, rank = x.var(0, correction=0).sum().sqrt().item(), geometry.effective_rank(x).item()
        if spread < SPREAD or (x.shape[1] > 2 and rank < self._least_rank):
            self._warned = True
            warnings.warn(
                f"the embeddings have collapsed at step {step}: standard deviation of the unit vectors {spread:.3f} "
                f"(1 over the whole sphere), effective rank {rank:.2f} of {x.shape[1]}. Does anything in the loss push "
                "samples apart?",
                CollapseWarning,
                stacklevel=8,  # the caller of fit
            )


def spoiled(what: str, method: Method, row: dict[str, Any]) -> FloatingPointError:
    """The error that says what is not finite, at which step (a row of the history) with which knobs, and what to do."""
    knobs = ", ".join(f"{name}={value}" for name, value in method.knobs.items()) or "none"
    return FloatingPointError(
        f"{what} at step {row['step']} (epoch {row['epoch']}, lr {row['lr']:.2g}, knobs: {knobs}). The weights are "
        "spoiled: build the method anew and try a smaller lr, a longer warmup_epochs or a larger temperature, and "
        "check the views"
    )


def require_learners(method: Method) -> None:
    """ValueError for a method that cannot learn, TypeError for weights not in float32 or a knob never learned."""
    weights = list(method.parameters())
    if not any(weight.requires_grad for weight in weights):
        raise ValueError("method must have weights that learn (parameters that require a gradient), got none")
    require_float32(method)
    for name, knob in method.knobs.items():
        if isinstance(knob, Tensor) and knob.requires_grad and not any(knob is weight for weight in weights):
            raise TypeError(
                f"knob {name} must be a number or a parameter of the method, got a tensor that requires a gradient and "
                f"would never be learned: make the method with {name}=torch.nn.Parameter(torch.tensor(...))"
            )
