"""Here lives what the studies share: seeded networks and views for a data set, and the usual measures."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, evaluate, geometry
from cl_explore import nn as networks
from cl_explore.data import Dataset
from cl_explore.methods import Augment, Method
from cl_explore.train import Run


def splits(name: str, samples: int | None = None, **options: object) -> tuple[Dataset, Dataset]:
    """The train and test part of a data set, each cut to its first `samples` of a fixed shuffle if that is given."""
    parts = []
    for split in ("train", "test"):
        part = data.load(name, split, **options)
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
        parts.append(part if samples is None else part.subset(order[:samples].sort().values))
    return parts[0], parts[1]


def build(dataset: Dataset, seed: int, embedding: int = 32) -> tuple[nn.Module, nn.Module]:
    """Encoder and projection head, initialised by `seed` alone: methods of one seed start from equal weights.

    The encoder is the default of the data's modality, the head has one hidden layer of its width. The global random
    state is left as it was.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        encoder = dataset.modality.encoder(dataset.x)
        return encoder, networks.projection_head(encoder.out_features, encoder.out_features, embedding)


def weak_views(dataset: Dataset) -> Augment:
    """Views in which a network can find the sample again: the weak ones of the data's modality."""
    return dataset.modality.weak(dataset.x)


@torch.no_grad()
def embed_views(method: Method, dataset: Dataset, augment: Augment, n_views: int = 2, seed: int = 0) -> Tensor:
    """Embeddings z (N, n_views, D), on the CPU, of views of each sample, in evaluation mode; `seed` draws the views."""
    device = next(method.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    method.eval()
    found = []
    for rows in torch.arange(len(dataset)).split(1024):
        views = augment(dataset.batch(rows).x.to(device), generator, n_views)
        found.append(method.project(method(views.flatten(0, 1))).unflatten(0, views.shape[:2]).float().cpu())
    return torch.cat(found)


def measures(run: Run, train: Dataset, test: Dataset) -> dict[str, float]:
    """What most rows hold: measures of the test part, and the seconds that training took (also if it is in the store).

    Accuracies (kNN on h and on z, linear on h), and of unit z −uniformity, tolerance and effective rank.
    """
    seen, unseen = evaluate.embed(run.method, train), evaluate.embed(run.method, test)
    return {
        "kNN h": evaluate.knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "kNN z": evaluate.knn_accuracy(seen.z, seen.labels, unseen.z, unseen.labels),
        "linear h": evaluate.linear_accuracy(seen.h, seen.labels, unseen.h, unseen.labels),
        "−uniformity": -geometry.uniformity(unseen.z).item(),
        "tolerance": geometry.tolerance(unseen.z, unseen.labels).item(),
        "effective rank": geometry.effective_rank(F.normalize(unseen.z, dim=1)).item(),
        "seconds": float(run.history["seconds"].iloc[-1]),
    }
