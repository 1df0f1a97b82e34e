"""What the tests of losses share: degenerate batches, and the proof of a list of identities."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

Identity = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]

DEGENERATE = {
    "collapsed": torch.ones(8, 2, 4),
    "antipodal": torch.ones(8, 2, 4) * torch.tensor([1.0, -1.0]).view(1, 2, 1),
    "duplicated samples": torch.eye(4).repeat(2, 1)[:, None].expand(8, 2, 4),
    "zero vectors": torch.zeros(8, 2, 4),
    "tiny": torch.full((8, 2, 4), 1e-30),
    "huge": torch.full((8, 2, 4), 1e30),
}
LABELLINGS = {
    "two classes": torch.arange(8) % 2,
    "one class": torch.zeros(8, dtype=torch.long),
    "all classes different": torch.arange(8),
    "one singleton": torch.tensor([0, 0, 0, 1, 1, 1, 1, 2]),
}


def proof(identities: Sequence[Identity]) -> Callable[..., None]:
    """A test that both sides of each identity agree on random views z (B, 2, D), labels y (B,) and temperatures."""

    @pytest.mark.parametrize("identity", identities, ids=lambda identity: identity.__name__)
    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10_000), st.integers(4, 12), st.integers(2, 8), st.floats(0.05, 1.0))
    def test_identity(identity: Identity, seed: int, samples: int, dimensions: int, tau: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, 2, dimensions, generator=generator, dtype=torch.float64)
        # Labels 0 and 1 always occur, so that every loss has a positive and a negative to work with.
        y = torch.cat([torch.tensor([0, 1]), torch.randint(0, 3, (samples - 2,), generator=generator)])
        left, right = identity(z, y, tau)
        torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)

    return test_identity
