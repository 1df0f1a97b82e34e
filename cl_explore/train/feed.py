"""Batches on the device: cut there from data that live there, or gathered on the CPU and sent one ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from cl_explore.data import Batch, Dataset


def settle(dataset: Dataset, device: torch.device) -> Dataset:
    """The data set on the device, unless it would take more than a quarter of a GPU's memory: then as it is."""
    if device.type == "cuda" and dataset.nbytes > torch.cuda.get_device_properties(device).total_memory // 4:
        return dataset
    return dataset.to(device)


def batches(dataset: Dataset, rows: Tensor, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """The rows (n,) of the data set, in batches of `batch_size` on the device; n is a multiple of it."""
    if dataset.device.type == device.type:
        return map(dataset.batch, rows.to(dataset.device).split(batch_size))
    return one_ahead(partial(send, dataset, device), rows.split(batch_size))


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


def send(dataset: Dataset, device: torch.device, rows: Tensor) -> Batch:
    """The rows (B,) of a data set as a batch on another device; images travel as uint8, through pinned memory."""
    stored = dataset.rows(rows)
    if device.type == "cuda":
        stored = stored.each(Tensor.pin_memory)
    return stored.each(lambda column: column.to(device, non_blocking=True)).as_numbers()
