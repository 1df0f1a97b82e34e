"""Here live the maps from embeddings to the plane: one for all snapshots of a run, so that frames can be compared."""

import hashlib
import uuid
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cl_explore.train import store

LAYOUTS = ("auto", "pca", "umap")
UMAP_AXES = ("UMAP 1", "UMAP 2")


class Layout(NamedTuple):
    """points (S, n, 2) of S snapshots, and what the two axes are."""

    points: NDArray[np.float32]
    axes: tuple[str, str]


def pca(snapshots: Tensor) -> Layout:
    """The two directions of largest variance of the last snapshot, and all snapshots (S, n, D) seen along them.

    Each direction points where its largest coefficient is positive, so that the map does not flip from run to run.
    """
    last = snapshots[-1].double()
    centre = last.mean(0)
    _, sizes, directions = torch.linalg.svd(last - centre, full_matrices=False)
    largest = directions.abs().argmax(1, keepdim=True)
    directions = (directions * directions.gather(1, largest).sign())[:2]
    share = sizes.square() / sizes.square().sum().clamp(min=1e-300)
    points = (snapshots.double() - centre) @ directions.T
    return Layout(points.float().numpy(), (f"PC 1 ({share[0]:.0%} of variance)", f"PC 2 ({share[1]:.0%})"))


def umap(snapshots: Tensor) -> Layout:
    """UMAP fitted on the last snapshot, by cosine distance; the others (S, n, D) are placed into that map.

    Compiling takes about 15 seconds the first time in a process, fitting a thousand points about 3, placing as many
    about 1 per snapshot: the run store keeps the result for the next time.
    """
    content = hashlib.sha256(snapshots.contiguous().numpy().tobytes()).hexdigest()
    config = {"layout": "umap", "umap": version("umap-learn"), "shape": list(snapshots.shape), "content": content}
    kept = store.folder(True, config)
    assert kept is not None
    kept = kept.with_suffix(".npy")
    if kept.exists():
        return Layout(np.load(kept), UMAP_AXES)
    from umap import UMAP  # its import alone takes seconds: paid only by those who ask for this map

    mapping = UMAP(metric="cosine", random_state=0, n_jobs=1).fit(snapshots[-1].numpy())
    earlier = [mapping.transform(snapshot.numpy()) for snapshot in snapshots[:-1]]
    points = np.stack([*earlier, mapping.embedding_]).astype(np.float32)
    unfinished = kept.with_name(f".{uuid.uuid4().hex}.npy")
    np.save(unfinished, points)
    unfinished.replace(kept)  # whole or not at all
    return Layout(points, UMAP_AXES)


def layout(snapshots: Tensor, kind: str = "auto") -> Layout:
    """The map called `kind` of snapshots (S, n, D) on the CPU: "pca" ("auto" is the same), or "umap".

    Two dimensions are shown as they are. Raises ValueError for another kind.
    """
    if kind not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {kind!r}")
    if snapshots.shape[2] <= 2:
        points = F.pad(snapshots, (0, 2 - snapshots.shape[2])).float().numpy()
        return Layout(points, ("dimension 1", "dimension 2"))
    return umap(snapshots) if kind == "umap" else pca(snapshots)
