"""The robustness probe: does the representation survive changes of the test samples that training never made?"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Dataset
from cl_explore.data.dataset import Samples
from cl_explore.evaluate.embedding import batches, device_of, embed, frozen
from cl_explore.evaluate.knn import knn_accuracy
from cl_explore.given import require_finite
from cl_explore.takes import Count, Seed, takes

Corruption = Callable[[Any, torch.Generator], Samples]
"""corruption(x (B, ...), generator) -> changed x (B, ...); all randomness from the generator, on x's device."""


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return (x + 0.1 * torch.randn(x.shape, generator=generator, device=generator.device).to(x)).clamp(0, 1)


def _contrast(x: Tensor, generator: torch.Generator) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + 0.4 * (x - mean)


IMAGE_CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "noise": _noise,
        "brightness": lambda x, generator: (x + 0.3).clamp(0, 1),
        "contrast": _contrast,
        "pixelation": lambda x, generator: F.interpolate(F.avg_pool2d(x, 2), size=x.shape[2:]),
    }
)
"""Four of images (N, C, H, W) in [0, 1]. They are ours: results on CIFAR-10-C and ImageNet-C cannot be compared."""


@takes
def corrupted_accuracy(
    method: nn.Module,
    train: Dataset,
    test: Dataset,
    corruptions: Mapping[str, Corruption],
    *,
    k: Count = 20,
    seed: Seed = 0,
) -> dict[str, float]:
    """The kNN accuracy on h under each corruption of the test part; the training part stays clean.

    method: a module that maps x to h, and its `project` h to z
    corruptions: by name; each draws from a generator of its own, seeded by `seed`, on the method's device
    k: neighbours that vote, see `knn_accuracy`
    Returns: the accuracy under each corruption, by name
    Raises: ValueError for samples that are not finite, and as `knn_accuracy`
    """
    for part in test.x.values() if isinstance(test.x, dict) else [test.x]:
        require_finite("test", part)  # a corruption that clamps would hide it
    device = device_of(method)
    clean = embed(method, train)
    found = {}
    for name, corrupt in corruptions.items():
        generator = torch.Generator(device).manual_seed(seed)
        with frozen(method):
            h = torch.cat([method(corrupt(batch.x, generator)).float().cpu() for batch in batches(test, device)])
        found[name] = knn_accuracy(clean.h, clean.labels, h, test.labels.cpu(), k=k)
    return found
