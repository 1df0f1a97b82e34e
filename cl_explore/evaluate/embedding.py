"""A data set seen through a frozen method."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from cl_explore.data import Batch, Dataset
from cl_explore.given import require_float32, result_of
from cl_explore.takes import Count, Seed, takes


@dataclass(frozen=True, eq=False)
class Embedding:
    """n embedded samples in the order of the data set, on the CPU."""

    h: Tensor  # (n, H) float32, representations
    z: Tensor  # (n, D) float32, embeddings after the head, not normalised
    labels: Tensor  # (n,) int64
    index: Tensor  # (n,) int64


MISFIT = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)
"""What networks raise for samples that they were not made for."""


@takes
def embed(method: nn.Module, dataset: Dataset, batch_size: Count = 1024, *, argument: str = "dataset") -> Embedding:
    """Embed every sample as it is, without views and in evaluation mode, on the device that holds the method.

    method: a module that maps x to h and whose `project` maps h to z, as every `cl_explore.methods.Method` does. Where
        its `augment` makes pictures of rows of numbers, `augment.plain(x)` makes those that are embedded.
    argument: what errors call the data set.
    Modes (training or evaluation) are put back as they were. ValueError if batch_size < 1, and for samples that the
    method cannot read; TypeError for weights that are not in float32, and for networks that give anything but tensors.
    """
    require_float32(method)
    plain = getattr(getattr(method, "augment", None), "plain", _as_it_is)
    project: Callable[[Tensor], Tensor] = method.project  # type: ignore[assignment]
    hs, zs = [], []
    with frozen(method):
        for batch in batches(dataset, device_of(method), batch_size):
            h = _read(method, plain(batch.x), argument)
            hs.append(h.float().cpu())
            zs.append(result_of("head", project(h)).float().cpu())
    return Embedding(torch.cat(hs), torch.cat(zs), dataset.labels.cpu(), dataset.index.cpu())


def _as_it_is(x: Any) -> Any:
    return x


def _read(method: nn.Module, x: Any, argument: str) -> Tensor:
    try:
        made = method(x)
    except torch.OutOfMemoryError:
        raise
    except MISFIT as error:
        shapes = {name: tuple(part.shape) for name, part in x.items()} if isinstance(x, dict) else tuple(x.shape)
        raise ValueError(f"{argument} must hold samples that the method can read, got {shapes}: {error}") from error
    return result_of("encoder", made)


@takes
def embed_views(method: nn.Module, dataset: Dataset, seed: Seed = 0) -> Tensor:
    """Embeddings z (n, V, D) of views of every sample, on the CPU, in evaluation mode.

    method: a `cl_explore.methods.Method`, which draws as many views as in training, by a generator that `seed` seeds.
    Unlike its own `embed_views` this asks no other process for its share.
    """
    views_of, device = cast(Any, method), device_of(method)
    generator = torch.Generator(device).manual_seed(seed)
    with frozen(method):
        parts = (views_of.draw_views(batch.x, generator) for batch in batches(dataset, device))
        return torch.cat([views_of.embed(views)[1].float().cpu() for views in parts])


def device_of(method: nn.Module) -> torch.device:
    """Where a method computes; the CPU for one without weights."""
    return next((one.device for one in method.parameters()), torch.device("cpu"))


def batches(dataset: Dataset, device: torch.device, size: int = 1024) -> Iterator[Batch]:
    """The whole data set in its order, on a device."""
    for rows in torch.arange(len(dataset), device=dataset.device).split(size):
        yield dataset.batch(rows, device)


@contextmanager
def frozen(method: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; afterwards every module is in the mode it was in."""
    modes = {module: module.training for module in method.modules()}
    method.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
