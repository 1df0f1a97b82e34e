"""A method trained by plain steps, for panels, which need no store, no device and no history."""

from torch import Generator
from torch.optim import Optimizer

from cl_explore.data import Batch, Dataset
from cl_explore.methods.method import Method


def take_step(method: Method, batch: Batch, optimizer: Optimizer, generator: Generator) -> None:
    """One step of the optimiser on a batch; the generator draws its views."""
    optimizer.zero_grad()
    method.step(batch, generator).loss.backward()
    optimizer.step()


def take_epoch(method: Method, dataset: Dataset, batch_size: int, optimizer: Optimizer, generator: Generator) -> None:
    """A step on each batch of the data set, in the order that the method draws."""
    for rows in method.draw_order(dataset, batch_size, generator).split(batch_size):
        take_step(method, dataset.batch(rows), optimizer, generator)
