"""Here lives what the studies share: seeded networks and views for a data set, and the usual measures."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import data, evaluate, geometry
from cl_explore import nn as networks
from cl_explore.data import Dataset
from cl_explore.methods import Augment, Method
from cl_explore.train import Run
from cl_explore.views import ImageViews, VectorViews


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

    Vectors and pictures below 28 pixels: MLP F-128-64, head 64-64-embedding. Larger pictures: ResNet-18, head
    512-512-embedding. The global random state is left as it was.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        if dataset.x.ndim == 4 and dataset.x.shape[-1] >= 28:
            encoder: nn.Module = networks.resnet18(in_channels=dataset.x.shape[1])
            return encoder, networks.projection_head(512, 512, embedding)
        return networks.MLP([dataset.x[0].numel(), 128, 64]), networks.projection_head(64, 64, embedding)


def weak_views(dataset: Dataset) -> ImageViews | VectorViews:
    """Views in which a network can find the sample again: noise .15 for vectors, intensity and noise for small
    pictures; for larger pictures those of SimCLR, which a ResNet is up to."""
    if dataset.x.ndim == 2:
        return VectorViews(noise=0.15, dropout=0.0)
    return ImageViews.simclr() if dataset.x.shape[-1] >= 28 else ImageViews.weak()


@dataclass(frozen=True)
class HardViews:
    """Views of small pictures that are hard to tell from those of others: a shift by up to one pixel, a square of
    `erased` pixels a side set to black, intensity times 1 ± `intensity`, and noise of standard deviation `noise`.

    x (B, C, H, W) in [0, 1] -> (B, n_views, C, H, W) in [0, 1], all randomness from the generator.
    """

    erased: int = 3
    intensity: float = 0.4
    noise: float = 0.15

    def __call__(self, x: Tensor, generator: torch.Generator, n_views: int = 2) -> Tensor:
        rows = x.repeat_interleave(n_views, dim=0)
        count, _, height, width = rows.shape

        def uniform(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=generator, device=generator.device).to(x)

        def below(limit: int) -> Tensor:
            return (uniform() * limit).long().clamp(max=limit - 1)[:, None]

        each, line, column = torch.arange(count, device=x.device), torch.arange(height), torch.arange(width)
        line, column = line.to(x.device), column.to(x.device)
        lines, columns = below(3) + line, below(3) + column  # (N, H) and (N, W), in the padded picture
        padded = F.pad(rows, (1, 1, 1, 1)).movedim(1, -1)
        moved = padded[each[:, None, None], lines[:, :, None], columns[:, None, :]].movedim(-1, 1)
        top, left = below(height - self.erased + 1), below(width - self.erased + 1)
        inside = ((line >= top) & (line < top + self.erased))[:, :, None]
        inside = inside & ((column >= left) & (column < left + self.erased))[:, None, :]
        gain = 1 + self.intensity * (2 * uniform(1, 1, 1) - 1)
        noise = torch.randn(rows.shape, generator=generator, device=generator.device).to(x)
        changed = moved.masked_fill(inside[:, None], 0) * gain + self.noise * noise
        return changed.clamp(0, 1).unflatten(0, (len(x), n_views))


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
