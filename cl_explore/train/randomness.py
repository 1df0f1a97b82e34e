"""What torch keeps globally, lent to a run for the time of a step: random generators, the choice of convolutions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor


class OwnRandomness:
    """Global random states of a run's own, of the CPU and of its device.

    Dropout and the like inside networks draw from the global generators. Within `lent()` these stand where the run left
    them, outside where the caller left them: neither sees the other. `states` (one ByteTensor a generator) may be
    kept and put back.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._ways: list[tuple[Callable[[], Tensor], Callable[[Tensor], None]]] = [
            (torch.get_rng_state, torch.set_rng_state)
        ]
        if device.type == "cuda":
            read, write = torch.cuda.get_rng_state, partial(torch.cuda.set_rng_state, device=device)
            self._ways.append((partial(read, device), write))
        elif device.type == "mps":
            self._ways.append((torch.mps.get_rng_state, torch.mps.set_rng_state))
        kinds = [torch.device("cpu"), device][: len(self._ways)]
        self.states = [torch.Generator(kind).manual_seed(seed).get_state() for kind in kinds]

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The global generators are the run's own inside; after an exception its states are as before."""
        outer = [read() for read, _ in self._ways]
        self._write(self.states)
        try:
            yield
            self.states = [read() for read, _ in self._ways]
        finally:
            self._write(outer)

    def _write(self, states: list[Tensor]) -> None:
        for (_, write), state in zip(self._ways, states, strict=True):
            write(state)


@contextmanager
def fastest_convolutions(device: torch.device) -> Iterator[None]:
    """Inside, a GPU takes the convolutions that it finds fastest, unless torch is asked for deterministic ones."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    if device.type == "cuda" and not (cudnn.deterministic or torch.are_deterministic_algorithms_enabled()):
        cudnn.benchmark = True
    try:
        yield
    finally:
        cudnn.benchmark = before
