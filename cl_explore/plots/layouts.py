"""Maps from embeddings to two or three axes: one for all snapshots, so that frames can be compared."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.disk import whole
from cl_explore.train import store
from cl_explore.train.code import version
from cl_explore.train.key import key

LAYOUTS = ("auto", "pca", "umap", "raw")


class Layout(NamedTuple):
    """points (S, n, dims) of S snapshots, and what each axis is."""

    points: NDArray[np.float32]
    axes: tuple[str, ...]


def pca(snapshots: Tensor, dims: int = 2) -> Layout:
    """The `dims` directions of largest variance of the last snapshot, and all snapshots (S, n, D) seen along them.

    Fewer samples than `dims` vary along fewer directions: along the others, which are any, only earlier snapshots do.
    Each direction points where its largest coefficient is positive, so that the map does not flip from run to run.
    """
    last = snapshots[-1].double()
    centre = last.mean(0)
    _, sizes, directions = torch.linalg.svd(last - centre, full_matrices=len(last) < dims)
    sizes = F.pad(sizes, (0, max(0, dims - len(sizes))))
    largest = directions.abs().argmax(1, keepdim=True)
    directions = (directions * directions.gather(1, largest).sign())[:dims]
    share = sizes.square() / sizes.square().sum().clamp(min=1e-300)
    points = (snapshots.double() - centre) @ directions.T
    others = [f"PC {place} ({share[place - 1]:.0%})" for place in range(2, dims + 1)]
    return Layout(points.float().numpy(), (f"PC 1 ({share[0]:.0%} of variance)", *others))


def umap(snapshots: Tensor, dims: int = 2) -> Layout:
    """UMAP fitted on the last snapshot, by cosine distance; the others (S, n, D) are placed into that map.

    Compiling takes about 15 seconds the first time in a process, fitting a thousand points about 3, placing as many
    about 1 per snapshot: the run store keeps the result for the next time. Raises ValueError for fewer samples than
    axes and two.
    """
    if snapshots.shape[1] < dims + 2:
        raise ValueError(f"UMAP with {dims} axes needs at least {dims + 2} samples, got {snapshots.shape[1]}")
    axes = tuple(f"UMAP {axis}" for axis in range(1, dims + 1))
    needs = [version(package) for package in ("numba", "pynndescent", "scipy", "sklearn")]
    kept = store.folder(True, key(make=_umap_points, snapshots=snapshots, dims=dims, needs=needs).parts)
    assert kept is not None
    kept = kept.with_suffix(".npy")
    points = _read(kept, (*snapshots.shape[:2], dims))
    if points is not None:
        return Layout(points, axes)
    points = _umap_points(snapshots, dims)
    with whole(kept) as new:
        np.save(new, points)
    return Layout(points, axes)


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The points kept in a file; None if it is not there, or not what was written."""
    try:
        points = np.array(np.lib.format.open_memmap(path, mode="r"))
    except Exception:  # a damaged file can raise anything
        return None
    return points if points.shape == shape and points.dtype == np.float32 and np.isfinite(points).all() else None


def _umap_points(snapshots: Tensor, dims: int) -> NDArray[np.float32]:
    from umap import UMAP  # its import alone takes seconds: paid only by those who ask for this map

    mapping = UMAP(n_components=dims, metric="cosine", random_state=0, n_jobs=1).fit(snapshots[-1].numpy())
    earlier = [mapping.transform(snapshot.numpy()) for snapshot in snapshots[:-1]]
    return np.stack([*earlier, mapping.embedding_]).astype(np.float32)


def layout(snapshots: Tensor, kind: str = "auto", dims: int = 2) -> Layout:
    """The map called `kind` of snapshots (S, n, D) on the CPU: "pca" ("auto" is the same), "umap", or "raw".

    The map has `dims` (2 or 3) axes. "raw" shows the first `dims` dimensions, and embeddings that have no more are
    always shown as they are. Raises ValueError for another kind or number of axes.
    """
    if kind not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {kind!r}")
    if dims not in (2, 3):
        raise ValueError(f"dims must be 2 or 3, got {dims}")
    dims = max(2, min(dims, snapshots.shape[2]))
    if kind == "raw" or snapshots.shape[2] <= dims:
        points = F.pad(snapshots, (0, max(0, dims - snapshots.shape[2])))[..., :dims]
        return Layout(points.float().numpy(), tuple(f"dimension {axis}" for axis in range(1, dims + 1)))
    return umap(snapshots, dims) if kind == "umap" else pca(snapshots, dims)


def turned(points: NDArray[np.floating], onto: NDArray[np.floating]) -> NDArray[np.floating]:
    """The map `points` (n, dims), centred, and turned or mirrored as a whole to lie as near as it can to `onto`.

    Maps of other embeddings of the same samples can then be looked at one after the other (orthogonal Procrustes).
    """
    points, onto = points - points.mean(0), onto - onto.mean(0)
    left, _, right = np.linalg.svd(points.T @ onto)
    return points @ (left @ right)
