"""Batches on the device: cut there from data that live there, or gathered on the CPU and sent one ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from cl_explore.data import Batch, Dataset


def settle(dataset: Dataset, device: torch.device) -> Dataset:
    """The data set on the device, unless it would take more than half of what a GPU has free: then as it is."""
    if device.type == "cuda" and dataset.device != device and dataset.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return dataset
    return dataset.to(device)


def batches(dataset: Dataset, rows: Tensor, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """The rows (n,) of the data set, in batches of `batch_size` on the device; n is a multiple of it."""
    if dataset.device.type == device.type:
        return map(dataset.batch, rows.to(dataset.device).split(batch_size))
    return one_ahead(lambda chunk: dataset.batch(chunk, device), rows.split(batch_size))


def one_ahead(load: Callable[[Tensor], Batch], chunks: Iterable[Tensor]) -> Iterator[Batch]:
    """`load` of each chunk in turn, the next one loading in a thread while the caller works on the last."""
    with ThreadPoolExecutor(1) as pool:
        ahead: Future[Batch] | None = None
        for chunk in chunks:
            following = pool.submit(load, chunk)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()


def sample(dataset: Dataset, most: int) -> Dataset:
    """Up to `most` samples, the same for every seed: drawn, since data sets are often sorted by class."""
    rows = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0), device="cpu")[:most]
    return dataset.subset(rows.sort().values)


def sort(dataset: Dataset) -> str | None:
    """The name of its kind of samples; None if they have several parts."""
    return None if isinstance(dataset.x, dict) else dataset.modality.name


def outline(dataset: Dataset) -> list[Any]:
    """What training sees of a data set besides its tensors, which its fingerprint stands for."""
    return [type(dataset), dataset.class_names, sort(dataset)]
