"""Batches on the device: cut there from data that live there, or gathered on the CPU and sent one ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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
