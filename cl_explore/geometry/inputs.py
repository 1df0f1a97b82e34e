"""What the measures ask of their arguments: embeddings of enough points, and a class for each."""

from torch import Tensor

from cl_explore.given import Array, classes, floats
from cl_explore.losses.unit import unit


def points(x: Array, name: str = "x", *, normalize: bool = False, finite: bool = True, least: int = 2) -> Tensor:
    """Embeddings x (N, D) as a float32 or float64 tensor (N, D), rows scaled to unit length if `normalize`.

    Raises TypeError unless x is a floating-point tensor or array, and ValueError unless it has two axes, at least
    `least` rows and (where `finite`; the question makes a GPU wait) only finite numbers.
    """
    x = floats(x, name, "N D", finite=finite)
    if len(x) < least:
        raise ValueError(f"{name} must hold at least {least} sample{'s' * (least > 1)}, got {len(x)}")
    return unit(x) if normalize else x


def groups(labels: Array, x: Tensor) -> tuple[Tensor, Tensor]:
    """Class of each row of x (N, ...) as a number from 0 to C-1 in ascending order of label (N,), and class sizes (C,).

    Raises TypeError unless labels are integers or texts, and ValueError unless they are (N,) and not negative.
    """
    ((numbers,), _) = classes({"labels": labels}, {"x": len(x)})
    _, group, sizes = numbers.to(x.device).unique(return_inverse=True, return_counts=True)
    return group, sizes
