"""Auto-encoders: what a network keeps of samples so that another can restore them; no sample is compared."""

import torch
from torch import Tensor, nn

from cl_explore.data import Batch
from cl_explore.methods.gather import gather
from cl_explore.methods.method import Method, Step
from cl_explore.views.noisy import Noisy


class AutoEncoder(Method):
    """Samples, with noise or without, are squeezed into h, from which a decoder restores them without it.

    The loss is the mean squared error. The head takes no part in it: it says what of h is the embedding.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, decoder: nn.Module, noise: float = 0.0) -> None:
        """encoder, head: of a method. decoder: maps h (N, H) to x (N, ...). noise: its standard deviation, in training.

        Raises: ValueError for noise below 0
        """
        if not noise >= 0:
            raise ValueError(f"noise must be at least 0, got {noise}")
        super().__init__(encoder, head, Noisy(noise), n_views=1)
        self.decoder = decoder

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The mean squared error of what the decoder makes of h."""
        return Step(restored(self.decoder, self.embed_views(batch, generator).h, batch.x), {})


def restored(decoder: nn.Module, h: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of samples x (b, ...) that the decoder restores from h (b, 1, H), a scalar.

    Where several processes train together, of the joined batch.
    """
    (errors,) = gather((decoder(h.flatten(0, 1)) - x).square().flatten(1).mean(1))
    return errors.mean()
